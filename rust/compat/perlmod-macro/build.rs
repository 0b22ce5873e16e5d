//! Says that this is not the original.

fn main() {
    println!("cargo::metadata=standin=1");
    println!("cargo::rerun-if-changed=build.rs");
}
