//! The backup server as a safe: kits in snapshots of their own, which no key locks.
//!
//! `host/pve-escrow-<name>-<8 hex>` with the archive `kits.conf`, one kit a line. The server can't open what it keeps, and
//! anybody who may make backups there can add such a snapshot: whoever reads it checks the kits.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::Utc;
use serde::Serialize;

use super::answer::{Refusal, Refused};
use super::child::{self, Keep, Limits};
use super::coverage::refused;
use super::listing::{self, Listed};
use super::prove::restore;
use super::server::CONTENT;
use super::{Server, block_on};
use crate::error::{Error, Result};
use crate::file;
use crate::pbs::name::{BackupType, is_of_kits};
use crate::pbs::{SnapshotId, SnapshotName};

/// Name of the archive in commands. The client stores a `.conf` as one blob.
const ARCHIVE: &str = "kits.conf";

/// Snapshots that are read at most: others can make them, and each takes a call.
const MAX_SNAPSHOTS: usize = 200;
/// Of one snapshot.
const MAX_ARCHIVE: usize = 1 << 20;

/// How often an upload is tried once more.
const TRIES: usize = 5;

const LIMITS: Limits = Limits {
    total: Some(Duration::from_secs(60)),
    silent: Duration::from_secs(30),
};

/// A snapshot that was made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Published {
    /// Its name.
    pub snapshot: SnapshotName,
    /// May nobody remove it before that is taken back?
    pub protected: bool,
}

/// Publishes kits, one a line, in a snapshot of the group `host/<backup_id>`.
///
/// # Errors
/// [`Error::Refused`] for a name that [`read`] would not look at, and for more than it takes; [`Error::Client`].
pub fn publish(server: &Server, backup_id: &str, text: &str) -> Result<Published> {
    if !is_of_kits(backup_id) {
        let what = format!("{backup_id:?} is no name for a group of kits");
        return Err(Error::Refused(what));
    }
    if text.len() > MAX_ARCHIVE {
        let what = format!("the kits are larger than {MAX_ARCHIVE} bytes");
        return Err(Error::Refused(what));
    }
    block_on(async {
        let mut made = upload(server, backup_id, text).await;
        for _ in 0..TRIES {
            match &made {
                // another node does the same; and a snapshot a second is what a group can have
                Err(refused) if matches!(refused.refusal, Refusal::NotNewer | Refusal::Locked) => {
                    tokio::time::sleep(Duration::from_millis(1100)).await;
                }
                _ => break,
            }
            made = upload(server, backup_id, text).await;
        }
        let snapshot = made.map_err(refused)?;
        Ok(Published {
            protected: protect(server, &snapshot).await.is_ok(),
            snapshot,
        })
    })
}

async fn upload(server: &Server, backup_id: &str, text: &str) -> Result<SnapshotName, Refused> {
    let time = Utc::now().timestamp();
    let snapshot = SnapshotName::from_parts(BackupType::Host, backup_id, time)
        .ok_or_else(|| Refused::new(Refusal::Other, "the clock of this machine is wrong"))?;
    let (time, archive) = (time.to_string(), format!("{ARCHIVE}:{CONTENT}"));
    let call = vec![
        "backup",
        &archive,
        "--backup-type",
        "host",
        "--backup-id",
        backup_id,
        "--backup-time",
        &time,
        "--crypt-mode",
        "none",
    ];
    let namespace = server.namespace.to_string();
    let command = server.upload(&Server::in_namespace(call, &namespace), text.as_bytes());
    let command = command.map_err(|err| Refused::new(Refusal::NoClient, err.to_string()))?;
    child::run(command, LIMITS, &mut Keep::new(1 << 16)).await?;
    Ok(snapshot)
}

async fn protect(server: &Server, snapshot: &SnapshotName) -> Result<(), Refused> {
    let (name, namespace) = (snapshot.to_string(), server.namespace.to_string());
    let call = vec!["snapshot", "protected", "update", &name, "true"];
    let command = server.command(&Server::in_namespace(call, &namespace), None);
    let command = command.map_err(|err| Refused::new(Refusal::NoClient, err.to_string()))?;
    child::run(command, LIMITS, &mut Keep::new(1 << 16)).await
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Snapshots of kits that there are, or that were named.
    pub snapshots: usize,
    /// What is in them.
    pub kits: Vec<FoundKit>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// A kit, or what somebody put in its place.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FoundKit {
    /// Where it was.
    pub snapshot: SnapshotName,
    /// Its content.
    pub text: String,
}

/// A snapshot that could not be read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// Its name.
    pub snapshot: SnapshotName,
    /// Why.
    pub what: String,
}

/// Reads all kits in the namespace of the server, or those of the snapshots that are named.
///
/// # Errors
/// [`Error::Client`] if the server does not list its snapshots.
pub fn read(server: &Server, named: &[SnapshotName]) -> Result<Found> {
    block_on(async {
        let mut snapshots = named.to_vec();
        if named.is_empty() {
            let listed = listing::snapshots(server, &server.namespace).await;
            snapshots = in_order(server, &listed.map_err(refused)?);
        }
        let mut found = Found {
            snapshots: snapshots.len(),
            ..Found::default()
        };
        for (index, snapshot) in snapshots.into_iter().enumerate() {
            let lines = if index < MAX_SNAPSHOTS {
                fetch(server, &snapshot).await
            } else {
                Err(format!(
                    "not read: only {MAX_SNAPSHOTS} snapshots of kits are"
                ))
            };
            match lines {
                Ok(text) => found.take(&snapshot, &text),
                Err(what) => found.problem(&snapshot, what),
            }
        }
        Ok(found)
    })
}

/// The groups of the calling user first, since nobody else can make those; of each group the newest first.
fn in_order(server: &Server, listed: &[Listed]) -> Vec<SnapshotName> {
    let mut snapshots: Vec<_> = listed
        .iter()
        .filter_map(|listed| {
            let snapshot = listed.id(&server.namespace)?.snapshot;
            let is_kits = snapshot.backup_type() == BackupType::Host && is_of_kits(snapshot.id());
            let is_own = listed.owner.as_deref() == server.user();
            is_kits.then_some((is_own, snapshot))
        })
        .collect();
    snapshots.sort_by_key(|(_, snapshot)| std::cmp::Reverse(snapshot.time()));
    let mut groups = BTreeSet::new();
    let mut ranked: Vec<_> = snapshots
        .into_iter()
        .map(|(is_own, snapshot)| {
            let is_newest = groups.insert(snapshot.id().to_owned());
            ((!is_own, !is_newest), snapshot)
        })
        .collect();
    // stable: the newest stay first
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, snapshot)| snapshot).collect()
}

async fn fetch(server: &Server, snapshot: &SnapshotName) -> Result<String, String> {
    let id = SnapshotId {
        namespace: server.namespace.clone(),
        snapshot: snapshot.clone(),
    };
    let mut keep = Keep::new(MAX_ARCHIVE);
    restore(server, &id, ARCHIVE, None, LIMITS, &mut keep)
        .await
        .map_err(|refused| refused.text)?;
    String::from_utf8(keep.bytes).map_err(|_| "it holds no text".to_owned())
}

impl Found {
    fn take(&mut self, snapshot: &SnapshotName, text: &str) {
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        if lines.is_empty() {
            return self.problem(snapshot, "it is empty".to_owned());
        }
        for line in lines {
            if line.len() > file::MAX_SIZE {
                self.problem(
                    snapshot,
                    "a line in it is larger than a kit can be".to_owned(),
                );
                continue;
            }
            self.kits.push(FoundKit {
                snapshot: snapshot.clone(),
                text: line.to_owned(),
            });
        }
    }

    fn problem(&mut self, snapshot: &SnapshotName, what: String) {
        self.problems.push(Problem {
            snapshot: snapshot.clone(),
            what,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SnapshotName {
        text.parse().unwrap()
    }

    #[test]
    fn names_of_groups() {
        assert!(is_of_kits("pve-escrow-vienna-0a1b2c3d"));
        assert!(is_of_kits("pve-escrow-a-b-0a1b2c3d"));
        for other in [
            "pve-escrow-0a1b2c3d",
            "pve-escrow--0a1b2c3d",
            "pve-escrow-vienna-0A1B2C3D",
            "pve-escrow-vienna-0a1b2c3",
            "vienna-0a1b2c3d",
        ] {
            assert!(!is_of_kits(other), "{other}");
        }
    }

    #[test]
    fn lines() {
        let mut found = Found::default();
        let snapshot = name("host/pve-escrow-a-00000000/2026-11-25T00:00:00Z");
        found.take(&snapshot, "{\"a\":1}\n\n{\"b\":2}\r\n");
        assert_eq!(found.kits.len(), 2);
        assert_eq!(found.kits[1].text, "{\"b\":2}");
        found.take(&snapshot, " \n");
        found.take(&snapshot, &"x".repeat(file::MAX_SIZE + 1));
        assert_eq!((found.kits.len(), found.problems.len()), (2, 2));
    }

    #[test]
    fn order() {
        let listed = |id: &str, time: i64, owner: &str| {
            let json = serde_json::json!({
                "backup-type": "host", "backup-id": id, "backup-time": time, "owner": owner,
            });
            serde_json::from_value::<Listed>(json).unwrap()
        };
        let secret = tempfile::NamedTempFile::new().unwrap();
        let server = Server::new(
            "lab@pbs!golden@192.0.2.1:store",
            None,
            crate::pbs::Namespace::root(),
            secret.path(),
        )
        .unwrap();
        let (own, also) = ("pve-escrow-own-00000001", "pve-escrow-also-00000003");
        let other = "pve-escrow-other-00000002";
        let order = in_order(
            &server,
            &[
                listed(own, 10, "lab@pbs!golden"),
                listed(other, 40, "other@pbs"),
                listed(own, 20, "lab@pbs!golden"),
                listed(also, 5, "lab@pbs!golden"),
                listed("machine", 30, "lab@pbs!golden"),
            ],
        );
        let order: Vec<_> = order
            .iter()
            .map(|snapshot| (snapshot.id(), snapshot.time().timestamp()))
            .collect();
        assert_eq!(order, [(own, 20), (also, 5), (own, 10), (other, 40)]);
    }
}
