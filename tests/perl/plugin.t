#!/usr/bin/perl -T

# The plugin in each program that loads it: it brings the API and the guard, and whatever is wrong, the program goes on.

use v5.36;

use Cwd ();
use File::Basename ();
use JSON::PP ();
use Test::More;
use Time::HiRes ();

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

my ($PERL) = $^X =~ m/^(.*)$/;
my @INCLUDE = map { "-I$_" } map { m/^(.*)$/ } grep { !ref } @INC;
my $SYSLOG = '/var/log/syslog';

# A Perl of its own, since it is about what happens at load. Returns what it said, and its exit status.
my sub perl ($program, $code) {
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open(STDERR, '>&', \*STDOUT) or die "$!\n";
        exec($PERL, '-T', @INCLUDE, '-e', "use v5.36; BEGIN { \$0 = '$program' } $code")
            or die "$PERL: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close($out);
    return ($said // '', $?);
}

my $LOAD = 'use PVE::Storage;';
my $REPORT = <<'EOC';
use PVE::API2::Storage::Status;
use PVE::API2::Cluster;
END {
    my %param;
    my sub found ($class, $path) { (eval { $class->find_handler('GET', $path, \%param) })[1] ? 1 : 0 }
    print "\nREPORT ", JSON::PP::encode_json({
        armed => PVE::Escrow::Guard->can('arm') ? 1 : 0,
        cluster => found('PVE::API2::Cluster', 'escrow'),
        library => $INC{'PVE/RS/Escrow.pm'} ? 1 : 0,
        storage => found('PVE::API2::Storage::Status', 'vault/escrow/status'),
        types => [grep { m/escrow/i } PVE::Storage::Plugin->can('lookup_types') ? PVE::Storage::Plugin->lookup_types()->@* : ()],
    }), "\n";
}
EOC

my sub report ($program, $before = '', $after = '') {
    my ($said, $status) = perl($program, "use JSON::PP (); $before $LOAD $REPORT $after");
    my ($json) = $said =~ s/^REPORT (.*)$//m ? $1 : undef;
    return ($json ? JSON::PP::decode_json($json) : undef, $said, $status);
}

my $ALL = { armed => 1, cluster => 1, library => 0, storage => 1, types => [] };
my $NOTHING = { %$ALL, armed => 0, cluster => 0, storage => 0 };

install_plugin();

for my $program (qw(pvedaemon pveproxy pvestatd pvesh pvesm qm vzdump)) {
    my ($is, $said, $status) = report($program);
    is_deeply(
        $is, $ALL,
        "$program has the API and the guard, without the library, and no new type of storage"
    );
    is($status, 0, "$program ends well");
    unlike($said, qr/escrow/i, "$program says nothing of it") or diag($said);
}

subtest 'off' => sub {
    spew('/etc/pve-escrow.disabled', '');
    my ($is) = report('pvedaemon');
    is_deeply($is, $NOTHING, 'by a file on this node');
    if (is_double()) {
        my @lines = grep { m/escrow/ } split(m/\n/, slurp($SYSLOG));
        is(scalar(@lines), 1, 'with one line in the log');
    }
    unlink('/etc/pve-escrow.disabled');

    spew('/etc/pve/escrow.cfg', "# off\nenabled: 0\n");
    is_deeply((report('pvedaemon'))[0], $NOTHING, 'by the configuration');
    spew('/etc/pve/escrow.cfg', "enabled: 1\n");
    is_deeply((report('pvedaemon'))[0], $ALL, 'and on again');
    spew('/etc/pve/escrow.cfg', "\0\xff\nenabled\n:::\n" x 100);
    is_deeply((report('pvedaemon'))[0], $ALL, 'what can not be read is no reason to be off');
    unlink('/etc/pve/escrow.cfg');
};

subtest 'what goes wrong' => sub {
    my sub without ($module) {
        my $file = $module =~ s{::}{/}gr . '.pm';
        return "BEGIN { unshift(\@INC, sub { \$_[1] eq '$file' ? die \"gone\\n\" : () }) }";
    }
    my ($is, $said, $status) = report('pvedaemon', without('PVE::RS::Escrow'));
    is_deeply($is, $ALL, 'without the library');

    ($is, $said, $status) = report('pvedaemon', without('PVE::API2::Storage::Escrow'));
    is($status, 0, 'without its API the program goes on');
    is($is->{armed}, 1, 'and keys are still guarded');

    ($is, $said, $status) = report('pvedaemon', without('PVE::Escrow::Guard'));
    is($status, 0, 'without the guard the program goes on');
    is($is->{storage}, 1, 'and there is the API');

    ($is, $said, $status) = report(
        'pvedaemon',
        'package Upstream { use parent qw(PVE::RESTHandler); }'
            . ' BEGIN { require PVE::RESTHandler; @Upstream::ISA = ("PVE::RESTHandler");'
            . ' PVE::RESTHandler::register_method("PVE::API2::Cluster", { subclass => "Upstream", path => "escrow" }) }',
    );
    is($status, 0, 'if upstream owns the path below the cluster, the program goes on');
    is($is->{armed}, 1, 'and keys are still guarded');
    is($is->{storage}, 1, 'and there is the API below the storage');

    read_only(1);
    is_deeply((report('pvedaemon'))[0], $ALL, 'without quorum');
    read_only(0);
    fill(qw(/etc/pve /var/lib /run));
    is_deeply((report('pvedaemon'))[0], $ALL, 'with full disks');
    fresh();
};

subtest 'loading' => sub {
    my $plugin = 'PVE/Storage/Custom/EscrowPlugin.pm';
    my ($is) = report(
        'pvedaemon', '',
        "BEGIN { delete \$INC{'$plugin'}; no warnings; require '$plugin' }"
    );
    is_deeply($is, $ALL, 'twice is as good as once');

    my ($said) = perl(
        'pvesm',
        "$LOAD print 'api ', PVE::Storage::Custom::EscrowPlugin->api() == PVE::Storage::APIVER ? 'same' : 'other';",
    );
    like($said, qr/api same/, 'the version of the host');

    my ($status, $text) = (perl(
        'pvesm',
        "$LOAD print join(' ', grep { m{^PVE/API2/} } sort keys %INC)",
    ))[1, 0];
    my @foreign = grep { m{^PVE/API2/} && !m{Escrow} } split(m/ /, $text);
    is_deeply(\@foreign, [], 'no API module but ours');
};

# as they start: loaded by one process, which forks, and whose child writes the pid file
my sub daemon ($program, $before = '') {
    my $code = "$before$LOAD my \$pid = fork(); if (\$pid) { print \"pid \$pid\\n\"; exit(0) }"
        . ' close(STDOUT); close(STDERR); sleep(60);';
    my ($said) = perl($program, $code);
    my ($pid) = $said =~ m/^pid ([0-9]+)$/m;
    spew("/run/$program.pid", "$pid\n");
    return $pid;
}

subtest 'what the running daemons say of themselves' => sub {
    require PVE::Escrow::Guard;
    is_deeply(PVE::Escrow::Guard::daemons(), {}, 'none runs');
    my @pids = map { daemon($_) } qw(pvedaemon pveproxy);
    my $said = PVE::Escrow::Guard::daemons();
    for my $program (qw(pvedaemon pveproxy)) {
        is($said->{$program}->{armed}, 1, "$program: armed");
        is_deeply($said->{$program}->{missing}, [], "$program: no hook is missing");
    }
    is(
        $said->{pvedaemon}->{pid}, $pids[0],
        'the process that runs, not the one that started it'
    );
    kill('KILL', $pids[0]);
    Time::HiRes::usleep(100_000);
    is_deeply(
        [keys PVE::Escrow::Guard::daemons()->%*], ['pveproxy'],
        'a dead one says nothing'
    );

    spew('/etc/pve-escrow.disabled', '');
    push @pids, daemon('pvedaemon');
    is_deeply(
        [keys PVE::Escrow::Guard::daemons()->%*], ['pveproxy'],
        'nor does one without us'
    );
    require PVE::Cluster;
    my $report = PVE::Escrow::Guard::nodes_report();
    my $node = PVE::INotify::nodename();
    PVE::Cluster::cfs_update();
    my $told = JSON::PP::decode_json(PVE::Cluster::get_node_kv('pve-escrow')->{$node});
    is_deeply($told, $report, 'the cluster is told');
    require PVE::RS::Escrow;
    is(
        $report->{version}, PVE::RS::Escrow::version()->{version},
        'one version in Perl and in Rust'
    );
    kill('KILL', @pids);
    fresh();
};

subtest 'the panel' => sub {
    my $service = <<'EOC';
package Answer { sub new ($c, $t) { bless { t => $t }, $c } sub content ($s, @t) { $s->{t} = $t[0] if @t; $s->{t} } }
package PVE::APIServer::AnyEvent { sub add_dirs ($dirs, $alias, $dir) { $dirs->{$alias} = $dir } }
package PVE::Service::pveproxy {
    sub init ($self) { $self->{server_config} = { dirs => {} }; return 1 }
    sub get_index (@) { return Answer->new($main::PAGE) }
}
our $PAGE = qq{<script type="text/javascript" src="/pve2/js/pvemanagerlib.js?ver=9"></script>\n<body>};
EOC
    my $ask =
        ' package main; my $self = bless {}, "PVE::Service::pveproxy"; PVE::Service::pveproxy::init($self);'
        . ' print "DIRS ", join(",", %{ $self->{server_config}->{dirs} }), "\nPAGE ",'
        . ' PVE::Service::pveproxy::get_index()->content =~ s/\n/ /gr;';
    my ($said, $status) = perl('pveproxy', "$service BEGIN { require PVE::Storage } $ask");
    is($status, 0, 'pveproxy ends well') or diag($said);
    like($said, qr{DIRS /pve-escrow/js/,/usr/share/pve-escrow/js/}, 'the directory is served');
    like(
        $said, qr{PAGE <script[^>]*pvemanagerlib},
        'the page is as it was without a script that is installed'
    );

    ($said, $status) = perl('pvedaemon', "$service BEGIN { require PVE::Storage } $ask");
    unlike($said, qr/pve-escrow/, 'nothing of that in pvedaemon');
};

done_testing();
