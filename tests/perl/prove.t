#!/usr/bin/perl -T

# Proofs and drills on the data of the real client and server, through a stand-in for the client that answers as it does.

use v5.36;

use Compress::Zlib ();
use Cwd ();
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use File::Basename ();
use File::Path ();
use JSON ();
use MIME::Base64 ();
use POSIX ();
use Test::More;
use Time::HiRes ();

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

BEGIN { install_plugin() }

use PVE::Storage;
use PVE::API2::Cluster;
use PVE::API2::Storage::Config;
use PVE::API2::Storage::Status;
use PVE::Escrow::Prove;
use PVE::Escrow::State;

my $LIVE =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $OTHER_SHORT = '7d:34:d4:ed:c3:20:5d:a3';
my $SECRET = 'the-secret-of-the-server';

# nobody else's
$ENV{TMPDIR} = '/run/tmp'; ## no critic (RequireLocalizedPunctuationVars)

# what is told in passing is not for the log of the tests
open(STDERR, '>', '/dev/null') if !$ENV{SHOW};

my sub set_up (%options) {
    fresh();
    storage_cfg(
        vault => {
            username => 'lab@pbs!golden', fingerprint => join(':', ('ab') x 32),
            'encryption-key' => $LIVE,
            ($options{cfg} // {})->%*,
        },
        local => { type => 'dir', path => '/srv' },
    );
    put_key('vault', $options{key} // 'live.enc');
    spew('/etc/pve/priv/storage/vault.pw', "$SECRET\n");
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

# what the client does from now on
my sub client ($command, $trick) {
    unlink("/run/client/$command");
    spew("/run/client/$command", $trick) if defined($trick);
    return;
}

my sub calls () {
    return map { JSON::decode_json($_) } split(m/\n/, slurp('/run/client/log'));
}

my sub task_log () {
    my ($newest) =
        reverse sort { -M $b <=> -M $a } map { m/^(.*)$/ } glob('/var/log/pve/tasks/*escrow*');
    ($newest) = map { m/^(.*)$/ } glob('/var/log/pve/tasks/*/*escrow*') if !defined($newest);
    return defined($newest) ? slurp($newest) : '';
}

# the real ones go on after the call
my sub task ($path, $param = {}) {
    my $upid = as_root('POST', $path, $param);
    for (1 .. 3000) {
        last if task_log() =~ m/^TASK /m || is_double();
        Time::HiRes::sleep(0.02);
    }
    return $upid;
}

my sub proof (%param) {
    unlink(map { m/^(.*)$/ } glob('/var/log/pve/tasks/*escrow* /var/log/pve/tasks/*/*escrow*'));
    task('vault/escrow/prove', \%param);
    return PVE::Escrow::State::get('vault')->{ defined($param{code}) ? 'drill' : 'proof' };
}

my sub look () {
    unlink(map { m/^(.*)$/ } glob('/var/log/pve/tasks/*escrow* /var/log/pve/tasks/*/*escrow*'));
    return task('vault/escrow/coverage');
}

my sub sealed () {
    my $seal = as_root('POST', 'vault/escrow/create');
    as_root('POST', 'vault/escrow/confirm', { id => $seal->{id}, code => $seal->{code} });
    return $seal;
}

# of this test: others may run at the same time
my sub processes () {
    opendir(my $dh, '/proc') or die "/proc: $!\n";
    my $ours = readlink('/proc/self/ns/mnt');
    return map { [$_ => eval { slurp("/proc/$_/cmdline") } // ''] }
        grep { $_ != $$ && (readlink("/proc/$_/ns/mnt") // '') eq $ours }
        map { m/^(\d+)$/ } readdir($dh);
}

my sub left_behind () {
    my @lines = map { $_->[1] } processes();
    my @running = grep { m/proxmox-backup-client|^sleep\0600/ } @lines;
    push @running, glob('/run/tmp/*'), glob('/run/pve-escrow/recover*');
    return @running;
}

subtest 'a proof' => sub {
    set_up();
    my $proof = proof();
    is($proof->{result}, 'valid', 'valid') or diag(explain($proof));
    is($proof->{fingerprint}, $LIVE, 'of the live key');
    is($proof->{snapshots}, 4, 'the newest of each group that is encrypted with it');
    is($proof->{bytes}, 12_583_141 + 296_004 + 800 + 208, 'all of them, since they are small');
    my $status = as_root('GET', 'vault/escrow/status');
    is($status->{proof}->{result}, 'valid', 'status has it');
    like($status->{proof}->{upid}, qr/^UPID:.*escrowprove/, 'with its task');
    like(
        task_log(), qr{^vm/200/2024-06-05T17:00:00Z: valid, 2 files}m,
        'the log says what was opened'
    );
    like(
        task_log(), qr{^vm/201/.*: skipped: it was made with key $OTHER_SHORT}m,
        'and what was not'
    );

    my ($restore) = grep { $_->{arguments}->[0] eq 'restore' } calls();
    is(
        $restore->{environment}->{PBS_FINGERPRINT}, join(':', ('ab') x 32),
        'the server is the right one'
    );
    isnt($restore->{environment}->{HOME}, '/root', 'a home of its own');
    is(
        proof(sample => 1)->{bytes}, 1_048_576 + 229 + 296_004 + 800 + 208,
        '1 MiB of each archive'
    );
    my $one = proof(snapshots => ['ct/100/2024-06-05T16:00:00Z'], full => 1);
    is($one->{snapshots}, 1, 'one that is named');
    is($one->{result}, 'valid', 'valid');
    is_deeply([left_behind()], [], 'nothing is left');
};

subtest 'a drill' => sub {
    set_up();
    my $seal = sealed();
    like(
        error_of(sub { proof(code => $seal->{code} =~ s/(\S+) (\S+)$/$2 $1/r) }),
        qr/^wrong recovery code/, 'a wrong code, at once',
    );
    is(PVE::Escrow::State::get('vault')->{drill}, undef, 'is no drill');
    unlink('/etc/pve/priv/storage/vault.enc');
    my $drill = proof(code => $seal->{code});
    is($drill->{result}, 'valid', 'valid, without a live key') or diag(explain($drill));
    my %controls = $drill->{controls}->%*;
    is_deeply([sort keys %controls], [qw(sealed-blob without-key wrong-code)], 'controls');
    is(scalar(grep { $_->{refused} } values %controls), 3, 'all refused');
    like(
        $controls{'without-key'}->{text}, qr/^missing key - manifest was created with key/,
        'by the client'
    );
    unlike(task_log(), qr/\Q$seal->{code}\E|$SECRET/, 'no secret in the log');
    ok(!-e '/etc/pve/priv/storage/vault.enc', 'no key came back');
    is_deeply([left_behind()], [], 'nothing is left');
};

subtest 'another key' => sub {
    set_up(key => 'vienna.enc');
    my $proof = proof();
    is($proof->{result}, 'unknown', 'a key of no snapshot proves nothing');
    like($proof->{text}, qr/no snapshot of this key was found/, 'and says so');
    $proof = proof(snapshots => ['ct/100/2024-06-05T16:00:00Z']);
    is($proof->{result}, 'invalid', 'but a snapshot that is named is not opened');
    like($proof->{text}, qr/wrong key - .* does not match provided key/, 'and says why');
    like(task_log(), qr/^TASK ERROR: not proven: /m, 'the task has failed');
};

my $TRICKS = {
    damaged => ['invalid', qr/wrong signature in manifest/],
    unreachable => ['unknown', qr/Connection refused/],
    login => ['unknown', qr/permission check failed/],
    owner => ['unknown', qr/owner check failed/],
    panic => ['unknown', qr/panicked|boom/],
    die => ['unknown', qr/the client was killed/],
    flood => ['unknown', qr/gave more than \d+ bytes/],
};
for my $trick (sort keys %$TRICKS) {
    subtest "a client that is $trick" => sub {
        my ($result, $text) = $TRICKS->{$trick}->@*;
        for my $command (qw(restore snapshot)) {
            set_up();
            client($command, $trick);
            my $proof = proof();
            my $expected = $command eq 'snapshot' ? 'unknown' : $result;
            is($proof->{result}, $expected, "$command: $expected") or diag(explain($proof));
            like($proof->{text}, $text, "$command: in its words")
                if $command eq 'restore' || $trick !~ m/flood|damaged/;
        }
        is_deeply([left_behind()], [], 'nothing is left');
    };
}

subtest 'damaged data' => sub {
    set_up();
    my $copy = '/run/store';
    system('cp', '-r', "$ROOT/tests/vectors/datastore", $copy) == 0 or die "cp failed\n";
    symlink($copy, '/run/client/datastore');
    my ($chunk) = sort { -s $b <=> -s $a } map { m/^(.*)$/ } glob("$copy/.chunks/*/*");
    my $bytes = slurp($chunk);
    substr($bytes, -1, 1) ^.= "\1";
    chmod(oct(644), $chunk);
    spew($chunk, $bytes);
    my $proof = proof(full => 1);
    is($proof->{result}, 'invalid', 'is found');
    like($proof->{text}, qr/root\.pxar\.didx: .* CRC checksum/, 'and named, with the file');
    unlink($chunk);
    $proof = proof(full => 1);
    is($proof->{result}, 'invalid', 'a chunk that is gone is damage, too');
    like($proof->{text}, qr/root\.pxar\.didx: .* No such file/, 'and named');
    spew($chunk, $bytes);

    my $manifest = "$copy/ct/103/2024-06-05T21:00:00Z/index.json.blob";
    system(
        'cp', "$ROOT/tests/vectors/datastore/ct/102/2024-06-05T20:00:00Z/index.json.blob",
        $manifest
    );
    $proof = proof(snapshots => ['ct/103/2024-06-05T21:00:00Z']);
    is($proof->{result}, 'invalid', 'the manifest of another snapshot, which the client takes');
    like($proof->{text}, qr{belongs to snapshot ct/102/}, 'is found here');
};

# with the live key, what signs a manifest: PBKDF2 of ten rounds
my sub id_key () {
    my $key = MIME::Base64::decode(JSON::decode_json(key('live.enc'))->{data});
    my $block = hmac_sha256('_id_key' . pack('N', 1), $key);
    my $id_key = $block;
    $id_key ^.= $block = hmac_sha256($block, $key) for 2 .. 10;
    return $id_key;
}

# a manifest that lists other files, as whoever has the key can make it
my sub rewrite_manifest ($path, $change) {
    my $manifest = JSON::decode_json(scalar(qx{tail -c +13 '$path' | zstd -dcq}));
    $manifest->{files} = [map { $change->($_) } $manifest->{files}->@*];
    my %signed = %$manifest;
    delete @signed{qw(signature unprotected)};
    my $json = JSON->new->canonical;
    $manifest->{signature} = hmac_sha256_hex($json->encode(\%signed), id_key());
    spew('/run/manifest', $json->encode($manifest));
    my $packed = qx{zstd -cq /run/manifest};
    spew($path, pack('H* V', '31b958426fb6a37f', Compress::Zlib::crc32($packed)) . $packed);
    return;
}

subtest 'a split archive' => sub {
    set_up();
    my $copy = '/run/store';
    system('cp', '-r', "$ROOT/tests/vectors/datastore", $copy) == 0 or die "cp failed\n";
    symlink($copy, '/run/client/datastore');
    my $snapshot = 'ct/100/2024-06-06T16:00:00Z';
    my $manifest = "$copy/$snapshot/index.json.blob";
    rewrite_manifest(
        $manifest,
        sub ($file) {
            my $name = $file->{filename};
            return if $name eq 'catalog.pcat1.didx';
            return $file if $name ne 'root.pxar.didx';
            return map { +{ $file->%*, filename => "root.$_.didx" } } qw(mpxar ppxar);
        },
    );
    my $proof = proof(snapshots => [$snapshot]);
    is($proof->{result}, 'valid', 'which the client does not pipe, is no doubt of the rest')
        or diag(explain($proof));
    like(
        task_log(),
        qr{^$snapshot: valid, 1 file, 208 bytes decrypted; root\.mpxar\.didx not, }m,
        'but named'
    );
    rewrite_manifest(
        $manifest,
        sub ($file) { return $file->{filename} =~ m/\.[mp]pxar\./ ? $file : () },
    );
    $proof = proof(snapshots => [$snapshot]);
    is($proof->{result}, 'unknown', 'nothing else: that is no proof') or diag(explain($proof));
    like($proof->{text}, qr/this client gives out nothing of it/, 'says so');
};

subtest 'the datastore is on this node' => sub {
    set_up(cfg => { server => 'localhost' });
    spew(
        '/etc/proxmox-backup/datastore.cfg',
        "datastore: other\n\tpath /srv\n\ndatastore: store\n\tpath $ROOT/tests/vectors/datastore\n"
    );
SKIP: {
        skip 'the vectors have no chunks directory', 1
            if !-d "$ROOT/tests/vectors/datastore/.chunks";
        my $proof = proof();
        is($proof->{result}, 'valid', 'valid') or diag(explain($proof));
        is(scalar(calls()), 0, 'without the client');
    }
    my $coverage = do {
        look();
        as_root('GET', 'vault/escrow/coverage');
    };
    is($coverage->{snapshots}, 8, 'coverage too');
};

subtest 'cancelled' => sub {
    set_up();
    client('restore', 'hang');
    my $pid = fork() // die "fork: $!\n";
    if (!$pid) {
        eval { as_root('POST', 'vault/escrow/prove') };
        POSIX::_exit(0);
    }
    my $worker;
    for (1 .. 500) {
        my @running = grep { m/restore/ } left_behind();
        ($worker) = map { $_->[1] =~ m/^task UPID/ ? $_->[0] : () } processes();
        last if @running && $worker;
        Time::HiRes::sleep(0.02);
    }
    ok($worker, 'it hangs') or return;
    kill('TERM', -$worker);
    waitpid($pid, 0);
    for (1 .. 500) {
        last if task_log() =~ m/^TASK /m && !left_behind();
        Time::HiRes::sleep(0.02);
    }
    like(
        task_log(), qr/^TASK (?:ERROR: )?.*(?:stopped on request|received interrupt)/m,
        'it ends'
    );
    is_deeply([left_behind()], [], 'no child and no file is left');
    is(PVE::Escrow::State::get('vault')->{proof}, undef, 'and no result');
};

subtest 'coverage' => sub {
    set_up();
    is_deeply(as_root('GET', 'vault/escrow/coverage'), {}, 'nobody has looked yet');
    look();
    my $coverage = as_root('GET', 'vault/escrow/coverage');
    is($coverage->{snapshots}, 8, 'all namespaces');
    is($coverage->{plain}, 1, 'one without a key');
    is($coverage->{'without-rsa'}, 2, 'encrypted without a copy for a master key');
    is_deeply($coverage->{'plain-hosts'}, ['labhost'], 'of this machine');
    my @keys = map { [$_->{fingerprint}, $_->{snapshots}, $_->{state}] } $coverage->{keys}->@*;
    is_deeply($keys[0], [$LIVE, 6, 'live'], 'the key of the storage');
    is($keys[1]->[2], 'missing', 'another one, which is nowhere');
    sealed();
    $coverage = as_root('GET', 'vault/escrow/coverage');
    is($coverage->{keys}->[0]->{state}, 'sealed', 'sealed since');
    my $status = as_root('GET', 'vault/escrow/status');
    is($status->{level}, 'critical', 'snapshots of a key that is nowhere');
    like(
        $status->{verdict},
        qr/^1 snapshot needs key $OTHER_SHORT, which is not on this cluster/, 'are named'
    );
    as_root('PUT', 'escrow/config', { acknowledged => $coverage->{keys}->[1]->{fingerprint} });
    is(
        as_root('GET', 'vault/escrow/coverage')->{keys}->[1]->{state}, 'acknowledged',
        'it is theirs'
    );
    $status = as_root('GET', 'vault/escrow/status');
    is($status->{level}, 'warning', 'then it is less bad');
    like(
        $status->{verdict}, qr/on this cluster only|guard/,
        'and something else is to be done'
    );

    # a list that can't be understood is no empty one
    client('list.json', '[{"backup-type":"ct","backup-id":7}]');
    look();
    my @reasons = as_root('GET', 'vault/escrow/status')->{reasons}->@*;
    ok((grep { $_->{id} eq 'blind-coverage' } @reasons), 'what could not be read is told');
    client('list.json', undef);

    look();

    # neither a key file nor storage.cfg says which key it was
    storage_cfg(vault => { username => 'lab@pbs!golden' });
    put_key('vault', 'vienna.enc');
    my $foreign = call('root@pam', 'POST', 'vault/escrow/create');
    as_root('POST', 'vault/escrow/confirm', { id => $foreign->{id}, code => $foreign->{code} });
    my $kit = as_root('GET', 'vault/escrow/kit')->{kit};
    unlink('/etc/pve/priv/storage/vault.enc');
    like(
        error_of(sub {
            as_root(
                'POST', 'vault/escrow/recover',
                { code => $foreign->{code}, source => $kit }
            );
        }),
        qr/opens key .*, but \Q$LIVE\E is needed/,
        'what the newest snapshot needs is expected'
    );
    storage_cfg(vault => { username => 'lab@pbs!golden', 'encryption-key' => $LIVE });

    client('snapshot', 'unreachable');
    my $before = PVE::Escrow::State::get('vault');
    look();
    is_deeply(
        PVE::Escrow::State::get('vault'), $before,
        'a server that is down changes nothing'
    );
    like(task_log(), qr/Connection refused/, 'but is named');
};

subtest 'who may' => sub {
    set_up();
    spew('/etc/pve/user.cfg', <<~'END');
        user:audit@pve:1:0:::::
        user:admin@pve:1:0:::::
        acl:1:/storage/vault:audit@pve:PVEAuditor:
        acl:1:/storage/vault:admin@pve:PVEDatastoreAdmin:
        END
    my $seal = sealed();
    look();
    my $prove = sub ($user, %param) {
        return error_of(sub { call($user, 'POST', 'vault/escrow/prove', \%param) });
    };
SKIP: {
        skip 'the real modules read user.cfg through pmxcfs', 5 if !is_double();
        like($prove->('audit@pve'), qr/Permission check failed/, 'an auditor does not prove');
        is($prove->('admin@pve'), 'it went through', 'who may allocate does');
        like(
            $prove->('admin@pve', code => $seal->{code}), qr/only root\@pam/,
            'but makes no drill'
        );
        ok(
            !exists call('audit@pve', 'GET', 'vault/escrow/coverage')->{keys}->[0]
                ->{fingerprint},
            'an auditor sees counts'
        );
        ok(
            exists call('admin@pve', 'GET', 'vault/escrow/coverage')->{keys}->[0]
                ->{fingerprint},
            'who may allocate sees which keys'
        );
    }
    like(
        error_of(sub { as_root('POST', 'local/escrow/prove') }), qr/only those of type 'pbs'/,
        'another type'
    );
};

subtest 'no secret in argument, environment or file' => sub {
    set_up();
    my $seal = sealed();
    proof(code => $seal->{code});
    my $raw = JSON::decode_json(key('live.enc'))->{data};
    my $log = slurp('/run/client/log');
    cmp_ok(length($log), '>', 1000, 'the client ran');
    unlike($log, qr/\Q$raw\E|$SECRET|\Q$seal->{code}\E/, 'not for the client');
    ok(
        (
            grep {
                grep { m/memfd:/ }
                    values $_->{files}->%*
            } calls()
        ),
        'but in memory'
    );
    for my $file (map { m/^(.*)$/ }
        glob('/var/log/pve/tasks/* /var/log/pve/tasks/*/* /etc/pve/priv/escrow/state/*')) {
        next if !-f $file;
        unlike(slurp($file), qr/\Q$raw\E|$SECRET|\Q$seal->{code}\E/, "not in $file");
    }
};

done_testing();
