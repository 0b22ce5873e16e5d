//! Operations on key files and blobs.

use proxmox_schema::{
    ApiStringFormat, BooleanSchema, IntegerSchema, ObjectSchema, Schema, StringSchema, const_regex,
};

use super::Operation;

const_regex! {
    FINGERPRINT_REGEX = "^[0-9a-f]{2}(?::[0-9a-f]{2}){31}$";
    EXPECTED_REGEX = "^[0-9a-fA-F]{2}(?::?[0-9a-fA-F]{2}){7}(?:(?::?[0-9a-fA-F]{2}){24})?$";
    PATH_REGEX = "^/[^\\x00-\\x1f]+$";
}

pub(super) const FINGERPRINT: Schema =
    StringSchema::new("Fingerprint of a key: 32 bytes, colon hex.")
        .format(&ApiStringFormat::Pattern(&FINGERPRINT_REGEX))
        .schema();
const EXPECT: Schema =
    StringSchema::new("The key that is expected: its fingerprint, or the first 8 bytes of it.")
        .format(&ApiStringFormat::Pattern(&EXPECTED_REGEX))
        .schema();
const DISPLACE: Schema = StringSchema::new(
    "The key that may be displaced: its fingerprint; of a file that holds no readable key its SHA-256.",
)
.format(&ApiStringFormat::Pattern(&EXPECTED_REGEX))
.schema();
pub(super) const VERIFIED: Schema = BooleanSchema::new(
    "Was the fingerprint computed from the key? Else it is what the file claims.",
)
.schema();
pub(super) const BLOB: Schema = StringSchema::new("The content of a sealed key file.")
    .min_length(1)
    .max_length(65536)
    .schema();
pub(super) const CODE: Schema =
    StringSchema::new("The recovery code: ten words, with or without the check characters.")
        .max_length(2048)
        .schema();
const CHECK: Schema =
    StringSchema::new("Check characters of the recovery code, for the sheet with the words.")
        .min_length(4)
        .max_length(4)
        .schema();

pub(super) const fn path(description: &'static str) -> Schema {
    StringSchema::new(description)
        .format(&ApiStringFormat::Pattern(&PATH_REGEX))
        .max_length(4096)
        .schema()
}

pub(super) const KEYFILE: Schema = path("Path of a key file.");
const OUT: Schema = path("Path of the new key file. Nothing may exist there.");
const TARGET: Schema = path("Path of the live key file.");
const KEEP: Schema =
    path("Directory where a displaced file is kept, named by the SHA-256 of its bytes.");
const KEPT: Schema = path("Where the displaced file is kept.");

const OF_KEYFILE: &[(&str, bool, &Schema)] = &[("keyfile", false, &KEYFILE)];
const NAMED: ObjectSchema = ObjectSchema::new(
    "The name of a key.",
    &[
        ("fingerprint", true, &FINGERPRINT),
        ("verified", false, &VERIFIED),
    ],
);
pub(super) const ONLY_FINGERPRINT: ObjectSchema = ObjectSchema::new(
    "The key that was opened.",
    &[("fingerprint", false, &FINGERPRINT)],
);

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "create",
        input: ObjectSchema::new(
            "Seals the key of a key file under a new recovery code. Changes and writes no file.",
            OF_KEYFILE,
        ),
        output: ObjectSchema::new(
            "The blob, and the only sight of its recovery code.",
            &[
                ("blob", false, &BLOB),
                ("check", false, &CHECK),
                ("code", false, &CODE),
                ("fingerprint", false, &FINGERPRINT),
            ],
        ),
    },
    Operation {
        name: "fingerprint",
        input: ObjectSchema::new(
            "The fingerprint of a key file; of a protected one what it claims.",
            OF_KEYFILE,
        ),
        output: NAMED,
    },
    Operation {
        name: "inspect",
        input: ObjectSchema::new("Describes a key file, without its passphrase.", OF_KEYFILE),
        output: ObjectSchema::new(
            "What can be said of a key file.",
            &[
                (
                    "created",
                    false,
                    &IntegerSchema::new("When the key was made, seconds since 1970.").schema(),
                ),
                ("fingerprint", true, &FINGERPRINT),
                (
                    "hint",
                    true,
                    &StringSchema::new("What its owner left to remember the passphrase by.")
                        .schema(),
                ),
                (
                    "kdf",
                    false,
                    &StringSchema::new("How it is protected: none, scrypt or pbkdf2.").schema(),
                ),
                (
                    "modified",
                    false,
                    &IntegerSchema::new("When the file was made, seconds since 1970.").schema(),
                ),
                ("verified", false, &VERIFIED),
            ],
        ),
    },
    Operation {
        name: "install",
        input: ObjectSchema::new(
            "Makes the key of a blob, or that of a key file, the live key at a place, never over another one unasked.",
            &[
                ("blob", true, &BLOB),
                ("code", true, &CODE),
                ("displace", true, &DISPLACE),
                ("expect", true, &EXPECT),
                ("keep", true, &KEEP),
                ("keyfile", true, &KEYFILE),
                ("target", false, &TARGET),
            ],
        ),
        output: ObjectSchema::new(
            "What became of it.",
            &[
                (
                    "changed",
                    false,
                    &BooleanSchema::new("Was the file written? Not if it held this key.").schema(),
                ),
                ("fingerprint", false, &FINGERPRINT),
                ("kept", true, &KEPT),
            ],
        ),
    },
    Operation {
        name: "unwrap",
        input: ObjectSchema::new(
            "Writes the key of a blob to a new plain key file.",
            &[
                ("blob", false, &BLOB),
                ("code", false, &CODE),
                ("expect", true, &EXPECT),
                ("out", false, &OUT),
            ],
        ),
        output: ONLY_FINGERPRINT,
    },
    Operation {
        name: "verify",
        input: ObjectSchema::new(
            "Opens a blob with its recovery code, and changes nothing.",
            &[
                ("blob", false, &BLOB),
                ("code", false, &CODE),
                ("expect", true, &EXPECT),
            ],
        ),
        output: ONLY_FINGERPRINT,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for text in [
            "036b8f610cdad885",
            "03:6B:8f:61:0c:da:d8:85",
            "03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b",
        ] {
            assert!(EXPECT.verify_json(&text.into()).is_ok(), "{text}");
        }
        for text in ["", "03:6b", "relative/path"] {
            assert!(EXPECT.verify_json(&text.into()).is_err(), "{text}");
            assert!(KEYFILE.verify_json(&text.into()).is_err(), "{text}");
        }
    }
}
