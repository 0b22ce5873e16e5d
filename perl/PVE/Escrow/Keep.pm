package PVE::Escrow::Keep;

use v5.36;

use Digest::SHA ();
use Errno qw(EEXIST EINVAL ENOENT);
use Fcntl qw(O_CREAT O_DIRECTORY O_EXCL O_NOCTTY O_NOFOLLOW O_NONBLOCK O_RDONLY O_WRONLY S_ISREG);
use File::Basename ();
use IO::Handle ();
use JSON::PP ();
use POSIX ();

=head1 NAME

PVE::Escrow::Keep - no key file is ever lost

=head1 DESCRIPTION

Each key file that was ever seen on a node is kept, byte for byte, in F</etc/pve/priv/escrow/kept> and in
F</var/lib/pve-escrow/kept>, as F<SHA-256.enc>; what is known of it stands beside it in F<SHA-256.json>. What lies there is
never overwritten, and only C<forget> removes it.

Core Perl only: this has to work when everything else is broken.

=head1 FUNCTIONS

=over

=item keep_file($path, $why)

Keeps a file, whatever is in it. Returns its C<name> and the C<places> of its copies. One place is enough, with a warning;
C<look> makes up for the other. Dies if it could be kept nowhere.

=item keep_storage($storeid, $why, $directory)

Keeps the key file of a storage and its predecessor, those that are there. Returns path => name.

=item look()

Keeps all key files below F</etc/pve/priv/storage>, and returns what has happened to them since the last look: a list of
C<type> (C<new>, C<changed>, C<gone>), C<file>, C<storage>, C<name> and C<was>. Makes up for copies and fingerprints that
are missing.

=item kept()

A list of what is kept: C<name>, C<places>, C<from>, C<storage>, C<time>, C<why>, and C<fingerprint>, if it was computed from
the key itself.

=item import_file($path)

Keeps any key file. Returns C<name>, C<places> and C<fingerprint>.

=item forget($name)

Removes what is kept under this name from the cluster and from this node. Other nodes keep their own copies until it is
called there, and don't bring it back. Refuses what is in use.

=item write_atomically($path, $content)

Replaces a file of ours, or dies and leaves it as it was.

=item text_of($bytes), read_small($path)

What C<eval> of JSON gives, or C<undef>; the content of a regular file of at most 1 MiB, or dies.

=back

=cut

my $LIVE = '/etc/pve/priv/storage';
my $CLUSTER = '/etc/pve/priv/escrow';
my $LOCAL = '/var/lib/pve-escrow';
my @PLACES = ("$CLUSTER/kept", "$LOCAL/kept");
my $FORGOTTEN = "$CLUSTER/forgotten";
my $SEEN = "$LOCAL/seen.json";

my $MAX_BYTES = 1024 * 1024;
my $MAX_BESIDE = 99;
my $STALE_SECONDS = 24 * 60 * 60;

my $NAME = qr/[0-9a-f]{64}/;

my sub now () {
    return POSIX::strftime('%Y-%m-%dT%H:%M:%S+00:00', gmtime());
}

my sub is_there ($path) {
    return defined(lstat($path));
}

my sub names_in ($dir) {
    opendir(my $dh, $dir) or do {
        return if $! == ENOENT;
        die "cannot read $dir: $!\n";
    };
    my @names = sort map { m/^(.*)$/s } readdir($dh);
    closedir($dh);
    return @names;
}

# It might be a FIFO, and it might grow.
my sub read_bounded ($path, $flags = 0) {
    sysopen(my $fh, $path, O_RDONLY | O_NONBLOCK | O_NOCTTY | $flags)
        or die "cannot read $path: $!\n";
    my @stat = stat($fh) or die "cannot read $path: $!\n";
    die "cannot read $path: not a regular file\n" if !S_ISREG($stat[2]);
    my $bytes = '';
    while (length($bytes) <= $MAX_BYTES) {
        my $read = sysread($fh, $bytes, $MAX_BYTES + 1 - length($bytes), length($bytes));
        die "cannot read $path: $!\n" if !defined($read);
        return $bytes if !$read;
    }
    die "cannot read $path: more than 1 MiB, so no key file\n";
}

sub read_small ($path) {
    return read_bounded($path, O_NOFOLLOW);
}

my sub make_directory ($dir) {
    return if -d $dir;
    my $parent = File::Basename::dirname($dir);
    __SUB__->($parent);
    mkdir($dir, oct(700)) or $! == EEXIST or die "cannot make $dir: $!\n";
    return;
}

my sub sync_directory ($dir) {
    sysopen(my $dh, $dir, O_RDONLY | O_DIRECTORY) or die "cannot open $dir: $!\n";
    $dh->sync() or $! == EINVAL or die "cannot sync $dir: $!\n";
    return;
}

# Its name says whose bytes it holds: what was killed here is found by the next look.
my sub write_temporary ($path, $bytes) {
    my $temporary = sprintf('%s.%d-%08x.tmp', $path, $$, int(rand(2**32)));
    sysopen(my $fh, $temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, oct(600))
        or die "cannot write $temporary: $!\n";
    my $done = eval {
        my $written = 0;
        while ($written < length($bytes)) {
            $written += syswrite($fh, $bytes, length($bytes) - $written, $written)
                // die "cannot write $temporary: $!\n";
        }
        $fh->sync() or die "cannot sync $temporary: $!\n";
        close($fh) or die "cannot write $temporary: $!\n";
        1;
    };
    return $temporary if $done;
    my $err = $@;
    unlink($temporary);
    die $err;
}

sub write_atomically ($path, $content) {
    my $dir = File::Basename::dirname($path);
    make_directory($dir);
    my $temporary = write_temporary($path, $content);
    if (!rename($temporary, $path)) {
        my $err = "cannot write $path: $!\n";
        unlink($temporary);
        die $err;
    }
    sync_directory($dir);
    return;
}

# Takes the name if nobody has it. pmxcfs has no links: there, whoever else does this writes the same bytes.
my sub take_name ($temporary, $path) {
    return 1 if link($temporary, $path) && (unlink($temporary) || 1);
    my $err = $!;
    return 0 if is_there($path);
    rename($temporary, $path) or die "cannot write $path: $err, $!\n";
    return 1;
}

my sub write_new ($path, $bytes) {
    my $temporary = write_temporary($path, $bytes);
    my $taken = eval { take_name($temporary, $path) };
    my $err = $@;
    unlink($temporary) if !$taken;
    die $err if !defined($taken);
    return;
}

my sub holds ($path, $name) {
    my $bytes = eval { read_bounded($path, O_NOFOLLOW) };
    return defined($bytes) && Digest::SHA::sha256_hex($bytes) eq $name;
}

my sub candidates ($place, $name) {
    return ("$place/$name.enc", map { "$place/$name.$_.enc" } 1 .. $MAX_BESIDE);
}

# the copy in a place, if there is a good one
my sub copy_in ($place, $name) {
    for my $path (candidates($place, $name)) {
        return $path if holds($path, $name);
        last if !is_there($path);
    }
    return;
}

my sub store ($place, $name, $bytes) {
    make_directory($place);
    for my $path (candidates($place, $name)) {
        write_new($path, $bytes) if !is_there($path);
        if (holds($path, $name)) {
            sync_directory($place);
            return $path;
        }
        warn "$path does not hold what its name says: it stays as it is, and another copy goes beside it\n";
    }
    die "cannot keep $name in $place: too many damaged copies\n";
}

sub text_of ($bytes) {
    my $data = eval { JSON::PP::decode_json($bytes) };
    return ref($data) eq 'HASH' ? $data : undef;
}

my sub encode ($data) {
    return JSON::PP->new->canonical->utf8->pretty->encode($data);
}

my sub info ($name) {
    my @read = grep { defined } map { eval { text_of(read_small("$_/$name.json")) } } @PLACES;
    my ($best) = sort { defined($b->{fingerprint}) <=> defined($a->{fingerprint}) } @read;
    return $best;
}

# what is known of a key is worth less than the key: this never fails
my sub describe ($place, $name, $info, $replace = 0) {
    my $path = "$place/$name.json";
    return if !$replace && is_there($path);
    eval { write_atomically($path, encode($info)); 1 } or warn "$@";
    return;
}

my sub storage_of ($path) {
    return $path =~ m{^\Q$LIVE\E/([^/]+?)\.enc(?:\.old)?$} ? $1 : undef;
}

# Kept again, it is to come back everywhere.
my sub remember_again ($name) {
    unlink("$FORGOTTEN/$name") if is_there("$FORGOTTEN/$name");
    return;
}

my sub keep_bytes ($bytes, $info) {
    my $name = Digest::SHA::sha256_hex($bytes);
    my (@paths, @errors);
    for my $place (@PLACES) {
        my $path = eval { store($place, $name, $bytes) };
        if (!defined($path)) {
            push @errors, $@ =~ s/\s+\z//r;
            next;
        }
        push @paths, $path;
        describe($place, $name, $info);
    }
    die "$info->{from} could not be kept, neither in the cluster nor on this node: "
        . join('; ', @errors) . "\n"
        if !@paths;
    warn "$info->{from} is kept as $paths[0] only: $_\n" for @errors;
    remember_again($name);
    return { name => $name, places => \@paths };
}

my sub origin ($path, $why) {
    my $info = { from => $path, time => now(), why => $why };
    my $storeid = storage_of($path);
    $info->{storage} = $storeid if defined($storeid);
    return $info;
}

sub keep_file ($path, $why) {
    return keep_bytes(read_bounded($path), origin($path, $why));
}

sub keep_storage ($storeid, $why, $directory = $LIVE) {
    my %kept;
    for my $path (map { "$directory/$storeid.$_" } qw(enc enc.old)) {
        # where a link leads to nothing, there is nothing to keep
        next if !-e $path;
        $kept{$path} = keep_file($path, $why)->{name};
    }
    return \%kept;
}

my sub live_files () {
    die "$LIVE cannot be seen: is pve-cluster running?\n" if !-d File::Basename::dirname($LIVE);
    return map { "$LIVE/$_" } grep { m/\.enc(?:\.old)?$/ } names_in($LIVE);
}

my sub kept_names ($place) {
    my %names = map { m/^($NAME)(?:\.[0-9]+)?\.enc$/ ? ($1 => 1) : () } names_in($place);
    return keys %names;
}

my sub all_names () {
    my %names = map { $_ => 1 } map { kept_names($_) } @PLACES;
    return sort keys %names;
}

# The library may be missing: then the next look does it.
my sub compute_fingerprint ($path) {
    my $key = eval {
        require PVE::RS::Escrow;
        PVE::RS::Escrow::fingerprint({ keyfile => $path });
    };
    return $key && $key->{verified} ? $key->{fingerprint} : undef;
}

my sub add_fingerprint ($name, $path, $info) {
    my $fingerprint = compute_fingerprint($path) // return;
    $info->{fingerprint} = $fingerprint;
    for my $place (grep { defined(copy_in($_, $name)) } @PLACES) {
        describe($place, $name, $info, 1);
    }
    return;
}

my sub repair ($name) {
    my ($good) = grep { defined } map { copy_in($_, $name) } @PLACES;
    if (!defined($good)) {
        warn "no copy of $name holds what its name says: each stays as it is\n";
        return;
    }
    my $info = info($name) // { from => $good, time => now(), why => 'found' };
    for my $place (@PLACES) {
        next if $place eq $PLACES[0] && is_there("$FORGOTTEN/$name");
        store($place, $name, read_small($good)) if !defined(copy_in($place, $name));
        describe($place, $name, $info);
    }
    add_fingerprint($name, $good, $info) if !defined($info->{fingerprint});
    return;
}

# what was killed while it was being written: whole, it is taken in; in part, it is of no use to anybody
my sub sweep ($place) {
    for my $temporary (grep { m/\.tmp$/ } names_in($place)) {
        my $path = "$place/$temporary";
        my ($name) = $temporary =~ m/^($NAME)(?:\.[0-9]+)?\.enc\./;
        my $whole = defined($name) && holds($path, $name);
        store($place, $name, read_small($path)) if $whole && !defined(copy_in($place, $name));
        my $age = time() - ((lstat($path))[9] // next);
        unlink($path) if $age > ($whole ? 60 : $STALE_SECONDS);
    }
    return;
}

my sub quietly ($code, @arguments) {
    eval { $code->(@arguments); 1 } or warn "$@";
    return;
}

my sub event ($type, $file, %more) {
    return { type => $type, file => $file, storage => storage_of($file), %more };
}

my sub compare ($seen, $present) {
    my @events;
    for my $file (sort keys %$present) {
        my ($name, $was) = ($present->{$file}, $seen->{$file});
        push @events, event('new', $file, name => $name) if !defined($was);
        push @events, event('changed', $file, name => $name, was => $was)
            if defined($was) && $name ne $was;
    }
    for my $file (grep { !exists($present->{$_}) } sort keys %$seen) {
        push @events, event('gone', $file, was => $seen->{$file});
    }
    return @events;
}

# What can't be kept now counts as unchanged, and is tried again.
my sub keep_live ($seen) {
    my %present;
    for my $file (live_files()) {
        my $kept = eval { keep_file($file, 'seen') };
        my $err = $@;
        if ($kept) {
            $present{$file} = $kept->{name};
        } elsif (is_there($file)) {
            warn "$err";
            $present{$file} = $seen->{$file} if defined($seen->{$file});
        }
    }
    return \%present;
}

sub look () {
    my $seen = eval { text_of(read_small($SEEN)) } // {};
    my $present = keep_live($seen);
    my @events = compare($seen, $present);
    # before the events are told: killed in between, they are told twice
    quietly(\&sweep, $_) for @PLACES;
    quietly(\&repair, $_) for all_names();
    quietly(\&write_atomically, $SEEN, encode($present)) if @events || !is_there($SEEN);
    return @events;
}

sub kept () {
    my @rows;
    for my $name (all_names()) {
        my @copies = grep { defined } map { copy_in($_, $name) } @PLACES;
        next if !@copies;
        my $info = info($name) // {};
        my %row = map { defined($info->{$_}) ? ($_ => "$info->{$_}") : () }
            qw(fingerprint from storage time why);
        $row{fingerprint} //= compute_fingerprint($copies[0]) if $INC{'PVE/RS/Escrow.pm'};
        push @rows, { fingerprint => undef, %row, name => $name, places => \@copies };
    }
    return @rows;
}

sub import_file ($path) {
    my $kept = keep_file($path, 'imported');
    my $name = $kept->{name};
    my $info = info($name) // origin($path, 'imported');
    add_fingerprint($name, $kept->{places}->[0], $info) if !defined($info->{fingerprint});
    return { %$kept, fingerprint => $info->{fingerprint} };
}

my sub refuse_if_live ($name) {
    for my $file (live_files()) {
        my $bytes = eval { read_bounded($file) };
        die "$name is that of $file, which is in use: it stays\n"
            if defined($bytes) && Digest::SHA::sha256_hex($bytes) eq $name;
    }
    return;
}

my sub remove ($path) {
    unlink($path) or $! == ENOENT or die "cannot remove $path: $!\n";
    return;
}

sub forget ($name) {
    my ($clean) = $name =~ m/^($NAME)\z/
        or die "to forget a key, give all 64 digits of its name: 'pveescrow keys' lists them\n";
    refuse_if_live($clean);
    die "nothing is kept under the name $clean: 'pveescrow keys' lists what is\n"
        if !grep { $_ eq $clean } all_names();
    # first, or other nodes would bring it back
    write_atomically("$FORGOTTEN/$clean", now() . "\n");
    for my $place (@PLACES) {
        remove($_) for grep { is_there($_) } candidates($place, $clean);
        remove("$place/$clean.json");
        remove("$place/$_") for grep { m/^\Q$clean\E\..*\.tmp$/ } names_in($place);
        sync_directory($place) if -d $place;
    }
    return;
}

1;
