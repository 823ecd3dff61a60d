//! What can go wrong, with what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not exist and cannot be made.
    #[error("cannot make the state folder {path}: {source}; name another with --state-dir", path = path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path is a file.
    #[error("{path} is not a folder; name a folder with --state-dir", path = path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// It may not be read.
    #[error("cannot read {path}: {source}; make it readable for this user, or name another folder with --state-dir", path = path.display())]
    Unreadable {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It may not be written.
    #[error("cannot write to {path}: it is read-only for this user; make it writable, or name another folder with --state-dir", path = path.display())]
    ReadOnly {
        /// The folder, or a file in it.
        path: PathBuf,
    },
    /// Others may write to it, so its limits and its ledger would be theirs to change.
    #[error("the state folder {path} can be written by others (mode {mode:o}); run `chmod 700` on it, or name another with --state-dir", path = path.display())]
    WritableByOthers {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It lies on a network file system, whose locks do not hold.
    #[error("the state folder {path} lies on a network file system ({kind}), where file locks do not hold; name a local folder with --state-dir", path = path.display())]
    Network {
        /// The folder.
        path: PathBuf,
        /// Which.
        kind: &'static str,
    },
    /// A newer version of Callgate wrote it.
    #[error("{path} was written by a newer version of callgate (schema {found}, this one knows {known}); update callgate, or name another folder with --state-dir", path = path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// It is not the database it should be.
    #[error("{path} is damaged ({reason}); move it away to begin anew, or restore it from a backup", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// No space is left.
    #[error("no space is left for {path}; free some, then start again", path = path.display())]
    Full {
        /// The folder.
        path: PathBuf,
    },
    /// A key file does not hold a key.
    #[error("{path} does not hold a key of 32 bytes; restore it, or name the right file with --ledger-key", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the database and does not let go.
    #[error("{path} is locked by another program; end it, then start again", path = path.display())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// Any other failure of the operating system.
    #[error("cannot use {path}: {source}; name another folder with --state-dir if this stays", path = path.display())]
    Io {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    /// Sorts a failure to open or write `path` by what the user can do.
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let kind = source.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full { path }
        } else if matches!(
            kind,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
        ) {
            Self::ReadOnly { path }
        } else if kind == io::ErrorKind::NotADirectory {
            Self::NotADirectory { path }
        } else {
            Self::Io { path, source }
        }
    }

    pub(crate) fn from_failure(path: &Path, failure: Failure) -> Self {
        match failure {
            Failure::Io(source) => Self::from_io(path, source),
            Failure::Damaged(reason) => Self::Damaged {
                path: path.to_owned(),
                reason: reason.to_owned(),
            },
            Failure::Sqlite(error) => Self::from_sqlite(path, &error),
        }
    }

    pub(crate) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => Self::Io {
                path,
                source: io::Error::other(error.to_string()),
            },
            _ => Self::Damaged {
                path,
                reason: error.to_string(),
            },
        }
    }
}

/// Why the store did not do what it was asked. The call is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot write now. Nothing of what was asked is in it.
    #[error("the store cannot be written: {0}")]
    Unavailable(Cause),
    /// The store cannot be read now.
    #[error("the store cannot be read: {0}")]
    Unreadable(Cause),
    /// The store has been closed.
    #[error("the store has been closed")]
    Closed,
}

/// Why the store cannot write, or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No space is left in the state folder.
    #[error("no space is left in the state folder")]
    Full,
    /// Another process holds the database.
    #[error("another process holds the database")]
    Locked,
    /// What is stored contradicts itself.
    #[error("the state is damaged: {0}")]
    Damaged(String),
    /// Any other failure to read or write.
    #[error("{0}")]
    Other(String),
}

/// Why the state folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no state in the folder.
    #[error("{path} holds no state; name the folder of a gate with --state-dir", path = path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A query failed.
    #[error("cannot read the state: {0}")]
    Query(#[from] rusqlite::Error),
    /// A node of the tree is not kept: not computed yet, or of a part that was moved to an archive.
    #[error("the tree's node {index} of level {level} is not kept")]
    Node {
        /// Its level.
        level: u8,
        /// Its place.
        index: u64,
    },
    /// What is stored contradicts itself.
    #[error("the state is damaged: {0}")]
    Damaged(String),
}

/// What fails inside a transaction, which is then undone as a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the state contradicts itself: {0}")]
    Damaged(&'static str),
}

impl Failure {
    pub(crate) fn cause(&self) -> Cause {
        use rusqlite::ErrorCode;
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::StorageFull => Cause::Full,
            Self::Io(error) => Cause::Other(error.to_string()),
            Self::Damaged(reason) => Cause::Damaged((*reason).to_owned()),
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Cause::Full,
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Cause::Locked,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Cause::Damaged(error.to_string())
                }
                _ => Cause::Other(error.to_string()),
            },
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => Self::Query(error),
            Failure::Io(error) => Self::Damaged(error.to_string()),
            Failure::Damaged(reason) => Self::Damaged(reason.to_owned()),
        }
    }
}
