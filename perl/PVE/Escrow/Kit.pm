package PVE::Escrow::Kit;

use v5.36;

use JSON ();

use PVE::Escrow::Evidence;
use PVE::Escrow::Records;
use PVE::Escrow::Seal;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Kit - what may leave the cluster

=head1 DESCRIPTION

A kit holds the sealed keys of one storage, the way to its backups, and how far the evidence of the node that made it had
come; and no secret. Its MAC is by the key itself: who
can't open a blob in it can't have changed the connection either.

=head1 FUNCTIONS

=over

=item make($storeid, $scfg)

The kit of a storage as JSON, signed with its live key. Dies unless that key has an active seal.

=item sheet($text, $format)

A kit as a sheet of paper, C<text> or C<html>, also called C<pdf-ready>, which can be typed or scanned back.

=item parse($text)

Reads a kit, or a bare blob, from outside. Returns C<kit>, the hash, unless it is a bare blob, and C<blobs>. Nothing but
the blobs may be used before C<authenticate>.

=item authenticate($text, $blob, $code)

Dies unless the kit is as a holder of the key made it. Only then its connection may be used.

=back

=cut

my $VERSION = 1;
my $MAX_BYTES = 65536;

sub make ($storeid, $scfg) {
    my $keyfile = PVE::Escrow::Storage::key_file($storeid);
    my $key = PVE::RS::Escrow::fingerprint({ keyfile => $keyfile });
    my $record = PVE::Escrow::Records::get($key->{fingerprint});
    my @seals = $record ? PVE::Escrow::Seal::active($record) : ();
    die
        "key $key->{fingerprint} of storage '$storeid' has no confirmed seal yet: 'pveescrow create $storeid'\n"
        if !@seals;
    my $kit = {
        version => $VERSION,
        fingerprint => $key->{fingerprint},
        seals => \@seals,
        storage => $storeid,
        connection => PVE::Escrow::Storage::connection($scfg),
        created => PVE::Escrow::Records::now(),
        program => 'pve-escrow ' . PVE::RS::Escrow::version()->{version},
    };
    my $head = PVE::Escrow::Evidence::head();
    $kit->{evidence} = $head if $head;
    PVE::Escrow::Evidence::anchor();
    my $signed = PVE::RS::Escrow::sign({
        kind => 'kit', keyfile => $keyfile, text => JSON->new->encode($kit),
    });
    return $signed->{text};
}

sub sheet ($text, $format) {
    return PVE::RS::Escrow::paper({ text => $text, format => $format })->{text};
}

my sub blobs_of ($kit) {
    my $seals = ref($kit->{seals}) eq 'ARRAY' ? $kit->{seals} : [];
    my @blobs = grep { defined && !ref } map { ref($_) eq 'HASH' ? $_->{blob} : undef } @$seals;
    die "this kit has no sealed key in it\n" if !@blobs;
    return @blobs;
}

sub parse ($text) {
    die "this is larger than a kit can be\n" if length($text) > $MAX_BYTES;
    my $content = eval { JSON->new->max_depth(16)->decode($text) };
    die "this is neither a kit nor a blob: not JSON\n" if ref($content) ne 'HASH';

    # a sealed key file by itself, as pve-escrow-rescue and the client write it
    return { blobs => [$text] } if exists($content->{kdf});

    my $version = $content->{version} // '';
    die "this is neither a kit nor a blob\n" if ref($version) || $version !~ m/^[0-9]+$/;
    die
        "this kit has version $version, and this program reads versions up to $VERSION: upgrade it\n"
        if $version > $VERSION;
    return { kit => $content, blobs => [blobs_of($content)] };
}

sub authenticate ($text, $blob, $code) {
    PVE::RS::Escrow::authenticate({ kind => 'kit', text => $text, blob => $blob, code => $code });
    return;
}

1;
