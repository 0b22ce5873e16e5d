//! Strings and their formats.

use anyhow::{Error, bail, ensure};
use serde_json::Value;

use crate::ConstRegexPattern;

/// Describes a string.
#[derive(Debug)]
#[non_exhaustive]
pub struct StringSchema {
    /// What the value is for.
    pub description: &'static str,
    /// The value where none is given.
    pub default: Option<&'static str>,
    /// The least number of characters.
    pub min_length: Option<usize>,
    /// The greatest number of characters.
    pub max_length: Option<usize>,
    /// What the text may be.
    pub format: Option<&'static ApiStringFormat>,
    /// Whether the format is mere documentation, which other values may disregard.
    pub format_is_optional: bool,
    /// What documentation shows for the type.
    pub type_text: Option<&'static str>,
}

impl StringSchema {
    /// Any string.
    pub const fn new(description: &'static str) -> Self {
        Self {
            description,
            default: None,
            min_length: None,
            max_length: None,
            format: None,
            format_is_optional: false,
            type_text: None,
        }
    }

    description_builder!();
    option_builders!(
        default: &'static str,
        min_length: usize,
        max_length: usize,
        format: &'static ApiStringFormat,
        type_text: &'static str,
    );
    into_schema!(String);

    /// Sets the field `format_is_optional`.
    pub const fn format_is_optional(mut self, is_optional: bool) -> Self {
        self.format_is_optional = is_optional;
        self
    }

    /// Verifies the length of `value`, then its format.
    pub fn check_constraints(&self, value: &str) -> Result<(), Error> {
        self.check_length(value.chars().count())?;
        match self.format {
            Some(format) if !self.format_is_optional => format.check(value),
            _ => Ok(()),
        }
    }

    fn check_length(&self, count: usize) -> Result<(), Error> {
        match (self.min_length, self.max_length) {
            (Some(least), _) if count < least => {
                bail!("value must be at least {least} characters long")
            }
            (_, Some(most)) if count > most => bail!("value may only be {most} characters long"),
            _ => Ok(()),
        }
    }

    /// Verifies that `data` is a string that this describes.
    pub fn verify_json(&self, data: &Value) -> Result<(), Error> {
        match data {
            Value::String(text) => self.check_constraints(text),
            _ => bail!("Expected string value."),
        }
    }
}

/// One value of an enumeration.
#[derive(Clone, Debug)]
pub struct EnumEntry {
    /// The value.
    pub value: &'static str,
    /// What it means.
    pub description: &'static str,
}

impl EnumEntry {
    /// `value`, which means what `description` says.
    pub const fn new(value: &'static str, description: &'static str) -> Self {
        Self { value, description }
    }
}

/// A function that says what is wrong with a string.
pub type ApiStringVerifyFn = fn(&str) -> Result<(), Error>;

/// What the text of a string may be.
///
/// The real type also has `PropertyString`.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApiStringFormat {
    /// One of these values.
    Enum(&'static [EnumEntry]),
    /// Whatever the regular expression matches. It has to be anchored to match the whole text.
    Pattern(&'static ConstRegexPattern),
    /// Whatever the function accepts.
    VerifyFn(ApiStringVerifyFn),
}

impl ApiStringFormat {
    fn check(&self, value: &str) -> Result<(), Error> {
        match self {
            Self::Enum(entries) => ensure!(
                entries.iter().any(|entry| entry.value == value),
                "value '{value}' is not defined in the enumeration."
            ),
            Self::Pattern(regex) => ensure!(
                regex.is_match(value),
                "value does not match the regex pattern"
            ),
            Self::VerifyFn(verify) => verify(value)?,
        }
        Ok(())
    }
}
