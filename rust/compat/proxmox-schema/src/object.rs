//! Objects.

use anyhow::{Error, anyhow, bail};
use serde_json::{Map, Value};

use crate::const_order::assert_sorted;
use crate::{ParameterError, Schema};

/// One member of an object: its name, whether it may be missing, and what it is.
pub type SchemaPropertyEntry = (&'static str, bool, &'static Schema);

/// The members of an object, in the order of their names.
pub type SchemaPropertyMap = &'static [SchemaPropertyEntry];

/// Describes an object.
#[derive(Debug)]
#[non_exhaustive]
pub struct ObjectSchema {
    /// What the value is for.
    pub description: &'static str,
    /// Whether members that are not described are allowed too.
    pub additional_properties: bool,
    /// The members, in the order of their names.
    pub properties: SchemaPropertyMap,
    /// The member that a property string gives without naming it.
    pub default_key: Option<&'static str>,
}

impl ObjectSchema {
    /// An object of just these members, which must be in the order of their names: in a constant,
    /// anything else does not compile.
    ///
    /// ```compile_fail,E0080
    /// use proxmox_schema::{ObjectSchema, Schema};
    ///
    /// const UNSORTED: ObjectSchema =
    ///     ObjectSchema::new("", &[("b", false, &Schema::Null), ("a", false, &Schema::Null)]);
    /// ```
    pub const fn new(description: &'static str, properties: SchemaPropertyMap) -> Self {
        assert_sorted(properties);
        Self {
            description,
            additional_properties: false,
            properties,
            default_key: None,
        }
    }

    /// Sets the field `additional_properties`.
    pub const fn additional_properties(mut self, additional_properties: bool) -> Self {
        self.additional_properties = additional_properties;
        self
    }

    option_builders!(default_key: &'static str);
    into_schema!(Object);

    /// Whether the member `key` may be missing, and what it is.
    pub fn lookup(&self, key: &str) -> Option<(bool, &Schema)> {
        let found = self.properties.binary_search_by(|entry| entry.0.cmp(key));
        found.ok().map(|index| {
            let (_, optional, schema) = self.properties[index];
            (optional, schema)
        })
    }
}

mod sealed {
    pub trait Sealed: Send + Sync {}
    impl Sealed for super::ObjectSchema {}
}

/// What can be asked of the schema of an object. [`ObjectSchema`] is the only one here; the real
/// crate has more.
pub trait ObjectSchemaType: sealed::Sealed + Send + Sync {
    /// What the value is for.
    fn description(&self) -> &'static str;

    /// Whether the member `key` may be missing, and what it is.
    fn lookup(&self, key: &str) -> Option<(bool, &Schema)>;

    /// All members.
    fn properties(&self) -> ObjectPropertyIterator;

    /// Whether members that are not described are allowed too.
    fn additional_properties(&self) -> bool;

    /// The member that a property string gives without naming it.
    fn default_key(&self) -> Option<&'static str>;

    /// Verifies an object. The error is a [`ParameterError`] unless `data` is none.
    ///
    /// A member that must be there and is `null` counts as missing, on top of what its own schema
    /// says of it.
    fn verify_json(&self, data: &Value) -> Result<(), Error> {
        let members = as_object(data)?;
        let mut errors = ParameterError::new();
        for (key, value) in members {
            match self.lookup(key) {
                Some((_, schema)) => {
                    if let Err(err) = schema.verify_json(value) {
                        errors.add_errors(key, err);
                    }
                }
                None if self.additional_properties() => {}
                None => errors.push(
                    key.clone(),
                    anyhow!("schema does not allow additional properties"),
                ),
            }
        }
        for (name, optional, _) in self.properties() {
            if !optional && members.get(*name).is_none_or(Value::is_null) {
                errors.push(
                    name.to_string(),
                    anyhow!("property is missing and it is not optional"),
                );
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.into())
        }
    }
}

fn as_object(data: &Value) -> Result<&Map<String, Value>, Error> {
    match data {
        Value::Object(members) => Ok(members),
        Value::Array(_) => bail!("Expected object - got array."),
        _ => bail!("Expected object - got scalar value."),
    }
}

impl ObjectSchemaType for ObjectSchema {
    fn description(&self) -> &'static str {
        self.description
    }

    fn lookup(&self, key: &str) -> Option<(bool, &Schema)> {
        Self::lookup(self, key)
    }

    fn properties(&self) -> ObjectPropertyIterator {
        ObjectPropertyIterator(self.properties.iter())
    }

    fn additional_properties(&self) -> bool {
        self.additional_properties
    }

    fn default_key(&self) -> Option<&'static str> {
        self.default_key
    }
}

/// The members that an [`ObjectSchemaType`] describes.
#[doc(hidden)]
pub struct ObjectPropertyIterator(std::slice::Iter<'static, SchemaPropertyEntry>);

impl Iterator for ObjectPropertyIterator {
    type Item = &'static SchemaPropertyEntry;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
