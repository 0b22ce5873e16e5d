//! Operations on a backup server.

use proxmox_schema::{ArraySchema, IntegerSchema, ObjectSchema, Schema, StringSchema};

use super::Operation;
use super::datastore::{
    COVERAGE, NAMESPACE, PROVEN, SNAPSHOTS, TOTALS, UNREADABLE, VERDICT, count, flag, text,
};
use super::key::{BLOB, CODE, FINGERPRINT, KEYFILE, path};

const REPOSITORY: Schema = StringSchema::new(
    "Repository as the backup client takes it: user@pbs!token@host:port:datastore.",
)
.min_length(1)
.max_length(512)
.schema();
const TLS_FINGERPRINT: Schema = StringSchema::new("SHA-256 of the server's certificate.")
    .max_length(95)
    .schema();
const PASSWORD_FILE: Schema = path("File with the secret of the user or token.");

const CONTROL: ObjectSchema = ObjectSchema::new(
    "Something that must not open a backup.",
    &[
        (
            "refused",
            false,
            &flag("Was it refused, for the right reason?"),
        ),
        ("text", false, &text("In the words of who refused it.")),
    ],
);
const CONTROLS: Schema = ObjectSchema::new(
    "The controls of a drill.",
    &[
        ("sealed-blob", false, &CONTROL.schema()),
        ("without-key", false, &CONTROL.schema()),
        ("wrong-code", false, &CONTROL.schema()),
    ],
)
.schema();

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "remote_coverage",
        input: ObjectSchema::new(
            "Counts the snapshots of a server by the key that they need, in all namespaces below the one that is named.",
            &[
                ("ns", true, &NAMESPACE),
                ("password-file", false, &PASSWORD_FILE),
                ("repository", false, &REPOSITORY),
                ("tls-fingerprint", true, &TLS_FINGERPRINT),
            ],
        ),
        output: COVERAGE,
    },
    Operation {
        name: "remote_prove",
        input: ObjectSchema::new(
            "Proves through the backup client that a key opens what is on a server. With a blob and its code, it is a drill.",
            &[
                ("blob", true, &BLOB),
                ("code", true, &CODE),
                ("full", true, &flag("Fetch all of each archive.")),
                ("keyfile", true, &KEYFILE),
                (
                    "mebibytes",
                    true,
                    &IntegerSchema::new("How much of each archive is fetched, in MiB.")
                        .minimum(1)
                        .maximum(1 << 20)
                        .default(16)
                        .schema(),
                ),
                ("ns", true, &NAMESPACE),
                ("password-file", false, &PASSWORD_FILE),
                ("repository", false, &REPOSITORY),
                ("snapshots", true, &SNAPSHOTS),
                ("tls-fingerprint", true, &TLS_FINGERPRINT),
            ],
        ),
        output: ObjectSchema::new(
            "What the proof has shown.",
            &[
                ("cancelled", false, &flag("Was it stopped before its end?")),
                ("controls", true, &CONTROLS),
                ("key", false, &FINGERPRINT),
                (
                    "mebibytes",
                    true,
                    &count("Fetched of each archive at most, all if it is missing."),
                ),
                ("result", false, &VERDICT),
                (
                    "snapshots",
                    false,
                    &ArraySchema::new("Each that was selected.", &PROVEN).schema(),
                ),
                ("totals", false, &TOTALS),
                ("unreadable", true, &UNREADABLE),
            ],
        ),
    },
];
