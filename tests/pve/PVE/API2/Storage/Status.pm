package PVE::API2::Storage::Status;

# Stand-in for tests: what lies below /nodes/{node}/storage.

use v5.36;

use parent qw(PVE::RESTHandler);

__PACKAGE__->register_method({
    name => 'diridx',
    path => '{storage}',
    method => 'GET',
    parameters =>
        { properties => { node => { type => 'string' }, storage => { type => 'string' } } },
    returns => { type => 'array', items => { type => 'object' } },
    code => sub ($param) {
        return [map { { subdir => $_ } } qw(content prunebackups rrd status)];
    },
});

1;
