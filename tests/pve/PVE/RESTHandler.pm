package PVE::RESTHandler;

# Stand-in for tests: a tree of methods that dies of the same mistakes as the real one, and calls what it finds.

use v5.36;

use PVE::Exception qw(raise);
use PVE::JSONSchema;

our $AUTOLOAD; ## no critic (ProhibitPackageVars)

my ($TREE, $BY_NAME) = ({}, {});

my sub part ($component) {
    return (undef, $component) if $component !~ m/^\{([\w-]+)(?::(.*))?\}$/;
    return ($1, $2 // '\S+');
}

# one step down the tree; each place has either one pattern or fixed names below it
my sub descend ($node, $component, $prefix) {
    my ($name, $what) = part($component);
    if (!defined($name)) {
        die "$prefix path match error - regex and fixed items\n" if $node->{regex};
        return $node->{folders}->{$what} //= {};
    }
    die "$prefix path match error - regex and fixed items\n" if $node->{folders};
    my $old = $node->{regex};
    die "$prefix found changed regex match name\n" if $old && $old->{match_name} ne $name;
    die "$prefix found changed regex\n" if $old && $old->{match_re} ne $what;
    return $node->{regex} //= { match_name => $name, match_re => $what };
}

sub register_method ($class, $info) {
    my $what = $info->{subclass} ? 'subclass' : 'method';
    my $prefix = "register $what $class/" . ($info->{path} // '') . ' -';
    die "$prefix no path" if !defined($info->{path});
    $info->{method} //= 'GET' if !$info->{subclass};
    $info->{allowtoken} //= 1 if !$info->{subclass};
    my $node = $TREE->{$class} //= {};
    $node = descend($node, $_, $prefix) for split(m/\/+/, $info->{path});

    my $method = $info->{subclass} ? 'SUBCLASS' : $info->{method};
    my $methods = $node->{method} //= {};
    die "$prefix duplicate method definition\n" if $methods->{$method};
    die "$prefix duplicate method definition SUBCLASS and others\n"
        if $method eq 'SUBCLASS' && %$methods;
    $methods->{$method} = $info;
    return if !$info->{name};
    die "$prefix method name already defined\n" if $BY_NAME->{$class}->{ $info->{name} };
    $BY_NAME->{$class}->{ $info->{name} } = $info;
    return;
}

sub map_method_by_name ($class, $name) {
    return $BY_NAME->{$class}->{$name} // die "no such method '${class}::$name'\n";
}

sub find_handler ($class, $method, $path, $uri_param, $pathmatch = undef) {
    my $node = $TREE->{$class};
    for my $component (grep { length } split(m/\/+/, $path)) {
        return if !$node;
        if (my $regex = $node->{regex}) {
            return if $component !~ m/^($regex->{match_re})$/;
            $uri_param->{ $regex->{match_name} } = $1;
            $node = $regex;
        } else {
            $node = ($node->{folders} // {})->{$component};
        }
        my $subclass = $node && $node->{method}->{SUBCLASS} or next;
        $class = $subclass->{subclass};
        $node = $TREE->{$class};
    }
    my $info = $node && $node->{method}->{$method} or return;
    return ($class, $info);
}

my $untaint;
$untaint = sub ($value) {
    return { map { $_ => $untaint->($value->{$_}) } keys %$value } if ref($value) eq 'HASH';
    return [map { $untaint->($_) } @$value] if ref($value) eq 'ARRAY';
    return $value if ref($value) || !defined($value);
    my ($clean) = $value =~ m/^(.*)$/s;
    return $clean;
};

sub handle ($class, $info, $param, $result_verification = 0) {
    if (my $schema = $info->{parameters}) {
        PVE::JSONSchema::validate($param, $schema);
        $param = $untaint->($param);
    }
    my $result = $info->{code}->($param);
    PVE::JSONSchema::validate($result, $info->{returns}, "Result verification failed\n")
        if $result_verification && $info->{returns};
    return $result;
}

sub cli_handler (
    $class, $prefix, $name, $args, $arg_param, $fixed, $param_cb = undef, $formatter = undef,
) {
    my $info = $class->map_method_by_name($name);
    my $properties = { ($info->{parameters}->{properties} // {})->%*, ($formatter // {})->%* };
    my $mapping = { map { $_->{name} => $_ } grep { ref } $param_cb ? $param_cb->($name)->@* : () };
    my $param = PVE::JSONSchema::get_options(
        { properties => $properties }, $args, $arg_param, $fixed // {},
        $mapping
    );
    my $format = {
        map { $_ => delete $param->{$_} } grep { defined($param->{$_}) }
            keys(($formatter // {})->%*)
    };
    for my $name (grep { !$mapping->{$_}->{interactive} } keys %$mapping) {
        $param->{$name} = $mapping->{$name}->{func}->($param->{$name}) if defined($param->{$name});
    }
    my $result = $class->handle($info, $param, 1);
    return wantarray ? ($result, $format) : $result;
}

# Class->name($param)
sub AUTOLOAD { ## no critic (ProhibitAutoloading)
    my ($class, $param) = @_;
    my $name = $AUTOLOAD =~ s/.*:://r;
    return if $name eq 'DESTROY';
    return $class->handle($class->map_method_by_name($name), $param);
}

1;
