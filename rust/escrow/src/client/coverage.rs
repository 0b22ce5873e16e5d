//! Which snapshots of a server need which key, as far as the server shows. No key is needed for that.

use super::answer::Refused;
use super::{Server, block_on, listing};
use crate::error::{Error, Result};
use crate::pbs::coverage::{Coverage, Tally};
use crate::pbs::datastore::Unreadable;

/// Counts the snapshots of a server by key, in all namespaces below the one that is named.
///
/// # Errors
/// [`Error::Client`] if the server does not list the namespaces; what fails later is in the result.
pub fn coverage(server: &Server) -> Result<Coverage> {
    block_on(async {
        let mut tally = Tally::default();
        let namespaces = listing::namespaces(server).await.map_err(refused)?;
        let only = namespaces.len() == 1;
        for namespace in namespaces {
            let snapshots = match listing::snapshots(server, &namespace).await {
                Ok(snapshots) => snapshots,
                Err(err) if only || err.refusal.is_of_server() => return Err(refused(err)),
                Err(err) => {
                    tally.unreadable(Unreadable {
                        path: namespace.path(),
                        what: err.text,
                    });
                    continue;
                }
            };
            for listed in &snapshots {
                match listed.id(&namespace) {
                    Some(id) => tally.add(&id, listed.facts().as_ref()),
                    None => tally.unreadable(Unreadable {
                        path: namespace.path(),
                        what: "a snapshot with a name that can't be one".to_owned(),
                    }),
                }
            }
        }
        Ok(tally.finish())
    })
}

/// As the error of a whole operation.
pub(super) fn refused(refused: Refused) -> Error {
    Error::Client {
        kind: refused.refusal.kind(),
        text: refused.text,
    }
}
