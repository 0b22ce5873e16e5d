package PVE::API2::Storage::Config;

# Stand-in for tests: adds, changes and removes storages in the order of steps of the real one.

use v5.36;

use PVE::Storage;

use parent qw(PVE::RESTHandler);

my $ANY = { type => 'object' };

my sub split_param ($param) {
    my %sensitive = map { defined($param->{$_}) ? ($_ => delete $param->{$_}) : () }
        qw(encryption-key master-pubkey password);
    return %sensitive;
}

__PACKAGE__->register_method({
    name => 'create',
    path => '',
    method => 'POST',
    parameters => $ANY,
    returns => $ANY,
    code => sub ($param) {
        my ($storeid, $type) = delete $param->@{qw(storage type)};
        my %sensitive = split_param($param);
        my $plugin = PVE::Storage::Plugin->lookup($type);
        my $scfg = $plugin->check_config($storeid, $param, 1, 1);
        my $result;
        PVE::Storage::lock_storage_config(
            sub {
                my $cfg = PVE::Storage::config();
                die "storage ID '$storeid' already defined\n" if $cfg->{ids}->{$storeid};
                $result = $plugin->on_add_hook($storeid, $scfg, %sensitive);
                $cfg->{ids}->{$storeid} = $scfg;
                eval { $plugin->activate_storage($storeid, $scfg); 1 } or do {
                    my $err = $@;
                    eval { $plugin->on_delete_hook($storeid, $scfg) };
                    die $err;
                };
                PVE::Storage::write_config($cfg);
            },
            'create storage failed',
        );
        return { storage => $storeid, type => $type, $result ? (config => $result) : () };
    },
});

__PACKAGE__->register_method({
    name => 'update',
    path => '{storage}',
    method => 'PUT',
    parameters => $ANY,
    returns => $ANY,
    code => sub ($param) {
        my ($storeid, $delete) = delete $param->@{qw(storage delete)};
        my @delete = split(m/,/, $delete // '');
        my %sensitive = (map({ $_ => undef } @delete), split_param($param));
        my $result;
        PVE::Storage::lock_storage_config(
            sub {
                my $cfg = PVE::Storage::config();
                my $scfg = PVE::Storage::storage_config($cfg, $storeid);
                my $plugin = PVE::Storage::Plugin->lookup($scfg->{type});
                $result = $plugin->on_update_hook($storeid, $scfg, %sensitive);
                $scfg->{$_} = $param->{$_} for keys %$param;
                PVE::Storage::write_config($cfg);
            },
            'update storage failed',
        );
        return { storage => $storeid, $result ? (config => $result) : () };
    },
});

__PACKAGE__->register_method({
    name => 'delete',
    path => '{storage}',
    method => 'DELETE',
    parameters => $ANY,
    returns => { type => 'null' },
    code => sub ($param) {
        my $storeid = $param->{storage};
        PVE::Storage::lock_storage_config(
            sub {
                my $cfg = PVE::Storage::config();
                my $scfg = PVE::Storage::storage_config($cfg, $storeid);
                PVE::Storage::Plugin->lookup($scfg->{type})->on_delete_hook($storeid, $scfg);
                delete $cfg->{ids}->{$storeid};
                PVE::Storage::write_config($cfg);
            },
            'delete storage failed',
        );
        return;
    },
});

1;
