#!/usr/bin/perl

# Prints docs/api.md, from what the API registers.

use v5.36;

use File::Basename ();

my $root;
BEGIN { $root = File::Basename::dirname(__FILE__) . '/..' }
use lib "$root/perl", "$root/tests/pve";

use PVE::JSONSchema;
use PVE::RESTHandler;

my %methods;
BEGIN {
    my $register = \&PVE::RESTHandler::register_method;
    no warnings 'redefine';
    *PVE::RESTHandler::register_method = sub ($class, $info) {
        push $methods{$class}->@*, $info;
        return $register->($class, $info);
    };
}

require PVE::API2::Storage::Escrow;
require PVE::API2::Cluster::Escrow;

my sub one_line ($text) {
    return ($text // '') =~ s/\s+/ /gr =~ s/\|/\\|/gr =~ s/\s\z//r;
}

my sub type ($schema) {
    return join(', ', map { "`$_`" } $schema->{enum}->@*) if $schema->{enum};
    return 'array of ' . ($schema->{items}->{type} // 'any') if ($schema->{type} // '') eq 'array';
    return $schema->{type} // 'any';
}

my sub rows ($schema, $given, @more) {
    my $properties = $schema->{properties} // {};
    return map {
        my $property = $properties->{$_};
        my $mark = $property->{optional} ? '' : ' *';
        "| `$_`$mark | " . type($property) . ' | ' . one_line($property->{description}) . " |\n"
    } grep { !$given->{$_} } sort keys %$properties;
}

my sub permission ($info) {
    my $permissions = $info->{permissions} // return 'root@pam';
    return $permissions->{description} if defined($permissions->{description});
    my $check = $permissions->{check} // return $permissions->{user} // 'root@pam';
    my ($kind, $path, $privileges) = @$check;
    return "$path: " . join(', ', @$privileges) if $kind eq 'perm';
    return 'see there';
}

my sub method ($base, $info) {
    my %in_path = map { $_ => 1 } "$base/$info->{path}" =~ m/\{(\w+)\}/g;
    my $path = "$base/$info->{path}" =~ s{/$}{}r;
    my $text =
          "### $info->{method} $path\n\n"
        . one_line($info->{description})
        . "\n\nWho: "
        . (permission($info) =~ s/[.]\z//r) . ".\n";
    if (my @parameters = rows($info->{parameters}, \%in_path)) {
        $text .= "\n| parameter | type | |\n|---|---|---|\n" . join('', @parameters);
    }
    my $returns = $info->{returns} // {};
    my $each = ($returns->{type} // '') eq 'array' ? $returns->{items} : $returns;
    my $what = $each == $returns ? 'result' : 'result, for each';
    if (my @members = rows($each, {})) {
        $text .= "\n| $what | type | |\n|---|---|---|\n" . join('', @members);
    } else {
        $text .=
              "\nReturns: "
            . type($returns)
            . (one_line($returns->{description}) =~ s/^(.)/: $1/r) . "\n";
    }
    return $text;
}

binmode(STDOUT, ':encoding(UTF-8)');
print <<'EOT';
# API

Written by `docs/api.pl` from what the API registers: `make docs`. Below `/api2/json`, and for `pvesh`; `*` is required. `pvesh` takes
a recovery code from a file of root's only (`code-file`).
EOT
for my $part (
    ['/nodes/{node}/storage/{storage}/escrow', 'PVE::API2::Storage::Escrow', 'One storage'],
    ['/cluster/escrow', 'PVE::API2::Cluster::Escrow', 'The cluster'],
) {
    my ($base, $class, $title) = @$part;
    print "\n## $title\n";
    print "\n", method($base, $_)
        for sort { $a->{path} cmp $b->{path} || $a->{method} cmp $b->{method} }
        $methods{$class}->@*;
}
