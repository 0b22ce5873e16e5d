#!/usr/bin/perl -T

# What takes a node down, if a plugin does it: so that the doubles in tests/pve forgive no more than the real modules do.

use v5.36;

use Cwd ();
use File::Basename ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

my ($PERL) = $^X =~ m/^(.*)$/;
my @INCLUDE = map { "-I$_" } map { m/^(.*)$/ } grep { !ref } @INC;
my $EVIL = '/usr/share/perl5/PVE/Storage/Custom/EvilPlugin.pm';

# A Perl of its own, which loads the plugin. Returns what it said, and its exit status.
my sub with_plugin ($body, $then) {
    spew($EVIL, <<"EOC");
package PVE::Storage::Custom::EvilPlugin;
use strict;
use warnings;
use base qw(PVE::Storage::Plugin);
sub api { return PVE::Storage::APIVER() }
sub register { return }
$body
1;
EOC
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open(STDERR, '>&', \*STDOUT) or die "$!\n";
        exec($PERL, '-T', @INCLUDE, '-e', "use v5.36; use PVE::Storage; $then; say 'it lives'")
            or die "$PERL: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close($out);
    unlink($EVIL);
    return ($said // '', $?);
}

my sub registers ($class, $path) {
    return 'require PVE::RESTHandler; package EvilAPI; our @ISA = ("PVE::RESTHandler");'
        . " PVE::RESTHandler::register_method('$class', { subclass => 'EvilAPI', path => '$path' });";
}

my $STATUS = 'PVE::API2::Storage::Status';

my @MISTAKES = (
    [
        'another match name', registers($STATUS, '{id}/escrow'), "require $STATUS",
        qr/found changed regex match name/,
    ],
    [
        'a fixed first component', registers($STATUS, 'escrow'), "require $STATUS",
        qr/regex and fixed items/,
    ],
    [
        'the property of another plugin',
        'sub register { my ($class) = @_; $class->SUPER::register() } sub type { return "evil" }'
            . ' sub properties { return { datastore => { type => "string", description => "x" } } }'
            . ' sub options { return {} }',
        '',
        qr/duplicate property/,
    ],
);

for my $mistake (@MISTAKES) {
    my ($what, $body, $then, $why) = @$mistake;
    my ($said, $status) = with_plugin($body, $then);
    isnt($status, 0, "$what: the program is down");
    like($said, $why, "$what: $why");
}

subtest 'loading the API too early' => sub {
    my $then =
        'require PVE::API2::Storage::Config; my $info = PVE::API2::Storage::Config->map_method_by_name("create");'
        . ' say "datastore ", $info->{parameters}->{properties}->{datastore} ? "known" : "lost"';
    my ($said) = with_plugin('', $then);
    like($said, qr/datastore known/, 'not done, all is there');
    ($said) = with_plugin('require PVE::API2::Storage::Config;', $then);
    like($said, qr/datastore lost/, 'done, parameters are lost');
};

subtest 'what only costs a warning' => sub {
    for my $case (
        ['dies', 'die "no\n";', qr/Error loading storage plugin.*no$/m],
        ['is newer', 'no warnings; sub api { return 99 }', qr/newer than current/],
        ['is older', 'no warnings; sub api { return 1 }', qr/version too old/],
    ) {
        my ($what, $body, $why) = @$case;
        my ($said, $status) = with_plugin($body, '');
        is($status, 0, "a plugin that $what: the program goes on");
        like($said, $why, "a plugin that $what: it is said");
    }
    my ($said, $status) = with_plugin('', '');
    is($said, "it lives\n", 'one like ours says nothing');
};

done_testing();
