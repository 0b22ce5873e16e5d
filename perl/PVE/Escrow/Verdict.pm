package PVE::Escrow::Verdict;

use v5.36;

use PVE::Escrow::Config;
use PVE::Escrow::Coverage;
use PVE::Escrow::Doctor;
use PVE::Escrow::Evidence;
use PVE::Escrow::Records;

=head1 NAME

PVE::Escrow::Verdict - do the backups of a storage survive the loss of this cluster?

=head1 DESCRIPTION

Green needs all of: a confirmed seal of the present key; a copy of the kit outside of this cluster's disks, checked of late; a
seal of every key that snapshots need, or somebody's word that it is not ours; a guard in the running daemons of
every node. What else should be better is a C<notice>, and leaves it green.

=head1 FUNCTIONS

=over

=item context()

What is the same for all storages: the configuration, the nodes, the time. Make it once for many.

=item judge($status, $state, $context)

Adds to a status C<next>, the command for the worst, C<level> (C<good>, C<warning>, C<critical>; C<none> for a storage without encryption), C<verdict>, a sentence, and
C<reasons>, worst first: C<id>, which stays the same as long as the reason does, C<level>, C<text>, and C<next>, a command.
C<$state> is from L<PVE::Escrow::State>.

=back

=cut

my $RANK = { critical => 0, warning => 1, notice => 2 };
my $DAY = 24 * 60 * 60;

sub context () {
    return {
        config => PVE::Escrow::Config::get(),
        nodes => [eval { PVE::Escrow::Doctor::nodes() }],
        evidence => scalar(eval { PVE::Escrow::Evidence::trouble() }),
        states => PVE::Escrow::Coverage::states(),
        now => time(),
    };
}

my sub reason ($id, $level, $text, $next = undef) {
    return { id => $id, level => $level, text => $text, defined($next) ? (next => $next) : () };
}

my sub days ($seconds) {
    my $days = int($seconds / $DAY);
    return $days == 1 ? 'a day' : "$days days";
}

my sub of_seal ($status, $state, $context) {
    return if $status->{state} eq 'sealed';
    return reason($status->{state}, 'critical', $status->{text}, $status->{next});
}

my sub of_copies ($status, $state, $context) {
    my $storeid = $status->{storage};
    my $oldest = $context->{now} - $context->{config}->{'copy-days'} * $DAY;
    my @copies = values(($state->{copies} // {})->%*);
    my @failed = grep { $_->{result} ne 'ok' } @copies;
    my @reasons = map {
        reason(
            "copy-$_->{storage}", 'warning', "copy on '$_->{storage}': $_->{text}",
            'pveescrow copies'
        )
    } sort { $a->{storage} cmp $b->{storage} } @failed;
    return @reasons
        if grep { $_->{result} eq 'ok' && $_->{outside} && $_->{time} >= $oldest } @copies;
    my $why =
        (grep { $_->{result} eq 'ok' && $_->{outside} } @copies)
        ? 'The last copy outside this cluster was checked '
        . days($context->{now} - $oldest)
        . ' ago or more.'
        : 'The kit lies on this cluster only: if that is lost, the words alone open nothing.';
    my $next =
        defined($context->{config}->{copies} // $context->{config}->{publish})
        ? 'pveescrow copies'
        : 'pveescrow config --copies STORAGE';
    return (@reasons, reason('no-copy', 'warning', $why, $next));
}

my sub of_coverage ($status, $state, $context) {
    my $storeid = $status->{storage};
    my $coverage = PVE::Escrow::Coverage::cached($storeid, $context->{states});
    return reason(
        'no-coverage', 'warning', 'Nobody has looked yet which keys the snapshots need.',
        "pveescrow coverage $storeid",
    ) if !defined($coverage->{time});
    my @reasons;
    push @reasons,
        reason(
            'blind-coverage',
            'warning',
            "$coverage->{unreadable} snapshots or namespaces could not be read when the server was asked for keys.",
            "pveescrow coverage $storeid",
        ) if $coverage->{unreadable};
    push @reasons,
        reason(
            'nameless', 'warning',
            "$coverage->{nameless} encrypted snapshots do not say which key they need: their manifests were changed.",
            "pveescrow coverage $storeid",
        ) if $coverage->{nameless};
    for my $short (map { PVE::Escrow::Records::short($_) } PVE::Escrow::Coverage::unneeded($state))
    {
        push @reasons,
            reason(
                "unneeded-$short",
                'notice',
                "No snapshot needs the old key $short any more, as far as the server shows. Its record does no harm.",
            );
    }
    for my $key (PVE::Escrow::Coverage::short_of_keys($coverage)) {
        my $short = PVE::Escrow::Records::short($key->{fingerprint});
        my $needed =
            $key->{snapshots} == 1
            ? "1 snapshot needs key $short"
            : "$key->{snapshots} snapshots need key $short";
        push @reasons,
            $key->{state} eq 'missing'
            ? reason(
                "key-$short", 'critical', "$needed, which is not on this cluster.",
                'pveescrow import FILE',
            )
            : reason(
                "key-$short", 'warning', "$needed, which is not sealed.", 'pveescrow keys',
            );
    }
    return @reasons;
}

my sub of_proof ($status, $state, $context, $kind) {
    my $storeid = $status->{storage};
    my $command = "pveescrow prove $storeid" . ($kind eq 'drill' ? ' --drill' : '');
    my $last = $state->{$kind};
    undef $last if $last && $last->{fingerprint} ne ($status->{live} // '');
    return reason("no-$kind", 'notice', "There was no $kind with this key yet.", $command)
        if !$last;
    return reason("bad-$kind", 'critical', "The last $kind found damage: $last->{text}", $command)
        if $last->{result} eq 'invalid';
    return reason("open-$kind", 'notice', "The last $kind could not tell: $last->{text}", $command)
        if $last->{result} ne 'valid';
    my $age = $context->{now} - $last->{time};
    return if $age <= $context->{config}->{"$kind-days"} * $DAY;
    return reason("old-$kind", 'notice', "The last $kind was " . days($age) . ' ago.', $command);
}

# told at first sight, and again when it is another one
my sub of_master_keys ($status) {
    my @keys = $status->{'master-keys'}->@*;
    my @bad = map {
        reason(
            'bad-master-key-' . substr($_->{sha256}, 0, 16), 'critical',
            "Every backup fails with the master key ($_->{where}): $_->{problem}",
            "pveescrow master-key $status->{storage} --remove",
        )
    } grep { defined($_->{problem}) } @keys;
    return @bad, map {
        reason(
            'master-key-' . substr($_->{sha256}, 0, 16),
            'notice',
            "Each backup takes along a copy of the key for whoever holds the master key $_->{sha256} ($_->{where}).",
        )
    } grep { !defined($_->{problem}) } @keys;
}

my sub of_cluster ($status, $state, $context) {
    my @reasons =
        map { reason("guard-$_->{check}", 'warning', "$_->{check} $_->{text}", 'pveescrow doctor') }
        grep { $_->{result} eq 'error' } $context->{nodes}->@*;
    push @reasons,
        reason(
            'evidence', 'critical', "Evidence can't be written: $context->{evidence}",
            'pveescrow doctor'
        ) if defined($context->{evidence});
    return @reasons;
}

my $GOOD = 'The backups of this storage survive the loss of this cluster.';

sub judge ($status, $state, $context) {
    if ($status->{state} eq 'unencrypted') {
        $status->@{qw(level verdict reasons)} = ('none', $status->{text}, []);
        return $status;
    }
    my @reasons = map { $_->($status, $state, $context) } (\&of_seal, \&of_cluster);
    push @reasons, map { $_->($status, $state, $context) } (\&of_copies, \&of_coverage)
        if $status->{state} eq 'sealed';
    push @reasons, map { of_proof($status, $state, $context, $_) } qw(drill proof)
        if defined($status->{live});
    push @reasons, of_master_keys($status);
    @reasons = sort { $RANK->{ $a->{level} } <=> $RANK->{ $b->{level} } } @reasons;
    my $worst = @reasons && $reasons[0]->{level} ne 'notice' ? $reasons[0] : undef;
    $status->{level} = $worst ? $worst->{level} : 'good';
    $status->{verdict} = $worst ? $worst->{text} : $GOOD;
    $status->{next} = $worst->{next} if $worst && defined($worst->{next});
    $status->{reasons} = \@reasons;
    return $status;
}

1;
