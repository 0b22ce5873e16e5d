//! Runs the inputs that the fuzz targets start from, and all test vectors, through each of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/fuzz_targets"]
mod targets {
    pub mod blob;
    pub mod code;
    pub mod index;
    pub mod keyfile;
    pub mod manifest;
    pub mod master;
    pub mod paper;
}

type Target = (&'static str, fn(&[u8]));

/// Named as the file in `fuzz/fuzz_targets`, the directory in `fuzz/corpus` and the program.
const TARGETS: &[Target] = &[
    ("blob", targets::blob::run),
    ("code", targets::code::run),
    ("index", targets::index::run),
    ("keyfile", targets::keyfile::run),
    ("manifest", targets::manifest::run),
    ("master", targets::master::run),
    ("paper", targets::paper::run),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(directory).unwrap_or_else(|err| panic!("{}: {err}", directory.display()))
    {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

#[test]
fn corpus_and_vectors_hold() {
    let vectors = files_below(&root().join("../../tests/vectors"));
    assert!(!vectors.is_empty());
    for (name, run) in TARGETS {
        let corpus = files_below(&root().join("fuzz/corpus").join(name));
        assert!(!corpus.is_empty(), "the corpus of {name} is empty");
        for file in corpus.iter().chain(&vectors) {
            // shown only if the next line panics
            println!("{name}: {}", file.display());
            run(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_target_is_run() {
    let there: BTreeSet<_> = files_below(&root().join("fuzz/fuzz_targets"))
        .iter()
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let run: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, run);
}
