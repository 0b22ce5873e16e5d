//! Directories of a datastore, entered one component at a time, such that no link leads out of it.
//!
//! `openat2` with RESOLVE_NO_SYMLINKS says the same in one call, but not on every kernel nor in every container.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::dir::Type;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};

use super::fault::Fault;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    /// For messages only.
    path: PathBuf,
}

/// What a directory lists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub name: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Link,
    Other,
}

impl Dir {
    /// Opens the top: here links are followed, it is the path that somebody gave.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self {
            fd: nix::fcntl::open(path, flags, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same directory once more.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
            path: self.path.clone(),
        })
    }

    /// Opens a directory in this one.
    pub fn dir(&self, name: &str) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(Self {
            fd: openat(&self.fd, component(name)?, flags, Mode::empty())?,
            path: self.path.join(name),
        })
    }

    /// Opens a regular file in this directory, and says how long it is.
    ///
    /// Opening does not wait for a writer of a FIFO, nor change a device or the controlling terminal.
    pub fn file(&self, name: &str) -> Result<(File, u64), Fault> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.fd, component(name)?, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Fault::NotRegular("a directory"));
        }
        if !metadata.is_file() {
            return Err(Fault::NotRegular("a FIFO or a device"));
        }
        Ok((file, metadata.len()))
    }

    /// Everything in it whose name is UTF-8, sorted: no other name can belong to a backup.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut dir = nix::dir::Dir::openat(&self.fd, ".", flags, Mode::empty())?;
        let mut all = Vec::new();
        for entry in dir.iter() {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                Some(Type::Directory) => Kind::Directory,
                Some(Type::Symlink) => Kind::Link,
                Some(_) => Kind::Other,
                None => match self.kind(name) {
                    // gone since
                    Err(Errno::ENOENT) => continue,
                    kind => kind?,
                },
            };
            all.push(Listed {
                name: name.to_owned(),
                kind,
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// For file systems that don't say it when listing.
    fn kind(&self, name: &str) -> nix::Result<Kind> {
        let mode = fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mode;
        Ok(match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => Kind::Link,
            _ => Kind::Other,
        })
    }
}

/// Names come out of validated types; should one ever not, it still leads nowhere else.
fn component(name: &str) -> Result<&str, Errno> {
    match name {
        "" | "." | ".." => Err(Errno::EINVAL),
        name if name.contains(['/', '\0']) => Err(Errno::EINVAL),
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(top.path().join("outside"), "secret").unwrap();
        fs::write(inner.join("plain"), "1234").unwrap();
        symlink("../outside", inner.join("link")).unwrap();
        symlink("..", inner.join("up")).unwrap();
        symlink("plain", inner.join("inside")).unwrap();

        let dir = Dir::open(&inner).unwrap();
        assert_eq!(dir.file("plain").unwrap().1, 4);
        for name in ["link", "inside", "up"] {
            assert_eq!(dir.file(name).unwrap_err().kind(), "not-a-file", "{name}");
        }
        for name in ["../outside", "..", ".", "", "plain\0"] {
            assert_eq!(dir.file(name).unwrap_err().kind(), "unreadable", "{name:?}");
        }
        assert!(dir.dir("up").is_err());
        assert!(dir.dir("..").is_err());
        assert_eq!(dir.file("absent").unwrap_err(), Fault::Missing);
        let kinds: Vec<_> = dir
            .list()
            .unwrap()
            .into_iter()
            .map(|entry| (entry.name, entry.kind))
            .collect();
        let link = |name: &str| (name.to_owned(), Kind::Link);
        assert_eq!(
            kinds,
            [
                link("inside"),
                link("link"),
                ("plain".to_owned(), Kind::Other),
                link("up")
            ]
        );
    }
}
