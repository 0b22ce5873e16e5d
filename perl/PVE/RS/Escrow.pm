package PVE::RS::Escrow;

use v5.36;

use DynaLoader ();

=head1 NAME

PVE::RS::Escrow - seal an encryption key under a recovery code, and open it again

=head1 SYNOPSIS

    use PVE::RS::Escrow;

    my $seal = PVE::RS::Escrow::create({ keyfile => '/path/to/key.enc' });
    say $seal->{code};    # this once

    PVE::RS::Escrow::unwrap({
        blob => $seal->{blob},
        code => $words,
        expect => $fingerprint,
        out => '/path/to/recovered.enc',
    });

=head1 DESCRIPTION

Loads C<libpve_escrow_rs.so> and offers its operations. Keys never become Perl scalars: functions take paths,
blobs and recovery codes, and return fingerprints, states, blobs and, once, a new recovery code.

All functions but C<schema> and C<version> take one hash and return one. Numbers, booleans and texts may come as
PVE hands them around: they are brought in line with the schema first. Every function dies with a text that ends
in a newline and says what was wrong, which key was meant, and leaves all files as they were.

=head1 FUNCTIONS

=over

=item fingerprint({ keyfile => PATH })

Returns C<fingerprint>, 32 bytes in colon hex, and whether it is C<verified>, computed from the key. Of a key file
with a passphrase it is what the file claims, and may be missing.

=item inspect({ keyfile => PATH })

Returns C<kdf> (C<none>, C<scrypt>, C<pbkdf2>), C<created> and C<modified> in seconds since 1970, C<fingerprint>,
C<verified>, and C<hint> if there is one.

=item create({ keyfile => PATH })

Seals the key under a new recovery code. Returns C<blob>, the text of the sealed key file, C<code>, the ten words,
C<check>, their four check characters, and C<fingerprint>. Writes nothing. Takes two key derivations, about
half a second and 64 MiB of memory.

=item verify({ blob => TEXT, code => WORDS, expect => FINGERPRINT })

Opens a blob. Returns the C<fingerprint> of its key. C<expect> is optional and may be the short form of 8 bytes.

=item unwrap({ blob => TEXT, code => WORDS, expect => FINGERPRINT, out => PATH })

Writes the key to a new key file, mode 0600. Returns its C<fingerprint>. Nothing may exist at C<out>.

=item install({ keyfile | blob and code, expect, target => PATH, displace => FINGERPRINT, keep => DIRECTORY })

Makes the key the live key at C<target>; the caller holds the lock for it. Returns C<fingerprint>, C<changed> (false
if this key was there already) and C<kept>, where a displaced file was put: another key is only displaced
if its fingerprint is named in C<displace>, and after a copy of it is in C<keep>.

=item read_code({ code => WORDS })

Reads what a person has typed so far of a recovery code: returns C<words>, in full and in their order, whether it is
C<complete>, and whether the check characters were typed too (C<checked>). Dies of a word that can't be one of a code.

=item find({ blobs => [TEXT, ...], code => WORDS })

Finds the first blob that a code opens: returns its C<index> and C<fingerprint>, neither if there is none, and
C<damages>, what is wrong with blobs that could not be tried.

=item sign({ kind => 'kit' | 'record', text => TEXT, keyfile => PATH })

Authenticates a kit or a record with its key. Returns its C<text> with the MAC.

=item authenticate({ kind, text, keyfile => PATH, blob => TEXT, code => WORDS })

Checks the MAC, with the key of C<keyfile> or that of C<blob> and C<code>; returns the key's C<fingerprint>. Nothing in a
kit but its blobs may be used before that.

=item paper({ text => TEXT, format => 'text' | 'html' | 'pdf-ready' })

Prints a kit or a sealed key file as a sheet that can be typed or scanned back: returns its C<text>.
C<pdf-ready> is the page of C<html>.

=item read_sheet({ file => PATH, out => PATH })

Reads the text or the page of a sheet, of ours or of C<proxmox-backup-client key paperkey>, into a new file, mode 0600. Returns
C<kind>: C<key> of a key file, C<kit> of a kit or a sealed key file. Without it C<file> is no sheet, and nothing was written.

=item check_master_key({ pem => TEXT })

Checks the public half of a master key, and wraps a trial as every backup does: RSA of at least 3,072 bits, as C<BEGIN PUBLIC
KEY> and nothing else. Returns its C<bits>, and the SHA-256 of its DER form as C<sha256> and, with colons, C<fingerprint>.
Dies of anything with which a backup would fail.

=item prove({ datastore => DIRECTORY, keyfile => PATH, snapshots => [...], ... })

Proves that a key opens what is in the directory of a datastore: the key of C<keyfile>, or that of C<blob> and C<code>.
C<ns> names a namespace, C<all-ns> takes all; C<sample> is the number of chunks of each archive (459 unless given),
C<full> takes all. Returns C<result> (C<valid>, C<invalid>, C<unknown>), the C<key>, C<totals>, and C<snapshots>, each
with its own C<result>, C<files> and C<damages>. Damage is a result, no error. It may run for hours: in a worker only.

=item coverage({ datastore => DIRECTORY, ns => NAMESPACE, 'all-ns' => BOOLEAN })

Counts the snapshots in the directory of a datastore: C<keys>, by the key that they name, C<plain>, C<nameless>,
C<without-manifest> and C<unreadable>.

=item remote_coverage({ repository => TEXT, 'password-file' => PATH, 'tls-fingerprint' => TEXT, ns => NAMESPACE })

The same of a backup server, through the installed C<proxmox-backup-client>, with all namespaces below C<ns>. The secret goes
to the client by an inherited file in memory. Dies if the server does not answer.

=item remote_prove({ repository, 'password-file', 'tls-fingerprint', ns, keyfile => PATH, ... })

Proves through the client that the key of C<keyfile>, or that of C<blob> and C<code>, opens what is on a server: of each
group the newest snapshot of this key, or the C<snapshots> that are named; of each archive C<mebibytes>, 16 unless given, or
all (C<full>). With a code it is a drill, and C<controls> says what must not open anything, and did not. Writes a line to
standard output for each snapshot. It may run for hours: in a worker only.

=item remote_snapshots({ repository, 'password-file', 'tls-fingerprint', ns })

Lists C<snapshots> in a namespace of a server, oldest first: C<snapshot>, C<protection>, and C<key> and C<size> if the server says.

=item remote_publish({ repository, 'password-file', 'tls-fingerprint', ns, 'backup-id' => NAME, text => KITS })

Makes a snapshot of kits, one a line, in the group C<host/NAME>, with a call of the client that has no key at hand. NAME is
C<pve-escrow-...-> and 8 hexadecimal digits. Returns C<snapshot>, and whether it is C<protected>.

=item remote_kits({ repository, 'password-file', 'tls-fingerprint', ns, snapshots => [...] })

Reads all such snapshots, or those that are named: C<kits>, C<snapshot> and C<text> each, those of the user's own groups first and
of each group the newest first; C<problems>, C<snapshot> and C<what> each; C<snapshots>, how many there are. Anybody who may
make backups there can have written them.

=item schema($name)

The C<description>, C<parameters> and C<returns> of an operation, as C<PVE::RESTHandler::register_method> takes them.

=item version()

C<version> of the library; C<perlmod> and C<proxmox-schema> say whether these parts are C<real> or C<stand-in>.

=back

=cut

my $LIB = 'pve_escrow_rs';

# In a source tree the library that was built last, else the installed one.
my sub find_library() {
    my ($tree) = __FILE__ =~ m{^(.*/|)perl/PVE/RS/[^/]+$};
    my @built =
        defined($tree) ? grep { -e } map { "${tree}target/$_/lib$LIB.so" } qw(debug release) : ();
    my ($newest) = sort { -M $a <=> -M $b } @built;
    my ($installed) = grep { -e } map { "$_/auto/lib$LIB.so" } @INC;
    return $newest // $installed
        // die "cannot find lib$LIB.so: is the package pve-escrow installed completely?\n";
}

my sub load() {
    my $file = find_library();
    my $library = DynaLoader::dl_load_file($file, 0)
        or die "cannot load $file: " . DynaLoader::dl_error() . "\n";
    my $symbol = DynaLoader::dl_find_symbol($library, 'boot_PVE__RS__Escrow')
        or die "$file is not the library of this package\n";
    my $boot = DynaLoader::dl_install_xsub('PVE::RS::Escrow::bootstrap', $symbol, $file);
    $boot->();
    return;
}

my $COERCE = {
    boolean => sub ($value) { !!$value },
    integer => sub ($value) { $value =~ m/^-?[0-9]+$/ ? int($value) : $value },
    string => sub ($value) { "$value" },
};

# The library is strict where Perl is not: "5" is no number and 5 is no text there.
my sub coerce_value ($schema, $value) {
    my $type = $schema->{type} // '';
    if (ref($value) eq 'ARRAY' && $type eq 'array') {
        my $coerce = $COERCE->{ $schema->{items}->{type} };
        return [map { ref($_) ? $_ : $coerce->($_) } $value->@*];
    }
    my $coerce = $COERCE->{$type};
    return $coerce && defined($value) && !ref($value) ? $coerce->($value) : $value;
}

my sub coerce ($schema, $input) {
    my $properties = $schema->{properties};
    return { map { $_ => coerce_value($properties->{$_} // {}, $input->{$_}) } keys %$input };
}

my sub wrap ($name, $operation) {
    my $schema = PVE::RS::Escrow::schema($name);
    return sub ($input) {
        return $operation->(coerce($schema->{parameters}, $input));
    };
}

load();

for my $name (qw(
    authenticate check_master_key coverage create find fingerprint inspect install paper prove
    read_code read_sheet remote_coverage remote_kits remote_prove remote_publish remote_snapshots
    sign unwrap verify
)) {
    no strict 'refs';
    no warnings qw(prototype redefine);
    my $operation = \&{"PVE::RS::Escrow::$name"};
    *{"PVE::RS::Escrow::$name"} = wrap($name, $operation);
}

1;
