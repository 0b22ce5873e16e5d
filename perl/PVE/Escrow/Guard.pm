package PVE::Escrow::Guard;

use v5.36;

use JSON::PP ();

use PVE::Escrow::Keep;
use PVE::Escrow::Tell;

=head1 NAME

PVE::Escrow::Guard - keep a key before Proxmox VE writes over it or removes it

=head1 DESCRIPTION

Wraps the functions of C<PVE::Storage::PBSPlugin> and C<PVE::PBSClient> that write or remove keys, in their own tables
only: what is merely inherited belongs to every type of storage. A key is kept first; if that fails, the operation
is refused, since it could lose the only copy. What is there afterwards is kept too: a storage that is added with
a new key may fail to activate, and loses it again at once.

=head1 FUNCTIONS

=over

=item arm()

Wraps them, once. Never dies.

=item state_of_hooks()

C<armed>, and C<missing>, the names of functions that were not there to be wrapped: this Proxmox VE is another one
than what was tested.

=item announce()

In pvedaemon and pveproxy: leaves word in F</run/pve-escrow>, for C<broadcast>.

=item broadcast($version)

Tells the cluster what the daemons of this node have said, if they still run.

=back

=cut

my $RUN = '/run/pve-escrow';
my $LIVE = '/etc/pve/priv/storage';

my $JSON = JSON::PP->new->canonical->utf8;

# how each of them says which storage it is about
my %STORAGE_OF = (
    hook => sub ($args) { return $args->[1] },
    plugin => sub ($args) { return $args->[1] },
    client => sub ($args) { return ref($args->[0]) eq 'HASH' || eval { $args->[0]->{storeid} } ? $args->[0]->{storeid} : undef },
);

# function -> [how, is it missing in some of the versions that are supported]
my %HOOKS = (
    'PVE::Storage::PBSPlugin::on_add_hook' => ['hook'],
    'PVE::Storage::PBSPlugin::on_update_hook' => ['hook'],
    'PVE::Storage::PBSPlugin::on_update_hook_full' => ['hook', 1],
    'PVE::Storage::PBSPlugin::on_delete_hook' => ['hook'],
    'PVE::Storage::PBSPlugin::pbs_set_encryption_key' => ['plugin'],
    'PVE::Storage::PBSPlugin::pbs_delete_encryption_key' => ['plugin'],
    'PVE::PBSClient::set_encryption_key' => ['client'],
    'PVE::PBSClient::delete_encryption_key' => ['client'],
    'PVE::PBSClient::autogen_encryption_key' => ['client'],
);

my %wrapped;

# of this storage: the hooks call the functions below them, and once is enough
our %busy; ## no critic (ProhibitPackageVars)

my sub files ($storeid) {
    return map { "$LIVE/$storeid.$_" } grep { -e "$LIVE/$storeid.$_" || -l "$LIVE/$storeid.$_" } qw(enc enc.old);
}

my sub keep ($storeid, $why) {
    return map { $_ => PVE::Escrow::Keep::keep_file($_, $why)->{name} } files($storeid);
}

my sub before ($storeid, $what) {
    my %kept = eval { keep($storeid, "before $what") };
    die "refused, since a key could be lost: $@"
        . "Make room or wait for quorum, and try again. To go on without keeping keys: touch /etc/pve-escrow.disabled,"
        . " and reload the daemons\n"
        if $@;
    return \%kept;
}

my sub after ($storeid, $what, $before) {
    my %now = eval { keep($storeid, "after $what") };
    if ($@) {
        PVE::Escrow::Tell::report('error', "a new key of storage '$storeid' could not be kept: $@");
        return;
    }
    my $file = "$LIVE/$storeid.enc";
    my ($was, $is) = ($before->{$file} // '', $now{$file} // '');
    return if $was eq $is;
    my $text = $is eq '' ? "the key of storage '$storeid' was removed, and is kept as $was: 'pveescrow keys'"
        : $was eq '' ? "storage '$storeid' has a new key, kept as $is. Next: pveescrow create $storeid"
        : "storage '$storeid' has another key now; the one before is kept as $was. Next: pveescrow create $storeid";
    PVE::Escrow::Tell::report($is eq '' || $was ne '' ? 'warning' : 'notice', $text);
    return;
}

my sub guarded ($original, $how, $name) {
    my $short = $name =~ s/.*:://r;
    return sub {
        my $storeid = $STORAGE_OF{$how}->(\@_);
        goto &$original if !defined($storeid) || ref($storeid) || $busy{$storeid};
        local $busy{$storeid} = 1;
        my $before = before($storeid, $short);
        my $wants_list = wantarray;
        my @result = eval { $wants_list ? $original->(@_) : scalar($original->(@_)) };
        my $err = $@;
        eval { after($storeid, $short, $before) };
        die $err if $err;
        return $wants_list ? @result : $result[0];
    };
}

my sub wrap ($name) {
    no strict 'refs'; ## no critic (ProhibitNoStrict)
    no warnings 'redefine'; ## no critic (ProhibitNoWarnings)
    return if !defined(&$name);
    my $original = \&$name;
    *{$name} = guarded($original, $HOOKS{$name}->[0], $name);
    $wrapped{$name} = 1;
    return;
}

sub arm () {
    for my $name (sort keys %HOOKS) {
        eval { wrap($name) } if !$wrapped{$name};
    }
    return;
}

sub state_of_hooks () {
    my @missing = grep { !$wrapped{$_} && !$HOOKS{$_}->[1] } sort keys %HOOKS;
    return { armed => %wrapped ? 1 : 0, missing => \@missing };
}

my sub program () {
    return $0 =~ m{(?:^|/)(pvedaemon|pveproxy)(?:\s|$)} ? $1 : undef;
}

my sub started ($pid) {
    open(my $fh, '<', "/proc/$pid/stat") or return;
    my $line = <$fh> // return;
    return (split(m/ /, $line =~ s/.*\) //r))[19];
}

sub announce () {
    my $program = program() // return;
    mkdir($RUN, 0700);
    my $text = $JSON->encode({ %{ state_of_hooks() }, pid => $$, started => started($$) });
    open(my $fh, '>', "$RUN/$program.$$") or return;
    print {$fh} $text;
    close($fh) && rename("$RUN/$program.$$", "$RUN/$program.json");
    return;
}

my sub said ($program) {
    open(my $fh, '<', "$RUN/$program.json") or return;
    local $/;
    my $said = eval { $JSON->decode(<$fh>) } // return;
    return (started($said->{pid}) // '') eq ($said->{started} // '-') ? $said : undef;
}

sub broadcast ($version) {
    my %daemons = map { my $said = said($_); $said ? ($_ => $said) : () } qw(pvedaemon pveproxy);
    PVE::Cluster::broadcast_node_kv(
        'pve-escrow', $JSON->encode({ daemons => \%daemons, time => time(), version => $version }),
    );
    return;
}

1;
