//! Owned references to Perl values.

use std::ptr;
use std::slice;

use crate::Error;
use crate::ffi::{self, SV};

/// One reference count of a Perl value.
pub struct Value(*mut SV);

macro_rules! new {
    ($($name:ident($($arg:ident: $type:ty)?) => $function:ident,)*) => {
        $(pub fn $name($($arg: $type)?) -> Self {
            Self(unsafe { ffi::$function($($arg)?) })
        })*
    };
}

macro_rules! get {
    ($($(#[$doc:meta])* $name:ident() -> $type:ty => $function:ident,)*) => {
        $($(#[$doc])* pub fn $name(&self) -> $type {
            unsafe { ffi::$function(self.0) }
        })*
    };
}

// SAFETY of all calls below: the pointer is that of a live value, since one of its reference counts
// is ours, and only Perl's own thread gets here. Functions on arrays and hashes are only called on
// such, see `Deserializer::new` and `Compound`.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Value {
    /// Adds a reference count.
    ///
    /// # Safety
    ///
    /// `sv` has to be valid.
    pub unsafe fn borrowed(sv: *mut SV) -> Self {
        unsafe { ffi::standin_retain(sv) };
        Self(sv)
    }

    new! {
        undef() => standin_new_undef,
        integer(value: i64) => standin_new_integer,
        unsigned(value: u64) => standin_new_unsigned,
        float(value: f64) => standin_new_float,
        array() => standin_new_array,
        hash() => standin_new_hash,
    }

    pub fn string(text: &str) -> Self {
        Self::text(text.as_bytes(), !text.is_ascii())
    }

    pub fn bytes(bytes: &[u8]) -> Self {
        Self::text(bytes, false)
    }

    fn text(bytes: &[u8], utf8: bool) -> Self {
        Self(unsafe { ffi::standin_new_string(bytes.as_ptr().cast(), bytes.len(), utf8) })
    }

    /// Turns an array or hash into a reference to it.
    pub fn into_reference(self) -> Self {
        Self(unsafe { ffi::standin_new_reference(self.into_raw()) })
    }

    /// Gives up the reference count.
    pub fn into_raw(self) -> *mut SV {
        let sv = self.0;
        std::mem::forget(self);
        sv
    }

    /// Leaves the value to Perl, which frees it after the current statement.
    pub fn into_mortal(self) -> *mut SV {
        unsafe { ffi::standin_mortal(self.into_raw()) }
    }

    /// What a reference, or a reference to one and so on, leads to.
    pub fn dereferenced(&self) -> Self {
        let mut sv = self.0;
        loop {
            match unsafe { ffi::standin_target(sv) } {
                target if target.is_null() => return unsafe { Self::borrowed(sv) },
                target => sv = target,
            }
        }
    }

    get! {
        kind() -> u32 => standin_kind,
        as_integer() -> i64 => standin_integer,
        as_float() -> f64 => standin_float,
        as_bool() -> bool => standin_truth,
        /// How many keys a hash has.
        keys() -> usize => standin_hash_length,
        /// Starts over with the hash's only iterator.
        rewind() -> () => standin_hash_rewind,
    }

    /// The text, which lives as long as the Perl statement and so longer than any argument.
    ///
    /// The original takes Perl's word for it that the text is UTF-8. There are strings, of code
    /// points that Unicode does not have, where that is not so, and a `str` of them would be
    /// undefined behaviour.
    pub fn as_str<'a>(&self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.raw_bytes(true)).map_err(|_| Error::new("string is not Unicode"))
    }

    /// The bytes as Perl stores them, as long-lived as the text.
    pub fn as_bytes<'a>(&self) -> &'a [u8] {
        self.raw_bytes(false)
    }

    fn raw_bytes<'a>(&self, utf8: bool) -> &'a [u8] {
        let mut length = 0;
        unsafe {
            let start = ffi::standin_string(self.0, utf8, &mut length);
            slice::from_raw_parts(start.cast(), length)
        }
    }

    /// The element of an array; `None` at its end and, as in the original, at a hole.
    pub fn element(&self, index: usize) -> Option<Self> {
        unsafe {
            if index >= ffi::standin_array_length(self.0) {
                return None;
            }
            let sv = ffi::standin_array_get(self.0, index);
            (!sv.is_null()).then(|| Self::borrowed(sv))
        }
    }

    pub fn push(&self, value: Self) {
        unsafe { ffi::standin_array_push(self.0, value.into_raw()) }
    }

    pub fn store(&self, key: &Self, value: Self) {
        unsafe { ffi::standin_hash_store(self.0, key.0, value.into_raw()) }
    }

    pub fn next_entry(&self) -> Option<(Self, Self)> {
        let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
        unsafe {
            ffi::standin_hash_next(self.0, &mut key, &mut value)
                .then(|| (Self::borrowed(key), Self::borrowed(value)))
        }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the reference count is ours.
        unsafe { ffi::standin_release(self.0) }
    }
}
