# Nothing leaks, however a call ends.

use v5.36;

use lib do { __FILE__ =~ m!\A(.*)/[^/]+\z!s ? "$1/lib" : "lib" };

use Test::More;

use CompatTestlib qw(call error_of);

package Counted {
    our $destroyed = 0;

    sub DESTROY ($self) { $destroyed++ }
}

my $calls = 100_000;
my $limit_kib = 4096;

my sub resident_kib() {
    open(my $status, '<', '/proc/self/status') or die "cannot read memory use: $!\n";
    while (my $line = <$status>) {
        return $1 if $line =~ m/^VmRSS:\s+(\d+) kB/;
    }
    die "memory use is not known\n";
}

my sub grows_little ($name, $code) {
    $code->() for 1 .. $calls / 20;
    my $before = resident_kib();
    $code->() for 1 .. $calls;
    my $growth = resident_kib() - $before;
    cmp_ok($growth, '<', $limit_kib, "$name: grew by $growth KiB");
    return;
}

plan(skip_all => 'needs /proc') if !-r '/proc/self/status';

my $umlaut = "\x{fc}" x 100;
my $account = {
    'user-name' => $umlaut,
    quota => 5,
    tags => ['a', 'b' x 100],
    limits => { a => 1 },
    children => [{ 'user-name' => 'c', quota => 1 }],
};

call('Calls::silence_panics');

grows_little('strings', sub { call('Scalars::two_borrowed', $umlaut, 'x' x 1000) });
grows_little('nested data', sub { call('Data::account', $account) });
grows_little('enums', sub { call('Data::shapes') });
grows_little('lists', sub { my @list = call('Calls::pair_or', 0) });
grows_little('ignored results', sub { call('Calls::list', 20); return });
grows_little('errors', sub { error_of('Calls::fail', 'x' x 1000) });
grows_little('wrong arguments', sub { error_of('Data::account', { $account->%*, quota => 'x' }) });
grows_little('missing arguments', sub { error_of('Calls::add', 1) });
grows_little('too many arguments', sub { error_of('Calls::add', 1, 2, 3, 'x' x 1000) });
grows_little('results that fail', sub { error_of('Calls::unwritable_pair') });
grows_little('panics', sub { error_of('Calls::panic', 'x' x 1000) });

subtest 'reference counts' => sub {
    {
        my $object = bless({ a => 'b' }, 'Counted');
        call('Data::map', $object) for 1 .. 3;
        error_of('Data::strings', $object);
        error_of('Calls::add', 1, $object);
        error_of('Calls::nothing', $object);
    }
    is($Counted::destroyed, 1);
};

done_testing();
