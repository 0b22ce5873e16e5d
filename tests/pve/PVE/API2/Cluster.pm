package PVE::API2::Cluster;

# Stand-in for tests: what lies below /cluster.

use v5.36;

use parent qw(PVE::RESTHandler);

1;
