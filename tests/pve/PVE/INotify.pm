package PVE::INotify;

# Stand-in for tests: a node has a name.

use v5.36;

use POSIX ();

sub nodename () {
    return (POSIX::uname())[1] =~ m/^([^.]+)/ ? $1 : die "this node has no name\n";
}

1;
