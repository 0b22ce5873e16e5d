#!/usr/bin/perl -T

# The node that other tests run on: on nobody's disk, and as Proxmox VE has it.

use v5.36;

use Cwd ();
use File::Basename ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

subtest 'nothing reaches the machine' => sub {
    isnt((stat($_))[0], (stat('/'))[0], "$_ is its own")
        for qw(/etc /etc/pve /var/lib /var/log /run);
    isnt((stat('/etc'))[0], (stat('/etc/pve'))[0], '/etc/pve apart from /etc');
    ok(${^TAINT}, 'taint mode');
    is($INC[0], "$ROOT/perl", 'our modules first');
    ok(-e '/etc/passwd', 'the rest of /etc is there');
};

subtest 'files' => sub {
    my $path = put_key('vault');
    is($path, '/etc/pve/priv/storage/vault.enc', 'where');
    is(slurp($path), key('live.enc'), 'the bytes');
    is((stat($path))[2] & oct(7777), oct(600), 'the mode');
    storage_cfg(vault => { namespace => 'a' });
    like(
        slurp('/etc/pve/storage.cfg'), qr/^pbs: vault\n(?:\t.*\n)*\tnamespace a\n/,
        'storage.cfg'
    );
    fresh();
    ok(!-e $path, 'a fresh tree is empty');
    ok(-d '/etc/pve/priv/storage', 'but for its directories');
};

my $written = 0;

my sub write_one ($dir) {
    my $path = "$dir/one-" . ++$written;
    return eval { spew($path, 'x'); 1 };
}

subtest 'what goes wrong' => sub {
    for my $mount (qw(/etc/pve /var/lib)) {
        read_only(1, $mount);
        ok(!write_one($mount), "$mount read-only");
        read_only(0, $mount);
        ok(write_one($mount), "$mount read-write");
        fill($mount);
        ok(!write_one($mount), "$mount full");
        unfill();
        ok(write_one($mount), "$mount with space");
    }
    read_only(1);
    is((lstat('/etc/pve/local'))[2] & oct(200), 0, 'no quorum, and /etc/pve/local says so');
    fresh();
    ok(-l '/etc/pve/local', 'quorum, and /etc/pve/local is back');
    ok(write_one('/etc/pve'), 'a fresh tree can be written');
};

subtest 'plugin' => sub {
    plan skip_all => 'there is none yet' if !-e "$ROOT/perl/PVE/Storage/Custom/EscrowPlugin.pm";
    install_plugin();
    ok(-e '/usr/share/perl5/PVE/Storage/Custom/EscrowPlugin.pm', 'in its place');
};

done_testing();
