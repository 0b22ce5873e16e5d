//! What happens between Perl's call and the exported function.

use std::ffi::CStr;
use std::fmt::Display;
use std::panic::{UnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::Once;
use std::vec;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::ffi::{self, AV, Body, SV};
use crate::value::Value;
use crate::{de, ser};

/// An entry of a package.
pub struct Export {
    /// With the name of the package.
    pub name: &'static CStr,
    /// In Perl's notation, such as `$;$`.
    pub prototype: &'static CStr,
    /// Made of the exported function by the macro.
    pub body: Body,
}

/// Installs the functions of a package when called for the first time, as an XSUB without arguments.
pub fn boot(once: &Once, exports: &[Export]) {
    // SAFETY: Perl has put a mark on its stack for the call of `boot_*`.
    unsafe { ffi::standin_drop_arguments() };
    once.call_once(|| {
        for export in exports {
            // SAFETY: both strings are static, and the macro made the body for this very purpose.
            unsafe {
                ffi::standin_install(export.name.as_ptr(), export.body, export.prototype.as_ptr());
            }
        }
    });
}

/// What Perl shall die with.
pub struct Die(Value);

/// Dies with a text as it is.
fn die_with(text: &str) -> Die {
    Die(Value::string(text))
}

/// Dies with an error, which always gets a newline, so that Perl does not add the place.
pub fn die<E: Display + ?Sized>(error: &E) -> Die {
    die_with(&format!("{error:#}\n"))
}

/// The results of a function, or why it has none.
pub type Output = Result<Vec<Value>, Die>;

/// Runs the body of an exported function. Returns what to die with, or null.
///
/// The glue croaks only after that, when all values of the Rust side are dropped.
///
/// # Safety
///
/// To be called with the arguments of a [`Body`] only.
pub unsafe fn run(
    args: *const *mut SV,
    count: usize,
    results: *mut AV,
    body: impl FnOnce(&mut Args) -> Output,
) -> *mut SV {
    // SAFETY: the glue passes the part of Perl's stack where the arguments are. They are copied
    // from there, with a reference count each, before anything can move the stack or free them.
    let args = unsafe {
        let args = if count > 0 {
            slice::from_raw_parts(args, count)
        } else {
            &[]
        };
        let args = args.iter().map(|&sv| Value::borrowed(sv));
        args.collect::<Vec<_>>().into_iter()
    };
    match body(&mut Args(args)) {
        Err(Die(error)) => error.into_mortal(),
        Ok(values) => {
            for value in values {
                // SAFETY: the glue passes an array.
                unsafe { ffi::standin_array_push(results, value.into_raw()) };
            }
            ptr::null_mut()
        }
    }
}

/// The arguments of a call.
pub struct Args(vec::IntoIter<Value>);

impl Args {
    /// The next argument, which must not be missing.
    pub fn required(&mut self, name: &str) -> Result<Value, Die> {
        self.0
            .next()
            .ok_or_else(|| die_with(&format!("missing required parameter: '{name}'\n")))
    }

    /// The next argument, or undef.
    pub fn optional(&mut self) -> Value {
        self.0.next().unwrap_or_else(Value::undef)
    }

    /// Checks that all of them were taken.
    pub fn end(&self, function: &str, expected: usize) -> Result<(), Die> {
        if self.0.len() == 0 {
            return Ok(());
        }
        Err(die_with(&format!(
            "too many parameters for function '{function}', (expected {expected})\n"
        )))
    }
}

/// Reads an argument.
pub fn read<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Die> {
    de::from_value(value).map_err(|error| die(&error))
}

/// Calls the function. Perl names the place of a panic, whose own message went to stderr before.
pub fn guard(call: impl FnOnce() -> Output + UnwindSafe) -> Output {
    catch_unwind(call).unwrap_or_else(|_| Err(die_with("rust function panicked")))
}

/// The output of a function without a result.
pub fn nothing((): ()) -> Output {
    Ok(Vec::new())
}

/// The output of a function with one result.
pub fn one<T: Serialize>(value: &T) -> Output {
    let value = ser::to_result(value).map_err(|error| die(&error))?;
    Ok(value.into_iter().collect())
}

/// The output of a function that returns a tuple: Perl gets a list.
pub fn many<const N: usize>(values: [Result<Value, Error>; N]) -> Output {
    let values: Result<Vec<_>, _> = values.into_iter().collect();
    values.map_err(|error| die(&error))
}
