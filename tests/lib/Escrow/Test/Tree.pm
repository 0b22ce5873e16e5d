package Escrow::Test::Tree;

use v5.36;

use Cwd ();
use Exporter qw(import);
use File::Basename ();
use File::Path ();

# each test takes all
our @EXPORT = qw( ## no critic (ProhibitAutomaticExportation) ## no critic (ProhibitAutomaticExportation)
    call fill fresh is_double read_only slurp spew storage_cfg unfill vector
);

=head1 NAME

Escrow::Test::Tree - a node of its own for each test

=head1 SYNOPSIS

    use lib 'tests/lib';
    use Escrow::Test::Tree;

    fresh();
    storage_cfg(vault => { server => '192.0.2.1', datastore => 'store' });
    my $status = call('root@pam', 'GET', 'vault/escrow/status');

=head1 DESCRIPTION

Runs the test again in a mount namespace of its own, where F</etc> is a copy and F</etc/pve>, F</var/lib>, F</var/log>
and F</run> are empty: what is tested uses the paths of a real node, and knows nothing of this. F</etc/pve> is a file
system of its own, so that it can be made read-only, as it is without quorum, or be filled up.

The modules of Proxmox VE come from the directories in C<PVE_PERL5LIB>, or are the doubles in F<tests/pve>.

=head1 FUNCTIONS

=over

=item fresh()

Empties the tree.

=item slurp($path), spew($path, $content)

Reads and writes a file.

=item vector($name)

The path of one of the key files of the real client.

=item storage_cfg(%stores)

Writes F</etc/pve/storage.cfg> with a section of type C<pbs> for each store.

=item read_only($bool)

Is F</etc/pve> without quorum?

=item fill(@directories), unfill()

Leaves no space below F</etc/pve> and F</var/lib>, or below those that are named; gives it back.

=item call($user, $method, $path, $param)

Calls the API as the HTTP server does: C<STORE/escrow/...>, or C<escrow/...> below F</cluster>.

=item is_double()

Are the modules of Proxmox VE doubles?

=back

=cut

my $REPOSITORY;
my @MODULES;

my sub untainted ($text) {
    my ($clean) = $text =~ m/^(.*)$/s;
    return $clean;
}

my sub run (@command) {
    system(@command) == 0 or die "'@command' failed\n";
    return;
}

my sub quietly (@command) {
    my $pid = fork() // die "fork failed: $!\n";
    if (!$pid) {
        open(STDOUT, '>', '/dev/null') and open(STDERR, '>&', \*STDOUT);
        exec(@command) or exit(1);
    }
    waitpid($pid, 0);
    return $? == 0;
}

my sub skip_all ($reason) {
    print "1..0 # SKIP $reason\n";
    exit(0);
}

my sub directories ($parent, @names) {
    File::Path::make_path(map { "$parent/$_" } @names);
    return;
}

my sub enter_namespace () {
    my @user = $> == 0 ? () : ('-r');
    my @unshare = ('unshare', @user, '-m', '--propagation', 'private', '--');
    skip_all('no mount namespace can be made here: ' . join(' ', @unshare))
        if !quietly(@unshare, 'true');
    local $ENV{ESCROW_TEST_TREE} = $$;
    my @switches = map { ('-I', untainted($_)) } grep { !ref } @INC;
    exec(@unshare, untainted($^X), '-T', @switches, untainted($0), map { untainted($_) } @ARGV)
        or die "cannot run unshare: $!\n";
}

my sub copy_etc ($to) {
    opendir(my $dh, '/etc') or die "cannot read /etc: $!\n";
    my @names = map { untainted($_) } grep { !m/^(?:\.\.?|pve)$/ } readdir($dh);
    # not all of it can be read by other users than root
    quietly('cp', '-r', '--preserve=mode,links', (map { "/etc/$_" } @names), $to);
    directories($to, 'pve');
    return;
}

my sub tmpfs ($at, $size) {
    run('mount', '-t', 'tmpfs', '-o', "size=$size,mode=755", 'tmpfs', $at);
    return;
}

my sub mount_tree () {
    tmpfs('/run', '64m');
    directories('/run', 'etc', 'lock/pve-manager');
    tmpfs('/run/etc', '64m');
    copy_etc('/run/etc');
    run('mount', '--move', '/run/etc', '/etc');
    rmdir('/run/etc');
    tmpfs('/etc/pve', '16m');
    tmpfs('/var/lib', '16m');
    tmpfs('/var/log', '16m');
    return;
}

sub fresh () {
    unfill();
    for my $mount (qw(/etc/pve /var/lib /var/log)) {
        opendir(my $dh, $mount) or die "cannot read $mount: $!\n";
        File::Path::remove_tree(map { untainted("$mount/$_") } grep { !m/^\.\.?$/ } readdir($dh));
    }
    File::Path::remove_tree('/run/pve-escrow');
    unlink('/etc/pve-escrow.disabled');
    directories('/etc/pve', 'priv/storage', 'priv/lock', 'nodes', 'local');
    directories('/var/lib', 'pve-cluster', 'pve-manager');
    directories('/var/log', 'pve/tasks');
    return;
}

my sub module_path () {
    return split(m/:/, untainted($ENV{PVE_PERL5LIB})) if length($ENV{PVE_PERL5LIB} // '');
    return "$REPOSITORY/tests/pve";
}

sub is_double () {
    return !length($ENV{PVE_PERL5LIB} // '');
}

sub slurp ($path) {
    open(my $fh, '<:raw', $path) or die "open '$path': $!\n";
    local $/ = undef;
    return <$fh> // '';
}

sub spew ($path, $content) {
    open(my $fh, '>:raw', $path) or die "open '$path': $!\n";
    print {$fh} $content;
    close($fh) or die "close '$path': $!\n";
    return;
}

sub vector ($name) {
    return "$REPOSITORY/tests/vectors/keys/$name";
}

sub storage_cfg (%stores) {
    my $text = '';
    for my $storeid (sort keys %stores) {
        my %section = (
            content => 'backup',
            datastore => 'store',
            server => '192.0.2.1',
            $stores{$storeid}->%*,
        );
        my $type = delete($section{type}) // 'pbs';
        $text .= "$type: $storeid\n";
        $text .= "\t$_ $section{$_}\n" for sort keys %section;
        $text .= "\n";
    }
    spew('/etc/pve/storage.cfg', $text);
    return;
}

# The link or directory that Proxmox VE looks at to see if there is a quorum; root may write to anything else.
sub read_only ($on) {
    chmod(oct(555), '/etc/pve/local') if $on;
    run('mount', '-o', 'remount,' . ($on ? 'ro' : 'rw'), '/etc/pve');
    chmod(oct(755), '/etc/pve/local') if !$on;
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
    unlink(map { "$_/.fill" } qw(/etc/pve /var/lib /var/log));
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

# all this before the test loads anything else
($REPOSITORY) = untainted(Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../../..'));
delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};
$ENV{PATH} = "$REPOSITORY/tests/pve/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ; ## no critic (RequireLocalizedPunctuationVars)
$_ = untainted($_) for values %ENV;
enter_namespace() if ($ENV{ESCROW_TEST_TREE} // '') ne $$;
delete $ENV{ESCROW_TEST_TREE};
@MODULES = ("$REPOSITORY/perl", module_path());
unshift @INC, @MODULES;
mount_tree();
fresh();

1;
