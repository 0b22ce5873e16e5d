package PVE::SafeSyslog;

# Stand-in for tests: the log is a file.

use v5.36;

use Exporter qw(import);

our @EXPORT = qw(syslog initlog); ## no critic (ProhibitAutomaticExportation)

sub initlog ($ident, @) {
    return;
}

sub syslog ($level, $format, @args) {
    open(my $fh, '>>', '/var/log/syslog') or return;
    print {$fh} "$level: ", (@args ? sprintf($format, @args) : $format), "\n";
    return;
}

1;
