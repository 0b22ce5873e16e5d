package PVE::Escrow::Recover;

use v5.36;

use PVE::Storage;
use PVE::Storage::Plugin;
use PVE::Storage::PBSPlugin;

use PVE::Escrow::Copies;
use PVE::Escrow::Coverage;
use PVE::Escrow::Evidence;
use PVE::Escrow::File;
use PVE::Escrow::Keep;
use PVE::Escrow::Keys;
use PVE::Escrow::Kit;
use PVE::Escrow::Records;
use PVE::Escrow::Seal;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Recover - bring a key back

=head1 DESCRIPTION

The key comes out of a blob and its code, and goes to where Proxmox VE has it. What is there already stays, unless
it is named, and then it is kept first. The key file is written before F<storage.cfg>: a crash between the two leaves
a storage that works, that C<status> reports, and that the same command completes.

=head1 FUNCTIONS

=over

=item recover($storeid, $order)

Installs the key and sets it in F<storage.cfg>. Members of C<$order>:

=over

=item C<code>: the ten words

=item C<source>: text of a kit or of a blob

=item C<copy>: a storage that has copies of kits, or whose server has them; without both, the records of this cluster

=item C<storage>: the storage whose copy is preferred

=item C<fingerprint>: which record or copy, if neither the storage nor its key file says

=item C<expect>: the key that the caller expects

=item C<displace>: the fingerprint that may be displaced, in the key file or in F<storage.cfg>

=item C<password>: the secret of the backup server, for a storage that does not exist yet

=item C<connection>: the way to the backups that the caller relies on, in place of what the kit says

=item C<fresh>: the key is a new one, so it is not the one that snapshots need

=item C<by>: the calling user

=back

Returns C<fingerprint>, C<changed>, C<kept>, C<seal> and C<created>, whether the storage is new.

=item keep($order)

Keeps the key, and a record of its seal, without a storage. Returns C<fingerprint> and C<name>, that of the kept key.

=item with_key($found, $code, $use)

Calls C<$use> with a file that holds the key of what C<find> has found, for as long as that takes.

=item to_file($order, $out)

Writes the key to a new file, and touches nothing else: works without quorum.

=item find($order, $expected)

Which blob does the code open? Returns C<blob>, C<fingerprint>, C<seal> and, of a kit, C<source>.

=item check_kit($order)

Opens the kit of C<source> or C<copy> and checks its MAC. Returns the C<fingerprint> and the C<connection>, which may be relied on from then on.

=back

=cut

my $KEPT = '/var/lib/pve-escrow/kept';

# of copies, which others can add to: each try takes a key derivation
my $MAX_BLOBS = 32;

my sub same ($first, $second) {
    my ($one, $two) = map { lc(tr/://dr) } $first, $second;
    return
           $one eq $two
        || length($one) == 16 && index($two, $one) == 0
        || length($two) == 16 && index($one, $two) == 0;
}

my sub present ($storeid) {
    my $path = PVE::Escrow::Storage::key_file($storeid);
    return if !PVE::Escrow::Storage::is_there($path);
    my $key = eval { PVE::RS::Escrow::fingerprint({ keyfile => $path }) };
    return $key && $key->{verified} ? $key->{fingerprint} : undef;
}

# A kit's claim never counts: else whoever made it could put their key into place.
my sub expected ($storeid, $scfg, $order) {
    my $displace = $order->{displace};
    my $caller = $order->{expect};
    my @known = (
        ['its key file holds', present($storeid)],
        ['storage.cfg names', $scfg ? PVE::Escrow::Storage::claimed($scfg) : undef],
        [
            'its newest encrypted snapshot needs',
            $order->{fresh} ? undef : PVE::Escrow::Coverage::newest_key($storeid)
        ],
    );
    for my $known (@known) {
        my ($where, $fingerprint) = @$known;
        next if !defined($fingerprint) || defined($displace) && same($displace, $fingerprint);
        die "storage '$storeid': $where key $fingerprint, and not $caller, which is expected."
            . " To displace it, name it (displace "
            . PVE::Escrow::Records::short($fingerprint)
            . "); it will be kept\n"
            if defined($caller) && !same($caller, $fingerprint);
        return $fingerprint;
    }
    return $caller;
}

my sub from_record ($wanted) {
    die
        "which key? Neither the storage nor a key file of it says: give a kit, or the fingerprint of a record"
        . " ('pveescrow records')\n"
        if !defined($wanted);
    my @names = grep { same($wanted, $_) } PVE::Escrow::Records::names();
    my $record = @names == 1 ? PVE::Escrow::Records::get($names[0]) : undef;
    my @seals = $record ? grep { defined($_->{confirmed}) } $record->{seals}->@* : ();
    die "this cluster has no confirmed seal of key $wanted. " . places($wanted) . "\n" if !@seals;
    return @seals;
}

# for the one who has no seal of a key
sub places ($fingerprint) {
    my @storages = PVE::Escrow::Keys::storages_of($fingerprint);
    return "Storage '$storages[0]' has this key: copy "
        . PVE::Escrow::Storage::key_file($storages[0])
        if @storages;
    my @kept = grep { same($fingerprint, $_->{fingerprint} // '') } PVE::Escrow::Keep::kept();
    return
        "The key itself is kept here, as $kept[0]->{places}->[0]: copy it to the storage's key file"
        if @kept;
    return
        'It may still be on another node (/var/lib/pve-escrow), in the dump that was made when this node joined its cluster'
        . ' (/var/lib/pve-cluster/backup), in a kit on another storage, or on paper';
}

my sub from_text ($text) {
    return map { { blob => $_, source => $text } } PVE::Escrow::Kit::parse($text)->{blobs}->@*;
}

# and what is wrong with others
my sub from_copy ($order, $expected) {
    my $found = PVE::Escrow::Copies::kits(
        $order->{copy},
        { storage => $order->{storage}, fingerprint => $order->{fingerprint} // $expected },
    );
    my @problems = $found->{problems}->@*;
    my %seen;
    my @seals = grep { !$seen{ $_->{blob} }++ } map { from_text($_) } $found->{kits}->@*;
    die join('; ', "storage '$order->{copy}' has no copy of a kit that is asked for", @problems)
        . "\n"
        if !@seals;
    if (@seals > $MAX_BLOBS) {
        push @problems,
            "only $MAX_BLOBS of " . @seals . ' were tried: name the fingerprint of the key';
        splice(@seals, $MAX_BLOBS);
    }
    return (\@problems, @seals);
}

my sub candidates ($order, $expected) {
    die "give one kit, or the storage that has a copy, not both\n"
        if defined($order->{source}) && defined($order->{copy});
    return from_copy($order, $expected) if defined($order->{copy});
    return ([], from_text($order->{source})) if defined($order->{source});
    return ([], from_record($order->{fingerprint} // $expected));
}

sub find ($order, $expected) {
    my ($problems, @seals) = candidates($order, $expected);
    my $found =
        PVE::RS::Escrow::find({ blobs => [map { $_->{blob} } @seals], code => $order->{code} });
    die join(
        '; ', 'wrong recovery code: it opens none of the sealed keys that were tried',
        $found->{damages}->@*, @$problems
        )
        . "\n"
        if !defined($found->{index});
    my $seal = $seals[$found->{index}];
    die "this code opens key $found->{fingerprint}, but $expected is needed. Nothing was changed\n"
        if defined($expected) && !same($expected, $found->{fingerprint});
    return {
        seal => $seal, blob => $seal->{blob}, source => $seal->{source},
        fingerprint => $found->{fingerprint},
    };
}

# what a kit says of the way to the backups, after its MAC was checked with the key that was found in it
my sub connection_of ($found, $code) {
    my $kit = PVE::Escrow::Kit::parse($found->{source})->{kit}
        // die "this is a sealed key by itself: it does not say where the backups are\n";
    PVE::Escrow::Kit::authenticate($found->{source}, $found->{blob}, $code);
    return $kit->{connection};
}

sub check_kit ($order) {
    my $found = find($order, undef);
    return {
        fingerprint => $found->{fingerprint},
        connection => connection_of($found, $order->{code}),
    };
}

sub to_file ($order, $out) {
    my $found = find($order, $order->{expect});
    PVE::RS::Escrow::unwrap({
        blob => $found->{blob}, code => $order->{code}, expect => $found->{fingerprint},
        out => $out,
    });
    PVE::Escrow::Evidence::add(
        'recovered',
        user => $order->{by},
        fingerprint => $found->{fingerprint},
        seal => $found->{seal}->{id},
        text => "to the file $out",
    );
    return { fingerprint => $found->{fingerprint} };
}

sub with_key ($found, $code, $use) {
    return PVE::Escrow::File::in_memory(
        'recover',
        sub ($file) {
            PVE::RS::Escrow::unwrap({
                blob => $found->{blob}, code => $code, expect => $found->{fingerprint},
                out => $file,
            });
            return $use->($file);
        },
    );
}

my sub install ($storeid, $keyfile, $found, $order) {
    my $target = PVE::Escrow::Storage::key_file($storeid);
    PVE::Escrow::Keep::keep_file($target, 'before another key was recovered over it')
        if PVE::Escrow::Storage::is_there($target);
    mkdir('/etc/pve/priv/storage');
    mkdir($_, oct(700)) for '/var/lib/pve-escrow', $KEPT;
    my $input = {
        keyfile => $keyfile, expect => $found->{fingerprint}, target => $target, keep => $KEPT,
    };
    my $displace = $order->{displace};
    $input->{displace} = $displace if defined($displace);
    return PVE::RS::Escrow::install($input);
}

my sub new_section ($storeid, $connection, $order) {
    die
        "storage '$storeid' does not exist: give a kit, which says where its backups are, or add it first\n"
        if !$connection;
    die
        "storage '$storeid' is new: the secret of $connection->{username} on $connection->{server} is needed (password)\n"
        if !defined($order->{password});
    my $param = { type => 'pbs', content => 'backup', %$connection };
    return PVE::Storage::Plugin->lookup('pbs')->check_config($storeid, $param, 1, 1);
}

my sub write_section ($storeid, $found, $section) {
    my $cfg = PVE::Storage::config();
    my $present = $cfg->{ids}->{$storeid};
    die "storage '$storeid' was removed meanwhile\n" if !$present && !$section;
    die "storage '$storeid' was added meanwhile\n" if $present && $section;
    my $scfg = $cfg->{ids}->{$storeid} = $present // $section;
    return if ($scfg->{'encryption-key'} // '') eq $found->{fingerprint};
    $scfg->{'encryption-key'} = $found->{fingerprint};
    PVE::Storage::write_config($cfg);
    return;
}

# so that status knows of the seal on a cluster that never made one
my sub remember ($found, $order, $connection, $keyfile) {
    my $now = PVE::Escrow::Records::now();
    return PVE::Escrow::Records::change(
        $found->{fingerprint},
        sub ($record) {
            my ($seal) = grep { $_->{blob} eq $found->{blob} } $record->{seals}->@*;
            if (!$seal) {
                $seal = {
                    id => PVE::Escrow::Seal::new_id($record),
                    by => $order->{by},
                    created => $now,
                    blob => $found->{blob},
                };
                push $record->{seals}->@*, $seal;
            }
            $seal->{confirmed} //= $now;
            $seal->{'last-verified'} = $now;
            push $record->{connections}->@*, $connection
                if $connection && !$record->{connections}->@*;
            PVE::Escrow::Seal::sign($record, $keyfile);
            return $seal->{id};
        },
    );
}

sub keep ($order) {
    PVE::Escrow::Records::check_quorum();
    my $found = find($order, undef);
    my $connection = connection_of($found, $order->{code});
    my $kept = with_key(
        $found,
        $order->{code},
        sub ($keyfile) {
            my $kept = PVE::Escrow::Keep::import_file($keyfile);
            remember($found, $order, $connection, $keyfile);
            return $kept;
        },
    );
    return { fingerprint => $found->{fingerprint}, name => $kept->{name} };
}

sub recover ($storeid, $order) {
    PVE::Escrow::Records::check_quorum();
    my $exists = PVE::Storage::config()->{ids}->{$storeid};
    my $scfg = $exists ? PVE::Escrow::Storage::config($storeid) : undef;
    my $found = find({ %$order, storage => $storeid }, expected($storeid, $scfg, $order));

    my ($connection, $section);
    if (!$scfg) {
        $connection = connection_of($found, $order->{code}) if defined($found->{source});
        $connection = $order->{connection} // $connection;
        $section = new_section($storeid, $connection, $order);
    }
    my $installed = with_key(
        $found,
        $order->{code},
        sub ($keyfile) {
            my $done;
            PVE::Storage::lock_storage_config(
                sub {
                    $done = install($storeid, $keyfile, $found, $order);
                    PVE::Storage::PBSPlugin::pbs_set_password(
                        $section, $storeid,
                        $order->{password}
                    ) if $section;
                    write_section($storeid, $found, $section);
                },
                "recovering the key of storage '$storeid' failed",
            );
            return $done;
        },
    );
    PVE::Escrow::Keep::keep_file(
        PVE::Escrow::Storage::key_file($storeid),
        'after it was recovered'
    );
    my $seal = remember($found, $order, $connection, PVE::Escrow::Storage::key_file($storeid));
    PVE::Escrow::Evidence::add(
        'recovered',
        user => $order->{by},
        storage => $storeid,
        fingerprint => $found->{fingerprint},
        seal => $seal,
        text => defined($installed->{kept})
        ? "over another key, kept as $installed->{kept}"
        : undef,
    );
    return { %$installed, seal => $seal, created => $section ? 1 : 0 };
}

1;
