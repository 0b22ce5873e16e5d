package PVE::CLIFormatter;

# Stand-in for tests: JSON, and something like it for people.

use v5.36;

use JSON ();

sub print_api_result ($data, $schema, $columns, $options) {
    my $format = $options->{'output-format'} // 'text';
    my $json = JSON->new->canonical->allow_nonref->utf8;
    $json->pretty if $format ne 'json';
    print $json->encode($data), $format eq 'json' ? "\n" : '';
    return;
}

1;
