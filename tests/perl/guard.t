#!/usr/bin/perl -T

# Every way in which Proxmox VE, or somebody on the node, loses a key: its bytes are somewhere, and that place has a name.

use v5.36;

use Digest::SHA qw(sha256_hex);
use POSIX ();
use Test::More;

use lib 'tests/lib';
use Escrow::Test::Tree qw(fill_disk fresh key_vector read_only slurp spew storage_cfg unfill_disk);

use PVE::Storage;
use PVE::PBSClient;
use PVE::API2::Storage::Config;
use PVE::Storage::Custom::EscrowPlugin;
use PVE::Escrow::Guard;
use PVE::Escrow::Keep;

my $LIVE = slurp(key_vector('live.enc'));
my $OTHER = slurp(key_vector('other.enc'));
my $DIR = '/etc/pve/priv/storage';
my $FILE = "$DIR/backup1.enc";
my @PLACES = ('/etc/pve/priv/escrow/kept', '/var/lib/pve-escrow/kept');
my $CONFIG = 'PVE::API2::Storage::Config';

# a client that makes a new key, and one that fails
my $BIN = '/run/bin';
mkdir($BIN);
$ENV{PATH} = "$BIN:$ENV{PATH}";
spew("$BIN/proxmox-backup-client", <<'SH');
#!/bin/sh
[ ! -e /run/client-fails ] || exit 1
for file; do :; done
umask 077
printf '{"kdf":null,"created":"2026-01-01T00:00:00+00:00","modified":"2026-01-01T00:00:00+00:00","data":"%s","fingerprint":null}' \
    "$(head -c 32 /dev/urandom | base64)" >"$file"
SH
chmod(0755, "$BIN/proxmox-backup-client");

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

for my $way (@WAYS) {
    my ($title, $before, $lose) = @$way;
    for my $content (['a key', $LIVE], ['what is no key', "rubbish\n"]) {
        quietly(sub { set_up($before, $content->[1]) });
        quietly($lose);
        isnt(eval { slurp($FILE) } // '', $content->[1], "$title: it is lost") if $title !~ m/activation|client fails/;
        ok(is_kept($content->[1]), "$title: $content->[0] is kept");
    }
}

# whatever the disk or the cluster does: the bytes are where they were, or kept, and then the name was told
my sub survives ($title) {
    my $there = (eval { slurp($FILE) } // '') eq $LIVE || (eval { slurp("$FILE.old") } // '') eq $LIVE;
    return ok($there || is_kept($LIVE), $title);
}

for my $way (@WAYS) {
    my ($title, $before, $lose) = @$way;

    quietly(sub { set_up($before) });
    fill_disk('/etc/pve', '/var/lib');
    quietly($lose);
    unfill_disk('/etc/pve', '/var/lib');
    survives("$title, both disks full");

    quietly(sub { set_up($before) });
    fill_disk('/etc/pve');
    quietly($lose);
    unfill_disk('/etc/pve');
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
        select(undef, undef, undef, $round * 0.0007);
        kill('KILL', $pid);
        waitpid($pid, 0);
        my $there = grep { (eval { slurp($_) } // '') eq $LIVE } $FILE, "$FILE.old";
        $lost++ if !$there && !is_kept($LIVE);
    }
    is($lost, 0, "$title, killed in between");
    rmdir for glob('/etc/pve/priv/lock/*');
}

# refused means refused
set_up(undef);
fill_disk('/etc/pve', '/var/lib');
my $refused = quietly(sub { delete_storage() });
unfill_disk('/etc/pve', '/var/lib');
like($refused, qr/refused, since a key could be lost: cannot keep \Q$FILE\E: .*full|No space/s, 'it says why');
is(slurp($FILE), $LIVE, 'and nothing was removed');

my $state = PVE::Escrow::Guard::state_of_hooks();
is_deeply($state, { armed => 1, missing => [] }, 'all functions are wrapped');

# once, however often it is asked for
my $hook = \&PVE::Storage::PBSPlugin::on_delete_hook;
PVE::Escrow::Guard::arm();
is(\&PVE::Storage::PBSPlugin::on_delete_hook, $hook, 'arming again changes nothing');

# a storage without a key goes its way
set_up(undef);
unlink($FILE);
is(quietly(sub { delete_storage() }), '', 'without a key there is nothing to keep');

done_testing();
