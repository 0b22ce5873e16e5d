//! `prove`

use indicatif::BinaryBytes;
use pve_escrow::pbs::prove::{
    Config, Depth, FileReport, Report, Skip, SnapshotReport, Verdict, prove,
};
use pve_escrow::pbs::{Damage, Datastore};

use crate::args::Prove;
use crate::commands::{self, Watcher, count};
use crate::failure::{Failure, Result, unreadable};
use crate::{input, output};

pub fn run(args: &Prove) -> Result<()> {
    let datastore = Datastore::open(&args.place.datastore).map_err(unreadable)?;
    let key = input::key(&args.key)?.ok_or_else(|| {
        Failure::Usage("a proof needs a key: give --key KEYFILE, or --blob BLOB".to_owned())
    })?;
    let mut config = Config {
        scope: args.place.scope(),
        snapshots: args.snapshot.clone(),
        ..Config::default()
    };
    if args.full {
        config.depth = Depth::Full;
    } else if let Some(most) = args.sample {
        config.depth = Depth::Sample(most);
    }
    let watcher = Watcher::new(!args.json)?;
    let report = watcher
        .watch(|watch| prove(&datastore, &key, &config, watch))
        .map_err(unreadable)?;
    if args.json {
        output::result(serde_json::json!(report))?;
    } else {
        print(&report)?;
    }
    judge(&report, !args.snapshot.is_empty())
}

/// The exit code: nothing for this key is not the same as damage.
fn judge(report: &Report, named: bool) -> Result<()> {
    let of_other_key = |snapshot: &&SnapshotReport| snapshot.skipped == Some(Skip::OtherKey);
    let own = report.key.short();
    if let (true, Some(other)) = (named, report.snapshots.iter().find(of_other_key)) {
        let needed = other
            .key
            .map_or_else(|| "that it does not name".to_owned(), |key| key.short());
        return Err(Failure::AnotherKey(format!(
            "{} needs key {needed}, not {own}",
            other.id
        )));
    }
    if report.cancelled {
        return Err(pve_escrow::Error::Cancelled.into());
    }
    if report.totals.snapshots == 0 && report.unreadable.is_empty() {
        return Err(Failure::AnotherKey(format!(
            "no snapshot that was selected is of key {own}{}",
            keys_there(report)
        )));
    }
    match report.result {
        Verdict::Valid => Ok(()),
        _ => Err(Failure::NotValid),
    }
}

fn keys_there(report: &Report) -> String {
    let mut keys: Vec<_> = report
        .snapshots
        .iter()
        .filter_map(|snapshot| snapshot.key)
        .map(|key| key.short())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    match keys[..] {
        [] => String::new(),
        _ => format!(": those there are of {}", keys.join(", ")),
    }
}

fn print(report: &Report) -> Result<()> {
    for snapshot in &report.snapshots {
        print_snapshot(snapshot)?;
    }
    for unreadable in &report.unreadable {
        output::result(format_args!(
            "{} {}: {}",
            coloured(Verdict::Unknown),
            unreadable.path.display(),
            unreadable.what
        ))?;
    }
    let totals = &report.totals;
    output::result(format_args!(
        "{} {}, {} of {} chunks, {} in {} s, with key {}",
        coloured(report.result),
        count(totals.snapshots, "snapshot"),
        totals.chunks.checked,
        totals.chunks.total,
        BinaryBytes(totals.bytes),
        totals.seconds,
        report.key.short()
    ))
}

fn print_snapshot(snapshot: &SnapshotReport) -> Result<()> {
    let files = snapshot.files.len();
    let bytes = snapshot.files.iter().map(|file| file.bytes).sum();
    let text = match &snapshot.reason {
        Some(reason) => reason.clone(),
        None => format!("{}, {}", count(files as u64, "file"), BinaryBytes(bytes)),
    };
    output::result(format_args!(
        "{} {}: {text}",
        coloured(snapshot.result),
        snapshot.id
    ))?;
    for damage in &snapshot.damages {
        output::result(format_args!("          manifest: {}", damage.what))?;
    }
    for file in &snapshot.files {
        print_damages(file)?;
    }
    Ok(())
}

fn print_damages(file: &FileReport) -> Result<()> {
    for damage in &file.damages {
        output::result(format_args!("          {}: {}", file.name, place(damage)))?;
    }
    let more = (file.damaged + file.unreadable).saturating_sub(file.damages.len() as u64);
    if more > 0 {
        output::result(format_args!("          {}: and {more} more", file.name))?;
    }
    Ok(())
}

fn place(damage: &Damage) -> String {
    match (&damage.digest, damage.offset) {
        (Some(digest), Some(offset)) => {
            format!("chunk {digest} at offset {offset}: {}", damage.what)
        }
        _ => damage.what.clone(),
    }
}

/// In a column of nine characters.
fn coloured(verdict: Verdict) -> String {
    let (colour, word) = match verdict {
        Verdict::Valid => (commands::GREEN, "valid"),
        Verdict::Invalid => (commands::RED, "INVALID"),
        Verdict::Unknown => (commands::YELLOW, "unknown"),
        Verdict::Skipped => ("", "skipped"),
    };
    format!("{colour}{word:<9}{}", commands::PLAIN)
}
