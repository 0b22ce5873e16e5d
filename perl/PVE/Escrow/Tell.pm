package PVE::Escrow::Tell;

use v5.36;

use JSON::PP ();
use POSIX ();

=head1 NAME

PVE::Escrow::Tell - say what happened to a key, where it will be read

=head1 DESCRIPTION

In the system's log always; on standard error for those who use a command; as a notification of Proxmox VE; and in
F</var/lib/pve-escrow/events.json>, the last hundred, for the panel. None of them may fail what it is about.

=head1 FUNCTIONS

=over

=item report($severity, $text)

C<$severity> is C<notice>, C<warning> or C<error>. The text ends with the next command to run.

=item report_events(@events)

The same for what C<PVE::Escrow::Keep::look> has found.

=item recent()

The last events, oldest first: C<time>, C<severity>, C<text>.

=back

=cut

my $FILE = '/var/lib/pve-escrow/events.json';
my $MOST = 100;

my $JSON = JSON::PP->new->canonical->utf8;

my sub is_cli () {
    my $type = eval { PVE::RPCEnvironment->get()->{type} } // '';
    return $type eq 'cli' || -t STDERR;
}

my sub remember ($severity, $text) {
    my @events = (recent(), {
        severity => $severity, text => $text, time => POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime()),
    });
    splice(@events, 0, @events - $MOST) if @events > $MOST;
    mkdir('/var/lib/pve-escrow', 0700);
    open(my $fh, '>', "$FILE.$$") or return;
    print {$fh} $JSON->encode(\@events);
    close($fh) && chmod(0600, "$FILE.$$") && rename("$FILE.$$", $FILE);
    return;
}

sub recent () {
    open(my $fh, '<', $FILE) or return;
    local $/;
    my $events = eval { $JSON->decode(<$fh>) };
    return ref($events) eq 'ARRAY' ? @$events : ();
}

my sub notify ($severity, $text) {
    return if $severity eq 'notice' || !PVE::Notify->can($severity);
    PVE::Notify->can($severity)->(
        'pve-escrow-event', { text => $text }, { type => 'pve-escrow', severity => $severity },
    );
    return;
}

sub report ($severity, $text) {
    print STDERR "pve-escrow: $text\n" if is_cli();
    my $level = { notice => 'info', warning => 'warning', error => 'err' }->{$severity};
    eval { PVE::SafeSyslog::syslog($level, '%s', "pve-escrow: $text") };
    eval { remember($severity, $text) };
    eval { notify($severity, $text) };
    return;
}

my sub in_words ($event) {
    my $file = $event->{file};
    return ('notice', "$file is a new key, kept as $event->{name}. Next: pveescrow status") if $event->{type} eq 'new';
    my $what = $event->{type} eq 'gone' ? 'is gone' : 'holds another key now';
    my $next = defined($event->{storage}) ? "pveescrow recover $event->{storage}" : 'pveescrow keys';
    return ('warning', "$file $what. The one before is kept as $event->{was}. If nobody meant it: $next");
}

sub report_events (@events) {
    report(in_words($_)) for @events;
    return;
}

1;
