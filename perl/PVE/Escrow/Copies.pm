package PVE::Escrow::Copies;

use v5.36;

use Digest::SHA ();
use Encode ();
use JSON ();

use PVE::JSONSchema;
use PVE::Storage;
use PVE::Tools;

use PVE::Escrow::Apart;
use PVE::Escrow::Beneath;
use PVE::Escrow::Config;
use PVE::Escrow::Keys;
use PVE::Escrow::Kit;
use PVE::Escrow::Mount;
use PVE::Escrow::Records;
use PVE::Escrow::Seal;
use PVE::Escrow::State;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Copies - copies of the kits on other storages

=head1 DESCRIPTION

Each storage that F<escrow.cfg> names in C<copies> gets the kit of every storage whose key has an active seal, as
F<pve-escrow/STORAGE-KEY-CONTENT.escrow-kit.json> below its path: the first 8 bytes of the fingerprint, and 4 of a hash of the
sealed keys and the connection. So clusters can share a storage, all nodes write the same names, and another key, seal or
server makes another file. No kit is ever deleted or replaced by a different one. A file that is as it should be is left alone.

Others can write to these storages: what is read back counts only after its MAC, made with the live key, and its name have
been checked. Each storage is talked to by a process of its own, with a time limit, and under no lock.

=head1 FUNCTIONS

=over

=item storages()

The storages that are to have copies.

=item write_all($seconds)

Writes what is missing or damaged, and reads all back. Returns a row for each storage, and stores nothing: C<storage>,
C<result> (C<ok> or C<error>), C<text>, C<time>, C<outside>, whether it is on other disks than this node's system, and
C<files>, the SHA-256 of each file that is as it should be.

=item wanted($cfg)

The kits that every storage should have, C<storage>, C<name>, C<text> and C<keyfile> each, and why some of it can't be made.

=item name_of($storeid, $text)

The name of a kit's file, without the directory.

=item check($before, $seconds)

The same rows, and writes nothing. C<$before> are those of the last time: what they list has to be there as it was, even
if the key is not here any more.

=item remember($rows)

Notes for each storage with a key what became of the copies of its kit: see L<PVE::Escrow::State>. Rows that are
C<published> are from L<PVE::Escrow::Publish>. Dies without quorum.

=item kits($storeid, { storage => ID, fingerprint => KEY })

The kits on a storage, or those that were published on its server, as C<kits>, texts: those named by the key only, if it is given; those of C<storage> first,
then the newest; and C<problems>, what is wrong with others.

=back

=cut

my $DIRECTORY = 'pve-escrow';
my $SUFFIX = qr/[0-9a-f]{8}\.escrow-kit\.json/;
my $MAX_BYTES = 65536;
my $MAX_FILES = 200;
my $SECONDS = 60;

my %MOUNTED = map { $_ => 1 } qw(cephfs cifs glusterfs nfs);

sub storages () {
    my %seen;
    return grep { !$seen{$_}++ } PVE::Tools::split_list(PVE::Escrow::Config::get()->{copies} // '');
}

my sub hex_of ($fingerprint) {
    return substr($fingerprint =~ tr/://dr, 0, 16);
}

sub name_of ($storeid, $text) {
    my $kit = PVE::Escrow::Kit::parse($text);
    my $connection = ($kit->{kit} // {})->{connection};
    die "it says nothing of a connection\n" if ref($connection) ne 'HASH';
    my @blobs = sort $kit->{blobs}->@*;
    my $content = Encode::encode(
        'UTF-8',
        join("\0", @blobs, map { "$_=$connection->{$_}" } sort keys %$connection)
    );
    my $hash = substr(Digest::SHA::sha256_hex($content), 0, 8);
    return join('-', $storeid, hex_of("$kit->{kit}->{fingerprint}"), "$hash.escrow-kit.json");
}

my sub make ($storeid, $scfg) {
    my $keyfile = PVE::Escrow::Storage::key_file($storeid);
    return if !PVE::Escrow::Storage::is_there($keyfile);
    my $key = PVE::RS::Escrow::fingerprint({ keyfile => $keyfile });
    my $record = PVE::Escrow::Records::get($key->{fingerprint} // return);
    return if !$record || !PVE::Escrow::Seal::active($record);
    my $text = PVE::Escrow::Kit::make($storeid, $scfg);
    return {
        storage => $storeid, name => name_of($storeid, $text), text => $text,
        keyfile => $keyfile
    };
}

# what every storage should have, and why some of it can't be made
sub wanted ($cfg) {
    my (@kits, @problems);
    for my $storeid (PVE::Escrow::Storage::ids()) {
        eval { push @kits, make($storeid, $cfg->{ids}->{$storeid}); 1 }
            or push @problems, "storage '$storeid' has no kit: $@" =~ s/\s+\z//r;
    }
    return (\@kits, \@problems);
}

my sub mount_point ($scfg) {
    return $scfg->{path} if $MOUNTED{ $scfg->{type} };
    my $point = $scfg->{is_mountpoint} // return;
    my $is = PVE::JSONSchema::parse_boolean($point) // return $point;
    return $is ? $scfg->{path} : undef;
}

my sub open_storage ($cfg, $storeid) {
    my $scfg = $cfg->{ids}->{$storeid} // die "storage '$storeid' does not exist\n";
    my ($path) = ($scfg->{path} // '') =~ m{^(/[^\0]*)\z}
        or die "storage '$storeid' of type '$scfg->{type}' has no directory: choose one that has\n";
    PVE::Storage::activate_storage($cfg, $storeid);
    my $root = PVE::Escrow::Beneath::open_root($path);
    my $point = mount_point($scfg);
    die "storage '$storeid' is not mounted at $point\n"
        if defined($point) && !PVE::Escrow::Mount::is_below($root, $point);
    return $root;
}

# The disks of a hyper-converged Ceph are this cluster's own.
my sub is_outside ($scfg, $dh) {
    return 0 if $scfg->{type} eq 'cephfs' && !defined($scfg->{monhost});
    return PVE::Escrow::Mount::is_system($dh) ? 0 : 1;
}

# dies unless a holder of the key made it, with these sealed keys and this connection
my sub check_bytes ($kit, $bytes) {
    my $text = eval { Encode::decode('UTF-8', $bytes, Encode::FB_CROAK()) }
        // die "it is damaged: not UTF-8\n";
    die "it holds other sealed keys, or another connection\n"
        if name_of($kit->{storage}, $text) ne $kit->{name};
    PVE::RS::Escrow::authenticate({ kind => 'kit', text => $text, keyfile => $kit->{keyfile} });
    return;
}

my sub read_back ($dh, $kit) {
    my $bytes = PVE::Escrow::Beneath::get($dh, $kit->{name}, $MAX_BYTES)
        // die "$kit->{name}: it is missing\n";
    eval { check_bytes($kit, $bytes); 1 } or die "$kit->{name}: $@";
    return Digest::SHA::sha256_hex($bytes);
}

my sub write_one ($dh, $kit) {
    my $present = eval { read_back($dh, $kit) };
    return $present if defined($present);
    PVE::Escrow::Beneath::put($dh, $kit->{name}, Encode::encode('UTF-8', $kit->{text}));
    return read_back($dh, $kit);
}

# of a key that is not here any more, only this can be said
my sub unchanged ($dh, $name, $sha256) {
    my $bytes = PVE::Escrow::Beneath::get($dh, $name, $MAX_BYTES) // die "$name: it is missing\n";
    die "$name: it was changed since it was written\n"
        if Digest::SHA::sha256_hex($bytes) ne $sha256;
    return $sha256;
}

my sub collect ($found, $name, $look) {
    my $sha256 = eval { $look->() };
    if (defined($sha256)) {
        $found->{files}->{$name} = $sha256;
    } else {
        push $found->{problems}->@*, $@ =~ s/\s+\z//r;
    }
    return;
}

my sub write_to ($cfg, $storeid, $kits) {
    my $root = open_storage($cfg, $storeid);
    my $dh = PVE::Escrow::Beneath::make_directory($root, $DIRECTORY);
    my $found =
        { outside => is_outside($cfg->{ids}->{$storeid}, $dh), files => {}, problems => [] };
    for my $kit (@$kits) {
        collect($found, $kit->{name}, sub { write_one($dh, $kit) });
    }
    return $found;
}

my sub check_at ($cfg, $storeid, $kits, $before) {
    my $root = open_storage($cfg, $storeid);
    my %wanted = map { $_->{name} => $_ } @$kits;
    my %names = (%wanted, %$before);
    my $dh = PVE::Escrow::Beneath::directory($root, $DIRECTORY)
        // (%names ? die "$DIRECTORY: it is missing\n" : $root);
    my $found =
        { outside => is_outside($cfg->{ids}->{$storeid}, $dh), files => {}, problems => [] };
    for my $name (sort keys %names) {
        my $kit = $wanted{$name};
        my $look =
            $kit ? sub { read_back($dh, $kit) } : sub { unchanged($dh, $name, $before->{$name}) };
        collect($found, $name, $look);
    }
    return $found;
}

my sub row ($storeid, $done, $problems) {
    my $found = $done->{value} // { problems => [$done->{error}], files => {}, outside => 0 };
    my @problems = ($found->{problems}->@*, @$problems);
    my $count = keys $found->{files}->%*;
    my @texts = @problems ? @problems : $count == 1 ? '1 kit' : "$count kits";
    push @texts, 'on this node: it is lost with it' if $done->{value} && !$found->{outside};
    push @texts, "when that is mended: 'pveescrow copies'" if @problems;
    return {
        storage => $storeid,
        result => @problems ? 'error' : 'ok',
        text => join('; ', @texts),
        time => time(),
        outside => $found->{outside},
        files => $found->{files},
    };
}

my sub each_storage ($seconds, $look) {
    my @storages = storages() or return [];
    my $cfg = PVE::Storage::config();
    my ($kits, $problems) = wanted($cfg);
    my %jobs;
    for my $storeid (@storages) {
        $jobs{$storeid} = sub { return $look->($cfg, $storeid, $kits) };
    }
    my $done = PVE::Escrow::Apart::run(\%jobs, $seconds);
    return [map { row($_, $done->{$_}, $problems) } @storages];
}

sub write_all ($seconds = $SECONDS) {
    return each_storage($seconds, \&write_to);
}

sub check ($before = [], $seconds = $SECONDS) {
    my %before = map { $_->{storage} => $_->{files} } @$before;
    return each_storage(
        $seconds,
        sub ($cfg, $storeid, $kits) {
            return check_at($cfg, $storeid, $kits, $before{$storeid} // {});
        },
    );
}

# what a row says of one kit among others
my sub of_kit ($row, $prefix) {
    my %row = map { defined($row->{$_}) ? ($_ => $row->{$_}) : () }
        qw(storage time outside result text published);
    return \%row if $row{result} eq 'ok' && grep { index($_, $prefix) == 0 } keys $row->{files}->%*;
    if (grep { index($_, $prefix) == 0 } keys $row->{files}->%*) {
        $row{result} = 'ok';
        $row{text} = $row->{outside} ? '1 kit' : '1 kit; on this node: it is lost with it';
        return \%row;
    }
    $row{text} = 'it has no kit of this storage' if $row{result} eq 'ok';
    $row{result} = 'error';
    return \%row;
}

sub remember ($rows) {
    my $live = PVE::Escrow::Keys::live_keys();
    my %copies;
    for my $fingerprint (keys %$live) {
        for my $storeid ($live->{$fingerprint}->@*) {
            my $prefix = "$storeid-" . hex_of($fingerprint) . '-';
            my %rows =
                map { ($_->{published} ? 'publish:' : '') . $_->{storage} => of_kit($_, $prefix) }
                grep { !$_->{of} || $_->{of}->{$storeid} } @$rows;
            $copies{$storeid} = { copies => \%rows };
        }
    }
    PVE::Escrow::State::set_all(\%copies);
    return;
}

my sub ordered ($dh, $wanted) {
    my $key = defined($wanted->{fingerprint}) ? hex_of(lc($wanted->{fingerprint})) : '[0-9a-f]{16}';
    my $storage = quotemeta($wanted->{storage} // '');
    my @found;
    for my $name (PVE::Escrow::Beneath::names($dh)) {
        my ($of) = $name =~ m/^([A-Za-z][A-Za-z0-9_.-]*)-$key-$SUFFIX\z/ or next;
        my $time = eval { PVE::Escrow::Beneath::modified($dh, $name) } // 0;
        push @found, { name => $name, own => $of =~ m/^$storage\z/ ? 1 : 0, time => $time };
    }
    @found = sort { $b->{own} <=> $a->{own} || $b->{time} <=> $a->{time} } @found;
    return map { $_->{name} } @found;
}

my sub read_kits ($cfg, $storeid, $wanted) {
    my $root = open_storage($cfg, $storeid);
    my $found = { kits => [], problems => [] };
    my $dh = PVE::Escrow::Beneath::directory($root, $DIRECTORY) // return $found;
    my @names = ordered($dh, $wanted);
    if (@names > $MAX_FILES) {
        push $found->{problems}->@*, 'only ' . $MAX_FILES . ' of ' . @names . ' files were read';
        splice(@names, $MAX_FILES);
    }
    for my $name (@names) {
        eval {
            my $bytes = PVE::Escrow::Beneath::get($dh, $name, $MAX_BYTES)
                // die "$name: it is gone\n";
            my $text = eval { Encode::decode('UTF-8', $bytes, Encode::FB_CROAK()) };
            eval { PVE::Escrow::Kit::parse($text // ''); 1 } or die "$name: $@";
            push $found->{kits}->@*, $text;
            1;
        } or push $found->{problems}->@*, $@ =~ s/\s+\z//r;
    }
    return $found;
}

sub kits ($storeid, $wanted) {
    my $cfg = PVE::Storage::config();
    my $is_server = (($cfg->{ids}->{$storeid} // {})->{type} // '') eq 'pbs';
    require PVE::Escrow::Publish if $is_server;
    my $job = sub {
        return $is_server
            ? PVE::Escrow::Publish::kits($storeid, $wanted)
            : read_kits($cfg, $storeid, $wanted);
    };
    my $done = PVE::Escrow::Apart::run({ $storeid => $job }, $SECONDS)->{$storeid};
    return $done->{value} // die "the copies on storage '$storeid' can't be read: $done->{error}\n";
}

1;
