//! `paper`

use pve_escrow::paper::{CodeSheet, KitSheet};
use pve_escrow::{file, kit};
use zeroize::Zeroizing;

use crate::args::Paper;
use crate::failure::Result;
use crate::{input, output};

pub fn run(args: &Paper) -> Result<()> {
    if let Some(out) = &args.out {
        file::must_not_exist(out)?;
    }
    let sheet = sheet(args)?;
    match &args.out {
        Some(out) => {
            file::write_new(out, sheet.as_bytes())?;
            output::note(format_args!("The sheet is in {}.", out.display()));
            Ok(())
        }
        None => output::result(sheet.trim_end()),
    }
}

fn sheet(args: &Paper) -> Result<Zeroizing<String>> {
    let kit = args
        .kit
        .as_ref()
        .map(|path| Ok::<_, pve_escrow::Error>((file::read(path)?, path.display().to_string())))
        .transpose()?;
    let format = args.format.into();
    match (&args.code_in, kit) {
        (Some(path), kit) => {
            let blobs = kit
                .map(|(bytes, what)| kit::blobs(&bytes, &what))
                .transpose()?;
            let sheet = CodeSheet {
                code: &input::code_in(path)?,
                fingerprint: blobs.and_then(|blobs| blobs[0].claimed),
                place: args.kit_at.as_deref(),
            };
            Ok(sheet.print(format))
        }
        (None, Some((bytes, what))) => {
            Ok(Zeroizing::new(KitSheet::new(&bytes, &what)?.print(format)?))
        }
        (None, None) => unreachable!("without --code-in a kit is required"),
    }
}
