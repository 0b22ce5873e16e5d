//! Compiles the C glue with the flags of the Perl in `PATH`.

use std::process::Command;

/// Asks Perl for one of its configuration variables.
fn perl_config(name: &str) -> String {
    let output = Command::new("perl")
        .args(["-MConfig", "-e", &format!("print $Config{{{name}}}")])
        .output()
        .expect("perl has to be installed");
    assert!(output.status.success(), "perl -MConfig failed");
    String::from_utf8(output.stdout).expect("perl's configuration has to be UTF-8")
}

fn main() {
    println!("cargo::metadata=standin=1");
    println!("cargo::rerun-if-changed=src/glue.c");

    let mut build = cc::Build::new();
    build
        .file("src/glue.c")
        .include(format!("{}/CORE", perl_config("archlib")));
    for flag in perl_config("ccflags").split_ascii_whitespace() {
        build.flag(flag);
    }
    build.compile("perlmod_standin");
}
