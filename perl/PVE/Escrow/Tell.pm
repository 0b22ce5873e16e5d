package PVE::Escrow::Tell;

use v5.36;

use Fcntl qw(LOCK_EX LOCK_NB O_CREAT O_EXCL O_NOFOLLOW O_RDONLY O_WRONLY);
use POSIX ();
use Time::HiRes ();

=head1 NAME

PVE::Escrow::Tell - say what happened to a key, once and to everybody

=head1 SYNOPSIS

    PVE::Escrow::Tell::tell({ type => 'gone', file => 'vault.enc', storage => 'vault', name => $sha256 });

=head1 DESCRIPTION

The one place that tells. To a person at a terminal or in a CLI on stderr; to the system log always; as a notification
if Proxmox VE's module for that is loaded; in the evidence; and in F</var/lib/pve-escrow/events.json>, for status and panel. Nothing in here
ever dies: what cannot be told must not keep a key from being kept.

=head1 FUNCTIONS

=over

=item tell(@events)

Each event is a hash with C<type>: C<new>, C<changed>, C<gone>, C<unkept> (a file that could not be kept, with C<why>);
C<file>, its name; C<storage>; C<name> of the kept key that it is about now, and C<was>, of the one before.

=item text($event)

The event in words, with the next command.

=item note($text)

Only to the log, and on stderr to a person.

=item inform($text)

Only to the log, where it is no warning.

=item recent_events()

The last ones that were told, oldest first: the members of the event, C<text>, C<next> and C<time>.

=back

=cut

my $EVENTS = '/var/lib/pve-escrow/events.json';
my $LOCK = '/var/lib/pve-escrow/events.lock';
my $MAX_EVENTS = 100;
my $MAX_BYTES = 1024 * 1024;

my sub is_old ($event) {
    return ($event->{file} // '') =~ m/\.old\z/;
}

my sub subject ($event) {
    my $storage = $event->{storage} // '?';
    return is_old($event) ? "storage '$storage', older key" : "storage '$storage'";
}

my sub where_kept ($event) {
    return "no copy of it is kept: is it on paper, or on another node?" if $event->{lost};
    return "it is kept as $event->{was}, and old backups need it";
}

my $TEXTS = {
    new => sub ($event) {
        my $next = is_old($event) ? 'pveescrow keys' : "pveescrow create $event->{storage}";
        return ("a key file was found, and is kept as $event->{name}", $next);
    },
    changed => sub ($event) {
        return (
            "there is another key now. The former one: " . where_kept($event),
            "pveescrow create $event->{storage}",
        );
    },
    gone => sub ($event) {
        return ('the key was removed: ' . where_kept($event), 'pveescrow keys');
    },
    unkept => sub ($event) {
        return (
            'the key file can\'t be kept: ' . ($event->{why} =~ s/\s+\z//r),
            'pveescrow doctor'
        );
    },
};

my $EVIDENCE = {
    new => 'key-kept', changed => 'key-changed', gone => 'key-gone', unkept => 'key-unkept',
};

# what happened, and the command
my sub describe ($event) {
    my $code = $TEXTS->{ $event->{type} }
        // sub ($other) { return ($other->{type}, 'pveescrow status') };
    my ($what, $next) = $code->($event);
    return (subject($event) . ": $what.", $next);
}

sub text ($event) {
    my ($what, $next) = describe($event);
    return "$what Next: $next";
}

my sub person_listens () {
    my $rpcenv = $INC{'PVE/RPCEnvironment.pm'} ? eval { PVE::RPCEnvironment::get() } : undef;
    return 1 if $rpcenv && ref($rpcenv) && ($rpcenv->{type} // '') eq 'cli';
    return -t STDERR; ## no critic (ProhibitInteractiveTest) - nothing to install for that
}

my sub to_log ($priority, $line) {
    local $@;
    eval {
        require Sys::Syslog;
        Sys::Syslog::syslog($priority, '%s', "pve-escrow: $line");
    };
    return;
}

sub inform ($text) {
    to_log('info', $text);
    return;
}

sub note ($text) {
    my $line = $text =~ s/[\s\0]+/ /gr =~ s/ \z//r;
    to_log('warning', $line);
    print STDERR "pve-escrow: $line\n" if person_listens();
    return;
}

# a line of the evidence; what could not be kept or is lost is no success
my sub write_down ($event, $what) {
    require PVE::Escrow::Evidence;
    PVE::Escrow::Evidence::add(
        $EVIDENCE->{ $event->{type} } // $event->{type},
        storage => $event->{storage},
        kept => $event->{name} // $event->{was},
        result => $event->{lost} || $event->{type} eq 'unkept' ? 'error' : 'ok',
        text => $what,
    );
    return;
}

my sub notify ($event, $text) {
    return if $event->{type} eq 'new';
    my $send = $INC{'PVE/Notify.pm'} ? PVE::Notify->can('warning') : undef;
    return if !$send;
    local $@;
    eval {
        my ($node) = (POSIX::uname())[1] =~ m/^([^.]+)/;
        my %more =
            (text => $text, node => $node, evidence => PVE::Escrow::Evidence::head_text());
        my $data = { %$event, %more };
        my $fields = { type => 'pve-escrow', hostname => $node };
        $send->("pve-escrow-$event->{type}", $data, $fields);
    };
    return;
}

my sub read_events () {
    sysopen(my $fh, $EVENTS, O_RDONLY | O_NOFOLLOW) or return [];
    sysread($fh, my $bytes, $MAX_BYTES) or return [];
    require JSON::PP;
    my $events = eval { JSON::PP::decode_json($bytes) };
    return ref($events) eq 'ARRAY' ? [grep { ref($_) eq 'HASH' } @$events] : [];
}

sub recent_events () {
    local $@;
    return read_events()->@*;
}

my sub locked ($code) {
    mkdir('/var/lib/pve-escrow', oct(700));
    sysopen(my $lock, $LOCK, O_WRONLY | O_CREAT | O_NOFOLLOW, oct(600)) or return;
    # others hold it for a moment only; nobody waits long for a list of events
    for (1 .. 50) {
        return $code->() if flock($lock, LOCK_EX | LOCK_NB);
        Time::HiRes::usleep(20_000);
    }
    return;
}

my sub remember (@told) {
    locked(sub {
        my $events = [read_events()->@*, @told];
        splice(@$events, 0, @$events - $MAX_EVENTS) if @$events > $MAX_EVENTS;
        my $temporary = "$EVENTS.tmp";
        unlink($temporary);
        require JSON::PP;
        my $bytes = JSON::PP->new->canonical->utf8->encode($events);
        sysopen(my $fh, $temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, oct(600))
            or return;
        my $written = syswrite($fh, $bytes) // 0;
        my $complete = $written == length($bytes) && close($fh);

# in a statement of its own: what was read is tainted, and so is all that is said in one breath with it
        return $complete ? rename($temporary, $EVENTS) : unlink($temporary);
    });
    return;
}

sub tell (@events) { ## no critic (ProhibitBuiltinHomonyms)
    local ($@, $!, $?);
    my @told;
    for my $event (@events) {
        eval {
            my ($what, $next) = describe($event);
            note("$what Next: $next");
            eval { write_down($event, $what) };
            notify($event, "$what Next: $next");
            push @told, { %$event, text => $what, next => $next, time => time() };
        };
    }
    eval { remember(@told) } if @told;
    return;
}

1;
