package PVE::PTY;

# Stand-in for tests: a line from the terminal that does not show.

use v5.36;

sub read_password ($prompt, $infd = undef, $outfd = undef) {
    open(my $tty, '+<', '/dev/tty') or die "cannot open terminal: $!\n";
    print {$tty} $prompt;
    my $line = <$tty> // die "aborted\n";
    chomp($line);
    return $line;
}

1;
