#!/usr/bin/perl -T

# A process that replaces or removes a key is killed at each of its system calls that change a file: the bytes of the key are
# always somewhere, and so are those of the record.

use v5.36;

use Cwd ();
use File::Basename ();
use POSIX ();
use Test::More;
use Time::HiRes ();

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

BEGIN { install_plugin() }

use PVE::Storage;
use PVE::API2::Cluster;
use PVE::API2::Storage::Config;
use PVE::API2::Storage::Status;
use PVE::Escrow::Keep;
use PVE::Escrow::Records;
use PVE::Escrow::Seal;

plan(skip_all => 'strace may not trace here')
    if system('strace -f -o /dev/null true >/dev/null 2>&1');

my @CALLS =
    qw(fsync link linkat mkdir openat rename renameat renameat2 unlink unlinkat utimensat write);
my $LIVE = key('live.enc');
my $LIVE_FP =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $FILE = '/etc/pve/priv/storage/backup1.enc';

my sub set_up () {
    fresh();
    storage_cfg(backup1 => { username => 'root@pam', 'encryption-key' => $LIVE_FP });
    put_key('backup1');
    return;
}

# Runs $code in a child that strace kills at the N-th call of that name. Was it killed?
my sub killed ($name, $n, $code) {
    pipe(my $ready, my $go) or die "pipe: $!\n";
    my $pid = fork() // die "fork: $!\n";
    if (!$pid) {
        close($go);
        open(STDERR, '>', '/dev/null');
        sysread($ready, my $byte, 1);
        eval { $code->() };
        POSIX::_exit(0);
    }
    close($ready);
    my $tracer = fork() // die "fork: $!\n";
    if (!$tracer) {
        close($go);
        open(STDERR, '>', '/run/strace') or POSIX::_exit(1);
        exec(
            'strace', '-q', '-o', '/dev/null', '-p', $pid, '-e', "trace=$name", '-e',
            "inject=$name:signal=KILL:when=$n"
        ) or POSIX::_exit(1);
    }
    for (1 .. 1000) {
        last if slurp("/proc/$pid/status") =~ m/^TracerPid:\s+[1-9]/m;
        Time::HiRes::usleep(1000);
    }
    close($go);
    waitpid($pid, 0);
    my $status = $?;
    waitpid($tracer, 0);
    return ($status & 127) == 9;
}

my sub holds_live ($path) {
    return (eval { slurp($path) } // '') eq $LIVE;
}

my sub somewhere () {
    return grep { holds_live($_) } $FILE, "$FILE.old",
        map { m/^(.*)$/ } glob('/etc/pve/priv/escrow/kept/*.enc /var/lib/pve-escrow/kept/*.enc');
}

my sub each_call ($before, $code, $check) {
    my ($killed, @bad) = (0);
    for my $name (@CALLS) {
        for my $n (1 .. 200) {
            $before->();
            last if !killed($name, $n, $code);
            $killed++;

            # the real ones time out
            rmdir for map { m/^(.*)$/ } glob('/etc/pve/priv/lock/*');
            my $wrong = $check->();
            push @bad, "$name, $n: $wrong" if defined($wrong);
        }
    }
    return ($killed, @bad);
}

my $OTHER = key('other.enc');
my $WAYS = {
    'another key is uploaded' => sub {
        PVE::API2::Storage::Config->update({
            storage => 'backup1', 'encryption-key' => $OTHER });
    },
    'the storage is deleted' =>
        sub { PVE::API2::Storage::Config->delete({ storage => 'backup1' }) },
};

for my $way (sort keys %$WAYS) {
    my ($killed, @bad) = each_call(
        \&set_up,
        $WAYS->{$way},
        sub { return somewhere() ? undef : 'the key is nowhere' },
    );
    cmp_ok($killed, '>', 20, "$way: killed $killed times");
    is_deeply(\@bad, [], "$way: the key is always somewhere");
}

# of a record the old or the new one, and both copies can be used again
set_up();
my $seal = PVE::Escrow::Seal::create($FILE, { by => 'root@pam' });
my %before = map { $_ => slurp($_) }
    map { m/^(.*)$/ } glob('/etc/pve/priv/escrow/*.json /var/lib/pve-escrow/records/*.json');
my ($killed, @bad) = each_call(
    sub {
        set_up();
        spew($_, $before{$_}) for sort keys %before;
    },
    sub {
        PVE::Escrow::Records::change(
            $LIVE_FP,
            sub ($record) { $record->{seals}->[0]->{label} = 'changed' },
        );
    },
    sub {
        my $record = eval { PVE::Escrow::Records::get($LIVE_FP) };
        return 'no record' if !$record || $record->{seals}->[0]->{blob} eq '';
        eval { PVE::Escrow::Records::reconcile() };
        my $again = eval { PVE::Escrow::Records::get($LIVE_FP) };
        return defined($again) ? undef : 'not usable after the next look';
    },
);
cmp_ok($killed, '>', 10, "a record is changed: killed $killed times");
is_deeply(\@bad, [], 'it is the old one or the new one');

done_testing();
