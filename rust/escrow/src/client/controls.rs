//! The controls of a drill: what must not open a backup is tried, so that a success with the key means something.

use std::time::Duration;

use serde::Serialize;

use super::Server;
use super::answer::Refusal;
use super::child::{Keep, Limits};
use super::prove::restore;
use crate::error::{Error, Result};
use crate::pbs::SnapshotId;
use crate::{KeyFile, RecoveryCode, seal};

const LIMITS: Limits = Limits {
    total: Some(Duration::from_secs(120)),
    silent: Duration::from_secs(60),
};

/// Each was refused, or was not.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Controls {
    /// The backup without a key.
    pub without_key: Control,
    /// The blob with another code.
    pub wrong_code: Control,
    /// The backup with the blob as its key file.
    pub sealed_blob: Control,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Control {
    /// As it has to be?
    pub refused: bool,
    /// In the words of who refused it.
    pub text: String,
}

impl Controls {
    /// Did all of them go as they have to?
    pub fn passed(&self) -> bool {
        [&self.without_key, &self.wrong_code, &self.sealed_blob]
            .iter()
            .all(|control| control.refused)
    }
}

/// Tries all three on a snapshot.
pub(super) async fn run(server: &Server, id: &SnapshotId, blob: &KeyFile) -> Result<Controls> {
    Ok(Controls {
        wrong_code: wrong_code(blob)?,
        without_key: fetch(server, id, None, Refusal::MissingKey).await,
        sealed_blob: fetch(server, id, Some(&blob.to_json()), Refusal::NoKey).await,
    })
}

/// Another code, drawn for this.
///
/// # Errors
/// If the system gives no random numbers.
pub fn wrong_code(blob: &KeyFile) -> Result<Control> {
    let other = RecoveryCode::generate()?;
    Ok(match seal::unwrap(blob, &other, None) {
        Err(err @ Error::WrongCode { .. }) => Control {
            refused: true,
            text: err.to_string(),
        },
        Err(err) => Control {
            refused: false,
            text: err.to_string(),
        },
        Ok(_) => Control {
            refused: false,
            text: "another recovery code opens this blob too".to_owned(),
        },
    })
}

/// Only the right reason counts: a server that is down refuses everything.
async fn fetch(server: &Server, id: &SnapshotId, key: Option<&[u8]>, why: Refusal) -> Control {
    let mut keep = Keep::new(4 << 20);
    match restore(server, id, "index.json", key, LIMITS, &mut keep).await {
        Err(refused) => Control {
            refused: refused.refusal == why,
            text: refused.text,
        },
        Ok(()) => Control {
            refused: false,
            text: "the client opened it".to_owned(),
        },
    }
}
