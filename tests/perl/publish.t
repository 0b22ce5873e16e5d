#!/usr/bin/perl -T

# The backup server as a safe for the kits: what is published there, when, and how it comes back. The stand-in for the client
# keeps what it is given, and locks it with a key where the real one would.

use v5.36;

use Cwd ();
use File::Basename ();
use File::Path ();
use JSON ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

BEGIN { install_plugin() }

use PVE::Storage;
use PVE::API2::Cluster;
use PVE::API2::Storage::Config;
use PVE::API2::Storage::Status;
use PVE::Escrow::Publish;
use PVE::Escrow::State;

my $LIVE =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $FILE = '/etc/pve/priv/storage/vault.enc';
my $PLACE = '/run/client/published/192.0.2.1:store';
my $SECRET = 'the-secret-of-the-server';

$ENV{TMPDIR} = '/run/tmp'; ## no critic (RequireLocalizedPunctuationVars)

open(STDERR, '>', '/dev/null') if !$ENV{SHOW};

my sub set_up (%cfg) {
    fresh();
    my $user = 'lab@pbs!golden';
    storage_cfg(
        vault => {
            username => $user, fingerprint => join(':', ('ab') x 32),
            'encryption-key' => $LIVE, %cfg,
        },
        twin => { username => $user, namespace => 'tenant', %cfg },
        far => { username => $user, server => '192.0.2.9' },
    );
    put_key('vault');
    put_key('far', 'vienna.enc');
    spew("/etc/pve/priv/storage/$_.pw", "$SECRET\n") for qw(vault twin far);
    spew('/etc/pve/escrow.cfg', "publish: vault\n");

    # a key that the client would use unasked
    spew('/run/home/.config/proxmox-backup/encryption-key.json', key('other.enc'));
    File::Path::make_path('/run/client', '/run/tmp');
    spew('/run/client/log', '');
    return;
}

my sub as_root ($method, $path, $param = {}) {
    return call('root@pam', $method, $path, $param);
}

my sub error_of ($code) {
    return eval { $code->(); 1 } ? 'it went through' : "$@";
}

my sub calls ($command) {
    return grep { $_->{arguments}->[0] eq $command }
        map { JSON::decode_json($_) } split(m/\n/, slurp('/run/client/log'));
}

my sub sealed ($storeid = 'vault', %options) {
    my $seal = as_root('POST', "$storeid/escrow/create", \%options);
    my $done =
        as_root('POST', "$storeid/escrow/confirm", { id => $seal->{id}, code => $seal->{code} });
    return { %$seal, copies => $done->{copies} };
}

my sub snapshots () {
    my @snapshots = sort map { m/^(.*)$/ } glob("$PLACE/host/pve-escrow-*/*Z");
    return @snapshots;
}

my sub kits_in ($snapshot) {
    return map { JSON::decode_json($_) } split(m/\n/, slurp("$snapshot/kits.conf"));
}

my sub row (%options) {
    my ($row) = PVE::Escrow::Publish::refresh($options{seconds} // 30)->@*;
    return $row;
}

my sub somebody ($name, $text) {
    my $snapshot = "$PLACE/host/pve-escrow-$name-0000000$$text[0]/2026-11-01T00:00:00Z";
    spew("$snapshot/owner", 'other@pbs');
    spew("$snapshot/kits.conf", $text->[1]);
    return $snapshot =~ s/.*published\/[^\/]+\///r;
}

my sub left_behind () {
    opendir(my $dh, '/proc') or die "/proc: $!\n";
    my $ours = readlink('/proc/self/ns/mnt');
    my @pids = grep { $_ != $$ && (readlink("/proc/$_/ns/mnt") // '') eq $ours }
        map { m/^(\d+)$/ } readdir($dh);
    my @lines = map {
        eval { slurp("/proc/$_/cmdline") }
            // ()
    } @pids;
    return grep { m/proxmox-backup-client|^sleep\0600/ } @lines;
}

subtest 'after a confirmation' => sub {
    set_up();
    my $seal = sealed('vault', label => "B\x{fc}ro");
    my ($row) = $seal->{copies}->@*;
    is($row->{result}, 'ok', 'it is published') or diag(explain($row));
    is_deeply(
        [@$row{qw(storage published outside)}], ['vault', 1, 1],
        'on the server, which is outside'
    );
    my @snapshots = snapshots();
    is(scalar(@snapshots), 1, 'as one snapshot');
    my ($group) = $snapshots[0] =~ m{host/([^/]+)/};
    like($group, qr/^pve-escrow-.+-[0-9a-f]{8}\z/, 'of a group of its own');
    my @kits = kits_in($snapshots[0]);
    is(scalar(@kits), 1, 'with the kit of what is sealed');
    is($kits[0]->{fingerprint}, $LIVE, 'of this key');
    is($kits[0]->{storage}, 'vault', 'of this storage');
    is($kits[0]->{seals}->[0]->{label}, "B\x{fc}ro", 'to the letter');
    ok(!-e "$snapshots[0]/key", 'no key locks it, though one lies in the home');
    ok(-e "$snapshots[0]/protected", 'it is protected');

    my ($call) = calls('backup');
    like("@{ $call->{arguments} }", qr/--crypt-mode none/, 'told so');
    unlike("@{ $call->{arguments} }", qr/keyfd/, 'without a key');
    isnt($call->{environment}->{HOME}, '/run/home', 'in an empty home');
    is(
        $call->{environment}->{PBS_FINGERPRINT}, join(':', ('ab') x 32),
        'the server is the right one'
    );
    unlike(
        slurp('/run/client/log') . slurp("$snapshots[0]/kits.conf"),
        qr/$SECRET|\Q$seal->{code}\E/, 'no secret'
    );

    my $status = as_root('GET', 'vault/escrow/status');
    is($status->{copies}->[0]->{published}, 1, 'status has it');
    ok(
        !(grep { $_->{id} eq 'no-copy' } $status->{reasons}->@*),
        'as a copy outside of this cluster'
    );

    sealed('far');
    is(scalar(kits_in((snapshots())[-1])), 1, 'a kit of another server does not go there');
    is(
        PVE::Escrow::State::get('far')->{copies}->{'publish:vault'}, undef,
        'and nobody asks for it'
    );

    put_key('twin', 'other.enc');
    sealed('twin');
    is(scalar(snapshots()), 2, 'another storage on this server: a new snapshot');
    my @both = kits_in((snapshots())[-1]);
    is_deeply([map { $_->{storage} } @both], [qw(twin vault)], 'with both, each in full');
    my %groups = map { m{(.*)/} ? ($1 => 1) : () } snapshots();
    is(scalar(keys %groups), 1, 'of the same group');
};

subtest 'what has not changed' => sub {
    set_up();
    sealed();
    is(row()->{result}, 'ok', 'is fine');
    is(scalar(snapshots()), 1, 'and is not published again');
    cmp_ok(scalar(calls('restore')), '>=', 2, 'but read back');

    my ($snapshot) = snapshots();
    my $kits = slurp("$snapshot/kits.conf");
    spew("$snapshot/kits.conf", $kits =~ s/192\.0\.2\.1/192.0.2.7/r);
    is(row()->{result}, 'ok', 'a snapshot that was changed');
    is(slurp((snapshots())[-1] . '/kits.conf'), $kits, 'is published anew');
    File::Path::remove_tree(snapshots());
    is(row()->{result}, 'ok', 'one that was removed');
    is(slurp((snapshots())[-1] . '/kits.conf'), $kits, 'too');
};

subtest 'without the key' => sub {
    set_up();
    my $seal = sealed();
    my ($first) = snapshots();
    unlink($FILE);
    File::Path::remove_tree($first);
    is(row()->{result}, 'ok', 'it is published still');
    is(
        (kits_in((snapshots())[-1]))[0]->{fingerprint}, $LIVE,
        'with the kit of the key that is gone'
    );

    unlink(map { m/^(.*)$/ }
            glob('/etc/pve/priv/escrow/*.json /var/lib/pve-escrow/records/*.json'));
    my $evil =
        '{"version":1,"seals":[{"blob":"x"}],"fingerprint":"' . $LIVE . '","storage":"vault"}';
    my @others = (
        somebody('evil', [1, "no JSON\n"]), somebody('evil', [2, 'x' x 2_000_000]),
        somebody('evil', [3, "$evil\n"]), somebody('evil', [4, "\xff\n"]),
        somebody('evil', [5, 'y' x 70_000 . "\n"]),
    );
    my $words = join(' ', reverse split(m/ /, $seal->{code}));
    my $error = error_of(
        sub { as_root('POST', 'vault/escrow/recover', { copy => 'vault', code => $words }) });
    like($error, qr/^wrong recovery code/, 'other words');
    like($error, qr/\Q$others[$_]\E: /, "names $others[$_]") for 0, 1, 3, 4;
    my $done =
        as_root('POST', 'vault/escrow/recover', { copy => 'vault', code => $seal->{code} });
    is($done->{fingerprint}, $LIVE, 'the words bring it back from the server');
    is(
        JSON::decode_json(slurp($FILE))->{data}, JSON::decode_json(key('live.enc'))->{data},
        'the very key'
    );
};

subtest 'a server that does not' => sub {
    set_up();
    spew('/run/client/backup', 'login');
    my $seal = sealed();
    is($seal->{copies}->[0]->{result}, 'error', 'take it');
    like($seal->{copies}->[0]->{text}, qr/permission check failed/, 'says why');
    is(
        as_root('GET', 'vault/escrow/status')->{state}, 'sealed',
        'the seal counts all the same'
    );
    ok(
        (grep { $_->{id} eq 'no-copy' } as_root('GET', 'vault/escrow/status')->{reasons}->@*),
        'there is no copy'
    );
    unlink('/run/client/backup');

    spew('/run/client/backup', 'locked');
    is(row()->{result}, 'ok', 'take it just now is asked again');
    File::Path::remove_tree(snapshots());

    spew('/run/client/protected', 'login');
    my $row = row();
    is($row->{result}, 'ok', 'protect it');
    like($row->{text}, qr/does not let it be protected/, 'says so');
    File::Path::remove_tree(snapshots());

    spew('/run/client/backup', 'hang');
    $row = row(seconds => 2);
    is($row->{result}, 'error', 'answer');
    like($row->{text}, qr/no answer within 2 seconds/, 'says so');
    is_deeply([left_behind()], [], 'no child is left');
    unlink('/run/client/backup');

    spew('/etc/pve/escrow.cfg', "publish: nowhere,far\n");
    my @rows = PVE::Escrow::Publish::write_all()->@*;
    is_deeply([map { $_->{result} } @rows], [qw(error ok)], 'exist');
    like($rows[0]->{text}, qr/nowhere.*does not exist/, 'is named, and others go on');
};

subtest 'a server on this node' => sub {
    set_up(server => 'localhost');
    spew(
        '/etc/proxmox-backup/datastore.cfg',
        "datastore: store\n\tpath $ROOT/tests/vectors/datastore\n",
    );
    my $seal = sealed();
    is($seal->{copies}->[0]->{result}, 'ok', 'is published to');
    is($seal->{copies}->[0]->{outside}, 0, 'and is not outside');
    like($seal->{copies}->[0]->{text}, qr/lost with it/, 'says so');
};

subtest 'what is published is no backup of a machine' => sub {
    set_up();
    sealed();
    require PVE::Escrow::Coverage;
    my $coverage = PVE::Escrow::Coverage::look('vault', PVE::Escrow::Storage::config('vault'));
    is_deeply($coverage->{'plain-hosts'}, ['labhost'], 'but others are');
};

done_testing();
