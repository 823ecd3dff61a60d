//! The right to a socket's path: of all processes, one has it at a time.

use rustix::fs::OFlags;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How often a lock file is looked for again whose holder has taken it away meanwhile.
const TRIES_MAX: usize = 100;

/// A lock on a file beside the socket. The file goes with it; a process that is killed leaves the file, and no lock.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    /// Held for its lock, which goes after the file.
    file: File,
}

impl Claim {
    /// That to a socket; `None` where another has it.
    pub(super) fn of(socket: &Path) -> io::Result<Option<Self>> {
        let name = socket.file_name().unwrap_or_default().to_string_lossy();
        let path = socket.with_file_name(format!(".{name}.lock"));
        for _ in 0..TRIES_MAX {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Some(Self { path, file })),
                // Whoever held it has taken the file away: the lock is on one that nobody else will find.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(cause)) => return Err(cause),
            }
        }
        Ok(None)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // One that was taken away meanwhile may have been replaced by another's.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a file that is open is the one at this path.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let there = fs::symlink_metadata(path).ok().map(identity);
    there.is_some() && there == file.metadata().ok().map(identity)
}
