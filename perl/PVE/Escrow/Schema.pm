package PVE::Escrow::Schema;

use v5.36;

use JSON ();

=head1 NAME

PVE::Escrow::Schema - the library's schemas, without loading the library

=head1 SYNOPSIS

    code => PVE::Escrow::Schema::parameter('verify', 'code'),

=head1 DESCRIPTION

API methods are registered when a daemon starts, and that must neither be slow nor fail. So what
C<PVE::RS::Escrow::schema> says lies beside this module as C<schema.json>: C<make schema> writes it, and a test
compares the two.

=head1 FUNCTIONS

=over

=item parameter($operation, $name, %override)

=item result($operation, $name, %override)

The schema of one parameter, or of one member of the result, of an operation. C<%override> replaces parts of it, such
as C<< optional => 1 >>.

=back

=cut

my $operations;

my sub operations () {
    return $operations if $operations;
    my $file = __FILE__ =~ s/\.pm$//r =~ s/Schema$/schema.json/r;
    open(my $fh, '<:raw', $file) or die "cannot open $file: $!\n";
    local $/;
    return $operations = JSON::decode_json(<$fh>);
}

my sub property ($part, $operation, $name, %override) {
    my $property = operations()->{$operation}->{$part}->{properties}->{$name}
        or die "operation '$operation' has no '$name' in its $part\n";
    return { %$property, %override };
}

sub parameter ($operation, $name, %override) {
    return property('parameters', $operation, $name, %override);
}

sub result ($operation, $name, %override) {
    return property('returns', $operation, $name, %override);
}

1;
