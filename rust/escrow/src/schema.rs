//! The schema of every operation's input and output: the one source for Perl, the API and the documentation.

mod code;
mod datastore;
mod document;
mod json;
mod key;
mod master;
mod remote;

use proxmox_schema::ObjectSchema;
use serde_json::{Value, json};

/// An operation: its name, what it does, what it takes and what it gives.
pub struct Operation {
    /// Name of the function.
    pub name: &'static str,
    /// Its input, members by name.
    pub input: ObjectSchema,
    /// Its output, members by name.
    pub output: ObjectSchema,
}

/// All operations.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    let rooms = [
        code::OPERATIONS,
        datastore::OPERATIONS,
        document::OPERATIONS,
        key::OPERATIONS,
        master::OPERATIONS,
        remote::OPERATIONS,
    ];
    rooms.into_iter().flatten()
}

/// The operation of that name.
pub fn operation(name: &str) -> Option<&'static Operation> {
    operations().find(|operation| operation.name == name)
}

impl Operation {
    /// As JSON: `description`, `parameters` and `returns` as methods of Proxmox VE's API declare them.
    pub fn to_json(&self) -> Value {
        json!({
            "description": self.input.description,
            "parameters": json::object(&self.input),
            "returns": json::object(&self.output),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_as_proxmox_schema_looks_them_up() {
        for operation in operations() {
            for schema in [&operation.input, &operation.output] {
                let names: Vec<_> = schema.properties.iter().map(|(name, ..)| *name).collect();
                assert!(names.is_sorted(), "{}: {names:?}", operation.name);
            }
        }
    }

    #[test]
    fn as_json() {
        let create = operation("create").unwrap().to_json();
        assert_eq!(
            create["parameters"]["properties"]["keyfile"]["maxLength"],
            4096
        );
        assert_eq!(create["parameters"]["additionalProperties"], 0);
        let fingerprint =
            &operation("fingerprint").unwrap().to_json()["returns"]["properties"]["fingerprint"];
        assert_eq!(fingerprint["optional"], 1);
        assert_eq!(fingerprint["pattern"], "[0-9a-f]{2}(?::[0-9a-f]{2}){31}");
        for operation in operations() {
            assert!(
                operation.to_json()["description"]
                    .as_str()
                    .is_some_and(|text| text.ends_with('.'))
            );
        }
    }
}
