package PVE::Storage::DirPlugin;

# Stand-in for tests: a storage that has no key.

use v5.36;

use Cwd ();
use File::Path ();

use PVE::JSONSchema;

use parent -norequire, 'PVE::Storage::Plugin';

sub type {
    return 'dir';
}

# those that all types may have stand here, too
sub properties {
    return { map { $_ => { type => 'string' } }
            qw(content disable is_mountpoint nodes path port server username) };
}

sub options {
    return { path => 1, content => 1, is_mountpoint => 1 };
}

my sub is_mounted ($point) {
    my $real = Cwd::realpath($point) // return 0;
    open(my $fh, '<', '/proc/mounts') or die "/proc/mounts: $!\n";
    return !!grep { (split(m/ /))[1] eq $real } <$fh>;
}

sub activate_storage {
    my ($class, $storeid, $scfg) = @_;
    my $path = $scfg->{path};
    my $wanted = $scfg->{is_mountpoint} // 'no';
    my $bool = PVE::JSONSchema::parse_boolean($wanted);
    my $point = !defined($bool) ? $wanted : $bool ? $path : undef;
    die
        "unable to activate storage '$storeid' - directory is expected to be a mount point but is not mounted: '$point'\n"
        if defined($point) && !is_mounted($point);
    my ($dump) = $scfg->{content}->{backup} ? "$path/dump" =~ m{^(/.*)$} : return 1;
    File::Path::make_path($dump, { error => \my $errors });
    return 1 if !@$errors;
    my ($why) = values $errors->[-1]->%*;
    die "failed to create content directory '$dump' for content 'backup' - $why\n";
}

1;
