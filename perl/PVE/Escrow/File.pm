package PVE::Escrow::File;

use v5.36;

use Errno qw(EEXIST ENOENT);
use Fcntl qw(O_CREAT O_EXCL O_NOFOLLOW O_NONBLOCK O_RDONLY O_WRONLY S_ISREG);
use File::Basename ();
use IO::Handle ();

=head1 NAME

PVE::Escrow::File - small files of ours, read with suspicion and written whole

=head1 FUNCTIONS

=over

=item get($path, $max)

The bytes of a regular file, C<undef> if there is none. Dies of links, of anything else that is no regular file, and of
more than C<$max> bytes.

=item put($path, $bytes)

Writes a file that is old or new whatever happens, private from the first byte, and on the disk when this returns. Makes
its directory.

=item run_directory()

F</run/pve-escrow>, made if it is not there. Others may read what is meant for them in it, by its name.

=item in_memory($name, $use)

Calls C<$use> with the path of a file that it may make, in memory, where nobody but root can read it; gone again whatever
happens. Returns what C<$use> does.

=item make_directory($directory)

Makes a private directory, and the one above it.

=item sync_directory($directory)

Brings the names in a directory to the disk.

=back

=cut

sub get ($path, $max) {
    my $fh;
    if (!sysopen($fh, $path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)) {
        return if $! == ENOENT;
        die "cannot open $path: $!\n";
    }
    die "$path is not a regular file\n" if !S_ISREG((stat($fh))[2]);
    my $bytes = '';
    while (my $read = sysread($fh, $bytes, 65536, length($bytes)) // die "cannot read $path: $!\n")
    {
        die "$path is larger than $max bytes\n" if length($bytes) > $max;
    }
    return $bytes;
}

sub run_directory () {
    my $directory = '/run/pve-escrow';
    die "cannot make $directory: $!\n" if !mkdir($directory, oct(711)) && $! != EEXIST;
    chmod(oct(711), $directory);
    return $directory;
}

sub in_memory ($name, $use) {
    my $file = run_directory() . "/$name.$$.enc";
    unlink($file);
    my ($result, $err);
    eval {
        local @SIG{qw(INT TERM HUP)} = (sub { die "interrupted\n" }) x 3;
        $result = $use->($file);
        1;
    } or $err = $@;
    unlink($file);
    die $err if defined($err);
    return $result;
}

sub make_directory ($directory) {
    my $parent = File::Basename::dirname($directory);
    mkdir($parent, oct(700)) if !-d $parent;
    die "cannot make $directory: $!\n" if !mkdir($directory, oct(700)) && $! != EEXIST;
    return;
}

sub sync_directory ($directory) {
    sysopen(my $dh, $directory, O_RDONLY) or die "cannot open $directory: $!\n";
    $dh->sync or die "cannot sync $directory: $!\n";
    return;
}

my sub write_temporary ($path, $bytes) {
    sysopen(my $fh, $path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, oct(600))
        or die "cannot create $path: $!\n";
    my $done = 0;
    while ($done < length($bytes)) {
        $done += syswrite($fh, $bytes, length($bytes) - $done, $done)
            // die "cannot write $path: $!\n";
    }
    $fh->sync or die "cannot sync $path: $!\n";
    close($fh) or die "cannot write $path: $!\n";
    return;
}

sub put ($path, $bytes) {
    my $directory = File::Basename::dirname($path);
    make_directory($directory);
    my $temporary = "$path.tmp.$$";
    unlink($temporary);
    eval {
        write_temporary($temporary, $bytes);
        rename($temporary, $path) or die "cannot write $path: $!\n";
        1;
    } or do {
        my $err = $@;
        unlink($temporary);
        die $err;
    };
    sync_directory($directory);
    return;
}

1;
