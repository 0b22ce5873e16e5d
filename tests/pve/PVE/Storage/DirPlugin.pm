package PVE::Storage::DirPlugin;

# Stand-in for tests: a storage that has no key.

use v5.36;

use parent -norequire, 'PVE::Storage::Plugin';

sub type {
    return 'dir';
}

sub options {
    return { path => 1, content => 1 };
}

1;
