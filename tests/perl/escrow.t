#!/usr/bin/perl -T

# PVE::RS::Escrow on key files of the real client.

use v5.36;

use Cwd ();
use File::Basename ();
use File::Temp ();
use JSON::PP ();
use Test::More;

my $TESTS;

BEGIN {
    ($TESTS) = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/..') =~ m/^(.*)$/;
}

use lib "$TESTS/../perl";

use PVE::RS::Escrow;

my $KEYS = "$TESTS/vectors/keys";
my $LIVE =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $WORDS = 'abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous';

my sub slurp ($path) {
    open(my $fh, '<:raw', $path) or die "open '$path': $!\n";
    local $/;
    return <$fh>;
}

my sub spew ($path, $content) {
    open(my $fh, '>:raw', $path) or die "open '$path': $!\n";
    print {$fh} $content;
    close($fh) or die "close '$path': $!\n";
    return;
}

my sub call ($name, %input) {
    return PVE::RS::Escrow->can($name)->(\%input);
}

my sub dies_like ($regex, $what, $name, %input) {
    my $result = eval { call($name, %input) };
    my $err = $@;
    ok(!defined($result), "$what: no result");
    like($err, $regex, "$what: $err" =~ s/\n//r);
    like($err, qr/[^\n]\n\z/, "$what: one newline at the end, no place in a file");
    return;
}

my $dir = File::Temp::tempdir(CLEANUP => 1);
my $blob = slurp("$KEYS/live.escrow-by-client.enc");

subtest 'key files are what the client says' => sub {
    my $manifest = JSON::PP::decode_json(slurp("$KEYS/manifest.json"));
    for my $entry ($manifest->@*) {
        my ($name, $show) = $entry->@{qw(file show)};
        if ($entry->{invalid}) {
            dies_like(
                qr/claims to hold key 7d:34:.*but the key in it is 03:6b:/, $name,
                'fingerprint', keyfile => "$KEYS/$name"
            );
            next;
        }
        my $is = call('inspect', keyfile => "$KEYS/$name");
        is($is->{$_}, $show->{$_}, "$name: $_") for qw(kdf created modified);
        is($is->{hint}, $entry->{hint}, "$name: hint");
        is(!!$is->{verified}, $show->{kdf} eq 'none', "$name: verified");
        my $fingerprint = $show->{fingerprint} // $LIVE;
        is($is->{fingerprint}, $fingerprint, "$name: fingerprint");
        is(
            call('fingerprint', keyfile => "$KEYS/$name")->{fingerprint}, $fingerprint,
            "$name: alone"
        );
    }
};

subtest 'create, verify, unwrap' => sub {
    my $before = slurp("$KEYS/live.enc");
    my $seal = call('create', keyfile => "$KEYS/live.enc");
    is(length($seal->{blob}), 383, 'the blob has the length of the clients');
    is($seal->{fingerprint}, $LIVE, 'fingerprint');
    is(scalar(split(/ /, $seal->{code})), 10, 'ten words');
    like($seal->{check}, qr/^[a-z][0-9][a-z][0-9]$/, 'check characters');
    is(slurp("$KEYS/live.enc"), $before, 'the live key is untouched');

    my %open = (blob => $seal->{blob}, code => uc($seal->{code}) . "\n$seal->{check}");
    is(call('verify', %open, expect => $LIVE)->{fingerprint}, $LIVE, 'verify');
    is(call('unwrap', %open, expect => substr($LIVE, 0, 23), out => "$dir/recovered.enc")
            ->{fingerprint}, $LIVE, 'unwrap');
    is((stat("$dir/recovered.enc"))[2] & oct(7777), oct(600), 'mode of the recovered key');
    my $recovered = JSON::PP::decode_json(slurp("$dir/recovered.enc"));
    my $live = JSON::PP::decode_json($before);
    is_deeply(
        [$recovered->@{qw(kdf data fingerprint created)}],
        [$live->@{qw(kdf data fingerprint created)}], 'the same key'
    );

    dies_like(
        qr/^wrong recovery code for the blob/, 'another code', 'verify',
        blob => $seal->{blob}, code => $WORDS
    );
    dies_like(
        qr/exists already/, 'target exists', 'unwrap', %open,
        out => "$dir/recovered.enc"
    );
    my $another = call('create', keyfile => "$KEYS/live.enc");
    isnt($another->{code}, $seal->{code}, 'a new code each time');
};

subtest 'refusals say what was wrong' => sub {
    my %open = (blob => $blob, code => $WORDS);
    dies_like(
        qr/needed is key 7d:34:d4:ed:c3:20:5d:a3, offered was key 03:6b:/, 'another key',
        'verify', %open, expect => '7d:34:d4:ed:c3:20:5d:a3'
    );
    dies_like(
        qr/^word 3 is not in the word list; did you mean thimble\?$/, 'a typing error',
        'verify', %open, code => $WORDS =~ s/thimble/thimbel/r
    );
    dies_like(
        qr/ten words, but 9 were given/, 'a word too few', 'verify', %open,
        code => $WORDS =~ s/ virtuous//r
    );
    dies_like(
        qr/check characters do not fit/, 'check characters', 'verify', %open,
        code => "$WORDS b2b2"
    );
    dies_like(qr/the blob is damaged.*not JSON/, 'no blob', 'verify', %open, blob => 'x');
    dies_like(
        qr/the blob is not supported: it is not sealed/, 'a plain key', 'verify', %open,
        blob => slurp("$KEYS/live.enc")
    );
    dies_like(
        qr/scrypt\.enc is protected by a passphrase/, 'protected key', 'create',
        keyfile => "$KEYS/scrypt.enc"
    );
    dies_like(
        qr/cannot read .*absent: No such file/, 'no file', 'fingerprint',
        keyfile => "$dir/absent"
    );
    dies_like(qr/is not a fingerprint/, 'bad fingerprint', 'verify', %open, expect => '03:6b');
    dies_like(qr/missing field `code`/, 'no code', 'verify', blob => $blob);
    dies_like(
        qr/unknown field `keyfiles`/, 'unknown parameter', 'fingerprint',
        keyfiles => 'x'
    );
    ok(!defined(eval { PVE::RS::Escrow::schema('nosuch') }), 'no schema');
    like($@, qr/^no operation 'nosuch'$/, 'no schema: text');
};

subtest 'types as PVE hands them around' => sub {
    is(
        call('verify', blob => $blob, code => $WORDS, expect => undef)->{fingerprint}, $LIVE,
        'undef for an option'
    );
    my $number = 1234567812345678;
    dies_like(
        qr/needed is key 12:34:56:78:12:34:56:78/, 'a number for a text', 'verify',
        blob => $blob, code => $WORDS, expect => $number
    );
    dies_like(
        qr/no recovery code was given/, 'a number for a code', 'verify', blob => $blob,
        code => 5
    );
    ok(!defined(eval { call('verify', blob => [$blob], code => $WORDS) }), 'a list for a text');
    my ($tainted) = grep { defined } @ENV{qw(PATH HOME)};
    my $path = "$KEYS/live.enc" . substr($tainted, 0, 0);
    is(call('fingerprint', keyfile => $path)->{fingerprint}, $LIVE, 'a tainted path');
    my $result = call('inspect', keyfile => "$KEYS/live.enc");
    is(
        JSON::PP->new->canonical->encode({ $result->%{qw(created kdf)} }),
        '{"created":1795291114,"kdf":"none"}', 'numbers and texts in results'
    );
};

subtest 'install' => sub {
    my ($target, $keep) = ("$dir/live.enc", "$dir/kept");
    mkdir($keep);
    my %install = (blob => $blob, code => $WORDS, target => $target);
    is_deeply(
        call('install', %install), { fingerprint => $LIVE, changed => 1 },
        'where nothing was'
    );
    my $installed = slurp($target);
    is_deeply(
        call('install', %install), { fingerprint => $LIVE, changed => 0 },
        'the same key again'
    );
    is(slurp($target), $installed, 'is left as it is');

    my $other = slurp("$KEYS/other.enc");
    spew($target, $other);
    my $displace = '7d:34:d4:ed:c3:20:5d:a3';
    dies_like(
        qr/^refused: .*holds another key, 7d:34:.*name that/, 'over another key',
        'install', %install
    );
    dies_like(
        qr/not 03:6b:8f:61:0c:da:d8:85, which was to be displaced/,
        'another one is named', 'install', %install, displace => '036b8f610cdad885'
    );
    dies_like(
        qr/no place is named to keep it/, 'nowhere to keep it', 'install', %install,
        displace => $displace
    );
    dies_like(
        qr/cannot write .*absent/, 'keeping fails', 'install', %install,
        displace => $displace, keep => "$dir/absent"
    );
    is(slurp($target), $other, 'the other key is still there');
    my $done = call('install', %install, displace => $displace, keep => $keep);
    ok($done->{changed}, 'displaced');
    is(slurp($done->{kept}), $other, 'and kept, byte for byte');
    like(
        $done->{kept},
        qr{^\Q$keep\E/119322748570b8228de43aac389a4403c2ae68d452667353f280213f59940fa1\.enc$},
        'by its SHA-256'
    );
    is(call('fingerprint', keyfile => $target)->{fingerprint}, $LIVE, 'the key is live');

    spew($target, $other);
    is(
        call('install', %install, displace => $displace, keep => $keep)->{kept}, $done->{kept},
        'kept already'
    );

    spew($target, 'no key');
    dies_like(
        qr/holds no key that can be read; its SHA-256 is ([0-9a-f]{64})/,
        'over something else', 'install', %install, keep => $keep
    );
    my ($sha256) = $@ =~ m/SHA-256 is ([0-9a-f]{64})/;
    my $kept = call('install', %install, displace => $sha256, keep => $keep)->{kept};
    is(slurp($kept), 'no key', 'what can not be read is kept too');

    spew($target, $other);
    dies_like(
        qr/^wrong recovery code/, 'wrong code', 'install', %install,
        code => $WORDS =~ s/abacus/zoom/r, displace => $displace, keep => $keep
    );
    is(slurp($target), $other, 'wrong code: the other key is still there');
};

subtest 'schema' => sub {
    for my $name (qw(create fingerprint inspect install unwrap verify)) {
        my $schema = PVE::RS::Escrow::schema($name);
        is($schema->{parameters}->{additionalProperties}, 0, "$name takes nothing else");
        for my $part (qw(parameters returns)) {
            my $properties = $schema->{$part}->{properties};
            ok($properties->{$_}->{description}, "$name: $_ is described")
                for sort keys $properties->%*;
            my @untyped = grep { $properties->{$_}->{type} !~ m/^(?:boolean|integer|string)$/ }
                keys $properties->%*;
            is_deeply(\@untyped, [], "$name: all $part have types");
        }
    }
    my $returns = PVE::RS::Escrow::schema('inspect')->{returns}->{properties};
    my $result = call('inspect', keyfile => "$KEYS/utf8-hint.enc");
    is_deeply(
        [sort keys $result->%*], [sort keys $returns->%*],
        'results are as the schema says'
    );
    like($result->{fingerprint}, qr/^$returns->{fingerprint}->{pattern}$/, 'pattern');
};

is_deeply([grep { m/tmp$/ } glob("$dir/* $dir/.*")], [], 'no temporary file is left');

done_testing();
