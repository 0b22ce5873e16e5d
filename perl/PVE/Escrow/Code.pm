package PVE::Escrow::Code;

use v5.36;

use Fcntl qw(O_RDONLY O_NOFOLLOW O_NONBLOCK S_ISREG);

use PVE::Exception qw(raise_param_exc);

use PVE::Escrow::Schema;

=head1 NAME

PVE::Escrow::Code - how a recovery code comes in

=head1 DESCRIPTION

In the body of a request, from a prompt of C<pveescrow>, or from a file. Never out of an argument list: every user
of a node can read those of all processes, and C<pvesh> hands its own on to other nodes.

=head1 FUNCTIONS

=over

=item parameters(%override)

The parameters C<code> and C<code-file>, for a method.

=item is_given($param)

Is there a code, in either of them?

=item take($param)

Removes both from the parameters and returns the code.

=item refuse_argument($name, $instead)

Dies in C<pvesh>, and says what to use instead: this parameter is a secret.

=item from_file($path)

The code in a regular file of root's that nobody else can read.

=back

=cut

my $MAX = 2048;

sub parameters () {
    return (
        code => PVE::Escrow::Schema::parameter('verify', 'code', optional => 1),
        'code-file' => {
            description =>
                "A file on the node with the recovery code in it, root's and mode 0600."
                . " Taken from pvesh and pveescrow only.",
            type => 'string',
            maxLength => 4096,
            optional => 1,
        },
    );
}

sub from_file ($path) {
    my $wrong = sub ($why) { raise_param_exc({ 'code-file' => "$path: $why" }) };
    sysopen(my $fh, $path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) or $wrong->("cannot open it: $!");
    my (undef, undef, $mode, undef, $uid) = stat($fh);
    $wrong->('not a regular file') if !S_ISREG($mode);
    $wrong->('it belongs to another user') if $uid != $>;
    $wrong->('others can read it: chmod 600') if $mode & oct(77);
    sysread($fh, my $code, $MAX + 1) // $wrong->("cannot read it: $!");
    $wrong->('it is longer than a recovery code can be') if length($code) > $MAX;
    return $code;
}

my sub is_cli () {
    require PVE::RPCEnvironment;
    return (PVE::RPCEnvironment::get()->{type} // '') eq 'cli';
}

# pveescrow reads secrets from prompts and files and hands them over within the process; pvesh has arguments only
sub refuse_argument ($name, $instead) {
    raise_param_exc({
        $name => "not as an argument, which every user of this node can read: use $instead",
    }) if is_cli() && $0 =~ m{(?:^|/)pvesh$};
    return;
}

sub is_given ($param) {
    return defined($param->{code}) || defined($param->{'code-file'});
}

sub take ($param) {
    my ($code, $file) = (delete $param->{code}, delete $param->{'code-file'});
    if (defined($file)) {
        raise_param_exc({ 'code-file' => 'only from pvesh or pveescrow on a node' }) if !is_cli();
        raise_param_exc({ code => "either this or 'code-file'" }) if defined($code);
        return from_file($file);
    }
    raise_param_exc({ code => 'the ten words are missing' }) if !defined($code);
    refuse_argument('code', "--code-file FILE, or 'pveescrow', which asks for it");
    return $code;
}

1;
