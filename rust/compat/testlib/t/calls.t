# Parameters, results, errors and panics.

use v5.36;

use lib do { __FILE__ =~ m!\A(.*)/[^/]+\z!s ? "$1/lib" : "lib" };

use Test::More;

use File::Temp ();

use CompatTestlib qw(call error_of);

my $here = quotemeta(__FILE__);

# Runs code with file descriptor 2 going to a file, and returns what was written to it.
my sub stderr_of ($code) {
    my $file = File::Temp->new();
    open(my $saved, '>&', \*STDERR) or die "dup: $!\n";
    open(STDERR, '>&', $file) or die "redirect: $!\n";
    $code->();
    open(STDERR, '>&', $saved) or die "restore: $!\n";
    seek($file, 0, 0);
    local $/ = undef;
    return scalar(<$file>);
}

subtest 'parameters' => sub {
    is(call('Calls::add', 1, 2), 3);
    is(call('Calls::add', 1, 2, undef), 3);
    is(call('Calls::add', 1, 2, 3), 6);
    is(call('Calls::all_options'), 'None None');
    is(call('Calls::all_options', 1), 'Some(1) None');
    is(call('Calls::all_options', undef, 2), 'None Some(2)');
    is(call('Calls::middle_option', 1, undef, 3), 104);
    is(call('Calls::mutable', 'x'), 'x!');
    is(call('Calls::names', qw(a b c d)), 'abcd');
};

subtest 'missing parameters' => sub {
    is(error_of('Calls::add'), "missing required parameter: 'a'\n");
    is(error_of('Calls::add', 1), "missing required parameter: 'b'\n");
    is(error_of('Calls::add', 'no number'), "missing required parameter: 'b'\n");
    is(error_of('Calls::middle_option', 1), "missing required parameter: 'c'\n");
    is(error_of('Calls::nothing_or'), "missing required parameter: 'fail'\n");
};

subtest 'parameters too many' => sub {
    is(error_of('Calls::nothing', 1),
        "too many parameters for function 'nothing', (expected 0)\n");
    is(
        error_of('Calls::add', 1, 2, 3, 4),
        "too many parameters for function 'add', (expected 3)\n"
    );
    is(
        error_of('Calls::add', 'x', 2, 3, undef),
        "too many parameters for function 'add', (expected 3)\n"
    );
    is(
        error_of('Calls::perl_name', 1, 2),
        "too many parameters for function 'rust_name', (expected 1)\n"
    );
};

subtest 'the first wrong parameter counts' => sub {
    is(error_of('Calls::add', 'x', 'y'), "error: invalid type: string \"x\", expected u32\n");
    is(error_of('Calls::add', 1, 'y'), "error: invalid type: string \"y\", expected u32\n");
};

subtest 'names and prototypes' => sub {
    is(call('Calls::perl_name', 'x'), 'x');
    ok(!defined(&CompatTestlib::Calls::rust_name));
    ok(!defined(&CompatTestlib::Calls::helper));
    is(call('Calls::call_helper'), 42);
    is(prototype('CompatTestlib::Calls::nothing'), '');
    is(prototype('CompatTestlib::Calls::perl_name'), '$');
    is(prototype('CompatTestlib::Calls::add'), '$$;$');
    is(prototype('CompatTestlib::Calls::middle_option'), '$$$');
    is(prototype('CompatTestlib::Calls::all_options'), ';$$');
};

subtest 'results' => sub {
    is_deeply([call('Calls::nothing')], []);
    is(scalar(call('Calls::nothing')), undef);
    is_deeply([call('Calls::nothing_or', 0)], []);
    is_deeply([call('Calls::null')], [], 'serialized as unit');
    is_deeply([call('Calls::some_null')], [undef]);
    is_deeply([call('Calls::none')], [undef]);
    is_deeply([call('Calls::list', 3)], [[0, 1, 2]]);
    is_deeply([call('Calls::list_or', 0)], [[]]);
    is_deeply(['before', call('Calls::add', 1, 2), 'after'], ['before', 3, 'after']);
};

subtest 'tuples are lists' => sub {
    is_deeply([call('Calls::pair', 1, 'x')], [1, 'x']);
    is(scalar(call('Calls::pair', 1, 'x')), 'x', 'the last one in scalar context');
    is_deeply([call('Calls::pair_or', 0)], [undef, [1, 2]]);
    is(error_of('Calls::pair_or', 1), "no pair\n");
};

subtest 'errors' => sub {
    is(error_of('Calls::nothing_or', 1), "told to fail\n");
    is(error_of('Calls::fail', 'message'), "message\n");
    is(error_of('Calls::fail', "message\n"), "message\n\n", 'newlines add up');
    is(error_of('Calls::fail', ''), "\n");
    is(error_of('Calls::fail', "\x{fc}\x{1f511}"), "\x{fc}\x{1f511}\n");
    is(error_of('Calls::fail_with_context'), "outer: middle: inner\n");
    is(error_of('Calls::fail_with_string', 'text'), "text\n");
    is(ref(\error_of('Calls::fail', 'x')), 'SCALAR');
};

subtest 'results that cannot be written' => sub {
    is(error_of("Calls::$_"), "error: cannot be written\n")
        for qw(unwritable unwritable_pair unwritable_list);
};

subtest 'panics' => sub {
    my $before = call('Calls::dropped');
    my $error;
    my $output = stderr_of(sub { $error = error_of('Calls::panic', 'Blue Screen') });
    like($error, qr/^rust function panicked at \S+ line \d+\.\n\z/);
    like($output, qr/panicked at .*calls\.rs:\d+:\d+:\nBlue Screen\n/);
    is(call('Calls::dropped'), $before + 1, 'destructors ran');

    call('Calls::silence_panics');
    eval { CompatTestlib::Calls::panic('x') };
    my $line = __LINE__ - 1;
    like($@, qr/^rust function panicked at $here line $line\.\n\z/,
        'the place is the caller\'s');

    like(error_of('Calls::overflow', 255), qr/^rust function panicked at /);
    is(call('Calls::overflow', 254), 255, 'and it goes on');
    is(call('Calls::dropped'), $before + 4);
};

subtest 'errors run destructors' => sub {
    my $before = call('Calls::dropped');
    error_of('Calls::fail', 'x') for 1 .. 10;
    is(call('Calls::dropped'), $before + 10);
};

subtest 'nested in Perl' => sub {
    my @results = map { call('Calls::add', $_, call('Calls::add', $_, $_)) } 1 .. 5;
    is_deeply(\@results, [3, 6, 9, 12, 15]);

    my $deep = sub ($self, $level) {
        return call('Calls::list', $level) if $level > 80;
        my @stack = (1) x 50;
        return $self->($self, $level + 1);
    };
    is(scalar($deep->($deep, 0)->@*), 81, 'with a stack that grew');
    {
        local $SIG{__DIE__} = sub ($error) { die "handled: $error" };
        is(error_of('Calls::fail', 'x'), "handled: x\n");
    }
};

done_testing();
