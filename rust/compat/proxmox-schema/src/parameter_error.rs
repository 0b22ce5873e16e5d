//! The error that names the offending parameters.

use std::fmt;

use anyhow::Error;

/// What is wrong with the members of an object, each with its path.
#[derive(Debug, Default)]
pub struct ParameterError {
    entries: Vec<(String, Error)>,
}

impl ParameterError {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one error.
    pub fn push(&mut self, name: String, value: Error) {
        self.entries.push((name, value));
    }

    /// Adds what was found in the member `prefix`: if that is itself a list, then entry by entry,
    /// with the paths extended.
    pub fn add_errors(&mut self, prefix: &str, err: Error) {
        match err.downcast::<Self>() {
            Ok(inner) => {
                for (path, err) in inner {
                    self.push(format!("{prefix}/{path}"), err);
                }
            }
            Err(err) => self.push(prefix.to_owned(), err),
        }
    }

    /// How many errors there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The errors with their paths, in the order in which they were found.
    pub fn errors(&self) -> &[(String, Error)] {
        &self.entries
    }

    /// Gives up the list.
    pub fn into_inner(self) -> Vec<(String, Error)> {
        self.entries
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.entries.as_slice() {
            [] => return Ok(()),
            [(name, err)] => format!("parameter verification failed - '{name}': {err}"),
            entries => entries.iter().fold(
                String::from("parameter verification failed:"),
                |text, (name, err)| format!("{text}\n- '{name}': {err}"),
            ),
        };
        f.write_str(text.trim_end())
    }
}

impl std::error::Error for ParameterError {}

impl From<(String, Error)> for ParameterError {
    fn from(entry: (String, Error)) -> Self {
        Self {
            entries: vec![entry],
        }
    }
}

impl From<(&str, Error)> for ParameterError {
    fn from((name, err): (&str, Error)) -> Self {
        Self::from((name.to_owned(), err))
    }
}

impl IntoIterator for ParameterError {
    type Item = (String, Error);
    type IntoIter = std::vec::IntoIter<(String, Error)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
