package PVE::Escrow::Apart;

use v5.36;

use IO::Select ();
use JSON ();
use POSIX ();
use Time::HiRes ();

=head1 NAME

PVE::Escrow::Apart - what may hang, each in a process apart

=head1 DESCRIPTION

A call to a file system on the network may never return, and its process can't be killed then. So it is made by a child,
and whoever waits for it goes on after a time limit.

=head1 FUNCTIONS

=over

=item run($jobs, $seconds)

Runs all jobs at once, each a function in a child of its own. Returns for each C<value>, what it returned, or C<error>. What
a job returns has to be a reference that JSON can hold. A child has no open files of its parent, so one that is left
behind holds up nobody.

=back

=cut

my $MAX_BYTES = 64 * 1024 * 1024;

# children that did not end when they were killed
my @LEFT;

my sub now () {
    return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC());
}

# Else a child that hangs would keep a port, a lock or a pipe of its parent. Not closed: Perl counts who uses a number, and
# would not close what gets it next.
my sub let_go_of_all_but ($pipe) {
    my $null = POSIX::open('/dev/null', POSIX::O_RDWR()) // die "cannot open /dev/null: $!\n";
    opendir(my $dh, '/proc/self/fd') or die "cannot open /proc/self/fd: $!\n";
    my @open = map { m/^([0-9]+)$/ } readdir($dh);
    closedir($dh);
    POSIX::dup2($null, $_) for grep { $_ != $null && $_ != fileno($pipe) } @open;
    return;
}

my sub work ($job, $pipe) {
    setpgrp();
    local @SIG{qw(HUP INT PIPE TERM)} = ('DEFAULT') x 4;
    my $said = {};
    eval {
        let_go_of_all_but($pipe);
        $said->{value} = $job->();
        1;
    } or $said->{error} = "$@" =~ s/\s+\z//r;
    print {$pipe} JSON->new->utf8->encode($said);
    close($pipe);
    return;
}

my sub start ($job) {
    pipe(my $out, my $in) or die "pipe: $!\n";
    my $pid = fork() // die "fork: $!\n";
    if (!$pid) {
        eval { work($job, $in) };
        POSIX::_exit(0);
    }
    close($in);
    return { pid => $pid, pipe => $out, bytes => '' };
}

my sub read_until ($children, $until) {
    my %by_pipe = map { fileno($_->{pipe}) => $_ } @$children;
    my $select = IO::Select->new(map { $_->{pipe} } @$children);
    while ($select->count && (my $left = $until - now()) > 0) {
        for my $pipe ($select->can_read($left)) {
            my $child = $by_pipe{ fileno($pipe) };
            my $read = sysread($pipe, $child->{bytes}, 65536, length($child->{bytes}));
            next if $read && length($child->{bytes}) <= $MAX_BYTES;
            $child->{ended} = 1;
            $select->remove($pipe);
        }
    }
    return;
}

my sub reap () {
    @LEFT = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @LEFT;
    return;
}

my sub wait_for_ends ($turns) {
    for (1 .. $turns) {
        reap();
        last if !@LEFT;
        Time::HiRes::usleep(5_000);
    }
    return;
}

# what hangs in the kernel is not gone yet when this returns
my sub finish (@children) {
    push @LEFT, map { $_->{pid} } @children;
    my @late = grep { !$_->{ended} } @children;
    if (@late) {
        # who has children in groups of their own ends them
        kill('TERM', map { $_->{pid} } @late);
        wait_for_ends(40);
        kill('KILL', map { (-$_->{pid}, $_->{pid}) } @late);
    }
    wait_for_ends(20);
    return;
}

my sub result ($child, $seconds) {
    return { error => "no answer within $seconds seconds" } if !$child->{ended};
    return
        eval { JSON->new->utf8->decode($child->{bytes}) }
        // { error => 'the process that was to do it ended before it was done' };
}

sub run ($jobs, $seconds) {
    local $SIG{CHLD} = 'DEFAULT';
    my %children;
    my %results;
    for my $name (sort keys %$jobs) {
        eval { $children{$name} = start($jobs->{$name}); 1 }
            or $results{$name} = { error => $@ =~ s/\s+\z//r };
    }
    read_until([values %children], now() + $seconds);
    finish(values %children);
    return { %results, map { $_ => result($children{$_}, $seconds) } keys %children };
}

1;
