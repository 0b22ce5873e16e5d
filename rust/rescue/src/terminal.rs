//! The person at the terminal: `/dev/tty`, whatever standard input and output are connected to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use pve_escrow::code::{Numbered, part};
use pve_escrow::{CodeError, KeyFile, RecoveryCode, SecretString};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// Longest line that a terminal takes is 4,096 bytes: the buffer never grows and leaves copies behind.
const LINE: usize = 4096;

/// The controlling terminal.
pub struct Terminal(File);

impl Terminal {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .map(Self)
    }

    /// Prints a text.
    pub fn show(&mut self, text: &str) -> Result<()> {
        self.0.write_all(text.as_bytes()).map_err(failed)
    }

    /// Asks for a line; it shows as it is typed.
    pub fn ask(&mut self, prompt: &str) -> Result<Zeroizing<String>> {
        self.show(prompt)?;
        let mut line = Zeroizing::new(Vec::with_capacity(LINE));
        let mut byte = [0];
        while line.len() < LINE {
            match self.0.read(&mut byte).map_err(failed)? {
                0 if line.is_empty() => {
                    return Err(Failure::Other("given up at the prompt".to_owned()));
                }
                1 if byte[0] != b'\n' => line.push(byte[0]),
                _ => break,
            }
        }
        let text = std::str::from_utf8(&line)
            .map_err(|_| Failure::Other("what was typed is not UTF-8".to_owned()))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Asks for a line that does not show.
    pub fn ask_hidden(&mut self, prompt: &str) -> Result<SecretString> {
        let hidden = Hidden::new(self.0.try_clone().map_err(failed)?)?;
        let line = self.ask(prompt);
        drop(hidden);
        self.show("\n")?;
        Ok(SecretString::from(line?.to_string()))
    }
}

fn failed(err: impl std::fmt::Display) -> Failure {
    Failure::Other(format!("the terminal does not answer: {err}"))
}

/// While this lives, what is typed does not show.
struct Hidden(File, Termios);

impl Hidden {
    fn new(terminal: File) -> Result<Self> {
        let before = termios::tcgetattr(&terminal).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        termios::tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent).map_err(failed)?;
        Ok(Self(terminal, before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(&self.0, SetArg::TCSAFLUSH, &self.1);
    }
}

/// Shows a new code, this once.
pub fn show_code(terminal: &mut Terminal, code: &RecoveryCode, key: &str) -> Result<()> {
    terminal.show(&format!(
        "\nThe recovery code of key {key}. It is shown this once: write it down now.\n\n"
    ))?;
    terminal.show(Numbered(code).rows().as_str())?;
    let check = code.check_characters();
    terminal.show(&format!("\n  check characters: {check}\n\n"))
}

/// Asks for a code word by word, and says at once which one can't be right.
pub fn ask_code(terminal: &mut Terminal, blob: &KeyFile) -> Result<RecoveryCode> {
    let claimed = blob.claimed.map_or_else(
        || "an unknown key".to_owned(),
        |claimed| format!("key {}", claimed.short()),
    );
    terminal.show(&format!(
        "The ten words for {claimed}: one at a time, or several in a line.\n"
    ))?;
    let mut typed = Zeroizing::new(String::with_capacity(LINE));
    loop {
        let line = terminal.ask(&format!("  word {:>2}: ", part(&typed)?.len() + 1))?;
        // all at once: numbers, if there are any, give the order
        match RecoveryCode::parse_checked(&line) {
            Ok((code, true)) => return Ok(code),
            Ok((code, false)) => return ask_check(terminal, code),
            Err(_) => {}
        }
        match part(&after(&typed, &line)) {
            Ok(words) => {
                typed.clear();
                words.iter().for_each(|word| typed.extend([word, " "]));
            }
            Err(err) => terminal.show(&format!("    {err}\n"))?,
        }
        if let Ok(code) = RecoveryCode::parse(&typed) {
            return ask_check(terminal, code);
        }
    }
}

/// In one allocation of the right size: growing would leave copies behind.
fn after(before: &str, line: &str) -> Zeroizing<String> {
    Zeroizing::new([before, " ", line].concat())
}

/// The check characters tell a mistyped word before the slow derivation, but are not needed.
fn ask_check(terminal: &mut Terminal, code: RecoveryCode) -> Result<RecoveryCode> {
    loop {
        let check = terminal.ask("  check characters (Enter if you have none): ")?;
        match RecoveryCode::parse_checked(&after(code.as_str(), &check)) {
            Ok((_, checked)) if checked || check.trim().is_empty() => return Ok(code),
            Err(CodeError::Check) => {
                terminal.show("    They do not fit. These are the words as they were read:\n\n")?;
                terminal.show(Numbered(&code).rows().as_str())?;
                return Err(CodeError::Check.into());
            }
            _ => terminal
                .show("    Check characters are a letter, a digit, a letter and a digit.\n")?,
        }
    }
}
