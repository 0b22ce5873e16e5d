package PVE::Escrow::Keep;

use v5.36;

use Digest::SHA ();
use Errno qw(EEXIST ENOENT ENOTDIR);
use Fcntl qw(
    LOCK_EX LOCK_NB O_CREAT O_DIRECTORY O_EXCL O_NOFOLLOW O_NONBLOCK O_RDONLY O_WRONLY S_ISREG
);
use IO::Handle ();
use POSIX ();
use Time::HiRes ();

use PVE::Escrow::Tell;

=head1 NAME

PVE::Escrow::Keep - keep every key file that was ever seen on a node

=head1 SYNOPSIS

    my $kept = PVE::Escrow::Keep::keep_file('/etc/pve/priv/storage/vault.enc', 'before it is removed');
    say "$kept->{name}, in $_" for $kept->{places}->@*;

    PVE::Escrow::Keep::look();

=head1 DESCRIPTION

A key file is kept byte for byte in two places, F</etc/pve/priv/escrow/kept>, which all nodes have, and
F</var/lib/pve-escrow/kept>, which outlives the cluster's file system. It is named by the SHA-256 of its bytes, and is
never overwritten, whatever it holds. Beside it, F<NAME.json> says where it came from. This module needs nothing but Perl
itself: it works without quorum, without our library and without the modules of Proxmox VE. It copies, and hands out
paths; the bytes of a key never leave it.

One of the two places is enough to go on, and the next look repairs the other. With neither, C<keep_file> dies.

=head1 FUNCTIONS

=over

=item keep_file($path, $why, $from)

Returns the C<name> and the C<places>, paths of the copies. Takes regular files of at most 1 MiB; a link is followed.
C<$from> is where it comes from, if C<$path> is a copy that will be gone.
Dies if there is no such file, or if neither place has it now.

=item look()

Keeps all F<*.enc> and F<*.enc.old> of storages, orphaned ones too; repairs copies that are in one place only; finds out
which keys those are, where the library can be loaded; compares with what the last look saw, and tells what happened.
Returns the events: see L<PVE::Escrow::Tell>. Each of them is told at least once, also when a look is killed.

=item mirror()

The first part of that: keeps and repairs, tells nothing, and needs nothing but this module.

=item noticed($path, $name)

Notes that what happened to a key file was told already: C<$name> is what it holds now, C<undef> if it is gone. The next
look is silent about it then.

=item kept()

All kept files: C<name>, C<places>, C<from>, C<storage>, C<node>, C<why>, C<time>, C<fingerprint> if it was computed from
the key, and whether it was (C<verified>). A place with other bytes than the name says does not count.

=item identify_all()

Computes the fingerprints of kept keys of which nobody has yet, where the library can be loaded. Each look does, too.

=item import_file($path, $from)

Keeps a key file from anywhere, and computes its C<fingerprint> if possible. Returns what C<keep_file> does, and that.

=item forget($name)

Destroys a kept file, named in full, on this node now and on the others at their next look. Refuses while a storage has it.

=item live_files($name)

Paths of the key files of storages that hold exactly these bytes.

=back

=cut

my $STORAGE = '/etc/pve/priv/storage';
my $CLUSTER = '/etc/pve/priv/escrow/kept';
my $LOCAL = '/var/lib/pve-escrow/kept';
my $PLACES = [$LOCAL, $CLUSTER];
my $FORGOTTEN = '/etc/pve/priv/escrow/forgotten';

my $SEEN = '/var/lib/pve-escrow/seen.json';
my $LOCK = '/var/lib/pve-escrow/look.lock';

my $MAX_BYTES = 1024 * 1024;
my $LOCK_SECONDS = 30;
my $STALE_SECONDS = 3600;

my $NAME = qr/[0-9a-f]{64}/;

# What goes wrong with a file is a reason, and can be weighed. Anything else that dies in here, a timeout of our
# caller's for one, is not ours and goes on.
my sub fail ($text) {
    die { reason => $text };
}

my sub attempt ($code) {
    local $@;
    my $result;
    return ($result, undef) if eval { $result = $code->(); 1 };
    my $err = $@;
    return (undef, $err->{reason}) if ref($err) eq 'HASH' && defined($err->{reason});
    die $err;
}

my sub json () {
    require JSON::PP;
    return JSON::PP->new->canonical->utf8;
}

my sub read_bounded ($path, $flags = 0) {
    sysopen(my $fh, $path, O_RDONLY | O_NONBLOCK | $flags) or fail("cannot open $path: $!");
    fail("$path is not a regular file") if !S_ISREG((stat($fh))[2]);
    my $bytes = '';
    while (1) {
        my $read = sysread($fh, $bytes, 65536, length($bytes)) // fail("cannot read $path: $!");
        last if !$read;
        fail("$path is larger than 1 MiB") if length($bytes) > $MAX_BYTES;
    }
    return $bytes;
}

# what comes out of a file is tainted, and so is its hash
my sub is_there ($path) {
    return lstat($path) ? 1 : 0;
}

my sub name_of ($bytes) {
    my ($name) = Digest::SHA::sha256_hex($bytes) =~ m/^($NAME)$/;
    return $name;
}

my sub holds ($path, $name, $flags = O_NOFOLLOW) {
    my ($bytes) = attempt(sub { return read_bounded($path, $flags) });
    return defined($bytes) && name_of($bytes) eq $name;
}

my sub sync_directory ($directory) {
    sysopen(my $dh, $directory, O_RDONLY | O_DIRECTORY) or fail("cannot open $directory: $!");
    $dh->sync or fail("cannot sync $directory: $!");
    return;
}

# Without /etc/pve/priv the cluster's file system is not mounted, and what would be written there keeps it from it.
my sub make_directory ($directory) {
    my ($base, $rest) = $directory =~ m{^(/etc/pve/priv|/var/lib)/(.*)$};
    fail("$base is not there") if !-d $base;
    for my $part (split(m{/}, $rest)) {
        my $parent = $base;
        $base .= "/$part";
        next if -d $base;
        mkdir($base, oct(700)) or $! == EEXIST or fail("cannot make $base: $!");
        sync_directory($parent);
    }
    return;
}

my sub write_temporary ($path, $bytes) {
    my ($directory, $file) = $path =~ m{^(.*)/([^/]+)$};
    make_directory($directory);
    my $temporary = sprintf('%s/.%s.%d.%06x.tmp', $directory, $file, $$, int(rand(2**24)));
    my (undef, $reason) = attempt(sub {
        sysopen(my $fh, $temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, oct(600))
            or fail("cannot create a file in $directory: $!");
        my $done = 0;
        while ($done < length($bytes)) {
            $done += syswrite($fh, $bytes, length($bytes) - $done, $done)
                // fail("cannot write to $directory: $!");
        }
        $fh->sync or fail("cannot write to $directory: $!");
        close($fh) or fail("cannot write to $directory: $!");
    });
    return $temporary if !defined($reason);
    unlink($temporary);
    return fail($reason);
}

# Where links can be made, a link is what never replaces. pmxcfs has none, and no RENAME_NOREPLACE either: there nothing is
# at that name but what another process puts there meanwhile, and that holds the same bytes as ours.
my sub place ($temporary, $path) {
    my $linked = link($temporary, $path);
    my $exists = !$linked && $! == EEXIST;
    return if !$linked && !$exists && !is_there($path) && rename($temporary, $path);
    my $why = $!;
    unlink($temporary);
    return if $linked || $exists;
    return fail("cannot create $path: $why");
}

my sub create ($path, $bytes) {
    place(write_temporary($path, $bytes), $path);
    sync_directory($path =~ s{/[^/]+$}{}r);
    return;
}

my sub replace ($path, $bytes) {
    my $temporary = write_temporary($path, $bytes);
    if (!rename($temporary, $path)) {
        my $why = $!;
        unlink($temporary);
        fail("cannot write $path: $why");
    }
    sync_directory($path =~ s{/[^/]+$}{}r);
    return;
}

# NAME.enc, or beside it if something else has that name. What is there is whole from the first moment.
my sub find_copy ($directory, $name) {
    for my $try ('', map { "-$_" } 1 .. 99) {
        my $path = "$directory/$name$try.enc";
        return (undef, $path) if !is_there($path);
        return ($path, undef) if holds($path, $name);
    }
    return fail("$directory has a hundred damaged copies of $name");
}

my sub put ($directory, $name, $bytes) {
    my ($path, $free) = find_copy($directory, $name);
    return $path if defined($path);
    PVE::Escrow::Tell::note(
        "$directory/$name.enc holds other bytes than its name says. It stays, and the copy goes"
            . " beside it: $free. Is a disk failing? Next: pveescrow doctor")
        if $free ne "$directory/$name.enc";
    create($free, $bytes);
    holds($free, $name) or fail("$free does not hold what was written to it");
    return $free;
}

my sub timestamp () {
    return POSIX::strftime('%Y-%m-%dT%H:%M:%S+00:00', gmtime());
}

my sub node () {
    return (POSIX::uname())[1] =~ s/\..*//sr;
}

my sub read_about ($directory, $name) {
    my ($bytes) = attempt(sub { return read_bounded("$directory/$name.json", O_NOFOLLOW) });
    return if !defined($bytes);
    local $@;
    my $about = eval { json()->decode($bytes) };
    return ref($about) eq 'HASH' && ($about->{name} // '') eq $name ? $about : undef;
}

# The first origin stays. Without it a key is kept all the same.
my sub describe ($directory, $name, $about) {
    return if is_there("$directory/$name.json");
    my (undef, $reason) =
        attempt(sub { create("$directory/$name.json", json()->encode($about) . "\n") });
    PVE::Escrow::Tell::note("$directory/$name.enc is kept, but not where from: $reason")
        if defined($reason);
    return;
}

# A key that is seen again is wanted again; its time tells that from a copy which another node has forgotten since.
my sub remember_again ($name, $places) {
    unlink("$FORGOTTEN/$name");
    utime(undef, undef, grep { m/^\Q$LOCAL\E/ } @$places);
    return;
}

my sub keep_bytes ($bytes, $about) {
    my $name = $about->{name} = name_of($bytes);
    my (@places, @reasons);
    for my $directory (@$PLACES) {
        my ($path, $reason) = attempt(sub { return put($directory, $name, $bytes) });
        push @places, $path if defined($path);
        push @reasons, $reason if defined($reason);
    }
    fail("cannot keep $about->{from}: " . join('; ', @reasons)) if !@places;
    PVE::Escrow::Tell::note(
        "$about->{from} is kept in one place only: $reasons[0]. The next look tries again")
        if @reasons;
    remember_again($name, \@places);
    describe(s{/[^/]+$}{}r, $name, $about) for @places;
    return { name => $name, places => \@places };
}

my sub storage_of ($path) {
    return $path =~ m{^\Q$STORAGE\E/([^/]+)\.enc(?:\.old)?\z} ? $1 : undef;
}

my sub origin ($path, $why) {
    my $storage = storage_of($path);
    return {
        version => 1,
        from => $path,
        node => node(),
        time => timestamp(),
        why => $why,
        fingerprint => 'unverified',
        defined($storage) ? (storage => $storage) : (),
    };
}

my sub keep ($path, $why, $from = $path) {
    return keep_bytes(read_bounded($path), origin($from, $why));
}

sub keep_file ($path, $why, $from = $path) {
    my ($kept, $reason) = attempt(sub { return keep($path, $why, $from) });
    return $kept if $kept;
    die
        "$reason. Nothing was changed. Next: see to it that there is space (df /etc/pve /var/lib), and that the key file can"
        . " be read; then do it again\n";
}

# undef if there is none, or if it can't be read
my sub entries ($directory) {
    opendir(my $dh, $directory) or return;
    my @names = sort map { m{^([^/]+)$}s } grep { !m/^\.\.?$/ } readdir($dh);
    return \@names;
}

my sub key_files () {
    return map { "$STORAGE/$_" } grep { m/\.enc(?:\.old)?\z/ } (entries($STORAGE) // [])->@*;
}

sub live_files ($name) {
    return grep { holds($_, $name, 0) } key_files();
}

my sub kept_names () {
    my %names =
        map { m/^($NAME)(?:-[0-9]+)?\.enc\z/ ? ($1 => 1) : () }
        map { (entries($_) // [])->@* } @$PLACES;
    my @names = sort keys %names;
    return @names;
}

my sub copies ($name) {
    return grep { defined } map {
        my $directory = $_;
        my ($found) = attempt(sub { return [find_copy($directory, $name)] });
        $found ? $found->[0] : undef;
    } @$PLACES;
}

my sub about ($name) {
    return (grep { defined } map { read_about($_, $name) } @$PLACES)[0] // {};
}

my sub is_fingerprint ($text) {
    return defined($text) && $text =~ m/^[0-9a-f]{2}(?::[0-9a-f]{2}){31}\z/;
}

sub kept () {
    my @kept;
    for my $name (kept_names()) {
        my @places = copies($name) or next;
        my $about = about($name);
        my $verified = is_fingerprint($about->{fingerprint});
        push @kept, {
            name => $name,
            places => \@places,
            verified => $verified ? 1 : 0,
            fingerprint => $verified ? $about->{fingerprint} : undef,
            map { $_ => $about->{$_} } qw(from node storage time why),
        };
    }
    return @kept;
}

# Only where the library can be loaded: what is not known is found out by a later look.
my sub compute ($path) {
    local $@;
    my $key = eval {
        require PVE::RS::Escrow;
        PVE::RS::Escrow::fingerprint({ keyfile => $path });
    };
    return $key && $key->{verified} ? $key->{fingerprint} : undef;
}

my sub identify ($name) {
    my $about = about($name);
    return $about->{fingerprint} if is_fingerprint($about->{fingerprint});
    my ($path) = copies($name) or return;
    my $fingerprint = compute($path) // return;
    for my $directory (@$PLACES) {
        my $present = read_about($directory, $name) or next;
        $present->{fingerprint} = $fingerprint;
        attempt(sub { replace("$directory/$name.json", json()->encode($present) . "\n") });
    }
    return $fingerprint;
}

sub identify_all () {
    identify($_) for kept_names();
    return;
}

my sub write_down ($event, $key, $text = undef) {
    require PVE::Escrow::Evidence;
    PVE::Escrow::Evidence::add(
        $event,
        kept => $key->{name},
        storage => $key->{storage},
        fingerprint => is_fingerprint($key->{fingerprint}) ? $key->{fingerprint} : undef,
        text => $text,
    );
    return;
}

sub import_file ($path, $from = $path) {
    my $kept = keep_file($path, 'it was imported', $from);
    $kept->{fingerprint} = identify($kept->{name});
    write_down('key-imported', $kept, "from $from");
    return $kept;
}

my sub remove_all ($directory, $name) {
    for my $file (grep { m/^$name(?:-[0-9]+)?\.(?:enc|json)\z/ } (entries($directory) // [])->@*) {
        unlink("$directory/$file") or fail("cannot remove $directory/$file: $!");
    }
    return;
}

# Another node has forgotten it, after it was last seen here.
my sub is_forgotten ($name) {
    my $forgotten = (stat("$FORGOTTEN/$name"))[9] // return 0;
    my $seen = (stat("$LOCAL/$name.enc"))[9] // 0;
    return $seen < $forgotten;
}

my sub repair_about ($name) {
    my $about = about($name);
    return if !defined($about->{name});
    describe($_, $name, $about) for @$PLACES;
    return;
}

my sub repair ($name) {
    return attempt(sub { remove_all($LOCAL, $name) }) if is_forgotten($name);
    my @copies = copies($name);
    return if !@copies;
    if (@copies < @$PLACES) {
        my (undef, $reason) = attempt(sub {
            my $bytes = read_bounded($copies[0], O_NOFOLLOW);
            put($_, $name, $bytes) for @$PLACES;
        });
        PVE::Escrow::Tell::note("$copies[0] is the only copy: $reason") if defined($reason);
    }
    repair_about($name);
    return;
}

# Left behind by a process that was killed. What is in them is also where that process had it from.
my sub tidy () {
    for my $directory (@$PLACES, $SEEN =~ s{/[^/]+$}{}r) {
        for my $file (grep { m/^\..*\.tmp\z/ } (entries($directory) // [])->@*) {
            my $modified = (lstat("$directory/$file"))[9] // next;
            unlink("$directory/$file") if $modified < time() - $STALE_SECONDS;
        }
    }
    return;
}

# undef if nobody could hold one; 0 if another process does
my sub lock_looks () {
    attempt(sub { make_directory($LOCK =~ s{/[^/]+$}{}r); });
    sysopen(my $lock, $LOCK, O_WRONLY | O_CREAT | O_NOFOLLOW, oct(600)) or return;
    for (1 .. $LOCK_SECONDS * 20) {
        return $lock if flock($lock, LOCK_EX | LOCK_NB);
        Time::HiRes::usleep(50_000);
    }
    return 0;
}

# file => { name => of what it held, why => it could not be kept }; undef if there was no look yet
my sub read_seen () {
    my ($bytes) = attempt(sub { return read_bounded($SEEN, O_NOFOLLOW) });
    return if !defined($bytes);
    local $@;
    my $seen = eval { json()->decode($bytes) };
    return ref($seen) eq 'HASH' && ref($seen->{files}) eq 'HASH' ? $seen->{files} : undef;
}

my sub write_seen ($files) {
    my $bytes = json()->encode({ version => 1, files => $files }) . "\n";
    my (undef, $reason) = attempt(sub { replace($SEEN, $bytes) });
    return $reason;
}

my sub file_of ($path) {
    return $path =~ s{^.*/}{}r;
}

sub noticed ($path, $name) {
    my $lock = lock_looks() or return;
    my $seen = read_seen() or return;
    my $file = file_of($path);
    if (defined($name)) {
        $seen->{$file} = { name => $name };
    } else {
        delete $seen->{$file};
    }
    write_seen($seen);
    return;
}

my sub event ($type, $path, %more) {
    return { type => $type, file => file_of($path), storage => storage_of($path), %more };
}

# what is there now, as read_seen has it
my sub keep_all ($seen) {
    my $now = {};
    for my $path (key_files()) {
        my ($kept, $reason) = attempt(sub { return keep($path, 'it was seen') });
        next if !$kept && !is_there($path);
        my $file = file_of($path);
        $now->{$file} =
            $kept ? { name => $kept->{name} } : { name => $seen->{$file}->{name}, why => $reason };
    }
    return $now;
}

my sub compare_one ($path, $was, $is) {
    my %was = defined($was->{name}) ? (was => $was->{name}) : ();
    if (!$is) {
        return if !defined($was->{name});
        return event('gone', $path, %was, lost => copies($was->{name}) ? 0 : 1);
    }
    if (defined($is->{why})) {
        return if ($was->{why} // '') eq $is->{why};
        return event('unkept', $path, why => $is->{why}, %was);
    }
    return event('new', $path, name => $is->{name}) if !defined($was->{name});
    return if $was->{name} eq $is->{name};
    return event('changed', $path, name => $is->{name}, %was);
}

my sub compare ($seen, $now) {
    my %files = map { $_ => 1 } keys %$seen, keys %$now;
    return map { compare_one("$STORAGE/$_", $seen->{$_} // {}, $now->{$_}) } sort keys %files;
}

sub mirror () {
    tidy();
    my $seen = read_seen() // {};
    my $now = keep_all($seen);
    repair($_) for kept_names();
    return ($seen, $now);
}

# Silent, if another look tells; and without /etc/pve/priv the cluster's file system is away, not the keys.
sub look () {
    my $lock = lock_looks();
    my ($seen, $now) = mirror();
    my $silent = defined($lock) && !$lock || !-d '/etc/pve/priv';
    my @events = $silent ? () : compare($seen, $now);
    PVE::Escrow::Tell::tell(@events) if @events;
    if (!$silent) {
        my $reason = write_seen($now);
        PVE::Escrow::Tell::note("what was seen can't be noted down, and is told again: $reason")
            if defined($reason) && @events;
    }
    identify_all();
    return @events;
}

my sub check_name ($named) {
    my ($name) = $named =~ m/^($NAME)\z/;
    return $name // die
        "the full name of a kept key has 64 hexadecimal digits: 'pveescrow keys' lists them\n";
}

sub forget ($named) {
    my $name = check_name($named);
    my $lock = lock_looks()
        or die "another look at the keys is under way: do it again in a minute\n";
    die "there is no kept key $name: 'pveescrow keys' lists them\n"
        if !grep { $_ eq $name } kept_names();
    my @live = live_files($name);
    die "$name is what storage '"
        . storage_of($live[0])
        . "' has in $live[0]: it is in use, and stays. Next: pveescrow"
        . " keys\n"
        if @live;
    my $about = about($name);
    my (undef, $reason) = attempt(sub {
        my $bytes =
            json()->encode({ name => $name, node => node(), time => timestamp() }) . "\n";
        replace("$FORGOTTEN/$name", $bytes);
        remove_all($_, $name) for $CLUSTER, $LOCAL;
    });
    die "$name is not forgotten everywhere: $reason. Next: pvecm status; then do it again\n"
        if defined($reason);
    write_down('key-forgotten', { %$about, name => $name });
    return;
}

1;
