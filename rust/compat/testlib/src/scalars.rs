//! Scalars in both directions: each function returns what it was given.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A byte string, which serde only offers through a type of one's own.
pub struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// Tells which visitor method an untyped scalar ended up in.
pub struct Seen(String);

macro_rules! seen {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, value: $type) -> Result<Seen, E> {
            Ok(Seen(format!("{} {value:?}", &stringify!($method)["visit_".len()..])))
        })*
    };
}

impl Visitor<'_> for Seen {
    type Value = Seen;

    seen!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_none<E>(self) -> Result<Seen, E> {
        Ok(Seen("none".into()))
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        Ok(Seen("unit".into()))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Seen(String::new()))
    }
}

#[perlmod::package(name = "CompatTestlib::Scalars", lib = "compat_testlib")]
pub mod exports {
    use super::{Bytes, Seen};

    #[export]
    pub fn string(value: String) -> String {
        value
    }

    #[export]
    pub fn borrowed(value: &str) -> String {
        value.to_owned()
    }

    #[export]
    pub fn two_borrowed(first: &str, second: &str) -> String {
        format!("{first}-{second}")
    }

    #[export]
    pub fn string_bytes(value: String) -> Vec<u8> {
        value.into_bytes()
    }

    #[export]
    pub fn bytes(value: &[u8]) -> Bytes {
        Bytes(value.to_vec())
    }

    #[export]
    pub fn character(value: char) -> char {
        value
    }

    #[export]
    pub fn boolean(value: bool) -> bool {
        value
    }

    #[export]
    pub fn not(value: bool) -> bool {
        !value
    }

    #[export]
    pub fn u8(value: u8) -> u8 {
        value
    }

    #[export]
    pub fn u32(value: u32) -> u32 {
        value
    }

    #[export]
    pub fn u64(value: u64) -> u64 {
        value
    }

    #[export]
    pub fn max_u64() -> u64 {
        u64::MAX
    }

    #[export]
    pub fn i8(value: i8) -> i8 {
        value
    }

    #[export]
    pub fn i64(value: i64) -> i64 {
        value
    }

    #[export]
    pub fn i64_text(value: i64) -> String {
        value.to_string()
    }

    #[export]
    pub fn i128(value: i64) -> i128 {
        value.into()
    }

    #[export]
    pub fn f32(value: f32) -> f32 {
        value
    }

    #[export]
    pub fn f64(value: f64) -> f64 {
        value
    }

    #[export]
    pub fn f64_text(value: f64) -> String {
        format!("{value:?}")
    }

    #[export]
    pub fn unit(_value: ()) {}

    #[export]
    pub fn optional(value: Option<String>) -> Option<String> {
        value
    }

    #[export]
    pub fn optional_u32(value: Option<u32>) -> Option<u32> {
        value
    }

    #[export]
    pub fn optional_bool(value: Option<bool>) -> String {
        format!("{value:?}")
    }

    #[export]
    pub fn twice_optional(value: Option<Option<u32>>) -> String {
        format!("{value:?}")
    }

    #[export]
    pub fn seen(value: Seen) -> String {
        value.0
    }
}
