//! Arrays.

use anyhow::{Error, bail};
use serde_json::Value;

use crate::{ParameterError, Schema};

/// Describes an array, all of whose elements are alike.
#[derive(Debug)]
#[non_exhaustive]
pub struct ArraySchema {
    /// What the value is for.
    pub description: &'static str,
    /// Describes the elements.
    pub items: &'static Schema,
    /// The least number of elements.
    pub min_length: Option<usize>,
    /// The greatest number of elements.
    pub max_length: Option<usize>,
}

impl ArraySchema {
    /// Any number of `item_schema`.
    pub const fn new(description: &'static str, item_schema: &'static Schema) -> Self {
        Self {
            description,
            items: item_schema,
            min_length: None,
            max_length: None,
        }
    }

    description_builder!();
    option_builders!(min_length: usize, max_length: usize);
    into_schema!(Array);

    fn check_length(&self, count: usize) -> Result<(), Error> {
        match (self.min_length, self.max_length) {
            (Some(least), _) if count < least => {
                bail!("array must contain at least {least} elements")
            }
            (_, Some(most)) if count > most => bail!("array may only contain {most} elements"),
            _ => Ok(()),
        }
    }

    /// Verifies the length and then the elements, up to the first that is wrong.
    ///
    /// What is wrong with an element that is an object becomes one entry, not several.
    pub fn verify_json(&self, data: &Value) -> Result<(), Error> {
        let elements = match data {
            Value::Array(elements) => elements,
            Value::Object(_) => bail!("Expected array - got object."),
            _ => bail!("Expected array - got scalar value."),
        };
        self.check_length(elements.len())?;
        for (index, element) in elements.iter().enumerate() {
            self.items
                .verify_json(element)
                .map_err(|err| ParameterError::from((format!("[{index}]"), err)))?;
        }
        Ok(())
    }
}
