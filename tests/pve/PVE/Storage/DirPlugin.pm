package PVE::Storage::DirPlugin;

# Stand-in for tests: a storage that has no key.

use v5.36;

use parent -norequire, 'PVE::Storage::Plugin';

sub type {
    return 'dir';
}

# those that all types may have stand here, too
sub properties {
    return { map { $_ => { type => 'string' } }
            qw(content disable nodes path port server username) };
}

sub options {
    return { path => 1, content => 1 };
}

1;
