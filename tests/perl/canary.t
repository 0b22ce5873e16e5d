#!/usr/bin/perl -T

# A whole flow under strace: recovery code and key are where they belong, and in no argument, environment, other file or
# log.

use v5.36;

use Cwd ();
use File::Basename ();
use JSON ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;
use Escrow::Test::Tool qw(@TOOL);

my $LIVE_FP =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $TRACE = '/run/trace';

plan skip_all => 'strace may not trace here'
    if system("strace -f -o $TRACE true >/dev/null 2>&1") != 0;

my sub traces () {
    return map { m/^(.*)$/ } glob("$TRACE.*");
}

# its system calls, a line each, with the names of the files; a file for each process, so that no two calls get mixed up
my sub traced (@args) {
    unlink(traces());
    my @strace = ('strace', '-ff', '-y', '-v', '-s', '100000', '-o', $TRACE);
    my $code = system('sh', '-c', 'exec "$@" >/run/out 2>&1', 'sh', @strace, @TOOL, @args);
    is($code, 0, "@args[0, 1]") or diag(slurp('/run/out'));
    return map { split(m/\n/, slurp($_)) } traces();
}

my $key = JSON::decode_json(key('live.enc'))->{data};
my ($words);

# of the backup server
my $SECRET = 'the-secret-of-the-server';

# single words are in every help text, two in a row only in the code
my sub secrets () {
    my @words = split(m/\s+/, $words // '');
    return ($key, map({ "$words[$_] $words[$_ + 1]" } 0 .. $#words - 1), $SECRET);
}

my sub assert_kept ($title, $calls, $allowed) {
    my @found;
    my $read = 0;
    for my $line (@$calls) {
        my ($call, $file) = $line =~ m/^(\w+)\([0-9]+<([^>]*)>/;
        my $allowed_here = defined($call) && $call =~ m/^(?:read|write)$/ && $file =~ $allowed;
        $read++ if $allowed_here;
        next if $allowed_here;
        push @found, substr($line, 0, 200) if grep { index($line, $_) >= 0 } secrets();
    }
    is_deeply(\@found, [], "$title: nowhere else");
    ok($read > 0, "$title: it is looked at what is read and written");
    my $said = slurp('/run/out');
    ok(!(grep { index($said, $_) >= 0 } secrets()), "$title: nothing is said");
    return;
}

# where keys may be, and where the code may be
my $PLACES = qr{^(?:
    /etc/pve/priv/storage/[^/]+
    | /etc/pve/priv/escrow/kept/[^/]+
    | /var/lib/pve-escrow/kept/[^/]+
    | /run/pve-escrow/[^/]*(?:recover|sheet)[^/]+
    | /run/paperkey
    | /run/code
    | /memfd:pve-escrow.*
)$}x;

fresh();
storage_cfg(backup1 => { 'encryption-key' => $LIVE_FP, username => 'root@pam' });
put_key('backup1');
spew('/etc/pve/priv/storage/backup1.pw', "$SECRET\n");
my @calls = traced(qw(create backup1 --code-out /run/code));
$words = slurp('/run/code') =~ s/\s+\z//r;
assert_kept('create', \@calls, $PLACES);
my ($pair) = (secrets())[1];
ok(
    (grep { m{</run/code>} && index($_, $pair) >= 0 } @calls),
    'as a control: it is seen where it is written to'
);

my ($id) = slurp('/run/out') =~ m/seal (\S+) is pending/;
assert_kept('confirm', [traced('confirm', 'backup1', $id, '--code-file', '/run/code')], $PLACES);
assert_kept('verify', [traced(qw(verify backup1 --code-file /run/code))], $PLACES);

# with the real modules pveescrow looks for the client in /usr/bin only
my $has_client = is_double() || -e '/usr/bin/proxmox-backup-client';
diag('no proof and no drill: there is no backup client') if !$has_client;
my @prove = qw(prove backup1 --snapshot ct/100/2024-06-05T16:00:00Z);
assert_kept('proof', [traced(@prove)], $PLACES) if $has_client;
unlink('/etc/pve/priv/storage/backup1.enc');
assert_kept('drill', [traced(@prove, '--code-file', '/run/code')], $PLACES) if $has_client;
assert_kept('recover', [traced(qw(recover backup1 --code-file /run/code))], $PLACES);
assert_kept('kit', [traced(qw(kit backup1))], $PLACES);

spew('/run/paperkey', slurp("$ROOT/tests/vectors/paperkey/live.txt"));
assert_kept('import of a sheet', [traced(qw(import /run/paperkey))], $PLACES);
spew('/run/sheet', slurp('/run/out')) if ok(traced(qw(kit backup1 --format text)), 'a sheet');
assert_kept(
    'recover from a sheet',
    [traced(qw(recover --kit /run/sheet --out /run/recovered.enc --code-file /run/code))],
    qr{$PLACES|^/run/\S*recovered\S+$},
);
unlink('/run/recovered.enc');

# what lies about afterwards
my @files = map { m/^(.*)$/ } split(m/\n/, `find /etc/pve /var/lib /var/log /run -type f`);
my @with_key = grep { index(slurp($_), $key) >= 0 } grep { index($_, $TRACE) != 0 } @files;
is_deeply([grep { $_ !~ $PLACES } @with_key], [], 'the key is in key files only');
my @with_code = grep {
    my $content = slurp($_);
    grep { $_ ne $key && $_ ne $SECRET && index($content, $_) >= 0 } secrets();
} grep { index($_, $TRACE) != 0 } @files;
is_deeply(\@with_code, ['/run/code'], 'the code in the one file that was named');
my @with_secret = grep { index(slurp($_), $SECRET) >= 0 } grep { index($_, $TRACE) != 0 } @files;
is_deeply(\@with_secret, ['/etc/pve/priv/storage/backup1.pw'], "the server's secret where it was");

done_testing();
