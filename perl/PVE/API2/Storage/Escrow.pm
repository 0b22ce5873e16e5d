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

# runs what a worker does, in one
my sub worker ($type, $storeid, $user, $run) {
    require PVE::RPCEnvironment;
    return PVE::RPCEnvironment::get()->fork_worker($type, $storeid, $user, $run);
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
        return [map { { name => $_ } }
                qw(confirm coverage create kit master-key prove records recover status verify)];
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

my $TIME = { type => 'integer', description => 'Seconds since 1970.' };

my $RESULT = object(
    bytes => { type => 'integer', description => 'Bytes that were decrypted.' },
    controls => {
        type => 'object',
        description =>
            'Of a drill: what must not open a backup, whether it was refused, and how.',
        optional => 1,
    },
    fingerprint => text('The key.'),
    result => text('What was found.', enum => [qw(valid invalid unknown)]),
    seal => text('Of a proof: is the record of the seals as it was confirmed?', optional => 1),
    snapshots => { type => 'integer', description => 'Snapshots that were looked at.' },
    text => text('In words.'),
    time => $TIME,
    upid => text('The task.', optional => 1),
    user => text('Who made it.'),
);

my $COVERAGE = object(
    age => { type => 'integer', description => 'Seconds since then.', optional => 1 },
    keys => {
        type => 'array',
        optional => 1,
        description => 'By key, the one in use first.',
        items => object(
            fingerprint =>
                text('The key; only with Datastore.Allocate on the storage.', optional => 1),
            newest => { %$TIME, optional => 1, description => 'Time of the newest snapshot.' },
            snapshots => { type => 'integer', description => 'Snapshots that need it.' },
            state => text(
                'What this cluster has of it.',
                enum => [qw(sealed live kept acknowledged missing)],
            ),
        ),
    },
    nameless => {
        type => 'integer', optional => 1,
        description => 'Snapshots that need a key, and name none.',
    },
    plain => { type => 'integer', optional => 1, description => 'Snapshots that need no key.' },
    'plain-hosts' => {
        type => 'array',
        optional => 1,
        description => 'Machines with host backups that need no key.',
        items => text('Name of the machine.'),
    },
    snapshots => { type => 'integer', optional => 1, description => 'Snapshots in all.' },
    time => {
        %$TIME, optional => 1, description => 'When the server was asked; none if it never was.'
    },
    unreadable => {
        type => 'integer', optional => 1,
        description => 'Snapshots and namespaces that could not be read.',
    },
    'without-rsa' => {
        type => 'integer',
        optional => 1,
        description => 'Encrypted snapshots that hold no copy of the key for a master key.',
    },
);

my $MASTER_KEYS = {
    type => 'array',
    description => 'Public keys whose holder gets the key with each backup.',
    items => object(
        bits => { type => 'integer', optional => 1, description => 'Length of its modulus.' },
        problem => text('Why backups fail with it.', optional => 1),
        sha256 => text('SHA-256 of its DER form; of its file, if that is none.'),
        where => text('Whose it is.'),
    ),
};

# what a user without Datastore.Allocate sees
my sub counts_only ($storeid, $coverage) {
    return $coverage if !$coverage->{keys} || PVE::Escrow::Access::may_allocate($storeid);
    my @keys = map {
        my %key = %$_;
        delete $key{fingerprint};
        \%key
    } $coverage->{keys}->@*;
    return { %$coverage, keys => \@keys };
}

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
        copies => {
            type => 'array',
            description => 'The copies of its kit, as they were last.',
            items => object(
                outside =>
                    { type => 'boolean', description => "Is it outside of this cluster's disks?" },
                published => {
                    type => 'boolean', optional => 1,
                    description => 'Is it on its backup server?',
                },
                result => text('How it is.', enum => [qw(ok error)]),
                storage => get_standard_option('pve-storage-id'),
                text => text('In words.', optional => 1),
                time => $TIME,
            ),
        },
        coverage => { %$COVERAGE, optional => 1 },
        drill => { %$RESULT, optional => 1, description => 'The last drill.' },
        events => {
            type => 'array',
            description => 'What happened to the key on this node of late.',
            items => object(
                next => text('The command to run next.'),
                text => text('What happened.'),
                time => { type => 'integer', description => 'Seconds since 1970.' },
            ),
        },
        level => text('How safe it is.', enum => [qw(good warning critical none)]),
        live => text('The key in the key file, computed.', optional => 1),
        'master-keys' => $MASTER_KEYS,
        next => text('The command to run next.', optional => 1),
        proof =>
            { %$RESULT, optional => 1, description => 'The last proof with the live key.' },
        reasons => {
            type => 'array',
            description => 'What keeps it from being better, worst first.',
            items => object(
                id => text('The same as long as the reason is.'),
                level => text('How bad it is.', enum => [qw(critical warning notice)]),
                next => text('The command to run next.', optional => 1),
                text => text('In words.'),
            ),
        },
        seals => { type => 'array', items => $SEAL_ROW },
        state => text(
            'In one word.',
            enum =>
                [qw(unencrypted missing-key unusable mismatch unsealed pending sealed unknown)],
        ),
        storage => get_standard_option('pve-storage-id'),
        text => text('In a sentence.'),
        verdict => text('Do the backups survive the loss of this cluster?'),
    ),
    code => sub ($param) {
        my $scfg = storage($param);
        require PVE::Escrow::Status;
        my $status = PVE::Escrow::Status::get($param->{storage}, $scfg);
        $status->{coverage} = counts_only($param->{storage}, $status->{coverage})
            if $status->{coverage};
        return $status;
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

# A key that is sealed is sealed, whatever becomes of the copies. Twice, copies and servers, is less than a caller of the API
# waits.
my $COPY_SECONDS = 13;

my sub write_copies () {
    my $rows = eval {
        require PVE::Escrow::Publish;
        PVE::Escrow::Publish::refresh($COPY_SECONDS);
    } // [{ result => 'error', text => $@ =~ s/\s+\z//r, outside => 0 }];
    return [
        map {
            my $row = $_;
            +{ map { defined($row->{$_}) ? ($_ => $row->{$_}) : () }
                    qw(storage result text outside published) }
        } @$rows
    ];
}

__PACKAGE__->register_method({
    name => 'confirm',
    path => 'confirm',
    method => 'POST',
    description =>
        'Makes a pending seal active, once its code has opened the stored blob. Copies of the kits are written and published'
        . ' then.',
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
                published => {
                    type => 'boolean', optional => 1,
                    description => 'Is it on its backup server?'
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
                description =>
                    'A storage that has copies of kits, or whose server has them, to recover from those.',
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
        PVE::Escrow::Code::refuse_argument('password', "'pveescrow recover', which asks for it")
            if defined($param->{password});
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

my $SNAPSHOT = {
    type => 'string',
    pattern =>
        '(?:vm|ct|host)/[A-Za-z0-9_][A-Za-z0-9_.-]*/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z',
    description => 'Snapshot, as in ct/100/2024-06-05T16:00:00Z.',
};

__PACKAGE__->register_method({
    name => 'prove',
    path => 'prove',
    method => 'POST',
    description =>
        'Decrypts backups: with a recovery code a drill with the key that is sealed under it, else a proof with the live key.'
        . ' The result is in the status.',
    proxyto => 'node',
    protected => 1,
    permissions => {
        description =>
            "With a code as for 'recover'; without, Datastore.Allocate on the storage.",
        user => 'all',
    },
    parameters => parameters(
        fingerprint => {
            %$EXPECT, description =>
                'A past key of the storage, with its code, in place of the present one.',
        },
        full => {
            type => 'boolean', optional => 1, default => 0,
            description => 'All of each archive.',
        },
        sample => {
            type => 'integer', optional => 1, minimum => 1, maximum => 1048576, default => 16,
            description => 'How much of each archive, in MiB.',
        },
        snapshots => {
            type => 'array', optional => 1, items => $SNAPSHOT,
            description => 'Only these; else the newest of each guest.',
        },
        PVE::Escrow::Code::parameters(),
    ),
    returns => text('The task.'),
    code => sub ($param) {
        my ($storeid, $user, $code) = ($param->{storage});
        if (PVE::Escrow::Code::is_given($param)) {
            $user = PVE::Escrow::Access::operator();
            $code = PVE::Escrow::Code::take($param);
        } else {
            $user = PVE::Escrow::Access::allocate($storeid);
        }
        my $scfg = storage($param);
        require PVE::Escrow::Prove;
        die "a past key is for a drill: give its recovery code too\n"
            if defined($param->{fingerprint}) && !defined($code);
        my %order = map { $_ => $param->{$_} } qw(fingerprint full sample snapshots);
        my $order =
            PVE::Escrow::Prove::prepare($storeid, $scfg, { %order, code => $code, user => $user });
        return worker(
            'escrowprove',
            $storeid, $user,
            sub ($upid) {
                $order->{upid} = $upid;
                PVE::Escrow::Prove::finish(PVE::Escrow::Prove::run($storeid, $scfg, $order));
            },
        );
    },
});

__PACKAGE__->register_method({
    name => 'coverage',
    path => 'coverage',
    method => 'GET',
    description =>
        'Which snapshots need which key, as far as the server showed when it was asked last. Fingerprints only'
        . ' with Datastore.Allocate on the storage.',
    proxyto => 'node',
    protected => 1,
    permissions => { check => $AUDIT },
    parameters => parameters(),
    returns => $COVERAGE,
    code => sub ($param) {
        storage($param);
        require PVE::Escrow::Coverage;
        return counts_only($param->{storage}, PVE::Escrow::Coverage::cached($param->{storage}));
    },
});

__PACKAGE__->register_method({
    name => 'refresh_coverage',
    path => 'coverage',
    method => 'POST',
    description => 'Asks the server again which snapshots need which key.',
    proxyto => 'node',
    protected => 1,
    permissions => { check => $AUDIT },
    parameters => parameters(),
    returns => text('The task.'),
    code => sub ($param) {
        my $scfg = storage($param);
        require PVE::Escrow::Coverage;
        require PVE::RPCEnvironment;
        my $storeid = $param->{storage};
        return worker(
            'escrowcoverage',
            $storeid,
            PVE::RPCEnvironment::get()->get_user(),
            sub ($upid) {
                my $coverage = PVE::Escrow::Coverage::refresh($storeid, $scfg);
                say "$coverage->{snapshots} snapshots, $coverage->{plain} of them need no key";
                my $states = PVE::Escrow::Coverage::states();
                say PVE::Escrow::Records::short($_->{fingerprint})
                    . ": $_->{snapshots} snapshots, "
                    . $states->($_->{fingerprint})
                    for $coverage->{keys}->@*;
            },
        );
    },
});

# of a kit's file, by format
my $SUFFIX = { json => 'json', text => 'txt', html => 'html', 'pdf-ready' => 'html' };

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
    parameters => parameters(
        format => {
            description =>
                'JSON to recover from, or a sheet to print: pdf-ready is the page of html.',
            type => 'string',
            enum => [qw(json text html pdf-ready)],
            default => 'json',
            optional => 1,
        },
    ),
    returns => object(
        kit => text('The kit as JSON, or a sheet.'), name => text('A name for its file.'),
    ),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        my $scfg = storage($param);
        require PVE::Escrow::Kit;
        my $format = $param->{format} // 'json';
        my $kit = PVE::Escrow::Kit::make($param->{storage}, $scfg);
        return {
            kit => $format eq 'json' ? $kit : PVE::Escrow::Kit::sheet($kit, $format),
            name => "$param->{storage}.escrow-kit." . $SUFFIX->{$format},
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

__PACKAGE__->register_method({
    name => 'master_key',
    path => 'master-key',
    method => 'GET',
    description => 'Whose master keys get a copy of the key with each backup.',
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(),
    returns => $MASTER_KEYS,
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        storage($param);
        require PVE::Escrow::MasterKey;
        return PVE::Escrow::MasterKey::in_effect($param->{storage});
    },
});

__PACKAGE__->register_method({
    name => 'set_master_key',
    path => 'master-key',
    method => 'PUT',
    description =>
        'Sets the public half of a master key, after a trial of what each backup does with it.',
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(pem => PVE::Escrow::Schema::parameter('check_master_key', 'pem')),
    returns => object(
        bits => PVE::Escrow::Schema::result('check_master_key', 'bits'),
        sha256 => PVE::Escrow::Schema::result('check_master_key', 'sha256'),
    ),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        storage($param);
        require PVE::Escrow::MasterKey;
        return PVE::Escrow::MasterKey::set($param->{storage}, $param->{pem});
    },
});

__PACKAGE__->register_method({
    name => 'remove_master_key',
    path => 'master-key',
    method => 'DELETE',
    description =>
        'Removes the master key of the storage. Earlier backups keep their copy of the key.',
    proxyto => 'node',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(),
    returns => { type => 'null' },
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        storage($param);
        require PVE::Escrow::MasterKey;
        PVE::Escrow::MasterKey::remove($param->{storage});
        return;
    },
});

1;
