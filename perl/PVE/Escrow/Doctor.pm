package PVE::Escrow::Doctor;

use v5.36;

use JSON ();

use PVE::Cluster;
use PVE::INotify;

use PVE::Escrow::Coverage;
use PVE::Escrow::Evidence;
use PVE::Escrow::Keep;
use PVE::Escrow::Records;
use PVE::Escrow::Storage;

=head1 NAME

PVE::Escrow::Doctor - is everything in place, on every node?

=head1 FUNCTIONS

=over

=item run()

Returns one row a thing that was looked at: C<check>, C<result> (C<ok>, C<warning>, C<error>) and C<text>, which says
what to do. What the daemons of the nodes have loaded is what they said themselves, not what a fresh Perl would load.

=item nodes()

The rows about the guard of each node.

=back

=cut

# broadcast by each node every five minutes
my $STALE_SECONDS = 15 * 60;

my $DEFAULT_KEYS = '/root/.config/proxmox-backup';

my sub row ($check, $result, $text) {
    return { check => $check, result => $result, text => $text };
}

my sub library () {
    my $version = eval { require PVE::RS::Escrow; PVE::RS::Escrow::version() };
    return row(
        'library', 'error',
        $@ =~ s/\s+\z//r . ' Keys are still kept; nothing can be sealed or recovered.'
    ) if !$version;
    my @standin = grep { ($version->{$_} // '') ne 'real' } qw(perlmod proxmox-schema);
    my $inside = join(', ', map { "$_ $version->{$_}" } qw(perlmod proxmox-schema));
    return row('library', @standin ? 'warning' : 'ok', "version $version->{version}, $inside");
}

my sub quorum () {
    return PVE::Cluster::check_cfs_quorum(1)
        ? row('quorum', 'ok', 'the cluster file system can be changed')
        : row('quorum', 'error', "none: 'pveescrow recover --out FILE' still works");
}

my sub of_node ($node, $said) {
    my $what = "node $node";
    return row(
        $what, 'error',
        "has not said that it guards its keys: is pve-escrow installed there, and its timer"
            . ' active?'
    ) if !$said;
    my $age = time() - ($said->{time} // 0);
    return row($what, 'error', 'was last heard of ' . int($age / 60) . ' minutes ago')
        if $age > $STALE_SECONDS;
    for my $daemon (qw(pvedaemon pveproxy)) {
        my $state = $said->{daemons}->{$daemon};
        return row(
            $what, 'error',
            "$daemon runs without the guard: 'systemctl reload $daemon' there"
        ) if !$state || !$state->{armed};
        my @missing = ($state->{missing} // [])->@*;
        return row(
            $what, 'warning',
            "$daemon has no @missing: this Proxmox VE is newer than what was tested"
        ) if @missing;
    }
    return row($what, 'ok', "guards its keys, version $said->{version}");
}

sub nodes () {
    my $said = PVE::Cluster::get_node_kv('pve-escrow') // {};
    my $nodes = PVE::Cluster::get_nodelist();
    my %known = map { $_ => 1 } @$nodes, PVE::INotify::nodename();
    return map {
        of_node($_, defined($said->{$_}) ? eval { JSON::decode_json($said->{$_}) } : undef)
    } sort keys %known;
}

my sub copies () {
    my @trouble = PVE::Escrow::Records::differences();
    return row(
        'second copies', 'ok',
        'each record lies on a disk of this node too, or on that of the node that wrote it'
    ) if !@trouble;
    return map { row('second copies', 'warning', $_) } @trouble;
}

# The client takes these where Proxmox VE passes none, and then they are what backups are encrypted with.
my sub default_keys () {
    my @rows;
    for my $name (qw(encryption-key.json master-public.pem)) {
        next if !-e "$DEFAULT_KEYS/$name";
        push @rows, row(
            'default keys', 'warning',
            "$DEFAULT_KEYS/$name is used by the backup client where Proxmox VE passes no such key: 'pveescrow import' keeps"
                . ' a key; remove the file if nobody meant it',
        );
    }
    return @rows
        ? @rows
        : row('default keys', 'ok', 'root has none that the backup client would use unasked');
}

my sub kept () {
    PVE::Escrow::Keep::identify_all();
    my @unknown = grep { !defined($_->{fingerprint}) } PVE::Escrow::Keep::kept();
    return row('kept keys', 'ok', 'all could be read') if !@unknown;
    return row(
        'kept keys', 'warning',
        (@unknown == 1 ? '1 kept file holds' : @unknown . ' kept files hold')
            . " no key that can be read: 'pveescrow keys'"
    );
}

# What keeps raw keys is in the backups of this machine too, and there whoever has the server can read it.
my sub host_backups () {
    my $node = PVE::INotify::nodename();
    my @storages = grep {
        grep { $_ eq $node }
            (PVE::Escrow::Coverage::cached($_)->{'plain-hosts'} // [])->@*
    } PVE::Escrow::Storage::ids();
    return row('host backups', 'ok', 'no unencrypted ones of this node are known') if !@storages;
    return row(
        'host backups', 'warning',
        'there are unencrypted backups of this node on '
            . join(', ', @storages)
            . ": if /etc/pve or /var/lib/pve-escrow is in them, so are raw keys. Exclude /var/lib/pve-escrow/kept and"
            . ' /etc/pve/priv, or encrypt them',
    );
}

my sub evidence () {
    my $trouble = PVE::Escrow::Evidence::trouble();
    return defined($trouble)
        ? row('evidence', 'error', $trouble)
        : row('evidence', 'ok', 'events are written down');
}

sub run () {
    my @rows;
    for my $check (
        \&library, \&quorum, \&nodes, \&copies, \&default_keys, \&kept, \&host_backups,
        \&evidence,
    ) {
        eval { push @rows, $check->(); 1 } or push @rows, row('doctor', 'error', $@ =~ s/\s+\z//r);
    }
    return \@rows;
}

1;
