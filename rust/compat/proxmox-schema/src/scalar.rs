//! Booleans, integers and floating point numbers.

use anyhow::{Error, bail, ensure};
use serde_json::Value;

/// Describes a boolean.
#[derive(Debug)]
#[non_exhaustive]
pub struct BooleanSchema {
    /// What the value is for.
    pub description: &'static str,
    /// The value where none is given.
    pub default: Option<bool>,
}

impl BooleanSchema {
    /// Any boolean.
    pub const fn new(description: &'static str) -> Self {
        Self {
            description,
            default: None,
        }
    }

    description_builder!();
    option_builders!(default: bool);
    into_schema!(Boolean);

    /// Verifies that `data` is a boolean.
    pub fn verify_json(&self, data: &Value) -> Result<(), Error> {
        ensure!(data.is_boolean(), "Expected boolean value.");
        Ok(())
    }
}

/// Integers and floating point numbers differ in nothing but the type.
macro_rules! number_type {
    ($schema:ident, $type:ty, $variant:ident, $from_json:ident, $kind:literal) => {
        #[doc = concat!("Describes a value of type ", $kind, ".")]
        #[derive(Debug)]
        #[non_exhaustive]
        pub struct $schema {
            /// What the value is for.
            pub description: &'static str,
            /// The least value allowed.
            pub minimum: Option<$type>,
            /// The greatest value allowed.
            pub maximum: Option<$type>,
            /// The value where none is given.
            pub default: Option<$type>,
        }

        impl $schema {
            #[doc = concat!("Any ", $kind, ".")]
            pub const fn new(description: &'static str) -> Self {
                Self {
                    description,
                    minimum: None,
                    maximum: None,
                    default: None,
                }
            }

            description_builder!();
            option_builders!(minimum: $type, maximum: $type, default: $type);
            into_schema!($variant);

            /// Verifies that `value` is within the limits.
            pub fn check_constraints(&self, value: $type) -> Result<(), Error> {
                match (self.minimum, self.maximum) {
                    (Some(least), _) if value < least => {
                        bail!("value must have a minimum value of {least} (got {value})")
                    }
                    (_, Some(most)) if value > most => {
                        bail!("value must have a maximum value of {most} (got {value})")
                    }
                    _ => Ok(()),
                }
            }

            #[doc = concat!("Verifies that `data` is of type ", $kind, " and within the limits.")]
            pub fn verify_json(&self, data: &Value) -> Result<(), Error> {
                match data.$from_json() {
                    Some(value) => self.check_constraints(value),
                    None => bail!(concat!("Expected ", $kind, " value.")),
                }
            }
        }
    };
}

number_type!(IntegerSchema, i64, Integer, as_i64, "integer");
number_type!(NumberSchema, f64, Number, as_f64, "number");
