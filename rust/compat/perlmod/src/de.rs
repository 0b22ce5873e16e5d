//! Reading Perl values with serde.

use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::Error;
use crate::ffi::{
    HAS_FLOAT, HAS_INTEGER, HAS_STRING, IS_ARRAY, IS_HASH, IS_OTHER, IS_REFERENCE, OTHER_SHIFT,
};
use crate::value::Value;

/// Reads an argument, which strings may be borrowed from.
pub fn from_value<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Error> {
    T::deserialize(Deserializer::new(value))
}

/// A value that is no reference, and what it can be read as.
struct Deserializer<'de> {
    value: Value,
    kind: u32,
    in_option: bool,
    lifetime: PhantomData<&'de Value>,
}

impl<'de> Deserializer<'de> {
    fn new(value: &Value) -> Self {
        let value = value.dereferenced();
        Self {
            kind: value.kind(),
            value,
            in_option: false,
            lifetime: PhantomData,
        }
    }

    fn is_undef(&self) -> bool {
        self.kind == 0
    }

    fn has(&self, kind: u32) -> bool {
        self.kind & kind != 0
    }

    /// Fails for scalars that are none of string, number and undef.
    fn check(&self) -> Result<(), Error> {
        if self.has(IS_REFERENCE) {
            return Err(Error::new("Value::Scalar: containing a reference"));
        }
        if self.has(IS_OTHER) {
            return Err(de::Error::custom(format_args!(
                "cannot deserialize weird magic perl values ({})",
                self.kind >> OTHER_SHIFT
            )));
        }
        Ok(())
    }

    /// Gives a scalar as the first of these kinds that it has.
    fn visit<V: Visitor<'de>>(self, order: &[u32], visitor: V) -> Result<V::Value, Error> {
        self.check()?;
        if self.has(IS_ARRAY) {
            return visitor.visit_seq(Elements {
                array: self.value,
                index: 0,
            });
        }
        if self.has(IS_HASH) {
            self.value.rewind();
            return visitor.visit_map(Entries {
                hash: self.value,
                value: None,
            });
        }
        match order.iter().copied().find(|&kind| self.has(kind)) {
            Some(HAS_INTEGER) => visitor.visit_i64(self.value.as_integer()),
            Some(HAS_FLOAT) => visitor.visit_f64(self.value.as_float()),
            Some(_) => visitor.visit_borrowed_str(self.value.as_str()?),
            None => visitor.visit_unit(),
        }
    }

    /// The name of an enum's variant, and the value that came with it.
    fn variant(self) -> Result<(&'de str, Option<Value>), Error> {
        self.check()?;
        if self.has(HAS_STRING) {
            return Ok((self.value.as_str()?, None));
        }
        if self.has(IS_ARRAY) {
            return Err(Error::new("expected a string or hash for an enum"));
        }
        if !self.has(IS_HASH) {
            return Err(Error::new("expected an enum value"));
        }
        if self.value.keys() == 1 {
            self.value.rewind();
            if let Some((key, value)) = self.value.next_entry() {
                return Ok((key.as_str()?, Some(value)));
            }
        }
        Err(Error::new("expected hash with a single key"))
    }
}

macro_rules! deserialize {
    ($order:expr => $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.visit(&$order, visitor)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Deserializer<'de> {
    type Error = Error;

    deserialize! { [HAS_INTEGER, HAS_STRING] =>
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    deserialize! { [HAS_FLOAT, HAS_INTEGER, HAS_STRING] => deserialize_f32 deserialize_f64 }

    forward_to_deserialize_any! {
        str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_undef() {
            return visitor.visit_none();
        }
        self.visit(&[HAS_STRING, HAS_FLOAT, HAS_INTEGER], visitor)
    }

    /// Only what is a number, or was used as one, has a truth value.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_undef() || self.has(HAS_INTEGER) {
            return visitor.visit_bool(self.value.as_bool());
        }
        if self.has(HAS_STRING) {
            return Err(Error::new("expected bool value"));
        }
        self.visit(&[], visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.has(HAS_INTEGER) {
            let code = self.value.as_integer();
            if code < 0x100 {
                return visitor.visit_char(code as u8 as char);
            }
        } else if self.has(HAS_STRING) {
            let mut chars = self.value.as_str()?.chars();
            if let (Some(first), None) = (chars.next(), chars.next()) {
                return visitor.visit_char(first);
            }
        }
        self.visit(&[HAS_INTEGER, HAS_STRING], visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.has(HAS_STRING) {
            return visitor.visit_borrowed_bytes(self.value.as_bytes());
        }
        self.visit(&[HAS_FLOAT, HAS_INTEGER], visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    /// An option within an option is not told apart from it, and fails unless undef.
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if self.in_option {
            return self.deserialize_any(visitor);
        }
        if self.is_undef() {
            return visitor.visit_none();
        }
        self.in_option = true;
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (name, value) = self.variant()?;
        visitor.visit_enum(Variant { name, value })
    }
}

struct Elements {
    array: Value,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for Elements {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let element = self.array.element(self.index);
        self.index += 1;
        element
            .map(|value| seed.deserialize(Deserializer::new(&value)))
            .transpose()
    }
}

struct Entries {
    hash: Value,
    value: Option<Value>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((key, value)) = self.hash.next_entry() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(Deserializer::new(&key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let value = self.value.take();
        let value = value.ok_or_else(|| Error::new("map access key skipped"))?;
        seed.deserialize(Deserializer::new(&value))
    }
}

struct Variant<'de> {
    name: &'de str,
    value: Option<Value>,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = VariantValue;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, VariantValue), Error> {
        let variant = seed.deserialize(self.name.into_deserializer())?;
        Ok((variant, VariantValue(self.value)))
    }
}

struct VariantValue(Option<Value>);

impl<'de> de::VariantAccess<'de> for VariantValue {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.0
            .map_or(Ok(()), |value| <()>::deserialize(Deserializer::new(&value)))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        let value = self.0;
        let value =
            value.ok_or_else(|| Error::new("expected newtype variant, found unit variant"))?;
        seed.deserialize(Deserializer::new(&value))
    }

    /// Fails for all that Perl can pass, since the original looks for an array that is no reference.
    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::new(match self.0 {
            Some(_) => "expected tuple variant",
            None => "expected tuple variant, found unit",
        }))
    }

    /// Fails like tuple variants do.
    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(Error::new("expected struct variant"))
    }
}
