package PVE::Escrow::Config;

use v5.36;

use PVE::JSONSchema;
use PVE::Tools;

=head1 NAME

PVE::Escrow::Config - what an administrator has set for the whole cluster

=head1 DESCRIPTION

C</etc/pve/escrow.cfg>, lines of C<key: value>. A missing file means the defaults. What is wrong in it is left out with
a warning, and never keeps a key from being recovered.

=head1 FUNCTIONS

=over

=item schema()

The properties, as JSON schema.

=item get()

The configuration, with defaults.

=item update($set, $delete)

Sets members and removes others. The caller holds the domain lock C<escrow>.

=back

=cut

my $FILE = '/etc/pve/escrow.cfg';

my sub days ($description, $default) {
    return {
        description => $description, type => 'integer', minimum => 1, maximum => 3650,
        optional => 1,
        default => $default,
    };
}

my $SCHEMA = {
    type => 'object',
    additionalProperties => 0,
    properties => {
        copies => {
            description =>
                "Storages with a directory that get a copy of every kit, in 'pve-escrow' there. At least one should be"
                . " outside of this cluster.",
            type => 'string',
            format => 'pve-storage-id-list',
            optional => 1,
        },
        enabled => {
            description =>
                "Off, the add-on does nothing on any node when its daemons start: no guard, no API, no GUI.",
            type => 'boolean',
            optional => 1,
            default => 1,
        },
        acknowledged => {
            description =>
                "Fingerprints of keys that are somebody else's, whose backups lie on the same server: snapshots"
                . " that need them are nobody's loss here.",
            type => 'string',
            maxLength => 4096,
            pattern => '(?:[0-9a-f]{2}(?::[0-9a-f]{2}){31}[,; ]*)+',
            optional => 1,
        },
        publish => {
            description =>
                "Storages of type 'pbs' whose backup servers get the kits of all storages on them, as snapshots that no"
                . " key locks.",
            type => 'string',
            format => 'pve-storage-id-list',
            optional => 1,
        },
        'copy-days' =>
            days('A copy of a kit that was not checked for so long counts no more.', 2),
        'drill-days' => days('A drill should not be older than this.', 180),
        'proof-days' => days(
            'A proof should not be older than this: the daily check makes a new one in good time.',
            7,
        ),
        operators => {
            description =>
                "Users besides root\@pam who may make, confirm and use recovery codes. They need"
                . " Datastore.Allocate on /storage too. Who may make a code can obtain the key.",
            type => 'string',
            format => 'pve-userid-list',
            optional => 1,
        },
    },
};

sub schema () {
    return $SCHEMA;
}

my sub read_file () {
    return '' if !-e $FILE;
    return PVE::Tools::file_get_contents($FILE);
}

my sub stored () {
    return PVE::JSONSchema::parse_config($SCHEMA, $FILE, read_file());
}

sub get () {
    my $properties = $SCHEMA->{properties};
    my %defaults =
        map { defined($properties->{$_}->{default}) ? ($_ => $properties->{$_}->{default}) : () }
        keys %$properties;
    return { %defaults, stored()->%* };
}

# comments and what a later version understands stay as they are
sub update ($set, $delete = []) {
    my %gone = map { $_ => 1 } @$delete, keys %$set;
    my @lines = grep { !(m/^\s*([\w-]+):/ && $gone{$1}) } split(m/\n/, read_file());
    push @lines, map { "$_: $set->{$_}" } sort keys %$set;
    PVE::Tools::file_set_contents($FILE, join('', map { "$_\n" } @lines), oct(640));
    return;
}

1;
