package PVE::Notify;

# Stand-in for tests: renders the templates as the real one's handlebars would, as far as ours use them, and writes what
# would be sent to /run/notifications, a line of JSON each. Like the real one it dies without a template.

use v5.36;

use Cwd ();
use File::Basename ();
use JSON ();

my $SENT = '/run/notifications';
my ($TEMPLATES) =
    Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../../perl/templates') =~ m/^(.*)$/;

my sub value ($name, $data, $this) {
    my $member = $name =~ m/^this\.(.+)$/ ? [$this, $1] : [$data, $name];
    return $member->[0]->{ $member->[1] };
}

my $render;

my sub block ($kind, $name, $inner, $data, $this) {
    my $value = value($name, $data, $this);
    return join('', map { $render->($inner, $data, $_) } @$value) if $kind eq 'each';
    my $is_true = ref($value) eq 'ARRAY' ? scalar(@$value) : $value;
    return $is_true ? $render->($inner, $data, $this) : '';
}

$render = sub ($text, $data, $this) {
    1 while $text =~
        s/\{\{\#(each)\s+([\w.-]+)\}\}((?:(?!\{\{\#each).)*?)\{\{\/\1\}\}/block($1, $2, $3, $data, $this)/se;
    1 while $text =~
        s/\{\{\#(if)\s+([\w.-]+)\}\}((?:(?!\{\{\#if).)*?)\{\{\/\1\}\}/block($1, $2, $3, $data, $this)/se;
    $text =~ s/\{\{([\w.-]+)\}\}/value($1, $data, $this) \/\/ die "template: no '$1'\n"/ge;
    return $text;
};

my sub template ($file, $data) {
    open(my $fh, '<', "$TEMPLATES/$file.hbs") or die "could not render: $file: $!\n";
    local $/ = undef;
    return $render->(scalar(<$fh>), $data, {});
}

sub notify ($severity, $name, $data, $fields, $config = undef) {
    my $sent = { severity => $severity, template => $name, fields => $fields };
    $sent->{subject} = template("$name-subject.txt", $data) =~ s/\s+\z//r;
    $sent->{body} = template("$name-body.txt", $data);
    $sent->{html} = template("$name-body.html", $data);
    open(my $fh, '>>', $SENT) or die "$SENT: $!\n";
    print {$fh} JSON->new->canonical->encode($sent), "\n";
    return close($fh);
}

sub info (@message) { return notify('info', @message) }
sub notice (@message) { return notify('notice', @message) }
sub warning (@message) { return notify('warning', @message) }
sub error (@message) { return notify('error', @message) }

1;
