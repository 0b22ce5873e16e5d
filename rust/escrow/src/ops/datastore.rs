//! Whole operations on the directory of a datastore.

use std::path::PathBuf;

use serde::Deserialize;

use super::key_of;
use crate::SecretString;
use crate::error::Result;
use crate::pbs::coverage::Coverage;
use crate::pbs::prove::{Config, Depth, Report};
use crate::pbs::{self, Datastore, Namespace, Scope, SnapshotName, Watch};

/// Which directory, and which namespaces of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Place {
    /// The directory.
    pub datastore: PathBuf,
    /// Namespace, if not the root.
    pub ns: Option<Namespace>,
    /// All namespaces.
    pub all_ns: Option<bool>,
}

fn scope(ns: Option<&Namespace>, all: Option<bool>) -> Scope {
    match all {
        Some(true) => Scope::All,
        _ => Scope::One(ns.cloned().unwrap_or_default()),
    }
}

/// Counts snapshots by key.
///
/// # Errors
/// As [`Datastore::open`] and [`pbs::coverage::coverage`].
pub fn coverage(input: &Place) -> Result<Coverage> {
    let datastore = Datastore::open(&input.datastore)?;
    pbs::coverage::coverage(
        &datastore,
        &scope(input.ns.as_ref(), input.all_ns),
        Watch::nobody(),
    )
}

/// A key, a datastore, and how much of it is to be looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Prove {
    /// The directory.
    pub datastore: PathBuf,
    /// Namespace, if not the root.
    pub ns: Option<Namespace>,
    /// All namespaces.
    pub all_ns: Option<bool>,
    /// Path of the key file; or
    pub keyfile: Option<PathBuf>,
    /// the content of a sealed one, with
    pub blob: Option<String>,
    /// its recovery code.
    pub code: Option<SecretString>,
    /// Only these.
    pub snapshots: Option<Vec<SnapshotName>>,
    /// Chunks of each archive.
    pub sample: Option<usize>,
    /// All of them.
    pub full: Option<bool>,
}

/// Proves that a key opens what is in a datastore.
///
/// # Errors
/// As [`KeyFile::open`], [`super::verify`], [`Datastore::open`] and [`pbs::prove::prove`]; [`Error::Refused`] unless
/// there is one key.
pub fn prove(input: &Prove) -> Result<Report> {
    let datastore = Datastore::open(&input.datastore)?;
    let mut config = Config {
        scope: scope(input.ns.as_ref(), input.all_ns),
        snapshots: input.snapshots.clone().unwrap_or_default(),
        ..Config::default()
    };
    match (input.full, input.sample) {
        (Some(true), _) => config.depth = Depth::Full,
        (_, Some(most)) => config.depth = Depth::Sample(most),
        _ => {}
    }
    let key = key_of(
        input.keyfile.as_deref(),
        input.blob.as_deref(),
        input.code.as_ref(),
    )?;
    pbs::prove::prove(&datastore, &key, &config, Watch::nobody())
}
