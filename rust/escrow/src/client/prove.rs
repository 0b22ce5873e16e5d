//! Proves that a key opens what is on a server, and that the stock client takes it.
//!
//! Of each backup group the newest snapshot of this key: its manifest, which is checked here too, every blob in full, and of
//! each archive the first mebibytes or all. What the client can't fetch is no damage. Of a split archive (`.mpxar`, `.ppxar`) it
//! pipes nothing: that one is skipped, and the rest counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::answer::{Refusal, Refused};
use super::child::{self, Count, Keep, Limits};
use super::controls::{self, Controls};
use super::coverage::refused;
use super::listing::{self, Listed};
use super::{Server, block_on};
use crate::error::Result;
use crate::pbs::manifest::{self, FileInfo, Manifest, Protection};
use crate::pbs::name::{Form, MASTER_KEY_BLOB};
use crate::pbs::prove::{FileReport, Report, Skip, SnapshotReport, Totals, Verdict, seconds};
use crate::pbs::{Crypt, Fault, SnapshotId, SnapshotName};
use crate::{Key, KeyFile, RecoveryCode, SecretBytes};

/// Calls at a time: the server does the work, and other backups run on it.
const AT_A_TIME: usize = 3;

/// How much of each archive is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The first mebibytes.
    First(u64),
    /// All.
    Full,
}

impl Depth {
    fn bytes(self) -> Option<u64> {
        match self {
            Self::First(mebibytes) => Some(mebibytes << 20),
            Self::Full => None,
        }
    }

    fn limits(self) -> Limits {
        Limits {
            total: (self != Self::Full).then_some(Duration::from_secs(900)),
            silent: Duration::from_secs(120),
        }
    }
}

/// A key, and what a drill has besides.
pub enum With {
    /// A key that is there anyway.
    Key(Key),
    /// A sealed key file and the code that opens it.
    Code(Box<KeyFile>, RecoveryCode),
}

/// What is to be proven.
#[derive(Clone, Debug)]
pub struct Config {
    /// Only these; the newest of each group if there are none.
    pub snapshots: Vec<SnapshotName>,
    /// How much.
    pub depth: Depth,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RemoteReport {
    /// As of a proof on a datastore's directory.
    #[serde(flatten)]
    pub report: Report,
    /// Of each archive that was fetched at most so much, all if there is no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mebibytes: Option<u64>,
    /// Of a drill: what must not open anything, and did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controls: Option<Controls>,
}

/// Proves a key on a server. `tell` is called after each snapshot.
///
/// # Errors
/// As [`crate::seal::unwrap`]; [`crate::Error::Client`] if the server does not list its snapshots, so that nothing was proven;
/// [`crate::Error::Cancelled`]. Whatever is found later is in the report.
pub fn prove(
    server: Server,
    with: With,
    config: &Config,
    tell: &dyn Fn(&SnapshotReport),
) -> Result<RemoteReport> {
    let started = Instant::now();
    // all of it in here: being told to end counts from the first moment on
    block_on(async {
        let (file, drill) = match with {
            With::Key(key) => (KeyFile::plain(key, crate::keyfile::now()), None),
            With::Code(blob, code) => {
                let opened = crate::seal::unwrap(&blob, &code, None)?;
                (opened.into_key_file(&blob), Some(blob))
            }
        };
        let run = Arc::new(Run {
            server,
            crypt: Crypt::new(&file.open(None)?),
            key: file.to_json(),
            depth: config.depth,
            down: Mutex::new(None),
        });
        let (wanted, skipped) = run.select(&config.snapshots).await.map_err(refused)?;
        let controls = match (&drill, wanted.first()) {
            (Some(blob), Some(id)) => Some(controls::run(&run.server, id, blob).await?),
            _ => None,
        };
        let mut snapshots = skipped;
        snapshots.iter().for_each(tell);
        snapshots.extend(run.all(wanted, tell).await);
        snapshots.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(RemoteReport {
            report: run.report(snapshots, controls.as_ref(), started),
            mebibytes: match config.depth {
                Depth::First(mebibytes) => Some(mebibytes),
                Depth::Full => None,
            },
            controls,
        })
    })
}

/// A proof at work.
struct Run {
    server: Server,
    crypt: Crypt,
    /// A plain key file.
    key: SecretBytes,
    depth: Depth,
    /// Why the server answers nothing any more.
    down: Mutex<Option<Refused>>,
}

impl Run {
    /// What is to be looked at, and what is not for this key.
    async fn select(
        &self,
        named: &[SnapshotName],
    ) -> Result<(Vec<SnapshotId>, Vec<SnapshotReport>), Refused> {
        let namespace = &self.server.namespace;
        if !named.is_empty() {
            let id = |name: &SnapshotName| SnapshotId {
                namespace: namespace.clone(),
                snapshot: name.clone(),
            };
            return Ok((named.iter().map(id).collect(), Vec::new()));
        }
        let listed = listing::snapshots(&self.server, namespace).await?;
        let mut groups = BTreeMap::new();
        for (id, listed) in listed
            .iter()
            .filter_map(|listed| Some((listed.id(namespace)?, listed)))
        {
            let group = (id.snapshot.backup_type(), id.snapshot.id().to_owned());
            let rank = (self.concerns(listed), id.snapshot.time());
            let best = groups
                .entry(group)
                .or_insert_with(|| (rank, id.clone(), listed));
            if best.0 < rank {
                *best = (rank, id, listed);
            }
        }
        let (mut wanted, mut skipped) = (Vec::new(), Vec::new());
        for ((concerns, _), id, listed) in groups.into_values() {
            match concerns {
                Concern::Own => wanted.push(id),
                _ => skipped.push(self.skipped(&id, listed)),
            }
        }
        Ok((wanted, skipped))
    }

    fn concerns(&self, listed: &Listed) -> Concern {
        match listed.facts() {
            None => Concern::Unfinished,
            Some(facts) if facts.claimed == Some(self.crypt.fingerprint()) => Concern::Own,
            // its label was taken out: only the key can tell
            Some(facts) if facts.claimed.is_none() && facts.protection != Protection::Plain => {
                Concern::Own
            }
            Some(_) => Concern::Other,
        }
    }

    fn skipped(&self, id: &SnapshotId, listed: &Listed) -> SnapshotReport {
        let mut report = SnapshotReport::new(id);
        match listed.facts() {
            None => report.skip(
                Skip::Unfinished,
                "it has no manifest: its backup may be running",
            ),
            Some(facts) => {
                report.protection = Some(facts.protection);
                report.key = facts.claimed;
                match facts.claimed {
                    Some(other) => report.skip(Skip::OtherKey, self.made_with(other.short())),
                    None => report.skip(Skip::Plain, "it is neither encrypted nor signed"),
                }
            }
        }
        report
    }

    fn made_with(&self, other: String) -> String {
        let own = self.crypt.fingerprint().short();
        format!("it was made with key {other}, not with {own}")
    }

    async fn all(
        self: &Arc<Self>,
        wanted: Vec<SnapshotId>,
        tell: &dyn Fn(&SnapshotReport),
    ) -> Vec<SnapshotReport> {
        let turns = Arc::new(Semaphore::new(AT_A_TIME));
        let mut running = JoinSet::new();
        for id in wanted {
            let (run, turns) = (Arc::clone(self), Arc::clone(&turns));
            running.spawn(async move {
                let _turn = turns.acquire().await;
                run.snapshot(&id).await
            });
        }
        let mut reports = Vec::new();
        while let Some(done) = running.join_next().await {
            match done {
                Ok(report) => {
                    tell(&report);
                    reports.push(report);
                }
                Err(err) => std::panic::resume_unwind(err.into_panic()),
            }
        }
        reports
    }

    async fn snapshot(&self, id: &SnapshotId) -> SnapshotReport {
        let started = Instant::now();
        let mut report = SnapshotReport::new(id);
        match self.manifest(id).await {
            Ok(Ok(manifest)) => self.files(id, &manifest, &mut report).await,
            Ok(Err(fault)) => {
                report.damages.push(fault.into());
                report.judge();
            }
            Err(refused) if refused.refusal == Refusal::Gone => {
                report.skip(Skip::Gone, refused.text);
            }
            Err(refused) => {
                report.reason = Some(refused.text.clone());
                report.damages.push(fault(refused).into());
                report.judge();
            }
        }
        report.seconds = seconds(started);
        report
    }

    async fn files(&self, id: &SnapshotId, manifest: &Manifest, report: &mut SnapshotReport) {
        report.protection = Some(manifest.protection());
        report.key = manifest.claimed;
        let faults = manifest.check(&id.snapshot, &self.crypt);
        report.damages.extend(faults.into_iter().map(Into::into));
        // what is for the master key says nothing of this one
        let files = manifest.files.iter();
        for info in files.filter(|info| info.filename.as_str() != MASTER_KEY_BLOB) {
            report.files.push(self.file(id, info).await);
        }
        report.judge();
        let mut looked_at = report.files.iter();
        if report.result == Verdict::Valid && looked_at.all(|file| file.result == Verdict::Skipped)
        {
            report.result = Verdict::Unknown;
            report.reason =
                Some("this client gives out nothing of it that could be looked at".into());
        }
    }

    async fn manifest(&self, id: &SnapshotId) -> Result<Result<Manifest, Fault>, Refused> {
        let mut keep = Keep::new(manifest::MAX_SIZE);
        let limits = Depth::First(0).limits();
        self.restore(id, "index.json", limits, &mut keep).await?;
        Ok(Manifest::parse(&keep.bytes))
    }

    async fn file(&self, id: &SnapshotId, info: &FileInfo) -> FileReport {
        let mut report = FileReport::new(info);
        let is_blob = info.filename.form() == Form::Blob;
        let most = self.depth.bytes().filter(|_| !is_blob);
        let cut = most.filter(|most| *most < info.size);
        let mut count = Count {
            bytes: 0,
            enough: cut,
        };
        // in full: by its stem, the client would take catalog.pcat1 for a blob
        let archive = info.filename.as_str();
        match self
            .restore(id, archive, self.depth.limits(), &mut count)
            .await
        {
            Ok(()) => {
                // of a blob, the manifest has the size as it is stored
                let should = cut.unwrap_or(info.size);
                if !is_blob && (count.bytes < should || cut.is_none() && count.bytes != should) {
                    let is = count.bytes;
                    report.add(Fault::Size { is, should }.into());
                }
                report.bytes = count.bytes;
            }
            // such a client never gives it to a pipe: that is no doubt of this key
            Err(refused) if refused.refusal == Refusal::Split => {
                report.result = Verdict::Skipped;
                return report;
            }
            Err(refused) => report.add(fault(refused).into()),
        }
        report.judge(true);
        report
    }

    /// Fetches an archive with the key.
    async fn restore(
        &self,
        id: &SnapshotId,
        archive: &str,
        limits: Limits,
        sink: &mut (dyn child::Sink + Send),
    ) -> Result<(), Refused> {
        if let Some(down) = self.down.lock().expect("no panic under it").clone() {
            return Err(down);
        }
        let done = restore(&self.server, id, archive, Some(&self.key), limits, sink).await;
        if let Err(refused) = &done {
            if refused.refusal.is_of_server() {
                *self.down.lock().expect("no panic under it") = Some(refused.clone());
            }
        }
        done
    }

    fn report(
        &self,
        snapshots: Vec<SnapshotReport>,
        controls: Option<&Controls>,
        started: Instant,
    ) -> Report {
        let mut totals = Totals::default();
        for snapshot in &snapshots {
            totals.add(snapshot);
        }
        totals.seconds = seconds(started);
        let failed = controls.is_some_and(|controls| !controls.passed());
        let doubtful = totals.unknown > 0 || totals.snapshots == 0;
        Report {
            result: Verdict::of(totals.invalid > 0 || failed, doubtful),
            key: self.crypt.fingerprint(),
            sample: None,
            snapshots,
            unreadable: Vec::new(),
            cancelled: false,
            totals,
        }
    }
}

/// What a snapshot has to do with the key. The last is looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Concern {
    Unfinished,
    Other,
    Own,
}

fn fault(refused: Refused) -> Fault {
    if refused.refusal.is_finding() {
        Fault::Client(refused.text)
    } else {
        Fault::Unreadable(refused.text)
    }
}

/// One archive to standard output.
pub(super) async fn restore(
    server: &Server,
    id: &SnapshotId,
    archive: &str,
    key: Option<&[u8]>,
    limits: Limits,
    sink: &mut (dyn child::Sink + Send),
) -> Result<(), Refused> {
    let (snapshot, namespace) = (id.snapshot.to_string(), id.namespace.to_string());
    let call = Server::in_namespace(vec!["restore", &snapshot, archive, "-"], &namespace);
    let command = server
        .command(&call, key)
        .map_err(|err| Refused::new(Refusal::NoClient, err.to_string()))?;
    child::run(command, limits, sink).await
}
