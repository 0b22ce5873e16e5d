# Numbers and truth values.

use v5.36;

use lib do { __FILE__ =~ m!\A(.*)/[^/]+\z!s ? "$1/lib" : "lib" };

use Test::More;

use CompatTestlib qw(call error_of);

subtest 'integers and their ranges' => sub {
    is(call('Scalars::u8', 255), 255);
    is(call('Scalars::i8', -128), -128);
    is(call('Scalars::u32', 4294967295), 4294967295);
    is(call('Scalars::i64', 9223372036854775807), 9223372036854775807);
    is(call('Scalars::i64', -9223372036854775807 - 1), -9223372036854775807 - 1);
    is(call('Scalars::i64_text', 9223372036854775807), '9223372036854775807');
    is(call('Scalars::i64_text', -9223372036854775807 - 1), '-9223372036854775808');
    is(call('Scalars::u64', 2**53) . '', '9007199254740992');
    is(call('Scalars::i64_text', 9007199254740993), '9007199254740993');

    my $invalid = sub ($got, $type) {
        return "error: invalid value: integer `$got`, expected $type\n";
    };
    is(error_of('Scalars::u8', 256), $invalid->(256, 'u8'));
    is(error_of('Scalars::u8', -1), $invalid->(-1, 'u8'));
    is(error_of('Scalars::i8', 128), $invalid->(128, 'i8'));
    is(error_of('Scalars::i8', -129), $invalid->(-129, 'i8'));
    is(error_of('Scalars::u32', 4294967296), $invalid->(4294967296, 'u32'));
    is(error_of('Scalars::u64', -1), $invalid->(-1, 'u64'));
};

subtest 'integers above the range of i64 come out negative' => sub {
    is(call('Scalars::max_u64'), 18446744073709551615);
    is(call('Scalars::max_u64') . '', '18446744073709551615');
    is(call('Scalars::i64', 18446744073709551615), -1);
    is(
        error_of('Scalars::u64', 18446744073709551615),
        "error: invalid value: integer `-1`, expected u64\n"
    );
    is(
        error_of('Scalars::u64', 9223372036854775808),
        "error: invalid value: integer `-9223372036854775808`, expected u64\n"
    );
    is(call('Scalars::f64', 18446744073709551615), -1);
};

subtest 'results are integers' => sub {
    my ($result) = call('Scalars::u64', 2**53);
    is("$result", '9007199254740992');
    is(
        error_of('Scalars::string', call('Scalars::u32', 7)),
        "error: invalid type: integer `7`, expected a string\n"
    );
    is(error_of('Scalars::i128', 5), "error: i128 is not supported\n");
};

subtest 'integers are cut off floats' => sub {
    is(call('Scalars::u32', 1.5), 1);
    is(call('Scalars::i64', -1.5), -1);
    is(call('Scalars::u32', 9**9**9 / 9**9**9), 0, 'NaN');
    is(error_of('Scalars::u32', 9**9**9), "error: invalid value: integer `-1`, expected u32\n");
};

subtest 'floats' => sub {
    is(call('Scalars::f64', 1.5), 1.5);
    is(call('Scalars::f64', -0.1), -0.1);
    is(call('Scalars::f32', 0.5), 0.5);
    is(call('Scalars::f32', 1e300), 9**9**9);
    is(call('Scalars::f64_text', 3), '3.0');
    is(call('Scalars::f64_text', 0.1 + 0.2), '0.30000000000000004');
    is(call('Scalars::f64_text', 1e300), '1e300');
    is(call('Scalars::f64_text', 9**9**9), 'inf');
    is(call('Scalars::f64_text', -(9**9**9)), '-inf');
    is(call('Scalars::f64_text', 9**9**9 / 9**9**9), 'NaN');
};

subtest 'strings are no numbers' => sub {
    for my $type (qw(u8 u32 u64 i8 i64 f32 f64)) {
        is(error_of("Scalars::$type", '5'),
            "error: invalid type: string \"5\", expected $type\n");
        is(error_of("Scalars::$type", ''),
            "error: invalid type: string \"\", expected $type\n");
        is(error_of("Scalars::$type", undef),
            "error: invalid type: unit value, expected $type\n");
        is(error_of("Scalars::$type", []), "error: invalid type: sequence, expected $type\n");
        is(error_of("Scalars::$type", {}), "error: invalid type: map, expected $type\n");
    }
};

subtest 'truth values' => sub {
    is(call('Scalars::boolean', 1), 1);
    is(call('Scalars::boolean', 0), 0);
    is(call('Scalars::boolean', !!1), 1);
    is(call('Scalars::boolean', !!0), 0);
    is(call('Scalars::boolean', 1 == 2), 0, 'false of Perl comes back as 0');
    is(call('Scalars::boolean', undef), 0);
    is(call('Scalars::boolean', 17), 1);
    is(call('Scalars::boolean', -1), 1);
    is(call('Scalars::boolean', 0.0), 0);
    is(call('Scalars::boolean', 0.5), 1);
    is(call('Scalars::not', 1), 0);
    is(call('Scalars::not', undef), 1);

    is(error_of('Scalars::boolean', $_), "error: expected bool value\n", "string '$_'")
        for '1', '0', '', 'true', 'yes';
    is(error_of('Scalars::boolean', []), "error: invalid type: sequence, expected a boolean\n");
    is(error_of('Scalars::boolean', {}), "error: invalid type: map, expected a boolean\n");
};

subtest 'options' => sub {
    is(call('Scalars::optional_u32', undef), undef);
    is(call('Scalars::optional_u32'), undef);
    is(call('Scalars::optional_u32', 3), 3);
    is(error_of('Scalars::optional_u32', '3'),
        "error: invalid type: string \"3\", expected u32\n");
    is(call('Scalars::optional_bool', undef), 'None');
    is(call('Scalars::optional_bool', 0), 'Some(false)');
    is(error_of('Scalars::optional_bool', ''), "error: expected bool value\n");
    is(call('Scalars::twice_optional', undef), 'None');
    is(
        error_of('Scalars::twice_optional', 1),
        "error: invalid type: integer `1`, expected option\n"
    );
};

subtest 'a scalar is what its variable ever was' => sub {
    my $number = 5;
    my $text = "$number";
    is(call('Scalars::u32', $number), 5);
    is(call('Scalars::string', $number), '5', 'was printed');

    my $was_number = 5;
    $was_number = '7';
    is(call('Scalars::u32', $was_number), 7);
    is(call('Scalars::string', $was_number), '7');
    is(call('Scalars::seen', $was_number), 'str "7"');

    my $was_string = 'seven';
    $was_string = 7;
    is(call('Scalars::u32', $was_string), 7);
    is(call('Scalars::string', $was_string), '7');

    my $compared = '5';
    ok($compared == 5);
    is(call('Scalars::u32', $compared), 5);
    is(call('Scalars::boolean', $compared), 1);
    is(call('Scalars::string', $compared), '5');

    is(error_of('Scalars::u32', "$number"),
        "error: invalid type: string \"5\", expected u32\n");
    is(
        error_of('Scalars::string', $was_string + 0),
        "error: invalid type: integer `7`, expected a string\n"
    );
};

subtest 'untyped' => sub {
    is(call('Scalars::seen', 5), 'i64 5');
    is(call('Scalars::seen', 1.5), 'f64 1.5');
    is(call('Scalars::seen', '5'), 'str "5"');
    is(call('Scalars::seen', !!1), 'str "1"');
    is(call('Scalars::seen', undef), 'none');
    is(error_of('Scalars::unit', undef), "error: invalid type: Option value, expected unit\n");
    is(error_of('Scalars::unit', 1), "error: invalid type: integer `1`, expected unit\n");
};

done_testing();
