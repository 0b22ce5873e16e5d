//! Operations on kits and records.

use proxmox_schema::{ApiStringFormat, EnumEntry, ObjectSchema, Schema, StringSchema};

use super::Operation;
use super::key::{BLOB, CODE, KEYFILE, ONLY_FINGERPRINT, path};

const KIND: Schema = StringSchema::new("What it is.")
    .format(&ApiStringFormat::Enum(&[
        EnumEntry::new("kit", "What may leave the cluster."),
        EnumEntry::new("record", "What the cluster remembers of a key."),
    ]))
    .schema();
const FORMAT: Schema = StringSchema::new("What a sheet is printed as.")
    .format(&ApiStringFormat::Enum(&[
        EnumEntry::new("html", "One page of HTML for A4, with QR codes."),
        EnumEntry::new(
            "pdf-ready",
            "The same: a browser makes a PDF of it as it is.",
        ),
        EnumEntry::new("text", "Text."),
    ]))
    .schema();
const FILE: Schema = path("Path of a file that may be a sheet.");
const OUT: Schema = path("Path of the new file for what was on it. Nothing may exist there.");
const ON_SHEET: Schema =
    StringSchema::new("What is in the new file; if it is missing, the file is no sheet.")
        .format(&ApiStringFormat::Enum(&[
            EnumEntry::new("key", "A key file."),
            EnumEntry::new("kit", "A kit or a sealed key file."),
        ]))
        .schema();
const SHEET: Schema = StringSchema::new("The sheet.").schema();
const TEXT: Schema = StringSchema::new("Its content.")
    .min_length(1)
    .max_length(65536)
    .schema();

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "authenticate",
        input: ObjectSchema::new(
            "Checks that a kit or a record is as a holder of its key made it.",
            &[
                ("blob", true, &BLOB),
                ("code", true, &CODE),
                ("keyfile", true, &KEYFILE),
                ("kind", false, &KIND),
                ("text", false, &TEXT),
            ],
        ),
        output: ONLY_FINGERPRINT,
    },
    Operation {
        name: "paper",
        input: ObjectSchema::new(
            "Prints a kit or a blob as a sheet that can be typed or scanned.",
            &[("format", false, &FORMAT), ("text", false, &TEXT)],
        ),
        output: ObjectSchema::new("A sheet to print.", &[("text", false, &SHEET)]),
    },
    Operation {
        name: "read_sheet",
        input: ObjectSchema::new(
            "Reads the text or the page of a sheet into a new file.",
            &[("file", false, &FILE), ("out", false, &OUT)],
        ),
        output: ObjectSchema::new("What was read.", &[("kind", true, &ON_SHEET)]),
    },
    Operation {
        name: "sign",
        input: ObjectSchema::new(
            "Authenticates a kit or a record with its key.",
            &[
                ("keyfile", false, &KEYFILE),
                ("kind", false, &KIND),
                ("text", false, &TEXT),
            ],
        ),
        output: ObjectSchema::new("The kit or the record.", &[("text", false, &TEXT)]),
    },
];
