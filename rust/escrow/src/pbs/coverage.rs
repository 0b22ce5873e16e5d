//! Which snapshots of a datastore need which key. No key is needed for that: it goes by what manifests say.

use std::collections::BTreeMap;

use serde::Serialize;

use super::blob::Buffer;
use super::datastore::{Datastore, Scope, SnapshotId, Unreadable};
use super::manifest::{Manifest, Protection};
use super::name::MASTER_KEY_BLOB;
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
    /// Snapshots and directories that could not be read, or whose manifest is damaged.
    pub unreadable: Vec<Unreadable>,
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
    let mut coverage = Coverage {
        snapshots: listing.snapshots.len() as u64,
        unreadable: listing.unreadable,
        ..Coverage::default()
    };
    let mut keys = BTreeMap::new();
    let mut buffer = Buffer::default();
    for id in &listing.snapshots {
        if watch.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let Ok(snapshot) = datastore
            .snapshot(id)
            .inspect_err(|fault| coverage.unreadable(id, fault))
        else {
            continue;
        };
        match snapshot.manifest(&mut buffer) {
            Ok(manifest) => coverage.add(&mut keys, id, &manifest),
            Err(Fault::Missing) => coverage.without_manifest.add(id),
            Err(fault) => coverage.unreadable(id, &fault),
        }
    }
    coverage.keys = keys.into_values().collect();
    // the one in use first
    coverage
        .keys
        .sort_by_key(|key| std::cmp::Reverse(key.all.newest.as_ref().map(|id| id.snapshot.time())));
    Ok(coverage)
}

impl Coverage {
    fn add(
        &mut self,
        keys: &mut BTreeMap<Fingerprint, OfKey>,
        id: &SnapshotId,
        manifest: &Manifest,
    ) {
        match (manifest.claimed, manifest.protection()) {
            (Some(fingerprint), protection) => {
                keys.entry(fingerprint)
                    .or_insert_with(|| OfKey::new(fingerprint))
                    .add(id, manifest, protection);
            }
            (None, Protection::Plain) => self.plain.add(id),
            (None, _) => self.nameless.add(id),
        }
    }

    fn unreadable(&mut self, id: &SnapshotId, fault: &Fault) {
        self.unreadable.push(Unreadable {
            path: id.path().join(super::manifest::FILE),
            what: fault.to_string(),
        });
    }
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

    fn add(&mut self, id: &SnapshotId, manifest: &Manifest, protection: Protection) {
        self.all.add(id);
        match protection {
            Protection::Encrypted => self.encrypted += 1,
            Protection::Signed | Protection::Plain => self.signed_only += 1,
        }
        self.with_master_key += u64::from(manifest.has(MASTER_KEY_BLOB));
        self.not_signed += u64::from(!manifest.is_signed());
    }
}
