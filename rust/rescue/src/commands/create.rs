//! `create`

use std::path::Path;

use pve_escrow::KeyFile;
use pve_escrow::file::{self, Staged};
use pve_escrow::seal::{self, NewSeal};
use zeroize::Zeroizing;

use crate::args::Create;
use crate::failure::{Failure, Result};
use crate::terminal::{self, Terminal};
use crate::{input, output};

pub fn run(args: &Create) -> Result<()> {
    // before a code is drawn that could not be handed over
    let terminal = match &args.code_out {
        Some(path) if *path == args.out => {
            let text =
                "--out and --code-out name the same file: blob and code must not lie together";
            return Err(Failure::Usage(text.to_owned()));
        }
        Some(path) => {
            file::must_not_exist(path)?;
            None
        }
        None => Some(Terminal::open().map_err(|err| {
            Failure::Usage(format!(
                "there is no terminal to show the code on ({err}): give --code-out FILE"
            ))
        })?),
    };
    file::must_not_exist(&args.out)?;

    let live = KeyFile::read(&args.keyfile)?;
    let passphrase = input::passphrase(&live, args.passphrase_in.as_deref())?;
    let sealed = seal::create(&live, passphrase.as_ref())?;
    let blob = Staged::new(&args.out, &sealed.blob)?;
    match (&args.code_out, terminal) {
        (Some(path), _) => hand_over_in_file(&sealed, blob, path)?,
        (None, Some(terminal)) => hand_over_on_terminal(&sealed, blob, terminal, &args.out)?,
        (None, None) => unreachable!("without --code-out there is a terminal"),
    }
    output::note(format_args!(
        "Sealed in {}. Next, type the code back: pve-escrow-rescue verify {0}",
        args.out.display()
    ));
    output::result(sealed.fingerprint)
}

/// The code is safe before the blob gets its name, and gone if the blob can't have it.
fn hand_over_in_file(sealed: &NewSeal, blob: Staged, path: &Path) -> Result<()> {
    let line = Zeroizing::new(format!("{}\n", sealed.code.as_str()));
    file::write_new(path, line.as_bytes())?;
    blob.publish().inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })?;
    Ok(())
}

/// The words are shown after the blob has its name, so that nobody writes down what opens nothing; if they
/// can't be shown, the blob goes.
fn hand_over_on_terminal(
    sealed: &NewSeal,
    blob: Staged,
    mut terminal: Terminal,
    out: &Path,
) -> Result<()> {
    blob.publish()?;
    terminal::show_code(&mut terminal, &sealed.code, &sealed.fingerprint.short()).inspect_err(
        |_| {
            let _ = std::fs::remove_file(out);
        },
    )
}
