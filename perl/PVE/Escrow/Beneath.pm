package PVE::Escrow::Beneath;

use v5.36;

use Errno qw(EACCES EEXIST EINVAL ENOENT ENOSYS ENOTSUP EPERM);
use Fcntl
    qw(O_CREAT O_DIRECTORY O_EXCL O_NOFOLLOW O_NONBLOCK O_RDONLY O_WRONLY S_IFMT S_IFREG S_ISDIR);
use IO::Handle ();

=head1 NAME

PVE::Escrow::Beneath - files in a directory that others can write to

=head1 DESCRIPTION

Nothing here follows a link, leaves the directory, or opens anything but a regular file. Names are single components. Errors
begin with the name.

=head1 FUNCTIONS

=over

=item open_root($path)

A handle of the directory at a path that an administrator has configured: links on the way there are followed.

=item directory($dh, $name), make_directory($dh, $name)

A handle of a directory beneath; C<undef> if there is none. The second makes it first.

=item names($dh)

All names in a directory.

=item get($dh, $name, $max)

The bytes of a regular file, C<undef> if there is none. Dies of anything else, and of more than C<$max> bytes.

=item put($dh, $name, $bytes)

Writes a file that is old or new whatever happens. Dies, and touches nothing, if anything but a regular file has its name. File
systems without modes, owners or a way to sync a directory will do.

=item modified($dh, $name)

When it was written last.

=back

=cut

# the same on all architectures that Linux got it on, since 5.6
my $OPENAT2 = 437;
my $NO_SYMLINKS = 0x04;
my $BENEATH = 0x08;
my $O_PATH = 0x200000;

my %KINDS = (
    oct(40000) => 'a directory',
    oct(10000) => 'a pipe',
    oct(20000) => 'a device',
    oct(60000) => 'a device',
    oct(120000) => 'a link',
    oct(140000) => 'a socket',
);

my sub open_beneath ($dh, $name, $flags, $mode = 0) {
    my ($component) = $name =~ m{^([^/\0]+)\z} or die "'$name' is not a name of a file\n";
    my $how = pack('Q3', $flags, $mode, $NO_SYMLINKS | $BENEATH);
    my $fd = syscall($OPENAT2, fileno($dh), $component, $how, length($how));
    if ($fd < 0) {
        return if $! == ENOENT;
        die "this kernel can't open files safely (openat2): Linux 5.6 or later is needed\n"
            if $! == ENOSYS;
        die "$name: cannot open it: $!\n";
    }
    open(my $fh, $flags & O_WRONLY ? '>&=' : '<&=', $fd) or die "$name: cannot open it: $!\n";
    return $fh;
}

# the same name again, for calls that take no directory
my sub at ($dh, $name) {
    my ($component) = $name =~ m{^([^/\0]+)\z} or die "'$name' is not a name of a file\n";
    return '/proc/self/fd/' . fileno($dh) . "/$component";
}

# Not opened yet: opening a device can have effects. undef if there is nothing.
my sub look ($dh, $name) {
    return open_beneath($dh, $name, $O_PATH | O_NOFOLLOW);
}

my sub refuse_others ($name, $handle) {
    my $format = S_IFMT((stat($handle))[2]);
    die "$name: it is $KINDS{$format}, and not a regular file. Nothing was touched\n"
        if $format != S_IFREG;
    return;
}

sub open_root ($path) {
    sysopen(my $dh, $path, O_RDONLY | O_DIRECTORY) or die "cannot open $path: $!\n";
    return $dh;
}

sub directory ($dh, $name) {
    my $handle = look($dh, $name) // return;
    my $format = S_IFMT((stat($handle))[2]);
    die "$name: it is " . ($KINDS{$format} // 'a file') . ", and not a directory\n"
        if !S_ISDIR($format);
    return open_beneath($dh, $name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

sub make_directory ($dh, $name) {
    die "$name: cannot make this directory: $!\n"
        if !look($dh, $name) && !mkdir(at($dh, $name), oct(700)) && $! != EEXIST;
    return directory($dh, $name) // die "$name: it was removed at once\n";
}

sub names ($dh) {
    opendir(my $list, '/proc/self/fd/' . fileno($dh)) or die "cannot list it: $!\n";
    my @names = sort grep { !m/^\.\.?$/ } readdir($list);
    return @names;
}

sub get ($dh, $name, $max) {
    my $handle = look($dh, $name) // return;
    refuse_others($name, $handle);
    sysopen(my $fh, '/proc/self/fd/' . fileno($handle), O_RDONLY | O_NONBLOCK)
        or die "$name: cannot open it: $!\n";
    my $bytes = '';
    while (my $read = sysread($fh, $bytes, 65536, length($bytes))
        // die "$name: cannot read it: $!\n") {
        die "$name: it is larger than $max bytes\n" if length($bytes) > $max;
    }
    return $bytes;
}

sub modified ($dh, $name) {
    my $handle = look($dh, $name) // return 0;
    return (stat($handle))[9];
}

# some file systems have no such thing, for directories above all
my sub sync_it ($name, $handle) {
    return if $handle->sync || grep { $! == $_ } EACCES, EINVAL, ENOSYS, ENOTSUP, EPERM;
    die "$name: cannot bring it to the disk: $!\n";
}

my sub write_temporary ($dh, $name, $bytes) {
    my $fh = open_beneath($dh, $name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, oct(600));
    my $done = 0;
    while ($done < length($bytes)) {
        $done += syswrite($fh, $bytes, length($bytes) - $done, $done)
            // die "$name: cannot write it: $!\n";
    }
    sync_it($name, $fh);
    close($fh) or die "$name: cannot write it: $!\n";
    return;
}

sub put ($dh, $name, $bytes) {
    my $present = look($dh, $name);
    refuse_others($name, $present) if $present;
    my $temporary = "$name.tmp.$$";
    unlink(at($dh, $temporary));
    eval {
        write_temporary($dh, $temporary, $bytes);
        rename(at($dh, $temporary), at($dh, $name)) or die "$name: cannot write it: $!\n";
        1;
    } or do {
        my $err = $@ =~ s/^\Q$temporary\E/$name/r;
        unlink(at($dh, $temporary));
        die $err;
    };
    sync_it($name, $dh);
    return;
}

1;
