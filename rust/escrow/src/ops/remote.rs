//! Whole operations on a backup server, through the installed client.

use std::path::PathBuf;

use serde::Deserialize;

use super::{KEY_NEEDED, key_of};
use crate::client::kits::{self, Found, Published};
use crate::client::prove::{Config, Depth, RemoteReport, With};
use crate::client::snapshots::Snapshots;
use crate::client::{self, Server};
use crate::error::{Error, Result};
use crate::pbs::coverage::Coverage;
use crate::pbs::prove::SnapshotReport;
use crate::pbs::{Namespace, SnapshotName};
use crate::{KeyFile, RecoveryCode, SecretString};

/// What is fetched of each archive unless the caller says.
const MEBIBYTES: u64 = 16;

/// A server, and a namespace of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Place {
    /// As the client takes it.
    pub repository: String,
    /// SHA-256 of its certificate.
    pub tls_fingerprint: Option<String>,
    /// Path of the file with the user's secret.
    pub password_file: PathBuf,
    /// Namespace, if not the root.
    pub ns: Option<Namespace>,
}

impl Place {
    fn server(&self) -> Result<Server> {
        Server::new(
            &self.repository,
            self.tls_fingerprint.as_deref(),
            self.ns.clone().unwrap_or_default(),
            &self.password_file,
        )
    }
}

/// Counts snapshots by key.
///
/// # Errors
/// As [`Server::new`] and [`client::coverage::coverage`].
pub fn coverage(input: &Place) -> Result<Coverage> {
    client::coverage::coverage(&input.server()?)
}

/// Lists snapshots.
///
/// # Errors
/// As [`Server::new`] and [`client::snapshots::snapshots`].
pub fn snapshots(input: &Place) -> Result<Snapshots> {
    client::snapshots::snapshots(&input.server()?)
}

/// Kits, and where they go.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Publish {
    /// As the client takes it.
    pub repository: String,
    /// SHA-256 of its certificate.
    pub tls_fingerprint: Option<String>,
    /// Path of the file with the user's secret.
    pub password_file: PathBuf,
    /// Namespace, if not the root.
    pub ns: Option<Namespace>,
    /// Name of the group: `pve-escrow-`, a name, and 8 hexadecimal digits.
    pub backup_id: String,
    /// The kits, one a line.
    pub text: String,
}

/// Publishes kits as an unencrypted snapshot.
///
/// # Errors
/// As [`Server::new`] and [`kits::publish`].
pub fn publish(input: &Publish) -> Result<Published> {
    let server = Server::new(
        &input.repository,
        input.tls_fingerprint.as_deref(),
        input.ns.clone().unwrap_or_default(),
        &input.password_file,
    )?;
    kits::publish(&server, &input.backup_id, &input.text)
}

/// A server, and which snapshots of kits.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kits {
    /// As the client takes it.
    pub repository: String,
    /// SHA-256 of its certificate.
    pub tls_fingerprint: Option<String>,
    /// Path of the file with the user's secret.
    pub password_file: PathBuf,
    /// Namespace, if not the root.
    pub ns: Option<Namespace>,
    /// Only these.
    pub snapshots: Option<Vec<SnapshotName>>,
}

/// Reads published kits.
///
/// # Errors
/// As [`Server::new`] and [`kits::read`].
pub fn kits(input: &Kits) -> Result<Found> {
    let server = Server::new(
        &input.repository,
        input.tls_fingerprint.as_deref(),
        input.ns.clone().unwrap_or_default(),
        &input.password_file,
    )?;
    kits::read(&server, input.snapshots.as_deref().unwrap_or_default())
}

/// A key, a server, and how much of it is to be looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Prove {
    /// As the client takes it.
    pub repository: String,
    /// SHA-256 of its certificate.
    pub tls_fingerprint: Option<String>,
    /// Path of the file with the user's secret.
    pub password_file: PathBuf,
    /// Namespace, if not the root.
    pub ns: Option<Namespace>,
    /// Path of the key file; or
    pub keyfile: Option<PathBuf>,
    /// the content of a sealed one, with
    pub blob: Option<String>,
    /// its recovery code.
    pub code: Option<SecretString>,
    /// Only these.
    pub snapshots: Option<Vec<SnapshotName>>,
    /// How much of each archive, in MiB.
    pub mebibytes: Option<u64>,
    /// All of it.
    pub full: Option<bool>,
}

/// Proves that a key opens what is on a server; with a code, it is a drill. `tell` is called after each snapshot.
///
/// # Errors
/// As [`KeyFile::open`], [`super::verify`], [`Server::new`] and [`client::prove::prove`]; [`Error::Refused`] unless there is one
/// key.
pub fn prove(input: &Prove, tell: &dyn Fn(&SnapshotReport)) -> Result<RemoteReport> {
    let config = Config {
        snapshots: input.snapshots.clone().unwrap_or_default(),
        depth: match (input.full, input.mebibytes) {
            (Some(true), _) => Depth::Full,
            (_, mebibytes) => Depth::First(mebibytes.unwrap_or(MEBIBYTES)),
        },
    };
    let with = match (&input.keyfile, &input.blob, &input.code) {
        (Some(path), None, None) => With::Key(key_of(Some(path.as_path()), None, None)?),
        (None, Some(blob), Some(code)) => With::Code(
            Box::new(KeyFile::parse(blob.as_bytes(), "the blob")?),
            RecoveryCode::parse(code.as_str())?,
        ),
        _ => return Err(Error::Refused(KEY_NEEDED.to_owned())),
    };
    let server = Server::new(
        &input.repository,
        input.tls_fingerprint.as_deref(),
        input.ns.clone().unwrap_or_default(),
        &input.password_file,
    )?;
    client::prove::prove(server, with, &config, tell)
}
