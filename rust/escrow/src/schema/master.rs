//! Operations on the public half of a master key.

use proxmox_schema::{ApiStringFormat, ObjectSchema, Schema, StringSchema, const_regex};

use super::Operation;
use super::datastore::count;
use super::key::FINGERPRINT;

const_regex! {
    DIGEST_REGEX = "^[0-9a-f]{64}$";
}

const PEM: Schema = StringSchema::new("The public half of a master key, as BEGIN PUBLIC KEY.")
    .min_length(1)
    .max_length(65536)
    .schema();
const DIGEST: Schema =
    StringSchema::new("SHA-256 of its DER form (SubjectPublicKeyInfo), hexadecimal digits.")
        .format(&ApiStringFormat::Pattern(&DIGEST_REGEX))
        .schema();
pub(super) const OPERATIONS: &[Operation] = &[Operation {
    name: "check_master_key",
    input: ObjectSchema::new(
        "Checks that every backup will succeed with the public half of a master key: RSA of at least 3,072 bits, in the form that the backup client takes.",
        &[("pem", false, &PEM)],
    ),
    output: ObjectSchema::new(
        "Which one it is.",
        &[
            ("bits", false, &count("Length of its modulus.")),
            ("fingerprint", false, &FINGERPRINT),
            ("sha256", false, &DIGEST),
        ],
    ),
}];
