package PVE::INotify;

# Stand-in for tests: a node has a name.

use v5.36;

sub nodename () {
    return 'localhost';
}

1;
