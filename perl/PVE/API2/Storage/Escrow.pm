package PVE::API2::Storage::Escrow;

use v5.36;

use PVE::JSONSchema qw(get_standard_option);
use PVE::Storage;

use PVE::Escrow::Access;
use PVE::Escrow::Code;
use PVE::Escrow::Schema;

use base qw(PVE::RESTHandler);

=head1 NAME

PVE::API2::Storage::Escrow - what lies below /nodes/{node}/storage/{storage}/escrow

=head1 DESCRIPTION

Each method checks who calls, takes the recovery code out of its parameters and hands over to C<PVE::Escrow>, which
is loaded when it is first needed: this module is loaded by every daemon and every command.

=cut

my $AUDIT = ['perm', '/storage/{storage}', ['Datastore.Audit']];

my $OPERATOR = PVE::Escrow::Access::operator_permissions();

my $ID = { description => 'Id of the seal.', type => 'string', pattern => '[0-9a-z]{1,16}' };
my $FINGERPRINT = PVE::Escrow::Schema::result('verify', 'fingerprint');
my $EXPECT = PVE::Escrow::Schema::parameter('verify', 'expect');

my sub text ($description, %more) {
    return { description => $description, type => 'string', %more };
}

my sub parameters (%more) {
    return {
        additionalProperties => 0,
        properties => {
            node => get_standard_option('pve-node'),
            storage => get_standard_option('pve-storage-id'),
            %more,
        },
    };
}

my sub object (%properties) {
    return { type => 'object', properties => \%properties };
}

# the storage that is named, which has to have a key
my sub storage ($param) {
    require PVE::Escrow::Storage;
    return PVE::Escrow::Storage::config($param->{storage});
}

my sub live_fingerprint ($storeid) {
    require PVE::RS::Escrow;
    my $key = PVE::RS::Escrow::fingerprint({ keyfile => PVE::Escrow::Storage::key_file($storeid) });
    return $key->{fingerprint};
}

__PACKAGE__->register_method({
    name => 'index',
    path => '',
    method => 'GET',
    description => 'What can be asked of the escrow of a storage.',
    proxyto => 'node',
    permissions => { check => $AUDIT },
    parameters => parameters(),
    returns => {
        type => 'array',
        items => object(name => text('Name of the path.')),
        links => [{ rel => 'child', href => '{name}' }],
    },
    code => sub ($param) {
        storage($param);
        return [map { { name => $_ } } qw(confirm create kit records recover status verify)];
    },
});

my $SEAL_ROW = object(
    blob => text('The sealed key file.', optional => 1),
    by => text('The user who made it.'),
    confirmed => text('When its code was typed back.', optional => 1),
    created => text('When it was made.'),
    dropped => text('When it was given up.', optional => 1),
    id => $ID,
    label => text('Who holds the code.', optional => 1),
    'last-verified' => text('When its code last opened it.', optional => 1),
    state => text('What it is good for.', enum => [qw(pending active superseded dropped)]),
    superseded => text('When a newer one took its place.', optional => 1),
);

__PACKAGE__->register_method({
    name => 'status',
    path => 'status',
    method => 'GET',
    description => 'Would the backups of this storage survive the loss of this node?',
    proxyto => 'node',
    protected => 1,
    permissions => { check => $AUDIT },
    parameters => parameters(),
    returns => object(
        configured => text('The key that storage.cfg names.', optional => 1),
        events => {
            type => 'array',
            description => 'What happened to the key on this node of late.',
            items => object(
                next => text('The command to run next.'),
                text => text('What happened.'),
                time => { type => 'integer', description => 'Seconds since 1970.' },
            ),
        },
        live => text('The key in the key file, computed.', optional => 1),
        next => text('The command to run next.', optional => 1),
        seals => { type => 'array', items => $SEAL_ROW },
        state => text(
            'In one word.',
            enum =>
                [qw(unencrypted missing-key unusable mismatch unsealed pending sealed unknown)],
        ),
        storage => get_standard_option('pve-storage-id'),
        text => text('In a sentence.'),
    ),
    code => sub ($param) {
        my $scfg = storage($param);
        require PVE::Escrow::Status;
        return PVE::Escrow::Status::get($param->{storage}, $scfg);
    },
});

__PACKAGE__->register_method({
    name => 'create',
    path => 'create',
    method => 'POST',
    description =>
        'Seals the key of the storage under a new recovery code. The seal is pending until that is confirmed.',
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(
        label => text(
            'Who holds the code, or where it is kept. A new seal supersedes those with the same label.',
            maxLength => 128,
            optional => 1,
        ),
        replace => { %$ID, description => 'The pending seal that is given up.', optional => 1 },
    ),
    returns => object(
        check => PVE::Escrow::Schema::result('create', 'check'),
        code => PVE::Escrow::Schema::result('create', 'code'),
        fingerprint => $FINGERPRINT,
        id => $ID,
    ),
    code => sub ($param) {
        my $user = PVE::Escrow::Access::operator();
        storage($param);
        require PVE::Escrow::Seal;
        my $keyfile = PVE::Escrow::Storage::key_file($param->{storage});
        die
            "storage '$param->{storage}' has no key file to seal. Backups are encrypted once it has one:"
            . " 'pvesm set $param->{storage} --encryption-key autogen'. If it had one before: 'pveescrow status'\n"
            if !PVE::Escrow::Storage::is_there($keyfile);
        return PVE::Escrow::Seal::create(
            $keyfile, { by => $user, label => $param->{label}, replace => $param->{replace} },
        );
    },
});

# A key that is sealed is sealed, whatever becomes of the copies. Less than a caller of the API waits.
my $COPY_SECONDS = 20;

my sub write_copies () {
    my $rows = eval {
        require PVE::Escrow::Copies;
        PVE::Escrow::Copies::write_all($COPY_SECONDS);
    } // [{ result => 'error', text => $@ =~ s/\s+\z//r, outside => 0 }];
    return [
        map {
            my $row = $_;
            +{ map { defined($row->{$_}) ? ($_ => $row->{$_}) : () }
                    qw(storage result text outside) }
        } @$rows
    ];
}

__PACKAGE__->register_method({
    name => 'confirm',
    path => 'confirm',
    method => 'POST',
    description =>
        'Makes a pending seal active, once its code has opened the stored blob. Copies of the kits are written then.',
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(id => $ID, PVE::Escrow::Code::parameters()),
    returns => object(
        copies => {
            type => 'array',
            description =>
                'The storages that get copies of the kits. The seal is active even if that failed.',
            optional => 1,
            items => object(
                outside => {
                    type => 'boolean',
                    description => "Is it on other disks than this node's system?"
                },
                result => text('How it went.', enum => [qw(ok error)]),
                storage => get_standard_option('pve-storage-id', { optional => 1 }),
                text => text('In words.'),
            ),
        },
        fingerprint => $FINGERPRINT,
        superseded => { type => 'array', description => 'Ids of older seals.', items => $ID },
    ),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        storage($param);
        my $code = PVE::Escrow::Code::take($param);
        require PVE::Escrow::Seal;
        my $done = PVE::Escrow::Seal::confirm(
            live_fingerprint($param->{storage}),
            $param->{id}, $code, PVE::Escrow::Storage::key_file($param->{storage}),
        );
        my $copies = write_copies();
        $done->{copies} = $copies if @$copies;
        return $done;
    },
});

__PACKAGE__->register_method({
    name => 'verify',
    path => 'verify',
    method => 'POST',
    description =>
        "Which active seal of this storage's key does the code open? Changes nothing.",
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(
        fingerprint =>
            { %$EXPECT, description => 'A past key of the storage, in place of the present one.' },
        PVE::Escrow::Code::parameters(),
    ),
    returns => $SEAL_ROW,
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        my $scfg = storage($param);
        my $code = PVE::Escrow::Code::take($param);
        require PVE::Escrow::Seal;
        my $fingerprint = $param->{fingerprint}
            // eval { live_fingerprint($param->{storage}) } // PVE::Escrow::Storage::claimed($scfg)
            // die "storage '$param->{storage}' has no key whose seals could be tried\n";
        my $seal = PVE::Escrow::Seal::verify($fingerprint, $code);
        return { %$seal, state => PVE::Escrow::Seal::state_of($seal) };
    },
});

__PACKAGE__->register_method({
    name => 'recover',
    path => 'recover',
    method => 'POST',
    description =>
        'Installs the key out of a sealed one, and sets it in storage.cfg. Never over another key, unless that one'
        . ' is named; then it is kept.',
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(
        copy => get_standard_option(
            'pve-storage-id',
            {
                description => 'A storage that has copies of kits, to recover from those.',
                optional => 1
            },
        ),
        displace => PVE::Escrow::Schema::parameter('install', 'displace'),
        expect => $EXPECT,
        fingerprint => {
            %$EXPECT,
            description =>
                'The record or copy to recover from, if the storage does not name its key.'
        },
        password => text(
            'The secret of the backup server, for a storage that does not exist yet.',
            maxLength => 512,
            optional => 1,
        ),
        source => text(
            'Content of a kit or of a sealed key file; without it and copy, the records of this cluster.',
            maxLength => 65536,
            optional => 1,
        ),
        PVE::Escrow::Code::parameters(),
    ),
    returns => object(
        changed => PVE::Escrow::Schema::result('install', 'changed'),
        created => { type => 'boolean', description => 'Is the storage new?' },
        fingerprint => $FINGERPRINT,
        kept => PVE::Escrow::Schema::result('install', 'kept'),
        seal => $ID,
    ),
    code => sub ($param) {
        my $user = PVE::Escrow::Access::operator();
        my $code = PVE::Escrow::Code::take($param);
        require PVE::Escrow::Recover;
        my %order =
            map { $_ => $param->{$_} } qw(copy displace expect fingerprint password source);
        return PVE::Escrow::Recover::recover(
            $param->{storage},
            { %order, code => $code, by => $user }
        );
    },
});

__PACKAGE__->register_method({
    name => 'kit',
    path => 'kit',
    method => 'GET',
    description =>
        'What may leave the cluster: sealed keys, where the backups are, and no secret.',
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(),
    returns => object(kit => text('The kit as JSON.'), name => text('A name for its file.')),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        my $scfg = storage($param);
        require PVE::Escrow::Kit;
        return {
            kit => PVE::Escrow::Kit::make($param->{storage}, $scfg),
            name => "$param->{storage}.escrow-kit.json",
        };
    },
});

__PACKAGE__->register_method({
    name => 'records',
    path => 'records',
    method => 'GET',
    description =>
        "The keys of this storage that there are records of: the present one, and those of the same connection.",
    proxyto => 'node',
    protected => 1,
    permissions => { check => $AUDIT },
    parameters => parameters(),
    returns => {
        type => 'array',
        items => object(
            fingerprint => $FINGERPRINT,
            live => { type => 'boolean', description => 'Is it the present key?' },
            seals => { type => 'array', items => $SEAL_ROW },
        ),
        links => [{ rel => 'child', href => '{fingerprint}' }],
    },
    code => sub ($param) {
        my $scfg = storage($param);
        require PVE::Escrow::Keys;
        return PVE::Escrow::Keys::of_storage($param->{storage}, $scfg);
    },
});

__PACKAGE__->register_method({
    name => 'drop_record',
    path => 'records/{fingerprint}',
    method => 'DELETE',
    description =>
        "Gives up all seals of a key. Their blobs stay in /etc/pve/priv/escrow/dropped. Refused while another"
        . " storage uses the key, unless all of them are named.",
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(
        fingerprint => { %$FINGERPRINT, description => 'The key.' },
        storages => text(
            'All storages that use the key.', format => 'pve-storage-id-list', optional => 1,
        ),
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        storage($param);
        require PVE::Escrow::Keys;
        my @named = (split(m/[,;\s]+/, $param->{storages} // ''), $param->{storage});
        PVE::Escrow::Keys::drop_record($param->{fingerprint}, \@named);
        return;
    },
});

1;
