#!/usr/bin/perl -T

# Every way in which Proxmox VE, or somebody on the node, loses a key: its bytes are somewhere, and that place has a name.

use v5.36;

use Digest::SHA qw(sha256_hex);
use Cwd ();
use File::Basename ();
use POSIX ();
use Test::More;
use Time::HiRes ();

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

use PVE::Storage;
use PVE::PBSClient;
use PVE::API2::Storage::Config;
use PVE::Storage::Custom::EscrowPlugin;
use PVE::Escrow::Guard;
use PVE::Escrow::Keep;
use PVE::Escrow::Tell;

my $LIVE = key('live.enc');
my $OTHER = key('other.enc');
my $DIR = '/etc/pve/priv/storage';
my $FILE = "$DIR/backup1.enc";
my @PLACES = ('/etc/pve/priv/escrow/kept', '/var/lib/pve-escrow/kept');
my $CONFIG = 'PVE::API2::Storage::Config';

my sub is_kept ($bytes) {
    my $name = sha256_hex($bytes);
    return grep { -e "$_/$name.enc" && slurp("$_/$name.enc") eq $bytes } @PLACES;
}

my sub delete_storage () {
    $CONFIG->delete({ storage => 'backup1' });
    return;
}

my sub add (%param) {
    $CONFIG->create({
        storage => 'backup1', type => 'pbs', server => 'backup.example', datastore => 'store1',
        username => 'root@pam', %param,
    });
    return;
}

my sub update (%param) {
    $CONFIG->update({ storage => 'backup1', %param });
    return;
}

my sub client () {
    return PVE::PBSClient->new({}, 'backup1');
}

my sub orphan () {
    storage_cfg();
    return;
}

my sub unreachable () {
    storage_cfg(backup1 => { server => 'unreachable.example' });
    return;
}

my sub failing_client ($code) {
    spew('/run/client-fails', '');
    eval { $code->() };
    unlink('/run/client-fails');
    return;
}

# title, what was set up before, what is done; it may fail, as it does with Proxmox VE
my @WAYS = (
    ['the storage is removed', undef, sub { delete_storage() }],
    ['a new key is made', undef, sub { update('encryption-key' => 'autogen') }],
    ['a key is uploaded over it', undef, sub { update('encryption-key' => $OTHER) }],
    ['the key is removed from the storage', undef, sub { update(delete => 'encryption-key') }],
    [
        'removed and replaced at once', undef,
        sub { update(delete => 'encryption-key', 'encryption-key' => $OTHER) },
    ],
    ['a storage is added over an orphaned key', \&orphan, sub { add() }],
    [
        'added with a master key and no key', \&orphan,
        sub { add('master-pubkey' => 'bWFzdGVy') },
    ],
    ['added with a new key', \&orphan, sub { add('encryption-key' => 'autogen') }],
    [
        'an upload over an orphan whose activation fails',
        \&orphan, sub { add('encryption-key' => $OTHER, server => 'unreachable.example') },
    ],
    [
        'autogen, a failure, autogen again: .enc.old is overwritten',
        undef,
        sub {
            failing_client(sub { update('encryption-key' => 'autogen') });
            update('encryption-key' => 'autogen');
            update('encryption-key' => 'autogen');
        },
    ],
    ['the client library writes', undef, sub { client()->set_encryption_key($OTHER) }],
    ['the client library deletes', undef, sub { client()->delete_encryption_key() }],
    ['the client library makes one', undef, sub { client()->autogen_encryption_key() }],
    [
        'the function that deletes', undef,
        sub { PVE::Storage::PBSPlugin::pbs_delete_encryption_key({}, 'backup1') },
    ],
    [
        'the function that writes', undef,
        sub { PVE::Storage::PBSPlugin::pbs_set_encryption_key({}, 'backup1', $OTHER) },
    ],
    ['rm, after a look', sub { PVE::Escrow::Keep::look() }, sub { unlink($FILE) }],
    [
        'a restored cluster database, after a look', sub { PVE::Escrow::Keep::look() },
        sub { unlink($FILE); unlink(glob("$PLACES[0]/*")) },
    ],
);

my sub set_up ($before, $bytes = $LIVE) {
    fresh();
    storage_cfg(backup1 => { 'encryption-key' => '1' });
    spew($FILE, $bytes);
    $before->() if $before;
    return;
}

my sub quietly ($code) {
    local $SIG{__WARN__} = sub { };
    open(my $stderr, '>&', \*STDERR) or die "$!\n";
    open(STDERR, '>', '/dev/null') or die "$!\n";
    my $done = eval { $code->(); 1 };
    my $err = $@;
    open(STDERR, '>&', $stderr) or die "$!\n";
    return $done ? '' : $err;
}

# first, while nothing has loaded it yet
my $pid = fork() // die "fork: $!\n";
if (!$pid) {
    unshift(@INC, sub ($self, $file) { $file eq 'PVE/RS/Escrow.pm' ? die "gone\n" : () });
    my $lost = 0;
    for my $way (@WAYS) {
        my ($title, $before, $lose) = @$way;
        quietly(sub { set_up($before) });
        quietly($lose);
        $lost++ if !is_kept($LIVE);
    }
    POSIX::_exit($lost || ($INC{'PVE/RS/Escrow.pm'} ? 1 : 0));
}
waitpid($pid, 0);
is($? >> 8, 0, 'each of them, without the library: nothing is lost');

for my $way (@WAYS) {
    my ($title, $before, $lose) = @$way;
    for my $content (['a key', $LIVE], ['what is no key', "rubbish\n"]) {
        quietly(sub { set_up($before, $content->[1]) });
        quietly($lose);
        isnt(eval { slurp($FILE) } // '', $content->[1], "$title: it is lost")
            if $title !~ m/activation|client fails/;
        ok(is_kept($content->[1]), "$title: $content->[0] is kept");
    }
}

# whatever the disk or the cluster does: the bytes are where they were, or kept, and then the name was told
my sub survives ($title) {
    my $there =
        (eval { slurp($FILE) } // '') eq $LIVE || (eval { slurp("$FILE.old") } // '') eq $LIVE;
    return ok($there || is_kept($LIVE), $title);
}

for my $way (@WAYS) {
    my ($title, $before, $lose) = @$way;

    quietly(sub { set_up($before) });
    fill();
    quietly($lose);
    unfill();
    survives("$title, both disks full");

    quietly(sub { set_up($before) });
    fill('/etc/pve');
    quietly($lose);
    unfill();
    survives("$title, the cluster's file system full");

    quietly(sub { set_up($before) });
    read_only(1);
    quietly($lose);
    read_only(0);
    survives("$title, no quorum");
}

# killed after so many milliseconds: from nothing done to all done
for my $way (@WAYS) {
    my ($title, $before, $lose) = @$way;
    my $lost = 0;
    for my $round (0 .. 11) {
        quietly(sub { set_up($before) });
        my $pid = fork() // die "fork: $!\n";
        if (!$pid) {
            open(STDERR, '>', '/dev/null');
            eval { $lose->() };
            POSIX::_exit(0);
        }
        Time::HiRes::usleep($round * 700);
        kill('KILL', $pid);
        waitpid($pid, 0);
        my $there = grep {
            (eval { slurp($_) } // '') eq $LIVE
        } $FILE, "$FILE.old";
        $lost++ if !$there && !is_kept($LIVE);
    }
    is($lost, 0, "$title, killed in between");
    rmdir for map { m/^(.*)$/ } glob('/etc/pve/priv/lock/*');
}

# refused means refused
set_up(undef);
fill();
my $refused = quietly(sub { delete_storage() });
unfill();
like(
    $refused, qr/refused, since a key could be lost: cannot keep \Q$FILE\E.*No space/s,
    'it says why'
);
is(slurp($FILE), $LIVE, 'and nothing was removed');

my $state = PVE::Escrow::Guard::state();
is($state->{armed}, 1, 'armed');
is_deeply($state->{missing}, [], 'all functions are wrapped');
is(
    $state->{hooks}->{'PVE::Storage::PBSPlugin::on_update_hook_full'}, 'absent',
    'but for what is inherited'
);

subtest 'whoever calls them notices nothing' => sub {
    set_up(undef);
    my $plugin = 'PVE::Storage::PBSPlugin';
    is(prototype($plugin->can('on_delete_hook')), undef, 'no prototype where there was none');

    my $scfg = { 'encryption-key' => 'x' };
    $plugin->on_delete_hook('backup1', $scfg);
    ok(!exists($scfg->{'encryption-key'}), 'arguments are the same ones, not copies');

    my @list = $plugin->on_delete_hook('backup1', {});
    is_deeply(\@list, [], 'a list');
    my $scalar = $plugin->on_delete_hook('backup1', {});
    is($scalar, undef, 'a scalar');
    like(
        quietly(sub { $plugin->on_add_hook('backup1', {}, 'master-pubkey' => 'YQ==') }),
        qr/^'master-pubkey' can only be used together with 'encryption-key'$/,
        'its error, as it was',
    );
};

subtest 'what the user is told' => sub {
    my sub told ($code) {
        set_up(undef);
        quietly(sub { PVE::Escrow::Keep::look() });
        my $before = PVE::Escrow::Tell::recent_events();
        quietly($code);
        my @events = PVE::Escrow::Tell::recent_events();
        splice(@events, 0, $before);
        return map { "$_->{type} $_->{file}" } @events;
    }
    is_deeply([told(sub { delete_storage() })], ['gone backup1.enc'], 'a key is gone');
    is_deeply(
        [told(sub { update('encryption-key' => $OTHER) })], ['changed backup1.enc'],
        'replaced'
    );
    is_deeply(
        [told(sub { update('encryption-key' => 'autogen') })], ['changed backup1.enc'],
        'made anew'
    );
    is_deeply([told(sub { update(port => 8008) })], [], 'what is not about keys');
    is_deeply(
        [told(sub { delete_storage(); PVE::Escrow::Keep::look() })], ['gone backup1.enc'],
        'the next look does not say it again',
    );
    my ($event) = (PVE::Escrow::Tell::recent_events())[-1];
    like($event->{text}, qr/kept as [0-9a-f]{64}/, 'where it is');
    is($event->{next}, 'pveescrow keys', 'and what to do');
};

subtest 'keys of the client library elsewhere' => sub {
    set_up(undef);
    spew('/run/secrets/backup1.enc', $OTHER);
    PVE::PBSClient->new({}, 'backup1', '/run/secrets')->delete_encryption_key();
    ok(!-e '/run/secrets/backup1.enc', 'removed');
    ok(is_kept($OTHER), 'and kept');
    is(slurp($FILE), $LIVE, 'that of the storage is untouched');
};

# once, however often it is asked for
my $hook = \&PVE::Storage::PBSPlugin::on_delete_hook;
PVE::Escrow::Guard::arm();
is(\&PVE::Storage::PBSPlugin::on_delete_hook, $hook, 'arming again changes nothing');

# a storage without a key goes its way
set_up(undef);
unlink($FILE);
is(quietly(sub { delete_storage() }), '', 'without a key there is nothing to keep');

done_testing();
