package PVE::PBSClient;

# Stand-in for tests: another place that writes and removes keys.

use v5.36;

use Errno qw(ENOENT);

use PVE::Tools;

sub get_repository {
    my ($scfg) = @_;
    my $server = $scfg->{server};
    $server = "[$server]" if $server =~ m/:/;
    $server .= ":$scfg->{port}" if defined($scfg->{port}) && $scfg->{port} != 8007;
    return join('@', $scfg->{username} // 'root@pam', "$server:$scfg->{datastore}");
}

sub new ($class, $scfg, $storeid, $secret_dir = '/etc/pve/priv/storage') {
    return bless { scfg => $scfg, storeid => $storeid, secret_dir => $secret_dir }, $class;
}

sub encryption_key_file_name {
    my ($self) = @_;
    return "$self->{secret_dir}/$self->{storeid}.enc";
}

sub set_encryption_key {
    my ($self, $key) = @_;
    mkdir($self->{secret_dir});
    PVE::Tools::file_set_contents($self->encryption_key_file_name(), "$key\n", oct(600));
    return;
}

sub delete_encryption_key {
    my ($self) = @_;
    die "failed to delete encryption key! $!\n"
        if !unlink($self->encryption_key_file_name()) && $! != ENOENT;
    return;
}

sub autogen_encryption_key {
    my ($self) = @_;
    my $path = $self->encryption_key_file_name();
    rename($path, "$path.old") if -f $path;
    PVE::Tools::run_command(['proxmox-backup-client', 'key', 'create', '--kdf', 'none', $path]);
    return PVE::Tools::file_get_contents($path);
}

1;
