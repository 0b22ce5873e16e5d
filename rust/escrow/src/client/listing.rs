//! What the server lists: namespaces and snapshots.

use std::time::Duration;

use serde::Deserialize;

use super::Server;
use super::answer::{Refusal, Refused};
use super::child::{self, Keep, Limits};
use crate::Fingerprint;
use crate::pbs::coverage::Facts;
use crate::pbs::manifest::{self, CryptMode, Protection};
use crate::pbs::name::{BackupType, MASTER_KEY_BLOB};
use crate::pbs::{Namespace, SnapshotId, SnapshotName};

/// About 60,000 snapshots.
const MAX_LIST: usize = 64 << 20;

const LIMITS: Limits = Limits {
    total: Some(Duration::from_secs(300)),
    silent: Duration::from_secs(120),
};

/// A snapshot as the server lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Listed {
    backup_type: BackupType,
    backup_id: String,
    backup_time: i64,
    #[serde(default)]
    files: Vec<ListedFile>,
    #[serde(default)]
    fingerprint: Option<Fingerprint>,
    /// The user or token that made its group.
    #[serde(default)]
    pub owner: Option<String>,
    /// Of all its files, before deduplication.
    #[serde(default)]
    pub size: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ListedFile {
    filename: String,
    #[serde(default)]
    crypt_mode: Option<CryptMode>,
}

impl Listed {
    /// Its name; `None` if it can't be one.
    pub fn id(&self, namespace: &Namespace) -> Option<SnapshotId> {
        Some(SnapshotId {
            namespace: namespace.clone(),
            snapshot: SnapshotName::from_parts(
                self.backup_type,
                &self.backup_id,
                self.backup_time,
            )?,
        })
    }

    /// What the server says of it; `None` without a manifest.
    pub fn facts(&self) -> Option<Facts> {
        let has = |name: &str| self.files.iter().any(|file| file.filename == name);
        has(manifest::FILE).then(|| Facts {
            claimed: self.fingerprint,
            protection: self.protection(),
            with_master_key: has(MASTER_KEY_BLOB),
            signed: None,
        })
    }

    fn protection(&self) -> Protection {
        // the manifest itself is listed as signed, whatever it is
        let is = |mode| {
            self.files
                .iter()
                .any(|file| file.filename != manifest::FILE && file.crypt_mode == Some(mode))
        };
        if is(CryptMode::Encrypt) {
            Protection::Encrypted
        } else if self.fingerprint.is_some() || is(CryptMode::SignOnly) {
            Protection::Signed
        } else {
            Protection::Plain
        }
    }
}

/// The snapshots in a namespace.
pub(super) async fn snapshots(
    server: &Server,
    namespace: &Namespace,
) -> Result<Vec<Listed>, Refused> {
    let name = namespace.to_string();
    let call = vec!["snapshot", "list", "--output-format", "json"];
    let listed = list(server, &Server::in_namespace(call, &name)).await;
    listed.map_err(|refused| match refused.refusal {
        Refusal::Gone if !name.is_empty() => {
            let text = format!("there is no namespace {name}: {}", refused.text);
            Refused::new(Refusal::Gone, text)
        }
        _ => refused,
    })
}

/// The namespaces below the one of the server, and that one.
pub(super) async fn namespaces(server: &Server) -> Result<Vec<Namespace>, Refused> {
    #[derive(Deserialize)]
    struct Item {
        ns: Namespace,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Answer {
        Items(Vec<Item>),
        // as the server's own answer has it: this command does not unwrap it
        Data { data: Vec<Item> },
    }
    let name = server.namespace.to_string();
    let mut call = vec!["namespace", "list", "--output-format", "json"];
    if !name.is_empty() {
        call.push(&name);
    }
    let items = match list(server, &call).await {
        Ok(Answer::Items(items) | Answer::Data { data: items }) => items,
        // servers before 2.2 have none
        Err(refused) if refused.text.contains("Path not found") => Vec::new(),
        Err(refused) => return Err(refused),
    };
    let mut namespaces: Vec<_> = items.into_iter().map(|item| item.ns).collect();
    namespaces.push(server.namespace.clone());
    namespaces.sort();
    namespaces.dedup();
    Ok(namespaces)
}

async fn list<T: for<'a> Deserialize<'a>>(server: &Server, call: &[&str]) -> Result<T, Refused> {
    let command = server
        .command(call, None)
        .map_err(|err| Refused::new(Refusal::NoClient, err.to_string()))?;
    let mut keep = Keep::new(MAX_LIST);
    child::run(command, LIMITS, &mut keep).await?;
    // serde's own text would quote what a server sent
    serde_json::from_slice(&keep.bytes).map_err(|err| {
        let place = format!("line {}, column {}", err.line(), err.column());
        Refused::new(
            Refusal::Other,
            format!("what the client lists can't be understood: {place}"),
        )
    })
}
