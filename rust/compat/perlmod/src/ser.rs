//! Writing Perl values with serde.

use std::cell::Cell;

use serde::ser::{self, Serialize};

use crate::Error;
use crate::value::Value;

/// Writes a value.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    value.serialize(NESTED)
}

/// Writes the result of a function: nothing if that serializes as unit.
pub fn to_result<T: Serialize + ?Sized>(value: &T) -> Result<Option<Value>, Error> {
    let is_unit = Cell::new(false);
    let value = value.serialize(Serializer(Some(&is_unit)))?;
    Ok((!is_unit.get()).then_some(value))
}

const NESTED: Serializer<'static> = Serializer(None);

/// At the top, there is a place to note that it is a unit.
struct Serializer<'a>(Option<&'a Cell<bool>>);

macro_rules! serialize {
    ($($method:ident($type:ty) => $to:ident,)*) => {
        $(fn $method(self, value: $type) -> Result<Value, Error> {
            Ok(Value::$to(value.into()))
        })*
    };
}

impl ser::Serializer for Serializer<'_> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Compound;
    type SerializeTuple = Compound;
    type SerializeTupleStruct = Compound;
    type SerializeTupleVariant = Compound;
    type SerializeMap = Compound;
    type SerializeStruct = Compound;
    type SerializeStructVariant = Compound;

    serialize! {
        serialize_bool(bool) => unsigned,
        serialize_i8(i8) => integer,
        serialize_i16(i16) => integer,
        serialize_i32(i32) => integer,
        serialize_i64(i64) => integer,
        serialize_u8(u8) => unsigned,
        serialize_u16(u16) => unsigned,
        serialize_u32(u32) => unsigned,
        serialize_u64(u64) => unsigned,
        serialize_f32(f32) => float,
        serialize_f64(f64) => float,
    }

    fn serialize_char(self, value: char) -> Result<Value, Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<Value, Error> {
        Ok(Value::string(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Error> {
        Ok(Value::bytes(value))
    }

    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::undef())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        to_value(value)
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        if let Some(is_unit) = self.0 {
            is_unit.set(true);
        }
        Ok(Value::undef())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, Error> {
        Ok(Value::undef())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        to_value(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        Ok(tagged(variant, to_value(value)?))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Compound, Error> {
        Ok(Compound::new(Value::array()))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Compound, Error> {
        Ok(Compound::new(Value::array()))
    }

    fn serialize_tuple_struct(self, _: &'static str, _len: usize) -> Result<Compound, Error> {
        Ok(Compound::new(Value::array()))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound, Error> {
        Ok(Compound::new(Value::array()).of_variant(variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Compound, Error> {
        Ok(Compound::new(Value::hash()))
    }

    fn serialize_struct(self, _: &'static str, _len: usize) -> Result<Compound, Error> {
        Ok(Compound::new(Value::hash()))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound, Error> {
        Ok(Compound::new(Value::hash()).of_variant(variant))
    }
}

/// `{ variant => value }`. Names from the Rust source become keys as the bytes that they are.
fn tagged(variant: &str, value: Value) -> Value {
    let hash = Value::hash();
    hash.store(&Value::bytes(variant.as_bytes()), value);
    hash.into_reference()
}

/// An array or hash in the making.
struct Compound {
    container: Value,
    variant: Option<&'static str>,
    key: Option<Value>,
}

impl Compound {
    fn new(container: Value) -> Self {
        Self {
            container,
            variant: None,
            key: None,
        }
    }

    fn of_variant(mut self, variant: &'static str) -> Self {
        self.variant = Some(variant);
        self
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.container.push(to_value(value)?);
        Ok(())
    }

    fn store<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        let key = Value::bytes(name.as_bytes());
        self.container.store(&key, to_value(value)?);
        Ok(())
    }

    fn finish(self) -> Result<Value, Error> {
        let value = self.container.into_reference();
        Ok(match self.variant {
            Some(variant) => tagged(variant, value),
            None => value,
        })
    }
}

macro_rules! compound {
    ($($trait:ident: $method:ident($($name:ident: $type:ty)?) => $to:ident,)*) => {
        $(impl ser::$trait for Compound {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)?
                value: &T,
            ) -> Result<(), Error> {
                self.$to($($name,)? value)
            }

            fn end(self) -> Result<Value, Error> {
                self.finish()
            }
        })*
    };
}

compound! {
    SerializeSeq: serialize_element() => push,
    SerializeTuple: serialize_element() => push,
    SerializeTupleStruct: serialize_field() => push,
    SerializeTupleVariant: serialize_field() => push,
    SerializeStruct: serialize_field(name: &'static str) => store,
    SerializeStructVariant: serialize_field(name: &'static str) => store,
}

impl ser::SerializeMap for Compound {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(to_value(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take();
        let key = key.ok_or_else(|| Error::new("serialize_value called without key"))?;
        self.container.store(&key, to_value(value)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Error> {
        self.finish()
    }
}
