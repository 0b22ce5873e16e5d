#!/usr/bin/perl -T

# The daily check, on days that go by as fast as the test says: what is notified, and what it leaves for machines to read.

use v5.36;

use Cwd ();
use File::Basename ();
use File::Path ();
use JSON ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

my $later;

# before anything is compiled that asks for the time
BEGIN {
    $later = 0;
    no warnings 'once'; ## no critic (ProhibitNoWarnings)
    *CORE::GLOBAL::time = sub () { return CORE::time() + $later };
}

use Escrow::Test::Tree;

BEGIN { install_plugin() }

use PVE::Storage;
use PVE::API2::Cluster;
use PVE::API2::Storage::Config;
use PVE::API2::Storage::Status;
use PVE::Cluster;
use PVE::Escrow::Check;
use PVE::Escrow::Guard;
use PVE::Escrow::State;

my $DAY = 24 * 60 * 60;
my $LIVE =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $OTHER =
    '7d:34:d4:ed:c3:20:5d:a3:e5:2e:d1:36:0a:43:8b:41:15:24:d3:38:bc:ee:a0:4c:b4:48:6d:1e:06:42:eb:29';

open(STDERR, '>', '/dev/null') if !$ENV{SHOW};

my sub as_root ($method, $path, $param = {}) {
    return call('root@pam', $method, $path, $param);
}

# what the daemons of a node say of themselves every five minutes
my sub nodes_are_fine () {
    my $daemon = { armed => 1, missing => [] };
    my $said = {
        time => time(), version => '0.1.0',
        daemons => { pvedaemon => $daemon, pveproxy => $daemon },
    };
    PVE::Cluster::broadcast_node_kv('pve-escrow', JSON::encode_json($said));
    return;
}

my sub set_up () {
    fresh();
    $later = 0;
    storage_cfg(
        vault => { username => 'lab@pbs!golden', 'encryption-key' => $LIVE },
        usb => { type => 'dir', path => '/run/usb' },
    );
    put_key('vault');
    spew('/etc/pve/priv/storage/vault.pw', "the-secret-of-the-server\n");
    File::Path::make_path('/run/client', '/run/usb');
    spew('/run/client/log', '');
    nodes_are_fine();
    return;
}

my sub run_check (%options) {
    open(my $stdout, '>&', \*STDOUT) or die "dup: $!\n";
    open(STDOUT, '>', '/run/said') or die "/run/said: $!\n";
    my $result = eval { PVE::Escrow::Check::run(\%options) };
    my $err = $@;
    STDOUT->flush();
    open(STDOUT, '>&', $stdout) or die "dup: $!\n";
    die $err if !$result;
    return $result;
}

my sub check (%options) {
    nodes_are_fine();
    return run_check(%options);
}

# and they are gone
my sub notifications () {
    return if !-e '/run/notifications';
    my @sent = map { JSON::decode_json($_) } split(m/\n/, slurp('/run/notifications'));
    unlink('/run/notifications');
    return @sent;
}

my sub ids ($list) {
    return join(' ', sort map { $_->{id} } @$list);
}

my sub sealed () {
    my $seal = as_root('POST', 'vault/escrow/create');
    as_root('POST', 'vault/escrow/confirm', { id => $seal->{id}, code => $seal->{code} });
    return $seal;
}

my sub proofs () {
    return scalar(grep { m/"restore"/ && m/index\.json/ } split(m/\n/, slurp('/run/client/log')));
}

plan(skip_all => 'what it notifies goes to a stand-in') if !is_double();

subtest 'a week' => sub {
    set_up();
    my $first = check();
    is($first->{level}, 'critical', 'day 1: a key that is not sealed');
    my @sent = notifications();
    is(scalar(@sent), 1, 'one notification');
    is($sent[0]->{severity}, 'error', 'of the highest severity');
    like($sent[0]->{subject}, qr/vault: Whoever loses this cluster/, 'says it in the subject');
    like($sent[0]->{body}, qr/Next: pveescrow create vault/, 'and what to do');
    is($sent[0]->{fields}->{type}, 'pve-escrow', 'for matchers');
    is(PVE::Escrow::State::get('vault')->{proof}->{result}, 'valid', 'a proof was made');
    is(PVE::Escrow::State::get('vault')->{coverage}->{snapshots}, 8, 'and coverage');

    $later += $DAY;
    my $before = proofs();
    check();
    is_deeply([notifications()], [], 'day 2: nothing new, nothing said');
    is(proofs(), $before, 'and no proof yet');

    $later += $DAY;
    sealed();
    as_root('PUT', 'escrow/config', { copies => 'usb', acknowledged => $OTHER });
    my $third = check();
    @sent = notifications();
    is(scalar(@sent), 1, 'day 3: sealed, with a copy');
    like($sent[0]->{body}, qr/Repaired:\s+\* vault: Whoever loses this cluster/, 'is a repair');

    # /run is another file system than /, and so is a disk in a test
    my $is_outside = PVE::Escrow::State::get('vault')->{copies}->{usb}->{outside};
    ok($is_outside, 'on another file system');
    is($third->{level}, 'good', 'all is good') or diag(explain($third->{problems}));

    $later += $DAY;
    spew('/run/client/snapshot', 'unreachable');
    my $fourth = check();
    is(ids($fourth->{worse}), 'vault: server', 'day 4: the server is down');
    is(PVE::Escrow::State::get('vault')->{coverage}->{snapshots}, 8, 'what was known stays');
    is((notifications())[0]->{severity}, 'warning', 'a warning');

    $later += $DAY;
    check();
    is_deeply([notifications()], [], 'day 5: still down, not said again');

    $later += $DAY;
    unlink('/run/client/snapshot');
    $before = proofs();
    my $sixth = check();
    is(ids($sixth->{repaired}), 'vault: server', 'day 6: up again');
    like((notifications())[0]->{subject}, qr/^Key escrow: repaired: vault/, 'is said');
    cmp_ok(proofs(), '>', $before, 'a proof was due');

    $later += $DAY;
    unlink('/etc/pve/priv/storage/vault.enc');
    my $seventh = check();
    is($seventh->{level}, 'critical', 'day 7: the key is gone');
    like(ids($seventh->{worse}), qr/vault: missing-key/, 'is new');
    @sent = notifications();
    is($sent[-1]->{severity}, 'error', 'and said');
    like($sent[-1]->{html}, qr{<code>pveescrow recover vault</code>}, 'with the command');
};

subtest 'ages' => sub {
    set_up();
    sealed();
    as_root('PUT', 'escrow/config', { copies => 'usb', acknowledged => $OTHER });
    my $seal = as_root('POST', 'vault/escrow/create', { label => 'second' });
    as_root('POST', 'vault/escrow/confirm', { id => $seal->{id}, code => $seal->{code} });
    as_root('POST', 'vault/escrow/prove', { code => $seal->{code} });
    my $result = check();
    is(ids($result->{problems}) =~ s/doctor: .*//r, '', 'nothing at first')
        or diag(explain($result));
    notifications();
    $later += 181 * $DAY;
    unlike(ids(check()->{problems}), qr/old-proof/, 'a proof is made in time');
    my ($sent) = notifications();
    like(
        $sent->{body}, qr/notice: vault: The last drill was 181 days ago/,
        'a drill is for a person'
    );
    is($sent->{severity}, 'info', 'and no alarm');

    as_root('PUT', 'escrow/config', { delete => 'copies' });
    $result = check();
    like(ids($result->{worse}), qr/^vault: no-copy/, 'no copy is asked for any more');
    is($result->{level}, 'warning', 'that is a warning');
};

subtest 'a copy that goes bad' => sub {
    set_up();
    sealed();
    as_root('PUT', 'escrow/config', { copies => 'usb' });
    check();
    notifications();
    File::Path::remove_tree('/run/usb');
    spew('/run/usb', 'not a directory');
    my $result = check();
    like(ids($result->{worse}), qr/vault: copy-usb/, 'is named');
    unlink('/run/usb');
    mkdir('/run/usb');
    $result = check();
    like(ids($result->{repaired}), qr/vault: copy-usb/, 'and written again when it is back');
    ok(glob('/run/usb/pve-escrow/vault-*'), 'the kit is there');
};

subtest 'a master key' => sub {
    set_up();
    check();
    notifications();
    spew('/etc/pve/priv/storage/vault.master.pem', "-----BEGIN PUBLIC KEY-----\nfirst\n");
    my $result = check();
    like(ids($result->{worse}), qr/^vault: bad-master-key-[0-9a-f]{16}$/,
        'is told at first sight');
    spew('/etc/pve/priv/storage/vault.master.pem', "-----BEGIN PUBLIC KEY-----\nsecond\n");
    $result = check();
    isnt(ids($result->{worse}), '', 'another one is told too');
    my @changes = split(m/\n/, slurp('/var/log/pve-escrow/evidence.jsonl'));
    is(scalar(grep { m/master-key-changed/ } @changes), 2, 'evidence has both');
};

subtest 'a daemon without the guard' => sub {
    set_up();
    check();
    notifications();
    PVE::Cluster::broadcast_node_kv('pve-escrow', '{"time":0,"daemons":{}}');
    my $result = run_check();
    like(ids($result->{worse}), qr/^guard-node /m, 'is told');
    like(slurp('/var/log/pve-escrow/evidence.jsonl'), qr/guard-missing/, 'evidence has it');
};

subtest 'evidence that was rewritten' => sub {
    set_up();
    sealed();
    check();
    notifications();
    my $file = '/var/log/pve-escrow/evidence.jsonl';
    my $lines = slurp($file);
    spew($file, $lines =~ s/"created"/"verified"/r);
    my $result = check();
    like(ids($result->{worse}), qr/^evidence of /, 'is told');
    like((notifications())[0]->{body}, qr/line 1 was edited/, 'with what is wrong');
};

subtest 'one node for all' => sub {
    set_up();
    spew(
        '/etc/pve/priv/escrow/check.json',
        JSON::encode_json(
            { node => 'other', started => time() - 3600, finished => time() - 3500 }
        )
    );
    check(scheduled => 1);
    is_deeply([notifications()], [], 'another node has done it');
    ok(!defined(PVE::Escrow::State::get('vault')->{coverage}), 'so the server is not asked');
    check();
    is(scalar(notifications()), 1, 'unless a person wants to know');
    spew(
        '/etc/pve/priv/escrow/check.json',
        JSON::encode_json({ node => 'other', started => time() - 4 * 3600 })
    );
    $later += 3600;
    my $before = length(slurp('/run/client/log'));
    check(scheduled => 1);
    cmp_ok(
        length(slurp('/run/client/log')),
        '>', $before, 'a node that died in the middle is not waited for'
    );
};

subtest 'without quorum' => sub {
    set_up();
    read_only(1);
    like(eval { check(); 1 } ? 'went through' : $@, qr/no quorum/, 'it says so');
    read_only(0);
};

subtest 'metrics' => sub {
    set_up();
    sealed();
    check();
    my $text = slurp('/run/pve-escrow/metrics.prom');
    like($text, qr/^pve_escrow_level\{storage="vault"\} 2$/m, 'level');
    like($text, qr/^pve_escrow_seals\{storage="vault"\} 1$/m, 'seals');
    like($text, qr/^pve_escrow_proof_valid\{storage="vault"\} 1$/m, 'proof');
    like($text, qr/^pve_escrow_snapshots\{storage="vault",key="missing"\} 1$/m, 'snapshots');
    is((stat('/run/pve-escrow/metrics.prom'))[2] & oct(777), oct(644), 'others may read it');
    is((stat('/run/pve-escrow'))[2] & oct(777), oct(711), 'and it alone');
    my %types;

    for my $line (split(m/\n/, $text)) {
        like(
            $line, qr/^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{(?:\w+="[^"]*",?)+\})? [0-9.]+)$/,
            $line
        );
    }
};

subtest 'many storages, one at a time would be slow' => sub {
    set_up();
    my %stores =
        map { ("s$_" => { username => 'lab@pbs!golden', 'encryption-key' => $LIVE }) } 1 .. 12;
    storage_cfg(%stores);
    for my $storeid (keys %stores) {
        put_key($storeid);
        spew("/etc/pve/priv/storage/$storeid.pw", "the-secret-of-the-server\n");
    }
    check();
    my @seen = grep { defined(PVE::Escrow::State::get($_)->{coverage}) } sort keys %stores;
    is(scalar(@seen), 12, 'all were looked at');
    is(
        scalar(grep { PVE::Escrow::State::get($_)->{proof}->{result} eq 'valid' } @seen), 12,
        'and proven'
    );
};

done_testing();
