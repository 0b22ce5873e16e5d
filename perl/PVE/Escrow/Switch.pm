package PVE::Escrow::Switch;

use v5.36;

=head1 NAME

PVE::Escrow::Switch - is pve-escrow switched off?

=head1 FUNCTIONS

=over

=item off()

Why it is, in words, or C<undef>: a file F</etc/pve-escrow.disabled> for this node, C<enabled: 0> in F</etc/pve/escrow.cfg> for
the cluster. What can't be read is no reason.

=back

=cut

my $NODE = '/etc/pve-escrow.disabled';
my $CLUSTER = '/etc/pve/escrow.cfg';

sub off () {
    return "$NODE is there" if -e $NODE;
    return if !-f $CLUSTER;
    open(my $fh, '<', $CLUSTER) or return;
    my $is_off = grep { m/^\s*enabled:\s*(?:0|no|off|false)\s*$/i } <$fh>;
    return $is_off ? "$CLUSTER says so" : undef;
}

1;
