//! Operations on the directory of a datastore.

use proxmox_schema::{
    ApiStringFormat, ArraySchema, BooleanSchema, EnumEntry, IntegerSchema, NumberSchema,
    ObjectSchema, Schema, StringSchema,
};

use super::Operation;
use super::key::{BLOB, CODE, FINGERPRINT, KEYFILE, path};

pub(super) const fn text(description: &'static str) -> Schema {
    StringSchema::new(description).schema()
}

pub(super) const fn count(description: &'static str) -> Schema {
    IntegerSchema::new(description).minimum(0).schema()
}

pub(super) const fn flag(description: &'static str) -> Schema {
    BooleanSchema::new(description).schema()
}

const DATASTORE: Schema = path("Directory of the datastore.");
pub(super) const NAMESPACE: Schema = StringSchema::new("Namespace, if not the root.")
    .max_length(256)
    .schema();
const ALL_NAMESPACES: Schema = flag("Look into all namespaces.");
pub(super) const SNAPSHOT: Schema =
    StringSchema::new("Snapshot, as in ct/100/2024-06-05T16:00:00Z.")
        .max_length(256)
        .schema();
pub(super) const SNAPSHOTS: Schema = ArraySchema::new("Only these snapshots.", &SNAPSHOT).schema();
const SECONDS: Schema = NumberSchema::new("How long it took.").schema();

pub(super) const VERDICT: Schema = StringSchema::new("What was found.")
    .format(&ApiStringFormat::Enum(&[
        EnumEntry::new("valid", "all that was looked at is as it was written"),
        EnumEntry::new("invalid", "something is damaged"),
        EnumEntry::new(
            "unknown",
            "something could not be looked at, or nothing was",
        ),
        EnumEntry::new("skipped", "it is not for this key"),
    ]))
    .schema();

const DAMAGE: Schema = ObjectSchema::new(
    "Something that is wrong.",
    &[
        ("digest", true, &text("Of a chunk: its name.")),
        ("kind", false, &text("The fault, for programs.")),
        (
            "offset",
            true,
            &count("Of a chunk: where its data begins in the decoded archive."),
        ),
        ("what", false, &text("The fault in words.")),
    ],
)
.schema();
const DAMAGES: Schema = ArraySchema::new("What is wrong.", &DAMAGE).schema();

const CHUNKS: ObjectSchema = ObjectSchema::new(
    "Chunks, as indexes list them.",
    &[
        (
            "checked",
            false,
            &count("Entries whose chunk was looked at."),
        ),
        ("read", false, &count("Chunks that were read for it.")),
        ("total", false, &count("Entries in all.")),
    ],
);

const FILE: Schema = ObjectSchema::new(
    "A file of a snapshot.",
    &[
        (
            "bytes",
            false,
            &count("Bytes of decoded data that are proven."),
        ),
        ("chunks", true, &CHUNKS.schema()),
        (
            "crypt-mode",
            false,
            &text("How it is protected: none, encrypt or sign-only."),
        ),
        ("damaged", false, &count("How many damages there are.")),
        ("damages", false, &DAMAGES),
        ("name", false, &text("Its name.")),
        ("result", false, &VERDICT),
        (
            "unreadable",
            false,
            &count("How many parts could not be looked at."),
        ),
    ],
)
.schema();

pub(super) const PROVEN: Schema = ObjectSchema::new(
    "A snapshot.",
    &[
        ("damages", false, &DAMAGES),
        (
            "files",
            false,
            &ArraySchema::new("Its files.", &FILE).schema(),
        ),
        ("key", true, &FINGERPRINT),
        ("namespace", false, &NAMESPACE),
        (
            "protection",
            true,
            &text("How it is protected: encrypted, signed or plain."),
        ),
        (
            "reason",
            true,
            &text("Why it was skipped, or why nothing can be said."),
        ),
        ("result", false, &VERDICT),
        ("seconds", false, &SECONDS),
        (
            "skipped",
            true,
            &text("Why it was skipped: other-key, plain, unfinished or gone."),
        ),
        ("snapshot", false, &SNAPSHOT),
    ],
)
.schema();

pub(super) const UNREADABLE: Schema = ArraySchema::new(
    "What could not be looked into.",
    &ObjectSchema::new(
        "A place below the datastore.",
        &[
            ("path", false, &text("Which one.")),
            ("what", false, &text("Why.")),
        ],
    )
    .schema(),
)
.schema();

pub(super) const TOTALS: Schema = ObjectSchema::new(
    "All in all.",
    &[
        (
            "bytes",
            false,
            &count("Bytes of decoded data that are proven."),
        ),
        ("chunks", false, &CHUNKS.schema()),
        ("damages", false, &count("Damages.")),
        ("files", false, &count("Files that were looked at.")),
        ("invalid", false, &count("Snapshots with damage.")),
        ("seconds", false, &SECONDS),
        (
            "skipped",
            false,
            &count("Snapshots that are not for this key."),
        ),
        ("snapshots", false, &count("Snapshots that were looked at.")),
        ("unknown", false, &count("Snapshots that can't be told.")),
        ("valid", false, &count("Snapshots without damage.")),
    ],
)
.schema();

const ID: ObjectSchema = ObjectSchema::new(
    "The newest of them.",
    &[
        ("namespace", false, &NAMESPACE),
        ("snapshot", false, &SNAPSHOT),
    ],
);
const GROUP: ObjectSchema = ObjectSchema::new(
    "Some snapshots.",
    &[
        ("count", false, &count("How many.")),
        ("newest", true, &ID.schema()),
    ],
);

const OF_KEY: Schema = ObjectSchema::new(
    "The snapshots that name a key.",
    &[
        ("count", false, &count("How many.")),
        (
            "encrypted",
            false,
            &count("Those whose data can't be read without it."),
        ),
        ("fingerprint", false, &FINGERPRINT),
        ("newest", true, &ID.schema()),
        (
            "not-signed",
            false,
            &count("Those whose signature was taken out."),
        ),
        (
            "signed-only",
            false,
            &count("Those that are only signed with it."),
        ),
        (
            "with-master-key",
            false,
            &count("Those that carry the key for the holder of a master key."),
        ),
    ],
)
.schema();

pub(super) const COVERAGE: ObjectSchema = ObjectSchema::new(
    "Which snapshots need which key, as far as can be seen.",
    &[
        (
            "keys",
            false,
            &ArraySchema::new("By key, the one in use first.", &OF_KEY).schema(),
        ),
        ("nameless", false, &GROUP.schema()),
        ("plain", false, &GROUP.schema()),
        (
            "plain-hosts",
            false,
            &ArraySchema::new("Machines with host backups that need no key.", &HOST).schema(),
        ),
        ("snapshots", false, &count("Snapshots in all.")),
        ("unreadable", false, &UNREADABLE),
        ("without-manifest", false, &GROUP.schema()),
    ],
);
const HOST: Schema = text("Its name in the backups.");

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "coverage",
        input: ObjectSchema::new(
            "Counts the snapshots of a datastore by the key that they need. No key is needed for that.",
            &[
                ("all-ns", true, &ALL_NAMESPACES),
                ("datastore", false, &DATASTORE),
                ("ns", true, &NAMESPACE),
            ],
        ),
        output: COVERAGE,
    },
    Operation {
        name: "prove",
        input: ObjectSchema::new(
            "Proves that a key opens what is in a datastore: the key of a key file, or that of a blob and its code.",
            &[
                ("all-ns", true, &ALL_NAMESPACES),
                ("blob", true, &BLOB),
                ("code", true, &CODE),
                ("datastore", false, &DATASTORE),
                ("full", true, &flag("Look at every chunk.")),
                ("keyfile", true, &KEYFILE),
                ("ns", true, &NAMESPACE),
                (
                    "sample",
                    true,
                    &IntegerSchema::new(
                        "Chunks of each archive; 459 find a loss of 1 % with 99 % probability.",
                    )
                    .minimum(2)
                    .default(459)
                    .schema(),
                ),
                ("snapshots", true, &SNAPSHOTS),
            ],
        ),
        output: ObjectSchema::new(
            "What the proof has shown.",
            &[
                ("cancelled", false, &flag("Was it stopped before its end?")),
                ("key", false, &FINGERPRINT),
                ("result", false, &VERDICT),
                (
                    "sample",
                    true,
                    &count("Chunks of each archive that were looked at, all if it is missing."),
                ),
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
