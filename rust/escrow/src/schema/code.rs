//! Operations on recovery codes as they are typed.

use proxmox_schema::{
    ArraySchema, BooleanSchema, IntegerSchema, ObjectSchema, Schema, StringSchema,
};

use super::Operation;
use super::key::{BLOB, CODE, FINGERPRINT};

const WORD: Schema = StringSchema::new("A word of the list.").schema();
const DAMAGE: Schema = StringSchema::new("What is wrong with a blob.").schema();

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "find",
        input: ObjectSchema::new(
            "Finds the first of several blobs that a recovery code opens.",
            &[
                (
                    "blobs",
                    false,
                    &ArraySchema::new("The contents of sealed key files.", &BLOB).schema(),
                ),
                ("code", false, &CODE),
            ],
        ),
        output: ObjectSchema::new(
            "Which one it was, if any.",
            &[
                (
                    "damages",
                    false,
                    &ArraySchema::new("What is wrong with those that could not be tried.", &DAMAGE)
                        .schema(),
                ),
                ("fingerprint", true, &FINGERPRINT),
                (
                    "index",
                    true,
                    &IntegerSchema::new("Its place in the list, counted from 0.").schema(),
                ),
            ],
        ),
    },
    Operation {
        name: "read_code",
        input: ObjectSchema::new(
            "Reads a recovery code that may not be complete yet, and says what is wrong with it.",
            &[("code", false, &CODE)],
        ),
        output: ObjectSchema::new(
            "How it was read.",
            &[
                (
                    "checked",
                    false,
                    &BooleanSchema::new("Were the check characters among what was typed?").schema(),
                ),
                (
                    "complete",
                    false,
                    &BooleanSchema::new("Are these all ten words?").schema(),
                ),
                (
                    "words",
                    false,
                    &ArraySchema::new("The words in full, in their order.", &WORD).schema(),
                ),
            ],
        ),
    },
];
