package PVE::Escrow::Bootstrap;

use v5.36;

use PVE::Storage;
use PVE::Storage::PBSPlugin;
use PVE::Tools;

use PVE::Escrow::Copies;
use PVE::Escrow::Evidence;
use PVE::Escrow::File;
use PVE::Escrow::Keys;
use PVE::Escrow::Prove;
use PVE::Escrow::Publish;
use PVE::Escrow::Records;
use PVE::Escrow::Recover;
use PVE::Escrow::Status;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Bootstrap - from a login on the backup server and ten words to backups that can be restored

=head1 DESCRIPTION

Reads the kits that L<PVE::Escrow::Publish> left on the server. Anybody who may make backups there can have left others: a kit
counts once its MAC was checked with the key in it, and the typed secret goes to the typed server, certificate and datastore,
whatever a kit says. A genuine kit of another place is written to F</var/lib/pve-escrow/kits>, for 'pveescrow recover'.

=head1 FUNCTIONS

=over

=item typed($repository, $fingerprint, $namespace)

What was typed, as a connection: C<server>, C<datastore>, C<username>, and C<port>, C<fingerprint>, C<namespace> if given.

=item look($typed, $secret)

What was published there: C<kits> and C<problems>, see L<PVE::Escrow::Publish/read_all>.

=item claims($kit)

What a kit that nobody has checked yet says of itself, safe to show: C<storage>, C<fingerprint>, C<created>, C<snapshot>.

=item run($order, $found)

Makes the storages of the kits that the code opens, installs their keys, proves the newest snapshot of each, and prints that
and which guests can be restored, with which commands. Was all of them proven? C<$order> has C<typed>, C<secret>, C<code>, and
C<by>, the user.

=back

=cut

my $KITS = '/var/lib/pve-escrow/kits';

# each try takes a key derivation, and others can add to them
my $MAX_BLOBS = 64;

sub typed ($repository, $fingerprint = undef, $namespace = undef) {
    my ($username, $server, $port, $datastore) =
        $repository =~
        m/^([^\s\@:]+\@[A-Za-z0-9._-]+(?:![A-Za-z0-9._-]+)?)\@(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?:([A-Za-z0-9_][A-Za-z0-9_.-]*)$/
        or die "'$repository' does not say who and where: user\@pbs!token\@server:datastore\n";
    my $typed = { username => $username, server => $server =~ tr/[]//dr, datastore => $datastore };
    $typed->{port} = int($port) if defined($port);
    $typed->{fingerprint} = lc($1) if ($fingerprint // '') =~ m/^([0-9A-Fa-f:]+)$/;
    if (length($namespace // '')) {
        ($typed->{namespace}) = $namespace =~ m/^([A-Za-z0-9_.\/-]+)\z/
            or die "'$namespace' can't be the name of a namespace\n";
    }
    return $typed;
}

sub look ($typed, $secret) {
    my $server = PVE::Escrow::Storage::server('none', $typed);
    my $found = PVE::Escrow::File::in_memory(
        'secret',
        sub ($file) {
            PVE::Escrow::File::put($file, "$secret\n");
            return PVE::Escrow::Publish::read_all({ %$server, 'password-file' => $file });
        },
    );
    return $found if $found->{kits}->@*;
    my $where =
        defined($typed->{namespace}) ? "namespace $typed->{namespace}" : 'the root namespace';
    die join(
        '; ',
        "no kit was published in $where of datastore $typed->{datastore}, as far as $typed->{username} may see",
        $found->{problems}->@*
        )
        . ". Look for one on another storage, or on paper: pveescrow recover STORAGE --kit FILE\n";
}

# it may hold anything
my sub shown ($value) {
    return '?' if !defined($value) || ref($value) || $value !~ m/^[A-Za-z0-9:+._-]{1,128}$/;
    return $value;
}

sub claims ($kit) {
    return {
        snapshot => $kit->{snapshot},
        map { $_ => shown($kit->{kit}->{$_}) } qw(storage created fingerprint)
    };
}

my sub is_genuine ($kit, $keyfile, $said) {
    my $is = eval {
        PVE::RS::Escrow::authenticate({
            kind => 'kit', text => $kit->{text}, keyfile => $keyfile });
    };
    push @$said, "NOT USED: the kit in $kit->{snapshot}: $@" =~ s/\s+\z//r if !$is;
    return !!$is;
}

my sub place ($kit) {
    my $connection = $kit->{kit}->{connection} // {};
    return join(
        ' ',
        $kit->{kit}->{storage} // '',
        map { $connection->{$_} // '' } qw(username server port datastore namespace)
    );
}

# all kits with the blob that the code opens, the newest of each storage, once they are known to be genuine
my sub opened ($found, $code, $said) {
    my %seen;
    my @blobs = grep { !$seen{$_}++ } map { $_->{blobs}->@* } $found->{kits}->@*;
    push @$said, "only $MAX_BLOBS of " . @blobs . ' sealed keys were tried' if @blobs > $MAX_BLOBS;
    splice(@blobs, $MAX_BLOBS) if @blobs > $MAX_BLOBS;
    my $is = PVE::RS::Escrow::find({ blobs => \@blobs, code => $code });
    die join('; ', 'wrong recovery code: it opens none of these kits', $is->{damages}->@*) . "\n"
        if !defined($is->{index});
    my $blob = $blobs[$is->{index}];
    my @kits = grep {
        grep { $_ eq $blob }
            $_->{blobs}->@*
    } $found->{kits}->@*;
    my $key = { blob => $blob, fingerprint => $is->{fingerprint} };
    my @genuine = PVE::Escrow::Recover::with_key(
        $key, $code,
        sub ($keyfile) {
            return [grep { is_genuine($_, $keyfile, $said) } @kits];
        },
    )->@*;
    my %newest;
    for my $kit (sort { $a->{kit}->{created} cmp $b->{kit}->{created} } @genuine) {
        $newest{ place($kit) } = $kit;
    }
    return ($key, sort { $b->{kit}->{created} cmp $a->{kit}->{created} } values %newest);
}

my sub elsewhere ($typed, $connection, @users) {
    return 'another server' if !PVE::Escrow::Storage::same_server($connection, $typed);
    return 'another datastore' if $connection->{datastore} ne $typed->{datastore};
    return 'another user' if !grep { $_ eq $typed->{username} } $connection->{username}, @users;
    return;
}

# whose backups the server lets somebody use: a user has those of its own tokens, too
my sub user_of ($connection) {
    return ($connection->{username} // '') =~ s/!.*//sr;
}

# the namespace is the kit's: the secret goes nowhere else for it
my sub way ($typed, $connection) {
    my %way = %$typed;
    delete $way{namespace};
    $way{namespace} = $connection->{namespace} if defined($connection->{namespace});
    return \%way;
}

my sub save ($kit) {
    my $name = PVE::Escrow::Copies::name_of($kit->{storage} // 'unknown', $kit->{text});
    my $bytes = $kit->{text};
    utf8::encode($bytes);
    PVE::Escrow::File::put("$KITS/$name", "$bytes\n");
    return "$KITS/$name";
}

# of a token nobody knows the secret any more, and no other one may use its backups
my $NEW_SECRET =
    'The backups are those of that user; if it is a token, the user who has it may use them, too. On the server, a token gets a new secret by'
    . " 'proxmox-backup-manager user delete-token' and 'generate-token' with the same name; its permissions stay.";

my sub leave_alone ($kit, $why, $said) {
    my $storage = $kit->{storage} // 'STORAGE';
    my $connection = $kit->{kit}->{connection} // {};
    push @$said,
        "left alone: storage $storage, $why: " . join(
            ', ',
            map { "$_ $connection->{$_}" }
            grep { defined($connection->{$_}) } qw(username server datastore)
        )
        . '. The secret that was typed was not sent there.'
        . ($why eq 'another user' ? " $NEW_SECRET" : '')
        . " Next: pveescrow recover $storage --kit "
        . save($kit);
    return;
}

# of a storage that was there without one
my sub set_password ($storeid, $scfg, $typed, $secret) {
    return if -e PVE::Storage::PBSPlugin::pbs_password_file_name($scfg, $storeid);
    die "it has no secret, and names another certificate than the one that was typed:"
        . " 'pvesm set $storeid --fingerprint ...', then do this again\n"
        if lc($scfg->{fingerprint} // '') ne ($typed->{fingerprint} // '');
    PVE::Storage::PBSPlugin::pbs_set_password($scfg, $storeid, $secret);
    return;
}

# A key of the past, or a storage that has another one: kept, and in the way of nothing.
my sub keep ($order, $kit, $present, $said) {
    my $kept = PVE::Escrow::Recover::keep(
        { source => $kit->{text}, map { $_ => $order->{$_} } qw(code by) });
    my $storeid = $kit->{storage};
    push @$said,
        "storage '$storeid' has key "
        . PVE::Escrow::Records::short($present)
        . ', and keeps it. Key '
        . PVE::Escrow::Records::short($kept->{fingerprint})
        . " is kept as $kept->{name}. To restore what was made with it, through a storage of its own:"
        . " pveescrow recover $storeid-old --kit "
        . save($kit);
    return;
}

my sub install ($order, $kit, $said) {
    my ($typed, $secret) = $order->@{qw(typed secret)};
    my $storeid = $kit->{storage};
    my $way = way($typed, $kit->{kit}->{connection});
    my $scfg = PVE::Storage::config()->{ids}->{$storeid};
    if ($scfg) {
        die "there is a storage of this name already, of another type\n" if $scfg->{type} ne 'pbs';
        my $why = elsewhere($typed, PVE::Escrow::Storage::connection($scfg));
        die "there is a storage of this name already, of $why\n" if $why;
        my $present = PVE::Escrow::Status::present_key($storeid, $scfg);
        if (defined($present) && $present ne $kit->{fingerprint}) {
            keep($order, $kit, $present, $said);
            return;
        }
        set_password($storeid, $scfg, $typed, $secret);
    }
    my $done = PVE::Escrow::Recover::recover(
        $storeid,
        {
            source => $kit->{text}, code => $order->{code}, by => $order->{by},
            password => $secret, connection => $way,
        },
    );
    my $old = $kit->{kit}->{connection}->{fingerprint};
    push @$said,
        "storage '$storeid': the kit names another certificate; the one that was typed is used"
        if ($old // '') ne '' && lc($old) ne ($way->{fingerprint} // '');
    push @$said,
        "storage '$storeid' "
        . ($done->{created} ? 'was made, and ' : '')
        . "has key $done->{fingerprint}.";
    return { storage => $storeid, fingerprint => $done->{fingerprint} };
}

my sub recover ($order, $found) {
    my (@said, @storages, %seen);
    my ($key, @kits) = opened($found, $order->{code}, \@said);
    push @said, 'The words open key ' . PVE::Escrow::Records::short($key->{fingerprint}) . '.';
    for my $kit (@kits) {
        $kit->{fingerprint} = $key->{fingerprint};
        ($kit->{storage}) =
            ($kit->{kit}->{storage} // '') =~ m/^([A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9])\z/;
        my $connection = $kit->{kit}->{connection};
        my $why =
            !defined($kit->{storage}) || !$connection
            ? 'the kit does not say which, or where'
            : elsewhere($order->{typed}, $connection, user_of($connection));
        if (defined($why)) {
            leave_alone($kit, $why, \@said);
            next;
        }
        # of one that was moved within the server, the way that was used last
        next if $seen{ $kit->{storage} }++;
        my $row = eval { install($order, $kit, \@said) };
        push @said, "storage '$kit->{storage}': $@" =~ s/\s+\z//r if $@;
        push @storages, $row if $row;
    }
    return { storages => \@storages, said => \@said };
}

my %COMMAND = (
    vm => sub ($volume, $id) { return "qmrestore $volume $id" },
    ct => sub ($volume, $id) { return "pct restore $id $volume" },
);

my sub guest ($storeid, $snapshots) {
    my $newest = $snapshots->[-1]->{snapshot};
    my ($type, $id) = split(m{/}, $newest);
    my $command = $COMMAND{$type};
    return {
        snapshot => $newest,
        snapshots => scalar(@$snapshots),
        command => $command
        ? $command->("$storeid:backup/$newest", $id)
        : "# no guest, with proxmox-backup-client: restore $newest",
    };
}

my sub restorable ($row) {
    my $scfg = PVE::Escrow::Storage::config($row->{storage});
    my $listed = eval {
        PVE::RS::Escrow::remote_snapshots(PVE::Escrow::Storage::server($row->{storage}, $scfg));
    } or return { %$row, guests => [], error => $@ =~ s/\s+\z//r };
    my %groups;
    for my $snapshot (grep { ($_->{key} // '') eq $row->{fingerprint} } $listed->{snapshots}->@*) {
        my ($group) = $snapshot->{snapshot} =~ m{^(.*)/};
        push $groups{$group}->@*, $snapshot;
    }
    return { %$row, guests => [map { guest($row->{storage}, $groups{$_}) } sort keys %groups] };
}

my sub prove ($row, $user) {
    my ($newest) =
        sort { $b =~ s{.*/}{}r cmp $a =~ s{.*/}{}r } map { $_->{snapshot} } $row->{guests}->@*;
    return if !defined($newest);
    my $scfg = PVE::Escrow::Storage::config($row->{storage});
    my $order = PVE::Escrow::Prove::prepare(
        $row->{storage}, $scfg,
        { user => $user, snapshots => [$newest] }
    );
    return PVE::Escrow::Prove::run($row->{storage}, $scfg, $order);
}

my sub print_restorable ($row) {
    say '';
    say "storage '$row->{storage}', key " . PVE::Escrow::Records::short($row->{fingerprint}) . ':';
    say "  can't list its snapshots: $row->{error}" if defined($row->{error});
    say "  no snapshot of this key is there" if !defined($row->{error}) && !$row->{guests}->@*;
    say "  $_->{command}" . ($_->{snapshots} > 1 ? "    # the newest of $_->{snapshots}" : '')
        for $row->{guests}->@*;
    return;
}

sub run ($order, $found) {
    my $done = recover($order, $found);
    say $_ for $done->{said}->@*;
    my @rows = map { restorable($_) } $done->{storages}->@*;
    my @proofs = map { prove($_, $order->{by}) } @rows;
    print_restorable($_) for @rows;
    return @proofs && !grep { !$_ || $_->{result} ne 'valid' } @proofs;
}

1;
