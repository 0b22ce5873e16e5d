//! One bare derivation by the scrypt crate with the client's parameters, for `make bench`: prints nanoseconds.

use std::time::Instant;

fn main() {
    let params = scrypt::Params::new(16, 8, 1).expect("the client's parameters are valid");
    let mut key = [0; 32];
    let start = Instant::now();
    scrypt::scrypt(b"ten words", &[7; 32], &params, &mut key).expect("32 bytes are a valid length");
    println!("{}", start.elapsed().as_nanos());
}
