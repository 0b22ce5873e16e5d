package PVE::Escrow::Storage;

use v5.36;

use List::Util ();

use PVE::Exception qw(raise_param_exc);
use PVE::Storage;
use PVE::Storage::PBSPlugin;

=head1 NAME

PVE::Escrow::Storage - the storages that have a key, as Proxmox VE configures them

=head1 FUNCTIONS

=over

=item ids()

The ids of all storages of type C<pbs>, sorted.

=item config($storeid)

Its section of F</etc/pve/storage.cfg>. Dies if there is none, or if it is of another type.

=item key_file($storeid)

Where Proxmox VE has its key.

=item of_key_file($path)

The storage that has its key there, or C<undef>.

=item claimed($scfg)

The fingerprint that F<storage.cfg> names, if it does: keys of old clients have none.

=item connection($scfg)

What a kit says of the way to the backups. No secret.

=item is_there($path)

Is there anything at this path, a dangling link too?

=back

=cut

sub ids () {
    my $ids = PVE::Storage::config()->{ids};
    my @found = sort grep { $ids->{$_}->{type} eq 'pbs' } keys %$ids;
    return @found;
}

sub config ($storeid) {
    my $scfg = PVE::Storage::config()->{ids}->{$storeid}
        or raise_param_exc({ storage => "storage '$storeid' does not exist" });
    raise_param_exc({
        storage =>
            "storage '$storeid' is of type '$scfg->{type}': only those of type 'pbs' have a key",
    }) if $scfg->{type} ne 'pbs';
    return $scfg;
}

sub key_file ($storeid) {
    return PVE::Storage::PBSPlugin::pbs_encryption_key_file_name({}, $storeid);
}

sub of_key_file ($path) {
    return List::Util::first { key_file($_) eq $path } ids();
}

sub claimed ($scfg) {
    my $claimed = $scfg->{'encryption-key'} // '';
    return $claimed =~ m/^[0-9a-f]{2}(?::[0-9a-f]{2})+$/i ? lc($claimed) : undef;
}

sub connection ($scfg) {
    my $connection = {
        server => $scfg->{server},
        datastore => $scfg->{datastore},
        username => $scfg->{username} // 'root@pam',
    };
    $connection->{port} = int($scfg->{port}) if defined($scfg->{port});
    for my $name (qw(namespace fingerprint)) {
        $connection->{$name} = "$scfg->{$name}" if defined($scfg->{$name});
    }
    return $connection;
}

sub is_there ($path) {
    return !!lstat($path);
}

1;
