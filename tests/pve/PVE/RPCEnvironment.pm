package PVE::RPCEnvironment;

# Stand-in for tests: permissions out of /etc/pve/user.cfg, with the few roles that the tests name.

use v5.36;

use PVE::Exception qw(raise_perm_exc);

use parent qw(PVE::RESTEnvironment);

my $ROLES = {
    Administrator => [qw(Datastore.Audit Datastore.Allocate Sys.Audit Sys.Modify)],
    PVEAdmin => [qw(Datastore.Audit Datastore.Allocate Sys.Audit)],
    PVEDatastoreAdmin => [qw(Datastore.Audit Datastore.Allocate)],
    PVEAuditor => [qw(Datastore.Audit Sys.Audit)],
    NoAccess => [],
};

sub get ($class = undef) {
    return PVE::RESTEnvironment::get();
}

my sub acls () {
    open(my $fh, '<', '/etc/pve/user.cfg') or return;
    my @acls = map { m/^acl:([01]):([^:]*):([^:]*):([^:]*):/ ? [$1, $2, $3, $4] : () } <$fh>;
    close($fh);
    return @acls;
}

# the entry for the longest path counts; above it only what propagates
my sub roles ($user, $path) {
    my ($best, @roles) = (-1);
    for my $acl (acls()) {
        my ($propagate, $at, $users, $roles) = @$acl;
        next if !grep { $_ eq $user } split(m/,/, $users);
        my $above = $at eq '/' ? '' : $at;
        next if $path ne $at && !($propagate && index($path, "$above/") == 0);
        next if length($at) < $best;
        @roles = () if length($at) > $best;
        $best = length($at);
        push @roles, split(m/,/, $roles);
    }
    return @roles;
}

# a token without privileges of its own has those of its user
sub permissions ($self, $user, $path) {
    $user =~ s/!.*//;
    return { map { $_ => 1 } map { ($ROLES->{$_} // [])->@* } roles($user, $path) };
}

sub check ($self, $user, $path, $privs, $noerr = 0) {
    return 1 if $user eq 'root@pam';
    my $has = $self->permissions($user, $path);
    for my $priv (@$privs) {
        next if $has->{$priv};
        return if $noerr;
        raise_perm_exc("$path, $priv");
    }
    return 1;
}

sub check_any ($self, $user, $path, $privs, $noerr = 0) {
    return 1 if grep { $self->check($user, $path, [$_], 1) } @$privs;
    return if $noerr;
    return raise_perm_exc("$path, " . join('|', @$privs));
}

sub check_api2_permissions ($self, $perm, $user, $param) {
    raise_perm_exc("user != null") if !$user;
    return 1 if $user eq 'root@pam';
    raise_perm_exc('user != root@pam') if !$perm;
    return 1 if ($perm->{user} // '') eq 'all';
    my ($kind, $path, $privs, %options) = ($perm->{check} // [''])->@*;
    raise_perm_exc() if $kind ne 'perm';
    $path =~ s/\{(\w+)\}/$param->{$1}/g;
    my $check = $options{any} ? 'check_any' : 'check';
    return $self->$check($user, $path, $privs);
}

1;
