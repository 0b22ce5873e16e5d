//! `fingerprint`

use pve_escrow::ops::Named;
use pve_escrow::{Error, Fingerprint, KeyFile};

use crate::args;
use crate::failure::Result;
use crate::{input, output};

pub fn run(args: &args::Fingerprint) -> Result<()> {
    let file = KeyFile::read(&args.keyfile)?;
    let name = match &args.passphrase_in {
        Some(path) => Named::computed(Fingerprint::of(
            &file.open(input::passphrase(&file, Some(path))?.as_ref())?,
        )),
        None => Named::of(&file)?,
    };
    let Some(fingerprint) = name.fingerprint else {
        return Err(Error::Unsupported {
            what: args.keyfile.display().to_string(),
            why:
                "it is protected and does not say its fingerprint: --passphrase-in FILE computes it"
                    .to_owned(),
        }
        .into());
    };
    if !name.verified {
        output::note("unverified: this is what the file claims, --passphrase-in FILE computes it");
    }
    if args.json {
        output::result(serde_json::json!(name))
    } else {
        output::result(fingerprint)
    }
}
