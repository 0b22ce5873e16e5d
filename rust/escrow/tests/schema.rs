//! What operations take and give is what their schemas say.

use std::path::Path;

use proxmox_schema::ObjectSchemaType;
use pve_escrow::ops::{self, code, datastore, document, master};
use pve_escrow::schema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const CODE: &str =
    "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous";
const LIVE: &str = "03:6b:8f:61:0c:da:d8:85";

/// Runs an operation on an input that its schema allows, and checks the output against its schema.
fn run<I: DeserializeOwned, O: Serialize>(
    name: &str,
    operation: fn(&I) -> pve_escrow::Result<O>,
    input: Value,
) -> Value {
    let schema = schema::operation(name).unwrap();
    schema
        .input
        .verify_json(&input)
        .unwrap_or_else(|err| panic!("input of {name}: {err}"));
    let output = operation(&serde_json::from_value(input).unwrap()).unwrap();
    let output = serde_json::to_value(output).unwrap();
    schema
        .output
        .verify_json(&output)
        .unwrap_or_else(|err| panic!("output of {name}: {err}\n{output:#}"));
    output
}

#[test]
fn every_operation() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .canonicalize()
        .unwrap();
    let key = |name: &str| vectors.join("keys").join(name);
    let directory = tempfile::tempdir().unwrap();
    let (out, target) = (
        directory.path().join("out"),
        directory.path().join("target"),
    );
    let blob = std::fs::read_to_string(key("live.escrow-by-client.enc")).unwrap();
    let datastore = vectors.join("datastore");

    run(
        "fingerprint",
        ops::fingerprint,
        json!({"keyfile": key("live.enc")}),
    );
    run(
        "inspect",
        ops::inspect,
        json!({"keyfile": key("utf8-hint.enc")}),
    );
    run("create", ops::create, json!({"keyfile": key("live.enc")}));
    run(
        "verify",
        ops::verify,
        json!({"blob": blob, "code": CODE, "expect": LIVE}),
    );
    run(
        "unwrap",
        ops::unwrap,
        json!({"blob": blob, "code": CODE, "out": out}),
    );
    std::fs::copy(key("other.enc"), &target).unwrap();
    let input = json!({
        "blob": blob,
        "code": CODE,
        "target": target,
        "displace": "7d34d4edc3205da3",
        "keep": directory.path(),
    });
    let installed = run("install", ops::install, input);
    assert_eq!(installed["changed"], true);
    let input = json!({"keyfile": key("live.enc"), "target": target, "expect": LIVE});
    assert_eq!(run("install", ops::install, input)["changed"], false);

    let read = run(
        "read_code",
        code::read_code,
        json!({"code": "abac GOLDFISH"}),
    );
    assert_eq!(
        read,
        json!({"words": ["abacus", "goldfish"], "complete": false, "checked": false})
    );
    let read = run("read_code", code::read_code, json!({"code": CODE}));
    assert_eq!(read["complete"], true);
    let found = run(
        "find",
        code::find,
        json!({"blobs": ["rubbish", blob], "code": CODE}),
    );
    assert_eq!(found["index"], 1);
    assert_eq!(found["damages"].as_array().unwrap().len(), 1);

    let sheet = directory.path().join("sheet");
    let read = run(
        "read_sheet",
        document::read_sheet,
        json!({"file": vectors.join("paperkey/live.txt"), "out": sheet}),
    );
    assert_eq!(read["kind"], "key");
    let none = directory.path().join("none");
    let input = json!({"file": key("live.enc"), "out": none});
    assert_eq!(run("read_sheet", document::read_sheet, input), json!({}));
    assert!(!none.exists());

    let pem = std::fs::read_to_string(vectors.join("master/master-public.pem")).unwrap();
    let checked = run(
        "check_master_key",
        master::check_master_key,
        json!({"pem": pem}),
    );
    assert_eq!(checked["bits"], 4096);

    let coverage = run(
        "coverage",
        datastore::coverage,
        json!({"datastore": datastore, "all-ns": true}),
    );
    assert_eq!(coverage["keys"][0]["count"], 6);
    for depth in [
        json!({}),
        json!({"sample": 2, "ns": "tenant"}),
        json!({"full": true, "all-ns": true}),
    ] {
        let mut input = json!({"datastore": datastore, "keyfile": key("live.enc")});
        input
            .as_object_mut()
            .unwrap()
            .extend(depth.as_object().unwrap().clone());
        assert_eq!(run("prove", datastore::prove, input)["result"], "valid");
    }
    let input = json!({
        "datastore": datastore,
        "blob": blob,
        "code": CODE,
        "snapshots": ["vm/200/2024-06-05T17:00:00Z"],
    });
    assert_eq!(
        run("prove", datastore::prove, input)["totals"]["snapshots"],
        1
    );
}

#[test]
fn documents() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/keys")
        .canonicalize()
        .unwrap();
    let blob = std::fs::read_to_string(vectors.join("live.escrow-by-client.enc")).unwrap();
    let live = vectors.join("live.enc");
    let fingerprint =
        ops::fingerprint(&serde_json::from_value(json!({"keyfile": live})).unwrap()).unwrap();
    let seal =
        json!({"id": "1", "by": "root@pam", "created": "2026-11-21T19:31:17+00:00", "blob": blob});
    for kind in ["kit", "record"] {
        let mut content = json!({
            "version": 1,
            "fingerprint": fingerprint.fingerprint,
            "seals": [seal],
        });
        if kind == "kit" {
            content["created"] = "2026-11-21T19:31:17+00:00".into();
            content["program"] = "pve-escrow 0.1.0".into();
        }
        let input = json!({"kind": kind, "text": content.to_string(), "keyfile": live});
        let signed = run("sign", document::sign, input);
        let text = signed["text"].as_str().unwrap();
        for input in [
            json!({"kind": kind, "text": text, "keyfile": live}),
            json!({"kind": kind, "text": text, "blob": blob, "code": CODE}),
        ] {
            run("authenticate", document::authenticate, input);
        }
        for (text, keyfile, expected) in [
            (text.replace("root@pam", "evil@pam"), "live.enc", "MAC"),
            (content.to_string(), "live.enc", "no MAC"),
            (text.to_owned(), "other.enc", "fingerprint differs"),
        ] {
            let input = json!({"kind": kind, "text": text, "keyfile": vectors.join(keyfile)});
            let input = serde_json::from_value(input).unwrap();
            let err = document::authenticate(&input).unwrap_err().to_string();
            assert!(err.contains(expected), "{kind}: {err}");
        }
    }
}

#[test]
fn a_damaged_datastore() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .canonicalize()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let group = directory.path().join("ct/100/2024-06-05T16:00:00Z");
    std::fs::create_dir_all(&group).unwrap();
    std::fs::create_dir(directory.path().join(".chunks")).unwrap();
    for entry in std::fs::read_dir(vectors.join("datastore/ct/100/2024-06-05T16:00:00Z")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), group.join(entry.file_name())).unwrap();
    }
    let input = json!({"datastore": directory.path(), "keyfile": vectors.join("keys/live.enc")});
    let report = run("prove", datastore::prove, input);
    assert_eq!(report["result"], "invalid", "no chunk is there");
    assert!(report["totals"]["damages"].as_u64() > Some(0));
}
