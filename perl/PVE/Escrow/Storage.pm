package PVE::Escrow::Storage;

use v5.36;

use List::Util ();

use PVE::Cluster;
use PVE::Exception qw(raise_param_exc);
use PVE::INotify;
use PVE::PBSClient;
use PVE::Storage;
use PVE::Storage::PBSPlugin;
use PVE::Tools;

=head1 NAME

PVE::Escrow::Storage - the storages that have a key, as Proxmox VE configures them

=head1 FUNCTIONS

=over

=item ids()

The ids of all storages of type C<pbs>, sorted.

=item config($storeid)

Its section of F</etc/pve/storage.cfg>. Dies if there is none, or if it is of another type.

=item key_file($storeid)

Where Proxmox VE has its key.

=item of_key_file($path)

The storage that has its key there, or C<undef>.

=item claimed($scfg)

The fingerprint that F<storage.cfg> names, if it does: keys of old clients have none.

=item connection($scfg)

What a kit says of the way to the backups. No secret.

=item same_server($first, $second)

Do two connections, or sections, lead to the same server?

=item server($storeid, $scfg)

The way to its server, as the library's C<remote_...> operations take it.

=item mounted_datastore($scfg)

The directory of its datastore, if the backup server runs on this node; else C<undef>.

=item is_there($path)

Is there anything at this path, a dangling link too?

=back

=cut

# of a backup server on this node
my $DATASTORES = '/etc/proxmox-backup/datastore.cfg';

sub ids () {
    my $ids = PVE::Storage::config()->{ids};
    my @found = sort grep { $ids->{$_}->{type} eq 'pbs' } keys %$ids;
    return @found;
}

sub config ($storeid) {
    my $scfg = PVE::Storage::config()->{ids}->{$storeid}
        or raise_param_exc({ storage => "storage '$storeid' does not exist" });
    raise_param_exc({
        storage =>
            "storage '$storeid' is of type '$scfg->{type}': only those of type 'pbs' have a key",
    }) if $scfg->{type} ne 'pbs';
    return $scfg;
}

sub key_file ($storeid) {
    return PVE::Storage::PBSPlugin::pbs_encryption_key_file_name({}, $storeid);
}

sub of_key_file ($path) {
    return List::Util::first { key_file($_) eq $path } ids();
}

sub claimed ($scfg) {
    my $claimed = $scfg->{'encryption-key'} // '';
    return $claimed =~ m/^[0-9a-f]{2}(?::[0-9a-f]{2})+$/i ? lc($claimed) : undef;
}

sub connection ($scfg) {
    my $connection = {
        server => $scfg->{server},
        datastore => $scfg->{datastore},
        username => $scfg->{username} // 'root@pam',
    };
    $connection->{port} = int($scfg->{port}) if defined($scfg->{port});
    for my $name (qw(namespace fingerprint)) {
        $connection->{$name} = "$scfg->{$name}" if defined($scfg->{$name});
    }
    return $connection;
}

sub same_server ($first, $second) {
    my ($one, $two) = map { lc($_->{server}) . ' ' . ($_->{port} // 8007) } $first, $second;
    return $one eq $two;
}

sub server ($storeid, $scfg) {
    my $password = PVE::Storage::PBSPlugin::pbs_password_file_name($scfg, $storeid);
    my $server = {
        repository => PVE::PBSClient::get_repository($scfg),
        'password-file' => $password,
    };
    $server->{'tls-fingerprint'} = $scfg->{fingerprint} if defined($scfg->{fingerprint});
    $server->{ns} = $scfg->{namespace} if defined($scfg->{namespace});
    return $server;
}

my sub is_this_node ($server) {
    return 1 if $server =~ m/^(?:localhost|127\.[0-9.]+|::1)$/;
    my $node = PVE::INotify::nodename();
    return 1 if $server eq $node;
    my $address = eval { PVE::Cluster::remote_node_ip($node) } // '';
    return $server eq $address;
}

sub mounted_datastore ($scfg) {
    return if !is_this_node($scfg->{server}) || !-e $DATASTORES;
    my $name;
    for my $line (split(m/\n/, PVE::Tools::file_get_contents($DATASTORES))) {
        $name = $1 if $line =~ m/^datastore:\s*(\S+)\s*$/;
        next if ($name // '') ne $scfg->{datastore};
        return $1 if $line =~ m{^\s+path\s+(/.*?)\s*$} && -d "$1/.chunks";
    }
    return;
}

sub is_there ($path) {
    return !!lstat($path);
}

1;
