#!/usr/bin/perl -T

# pveescrow as an administrator uses it: on a terminal, and in scripts.

use v5.36;

use Cwd ();
use File::Basename ();
use JSON ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;
use Escrow::Test::Tool qw(@TOOL on_terminal pveescrow run_with);

BEGIN { install_plugin() }

use PVE::Escrow::Keep;

my $LIVE_FP =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $SHORT = substr($LIVE_FP, 0, 23);
my $OTHER_SHORT = '7d:34:d4:ed:c3:20:5d:a3';
my $FILE = '/etc/pve/priv/storage/backup1.enc';

my sub set_up () {
    fresh();
    storage_cfg(
        backup1 => { username => 'root@pam', 'encryption-key' => $LIVE_FP },
        plain => { username => 'root@pam' },
    );
    put_key('backup1');
    return;
}

# through files, as a script does it
my sub sealed () {
    my $made = pveescrow(qw(create backup1 --code-out /run/code));
    my ($id) = $made->{out} =~ m/seal (\S+) is pending/;
    pveescrow('confirm', 'backup1', $id, '--code-file', '/run/code');
    return $id;
}

set_up();
my $first = pveescrow();
is($first->{code}, 0, 'without arguments');
is(scalar(split(m/\n/, $first->{out})), 3, 'three lines');
like($first->{out}, qr/^Next: pveescrow create backup1$/m, 'with what to do next');

my $status = pveescrow('status');
like($status->{out}, qr/^backup1\s+critical\s+unsealed .*pveescrow create backup1$/m, 'status');
like($status->{out}, qr/^plain\s+none\s+unencrypted/m, 'of all storages');
my $json = JSON::decode_json(pveescrow(qw(status --output-format json))->{out});
is($json->[0]->{state}, 'unsealed', 'and as JSON');

# in one go: shown, typed back
my $gone = pveescrow(qw(create backup1));
isnt($gone->{code}, 0, 'no terminal');
like($gone->{out}, qr/there is no terminal/, 'says so');
ok(!glob('/etc/pve/priv/escrow/*.json'), 'and makes nothing');

my $id = sealed();
my $words = slurp('/run/code');
is((stat('/run/code'))[2] & oct(7777), oct(600), 'the code is for root only');
like(
    pveescrow(qw(status backup1))->{out}, qr/^backup1: warning, sealed\n.*^$id\s+active/ms,
    'sealed'
);
like(
    pveescrow(qw(verify backup1 --code-file /run/code))->{out}, qr/^the code opens seal $id /,
    'verify'
);
unlike(pveescrow(qw(status backup1))->{out}, qr/\e\[/, 'no colours in a pipe');
like(on_terminal('', qw(status backup1))->{out}, qr/\e\[33mwarning\e\[0m/, 'but on a terminal');

# word by word
my @typed = split(m/\s+/, $words);
my $wrong = on_terminal(join("\n", $typed[0], 'zzzz', @typed[1 .. 9], '', ''), qw(verify backup1));
like($wrong->{out}, qr/word 2 is not in the word list/, 'a wrong word is named at once');
like($wrong->{out}, qr/the code opens seal $id/, 'and the rest goes on');

# as it is shown
my $shown = on_terminal("\n\n\n", qw(create backup1 --label bank));
like(
    $shown->{out},
    qr/\e\[\?1049h.*^ {2} 1\. \w[\w-]*\s+6\. \w.*check characters: \w{4}.*\e\[\?1049l/ms,
    'on the alternate screen'
);
like($shown->{out}, qr/still pending.*--replace (\S+)/s, 'given up: it says how to begin anew');

# lost, and back
unlink($FILE);
like(
    pveescrow('status')->{out},
    qr/^backup1\s+critical\s+missing-key .*pveescrow recover backup1$/m,
    'missing'
);
my $bad = pveescrow(qw(recover backup1 --code-file /run/nothing));
isnt($bad->{code}, 0, 'no code');
like($bad->{out}, qr{/run/nothing: cannot open it}, 'says why');
my $back = pveescrow(qw(recover backup1 --code-file /run/code));
like($back->{out}, qr/^storage 'backup1' has key \Q$LIVE_FP\E again\.$/m, 'recover');
is(
    JSON::decode_json(slurp($FILE))->{data}, JSON::decode_json(key('live.enc'))->{data},
    'the very key'
);
is(
    run_with($words, @TOOL, qw(verify backup1 --code-file -))->{code}, 0,
    'the code on standard input'
);

put_key('backup1', 'other.enc');
my $refused = pveescrow(qw(recover backup1 --code-file /run/code --fingerprint), $LIVE_FP);
isnt($refused->{code}, 0, 'not over another key');
is(slurp($FILE), key('other.enc'), 'which stays');
my $displaced = pveescrow(
    qw(recover backup1 --code-file /run/code --displace), $OTHER_SHORT, '--fingerprint',
    $LIVE_FP
);
like(
    $displaced->{out}, qr{^the displaced key is kept: (/var/lib/pve-escrow/kept/\S+)$}m,
    'unless it is named'
);

# a kit, and a bare node
my $kit = pveescrow(qw(kit backup1))->{out};
like($kit, qr/^\{.*"mac":"[0-9a-f]{64}"/, 'kit');
like(
    pveescrow(qw(kit backup1 --format text))->{out},
    qr/^Kit of a Backup.*^Key: +\Q$LIVE_FP\E\n.*^1: [0-9A-Z ]+$/ms,
    'a sheet of it',
);
like(
    pveescrow(qw(kit backup1 --format html))->{out},
    qr/\A<!DOCTYPE html>.*<svg .*<\/html>\n\z/s,
    'a page of it',
);
is(
    pveescrow(qw(kit backup1 --format pdf-ready))->{code},
    0, 'also by the name of what it is for'
);
my $sheets = {
    map { $_ => pveescrow(qw(kit backup1 --format), $_)->{out} } qw(text html),
};
fresh();
storage_cfg();
spew('/run/kit.json', $kit);
spew('/run/code', $words);
spew('/run/secret', "geheim\n");
is(
    pveescrow(qw(recover --kit /run/kit.json --out /run/key.enc --code-file /run/code))->{code},
    0,
    'to a file'
);
is(
    JSON::decode_json(slurp('/run/key.enc'))->{data},
    JSON::decode_json(key('live.enc'))->{data},
    'the key'
);
my $again = pveescrow(qw(recover --kit /run/kit.json --out /run/key.enc --code-file /run/code));
like($again->{out}, qr/exists already/, 'never over a file');

# the same kit from paper
for my $format (sort keys %$sheets) {
    spew("/run/sheet.$format", $sheets->{$format});
    my $done = pveescrow(
        'recover', '--kit', "/run/sheet.$format",
        qw(--out /run/paper.enc --code-file /run/code)
    );
    like($done->{out}, qr/^key \Q$LIVE_FP\E is in /, "a sheet of it as $format");
    unlink('/run/paper.enc');
    like(
        pveescrow('import', "/run/sheet.$format")->{out},
        qr/is the sheet of a kit: .* pveescrow recover STORAGE --kit/,
        'is no key file'
    );
}
my ($typed) = $sheets->{text} =~ m/^(1: .*\n)-----END/ms;
spew('/run/typed', lc($typed =~ s/^\d+: //mgr));
like(
    pveescrow(qw(recover --kit /run/typed --out /run/paper.enc --code-file /run/code))->{out},
    qr/^key \Q$LIVE_FP\E is in /,
    'typed lines alone'
);
spew('/run/typed', $typed =~ s/^(3: .)(.)/$1 . ($2 eq 'X' ? 'Y' : 'X')/mer);
like(
    pveescrow(qw(recover --kit /run/typed --out /run/none --code-file /run/code))->{out},
    qr/line 3 is wrong/,
    'a mistyped one is named'
);
is(pveescrow('keys')->{out}, '', 'none of these was kept as a key');
is_deeply([glob('/run/pve-escrow/sheet*')], [], 'and nothing lies about');

my $made = pveescrow(
    qw(recover backup1 --kit /run/kit.json --code-file /run/code --password-file /run/secret));
like($made->{out}, qr/has key \Q$LIVE_FP\E again/, 'a storage out of a kit');
is(slurp('/etc/pve/priv/storage/backup1.pw'), "geheim\n", 'with its secret');

# keys without a storage
my $imported = pveescrow('import', vector('other.enc'));
my ($name) = $imported->{out} =~ m/^kept as ([0-9a-f]{64})\. Next: pveescrow seal \g1$/m;
ok(defined($name), 'import');
like(pveescrow('keys')->{out}, qr/^orphaned\s+.*$name$/m, 'keys');
my $not = on_terminal("no\n", 'forget', $name);
like($not->{out}, qr/that is another name: nothing was destroyed/, 'forget asks for the name');
like(pveescrow('keys')->{out}, qr/$name/, 'it is still there');
like(on_terminal("$name\n", 'forget', $name)->{out}, qr/key $name is destroyed/, 'and destroys it');
unlike(pveescrow('keys')->{out}, qr/$name/, 'it is gone');

# sheets of the client
my $paperkey = "$ROOT/tests/vectors/paperkey";
for my $sheet (qw(live.txt live.html)) {
    my $said = pveescrow('import', "$paperkey/$sheet")->{out};
    my ($kept) = $said =~ m/^kept as ([0-9a-f]{64})\./;
    is(
        JSON::decode_json(slurp("/var/lib/pve-escrow/kept/$kept.enc"))->{data},
        JSON::decode_json(key('live.enc'))->{data},
        "the key of $sheet"
    );
    is(
        JSON::decode_json(slurp("/var/lib/pve-escrow/kept/$kept.json"))->{from},
        "$paperkey/$sheet", 'and where it is from'
    );
    on_terminal("$kept\n", 'forget', $kept);
}
my ($protected) =
    pveescrow('import', "$paperkey/scrypt.txt")->{out} =~ m/^kept as ([0-9a-f]{64})\./;
ok(defined($protected), 'one with a passphrase');
like(pveescrow('doctor')->{out}, qr/^warning\s+kept keys\s+1 kept file/m, 'nobody can say which');
on_terminal("$protected\n", 'forget', $protected);
spew('/run/mistyped', slurp("$paperkey/live.txt") =~ s{H/IapWL85}{H/IapWL8S}r);
like(pveescrow(qw(import /run/mistyped))->{out}, qr/mistyped is damaged/, 'one with an error');
like(
    pveescrow(
        qw(recover --kit), "$paperkey/live.txt", qw(--out /run/none --code-file /run/code)
    )->{out},
    qr/and no kit\. Next: pveescrow import/,
    'is no kit'
);
spew('/run/scan', "\x89PNG\r\n\x1a\n");
like(
    pveescrow(qw(import /run/scan))->{out}, qr/is a picture: 'pve-escrow-rescue import'/,
    'a picture'
);
is_deeply([glob('/run/pve-escrow/sheet*')], [], 'nothing lies about');

my $version = JSON::decode_json(pveescrow(qw(version --output-format json))->{out});
like($version->{perlmod}, qr/^(?:real|stand-in)$/, 'version says what is inside');
is(JSON::decode_json(pveescrow(qw(config --operators alice@pve --output-format json))->{out})
        ->{operators}, 'alice@pve', 'config');
like(slurp('/etc/pve/escrow.cfg'), qr/^operators: alice\@pve$/m, 'is written');

PVE::Escrow::Keep::keep_file(vector('vienna.enc'), 'to see');
my $doctor = pveescrow('doctor');
is($doctor->{code}, 1, 'doctor: something is missing');
like($doctor->{out}, qr/^ok\s+quorum/m, 'what is well');
like($doctor->{out}, qr/^ok\s+kept keys/m, 'also of a key that was kept just now');
like($doctor->{out}, qr/^error\s+node \S+\s+has not said that it guards its keys/m, 'what is not');

# on real backups, through the client
SKIP: {
    skip 'pveescrow looks for the client in /usr/bin only, and there is no stand-in', 1
        if !is_double() && !-e '/usr/bin/proxmox-backup-client';
    set_up();
    spew('/etc/pve/priv/storage/backup1.pw', "the-secret-of-the-server\n");
    unlink('/run/code');
    sealed();
    my $coverage = pveescrow(qw(coverage backup1));
    like(
        $coverage->{out}, qr/^8 snapshots as of .*; 1 need no key, 2 are encrypted without/m,
        'coverage'
    );
    like($coverage->{out}, qr/^sealed\s+6\s.*\Q$LIVE_FP\E$/m, 'which key is needed, and is sealed');
    like($coverage->{out}, qr/^missing\s+1\s.*\Q$OTHER_SHORT\E/m, 'which is missing');
    my $proof = pveescrow(qw(prove backup1 --sample 1));
    is($proof->{code}, 0, 'a proof');
    like(
        $proof->{out}, qr{^vm/200/2024-06-05T17:00:00Z: valid, 2 files, \d+ bytes decrypted$}m,
        'what was opened'
    );
    like(
        $proof->{out},
        qr/^the record of its seals is as it was when a code was typed back last\.$/m,
        'it is one of the seal too'
    );
    my $drill = pveescrow(
        qw(prove backup1 --code-file /run/code --snapshot ct/100/2024-06-06T16:00:00Z --full));
    is($drill->{code}, 0, 'a drill');
    like($drill->{out}, qr/^control wrong-code: refused: /m, 'with its controls');
    like(
        $drill->{out},
        qr/^drill of key \Q$SHORT\E: valid: 1 snapshot, 296004 bytes decrypted$/m,
        'and its result'
    );
    like(
        on_terminal(
            join("\n", split(m/\s+/, slurp('/run/code')), '', ''),
            qw(prove backup1 --drill --sample 1)
        )->{out},
        qr/drill of key .* valid/,
        'words by hand'
    );
    is(
        pveescrow(qw(prove backup1 --snapshot ct/100/2020-01-01T00:00:00Z))->{code}, 1,
        'a snapshot that is not there proves nothing'
    );
    like(
        pveescrow(qw(status backup1))->{out}, qr/^  last drill:  .*valid: 4 snapshots/m,
        'status has the last drill'
    );
    spew('/run/client/restore', 'unreachable');
    my $down = pveescrow(qw(prove backup1));
    is($down->{code}, 1, 'a server that is down');
    like($down->{out}, qr/Connection refused/, 'is named');
    unlink('/run/client/restore');

    my $check = pveescrow('check');
    is($check->{code}, 2, 'check: a key that snapshots need is nowhere');
    like(
        $check->{out},
        qr/^critical\s+backup1: 1 snapshot needs key \Q$OTHER_SHORT\E.*pveescrow import FILE$/m,
        'which, and what to do'
    );
    my $scheduled = pveescrow(qw(check --scheduled --output-format json));
    is($scheduled->{code}, 2, 'as the timer does it');
    like($scheduled->{out}, qr/"level" ?: ?"critical"/, 'as JSON');
}

isnt(pveescrow('nonsense')->{code}, 0, 'an unknown command');

done_testing();
