# References, tied and other magical values.

use v5.36;

use lib do { __FILE__ =~ m!\A(.*)/[^/]+\z!s ? "$1/lib" : "lib" };

use Test::More;

use Scalar::Util qw(tainted);
use Tie::Hash;

use CompatTestlib qw(call error_of);

package Tied {

    sub TIESCALAR ($class, $fetch) {
        return bless({ fetch => $fetch, count => 0 }, $class);
    }

    sub FETCH ($self) {
        $self->{count}++;
        return $self->{fetch}->();
    }

    sub STORE ($self, $value) { }
}

my sub weird ($type) {
    return "error: cannot deserialize weird magic perl values ($type)\n";
}

subtest 'references are followed' => sub {
    my $text = 'x';
    is(call('Scalars::string', \$text), 'x');
    is(call('Scalars::string', \\\$text), 'x');
    is(call('Scalars::u32', \5), 5);
    is_deeply(call('Data::strings', \['a']), ['a']);
    is_deeply(call('Data::strings', [\'a', \\'b']), ['a', 'b']);
    is(call('Scalars::optional', \undef), undef);
};

subtest 'objects are what they are made of' => sub {
    my $true = 1;
    is(call('Scalars::boolean', bless(\$true, 'Some::Boolean')), 1, 'like those of JSON');
    is_deeply(call('Data::strings', bless(['a'], 'Some::List')), ['a']);
    is_deeply(call('Data::map', bless({ a => 'b' }, 'Some::Map')), { a => 'b' });
};

subtest 'code counts as undef' => sub {
    my $code = sub { return 1 };
    is(call('Scalars::optional', $code), undef);
    is(call('Scalars::boolean', $code), 0);
    is(
        error_of('Scalars::string', $code),
        "error: invalid type: Option value, expected a string\n"
    );
};

subtest 'globs and patterns' => sub {
    for
        my $name (qw(Scalars::string Scalars::u32 Scalars::boolean Scalars::optional Data::map)) {
        is(error_of($name, *STDOUT), weird(9));
        is(error_of($name, \*STDOUT), weird(9));
        is(error_of($name, qr/x/), weird(8));
    }
    is(error_of('Data::shape', \*STDOUT), weird(9));
    is(error_of('Data::strings', [qr/x/]), weird(8));
};

subtest 'tied scalars are anything their value can be read as' => sub {
    my $value;
    tie(my $tied, 'Tied', sub { return $value });

    $value = '5';
    is(call('Scalars::string', $tied), '5');
    is(call('Scalars::borrowed', $tied), '5');
    is(call('Scalars::u32', $tied), 5);
    is(call('Scalars::f64_text', $tied), '5.0');
    is(call('Scalars::boolean', $tied), 1);
    is(call('Scalars::seen', $tied), 'str "5"');
    $value = 7;
    is(call('Scalars::string', $tied), '7');
    is(call('Scalars::u32', $tied), 7);
    is_deeply(call('Data::strings', [$tied, \$tied]), ['7', '7']);
    $value = undef;
    is(call('Scalars::optional', $tied), undef);
    is(call('Scalars::boolean', $tied), 0);
    $value = "\x{fc}\x{1f511}";
    is(call('Scalars::string', $tied), $value);
    cmp_ok(tied($tied)->{count}, '>=', 10);
};

subtest 'tied scalars with a reference' => sub {
    tie(my $tied, 'Tied', sub { return ['a'] });
    is(error_of('Data::strings', $tied), "error: Value::Scalar: containing a reference\n");
    my $copy = $tied;
    is_deeply(call('Data::strings', $copy), ['a']);
    is_deeply(call('Data::strings', $tied), ['a'], 'once it was fetched');
};

subtest 'tied scalars that die' => sub {
    tie(my $tied, 'Tied', sub { die "no value\n" });
    is(error_of('Scalars::string', $tied), "no value\n");
    is(error_of('Calls::add', 1, $tied), "no value\n");
    is(error_of('Data::strings', ['a', \$tied]), "no value\n");
    is(call('Scalars::string', 'alive'), 'alive');
};

subtest 'tied scalars that call back, with a stack that grows' => sub {
    my $grow = sub ($self, $level) {
        my @list = map { $_ } 1 .. 1000;
        return $level
            ? $self->($self, $level - 1)
            : call('Scalars::string', "deep @list[0, -1]");
    };
    tie(my $tied, 'Tied', sub { return $grow->($grow, 50) });
    is(call('Scalars::two_borrowed', 'first', $tied), 'first-deep 1 1000');
};

subtest 'tied hashes' => sub {
    tie(my %tied, 'Tie::StdHash');
    %tied = (a => 'b', c => 'd');
    is_deeply(call('Data::map', \%tied), { a => 'b', c => 'd' });
    %tied = (id => '5');
    is_deeply(call('Data::strict', \%tied), { id => 5 });
    %tied = (a => [{}]);
    is(error_of('Data::deep', \%tied), "error: Value::Scalar: containing a reference\n");
};

subtest 'match variables' => sub {
    ok("name 12" =~ m/(\w+) (\d+)(x)?/);
    is(call('Scalars::string', $1), 'name');
    is(call('Scalars::string', $2), '12');
    is(call('Scalars::u32', $2), 12);
    is(call('Scalars::optional', $3), undef);
    is(call('Scalars::string', $&), 'name 12');
};

subtest 'lvalues' => sub {
    my $text = 'hello';
    is(call('Scalars::string', substr($text, 1, 3)), 'ell');
    is(
        error_of('Scalars::u32', substr($text, 1, 3)),
        "error: invalid type: string \"ell\", expected u32\n"
    );
    my %hash;
    is(call('Scalars::optional', $hash{missing}), undef);
    is_deeply(\%hash, {}, 'not created');
    my @array = (1);
    is(call('Scalars::optional', $array[7]), undef);
    is(call('Scalars::u32', $#array), 0);
};

subtest 'constants' => sub {
    use constant { NUMBER => 5, TEXT => 'text' };
    is(call('Scalars::u32', NUMBER), 5);
    is(call('Scalars::string', TEXT), 'text');
    is(call('Scalars::string', __PACKAGE__), 'main');
};

subtest 'taint' => sub {
    plan(skip_all => 'runs with -T only') if !${^TAINT};
    my $number = substr($^X, 0, 0) . '5';
    ok(tainted($number));
    is(call('Scalars::u32', $number), 5, 'counts as a number');
    is(call('Scalars::boolean', $number), 1, 'and as a truth value');
    ok(tainted(call('Scalars::string', $number)), 'results are tainted');
    ok(tainted(call('Data::strings', [$number])->[0]));
    ok(tainted(error_of('Scalars::u8', $number . '99')), 'and errors');
    my $clean = '5';
    ok(!tainted(call('Scalars::string', $clean)));
};

done_testing();
