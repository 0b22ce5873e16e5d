package PVE::Exception;

# Stand-in for tests: an error with a code and with what is wrong with each parameter.

use v5.36;

use Exporter qw(import);

use overload '""' => sub { $_[0]->stringify() }, 'cmp' => sub { "$_[0]" cmp "$_[1]" };

our @EXPORT_OK = qw(raise raise_param_exc raise_perm_exc);

sub new ($class, $msg, %param) {
    return bless { msg => $msg, %param }, $class;
}

sub stringify ($self) {
    my $text = ($self->{code} ? "$self->{code} " : '') . $self->{msg};
    my $errors = $self->{errors} // {};
    return $text if !%$errors;
    $text .= "\n" if $text !~ m/\n\z/;
    return $text . join('', map { "$_: $errors->{$_}\n" } sort keys %$errors);
}

sub is_param_exc ($self) {
    return ($self->{code} // 0) == 400 && $self->{errors};
}

sub raise ($msg, %param) {
    die PVE::Exception->new($msg, %param);
}

sub raise_param_exc ($errors, $usage = undef) {
    die PVE::Exception->new(
        "Parameter verification failed.\n", code => 400, errors => $errors, usage => $usage,
    );
}

sub raise_perm_exc ($what = undef) {
    my $text = 'Permission check failed' . (defined($what) ? " ($what)" : '') . "\n";
    die PVE::Exception->new($text, code => 403);
}

1;
