//! The functions and constants of `glue.c`.

use libc::{c_char, c_uint, size_t};

/// Some Perl value; arrays and hashes are cast to it.
#[repr(C)]
pub struct SV {
    opaque: [u8; 0],
}

/// A Perl array.
pub type AV = SV;

/// A Perl hash.
pub type HV = SV;

pub const HAS_INTEGER: c_uint = 1;
pub const HAS_FLOAT: c_uint = 2;
pub const HAS_STRING: c_uint = 4;
pub const IS_ARRAY: c_uint = 8;
pub const IS_HASH: c_uint = 16;
pub const IS_REFERENCE: c_uint = 32;
pub const IS_OTHER: c_uint = 64;
pub const OTHER_SHIFT: c_uint = 8;

/// An exported function: reads the arguments, appends to the results, returns what to die with.
pub type Body = unsafe extern "C" fn(*const *mut SV, size_t, *mut AV) -> *mut SV;

unsafe extern "C" {
    pub fn standin_install(name: *const c_char, body: Body, prototype: *const c_char);
    pub fn standin_drop_arguments();

    pub fn standin_kind(sv: *mut SV) -> c_uint;
    pub fn standin_target(sv: *mut SV) -> *mut SV;
    pub fn standin_integer(sv: *mut SV) -> i64;
    pub fn standin_float(sv: *mut SV) -> f64;
    pub fn standin_truth(sv: *mut SV) -> bool;
    pub fn standin_string(sv: *mut SV, utf8: bool, length: *mut size_t) -> *const c_char;

    pub fn standin_new_undef() -> *mut SV;
    pub fn standin_new_integer(value: i64) -> *mut SV;
    pub fn standin_new_unsigned(value: u64) -> *mut SV;
    pub fn standin_new_float(value: f64) -> *mut SV;
    pub fn standin_new_string(text: *const c_char, length: size_t, utf8: bool) -> *mut SV;
    pub fn standin_new_array() -> *mut AV;
    pub fn standin_new_hash() -> *mut HV;
    pub fn standin_new_reference(container: *mut SV) -> *mut SV;

    pub fn standin_mortal(sv: *mut SV) -> *mut SV;
    pub fn standin_retain(sv: *mut SV);
    pub fn standin_release(sv: *mut SV);

    pub fn standin_array_length(array: *mut AV) -> size_t;
    pub fn standin_array_get(array: *mut AV, index: size_t) -> *mut SV;
    pub fn standin_array_push(array: *mut AV, value: *mut SV);
    pub fn standin_hash_store(hash: *mut HV, key: *mut SV, value: *mut SV);
    pub fn standin_hash_length(hash: *mut HV) -> size_t;
    pub fn standin_hash_rewind(hash: *mut HV);
    pub fn standin_hash_next(hash: *mut HV, key: *mut *mut SV, value: *mut *mut SV) -> bool;
}
