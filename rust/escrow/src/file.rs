//! Files: reading what anybody may have put there, writing such that a crash leaves the old or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, AT_FDCWD, FlockArg, OFlag, RenameFlags};
use nix::unistd::{self, LinkatFlags};
use zeroize::Zeroizing;

use crate::SecretBytes;
use crate::error::{Error, Result};
use crate::keyfile::random;

/// Largest key file, blob, kit or record that is read, in bytes.
pub const MAX_SIZE: usize = 64 * 1024;

/// Reads a regular file of at most [`MAX_SIZE`] bytes. Links are followed, whoever owns them.
///
/// # Errors
/// As [`read_up_to`].
pub fn read(path: &Path) -> Result<SecretBytes> {
    read_up_to(path, MAX_SIZE)
}

/// Reads a regular file of at most `most` bytes.
///
/// Opening does not wait for a writer of a FIFO, nor change a device or the controlling terminal.
///
/// # Errors
/// [`Error::Io`]; [`Error::Damaged`] if it is too large or not a regular file.
pub fn read_up_to(path: &Path, most: usize) -> Result<SecretBytes> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .map_err(|err| Error::io("read", path, err))?;
    let metadata = file
        .metadata()
        .map_err(|err| Error::io("read", path, err))?;
    if !metadata.is_file() {
        return Err(Error::damaged(
            &path.display().to_string(),
            "it is not a regular file",
        ));
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    read_bounded(file, size.min(most), path)
}

/// Reads a stream such as standard input to its end, under the same bound; messages call it `name`.
///
/// # Errors
/// As [`read`].
pub fn read_stream(stream: impl Read, name: &str) -> Result<SecretBytes> {
    read_bounded(stream, MAX_SIZE, Path::new(name))
}

/// The buffer has its full size from the start: growing would leave copies of a key behind.
fn read_bounded(mut stream: impl Read, size: usize, path: &Path) -> Result<SecretBytes> {
    let mut bytes = Zeroizing::new(vec![0; size + 1]);
    let mut len = 0;
    while len < bytes.len() {
        match stream.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            Err(err) => return Err(Error::io("read", path, err)),
        }
    }
    if len > size {
        let why = format!("it has more than {size} bytes");
        return Err(Error::damaged(&path.display().to_string(), why));
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// Refuses early where something exists already, a dangling link too. [`Staged::publish`] decides.
///
/// # Errors
/// [`Error::Exists`].
pub fn must_not_exist(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::Exists(path.to_owned())),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
        Err(err) => Err(Error::io("look at", path, err)),
    }
}

/// Writes a new file with mode 0600: complete, or absent.
///
/// # Errors
/// As [`Staged::new`] and [`Staged::publish`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    Staged::new(path, bytes)?.publish()
}

/// A file that is written and synced, but does not have its name yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    temporary: PathBuf,
    target: PathBuf,
    directory: PathBuf,
}

impl Staged {
    /// Writes `bytes` to a temporary file beside `target`, with mode 0600 from the first byte.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(target: &Path, bytes: &[u8]) -> Result<Self> {
        let (staged, mut file) = Self::create(target)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|err| Error::io("write", target, err))?;
        Ok(staged)
    }

    /// Makes an empty temporary file beside `target`, with mode 0600. Who fills it has to sync it before it is published.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(target: &Path) -> Result<(Self, File)> {
        let name = target.file_name().ok_or_else(|| {
            Error::io(
                "write",
                target,
                std::io::Error::from(ErrorKind::InvalidInput),
            )
        })?;
        let directory = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.tmp", hex::encode(random::<8>()?)));
        let temporary = directory.join(temporary);

        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|err| Error::io("write", target, err))?;
        // from here on, whatever fails removes it
        let staged = Self {
            temporary,
            target: target.to_owned(),
            directory,
        };
        Ok((staged, file))
    }

    /// Gives the file its name, where nothing may exist yet.
    ///
    /// Where the file system has neither a rename that does not replace nor hard links, this looks first and then
    /// renames, under a lock on the directory. That lock does not reach other nodes of a cluster: there the
    /// caller has to hold one that does.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Io`], after which the target does not exist.
    pub fn publish(self) -> Result<()> {
        match self.rename_or_link() {
            Ok(()) => {}
            Err(Errno::EEXIST) => return Err(Error::Exists(self.target.clone())),
            Err(errno) => return Err(Error::io("write", &self.target, errno)),
        }
        // if its name can't be made durable, a file that may be gone after a crash must not count as written
        self.sync_directory().inspect_err(|_| self.unpublish())
    }

    /// Gives the file its name, in place of the one that has it now.
    ///
    /// # Errors
    /// [`Error::Io`]. If only the directory can't be synced, the new file is in place and may be the old one
    /// again after a power loss.
    pub fn replace(self) -> Result<()> {
        fs::rename(&self.temporary, &self.target)
            .map_err(|err| Error::io("replace", &self.target, err))?;
        self.sync_directory()
    }

    fn rename_or_link(&self) -> nix::Result<()> {
        let renamed = fcntl::renameat2(
            AT_FDCWD,
            &self.temporary,
            AT_FDCWD,
            &self.target,
            RenameFlags::RENAME_NOREPLACE,
        );
        match renamed {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENOTSUP) => self.link(),
            other => other,
        }
    }

    fn link(&self) -> nix::Result<()> {
        let linked = unistd::linkat(
            AT_FDCWD,
            &self.temporary,
            AT_FDCWD,
            &self.target,
            LinkatFlags::empty(),
        );
        match linked {
            Err(Errno::EPERM | Errno::ENOSYS | Errno::ENOTSUP | Errno::EMLINK) => {
                self.look_and_rename()
            }
            other => other,
        }
    }

    fn look_and_rename(&self) -> nix::Result<()> {
        let directory = File::open(&self.directory).map_err(to_errno)?;
        let _lock = Lock::new(&directory)?;
        match fs::symlink_metadata(&self.target) {
            Ok(_) => Err(Errno::EEXIST),
            Err(err) if err.kind() == ErrorKind::NotFound => {
                fs::rename(&self.temporary, &self.target).map_err(to_errno)
            }
            Err(err) => Err(to_errno(err)),
        }
    }

    fn sync_directory(&self) -> Result<()> {
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        match synced.map_err(to_errno) {
            // not every file system can sync a directory
            Ok(()) | Err(Errno::EINVAL | Errno::ENOTSUP) => Ok(()),
            Err(errno) => Err(Error::io("sync the directory of", &self.target, errno)),
        }
    }

    fn unpublish(&self) {
        let _ = fs::remove_file(&self.target);
    }
}

impl Drop for Staged {
    /// After a rename there is nothing left to remove, after a link the second name is.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

/// nix's own guard panics where unlocking fails; closing the file unlocks it then.
struct Lock<'a>(&'a File);

#[allow(deprecated, reason = "what nix names in its place is that guard")]
impl<'a> Lock<'a> {
    fn new(file: &'a File) -> nix::Result<Self> {
        fcntl::flock(file.as_raw_fd(), FlockArg::LockExclusive)?;
        Ok(Self(file))
    }
}

#[allow(deprecated, reason = "as above")]
impl Drop for Lock<'_> {
    /// Not left to closing alone: a forked process may have the file open too.
    fn drop(&mut self) {
        let _ = fcntl::flock(self.0.as_raw_fd(), FlockArg::Unlock);
    }
}

fn to_errno(err: std::io::Error) -> Errno {
    err.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
