package PVE::Escrow::State;

use v5.36;

use JSON ();

use PVE::Escrow::File;
use PVE::Escrow::Records;

=head1 NAME

PVE::Escrow::State - what was found out about a storage, and when

=head1 DESCRIPTION

One file a storage, F</etc/pve/priv/escrow/state/ID.json>, so that every node knows. It is a cache: whoever loses it loses
nothing but ages. Members, each with the C<time> in seconds since 1970:

=over

=item C<drill>, C<proof>

The last of each, C<past-drill> with a key that is not the live one: C<result>, C<text>, C<user>, C<fingerprint> of the key, C<snapshots> that were looked at, C<bytes> that were
decrypted, C<upid> of the task, C<controls> of a drill.

=item C<coverage>

See L<PVE::Escrow::Coverage>.

=item C<copies>

What became of the copies of its kit, by storage; C<publish:STORAGE> of those that were published on its server.

=item C<rotated>

The keys that another has taken the place of: a list of C<fingerprint> and C<time>.

=back

=head1 FUNCTIONS

=over

=item get($storeid)

The members; none if there is no file, or one that can't be used.

=item set($storeid, $members)

Replaces these members, and keeps the others. Dies without quorum.

=item set_all($members)

The same for many storages, C<< { ID => { member => value } } >>, under one lock.

=back

=cut

my $DIRECTORY = '/etc/pve/priv/escrow/state';
my $MAX_BYTES = 256 * 1024;
my $VERSION = 1;

my $JSON = JSON->new->canonical->utf8;

my sub path ($storeid) {
    my ($safe) = $storeid =~ m/^([A-Za-z][A-Za-z0-9_.-]*)$/ or die "'$storeid' is no storage\n";
    return "$DIRECTORY/$safe.json";
}

sub get ($storeid) {
    my $state = eval { $JSON->decode(PVE::Escrow::File::get(path($storeid), $MAX_BYTES) // '{}') };
    return {} if ref($state) ne 'HASH' || ($state->{version} // $VERSION) ne $VERSION;
    return $state;
}

sub set_all ($members) {
    PVE::Escrow::Records::with_lock(sub {
        for my $storeid (sort keys %$members) {
            my $state = { get($storeid)->%*, $members->{$storeid}->%*, version => $VERSION };
            PVE::Escrow::File::put(path($storeid), $JSON->encode($state) . "\n");
        }
    });
    return;
}

sub set ($storeid, $members) {
    return set_all({ $storeid => $members });
}

1;
