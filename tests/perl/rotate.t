#!/usr/bin/perl -T

# A new key for a storage: confirmed before it is live, and whenever it is killed, the storage works and no key is lost.

use v5.36;

use Cwd ();
use File::Basename ();
use File::Path ();
use JSON ();
use POSIX ();
use Test::More;
use Time::HiRes ();

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;
use Escrow::Test::Tool qw(@TOOL on_terminal pveescrow run_with);

BEGIN { install_plugin() }

use PVE::Storage;
use PVE::API2::Cluster;
use PVE::API2::Storage::Config;
use PVE::API2::Storage::Status;
use PVE::Escrow::Keys;
use PVE::Escrow::Publish;
use PVE::Escrow::Records;
use PVE::Escrow::Rotate;
use PVE::Escrow::Seal;
use PVE::Escrow::State;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

my $OLD =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $SHORT = substr($OLD, 0, 23);
my $FILE = '/etc/pve/priv/storage/vault.enc';

my sub set_up () {
    fresh();
    storage_cfg(vault => { username => 'lab@pbs!golden', 'encryption-key' => $OLD });
    put_key('vault');
    spew('/etc/pve/priv/storage/vault.pw', "the-secret-of-the-server\n");
    File::Path::make_path('/run/client', '/run/tmp');
    spew('/run/client/log', '');
    return;
}

# through files, as a script does it
my sub sealed () {
    my $made = pveescrow(qw(create vault --code-out /run/old));
    my ($id) = $made->{out} =~ m/seal (\S+) is pending/;
    is(
        pveescrow('confirm', 'vault', $id, '--code-file', '/run/old')->{code}, 0,
        'the old key is sealed'
    );
    return;
}

my sub live () {
    return PVE::RS::Escrow::fingerprint({ keyfile => $FILE })->{fingerprint};
}

my sub configured () {
    my ($configured) = slurp('/etc/pve/storage.cfg') =~ m/^\tencryption-key (\S+)$/m;
    return $configured;
}

my sub data_of ($path) {
    return (eval { JSON::decode_json(slurp($path)) } // {})->{data} // '';
}

my $OLD_DATA = JSON::decode_json(key('live.enc'))->{data};

# where the key itself is
my sub places_of ($data) {
    return grep { data_of($_) eq $data } $FILE,
        map { m/^(.*)$/ } glob('/etc/pve/priv/escrow/kept/*.enc /var/lib/pve-escrow/kept/*.enc');
}

# where pveescrow looks for the client, unless the modules of Proxmox VE are doubles
my $CLIENT = '/usr/bin/proxmox-backup-client';
plan(skip_all => "$CLIENT is not the stand-in")
    if !is_double() && (eval { slurp($CLIENT) } // '') !~ m{tests/pve/bin/};

subtest 'in a script' => sub {
    set_up();
    spew('/etc/pve/escrow.cfg', "publish: vault\n");
    sealed();
    my $begun = pveescrow(qw(rotate vault --label safe --code-out /run/new));
    is($begun->{code}, 0, 'begun') or diag($begun->{out});
    like(
        $begun->{out},
        qr/^The next backups upload everything anew.*: 4 backup groups, 12\.3 MiB\.$/m,
        'how much is uploaded'
    );
    my ($name) = $begun->{out} =~ m/^The new key is kept as ([0-9a-f]{64})\./m;
    is(slurp($FILE), key('live.enc'), 'the old key is live still');
    is(configured(), $OLD, 'and configured');

    my $words = slurp('/run/new');
    spew('/run/wrong', join(' ', reverse split(m/\s+/, $words)));
    my $wrong = pveescrow('rotate', 'vault', '--key', $name, '--code-file', '/run/wrong');
    isnt($wrong->{code}, 0, 'with wrong words');
    is(slurp($FILE), key('live.enc'), 'nothing is changed');

    my $done = pveescrow('rotate', 'vault', '--key', $name, '--code-file', '/run/new');
    is($done->{code}, 0, 'with the right ones') or diag($done->{out});
    my $new = live();
    isnt($new, $OLD, 'a new key is live');
    is(configured(), $new, 'and configured');
    is((stat($FILE))[2] & oct(7777), oct(600), 'for root only');
    is(scalar(places_of($OLD_DATA)), 2, 'the old one is kept, in both places');
    my ($active) = PVE::Escrow::Seal::active(PVE::Escrow::Records::get($new));
    is($active->{label}, 'safe', 'the new one is sealed');
    is(
        PVE::Escrow::Seal::authenticity(PVE::Escrow::Records::get($new), $FILE), 'valid',
        'its record is authentic'
    );
    is_deeply(
        [glob('/run/pve-escrow/rotate* /run/pve-escrow/recover*')], [],
        'no file is left'
    );

    my @records = call('root@pam', 'GET', 'vault/escrow/records')->@*;
    is_deeply(
        [sort map { $_->{fingerprint} } @records], [sort $OLD, $new],
        'both are of this storage'
    );
    my ($newest) = reverse sort map { m/^(.*)$/ }
        glob('/run/client/published/192.0.2.1:store/host/*/*Z/kits.conf');
    my @published = map { JSON::decode_json($_)->{fingerprint} } split(m/\n/, slurp($newest));
    is_deeply([sort @published], [sort $OLD, $new], 'the kits of both are published');

    # the old snapshots
    my $drill = pveescrow('prove', 'vault', '--fingerprint', $OLD, '--code-file', '/run/old');
    is($drill->{code}, 0, 'the old words still open the old snapshots') or diag($drill->{out});
    like($drill->{out}, qr/^drill of key $SHORT: valid: 4 snapshots/m, 'all of them');
    is(PVE::Escrow::State::get('vault')->{drill}, undef, 'that is no drill of the new key');

    # nobody needs the old one after a while
    pveescrow(qw(coverage vault));
    my $unneeded = sub {
        return
            grep { $_->{id} eq "unneeded-$SHORT" }
            call('root@pam', 'GET', 'vault/escrow/status')->{reasons}->@*;
    };
    is(scalar($unneeded->()), 0, 'as long as snapshots need it, nothing is said');
    Time::HiRes::sleep(1.1);
    spew('/run/client/list.json', '[]');
    pveescrow(qw(coverage vault));
    is(($unneeded->())[0]->{level}, 'notice', 'then a line');
    ok(PVE::Escrow::Records::get($OLD), 'and the record stays');
};

subtest 'at a terminal' => sub {
    plan(skip_all => 'no terminal') if system('script --version >/dev/null 2>&1');
    set_up();
    my $shown = on_terminal("\n\n\n", qw(rotate vault));
    like($shown->{out}, qr/The old key is not sealed/, 'an old key without a seal is told');
    like(
        $shown->{out},
        qr/given up at the prompt.*To go on: pveescrow rotate vault --key ([0-9a-f]{64})/s,
        'given up: how to go on'
    );
    is(slurp($FILE), key('live.enc'), 'the old key is live');
    is((PVE::Escrow::Keys::live_keys()->{$OLD} // [])->[0], 'vault', 'of the storage');
};

subtest 'refused' => sub {
    set_up();
    unlink($FILE);
    like(
        pveescrow(qw(rotate vault --code-out /run/new))->{out},
        qr/no key that could be rotated/, 'without a key'
    );
    set_up();
    spew('/run/client-fails', '');
    isnt(
        pveescrow(qw(rotate vault --code-out /run/new))->{code}, 0,
        'a client that makes no key'
    );
    is(slurp($FILE), key('live.enc'), 'changes nothing');
    set_up();
    read_only(1);
    like(
        pveescrow(qw(rotate vault --code-out /run/new))->{out}, qr/no quorum/,
        'without quorum'
    );
    read_only(0);
};

subtest 'killed' => sub {
    plan(skip_all => 'strace may not trace here')
        if system('strace -f -o /dev/null true >/dev/null 2>&1');
    my ($killed, @bad) = (0);
    for my $call (qw(rename link linkat)) {
        for my $n (1 .. 40) {
            set_up();
            my $name = PVE::Escrow::Rotate::new_key('vault');
            my $seal = PVE::Escrow::Rotate::seal($name, { by => 'root@pam' });
            spew('/run/new', $seal->{code});
            my $new_data = data_of(PVE::Escrow::Keys::kept_file($name));
            my @strace = (
                'strace', '-f', '-q', '-o', '/dev/null', '-e', "trace=$call", '-e',
                "inject=$call:signal=KILL:when=$n",
            );
            my $done = run_with(
                '', @strace, @TOOL, 'rotate', 'vault', '--key', $name, '--code-file',
                '/run/new'
            );
            last
                if $done->{code} == 0 && live() eq $seal->{fingerprint} && configured() eq live();
            $killed++;
            rmdir for map { m/^(.*)$/ } glob('/etc/pve/priv/lock/*');
            my $data = data_of($FILE);
            push @bad, "$call $n: no key is live" if $data ne $OLD_DATA && $data ne $new_data;
            push @bad, "$call $n: the old key is nowhere" if !places_of($OLD_DATA);
            push @bad, "$call $n: the new key is nowhere" if !places_of($new_data);
            push @bad, "$call $n: live before it was confirmed"
                if $data eq $new_data
                && !PVE::Escrow::Seal::active(PVE::Escrow::Records::get($seal->{fingerprint}));
            my $again = pveescrow('rotate', 'vault', '--key', $name, '--code-file', '/run/new');
            push @bad, "$call $n: can't be finished: $again->{out}"
                if $again->{code}
                || configured() ne $seal->{fingerprint}
                || live() ne $seal->{fingerprint};
        }
    }
    cmp_ok($killed, '>', 5, "killed $killed times");
    is_deeply(\@bad, [], 'the storage works, no key is lost, and the same command finishes it');
};

done_testing();
