package PVE::Escrow::Paper;

use v5.36;

use PVE::Escrow::File;
use PVE::Escrow::Keep;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Paper - sheets that somebody has typed or saved, in text or HTML

=head1 DESCRIPTION

Each function takes a file that may be such a sheet, and as well one that was never printed.

=head1 FUNCTIONS

=over

=item import_file($file)

Keeps the key of a sheet of C<proxmox-backup-client key paperkey>, or a key file, as C<PVE::Escrow::Keep::import_file> does.

=item with_kit($file, $use)

Calls C<$use> with a file that holds the kit of a sheet, or with C<$file>.

=back

=cut

my sub with_content ($file, $use) {
    return PVE::Escrow::File::in_memory(
        'sheet',
        sub ($content) {
            my $kind = PVE::RS::Escrow::read_sheet({ file => $file, out => $content })->{kind};
            return $use->($kind // '', defined($kind) ? $content : $file);
        },
    );
}

sub import_file ($file) {
    return with_content(
        $file,
        sub ($kind, $content) {
            die
                "$file is the sheet of a kit: it holds a sealed key, and no key file. Nothing was kept. Next:"
                . " pveescrow recover STORAGE --kit $file\n"
                if $kind eq 'kit';
            return PVE::Escrow::Keep::import_file($content, $file);
        },
    );
}

sub with_kit ($file, $use) {
    return with_content(
        $file,
        sub ($kind, $content) {
            die "$file is a sheet with a key file of proxmox-backup-client, and no kit. Next:"
                . " pveescrow import $file\n"
                if $kind eq 'key';
            return $use->($content);
        },
    );
}

1;
