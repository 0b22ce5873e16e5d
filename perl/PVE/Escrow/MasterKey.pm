package PVE::Escrow::MasterKey;

use v5.36;

use Digest::SHA ();

use PVE::Storage;
use PVE::Storage::PBSPlugin;

use PVE::Escrow::Evidence;
use PVE::Escrow::File;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::MasterKey - public halves of master keys, which take along a copy of the key with each backup

=head1 DESCRIPTION

Proxmox VE takes any text for a master key, and then every backup fails, or a key that is too short to wrap another. Here
one is tried first. The private half never comes near a node: F<pve-escrow-rescue master-key> makes and uses it.

=head1 FUNCTIONS

=over

=item in_effect($storeid)

Those that get the key of this storage with each backup: C<where> it comes from, C<sha256> of its DER form, C<bits>; or the
C<sha256> of its file, and the C<problem> because of which backups fail.

=item set($storeid, $pem)

Makes it the master key of a storage, after it was tried. Returns C<bits> and C<sha256>. Dies of what backups would fail with,
and of storages without a key.

=item remove($storeid)

Takes it away. Backups that were made with it still have their copy.

=back

=cut

my $MAX_BYTES = 65536;

# the client takes root's, even where Proxmox VE passes a key
my $DEFAULT = '/root/.config/proxmox-backup/master-public.pem';

my sub file ($storeid) {
    return "/etc/pve/priv/storage/$storeid.master.pem";
}

my sub describe ($where, $pem) {
    my $checked = eval { PVE::RS::Escrow::check_master_key({ pem => $pem }) };
    return { where => $where, map { $_ => $checked->{$_} } qw(bits sha256) } if $checked;
    my $problem = $@ =~ s/\s+\z//r;
    return { where => $where, sha256 => Digest::SHA::sha256_hex($pem), problem => $problem };
}

sub in_effect ($storeid) {
    my @found;
    for my $place (['storage', file($storeid)], ["root's default", $DEFAULT]) {
        my ($where, $path) = @$place;
        my $pem = eval { PVE::Escrow::File::get($path, $MAX_BYTES) };
        push @found, describe($where, $pem) if defined($pem);
    }
    return \@found;
}

# the storage's section and its file belong together
my sub change ($storeid, $code) {
    PVE::Storage::lock_storage_config(
        sub {
            my $cfg = PVE::Storage::config();
            my $scfg = $cfg->{ids}->{$storeid}
                // die "storage '$storeid' was removed meanwhile\n";
            $code->($scfg);
            PVE::Storage::write_config($cfg);
        },
        "changing the master key of storage '$storeid' failed",
    );
    return;
}

sub set ($storeid, $pem) {
    my $checked = PVE::RS::Escrow::check_master_key({ pem => $pem });
    change(
        $storeid,
        sub ($scfg) {
            die "storage '$storeid' has no key that a master key could take along\n"
                if !$scfg->{'encryption-key'};
            PVE::Storage::PBSPlugin::pbs_set_master_pubkey($scfg, $storeid, $pem =~ s/\s+\z//r);
            $scfg->{'master-pubkey'} = 1;
        },
    );
    PVE::Escrow::Evidence::add(
        'master-key-set',
        storage => $storeid,
        text => "SHA-256 $checked->{sha256}",
    );
    return { map { $_ => $checked->{$_} } qw(bits sha256) };
}

sub remove ($storeid) {
    change(
        $storeid,
        sub ($scfg) {
            PVE::Storage::PBSPlugin::pbs_delete_master_pubkey($scfg, $storeid);
            delete $scfg->{'master-pubkey'};
        },
    );
    PVE::Escrow::Evidence::add('master-key-removed', storage => $storeid);
    return;
}

1;
