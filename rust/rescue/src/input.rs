//! Where codes and passphrases come from: a file, standard input, or a person at the terminal.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use pve_escrow::master;
use pve_escrow::seal::{self, Opened};
use pve_escrow::{
    Error, Expected, Key, KeyFile, RecoveryCode, SecretBytes, SecretString, file, kit,
};
use zeroize::Zeroizing;

use crate::args::KeySource;
use crate::failure::{Failure, Result};
use crate::terminal::{self, Terminal};

/// The key that an operation on a datastore is given, if any.
pub fn key(source: &KeySource) -> Result<Option<Key>> {
    if let Some(path) = &source.key {
        let file = KeyFile::read(path)?;
        let passphrase = passphrase(&file, source.passphrase_in.as_deref())?;
        return Ok(Some(file.open(passphrase.as_ref())?));
    }
    let Some(path) = &source.blob else {
        return Ok(None);
    };
    let blobs = blobs(path)?;
    let (opened, _) = open(&blobs, source.code_in.as_deref(), None)?;
    Ok(Some(opened.key))
}

/// The sealed keys in a file: a blob is one, a kit has one for each code.
pub fn blobs(path: &Path) -> Result<Vec<KeyFile>> {
    let bytes = file::read(path)?;
    Ok(kit::blobs(&bytes, &path.display().to_string())?)
}

/// Opens the blob to which the code belongs that the user gives.
pub fn open<'a>(
    blobs: &'a [KeyFile],
    code_in: Option<&Path>,
    expect: Option<&Expected>,
) -> Result<(Opened, &'a KeyFile)> {
    let code = recovery_code(code_in, &blobs[0])?;
    let attempt =
        |blob: &'a KeyFile| seal::unwrap(blob, &code, expect).map(|opened| (opened, blob));
    let mut result = attempt(&blobs[0]);
    for blob in &blobs[1..] {
        if !matches!(result, Err(Error::WrongCode { .. })) {
            break;
        }
        result = attempt(blob);
    }
    Ok(result?)
}

/// A recovery code out of a file.
pub fn code_in(path: &Path) -> Result<RecoveryCode> {
    Ok(RecoveryCode::parse(&text(path)?)?)
}

/// The recovery code for `blob`, out of a file or from a person.
fn recovery_code(path: Option<&Path>, blob: &KeyFile) -> Result<RecoveryCode> {
    match path {
        Some(path) => code_in(path),
        None => terminal::ask_code(&mut terminal_for("--code-in FILE")?, blob),
    }
}

/// The passphrase of a key file that needs one: the first line of `path`, or what is typed.
pub fn passphrase(file: &KeyFile, path: Option<&Path>) -> Result<Option<SecretString>> {
    if !file.is_protected() {
        return Ok(None);
    }
    passphrase_from(path, "Passphrase of the key file: ").map(Some)
}

/// The first line of `path`, or what is typed.
pub fn passphrase_from(path: Option<&Path>, prompt: &str) -> Result<SecretString> {
    match path {
        Some(path) => first_line(path),
        None => terminal_for("--passphrase-in FILE")?.ask_hidden(prompt),
    }
}

/// A passphrase for a new master key: what is typed counts once it was typed twice.
pub fn new_passphrase(path: Option<&Path>) -> Result<SecretString> {
    if let Some(path) = path {
        let passphrase = first_line(path)?;
        master::check_passphrase(&passphrase)?;
        return Ok(passphrase);
    }
    let mut terminal = terminal_for("--passphrase-in FILE")?;
    loop {
        let first = terminal.ask_hidden("New passphrase of the master key: ")?;
        if let Err(err) = master::check_passphrase(&first) {
            terminal.show(&format!("  {err}\n"))?;
            continue;
        }
        let second = terminal.ask_hidden("The same once more: ")?;
        if first.as_str() == second.as_str() {
            return Ok(first);
        }
        terminal.show("  The two differ.\n")?;
    }
}

fn first_line(path: &Path) -> Result<SecretString> {
    let text = text(path)?;
    let line = text.split('\n').next().unwrap_or_default();
    Ok(SecretString::from(line.trim_end_matches('\r').to_owned()))
}

/// A person to ask; without one, `option` is what to give.
pub fn terminal_for(option: &str) -> Result<Terminal> {
    Terminal::open().map_err(|err| {
        Failure::Usage(format!(
            "there is no terminal to ask on ({err}): give {option}, or \"{}\"",
            option.replace("FILE", "-")
        ))
    })
}

fn text(path: &Path) -> Result<Zeroizing<String>> {
    let bytes = bytes(path)?;
    Ok(Zeroizing::new(utf8(&bytes, &name(path))?.to_owned()))
}

/// The text of an input.
pub fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str> {
    let damaged = |_| Error::Damaged {
        what: what.to_owned(),
        why: "it is not a text in UTF-8".to_owned(),
    };
    Ok(std::str::from_utf8(bytes).map_err(damaged)?)
}

/// What messages call an input.
pub fn name(path: &Path) -> String {
    match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

fn bytes(path: &Path) -> Result<SecretBytes> {
    if path == Path::new("-") {
        return Ok(file::read_stream(stdin().lock(), "standard input")?);
    }
    Ok(file::read(path)?)
}

/// A scan, or a page with pictures in it: far larger than a key file.
pub fn large(path: &Path) -> Result<SecretBytes> {
    const MAX: u64 = 64 << 20;
    let failed = |error| Error::Io {
        action: "read",
        path: path.to_owned(),
        error,
    };
    if path == Path::new("-") {
        let mut bytes = Zeroizing::new(Vec::new());
        stdin()
            .lock()
            .take(MAX)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        return Ok(bytes);
    }
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len().min(MAX);
    // room for all of it, so that growing leaves no copies behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.take(MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
