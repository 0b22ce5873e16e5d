package Escrow::Test::Tool;

use v5.36;

use Exporter qw(import);
use IPC::Open3 ();

use Escrow::Test::Tree;

our @EXPORT_OK = qw(@TOOL on_terminal pveescrow run_with);

=head1 NAME

Escrow::Test::Tool - pveescrow, as an admin runs it

=head1 DESCRIPTION

Runs it in the tree of L<Escrow::Test::Tree>, as a program of its own, with the same modules as the test.

=head1 FUNCTIONS

=over

=item pveescrow(@arguments)

Without input. Returns its exit C<code>, and all that it said, on standard error too, as C<out>.

=item on_terminal($typed, @arguments)

On a terminal of its own, where this is typed.

=item run_with($input, @command)

The same of any command, C<@TOOL> for one.

=back

=cut

my ($perl) = $^X =~ m/^(.*)$/;
my @modules = map { m/^(.*)$/ } split(m/:/, $ENV{PVE_PERL5LIB} // '');
our @TOOL = (
    $perl, '-T', map({ "-I$_" } "$ROOT/perl", @modules ? @modules : "$ROOT/tests/pve"),
    "$ROOT/perl/bin/pveescrow",
);

sub run_with ($input, @command) {
    spew('/run/stdin', $input);
    open(my $stdin, '<', '/run/stdin') or die "open '/run/stdin': $!\n";
    my $pid = IPC::Open3::open3('<&' . fileno($stdin), my $out, undef, @command);
    local $/ = undef;
    my $said = readline($out) // '';
    waitpid($pid, 0);

    # what the modules of Proxmox VE say where there is no system log
    return { code => $? >> 8, out => $said =~ s/^setlogsock.*\n//mgr };
}

sub pveescrow (@arguments) {
    return run_with('', @TOOL, @arguments);
}

sub on_terminal ($typed, @arguments) {
    my $command = join(' ', map { "'$_'" } @TOOL, @arguments);
    return run_with($typed, qw(script --quiet --return --command), $command, '/dev/null');
}

1;
