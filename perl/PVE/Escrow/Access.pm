package PVE::Escrow::Access;

use v5.36;

use PVE::Exception qw(raise_perm_exc);
use PVE::Tools;

use PVE::Escrow::Config;

=head1 NAME

PVE::Escrow::Access - who may make and use recovery codes

=head1 FUNCTIONS

=over

=item operator()

Returns the calling user, who is root@pam, or is named in C<operators> of F</etc/pve/escrow.cfg> and has
Datastore.Allocate on F</storage>. Dies of anybody else, and of API tokens: a code is for a person.

=item operator_permissions()

What a method declares as its C<permissions> that calls C<operator>.

=item root()

Dies of everybody but root@pam.

=item allocate($storeid)

Returns the calling user, who has Datastore.Allocate on the storage. Dies of others.

=item may_allocate($storeid)

Has the calling user that?

=item may_audit($storeid)

Has the calling user Datastore.Audit on the storage?

=back

=cut

my sub environment () {
    require PVE::RPCEnvironment;
    my $rpcenv = PVE::RPCEnvironment::get();
    return ($rpcenv, $rpcenv->get_user());
}

sub operator () {
    my ($rpcenv, $user) = environment();
    raise_perm_exc("not with an API token: log in as a person") if $user =~ m/!/;
    return $user if $user eq 'root@pam';
    my @operators = PVE::Tools::split_list(PVE::Escrow::Config::get()->{operators} // '');
    raise_perm_exc("only root\@pam and the 'operators' of /etc/pve/escrow.cfg")
        if !grep { $_ eq $user } @operators;
    $rpcenv->check($user, '/storage', ['Datastore.Allocate']);
    return $user;
}

sub operator_permissions () {
    return {
        description =>
            "root\@pam, or a user named in 'operators' of /etc/pve/escrow.cfg who has Datastore.Allocate on"
            . " /storage. No API tokens.",
        user => 'all',
    };
}

sub root () {
    my (undef, $user) = environment();
    raise_perm_exc('only root@pam') if $user ne 'root@pam';
    return;
}

sub allocate ($storeid) {
    my ($rpcenv, $user) = environment();
    $rpcenv->check($user, "/storage/$storeid", ['Datastore.Allocate']);
    return $user;
}

sub may_allocate ($storeid) {
    my ($rpcenv, $user) = environment();
    return !!$rpcenv->check($user, "/storage/$storeid", ['Datastore.Allocate'], 1);
}

sub may_audit ($storeid) {
    my ($rpcenv, $user) = environment();
    return !!$rpcenv->check($user, "/storage/$storeid", ['Datastore.Audit'], 1);
}

1;
