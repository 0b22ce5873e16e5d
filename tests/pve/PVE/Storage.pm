package PVE::Storage;

# Stand-in for tests: loads plugins of third parties as the real one does, and keeps storage.cfg.

use v5.36;

use PVE::Cluster;
use PVE::Storage::Plugin;
use PVE::Storage::PBSPlugin;
use PVE::Storage::DirPlugin;

sub APIVER { return 15 }

sub APIAGE { return 6 }

PVE::Storage::PBSPlugin->register();
PVE::Storage::DirPlugin->register();

my sub load ($name) {
    my $class = "PVE::Storage::Custom::$name";
    require "PVE/Storage/Custom/$name.pm"; ## no critic (RequireBarewordIncludes)
    die "not derived from PVE::Storage::Plugin\n" if !$class->isa('PVE::Storage::Plugin');
    die "does not provide an api() method\n" if !$class->can('api');
    my $version = $class->api();
    die "implements an API version newer than current ($version > " . APIVER . ")\n"
        if $version > APIVER;
    die "API version too old, please update the plugin ($version)\n" if $version < APIVER -APIAGE;
    warn "Plugin \"$class\" is implementing an older storage API, an upgrade is recommended\n"
        if $version != APIVER;
    $class->register();
    return;
}

for my $file (glob('/usr/share/perl5/PVE/Storage/Custom/*.pm')) {
    my ($name) = $file =~ m{([^/]+)\.pm$};
    eval { load($name); 1 } or warn "Error loading storage plugin \"$name\": $@";
}

PVE::Storage::Plugin->init();

sub config () {
    return PVE::Cluster::cfs_read_file('storage.cfg');
}

sub write_config ($cfg) {
    return PVE::Cluster::cfs_write_file('storage.cfg', $cfg);
}

sub storage_config ($cfg, $storeid, $noerr = 0) {
    return $cfg->{ids}->{$storeid} // ($noerr ? undef : die "storage '$storeid' does not exist\n");
}

sub activate_storage ($cfg, $storeid, $cache = {}) {
    my $scfg = storage_config($cfg, $storeid);
    die "storage '$storeid' is disabled\n" if $scfg->{disable};
    return PVE::Storage::Plugin->lookup($scfg->{type})->activate_storage($storeid, $scfg, $cache);
}

sub lock_storage_config ($code, $errmsg = undef) {
    PVE::Cluster::cfs_lock_file('storage.cfg', undef, $code);
    die defined($errmsg) ? "$errmsg: $@" : $@ if $@;
    return;
}

1;
