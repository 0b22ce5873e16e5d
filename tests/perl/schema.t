#!/usr/bin/perl -T

# What is registered with the API without the library is what the library says.

use v5.36;

use Cwd ();
use File::Basename ();
use JSON ();
use Test::More;

my $ROOT;

BEGIN {
    ($ROOT) = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..') =~ m/^(.*)$/;
}

use lib "$ROOT/perl";

use PVE::Escrow::Schema;
use PVE::RS::Escrow;

open(my $fh, '<:raw', "$ROOT/perl/PVE/Escrow/schema.json") or die "schema.json: $!\n";
my $stored = JSON::decode_json(do { local $/; <$fh> });
close($fh);

my $json = JSON->new->canonical;
for my $name (sort keys %$stored) {
    is(
        $json->encode($stored->{$name}),
        $json->encode(PVE::RS::Escrow::schema($name)),
        "$name: or else 'make schema'",
    );
}

is(
    PVE::Escrow::Schema::parameter('verify', 'code', optional => 1)->{optional}, 1,
    'a part replaced'
);
ok(!exists(PVE::Escrow::Schema::parameter('verify', 'code')->{optional}), 'in the copy only');
ok(!eval { PVE::Escrow::Schema::result('verify', 'code'); 1 }, 'an unknown one is a mistake');

done_testing();
