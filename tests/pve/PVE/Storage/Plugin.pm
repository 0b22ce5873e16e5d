package PVE::Storage::Plugin;

# Stand-in for tests: the types of storages, and the form of storage.cfg.

use v5.36;

use PVE::Cluster;
use PVE::JSONSchema qw(get_standard_option);

my $TYPES = {};
my $PROPERTIES = {};

sub register ($class) {
    my $type = $class->type();
    die "duplicate plugin registration (type = $type)\n" if $TYPES->{$type};
    $TYPES->{$type} = $class;
    return;
}

# Each property belongs to one type; all that come later only use it. What the API takes is what is known by then.
sub init ($class) {
    my $known = {};
    for my $type (sort keys %$TYPES) {
        my $own = $TYPES->{$type}->properties();
        for my $name (sort keys %$own) {
            die "duplicate property '$name'\n" if $known->{$name};
            $known->{$name} = { %{ $own->{$name} }, optional => 1 };
        }
    }
    $PROPERTIES = $known;
    return;
}

my sub schema (%more) {
    return {
        type => 'object',
        additionalProperties => 0,
        properties => { %$PROPERTIES, storage => get_standard_option('pve-storage-id'), %more },
    };
}

sub createSchema ($class) {
    return schema(type => { type => 'string' });
}

sub updateSchema ($class) {
    return schema(
        delete => { type => 'string', optional => 1 },
        digest => { type => 'string', optional => 1 },
    );
}

sub properties ($class) {
    return {};
}

sub lookup ($class, $type) {
    return $TYPES->{$type} // die "unknown type '$type'\n";
}

my sub parse ($filename, $raw) {
    my ($ids, $current) = ({});
    for my $line (split(m/\n/, $raw // '')) {
        if ($line =~ m/^(\S+): (\S+)\s*$/) {
            $current = $ids->{$2} = { type => $1 };
        } elsif ($line =~ m/^\s+(\S+)(?:\s+(.*?))?\s*$/) {
            $current->{$1} = $1 eq 'content' ? { map { $_ => 1 } split(m/,/, $2) } : $2 // 1;
        }
    }
    return { ids => $ids };
}

my sub write_text ($filename, $cfg) {
    my $text = '';
    for my $storeid (sort keys $cfg->{ids}->%*) {
        my $scfg = $cfg->{ids}->{$storeid};
        $text .= "$scfg->{type}: $storeid\n";
        for my $name (grep { $_ ne 'type' } sort keys %$scfg) {
            my $value = $scfg->{$name};
            $value = join(',', sort keys %$value) if ref($value) eq 'HASH';
            $text .= "\t$name $value\n";
        }
        $text .= "\n";
    }
    return $text;
}

PVE::Cluster::cfs_register_file('storage.cfg', \&parse, \&write_text);

# secrets are for the hooks, not for the file
sub check_config ($class, $storeid, $param, $create, $skip_schema_check) {
    my $options = $class->options();
    my $config = $create ? { type => $class->type() } : {};
    for my $name (grep { $_ ne 'type' } keys %$param) {
        die "unexpected property '$name'\n" if !$options->{$name};
        $config->{$name} =
            $name eq 'content' ? { map { $_ => 1 } split(m/,/, $param->{$name}) } : $param->{$name};
    }
    return $config;
}

sub on_add_hook ($class, $storeid, $scfg, %param) {
    return;
}

sub on_update_hook ($class, $storeid, $scfg, %param) {
    return;
}

sub on_update_hook_full ($class, $storeid, $scfg, $update, $delete, $sensitive) {
    return $class->on_update_hook($storeid, $update, %$sensitive);
}

sub on_delete_hook ($class, $storeid, $scfg) {
    return;
}

sub activate_storage ($class, $storeid, $scfg) {
    return 1;
}

1;
