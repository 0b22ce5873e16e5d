#!/usr/bin/perl -T

# Copies of kits on storages that are read-only, full, not mounted, hostile or hanging; and recovery out of them.

use v5.36;

use Cwd ();
use Digest::SHA ();
use File::Basename ();
use File::Path ();
use JSON ();
use POSIX ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;
use Escrow::Test::Tool qw(pveescrow);

BEGIN { install_plugin() }

use PVE::Storage;
use PVE::Escrow::Copies;

my $LIVE_FP =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $NAS = '/run/storage/nas';
my $NAME = qr/backup1-036b8f610cdad885-[0-9a-f]{8}\.escrow-kit\.json/;

# what is told in passing is not for the log of the tests
open(STDERR, '>', '/dev/null') if !$ENV{SHOW};

my sub mount (@arguments) {
    system {'mount'} 'mount', @arguments and die "mount @arguments: failed\n";
    return;
}

my sub tmpfs ($path, $size = '4m') {
    File::Path::make_path($path);
    mount('-t', 'tmpfs', '-o', "mode=0755,size=$size", 'pve-escrow-test', $path);
    return $path;
}

# one storage for copies, unless told
my sub set_up (%more) {
    fresh();
    tmpfs($NAS);
    storage_cfg(
        backup1 => { username => 'root@pam', 'encryption-key' => $LIVE_FP },
        nas => { type => 'dir', path => $NAS },
        %more,
    );
    spew('/etc/pve/escrow.cfg', "copies: nas\n");
    put_key('backup1');
    return;
}

my sub copies_to (@storages) {
    unlink('/etc/pve/escrow.cfg');
    spew('/etc/pve/escrow.cfg', 'copies: ' . join(',', @storages) . "\n");
    return;
}

my sub as_root ($method, $path, $param = {}) {
    return call('root@pam', $method, $path, $param);
}

my sub error_of ($code) {
    return eval { $code->(); 1 } ? 'it went through' : "$@";
}

my sub sealed ($storeid = 'backup1', %param) {
    my $seal = as_root('POST', "$storeid/escrow/create", \%param);
    my %confirm = (id => $seal->{id}, code => $seal->{code});
    my $confirmed = as_root('POST', "$storeid/escrow/confirm", \%confirm);
    return { %$seal, copies => $confirmed->{copies} };
}

my sub kits_at ($path = $NAS) {
    return map { m/^(.*)$/s } glob("$path/pve-escrow/*.json");
}

my sub write_all () {
    return (PVE::Escrow::Copies::write_all()->@*)[0];
}

my sub check ($before = []) {
    return (PVE::Escrow::Copies::check($before)->@*)[0];
}

my sub failed ($row, $expected, $title) {
    is($row->{result}, 'error', "$title: an error");
    like($row->{text}, $expected, "$title: that says what, and what to do");
    return;
}

subtest 'a directory' => sub {
    set_up();
    is(as_root('GET', 'backup1/escrow/status')->{state}, 'unsealed', 'nothing is sealed');
    is(check()->{result}, 'ok', 'nothing has to be there');
    is(write_all()->{text}, '0 kits', 'nothing is written');
    my $seal = sealed();
    is_deeply(
        $seal->{copies},
        [{ storage => 'nas', result => 'ok', text => '1 kit', outside => 1 }], 'confirm writes'
    );
    my ($file) = kits_at();
    like($file, qr{^\Q$NAS\E/pve-escrow/$NAME$}, 'named by storage, key and content');
    my $kit = JSON::decode_json(slurp($file));
    is($kit->{fingerprint}, $LIVE_FP, 'it is the kit');
    is($kit->{connection}->{server}, '192.0.2.1', 'with the connection');
    unlike(slurp($file), qr/\Q$seal->{code}\E/, 'without the code');
    is_deeply([glob("$NAS/pve-escrow/{*,.t*}")], [$file], 'and nothing else');

    my $first = slurp($file);
    my $row = write_all();
    is($row->{result}, 'ok', 'again');
    is(slurp($file), $first, 'it is left alone');
    is_deeply(
        $row->{files},
        { File::Basename::basename($file) => Digest::SHA::sha256_hex($first) }, 'and hashed'
    );
    ok(time() - $row->{time} < 60, 'with the time');
    is(check()->{result}, 'ok', 'the check finds it good');

    sealed('backup1', label => 'bänk');
    my @files = kits_at();
    is(scalar(@files), 2, 'another seal makes another file');
    is(slurp($file), $first, 'the older stays');
    is(check()->{result}, 'ok', 'both are good');

    copies_to();
    ok(!defined(sealed('backup1', label => 'x')->{copies}), 'none are asked for');
    is_deeply(PVE::Escrow::Copies::write_all(), [], 'none are written');
};

subtest 'which kits' => sub {
    set_up(
        backup2 => { username => 'root@pam', server => '192.0.2.2' },
        other => { username => 'root@pam' },
        plain => {},
    );
    put_key('backup2');
    put_key('other', 'other.enc');
    as_root('POST', 'other/escrow/create');
    sealed();
    is_deeply(
        [map { m{/([a-z0-9]+)-[^/]*$} } kits_at()], [qw(backup1 backup2)],
        'of storages with a confirmed seal'
    );
    my ($record) = map { m/^(.*)$/ } glob('/etc/pve/priv/escrow/7d*.json');
    unlink($record, $record =~ s{^/etc/pve/priv/escrow}{/var/lib/pve-escrow/records}r);
    spew($record, 'rubbish');
    my $row = write_all();
    failed(
        $row, qr/storage 'other' has no kit: record \Q$record\E can't be used/,
        'a bad record'
    );
    is(scalar(keys $row->{files}->%*), 2, 'does not keep the others from being copied');
};

subtest 'on this node' => sub {
    set_up(near => { type => 'dir', path => '/var/lib/vz' });
    copies_to('near');
    my $row = sealed()->{copies}->[0];
    is($row->{result}, 'ok', 'it is written');
    is($row->{outside}, 0, 'and is no copy outside');
    like($row->{text}, qr/^1 kit; on this node: it is lost with it$/, 'it says so');

    mount('--bind', '/var/lib/vz', tmpfs('/run/storage/bind'));
    storage_cfg(
        backup1 => { username => 'root@pam', 'encryption-key' => $LIVE_FP },
        near => { type => 'dir', path => '/run/storage/bind', is_mountpoint => 'yes' },
    );
    $row = write_all();
    is($row->{result}, 'ok', 'mounted elsewhere');
    is($row->{outside}, 0, 'it is the same device');
};

subtest 'partitions of one disk' => sub {
    set_up();
    sealed();
    is(write_all()->{outside}, 1, 'other numbers');
    tmpfs('/sys');
    my %parts = (root => (stat('/'))[0], nas => (stat($NAS))[0]);
    for my $part (sort keys %parts) {
        my ($major, $minor) = ($parts{$part} >> 8, $parts{$part} & 0xff);
        spew("/sys/devices/sda/$part/partition", '1');
        File::Path::make_path('/sys/dev/block');
        symlink("/sys/devices/sda/$part", "/sys/dev/block/$major:$minor");
    }
    is(write_all()->{outside}, 0, 'one disk');
    rename('/sys/devices/sda/nas', '/sys/devices/nas');
    my ($link) =
        map { m/^(.*)$/ } grep { readlink eq '/sys/devices/sda/nas' } glob('/sys/dev/block/*');
    unlink($link);
    symlink('/sys/devices/dm-0', $link);
    File::Path::make_path('/sys/devices/dm-0/slaves');
    symlink('/sys/devices/sda/root', '/sys/devices/dm-0/slaves/sda2');
    is(write_all()->{outside}, 0, 'a volume on it');
    unlink('/sys/devices/dm-0/slaves/sda2');
    is(write_all()->{outside}, 1, 'a volume on another');
    spew('/sys/devices/dm-0/loop/backing_file', "/var/lib/vz/image\n");
    spew('/var/lib/vz/image', '');
    is(write_all()->{outside}, 0, 'an image in a file on it');
    unlink('/var/lib/vz/image');
    is(write_all()->{outside}, 0, 'one that nobody can see');
    system {'umount'} 'umount', '/sys';
};

subtest 'read-only' => sub {
    set_up();
    read_only(1, $NAS);
    my $seal = sealed();
    failed($seal->{copies}->[0], qr/read-?only.*pveescrow copies/i, 'nothing there');
    is(
        as_root('GET', 'backup1/escrow/status')->{state}, 'sealed',
        'the key is sealed all the same'
    );
    read_only(0, $NAS);
    is(write_all()->{result}, 'ok', 'the next time');
    my ($file) = kits_at();
    read_only(1, $NAS);
    is(write_all()->{result}, 'ok', 'what is there already counts');
    read_only(0, $NAS);
    spew($file, 'x');
    read_only(1, $NAS);
    failed(write_all(), qr/$NAME: cannot.*read-only/i, 'what can\'t be mended');
};

subtest 'full' => sub {
    set_up();
    mkdir("$NAS/dump");
    mkdir("$NAS/pve-escrow");
    fill($NAS);
    failed(sealed()->{copies}->[0], qr/$NAME\S*: cannot write it: No space left/, 'full');
    is_deeply([glob("$NAS/pve-escrow/*")], [], 'nothing is left over');
    unlink("$NAS/.fill");
    is(write_all()->{result}, 'ok', 'once there is space');
    my ($file) = kits_at();
    truncate($file, 100);
    fill($NAS);
    failed(write_all(), qr/No space left/, 'damaged, and full');
    is(-s $file, 100, 'it is old or new');
};

subtest 'not mounted' => sub {
    my $usb = '/run/storage/usb';
    set_up(usb => { type => 'dir', path => "$usb/below", is_mountpoint => $usb });
    mkdir($usb);
    copies_to('usb');
    my $row = sealed()->{copies}->[0];
    failed($row, qr/not mounted: '\Q$usb\E'/, 'nothing is mounted');
    is($row->{outside}, 0, 'it is not outside');
    is_deeply([glob("$usb/*")], [], 'nothing is written below it');
    tmpfs($usb);
    $row = write_all();
    is($row->{result}, 'ok', 'mounted');
    is($row->{outside}, 1, 'it is outside');
    is(scalar(kits_at("$usb/below")), 1, 'and has the kit');

    # between activation and use
    my $activate = PVE::Storage::DirPlugin->can('activate_storage');
    no warnings qw(redefine);
    local *PVE::Storage::DirPlugin::activate_storage = sub {
        $activate->(@_);
        system {'umount'} 'umount', $usb;
        mkdir("$usb/below");
    };
    failed(write_all(), qr/storage 'usb' is not mounted at \Q$usb\E/, 'unmounted meanwhile');
    is_deeply([glob("$usb/below/*")], [], 'nothing is written there');
};

subtest 'planted links' => sub {
    set_up();
    mkdir('/run/victim');
    symlink('/run/victim', "$NAS/pve-escrow");
    failed(
        sealed()->{copies}->[0], qr/pve-escrow: it is a link, and not a directory/,
        'the directory'
    );
    is_deeply([glob('/run/victim/*')], [], 'nothing is written through it');
    failed(check(), qr/pve-escrow: it is a link/, 'nor read');
    unlink("$NAS/pve-escrow");
    write_all();
    my ($file) = kits_at();
    rename($file, "$file.away");

    # a perfect kit, even
    my $good = slurp("$file.away");
    spew('/run/victim/file', $good);
    my %plant = (
        'a link' => sub { symlink('/run/victim/file', $file) },
        'a dangling link' => sub { symlink('/run/victim/none', $file) },
        'a link in the directory' => sub { symlink("$file.away", $file) },
        'a pipe' => sub { POSIX::mkfifo($file, oct(666)) },
        'a directory' => sub { mkdir($file) },
    );
    for my $what (sort keys %plant) {
        $plant{$what}->() or die "$what: $!\n";
        my $kind = $what =~ m/(link|pipe|directory)/ ? $1 : '';
        my $before = join(' ', lstat($file));
        failed(check(), qr/$NAME: it is a .*$kind/, "$what is not read");
        failed(
            write_all(),
            qr/$NAME: it is a .*$kind, and not a regular file\. Nothing was touched/,
            "$what is not written"
        );
        is(join(' ', lstat($file)), $before, "$what stays");
        -d $file && !-l $file ? rmdir($file) : unlink($file);
    }
    is(slurp('/run/victim/file'), $good, 'what they lead to is as it was');
    is_deeply([glob('/run/victim/*')], ['/run/victim/file'], 'and nothing is new');
    is(write_all()->{result}, 'ok', 'all is well once they are gone');
};

subtest 'swapped and truncated' => sub {
    set_up(backup2 => { username => 'root@pam', server => '192.0.2.2' });
    put_key('backup2');
    sealed();
    my ($file, $second) = kits_at();
    my $good = slurp($file);
    my %files = (
        'cut off' => [substr($good, 0, 200), qr/not JSON/],
        empty => ['', qr/not JSON/],
        'of another storage' => [slurp($second), qr/other sealed keys, or another connection/],
        'with another server' => [$good =~ s/192\.0\.2\.1/192.0.2.66/r, qr/another connection/],
        'with another date' => [$good =~ s/"created":"2/"created":"3/r, qr/MAC/],
        'a sealed key' => [JSON::decode_json($good)->{seals}->[0]->{blob}, qr/connection/],
        'too large' => [$good . ' ' x 70_000, qr/larger than 65536 bytes/],
        binary => ["\xff\xfe", qr/UTF-8/],
        'of a later version' => [$good =~ s/"version":1/"version":7/r, qr/version 7/],
    );
    for my $what (sort keys %files) {
        my ($bytes, $why) = $files{$what}->@*;
        unlink($file);
        spew($file, $bytes);
        my $row = check();
        failed($row, qr/^$NAME: .*$why.*'pveescrow copies'/s, $what);
        is(slurp($file), $bytes, "$what: a check changes nothing");
        is_deeply(
            [keys $row->{files}->%*], [File::Basename::basename($second)],
            "$what: the other counts"
        );
        is(write_all()->{result}, 'ok', "$what: it is written again");
        is(check()->{result}, 'ok', "$what: and good");
    }
    unlink($file);
    failed(check(), qr/^$NAME: it is missing/, 'gone');

    # without the key, the hashes are all there is
    my $before = PVE::Escrow::Copies::write_all();
    unlink('/etc/pve/priv/storage/backup1.enc');
    is(
        (PVE::Escrow::Copies::check($before)->@*)[0]->{result}, 'ok',
        'the key is lost, the copy is as it was'
    );
    spew($file, $good =~ s/192\.0\.2\.1/192.0.2.66/r);
    failed(
        check($before), qr/^$NAME: it was changed since it was written/,
        'the key is lost, the copy is another'
    );
};

subtest 'storages that do not do' => sub {
    set_up(off => { type => 'dir', path => '/run/off', disable => 1 });
    copies_to(qw(nas off gone backup1));
    my %rows = map { $_->{storage} => $_ } sealed()->{copies}->@*;
    is($rows{nas}->{result}, 'ok', 'those that do have theirs');
    failed($rows{off}, qr/disabled/, 'disabled');
    failed($rows{gone}, qr/storage 'gone' does not exist/, 'none of that name');
    failed(
        $rows{backup1}, qr/storage 'backup1' of type 'pbs' has no directory/,
        'no directory'
    );
};

subtest 'a storage that hangs, and locks' => sub {
    set_up(slow => { type => 'dir', path => '/run/slow' });
    sealed();
    copies_to(qw(nas slow));
    my $activate = PVE::Storage::DirPlugin->can('activate_storage');
    no warnings qw(redefine);
    local *PVE::Storage::DirPlugin::activate_storage = sub {
        my ($class, $storeid, @more) = @_;
        spew("/run/locks-$storeid", join(' ', glob('/etc/pve/priv/lock/*')));
        sleep(1000) if $storeid eq 'slow';
        return $activate->($class, $storeid, @more);
    };
    my %rows = map { $_->{storage} => $_ } PVE::Escrow::Copies::write_all(1)->@*;
    failed($rows{slow}, qr/no answer within 1 seconds/, 'it is given up');
    is($rows{nas}->{result}, 'ok', 'the other is as ever');
    copies_to('nas');
    unlink('/run/locks-nas');
    sealed();
    is(slurp('/run/locks-nas'), '', 'no lock is held meanwhile');
    is(waitpid(-1, POSIX::WNOHANG()), -1, 'no process is left');
};

subtest 'recover from a copy' => sub {
    set_up(
        backup2 => { username => 'root@pam', server => '192.0.2.2' },
        other => { username => 'root@pam' },
    );
    put_key('backup2');
    put_key('other', 'other.enc');
    my $seal = sealed();
    my $others = sealed('other');
    mkdir('/run/kits');
    my %kit = map { m{/(\w+)-[^/]*$}; $1 => $_ } kits_at();
    my %saved = map { $_ => slurp($_) } values %kit;

    my $bare = sub {
        fresh();
        storage_cfg(nas => { type => 'dir', path => $NAS });
        tmpfs($NAS);
        spew($_, $saved{$_}) for sort keys %saved;
        return;
    };
    $bare->();
    my %order = (copy => 'nas', code => $seal->{code}, password => 'secret');
    my $done = as_root('POST', 'backup2/escrow/recover', \%order);
    is($done->{fingerprint}, $LIVE_FP, 'a bare node has the key');
    like(
        slurp('/etc/pve/storage.cfg'), qr/^pbs: backup2\n(?:\t.*\n)*\tserver 192\.0\.2\.2\n/m,
        'and the storage, as its own kit says'
    );
    is(as_root('GET', 'backup2/escrow/status')->{state}, 'sealed', 'and the seal');
    is(
        as_root('POST', 'new/escrow/recover', { %order, code => $others->{code} })->{created},
        1,
        'by another name too'
    );
    like(
        error_of(sub {
            as_root('POST', 'backup2/escrow/recover', { %order, code => $others->{code} });
        }),
        qr/wrong recovery code/,
        'a storage that has a key takes no other'
    );
    like(
        error_of(sub {
            as_root(
                'POST', 'new1/escrow/recover',
                { %order, fingerprint => '00:11:22:33:44:55:66:77' }
            );
        }),
        qr/storage 'nas' has no copy of a kit that is asked for/,
        'no kit of a key'
    );
    like(
        error_of(sub { as_root('POST', 'new1/escrow/recover', { %order, source => '{}' }) }),
        qr/not both/, 'one source'
    );
    like(
        error_of(sub { as_root('POST', 'new1/escrow/recover', { %order, copy => 'nowhere' }) }),
        qr/copies on storage 'nowhere' can't be read: storage 'nowhere' does not exist/,
        'no storage'
    );

    # others can write there
    $bare->();
    my $directory = "$NAS/pve-escrow";
    my $evil =
        sub ($n) { return "$directory/backup1-036b8f610cdad885-0000000$n.escrow-kit.json" };
    spew('/run/private', $saved{ $kit{backup1} });
    symlink('/run/private', $evil->(1));
    POSIX::mkfifo($evil->(2), oct(666));
    spew($evil->(3), 'x' x 70_000);
    spew($evil->(4), 'rubbish');
    mkdir($evil->(5));
    spew($evil->(6), '{"version":1,"seals":[{"blob":"x"}]}');
    is(as_root('POST', 'backup1/escrow/recover', \%order)->{created}, 1, 'among rubbish');

    $bare->();
    my $many = JSON::decode_json($saved{ $kit{other} });
    my $blob = $many->{seals}->[0]->{blob};
    $many->{seals} = [map { { blob => $blob . ' ' x $_ } } 1 .. 34];
    spew($evil->(7), JSON::encode_json($many));
    unlink(values %kit);
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/recover', \%order) }),
        qr/^wrong recovery code: .*only 32 of 34 were tried/, 'no end of tries'
    );

    $bare->();
    unlink(values %kit);
    symlink('/run/private', $evil->(1));
    spew($evil->(4), 'rubbish');
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/recover', \%order) }),
        qr/has no copy .*00001\S+: it is a link.*00004\S+: .*not JSON/, 'rubbish alone is named'
    );
    spew($evil->(7), $saved{ $kit{backup1} } =~ s/192\.0\.2\.1/192.0.2.66/r);
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/recover', \%order) }), qr/MAC/,
        'no server that somebody put in'
    );
    ok(!-e '/etc/pve/priv/storage/backup1.pw', 'gets the secret');
    rename($directory, "$NAS/away");
    symlink("$NAS/away", $directory);
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/recover', \%order) }),
        qr/pve-escrow: it is a link/, 'nor a linked directory'
    );
};

subtest 'pveescrow' => sub {
    set_up(usb => { type => 'dir', path => '/run/usb', is_mountpoint => 'yes' });
    my $made = pveescrow(qw(create backup1 --code-out /run/code));
    my ($id) = $made->{out} =~ m/seal (\S+) is pending/;
    is(pveescrow('config', '--copies', 'nas,usb')->{code}, 0, 'config');
    my $confirmed = pveescrow('confirm', 'backup1', $id, qw(--code-file /run/code));
    is($confirmed->{code}, 0, 'confirm succeeds');
    like($confirmed->{out}, qr/^warning: copy on storage 'usb': .*not mounted/m, 'and warns');
    my $copies = pveescrow('copies');
    is($copies->{code}, 1, 'copies: one failed');
    like(
        $copies->{out},
        qr/^result +storage +outside +text\nok +nas +yes +1 kit\nerror +usb +no +unable.*not mounted/m,
        'a table'
    );
    pveescrow(qw(config --copies nas));
    $copies = pveescrow(qw(copies --output-format json));
    is($copies->{code}, 0, 'none failed');
    is(JSON::decode_json($copies->{out})->[0]->{result}, 'ok', 'as JSON');
    pveescrow(qw(config --delete copies));
    like(
        pveescrow('copies')->{out},
        qr/no storage is to have copies: 'pveescrow config --copies/, 'none'
    );

    my $code = slurp('/run/code');
    my ($kit) = map { slurp($_) } kits_at();
    my ($file) = kits_at();
    fresh();
    storage_cfg(nas => { type => 'dir', path => $NAS });
    tmpfs($NAS);
    spew($file, $kit);
    spew('/run/code', $code);
    spew('/run/secret', "geheim\n");
    my @recover = qw(recover --copy nas --code-file /run/code);
    like(
        pveescrow(@recover, qw(--out /run/key.enc))->{out}, qr/^key \Q$LIVE_FP\E is in/,
        'to a file'
    );
    like(
        pveescrow(@recover, qw(--password-file /run/secret backup1))->{out},
        qr/^storage 'backup1' has key \Q$LIVE_FP\E again/m, 'recover from a copy'
    );
};

done_testing();
