package Escrow::Test::Tree;

use v5.36;

use Cwd ();
use Exporter qw(import);
use File::Basename ();
use File::Path ();
use POSIX ();
use Test::More ();

# each test takes all
our @EXPORT = ## no critic (ProhibitAutomaticExportation)
    qw(
    $ROOT call fill fresh install_plugin is_double key node put_key read_only slurp spew storage_cfg
    unfill vector
    );

=head1 NAME

Escrow::Test::Tree - a node of its own for each test

=head1 SYNOPSIS

    use Cwd ();
    use File::Basename ();
    use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;
    use Escrow::Test::Tree;

    fresh();
    storage_cfg(vault => { server => '192.0.2.1', datastore => 'store' });
    put_key('vault');
    my $status = call('root@pam', 'GET', 'vault/escrow/status');

=head1 DESCRIPTION

Before anything else of a test is loaded, the test is executed once more in a mount namespace of its own. There F</etc> is a
copy, and F</etc/pve>, F</var/lib>, F</var/log> and F</run> are empty file systems in memory, so each can be filled up or made
read-only; F</usr/share/perl5> is what it was, with a directory for storage plugins. What is tested uses the paths of a
real node, and knows nothing of this. Where the kernel forbids it, the test is skipped, with the reason.

C<@INC> begins with our F<perl>, then with the directories in C<PVE_PERL5LIB> (the real modules of Proxmox VE), or without
that with F<tests/pve> (doubles). C<PATH> begins with F<tests/pve/bin>.

=head1 FUNCTIONS

=over

=item fresh()

Empties the tree, as it was when the test began: what was filled up or read-only is usable again.

=item node()

The name of this node.

=item slurp($path), spew($path, $content)

Reads and writes a file as bytes. A new file has mode 0600; directories are made.

=item vector($name), key($name)

The path of one of the key files of the real client, and its bytes.

=item put_key($storeid, $name, $suffix)

Makes it the key of a storage: F<live.enc> unless named, as C<enc> unless told (C<enc.old>). Returns the path.

=item storage_cfg(%stores)

Writes F</etc/pve/storage.cfg> with a section for each store, of type C<pbs> unless told.

=item read_only($bool, $mount)

Is F</etc/pve> without quorum? Or is another file system read-only?

=item fill(@directories), unfill()

Leaves no space below F</etc/pve> and F</var/lib>, or below those that are named; gives it back.

=item install_plugin()

Puts the storage plugin where PVE::Storage looks for such.

=item call($user, $method, $path, $param)

Calls the API as the HTTP server does: C<STORE/escrow/...>, or C<escrow/...> below F</cluster>.

=item is_double()

Are the modules of Proxmox VE doubles?

=back

=cut

our ($ROOT) = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../../..') =~ m/^(.*)$/s;

my $SOURCE = 'pve-escrow-test';
my $MARK = 'ESCROW_TEST_OUTSIDE';
my $PERL = '/usr/share/perl5';
my $SIZE = { '/etc/pve' => '128m', '/run' => '16m', '/var/lib' => '128m', '/var/log' => '16m' };

my sub skip_all ($why) {
    Test::More::plan(skip_all => "no mount namespace for this test: $why");
    return;
}

sub slurp ($path) {
    open(my $fh, '<:raw', $path) or die "open '$path': $!\n";
    local $/ = undef;
    my ($bytes) = (<$fh> // '') =~ m/^(.*)$/s;
    return $bytes;
}

sub spew ($path, $content) {
    File::Path::make_path(File::Basename::dirname($path));
    my $umask = umask(oct(77));
    open(my $fh, '>:raw', $path) or die "open '$path': $!\n";
    umask($umask);
    print {$fh} $content or die "write '$path': $!\n";
    close($fh) or die "close '$path': $!\n";
    return;
}

my sub run (@command) {
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open(STDERR, '>&', \*STDOUT);
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    my $said = do { local $/ = undef; <$out> }
        // '';
    close($out);
    return if !$?;
    die "'@command' failed: " . (($said =~ s/\s+/ /gr) || "status $?") . "\n";
}

# for this process and all that it starts, not for a block
my sub untaint_environment () {
    my %env = map { m/^(.*)$/s } %ENV;
    delete @env{qw(IFS CDPATH ENV BASH_ENV PERL5LIB PERL5OPT)};
    %env = (
        %env,
        HOME => '/run/home',
        LC_ALL => 'C',
        PATH => "$ROOT/tests/pve/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    %ENV = %env; ## no critic (RequireLocalizedPunctuationVars)
    return;
}

my sub mounted ($where) {
    return slurp('/proc/self/mountinfo') =~ m/^\S+ \S+ \S+ \S+ \Q$where\E .* - tmpfs $SOURCE /m;
}

my sub namespace () {
    return readlink('/proc/self/ns/mnt') // die "/proc/self/ns/mnt: $!\n";
}

my sub execute_again () {
    my ($unshare, $err);
    for my $flags ($> ? '-rm' : ('-m', '-rm')) {
        my @try = ('unshare', $flags, '--propagation', 'private', '--');
        if (eval { run(@try, 'true'); 1 }) {
            $unshare = \@try;
            last;
        }
        $err //= $@ =~ s/\n//r;
    }
    skip_all($err) if !$unshare;
    local $ENV{$MARK} = namespace();
    my @perl = map { m/^(.*)$/s } $^X, (${^TAINT} ? '-T' : ()), $0, @ARGV;
    exec { $unshare->[0] } @$unshare, @perl or skip_all("unshare: $!");
}

my sub mount_empty ($where) {
    my $size = $SIZE->{$where} // '64m';
    run('mount', '-t', 'tmpfs', '-o', "mode=0755,size=$size", $SOURCE, $where);
    return;
}

sub node () {
    my ($node) = (POSIX::uname())[1] =~ m/^([^.]+)/;
    return $node;
}

my sub populate () {
    my $node = node();
    File::Path::make_path(
        "/etc/pve/nodes/$node",
        map({ "/run/$_" } qw(home lock/pve-manager pve)),
        map({ "/var/lib/$_" } qw(pve-cluster pve-manager)),
        '/var/log/pve/tasks',
    );
    File::Path::make_path(
        map({ "/etc/pve/priv/$_" } qw(lock storage)),
        { mode => oct(700) },
    );
    chmod(oct(700), '/etc/pve/priv');
    symlink("nodes/$node", '/etc/pve/local');
    my @switches = map { m/^(.*)$/s } glob('/etc/pve-escrow*');
    unlink(@switches);
    return;
}

# A farm of links: what was there, and what a test adds.
my sub mount_perl ($stage) {
    mount_empty($stage);
    mkdir("$stage/.host");
    run('mount', '--bind', $PERL, "$stage/.host");
    for my $dir ('', '/PVE', '/PVE/Storage', '/PVE/Storage/Custom') {
        mkdir("$stage$dir");
        my $up = '../' x ($dir =~ tr{/}{});
        opendir(my $dh, "$stage/.host$dir") or next;
        for my $name (map { m/^([^.].*)$/s } readdir($dh)) {
            next if "$dir/$name" =~ m{^/PVE(?:/Storage(?:/Custom)?)?$};
            symlink("$up.host$dir/$name", "$stage$dir/$name");
        }
    }
    run('mount', '--move', $stage, $PERL);
    return;
}

my sub mount_etc ($stage) {
    mount_empty($stage);
    # without root not everything there can be read, and nothing of that is needed
    eval { run('cp', '-ax', '/etc/.', $stage) };
    run('mount', '--move', $stage, '/etc');
    mkdir('/etc/pve');
    return;
}

my sub mount_all () {
    for my $dir ('/etc', $PERL, keys %$SIZE) {
        die "the source tree lies below $dir\n" if index("$ROOT/", "$dir/") == 0;
    }
    mount_empty('/run');
    mkdir('/run/stage');
    mount_perl('/run/stage');
    mount_etc('/run/stage');
    rmdir('/run/stage');
    mount_empty($_) for grep { $_ ne '/run' } sort keys %$SIZE;
    populate();
    return;
}

sub fresh () {
    for my $mount (sort keys %$SIZE) {
        die "$mount is not the test's own\n" if !mounted($mount);
        run('umount', '-l', $mount);
        mount_empty($mount);
    }
    populate();
    return;
}

sub is_double () {
    return !length($ENV{PVE_PERL5LIB} // '');
}

sub vector ($name) {
    return "$ROOT/tests/vectors/keys/$name";
}

sub key ($name) {
    return slurp(vector($name));
}

sub put_key ($storeid, $name = 'live.enc', $suffix = 'enc') {
    my $path = "/etc/pve/priv/storage/$storeid.$suffix";
    spew($path, key($name));
    return $path;
}

my sub section ($storeid, $given) {
    my %section =
        (content => 'backup', datastore => 'store', server => '192.0.2.1', type => 'pbs', %$given);
    my $type = delete($section{type});
    delete(@section{ grep { !exists($given->{$_}) } qw(datastore server) }) if $type ne 'pbs';
    return join('', "$type: $storeid\n", map({ "\t$_ $section{$_}\n" } sort keys %section), "\n");
}

sub storage_cfg (%stores) {
    spew('/etc/pve/storage.cfg', join('', map { section($_, $stores{$_}) } sort keys %stores));
    return;
}

my sub remount ($mount, $how) {
    # the mount alone: without root, nothing can be said of the file system
    run('mount', '-o', "remount,bind,$how", $mount);
    return;
}

# check_cfs_quorum looks at the mode of /etc/pve/local itself, which pmxcfs takes the w bits off
sub read_only ($on, $mount = '/etc/pve') {
    my $local = "$mount/local";
    remount($mount, 'rw');
    unlink($local) or rmdir($local) if $mount eq '/etc/pve';
    if ($on) {
        mkdir($local, oct(555)) if $mount eq '/etc/pve';
        remount($mount, 'ro');
    } elsif ($mount eq '/etc/pve') {
        symlink('nodes/' . node(), $local);
    }
    return;
}

sub fill (@directories) {
    for my $directory (@directories ? @directories : qw(/etc/pve /var/lib)) {
        open(my $fh, '>:raw', "$directory/.fill") or die "open '$directory/.fill': $!\n";
        my $block = "\0" x 65536;
        1 while syswrite($fh, $block);
        $block = "\0" x 4096;
        1 while syswrite($fh, $block);
        close($fh); # says again that it is full
    }
    return;
}

sub unfill () {
    unlink(map { "$_/.fill" } keys %$SIZE);
    return;
}

sub install_plugin () {
    my $plugin = 'PVE/Storage/Custom/EscrowPlugin.pm';
    symlink("$ROOT/perl/$plugin", "$PERL/$plugin") or $!{EEXIST} or die "link '$plugin': $!\n";
    return;
}

my sub environment () {
    require PVE::RPCEnvironment;
    return eval { PVE::RPCEnvironment::get() } // PVE::RPCEnvironment->init('pub');
}

sub call ($user, $method, $path, $param = {}) {
    my $rpcenv = environment();
    require PVE::Storage;
    require PVE::API2::Storage::Status;
    require PVE::API2::Cluster;

    my %param = %$param;
    my $root = 'PVE::API2::Cluster';
    if ($path !~ m{^escrow(?:/|$)}) {
        $root = 'PVE::API2::Storage::Status';
        $param{node} = 'localhost';
    }
    my ($handler, $info) = $root->find_handler($method, $path, \%param);
    die "method '$method $path' not found\n" if !$info;
    die "API tokens are not allowed here\n"
        if $user =~ m/!/ && defined($info->{allowtoken}) && !$info->{allowtoken};
    $rpcenv->init_request() if $rpcenv->can('init_request');
    $rpcenv->set_user($user);
    $rpcenv->check_api2_permissions($info->{permissions}, $user, \%param);
    return $handler->handle($info, \%param, 1);
}

my sub set_inc () {
    my @real = split(m/:/, $ENV{PVE_PERL5LIB} // '');
    unshift(@INC, "$ROOT/perl", @real ? @real : "$ROOT/tests/pve");
    return;
}

my sub enter () {
    untaint_environment();
    if (!mounted('/etc/pve')) {
        execute_again() if ($ENV{$MARK} // namespace()) eq namespace();
        eval { mount_all(); 1 } or skip_all($@ =~ s/\n//r);
    }
    set_inc();
    return;
}

enter();

1;
