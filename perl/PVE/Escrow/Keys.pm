package PVE::Escrow::Keys;

use v5.36;

use PVE::Escrow::Evidence;
use PVE::Escrow::Keep;
use PVE::Escrow::Records;
use PVE::Escrow::Seal;
use PVE::Escrow::Storage;

=head1 NAME

PVE::Escrow::Keys - all keys that this cluster knows of, with or without a storage

=head1 FUNCTIONS

=over

=item all()

One row a key: those of storages, those that are kept, those that there is a record of. C<state> is C<live>, or
C<orphaned> if no storage has it; C<storages>, C<seals>, how many are active, C<pending>, the id of one that
waits to be confirmed, and C<kept>, names of kept files.

=item of_storage($storeid, $scfg)

The keys of one storage, past and present: its key, and those whose records name the same server and datastore.

=item drop_record($fingerprint, $storages)

Gives up a key's record. Refuses while a storage that is not among C<$storages> has the key.

=item forget($name)

Destroys a kept key for good. Refuses one that a storage has.

=item kept_file($name)

The path of a kept key. Dies if there is none.

=item live_keys()

The keys that storages have: their ids by fingerprint.

=item storages_of($fingerprint)

The storages that have this key, named in full or in its short form.

=back

=cut

sub live_keys () {
    require PVE::RS::Escrow;
    my %live;
    for my $storeid (PVE::Escrow::Storage::ids()) {
        my $path = PVE::Escrow::Storage::key_file($storeid);
        my $key = eval { PVE::RS::Escrow::fingerprint({ keyfile => $path }) } or next;
        push $live{ $key->{fingerprint} }->@*, $storeid if $key->{verified};
    }
    return \%live;
}

sub storages_of ($fingerprint) {
    my $live = live_keys();
    return map { $live->{$_}->@* } grep { index($_, lc($fingerprint)) == 0 } sort keys %$live;
}

my sub add_seals ($row) {
    $row->{seals} = 0;
    return if !defined($row->{fingerprint});
    my $record = eval { PVE::Escrow::Records::get($row->{fingerprint}) } or return;
    $row->{seals} = scalar(PVE::Escrow::Seal::active($record));
    my ($pending) = PVE::Escrow::Seal::pending($record);
    $row->{pending} = $pending->{id} if $pending;
    return;
}

sub all () {
    my $live = live_keys();
    my %rows = map { $_ => { fingerprint => $_, storages => $live->{$_}, kept => [] } } keys %$live;
    my @nameless;
    for my $kept (PVE::Escrow::Keep::kept()) {
        my $fingerprint = $kept->{fingerprint};
        my %origin = map { defined($kept->{$_}) ? ($_ => $kept->{$_}) : () } qw(from time);
        if (defined($fingerprint)) {
            my $row = $rows{$fingerprint} //=
                { fingerprint => $fingerprint, storages => [], kept => [] };
            push $row->{kept}->@*, $kept->{name};
            $row->{$_} //= $origin{$_} for keys %origin;
        } else {
            push @nameless, { storages => [], kept => [$kept->{name}], %origin };
        }
    }
    for my $fingerprint (map { PVE::Escrow::Records::fingerprint($_) }
        PVE::Escrow::Records::names()) {
        $rows{$fingerprint} //= { fingerprint => $fingerprint, storages => [], kept => [] };
    }
    for my $row (values %rows, @nameless) {
        $row->{state} = $row->{storages}->@* ? 'live' : 'orphaned';
        add_seals($row);
    }
    return [(map { $rows{$_} } sort keys %rows), @nameless];
}

my sub same_place ($record, $connection) {
    return grep {
               $_->{server} eq $connection->{server}
            && $_->{datastore} eq $connection->{datastore}
    } $record->{connections}->@*;
}

sub of_storage ($storeid, $scfg) {
    # which in turn needs to know of all keys
    require PVE::Escrow::Status;
    my $present = PVE::Escrow::Status::present_key($storeid, $scfg) // '';
    my $connection = PVE::Escrow::Storage::connection($scfg);
    my @rows;
    for my $name (PVE::Escrow::Records::names()) {
        my $record = eval { PVE::Escrow::Records::get($name) } or next;
        my $is_present = $record->{fingerprint} eq $present;
        next if !$is_present && !same_place($record, $connection);
        push @rows, {
            fingerprint => $record->{fingerprint},
            live => $is_present ? 1 : 0,
            seals => [map { PVE::Escrow::Status::seal_row($_) } $record->{seals}->@*],
        };
    }
    return \@rows;
}

sub drop_record ($fingerprint, $storages) {
    my %named = map { $_ => 1 } @$storages;
    my @others = grep { !$named{$_} } storages_of($fingerprint);
    die "key $fingerprint is also that of storage "
        . join(', ', @others)
        . ": name all storages that have it\n"
        if @others;
    my $record = PVE::Escrow::Records::drop($fingerprint);
    PVE::Escrow::Evidence::add(
        'record-dropped',
        fingerprint => $record->{fingerprint},
        counts => { seals => scalar($record->{seals}->@*) },
        text => join(', ', sort @$storages),
    );
    return;
}

sub forget ($name) {
    kept_file($name);
    PVE::Escrow::Keep::forget($name);
    return;
}

sub kept_file ($name) {
    my ($kept) = grep { $_->{name} eq $name } PVE::Escrow::Keep::kept();
    die "there is no kept key of that name: 'pveescrow keys' lists them\n" if !$kept;
    return $kept->{places}->[0];
}

1;
