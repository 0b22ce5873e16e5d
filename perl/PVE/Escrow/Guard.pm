package PVE::Escrow::Guard;

use v5.36;

use PVE::Escrow::Keep;
use PVE::Escrow::Tell;

=head1 NAME

PVE::Escrow::Guard - keep a key before Proxmox VE writes over it or removes it

=head1 DESCRIPTION

Wraps the functions of C<PVE::Storage::PBSPlugin> and C<PVE::PBSClient> that write or remove keys, in their own tables
only: what is merely inherited belongs to every type of storage. The storage's key and the one before it (F<.enc>,
F<.enc.old>) are kept first; if that fails, the operation is refused, since it could destroy the only copy. What is there
afterwards is kept too, at once: a storage that is added with a new key may fail to activate, and then Proxmox VE
deletes the key that it just made.

A wrapped function returns what it returned before, in the same context, and dies as it did.

=head1 FUNCTIONS

=over

=item arm()

Wraps all that is there, once. Never dies.

=item state()

C<armed>: is there anything wrapped; C<hooks>: for each function C<wrapped>, C<absent>, or C<replaced> by somebody
else since; C<missing>: those that every supported Proxmox VE has, and this one has not.

=item announce($armed)

In pvedaemon and pveproxy: holds a file open that has no name and says what this process has loaded. Whoever may look at
the daemon can read it, as long as the daemon lives: a file in a directory would outlive it, and would not know that
daemons fork and load themselves anew.

=item daemons()

What the running pvedaemon and pveproxy of this node announce: C<pid>, C<armed>, C<missing>, C<version>. One that announces
nothing is not in there. Needs root.

=item nodes_report()

Tells the cluster what this node has: C<time>, C<version> and C<daemons>. Returns it.

=back

=cut

our $VERSION = '0.1.0';

my $STORAGE = '/etc/pve/priv/storage';
my $DAEMONS = qr/pvedaemon|pveproxy/;
my $ANNOUNCES = '{"pve-escrow":';

my sub storage_files ($storeid) {
    return map { "$STORAGE/$storeid.$_" } qw(enc enc.old);
}

my sub client_files ($client) {
    my $path = $client->encryption_key_file_name();
    return ($path, "$path.old");
}

# function => how its arguments name the key files, and is it missing in supported versions
my $HOOKS = {
    map(
        { ("PVE::Storage::PBSPlugin::$_" =>
                { files => sub ($class, $storeid, @) { storage_files($storeid) } }) }
        qw(on_add_hook on_update_hook on_update_hook_full on_delete_hook)),
    map(
        { ("PVE::Storage::PBSPlugin::$_" =>
                { files => sub ($scfg, $storeid, @) { storage_files($storeid) } }) }
        qw(pbs_set_encryption_key pbs_delete_encryption_key)),
    map({ ("PVE::PBSClient::$_" => { files => sub ($self, @) { client_files($self) } }) }
        qw(set_encryption_key delete_encryption_key autogen_encryption_key)),
};
my $OPTIONAL = { 'PVE::Storage::PBSPlugin::on_update_hook_full' => 1 };

my $wrapped = {};

# the files that an outer function looks after: the hooks call the others, and tell of all that happened
my $busy = {};

my sub is_there ($path) {
    return -e $path || -l $path ? 1 : 0;
}

# path => name of what was kept. A link to nowhere holds nothing.
my sub keep ($files, $why) {
    return { map { $_ => PVE::Escrow::Keep::keep_file($_, $why)->{name} } grep { -e } @$files };
}

my sub before ($files, $what) {
    my $kept = eval { keep($files, "before $what") };
    return $kept if $kept;
    my $err = $@;
    die $err if ref($err);
    die "refused, since a key could be lost: $err";
}

my sub event ($path, $was, $is) {
    my ($file) = $path =~ m{([^/]+)$};
    my ($storage) = $file =~ m/^(.*)\.enc(?:\.old)?$/;
    my $event = { file => $file, storage => $storage, name => $is, was => $was };
    delete $event->{$_} for grep { !defined($event->{$_}) } qw(name was);
    $event->{type} = !defined($is) ? 'gone' : defined($was) ? 'changed' : 'new';
    return $event;
}

my sub is_news ($path, $was, $is) {
    return 0 if ($was // '') eq ($is // '');
    # that a key became the older one is told with its successor
    return $path !~ m/\.old$/;
}

# The operation is over. Whatever goes wrong here, it went the way that it went.
my sub after ($files, $what, $before) {
    for my $path (@$files) {
        my $was = $before->{$path};
        my $is =
            -e $path ? eval { PVE::Escrow::Keep::keep_file($path, "after $what")->{name} } : undef;
        if (!defined($is) && is_there($path)) {
            PVE::Escrow::Tell::tell(
                { %{ event($path, $was, undef) }, type => 'unkept', why => "$@" });
            next;
        }
        PVE::Escrow::Tell::tell(event($path, $was, $is)) if is_news($path, $was, $is);
        PVE::Escrow::Keep::noticed($path, $is)
            if ($was // '') ne ($is // '') && index($path, "$STORAGE/") == 0;
    }
    return;
}

my sub call_in ($context, $code, $arguments) {
    return $code->(@$arguments) if $context;
    return scalar($code->(@$arguments)) if defined($context);
    $code->(@$arguments);
    return;
}

my sub guarded ($what, $original, $files_of) {
    return sub {
        my $arguments = \@_;
        my $context = wantarray;
        my $files = [eval { $files_of->(@$arguments) }];
        my $before = before($files, $what);
        return call_in($context, $original, $arguments) if grep { $busy->{$_} } @$files;

        local $busy->@{@$files} = (1) x @$files;
        my @result;
        my $error = $@;
        my $done = eval { @result = call_in($context, $original, $arguments); 1 };
        my $died = $@;
        eval { after($files, $what, $before) };
        die $died if !$done;
        $@ = $error; ## no critic (RequireLocalizedPunctuationVars) - as the function left it
        return $context ? @result : $result[0];
    };
}

my sub own ($name) {
    no strict 'refs';
    return defined(&$name) ? \&$name : undef;
}

my sub put_in_place ($name, $code) {
    no strict 'refs';
    no warnings qw(prototype redefine);
    *{$name} = $code;
    return;
}

my sub wrap ($name) {
    my $present = own($name) or return;
    return if $wrapped->{$name};
    my $what = $name =~ s/^.*:://r;
    my $code = guarded($what, $present, $HOOKS->{$name}->{files});
    require Scalar::Util;
    &Scalar::Util::set_prototype($code, prototype($present)); ## no critic (ProhibitAmpersandSigils)
    put_in_place($name, $code);
    $wrapped->{$name} = $code;
    return;
}

sub arm () {
    local $@;
    for my $name (sort keys %$HOOKS) {
        eval { wrap($name); 1 } or PVE::Escrow::Tell::note("$name is not guarded: $@");
    }
    return;
}

my sub state_of ($name) {
    return 'absent' if !$wrapped->{$name};
    return (own($name) // 0) == $wrapped->{$name} ? 'wrapped' : 'replaced';
}

my sub summary () {
    my %hooks = map { $_ => state_of($_) } keys %$HOOKS;
    my @missing = grep { $hooks{$_} ne 'wrapped' && !$OPTIONAL->{$_} } sort keys %hooks;
    return { armed => %$wrapped ? 1 : 0, hooks => \%hooks, missing => \@missing };
}

sub state () { ## no critic (ProhibitBuiltinHomonyms)
    return summary();
}

my sub json () {
    require JSON::PP;
    return JSON::PP->new->canonical->utf8;
}

my sub program () {
    return $0 =~ m{(?:^|/)($DAEMONS)(?:\s|$)} ? $1 : undef;
}

my $announced;

sub announce ($armed = 1) {
    my $program = program() // return;
    local ($@, $!);
    eval {
        my $state = summary();
        $state->{armed} = 0 if !$armed;
        my %said = (map({ $_ => $state->{$_} } qw(armed missing)), version => $VERSION);
        open($announced, '+>', undef) or die "$!\n";
        syswrite($announced, $ANNOUNCES . json()->encode(\%said) . "}\n") or die "$!\n";
        1;
    } or PVE::Escrow::Tell::note("$program can't say that it has the guard: $@");
    return;
}

my sub slurp ($path, $max = 65536) {
    open(my $fh, '<:raw', $path) or return;
    my $read = sysread($fh, my $bytes, $max) or return;
    return $bytes;
}

# the pid file may be old, and its number somebody else's by now
my sub pid_of ($program) {
    my ($pid) = (slurp("/run/$program.pid") // '') =~ m/^([0-9]+)\s*$/ or return;
    my $command = (slurp("/proc/$pid/cmdline") // '') =~ tr/\0/ /r;
    return $command =~ m{(?:^|[/ ])$program(?: |$)} ? $pid : undef;
}

my sub announcement ($pid) {
    opendir(my $dh, "/proc/$pid/fd") or return;
    for my $fd (map { m/^([0-9]+)$/ } readdir($dh)) {
        my $link = readlink("/proc/$pid/fd/$fd") // next;
        next if $link !~ m{^/.* \(deleted\)$} || !-f "/proc/$pid/fd/$fd";
        my $text = slurp("/proc/$pid/fd/$fd") // next;
        next if index($text, $ANNOUNCES) != 0;
        my $said = eval { json()->decode($text) } or next;
        return $said->{'pve-escrow'};
    }
    return;
}

sub daemons () {
    local $@;
    my %daemons;
    for my $program (qw(pvedaemon pveproxy)) {
        my $pid = pid_of($program) // next;
        my $said = announcement($pid) // next;
        $daemons{$program} = { %$said, pid => int($pid) };
    }
    return \%daemons;
}

sub nodes_report () {
    my $report = { daemons => daemons(), time => time(), version => $VERSION };
    require PVE::Cluster;
    PVE::Cluster::broadcast_node_kv('pve-escrow', json()->encode($report));
    return $report;
}

1;
