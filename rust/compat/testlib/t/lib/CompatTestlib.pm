package CompatTestlib;

# Loads the test library, and calls its functions past their prototypes.

use v5.36;

use Cwd qw(abs_path);
use DynaLoader;
use Exporter qw(import);

our @EXPORT_OK = qw(call error_of);

# Paths are tainted when they come from outside, and the tests also run with -T.
my sub untaint ($path) {
    die "no such directory\n" if !defined($path);
    my ($clean) = $path =~ m/\A(.+)\z/s;
    return $clean;
}

# The directory of the library: COMPAT_TESTLIB_DIR, or where cargo puts it.
my sub library_dir() {
    my $env = $ENV{COMPAT_TESTLIB_DIR};
    return untaint($env) if defined($env) && length($env);

    my ($here) = __FILE__ =~ m!\A(.*)/[^/]+\z!s;
    return untaint(abs_path($here)) . '/../../../../../target/debug';
}

my $file = library_dir() . '/libcompat_testlib.so';
my $library = DynaLoader::dl_load_file($file) or die DynaLoader::dl_error() . "\n";

for my $package (qw(Scalars Data Calls)) {
    my $boot = "boot_CompatTestlib__${package}";
    my $symbol = DynaLoader::dl_find_symbol($library, $boot) or die "no '$boot' in '$file'\n";
    DynaLoader::dl_install_xsub("CompatTestlib::$boot", $symbol)->();
}

# A function such as 'Scalars::u32'.
my sub code ($name) {
    no strict 'refs';
    my $code = \&{"CompatTestlib::$name"};
    die "no function '$name'\n" if !defined(&$code);
    return $code;
}

# Passes on the very scalars that it was called with, not copies.
sub call { ## no critic (ArgUnpacking)
    my $code = code(shift);
    return $code->(@_);
}

# What a call dies with.
sub error_of { ## no critic (ArgUnpacking)
    my $code = code(shift);
    eval { $code->(@_); 1 } and return 'lived';
    return $@;
}

1;
