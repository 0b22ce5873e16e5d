package PVE::Escrow::Check;

use v5.36;

use File::Temp ();
use JSON ();
use POSIX ();

use PVE::Cluster;
use PVE::INotify;
use PVE::Storage;

use PVE::Escrow::Config;
use PVE::Escrow::Coverage;
use PVE::Escrow::Doctor;
use PVE::Escrow::Evidence;
use PVE::Escrow::File;
use PVE::Escrow::Metrics;
use PVE::Escrow::Prove;
use PVE::Escrow::Publish;
use PVE::Escrow::Records;
use PVE::Escrow::State;
use PVE::Escrow::Status;
use PVE::Escrow::Storage;
use PVE::Escrow::Verdict;

=head1 NAME

PVE::Escrow::Check - look at everything, and say what got worse

=head1 DESCRIPTION

Every node looks at itself: its records and their second copies, its guard, its evidence. One node does the rest for all: it asks
the servers which keys the snapshots need, makes proofs with the live keys that are due, writes and reads back the copies
of the kits, and notifies. Which one: the first whose timer fires; the others see that it was done.

A reason to worry is notified when it is new or worse than it was, and once more when it is gone. What was told is in
F</etc/pve/priv/escrow/notified.json>.

=head1 FUNCTIONS

=over

=item run({ scheduled => BOOLEAN })

Prints what it does. A scheduled one leaves what is for the whole cluster to another node that has done it of late. Returns
C<level>, the worst (C<good>, C<warning>, C<critical>), C<problems>, C<worse> and C<repaired>: lists of C<id>, C<level>, C<text>
and C<next>.

=back

=cut

my $CLAIM = '/etc/pve/priv/escrow/check.json';
my $NOTIFIED = '/etc/pve/priv/escrow/notified.json';
my $MAX_BYTES = 512 * 1024;

my $HOUR = 60 * 60;
my $DAY = 24 * $HOUR;

# requests are short, and most of their time is spent waiting
my $AT_A_TIME = 4;

my $RANK = { critical => 0, warning => 1, notice => 2 };

my $JSON = JSON->new->canonical->utf8;

my sub read_json ($path) {
    my $value = eval { $JSON->decode(PVE::Escrow::File::get($path, $MAX_BYTES) // '{}') };
    return ref($value) eq 'HASH' ? $value : {};
}

my sub write_json ($path, $value) {
    PVE::Escrow::File::put($path, $JSON->encode($value) . "\n");
    return;
}

# Is it this node's turn? A node that died in the middle is not waited for.
my sub claim ($scheduled) {
    my $mine = 0;
    my $node = PVE::INotify::nodename();
    PVE::Escrow::Records::with_lock(sub {
        my $last = read_json($CLAIM);
        my $age = time() - ($last->{started} // 0);
        my $is_fresh = $age < ($last->{finished} ? 20 * $HOUR : 3 * $HOUR);
        return if $scheduled && $is_fresh && ($last->{node} // '') ne $node;
        write_json($CLAIM, { node => $node, started => time() });
        $mine = 1;
    });
    return $mine;
}

my sub release () {
    PVE::Escrow::Records::with_lock(sub {
        write_json($CLAIM, { read_json($CLAIM)->%*, finished => time() });
    });
    return;
}

# Calls $code for each item in a few processes, and gives each result to $take in this one.
my sub in_processes ($items, $code, $take) {
    my @pipes;
    for my $first (0 .. $AT_A_TIME - 1) {
        last if $first > $#$items;
        my $pid = open(my $pipe, '-|') // die "fork: $!\n";
        push @pipes, $pipe;
        next if $pid;
        local $SIG{__DIE__} = 'DEFAULT';
        for (my $index = $first; $index < @$items; $index += $AT_A_TIME) {
            my $result = eval { $code->($items->[$index]) } // { error => $@ =~ s/\s+\z//r };
            print $JSON->encode([$items->[$index], $result]), "\n";
        }
        STDOUT->flush();
        POSIX::_exit(0);
    }
    for my $pipe (@pipes) {
        while (my $line = readline($pipe)) {
            my $done = eval { $JSON->decode($line) };
            $take->(@$done) if $done;
        }
        close($pipe);
    }
    return;
}

my sub proof_is_due ($storeid, $live, $config) {
    return 0 if !defined($live);
    my $last = PVE::Escrow::State::get($storeid)->{proof};
    return 1 if !$last || $last->{fingerprint} ne $live || $last->{result} ne 'valid';
    return time() - $last->{time} > $config->{'proof-days'} * $DAY / 2;
}

my sub is_active ($scfg) {
    return 0 if $scfg->{disable};
    return !$scfg->{nodes} || $scfg->{nodes}->{ PVE::INotify::nodename() };
}

# what it prints, in one piece: several do so at a time
my sub captured ($code) {
    my $said = '';
    open(my $stdout, '>&', \*STDOUT) or die "dup: $!\n";
    my $file = File::Temp->new();
    open(STDOUT, '>&', $file) or die "dup: $!\n";
    my $done = eval { $code->(); 1 };
    my $err = $@;
    STDOUT->flush();
    open(STDOUT, '>&', $stdout) or die "dup: $!\n";
    seek($file, 0, 0);
    local $/ = undef;
    $said = readline($file);
    die $err if !$done;
    return $said;
}

my sub look_at ($storeid, $scfg, $config) {
    my $found = {};
    $found->{coverage} = eval { PVE::Escrow::Coverage::look($storeid, $scfg) };
    $found->{error} = $@ =~ s/\s+\z//r if !$found->{coverage};
    my $live = PVE::Escrow::Status::present_key($storeid, $scfg);
    return $found if !$found->{coverage} || !proof_is_due($storeid, $live, $config);
    $found->{said} = captured(sub {
        my $order = PVE::Escrow::Prove::prepare($storeid, $scfg, { user => 'root@pam' });
        $found->{proof} = PVE::Escrow::Prove::prove($storeid, $scfg, $order);
    });
    return $found;
}

my sub storages ($config) {
    my $ids = PVE::Storage::config()->{ids};
    my @storages = grep { is_active($ids->{$_}) } PVE::Escrow::Storage::ids();
    my (%members, %errors);
    in_processes(
        \@storages,
        sub ($storeid) { return look_at($storeid, $ids->{$storeid}, $config) },
        sub ($storeid, $found) {
            $errors{$storeid} = $found->{error} if defined($found->{error});
            $members{$storeid} =
                { map { $found->{$_} ? ($_ => $found->{$_}) : () } qw(coverage proof) };
            print $found->{said} =~ s/^/$storeid: /gmr if defined($found->{said});
            my $count = ($found->{coverage} // {})->{snapshots};
            say "$storeid: " . ($found->{error} // "$count snapshots");
        },
    );
    PVE::Escrow::State::set_all(
        { map { $members{$_}->%* ? ($_ => $members{$_}) : () } keys %members });
    for my $storeid (sort grep { $members{$_}->{proof} } keys %members) {
        PVE::Escrow::Prove::leave_evidence($storeid, 'proof', $members{$storeid}->{proof});
    }
    return \%errors;
}

my sub copies () {
    my $rows = PVE::Escrow::Publish::refresh();
    say +($_->{published} ? 'published on ' : 'copy on ') . "$_->{storage}: $_->{text}" for @$rows;
    return;
}

# What is wrong with the cluster, once; with a storage, for each. Ids say of what.
my sub problems ($errors) {
    my $context = PVE::Escrow::Verdict::context();
    my $ids = PVE::Storage::config()->{ids};
    my (%problems, @rows);
    for my $storeid (PVE::Escrow::Storage::ids()) {
        my $row = PVE::Escrow::Status::row($storeid, $ids->{$storeid}, $context);
        push @rows, $row;
        for my $reason ($row->{reasons}->@*) {
            my $is_shared = $reason->{id} =~ m/^(?:guard-.*|evidence)$/;
            my $id = $is_shared ? $reason->{id} : "$storeid: $reason->{id}";
            my $text = $is_shared ? $reason->{text} : "$storeid: $reason->{text}";
            $problems{$id} = { %$reason, id => $id, text => $text };
        }
        $problems{"$storeid: server"} = {
            id => "$storeid: server", level => 'warning',
            next => "pvesm status --storage $storeid",
            text => "$storeid: $errors->{$storeid}",
        } if defined($errors->{$storeid});
    }
    # the others are reasons of each storage already
    for my $row (grep { $_->{result} ne 'ok' && $_->{check} !~ m/^(?:node .*|evidence)$/ }
        PVE::Escrow::Doctor::run()->@*) {
        my $id = "doctor: $row->{check}: $row->{text}";
        $problems{$id} = {
            id => $id, level => $row->{result} eq 'error' ? 'warning' : 'notice',
            text => "$row->{check}: $row->{text}", next => 'pveescrow doctor',
        };
    }
    return (\@rows, \%problems);
}

my sub by_rank ($problems) {
    return [sort { $RANK->{ $a->{level} } <=> $RANK->{ $b->{level} } || $a->{id} cmp $b->{id} }
            values %$problems];
}

my sub compare ($problems) {
    my $before = read_json($NOTIFIED)->{problems} // {};
    my %worse = map { $_ => $problems->{$_} } grep {
              !$before->{$_}
            || $RANK->{ $problems->{$_}->{level} } < $RANK->{ $before->{$_}->{level} }
    } keys %$problems;
    my %repaired = map { $_ => $before->{$_} } grep { !$problems->{$_} } keys %$before;
    return (by_rank(\%worse), by_rank(\%repaired));
}

my sub severity ($worse) {
    return 'info' if !@$worse || $worse->[0]->{level} eq 'notice';
    return $worse->[0]->{level} eq 'critical' ? 'error' : 'warning';
}

my sub notify ($worse, $repaired, $problems) {
    return if !@$worse && !@$repaired;
    require PVE::Notify;
    my $data = {
        worse => $worse,
        repaired => $repaired,
        open => scalar(keys %$problems),
        summary => @$worse ? $worse->[0]->{text} : "repaired: $repaired->[0]->{text}",
        node => PVE::INotify::nodename(),
        evidence => PVE::Escrow::Evidence::head_text(),
    };
    my $fields = { type => 'pve-escrow', hostname => PVE::INotify::nodename() };
    PVE::Notify->can(severity($worse))->('pve-escrow-check', $data, $fields);
    return;
}

# what an auditor asks for, and no other place writes down
my sub leave_evidence ($worse) {
    for my $problem (@$worse) {
        my $event =
              $problem->{id} =~ m/^guard-/ ? 'guard-missing'
            : $problem->{id} =~ m/: (?:bad-)?master-key-/ ? 'master-key-changed'
            : next;
        PVE::Escrow::Evidence::add($event, text => $problem->{text}, result => $problem->{level});
    }
    return;
}

# Told before it is remembered: twice is better than never.
my sub tell_all ($problems) {
    my ($worse, $repaired) = compare($problems);
    leave_evidence($worse);
    eval { notify($worse, $repaired, $problems); 1 } or warn "cannot notify: $@";
    PVE::Escrow::Records::with_lock(sub { write_json($NOTIFIED, { problems => $problems }) });
    return ($worse, $repaired);
}

# what is wrong with the evidence of this node
my sub of_this_node () {
    say for PVE::Escrow::Records::reconcile();
    my $chain = PVE::Escrow::Evidence::verify();
    say "evidence of this node: $chain->{result}, $chain->{lines} lines";
    say "  $_" for $chain->{findings}->@*;
    eval { PVE::Escrow::Evidence::anchor(); 1 } or warn "evidence is not anchored: $@";
    return if $chain->{result} eq 'ok';
    my $node = PVE::INotify::nodename();
    return {
        id => "evidence of $node",
        level => 'warning',
        text => "The evidence of node $node was cut or rewritten: $chain->{findings}->[0]",
        next => 'pveescrow evidence --verify',
    };
}

sub run ($options) {
    my $damaged = of_this_node();
    my $config = PVE::Escrow::Config::get();
    my $is_mine = claim($options->{scheduled});
    say 'Another node has looked at the storages of late.' if !$is_mine;
    my $errors = $is_mine ? storages($config) : {};
    copies() if $is_mine;
    my ($rows, $problems) = problems($errors);
    $problems->{ $damaged->{id} } = $damaged if $damaged;
    my ($worse, $repaired) = $is_mine ? tell_all($problems) : ([], []);
    PVE::Escrow::Metrics::write($rows);
    release() if $is_mine;
    my $sorted = by_rank($problems);
    my $worst = @$sorted && $sorted->[0]->{level} ne 'notice' ? $sorted->[0]->{level} : 'good';
    return { level => $worst, problems => $sorted, worse => $worse, repaired => $repaired };
}

1;
