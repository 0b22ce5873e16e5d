//! Operations on a backup server.

use proxmox_schema::{ArraySchema, IntegerSchema, ObjectSchema, Schema, StringSchema};

use super::Operation;
use super::datastore::{
    COVERAGE, NAMESPACE, PROVEN, SNAPSHOT, SNAPSHOTS, TOTALS, UNREADABLE, VERDICT, count, flag,
    text,
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

const KITS: Schema = StringSchema::new("Kits, one a line.")
    .max_length(1 << 20)
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
        name: "remote_kits",
        input: ObjectSchema::new(
            "Reads the kits that were published on a server, those of the calling user's groups first.",
            &[
                ("ns", true, &NAMESPACE),
                ("password-file", false, &PASSWORD_FILE),
                ("repository", false, &REPOSITORY),
                ("snapshots", true, &SNAPSHOTS),
                ("tls-fingerprint", true, &TLS_FINGERPRINT),
            ],
        ),
        output: ObjectSchema::new(
            "What was found. Anybody who may make backups there can have written it.",
            &[
                (
                    "kits",
                    false,
                    &ArraySchema::new(
                        "In the order in which they were read.",
                        &ObjectSchema::new(
                            "A kit, or what somebody put in its place.",
                            &[
                                ("snapshot", false, &SNAPSHOT),
                                ("text", false, &text("Its content.")),
                            ],
                        )
                        .schema(),
                    )
                    .schema(),
                ),
                (
                    "problems",
                    false,
                    &ArraySchema::new(
                        "What could not be read.",
                        &ObjectSchema::new(
                            "A snapshot.",
                            &[
                                ("snapshot", false, &SNAPSHOT),
                                ("what", false, &text("Why.")),
                            ],
                        )
                        .schema(),
                    )
                    .schema(),
                ),
                (
                    "snapshots",
                    false,
                    &count("Snapshots of kits that there are."),
                ),
            ],
        ),
    },
    Operation {
        name: "remote_publish",
        input: ObjectSchema::new(
            "Publishes kits as a snapshot that no key locks, and protects it if the server permits.",
            &[
                (
                    "backup-id",
                    false,
                    &StringSchema::new("Its group: pve-escrow-NAME-, and 8 hexadecimal digits.")
                        .max_length(64)
                        .schema(),
                ),
                ("ns", true, &NAMESPACE),
                ("password-file", false, &PASSWORD_FILE),
                ("repository", false, &REPOSITORY),
                ("text", false, &KITS),
                ("tls-fingerprint", true, &TLS_FINGERPRINT),
            ],
        ),
        output: ObjectSchema::new(
            "What was made.",
            &[
                (
                    "protected",
                    false,
                    &flag("May nobody remove it before that is taken back?"),
                ),
                ("snapshot", false, &SNAPSHOT),
            ],
        ),
    },
    Operation {
        name: "remote_snapshots",
        input: ObjectSchema::new(
            "Lists the snapshots in a namespace of a server.",
            &[
                ("ns", true, &NAMESPACE),
                ("password-file", false, &PASSWORD_FILE),
                ("repository", false, &REPOSITORY),
                ("tls-fingerprint", true, &TLS_FINGERPRINT),
            ],
        ),
        output: ObjectSchema::new(
            "Those with a manifest.",
            &[(
                "snapshots",
                false,
                &ArraySchema::new(
                    "Oldest first.",
                    &ObjectSchema::new(
                        "A snapshot.",
                        &[
                            ("key", true, &FINGERPRINT),
                            ("protection", false, &text("encrypted, signed or plain.")),
                            ("size", true, &count("Of its files, in bytes.")),
                            ("snapshot", false, &SNAPSHOT),
                        ],
                    )
                    .schema(),
                )
                .schema(),
            )],
        ),
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
