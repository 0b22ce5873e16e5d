package PVE::RESTEnvironment;

# Stand-in for tests: who calls, and workers in processes of their own whose output goes to a task log.

use v5.36;

use Exporter qw(import);
use POSIX ();

our @EXPORT_OK = qw(log_warn);

my ($ENVIRONMENT, $TASKS) = (undef, 0);

sub init ($class, $type, %param) {
    die "already initialized\n" if $ENVIRONMENT;
    $ENVIRONMENT = bless { type => $type, warning_count => 0 }, $class;
    return $ENVIRONMENT;
}

sub get ($class = undef) {
    return $ENVIRONMENT // die "REST environment not initialized\n";
}

sub setup_default_cli_env ($class, $username = 'root@pam') {
    my $env = $class->init('cli');
    $env->set_user($username);
    return;
}

sub set_user ($self, $user) {
    $self->{user} = $user;
    return;
}

sub get_user ($self, $noerr = 0) {
    return $self->{user} // ($noerr ? undef : die "user name not set\n");
}

sub is_worker ($class) {
    return $ENVIRONMENT && $ENVIRONMENT->{worker};
}

sub log_warn ($text) {
    print STDERR "WARN: $text\n";
    $ENVIRONMENT->{warning_count}++ if $ENVIRONMENT;
    return;
}

sub task_log ($upid) {
    return '/var/log/pve/tasks/' . ($upid =~ s/[^A-Za-z0-9_.-]/_/gr);
}

my sub status ($env, $error) {
    return "ERROR: " . ($error =~ s/\s+\z//r =~ s/\n/ /gr) if $error;
    return $env->{warning_count} ? "WARNINGS: $env->{warning_count}" : 'OK';
}

# on a command line a worker is seen
my sub show ($upid) {
    open(my $log, '<', task_log($upid)) or return;
    print <$log>;
    return;
}

# It ends before this returns: a test has nothing to do meanwhile.
sub fork_worker ($self, $type, $id, $user, $function, $background = 0) {
    die "invalid type or id\n" if grep { defined && m/[:\/\s]/ } ($type, $id);
    my $start = sprintf('%08X:%08X:%08X', $$, $TASKS++, time());
    my $upid = join(':', 'UPID', 'node', $start, $type, $id // '', $user, '');
    mkdir for '/var/log/pve', '/var/log/pve/tasks';
    my $pid = fork() // die "fork failed - $!\n";
    if (!$pid) {
        $0 = "task $upid"; ## no critic (RequireLocalizedPunctuationVars)
        $self->{worker} = 1;
        POSIX::setsid();
        ## no critic (RequireLocalizedPunctuationVars)
        $SIG{INT} = $SIG{QUIT} = $SIG{TERM} = sub { die "received interrupt\n" };
        open(STDOUT, '>>', task_log($upid)) or POSIX::_exit(1);
        open(STDERR, '>&', \*STDOUT) or POSIX::_exit(1);
        $| = 1;            ## no critic (RequireLocalizedPunctuationVars)
        my $error = eval { $function->($upid); 1 } ? '' : $@;
        print STDERR "TASK " . status($self, $error) . "\n";
        POSIX::_exit($error ? 1 : 0);
    }
    waitpid($pid, 0);
    show($upid) if $self->{type} eq 'cli';
    return $upid;
}

1;
