package PVE::Cluster;

# Stand-in for tests: locks between processes, quorum, and what nodes tell each other, over the files of the test's tree.

use v5.36;

use Exporter qw(import);
use JSON ();
use Time::HiRes ();

use PVE::INotify;

our @EXPORT_OK = qw(cfs_lock_file cfs_read_file cfs_write_file cfs_register_file);

my $LOCKS = '/etc/pve/priv/lock';
my $KV = '/run/cluster-kv.json';
my $FILES = {};

sub check_cfs_quorum ($noerr = 0) {
    my @stat = lstat('/etc/pve/local');
    my $quorate = @stat && $stat[2] & oct(200);
    die "cluster not ready - no quorum?\n" if !$quorate && !$noerr;
    return $quorate;
}

# These are not re-entrant: who holds one and asks for it again waits for himself.
my sub locked ($id, $timeout, $code, @param) {
    my $until = time() + ($timeout || 10);
    mkdir($LOCKS);
    my $got;
    while (!($got = mkdir("$LOCKS/$id")) && time() < $until && check_cfs_quorum(1)) {
        Time::HiRes::usleep(2_000);
    }
    if (!$got) {
        ## no critic (RequireLocalizedPunctuationVars)
        $@ =
            check_cfs_quorum(1)
            ? "cfs-lock '$id' error: got lock request timeout\n"
            : "no quorum!\n";
        return;
    }
    my $result = eval { $code->(@param) };
    my $err = $@;
    rmdir("$LOCKS/$id");
    $@ = $err; ## no critic (RequireLocalizedPunctuationVars)
    return $err ? undef : $result;
}

sub cfs_lock_domain ($name, $timeout, $code, @param) {
    return locked("domain-$name", $timeout, $code, @param);
}

sub cfs_lock_storage ($storeid, $timeout, $code, @param) {
    return locked("storage-$storeid", $timeout, $code, @param);
}

sub cfs_lock_file ($filename, $timeout, $code, @param) {
    return locked("file-$filename" =~ tr/./_/r, $timeout, $code, @param);
}

sub cfs_register_file ($filename, $parser, $writer) {
    $FILES->{$filename} = { parser => $parser, writer => $writer };
    return;
}

sub cfs_read_file ($filename) {
    my $raw;
    if (open(my $fh, '<', "/etc/pve/$filename")) {
        local $/;
        $raw = <$fh>;
    }
    return $FILES->{$filename}->{parser}->($filename, $raw);
}

sub cfs_write_file ($filename, $data) {
    require PVE::Tools;
    my $raw = $FILES->{$filename}->{writer}->($filename, $data);
    PVE::Tools::file_set_contents("/etc/pve/$filename", $raw, oct(640));
    return;
}

sub cfs_update (@) {
    return;
}

sub get_nodelist () {
    return [PVE::INotify::nodename()];
}

sub remote_node_ip ($node, $noerr = 0) {
    return if $noerr;
    die "no address of node '$node'\n";
}

my sub kv () {
    open(my $fh, '<', $KV) or return {};
    local $/;
    return JSON::decode_json(<$fh>);
}

sub broadcast_node_kv ($key, $value) {
    my $kv = kv();
    $kv->{$key}->{ PVE::INotify::nodename() } = $value;
    open(my $fh, '>', $KV) or die "$KV: $!\n";
    print {$fh} JSON::encode_json($kv);
    close($fh);
    return;
}

sub get_node_kv ($key, $node = undef) {
    return kv()->{$key} // {};
}

1;
