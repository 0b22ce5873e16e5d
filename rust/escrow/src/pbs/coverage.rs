//! Which snapshots of a datastore need which key. No key is needed for that: it goes by what manifests say.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::blob::Buffer;
use super::datastore::{Datastore, Scope, SnapshotId, Unreadable};
use super::manifest::{Manifest, Protection};
use super::name::{BackupType, MASTER_KEY_BLOB, is_of_kits};
use super::{Fault, Watch};
use crate::Fingerprint;
use crate::error::{Error, Result};

/// The result of [`coverage`].
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Coverage {
    /// Snapshots in all.
    pub snapshots: u64,
    /// Those that name a key, by key.
    pub keys: Vec<OfKey>,
    /// Those that are encrypted or signed, but name no key: their manifest was changed.
    pub nameless: Group,
    /// Those that need no key.
    pub plain: Group,
    /// Those without manifest: running, broken off, or damaged.
    pub without_manifest: Group,
    /// Machines with `host` backups that need no key: what is backed up there can be read by whoever has the server. Kits
    /// are no machine's.
    pub plain_hosts: Vec<String>,
    /// Snapshots and directories that could not be read, or whose manifest is damaged.
    pub unreadable: Vec<Unreadable>,
}

/// What is known of a snapshot, from its manifest or from what a server says of it.
pub(crate) struct Facts {
    /// The key that it names.
    pub claimed: Option<Fingerprint>,
    /// How it is protected.
    pub protection: Protection,
    /// Does it carry the key for the holder of a master key?
    pub with_master_key: bool,
    /// `None`: can't be told without the manifest.
    pub signed: Option<bool>,
}

impl From<&Manifest> for Facts {
    fn from(manifest: &Manifest) -> Self {
        Self {
            claimed: manifest.claimed,
            protection: manifest.protection(),
            with_master_key: manifest.has(MASTER_KEY_BLOB),
            signed: Some(manifest.is_signed()),
        }
    }
}

/// Counts.
#[derive(Default)]
pub(crate) struct Tally {
    coverage: Coverage,
    keys: BTreeMap<Fingerprint, OfKey>,
    plain_hosts: BTreeSet<String>,
}

impl Tally {
    /// A snapshot and what is known of it; `None` if it has no manifest.
    pub(crate) fn add(&mut self, id: &SnapshotId, facts: Option<&Facts>) {
        self.coverage.snapshots += 1;
        let Some(facts) = facts else {
            return self.coverage.without_manifest.add(id);
        };
        match (facts.claimed, facts.protection) {
            (Some(fingerprint), _) => {
                self.keys
                    .entry(fingerprint)
                    .or_insert_with(|| OfKey::new(fingerprint))
                    .add(id, facts);
            }
            (None, Protection::Plain) => {
                self.coverage.plain.add(id);
                let is_host = id.snapshot.backup_type() == BackupType::Host;
                if is_host && !is_of_kits(id.snapshot.id()) {
                    self.plain_hosts.insert(id.snapshot.id().to_owned());
                }
            }
            (None, _) => self.coverage.nameless.add(id),
        }
    }

    /// A snapshot or a place that could not be looked at.
    pub(crate) fn unreadable(&mut self, unreadable: Unreadable) {
        self.coverage.unreadable.push(unreadable);
    }

    /// The key in use first.
    pub(crate) fn finish(mut self) -> Coverage {
        self.coverage.plain_hosts = self.plain_hosts.into_iter().collect();
        self.coverage.keys = self.keys.into_values().collect();
        self.coverage.keys.sort_by_key(|key| {
            std::cmp::Reverse(key.all.newest.as_ref().map(|id| id.snapshot.time()))
        });
        self.coverage
    }
}

/// The snapshots of a key.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OfKey {
    /// The key, as the manifests say.
    pub fingerprint: Fingerprint,
    /// All of them.
    #[serde(flatten)]
    pub all: Group,
    /// Those whose data can't be read without it.
    pub encrypted: u64,
    /// Those that are only signed with it.
    pub signed_only: u64,
    /// Those that carry the key itself for the holder of a master key.
    pub with_master_key: u64,
    /// Those whose signature was taken out.
    pub not_signed: u64,
}

/// Some snapshots.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Group {
    /// How many.
    pub count: u64,
    /// The newest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<SnapshotId>,
}

impl Group {
    fn add(&mut self, id: &SnapshotId) {
        self.count += 1;
        let time = |id: &SnapshotId| id.snapshot.time();
        if self
            .newest
            .as_ref()
            .is_none_or(|newest| time(newest) < time(id))
        {
            self.newest = Some(id.clone());
        }
    }
}

/// Counts the snapshots of a datastore by key.
///
/// # Errors
/// [`Error::Io`] if the namespace can't be read; [`Error::Cancelled`].
pub fn coverage(datastore: &Datastore, scope: &Scope, watch: Watch<'_>) -> Result<Coverage> {
    let listing = datastore.list(scope)?;
    let mut tally = Tally::default();
    for unreadable in listing.unreadable {
        tally.unreadable(unreadable);
    }
    let mut buffer = Buffer::default();
    for id in &listing.snapshots {
        if watch.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let manifest =
            datastore
                .snapshot(id)
                .and_then(|snapshot| match snapshot.manifest(&mut buffer) {
                    Err(Fault::Missing) => Ok(None),
                    manifest => manifest.map(Some),
                });
        match manifest {
            Ok(manifest) => tally.add(id, manifest.as_ref().map(Facts::from).as_ref()),
            Err(fault) => {
                tally.coverage.snapshots += 1;
                tally.unreadable(Unreadable {
                    path: id.path().join(super::manifest::FILE),
                    what: fault.to_string(),
                });
            }
        }
    }
    Ok(tally.finish())
}

impl OfKey {
    fn new(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint,
            all: Group::default(),
            encrypted: 0,
            signed_only: 0,
            with_master_key: 0,
            not_signed: 0,
        }
    }

    fn add(&mut self, id: &SnapshotId, facts: &Facts) {
        self.all.add(id);
        match facts.protection {
            Protection::Encrypted => self.encrypted += 1,
            Protection::Signed | Protection::Plain => self.signed_only += 1,
        }
        self.with_master_key += u64::from(facts.with_master_key);
        self.not_signed += u64::from(facts.signed == Some(false));
    }
}
