package PVE::Escrow::Report;

use v5.36;

use POSIX ();

use PVE::INotify;

use PVE::Escrow::Evidence;
use PVE::Escrow::Keys;
use PVE::Escrow::Records;
use PVE::Escrow::Status;
use PVE::Escrow::Storage;
use PVE::RS::Escrow;

=head1 NAME

PVE::Escrow::Report - a page for an auditor

=head1 DESCRIPTION

One HTML file that needs nothing else: to be read, printed and filed. It has no secret in it, and no blob. What can't be
found out is said in its place; the rest is there all the same.

=head1 FUNCTIONS

=over

=item html(@anchors)

The page, with the evidence checked against what this node has noted down, and against C<@anchors>.

=item name()

A name for its file.

=back

=cut

my $EVENTS = 50;

# a colour for each word; others are plain
my $CLASS = {
    map({ $_ => 'good' } qw(sealed active ok valid good live kept acknowledged)),
    map({ $_ => 'warning' } qw(pending unsealed orphaned unknown warning)),
    map({ $_ => 'critical' }
        qw(missing-key unusable mismatch missing invalid damaged error critical)),
};

my $STYLE = <<'END';
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 75em; margin: 2em auto;
  padding: 0 1em }
h1 { font-size: 1.6em; margin-bottom: 0 } h2 { font-size: 1.2em; margin: 1.8em 0 .4em; border-bottom: 2px solid #1a1a1a }
table { border-collapse: collapse; width: 100% } caption { text-align: left; padding: .4em 0; font-weight: 600 }
th, td { text-align: left; vertical-align: top; padding: .25em .6em .25em 0; border-bottom: 1px solid #ccc }
th { white-space: nowrap } code { font: .87em monospace; overflow-wrap: anywhere } .when, .short { white-space: nowrap }
.word { display: inline-block; padding: 0 .5em; border: 1px solid #777; border-radius: .3em; white-space: nowrap }
.good { background: #d9f2d9; border-color: #1b6e1b; color: #124a12 }
.warning { background: #fff0c2; border-color: #8a6100; color: #5c4100 }
.critical { background: #fbd5d5; border-color: #a11; color: #7a0c0c }
@media print { body { font-size: 10px; margin: 0; max-width: none; padding: 0 }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact } tr { break-inside: avoid } h2 { break-after: avoid } }
END

my sub escape ($text) {
    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;', "'" => '&#39;');
    return ($text // '') =~ s/([&<>"'])/$entity{$1}/gr =~ s/[^\P{Cc}\t\n]//gr;
}

# a reference is what is HTML already
my sub html_of ($cell) {
    return ref($cell) ? $$cell : escape($cell);
}

my sub word ($word) {
    my $class = $CLASS->{ $word // '' } // 'plain';
    return defined($word) ? \(qq{<span class="word $class">} . escape($word) . '</span>') : '';
}

my sub code ($text) {
    return defined($text) ? \('<code>' . escape($text) . '</code>') : '';
}

my sub short ($fingerprint) {
    return '' if !defined($fingerprint);
    return \(
        '<code class="short">' . escape(PVE::Escrow::Records::short($fingerprint)) . '</code>');
}

# of the records, or in seconds
my sub at_time ($time) {
    return '' if !defined($time);
    my $text =
        $time =~ m/^[0-9]+$/
        ? POSIX::strftime('%Y-%m-%d %H:%M:%S', gmtime($time))
        : $time =~ s/T/ /r =~ s/\+00:00$//r;
    return \('<span class="when">' . escape($text) . '</span>');
}

my sub paragraph ($cell) {
    return '<p>' . html_of($cell) . "</p>\n";
}

my sub table ($heads, @rows) {
    return paragraph('None.') if !@rows;
    my $head = join('', map { '<th scope="col">' . escape($_) . '</th>' } @$heads);
    my $body = join(
        '',
        map {
                  '<tr>'
                . join('', map { '<td>' . html_of($_) . '</td>' } @$_)
                . "</tr>\n"
        } @rows
    );
    return "<table>\n<thead><tr>$head</tr></thead>\n<tbody>\n$body</tbody>\n</table>\n";
}

my sub section ($title, $code) {
    my $content = eval { $code->() };
    $content //= paragraph(\('This could not be found out: ' . escape($@)));
    return '<section><h2>' . escape($title) . "</h2>\n$content</section>\n";
}

# as the panel shows them
my sub statuses () {
    return
        map { PVE::Escrow::Status::get($_, PVE::Escrow::Storage::config($_)) }
        PVE::Escrow::Storage::ids();
}

my sub with_key () {
    return grep { $_->{state} ne 'unencrypted' } statuses();
}

my sub verdict ($status) {
    my $verdict = $status->{verdict};
    my @reasons = grep { $_ ne $verdict } map { $_->{text} } $status->{reasons}->@*;
    return \join('<br>', map { escape($_) } $verdict, @reasons);
}

my sub storages () {
    return table(
        [qw(Storage Level State Verdict Key)],
        map { [
            $_->{storage}, word($_->{level}), word($_->{state}), verdict($_),
            short($_->{live} // $_->{configured}),
        ] } statuses(),
    );
}

my sub keys_table ($keys) {
    return table(
        [qw(Key State Storages Seals Kept Fingerprint)],
        map { [
            short($_->{fingerprint}),
            word($_->{state}),
            join(', ', $_->{storages}->@*),
            $_->{seals},
            scalar($_->{kept}->@*),
            code($_->{fingerprint} // 'not known: it could not be read as a key'),
        ] } @$keys,
    );
}

my sub seals ($keys) {
    my @rows;
    for my $fingerprint (map { $_->{fingerprint} // () } @$keys) {
        my $record = eval { PVE::Escrow::Records::get($fingerprint) };
        push @rows, [
            short($fingerprint),
            word('error'), $@,
        ] if !$record && $@;
        for my $seal (map { PVE::Escrow::Status::seal_row($_) }
            ($record // { seals => [] })->{seals}->@*) {
            push @rows, [
                short($fingerprint),
                word($seal->{state}),
                $seal->{label},
                code($seal->{id}),
                $seal->{by},
                map { at_time($seal->{$_}) }
                    qw(created confirmed last-verified superseded dropped),
            ];
        }
    }
    return table(
        [
            qw(Key State Holder Seal By Created Confirmed), 'Last verified',
            qw(Superseded Dropped),
        ],
        @rows
    );
}

my sub proofs () {
    my @rows;
    for my $status (with_key()) {
        my $storeid = $status->{storage};
        for my $kind (qw(drill proof)) {
            my $done = $status->{$kind};
            my $key = $done ? $done->{fingerprint} : undef;
            push @rows, $done
                ? [
                    $storeid, $kind, word($done->{result}), at_time($done->{time}), $done->{user},
                    short($key),
                    $done->{snapshots}, $done->{bytes}, $done->{text},
                ]
                : [$storeid, $kind, word('missing'), '', '', '', '', '', 'There was none.'];
        }
    }
    return table(
        [qw(Storage Kind Result Time By Key Snapshots), 'Bytes decrypted', 'Text'],
        @rows
    );
}

my sub coverage_of ($storeid, $coverage) {
    return paragraph("Storage $storeid: its backup server was never asked.")
        if !$coverage || !defined($coverage->{time});
    my $plain = $coverage->{plain} // 0;
    my $text =
        "$coverage->{snapshots} snapshots; not encrypted: $plain; without their key under a master key: "
        . ($coverage->{'without-rsa'} // 0) . '.';
    return paragraph(\(
              '<b>Storage '
            . escape($storeid)
            . '</b>, asked '
            . at_time($coverage->{time})->$* . ': '
            . escape($text)
            . ($plain ? ' ' . ${ word('warning') } . ' plaintext snapshots' : '')
    ))
        . table(
            [qw(Key State Snapshots Newest)],
            map { [
                code($_->{fingerprint}), word($_->{state}), $_->{snapshots}, at_time($_->{newest})
            ] } ($coverage->{keys} // [])->@*,
        );
}

my sub coverage () {
    return join('', map { coverage_of($_->{storage}, $_->{coverage}) } with_key())
        || paragraph('None.');
}

my sub copies () {
    my @rows;
    for my $status (with_key()) {
        push @rows, map { [
            $status->{storage}, $_->{storage}, word($_->{result}), $_->{outside} ? 'yes' : 'no',
            at_time($_->{time}), $_->{text},
        ] } $status->{copies}->@*;
    }
    return table(
        ['Of storage', 'Copy on', 'Result', 'Outside this cluster', 'Last try', 'Text'],
        @rows
    );
}

my sub chain (@anchors) {
    my $found = PVE::Escrow::Evidence::verify(@anchors);
    my $trouble = PVE::Escrow::Evidence::trouble();
    my $head = $found->{head};
    my $files = join(', ', $found->{files}->@*);
    return
          paragraph(\(${ word($found->{result}) } . ' ' . escape(ucfirst($found->{text}) . '.')))
        . (defined($trouble) ? paragraph(\(${ word('error') } . ' ' . escape($trouble))) : '')
        . join('', map { paragraph($_) } $found->{findings}->@*)
        . (
            $head ? paragraph(
                \(
                "Chain <code>$head->{chain}</code>, $head->{count} lines, last hash <code>$head->{hash}</code>"
                )
            )
            : ''
        )
        . paragraph(
            length($files) ? "Files on this node: $files."
            : 'There is no file of evidence on this node.'
        );
}

my sub events () {
    return table(
        [qw(Line Time User Event Result Storage Key Text)],
        map { [
            $_->{line},
            at_time($_->{time}),
            $_->{user},
            $_->{event},
            word($_->{result}),
            $_->{storage},
            short($_->{fingerprint}),
            $_->{text},
        ] } PVE::Escrow::Evidence::events($EVENTS)->@*,
    );
}

sub name () {
    return
          'escrow-report-'
        . PVE::INotify::nodename()
        . POSIX::strftime('-%Y-%m-%d.html', gmtime());
}

sub html (@anchors) {
    my $node = escape(PVE::INotify::nodename());
    my $time = POSIX::strftime('%Y-%m-%d %H:%M:%S', gmtime());
    my $version = eval { escape(PVE::RS::Escrow::version()->{version}) } // '?';
    return
          qq{<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n}
        . qq{<meta name="viewport" content="width=device-width, initial-scale=1">\n}
        . "<title>Escrow of backup keys: node $node, $time UTC</title>\n<style>\n$STYLE</style>\n</head>\n<body>\n"
        . "<h1>Escrow of backup keys</h1>\n"
        . "<p>As node $node saw it at $time UTC, with pve-escrow $version. All times are UTC.</p>\n"
        . section('Storages', \&storages)
        . section('Keys', sub { keys_table(PVE::Escrow::Keys::all()) })
        . section('Seals', sub { seals(PVE::Escrow::Keys::all()) })
        . section('Drills and proofs', \&proofs)
        . section('Coverage and plaintext snapshots', \&coverage)
        . section('Copies', \&copies)
        . section('Evidence', sub { chain(@anchors) })
        . section("The last $EVENTS events", \&events)
        . "</body>\n</html>\n";
}

1;
