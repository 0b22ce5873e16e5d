package PVE::Escrow::Mount;

use v5.36;

use Cwd ();

=head1 NAME

PVE::Escrow::Mount - on which file system does an open directory lie?

=head1 DESCRIPTION

It is asked of the handle, and not of a path: so the answer is about the directory that is used.

=head1 FUNCTIONS

=over

=item is_below($dh, $point)

Is something mounted at C<$point>, and does the directory lie on it?

=item is_system($dh)

Does it lie on the device of F</>, F</var> or F</var/lib>? Subvolumes of one btrfs, datasets of one ZFS pool, partitions
of one disk, and an image in a file on it are the same device. So is an image whose file can't be seen from here.

=back

=cut

my @SYSTEM = qw(/ /var /var/lib);

my sub lines ($path) {
    open(my $fh, '<', $path) or die "cannot open $path: $!\n";
    my @lines = readline($fh);
    return @lines;
}

my sub of_handle ($dh) {
    my ($id) = map { m/^mnt_id:\s*([0-9]+)$/ } lines('/proc/self/fdinfo/' . fileno($dh));
    my ($line) = grep { m/^$id / } lines('/proc/self/mountinfo');
    my ($point, $type, $source) = ($line // '') =~ m/^\S+ \S+ \S+ \S+ (\S+) .*? - (\S+) (\S+)/
        or die "the system does not say on which file system it lies\n";
    $point =~ s/\\([0-7]{3})/chr(oct($1))/ge;
    return { point => $point, type => $type, source => $source };
}

sub is_below ($dh, $point) {
    my $real = Cwd::realpath($point) // return 0;
    my $found = of_handle($dh)->{point};
    return $found eq $real || index($found, "$real/") == 0;
}

my $disks_of_number;

# A path there ends in .../DISK or .../DISK/PARTITION; what is put together of others has them as slaves.
my sub disks ($directory) {
    my ($real) = (Cwd::realpath($directory) // '') =~ m{^(/sys/.+)$} or return;
    my @parts = glob("$real/slaves/*");
    return map { __SUB__->($_) } @parts if @parts;
    my $disk = -e "$real/partition" ? $real =~ s{/[^/]+$}{}r : $real;
    return $disk if !-e "$disk/loop/backing_file";
    my ($image) = map { m/^(.+)$/ } lines("$disk/loop/backing_file");
    my ($number) = stat($image // '');
    return $disks_of_number->($number // (stat('/'))[0]);
}

$disks_of_number = sub ($number) {
    my $major = $number >> 8 & 0xfff;
    my $minor = $number & 0xff | $number >> 12 & 0xfff00;
    return ("number $number", disks("/sys/dev/block/$major:$minor"));
};

my sub devices ($dh) {
    my $number = (stat($dh))[0];
    my $mount = of_handle($dh);
    my @devices = $disks_of_number->($number);
    push @devices, 'pool ' . ($mount->{source} =~ s{/.*}{}r) if $mount->{type} eq 'zfs';

    # its subvolumes have numbers of their own
    push @devices, map { $disks_of_number->($_) } (stat($mount->{source}))[6]
        if $mount->{type} eq 'btrfs';
    return @devices;
}

sub is_system ($dh) {
    my %system;
    for my $path (@SYSTEM) {
        opendir(my $own, $path) or next;
        $system{$_} = 1 for devices($own);
    }
    return !!grep { $system{$_} } devices($dh);
}

1;
