package PVE::Escrow::Seal;

use v5.36;

use JSON ();

use PVE::Escrow::Evidence;
use PVE::Escrow::Keep;
use PVE::Escrow::Records;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Seal - seal the key of a storage, and find out whether a code opens it

=head1 DESCRIPTION

A seal is pending until the code, typed back, has opened the stored blob. Key derivations take place outside of
every lock. What is done is written down as evidence, and is done all the same if that fails.

=head1 FUNCTIONS

=over

=item create($keyfile, { by => USER, label => TEXT, replace => ID })

Seals the key of a key file under a new code, and stores the blob as a pending seal. Returns C<id>, C<fingerprint>,
C<code> and C<check>: the only time that the code is seen. Refuses while a seal of this key is pending, unless that one
is named in C<replace>.

=item confirm($fingerprint, $id, $code, $keyfile)

Makes a pending seal active, after its code has opened the stored blob. Older active seals with the same label are
superseded; their codes still open them. Returns the C<fingerprint> and the ids that were C<superseded>.

=item verify($fingerprint, $code)

Which active seal does the code open? Returns it; dies if there is none, or if it opens none. Changes nothing.

=item sign($record, $keyfile)

Authenticates a record with its key, so that a changed one is found out.

=item authenticity($record, $keyfile)

C<valid>, C<unsigned>, or C<changed>: somebody has changed it who does not have the key.

=item new_id($record)

An id that no seal of the record has.

=item pending($record), active($record)

The seals of a record that wait to be confirmed; those that are confirmed and not dropped, newest first.

=item state_of($seal)

C<pending>, C<active>, C<superseded> or C<dropped>.

=back

=cut

sub state_of ($seal) {
    return 'dropped' if defined($seal->{dropped});
    return 'pending' if !defined($seal->{confirmed});
    return defined($seal->{superseded}) ? 'superseded' : 'active';
}

sub pending ($record) {
    return grep { state_of($_) eq 'pending' } $record->{seals}->@*;
}

# with those that a newer one has superseded: their codes open them still
my sub opening ($record) {
    my $order = { active => 0, superseded => 1 };
    my @seals = sort {
               $order->{ state_of($a) } <=> $order->{ state_of($b) }
            || $b->{confirmed} cmp $a->{confirmed}
    } grep { defined($order->{ state_of($_) }) } $record->{seals}->@*;
    return @seals;
}

sub active ($record) {
    return grep { state_of($_) eq 'active' } opening($record);
}

my sub refuse_pending ($record, $replace) {
    my @others = grep { $_->{id} ne ($replace // '') } pending($record);
    return if !@others;
    my $other = $others[0];
    die
        "a seal of key $record->{fingerprint} is pending since $other->{created}: confirm it with its code, or give it up"
        . " by naming it (replace $other->{id})\n";
}

sub new_id ($record) {
    my %taken = map { $_->{id} => 1 } $record->{seals}->@*;
    my $id;
    do { $id = sprintf('%08x', int(rand(2**32))) } while $taken{$id};
    return $id;
}

# the key that is in use now
my sub computed ($keyfile) {
    my $key = PVE::RS::Escrow::fingerprint({ keyfile => $keyfile });
    die
        "$keyfile is protected by a passphrase: Proxmox VE can't use it, and it can't be sealed here."
        . " Remove the passphrase with 'proxmox-backup-client key change-passphrase --kdf none' first\n"
        if !$key->{verified};
    return $key->{fingerprint};
}

# A record without it is still good: the blobs stand for themselves.
sub sign ($record, $keyfile) {
    my $signed = eval {
        PVE::RS::Escrow::sign({
            kind => 'record', keyfile => $keyfile, text => JSON->new->encode($record),
        });
    } or return;
    $record->{mac} = JSON->new->decode($signed->{text})->{mac};
    return;
}

sub authenticity ($record, $keyfile) {
    return 'unsigned' if !defined($record->{mac});
    my $text = JSON->new->encode($record);
    return 'valid'
        if eval {
            PVE::RS::Escrow::authenticate({ kind => 'record', keyfile => $keyfile, text => $text });
        };
    return 'changed';
}

# what evidence says of a key; without a storage if it is a kept one
my sub about ($fingerprint, $keyfile) {
    my $storeid =
        defined($keyfile) ? eval { PVE::Escrow::Storage::of_key_file($keyfile) } : undef;
    return (fingerprint => $fingerprint, storage => $storeid);
}

sub create ($keyfile, $options) {
    PVE::Escrow::Keep::keep_file($keyfile, 'before it was sealed');
    my $fingerprint = computed($keyfile);
    PVE::Escrow::Records::check_quorum();
    my $record = PVE::Escrow::Records::get($fingerprint);
    refuse_pending($record, $options->{replace}) if $record;

    my $sealed = PVE::RS::Escrow::create({ keyfile => $keyfile });
    my @dropped;
    my $id = PVE::Escrow::Records::change(
        $sealed->{fingerprint},
        sub ($record) {
            refuse_pending($record, $options->{replace});
            my $now = PVE::Escrow::Records::now();
            @dropped = pending($record);
            $_->{dropped} = $now for @dropped;
            my $seal = {
                id => new_id($record),
                by => $options->{by},
                created => $now,
                blob => $sealed->{blob},
            };
            $seal->{label} = $options->{label} if length($options->{label} // '');
            push $record->{seals}->@*, $seal;
            sign($record, $keyfile);
            return $seal->{id};
        },
    );
    my %about = about($sealed->{fingerprint}, $keyfile);
    PVE::Escrow::Evidence::add(
        'seal-dropped', %about,
        user => $options->{by},
        seal => $_->{id},
        text => "replaced by seal $id",
    ) for @dropped;
    PVE::Escrow::Evidence::add(
        'created', %about,
        user => $options->{by},
        seal => $id,
        text => $options->{label},
    );
    return { id => $id, map { $_ => $sealed->{$_} } qw(fingerprint code check) };
}

my sub by_id ($record, $id) {
    my ($seal) = grep { $_->{id} eq $id } ($record // { seals => [] })->{seals}->@*;
    return $seal // die "there is no seal '$id' of this key\n";
}

my sub supersede ($record, $seal, $now) {
    my $label = $seal->{label} // '';
    my @old = grep { $_->{id} ne $seal->{id} && ($_->{label} // '') eq $label } active($record);
    $_->{superseded} = $now for @old;
    return [map { $_->{id} } @old];
}

sub confirm ($fingerprint, $id, $code, $keyfile = undef) {
    PVE::Escrow::Records::check_quorum();
    my $seal = by_id(PVE::Escrow::Records::get($fingerprint), $id);
    die "seal '$id' was given up: make a new one\n" if state_of($seal) eq 'dropped';
    my $opened =
        PVE::RS::Escrow::verify({ blob => $seal->{blob}, code => $code, expect => $fingerprint });
    my $superseded = PVE::Escrow::Records::change(
        $fingerprint,
        sub ($record) {
            my $now = PVE::Escrow::Records::now();
            my $stored = by_id($record, $id);
            die "seal '$id' was changed meanwhile, and is still pending\n"
                if $stored->{blob} ne $seal->{blob} || state_of($stored) eq 'dropped';
            $stored->{'last-verified'} = $now;
            my $old = [];
            if (state_of($stored) eq 'pending') {
                $stored->{confirmed} = $now;
                $old = supersede($record, $stored, $now);
            }
            sign($record, $keyfile) if defined($keyfile);
            return $old;
        },
    );
    PVE::Escrow::Evidence::add(
        'confirmed',
        about($fingerprint, $keyfile),
        seal => $id,
        text => @$superseded ? "supersedes @$superseded" : undef,
    );
    return { fingerprint => $opened->{fingerprint}, superseded => $superseded };
}

sub verify ($fingerprint, $code) {
    my $record = PVE::Escrow::Records::get($fingerprint);
    my @seals = $record ? opening($record) : ();
    die "key $fingerprint has no confirmed seal: there is nothing that a code could open\n"
        if !@seals;
    my $found = PVE::RS::Escrow::find({ blobs => [map { $_->{blob} } @seals], code => $code });
    my $seal = defined($found->{index}) ? $seals[$found->{index}] : undef;
    PVE::Escrow::Evidence::add(
        'verified',
        fingerprint => $fingerprint,
        seal => $seal ? $seal->{id} : undef,
        result => $seal ? 'ok' : 'invalid',
        text => $seal ? undef : 'a code that opens none of its seals',
    );
    return $seal if $seal;
    die join(
        '; ',
        "wrong recovery code: it opens none of the " . @seals . " seals of key $fingerprint",
        $found->{damages}->@*
    ) . "\n";
}

1;
