//! What can be wrong with a part of a backup.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;

/// One thing that is wrong with a chunk, a blob, an index or a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such file.
    #[error("it is missing")]
    Missing,
    /// Something else has the name of a file. Links are not followed.
    #[error("it is not a regular file: {0}")]
    NotRegular(&'static str),
    /// The operating system refused. This says nothing of the content.
    #[error("it can't be read: {0}")]
    Unreadable(String),
    /// The file ends too early.
    #[error("it is cut off: it has {is} bytes, and needs at least {least}")]
    Truncated {
        /// Bytes that are there.
        is: u64,
        /// Bytes that there must be.
        least: u64,
    },
    /// The file, or what it decompresses to, is larger than anything that belongs there.
    #[error("it is larger than {most} bytes")]
    TooLarge {
        /// The limit.
        most: u64,
    },
    /// The first 8 bytes name no format that belongs there.
    #[error("its magic number is wrong")]
    Magic,
    /// The checksum against accidents.
    #[error("its CRC is wrong: bits have changed")]
    Crc,
    /// The authentication of the encryption.
    #[error("its authentication tag is wrong: it was changed, or encrypted with another key")]
    Tag,
    /// It is encrypted, and there is no key.
    #[error("it is encrypted, and no key was given")]
    NoKey,
    /// zstd refused what is inside.
    #[error("it does not decompress: {0}")]
    Compression(String),
    /// It has another size than what refers to it says.
    #[error("it has {is} bytes, and {should} are expected")]
    Size {
        /// The size that it has.
        is: u64,
        /// The size that it should have.
        should: u64,
    },
    /// A sound chunk, but not the one of this name.
    #[error("its content is that of another chunk: {0}")]
    Digest(String),
    /// Encrypted where everything is plain, or the other way round.
    #[error("it is {is}, and {should} is expected")]
    CryptMode {
        /// What it is.
        is: &'static str,
        /// What its archive is.
        should: &'static str,
    },
    /// Not the file that the manifest lists.
    #[error("its checksum is not the one of the manifest")]
    Checksum,
    /// The checksum of an index is not that of its entries.
    #[error("its checksum is not that of its entries")]
    IndexChecksum,
    /// An index that contradicts itself.
    #[error("it is not a sound index: {0}")]
    Index(String),
    /// The manifest can't be one.
    #[error("it is not a sound manifest: {0}")]
    Manifest(String),
    /// The manifest was changed.
    #[error("its signature is wrong: it was changed, or signed with another key")]
    Signature,
    /// Anybody may have written it.
    #[error("it has no signature, although it belongs to a key")]
    NotSigned,
    /// The label that says which key it is made with does not fit.
    #[error("the key that it names is wrong: {0}")]
    Label(String),
    /// The manifest of another backup.
    #[error("it belongs to snapshot {0}")]
    OtherSnapshot(String),
    /// The backup client refused it.
    #[error("the backup client refused it: {0}")]
    Client(String),
}

impl Fault {
    /// A word for programs; it does not change.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotRegular(_) => "not-a-file",
            Self::Unreadable(_) => "unreadable",
            Self::Truncated { .. } => "truncated",
            Self::TooLarge { .. } => "too-large",
            Self::Magic => "wrong-magic",
            Self::Crc => "wrong-crc",
            Self::Tag => "wrong-tag",
            Self::NoKey => "no-key",
            Self::Compression(_) => "wrong-compression",
            Self::Size { .. } => "wrong-size",
            Self::Digest(_) => "wrong-digest",
            Self::CryptMode { .. } => "wrong-crypt-mode",
            Self::Checksum => "wrong-checksum",
            Self::IndexChecksum => "wrong-index-checksum",
            Self::Index(_) => "wrong-index",
            Self::Manifest(_) => "wrong-manifest",
            Self::Signature => "wrong-signature",
            Self::NotSigned => "not-signed",
            Self::Label(_) => "wrong-fingerprint",
            Self::OtherSnapshot(_) => "other-snapshot",
            Self::Client(_) => "refused-by-client",
        }
    }

    /// Is something wrong with the data? Else it only could not be looked at.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Unreadable(_))
    }

    /// Where nothing can be done without it: of what messages call `what`, and what lies at `path`.
    pub(crate) fn into_error(self, what: &str, path: &Path) -> Error {
        match self {
            Self::Missing => Error::io("read", path, nix::errno::Errno::ENOENT),
            Self::Unreadable(why) => Error::io("read", path, io::Error::other(why)),
            fault => Error::damaged(what, fault.to_string()),
        }
    }
}

impl From<io::Error> for Fault {
    /// Of opening or reading a file without following links.
    fn from(err: io::Error) -> Self {
        use nix::errno::Errno;
        match err.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => Self::Missing,
            Some(Errno::ENOTDIR) => {
                Self::NotRegular("what should be its directory is none, or a link")
            }
            Some(Errno::ELOOP) => Self::NotRegular("a symbolic link"),
            Some(Errno::ENXIO) => Self::NotRegular("a socket or a device"),
            _ => Self::Unreadable(err.to_string()),
        }
    }
}

impl From<nix::errno::Errno> for Fault {
    fn from(errno: nix::errno::Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// A [`Fault`] and where it is, as reports list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Damage {
    /// [`Fault::kind`].
    pub kind: &'static str,
    /// The fault in words.
    pub what: String,
    /// Of a chunk: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Of a chunk: where its data begins in the decoded archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    #[serde(skip)]
    pub(crate) is_damage: bool,
}

impl Damage {
    pub(crate) fn of_chunk(fault: &Fault, entry: &super::index::Entry) -> Self {
        Self {
            digest: Some(hex::encode(entry.digest)),
            offset: Some(entry.start),
            ..Self::from(fault.clone())
        }
    }
}

impl From<Fault> for Damage {
    fn from(fault: Fault) -> Self {
        Self {
            kind: fault.kind(),
            what: fault.to_string(),
            digest: None,
            offset: None,
            is_damage: fault.is_damage(),
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn what_could_not_be_looked_at_is_no_damage() {
        for errno in [
            Errno::EACCES,
            Errno::EPERM,
            Errno::EIO,
            Errno::ESTALE,
            Errno::EMFILE,
            Errno::ENOMEM,
        ] {
            assert!(!Fault::from(errno).is_damage(), "{errno}");
        }
        for errno in [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP, Errno::ENXIO] {
            assert!(Fault::from(errno).is_damage(), "{errno}");
        }
    }
}
