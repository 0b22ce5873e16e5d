//! Datastores: `<type>/<id>/<time>/` with the files of a snapshot, those of namespace `a/b` below `ns/a/ns/b/`, and
//! the chunks of all of them in `.chunks/`.
//!
//! Names are checked before they become part of a path, links in a datastore are never followed, and what can't be
//! read is said: a snapshot that nobody looked at must not count as one that is not there.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::blob::{Buffer, ENCRYPTED_HEADER, MAX_BLOB};
use super::chunk::ChunkStore;
use super::dir::{Dir, Kind};
use super::fault::Fault;
use super::index::{self, Index};
use super::manifest::{self, FileInfo, Manifest};
use super::name::{BackupType, Namespace, SnapshotName, is_backup_id};
use crate::error::{Error, Result};

/// A datastore directory: that of a server, on a removable disk, or a copy.
#[derive(Debug)]
pub struct Datastore {
    dir: Dir,
    chunks: ChunkStore,
}

/// A snapshot and the namespace that it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SnapshotId {
    /// Which namespace.
    pub namespace: Namespace,
    /// Which snapshot there.
    pub snapshot: SnapshotName,
}

impl SnapshotId {
    /// Where it lies below the datastore.
    pub fn path(&self) -> PathBuf {
        self.namespace.path().join(self.snapshot.to_string())
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot.fmt(f)?;
        match self.namespace.components() {
            [] => Ok(()),
            _ => write!(f, " in namespace {}", self.namespace),
        }
    }
}

/// Which namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One, without those below it.
    One(Namespace),
    /// All.
    All,
}

impl Default for Scope {
    fn default() -> Self {
        Self::One(Namespace::root())
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Snapshots, in order.
    pub snapshots: Vec<SnapshotId>,
    /// Directories that could not be looked into.
    pub unreadable: Vec<Unreadable>,
}

/// A directory that could not be looked into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unreadable {
    /// Which one, below the datastore.
    pub path: PathBuf,
    /// Why.
    pub what: String,
}

impl Datastore {
    /// Opens a datastore.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Damaged`] if it has no `.chunks`: an unmounted disk, or another directory.
    pub fn open(path: &Path) -> Result<Self> {
        let dir = Dir::open(path).map_err(|err| Error::io("open", path, err))?;
        let chunks = ChunkStore::open(&dir).map_err(|err| match err.kind() {
            ErrorKind::NotFound => {
                let why = "it has no directory .chunks: is the disk mounted?";
                Error::damaged(&path.display().to_string(), why)
            }
            _ => Error::io("open", &path.join(".chunks"), err),
        })?;
        Ok(Self { dir, chunks })
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Its chunks.
    pub fn chunks(&self) -> &ChunkStore {
        &self.chunks
    }

    /// Lists snapshots. What can't be looked into is part of the answer.
    ///
    /// # Errors
    /// [`Error::Io`] if the namespace that was asked for can't be looked into.
    pub fn list(&self, scope: &Scope) -> Result<Listing> {
        let mut listing = Lister {
            datastore: self,
            found: Listing::default(),
        };
        match scope {
            Scope::One(namespace) => {
                let dir = self
                    .namespace(namespace)
                    .map_err(|err| self.io(namespace, err))?;
                listing.snapshots(&dir, namespace);
            }
            Scope::All => {
                let dir = self
                    .namespace(&Namespace::root())
                    .map_err(|err| self.io(&Namespace::root(), err))?;
                listing.namespaces(&dir, &Namespace::root());
            }
        }
        listing.found.snapshots.sort();
        Ok(listing.found)
    }

    fn io(&self, namespace: &Namespace, err: io::Error) -> Error {
        Error::io("read", &self.path().join(namespace.path()), err)
    }

    fn namespace(&self, namespace: &Namespace) -> io::Result<Dir> {
        let top = self.dir.again()?;
        namespace
            .components()
            .iter()
            .try_fold(top, |dir, name| dir.dir("ns")?.dir(name))
    }

    /// Opens a snapshot.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::NotRegular`], [`Fault::Unreadable`].
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, Fault> {
        let name = &id.snapshot;
        let dir = self.namespace(&id.namespace)?;
        let dir = dir
            .dir(name.backup_type().as_str())?
            .dir(name.id())?
            .dir(&name.time_text())?;
        Ok(Snapshot {
            dir,
            id: id.clone(),
        })
    }
}

/// Goes through the directories.
struct Lister<'d> {
    datastore: &'d Datastore,
    found: Listing,
}

impl Lister<'_> {
    fn namespaces(&mut self, dir: &Dir, namespace: &Namespace) {
        self.snapshots(dir, namespace);
        let Some(all) = self.enter(dir, "ns", true) else {
            return;
        };
        for name in self.directories(&all, |name| Namespace::root().child(name).is_some()) {
            let Some(child) = namespace.child(&name) else {
                self.unreadable(&all, &name, "nested deeper than namespaces are");
                continue;
            };
            if let Some(dir) = self.enter(&all, &name, false) {
                self.namespaces(&dir, &child);
            }
        }
    }

    fn snapshots(&mut self, dir: &Dir, namespace: &Namespace) {
        for backup_type in BackupType::ALL {
            let Some(groups) = self.enter(dir, backup_type.as_str(), true) else {
                continue;
            };
            for id in self.directories(&groups, is_backup_id) {
                let Some(group) = self.enter(&groups, &id, false) else {
                    continue;
                };
                let name = |time: &str| SnapshotName::new(backup_type, &id, time);
                let times = self.directories(&group, |time| name(time).is_some());
                self.found
                    .snapshots
                    .extend(times.iter().filter_map(|time| name(time)).map(|snapshot| {
                        SnapshotId {
                            namespace: namespace.clone(),
                            snapshot,
                        }
                    }));
            }
        }
    }

    /// `None` if it can't be entered, which is noted unless it is optional and absent.
    fn enter(&mut self, dir: &Dir, name: &str, optional: bool) -> Option<Dir> {
        match dir.dir(name) {
            Ok(inner) => Some(inner),
            Err(err) if optional && err.kind() == ErrorKind::NotFound => None,
            Err(err) => {
                self.unreadable(dir, name, &err.to_string());
                None
            }
        }
    }

    /// Those whose name is one that the client gives: not lost+found and the like.
    fn directories(&mut self, dir: &Dir, is_name: impl Fn(&str) -> bool) -> Vec<String> {
        let all = match dir.list() {
            Ok(all) => all,
            Err(err) => {
                self.unreadable(dir, "", &err.to_string());
                return Vec::new();
            }
        };
        let mut names = Vec::new();
        for listed in all.into_iter().filter(|listed| is_name(&listed.name)) {
            match listed.kind {
                Kind::Directory => names.push(listed.name),
                Kind::Link => {
                    self.unreadable(dir, &listed.name, "a symbolic link, which is not followed")
                }
                // the owner's name and the like
                Kind::Other => {}
            }
        }
        names
    }

    fn unreadable(&mut self, dir: &Dir, name: &str, what: &str) {
        let path = dir
            .path()
            .strip_prefix(self.datastore.path())
            .unwrap_or(dir.path());
        self.found.unreadable.push(Unreadable {
            path: if name.is_empty() {
                path.to_owned()
            } else {
                path.join(name)
            },
            what: what.to_owned(),
        });
    }
}

/// A snapshot's directory.
#[derive(Debug)]
pub struct Snapshot {
    dir: Dir,
    id: SnapshotId,
}

impl Snapshot {
    /// Its name.
    pub fn id(&self) -> &SnapshotId {
        &self.id
    }

    /// Reads its manifest. Nothing in it is checked yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn manifest(&self, buffer: &mut Buffer) -> Result<Manifest, Fault> {
        let (file, len) = self.dir.file(manifest::FILE)?;
        buffer.fill(file, len, manifest::MAX_SIZE)?;
        Manifest::decode(buffer)
    }

    /// Reads a blob as it is stored, and says what does not fit the manifest.
    ///
    /// # Errors
    /// If it is not even that which the manifest means.
    pub fn blob(&self, info: &FileInfo, buffer: &mut Buffer) -> Result<Option<Fault>, Fault> {
        let (file, len) = self.dir.file(info.filename.as_str())?;
        if len > info.size {
            // nothing that the manifest does not answer for is read
            return Err(Fault::Size {
                is: len,
                should: info.size,
            });
        }
        buffer.fill(file, len, MAX_BLOB + ENCRYPTED_HEADER)?;
        if len < info.size {
            return Ok(Some(Fault::Size {
                is: len,
                should: info.size,
            }));
        }
        let is: [u8; 32] = Sha256::digest(buffer.stored()).into();
        Ok((is != info.csum).then_some(Fault::Checksum))
    }

    /// Opens an index, and says what does not fit the manifest. Its entries are not checked yet.
    ///
    /// # Errors
    /// If its form is wrong.
    pub fn index(
        &self,
        info: &FileInfo,
        kind: index::Kind,
    ) -> Result<(Index<std::fs::File>, Vec<Fault>), Fault> {
        let (file, len) = self.dir.file(info.filename.as_str())?;
        let index = Index::open(file, kind, len)?;
        let mut faults = Vec::new();
        if *index.csum() != info.csum {
            faults.push(Fault::Checksum);
        }
        if index.size() != info.size {
            faults.push(Fault::Size {
                is: index.size(),
                should: info.size,
            });
        }
        Ok((index, faults))
    }
}
