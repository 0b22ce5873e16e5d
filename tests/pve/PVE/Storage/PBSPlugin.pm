package PVE::Storage::PBSPlugin;

# Stand-in for tests: keeps and loses keys as the real one does.

use v5.36;

use Errno qw(ENOENT);
use JSON ();

use PVE::PBSClient;
use PVE::Tools;

use parent -norequire, 'PVE::Storage::Plugin';

my $SECRETS = '/etc/pve/priv/storage';

sub type {
    return 'pbs';
}

my $TEXT = { type => 'string' };

sub properties {
    return { map { $_ => $TEXT }
            qw(datastore encryption-key fingerprint master-pubkey namespace password) };
}

sub options {
    return {
        map { $_ => 1 }
            qw(server datastore namespace port nodes disable content username fingerprint encryption-key master-pubkey password),
    };
}

sub pbs_encryption_key_file_name {
    my ($scfg, $storeid) = @_;
    return "$SECRETS/$storeid.enc";
}

my sub file ($storeid, $suffix) {
    return "$SECRETS/$storeid.$suffix";
}

sub pbs_password_file_name {
    my ($scfg, $storeid) = @_;
    return file($storeid, 'pw');
}

my sub remove ($path) {
    die "failed to delete $path! $!\n" if !unlink($path) && $! != ENOENT;
    return;
}

sub pbs_set_password {
    my ($scfg, $storeid, $password) = @_;
    mkdir($SECRETS);
    PVE::Tools::file_set_contents(file($storeid, 'pw'), "$password\n", oct(600));
    return;
}

sub pbs_delete_password {
    my ($scfg, $storeid) = @_;
    return remove(file($storeid, 'pw'));
}

sub pbs_set_encryption_key {
    my ($scfg, $storeid, $key) = @_;
    mkdir($SECRETS);
    PVE::Tools::file_set_contents(
        pbs_encryption_key_file_name($scfg, $storeid), "$key\n",
        oct(600)
    );
    return;
}

sub pbs_delete_encryption_key {
    my ($scfg, $storeid) = @_;
    remove(pbs_encryption_key_file_name($scfg, $storeid));
    delete $scfg->{'encryption-key'};
    return;
}

sub pbs_get_encryption_key {
    my ($scfg, $storeid) = @_;
    return PVE::Tools::file_get_contents(pbs_encryption_key_file_name($scfg, $storeid));
}

sub pbs_set_master_pubkey {
    my ($scfg, $storeid, $key) = @_;
    mkdir($SECRETS);
    PVE::Tools::file_set_contents(file($storeid, 'master.pem'), "$key\n");
    return;
}

sub pbs_delete_master_pubkey {
    my ($scfg, $storeid) = @_;
    return remove(file($storeid, 'master.pem'));
}

# one generation of an older key survives
my sub autogen ($scfg, $storeid) {
    my $path = pbs_encryption_key_file_name($scfg, $storeid);
    rename($path, "$path.old") if -f $path;
    PVE::Tools::run_command(
        ['proxmox-backup-client', 'key', 'create', '--kdf', 'none', $path],
        errmsg => 'failed to create encryption key',
    );
    return PVE::Tools::file_get_contents($path);
}

my sub set_key ($scfg, $storeid, $wanted) {
    my $key = $wanted eq 'autogen' ? autogen($scfg, $storeid) : $wanted;
    my $decoded = eval { JSON::decode_json($key) };
    die "Value does not seems like a valid, JSON formatted encryption key!\n"
        if ref($decoded) ne 'HASH' || !exists($decoded->{data});
    pbs_set_encryption_key($scfg, $storeid, $key) if $wanted ne 'autogen';
    $scfg->{'encryption-key'} = $decoded->{fingerprint} || 1;
    return { 'encryption-key' => $key };
}

sub on_add_hook {
    my ($class, $storeid, $scfg, %param) = @_;
    defined($param{password})
        ? pbs_set_password($scfg, $storeid, $param{password})
        : pbs_delete_password($scfg, $storeid);
    my $result = {};
    if (defined($param{'encryption-key'})) {
        $result = set_key($scfg, $storeid, $param{'encryption-key'});
    } else {
        pbs_delete_encryption_key($scfg, $storeid);
    }
    if (defined($param{'master-pubkey'})) {
        die "'master-pubkey' can only be used together with 'encryption-key'\n"
            if !defined($scfg->{'encryption-key'});
        pbs_set_master_pubkey($scfg, $storeid, $param{'master-pubkey'});
        $scfg->{'master-pubkey'} = 1;
    } else {
        pbs_delete_master_pubkey($scfg, $storeid);
    }
    return $result;
}

sub on_update_hook {
    my ($class, $storeid, $scfg, %param) = @_;
    pbs_set_password($scfg, $storeid, $param{password}) if defined($param{password});
    return {} if !exists($param{'encryption-key'});
    return set_key($scfg, $storeid, $param{'encryption-key'}) if defined($param{'encryption-key'});
    pbs_delete_encryption_key($scfg, $storeid);
    return {};
}

sub on_delete_hook {
    my ($class, $storeid, $scfg) = @_;
    pbs_delete_password($scfg, $storeid);
    pbs_delete_encryption_key($scfg, $storeid);
    pbs_delete_master_pubkey($scfg, $storeid);
    return;
}

# as a server that does not answer
sub activate_storage {
    my ($class, $storeid, $scfg) = @_;
    die "$storeid: error fetching datastores - 500 Can't connect\n"
        if $scfg->{server} =~ m/unreachable/;
    return 1;
}

1;
