package PVE::Escrow::Rotate;

use v5.36;

use PVE::Tools;

use PVE::Escrow::Evidence;
use PVE::Escrow::File;
use PVE::Escrow::Keep;
use PVE::Escrow::Keys;
use PVE::Escrow::Publish;
use PVE::Escrow::Records;
use PVE::Escrow::Recover;
use PVE::Escrow::Seal;
use PVE::Escrow::State;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Rotate - a new key for a storage

=head1 DESCRIPTION

The new key is kept, then sealed, then its code is typed back, and only then it becomes live: each step can be the last, and
leaves a storage that works and all keys. The old key stays: as a kept file, and as a record of its seals, since the snapshots
that were made with it need it for as long as they are there.

=head1 FUNCTIONS

=over

=item warnings($storeid)

What is to be said before: asks the server how much the next backups have to upload. Dies if the storage has no key to
rotate.

=item new_key($storeid)

Makes a key and keeps it. Returns the name of the kept file.

=item seal($name, { by => USER, label => TEXT })

Seals it, as L<PVE::Escrow::Seal/create> does.

=item finish($storeid, $name, { code => WORDS, by => USER })

Confirms the seal with its code, and makes the key that of the storage. Does the rest if it was interrupted before. Returns
C<said>, lines for the one who waits, and C<copies>.

=back

=cut

# each was typed in by a person
my $MAX_ROTATED = 50;

my sub live ($storeid) {
    my $key = eval {
        PVE::RS::Escrow::fingerprint({ keyfile => PVE::Escrow::Storage::key_file($storeid) });
    };
    return $key && $key->{verified} ? $key->{fingerprint} : undef;
}

my sub short ($fingerprint) {
    return PVE::Escrow::Records::short($fingerprint);
}

my sub amount ($bytes) {
    my @units = qw(bytes KiB MiB GiB TiB);
    while ($bytes >= 1024 && @units > 1) {
        $bytes /= 1024;
        shift(@units);
    }
    return sprintf(@units == 5 ? '%d %s' : '%.1f %s', $bytes, $units[0]);
}

# the newest of each group is what its next backup has to upload
my sub upload ($storeid, $scfg, $fingerprint) {
    my $listed = PVE::RS::Escrow::remote_snapshots(PVE::Escrow::Storage::server($storeid, $scfg));
    my %newest;
    for my $snapshot ($listed->{snapshots}->@*) {
        my ($group) = $snapshot->{snapshot} =~ m{^(.*)/};
        $newest{$group} = $snapshot if ($snapshot->{key} // '') eq $fingerprint;
    }
    my $bytes = 0;
    $bytes += $_->{size} // 0 for values %newest;
    return scalar(keys %newest) . ' backup groups, ' . amount($bytes);
}

sub warnings ($storeid) {
    my $scfg = PVE::Escrow::Storage::config($storeid);
    my $live = live($storeid)
        // die "storage '$storeid' has no key that could be rotated: 'pveescrow status $storeid'\n";
    PVE::Escrow::Records::check_quorum();
    my $upload = eval { upload($storeid, $scfg, $live) };
    my $record = eval { PVE::Escrow::Records::get($live) };
    my @said = (
        'The next backups upload everything anew, since nothing encrypted with another key can be used again: '
            . ($upload // "how much is not known, as the server did not answer") . '.',
        'The old key ' . short($live) . ' stays, and its snapshots can be restored with it.',
    );
    push @said,
        'The old key is not sealed: it is kept on this cluster only. Seal it first (pveescrow create '
        . "$storeid), or afterwards as a kept key (pveescrow keys)."
        if !$record || !PVE::Escrow::Seal::active($record);
    return @said;
}

sub new_key ($storeid) {
    live($storeid) // die "storage '$storeid' has no key that could be rotated\n";
    PVE::Escrow::Records::check_quorum();
    my $kept = PVE::Escrow::File::in_memory(
        'rotate',
        sub ($file) {
            PVE::Tools::run_command(
                ['proxmox-backup-client', 'key', 'create', '--kdf', 'none', $file],
                outfunc => sub { },
                errmsg => 'cannot make a new key',
            );
            return PVE::Escrow::Keep::import_file($file);
        },
    );
    die "what the client made is no key\n" if !defined($kept->{fingerprint});
    return $kept->{name};
}

sub seal ($name, $options) {
    return PVE::Escrow::Seal::create(PVE::Escrow::Keys::kept_file($name), $options);
}

# whichever the code opens; a second one of the same key may be pending
my sub confirmed ($fingerprint, $keyfile, $code) {
    my $record = PVE::Escrow::Records::get($fingerprint)
        // die "key $fingerprint is not sealed yet: 'pveescrow seal', or begin anew\n";
    my ($pending) = PVE::Escrow::Seal::pending($record);
    return PVE::Escrow::Seal::verify($fingerprint, $code) if !$pending;
    PVE::Escrow::Seal::confirm($fingerprint, $pending->{id}, $code, $keyfile);
    return $pending;
}

# so that the record is known as one of this storage
my sub note_place ($fingerprint, $keyfile, $connection) {
    return if !PVE::Escrow::Records::get($fingerprint);
    PVE::Escrow::Records::change(
        $fingerprint,
        sub ($record) {
            return
                if grep {
                    PVE::Escrow::Storage::same_server($_, $connection)
                    && $_->{datastore} eq $connection->{datastore}
                } $record->{connections}->@*;
            push $record->{connections}->@*, $connection;
            PVE::Escrow::Seal::sign($record, $keyfile);
        },
    );
    return;
}

my sub remember ($storeid, $old) {
    my $rotated = PVE::Escrow::State::get($storeid)->{rotated} // [];
    my @others = grep { $_->{fingerprint} ne $old } @$rotated;
    shift(@others) if @others >= $MAX_ROTATED;
    PVE::Escrow::State::set(
        $storeid,
        { rotated => [@others, { fingerprint => $old, time => time() }] }
    );
    return;
}

sub finish ($storeid, $name, $order) {
    my $scfg = PVE::Escrow::Storage::config($storeid);
    my $file = PVE::Escrow::Keys::kept_file($name);
    my $new = PVE::RS::Escrow::fingerprint({ keyfile => $file })->{fingerprint};
    my $seal = confirmed($new, $file, $order->{code});

    # after a crash between the key file and storage.cfg, only that names the old one
    my $live = live($storeid);
    my $old = ($live // $new) ne $new ? $live : PVE::Escrow::Storage::claimed($scfg);
    my $connection = PVE::Escrow::Storage::connection($scfg);
    note_place($live, PVE::Escrow::Storage::key_file($storeid), $connection) if defined($live);
    note_place($new, $file, $connection);
    my $done = PVE::Escrow::Recover::recover(
        $storeid,
        {
            source => $seal->{blob}, code => $order->{code}, by => $order->{by}, expect => $new,
            displace => $old, fresh => 1,
        },
    );
    my $is_other = defined($old) && $old ne $new;
    if ($is_other) {
        remember($storeid, $old);
        PVE::Escrow::Evidence::add(
            'rotated',
            user => $order->{by},
            storage => $storeid,
            fingerprint => $new,
            text => "in place of $old, which is kept",
        );
    }
    my $rows = eval { PVE::Escrow::Publish::refresh() }
        // [{ result => 'error', text => $@ =~ s/\s+\z//r }];
    my @said = ("storage '$storeid' has the new key " . short($new) . '.');
    push @said,
        'The old key '
        . short($old)
        . ' is kept'
        . (defined($done->{kept}) ? " as $done->{kept}" : '')
        . ". A drill with its words: pveescrow prove $storeid --drill --fingerprint $old"
        if $is_other;
    return { said => \@said, copies => $rows };
}

1;
