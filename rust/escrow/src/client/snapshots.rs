//! The snapshots of a server, for the one who wants to restore them.

use serde::Serialize;

use super::coverage::refused;
use super::{Server, block_on, listing};
use crate::Fingerprint;
use crate::error::Result;
use crate::pbs::SnapshotName;
use crate::pbs::manifest::Protection;

/// What is in a namespace.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Snapshots {
    /// Those with a manifest, oldest first.
    pub snapshots: Vec<Snapshot>,
}

/// One of them, as far as the server says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Snapshot {
    /// Its name.
    pub snapshot: SnapshotName,
    /// The key that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// How it is protected.
    pub protection: Protection,
    /// Bytes of its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Lists the snapshots in the namespace of the server.
///
/// # Errors
/// [`crate::Error::Client`] if the server does not list them.
pub fn snapshots(server: &Server) -> Result<Snapshots> {
    block_on(async {
        let namespace = &server.namespace;
        let listed = listing::snapshots(server, namespace)
            .await
            .map_err(refused)?;
        let mut snapshots: Vec<_> = listed
            .iter()
            .filter_map(|listed| {
                let facts = listed.facts()?;
                Some(Snapshot {
                    snapshot: listed.id(namespace)?.snapshot,
                    key: facts.claimed,
                    protection: facts.protection,
                    size: listed.size,
                })
            })
            .collect();
        snapshots.sort_by_key(|snapshot| snapshot.snapshot.time());
        Ok(Snapshots { snapshots })
    })
}
