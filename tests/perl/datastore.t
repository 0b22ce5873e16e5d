#!/usr/bin/perl -T

# prove and coverage of PVE::RS::Escrow, on a datastore that a real server wrote.

use v5.36;

use Cwd ();
use File::Basename ();
use Test::More;

my $TESTS;

BEGIN {
    ($TESTS) = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/..') =~ m/^(.*)$/;
}

use lib "$TESTS/../perl";

use PVE::RS::Escrow;

my $DATASTORE = "$TESTS/vectors/datastore";
my $LIVE = "$TESTS/vectors/keys/live.enc";
my $WORDS = 'abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous';

my sub slurp ($path) {
    open(my $fh, '<:raw', $path) or die "open '$path': $!\n";
    local $/;
    return <$fh>;
}

my sub prove (%input) {
    return PVE::RS::Escrow::prove({ datastore => $DATASTORE, %input });
}

subtest 'prove with a key file' => sub {
    my $report = prove(keyfile => $LIVE);
    is($report->{result}, 'valid', 'valid');
    is($report->{totals}->{snapshots}, 5, 'snapshots of the root namespace');
    my $of = { map { $_->{snapshot} => $_ } $report->{snapshots}->@* };
    is($of->{'vm/201/2024-06-05T18:00:00Z'}->{skipped}, 'other-key', 'another key');
    is($of->{'host/labhost/2024-06-05T19:00:00Z'}->{skipped}, 'plain', 'no key');
    is($of->{'ct/102/2024-06-05T20:00:00Z'}->{protection}, 'signed', 'signed only');
    my ($image) = grep { $_->{name} eq 'drive-scsi0.img.fidx' }
        $of->{'vm/200/2024-06-05T17:00:00Z'}->{files}->@*;
    is($image->{chunks}->{checked}, $image->{chunks}->{total}, 'all chunks of a small image');
    is($image->{bytes}, 12 * 1024 * 1024, 'bytes');
};

subtest 'types as PVE hands them around' => sub {
    my $report = prove(keyfile => $LIVE, 'all-ns' => '1', sample => '2', full => '');
    is($report->{totals}->{snapshots}, 6, 'a text for a boolean');
    is($report->{sample}, 2, 'a text for a number');
    $report = prove(keyfile => $LIVE, full => 1, snapshots => ['ct/103/2024-06-05T21:00:00Z']);
    is($report->{totals}->{snapshots}, 1, 'a list of texts');
    ok(!exists($report->{sample}), 'no sample of all');
};

subtest 'prove with a blob and its code' => sub {
    my $blob = slurp("$TESTS/vectors/keys/live.escrow-by-client.enc");
    my %open = (blob => $blob, ns => 'tenant');
    is(prove(%open, code => $WORDS)->{result}, 'valid', 'valid');
    ok(!defined(eval { prove(%open, code => $WORDS =~ s/abacus/zoom/r) }), 'wrong code');
    like($@, qr/^wrong recovery code/, 'wrong code: text');
    ok(!defined(eval { prove(%open, code => $WORDS, keyfile => $LIVE) }), 'two keys');
    like($@, qr/^refused: this needs a key file, or a blob and its code$/, 'two keys: text');
};

subtest 'another key proves nothing' => sub {
    my $report = prove(keyfile => "$TESTS/vectors/keys/vienna.enc");
    is($report->{result}, 'unknown', 'unknown');
    is($report->{totals}->{snapshots}, 0, 'nothing was looked at');
};

subtest 'coverage' => sub {
    my $coverage = PVE::RS::Escrow::coverage({ datastore => $DATASTORE, 'all-ns' => 1 });
    is($coverage->{snapshots}, 8, 'snapshots');
    is_deeply([map { $_->{count} } $coverage->{keys}->@*], [6, 1], 'by key');
    is($coverage->{keys}->[0]->{'with-master-key'}, 3, 'with rsa-encrypted.key');
    is($coverage->{plain}->{count}, 1, 'plain');
    ok(
        !defined(eval { PVE::RS::Escrow::coverage({ datastore => "$TESTS/perl" }) }),
        'no datastore'
    );
    like($@, qr/no directory \.chunks: is the disk mounted\?$/, 'no datastore: text');
};

done_testing();
