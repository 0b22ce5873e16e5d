//! The sheet of a kit or a blob: all but the words.

use serde_json::Value;

use super::lines::{BEGIN, END};
use super::{Format, html, printable, qr, to_lines};
use crate::error::{Error, Result};
use crate::kit::{self, Connection, Kit};
use crate::{KeyFile, keyfile};

const TITLE: &str = "Kit of a Backup Encryption Key";
const ABOUT: &str = "Without the ten words of the recovery code this sheet opens nothing. Keep it away from them, and a \
                     copy at another place.";
const OURS: &str = "To get the key back with pve-escrow-rescue, on any Linux machine: scan or photograph the QR codes \
                    (PNG or JPEG), or type the lines, with or without their numbers and blanks. The last two \
                    characters of each line tell whether it is right.";
const OUR_COMMANDS: &str = "pve-escrow-rescue import scan.png --out kit\n\
                            pve-escrow-rescue import --out kit         (asks for the lines)\n\
                            pve-escrow-rescue unwrap kit --out key.enc (asks for the ten words)";
const SECRET: &str = "The secret for the backup server is not on this sheet. If nobody knows that of a token any more, the server \
                      issues a new one for the same name: proxmox-backup-manager user delete-token, then generate-token, both with \
                      user and token name. Its permissions stay. Another token does not own these backups.";
const STOCK: &str = "Without it: each text in braces is a key file of proxmox-backup-client. Type one into a file key.enc; \
                     line breaks and blanks do not matter. Its passphrase is the ten words in lower case, in order, \
                     with single blanks between them.";
const STOCK_COMMANDS: &str = "proxmox-backup-client key change-passphrase key.enc --kdf none";

/// What is on it.
#[derive(Debug)]
pub struct KitSheet {
    facts: Vec<(&'static str, String)>,
    names_server: bool,
    lines: Vec<String>,
    blobs: Vec<String>,
}

impl KitSheet {
    /// Of the content of a kit or a blob that messages call `what`.
    ///
    /// # Errors
    /// As [`kit::blobs`]; [`Error::Refused`] for a key file that anybody could use.
    pub fn new(bytes: &[u8], what: &str) -> Result<Self> {
        let blobs = kit::blobs(bytes, what)?;
        if blobs.iter().any(|blob| !blob.is_protected()) {
            return Err(Error::Refused(format!(
                "{what} holds a key without protection, which is no kit: 'proxmox-backup-client key paperkey' prints it"
            )));
        }
        let (facts, names_server) = match Kit::parse(bytes, what) {
            Ok(kit) => (kit_facts(&kit), kit.connection.is_some()),
            Err(Error::Unsupported { what, why }) => return Err(Error::Unsupported { what, why }),
            Err(_) => (blob_facts(&blobs[0]), false),
        };
        Ok(Self {
            facts,
            names_server,
            lines: to_lines(bytes)?,
            blobs: blobs.iter().map(pretty).collect::<Result<_>>()?,
        })
    }

    /// The sheet to print.
    ///
    /// # Errors
    /// As [`qr::svg`].
    pub fn print(&self, format: Format) -> Result<String> {
        match format {
            Format::Text => Ok(self.text()),
            Format::Html => self.html(),
        }
    }

    fn lines(&self) -> String {
        let mut all = vec![BEGIN];
        all.extend(self.lines.iter().map(String::as_str));
        all.push(END);
        all.join("\n")
    }

    /// What is to be said in front of the ways to use it.
    fn about(&self) -> Vec<&'static str> {
        let secret = self.names_server.then_some(SECRET);
        [ABOUT].into_iter().chain(secret).collect()
    }

    fn text(&self) -> String {
        let facts: String = self
            .facts
            .iter()
            .map(|(name, value)| format!("{:<12} {value}\n", format!("{name}:")))
            .collect();
        format!(
            "{TITLE}\n\n{facts}\n{}\n\n{OURS}\n\n{}\n\n{}\n\n{STOCK}\n\n    {STOCK_COMMANDS}\n\n{}\n",
            self.about().join("\n\n"),
            OUR_COMMANDS
                .lines()
                .map(|line| format!("    {line}"))
                .collect::<Vec<_>>()
                .join("\n"),
            self.lines(),
            self.blobs.join("\n\n"),
        )
    }

    fn html(&self) -> Result<String> {
        let parts = qr::parts(&self.lines);
        let count = parts.len();
        let mut codes = String::new();
        for (number, part) in (1..).zip(&parts) {
            codes += &format!(
                "<figure>{}<figcaption>{number}/{count}</figcaption></figure>\n",
                qr::svg(part)?
            );
        }
        let mut body = html::facts(&self.facts);
        for paragraph in self.about() {
            body += &html::element("p", paragraph);
        }
        body += &html::element("h2", "With pve-escrow-rescue");
        body += &html::element("p", OURS);
        body += &html::element("pre", OUR_COMMANDS);
        body += &format!("<div class=\"codes\">\n{codes}</div>\n");
        body += &html::element("pre", &self.lines());
        body += &html::element("h2", "With the stock client");
        body += &html::element("p", STOCK);
        body += &html::element("pre", STOCK_COMMANDS);
        for blob in &self.blobs {
            body += &html::element("pre", blob);
        }
        Ok(html::page(TITLE, &body))
    }
}

fn kit_facts(kit: &Kit) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Key", kit.fingerprint.to_string()),
        ("Short form", kit.fingerprint.short()),
    ];
    if let Some(storage) = &kit.storage {
        facts.push(("Storage", printable(storage)));
    }
    if let Some(connection) = &kit.connection {
        facts.push(("Backups", printable(&place(connection))));
        if let Some(certificate) = &connection.fingerprint {
            facts.push(("Certificate", printable(certificate)));
        }
    }
    facts.push((
        "Made",
        printable(&format!("{} by {}", kit.created, kit.program)),
    ));
    facts
}

/// As the client's `PBS_REPOSITORY` has it.
fn place(connection: &Connection) -> String {
    let Connection {
        server,
        port,
        datastore,
        namespace,
        username,
        ..
    } = connection;
    let server = match server.contains(':') {
        true => format!("[{server}]"),
        false => server.clone(),
    };
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let namespace = namespace
        .as_ref()
        .map_or_else(String::new, |namespace| format!(", namespace {namespace}"));
    format!("{username}@{server}{port}:{datastore}{namespace}")
}

fn blob_facts(blob: &KeyFile) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(claimed) = blob.claimed {
        facts.push(("Key", claimed.to_string()));
        facts.push(("Short form", claimed.short()));
    }
    facts.push(("Made", keyfile::timestamp(&blob.modified)));
    facts
}

fn pretty(blob: &KeyFile) -> Result<String> {
    let unreadable = |err| Error::Refused(format!("cannot print a blob: {err}"));
    let value: Value = serde_json::from_slice(&blob.to_json()).map_err(unreadable)?;
    serde_json::to_string_pretty(&value).map_err(unreadable)
}
