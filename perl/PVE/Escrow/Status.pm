package PVE::Escrow::Status;

use v5.36;

use PVE::Escrow::Coverage;
use PVE::Escrow::MasterKey;
use PVE::Escrow::Records;
use PVE::Escrow::Seal;
use PVE::Escrow::State;
use PVE::Escrow::Storage;
use PVE::Escrow::Tell;
use PVE::Escrow::Verdict;

=head1 NAME

PVE::Escrow::Status - would the backups of a storage survive the loss of this node?

=head1 DESCRIPTION

The key file decides, F<storage.cfg> is a second opinion: a key file without the line in there encrypts all the same. States:

=over

=item C<unencrypted>: neither has a key

=item C<missing-key>: F<storage.cfg> names a key, and its file is not there

=item C<unusable>: the file can't be read as a key, or is protected by a passphrase

=item C<mismatch>: the file holds another key than F<storage.cfg> names, or F<storage.cfg> names none

=item C<unsealed>, C<pending>, C<sealed>: the key has no seal; one that nobody has confirmed; a confirmed one

=item C<unknown>: the library or the record can't be read

=back

=head1 FUNCTIONS

=over

=item get($storeid, $scfg)

The state of a storage: C<state>, C<text> in words, C<next>, the command to run, C<live>, C<configured>, C<seals>;
C<events>, what happened to its key on this node of late; C<drill>, C<proof>, C<copies> and C<coverage>, as they were last;
C<master-keys>, see L<PVE::Escrow::MasterKey>; and what L<PVE::Escrow::Verdict> says.

=item present_key($storeid, $scfg)

The fingerprint of the key that it has, else of that which F<storage.cfg> names.

=item seal_row($seal)

A seal, without its blob.

=item row($storeid, $scfg, $context)

One line of a list: C<seals> is their number, C<drill> and C<proof> are C<time> and C<result>, C<copies-ok> and C<copies-total>
numbers.

=back

=cut

# undef: no file; else { fingerprint } or { error }
my sub live ($storeid) {
    my $path = PVE::Escrow::Storage::key_file($storeid);
    return if !PVE::Escrow::Storage::is_there($path);
    require PVE::RS::Escrow;
    my $key = eval { PVE::RS::Escrow::fingerprint({ keyfile => $path }) };
    return { error => $@ =~ s/\s+\z//r } if !$key;
    return { error => "$path is protected by a passphrase, which Proxmox VE can't ask for" }
        if !$key->{verified};
    return { fingerprint => $key->{fingerprint} };
}

my sub of_missing ($storeid, $scfg) {
    return ['unencrypted', 'Backups to this storage are not encrypted by Proxmox VE.', undef]
        if !$scfg->{'encryption-key'};
    my $claimed = PVE::Escrow::Storage::claimed($scfg);
    my $which = $claimed ? PVE::Escrow::Records::short($claimed) : 'an unnamed key';
    return [
        'missing-key',
        "The key $which is not on this cluster: backups fail, and old ones can't be read.",
        "pveescrow recover $storeid",
    ];
}

my sub of_seals ($storeid, $record) {
    return [
        'sealed', 'The key is sealed: ten words and a kit bring it back.',
        "pveescrow verify $storeid",
    ] if $record && PVE::Escrow::Seal::active($record);
    my ($pending) = $record ? PVE::Escrow::Seal::pending($record) : ();
    return [
        'pending',
        'A recovery code was shown and never typed back: the key is not protected by it yet.',
        "pveescrow confirm $storeid $pending->{id}",
    ] if $pending;
    return [
        'unsealed', 'Whoever loses this cluster loses the backups: the key is not sealed.',
        "pveescrow create $storeid",
    ];
}

my sub of_live ($storeid, $scfg, $live, $record) {
    return ['unusable', $live->{error}, "pveescrow recover $storeid"] if defined($live->{error});
    my $claimed = PVE::Escrow::Storage::claimed($scfg);
    my $found = PVE::Escrow::Records::short($live->{fingerprint});
    return [
        'mismatch',
        "The key file holds $found, but storage.cfg names "
            . PVE::Escrow::Records::short($claimed) . '.',
        "pveescrow recover $storeid",
    ] if defined($claimed) && $claimed ne $live->{fingerprint};
    return [
        'mismatch',
        "The key file holds $found, but storage.cfg names no key: backups are encrypted all the same.",
        "pveescrow recover $storeid",
    ] if !$scfg->{'encryption-key'};
    return of_seals($storeid, $record);
}

my sub describe ($storeid, $scfg) {
    my ($live, $record, $state);
    my $known = eval {
        $live = live($storeid);
        $record = PVE::Escrow::Records::get($live->{fingerprint})
            if $live && defined($live->{fingerprint});
        $state = $live ? of_live($storeid, $scfg, $live, $record) : of_missing($storeid, $scfg);
        1;
    };
    $state = ['unknown', $@ =~ s/\s+\z//r, 'pveescrow doctor'] if !$known;
    my $status = { storage => $storeid, state => $state->[0], text => $state->[1] };
    $status->{next} = $state->[2] if defined($state->[2]);
    $status->{live} = $live->{fingerprint} if $live && defined($live->{fingerprint});
    my $claimed = PVE::Escrow::Storage::claimed($scfg);
    $status->{configured} = $claimed if defined($claimed);
    $status->{'master-keys'} = PVE::Escrow::MasterKey::in_effect($storeid);
    return ($status, $record);
}

sub present_key ($storeid, $scfg) {
    my $live = eval { live($storeid) };
    return ($live // {})->{fingerprint} // PVE::Escrow::Storage::claimed($scfg);
}

sub seal_row ($seal) {
    return {
        state => PVE::Escrow::Seal::state_of($seal),
        map { defined($seal->{$_}) ? ($_ => $seal->{$_}) : () }
            qw(id label by created confirmed last-verified superseded dropped),
    };
}

sub get ($storeid, $scfg) {
    my ($status, $record) = describe($storeid, $scfg);
    my $state = PVE::Escrow::State::get($storeid);
    my $context = PVE::Escrow::Verdict::context();
    $status->{seals} = [map { seal_row($_) } $record ? $record->{seals}->@* : ()];
    $status->{events} = [
        map { { %$_{qw(text next time)} } }
        grep { ($_->{storage} // '') eq $storeid } PVE::Escrow::Tell::recent_events()
    ];
    for my $kind (qw(drill proof)) {
        $status->{$kind} = $state->{$kind} if $state->{$kind};
    }
    $status->{copies} = [map { $state->{copies}->{$_} } sort keys(($state->{copies} // {})->%*)];
    my $coverage = PVE::Escrow::Coverage::cached($storeid, $context->{states});
    $status->{coverage} = $coverage if defined($coverage->{time});
    return PVE::Escrow::Verdict::judge($status, $state, $context);
}

sub row ($storeid, $scfg, $context = PVE::Escrow::Verdict::context()) {
    my ($status, $record) = describe($storeid, $scfg);
    my $state = PVE::Escrow::State::get($storeid);
    $status->{seals} = $record ? scalar(PVE::Escrow::Seal::active($record)) : 0;
    for my $kind (grep { $state->{$_} } qw(drill proof)) {
        $status->{$kind} = { map { $_ => $state->{$kind}->{$_} } qw(time result) };
    }
    my @copies = values(($state->{copies} // {})->%*);
    $status->{'copies-total'} = scalar(@copies);
    $status->{'copies-ok'} = scalar(grep { $_->{result} eq 'ok' } @copies);
    return PVE::Escrow::Verdict::judge($status, $state, $context);
}

1;
