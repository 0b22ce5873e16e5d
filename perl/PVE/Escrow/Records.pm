package PVE::Escrow::Records;

use v5.36;

use JSON ();
use POSIX ();

use PVE::Cluster;

use PVE::Escrow::File;

=head1 NAME

PVE::Escrow::Records - what the cluster remembers of each key

=head1 DESCRIPTION

One file a key, F</etc/pve/priv/escrow/FINGERPRINT.json>, named by the 64 hexadecimal digits of the key's fingerprint, and a
second copy in F</var/lib/pve-escrow/records> on the node that wrote it: the cluster's file system is not durable.
Version 1 of a record:

    {
        "version": 1,
        "fingerprint": "03:6b:...",
        "seals": [{
            "id": "6f1c2a90",            tells it from the other seals of this key
            "label": "safe",             who holds the code; may be missing
            "by": "root@pam",            who made it
            "created": "2026-11-21T19:31:17+00:00",
            "blob": "...",               the sealed key file, byte for byte
            "confirmed": "...",          when its code was typed back; without, it is pending
            "last-verified": "...",      when its code last opened it
            "superseded": "...",         when a newer one took its place; its code still opens it
            "dropped": "..."             when it was given up
        }],
        "connections": [...],            where backups made with it are
        "mac": "..."                     by the key itself; see PVE::RS::Escrow
    }

Members that this version does not know stay. Everything read back is checked: it may come from a restored
database, or have been changed.

=head1 FUNCTIONS

=over

=item names()

The names of all records, 64 hexadecimal digits each, after one look at the directory.

=item get($fingerprint)

The record, or C<undef>. Dies if it can't be used and there is no second copy that can.

=item change($fingerprint, $code)

Calls C<$code> with the record, a new one if there is none, under the domain lock C<escrow>, and writes what it was
changed to, in both places. Returns what C<$code> returns. Dies without quorum, and with nothing changed.

=item with_lock($code)

Calls C<$code> under the same lock. Dies without quorum.

=item check_quorum()

Dies without quorum, and says what can be done.

=item drop($fingerprint)

Moves a record out of the way, to F<.../dropped>: its blobs still open.

=item reconcile()

Brings both places in line, in both directions, and deletes nothing: returns a text for each thing done or wrong.

=item differences()

What is wrong, or only in one place, as far as this node sees; changes nothing.

=item name($fingerprint)

A fingerprint as the name of a file.

=item fingerprint($name)

The fingerprint that a file is named by.

=item short($fingerprint)

Its short form, the first 8 bytes, as Proxmox Backup prints it.

=item now()

The time as records have it.

=back

=cut

my $DIRECTORY = '/etc/pve/priv/escrow';
my $COPIES = '/var/lib/pve-escrow/records';

my $VERSION = 1;
my $LATER = qr/version [0-9]+ is later than/;

# what the library takes
my $MAX_BYTES = 65536;
my $LOCK_SECONDS = 30;

my $JSON = JSON->new->canonical->utf8;

sub name ($fingerprint) {
    my $name = lc($fingerprint =~ tr/://dr);
    $name =~ m/^([0-9a-f]{64})$/ or die "'$fingerprint' is not the fingerprint of a key\n";
    return $1;
}

sub fingerprint ($name) {
    return join(':', unpack('(A2)*', $name));
}

sub short ($fingerprint) {
    return substr($fingerprint, 0, 23);
}

sub now () {
    return POSIX::strftime('%Y-%m-%dT%H:%M:%S+00:00', gmtime());
}

sub names () {
    opendir(my $dh, $DIRECTORY) or return;
    my @names = sort map { m/^([0-9a-f]{64})\.json$/ ? $1 : () } readdir($dh);
    return @names;
}

my sub check_seal ($seal) {
    return 'a seal is no object' if ref($seal) ne 'HASH';
    for my $member (qw(id by created blob)) {
        return "a seal has no '$member'" if !defined($seal->{$member}) || ref($seal->{$member});
    }
    return 'the id of a seal has a form that is not ours' if $seal->{id} !~ m/^[0-9a-z]{1,16}$/;
    return;
}

my sub check ($record, $name) {
    return 'not an object' if ref($record) ne 'HASH';
    my $version = $record->{version} // '';
    return 'no version' if $version !~ m/^[0-9]+$/;
    return
        "version $version is later than this program's, $VERSION: upgrade pve-escrow on this node"
        if $version > $VERSION;
    my $claimed = eval { name($record->{fingerprint} // '') } // '';
    return "it claims to be of another key, " . ($claimed || 'an unknown one') if $claimed ne $name;
    return 'no list of seals' if ref($record->{seals}) ne 'ARRAY';
    for my $seal ($record->{seals}->@*) {
        my $why = check_seal($seal);
        return $why if defined($why);
    }
    return;
}

my sub parse ($bytes, $name, $path) {
    my $record = eval { $JSON->decode($bytes) };
    my $why = defined($record) ? check($record, $name) : 'not JSON';
    die "record $path can't be used: $why\n" if defined($why);
    $record->{connections} //= [];
    return $record;
}

my sub read_record ($directory, $name) {
    my $path = "$directory/$name.json";
    my $bytes = PVE::Escrow::File::get($path, $MAX_BYTES);
    return defined($bytes) ? parse($bytes, $name, $path) : undef;
}

sub get ($fingerprint) {
    my $name = name($fingerprint);
    my $record = eval { read_record($DIRECTORY, $name) };
    return $record if $record;
    my $error = $@;
    my $copy = eval { read_record($COPIES, $name) };
    die $error if $error && !$copy;
    return $copy;
}

# A file that can't be used may still hold a blob that can. One of a later version can be used, by a later program.
my sub set_aside ($path, $why) {
    die $why if $why =~ $LATER;
    my $aside = "$path.unusable." . time();
    rename($path, $aside) or die "cannot move $path out of the way: $!\n";
    return $aside;
}

my sub write_record ($name, $record) {
    my $bytes = $JSON->encode($record) . "\n";
    die
        "the record of key $record->{fingerprint} would be too large: drop seals that nobody needs\n"
        if length($bytes) > $MAX_BYTES;

    # the durable one first: the other may vanish at power loss
    PVE::Escrow::File::put("$COPIES/$name.json", $bytes);
    PVE::Escrow::File::put("$DIRECTORY/$name.json", $bytes);
    return;
}

my sub locked ($code) {
    my ($result, $done);
    PVE::Cluster::cfs_lock_domain(
        'escrow',
        $LOCK_SECONDS,
        sub {
            $result = $code->();
            $done = 1;
        },
    );
    die $@ if !$done;
    return $result;
}

sub check_quorum () {
    return if PVE::Cluster::check_cfs_quorum(1);
    die
        "no quorum: nothing below /etc/pve can be changed, and nothing was. Wait for the other nodes; or, if they are"
        . " gone for good, 'pvecm expected 1' (should they still run, both sides change the same files, and one side's changes"
        . " are lost later). To get at a key without changing anything here: 'pveescrow recover --out FILE',"
        . " or pve-escrow-rescue\n";
}

sub change ($fingerprint, $code) {
    my $name = name($fingerprint);
    check_quorum();
    return locked(sub {
        my $present = eval { get($name) };
        for my $directory ($DIRECTORY, $COPIES) {
            eval { read_record($directory, $name); 1 }
                or set_aside("$directory/$name.json", $@);
        }
        my $record = $present // {
            version => $VERSION,
            fingerprint => fingerprint($name),
            seals => [],
            connections => [],
        };
        my $before = $JSON->encode($record);
        my $result = $code->($record);
        write_record($name, $record)
            if $JSON->encode($record) ne $before || !-e "$DIRECTORY/$name.json";
        return $result;
    });
}

sub with_lock ($code) {
    check_quorum();
    return locked($code);
}

sub drop ($fingerprint) {
    my $name = name($fingerprint);
    check_quorum();
    return locked(sub {
        my $record = get($name) or die "there is no record of key $fingerprint\n";
        for my $directory ($COPIES, $DIRECTORY) {
            next if !-e "$directory/$name.json";
            PVE::Escrow::File::make_directory("$directory/dropped");
            rename("$directory/$name.json", "$directory/dropped/$name." . time() . '.json')
                or die "cannot drop $directory/$name.json: $!\n";
        }
        return $record;
    });
}

# of two versions of one seal the one of which more happened
my sub newer ($first, $second) {
    my $latest = sub ($seal) {
        return (sort map { $seal->{$_} // '' }
                qw(created confirmed last-verified superseded dropped))[-1];
    };
    return $latest->($second) gt $latest->($first) ? $second : $first;
}

my sub merge ($first, $second) {
    my (%seals, @order);
    for my $seal ($first->{seals}->@*, $second->{seals}->@*) {
        my $key = "$seal->{id} $seal->{blob}";
        push @order, $key if !$seals{$key};
        $seals{$key} = $seals{$key} ? newer($seals{$key}, $seal) : $seal;
    }
    return { %$second, %$first, seals => [map { $seals{$_} } @order] };
}

my sub copy_names () {
    opendir(my $dh, $COPIES) or return;
    return map { m/^([0-9a-f]{64})\.json$/ ? $1 : () } readdir($dh);
}

# it was dropped on another node, whose second copy is gone; this node's must not bring it back
my sub is_dropped ($name) {
    return !-e "$DIRECTORY/$name.json" && !!glob("$DIRECTORY/dropped/$name.*");
}

my sub reconcile_one ($name) {
    return if is_dropped($name);
    my ($cluster, $copy) = map {
        my $at = $_;
        scalar(eval { read_record($at, $name) }) // { error => $@ }
    } $DIRECTORY, $COPIES;
    my @usable = grep { !defined($_->{error}) } $cluster, $copy;
    my @errors = grep { length } map { $_->{error} // '' } $cluster, $copy;
    return map { s/\s+\z//r } @errors if !@usable || grep { $_ =~ $LATER } @errors;

    my $wanted = @usable == 2 ? merge(@usable) : $usable[0];
    my @places = ([$DIRECTORY, $cluster], [$COPIES, $copy]);
    my @done = map { s/\s+\z//r } @errors;
    for my $place (@places) {
        my ($directory, $present) = @$place;
        next if $JSON->encode($present) eq $JSON->encode($wanted);
        my $path = "$directory/$name.json";
        push @done, 'kept as ' . set_aside($path, $present->{error})
            if length($present->{error} // '');
        PVE::Escrow::File::put($path, $JSON->encode($wanted) . "\n");
        push @done, "wrote $path from the other copy";
    }
    return @done;
}

sub differences () {
    my @texts;
    for my $name (copy_names()) {
        next if is_dropped($name);
        push @texts, "record $name is only in $COPIES: the next look puts it back"
            if !-e "$DIRECTORY/$name.json";
    }
    for my $name (names()) {
        eval { read_record($DIRECTORY, $name); 1 } or push @texts, $@ =~ s/\s+\z//r;
    }
    return @texts;
}

sub reconcile () {
    my %names = map { $_ => 1 } names(), copy_names();
    my @done;
    for my $name (sort keys %names) {
        my $did = eval {
                  PVE::Cluster::check_cfs_quorum(1)
                ? locked(sub { return [reconcile_one($name)] })
                : [];
        };
        push @done, $did ? @$did : "record $name: $@" =~ s/\s+\z//r;
    }
    return @done;
}

1;
