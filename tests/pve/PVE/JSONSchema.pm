package PVE::JSONSchema;

# Stand-in for tests: checks parameters against the part of JSON schema that our methods use.

use v5.36;

use Exporter qw(import);
use Getopt::Long ();

use PVE::Exception qw(raise raise_param_exc);

our @EXPORT_OK = qw(register_standard_option get_standard_option parse_property_string);

my $FORMATS = {
    'pve-storage-id' => qr/[a-z][a-z0-9\-_.]*[a-z0-9]/i,
    'pve-node' => qr/[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?/,
    'pve-userid' => qr/[^\s:\/]+\@[^\s:\/@]+/,
};

my $OPTIONS = {
    'pve-node' =>
        { description => 'The cluster node name.', type => 'string', format => 'pve-node' },
    'pve-storage-id' => {
        description => 'The storage identifier.',
        type => 'string',
        format => 'pve-storage-id',
    },
    'pve-output-format' => {
        description => 'Output format.',
        type => 'string',
        enum => [qw(text json json-pretty yaml)],
        optional => 1,
        default => 'text',
    },
};

sub register_standard_option ($name, $schema) {
    die "standard option '$name' already registered\n" if $OPTIONS->{$name};
    $OPTIONS->{$name} = $schema;
    return;
}

sub get_standard_option ($name, $base = {}) {
    my $option = $OPTIONS->{$name} or die "no such standard option '$name'\n";
    return { %$option, %$base };
}

sub register_format ($name, $code) {
    die "JSON schema format '$name' already registered\n" if $FORMATS->{$name};
    $FORMATS->{$name} = $code;
    return;
}

sub parse_boolean ($value) {
    return 1 if $value =~ m/^(?:1|on|yes|true)$/i;
    return 0 if $value =~ m/^(?:0|off|no|false)$/i;
    return undef; ## no critic (ProhibitExplicitReturnUndef)
}

my sub wrong_format ($format, $value) {
    my $is_list = $format =~ s/-list$//;
    my $check = $FORMATS->{$format} or return "unknown format '$format'";
    for my $item ($is_list ? split(m/[,;\s]+/, $value) : $value) {
        return "invalid format - value does not look like a valid $format"
            if ref($check) eq 'CODE' ? !eval { $check->($item); 1 } : $item !~ m/^$check$/;
    }
    return;
}

my sub wrong_string ($schema, $value) {
    return 'value does not match the regex pattern'
        if defined($schema->{pattern}) && $value !~ m/^$schema->{pattern}$/;
    return "value must be at least $schema->{minLength} characters long"
        if defined($schema->{minLength}) && length($value) < $schema->{minLength};
    return "value may only be $schema->{maxLength} characters long"
        if defined($schema->{maxLength}) && length($value) > $schema->{maxLength};
    return defined($schema->{format}) ? wrong_format($schema->{format}, $value) : undef;
}

my sub wrong_number ($schema, $value) {
    my $number = $schema->{type} eq 'integer' ? qr/^[+-]?[0-9]+$/ : qr/^[+-]?[0-9]+(?:\.[0-9]+)?$/;
    return "type check ('$schema->{type}') failed - got '$value'" if $value !~ $number;
    return "value must have a minimum value of $schema->{minimum}"
        if defined($schema->{minimum}) && $value < $schema->{minimum};
    return "value must have a maximum value of $schema->{maximum}"
        if defined($schema->{maximum}) && $value > $schema->{maximum};
    return;
}

my sub wrong_scalar ($schema, $value) {
    my $type = $schema->{type} // 'any';
    return "type check ('$type') failed" if ref($value);
    return
        "value '$value' does not have a value in the enumeration '"
        . join(', ', $schema->{enum}->@*) . "'"
        if $schema->{enum} && !grep { $_ eq $value } $schema->{enum}->@*;
    return wrong_number($schema, $value) if $type eq 'integer' || $type eq 'number';
    return $value =~ m/^[01]?$/
        || defined(parse_boolean($value)) ? undef : "type check ('boolean') failed - got '$value'"
        if $type eq 'boolean';
    return wrong_string($schema, $value);
}

my $check;
$check = sub ($value, $schema, $path, $errors) {
    my $type = $schema->{type} // 'any';
    my $wrong = sub ($text) { $errors->{ $path || '_root' } = $text; return; };
    return if $type eq 'null';
    if (!defined($value)) {
        $wrong->('property is missing and it is not optional') if !$schema->{optional};
        return;
    }
    return if $type eq 'any';
    if ($type eq 'array') {
        return $wrong->("type check ('array') failed") if ref($value) ne 'ARRAY';
        $check->($value->[$_], $schema->{items}, "$path\[$_]", $errors) for 0 .. $#$value;
        return;
    }
    if ($type eq 'object') {
        return $wrong->("type check ('object') failed") if ref($value) ne 'HASH';
        my $properties = $schema->{properties} // {};
        my $below = $path eq '' ? '' : "$path.";
        $check->($value->{$_}, $properties->{$_}, "$below$_", $errors)
            for sort keys %$properties;
        return if $schema->{additionalProperties} // 1;
        $errors->{"$below$_"} =
            'property is not defined in schema and the schema does not allow additional properties'
            for grep { !$properties->{$_} } keys %$value;
        return;
    }
    my $text = wrong_scalar($schema, $value);
    $wrong->($text) if defined($text);
    return;
};

sub validate ($value, $schema, $message = "Parameter verification failed.\n") {
    my $errors = {};
    $check->($value, $schema, '', $errors);
    raise($message, code => 400, errors => $errors) if %$errors;
    return 1;
}

# lines of `key: value`; what is wrong is left out with a warning
sub parse_config ($schema, $filename, $raw, $comment_key = undef) {
    my $config = {};
    while ($raw =~ m/^\s*(.+?)\s*$/gm) {
        my $line = $1;
        next if $line =~ m/^#/;
        my ($key, $value) = $line =~ m/^(\S+?):\s*(.*)$/;
        if (!defined($key)) {
            warn "ignore config line: $line\n";
            next;
        }
        my $type = ($schema->{properties}->{$key} // {})->{type} // '';
        $config->{$key} = $type eq 'boolean' ? parse_boolean($value) // $value : $value;
    }
    my $errors = {};
    $check->($config, $schema, '', $errors);
    for my $key (keys %$errors) {
        warn "parse error in '$filename' - '$key': $errors->{$key}\n";
        delete $config->{$key};
    }
    return $config;
}

my sub option_spec ($properties, $mapping, $fixed) {
    my @spec;
    for my $name (grep { !defined($fixed->{$_}) } sort keys %$properties) {
        my $schema = $properties->{$name};
        my $bare = ($mapping->{$name} // {})->{interactive} || $schema->{type} eq 'boolean';
        my $list = $schema->{type} eq 'array' || ($schema->{format} // '') =~ m/-list$/;
        push @spec, $name . ($bare ? ':s' : '=s') . ($list ? '@' : '');
    }
    return @spec;
}

my sub take_arguments ($options, $properties, $args, $names) {
    for my $name (@$names) {
        if ($name eq 'extra-args') {
            $options->{$name} = [splice(@$args)];
        } elsif (@$args) {
            $options->{$name} = shift @$args;
        } elsif (!$properties->{$name}->{optional}) {
            raise("not enough arguments\n", code => 400);
        }
    }
    raise("too many arguments\n", code => 400) if @$args;
    return;
}

sub get_options ($schema, $args, $arg_param, $fixed, $mapping) {
    my $properties = $schema->{properties} // {};
    my $options = {};
    Getopt::Long::Configure('prefix_pattern=(--|-)');
    Getopt::Long::GetOptionsFromArray($args, $options, option_spec($properties, $mapping, $fixed))
        or raise("unable to parse option\n", code => 400);
    take_arguments($options, $properties, $args, $arg_param // []);
    for my $name (grep { $mapping->{$_}->{interactive} } sort keys %$mapping) {
        my $wanted = defined($options->{$name})
            || $properties->{$name} && !$properties->{$name}->{optional};
        $options->{$name} = $mapping->{$name}->{func}->($options->{$name}) if $wanted;
    }
    for my $name (keys %$options) {
        my $property = $properties->{$name} or next;
        my $value = $options->{$name};
        if ($property->{type} eq 'boolean') {
            $options->{$name} = $value eq '' ? 1 : parse_boolean($value)
                // raise("unable to parse boolean option\n", code => 400);
        } elsif (ref($value) && ($property->{format} // '') =~ m/-list$/) {
            $options->{$name} = join(',', @$value);
        }
    }
    return { %$options, %$fixed };
}

1;
