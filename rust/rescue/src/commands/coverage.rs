//! `coverage`

use pve_escrow::pbs::Datastore;
use pve_escrow::pbs::coverage::{Coverage, Group, OfKey, coverage};

use crate::commands::{Watcher, count};
use crate::failure::{Failure, Result, unreadable};
use crate::{args, output};

pub fn run(args: &args::Coverage) -> Result<()> {
    let datastore = Datastore::open(&args.place.datastore).map_err(unreadable)?;
    let watcher = Watcher::new(false)?;
    let coverage = watcher
        .watch(|watch| coverage(&datastore, &args.place.scope(), watch))
        .map_err(unreadable)?;
    if args.json {
        output::result(serde_json::json!(coverage))?;
    } else {
        print(&coverage)?;
    }
    if coverage.unreadable.is_empty() {
        Ok(())
    } else {
        Err(Failure::NotValid)
    }
}

fn print(coverage: &Coverage) -> Result<()> {
    for key in &coverage.keys {
        print_key(key)?;
    }
    for (group, what) in [
        (
            &coverage.plain,
            "neither encrypted nor signed: no key needed",
        ),
        (
            &coverage.nameless,
            "encrypted or signed, but naming no key: the manifest was changed",
        ),
        (
            &coverage.without_manifest,
            "without manifest: running, broken off or damaged",
        ),
    ] {
        if group.count > 0 {
            output::result(format_args!(
                "{} {what}{}",
                count(group.count, "snapshot"),
                newest(group)
            ))?;
        }
    }
    for unreadable in &coverage.unreadable {
        output::result(format_args!(
            "unreadable: {}: {}",
            unreadable.path.display(),
            unreadable.what
        ))?;
    }
    output::result(format_args!(
        "{} in all, as far as this directory shows",
        count(coverage.snapshots, "snapshot")
    ))
}

fn print_key(key: &OfKey) -> Result<()> {
    output::result(format_args!(
        "{} of key {}{}",
        count(key.all.count, "snapshot"),
        key.fingerprint.short(),
        newest(&key.all)
    ))?;
    output::result(format_args!(
        "    {} encrypted, {} signed only, {} with rsa-encrypted.key",
        key.encrypted, key.signed_only, key.with_master_key
    ))?;
    if key.not_signed > 0 {
        output::result(format_args!(
            "    {} whose signature was taken out",
            key.not_signed
        ))?;
    }
    Ok(())
}

fn newest(group: &Group) -> String {
    group
        .newest
        .as_ref()
        .map_or_else(String::new, |id| format!(", the newest is {id}"))
}
