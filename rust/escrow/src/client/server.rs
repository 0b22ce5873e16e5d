//! Where the backups are, and how the client is started for it.

use std::fs;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::memfd::{MFdFlags, memfd_create};
use tempfile::TempDir;
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::pbs::Namespace;
use crate::{SecretBytes, file};

const PROGRAM: &str = "proxmox-backup-client";

/// Numbers of the inherited files.
const SECRET_FD: i32 = 3;
const KEY_FD: i32 = 4;
const CONTENT_FD: i32 = 5;

/// Where a call finds what it is to upload.
pub(super) const CONTENT: &str = "/proc/self/fd/5";

/// A datastore of a backup server.
#[derive(Debug)]
pub struct Server {
    repository: String,
    tls_fingerprint: Option<String>,
    /// Namespace of the backups.
    pub namespace: Namespace,
    secret: SecretBytes,
    /// Empty: no default key of root's may mask a result. Gone with its content when this is dropped.
    home: TempDir,
}

impl Server {
    /// `repository` as the client takes it (`user@pbs!token@host:8007:datastore`), and the file with its secret.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Damaged`] as [`file::read`]; [`Error::Refused`] for a repository that would be an option.
    pub fn new(
        repository: &str,
        tls_fingerprint: Option<&str>,
        namespace: Namespace,
        password_file: &Path,
    ) -> Result<Self> {
        if repository.starts_with('-') || repository.contains(char::is_whitespace) {
            return Err(Error::Refused(format!("{repository:?} is no repository")));
        }
        Ok(Self {
            repository: repository.to_owned(),
            tls_fingerprint: tls_fingerprint.map(ToOwned::to_owned),
            namespace,
            secret: file::read(password_file)?,
            home: home()?,
        })
    }

    /// The user or token, as the server names owners.
    pub(super) fn user(&self) -> Option<&str> {
        self.repository.rsplit_once('@').map(|(user, _)| user)
    }

    /// A call of the client. `key` is the content of a key file.
    pub(super) fn command(&self, call: &[&str], key: Option<&[u8]>) -> Result<Command> {
        self.command_with(call, key, None)
    }

    /// A call that uploads `content`, which is at [`CONTENT`] for it. No key is at hand: nothing can lock it.
    pub(super) fn upload(&self, call: &[&str], content: &[u8]) -> Result<Command> {
        self.command_with(call, None, Some(content))
    }

    fn command_with(
        &self,
        call: &[&str],
        key: Option<&[u8]>,
        content: Option<&[u8]>,
    ) -> Result<Command> {
        let mut command = Command::new(PROGRAM);
        command.args(call).arg("--repository").arg(&self.repository);
        command.env_clear();
        for name in [
            "PATH",
            "LC_ALL",
            "TZ",
            "http_proxy",
            "https_proxy",
            "ALL_PROXY",
        ] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for name in [
            "HOME",
            "XDG_CONFIG_HOME",
            "XDG_CONFIG_DIRS",
            "XDG_CACHE_HOME",
            "XDG_RUNTIME_DIR",
        ] {
            command.env(name, self.home.path());
        }
        if let Some(fingerprint) = &self.tls_fingerprint {
            command.env("PBS_FINGERPRINT", fingerprint);
        }
        let mut inherited = vec![FdMapping {
            parent_fd: in_memory(&self.secret)?,
            child_fd: SECRET_FD,
        }];
        command.env("PBS_PASSWORD_FD", SECRET_FD.to_string());
        if let Some(key) = key {
            command.arg("--keyfd").arg(KEY_FD.to_string());
            inherited.push(FdMapping {
                parent_fd: in_memory(key)?,
                child_fd: KEY_FD,
            });
        }
        if let Some(content) = content {
            inherited.push(FdMapping {
                parent_fd: in_memory(content)?,
                child_fd: CONTENT_FD,
            });
        }
        command
            .fd_mappings(inherited)
            .map_err(|err| Error::Refused(err.to_string()))?;
        Ok(command)
    }

    /// The option for a namespace, or nothing for the root.
    pub(super) fn in_namespace<'a>(mut call: Vec<&'a str>, namespace: &'a str) -> Vec<&'a str> {
        if !namespace.is_empty() {
            call.extend(["--ns", namespace]);
        }
        call
    }
}

/// A file that is nowhere but in memory, with its offset of its own: each child reads it from the start.
fn in_memory(content: &[u8]) -> Result<OwnedFd> {
    let failed = |err: std::io::Error| Error::io("make", "a file in memory".as_ref(), err);
    let fd = memfd_create("pve-escrow", MFdFlags::MFD_CLOEXEC).map_err(|err| failed(err.into()))?;
    let mut file = fs::File::from(fd);
    file.write_all(content).map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(file.into())
}

fn home() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("pve-escrow.")
        .tempdir()
        .map_err(|err| Error::io("make", &std::env::temp_dir(), err))
}
