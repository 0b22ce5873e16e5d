//! What is proven, what is skipped, and what stays unknown; and coverage.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pve_escrow::pbs::coverage::coverage;
use pve_escrow::pbs::prove::{Config, Depth, Skip, Verdict, prove};
use pve_escrow::pbs::restore::{self, Output, restore};
use pve_escrow::pbs::{Datastore, Scope, Watch};
use pve_escrow::{Error, Fingerprint};
use serde_json::json;

use crate::store::{
    CT_NEW, CT_OLD, CT_TENANT, Store, VM, VM_OTHER, id, key, live, original, prove_all,
};

#[test]
fn only_what_is_asked_for() {
    let run = |scope: Scope, snapshots: &[&str]| {
        let config = Config {
            scope,
            snapshots: snapshots.iter().map(|name| name.parse().unwrap()).collect(),
            ..Config::default()
        };
        prove(&original(), &live(), &config, Watch::nobody())
    };
    let root = run(Scope::default(), &[]).unwrap();
    assert_eq!((root.totals.snapshots, root.totals.skipped), (5, 2));
    let tenant = run(Scope::One("tenant".parse().unwrap()), &[]).unwrap();
    assert_eq!(
        (tenant.totals.snapshots, tenant.snapshots[0].id.clone()),
        (1, id(CT_TENANT))
    );
    let one = run(Scope::All, &[VM, CT_NEW]).unwrap();
    assert_eq!(
        one.snapshots
            .iter()
            .map(|one| one.id.clone())
            .collect::<Vec<_>>(),
        [id(CT_NEW), id(VM)]
    );
    for (scope, names) in [
        (Scope::default(), &["vm/999/2024-06-05T17:00:00Z"][..]),
        (Scope::default(), &[VM, "ct/100/2024-06-05T22:00:00Z"]),
        (Scope::One("nobody".parse().unwrap()), &[]),
    ] {
        assert!(matches!(run(scope, names), Err(Error::Io { .. })));
    }
}

#[test]
fn a_proof_of_nothing_is_none() {
    let config = Config {
        snapshots: vec![VM_OTHER.parse().unwrap()],
        ..Config::default()
    };
    let report = prove(&original(), &live(), &config, Watch::nobody()).unwrap();
    assert_eq!(
        (report.result, report.totals.snapshots),
        (Verdict::Unknown, 0)
    );
    assert_eq!(report.snapshots[0].skipped, Some(Skip::OtherKey));
    assert_eq!(
        report.snapshots[0].key,
        Some(Fingerprint::of(&key("other.enc")))
    );
}

#[test]
fn damage_of_others_does_not_matter() {
    let store = Store::new();
    fs::remove_file(store.chunk(VM_OTHER, "drive-scsi0.img.fidx", 0)).unwrap();
    assert_eq!(
        prove_all(&store.open(), &live(), Depth::Full).result,
        Verdict::Valid
    );
    assert_eq!(
        prove_all(&store.open(), &key("other.enc"), Depth::Full).result,
        Verdict::Invalid
    );
}

#[test]
fn what_nobody_looked_at_is_unknown() {
    // links are not followed, wherever they lead
    let store = Store::new();
    fs::rename(store.path("vm/200"), store.path("aside")).unwrap();
    symlink("../aside", store.path("vm/200")).unwrap();
    let report = prove_all(&store.open(), &live(), Depth::Full);
    assert_eq!(report.result, Verdict::Unknown);
    assert_eq!(report.unreadable[0].path.to_str(), Some("vm/200"));

    for below in ["ct", "ns", "ns/tenant"] {
        let store = Store::new();
        fs::rename(store.path(below), store.path("aside")).unwrap();
        symlink(store.path("aside"), store.path(below)).unwrap();
        let report = prove_all(&store.open(), &live(), Depth::Full);
        assert_eq!(
            (report.result, report.unreadable.len()),
            (Verdict::Unknown, 1),
            "{below}"
        );
        assert_eq!(
            coverage(&store.open(), &Scope::All, Watch::nobody())
                .unwrap()
                .unreadable
                .len(),
            1
        );
    }
}

#[test]
fn snapshots_without_manifest() {
    let store = Store::new();
    fs::remove_file(store.file(VM, "index.json.blob")).unwrap();
    let report = prove_all(&store.open(), &live(), Depth::Full);
    assert_eq!(
        (report.result, report.totals.unknown),
        (Verdict::Unknown, 1)
    );
    assert!(
        report
            .snapshots
            .iter()
            .find(|one| one.id == id(VM))
            .unwrap()
            .reason
            .is_some()
    );

    // one that may be running
    let store = Store::new();
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    fs::create_dir(store.path(&format!("vm/200/{now}"))).unwrap();
    let report = prove_all(&store.open(), &live(), Depth::Full);
    assert_eq!(report.result, Verdict::Valid);
    assert_eq!(
        report
            .snapshots
            .iter()
            .filter(|one| one.skipped == Some(Skip::Unfinished))
            .count(),
        1
    );
}

#[test]
fn no_datastore() {
    let dir = tempfile::tempdir().unwrap();
    let err = Datastore::open(dir.path()).unwrap_err();
    assert!(
        matches!(&err, Error::Damaged { why, .. } if why.contains("mounted")),
        "{err}"
    );
    assert!(matches!(
        Datastore::open(&dir.path().join("absent")),
        Err(Error::Io { .. })
    ));
    fs::create_dir(dir.path().join(".chunks")).unwrap();
    let report = prove_all(&Datastore::open(dir.path()).unwrap(), &live(), Depth::Full);
    assert_eq!(report.result, Verdict::Unknown);
}

#[test]
fn progress_and_cancelling() {
    let (last, calls) = (AtomicU64::new(0), AtomicU64::new(0));
    let never = AtomicBool::new(false);
    let watch = Watch {
        progress: &|progress| {
            assert!(progress.done <= progress.total, "{progress:?}");
            calls.fetch_add(1, Ordering::Relaxed);
            last.fetch_max(progress.done, Ordering::Relaxed);
        },
        cancel: &never,
    };
    let config = Config {
        depth: Depth::Full,
        threads: 1,
        ..Config::default()
    };
    prove(&original(), &live(), &config, watch).unwrap();
    assert!(last.into_inner() > 12 << 20 && calls.into_inner() > 10);

    let cancel = AtomicBool::new(false);
    let watch = Watch {
        progress: &|_| cancel.store(true, Ordering::Relaxed),
        cancel: &cancel,
    };
    let report = prove(&original(), &live(), &config, watch).unwrap();
    assert!(
        report.cancelled && report.result == Verdict::Unknown && report.snapshots.len() == 1,
        "{report:#?}"
    );

    cancel.store(false, Ordering::Relaxed);
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("disk.raw");
    let result = restore(
        &original(),
        &id(VM),
        "drive-scsi0.img",
        Some(&live()),
        Output::File(&target),
        restore::Config::default(),
        watch,
    );
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn which_snapshots_need_which_key() {
    let covered = coverage(&original(), &Scope::All, Watch::nobody()).unwrap();
    let report = serde_json::to_value(&covered).unwrap();
    let short = |name: &str| Fingerprint::of(&key(name)).to_string();
    assert_eq!(report["snapshots"], 8);
    assert_eq!(
        report["keys"],
        json!([
            {
                "fingerprint": short("live.enc"), "count": 6, "encrypted": 5, "signed-only": 1, "with-master-key": 3,
                "not-signed": 0, "newest": {"namespace": "", "snapshot": CT_NEW},
            },
            {
                "fingerprint": short("other.enc"), "count": 1, "encrypted": 1, "signed-only": 0, "with-master-key": 1,
                "not-signed": 0, "newest": {"namespace": "", "snapshot": VM_OTHER},
            },
        ])
    );
    assert_eq!(
        (
            covered.plain.count,
            covered.nameless.count,
            covered.unreadable.len()
        ),
        (1, 0, 0)
    );

    let store = Store::new();
    store.manifest(CT_OLD, |manifest| {
        manifest.as_object_mut().unwrap().remove("unprotected");
    });
    store.manifest(VM, |manifest| manifest["signature"] = json!(null));
    fs::write(store.file(CT_NEW, "index.json.blob"), "").unwrap();
    fs::remove_file(store.file(VM_OTHER, "index.json.blob")).unwrap();
    let covered = coverage(&store.open(), &Scope::default(), Watch::nobody()).unwrap();
    assert_eq!(
        (
            covered.nameless.count,
            covered.without_manifest.count,
            covered.unreadable.len()
        ),
        (1, 1, 1)
    );
    assert_eq!(
        (covered.keys[0].not_signed, covered.keys[0].all.count),
        (1, 3)
    );
}
