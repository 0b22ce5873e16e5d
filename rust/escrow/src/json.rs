//! JSON from untrusted files, and its canonical form.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use crate::error::{Error, Result};

/// No file of ours nests deeper than this.
const MAX_DEPTH: usize = 16;

/// Parses the content of `what`.
///
/// # Errors
/// [`Error::Damaged`]. serde's texts quote what they found, which may be a secret: those are not repeated.
pub fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    if depth(bytes) > MAX_DEPTH {
        return Err(Error::damaged(
            what,
            format!("JSON nested deeper than {MAX_DEPTH} levels"),
        ));
    }
    serde_json::from_slice(bytes).map_err(|err| Error::damaged(what, describe(&err)))
}

/// Refuses a file of a later version before its other members are looked at, which may have changed.
///
/// # Errors
/// [`Error::Unsupported`]; [`Error::Damaged`] if it does not say its version.
pub fn check_version(bytes: &[u8], what: &str, newest: u32) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = parse(bytes, what)?;
    if version > newest {
        return Err(Error::Unsupported {
            what: what.to_owned(),
            why: format!(
                "it has version {version}, and this program reads versions up to {newest}"
            ),
        });
    }
    Ok(())
}

fn describe(err: &serde_json::Error) -> String {
    let place = format!("line {} column {}", err.line(), err.column());
    let text = err.to_string();
    match err.classify() {
        Category::Data
            if text.starts_with("missing field") || text.starts_with("duplicate field") =>
        {
            text
        }
        Category::Data => format!("a JSON member has the wrong type or form at {place}"),
        Category::Eof => format!("it ends too early, at {place}"),
        _ => format!("not JSON at {place}"),
    }
}

/// How deep objects and arrays nest. serde_json limits that only where it descends, not in what it skips.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut in_string = false;
    let mut escaped = false;
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Canonical JSON as Proxmox Backup signs it: members sorted by their bytes, no white space.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                separate(i, out);
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // sorted here, whatever features of serde_json other crates of the build have switched on
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push(b'{');
            for (i, (name, value)) in members.into_iter().enumerate() {
                separate(i, out);
                write_scalar(&Value::String(name.clone()), out);
                out.push(b':');
                write_canonical(value, out);
            }
            out.push(b'}');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn write_scalar(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a scalar can always be written to memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form() {
        let value: Value =
            serde_json::from_str(r#"{"b": [1, {"z": null, "a": "é\n"}], "a": {}, "B": 1.5}"#)
                .unwrap();
        assert_eq!(
            String::from_utf8(canonical(&value)).unwrap(),
            r#"{"B":1.5,"a":{},"b":[1,{"a":"é\n","z":null}]}"#
        );
    }

    #[test]
    fn depth_ignores_strings() {
        assert_eq!(depth(br#"{"a":"[[[[\"{{{","b":[[]]}"#), 3);
        assert_eq!(depth(b"]]]]["), 1);
    }

    #[test]
    fn errors_do_not_quote_the_content() {
        #[derive(Debug, serde::Deserialize)]
        struct Numbers {
            #[allow(dead_code, reason = "only parsed")]
            number: u32,
        }
        for text in [
            r#"{"number":"secret"}"#,
            r#"{"number":}"#,
            r#"{"number""#,
            r#"{}"#,
            "secret",
        ] {
            let err = parse::<Numbers>(text.as_bytes(), "x")
                .unwrap_err()
                .to_string();
            assert!(!err.contains("secret"), "{err}");
            assert!(err.contains("line 1 column"), "{err}");
        }
    }
}
