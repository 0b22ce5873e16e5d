package PVE::API2::Cluster::Escrow;

use v5.36;

use PVE::JSONSchema qw(get_standard_option);
use PVE::Storage;

use PVE::Escrow::Access;
use PVE::Escrow::Code;
use PVE::Escrow::Config;
use PVE::Escrow::Schema;

use base qw(PVE::RESTHandler);

=head1 NAME

PVE::API2::Cluster::Escrow - what lies below /cluster/escrow

=cut

my $OPERATOR = PVE::Escrow::Access::operator_permissions();

my $ROOT = { description => 'root@pam only.', user => 'all' };

my $NAME = {
    description => 'Name of a kept key: the SHA-256 of its file.',
    type => 'string',
    pattern => '[0-9a-f]{64}',
};
my $FINGERPRINT = PVE::Escrow::Schema::result('verify', 'fingerprint');

my sub text ($description, %more) {
    return { description => $description, type => 'string', %more };
}

my sub parameters (%properties) {
    return { additionalProperties => 0, properties => \%properties };
}

my sub object (%properties) {
    return { type => 'object', properties => \%properties };
}

my sub list ($items, %more) {
    return { type => 'array', items => $items, %more };
}

my $LAST = {
    object(
        result => text('What was found.', enum => [qw(valid invalid unknown)]),
        time => { type => 'integer', description => 'Seconds since 1970.' },
    )->%*,
    optional => 1,
};

__PACKAGE__->register_method({
    name => 'index',
    path => '',
    method => 'GET',
    description =>
        'The state of each storage with encrypted backups that the caller may audit.',
    protected => 1,
    permissions => {
        description => 'Only storages on which the caller has Datastore.Audit are listed.',
        user => 'all',
    },
    parameters => parameters(),
    returns => list(
        object(
            configured => text('The key that storage.cfg names.', optional => 1),
            'copies-ok' =>
                { type => 'integer', description => 'Copies of its kit that are good.' },
            'copies-total' => { type => 'integer', description => 'Copies of its kit.' },
            drill => { %$LAST, description => 'The last drill.' },
            level => text('How safe it is.', enum => [qw(good warning critical none)]),
            live => text('The key in the key file, computed.', optional => 1),
            next => text('The command to run next.', optional => 1),
            proof => { %$LAST, description => 'The last proof with the live key.' },
            reasons => {
                type => 'array', description => 'See the status of a storage.',
                items => { type => 'object' }
            },
            seals =>
                { type => 'integer', description => 'Active seals of the key.', minimum => 0 },
            state => text('In one word.'),
            storage => get_standard_option('pve-storage-id'),
            text => text('In a sentence.'),
            verdict => text('Do its backups survive the loss of this cluster?'),
        ),
    ),
    code => sub ($param) {
        require PVE::Escrow::Status;
        my $ids = PVE::Storage::config()->{ids};
        my @visible = grep { PVE::Escrow::Access::may_audit($_) } PVE::Escrow::Storage::ids();
        my $context = PVE::Escrow::Verdict::context();
        return [map { PVE::Escrow::Status::row($_, $ids->{$_}, $context) } @visible];
    },
});

__PACKAGE__->register_method({
    name => 'keys',
    path => 'keys',
    method => 'GET',
    description =>
        'All keys that this cluster knows of: those of storages, kept ones, and those with a record.',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(),
    returns => list(
        object(
            fingerprint => text(
                'The key, computed; none if its file could not be read as one.', optional => 1
            ),
            from => text('Where a kept key was found first.', optional => 1),
            kept => list($NAME),
            pending => text('Id of a seal that waits to be confirmed.', optional => 1),
            seals => { type => 'integer', description => 'Active seals.', minimum => 0 },
            state => text('Does a storage have it?', enum => [qw(live orphaned)]),
            storages => list(get_standard_option('pve-storage-id')),
            time => text('When a kept key was found first.', optional => 1),
        ),
        links => [{ rel => 'child', href => '{name}' }],
    ),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        require PVE::Escrow::Keys;
        return PVE::Escrow::Keys::all();
    },
});

__PACKAGE__->register_method({
    name => 'seal',
    path => 'keys/{name}',
    method => 'POST',
    description =>
        'Seals a kept key under a new recovery code. The seal is pending until that is confirmed.',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(
        label =>
            text('Who holds the code, or where it is kept.', maxLength => 128, optional => 1),
        name => $NAME,
        replace =>
            text('The pending seal that is given up.', pattern => '[0-9a-z]{1,16}', optional => 1),
    ),
    returns => object(
        check => PVE::Escrow::Schema::result('create', 'check'),
        code => PVE::Escrow::Schema::result('create', 'code'),
        fingerprint => $FINGERPRINT,
        id => text('Id of the seal.'),
    ),
    code => sub ($param) {
        my $user = PVE::Escrow::Access::operator();
        require PVE::Escrow::Keys;
        return PVE::Escrow::Seal::create(
            PVE::Escrow::Keys::kept_file($param->{name}),
            { by => $user, label => $param->{label}, replace => $param->{replace} },
        );
    },
});

__PACKAGE__->register_method({
    name => 'confirm',
    path => 'keys/{name}',
    method => 'PUT',
    description =>
        'Makes a pending seal of a kept key active, once its code has opened the stored blob.',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(
        id => text('Id of the seal.', pattern => '[0-9a-z]{1,16}'),
        name => $NAME,
        PVE::Escrow::Code::parameters(),
    ),
    returns => object(
        fingerprint => $FINGERPRINT,
        superseded => list(text('Id of an older seal.')),
    ),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        my $code = PVE::Escrow::Code::take($param);
        require PVE::Escrow::Keys;
        my $file = PVE::Escrow::Keys::kept_file($param->{name});
        my $key = PVE::RS::Escrow::fingerprint({ keyfile => $file });
        return PVE::Escrow::Seal::confirm($key->{fingerprint}, $param->{id}, $code, $file);
    },
});

__PACKAGE__->register_method({
    name => 'forget',
    path => 'keys/{name}',
    method => 'DELETE',
    description =>
        'Destroys a kept key. Refused for one that a storage has now. Deleting is not shredding: the blocks of the'
        . ' disk, and backups of the node, may still hold it.',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(name => $NAME),
    returns => { type => 'null' },
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        require PVE::Escrow::Keys;
        PVE::Escrow::Keys::forget($param->{name});
        return;
    },
});

__PACKAGE__->register_method({
    name => 'config',
    path => 'config',
    method => 'GET',
    description => 'The settings of the add-on.',
    protected => 1,
    permissions => { check => ['perm', '/storage', ['Datastore.Audit']] },
    parameters => parameters(),
    returns => object(PVE::Escrow::Config::schema()->{properties}->%*),
    code => sub ($param) {
        return PVE::Escrow::Config::get();
    },
});

# who may name operators may make themselves one, and then obtain keys
__PACKAGE__->register_method({
    name => 'set_config',
    path => 'config',
    method => 'PUT',
    description => 'Changes the settings of the add-on.',
    protected => 1,
    allowtoken => 0,
    permissions => $ROOT,
    parameters => parameters(
        PVE::Escrow::Config::schema()->{properties}->%*,
        delete => text(
            'Settings to go back to their defaults.', format => 'pve-configid-list',
            optional => 1
        ),
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        PVE::Escrow::Access::root();
        require PVE::Escrow::Records;
        my @delete = split(m/[,;\s]+/, delete($param->{delete}) // '');
        PVE::Escrow::Records::with_lock(sub {
            PVE::Escrow::Config::update($param, \@delete);
        });
        return;
    },
});

__PACKAGE__->register_method({
    name => 'nodes',
    path => 'nodes',
    method => 'GET',
    description => 'Do the daemons of each node guard its keys?',
    protected => 1,
    permissions => { check => ['perm', '/', ['Sys.Audit']] },
    parameters => parameters(),
    returns => list(
        object(
            node => text('Name of the node.'),
            result => text('How it is.', enum => [qw(ok warning error)]),
            text => text('In words.'),
        ),
    ),
    code => sub ($param) {
        require PVE::Escrow::Doctor;
        return [
            map { {
                node => $_->{check} =~ s/^node //r, result => $_->{result},
                text => $_->{text}
            } } PVE::Escrow::Doctor::nodes()
        ];
    },
});

# each node has a chain of its own
my $HERE = 'Of the node that is asked: the one that runs the command, or serves the page.';

my sub bootstrap_parameters (%more) {
    return parameters(
        fingerprint => text(
            "SHA-256 of the server's certificate, as the server's dashboard shows it.",
            pattern => '(?:[A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}',
            optional => 1,
        ),
        ns => text(
            'Namespace that the kits were published in, if not the root.',
            maxLength => 256,
            optional => 1,
        ),
        password => text('Secret of the user or token.', minLength => 1, maxLength => 512),
        repository => text(
            'Where the backups are: user@pbs!token@server:datastore.',
            maxLength => 512,
        ),
        %more,
    );
}

# what was typed, and what goes to that place only
my sub login ($param) {
    PVE::Escrow::Code::refuse_argument('password', "'pveescrow bootstrap', which asks for it");
    require PVE::Escrow::Bootstrap;
    return (
        PVE::Escrow::Bootstrap::typed($param->@{qw(repository fingerprint ns)}),
        $param->{password},
    );
}

# the HTTP server waits for 30
my $LOOK_SECONDS = 25;

__PACKAGE__->register_method({
    name => 'bootstrap_kits',
    path => 'bootstrap/kits',
    method => 'POST',
    description =>
        'The kits that were published on a backup server, as they say of themselves: nobody has checked them yet.',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => bootstrap_parameters(),
    returns => object(
        kits => list(
            object(
                created => text('When it was made.'),
                fingerprint => text('The key that is sealed in it.'),
                snapshot => text('The snapshot that it is in.'),
                storage => text('The storage that has the key.'),
            ),
        ),
        problems => list(text('What can not be used, and why.')),
    ),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        my @login = login($param);
        require PVE::Escrow::Apart;
        my $look = sub {
            my $found = PVE::Escrow::Bootstrap::look(@login);
            my @claims = map { PVE::Escrow::Bootstrap::claims($_) } $found->{kits}->@*;
            return { kits => \@claims, problems => $found->{problems} };
        };
        my $done = PVE::Escrow::Apart::run({ look => $look }, $LOOK_SECONDS)->{look};
        die "$done->{error}\n" if defined($done->{error});
        return $done->{value};
    },
});

__PACKAGE__->register_method({
    name => 'bootstrap',
    path => 'bootstrap',
    method => 'POST',
    description =>
        'Makes the storages of the published kits that the ten words open, installs their keys, proves a snapshot of each,'
        . ' and says in the log of the task which guests can be restored, with which commands.',
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => bootstrap_parameters(PVE::Escrow::Code::parameters()),
    returns => text('The task.'),
    code => sub ($param) {
        my $user = PVE::Escrow::Access::operator();
        my $code = PVE::Escrow::Code::take($param);
        my ($typed, $secret) = login($param);
        my %order = (typed => $typed, secret => $secret, code => $code, by => $user);
        require PVE::RPCEnvironment;
        return PVE::RPCEnvironment::get()->fork_worker(
            'escrowbootstrap',
            $typed->{datastore},
            $user,
            sub ($upid) {
                PVE::Escrow::Bootstrap::run(
                    \%order,
                    PVE::Escrow::Bootstrap::look($typed, $secret)
                ) or die "not every storage has a snapshot that the key was proven on\n";
            },
        );
    },
});

__PACKAGE__->register_method({
    name => 'evidence',
    path => 'evidence',
    method => 'GET',
    description => "What happened to keys, newest first. $HERE",
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(
        limit => {
            description => 'At most so many events.',
            type => 'integer',
            minimum => 1,
            maximum => 10000,
            default => 200,
            optional => 1,
        },
    ),
    returns => list(
        object(
            counts => {
                type => 'object', description => 'What was counted, by name.', optional => 1,
            },
            event => text('What happened, in a word.'),
            fingerprint => text('To which key.', optional => 1),
            line => { type => 'integer', description => 'Number of the line in the chain.' },
            node => text('The node that wrote it.'),
            result => text('How it went, in a word.'),
            storage => text('Of which storage.', optional => 1),
            text => text('In more words.', optional => 1),
            time => { type => 'integer', description => 'Seconds since 1970.' },
            user => text('Who did it.'),
        ),
    ),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        require PVE::Escrow::Evidence;
        return PVE::Escrow::Evidence::events($param->{limit} // 200);
    },
});

__PACKAGE__->register_method({
    name => 'verify_evidence',
    path => 'evidence/verify',
    method => 'GET',
    description => 'Was the evidence cut or rewritten since its head was noted down elsewhere?'
        . " $HERE",
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(),
    returns => object(
        findings => list(text('What was found, and in which file and line.')),
        head => text('SHA-256 of the last line.', optional => 1),
        lines => { type => 'integer', description => 'Lines in all files.', minimum => 0 },
        result => text('In a word.', enum => [qw(ok damaged)]),
        text => text('In a sentence.'),
    ),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        require PVE::Escrow::Evidence;
        my $found = PVE::Escrow::Evidence::verify();
        return {
            $found->{head} ? (head => $found->{head}->{hash}) : (),
            map { $_ => $found->{$_} } qw(findings lines result text),
        };
    },
});

__PACKAGE__->register_method({
    name => 'report',
    path => 'evidence/report',
    method => 'GET',
    description =>
        "A page for an auditor: storages, keys, seals, proofs, coverage, and the evidence. $HERE",
    protected => 1,
    allowtoken => 0,
    permissions => $OPERATOR,
    parameters => parameters(),
    returns => object(html => text('The page.'), name => text('A name for its file.')),
    code => sub ($param) {
        PVE::Escrow::Access::operator();
        require PVE::Escrow::Report;
        return { html => PVE::Escrow::Report::html(), name => PVE::Escrow::Report::name() };
    },
});

1;
