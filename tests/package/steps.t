#!/usr/bin/perl

# All that can happen to the packages on one node, inside a chroot which nothing else uses: tests/package/check runs it.
# Packages are in /packages/{doubles,previous,new,older}; this tree is in /src.

use v5.36;

use Digest::SHA ();
use File::Find ();
use JSON ();
use Test::More;

my $STATE = '/var/lib/pve-escrow';
my $RECORDS = '/etc/pve/priv/escrow';
my $KEY = '/etc/pve/priv/storage/vault.enc';
# of a Perl process that loads the plugin, and of the library, stripped
my $MAX_GROWTH_KIB = 3 * 1024;
my $MAX_LIBRARY_BYTES = 6 * 1024 * 1024;

my sub run (@command) {
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open(STDERR, '>&', \*STDOUT);
        exec(@command) or die "$command[0]: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close($out);
    return ($said // '', $?);
}

my sub ok_run ($what, @command) {
    my ($said, $status) = run(@command);
    is($status, 0, $what) or diag("@command\n$said");
    return $said;
}

my sub spew ($path, $content) {
    my ($directory) = $path =~ m{^(.*)/};
    system('mkdir', '-p', $directory);
    open(my $fh, '>', $path) or die "$path: $!\n";
    print {$fh} $content;
    close($fh) or die "$path: $!\n";
    chmod(oct(600), $path);
    return;
}

my sub slurp ($path) {
    open(my $fh, '<', $path) or die "$path: $!\n";
    local $/ = undef;
    return scalar(<$fh>);
}

my sub package_file ($set, $name) {
    my ($file) = glob("/packages/$set/${name}_*.deb");
    return $file // die "no package $name in $set\n";
}

my sub apt (@arguments) {
    return ('apt-get', '-q', '-y', '--no-install-recommends', @arguments);
}

my sub installed_version ($name) {
    my ($said) = run('dpkg-query', '-W', '-f', '${db:Status-Abbrev}${Version}', $name);
    return $said =~ m/^ii (.*)/ ? $1 : undef;
}

# file => hash of what is in it, as far as pve-escrow is to keep it
my sub kept_files () {
    my %files;
    File::Find::find(
        {
            no_chdir => 1,
            wanted => sub {
                $files{$_} = Digest::SHA->new(256)->addfile($_)->hexdigest
                    if -f && m{/kept/|/records/|/[0-9a-f]{64}\.json$};
            }
        },
        grep { -d } $STATE, $RECORDS,
    );
    return \%files;
}

my $ELSEWHERE =
    qr{^/(?:proc|sys|dev|packages|src|tmp|run|var/(?:cache|log|lib/(?:apt|dpkg|systemd)))$};

my sub all_files () {
    my @files;
    my $wanted = sub {
        $File::Find::prune = m/$ELSEWHERE/;
        push @files, $_ if !$File::Find::prune;
    };
    File::Find::find({ no_chdir => 1, wanted => $wanted }, '/');
    @files = sort @files;
    return \@files;
}

my sub verify_all ($step) {
    my ($said) = run('dpkg', '--verify');
    is($said, '', "dpkg -V has nothing to say after: $step");
    return;
}

my sub perl (@arguments) {
    return run('perl', '-T', @arguments);
}

# what each daemon does first
my sub storage_loads ($step) {
    my ($said, $status) = perl('-e', 'use PVE::Storage; print q(loaded)');
    is($status, 0, "PVE::Storage loads: $step") or diag($said);
    return $said;
}

my $PROBE = <<'EOC';
use v5.36;
use JSON ();
sub kib ($name) { open(my $fh, '<', '/proc/self/status') or die; my ($kib) = map { m/^$name:\s+([0-9]+)/ } <$fh>; return $kib }
my ($before, %param);
BEGIN {
    # what Proxmox VE has loaded by then
    require "$_.pm" for qw(Digest/SHA IO/Handle POSIX JSON Symbol PVE/Cluster PVE/RESTHandler PVE/RPCEnvironment PVE/SafeSyslog
        PVE/Tools PVE/PBSClient PVE/Storage/Plugin PVE/Storage/PBSPlugin PVE/Storage/DirPlugin);
    $before = kib('VmRSS');
}
use PVE::Storage::Custom::EscrowPlugin;
my $growth = kib('VmRSS') - $before;
require PVE::Storage;
require PVE::API2::Storage::Status;
require PVE::API2::Cluster;
sub found ($class, $path) { return (eval { $class->find_handler('GET', $path, \%param) })[1] ? 1 : 0 }
open(my $maps, '<', '/proc/self/maps') or die;
print JSON::encode_json({
    growth => $growth,
    library => (scalar(grep { m/pve_escrow/ } <$maps>) ? 1 : 0),
    storage => found('PVE::API2::Storage::Status', 'vault/escrow/status'),
    cluster => found('PVE::API2::Cluster', 'escrow'),
});
EOC

my sub works ($step) {
    subtest "pve-escrow works: $step" => sub {
        is(storage_loads($step), 'loaded', 'without a word');
        my $installed = installed_version('pve-escrow') =~ s/\+.*//r;
        my $version =
            JSON::decode_json(ok_run('version', qw(pveescrow version --output-format json)));
        like($version->{version}, qr/^[0-9.]+$/, 'the library says its version');
        is($version->{version}, $installed, 'which is that of the package')
            if $step !~ m/previous|older/;
        my ($said) = run(qw(pveescrow doctor --output-format json));
        my ($library) = grep { $_->{check} eq 'library' } eval { JSON::decode_json($said)->@* };
        like(
            $library->{text}, qr/^version \Q$version->{version}\E, perlmod (?:real|stand-in)/,
            'doctor answers'
        ) or diag($said);

        ($said) = perl('-e', $PROBE);
        my $probe = eval { JSON::decode_json($said) } or diag($said);
        is($probe->{storage}, 1, 'the API is there, below a storage');
        is($probe->{cluster}, 1, 'and below the cluster');
        is($probe->{library}, 0, 'the library is not loaded for that');
        cmp_ok(
            $probe->{growth}, '<', $MAX_GROWTH_KIB,
            "a process grows by $probe->{growth} KiB"
        );
        verify_all($step);
    };
    return;
}

my sub keeps ($step, $was) {
    my $files = kept_files();
    is_deeply(
        [grep { ($files->{$_} // '') ne $was->{$_} } sort keys %$was], [],
        "records and kept keys are what they were: $step"
    );
    return;
}

my $ESCROW = package_file('new', 'pve-escrow');

subtest 'a machine like a node of Proxmox VE' => sub {
    ok_run('doubles', apt('install', glob('/packages/doubles/*.deb')));
    storage_loads('without the add-on');
    verify_all('doubles');
};

subtest 'nothing to keep, nothing left behind' => sub {
    my $before = all_files();
    ok_run('install', apt('install', $ESCROW));
    ok(installed_version('pve-escrow'), 'installed, without /etc/pve');
    ok_run('purge', apt('purge', 'pve-escrow'));
    is_deeply(
        [
            grep {
                my $file = $_;
                !grep { $_ eq $file } @$before
            } all_files()->@*
        ],
        [],
        'all is gone'
    );
};

system('mkdir', '-p', '-m', '0700', '/etc/pve/priv/storage', '/etc/pve/priv/lock');
system(
    'mkdir', '-p', '/etc/pve/nodes/node1', '/run/lock/pve-manager', '/run/pve',
    '/var/log/pve/tasks', '/var/lib/pve-manager'
);
spew($KEY, slurp('/src/tests/vectors/keys/live.enc'));
spew(
    '/etc/pve/storage.cfg',
    "pbs: vault\n\tcontent backup\n\tdatastore store\n\tserver 192.0.2.1\n\n"
);
symlink('nodes/node1', '/etc/pve/local');
my $key = slurp($KEY);

subtest 'install the previous version' => sub {
    ok_run('apt install', apt('install', package_file('previous', 'pve-escrow')));
    works('previous version');
    ok(
        scalar(grep { m{/kept/} } keys kept_files()->%*),
        'keys are kept from the installation on'
    );
    is(sprintf('%o', (stat($STATE))[2] & oct(7777)), '700', "$STATE is for root only");
    is(slurp("$STATE/.pxarexclude"), "/kept\n", 'kept keys stay out of file backups');
    my ($library) = glob('/usr/lib/*/perl5/*/auto/libpve_escrow_rs.so');
    cmp_ok(-s $library, '<', $MAX_LIBRARY_BYTES, 'the library has ' . (-s _) . ' bytes');
    is((run('readelf', '-S', $library))[0] =~ m/\.symtab/ ? 1 : 0, 0, 'and is stripped')
        if -x '/usr/bin/readelf';
    ok(
        -e '/etc/systemd/system/timers.target.wants/pve-escrow-keep.timer',
        'the timer is enabled'
    );
    ok_run('bash completion', 'sh', '-n', '/usr/share/bash-completion/completions/pveescrow');
    ok(-s "/usr/share/man/man1/$_.1.gz", "man page of $_") for qw(pveescrow);
};

subtest 'seal' => sub {
    ok_run('create', qw(pveescrow create vault --code-out /root/code));
    my ($id) = map { m/seal (\S+) is pending/ } (run(qw(pveescrow status vault)))[0] // '';
    my ($record) = grep { m{/[0-9a-f]{64}\.json$} && !m{/kept/} } sort keys kept_files()->%*;
    $id //= JSON::decode_json(slurp($record))->{seals}->[0]->{id};
    ok_run('confirm', 'pveescrow', 'confirm', 'vault', $id, '--code-file', '/root/code');
};
my $was = kept_files();
my sub opens ($step) {
    ok_run("the code opens the seal: $step", qw(pveescrow verify vault --code-file /root/code));
    keeps($step, $was);
    is(slurp($KEY), $key, 'the live key is untouched');
    return;
}

my @STEPS = (
    ['upgrade', apt('install', $ESCROW)],
    [
        'older version over it',
        apt('install', '--allow-downgrades', package_file('previous', 'pve-escrow'))
    ],
    ['upgrade again', 'dpkg', '-i', $ESCROW],
    ['the same once more', apt('install', '--reinstall', $ESCROW)],
);
for my $step (@STEPS) {
    my ($what, @command) = @$step;
    subtest $what => sub {
        ok_run($what, @command);
        works($what);
        opens($what);
    };
}

subtest 'remove, reinstall' => sub {
    ok_run('remove', apt('remove', 'pve-escrow'));
    is(storage_loads('after removal'), 'loaded', 'Proxmox VE goes on without a word');
    keeps('removed', $was);
    verify_all('remove');
    ok_run('install', apt('install', $ESCROW));
    works('reinstalled');
    opens('reinstalled');
};

subtest 'purge' => sub {
    my $said = ok_run('purge', apt('purge', 'pve-escrow'));
    like($said, qr/pve-escrow: \Q$_\E stays/, "it says what stays: $_") for $STATE, $RECORDS;
    is(storage_loads('after purge'), 'loaded', 'Proxmox VE goes on without a word');
    keeps('purged', $was);
    verify_all('purge');
    is_deeply(
        [grep { m/escrow/ && !m{^(?:\Q$STATE\E|\Q$RECORDS\E)} } all_files()->@*], [],
        'nothing else is left'
    );
    ok_run('install', apt('install', $ESCROW));
    works('after a purge');
    opens('after a purge');
};

# dpkg renames files and its own notes: killed at each of these there is some state in between
subtest 'interrupted' => sub {
    my ($rounds, $killed) = (0, 0);
    for (my $at = 1; $at < 400; $at += 17) {
        run(apt('remove', 'pve-escrow')) if $rounds++ % 2;
        my (undef, $status) = run(
            qw(strace -qq -o /dev/null -e trace=rename -e),
            "inject=rename:signal=SIGKILL:when=$at",
            'dpkg', '-i', $ESCROW,
        );
        last if $status == 0;
        $killed++;
        storage_loads("dpkg was killed at its rename no. $at");
        my ($said) = run('dpkg', '--configure', '-a');
        next if defined(installed_version('pve-escrow'));
        ok_run("completed after no. $at", 'dpkg', '-i', $ESCROW);
    }
    cmp_ok($killed, '>', 3, "killed $killed times");
    works('after all that');
    opens('after all that');
};

subtest 'the rescue tool alone' => sub {
    ok_run('remove the add-on', apt('remove', 'pve-escrow'));
    my ($record) = grep { m{^\Q$RECORDS\E/[0-9a-f]{64}\.json$} } sort keys %$was;
    spew('/root/vault.blob', JSON::decode_json(slurp($record))->{seals}->[0]->{blob});
    for my $set (grep { -d "/packages/$_" } qw(older new)) {
        ok_run(
            "install, $set",
            apt('install', '--allow-downgrades', package_file($set, 'pve-escrow-rescue'))
        );
        unlink('/root/vault.enc');
        ok_run(
            'unwrap',
            qw(pve-escrow-rescue unwrap /root/vault.blob --code-in /root/code --out /root/vault.enc)
        );
        my ($there, $here) = map { JSON::decode_json($_)->{data} } slurp('/root/vault.enc'),
            $key;
        is($there, $here, 'the key is back');
        verify_all("rescue tool, $set");
    }
};

done_testing();
