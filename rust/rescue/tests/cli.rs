//! Runs the contracts of the command line: commands and what they print, in `cmd/`.

#[test]
fn contracts() {
    trycmd::TestCases::new()
        .case("tests/cmd/*.trycmd")
        .case("tests/cmd/*.toml")
        .run();
}
