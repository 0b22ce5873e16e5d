package PVE::Tools;

# Stand-in for tests: files and commands.

use v5.36;

use Exporter qw(import);
use Fcntl qw(O_CREAT O_WRONLY);

our @EXPORT_OK =
    qw(file_get_contents file_read_firstline file_set_contents run_command split_list trim);

# like upstream's, it replaces what is there without a look
sub file_set_contents ($filename, $data, $perm = oct(644), $force_utf8 = 0) {
    my $temporary = "$filename.tmp.$$";
    my $done = eval {
        sysopen(my $fh, $temporary, O_WRONLY | O_CREAT, $perm)
            or die "unable to open file '$temporary' - $!\n";
        syswrite($fh, $data) // die "unable to write '$temporary' - $!\n";
        close($fh) or die "closing file '$temporary' failed - $!\n";
        chmod($perm, $temporary);
        rename($temporary, $filename) or die "rename failed - $!\n";
        1;
    };
    return if $done;
    my $err = $@;
    unlink($temporary);
    die $err;
}

sub file_get_contents ($filename, $max = undef) {
    open(my $fh, '<:raw', $filename) or die "can't open '$filename' - $!\n";
    local $/;
    return <$fh> // '';
}

sub file_read_firstline ($filename) {
    open(my $fh, '<', $filename) or return;
    my $line = <$fh>;
    chomp($line) if defined($line);
    return $line;
}

sub run_command ($command, %param) {
    open(my $pipe, '-|', @$command) or die "cannot run '$command->[0]': $!\n";
    while (my $line = <$pipe>) {
        chomp($line);
        $param{outfunc}->($line) if $param{outfunc};
    }
    close($pipe) or die(($param{errmsg} // "command '@$command' failed") . "\n");
    return 0;
}

sub split_list ($list) {
    return grep { length } split(m/[,;\s\0]+/, $list // '');
}

sub trim ($text) {
    return $text =~ s/^\s+//r =~ s/\s+\z//r;
}

1;
