package PVE::Escrow::Metrics;

use v5.36;

use PVE::Escrow::Coverage;
use PVE::Escrow::File;
use PVE::Escrow::Keep;
use PVE::Escrow::State;

=head1 NAME

PVE::Escrow::Metrics - numbers for the node exporter of Prometheus

=head1 DESCRIPTION

In F</run/pve-escrow/metrics.prom>, in its text format
(L<https://prometheus.io/docs/instrumenting/exposition_formats/>): link it into the directory of the textfile collector.
Times are seconds since 1970. No fingerprint is in there.

=head1 FUNCTIONS

=over

=item write($rows)

Writes them anew, from the rows of L<PVE::Escrow::Status>.

=back

=cut

my $LEVEL = { good => 0, none => 0, warning => 1, critical => 2 };

my $HELP = {
    pve_escrow_check_time => 'When the check ran last.',
    pve_escrow_copies_good => 'Copies of the kit that are good.',
    pve_escrow_coverage_time => 'When the server was asked which keys its snapshots need.',
    pve_escrow_drill_time => 'When the last drill was.',
    pve_escrow_kept_keys => 'Kept key files on this node.',
    pve_escrow_level => '0 good, 1 warning, 2 critical.',
    pve_escrow_proof_time => 'When the last proof was.',
    pve_escrow_proof_valid => 'Was it valid?',
    pve_escrow_seals => 'Active seals of the key.',
    pve_escrow_snapshots => 'Snapshots by what this cluster has of their key.',
};

my sub label ($name, $value) {
    return $name . '="' . ($value =~ s/([\\"])/\\$1/gr =~ s/\n/\\n/gr) . '"';
}

my sub of_storage ($row, $states) {
    my $storage = label('storage', $row->{storage});
    my $state = PVE::Escrow::State::get($row->{storage});
    my @lines = (
        ['pve_escrow_level', $storage, $LEVEL->{ $row->{level} }],
        ['pve_escrow_seals', $storage, $row->{seals}],
        ['pve_escrow_copies_good', $storage, $row->{'copies-ok'}],
    );
    for my $kind (qw(drill proof)) {
        push @lines, ["pve_escrow_${kind}_time", $storage, $row->{$kind}->{time}] if $row->{$kind};
    }
    push @lines, ['pve_escrow_proof_valid', $storage, $row->{proof}->{result} eq 'valid' ? 1 : 0]
        if $row->{proof};
    my $coverage = $state->{coverage} or return @lines;
    push @lines, ['pve_escrow_coverage_time', $storage, $coverage->{time}];
    my %count = (plain => $coverage->{plain});
    $count{ $states->($_->{fingerprint}) } += $_->{snapshots} for $coverage->{keys}->@*;
    push @lines, ['pve_escrow_snapshots', "$storage," . label('key', $_), $count{$_}]
        for sort keys %count;
    return @lines;
}

sub write ($rows) { ## no critic (ProhibitBuiltinHomonyms)
    my $states = PVE::Escrow::Coverage::states();
    my @lines = (
        ['pve_escrow_check_time', '', time()],
        ['pve_escrow_kept_keys', '', scalar(my @kept = PVE::Escrow::Keep::kept())],
        map { of_storage($_, $states) } @$rows,
    );
    my %by_name;
    push $by_name{ $_->[0] }->@*, $_ for @lines;
    my $text = '';
    for my $name (sort keys %by_name) {
        $text .= "# HELP $name $HELP->{$name}\n# TYPE $name gauge\n";
        $text .= $name . (length($_->[1]) ? "{$_->[1]}" : '') . " $_->[2]\n"
            for $by_name{$name}->@*;
    }
    my $file = PVE::Escrow::File::run_directory() . '/metrics.prom';
    PVE::Escrow::File::put($file, $text);
    chmod(oct(644), $file);
    return;
}

1;
