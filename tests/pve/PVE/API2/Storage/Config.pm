package PVE::API2::Storage::Config;

# Stand-in for tests: adds, changes and removes storages in the order of steps of the real one.

use v5.36;

use PVE::JSONSchema qw(get_standard_option);
use PVE::Storage;
use PVE::Storage::Plugin;
use PVE::Tools;

use parent qw(PVE::RESTHandler);

my @SECRETS = qw(encryption-key master-pubkey password);
my $RESULT = { type => 'object' };

# A deletion is a secret without a value, and a new value wins over that.
my sub take_secrets ($param, @deleted) {
    my %secrets;
    for my $name (@SECRETS) {
        $secrets{$name} = undef if grep { $_ eq $name } @deleted;
        my $value = delete $param->{$name};
        $secrets{$name} = $value if defined($value);
    }
    return \%secrets;
}

__PACKAGE__->register_method({
    name => 'create',
    path => '',
    method => 'POST',
    protected => 1,
    permissions => { check => ['perm', '/storage', ['Datastore.Allocate']] },
    parameters => PVE::Storage::Plugin->createSchema(),
    returns => $RESULT,
    code => sub ($param) {
        my ($storeid, $type) = delete $param->@{qw(storage type)};
        my $secrets = take_secrets($param);
        my $plugin = PVE::Storage::Plugin->lookup($type);
        my $scfg = $plugin->check_config($storeid, $param, 1, 1);
        my $result;
        PVE::Storage::lock_storage_config(
            sub {
                my $cfg = PVE::Storage::config();
                die "storage ID '$storeid' already defined\n" if $cfg->{ids}->{$storeid};
                $cfg->{ids}->{$storeid} = $scfg;
                $result = $plugin->on_add_hook($storeid, $scfg, %$secrets);
                eval { $plugin->activate_storage($storeid, $scfg) if !$scfg->{disable}; 1 }
                    or do {
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
    protected => 1,
    permissions => { check => ['perm', '/storage', ['Datastore.Allocate']] },
    parameters => PVE::Storage::Plugin->updateSchema(),
    returns => $RESULT,
    code => sub ($param) {
        my ($storeid, $delete) = delete $param->@{qw(storage delete)};
        my @deleted = PVE::Tools::split_list($delete);
        my ($result, $type);
        PVE::Storage::lock_storage_config(
            sub {
                my $cfg = PVE::Storage::config();
                my $scfg = PVE::Storage::storage_config($cfg, $storeid);
                $type = $scfg->{type};
                my $secrets = take_secrets($param, @deleted);
                my $plugin = PVE::Storage::Plugin->lookup($type);
                my $update = $plugin->check_config($storeid, $param, 0, 1);
                for my $name (@deleted) {
                    die "no such option '$name'\n" if !$plugin->options()->{$name};
                    die "cannot set and delete property '$name' at the same time!\n"
                        if defined($update->{$name});
                }
                $result = $plugin->on_update_hook_full(
                    $storeid, $scfg, $update, $delete ? \@deleted : undef, $secrets,
                );
                delete $scfg->@{@deleted};
                $scfg->{$_} = $update->{$_} for keys %$update;
                PVE::Storage::write_config($cfg);
            },
            'update storage failed',
        );
        return { storage => $storeid, type => $type, $result ? (config => $result) : () };
    },
});

__PACKAGE__->register_method({
    name => 'delete',
    path => '{storage}',
    method => 'DELETE',
    protected => 1,
    permissions => { check => ['perm', '/storage', ['Datastore.Allocate']] },
    parameters => {
        additionalProperties => 0,
        properties => { storage => get_standard_option('pve-storage-id') },
    },
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
