package PVE::Storage::Custom::EscrowPlugin;

use v5.36;

use PVE::SafeSyslog;
use PVE::Storage::Plugin;

use base qw(PVE::Storage::Plugin);

=head1 NAME

PVE::Storage::Custom::EscrowPlugin - where Proxmox VE loads pve-escrow

=head1 DESCRIPTION

Proxmox VE loads this into each of its daemons and commands. It is no type of storage: C<register> does nothing, so
nothing of it ever stands in F<storage.cfg>. Loading it arms the guard, and puts the API to its place; in pveproxy
it also serves the panel. Nothing here may die or take long: a daemon that does not start is worse than no
escrow. C<pveescrow doctor> says what is missing.

It does nothing if F</etc/pve/escrow.cfg> says C<enabled: 0>, or if there is a file F</etc/pve-escrow.disabled>.

=cut

my $WEB = '/usr/share/pve-escrow/js/';
my $SCRIPT = '/pve-escrow/js/pve-escrow.js';

# whatever this host speaks: nothing of the storage API is used
sub api {
    return PVE::Storage::APIVER();
}

sub register {
    return;
}

# a switch that can't be found is no reason to leave keys unguarded
my sub disabled () {
    return eval {
        require PVE::Escrow::Switch;
        PVE::Escrow::Switch::off();
    };
}

my sub attempt ($what, $code) {
    eval { $code->(); 1 } or syslog('err', '%s', "pve-escrow: $what: $@");
    return;
}

my sub register_api () {
    require PVE::API2::Storage::Escrow;
    require PVE::API2::Cluster::Escrow;
    PVE::RESTHandler::register_method(
        'PVE::API2::Storage::Status',
        { subclass => 'PVE::API2::Storage::Escrow', path => '{storage}/escrow' },
    );
    PVE::RESTHandler::register_method(
        'PVE::API2::Cluster', { subclass => 'PVE::API2::Cluster::Escrow', path => 'escrow' },
    );
    return;
}

my sub arm () {
    require PVE::Escrow::Guard;
    PVE::Escrow::Guard::arm();
    PVE::Escrow::Guard::announce();
    return;
}

my sub replace ($name, $code) {
    no strict 'refs';
    no warnings 'redefine';
    *{$name} = $code;
    return;
}

my sub wrap ($name, $around) {
    return if !defined(&$name);
    my $original = \&$name;
    replace($name, sub { $around->($original, @_) });
    return;
}

# a line behind the script of Proxmox VE's own; its version in the address, since the browser keeps it
my sub add_script ($response) {
    my $version = (stat("${WEB}pve-escrow.js"))[9] // return;
    my $content = $response->content;
    my $tag = qq{<script type="text/javascript" src="$SCRIPT?ver=$version"></script>};
    return if index($content, $SCRIPT) >= 0;
    $response->content($content)
        if $content =~ s{(<script[^>]*pvemanagerlib\.js[^>]*></script>)}{$1\n    $tag};
    return;
}

my sub serve_panel () {
    wrap(
        'PVE::Service::pveproxy::get_index',
        sub ($original, @args) {
            my $response = $original->(@args);
            attempt('the page', sub { add_script($response) });
            return $response;
        },
    );
    wrap(
        'PVE::Service::pveproxy::init',
        sub ($original, @args) {
            my @result = $original->(@args);
            attempt(
                'the panel',
                sub {
                    PVE::APIServer::AnyEvent::add_dirs(
                        $args[0]->{server_config}->{dirs}, '/pve-escrow/js/' => $WEB,
                    );
                },
            );
            return wantarray ? @result : $result[0];
        },
    );
    return;
}

# `pvesh ls` shows what this method lists
my sub list_api () {
    my $status = 'PVE::API2::Storage::Status';
    my $info =
        $status->can('map_method_by_name') && $status->map_method_by_name('diridx') || return;
    my $original = $info->{code};
    $info->{code} = sub ($param) {
        my $list = $original->($param);
        return ref($list) eq 'ARRAY' ? [@$list, { subdir => 'escrow' }] : $list;
    };
    return;
}

our $loaded; ## no critic (ProhibitPackageVars)
my $off = disabled();
if (!$loaded++) {
    if (defined($off)) {
        syslog('info', '%s', "pve-escrow: disabled, $off");
    } else {
        attempt('guard', \&arm);
        attempt('API', \&register_api);
    }
}

# what else there is to wrap is there only when all is compiled; who loads this later has no use for it
no warnings 'void'; ## no critic (ProhibitNoWarnings)
INIT {
    if (!defined($off)) {
        attempt('list', \&list_api);
        attempt('panel', \&serve_panel) if $0 =~ m{(?:^|/)pveproxy(?:\s|$)};
    }
}

1;
