#!/usr/bin/perl -T

# A bare node, a login on the backup server, and ten words: that is all there is after a fire.

use v5.36;

use Cwd ();
use File::Basename ();
use File::Path ();
use JSON ();
use Test::More;
use Time::HiRes ();

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;
use Escrow::Test::Tool qw(on_terminal pveescrow);

BEGIN { install_plugin() }

use PVE::Storage;
use PVE::API2::Cluster;
use PVE::API2::Storage::Status;

my $LIVE =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $SHORT = substr($LIVE, 0, 23);
my $SECRET = 'the-secret-of-the-server';
my $TLS = join(':', ('ab') x 32);
my $REPOSITORY = 'lab@pbs!golden@192.0.2.1:store';
my $PLACE = '/run/client/published/192.0.2.1:store';

my sub bootstrap (@more) {
    return pveescrow(
        'bootstrap', '--repository', $REPOSITORY, '--fingerprint', $TLS, '--password-file',
        '/run/secret',
        '--code-file', '/run/code', @more,
    );
}

my sub calls () {
    return map { JSON::decode_json($_) } split(m/\n/, slurp('/run/client/log'));
}

# what a cluster left on its server, and the words on paper
my ($published, $words);

my sub cluster () {
    fresh();
    my %common = (username => 'lab@pbs!golden', fingerprint => $TLS);
    storage_cfg(
        vault => \%common,
        archive => { %common, datastore => 'archive' },
        renamed => { %common, server => '192.0.2.1', port => 8007, namespace => 'tenant' },
    );
    put_key($_) for qw(vault archive renamed);
    spew("/etc/pve/priv/storage/$_.pw", "$SECRET\n") for qw(vault archive renamed);
    spew('/etc/pve/escrow.cfg', "publish: vault\n");
    File::Path::make_path('/run/client', '/run/tmp');
    my $made = pveescrow(qw(create vault --code-out /run/code));
    my ($id) = $made->{out} =~ m/seal (\S+) is pending/;
    my $confirmed = pveescrow('confirm', 'vault', $id, '--code-file', '/run/code');
    is($confirmed->{code}, 0, 'a cluster, and its kits on the server') or diag($confirmed->{out});
    $words = slurp('/run/code');
    my ($snapshot) = map { m/^(.*)$/ } glob("$PLACE/host/*/*Z");
    $published = {
        snapshot => $snapshot, kits => slurp("$snapshot/kits.conf"),
        owner => slurp("$snapshot/owner")
    };
    return;
}

my sub published ($snapshot, $kits, $owner = $published->{owner}) {
    spew("$snapshot/owner", $owner);
    spew("$snapshot/kits.conf", $kits);
    return;
}

# nothing but the words and the secret
my sub bare () {
    fresh();
    storage_cfg();
    File::Path::make_path('/run/client', '/run/tmp');
    spew('/run/client/log', '');
    spew('/run/code', $words);
    spew('/run/secret', "$SECRET\n");
    published($published->{snapshot}, $published->{kits});
    return;
}

my sub wherever_it_was_sent () {
    my %seen;
    for my $call (calls()) {
        my ($repository) = "@{ $call->{arguments} }" =~ m/--repository (\S+)/;
        $seen{ $repository . ' ' . ($call->{environment}->{PBS_FINGERPRINT} // '') }++;
    }
    my @places = sort keys %seen;
    return @places;
}

# where pveescrow looks for the client, unless the modules of Proxmox VE are doubles
my $CLIENT = '/usr/bin/proxmox-backup-client';
plan(skip_all => "$CLIENT is not the stand-in")
    if !is_double() && (eval { slurp($CLIENT) } // '') !~ m{tests/pve/bin/};

cluster();

subtest 'end to end' => sub {
    bare();
    my $done = bootstrap();
    is($done->{code}, 0, 'done') or diag($done->{out});
    like(
        $done->{out}, qr/^storage vault, key $SHORT, made 20\S+, in host\/pve-escrow-\S+$/m,
        'what there is'
    );
    like($done->{out}, qr/^storage 'vault' was made, and has key \Q$LIVE\E\.$/m, 'a storage');
    is(
        JSON::decode_json(slurp('/etc/pve/priv/storage/vault.enc'))->{data},
        JSON::decode_json(key('live.enc'))->{data}, 'the very key',
    );
    is(slurp('/etc/pve/priv/storage/vault.pw'), "$SECRET\n", 'the secret');
    my $cfg = slurp('/etc/pve/storage.cfg');
    like($cfg, qr/^pbs: vault\n.*^\tencryption-key \Q$LIVE\E$/ms, 'its section');
    like($cfg, qr/^\tfingerprint $TLS$/m, 'with the certificate that was typed');
    like(
        $done->{out}, qr{^proof of key $SHORT: valid: 1 snapshot, \d+ bytes decrypted$}m,
        'a proof'
    );
    like(
        $done->{out}, qr{^  qmrestore vault:backup/vm/200/2024-06-05T17:00:00Z 200$}m,
        'what can be restored'
    );
    like(
        $done->{out},
        qr{^  pct restore 100 vault:backup/ct/100/2024-06-06T16:00:00Z    # the newest of 2$}m,
        'and which is the newest'
    );
    unlike($done->{out}, qr{vm/201/.* 201$}m, 'another key\'s are not');

    like(
        $done->{out},
        qr/^left alone: storage archive, another datastore:.*Next: pveescrow recover archive --kit (\S+)$/m,
        'a kit of another datastore'
    );
    unlike($cfg, qr/archive/, 'is left alone');
    is_deeply([wherever_it_was_sent()], ["$REPOSITORY $TLS"], 'the secret went to one place');
    unlike($done->{out}, qr/$SECRET|\Q$words\E/, 'and is not shown');
    unlike(slurp('/run/client/log'), qr/$SECRET/, 'nor in an argument');
    is_deeply(
        [glob('/run/pve-escrow/secret* /run/pve-escrow/recover*')], [],
        'nothing is left'
    );

    my $again = bootstrap();
    is($again->{code}, 0, 'once more');
    like($again->{out}, qr/^storage 'vault' has key/m, 'changes nothing');
    my ($kit) = $done->{out} =~ m/recover archive --kit (\S+)$/m;
    my $archive = pveescrow(
        'recover', 'archive', '--kit', $kit, '--code-file', '/run/code',
        '--password-file', '/run/secret'
    );
    like($archive->{out}, qr/^storage 'archive' has key/m, 'the command for the other is right')
        or diag($archive->{out});
};

subtest 'at a terminal' => sub {
    bare();
    my $typed = join("\n", $SECRET, split(m/\s+/, $words), '', '');
    my $done =
        on_terminal($typed, 'bootstrap', '--repository', $REPOSITORY, '--fingerprint', $TLS);
    like($done->{out}, qr/Secret of lab\@pbs!golden: /, 'asks for the secret');
    like($done->{out}, qr/^storage 'vault' was made/m, 'and the words') or diag($done->{out});
};

# the real modules don't wait for a task
my sub task_log () {
    for (1 .. 300) {
        my ($log) = map { m/^(.*)$/ }
            grep { -e } glob('/var/log/pve/tasks/{,*/}*escrowbootstrap*');
        my $text = defined($log) ? slurp($log) : '';
        return $text if $text =~ m/^TASK /m;
        Time::HiRes::sleep(0.1);
    }
    return 'no task ended';
}

subtest 'API' => sub {
    bare();
    my %login = (repository => $REPOSITORY, fingerprint => $TLS, password => $SECRET);
    my $found = call('root@pam', 'POST', 'escrow/bootstrap/kits', {%login});
    my ($vault) = grep { $_->{storage} eq 'vault' } $found->{kits}->@*;
    is($vault->{fingerprint}, $LIVE, 'the kits that are there');
    like($vault->{snapshot}, qr{^host/pve-escrow-}, 'and where');
    ok(!-e '/etc/pve/priv/storage/vault.enc', 'nothing is done yet');

    my $wrong = eval {
        call('root@pam', 'POST', 'escrow/bootstrap/kits', { %login, password => 'other' });
        1;
    } ? 'it went through' : $@;
    like($wrong, qr/authentication failed/, 'a wrong secret');
    my $before = slurp('/run/client/log');
    for my $ns ('not one!', "tenant\n") {
        my $went = eval {
            call('root@pam', 'POST', 'escrow/bootstrap/kits', { %login, ns => $ns });
            1;
        } ? 'it went through' : $@;
        like($went, qr/can't be the name of a namespace/, 'a wrong namespace is not the root');
    }
    {
        my $rpcenv = PVE::RPCEnvironment::get();
        local $rpcenv->{type} = 'cli';
        local $0 = '/usr/bin/pvesh';
        for my $path ('bootstrap', 'bootstrap/kits') {
            my %param = (%login, $path eq 'bootstrap' ? ('code-file' => '/run/code') : ());
            my $went =
                eval { call('root@pam', 'POST', "escrow/$path", \%param); 1 }
                ? 'it went through'
                : "$@";
            like($went, qr/not as an argument.*pveescrow bootstrap/,
                "$path: no secret of pvesh");
        }
    }
    is(slurp('/run/client/log'), $before, 'the server was not asked');

    call('root@pam', 'POST', 'escrow/bootstrap', { %login, code => $words });
    my $log = task_log();
    like($log, qr/^storage 'vault' was made, and has key \Q$LIVE\E\.$/m, 'a storage');
    like(
        $log, qr{^  qmrestore vault:backup/vm/200/2024-06-05T17:00:00Z 200$}m,
        'what to do now'
    );
    like($log, qr/^TASK OK$/m, 'proven');
    unlike($log, qr/$SECRET|\Q$words\E/, 'no secret in the log');
    is_deeply([wherever_it_was_sent()], ["$REPOSITORY $TLS"], 'the secret went to one place');

    spew('/etc/pve/user.cfg', "user:alice\@pve:1:0:::::\nacl:1:/:alice\@pve:PVEAdmin:\n");
    for my $path ('bootstrap', 'bootstrap/kits') {
        for my $user ('alice@pve', 'root@pam!token') {
            my %param = (%login, $path eq 'bootstrap' ? (code => $words) : ());
            my $went = eval { call($user, 'POST', "escrow/$path", \%param); 1 };
            ok(!$went, "$path: not for $user");
        }
    }
};

subtest 'the user who has the token' => sub {
    bare();
    my $user = $REPOSITORY =~ s/!golden//r;
    my @typed = (
        'bootstrap', '--repository', $user, '--fingerprint', $TLS,
        qw(--code-file /run/code --password-file /run/secret),
    );
    my $done = pveescrow(@typed);
    like($done->{out}, qr/^storage 'vault' was made/m, 'may use its backups')
        or diag($done->{out});
    like(
        slurp('/etc/pve/storage.cfg'),
        qr/^\tusername lab\@pbs$/m, 'and is the one of the storage'
    );
    is_deeply([wherever_it_was_sent()], ["$user $TLS"], 'the secret went to one place');

    bare();
    storage_cfg(vault =>
            { username => 'lab@pbs!golden', fingerprint => $TLS, 'encryption-key' => $LIVE });
    $done = pveescrow(@typed);
    like(
        $done->{out}, qr/there is a storage of this name already, of another user/,
        'a storage of the token'
    );
    ok(!-e '/etc/pve/priv/storage/vault.pw', 'does not get the password of the user');
};

subtest 'a storage that is there' => sub {
    bare();
    storage_cfg(vault =>
            { username => 'lab@pbs!golden', fingerprint => $TLS, 'encryption-key' => $LIVE });
    is(bootstrap()->{code}, 0, 'gets its key back');
    ok(-e '/etc/pve/priv/storage/vault.enc', 'it is there');
    is(
        slurp('/etc/pve/priv/storage/vault.pw'), "$SECRET\n",
        'and the secret, since it had none'
    );

    bare();
    storage_cfg(
        vault => {
            username => 'lab@pbs!golden', fingerprint => join(':', ('cd') x 32),
            'encryption-key' => $LIVE
        }
    );
    my $done = bootstrap();
    like(
        $done->{out}, qr/storage 'vault': it has no secret, and names another certificate/,
        'another certificate'
    );
    ok(!-e '/etc/pve/priv/storage/vault.pw', 'gets no secret');

    bare();
    storage_cfg(vault =>
            { username => 'lab@pbs!golden', server => '192.0.2.66', 'encryption-key' => $LIVE });
    $done = bootstrap();
    like(
        $done->{out},
        qr/storage 'vault': there is a storage of this name already, of another server/,
        'another server'
    );
    ok(!-e "/etc/pve/priv/storage/vault.$_", "gets no $_") for qw(enc pw);
    is_deeply([grep { m/192\.0\.2\.66/ } wherever_it_was_sent()], [], 'is not talked to');

    bare();
    storage_cfg(vault => { username => 'lab@pbs!golden', fingerprint => $TLS });
    put_key('vault', 'other.enc');
    spew('/etc/pve/priv/storage/vault.pw', "$SECRET\n");
    $done = bootstrap();
    is(slurp('/etc/pve/priv/storage/vault.enc'), key('other.enc'), 'another key stays');
    like(
        $done->{out},
        qr/Key $SHORT is kept as [0-9a-f]{64}\..*pveescrow recover vault-old --kit (\S+)$/m,
        'and this one is kept'
    ) or diag($done->{out});
};

subtest 'what somebody else put there' => sub {
    bare();
    my ($good) = grep { m/"storage":"vault"/ } split(m/\n/, $published->{kits});
    my $stolen = $good =~ s/192\.0\.2\.1"/203.0.113.1"/r;
    isnt($stolen, $good, 'a kit with a changed server');
    my %evil = (
        'pve-escrow-evil-00000001' => "$stolen\n",
        'pve-escrow-evil-00000002' => "not JSON\n",
        'pve-escrow-evil-00000003' => 'x' x 3_000_000,
        'pve-escrow-evil-00000004' => "$good\n" =~ s/"seals":\[/"seals":[7,/r,
        'pve-escrow-evil-00000005' => "\x00\xff\xfe",
        'pve-escrow-evil-00000006' =>
            '{"version":1,"storage":"../../x","fingerprint":{},"seals":[{"blob":"\u001b[2J"}]}'
            . "\n",
    );
    published("$PLACE/host/$_/2026-12-31T00:00:00Z", $evil{$_}, 'other@pbs')
        for sort keys %evil;
    my $done = bootstrap();
    is($done->{code}, 0, 'it goes on') or diag($done->{out});
    like(
        $done->{out}, qr{^not used: host/pve-escrow-evil-0000000$_/\S+: \S}m,
        "number $_ is named"
    ) for 2, 3, 5;
    like(
        $done->{out},
        qr{^NOT USED: the kit in host/pve-escrow-evil-00000001/\S+: .*somebody changed it}m,
        'the changed server is found out'
    );
    unlike($done->{out}, qr/\e\[2J/, 'nothing is shown as it came');
    like($done->{out}, qr/^storage 'vault' was made/m, 'the good one counts');
    is_deeply([wherever_it_was_sent()], ["$REPOSITORY $TLS"], 'the secret went to one place');
    is_deeply(
        [grep { m/evil|203/ } map { slurp($_) } '/etc/pve/storage.cfg'], [],
        'nothing of it is configured'
    );
};

subtest 'refused' => sub {
    bare();
    spew('/run/code', join(' ', reverse split(m/\s+/, $words)));
    my $done = bootstrap();
    isnt($done->{code}, 0, 'wrong words');
    like($done->{out}, qr/wrong recovery code: it opens none of these kits/, 'says so');
    is(slurp('/etc/pve/storage.cfg'), '', 'nothing is made');
    ok(!glob('/etc/pve/priv/storage/*'), 'no file');

    bare();
    spew('/run/secret', "wrong\n");
    $done = bootstrap();
    like($done->{out}, qr/authentication failed/, 'a wrong secret');

    bare();
    File::Path::remove_tree("$PLACE/host");
    $done = bootstrap();
    like(
        $done->{out}, qr/no kit was published in the root namespace of datastore store/,
        'nothing there'
    );
    isnt($done->{code}, 0, 'is a failure');

    $done = pveescrow(
        qw(bootstrap --repository store --code-file /run/code --password-file /run/secret));
    like($done->{out}, qr/does not say who and where/, 'half a repository');

    bare();
    $done = pveescrow(
        'bootstrap', '--repository', 'root@pam@192.0.2.1:store', '--fingerprint', $TLS,
        qw(--code-file /run/code --password-file /run/secret),
    );
    like(
        $done->{out}, qr/^left alone: storage vault, another user: .*delete-token/m,
        'another user: how to become the right one'
    );
    is(slurp('/etc/pve/storage.cfg'), '', 'nothing is made');
};

done_testing();
