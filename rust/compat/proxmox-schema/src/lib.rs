//! Stand-in for Proxmox' `proxmox-schema` 5.x, written from its behaviour.
//!
//! Proxmox publishes the real crate in its Debian repository only. This one has the same names,
//! signatures and messages for describing values and for verifying JSON, so that the same code
//! builds with either; `tests/behaviour.rs` passes with both.
//!
//! What is not here: property strings, combined object schemas, parsing of command line
//! parameters, `serde` adapters, updaters, UPIDs, the dump of a schema as documentation, and the
//! `api` macro. [`Schema`] and [`ApiStringFormat`] lack the variants for that. They are
//! `#[non_exhaustive]` instead: a `match` needs a wildcard arm, which suits the real ones too.

#[macro_use]
mod builders;

mod api_type;
mod array;
mod const_order;
mod const_regex;
mod object;
mod parameter_error;
mod scalar;
mod schema;
mod string;

pub use api_type::{ApiType, ReturnType};
pub use array::ArraySchema;
pub use const_regex::ConstRegexPattern;
pub use object::{
    ObjectPropertyIterator, ObjectSchema, ObjectSchemaType, SchemaPropertyEntry, SchemaPropertyMap,
};
pub use parameter_error::ParameterError;
pub use scalar::{BooleanSchema, IntegerSchema, NumberSchema};
pub use schema::Schema;
pub use string::{ApiStringFormat, ApiStringVerifyFn, EnumEntry, StringSchema};
