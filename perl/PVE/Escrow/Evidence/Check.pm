package PVE::Escrow::Evidence::Check;

use v5.36;

use PVE::Escrow::Evidence;

=head1 NAME

PVE::Escrow::Evidence::Check - was the evidence cut or rewritten, and where?

=head1 DESCRIPTION

The chain shows by itself what was edited, taken out or put in before its end. That its end was cut off, or that all from
some line on was written anew, shows only against anchors: what was noted down elsewhere of the number of lines and the
hash of the last one.

A line that a crash has torn is named, and is no damage as long as the chain goes on from it. Nor are events that could not
be written and are counted in the next line.

=head1 FUNCTIONS

=over

=item run($node, @anchors)

See C<verify> in L<PVE::Escrow::Evidence>.

=back

=cut

my $ZERO = '0' x 64;

my sub note ($check, $text) {
    push $check->{notes}->@*, $text;
    return;
}

my sub damage ($check, $text) {
    push $check->{damages}->@*, $text;
    return;
}

my sub short ($chain) {
    return substr($chain, 0, 8);
}

my sub plural ($count, $what) {
    return "$count $what" . ($count == 1 ? '' : 's');
}

# "line 3" or "lines 3 to 5"
my sub range ($first, $last) {
    return $first == $last ? "line $first" : "lines $first to $last";
}

my sub missing ($first, $last, $where = '') {
    return range($first, $last) . $where . ($first == $last ? ' is' : ' are') . ' missing';
}

my sub check_numbering ($check, @files) {
    my $expected = 1;
    for my $file (grep { $_->{number} } @files) {
        my $number = $file->{number};
        my $base = $file->{path} =~ s/[0-9]+\z//r;
        my $last = $number - 1;
        damage(
            $check,
            $expected == $last
            ? "$base$last was removed"
            : "$base$expected to $last were removed"
        ) if $expected <= $last;
        $expected = $number + 1;
    }
    return;
}

my sub keep_for_anchors ($check, $where) {
    my $chain = $check->{chain} // return;
    my $known = $check->{chains}->{$chain};
    my $number = $check->{number};
    $known->{last} = $number if $number > $known->{last};
    $known->{lines}->{$number} = { hash => $check->{previous}, where => $where }
        if $known->{wanted}->{$number};
    return;
}

my sub begin_chain ($check, $line, $where) {
    if (defined($check->{chain})) {
        damage(
            $check,
            "$where: another chain begins, "
                . short($line->{chain})
                . " of node "
                . ($line->{node} // '?')
                . ", after "
                . plural($check->{number}, 'line')
                . ' of chain '
                . short($check->{chain})
                . ': was a backup of the log restored?',
        );
        $check->@{qw(number previous since torn)} = (0, $ZERO, [], []);
    }
    $check->{chain} = $line->{chain};
    $check->{chains}->{ $line->{chain} }->{last} //= 0;
    return;
}

my sub check_number ($check, $line, $where) {
    my $expected = $check->{number} + 1;
    if ($line->{n} > $expected) {
        damage($check, "$where: " . missing($expected, $line->{n} - 1, ' before it'));
    } elsif ($line->{n} < $expected) {
        damage(
            $check,
            "$where has number $line->{n}, where $expected is expected: lines were put in, or written twice"
        );
    } elsif ($line->{previous} ne $check->{previous}) {
        my @since = $check->{since}->@*;
        my $others = @since > 1 ? ", or one of the lines from $since[0]->{where} on" : '';
        damage(
            $check,
            @since
            ? "$since[-1]->{where} was edited$others: the next line has another hash"
            : "$where is the first line, and says that there was another before it",
        );
    } else {
        note($check, "$_ is torn: writing it was cut short. The chain goes on from it")
            for $check->{torn}->@*;
    }
    return;
}

my sub check_line ($check, $raw, $where) {
    my $line = PVE::Escrow::Evidence::parse($raw);
    if ($line) {
        begin_chain($check, $line, $where) if $line->{chain} ne ($check->{chain} // '');
        check_number($check, $line, $where);
        note(
            $check,
            "$where: before it, "
                . plural($line->{unwritten}, 'event')
                . ' could not be written'
        ) if ($line->{unwritten} // '') =~ m/^[1-9][0-9]*\z/;
        $check->@{qw(number since torn)} = ($line->{n}, [], []);
    } else {
        $check->{number}++;
        push $check->{torn}->@*, $where;
    }
    push $check->{since}->@*, { raw => $raw, where => $where };
    $check->{previous} =
        PVE::Escrow::Evidence::hash(join("\n", map { $_->{raw} } $check->{since}->@*));
    $check->{count}++;
    keep_for_anchors($check, $where);
    return;
}

my sub says ($anchor) {
    return $anchor->{from} . (defined($anchor->{time}) ? " of $anchor->{time}" : '');
}

my sub check_cut ($check, $last, @anchors) {
    my $most = $anchors[-1];
    return if $most->{count} <= $last;
    damage(
        $check,
        "the end was cut off: "
            . says($most)
            . " knows of "
            . plural($most->{count}, 'line')
            . ", and there are $last: "
            . missing($last + 1, $most->{count}),
    );
    return;
}

my sub check_rewritten ($check, $lines, @anchors) {
    my $good = 0;
    for my $anchor (@anchors) {
        my $line = $lines->{ $anchor->{count} } // next;
        if ($line->{hash} eq $anchor->{hash}) {
            $good = $anchor->{count};
            next;
        }
        my $from = $good + 1;
        my $what =
            $from == $anchor->{count}
            ? "line $from was edited, or all from it on was written anew"
            : "rewritten from one of the " . range($from, $anchor->{count}) . ' on';
        damage(
            $check,
            "$line->{where}: $what: "
                . says($anchor)
                . " knows another hash of line $anchor->{count}"
        );
        return;
    }
    return;
}

my sub check_anchors ($check, $anchors) {
    for my $chain (sort keys %$anchors) {
        my @sorted = sort { $a->{count} <=> $b->{count} } $anchors->{$chain}->@*;
        my $known = $check->{chains}->{$chain};
        if (!defined($known->{last})) {
            damage(
                $check,
                says($sorted[-1])
                    . " knows of "
                    . plural($sorted[-1]->{count}, 'line')
                    . " of chain "
                    . short($chain)
                    . ', and none of it is here: the files were removed, or others restored',
            );
            next;
        }
        check_cut($check, $known->{last}, @sorted);
        check_rewritten($check, $known->{lines}, @sorted);
    }
    return;
}

# by chain; those of other nodes are for these
my sub sort_anchors ($check, $node, @anchors) {
    my %by_chain;
    for my $anchor (@anchors) {
        if (($anchor->{node} // $node) ne $node) {
            note($check, "$anchor->{from} is of node $anchor->{node}: check it there");
            next;
        }
        push $by_chain{ $anchor->{chain} }->@*, $anchor;
        $check->{chains}->{ $anchor->{chain} }->{wanted}->{ $anchor->{count} } = 1;
    }
    return \%by_chain;
}

my sub summary ($check, $anchors) {
    my $damages = scalar($check->{damages}->@*);
    return 'the evidence was changed: ' . plural($damages, 'finding') if $damages;
    my $lines = plural($check->{count}, 'line');
    return
        "the chain of $lines is whole. No anchor was found: that its end was cut off, or that it was written anew,"
        . ' would not show'
        if !%$anchors;
    my $count = 0;
    $count += @$_ for values %$anchors;
    return "the chain of $lines is whole, and as " . plural($count, 'anchor') . ' knew it';
}

sub run ($node, @anchors) {
    my $check = {
        chains => {}, count => 0, damages => [], notes => [], number => 0, previous => $ZERO,
        since => [],
        torn => [],
    };
    my $by_chain = sort_anchors($check, $node, @anchors);
    my @files = PVE::Escrow::Evidence::files();
    check_numbering($check, @files);
    for my $file (@files) {
        my $number = 0;
        check_line($check, $_, "$file->{path} line " . ++$number)
            for PVE::Escrow::Evidence::lines($file);
    }
    note($check, "$_ is torn: writing it was cut short. The next event goes on from it")
        for $check->{torn}->@*;
    check_anchors($check, $by_chain);
    return {
        result => $check->{damages}->@* ? 'damaged' : 'ok',
        text => summary($check, $by_chain),
        lines => $check->{count},
        files => [map { $_->{path} } @files],
        findings => [$check->{damages}->@*, $check->{notes}->@*],
    };
}

1;
