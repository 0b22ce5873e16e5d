#!/usr/bin/perl -T

# Keeping: byte for byte, in two places, never overwritten, whatever the disk, the cluster or other processes do.

use v5.36;

use Cwd ();
use Digest::SHA qw(sha256_hex);
use File::Basename ();
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes ();

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

use PVE::Escrow::Keep;
use PVE::Escrow::Tell;

# none are sent, but where a test takes them
sub PVE::Notify::warning { return }

my $STORAGE = '/etc/pve/priv/storage';
my $CLUSTER = '/etc/pve/priv/escrow/kept';
my $LOCAL = '/var/lib/pve-escrow/kept';
my $LIVE = key('live.enc');
my $NAME = sha256_hex($LIVE);
my ($PERL) = $^X =~ m/^(.*)$/;
my @INCLUDE = map { "-I$_" } map { m/^(.*)$/ } grep { !ref } @INC;

my sub keep ($path) {
    return PVE::Escrow::Keep::keep_file($path, 'for a test');
}

# what is said on stderr, and what is returned
my sub said ($code) {
    my $file = '/run/said';
    open(my $stderr, '>&', \*STDERR) or die "$!\n";
    open(STDERR, '>', $file) or die "$!\n";
    my @result = eval { $code->() };
    my $err = $@;
    open(STDERR, '>&', $stderr) or die "$!\n";
    return ($err || slurp($file), @result);
}

my sub looked () {
    my (undef, @events) = said(sub { PVE::Escrow::Keep::look() });
    return map { "$_->{type} $_->{file}" } @events;
}

my sub error_of ($code) {
    my ($err) = said($code);
    return $err;
}

my sub mode ($path) {
    return sprintf('%04o', (stat($path))[2] & oct(7777));
}

my sub both_good ($name, $bytes) {
    return 2 == grep { -f && slurp($_) eq $bytes } map { "$_/$name.enc" } $CLUSTER, $LOCAL;
}

my sub files ($directory) {
    opendir(my $dh, $directory) or return;
    my @files = sort grep { !m/^\.\.?$/ } readdir($dh);
    return @files;
}

subtest 'a key file' => sub {
    my $path = put_key('vault');
    my ($text, $kept) = said(sub { keep($path) });
    is($text, '', 'nothing to say');
    is($kept->{name}, $NAME, 'named by its bytes');
    is_deeply($kept->{places}, [map { "$_/$NAME.enc" } $LOCAL, $CLUSTER], 'in two places');
    ok(both_good($NAME, $LIVE), 'byte for byte');
    is(slurp($path), $LIVE, 'the live key is untouched');
    for my $place ($CLUSTER, $LOCAL) {
        is(mode($place), '0700', "$place: for root alone");
        is(mode("$place/$NAME.enc"), '0600', "$place: the copy too");
        is_deeply([files($place)], ["$NAME.enc", "$NAME.json"], "$place: and nothing else");
    }
    my $about = JSON::PP::decode_json(slurp("$LOCAL/$NAME.json"));
    is($about->{from}, $path, 'where from');
    is($about->{storage}, 'vault', 'of which storage');
    is($about->{node}, node(), 'on which node');
    is($about->{why}, 'for a test', 'why');
    is($about->{fingerprint}, 'unverified', 'which key is not known yet');
    like($about->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/, 'when');
    unlike(slurp("$LOCAL/$NAME.json"), qr/data/, 'and nothing of what is in it');

    my @before = stat("$CLUSTER/$NAME.enc");
    keep(put_key('other', 'live.enc'));
    is((stat("$CLUSTER/$NAME.enc"))[1], $before[1], 'once is enough');
    is(
        JSON::PP::decode_json(slurp("$LOCAL/$NAME.json"))->{storage}, 'vault',
        'the first origin stays'
    );
};

subtest 'whatever it is' => sub {
    fresh();
    for my $bytes ('', "\0\xff rubbish", '{"data":1}', 'x' x (1024 * 1024)) {
        spew('/run/file', $bytes);
        is(keep('/run/file')->{name}, sha256_hex($bytes), length($bytes) . ' bytes');
        ok(both_good(sha256_hex($bytes), $bytes), 'are kept');
    }
    put_key('vault');
    symlink("$STORAGE/vault.enc", "$STORAGE/link.enc");
    is(keep("$STORAGE/link.enc")->{name}, $NAME, 'what a link leads to');

    POSIX::mkfifo('/run/fifo', oct(600));
    mkdir('/run/directory');
    spew('/run/large', 'x' x (1024 * 1024 + 1));
    symlink('/run/nowhere', '/run/dangling');
    local $SIG{ALRM} = sub { die "it waits\n" };
    alarm(10);
    like(
        error_of(sub { keep('/run/fifo') }), qr/^\/run\/fifo is not a regular file/,
        'no FIFO'
    );
    like(error_of(sub { keep('/run/directory') }), qr/is not a regular file/, 'no directory');
    like(error_of(sub { keep('/dev/zero') }), qr/is not a regular file/, 'no device');
    like(error_of(sub { keep('/run/large') }), qr/is larger than 1 MiB/, 'nothing larger');
    like(
        error_of(sub { keep('/run/absent') }), qr/cannot open \/run\/absent: No such/,
        'absent'
    );
    like(
        error_of(sub { keep('/run/dangling') }), qr/cannot open \/run\/dangling: No such/,
        'a link to nowhere'
    );
    alarm(0);
};

subtest 'what is there is never overwritten' => sub {
    for my $other (
        [
            'other bytes', sub ($path) { spew($path, 'other') },
            sub ($path) { slurp($path) eq 'other' }
        ],
        [
            'a part', sub ($path) { spew($path, substr($LIVE, 0, 99)) },
            sub ($path) { -s $path == 99 }
        ],
        [
            'a link', sub ($path) { symlink("$STORAGE/vault.enc", $path) },
            sub ($path) { -l $path }
        ],
        ['a directory', sub ($path) { mkdir($path) }, sub ($path) { -d $path }],
    ) {
        my ($what, $make, $is_same) = @$other;
        fresh();
        spew("$LOCAL/x", '');
        $make->("$LOCAL/$NAME.enc");
        my $path = put_key('vault');
        my ($text, $kept) = said(sub { keep($path) });
        is_deeply(
            $kept->{places}, ["$LOCAL/$NAME-1.enc", "$CLUSTER/$NAME.enc"],
            "$what: beside it"
        );
        is(slurp("$LOCAL/$NAME-1.enc"), $LIVE, "$what: whole");
        ok($is_same->("$LOCAL/$NAME.enc"), "$what: it stays");
        is(scalar(PVE::Escrow::Keep::kept()), 1, "$what: one key");
        said(sub { PVE::Escrow::Keep::look() });
        ok(!-e "$LOCAL/$NAME-2.enc", "$what: one copy is enough");
    }
};

my $FAILURES = [
    ['the cluster is full', sub { fill('/etc/pve') }, \&unfill, $LOCAL],
    ['no quorum', sub { read_only(1) }, sub { read_only(0) }, $LOCAL],
    ['the disk is full', sub { fill('/var/lib') }, \&unfill, $CLUSTER],
    [
        'the disk is read-only', sub { read_only(1, '/var/lib') },
        sub { read_only(0, '/var/lib') }, $CLUSTER
    ],
    [
        'a file is in the way', sub { spew('/var/lib/pve-escrow', '') },
        sub { unlink('/var/lib/pve-escrow') }, $CLUSTER
    ],
];

for my $failure (@$FAILURES) {
    my ($what, $break, $mend, $remains) = @$failure;
    subtest $what => sub {
        fresh();
        my $path = put_key('vault');
        $break->();
        my ($text, $kept) = said(sub { keep($path) });
        is_deeply($kept->{places}, ["$remains/$NAME.enc"], 'the other place is enough');
        is(slurp("$remains/$NAME.enc"), $LIVE, 'it has the bytes');
        said(sub { PVE::Escrow::Keep::look() });
        is(slurp($path), $LIVE, 'a look does no harm');
        $mend->();
        ok(!both_good($NAME, $LIVE), 'in one place until then');
        unlink($path);
        looked();
        ok(both_good($NAME, $LIVE), 'the next look repairs it, also when the key is gone');
    };
}

subtest 'neither place' => sub {
    fresh();
    my $path = put_key('vault');
    fill();
    like(
        error_of(sub { keep($path) }),
        qr{^cannot keep \Q$path\E: .*/var/lib/pve-escrow\S*: No space.*; .*/etc/pve/priv/escrow\S*: No space.* Next: }s,
        'both reasons, and what to do',
    );
    my ($err, @events) = said(sub { PVE::Escrow::Keep::look() });
    is($events[0]->{type}, 'unkept', 'a look says it');
    unfill();
    is(slurp($path), $LIVE, 'the live key is there');
    looked();
    ok(both_good($NAME, $LIVE), 'with space it is kept');
    is_deeply([grep { m/tmp/ } files($CLUSTER), files($LOCAL)], [], 'nothing is left over');
};

subtest 'the file system of the cluster is not mounted' => sub {
    fresh();
    put_key('vault');
    looked();
    rename('/etc/pve/priv', '/etc/pve/away');
    spew('/run/key', $LIVE);
    my (undef, $kept) = said(sub { keep('/run/key') });
    is_deeply($kept->{places}, ["$LOCAL/$NAME.enc"], 'the node keeps');
    is_deeply([looked()], [], 'no key is called lost');
    ok(!-e '/etc/pve/priv', 'and nothing is in the way of its mount');
    rename('/etc/pve/away', '/etc/pve/priv');
    is_deeply([looked()], [], 'then all is as it was');
};

subtest 'looks' => sub {
    fresh();
    is_deeply([looked()], [], 'nothing there');
    put_key('vault');
    put_key('gone', 'other.enc');
    spew("$STORAGE/vault.pw", 'secret');
    spew("$STORAGE/vault.master.pem", 'public');
    is_deeply([looked()], ['new gone.enc', 'new vault.enc'], 'new keys');
    is_deeply([looked()], [], 'once');
    ok(!-e "$LOCAL/" . sha256_hex('secret') . '.enc', 'passwords are no keys');

    rename("$STORAGE/vault.enc", "$STORAGE/vault.enc.old");
    put_key('vault', 'vienna.enc');
    unlink("$STORAGE/gone.enc");
    is_deeply(
        [looked()], ['gone gone.enc', 'changed vault.enc', 'new vault.enc.old'],
        'changes'
    );
    is_deeply([looked()], [], 'once');
    my ($gone) = grep { $_->{type} eq 'gone' } PVE::Escrow::Tell::recent_events();
    is($gone->{was}, sha256_hex(key('other.enc')), 'which one is gone');
    like($gone->{text}, qr/it is kept as $gone->{was}/, 'and where it is');
    is($gone->{next}, 'pveescrow keys', 'and what to do');

    POSIX::mkfifo("$STORAGE/odd.enc", oct(600));
    is_deeply([looked()], ['unkept odd.enc'], 'what can not be kept');
    is_deeply([looked()], [], 'once');

    PVE::Escrow::Keep::noticed("$STORAGE/vault.enc", undef);
    unlink("$STORAGE/vault.enc");
    is_deeply([looked()], [], 'what the guard has told already');

    spew('/var/lib/pve-escrow/seen.json', '{"files":');
    is_deeply(
        [looked()], ['unkept odd.enc', 'new vault.enc.old'],
        'a damaged memory is a new one'
    );
    my @kept = PVE::Escrow::Keep::kept();
    is(scalar(@kept), 3, 'all are kept');
};

subtest 'which keys they are' => sub {
    fresh();
    put_key('vault');
    put_key('scrypt', 'scrypt.enc');
    spew("$STORAGE/rubbish.enc", 'rubbish');
    my $hide =
        'BEGIN { unshift(@INC, sub { $_[1] eq "PVE/RS/Escrow.pm" ? die "gone\n" : () }) }';
    is(
        system(
            $PERL, '-T', @INCLUDE, '-e',
            "$hide use PVE::Escrow::Keep; PVE::Escrow::Keep::look(); exit(\$INC{'PVE/RS/Escrow.pm'} ? 1 : 0)"
        ),
        0, 'a look without the library',
    );
    my %kept = map { $_->{storage} => $_ } PVE::Escrow::Keep::kept();
    is_deeply([sort keys %kept], [qw(rubbish scrypt vault)], 'keeps all');
    is($kept{vault}->{fingerprint}, undef, 'and knows none');
    plan skip_all => 'the library was not built' if !eval { require PVE::RS::Escrow };
    looked();
    %kept = map { $_->{storage} => $_ } PVE::Escrow::Keep::kept();
    like($kept{vault}->{fingerprint}, qr/^03:6b:8f:61:/, 'with it, a key is known');
    ok($kept{vault}->{verified}, 'as computed');
    is($kept{$_}->{fingerprint}, undef, "$_: only what is computed counts")
        for qw(scrypt rubbish);
};

subtest 'import and forget' => sub {
    fresh();
    spew('/run/paper.enc', key('other.enc'));
    my $name = sha256_hex(key('other.enc'));
    my $kept = PVE::Escrow::Keep::import_file('/run/paper.enc');
    is($kept->{name}, $name, 'kept');
    like(
        error_of(sub { PVE::Escrow::Keep::forget(substr($name, 0, 16)) }),
        qr/64 hexadecimal digits/, 'a part'
    );
    like(
        error_of(sub { PVE::Escrow::Keep::forget('0' x 64) }),
        qr/no kept key 0{64}: 'pveescrow keys'/, 'unknown'
    );

    put_key('vault', 'other.enc', 'enc.old');
    like(
        error_of(sub { PVE::Escrow::Keep::forget($name) }),
        qr/storage 'vault' has in .*it is in use/, 'in use'
    );
    ok(both_good($name, key('other.enc')), 'and stays');
    unlink("$STORAGE/vault.enc.old");

    read_only(1);
    like(
        error_of(sub { PVE::Escrow::Keep::forget($name) }),
        qr/is not forgotten everywhere: .*pvecm/, 'no quorum'
    );
    ok(-e "$LOCAL/$name.enc", 'and stays');
    read_only(0);

    my $copy = slurp("$LOCAL/$name.enc");
    PVE::Escrow::Keep::forget($name);
    is_deeply([PVE::Escrow::Keep::kept()], [], 'forgotten');

    # on another node, which was there before
    spew("$LOCAL/$name.enc", $copy);
    utime(time() - 60, time() - 60, "$LOCAL/$name.enc");
    looked();
    ok(!-e "$LOCAL/$name.enc", 'the other nodes forget it too');
    ok(!-e "$CLUSTER/$name.enc", 'and do not bring it back');

    put_key('vault', 'other.enc');
    looked();
    ok(both_good($name, $copy), 'seen again, it is kept again');
    unlink("$STORAGE/vault.enc");
    looked();
    ok(both_good($name, $copy), 'and stays so');
};

# several processes at once
my sub together ($count, $code) {
    my @pids;
    for my $number (1 .. $count) {
        my $pid = fork() // die "fork: $!\n";
        if (!$pid) {
            open(STDERR, '>', '/dev/null');
            my $done = eval { $code->($number); 1 };
            POSIX::_exit($done ? 0 : 1);
        }
        push @pids, $pid;
    }
    return grep { waitpid($_, 0); $? } @pids;
}

subtest 'at once' => sub {
    my $failed = 0;
    for my $round (1 .. 20) {
        fresh();
        my $path = put_key('vault');
        $failed += together(4, sub ($number) { keep($path) });
        $failed++ if !both_good($NAME, $LIVE) || files($CLUSTER) != 2 || files($LOCAL) != 2;
    }
    is($failed, 0, 'keeping one key: one copy in each place');

    fresh();
    put_key("vault$_", $_ % 2 ? 'live.enc' : 'other.enc') for 1 .. 10;
    is(together(4, sub ($number) { PVE::Escrow::Keep::look() }), 0, 'looks');
    is(scalar(PVE::Escrow::Tell::recent_events()), 10, 'each event is told once');
};

subtest 'killed' => sub {
    my $wrong = 0;
    my $cut_short = 0;
    for my $round (1 .. 150) {
        fresh() if $round % 10 == 1;
        my $bytes = $LIVE . "\n" x $round;
        spew("$STORAGE/vault.enc", $bytes);
        my $pid = fork() // die "fork: $!\n";
        if (!$pid) {
            open(STDERR, '>', '/dev/null');
            eval { PVE::Escrow::Keep::look() };
            POSIX::_exit(0);
        }
        Time::HiRes::usleep(int(rand(6000)));
        kill('KILL', $pid);
        waitpid($pid, 0);
        $cut_short++ if $? == 9;

        # what has its name has its bytes, whole
        for my $copy (map { "$_/" . sha256_hex($bytes) . '.enc' } $CLUSTER, $LOCAL) {
            $wrong++ if -e $copy && slurp($copy) ne $bytes;
        }
        $wrong++ if slurp("$STORAGE/vault.enc") ne $bytes;
        next if $round % 10;
        looked();
        $wrong++ if !both_good(sha256_hex($bytes), $bytes);
        unlink("$STORAGE/vault.enc");
        $wrong++ if !grep { $_ eq 'gone vault.enc' } looked();
    }
    is(
        $wrong, 0,
        "nothing is in part, nothing is lost, nothing stays untold ($cut_short killed)"
    );
    cmp_ok($cut_short, '>', 20, 'enough of them in between');
};

subtest 'what was left behind' => sub {
    fresh();
    spew("$LOCAL/.$NAME.enc.1.0.tmp", 'part');
    spew("$LOCAL/.$NAME.enc.2.0.tmp", 'part');
    utime(time() - 7200, time() - 7200, "$LOCAL/.$NAME.enc.1.0.tmp");
    looked();
    is_deeply(
        [files($LOCAL)], [".$NAME.enc.2.0.tmp"],
        'is swept, if nobody can be at work on it'
    );
};

subtest 'telling' => sub {
    fresh();
    my $event = { type => 'gone', file => 'vault.enc', storage => 'vault', was => $NAME };
    require PVE::RPCEnvironment;
    my $rpcenv = eval { PVE::RPCEnvironment::get() } // PVE::RPCEnvironment->init('cli');
    {
        local $rpcenv->{type} = 'cli';
        my ($text) = said(sub { PVE::Escrow::Tell::tell($event) });
        like(
            $text,
            qr/^pve-escrow: storage 'vault': the key was removed: it is kept as $NAME.* Next: pveescrow keys$/,
            'a CLI'
        );
        is($text =~ tr/\n//, 1, 'in one line');
    }
    local $rpcenv->{type} = 'priv';
    my ($text) = said(sub { PVE::Escrow::Tell::tell($event) });
    is($text, '', 'a daemon says nothing on stderr');

    my @sent;
    local $INC{'PVE/Notify.pm'} = 1;
    local *PVE::Notify::warning = sub { push @sent, [@_]; die "no mail today\n" };
    is(
        (said(sub { PVE::Escrow::Tell::tell($event) }))[0], '',
        'a notification that fails breaks nothing'
    );
    is($sent[0]->[0], 'pve-escrow-gone', 'its template');
    like($sent[0]->[1]->{text}, qr/Next: pveescrow keys$/, 'its text');

    said(sub { PVE::Escrow::Tell::tell(($event) x 150) });
    my @events = PVE::Escrow::Tell::recent_events();
    is(scalar(@events), 100, 'the last hundred');
    for my $broken ('', '[', '{}', '[1]', "\0" x 4096) {
        spew('/var/lib/pve-escrow/events.json', $broken);
        said(sub { PVE::Escrow::Tell::tell($event) });
        is(
            scalar(PVE::Escrow::Tell::recent_events()), 1,
            'after a damage: ' . substr($broken, 0, 4) =~ s/\0/./gr
        );
    }
    fill();
    is((said(sub { PVE::Escrow::Tell::tell($event) }))[0], '', 'nor does a full disk');
    unfill();
};

subtest 'the timer' => sub {
    my sub timer ($before = '') {
        open(my $stderr, '>&', \*STDERR) or die "$!\n";
        open(STDERR, '>', '/dev/null') or die "$!\n";
        my $status = system(
            $PERL, '-T', @INCLUDE, '-e',
            "$before; \$0 = 'x'; do '$ROOT/perl/bin/pve-escrow-keep'; die \$@ if \$@"
        );
        open(STDERR, '>&', $stderr) or die "$!\n";
        return $status;
    }
    fresh();
    put_key('vault');
    is(timer(), 0, 'ends well');
    ok(both_good($NAME, $LIVE), 'keeps');
    require PVE::Cluster;
    my $told =
        JSON::PP::decode_json(PVE::Cluster::get_node_kv('pve-escrow', node())->{ node() });
    cmp_ok(time() - $told->{time}, '<', 30, 'and tells the cluster');

    fresh();
    put_key('vault');
    my $broken =
        'BEGIN { unshift(@INC, sub { $_[1] =~ m{^PVE/(?!Escrow/)} ? die "broken\n" : () }) }';
    is(timer($broken), 0, 'without any module of Proxmox VE, and without the library');
    ok(both_good($NAME, $LIVE), 'it keeps all the same');

    fresh();
    put_key('vault');
    spew('/etc/pve-escrow.disabled', '');
    timer();
    ok(!-e $LOCAL, 'switched off, it does nothing');
    unlink('/etc/pve-escrow.disabled');
};

done_testing();
