#!/usr/bin/perl

# Prints what the library says of its operations, for perl/PVE/Escrow/schema.json.

use v5.36;

use File::Basename ();
use JSON ();

use lib File::Basename::dirname(__FILE__) . '/../perl';

use PVE::RS::Escrow;

my @names = qw(check_master_key create find install read_code unwrap verify);
print JSON->new->canonical->pretty->encode({ map { $_ => PVE::RS::Escrow::schema($_) } @names });
