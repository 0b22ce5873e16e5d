#!/usr/bin/perl -T

# Two nodes at once, over one cluster file system with its locks: no seal is lost, no record is mixed up.

use v5.36;

use Cwd ();
use File::Basename ();
use JSON ();
use POSIX ();
use Time::HiRes ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

use PVE::Escrow::Records;
use PVE::Escrow::Recover;
use PVE::Escrow::Seal;

my $LIVE_FP =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $FILE = '/etc/pve/priv/storage/backup1.enc';
my $ROUNDS = 100;

# a record holds some ninety seals
my $ROUNDS_EACH = 10;

my sub set_up () {
    fresh();
    storage_cfg(backup1 => { 'encryption-key' => $LIVE_FP });
    put_key('backup1');
    return;
}

# one may make a seal while none is pending: the other comes after it
my sub seal ($keyfile, $label) {
    my $seal;
    while (!$seal) {
        $seal = eval { PVE::Escrow::Seal::create($keyfile, { by => 'root@pam', label => $label }) };
        next if $seal;
        die $@ if $@ !~ m/is pending since/;
        Time::HiRes::sleep(0.01);
    }
    PVE::Escrow::Seal::confirm($LIVE_FP, $seal->{id}, $seal->{code}, $keyfile);
    return $seal;
}

my sub at_once ($what) {
    my @pids;
    for my $node (qw(one two)) {
        my $pid = fork() // die "fork: $!\n";
        if (!$pid) {
            open(STDERR, '>', "/run/error.$node");
            my $done = eval { $what->($node); 1 };
            print STDERR $@ if !$done;
            POSIX::_exit($done ? 0 : 1);
        }
        push @pids, $pid;
    }
    my $failed = 0;
    for my $pid (@pids) {
        waitpid($pid, 0);
        $failed++ if $?;
    }
    return $failed ? join('', map { slurp("/run/error.$_") } qw(one two)) : '';
}

my ($wrong, $codes) = ('', {});
for my $round (1 .. $ROUNDS) {
    if ($round % $ROUNDS_EACH == 1) {
        set_up();
        $codes = {};
    }
    $wrong ||= at_once(sub ($node) {
        my $seal = seal($FILE, $node);
        spew("/run/seal.$node", JSON::encode_json($seal));
    });
    last if $wrong;
    for my $node (qw(one two)) {
        my $seal = JSON::decode_json(slurp("/run/seal.$node"));
        $codes->{ $seal->{id} } = $seal->{code};
    }
    my $record = PVE::Escrow::Records::get($LIVE_FP);
    my %stored = map { $_->{id} => $_ } $record->{seals}->@*;
    my @lost = grep { !$stored{$_} || !defined($stored{$_}->{confirmed}) } keys %$codes;
    $wrong = "round $round: lost: @lost" if @lost || keys %stored != keys %$codes;
    my @active = map { $_->{label} } PVE::Escrow::Seal::active($record);
    $wrong ||= "round $round: active: @active" if join(' ', sort @active) ne 'one two';

    unlink($FILE);
    my ($code) = values %$codes;
    $wrong ||= at_once(sub ($node) {
        PVE::Escrow::Recover::recover('backup1', { code => $code, by => 'root@pam' });
    });
    $wrong ||= "round $round: the key is not back"
        if JSON::decode_json(slurp($FILE))->{data} ne JSON::decode_json(key('live.enc'))->{data};
    last if $wrong;
}
is($wrong, '', "$ROUNDS rounds");

# each code opens the blob of its own seal, and the record is authentic
my $record = PVE::Escrow::Records::get($LIVE_FP);
my @opened = map {
    my $seal = $_;
    scalar eval {
        PVE::RS::Escrow::verify({ blob => $seal->{blob}, code => $codes->{ $seal->{id} } })
            ->{fingerprint};
    };
} $record->{seals}->@*;
is_deeply(\@opened, [($LIVE_FP) x @opened], 'no code belongs to another blob');
ok(!-e '/etc/pve/priv/lock/domain-escrow', 'no lock is left');
is(
    slurp('/etc/pve/priv/escrow/' . ($LIVE_FP =~ tr/://dr) . '.json'),
    slurp('/var/lib/pve-escrow/records/' . ($LIVE_FP =~ tr/://dr) . '.json'),
    'both copies agree'
);

done_testing();
