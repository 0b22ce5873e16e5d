#!/usr/bin/perl -T

# Is the documentation true? Each block marked 'sh' is run, in order, in a tree of its own for each file; HTML comments 'sh: …' are
# run too. A person with pen and paper is played by programs in front of ours: they note the words, and type them back.

use v5.36;

use Cwd ();
use File::Basename ();
use File::Path ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

my $LIVE =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $HOME = '/run/home';
my $PERSON = '/run/person';
my ($PERL) = $^X =~ m/^(.*)$/;
my $INCLUDE = join(' ', map { "-I$_" } map { m/^(.*)$/ } grep { !ref } @INC);

my $PROGRAMS = {
    pveescrow => <<"EOS",
tool() { $PERL -T $INCLUDE $ROOT/perl/bin/pveescrow "\$@"; }
case \${1:-} in
    create)
        words=$PERSON/words.\$(date +%s.%N)
        said=\$(tool "\$@" --code-out \$words)
        mv \$words $PERSON/words
        tool confirm "\$2" "\$(echo "\$said" | sed -n 's/.*seal \\(.*\\) is pending.*/\\1/p')" --code-file $PERSON/words ;;
    recover)
        case " \$* " in
            *' --out '*) ;;
            *' --kit '*) set -- "\$@" --password-file $PERSON/secret ;;
        esac
        tool "\$@" --code-file $PERSON/words ;;
    rotate)
        words=$PERSON/words.\$(date +%s.%N)
        said=\$(tool "\$@" --code-out \$words)
        mv \$words $PERSON/words
        tool rotate "\$2" --key "\$(echo "\$said" | sed -n 's/^The new key is kept as \\([0-9a-f]*\\).*/\\1/p')" --code-file $PERSON/words ;;
    bootstrap) tool "\$@" --password-file $PERSON/secret --code-file $PERSON/words ;;
    verify) tool "\$@" --code-file $PERSON/words ;;
    prove)
        case " \$* " in *' --drill '*) tool prove "\$2" --code-file $PERSON/words ;; *) tool "\$@" ;; esac ;;
    check | doctor) tool "\$@" || [ \$? -lt 3 ] ;;
    *) tool "\$@" ;;
esac
EOS
    'pve-escrow-rescue' => <<"EOS",
case \$1 in verify | unwrap) set -- "\$@" --code-in $PERSON/words ;; esac
exec $ROOT/target/debug/pve-escrow-rescue "\$@"
EOS
    pvesm => <<"EOS",
exec $PERL -T $INCLUDE -MPVE::Storage -MPVE::API2::Storage::Config -e '
    (\$ENV{PATH}) = \$ENV{PATH} =~ m/^(.*)\$/;
    my (\$verb, \$storage, %option) = map { m/^(?:--)?(.*)\$/ } \@ARGV;
    my \$method = { set => "update", remove => "delete" }->{\$verb} // die "no such command\\n";
    PVE::API2::Storage::Config->\$method({ storage => \$storage, %option });
' "\$@"
EOS
};

my sub set_up () {
    fresh();
    storage_cfg(
        backup1 => { username => 'root@pam', 'encryption-key' => $LIVE },
        nas => { type => 'dir', path => '/run/nas' },
    );
    put_key('backup1');
    spew('/etc/pve/priv/storage/backup1.pw', "the-secret-of-the-server\n");
    File::Path::make_path('/run/client', '/run/nas', $HOME);
    spew("$PERSON/secret", "the-secret-of-the-server\n");
    for my $name (keys %$PROGRAMS) {
        spew("$PERSON/bin/$name", "#!/bin/sh\nset -eu\n$PROGRAMS->{$name}");
        chmod(oct(755), "$PERSON/bin/$name");
    }
    return;
}

# what this says happens where the tree has it
my sub run_block ($text) {
    my %place = ('/root/' => "$HOME/", '/mnt/datastore' => "$ROOT/tests/vectors/datastore");
    $text =~ s/\Q$_\E/$place{$_}/g for keys %place;
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open(STDERR, '>&', \*STDOUT) or die "$!\n";
        local $ENV{PATH} = "$PERSON/bin:$ENV{PATH}";
        local $ENV{KIT} = "$PERSON/kit";
        chdir($HOME) or die "$HOME: $!\n";
        exec('bash', '-euo', 'pipefail', '-c', $text) or die "bash: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close($out);
    return ($said // '', $?);
}

my sub blocks ($text) {
    my @blocks;
    while ($text =~ m/^(?:```sh\n(.*?)^```$|<!-- sh: (.*?) -->$)/msg) {
        push @blocks, $1 // $2;
    }
    return @blocks;
}

my sub slug ($heading) {
    return lc($heading) =~ s/[^\w\s-]//gr =~ s/\s/-/gr;
}

my sub headings ($file) {
    return map { slug($_) => 1 } slurp($file) =~ m/^#+ (.*)$/mg;
}

my sub check_links ($file, $text) {
    my $directory = File::Basename::dirname($file);
    for my $link ($text =~ m/\]\(([^)\s]+)\)/g) {
        next if $link =~ m/^https?:/;
        my ($path, $anchor) = $link =~ m/^([^#]*)(?:#(.*))?$/;
        my $target = length($path) ? "$directory/$path" : $file;
        my %heading = -f $target ? headings($target) : ();
        ok(-e $target && (!defined($anchor) || $heading{$anchor}), "link to $link");
    }
    return;
}

require PVE::CLI::pveescrow;
my $VERBS = do { no strict 'refs'; ${'PVE::CLI::pveescrow::cmddef'} };
my @FILES = map { m/^(.*)$/ } "$ROOT/README.md", "$ROOT/SECURITY.md", glob("$ROOT/docs/*.md");

for my $file (@FILES) {
    my $name = $file =~ s{^\Q$ROOT\E/}{}r;
    my $text = slurp($file);
    subtest $name => sub {
        check_links($file, $text);
        my %named = map { $_ => 1 } $text =~ m/(?:^|[`'#]\s?)pveescrow ([a-z]+)\b/mg;
        is_deeply([grep { !$VERBS->{$_} } sort keys %named], [], 'commands that there are');
        my @blocks = blocks($text);
        set_up() if @blocks;
        my $number = 0;
        for my $block (@blocks) {
            my ($said, $status) = run_block($block);
            $number++;
            is($status, 0, "block $number: " . $block =~ s/\n.*//sr) or diag("$block\n$said");
        }
    };
}

my $api = do { local $ENV{PATH} = '/usr/bin:/bin'; scalar(qx{$PERL $ROOT/docs/api.pl}) };
is($api, slurp("$ROOT/docs/api.md"), 'docs/api.md is up to date: make docs');

done_testing();
