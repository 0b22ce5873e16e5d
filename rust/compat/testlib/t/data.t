# Lists, maps, structs and enums.

use v5.36;

use lib do { __FILE__ =~ m!\A(.*)/[^/]+\z!s ? "$1/lib" : "lib" };

use Test::More;

use CompatTestlib qw(call error_of);

my $umlaut = "\x{fc}";
my $emoji = "\x{1f511}";

subtest 'lists' => sub {
    is_deeply(call('Data::strings', []), []);
    is_deeply(call('Data::strings', ['a', $umlaut, $emoji]), ['a', $umlaut, $emoji]);
    is_deeply(call('Data::bools', [1, 0, !!1, undef]), [1, 0, 1, 0]);
    is_deeply(call('Data::options', [1, undef, -2]), [1, undef, -2]);
    is(call('Data::borrowed_strings', ['a', $umlaut]), "a|$umlaut");
    is(scalar(call('Data::strings', [('x') x 10_000])->@*), 10_000);

    my $expected = sub ($got) { return "error: invalid type: $got, expected a sequence\n" };
    is(error_of('Data::strings', {}), $expected->('map'));
    is(error_of('Data::strings', 'x'), $expected->('string "x"'));
    is(error_of('Data::strings', 5), $expected->('integer `5`'));
    is(error_of('Data::strings', undef), $expected->('Option value'));
    is(
        error_of('Data::strings', ['a', 1]),
        "error: invalid type: integer `1`, expected a string\n"
    );
    is(
        error_of('Data::strings', ['a', undef]),
        "error: invalid type: Option value, expected a string\n"
    );
};

subtest 'a list ends at a hole' => sub {
    my @holes = ('a');
    $holes[2] = 'c';
    is_deeply(call('Data::strings', \@holes), ['a']);
};

subtest 'maps' => sub {
    is_deeply(call('Data::map', {}), {});
    my $map = { a => 'b', $umlaut => $emoji, $emoji => $umlaut, '' => '' };
    is_deeply(call('Data::map', $map), $map);
    is(
        call('Data::deep', { a => [{ x => 1, y => -2 }, {}], b => [] }),
        '{"a": [{"x": 1, "y": -2}, {}], "b": []}'
    );
    is(
        error_of('Data::deep', { a => [{ x => '1' }] }),
        "error: invalid type: string \"1\", expected i64\n"
    );
    is(error_of('Data::map', []), "error: invalid type: sequence, expected a map\n");
    is(
        error_of('Data::map', { a => undef }),
        "error: invalid type: Option value, expected a string\n"
    );
    is_deeply(call('Data::numbered', ['a', 'b']), { 0 => 'a', 1 => 'b' });
    is(
        error_of('Data::by_number', { 1 => 'a' }),
        "error: invalid type: string \"1\", expected u32\n"
    );
};

my $account = {
    'user-name' => $umlaut,
    quota => 2**40,
    enabled => 1,
    comment => undef,
    children => [
        {
            'user-name' => 'child',
            quota => 0,
            comment => 'none',
            alias => 'kid',
            tags => ['x', 'y'],
            limits => { memory => -1 },
        },
    ],
    unknown => [1, 2],
};

my $account_back = {
    'user-name' => $umlaut,
    quota => 2**40,
    enabled => 1,
    comment => undef,
    tags => [],
    limits => {},
    children => [
        {
            'user-name' => 'child',
            quota => 0,
            enabled => 0,
            comment => 'none',
            alias => 'kid',
            tags => ['x', 'y'],
            limits => { memory => -1 },
            children => [],
        },
    ],
};

subtest 'structs' => sub {
    is_deeply(call('Data::account', $account), $account_back);
    like(call('Data::show_account', $account), qr/quota: 1099511627776, enabled: true/);
    is_deeply(call('Data::account', bless({ $account->%* }, 'Some::Class')), $account_back);

    is(error_of('Data::account', { 'user-name' => 'x' }), "error: missing field `quota`\n");
    is(error_of('Data::account', {}), "error: missing field `user-name`\n");
    is(
        error_of('Data::account', { 'user-name' => 'x', quota => -1 }),
        "error: invalid value: integer `-1`, expected u64\n"
    );
    is(
        error_of('Data::account', 'x'),
        "error: invalid type: string \"x\", expected struct Account\n"
    );
    is(
        error_of('Data::account', undef),
        "error: invalid type: Option value, expected struct Account\n"
    );
    is_deeply(call('Data::strict', { id => 1 }), { id => 1 });
    is(error_of('Data::strict', { id => 1, x => 2 }),
        "error: unknown field `x`, expected `id`\n");
};

subtest 'structs from lists' => sub {
    is_deeply(call('Data::strict', [1]), { id => 1 });
    is_deeply(call('Data::strict', [1, 2]), { id => 1 }, 'the rest is ignored');
    is(
        error_of('Data::strict', []),
        "error: invalid length 0, expected struct Strict with 1 element\n"
    );
};

subtest 'tuples and newtypes' => sub {
    is(call('Data::meters', 1.5), 1.5);
    is(call('Data::meters', 2), 2);
    is_deeply(call('Data::pair', [1, 'x']), [1, 'x']);
    is_deeply(call('Data::pair', [1, 'x', 3]), [1, 'x']);
    is(
        error_of('Data::pair', [1]),
        "error: invalid length 1, expected tuple struct Pair with 2 elements\n"
    );
    is(call('Data::tuple_in', [1, 'x']), '(1, "x")');
    is(error_of('Data::tuple_in', [1]),
        "error: invalid length 1, expected a tuple of size 2\n");
    is_deeply([call('Data::marker')], [undef]);
    is(
        error_of('Data::in_marker', undef),
        "error: invalid type: Option value, expected unit struct Marker\n"
    );
};

subtest 'enums' => sub {
    is(call('Data::shape', 'point'), 'point');
    is_deeply(call('Data::shape', { circle => 3 }), { circle => 3 });
    is_deeply(call('Data::shape', { named => 'x' }), { named => 'x' });
    is_deeply(call('Data::shape', { named => undef }), { named => undef });
    is_deeply(
        call('Data::shapes'),
        [
            'point',
            { circle => 3 },
            { named => undef },
            { rect => [1, 2] },
            { boxed => { width => 7, label => undef } },
        ],
    );

    my $variants = '`point`, `circle`, `named`, `rect`, `boxed`';
    is(
        error_of('Data::shape', 'nope'),
        "error: unknown variant `nope`, expected one of $variants\n"
    );
    is(
        error_of('Data::shape', { nope => 1 }),
        "error: unknown variant `nope`, expected one of $variants\n"
    );
    is(error_of('Data::shape', 'circle'),
        "error: expected newtype variant, found unit variant\n");
    is(
        error_of('Data::shape', { circle => '3' }),
        "error: invalid type: string \"3\", expected u32\n"
    );
    is(
        error_of('Data::shape', { point => undef }),
        "error: invalid type: Option value, expected unit\n"
    );
    is(error_of('Data::shape', $_), "error: expected an enum value\n") for 1, 1.5, undef;
    is(error_of('Data::shape', $_), "error: expected hash with a single key\n")
        for ({}, { circle => 1, point => 1 });
    is(error_of('Data::shape', []), "error: expected a string or hash for an enum\n");
};

subtest 'enum variants that only come out' => sub {
    is(error_of('Data::shape', { rect => [1, 2] }), "error: expected tuple variant\n");
    is(error_of('Data::shape', 'rect'), "error: expected tuple variant, found unit\n");
    is(error_of('Data::shape', { boxed => { width => 1 } }),
        "error: expected struct variant\n");
    is(error_of('Data::shape', 'boxed'), "error: expected struct variant\n");
};

subtest 'other enum representations' => sub {
    is_deeply(call('Data::tagged', $_), $_)
        for ({ type => 'text', value => 'x' }, { type => 'number', value => 5 });
    is(
        error_of('Data::tagged', { type => 'number', value => '5' }),
        "error: invalid type: string \"5\", expected i64\n"
    );
    is(error_of('Data::tagged', { value => 1 }), "error: missing field `type`\n");
    is(call('Data::loose', 1), 'Number(1)');
    is(call('Data::loose', '1'), 'Text("1")');
    is(call('Data::loose', [1, 'x', ['y']]), 'Many([Number(1), Text("x"), Many([Text("y")])])');
    is(
        error_of('Data::loose', 1.5),
        "error: data did not match any variant of untagged enum Loose\n"
    );
    is_deeply(call('Data::flat', { id => 1, a => 'b' }), { id => 1, a => 'b' });
};

subtest 'None in a result cannot be assigned to' => sub {
    my $result = call('Data::account', { 'user-name' => 'x', quota => 1 });
    ok(exists($result->{comment}));
    ok(!eval { $result->{comment} = 'x'; 1 });
    like($@, qr/^Modification of non-creatable hash value attempted/);
    $result->{quota} = 2;
    delete($result->{comment});
    $result->{comment} = 'x';
    is($result->{comment}, 'x');

    my $list = call('Data::options', [undef, 1]);
    ok(!eval { $list->[0] = 1; 1 });
    like($@, qr/^Modification of a read-only value attempted/);
};

subtest 'arguments stay as they are' => sub {
    my $data = { id => 5, a => 'b' };
    call('Data::flat', $data) for 1 .. 3;
    is_deeply($data, { id => 5, a => 'b' });
    my $count = 0;
    $count++ while each($data->%*);
    is($count, 2);
};

done_testing();
