//! Calling conventions, errors and panics.

use std::sync::atomic::AtomicU32;

/// How many [`Guard`]s were dropped so far.
pub static DROPPED: AtomicU32 = AtomicU32::new(0);

/// Counts its own end, to see whether destructors run.
pub struct Guard(#[allow(dead_code)] pub Vec<u8>);

impl Drop for Guard {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Serializes as unit, unlike `()` itself out of the macro's sight.
#[derive(serde::Serialize)]
#[serde(into = "()")]
pub struct Null;

impl Clone for Null {
    fn clone(&self) -> Self {
        Null
    }
}

impl From<Null> for () {
    fn from(_: Null) {}
}

/// Fails to serialize.
pub struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("cannot be written"))
    }
}

#[perlmod::package(name = "CompatTestlib::Calls", lib = "compat_testlib")]
pub mod exports {
    use std::sync::atomic::Ordering;

    use anyhow::{Context, Error, bail};

    use super::{DROPPED, Guard, Null, Unwritable};

    #[export]
    pub fn nothing() {}

    #[export]
    pub fn nothing_or(fail: bool) -> Result<(), Error> {
        if fail {
            bail!("told to fail");
        }
        Ok(())
    }

    #[export]
    pub fn add(a: u32, b: u32, c: Option<u32>) -> u32 {
        a + b + c.unwrap_or(0)
    }

    /// An `Option` before a mandatory parameter may not be left out.
    #[export]
    pub fn middle_option(a: u32, b: Option<u32>, c: u32) -> Result<u32, Error> {
        Ok(a + b.unwrap_or(100) + c)
    }

    #[export]
    pub fn all_options(a: Option<u32>, b: std::option::Option<u32>) -> String {
        format!("{a:?} {b:?}")
    }

    #[export(name = "perl_name")]
    pub fn rust_name(value: String) -> String {
        value
    }

    /// Names that generated code might use itself.
    #[export]
    pub fn names(args: String, body: String, call: String, results: String) -> String {
        [args, body, call, results].concat()
    }

    #[export]
    pub fn mutable(mut value: String) -> String {
        value.push('!');
        value
    }

    #[export]
    pub fn pair(a: u32, b: String) -> (u32, String) {
        (a, b)
    }

    #[export]
    pub fn pair_or(fail: bool) -> Result<(Option<u32>, Vec<u32>), Error> {
        if fail {
            bail!("no pair");
        }
        Ok((None, vec![1, 2]))
    }

    #[export]
    pub fn null() -> Null {
        Null
    }

    #[export]
    pub fn some_null() -> Option<Null> {
        Some(Null)
    }

    #[export]
    pub fn none() -> Option<Null> {
        None
    }

    #[export]
    pub fn list(count: u32) -> Vec<u32> {
        (0..count).collect()
    }

    #[export]
    pub fn list_or(count: u32) -> Result<Vec<u32>, Error> {
        Ok((0..count).collect())
    }

    #[export]
    pub fn fail(message: String) -> Result<u32, Error> {
        let _guard = Guard(vec![0; 1024]);
        bail!("{message}");
    }

    #[export]
    pub fn fail_with_context() -> Result<(), Error> {
        Err(Error::msg("inner")).context("middle").context("outer")
    }

    #[export]
    pub fn fail_with_string(message: String) -> Result<(), String> {
        Err(message)
    }

    #[export]
    pub fn unwritable() -> Unwritable {
        Unwritable
    }

    #[export]
    pub fn unwritable_pair() -> Result<(u32, Unwritable), Error> {
        Ok((1, Unwritable))
    }

    #[export]
    pub fn unwritable_list() -> Vec<Unwritable> {
        vec![Unwritable]
    }

    #[export]
    pub fn panic(message: String) -> Result<u32, Error> {
        let _guard = Guard(vec![0; 1024]);
        panic!("{message}");
    }

    #[export]
    pub fn overflow(value: u8) -> u8 {
        let _guard = Guard(vec![0; 1024]);
        value.checked_add(1).expect("overflow")
    }

    #[export]
    pub fn dropped() -> u32 {
        DROPPED.load(Ordering::Relaxed)
    }

    /// Keeps panic messages of the tests off the terminal.
    #[export]
    pub fn silence_panics() {
        std::panic::set_hook(Box::new(|_| ()));
    }

    /// Not exported, and has to stay an ordinary function.
    pub fn helper() -> u32 {
        42
    }

    #[export]
    pub fn call_helper() -> u32 {
        helper()
    }
}
