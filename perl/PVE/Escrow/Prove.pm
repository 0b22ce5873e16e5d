package PVE::Escrow::Prove;

use v5.36;

use PVE::RESTEnvironment qw(log_warn);

use PVE::Escrow::Evidence;
use PVE::Escrow::Records;
use PVE::Escrow::Seal;
use PVE::Escrow::State;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Prove - does the key open real backups?

=head1 DESCRIPTION

With the words it is a drill, by a person: the key comes out of the seal. Without, it is a proof with the live key.
Both fetch backups through the installed client, or read the datastore if it is on this node.

=head1 FUNCTIONS

=over

=item prepare($storeid, $scfg, $order)

Checks what can be checked at once: with C<code>, which seal it opens, of the live key or of that of C<fingerprint>.
Other members of C<$order>: C<snapshots>, a list;
C<full>; C<sample>, how much of each archive, in MiB. Returns what C<run> takes. Dies if there is no key or no seal.

=item prove($storeid, $scfg, $order)

Proves, in a worker or a command: writes what it finds to standard output. Returns the result as L<PVE::Escrow::State> has it,
and dies of nothing but being interrupted.

=item leave_evidence($storeid, $kind, $result)

Of a result, as a C<drill> or a C<proof>.

=item run($storeid, $scfg, $order)

Proves, remembers the result and leaves evidence.

=item finish($result)

Ends a worker: dies if the result is not C<valid>, so that the task shows it.

=back

=cut

sub prepare ($storeid, $scfg, $order) {
    my $keyfile = PVE::Escrow::Storage::key_file($storeid);
    my $live = eval { PVE::RS::Escrow::fingerprint({ keyfile => $keyfile }) };
    if (!defined($order->{code})) {
        die
            "storage '$storeid' has no key file to prove with: 'pveescrow recover $storeid', or a drill with the recovery code\n"
            if !$live || !$live->{verified};
        return { %$order, keyfile => $keyfile, fingerprint => $live->{fingerprint} };
    }
    my $present = ($live // {})->{fingerprint} // PVE::Escrow::Storage::claimed($scfg);
    my $fingerprint = $order->{fingerprint} // $present
        // die "storage '$storeid' has no key whose seals could be tried\n";
    my $seal = PVE::Escrow::Seal::verify($fingerprint, $order->{code});
    my $is_past = defined($present) && $fingerprint ne $present;
    return { %$order, seal => $seal, fingerprint => $fingerprint, past => $is_past };
}

my sub key_of ($order) {
    return (keyfile => $order->{keyfile}) if defined($order->{keyfile});
    return (blob => $order->{seal}->{blob}, code => $order->{code});
}

my sub remote ($storeid, $scfg, $order) {
    return PVE::RS::Escrow::remote_prove({
        PVE::Escrow::Storage::server($storeid, $scfg)->%*,
        key_of($order),
        $order->{full} ? (full => 1) : (mebibytes => $order->{sample} // 16),
        $order->{snapshots} ? (snapshots => $order->{snapshots}) : (),
    });
}

# chunks of 4 MiB at most, and chosen by chance: the same amount says more
my sub direct ($directory, $scfg, $order) {
    say "The datastore is on this node: $directory";
    my $chunks = int(($order->{sample} // 16) / 4) || 1;
    my $report = PVE::RS::Escrow::prove({
        datastore => $directory,
        key_of($order),
        defined($scfg->{namespace}) ? (ns => $scfg->{namespace}) : (),
        $order->{full} ? (full => 1) : (sample => $chunks < 2 ? 2 : $chunks),
        $order->{snapshots} ? (snapshots => $order->{snapshots}) : (),
    });
    for my $snapshot ($report->{snapshots}->@*) {
        say "$snapshot->{snapshot}: $snapshot->{result}"
            . (defined($snapshot->{reason}) ? ": $snapshot->{reason}" : '');
        say "  $_->{what}"
            for $snapshot->{damages}->@*, map { $_->{damages}->@* } $snapshot->{files}->@*;
    }
    return $report;
}

my sub count ($number, $what) {
    return "$number $what" . ($number == 1 ? '' : 's');
}

my sub first_trouble ($report) {
    for my $snapshot (grep { $_->{result} =~ m/^(?:invalid|unknown)$/ } $report->{snapshots}->@*) {
        my ($damage) = (
            map({ $_->{what} } $snapshot->{damages}->@*),
            map({
                    my $file = $_;
                    map { "$file->{name}: $_->{what}" } $file->{damages}->@*
            } $snapshot->{files}->@*),
        );
        my $why = $snapshot->{reason} // $damage // 'nothing can be said';
        return "$snapshot->{snapshot}: $why";
    }
    my ($control) = grep { !$_->{refused} } values(($report->{controls} // {})->%*);
    return "a control failed: $control->{text}" if $control;
    my ($skipped) = grep { $_->{result} eq 'skipped' } $report->{snapshots}->@*;
    return "no snapshot of this key was found; $skipped->{snapshot}: $skipped->{reason}"
        if $skipped;
    return 'there is no snapshot';
}

my sub summary ($report) {
    my ($valid, $bytes) = $report->{totals}->@{qw(valid bytes)};
    my $done = count($valid, 'snapshot') . ", $bytes bytes decrypted";
    return $done if $report->{result} eq 'valid';
    return "$done; " . first_trouble($report);
}

my sub judge ($report, $error, $order) {
    my $result = {
        time => time(),
        user => $order->{user},
        fingerprint => $order->{fingerprint},
        defined($order->{upid}) ? (upid => $order->{upid}) : (),
    };
    return {
        %$result, result => 'unknown', text => $error =~ s/\s+\z//r, snapshots => 0,
        bytes => 0
        }
        if !$report;
    return {
        %$result,
        result => $report->{result},
        text => summary($report),
        snapshots => $report->{totals}->{snapshots},
        bytes => $report->{totals}->{bytes},
        $report->{controls} ? (controls => $report->{controls}) : (),
    };
}

# the code has opened the seal once more
my sub note_verified ($storeid, $order) {
    PVE::Escrow::Records::change(
        $order->{fingerprint},
        sub ($record) {
            my ($seal) = grep { $_->{id} eq $order->{seal}->{id} } $record->{seals}->@*;
            $seal->{'last-verified'} = PVE::Escrow::Records::now() if $seal;
            PVE::Escrow::Seal::sign($record, PVE::Escrow::Storage::key_file($storeid));
        },
    );
    return;
}

sub leave_evidence ($storeid, $kind, $result) {
    PVE::Escrow::Evidence::add(
        $kind,
        storage => $storeid,
        (map { $_ => $result->{$_} } qw(fingerprint result text user)),
        counts => { snapshots => $result->{snapshots}, bytes => $result->{bytes} },
    );
    return;
}

# A proof with the live key is one of the seal too, as long as the record is what the code has opened.
my sub of_seal ($order) {
    my $record = eval { PVE::Escrow::Records::get($order->{fingerprint}) };
    return 'the key is not sealed' if !$record || !PVE::Escrow::Seal::active($record);
    my $is = PVE::Escrow::Seal::authenticity($record, $order->{keyfile});
    return 'the record of its seals is as it was when a code was typed back last' if $is eq 'valid';
    return 'the record of its seals carries no MAC, so it is not known to be as it was confirmed'
        if $is eq 'unsigned';
    return
        'THE RECORD OF ITS SEALS WAS CHANGED by somebody without the key: try the words (pveescrow verify)';
}

sub prove ($storeid, $scfg, $order) {
    my $kind = defined($order->{code}) ? 'drill' : 'proof';
    my $directory = PVE::Escrow::Storage::mounted_datastore($scfg);
    my $report = eval {
        defined($directory)
            ? direct($directory, $scfg, $order)
            : remote($storeid, $scfg, $order);
    };
    my $error = $@;
    die "stopped on request: nothing was remembered\n"
        if !$report && $error =~ m/stopped on request|received interrupt/
        || $report && $report->{cancelled};
    my $result = judge($report, $error, $order);
    for my $name (sort keys(($result->{controls} // {})->%*)) {
        my $control = $result->{controls}->{$name};
        say "control $name: "
            . ($control->{refused} ? 'refused' : 'NOT REFUSED')
            . ": $control->{text}";
    }
    say "$kind of key "
        . PVE::Escrow::Records::short($result->{fingerprint})
        . ": $result->{result}: $result->{text}";
    if ($kind eq 'proof') {
        $result->{seal} = of_seal($order);
        say "$result->{seal}.";
    }
    return $result;
}

sub run ($storeid, $scfg, $order) {
    my $result = prove($storeid, $scfg, $order);
    my $kind = defined($order->{code}) ? 'drill' : 'proof';
    leave_evidence($storeid, $kind, $result);
    eval {
        PVE::Escrow::State::set($storeid, { $order->{past} ? "past-$kind" : $kind => $result });
        note_verified($storeid, $order)
            if $order->{seal} && !$order->{past} && $result->{result} ne 'unknown';
        1;
    } or log_warn("the result can't be remembered: $@");
    return $result;
}

sub finish ($result) {
    return if $result->{result} eq 'valid';
    die "not proven: $result->{text}\n" if $result->{result} eq 'invalid';
    log_warn("nothing can be said: $result->{text}");
    return;
}

1;
