package PVE::Escrow::Terminal;

use v5.36;

use PVE::Escrow::Records;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Terminal - the person at the terminal

=head1 DESCRIPTION

Speaks to F</dev/tty>, whatever standard input and output are. Words are shown on the alternate screen, which leaves
nothing behind to scroll back to.

=head1 FUNCTIONS

=over

=item new()

Opens the terminal. Dies if there is none.

=item ask($prompt)

A line, as typed.

=item ask_hidden($prompt)

A line that does not show.

=item ask_code($what)

A recovery code, word by word or several at once; a word that can't be one is named at once.

=item show_code($seal, $what)

Shows a new code until Enter is pressed.

=back

=cut

my ($ALTERNATE, $NORMAL) = ("\e[?1049h\e[H\e[2J", "\e[H\e[2J\e[3J\e[?1049l");

sub new ($class) {
    open(my $tty, '+<:encoding(UTF-8)', '/dev/tty')
        or die "there is no terminal to ask on: give --code-file FILE, or '-' for standard input\n";
    $tty->autoflush(1);
    return bless { tty => $tty }, $class;
}

sub show ($self, $text) {
    print { $self->{tty} } $text;
    return;
}

sub ask ($self, $prompt) {
    $self->show($prompt);
    my $line = readline($self->{tty}) // die "given up at the prompt\n";
    chomp($line);
    return $line;
}

my sub quiet ($self, $use) {
    require POSIX;
    my $fd = fileno($self->{tty});
    my $termios = POSIX::Termios->new();
    $termios->getattr($fd);
    my $flags = $termios->getlflag();
    my $echo = sub ($on) {
        $termios->setlflag($on ? $flags : $flags & ~POSIX::ECHO());
        $termios->setattr($fd, POSIX::TCSANOW());
    };
    local @SIG{qw(INT TERM)} = (sub { die "interrupted\n" }) x 2;
    $echo->(0);
    my $result = eval { $use->() };
    my $err = $@;
    $echo->(1);
    die $err if $err;
    return $result;
}

sub ask_hidden ($self, $prompt) {
    my $line = quiet($self, sub { return $self->ask($prompt) });
    $self->show("\n");
    return $line;
}

# the check characters tell a mistyped word before the slow derivation, but are not needed
my sub ask_check ($self, $code) {
    my $check = $self->ask('  check characters (Enter if you have none): ');
    return $code if $check !~ m/\S/;
    PVE::RS::Escrow::read_code({ code => "$code $check" });
    return $code;
}

sub ask_code ($self, $what) {
    $self->show("The ten words for $what: one at a time, or several in a line.\n");
    my $typed = '';
    my $count = 0;
    while (1) {
        my $line = $self->ask(sprintf('  word %2d: ', $count + 1));
        next if $line !~ m/\S/;
        my $read = eval { PVE::RS::Escrow::read_code({ code => "$typed $line" }) };
        if (!$read) {
            $self->show("    $@");
            next;
        }
        ($typed, $count) = (join(' ', $read->{words}->@*), scalar($read->{words}->@*));
        next if !$read->{complete};
        return $read->{checked} ? $typed : ask_check($self, $typed);
    }
    return;
}

my sub numbered ($code) {
    my @words = split(m/ /, $code);
    return join(
        '',
        map { sprintf("  %2d. %-16s  %2d. %s\n", $_ + 1, $words[$_], $_ + 6, $words[$_ + 5]) }
            0 .. 4
    );
}

sub show_code ($self, $seal, $what) {
    my $short = PVE::Escrow::Records::short($seal->{fingerprint});
    my $done = 0;
    local @SIG{qw(INT TERM HUP)} = (sub { die "interrupted\n" }) x 3;
    $self->show($ALTERNATE);
    eval {
        $self->show("The recovery code of $what, key $short.\n"
                . "It is shown this once. Write it down now, on paper, and keep it away from this cluster.\n\n"
                . numbered($seal->{code})
                . "\n  check characters: $seal->{check}\n\n");
        $self->ask('Press Enter when it is written down; the words are then asked back. ');
        $done = 1;
    };
    my $err = $@;
    $self->show($NORMAL);
    die $err if !$done;
    return;
}

1;
