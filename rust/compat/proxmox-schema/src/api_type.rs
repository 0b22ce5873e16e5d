//! Types and results that have a schema.

use crate::Schema;

/// A type whose JSON has a schema.
pub trait ApiType {
    /// The schema.
    const API_SCHEMA: Schema;
}

/// Whether a member may be missing is said by the object that has it.
impl<T: ApiType> ApiType for Option<T> {
    const API_SCHEMA: Schema = T::API_SCHEMA;
}

/// What a method returns.
#[derive(Debug)]
pub struct ReturnType {
    /// Whether it may return `null` instead.
    pub optional: bool,
    /// What it returns.
    pub schema: &'static Schema,
}

impl ReturnType {
    /// Returns `schema`, or also `null` if `optional`.
    pub const fn new(optional: bool, schema: &'static Schema) -> Self {
        Self { optional, schema }
    }
}
