package PVE::Escrow::Publish;

use v5.36;

use Digest::SHA ();
use Encode ();
use Fcntl qw(O_RDONLY);
use JSON ();

use PVE::Cluster;
use PVE::INotify;
use PVE::Storage;
use PVE::Tools;

use PVE::Escrow::Apart;
use PVE::Escrow::Config;
use PVE::Escrow::Copies;
use PVE::Escrow::File;
use PVE::Escrow::Kit;
use PVE::Escrow::Records;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Publish - the backup server as a safe for the kits

=head1 DESCRIPTION

Each storage that F<escrow.cfg> names in C<publish> gets, in its datastore and namespace, a snapshot
C<host/pve-escrow-NAME-ID> with the kits of all storages on the same server. Each snapshot is complete. No key locks it: not
the one of the storage, which may be what is missing. The server can't open what it keeps.

The name of the cluster and an id that was drawn once are in F</etc/pve/priv/escrow/publish.json>, with what was published
last: so a kit stays whose key is gone, or was rotated away, as long as there is a record of the key. A new snapshot is made
when that has changed, or when the last one does not come back as it was.

The library talks to the server, in a process of its own: it must never run in a daemon itself.

=head1 FUNCTIONS

=over

=item storages()

The storages whose servers are to have the kits.

=item write_all($seconds)

Publishes what is new, and reads all back. Returns rows as L<PVE::Escrow::Copies/write_all> does, with C<published>, and
C<of>, the storages whose kits are meant.

=item refresh($seconds)

Writes copies, publishes, and remembers both. Returns all rows.

=item read_all($server)

All kits that were published on a server, by anybody: C<kits>, each C<snapshot>, C<text>, C<kit>, C<blobs>, and C<problems>, texts.
Nothing but the blobs may be used before the MAC of a kit was checked. In a process of its own, or a command.

=item kits($storeid, { storage => ID, fingerprint => KEY })

As L<PVE::Escrow::Copies/kits>.

=back

=cut

my $FILE = '/etc/pve/priv/escrow/publish.json';
my $MAX_BYTES = 4 * 1024 * 1024;
my $SECONDS = 60;

my $JSON = JSON->new->canonical->utf8;

sub storages () {
    my %seen;
    return
        grep { !$seen{$_}++ } PVE::Tools::split_list(PVE::Escrow::Config::get()->{publish} // '');
}

my sub stored () {
    my $stored = eval { $JSON->decode(PVE::Escrow::File::get($FILE, $MAX_BYTES) // '{}') };
    return ref($stored) eq 'HASH' ? $stored : {};
}

my sub cluster_name () {
    my $info = PVE::Cluster->can('get_clinfo') ? eval { PVE::Cluster::get_clinfo() } : undef;
    my $name = (($info // {})->{cluster} // {})->{name} // PVE::INotify::nodename();
    return substr($name =~ s/[^A-Za-z0-9-]+/-/gr, 0, 40);
}

my sub random_hex () {
    sysopen(my $fh, '/dev/urandom', O_RDONLY) or die "cannot open /dev/urandom: $!\n";
    sysread($fh, my $bytes, 4) // die "cannot read /dev/urandom: $!\n";
    return unpack('H8', $bytes);
}

# drawn once: clusters may have the same name, and share a datastore
my sub group () {
    my $stored = stored();
    return $stored->{group} if defined($stored->{group});
    return PVE::Escrow::Records::with_lock(sub {
        my $present = stored();
        $present->{group} //= 'pve-escrow-' . cluster_name() . '-' . random_hex();
        PVE::Escrow::File::put($FILE, $JSON->encode($present) . "\n");
        return $present->{group};
    });
}

my sub note_down ($published) {
    PVE::Escrow::Records::with_lock(sub {
        my $stored = stored();
        $stored->{published}->{$_} = $published->{$_} for keys %$published;
        PVE::Escrow::File::put($FILE, $JSON->encode($stored) . "\n");
    });
    return;
}

# storage and key; the rest of a name is its content
my sub prefix ($name) {
    return $name =~ s/-[0-9a-f]{8}\.escrow-kit\.json\z//r;
}

my sub has_record ($name) {
    my ($hex) = prefix($name) =~ m/([0-9a-f]{16})\z/ or return 0;
    return scalar(grep { index($_, $hex) == 0 } PVE::Escrow::Records::names());
}

my sub is_genuine ($kit, $text) {
    return eval {
        PVE::RS::Escrow::authenticate({
            kind => 'kit', text => $text, keyfile => $kit->{keyfile} });
    };
}

# By name. Those of before stay as they are, byte for byte, unless something else is to be said of the same key.
my sub complete ($kits, $before) {
    my %kits = map { $_->{name} => $_->{text} } @$kits;
    my %said = map { prefix($_) => 1 } keys %kits;
    for my $kit (grep { defined($before->{ $_->{name} }) } @$kits) {
        my $text = $before->{ $kit->{name} };
        $kits{ $kit->{name} } = $text if is_genuine($kit, $text);
    }
    for my $name (grep { !$said{ prefix($_) } && has_record($_) } keys %$before) {
        $kits{$name} = $before->{$name};
    }
    return \%kits;
}

my sub sha256 ($text) {
    return Digest::SHA::sha256_hex(Encode::encode('UTF-8', $text));
}

my sub lines ($texts) {
    return join('', map { "$_\n" } @$texts);
}

my sub read_back ($server, $snapshot) {
    my $found = PVE::RS::Escrow::remote_kits({ %$server, snapshots => [$snapshot] });
    die map { "$_->{snapshot}: $_->{what}\n" } $found->{problems}->@* if $found->{problems}->@*;
    return lines([map { $_->{text} } $found->{kits}->@*]);
}

# what one process does
my sub publish_on ($server, $group, $kits, $before) {
    my $text = lines([map { $kits->{$_} } sort keys %$kits]);
    my $sha256 = sha256($text);
    return $before
        if ($before->{sha256} // '') eq $sha256
        && sha256(eval { read_back($server, $before->{snapshot}) } // '') eq $sha256;
    my $made = PVE::RS::Escrow::remote_publish({ %$server, 'backup-id' => $group, text => $text });
    die "$made->{snapshot} does not come back as it was published\n"
        if read_back($server, $made->{snapshot}) ne $text;
    return {
        snapshot => $made->{snapshot}, sha256 => $sha256, kits => $kits,
        protected => $made->{protected} ? 1 : 0,
    };
}

my sub row ($storeid, $job, $done, $problems) {
    my $published = $done->{value};
    my $count = keys $job->{kits}->%*;
    my @problems = ($published ? () : $done->{error}, @$problems);
    my @texts = @problems;
    push @texts,
        ($count == 1 ? '1 kit' : "$count kits") . ($count ? " in $published->{snapshot}" : '')
        if !@problems;
    push @texts, 'the server does not let it be protected from removal'
        if !@problems && $count && !$published->{protected};
    push @texts, 'on this node: it is lost with it' if $published && !$job->{outside};
    push @texts, "when that is mended: 'pveescrow copies'" if @problems;
    return {
        storage => $storeid,
        published => 1,
        result => @problems ? 'error' : 'ok',
        text => join('; ', @texts),
        time => time(),
        outside => $job->{outside} // 0,
        of => $job->{of},
        files =>
            { map { $_ => sha256($job->{kits}->{$_}) } $published ? keys $job->{kits}->%* : () },
    };
}

# what is to be published, and how: without talking to the server
my sub prepare ($cfg, $storeid, $wanted) {
    my $scfg = PVE::Escrow::Storage::config($storeid);
    my $before = (stored()->{published} // {})->{$storeid} // {};
    my %of =
        map { $_ => 1 }
        grep { PVE::Escrow::Storage::same_server($cfg->{ids}->{$_}, $scfg) }
        PVE::Escrow::Storage::ids();
    my $kits = complete([grep { $of{ $_->{storage} } } @$wanted], $before->{kits} // {});
    my $server = PVE::Escrow::Storage::server($storeid, $scfg);
    my $group = group();
    return {
        of => \%of, kits => $kits,
        outside => defined(PVE::Escrow::Storage::mounted_datastore($scfg)) ? 0 : 1,
        run => sub { return %$kits ? publish_on($server, $group, $kits, $before) : {} },
    };
}

sub write_all ($seconds = $SECONDS) {
    my @storages = storages() or return [];
    my $cfg = PVE::Storage::config();
    my ($wanted, $problems) = PVE::Escrow::Copies::wanted($cfg);
    my (%jobs, %failed);
    for my $storeid (@storages) {
        eval { $jobs{$storeid} = prepare($cfg, $storeid, $wanted); 1 }
            or $failed{$storeid} = { error => $@ =~ s/\s+\z//r };
    }
    my $done = PVE::Escrow::Apart::run({ map { $_ => $jobs{$_}->{run} } keys %jobs }, $seconds);
    my %published = map { $_ => $done->{$_}->{value} }
        grep { ($done->{$_}->{value} // {})->{snapshot} } keys %$done;
    note_down(\%published) if %published;
    return [
        map {
            my $job = $jobs{$_} // { kits => {}, of => undef, outside => 0 };
            row($_, $job, $failed{$_} // $done->{$_}, $problems)
        } @storages
    ];
}

sub refresh ($seconds = $SECONDS) {
    my $rows =
        [PVE::Escrow::Copies::write_all($seconds)->@*, write_all($seconds)->@*];
    PVE::Escrow::Copies::remember($rows);
    return $rows;
}

sub read_all ($server) {
    my $found = PVE::RS::Escrow::remote_kits($server);
    my @problems = map { "$_->{snapshot}: $_->{what}" } $found->{problems}->@*;
    my (%seen, @kits);
    for my $line (grep { !$seen{ $_->{text} }++ } $found->{kits}->@*) {
        my $parsed = eval { PVE::Escrow::Kit::parse($line->{text}) };
        if ($parsed && $parsed->{kit}) {
            push @kits, { %$line, %$parsed };
        } else {
            my $why = $parsed ? 'a sealed key by itself, which says nothing of a storage' : $@;
            push @problems, "$line->{snapshot}: $why" =~ s/\s+\z//r;
        }
    }
    return { kits => \@kits, problems => \@problems };
}

my sub text_of ($kit, $member) {
    my $text = $kit->{kit}->{$member} // '';
    return ref($text) ? '' : lc($text);
}

sub kits ($storeid, $wanted) {
    my $scfg = PVE::Escrow::Storage::config($storeid);
    my $found = read_all(PVE::Escrow::Storage::server($storeid, $scfg));
    my $hex = lc(($wanted->{fingerprint} // '') =~ tr/://dr);
    my $storage = lc($wanted->{storage} // '');
    my @kits = grep { index(text_of($_, 'fingerprint') =~ tr/://dr, $hex) == 0 } $found->{kits}->@*;
    @kits = (
        (grep { text_of($_, 'storage') eq $storage } @kits),
        (grep { text_of($_, 'storage') ne $storage } @kits),
    );
    return { kits => [map { $_->{text} } @kits], problems => $found->{problems} };
}

1;
