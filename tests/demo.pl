#!/usr/bin/perl

# The flow through PVE::RS::Escrow: demo.pl KEYFILE BLOB CODE

use v5.36;

use File::Temp ();

use PVE::RS::Escrow;

my sub slurp ($path) {
    open(my $fh, '<:raw', $path) or die "cannot read $path: $!\n";
    local $/;
    return <$fh>;
}

my ($live, $blob, $code) = @ARGV;
my $dir = File::Temp::tempdir(CLEANUP => 1);

my $needed = PVE::RS::Escrow::fingerprint({ keyfile => $live })->{fingerprint};
say "fingerprint:  $needed";

my $seal = PVE::RS::Escrow::create({ keyfile => $live });
say "create:       a blob of " . length($seal->{blob}) . " bytes";

my $wrong = eval { PVE::RS::Escrow::verify({ blob => $seal->{blob}, code => slurp($code) }) };
die "a wrong code opened the blob\n" if $wrong;
print "wrong code:   $@";

my $opened =
    PVE::RS::Escrow::verify({ blob => slurp($blob), code => slurp($code), expect => $needed });
say "verify:       the rescue tool's blob holds $opened->{fingerprint}";

my $out = "$dir/recovered.enc";
PVE::RS::Escrow::unwrap(
    { blob => $seal->{blob}, code => $seal->{code}, expect => $needed, out => $out });
my $recovered = PVE::RS::Escrow::fingerprint({ keyfile => $out })->{fingerprint};
die "another key came back\n" if $recovered ne $needed;
say "unwrap:       $recovered";
