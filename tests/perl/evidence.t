#!/usr/bin/perl -T

# Evidence: what happened is written down, whatever happens; and what was changed since is named.

use v5.36;

use Cwd ();
use Digest::SHA qw(sha256_hex);
use File::Basename ();
use JSON::PP ();
use POSIX ();
use Symbol ();
use Test::More;
use Time::HiRes ();

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;
use Escrow::Test::Tool qw(pveescrow);

BEGIN { install_plugin() }

use PVE::API2::Cluster;
use PVE::API2::Storage::Config;
use PVE::API2::Storage::Status;
use PVE::Storage;

use PVE::Escrow::Doctor;
use PVE::Escrow::Evidence;
use PVE::Escrow::Keep;
use PVE::Escrow::Kit;
use PVE::Escrow::State;
use PVE::Escrow::Tell;
use PVE::RS::Escrow;

my $DIRECTORY = '/var/log/pve-escrow';
my $FILE = "$DIRECTORY/evidence.jsonl";
my $LIVE_FP =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $ANCHORS_HERE = '/var/lib/pve-escrow/anchors.json';
my $ANCHORS = '/etc/pve/priv/escrow/anchors/' . node() . '.json';
my $ZERO = '0' x 64;

my ($PERL) = $^X =~ m/^(.*)$/;
my @INCLUDE = map { "-I$_" } map { m/^(.*)$/ } grep { !ref } @INC;

# what is told in passing is not for the log of the tests
open(STDERR, '>', '/dev/null') if !$ENV{SHOW};

my sub add ($event = 'drill', %members) {
    return PVE::Escrow::Evidence::add($event, %members);
}

my sub lines ($path = $FILE) {
    return split(m/\n/, slurp($path));
}

my sub decoded ($path = $FILE) {
    return map { JSON::PP::decode_json($_) } lines($path);
}

my sub verify (@more) {
    return PVE::Escrow::Evidence::verify(@more);
}

my sub text_of ($found) {
    return join("\n", $found->{result}, $found->{findings}->@*);
}

my sub write_lines (@lines) {
    spew($FILE, join('', map { "$_\n" } @lines));
    return;
}

# as somebody would who can write the file: a chain that is whole by itself
my sub rechained (@lines) {
    my $previous = $ZERO;
    my @chained;
    for my $line (@lines) {
        my $content = JSON::PP::decode_json($line);
        $content->{previous} = $previous;
        push @chained, JSON::PP->new->canonical->utf8->encode($content);
        $previous = sha256_hex($chained[-1]);
    }
    return @chained;
}

my sub ten_lines () {
    fresh();
    for my $number (1 .. 10) {
        add('drill', storage => 'vault', result => 'valid', text => "number $number");
        PVE::Escrow::Evidence::anchor() if $number == 4 || $number == 10;
    }
    return lines();
}

my sub set_up () {
    fresh();
    storage_cfg(
        backup1 => { username => 'root@pam', 'encryption-key' => $LIVE_FP },
        plain => { username => 'root@pam' },
    );
    put_key('backup1');
    return;
}

my sub as_root ($method, $path, $param = {}) {
    return call('root@pam', $method, $path, $param);
}

my sub error_of ($code) {
    return eval { $code->(); 1 } ? 'it went through' : "$@";
}

my sub in_child ($code) {
    my $pid = fork() // die "fork: $!\n";
    if (!$pid) {
        my $done = eval { $code->(); 1 };
        POSIX::_exit($done ? 0 : 1);
    }
    return $pid;
}

subtest 'a line' => sub {
    fresh();
    is(PVE::Escrow::Evidence::head(), undef, 'nothing at first');
    is(PVE::Escrow::Evidence::trouble(), undef, 'and that is no trouble');
    is(verify()->{result}, 'ok', 'nor damage');
    my @logged;
    {
        require Sys::Syslog;
        no warnings 'redefine';
        local *Sys::Syslog::syslog = sub { push @logged, [@_] };
        ok(
            add(
                'drill',
                storage => 'vault',
                fingerprint => $LIVE_FP,
                result => 'valid',
                user => 'alice@pve',
                counts => { snapshots => '3', bytes => 123 },
                text => "säfe\nsecond line \"<\x{2028}>",
                chain => 'not ours', n => 77, previous => 'x', node => 'y', time => 'z',
                version => 'v',
            ),
            'written',
        );
    }
    ok(add('created'), 'and another');
    my ($first, $second) = decoded();
    my ($raw) = lines();
    is(scalar(lines()), 2, 'a line each');
    is($first->{previous}, $ZERO, 'nothing before the first');
    is($second->{previous}, sha256_hex($raw), 'the hash of the line before');
    is_deeply([$first->{n}, $second->{n}], [1, 2], 'counted');
    like($first->{chain}, qr/^[0-9a-f]{16}$/, 'a chain');
    is($second->{chain}, $first->{chain}, 'the same');
    is($first->{node}, node(), 'the node');
    like($first->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/, 'when');
    is($first->{version}, PVE::RS::Escrow::version()->{version}, 'the version');
    is_deeply(
        [map { $first->{$_} } qw(event user storage fingerprint result text)],
        ['drill', 'alice@pve', 'vault', $LIVE_FP, 'valid', "säfe\nsecond line \"<\x{2028}>"],
        'what was said',
    );
    like($raw, qr/"counts":\{"bytes":123,"snapshots":3\}/, 'numbers are numbers');
    is($raw, JSON::PP->new->canonical->utf8->encode($first), 'canonical');
    is($second->{result}, 'ok', 'a result');
    is((stat($FILE))[2] & oct(7777), oct(600), 'for root only');
    is((stat($DIRECTORY))[2] & oct(7777), oct(700), 'and its directory');
    is_deeply(
        PVE::Escrow::Evidence::head(),
        {
            chain => $first->{chain}, count => 2, hash => sha256_hex((lines())[1]),
            node => node()
        },
        'the head',
    );
    is_deeply(
        \@logged,
        [['info', '%s', "pve-escrow: evidence $first->{chain} 1 " . sha256_hex($raw)]],
        'the system log has it',
    );
    is(verify()->{result}, 'ok', 'the chain is whole');
    like(
        verify()->{text}, qr/chain of 2 lines is whole\. No anchor/,
        'and it says what is not known'
    );

    add('long', text => 'x' x 100_000);
    cmp_ok(length((lines())[2]), '<', 2000, 'a line is never long');
};

subtest 'everything that happens to a key' => sub {
    set_up();
    PVE::Escrow::Keep::look();
    my $given_up = as_root('POST', 'backup1/escrow/create');
    my $seal =
        as_root('POST', 'backup1/escrow/create', { replace => $given_up->{id}, label => 'säfe' });
    as_root('POST', 'backup1/escrow/confirm', { id => $seal->{id}, code => $seal->{code} });
    as_root('POST', 'backup1/escrow/verify', { code => $seal->{code} });
    my $wrong = $seal->{code} =~ s/(\S+) (\S+)$/$2 $1/r;
    error_of(sub { as_root('POST', 'backup1/escrow/verify', { code => $wrong }) });
    unlink('/etc/pve/priv/storage/backup1.enc');
    PVE::Escrow::Keep::look();
    as_root('POST', 'backup1/escrow/recover', { code => $seal->{code} });
    require PVE::Escrow::Recover;
    PVE::Escrow::Recover::to_file(
        { code => $seal->{code}, fingerprint => $LIVE_FP },
        '/run/key.enc'
    );
    my $other = PVE::Escrow::Keep::import_file(vector('other.enc'));
    as_root('DELETE', "escrow/keys/$other->{name}");
    as_root('DELETE', "backup1/escrow/records/$LIVE_FP");

    my @events = decoded();
    my @found = map { "$_->{event} $_->{result} " . ($_->{storage} // '-') } @events;
    is_deeply(
        \@found,
        [
            'key-kept ok backup1',
            'created ok backup1',
            'seal-dropped ok backup1',
            'created ok backup1',
            'confirmed ok backup1',
            'verified ok -',
            'verified invalid -',
            'key-gone ok backup1',
            'recovered ok backup1',
            'recovered ok -',
            'key-imported ok -',
            'key-forgotten ok -',
            'record-dropped ok -',
        ],
        'is written down',
    );
    is_deeply(
        [
            grep { !defined($_->{fingerprint}) }
            grep { $_->{event} !~ m/^key-(?:kept|gone)/ } @events
        ],
        [],
        'with the key'
    );
    is($events[3]->{text}, 'säfe', 'who holds a seal');
    is($events[3]->{user}, 'root@pam', 'who made it');
    is($events[2]->{seal}, $given_up->{id}, 'which one was given up');
    is($events[0]->{kept}, sha256_hex(key('live.enc')), 'as what a key is kept');
    is(verify()->{result}, 'ok', 'in one chain');
    my @words = split(m/ /, "$seal->{code} $given_up->{code}");
    unlike(slurp($FILE), qr/\b$words[$_] $words[$_ + 1]\b/, 'and no code')
        for grep { $_ != 9 } 0 .. 18;
    unlike(slurp($FILE), qr/"data"/, 'nor a key');
};

subtest 'a kit has the head' => sub {
    set_up();
    my $seal = as_root('POST', 'backup1/escrow/create');
    as_root('POST', 'backup1/escrow/confirm', { id => $seal->{id}, code => $seal->{code} });
    my $text = as_root('GET', 'backup1/escrow/kit')->{kit};
    my $kit = JSON::PP::decode_json($text);
    is_deeply($kit->{evidence}, PVE::Escrow::Evidence::head(), 'as it was');
    my ($blob) = PVE::Escrow::Kit::parse($text)->{blobs}->@*;
    is(
        error_of(sub { PVE::Escrow::Kit::authenticate($text, $blob, $seal->{code}) }),
        'it went through', 'under its MAC'
    );
    my $changed = $text =~ s/"count":2/"count":1/r;
    isnt($changed, $text, 'changed');
    like(
        error_of(sub { PVE::Escrow::Kit::authenticate($changed, $blob, $seal->{code}) }),
        qr/its MAC is not that of its content/, 'it is found out'
    );
    for my $path ($ANCHORS, $ANCHORS_HERE) {
        my $stored = JSON::PP::decode_json(slurp($path))->{anchors};
        is($stored->[0]->{hash}, $kit->{evidence}->{hash}, "$path: the head is noted down");
        is((stat($path))[2] & oct(7777), oct(600), "$path: for root only");
    }
    as_root('GET', 'backup1/escrow/kit');
    is(scalar(PVE::Escrow::Evidence::anchors()), 1, 'once');

    my @sent;
    local $INC{'PVE/Notify.pm'} = 1;
    my $notify = Symbol::qualify_to_ref('PVE::Notify::warning');
    local *$notify = sub { push @sent, $_[1] };
    PVE::Escrow::Tell::tell(
        { type => 'gone', file => 'backup1.enc', storage => 'backup1', was => 'x' });
    my $head = PVE::Escrow::Evidence::head();
    is($head->{count}, 3, 'told, and written down');
    is(
        $sent[0]->{evidence}, "$head->{chain} 3 $head->{hash}",
        'a notification has the head too'
    );
};

# name => [what is done to the ten lines, what is found]
my $TAMPER = [
    'an edited line' => sub (@lines) {
        $lines[5] =~ s/number 6/number 9/;
        write_lines(@lines);
    } => qr/^damaged\n\Q$FILE\E line 6 was edited\N*\z/,
    'one edited into what is no line' => sub (@lines) {
        $lines[5] = 'nothing here';
        write_lines(@lines);
    } => qr/^damaged\n\Q$FILE\E line 6 was edited\N*\z/,
    'the last line edited' => sub (@lines) {
        $lines[9] =~ s/number 10/number 11/;
        write_lines(@lines);
    } =>
        qr/^damaged\n\Q$FILE\E line 10: rewritten from one of the lines 5 to 10 on: \N*knows another hash of line 10\z/,
    'the end cut off' => sub (@lines) {
        write_lines(@lines[0 .. 6]);
    } =>
        qr/^damaged\nthe end was cut off: \N* knows of 10 lines, and there are 7: lines 8 to 10 are missing\z/,
    'the last line cut off' => sub (@lines) {
        write_lines(@lines[0 .. 8]);
    } => qr/there are 9: line 10 is missing\z/,
    'cut in the last line' => sub (@lines) {
        truncate($FILE, length(slurp($FILE)) - 20);
    } =>
        qr/^damaged\n\Q$FILE\E line 10: rewritten from \N*another hash of line 10\n\Q$FILE\E line 10 is torn/,
    'cut in another line' => sub (@lines) {
        truncate($FILE, 7 * length($lines[0]));
    } => qr/^damaged\nthe end was cut off: \N*10 lines\N*\n\Q$FILE\E line \d is torn/,
    'a line taken out' => sub (@lines) {
        write_lines(@lines[0 .. 4, 6 .. 9]);
    } => qr/^damaged\n\Q$FILE\E line 6: line 6 before it is missing\z/,
    'lines taken out' => sub (@lines) {
        write_lines(@lines[0 .. 2, 6 .. 9]);
    } => qr/^damaged\n\Q$FILE\E line 4: lines 4 to 6 before it are missing\z/,
    'the beginning taken out' => sub (@lines) {
        write_lines(@lines[3 .. 9]);
    } => qr/^damaged\n\Q$FILE\E line 1: lines 1 to 3 before it are missing\z/,
    'a line written twice' => sub (@lines) {
        write_lines(@lines[0 .. 4, 4 .. 9]);
    } => qr/^damaged\n\Q$FILE\E line 6 has number 5, where 6 is expected/,
    'all from some line on written anew' => sub (@lines) {
        $lines[6] =~ s/valid/ok/;
        write_lines(rechained(@lines));
    } => qr/^damaged\n\Q$FILE\E line 10: rewritten from one of the lines 5 to 10 on\N*\z/,
    'all written anew' => sub (@lines) {
        $lines[0] =~ s/valid/ok/;
        write_lines(rechained(@lines));
    } => qr/^damaged\n\Q$FILE\E line 4: rewritten from one of the lines 1 to 4 on\N*\z/,
    'the file removed' => sub (@lines) {
        unlink($FILE);
    } =>
        qr/^damaged\n\N*knows of 10 lines of chain \w{8}, and none of it is here: the files were removed/,
    'the directory removed, and life goes on' => sub (@lines) {
        unlink($FILE);
        rmdir($DIRECTORY);
        add() for 1 .. 3;
    } => qr/^damaged\n\N*knows of 10 lines of chain \w{8}, and none of it is here/,
    'emptied' => sub (@lines) {
        truncate($FILE, 0);
    } => qr/^damaged\n\N*knows of 10 lines of chain \w{8}, and none of it is here/,
    'an older file restored, and life goes on' => sub (@lines) {
        write_lines(@lines[0 .. 5]);
        add('confirmed') for 1 .. 8;
    } => qr/^damaged\n\Q$FILE\E line 10: rewritten from one of the lines 5 to 10 on/,
    'two chains, after a restore beside a new one' => sub (@lines) {
        unlink($FILE);
        add() for 1 .. 3;
        write_lines(@lines, lines());
    } =>
        qr/^damaged\n\Q$FILE\E line 11: another chain begins, \w{8} of node \S+, after 10 lines of chain \w{8}: \N*\z/,
    'two chains, the old file renamed' => sub (@lines) {
        unlink($FILE);
        add() for 1 .. 3;
        spew("$FILE.1", join('', map { "$_\n" } @lines));
    } => qr/^damaged\n\Q$FILE\E line 1: another chain begins/,
];

while (my ($name, $tamper, $expected) = splice(@$TAMPER, 0, 3)) {
    subtest $name => sub {
        my @lines = ten_lines();
        is(verify()->{result}, 'ok', 'first it is whole');
        like(verify()->{text}, qr/as 2 anchors knew it/, 'and anchored');
        $tamper->(@lines);
        like(text_of(verify()), $expected, 'found, and named');
        # with one of the two files of anchors gone
        unlink($ANCHORS);
        like(text_of(verify()), $expected, 'also without what the cluster knows');
        ok(add(), 'an event can be written all the same');
    };
}

subtest 'anchors from elsewhere' => sub {
    my @lines = ten_lines();
    my $head = PVE::Escrow::Evidence::head();
    unlink($ANCHORS, $ANCHORS_HERE);
    write_lines(@lines[0 .. 5]);
    is(verify()->{result}, 'ok', 'without any, a cut end does not show');
    my $kit = JSON::PP::encode_json({ version => 1, seals => [], evidence => $head });
    my @anchors = PVE::Escrow::Evidence::read_anchors($kit, 'kit.json');
    like(
        text_of(verify(@anchors)), qr/cut off: kit\.json knows of 10 lines, and there are 6/,
        'a kit'
    );

    my $log = join(
        '',
        map {
            "Nov 21 19:31:17 pve1 pvedaemon[7]: pve-escrow: evidence $head->{chain} $_ "
                . sha256_hex($lines[$_ - 1]) . "\n"
        } 1 .. 8
    );
    @anchors = PVE::Escrow::Evidence::read_anchors($log, 'log');
    is(scalar(@anchors), 8, 'the system log has one a line');
    like(text_of(verify(@anchors)), qr/cut off: log knows of 8 lines/, 'which are as good');
    $lines[3] =~ s/valid/ok/;
    write_lines(rechained(@lines));
    like(
        text_of(verify(@anchors)),
        qr/line 4: line 4 was edited, or all from it on was written anew/,
        'and better: the very line'
    );

    my $mail = "Seen on pve1. Evidence: $head->{chain} 10 $head->{hash}\n";
    is((PVE::Escrow::Evidence::read_anchors($mail, 'mail'))[0]->{count}, 10, 'a notification');

    @anchors = PVE::Escrow::Evidence::read_anchors(
        JSON::PP::encode_json({ evidence => { %$head, node => 'other' } }), 'kit.json',
    );
    my $found = verify(@anchors);
    is($found->{result}, 'ok', 'the anchor of another node says nothing of this one');
    like(text_of($found), qr/kit\.json is of node other: check it there/, 'but is named');
    for my $none ('{}', '', '[1]', '{"evidence":{"chain":"x"}}', '{"evidence":[]}', "\0\xff") {
        like(
            error_of(sub { PVE::Escrow::Evidence::read_anchors($none, 'FILE') }),
            qr/^FILE has no evidence in it/, 'none'
        );
    }
};

subtest 'what is noted down' => sub {
    fresh();
    PVE::Escrow::Evidence::anchor();
    ok(!-e $ANCHORS_HERE, 'nothing to note');
    my $first;
    for my $number (1 .. 400) {
        add();
        PVE::Escrow::Evidence::anchor();
        $first //= PVE::Escrow::Evidence::head()->{hash};
    }
    my @anchors = PVE::Escrow::Evidence::anchors();
    cmp_ok(scalar(@anchors), '<=', 100, 'at most a hundred');
    cmp_ok(scalar(@anchors), '>', 50, 'but many');
    is($anchors[0]->{hash}, $first, 'the first one stays');
    is_deeply([map { $_->{count} } @anchors[-3 .. -1]], [398, 399, 400], 'and the last ones');
    is(slurp($ANCHORS), slurp($ANCHORS_HERE), 'in two places');
    is(verify()->{result}, 'ok', 'and all are right');

    read_only(1);
    add();
    PVE::Escrow::Evidence::anchor();
    read_only(0);
    is(
        (PVE::Escrow::Evidence::anchors())[-1]->{count}, 401,
        'without quorum, the node notes it'
    );
    for my $broken ('', '{', '[]', '{"anchors":{}}', '{"anchors":[1,{},{"chain":[]}]}') {
        spew($ANCHORS_HERE, $broken);
        is(
            (PVE::Escrow::Evidence::anchors())[-1]->{count}, 400,
            'one that is damaged says nothing'
        );
        is(verify()->{result}, 'ok', 'and harms nothing');
    }
    add();
    PVE::Escrow::Evidence::anchor();
    is(slurp($ANCHORS), slurp($ANCHORS_HERE), 'the other one mends it');
};

subtest 'torn at every byte' => sub {
    fresh();
    add('drill', text => "säfe $_") for 1 .. 3;
    my $whole = slurp($FILE);
    my $before = length(join('', map { "$_\n" } (lines())[0, 1]));
    my ($wrong, $quiet) = (0, 0);
    for my $length ($before .. length($whole) - 1) {
        my $part = substr($whole, 0, $length);
        spew($FILE, $part);
        my $is_torn = $length > $before;
        $wrong++ if $is_torn != defined(PVE::Escrow::Evidence::trouble());
        $wrong++ if PVE::Escrow::Evidence::head()->{count} != 2;
        $wrong++ if verify()->{result} ne 'ok';
        $wrong++ if !add();
        $wrong++ if defined(PVE::Escrow::Evidence::trouble());
        my $found = verify();
        $wrong++ if index(slurp($FILE), $part) != 0;
        $wrong++ if $found->{result} ne 'ok' || $found->{lines} != 3 + $is_torn;
        $wrong++ if $found->{head}->{count} != $found->{lines};
        $quiet++ if !$found->{findings}->@*;
        $wrong++ if grep { !m/^\Q$FILE\E line 3 is torn/ } $found->{findings}->@*;
        add();
        $wrong++ if verify()->{lines} != 4 + $is_torn || verify()->{result} ne 'ok';
    }
    is($wrong, 0, 'what was written stays, the next line is whole, and the chain goes on');
    is(
        $quiet, 2,
        'a torn line is named, but where there is nothing of it, or only its end is missing'
    );

    # also the first line, and one torn line after another
    for my $length (1, 50) {
        spew($FILE, substr($whole, 0, $length));
        is(PVE::Escrow::Evidence::head(), undef, 'no head in a part of the first line');
        add() for 1 .. 2;
        is(verify()->{result}, 'ok', 'the chain begins behind it');
        is(PVE::Escrow::Evidence::head()->{count}, 3, 'and it counts');
        spew($FILE, slurp($FILE) . '{"chai');
        spew($FILE, slurp($FILE) . "\n{");
        add();
        is(verify()->{result}, 'ok', 'two torn lines');
        is(PVE::Escrow::Evidence::head()->{count}, 6, 'count');
        is(scalar(verify()->{findings}->@*), 3, 'and are named');
        my $all = slurp($FILE);

        for my $edited (
            $all =~ s/\{"chai\n/{"chip\n/r,
            $all =~ s/"drill"(?=\N*\n\{"chai\n)/"drull"/r
        ) {
            isnt($edited, $all, 'edited');
            spew($FILE, $edited);
            like(
                text_of(verify()),
                qr/^damaged\n\N*line 5 was edited, or one of the lines from \S+ line 3 on/,
                'neither they nor what is before'
            );
        }
    }
};

# a child that adds an event is killed at each of its calls
my sub killed_at_each ($prepare, $check) {
    my $count = 0;
    my $script = 'use PVE::Escrow::Evidence; PVE::Escrow::Evidence::add("drill", text => "x")';
    for my $call (qw(mkdir openat flock lseek read rename write fsync close unlink)) {
        for my $when (1 .. 60) {
            $prepare->();
            my @strace = (
                'strace', '-f', '-o', '/run/trace',
                map({ ('-P', $_) } '/var/log', $DIRECTORY, $FILE, "$FILE.1"),
                '-e', "trace=$call", '-e', "inject=$call:signal=KILL:when=$when",
            );
            my $status = system(@strace, $PERL, '-T', @INCLUDE, '-e', $script);
            $check->("$call $when");
            last if !$status;
            $count++;
        }
    }
    return $count;
}

my $can_trace = system('strace -f -o /run/trace true >/dev/null 2>&1') == 0;

subtest 'killed at every call' => sub {
    plan skip_all => 'strace may not trace here' if !$can_trace;
    for my $present (0, 3) {
        my ($before, @wrong);
        my $killed = killed_at_each(
            sub {
                fresh();
                add() for 1 .. $present;
                $before = -e $FILE ? slurp($FILE) : '';
            },
            sub ($where) {
                my $now = -e $FILE ? slurp($FILE) : '';
                push @wrong, "$where: what was there is not" if index($now, $before) != 0;
                push @wrong, "$where: the next is not written" if !add('next');
                my $found = verify();
                my $lines = $found->{lines} - $present;
                push @wrong, "$where: $found->{text}"
                    if $found->{result} ne 'ok'
                    || $found->{findings}->@*
                    || $lines < 1
                    || $lines > 2;
            },
        );
        is_deeply(\@wrong, [], "behind $present lines");
        cmp_ok($killed, '>', 5, "in $killed places");
    }
};

# big lines, as an earlier version could have written them, until the file is above 8 MiB
my sub write_big_file () {
    fresh();
    my $previous = $ZERO;
    my @lines;
    for my $number (1 .. 130) {
        push @lines, JSON::PP->new->canonical->utf8->encode({
            chain => '0123456789abcdef', n => $number, time => '2026-11-21T19:31:17+00:00',
            node => node(), user => 'root@pam', event => 'drill', result => 'valid',
            version => '0.1.0',
            previous => $previous, text => 'x' x 65536,
        });
        $previous = sha256_hex($lines[-1]);
    }
    write_lines(@lines);
    return;
}

subtest 'rotation' => sub {
    write_big_file();
    my $big = slurp($FILE);
    PVE::Escrow::Evidence::anchor();
    add() for 1 .. 3;
    is(slurp("$FILE.1"), $big, 'the old file is as it was');
    my @lines = decoded();
    is(scalar(@lines), 3, 'and a new one begun');
    is_deeply([$lines[0]->@{qw(chain n)}], ['0123456789abcdef', 131], 'of the same chain');
    is((stat($FILE))[2] & oct(7777), oct(600), 'for root only');
    is(verify()->{text}, 'the chain of 133 lines is whole, and as 1 anchor knew it', 'whole');
    is_deeply(verify()->{files}, ["$FILE.1", $FILE], 'over both');
    is_deeply(
        [map { $_->{line} } PVE::Escrow::Evidence::events(5)->@*],
        [133, 132, 131, 130, 129], 'events of both, newest first'
    );

    my $torn = substr($big, 0, -10);
    unlink("$FILE.1");
    spew($FILE, $torn);
    add();
    ok(!-e "$FILE.1", 'not while the last line is torn');
    add();
    ok(-e "$FILE.1", 'but behind the next');
    is(verify()->{lines}, 132, 'nothing is lost');
    is((PVE::Escrow::Evidence::head())->{count}, 132, 'the head is in the new file');

    rename($FILE, "$FILE.7");
    unlink("$FILE.1");
    write_lines(map { 'x' x 1000 } 1 .. 9000);
    add();
    ok(-e "$FILE.8", 'numbers grow');

    write_big_file();
    add();
    PVE::Escrow::Evidence::anchor();
    rename("$FILE.1", "$DIRECTORY/away");
    like(
        text_of(verify()),
        qr/^damaged\n\Q$FILE\E line 1: lines 1 to 130 before it are missing/,
        'the older file removed'
    );
    rename("$DIRECTORY/away", "$FILE.1");
    rename($FILE, "$FILE.2");
    add();
    unlink("$FILE.2");
    like(text_of(verify()), qr/line 1: line 131 before it is missing/, 'one in the middle');
    spew("$FILE.3", '');
    like(
        text_of(verify()), qr/^\Q$FILE.2\E was removed$/m,
        'by its name, if there is a later one'
    );
    rename("$FILE.3", "$FILE.999999999999");
    like(
        text_of(verify()), qr/^\Q$FILE.2\E to 999999999998 were removed$/m,
        'however many'
    );
    unlink($FILE, "$FILE.999999999999");
    like(
        text_of(verify()), qr/knows of 131 lines, and there are 130: line 131 is missing/,
        'the present one'
    );
};

subtest 'killed during rotation' => sub {
    plan skip_all => 'strace may not trace here' if !$can_trace;
    write_big_file();
    my $big = slurp($FILE);
    my @wrong;
    my $killed = killed_at_each(
        sub { unlink($FILE, "$FILE.1"); spew($FILE, $big) },
        sub ($where) {
            my ($path) = grep { -e && index(slurp($_), $big) == 0 } $FILE, "$FILE.1";
            push @wrong, "$where: what was there is not" if !defined($path);
            add('next');
            my $found = verify();
            push @wrong, "$where: $found->{text}"
                if $found->{result} ne 'ok' || $found->{findings}->@* || $found->{lines} < 131;
        },
    );
    is_deeply(\@wrong, [], 'nothing is lost');
    cmp_ok($killed, '>', 5, "in $killed places");
};

subtest 'at once' => sub {
    fresh();
    my @pids = map {
        in_child(sub { add('drill', text => "x" x 500) || die for 1 .. 50 })
    } 1 .. 4;
    my $failed = grep { waitpid($_, 0); $? } @pids;
    is($failed, 0, 'four processes');
    my $found = verify();
    is($found->{lines}, 200, 'fifty lines each');
    is(text_of($found), 'ok', 'in one chain');

    write_big_file();
    @pids = map {
        in_child(sub { add() || die for 1 .. 20 })
    } 1 .. 4;
    $failed = grep { waitpid($_, 0); $? } @pids;
    is(verify()->{lines}, 210, 'also while a file is renamed');
    is(text_of(verify()) . $failed, 'ok0', 'in one chain');
    is_deeply(
        [map { s/.*\///r } sort glob("$DIRECTORY/*")],
        [qw(evidence.jsonl evidence.jsonl.1)], 'once'
    );
};

my sub seal_it () {
    my $seal = as_root('POST', 'backup1/escrow/create');
    as_root('POST', 'backup1/escrow/confirm', { id => $seal->{id}, code => $seal->{code} });
    return as_root('GET', 'backup1/escrow/status')->{state};
}

# what is in the way => how, and how it goes away; the reason
my $FAILURES = [
    'the disk is full', sub { fill('/var/log') }, \&unfill, qr/No space left|no space for all/,
    'the disk is read-only',
    sub { read_only(1, '/var/log') }, sub { read_only(0, '/var/log') },
    qr/Read-only file system/,
    'a file is in the way',
    sub { spew('/var/log/pve-escrow', '') }, sub { unlink('/var/log/pve-escrow') },
    qr/Not a directory|File exists/,
    'a link is in the way',
    sub { mkdir($DIRECTORY, oct(700)); symlink('/etc/passwd', $FILE) }, sub { unlink($FILE) },
    qr/Too many levels of symbolic links/,
    'a FIFO is in the way',
    sub { mkdir($DIRECTORY, oct(700)); POSIX::mkfifo($FILE, oct(600)) }, sub { unlink($FILE) },
    qr/No such device|not a regular file/,
];

while (my ($name, $break, $mend, $reason) = splice(@$FAILURES, 0, 4)) {
    subtest $name => sub {
        set_up();
        my $passwd = slurp('/etc/passwd');
        $break->();
        is(seal_it(), 'sealed', 'a key is sealed all the same');
        my ($row) = grep { $_->{check} eq 'evidence' } PVE::Escrow::Doctor::run()->@*;
        is($row->{result}, 'error', 'the doctor says so');
        like(
            PVE::Escrow::Evidence::trouble(),
            qr/^evidence could not be written since .*$reason/, 'it is said'
        );
        like(PVE::Escrow::Evidence::trouble(), qr/missing events: 2$/, 'how many are missing');
        is(
            error_of(sub { as_root('GET', 'backup1/escrow/kit') }), 'it went through',
            'there is a kit'
        );
        is(slurp('/etc/passwd'), $passwd, 'nothing else was written to');
        $mend->();
        ok(defined(PVE::Escrow::Evidence::trouble()), 'what is missing stays missing');
        ok(add(), 'until an event is written');
        is(PVE::Escrow::Evidence::trouble(), undef, 'then it is over');
        my $last = (decoded($FILE))[-1];
        is($last->{unwritten}, 2, 'the gap is in the chain');
        my $found = verify();
        is($found->{result}, 'ok', 'which is whole');
        like(
            text_of($found), qr/line \d: before it, 2 events could not be written$/m,
            'and the gap is named'
        );
        add();
        ok(!exists((decoded($FILE))[-1]->{unwritten}), 'once');
    };
}

subtest 'when nothing at all can be written' => sub {
    fresh();
    add();
    read_only(1, '/var/log');
    like(
        PVE::Escrow::Evidence::trouble(), qr/^evidence: .*Read-only/,
        'known without an event'
    );
    read_only(1, $_) for qw(/run /var/lib);
    ok(!add(), 'an event');
    like(PVE::Escrow::Evidence::trouble(), qr/^evidence: .*Read-only/, 'and still');
    read_only(0, $_) for qw(/run /var/log /var/lib);
    is(PVE::Escrow::Evidence::trouble(), undef, 'over');

    fresh();
    read_only(1, '/var/log');
    like(
        PVE::Escrow::Evidence::trouble(),
        qr/^evidence: cannot write to \/var\/log: Read-only/, 'no directory yet'
    );
    read_only(0, '/var/log');

    fresh();
    add();
    fill('/var/log', '/run');
    my $left = 100;
    $left-- while $left && add();
    ok(!add(), 'no space, also for the mark of it');
    like(
        PVE::Escrow::Evidence::trouble(), qr/evidence could not be written/,
        'there is another place'
    );
    unfill();
    ok(add(), 'with space');
    is(PVE::Escrow::Evidence::trouble(), undef, 'over');

    fresh();
    add();
    open(my $held, '<', $DIRECTORY) or die "$!\n";
    my $pid = in_child(sub {
        POSIX::setsid();
        open(my $dh, '<', $DIRECTORY) or die;
        flock($dh, 2) or die;
        spew('/run/locked', '');
        POSIX::pause();
    });
    Time::HiRes::sleep(0.01) while !-e '/run/locked';
    is(PVE::Escrow::Evidence::head()->{count}, 1, 'a lock that stays does not hinder reading');
    ok(!add(), 'and writing not for ever');
    like(PVE::Escrow::Evidence::trouble(), qr/another process holds/, 'it is said');
    kill('KILL', $pid);
    waitpid($pid, 0);
    ok(add(), 'then it goes on');
};

subtest 'core Perl is enough' => sub {
    fresh();
    my $hide =
        'BEGIN { unshift(@INC, sub { $_[1] =~ m{^(?:PVE/(?!Escrow/)|PVE/RS|JSON\.pm|JSON/XS)} ? die "gone\n" : () }) }';
    my $script =
        "$hide use PVE::Escrow::Evidence; exit(PVE::Escrow::Evidence::add('drill') && PVE::Escrow::Evidence::verify()->{result} eq 'ok' ? 0 : 1)";
    is(system($PERL, '-T', @INCLUDE, '-e', $script), 0, 'without the library and Proxmox VE');
    is((decoded())[0]->{user}, 'root', 'the user is the system\'s');
};

subtest 'API' => sub {
    set_up();
    seal_it();
    my $events = as_root('GET', 'escrow/evidence');
    is_deeply([map { $_->{event} } @$events], [qw(confirmed created)], 'events, newest first');
    cmp_ok(time() - $events->[0]->{time}, '<', 600, 'when');
    is($events->[0]->{line}, 2, 'the number of the line');
    is($events->[0]->{storage}, 'backup1', 'the storage');
    is(scalar(as_root('GET', 'escrow/evidence', { limit => 1 })->@*), 1, 'a limit');
    my $found = as_root('GET', 'escrow/evidence/verify');
    is($found->{result}, 'ok', 'verify');
    is($found->{head}, PVE::Escrow::Evidence::head()->{hash}, 'the head');
    my $report = as_root('GET', 'escrow/evidence/report');
    like($report->{name}, qr/^escrow-report-\S+\.html$/, 'a name for the report');
    like($report->{html}, qr/^<!DOCTYPE html>.*<\/html>\n\z/s, 'the report');

    spew('/etc/pve/user.cfg', "user:alice\@pve:1:0:::::\nacl:1:/:alice\@pve:PVEAdmin:\n");
    for my $path ('evidence', 'evidence/verify', 'evidence/report') {
        like(
            error_of(sub { call('alice@pve', 'GET', "escrow/$path") }),
            qr/only root\@pam and the 'operators'/, "$path: for operators only"
        );
        like(
            error_of(sub { call('root@pam!token', 'GET', "escrow/$path") }),
            qr/token/, "$path: not for a token"
        );
    }
    spew('/etc/pve/escrow.cfg', "operators: alice\@pve\n");
    is(scalar(call('alice@pve', 'GET', 'escrow/evidence')->@*), 2, 'an operator');
};

subtest 'CLI' => sub {
    my @lines = ten_lines();
    storage_cfg();
    my $head = PVE::Escrow::Evidence::head();
    my $table = pveescrow('evidence');
    is($table->{code}, 0, 'evidence');
    like($table->{out}, qr/^line\s+time\s.*^10\s+\d{4}-.*number 10\n9\s/ms, 'a table');
    is(scalar(split(m/\n/, pveescrow(qw(evidence --limit 3))->{out})), 4, 'a limit');
    is(
        JSON::PP::decode_json(pveescrow(qw(evidence --output-format json))->{out})->[0]->{text},
        'number 10', 'as JSON'
    );

    my $good = pveescrow(qw(evidence --verify));
    is($good->{code}, 0, 'verify: whole');
    like(
        $good->{out},
        qr/^ok: the chain of 10 lines is whole\N*\n  head: $head->{chain} 10 $head->{hash}$/m,
        'says so'
    );

    spew('/run/kit.json', JSON::PP::encode_json({ evidence => $head }));
    spew('/run/log', "x pve-escrow: evidence $head->{chain} 8 " . sha256_hex($lines[7]) . "\n");
    unlink($ANCHORS, $ANCHORS_HERE);
    write_lines(@lines[0 .. 5]);
    is(pveescrow(qw(evidence --verify))->{code}, 0, 'a cut end without an anchor');
    my $cut = pveescrow(qw(evidence --verify --anchor /run/log --anchor /run/kit.json));
    is($cut->{code}, 1, 'with anchors');
    like(
        $cut->{out}, qr/^damaged: .*\/run\/kit\.json knows of 10 lines, and there are 6/ms,
        'named'
    );
    my $json = pveescrow(qw(evidence --verify --anchor /run/log --output-format json));
    is($json->{code}, 1, 'also as JSON');
    is(JSON::PP::decode_json($json->{out})->{result}, 'damaged', 'which says so');

    my $none = pveescrow(qw(evidence --verify --anchor /run/nothing));
    isnt($none->{code}, 0, 'no such anchor');
    like($none->{out}, qr{cannot open /run/nothing}, 'says why');
    like(
        pveescrow(qw(evidence --anchor /run/log))->{out}, qr/--anchor is for --verify/,
        'alone it is nothing'
    );

    is(pveescrow(qw(evidence --html /run/report.html))->{code}, 0, 'a report');
    like(slurp('/run/report.html'), qr/^<!DOCTYPE html>.*<\/html>\n\z/s, 'in a file');
    is((stat('/run/report.html'))[2] & oct(7777), oct(600), 'for root only');
    my $again = pveescrow(qw(evidence --html /run/report.html));
    isnt($again->{code}, 0, 'never over a file');
};

subtest 'report' => sub {
    set_up();
    storage_cfg(
        backup1 => { username => 'root@pam', 'encryption-key' => $LIVE_FP },
        lost => { 'encryption-key' => $LIVE_FP },
        plain => {},
    );
    my $seal = as_root('POST', 'backup1/escrow/create', { label => '<b onload="x">&\'säfe' });
    as_root('POST', 'backup1/escrow/confirm', { id => $seal->{id}, code => $seal->{code} });
    add(
        'drill', storage => 'backup1', text => '<script>alert(1)</script>',
        result => 'invalid'
    );
    require PVE::Escrow::Report;

    PVE::Escrow::State::set(
        'backup1',
        {
            drill => {
                time => 1795000000, result => 'valid', text => 'all <good>',
                user => 'alice@pve',
                fingerprint => $LIVE_FP, snapshots => 3, bytes => 4711,
            },
            coverage => {
                time => 1795000000, snapshots => 17, plain => 4, 'without-rsa' => 5,
                keys => [
                    { fingerprint => $LIVE_FP, snapshots => 12, newest => 1795000000 },
                    { fingerprint => 'aa:bb', snapshots => 1, newest => 1 },
                ],
            },
            copies => {
                usb => {
                    storage => 'usb', result => 'error', text => 'not mounted',
                    time => 1795000000,
                    outside => 1,
                },
            },
        },
    );
    my $html = PVE::Escrow::Report::html();
    my $words = sub ($class, $word) { return qr/<span class="word $class">\Q$word\E<\/span>/ };
    like(
        $html,
        qr/<td>backup1<\/td><td>@{[$words->('critical', 'critical')]}<\/td><td>@{[$words->('good', 'sealed')]}/,
        'a storage: its level and its state'
    );
    like($html, qr/<td>1 snapshot needs key aa:bb\N*<br>\N*not mounted<br>/, 'and why');
    like(
        $html,
        qr/<td>lost<\/td><td>@{[$words->('critical', 'critical')]}<\/td><td>@{[$words->('critical', 'missing-key')]}/,
        'one that is not'
    );
    like($html, $words->('plain', 'unencrypted'), 'one that has no key');
    like(
        $html,
        qr/<td>backup1<\/td><td>drill<\/td><td>@{[$words->('good', 'valid')]}.*2026-11-18.*alice\@pve.*4711.*all &lt;good&gt;/,
        'a drill'
    );
    like(
        $html, qr/<td>backup1<\/td><td>proof<\/td><td>@{[$words->('critical', 'missing')]}/,
        'no proof'
    );
    like($html, qr/17 snapshots; not encrypted: 4; /, 'coverage');
    like(
        $html, qr/aa:bb<\/code><\/td><td>@{[$words->('critical', 'missing')]}/,
        'a key that is missing'
    );
    unlike($html, qr/<td>plain<\/td><td>drill/, 'nor a word of what has no key');
    like($html, qr/Storage lost: its backup server was never asked/, 'no coverage');
    like($html, qr/usb<\/td><td>@{[$words->('critical', 'error')]}.*not mounted/, 'a copy');
    like($html, qr/<code>\Q$LIVE_FP\E<\/code>/, 'the key in full');
    like($html, qr/&lt;b onload=&quot;x&quot;&gt;&amp;&#39;säfe/, 'a label is text');
    unlike(
        $html, qr/<script|<b onload|<link|<img|src=|href=|url\(|\@import/i,
        'no script, nothing from elsewhere'
    );
    like($html, $words->('good', 'ok'), 'the chain is whole');
    my $hash = PVE::Escrow::Evidence::head()->{hash};
    like($html, qr/last hash <code>$hash</, 'its head');
    unlike($html, qr/"kdf"|\Q$seal->{code}\E/, 'no blob and no code');

    write_lines(map { s/drill/drull/r =~ s/"created"/"kreated"/r } lines());
    like(
        PVE::Escrow::Report::html(),
        qr/@{[$words->('critical', 'damaged')]} The evidence was changed: 1 finding/,
        'damage is said'
    );
    read_only(1, '/var/log');
    like(
        PVE::Escrow::Report::html(),
        qr/@{[$words->('critical', 'error')]} evidence: .*Read-only/, 'and trouble'
    );
    read_only(0, '/var/log');

    spew('/etc/pve/priv/escrow/' . ($LIVE_FP =~ tr/://dr) . '.json', '{');
    unlink('/var/lib/pve-escrow/records/' . ($LIVE_FP =~ tr/://dr) . '.json');
    unlink($FILE);
    mkdir($FILE);
    $html = PVE::Escrow::Report::html();
    like($html, qr/can&#39;t be used: not JSON/, 'a record that is damaged');
    like(
        $html, qr/could not be found out: \Q$FILE\E is not a regular file/,
        'what can not be read is said'
    );
    like($html, qr/<h2>Storages<\/h2>\n<table>/, 'and the rest is there');

    add('x' . $_) for 1 .. 60;
    rmdir($FILE);
    add('event' . $_) for 1 .. 60;
    $html = PVE::Escrow::Report::html();
    my $rows = () = $html =~ m/<td>event\d+<\/td>/g;
    is($rows, 50, 'the last fifty events');
};

done_testing();
