package PVE::CLIHandler;

# Stand-in for tests: finds the method of a command and prints what it returns.

use v5.36;

use PVE::RESTHandler;

use parent qw(PVE::RESTHandler);

our $exename = 'pveescrow'; ## no critic (ProhibitPackageVars)

sub get_standard_mapping ($name, $base = {}) {
    my $std = { 'pve-password' => { name => 'password', interactive => 1 } }->{$name}
        // die "no such standard mapping '$name'\n";
    return { %$std, %$base };
}

my sub resolve ($cmddef, $args) {
    my ($def, @words) = ($cmddef);
    while (ref($def) eq 'HASH') {
        my $word = shift(@$args) // '';
        my @found = defined($def->{$word}) ? $word : grep { index($_, $word) == 0 } sort keys %$def;
        if ($word eq '' || @found != 1) {
            print STDERR "ERROR: unknown command '" . join(' ', @words, $word) . "'\n";
            exit(255);
        }
        push @words, $found[0];
        $def = $def->{ $found[0] };
    }
    return ($def, join(' ', @words));
}

sub run_cli_handler ($class, %params) {
    my $cmddef = do { no strict 'refs'; ${"${class}::cmddef"} }; ## no critic (ProhibitNoStrict)

    # the real one sets it, and the stand-in for the client is elsewhere
    ($ENV{PATH}) = $ENV{PATH} =~ m/^(.*)$/;                      ## no critic (RequireLocalizedPunctuationVars)
    $class->setup_environment();
    $params{prepare}->() if $params{prepare};
    my ($def, $command) = resolve($cmddef, \@ARGV);
    my ($handler, $name, $args, $fixed, $print, $formatter) = @$def;
    my $mapping = $class->can('param_mapping');
    my ($result, $options) = $handler->cli_handler(
        $command, $name, \@ARGV, $args, $fixed, $mapping, $formatter,
    );
    my $schema = $handler->map_method_by_name($name)->{returns};
    $print->($result, $schema, $options) if $print;
    exit(0);
}

1;
