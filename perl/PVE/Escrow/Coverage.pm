package PVE::Escrow::Coverage;

use v5.36;

use PVE::Escrow::Config;
use PVE::Escrow::Keep;
use PVE::Escrow::Keys;
use PVE::Escrow::Records;
use PVE::Escrow::Seal;
use PVE::Escrow::State;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Coverage - which snapshots of a storage need which key

=head1 DESCRIPTION

As far as its server shows, in all namespaces below that of the storage. It never makes anything be removed: what a
server says of keys is a label. States of a key:

=over

=item C<sealed>: there is a confirmed seal of it

=item C<live>, C<kept>: it is not sealed, but this cluster has it, for a storage or as a kept file

=item C<acknowledged>: it is somebody else's, as C<acknowledged> in F</etc/pve/escrow.cfg> says

=item C<missing>: none of these: those snapshots can't be read from here

=back

=head1 FUNCTIONS

=over

=item look($storeid, $scfg)

Asks the server, or looks into the datastore if it is on this node. Takes from a moment to minutes; in a worker or a command
only. Returns C<time>, C<snapshots>, C<plain>, C<without-rsa>: encrypted ones without the key for a master key;
C<plain-hosts>, C<unreadable>, and C<keys>: C<fingerprint>, C<snapshots>, C<newest> in seconds since 1970, the key in use first.
Dies if the server does not answer.

=item refresh($storeid, $scfg)

The same, and remembers it.

=item cached($storeid)

What was remembered, with its C<age> in seconds and the C<state> of each key as it is now; empty if nobody has looked.

=item states()

A function that tells the state of a key by its fingerprint. Ask it for many.

=item newest_key($storeid)

The key that the newest encrypted snapshot names, as remembered.

=item unneeded($state)

The keys that were rotated away and that no snapshot needs any more, as far as the server showed since: from what
L<PVE::Escrow::State> has of a storage.

=item short_of_keys($coverage)

The keys that snapshots need and that are neither sealed nor acknowledged.

=back

=cut

my sub ask ($storeid, $scfg) {
    my $directory = PVE::Escrow::Storage::mounted_datastore($scfg);
    return PVE::RS::Escrow::remote_coverage(PVE::Escrow::Storage::server($storeid, $scfg))
        if !defined($directory);
    my $ns = $scfg->{namespace};
    return PVE::RS::Escrow::coverage({
        datastore => $directory,
        defined($ns) ? (ns => $ns) : ('all-ns' => 1),
    });
}

my sub newest_time ($group) {
    my $name = ($group->{newest} // return)->{snapshot};
    return if $name !~ m{/(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)Z$};
    require Time::Local;
    return Time::Local::timegm($6, $5, $4, $3, $2 - 1, $1);
}

sub look ($storeid, $scfg) {
    my $found = ask($storeid, $scfg);
    my $without = 0;
    $without += $_->{encrypted} - $_->{'with-master-key'} for $found->{keys}->@*;
    return {
        time => time(),
        snapshots => $found->{snapshots},
        plain => $found->{plain}->{count},
        'plain-hosts' => $found->{'plain-hosts'},
        nameless => $found->{nameless}->{count},
        unreadable => scalar($found->{unreadable}->@*),
        'without-rsa' => $without,
        keys => [
            map { {
                fingerprint => $_->{fingerprint},
                snapshots => $_->{count},
                newest => newest_time($_),
            } } $found->{keys}->@*
        ],
    };
}

sub refresh ($storeid, $scfg) {
    my $coverage = look($storeid, $scfg);
    PVE::Escrow::State::set($storeid, { coverage => $coverage });
    return $coverage;
}

my sub is_sealed ($fingerprint) {
    my $record = eval { PVE::Escrow::Records::get($fingerprint) };
    return $record && PVE::Escrow::Seal::active($record) ? 1 : 0;
}

sub states () {
    my ($present, %states);
    my %acknowledged =
        map { lc($_) => 1 } split(m/[,;\s]+/, PVE::Escrow::Config::get()->{acknowledged} // '');
    my $find = sub ($fingerprint) {
        return 'sealed' if is_sealed($fingerprint);
        $present //= {
            live => PVE::Escrow::Keys::live_keys(),
            kept => { map { ($_->{fingerprint} // '') => 1 } PVE::Escrow::Keep::kept() },
        };
        for my $state (qw(live kept)) {
            return $state if $present->{$state}->{$fingerprint};
        }
        return $acknowledged{$fingerprint} ? 'acknowledged' : 'missing';
    };
    return sub ($fingerprint) { return $states{$fingerprint} //= $find->($fingerprint) };
}

sub cached ($storeid, $states = states()) {
    my $coverage = PVE::Escrow::State::get($storeid)->{coverage} // return {};
    my @keys = map {
        my $key = $_;
        +{ %$key, state => $states->($key->{fingerprint}) }
    } $coverage->{keys}->@*;
    return { %$coverage, age => time() - $coverage->{time}, keys => \@keys };
}

sub newest_key ($storeid) {
    my $keys = (PVE::Escrow::State::get($storeid)->{coverage} // {})->{keys} // [];
    return @$keys ? $keys->[0]->{fingerprint} : undef;
}

sub unneeded ($state) {
    my $coverage = $state->{coverage} // return;
    my %needed = map { $_->{fingerprint} => 1 } $coverage->{keys}->@*;
    return grep { !$needed{$_} } map { $_->{fingerprint} }
        grep { $_->{time} < $coverage->{time} } ($state->{rotated} // [])->@*;
}

sub short_of_keys ($coverage) {
    return grep { $_->{state} !~ m/^(?:sealed|acknowledged)$/ } ($coverage->{keys} // [])->@*;
}

1;
