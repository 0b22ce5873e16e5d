# Strings, characters and bytes.

use v5.36;

use lib do { __FILE__ =~ m!\A(.*)/[^/]+\z!s ? "$1/lib" : "lib" };

use Test::More;

use Encode qw(encode);

use CompatTestlib qw(call error_of);

my $emoji = "\x{1f511}";
my $umlaut = "\x{fc}";

my sub flagged ($text) {
    utf8::upgrade($text);
    return $text;
}

my sub unflagged ($text) {
    utf8::downgrade($text);
    return $text;
}

subtest 'text' => sub {
    for my $text ('', 'plain', "a\0b", "line\n", flagged($umlaut), $emoji, "$umlaut$emoji") {
        is(call('Scalars::string', $text), $text);
        is(call('Scalars::borrowed', $text), $text);
    }
    is(call('Scalars::two_borrowed', $umlaut, $emoji), "$umlaut-$emoji");
    my $text = 'same';
    is(call('Scalars::two_borrowed', $text, $text), 'same-same');
    is(length(call('Scalars::string', 'x' x 100_000)), 100_000);
};

subtest 'characters count, not how Perl stores them' => sub {
    for my $text (flagged($umlaut), unflagged($umlaut)) {
        is(call('Scalars::string', $text), $umlaut);
        is(call('Scalars::borrowed', $text), $umlaut);
        is_deeply(call('Scalars::string_bytes', $text), [0xc3, 0xbc]);
    }
    is_deeply(call('Scalars::string_bytes', $emoji), [0xf0, 0x9f, 0x94, 0x91]);
};

subtest 'encoded text is a string of Latin-1 characters' => sub {
    my $encoded = encode('UTF-8', $umlaut);
    is(call('Scalars::string', $encoded), "\x{c3}\x{bc}");
    is_deeply(call('Scalars::string_bytes', $encoded), [0xc3, 0x83, 0xc2, 0xbc]);
    is(call('Scalars::string', "\xff\xfe"), "\x{ff}\x{fe}");
};

subtest 'results have the UTF-8 flag if they need it' => sub {
    ok(utf8::is_utf8(call('Scalars::string', $umlaut)));
    ok(utf8::is_utf8(call('Scalars::string', unflagged($umlaut))));
    ok(!utf8::is_utf8(call('Scalars::string', 'plain')));
    ok(!utf8::is_utf8(call('Scalars::string', flagged('plain'))));
};

subtest 'bytes are those that Perl stores' => sub {
    my $bytes = join('', map { chr } 0 .. 255);
    is(call('Scalars::bytes', $bytes), $bytes);
    ok(!utf8::is_utf8(call('Scalars::bytes', $bytes)));
    is(call('Scalars::bytes', flagged($umlaut)), "\xc3\xbc");
    is(call('Scalars::bytes', unflagged($umlaut)), "\xfc");
    is(
        error_of('Scalars::bytes', 5),
        "error: invalid type: integer `5`, expected a borrowed byte array\n"
    );
    is(
        error_of('Scalars::bytes', 1.5),
        "error: invalid type: floating point `1.5`, expected a borrowed byte array\n"
    );
    is(
        error_of('Scalars::bytes', undef),
        "error: invalid type: unit value, expected a borrowed byte array\n"
    );
};

subtest 'what is not Unicode' => sub {
    no warnings qw(surrogate non_unicode);
    for my $text ("a\x{d800}b", "\x{110000}") {
        my $result = eval { call('Scalars::string', $text) };
        my $error = $@;
        ok(defined($result) ? $result eq $text : $error =~ m/Unicode/, 'refused or passed on');
    }
    is(call('Scalars::string', 'alive'), 'alive');
};

subtest 'other types' => sub {
    my $expected = sub ($got) { return "error: invalid type: $got, expected a string\n" };
    for my $name (qw(Scalars::string Scalars::optional)) {
        is(error_of($name, 5), $expected->('integer `5`'));
        is(error_of($name, 1.5), $expected->('floating point `1.5`'));
        is(error_of($name, []), $expected->('sequence'));
        is(error_of($name, {}), $expected->('map'));
    }
    is(error_of('Scalars::string', undef), $expected->('Option value'));
    is(
        error_of('Scalars::borrowed', 5),
        "error: invalid type: integer `5`, expected a borrowed string\n"
    );
    is(call('Scalars::optional', undef), undef);
    is(call('Scalars::optional', ''), '');
};

subtest 'characters' => sub {
    is(call('Scalars::character', 'x'), 'x');
    is(call('Scalars::character', $emoji), $emoji);
    is(call('Scalars::character', 65), 'A');
    is(call('Scalars::character', -1), "\x{ff}");
    is(
        error_of('Scalars::character', 256),
        "error: invalid type: integer `256`, expected a character\n"
    );
    is(
        error_of('Scalars::character', 'xy'),
        "error: invalid value: string \"xy\", expected a character\n"
    );
    is(
        error_of('Scalars::character', undef),
        "error: invalid type: unit value, expected a character\n"
    );
};

done_testing();
