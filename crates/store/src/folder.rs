//! The state folder: private, local, and with the lock and key files that lie beside the database.

use crate::error::OpenError;
use crate::secrets::{KEY_BYTES, random};
use callgate_core::name::ServerName;
use callgate_ledger::RunId;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const DATABASE: &str = "callgate.db";
const WAL: &str = "callgate.db-wal";
const WRITE_LOCK: &str = "write.lock";
const SEQUENCER_LOCK: &str = "sequencer.lock";
const LEDGER_KEY: &str = "ledger.key";
const FINGERPRINT_KEY: &str = "fingerprint.key";
const CREDENTIALS_KEY: &str = "credentials.key";
const RUNS: &str = "runs";

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A state folder that exists and can be used.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The folder at `dir`, made where it is missing, and refused where it cannot keep what it is for.
    pub(crate) fn prepare(dir: &Path) -> Result<Self, OpenError> {
        let folder = Self::existing(dir);
        match std::fs::metadata(dir) {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(OpenError::NotADirectory { path: dir.to_owned() });
            }
            Ok(metadata) => {
                let mode = metadata.permissions().mode() & 0o7777;
                if mode & WRITABLE_BY_OTHERS != 0 {
                    return Err(OpenError::WritableByOthers {
                        path: dir.to_owned(),
                        mode,
                    });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_dir(dir)?,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(OpenError::NotADirectory { path: dir.to_owned() });
            }
            Err(source) => {
                return Err(OpenError::Unreadable {
                    path: dir.to_owned(),
                    source,
                });
            }
        }
        refuse_network(dir)?;
        let runs = folder.runs();
        if !runs.is_dir() {
            make_private_dir(&runs).map_err(|error| OpenError::from_io(&runs, error))?;
        }
        Ok(folder)
    }

    /// The folder at `dir` as it is.
    pub(crate) fn existing(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.dir.join(WAL)
    }

    pub(crate) fn write_lock(&self) -> Result<File, OpenError> {
        self.private_file(&self.dir.join(WRITE_LOCK))
    }

    pub(crate) fn sequencer_lock(&self) -> Result<File, OpenError> {
        self.private_file(&self.dir.join(SEQUENCER_LOCK))
    }

    fn runs(&self) -> PathBuf {
        self.dir.join(RUNS)
    }

    pub(crate) fn run_lock_path(&self, run: RunId) -> PathBuf {
        self.runs().join(format!("{run}.lock"))
    }

    /// Makes the lock file of a new run and holds it for as long as the file stays open.
    pub(crate) fn hold_run(&self, run: RunId) -> Result<File, OpenError> {
        let path = self.run_lock_path(run);
        let file = self.private_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path }),
            Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
        }
    }

    /// Makes the database's file with its permissions, so that SQLite never makes it with others. It is not
    /// opened where it exists: closing it again would drop the locks that SQLite holds in this process.
    pub(crate) fn make_database_file(&self) -> Result<(), OpenError> {
        let path = self.database();
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&path)
        {
            Ok(file) => keep_private(&file).map_err(|error| OpenError::from_io(&path, error)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tighten(&path),
            Err(error) => Err(OpenError::from_io(&path, error)),
        }
    }

    /// The key that fingerprints private values; made once.
    pub(crate) fn fingerprint_key(&self) -> Result<[u8; KEY_BYTES], OpenError> {
        self.key(&self.dir.join(FINGERPRINT_KEY))
    }

    /// The key that credentials are encrypted under; made once.
    pub(crate) fn credentials_key(&self) -> Result<[u8; KEY_BYTES], OpenError> {
        self.key(&self.dir.join(CREDENTIALS_KEY))
    }

    /// One for each server, so that none waits for the issuer of another.
    pub(crate) fn credentials_lock(&self, server: &ServerName) -> Result<File, OpenError> {
        self.private_file(&self.dir.join(format!("credentials-{server}.lock")))
    }

    /// Where the credentials for a server are. Its name was checked.
    pub(crate) fn credentials(&self, server: &ServerName) -> PathBuf {
        self.dir.join(format!("credentials-{server}"))
    }

    /// Puts another file in place of that at `path`: whole and synced, or not at all.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let name: [u8; 8] = random()?;
        let fresh = self
            .dir
            .join(format!("file-{:016x}.new", u64::from_be_bytes(name)));
        let written = write_private(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, path));
        if written.is_err() {
            let _ = std::fs::remove_file(&fresh);
        }
        written?;
        File::open(&self.dir)?.sync_all()
    }

    /// The seed of the key that signs checkpoints: of `given`, or of the folder, where it is made once.
    pub(crate) fn ledger_seed(&self, given: Option<&Path>) -> Result<[u8; KEY_BYTES], OpenError> {
        match given {
            Some(path) => read_key(path)?.ok_or_else(|| OpenError::Unreadable {
                path: path.to_owned(),
                source: io::ErrorKind::NotFound.into(),
            }),
            None => self.key(&self.dir.join(LEDGER_KEY)),
        }
    }

    /// Reads a key, or makes it: written whole under another name, then linked, so that of two processes
    /// that make it at once both read the same one.
    fn key(&self, path: &Path) -> Result<[u8; KEY_BYTES], OpenError> {
        if let Some(key) = read_key(path)? {
            return Ok(key);
        }
        let failed = |error| OpenError::from_io(path, error);
        let name: [u8; 8] = random().map_err(failed)?;
        let fresh = self
            .dir
            .join(format!("key-{:016x}.new", u64::from_be_bytes(name)));
        let made = write_key(&fresh).and_then(|()| std::fs::hard_link(&fresh, path));
        let removed = std::fs::remove_file(&fresh);
        match made {
            Ok(()) => removed.map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed)?;
        read_key(path)?.ok_or_else(|| OpenError::Key {
            path: path.to_owned(),
        })
    }

    fn private_file(&self, path: &Path) -> Result<File, OpenError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)
            .map_err(|error| OpenError::from_io(path, error))?;
        keep_private(&file).map_err(|error| OpenError::from_io(path, error))?;
        Ok(file)
    }

    /// Bytes that this user may still write to the folder's file system.
    pub(crate) fn available(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn make_dir(dir: &Path) -> Result<(), OpenError> {
    let made = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::create_dir_all(parent),
        Some(_) | None => Ok(()),
    };
    made.and_then(|()| make_private_dir(dir)).map_err(|source| {
        let path = dir.to_owned();
        if source.kind() == io::ErrorKind::NotADirectory {
            OpenError::NotADirectory { path }
        } else {
            OpenError::Make { path, source }
        }
    })
}

fn make_private_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        // A umask may have taken bits that this user needs.
        Ok(()) => std::fs::set_permissions(dir, Permissions::from_mode(DIR_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn keep_private(file: &File) -> io::Result<()> {
    if file.metadata()?.permissions().mode() & 0o777 == FILE_MODE {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(FILE_MODE))
}

/// Takes from others what an older umask or a copy gave them.
fn tighten(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700))
        .map_err(|error| OpenError::from_io(path, error))
}

fn read_key(path: &Path) -> Result<Option<[u8; KEY_BYTES]>, OpenError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(OpenError::Unreadable {
                path: path.to_owned(),
                source,
            });
        }
    };
    let mut bytes = Vec::with_capacity(KEY_BYTES + 1);
    let most = u64::try_from(KEY_BYTES + 1).unwrap_or(u64::MAX);
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|source| OpenError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    match bytes.try_into() {
        Ok(key) => Ok(Some(key)),
        Err(_) => Err(OpenError::Key {
            path: path.to_owned(),
        }),
    }
}

fn write_key(path: &Path) -> io::Result<()> {
    let key: [u8; KEY_BYTES] = random()?;
    write_private(path, &key)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)?;
    keep_private(&file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// File systems whose locks do not hold between machines, by the magic numbers of statfs(2). FUSE is among
/// them because sshfs and its like cannot be told from the rest.
#[cfg(target_os = "linux")]
const NETWORK: [(u32, &str); 12] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x7375_7245, "Coda"),
    (0x4750_4653, "GPFS"),
    (0x7461_636f, "OCFS2"),
];

#[cfg(target_os = "linux")]
pub(crate) fn network_kind(magic: u32) -> Option<&'static str> {
    NETWORK
        .iter()
        .find(|(known, _)| *known == magic)
        .map(|(_, kind)| *kind)
}

#[cfg(target_os = "linux")]
fn refuse_network(dir: &Path) -> Result<(), OpenError> {
    let stat = rustix::fs::statfs(dir).map_err(|error| OpenError::from_io(dir, error.into()))?;
    // The kernel's type is signed on some machines; the magic numbers are its low 32 bits.
    let magic = u32::try_from(i128::from(stat.f_type) & 0xffff_ffff).unwrap_or_default();
    match network_kind(magic) {
        Some(kind) => Err(OpenError::Network {
            path: dir.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_network(_: &Path) -> Result<(), OpenError> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_magic() {
        for (magic, kind) in [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0x6573_5546, "FUSE")] {
            assert_eq!(network_kind(magic), Some(kind));
        }
        for local in [0xef53, 0x0102_1994, 0x9123_683e, 0x5846_5342, 0x794c_7630] {
            assert_eq!(network_kind(local), None, "{local:#x}");
        }
    }

    #[test]
    fn a_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::existing(dir.path());
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| folder.fingerprint_key().unwrap()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else is left"
        );
    }
}
