//! The type that stands for any schema.

use anyhow::{Error, ensure};
use serde_json::Value;

use crate::{
    ArraySchema, BooleanSchema, IntegerSchema, NumberSchema, ObjectSchema, ObjectSchemaType,
    StringSchema,
};

/// Describes a value.
///
/// The real type also has `AllOf` and `OneOf`.
///
/// ```
/// use proxmox_schema::{BooleanSchema, IntegerSchema, ObjectSchema, Schema};
///
/// const DISK: Schema = ObjectSchema::new(
///     "A disk.",
///     &[
///         ("backup", true, &BooleanSchema::new("Back it up.").default(true).schema()),
///         ("size", false, &IntegerSchema::new("Size in GiB.").minimum(1).schema()),
///     ],
/// )
/// .schema();
///
/// let err = DISK.verify_json(&serde_json::json!({"size": 0})).unwrap_err();
/// assert_eq!(
///     err.to_string(),
///     "parameter verification failed - 'size': value must have a minimum value of 1 (got 0)"
/// );
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Schema {
    /// Only `null`.
    Null,
    /// A boolean.
    Boolean(BooleanSchema),
    /// An integer.
    Integer(IntegerSchema),
    /// A floating point number.
    Number(NumberSchema),
    /// A string.
    String(StringSchema),
    /// An object.
    Object(ObjectSchema),
    /// An array.
    Array(ArraySchema),
}

impl Schema {
    /// Verifies that `data` is a value that this describes.
    pub fn verify_json(&self, data: &Value) -> Result<(), Error> {
        match self {
            Self::Null => {
                ensure!(data.is_null(), "Expected Null, but value is not Null.");
                Ok(())
            }
            Self::Boolean(schema) => schema.verify_json(data),
            Self::Integer(schema) => schema.verify_json(data),
            Self::Number(schema) => schema.verify_json(data),
            Self::String(schema) => schema.verify_json(data),
            Self::Object(schema) => schema.verify_json(data),
            Self::Array(schema) => schema.verify_json(data),
        }
    }
}

/// The methods that get at what is inside a [`Schema`], three for each variant.
macro_rules! accessors {
    ($($variant:ident($type:ident): $get:ident, $unwrap:ident, $cloned:ident;)*) => {
        impl Schema {$(
            #[doc = concat!("The [`", stringify!($type), "`], if it is one.")]
            pub const fn $get(&self) -> Option<&$type> {
                match self {
                    Self::$variant(schema) => Some(schema),
                    _ => None,
                }
            }

            #[doc = concat!("The [`", stringify!($type), "`]; panics on others.")]
            pub const fn $unwrap(&self) -> &$type {
                match self {
                    Self::$variant(schema) => schema,
                    _ => panic!(concat!(stringify!($unwrap), " on different schema")),
                }
            }

            #[doc = concat!("A copy of the [`", stringify!($type), "`]; panics on others.")]
            pub const fn $cloned(&self) -> $type {
                match self {
                    Self::$variant(schema) => $type { ..*schema },
                    _ => panic!(concat!(stringify!($cloned), " on different schema")),
                }
            }
        )*}
    };
}

accessors! {
    Boolean(BooleanSchema): boolean, unwrap_boolean_schema, unwrap_boolean_schema_cloned;
    Integer(IntegerSchema): integer, unwrap_integer_schema, unwrap_integer_schema_cloned;
    Number(NumberSchema): number, unwrap_number_schema, unwrap_number_schema_cloned;
    String(StringSchema): string, unwrap_string_schema, unwrap_string_schema_cloned;
    Object(ObjectSchema): object, unwrap_object_schema, unwrap_object_schema_cloned;
    Array(ArraySchema): array, unwrap_array_schema, unwrap_array_schema_cloned;
}
