//! Reading configurations, and writing them so that nobody ever sees half of one.

use crate::words::hex;
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The most bytes of a configuration: 64 MiB. Claude Code keeps its history in the same file.
const CONFIG_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The mode of what only its owner may read.
const PRIVATE: u32 = 0o600;

/// A configuration as it was read.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// The file itself, behind all links.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Reads a configuration; `None` where there is none.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Held>> {
    let target = match path.canonicalize() {
        Ok(target) => target,
        Err(error) if is_absent(&error) => {
            if path.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
                bail!("it is a link to a file that does not exist");
            }
            return Ok(None);
        }
        Err(error) => return Err(error).context("cannot be reached"),
    };
    // Whoever opens a pipe waits for its other end.
    let kind = target.metadata().context("cannot be read")?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a folder"
        } else if kind.is_fifo() {
            "a pipe"
        } else {
            "a device or a socket"
        };
        bail!("it is {what}, not a file");
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock())
        .open(&target)
        .context("cannot be read")?;
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES_MAX.saturating_add(1))
        .read_to_end(&mut bytes)
        .context("cannot be read")?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        bail!("it has more than {CONFIG_BYTES_MAX} bytes");
    }
    let Ok(text) = String::from_utf8(bytes) else {
        bail!("it is not UTF-8 text");
    };
    Ok(Some(Held { path: target, text }))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

fn nonblock() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default()
}

/// Puts a new text in place of a configuration, with its owner and mode, unless it has changed since it was read.
pub(super) fn replace(held: &Held, text: &str) -> anyhow::Result<()> {
    let meta = held.path.metadata().context("cannot be read")?;
    if meta.permissions().mode() & 0o200 == 0 {
        bail!("it is read-only; make it writable, and run this again");
    }
    let folder = held.path.parent().context("it has no folder")?;
    let mut file = tempfile::Builder::new()
        .prefix(".callgate-")
        .permissions(PermissionsExt::from_mode(PRIVATE))
        .tempfile_in(folder)
        .with_context(|| format!("cannot write in {}", folder.display()))?;
    file.write_all(text.as_bytes()).context("cannot be written")?;
    let own = file.as_file().metadata()?;
    if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
        fchown(file.as_file(), Some(meta.uid()), Some(meta.gid())).context("its owner cannot be kept")?;
    }
    file.as_file().set_permissions(meta.permissions())?;
    file.as_file().sync_all().context("cannot be written")?;
    match read(&held.path)? {
        Some(now) if now.path == held.path && now.text == held.text => {}
        Some(_) | None => bail!("it has changed meanwhile; run this again"),
    }
    file.persist(&held.path).context("cannot be written")?;
    sync_folder(folder);
    Ok(())
}

/// Writes a file of Callgate's own that only its owner may read, in place of the one that is there.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = private(path, text)?;
    file.persist(path).with_context(|| unwritten(path))?;
    path.parent().map(sync_folder);
    Ok(())
}

/// Writes a new file that only its owner may read; `false` where there is one of that name.
pub(super) fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    make_folder(path.parent().context("it has no folder")?)?;
    match private(path, text)?.persist_noclobber(path) {
        Ok(_) => {
            path.parent().map(sync_folder);
            Ok(true)
        }
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error).with_context(|| unwritten(path)),
    }
}

/// A file beside `path` with all of its text, for its owner alone.
fn private(path: &Path, text: &str) -> anyhow::Result<NamedTempFile> {
    let folder = path.parent().context("it has no folder")?;
    let mut file = tempfile::Builder::new()
        .permissions(PermissionsExt::from_mode(PRIVATE))
        .tempfile_in(folder)
        .with_context(|| unwritten(path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .with_context(|| unwritten(path))?;
    Ok(file)
}

fn unwritten(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn sync_folder(folder: &Path) {
    // Where a folder cannot be synced, the file is there all the same unless the machine stops now.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// Makes a folder that only its owner may use, with those above it.
pub(super) fn make_folder(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}

/// Held while configurations are changed; another run waits for nothing, and ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing it ends the lock")] File);

impl Lock {
    pub(super) fn take(folder: &Path) -> anyhow::Result<Self> {
        make_folder(folder)?;
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => bail!("another `callgate init` is at work; wait for it"),
            Err(error) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }
}

/// The SHA-256 of a text, in hexadecimal digits.
pub(super) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_written_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcp.json");
        std::fs::write(&path, "before").unwrap();
        let held = read(&path).unwrap().unwrap();
        std::fs::write(&path, "of a client").unwrap();
        let error = replace(&held, "after").unwrap_err();
        assert_eq!(error.to_string(), "it has changed meanwhile; run this again");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "of a client");
        std::fs::write(&path, "before").unwrap();
        replace(&held, "after").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_exists_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policies/a.yaml");
        assert!(write_new(&path, "first").unwrap());
        assert!(!write_new(&path, "second").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
    }
}
