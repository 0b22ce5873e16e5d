package PVE::CLI::pveescrow;

use v5.36;

use Fcntl qw(O_CREAT O_EXCL O_NOFOLLOW O_WRONLY);
use POSIX ();

use PVE::CLIFormatter;
use PVE::CLIHandler;
use PVE::INotify;
use PVE::JSONSchema qw(get_standard_option);
use PVE::RPCEnvironment;
use PVE::Storage;

use PVE::API2::Cluster::Escrow;
use PVE::API2::Storage::Escrow;
use PVE::Escrow::Bootstrap;
use PVE::Escrow::Check;
use PVE::Escrow::Code;
use PVE::Escrow::Coverage;
use PVE::Escrow::Doctor;
use PVE::Escrow::Evidence;
use PVE::Escrow::File;
use PVE::Escrow::Keys;
use PVE::Escrow::Paper;
use PVE::Escrow::Publish;
use PVE::Escrow::Records;
use PVE::Escrow::Recover;
use PVE::Escrow::Report;
use PVE::Escrow::Rotate;
use PVE::Escrow::State;
use PVE::Escrow::Storage;
use PVE::Escrow::Terminal;

use base qw(PVE::CLIHandler);

my $STORAGE = 'PVE::API2::Storage::Escrow';
my $CLUSTER = 'PVE::API2::Cluster::Escrow';

my $NODE = PVE::INotify::nodename();

# of 'check'
my $EXIT = { good => 0, warning => 1, critical => 2 };

sub setup_environment {
    die "please run as root\n" if $> != 0;
    PVE::RPCEnvironment->setup_default_cli_env();
    return;
}

my $CODE_FILE = {
    description =>
        "A file with the recovery code in it, root's and mode 0600; '-' for standard input. Without it, the"
        . ' words are asked for.',
    type => 'string',
    optional => 1,
};

my sub text ($description, %more) {
    return { description => $description, type => 'string', %more };
}

my sub parameters (%properties) {
    return { additionalProperties => 0, properties => \%properties };
}

my sub storage_option (%more) {
    return get_standard_option('pve-storage-id', \%more);
}

# from standard input, a file, or the person at the terminal
my sub code ($param, $what) {
    my $file = delete $param->{'code-file'};
    return PVE::Escrow::Terminal->new()->ask_code($what) if !defined($file);
    return PVE::Escrow::Code::from_file($file) if $file ne '-';
    my $code = do { local $/; readline(STDIN) };
    return $code // die "no recovery code on standard input\n";
}

my sub call ($class, $method, $param) {
    return $class->$method({ $class eq $STORAGE ? (node => $NODE) : (), %$param });
}

my sub read_text ($file) {
    open(my $fh, '<:encoding(UTF-8)', $file) or die "cannot open $file: $!\n";
    die "$file is not a regular file\n" if !-f $fh;
    read($fh, my $text, 65537) // die "cannot read $file: $!\n";
    die "$file is larger than a kit can be\n" if length($text) > 65536;
    return $text;
}

# a new file that only root can read
my sub write_new ($file, $text) {
    sysopen(my $fh, $file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, oct(600))
        or die "cannot create $file: $!\n";
    my $done = print({$fh} $text) && $fh->flush && $fh->sync && close($fh);
    my $err = $!;
    return if $done;
    unlink($file);
    die "cannot write $file: $err\n";
}

# the seal counts all the same
my sub warn_of_copies ($confirmed) {
    for my $row (grep { $_->{result} eq 'error' } ($confirmed->{copies} // [])->@*) {
        my $where = defined($row->{storage}) ? "copy on storage '$row->{storage}'" : 'copies';
        print STDERR "warning: $where: $row->{text}\n";
    }
    return;
}

my sub confirm_shown ($what, $seal, $confirm) {
    my $terminal = PVE::Escrow::Terminal->new();
    $terminal->show_code($seal, $what);
    for my $left (2, 1, 0) {
        my $done = eval { $confirm->($terminal->ask_code($what)); 1 };
        return if $done;
        $terminal->show("    $@");
        $terminal->show("    Once more, please.\n") if $left;
    }
    die "the seal is still pending, and the words were not shown again\n";
}

# Make, show, have typed back. With a file, the rest is for 'confirm'.
my sub seal ($what, $param, $make, $confirm, $again = undef) {
    my $out = delete $param->{'code-out'};
    PVE::Escrow::Terminal->new() if !defined($out);
    my $seal = $make->($param);
    my $short = PVE::Escrow::Records::short($seal->{fingerprint});
    if (defined($out)) {
        write_new($out, "$seal->{code}\n");
        say "key $short: seal $seal->{id} is pending, its code is in $out";
        return;
    }
    my $next =
        defined($again)
        ? "To go on: $again\n"
        : "To begin anew: the same command with --replace $seal->{id}\n";
    eval {
        confirm_shown($what, $seal, sub ($code) { $confirm->($seal->{id}, $code) });
        1;
    }
        or die "$@$next";
    say "key $short is sealed: the words open seal $seal->{id}.";
    return;
}

my sub seal_storage ($storeid, $param) {
    return seal(
        "storage '$storeid'",
        $param,
        sub ($param) { return call($STORAGE, 'create', { %$param, storage => $storeid }) },
        sub ($id, $code) {
            warn_of_copies(
                call($STORAGE, 'confirm', { storage => $storeid, id => $id, code => $code }));
        },
    );
}

# one storage for each key that has no seal
my sub unsealed () {
    my %seen;
    return grep { !$seen{ $_->{live} }++ }
        grep { $_->{state} eq 'unsealed' || $_->{state} eq 'pending' }
        call($CLUSTER, 'index', {})->@*;
}

my %NEW_SEAL = (
    'code-out' => text(
        'Write the code to this new file, in place of showing it. The seal stays pending.',
        optional => 1
    ),
    label => text('Who holds the code, or where it is kept.', maxLength => 128, optional => 1),
    replace =>
        text('The pending seal that is given up.', pattern => '[0-9a-z]{1,16}', optional => 1),
);

__PACKAGE__->register_method({
    name => 'overview',
    path => 'overview',
    method => 'GET',
    description => 'Says what to do next on this node.',
    parameters => parameters(),
    returns => { type => 'null' },
    code => sub ($param) {
        my @rows = grep { $_->{state} ne 'unencrypted' } call($CLUSTER, 'index', {})->@*;
        my @open = grep { $_->{level} ne 'good' } @rows;
        my ($first) = sort { $EXIT->{ $b->{level} } <=> $EXIT->{ $a->{level} } } @open;
        say scalar(@rows)
            . (@rows == 1 ? " storage has" : " storages have")
            . " a key; survive the loss of this cluster: "
            . (@rows - @open) . ".";
        say $first
            ? "$first->{storage}: $first->{verdict}"
            : 'Nothing is to be done. Try a code now and then.';
        say 'Next: '
            . (
                  $first ? $first->{next} // 'pveescrow doctor'
                : @rows ? "pveescrow prove $rows[0]->{storage} --drill"
                : 'pveescrow doctor'
            );
        return;
    },
});

__PACKAGE__->register_method({
    name => 'status',
    path => 'status',
    method => 'GET',
    description =>
        'Would the backups survive the loss of this cluster? Of one storage, with its seals, or of all.',
    parameters => parameters(storage => storage_option(optional => 1)),
    returns => { type => 'any' },
    code => sub ($param) {
        return call($CLUSTER, 'index', {}) if !defined($param->{storage});
        return call($STORAGE, 'status', $param);
    },
});

__PACKAGE__->register_method({
    name => 'create',
    path => 'create',
    method => 'POST',
    description =>
        'Seals the key of a storage under ten words: shows them, and has them typed back.',
    parameters => parameters(
        storage => storage_option(optional => 1),
        all => {
            description => 'One seal for every key in use that has none.', type => 'boolean',
            optional => 1,
        },
        %NEW_SEAL,
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        my ($storeid, $all) = delete $param->@{qw(storage all)};
        die "name a storage, or --all\n"
            if !defined($storeid) && !$all || defined($storeid) && $all;
        return seal_storage($storeid, $param) if defined($storeid);
        die "--code-out and --replace are for one storage\n"
            if $param->{'code-out'} || $param->{replace};
        my @unsealed = unsealed();
        say 'every key in use is sealed' if !@unsealed;
        for my $row (@unsealed) {
            my ($pending) = grep { $_->{state} eq 'pending' }
                call($STORAGE, 'status', { storage => $row->{storage} })->{seals}->@*;
            seal_storage(
                $row->{storage},
                { %$param, $pending ? (replace => $pending->{id}) : () }
            );
        }
        return;
    },
});

__PACKAGE__->register_method({
    name => 'confirm',
    path => 'confirm',
    method => 'POST',
    description => 'Makes a pending seal active: its code is typed back.',
    parameters => parameters(
        storage => storage_option(),
        id => text('Id of the seal.'),
        'code-file' => $CODE_FILE,
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        my $code = code($param, "seal $param->{id} of storage '$param->{storage}'");
        my $done = call($STORAGE, 'confirm', { %$param, code => $code });
        say "key "
            . PVE::Escrow::Records::short($done->{fingerprint})
            . " is sealed: the words open seal $param->{id}.";
        say 'superseded: '
            . join(', ', $done->{superseded}->@*)
            . ' (these codes still open their blobs)'
            if $done->{superseded}->@*;
        warn_of_copies($done);
        return;
    },
});

__PACKAGE__->register_method({
    name => 'verify',
    path => 'verify',
    method => 'POST',
    description => 'Which seal of a storage does a code open? Changes nothing.',
    parameters => parameters(
        storage => storage_option(),
        fingerprint => text('A past key of the storage.', optional => 1),
        'code-file' => $CODE_FILE,
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        my $code = code($param, "storage '$param->{storage}'");
        my $seal = call($STORAGE, 'verify', { %$param, code => $code });
        my $label = length($seal->{label} // '') ? " ($seal->{label})" : '';
        say "the code opens seal $seal->{id}$label of $seal->{created}, $seal->{state}";
        return;
    },
});

# asks for the secret only after the kit is known to be genuine: it says where the secret is sent
my sub secret_for_new ($storeid, $order) {
    return if PVE::Storage::config()->{ids}->{$storeid};
    return if !defined($order->{source} // $order->{copy});
    my $kit = PVE::Escrow::Recover::check_kit({ %$order, storage => $storeid });
    my $connection = $kit->{connection} // die "this kit does not say where the backups are\n";
    my $terminal = PVE::Escrow::Terminal->new();
    $terminal->show(
              "The kit is genuine. Storage '$storeid' will be made: $connection->{username} on"
            . " $connection->{server}, datastore $connection->{datastore}.\n");
    return $terminal->ask_hidden("Secret of $connection->{username}: ");
}

__PACKAGE__->register_method({
    name => 'recover',
    path => 'recover',
    method => 'POST',
    description =>
        'Brings a key back: out of the records of this cluster, a kit, a copy of it on a storage, or a sealed key file.'
        . ' With --out, to a file, and nothing else is touched.',
    parameters => parameters(
        storage => storage_option(optional => 1),
        copy => storage_option(
            description => 'A storage that has copies of kits.', optional => 1,
        ),
        kit => text(
            'File of a kit, or of a sealed key, or the text or HTML of its sheet.',
            optional => 1
        ),
        out => text('Write the key to this new file, and change nothing else.', optional => 1),
        fingerprint => text('The record to recover from.', optional => 1),
        expect => text('The key that is expected.', optional => 1),
        displace => text('The key that may be displaced; it is kept.', optional => 1),
        'password-file' =>
            text("File with the backup server's secret, for a new storage.", optional => 1),
        'code-file' => $CODE_FILE,
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        my ($storeid, $out, $kit, $secret) =
            delete $param->@{qw(storage out kit password-file)};
        die "name a storage, or --out FILE\n" if !defined($storeid) && !defined($out);
        $param->{source} = PVE::Escrow::Paper::with_kit($kit, \&read_text) if defined($kit);
        $param->{code} =
            code($param, $kit // (defined($storeid) ? "storage '$storeid'" : 'the key'));
        if (defined($out)) {
            $param->{fingerprint} //=
                PVE::Escrow::Storage::claimed(PVE::Escrow::Storage::config($storeid))
                if defined($storeid) && !defined($kit) && !defined($param->{copy});
            my $done = PVE::Escrow::Recover::to_file({ %$param, storage => $storeid }, $out);
            say
                "key $done->{fingerprint} is in $out. Remove that file when it is no longer needed.";
            return;
        }
        $param->{password} =
            defined($secret) ? read_text($secret) =~ s/\s+\z//r : secret_for_new($storeid, $param);
        delete $param->{password} if !defined($param->{password});
        my $done = call($STORAGE, 'recover', { %$param, storage => $storeid });
        say $done->{changed}
            ? "storage '$storeid' has key $done->{fingerprint} again."
            : "storage '$storeid' had key $done->{fingerprint} already.";
        say "the displaced key is kept: $done->{kept}" if defined($done->{kept});
        return;
    },
});

my sub password ($file, $user) {
    return read_text($file) =~ s/\s+\z//r if defined($file);
    return PVE::Escrow::Terminal->new()->ask_hidden("Secret of $user: ");
}

__PACKAGE__->register_method({
    name => 'bootstrap',
    path => 'bootstrap',
    method => 'POST',
    description =>
        'On a node that has nothing: reads the kits that were published on a backup server, makes the storages and'
        . ' installs the keys that the ten words open, proves a snapshot, and says what can be restored. Exits with 1'
        . ' if nothing was.',
    parameters => parameters(
        repository => text('Where the backups are: user@pbs!token@server:datastore.'),
        fingerprint => text(
            "SHA-256 of the server's certificate, as the server's dashboard shows it.",
            pattern => '(?:[A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}',
            optional => 1,
        ),
        ns =>
            text('Namespace that the kits were published in, if not the root.', optional => 1),
        'password-file' => text('File with the secret of the user or token.', optional => 1),
        'code-file' => $CODE_FILE,
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        local $| = 1;
        my $typed = PVE::Escrow::Bootstrap::typed($param->@{qw(repository fingerprint ns)});
        my $secret = password($param->{'password-file'}, $typed->{username});
        my $found = PVE::Escrow::Bootstrap::look($typed, $secret);
        for my $kit (map { PVE::Escrow::Bootstrap::claims($_) } $found->{kits}->@*) {
            my $short = substr($kit->{fingerprint}, 0, 23);
            say
                "storage $kit->{storage}, key $short, made $kit->{created}, in $kit->{snapshot}";
        }
        say "not used: $_" for $found->{problems}->@*;
        my $code = code($param, 'one of these kits');
        my %order = (typed => $typed, secret => $secret, code => $code, by => 'root@pam');
        exit(1) if !PVE::Escrow::Bootstrap::run(\%order, $found);
        return;
    },
});

__PACKAGE__->register_method({
    name => 'rotate',
    path => 'rotate',
    method => 'POST',
    description =>
        'A new key for a storage: it is sealed, and the words are typed back, before it becomes live. The old one is kept,'
        . ' and so is its record.',
    parameters => parameters(
        storage => storage_option(),
        label => $NEW_SEAL{label},
        'code-out' => $NEW_SEAL{'code-out'},
        key => text(
            'Go on with this new key, of a rotation that was not finished: its words are asked for.',
            pattern => '[0-9a-f]{64}',
            optional => 1,
        ),
        'code-file' => $CODE_FILE,
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        local $| = 1;
        my ($storeid, $name) = $param->@{qw(storage key)};
        my $finish = sub ($code) {
            my $done =
                PVE::Escrow::Rotate::finish($storeid, $name, { code => $code, by => 'root@pam' });
            say $_ for $done->{said}->@*;
            warn_of_copies($done);
        };
        if (defined($name)) {
            $finish->(code($param, 'the new key of storage ' . "'$storeid'"));
            return;
        }
        die "--code-file is for --key\n" if defined($param->{'code-file'});
        say $_ for PVE::Escrow::Rotate::warnings($storeid);
        PVE::Escrow::Terminal->new() if !defined($param->{'code-out'});
        $name = PVE::Escrow::Rotate::new_key($storeid);
        my $again = "pveescrow rotate $storeid --key $name";
        say
            "The new key is kept as $name. It is not live before its words were typed back; until then: $again";
        seal(
            "the new key of storage '$storeid'",
            { label => $param->{label}, 'code-out' => $param->{'code-out'} },
            sub ($param) {
                return PVE::Escrow::Rotate::seal($name, { %$param, by => 'root@pam' });
            },
            sub ($id, $code) { $finish->($code) },
            $again,
        );
        return;
    },
});

__PACKAGE__->register_method({
    name => 'kit',
    path => 'kit',
    method => 'GET',
    description =>
        'Prints the kit of a storage, or writes it to a file: all but the words, and no secret. As text or HTML it is a'
        . ' sheet for paper.',
    parameters => parameters(
        storage => storage_option(),
        out => text('A new file.', optional => 1),
        format => text(
            'JSON to recover from, or a sheet to print: pdf-ready is the page of html, which a browser prints as it is.',
            enum => [qw(json text html pdf-ready)],
            default => 'json',
            optional => 1,
        ),
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        my $out = delete $param->{out};
        my $kit = call($STORAGE, 'kit', $param)->{kit};
        utf8::encode($kit);
        $kit =~ s/\n*\z/\n/;
        defined($out) ? write_new($out, $kit) : print $kit;
        return;
    },
});

__PACKAGE__->register_method({
    name => 'copies',
    path => 'copies',
    method => 'POST',
    description =>
        "Writes the kits to the storages that are named in 'copies' of the settings, publishes them on the backup servers"
        . " of those in 'publish', and reads all back. Exits with 1 if one failed.",
    parameters => parameters(),
    returns => { type => 'array', items => { type => 'object' } },
    code => sub ($param) {
        return PVE::Escrow::Publish::refresh();
    },
});

# what a worker has found: it runs to its end in here, and prints what it does
my sub found ($storeid, $kind, $since) {
    my $result = PVE::Escrow::State::get($storeid)->{$kind};
    return $result && $result->{time} >= $since ? $result : undef;
}

__PACKAGE__->register_method({
    name => 'prove',
    path => 'prove',
    method => 'POST',
    description =>
        'Decrypts backups of a storage with its key. With --drill or --code-file with the key that is sealed under the'
        . ' ten words. Exits with 1 if that is not proven.',
    parameters => parameters(
        storage => storage_option(),
        drill => {
            description => 'Ask for the ten words, and use the sealed key.', type => 'boolean',
            optional => 1,
        },
        snapshot => {
            description =>
                'Only this one, as in ct/100/2024-06-05T16:00:00Z; may be given again.',
            type => 'array',
            items => { type => 'string' },
            optional => 1,
        },
        sample => {
            description => 'How much of each archive, in MiB.',
            type => 'integer',
            minimum => 1,
            optional => 1,
            default => 16,
        },
        full => { description => 'All of each archive.', type => 'boolean', optional => 1 },
        fingerprint =>
            text('A past key of the storage, for a drill with its code.', optional => 1),
        'code-file' => $CODE_FILE,
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        my $snapshots = delete $param->{snapshot};
        $param->{snapshots} = $snapshots if $snapshots;
        my $is_drill = delete($param->{drill}) || defined($param->{'code-file'});
        $param->{code} = code($param, "storage '$param->{storage}'") if $is_drill;
        my $since = time();
        call($STORAGE, 'prove', $param);
        my ($result) = grep { defined }
            map { found($param->{storage}, $_, $since) } $is_drill ? qw(past-drill drill) : 'proof';
        exit(1) if !$result || $result->{result} ne 'valid';
        return;
    },
});

__PACKAGE__->register_method({
    name => 'master_key',
    path => 'master_key',
    method => 'POST',
    description =>
        'Shows, sets or removes the public half of a master key: its holder can open a copy of the key that goes'
        . ' along with each backup. It is tried first.',
    parameters => parameters(
        storage => storage_option(),
        set => text('File with the public half, as pve-escrow-rescue makes it.', optional => 1),
        remove => { description => 'Remove it.', type => 'boolean', optional => 1 },
    ),
    returns => { type => 'array', items => { type => 'object' } },
    code => sub ($param) {
        my ($set, $remove) = delete $param->@{qw(set remove)};
        die "either --set or --remove\n" if defined($set) && $remove;
        call($STORAGE, 'set_master_key', { %$param, pem => read_text($set) }) if defined($set);
        call($STORAGE, 'remove_master_key', $param) if $remove;
        return call($STORAGE, 'master_key', $param);
    },
});

__PACKAGE__->register_method({
    name => 'coverage',
    path => 'coverage',
    method => 'POST',
    description =>
        'Asks the backup server which snapshots need which key, and what this cluster has of each.',
    parameters => parameters(
        storage => storage_option(),
        cached => {
            description => 'Only show what was found the last time.', type => 'boolean',
            optional => 1,
        },
    ),
    returns => { type => 'object' },
    code => sub ($param) {
        my $scfg = PVE::Escrow::Storage::config($param->{storage});
        PVE::Escrow::Coverage::refresh($param->{storage}, $scfg) if !$param->{cached};
        return PVE::Escrow::Coverage::cached($param->{storage});
    },
});

__PACKAGE__->register_method({
    name => 'check',
    path => 'check',
    method => 'POST',
    description =>
        'Looks at everything: servers, proofs that are due, copies, nodes, evidence; notifies of what got worse or'
        . ' was repaired. Exits with 0 if all is good, 1 if something is to be done, 2 if backups would be lost.',
    parameters => parameters(
        scheduled => {
            description =>
                'Leave what is for the whole cluster to a node that has done it of late.',
            type => 'boolean',
            optional => 1,
        },
    ),
    returns => { type => 'object' },
    code => sub ($param) {
        local $| = 1;
        return PVE::Escrow::Check::run($param);
    },
});

my sub kept_param () {
    return text('Name of a kept key, 64 digits.', pattern => '[0-9a-f]{64}');
}

__PACKAGE__->register_method({
    name => 'seal',
    path => 'seal',
    method => 'POST',
    description => 'Seals a kept key, with or without a storage, under ten words.',
    parameters => parameters(name => kept_param(), %NEW_SEAL),
    returns => { type => 'null' },
    code => sub ($param) {
        my $name = delete $param->{name};
        return seal(
            'the kept key ' . substr($name, 0, 16),
            $param,
            sub ($param) { return call($CLUSTER, 'seal', { %$param, name => $name }) },
            sub ($id, $code) {
                return call($CLUSTER, 'confirm', { name => $name, id => $id, code => $code });
            },
        );
    },
});

__PACKAGE__->register_method({
    name => 'forget',
    path => 'forget',
    method => 'DELETE',
    description => 'Destroys a kept key for good. Its full name is to be typed back.',
    parameters => parameters(name => kept_param()),
    returns => { type => 'null' },
    code => sub ($param) {
        PVE::Escrow::Keys::kept_file($param->{name});
        my $terminal = PVE::Escrow::Terminal->new();
        $terminal->show(
            "Backups that need this key can never be read again, unless it is sealed or on paper.\n"
                . "Deleting is not shredding: the disk, and backups of this node, may still hold it.\n"
        );
        my $typed = $terminal->ask("Type the full name of the key to destroy it: ");
        die "that is another name: nothing was destroyed\n" if $typed ne $param->{name};
        call($CLUSTER, 'forget', $param);
        say "key $param->{name} is destroyed.";
        return;
    },
});

__PACKAGE__->register_method({
    name => 'import',
    path => 'import',
    method => 'POST',
    description => 'Keeps a key file from paper, USB or another host. It can be sealed then.',
    parameters => parameters(
        file => text(
            'The key file, or the text or HTML of a sheet of proxmox-backup-client key paperkey.')
    ),
    returns => { type => 'null' },
    code => sub ($param) {
        my $kept = PVE::Escrow::Paper::import_file($param->{file});
        say "kept as $kept->{name}. Next: pveescrow seal $kept->{name}";
        return;
    },
});

__PACKAGE__->register_method({
    name => 'doctor',
    path => 'doctor',
    method => 'GET',
    description => 'Is everything in place, on every node? Exits with 1 if not.',
    parameters => parameters(),
    returns => {
        type => 'array',
        items => {
            type => 'object',
            properties => {
                check => text('What was looked at.'),
                result => text('How it is.', enum => [qw(ok warning error)]),
                text => text('In words.'),
            },
        },
    },
    code => sub ($param) {
        return PVE::Escrow::Doctor::run();
    },
});

# a kit, a copy, or a part of the system log, which may be long
my sub anchors_in ($file) {
    my $text = PVE::Escrow::File::get($file, 64 * 1024 * 1024) // die "cannot open $file: $!\n";
    return PVE::Escrow::Evidence::read_anchors($text, $file);
}

__PACKAGE__->register_method({
    name => 'evidence',
    path => 'evidence',
    method => 'GET',
    description =>
        'What happened to keys on this node; whether that was changed since; a page for an auditor.',
    parameters => parameters(
        verify => {
            description => 'Check the chain. Exits with 1 if it was cut or rewritten.',
            type => 'boolean',
            optional => 1,
        },
        anchor => {
            description =>
                'Check against these too: a kit, a copy, or lines of the system log.',
            type => 'array',
            items => text('A file.'),
            optional => 1,
        },
        html => text('Write the report to this new file.', optional => 1),
        limit => {
            description => 'At most so many events.', type => 'integer', minimum => 1,
            maximum => 10000, default => 200,
            optional => 1,
        },
    ),
    returns => { type => 'any', optional => 1 },
    code => sub ($param) {
        my ($verify, $html) = delete $param->@{qw(verify html)};
        my @anchors = map { anchors_in($_) } (delete($param->{anchor}) // [])->@*;
        die "--anchor is for --verify\n" if @anchors && !$verify;
        if (defined($html)) {
            my $page = PVE::Escrow::Report::html(@anchors);
            utf8::encode($page);
            write_new($html, $page);
        }
        return PVE::Escrow::Evidence::verify(@anchors) if $verify;
        return defined($html) ? undef : call($CLUSTER, 'evidence', $param);
    },
});

__PACKAGE__->register_method({
    name => 'config',
    path => 'config',
    method => 'POST',
    description => 'Shows or changes the settings.',
    parameters => parameters(
        PVE::Escrow::Config::schema()->{properties}->%*,
        delete => text('Settings to go back to their defaults.', optional => 1),
    ),
    returns => { type => 'object' },
    code => sub ($param) {
        call($CLUSTER, 'set_config', $param) if %$param;
        return call($CLUSTER, 'config', {});
    },
});

__PACKAGE__->register_method({
    name => 'version',
    path => 'version',
    method => 'GET',
    description => 'Versions of the add-on and of what is inside.',
    parameters => parameters(),
    returns => { type => 'object' },
    code => sub ($param) {
        return PVE::RS::Escrow::version();
    },
});

my $COLOUR = {
    good => 32, notice => 0, none => 0, kept => 33, acknowledged => 0,
    sealed => 32, ok => 32, unencrypted => 0, live => 0, active => 32, pending => 33,
    valid => 32, warning => 33, unsealed => 33,
    orphaned => 33, superseded => 0, dropped => 0,
};

my sub coloured ($word) {
    my $colour = $COLOUR->{$word} // 31;
    return POSIX::isatty(1) && $colour ? "\e[${colour}m$word\e[0m" : $word;
}

my sub day ($time) {
    return defined($time) ? POSIX::strftime('%Y-%m-%d %H:%M', localtime($time)) : '';
}

my sub table ($rows, @columns) {
    my %width = map { $_ => length($_) } @columns;
    for my $row (@$rows) {
        for my $name (@columns) {
            my $length = length($row->{$name} // '');
            $width{$name} = $length if $length > $width{$name};
        }
    }
    my $line = sub ($row, $paint) {
        return join(
            '  ',
            map {
                my $cell = $row->{$_} // '';
                my $pad = $_ eq $columns[-1] ? '' : ' ' x ($width{$_} - length($cell));
                ($paint && m/^(?:state|result|level)$/ ? coloured($cell) : $cell) . $pad;
            } @columns
        );
    };
    say $line->({ map { $_ => $_ } @columns }, 0) if @$rows;
    say $line->($_, 1) for @$rows;
    return;
}

my sub printer (@columns) {
    return sub ($data, $schema, $options) {
        my $format = $options->{'output-format'} // 'text';
        return PVE::CLIFormatter::print_api_result($data, undef, undef, $options)
            if $format ne 'text' || ref($data) ne 'ARRAY';
        binmode(STDOUT, ':encoding(UTF-8)');
        my $flat = sub ($row) {
            return { map { $_ => ref($row->{$_}) ? join(',', $row->{$_}->@*) : $row->{$_} }
                    @columns };
        };
        table([map { $flat->($_) } @$data], @columns);
        return;
    };
}

sub print_coverage ($data, $schema, $options) {
    return PVE::CLIFormatter::print_api_result($data, undef, undef, $options)
        if ($options->{'output-format'} // 'text') ne 'text';
    say 'nobody has looked yet' if !defined($data->{time});
    return if !defined($data->{time});
    say "$data->{snapshots} snapshots as of "
        . day($data->{time})
        . "; $data->{plain} need no key, "
        . "$data->{'without-rsa'} are encrypted without a copy of the key for a master key";
    table(
        [map { +{ $_->%*, newest => day($_->{newest}) } } $data->{keys}->@*],
        qw(state snapshots newest fingerprint),
    );
    return;
}

sub print_check ($data, $schema, $options) {
    if (($options->{'output-format'} // 'text') ne 'text') {
        PVE::CLIFormatter::print_api_result($data, undef, undef, $options);
    } else {
        binmode(STDOUT, ':encoding(UTF-8)');
        say '' if $data->{problems}->@*;
        table($data->{problems}, qw(level text next));
        say 'All is good.' if !$data->{problems}->@*;
    }
    STDOUT->flush();
    exit($EXIT->{ $data->{level} });
}

sub print_status ($data, $schema, $options) {
    my $format = $options->{'output-format'} // 'text';
    return printer(qw(storage level state verdict next))->($data, $schema, $options)
        if ref($data) eq 'ARRAY' || $format ne 'text';
    binmode(STDOUT, ':encoding(UTF-8)');
    say "$data->{storage}: " . coloured($data->{level}) . ", $data->{state}";
    say "  $data->{verdict}";
    table([map { +{ $_->%*, level => "  $_->{level}" } } $data->{reasons}->@*], qw(level text next))
        if $data->{reasons}->@*;
    say "  key file:    " . ($data->{live} // 'none');
    say "  storage.cfg: " . ($data->{configured} // 'none');

    for my $kind (grep { $data->{$_} } qw(drill proof)) {
        say "  last $kind:  "
            . day($data->{$kind}->{time})
            . ", $data->{$kind}->{result}: $data->{$kind}->{text}";
    }
    say "  copy:        $_->{storage}, $_->{result}: $_->{text}" for $data->{copies}->@*;
    say "  master key:  $_->{where}, SHA-256 $_->{sha256}" for $data->{'master-keys'}->@*;
    table($data->{seals}, qw(id state label by created last-verified));
    say "  $_->{text} Next: $_->{next}" for $data->{events}->@*;
    return;
}

sub print_evidence ($data, $schema, $options) {
    return if !defined($data);
    my $is_check = ref($data) eq 'HASH';
    if (($options->{'output-format'} // 'text') ne 'text') {
        PVE::CLIFormatter::print_api_result($data, undef, undef, $options);
    } elsif ($is_check) {
        binmode(STDOUT, ':encoding(UTF-8)');
        say coloured($data->{result}) . ": $data->{text}";
        say "  $_" for $data->{findings}->@*;
        my $head = $data->{head};
        say "  head: $head->{chain} $head->{count} $head->{hash}" if $head;
    } else {
        my @rows = map {
            my $time = POSIX::strftime('%Y-%m-%d %H:%M:%S', localtime($_->{time}));
            my $key = PVE::Escrow::Records::short($_->{fingerprint} // '');
            +{ %$_, time => $time, fingerprint => $key };
        } @$data;
        printer(qw(line time user event result storage fingerprint text))
            ->(\@rows, $schema, $options);
    }
    exit(1) if $is_check && $data->{result} ne 'ok';
    return;
}

# so that a script can tell
sub print_doctor ($data, $schema, $options) {
    printer(qw(result check text))->($data, $schema, $options);
    exit(1) if grep { $_->{result} eq 'error' } @$data;
    return;
}

my sub copy_line ($row) {
    my $storage = $row->{storage} . ($row->{published} ? ' (published)' : '');
    return { %$row{qw(result text)}, storage => $storage,
        outside => $row->{outside} ? 'yes' : 'no' };
}

sub print_copies ($data, $schema, $options) {
    print STDERR
        "no storage is to have copies: 'pveescrow config --copies STORAGE,...', or '--publish STORAGE'\n"
        if !@$data;
    my $is_text = ($options->{'output-format'} // 'text') eq 'text';
    my $shown = $is_text ? [map { copy_line($_) } @$data] : $data;
    printer(qw(result storage outside text))->($shown, $schema, $options);
    exit(1) if grep { $_->{result} eq 'error' } @$data;
    return;
}

my $FORMAT = { 'output-format' => get_standard_option('pve-output-format') };
my $ME = __PACKAGE__;
my $PRINT_ANY = sub ($data, $schema, $options) {
    return PVE::CLIFormatter::print_api_result($data, undef, undef, $options);
};

our $cmddef = { ## no critic (ProhibitPackageVars)
    status => [$ME, 'status', ['storage'], {}, \&print_status, $FORMAT],
    create => [$ME, 'create', ['storage']],
    confirm => [$ME, 'confirm', ['storage', 'id']],
    verify => [$ME, 'verify', ['storage']],
    prove => [$ME, 'prove', ['storage']],
    'master-key' => [
        $ME, 'master_key', ['storage'], {}, printer(qw(where bits sha256 problem)), $FORMAT,
    ],
    coverage => [$ME, 'coverage', ['storage'], {}, \&print_coverage, $FORMAT],
    check => [$ME, 'check', [], {}, \&print_check, $FORMAT],
    recover => [$ME, 'recover', ['storage']],
    bootstrap => [$ME, 'bootstrap', []],
    rotate => [$ME, 'rotate', ['storage']],
    kit => [$ME, 'kit', ['storage']],
    copies => [$ME, 'copies', [], {}, \&print_copies, $FORMAT],
    records => [
        $STORAGE, 'records', ['storage'], { node => $NODE }, $PRINT_ANY, $FORMAT,
    ],
    keys =>
        [$CLUSTER, 'keys', [], {}, printer(qw(state fingerprint storages seals kept)), $FORMAT],
    seal => [$ME, 'seal', ['name']],
    forget => [$ME, 'forget', ['name']],
    import => [$ME, 'import', ['file']],
    doctor => [$ME, 'doctor', [], {}, \&print_doctor, $FORMAT],
    evidence => [$ME, 'evidence', [], {}, \&print_evidence, $FORMAT],
    config => [$ME, 'config', [], {}, $PRINT_ANY, $FORMAT],
    version => [$ME, 'version', [], {}, $PRINT_ANY, $FORMAT],
    overview => [$ME, 'overview', []],
};

1;
