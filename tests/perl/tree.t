#!/usr/bin/perl -T

# The tree that other tests run in: on nobody's disk, and as Proxmox VE has it.

use v5.36;

use Cwd ();
use File::Basename ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

subtest 'nothing reaches the machine' => sub {
    isnt((stat('/etc'))[0], (stat('/'))[0], "$_ is its own")
        for qw(/etc /etc/pve /var/lib /var/log /run);
    isnt((stat('/etc'))[0], (stat('/etc/pve'))[0], '/etc/pve apart from /etc');
    ok(${^TAINT}, 'taint mode');
    is($INC[0], "$ROOT/perl", 'our modules first');
    ok(-e '/etc/passwd', 'the rest of /etc is there');
    ok(eval { require JSON::PP }, 'installed modules are found');
};

subtest 'files' => sub {
    my $path = put_key('tank');
    is($path, '/etc/pve/priv/storage/tank.enc', 'where');
    is(slurp($path), key('live'), 'the bytes');
    is((stat($path))[2] & oct(7777), oct(600), 'the mode');
    storage_cfg({ tank => { namespace => 'a' } });
    like(slurp('/etc/pve/storage.cfg'), qr/^pbs: tank\n(?:\t.*\n)*\tnamespace a\n/m,
        'storage.cfg');
    fresh_tree();
    ok(!-e $path, 'a fresh tree is empty');
    ok(-d '/etc/pve/priv/storage', 'but for its directories');
};

my $written = 0;

my sub write_one ($dir) {
    my $path = "$dir/one-" . ++$written;
    return eval { spew($path, "x"); 1 };
}

subtest 'what goes wrong' => sub {
    for my $mount (qw(/etc/pve /var/lib)) {
        read_only($mount);
        ok(!write_one($mount), "$mount read-only");
        read_write($mount);
        ok(write_one($mount), "$mount read-write");
        my $free = fill_up($mount);
        ok(!write_one($mount), "$mount full");
        $free->();
        ok(write_one($mount), "$mount with space");
    }
    no_quorum();
    ok(!write_one('/etc/pve'), 'no quorum');
    is((lstat('/etc/pve/local'))[2] & oct(200), 0, 'and /etc/pve/local says so');
    quorum();
    ok(write_one('/etc/pve'), 'quorum');
    ok(-l '/etc/pve/local', 'and /etc/pve/local is back');
};

subtest 'plugin' => sub {
    plan skip_all => 'there is none yet' if !-e "$ROOT/perl/PVE/Storage/Custom/EscrowPlugin.pm";
    install_plugin();
    ok(-e '/usr/share/perl5/PVE/Storage/Custom/EscrowPlugin.pm', 'in its place');
};

done_testing();
