//! `import`

use std::path::PathBuf;

use pve_escrow::paper::qr::{Parts, is_part};
use pve_escrow::paper::{LineReader, Sheet, lines, paperkey};
use pve_escrow::{Error, SecretBytes, file};

use crate::args::Import;
use crate::failure::{Failure, Result};
use crate::picture::{self, Picture};
use crate::terminal::Terminal;
use crate::{input, output};

pub fn run(args: &Import) -> Result<()> {
    file::must_not_exist(&args.out)?;
    let sheet = read(&args.file)?;
    let what = match &sheet {
        Sheet::Kit(_) => "The kit",
        Sheet::Key(key) if key.is_protected() => "The key file",
        Sheet::Key(_) => "The key, without protection,",
    };
    file::write_new(&args.out, &sheet.into_content())?;
    let name = args.out.display();
    output::note(format_args!("{what} is in {name}."));
    output::note(match what {
        "The kit" => format!("Next: pve-escrow-rescue verify {name}"),
        _ => format!("Keep it secret. Next: pve-escrow-rescue fingerprint {name}"),
    });
    Ok(())
}

/// A file that may be a sheet, and what messages call it.
struct Input(SecretBytes, String);

fn read(files: &[PathBuf]) -> Result<Sheet> {
    let inputs = files
        .iter()
        .map(|path| Ok(Input(input::large(path)?, input::name(path))))
        .collect::<Result<Vec<_>>>()?;
    match &inputs[..] {
        [] => typed(&mut input::terminal_for("a FILE")?),
        [Input(bytes, what)] if !picture::is_one(bytes) => {
            Ok(Sheet::read(input::utf8(bytes, what)?, what)?)
        }
        inputs if inputs.iter().all(|Input(bytes, _)| picture::is_one(bytes)) => pictures(inputs),
        _ => Err(Failure::Usage(
            "several files have to be pictures, PNG or JPEG".to_owned(),
        )),
    }
}

fn pictures(inputs: &[Input]) -> Result<Sheet> {
    let mut parts = Parts::default();
    let mut key = None;
    for Input(bytes, what) in inputs {
        for text in Picture::new(bytes, what)?.codes() {
            match text.starts_with('{') {
                true => key = Some(text),
                // other codes may stand on the same table
                false if is_part(&text) => parts.add(&text)?,
                false => {}
            }
            if parts.is_complete() {
                break;
            }
        }
    }
    let what = match inputs {
        [Input(_, what)] => what,
        _ => "the sheet",
    };
    match (parts.count(), key) {
        (0, Some(json)) => Ok(Sheet::Key(paperkey::checked(json.as_bytes(), what)?)),
        (0, None) => Err(Error::Damaged {
            what: what.to_owned(),
            why: "no QR code of a sheet can be read in it: scan it again, with at least 150 dpi"
                .to_owned(),
        }
        .into()),
        (_, Some(_)) => Err(Failure::Other(
            "sheets of pve-escrow and of the client are in these pictures: read one at a time"
                .to_owned(),
        )),
        (_, None) => Ok(Sheet::kit(parts.finish(what)?, what)?),
    }
}

/// Line by line; what is wrong is asked for again.
fn typed(terminal: &mut Terminal) -> Result<Sheet> {
    terminal.show("Type the lines of the sheet. Their numbers and blanks are not needed.\n")?;
    let mut reader = LineReader::default();
    while !reader.is_complete() {
        let line = terminal.ask(&format!("  {:>3}: ", reader.next()))?;
        for line in lines::in_text(&line) {
            if let Err(err) = reader.read(line) {
                terminal.show(&format!("       {err}\n"))?;
            }
        }
    }
    let what = "the sheet";
    Ok(Sheet::kit(reader.finish(what)?, what)?)
}
