//! Credentials of Callgate's own that outlast the process: encrypted under a key of the state folder.

use crate::error::OpenError;
use crate::folder::Folder;
use crate::secrets::random;
use callgate_core::name::ServerName;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The format: this byte, a nonce, and what ChaCha20-Poly1305 (RFC 8439) makes of the rest.
const VERSION: u8 = 1;
/// The most that is read of a file.
const BYTES_MAX: u64 = 1 << 20;
/// What names of servers that have credentials may be.
const NAME_BYTES_MAX: usize = 24;

/// What is kept for one server. A file of another server's, or of another folder's, cannot be opened as it.
#[derive(Debug, Clone)]
pub struct Sealed {
    folder: Folder,
    server: ServerName,
}

/// Credentials could not be kept, or had.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// The state folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The server's name cannot be that of a file.
    #[error("a server of this name cannot have credentials")]
    Name,
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was changed, or was made under another key.
    #[error("{path} cannot be decrypted; remove it, and log in again")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// Held while credentials are renewed: of all processes on the folder, one does so at a time.
#[derive(Debug)]
#[must_use]
pub struct SealedTurn(#[expect(dead_code, reason = "held for its lock alone")] File);

impl Sealed {
    /// What the folder at `dir`, which is made where it is missing, keeps for a server.
    ///
    /// # Errors
    /// [`SealedError`] where the folder or the name cannot be used.
    pub fn of(dir: &Path, server: &ServerName) -> Result<Self, SealedError> {
        let is_plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let name = server.as_str();
        if name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
            return Err(SealedError::Name);
        }
        Ok(Self {
            folder: Folder::prepare(dir)?,
            server: server.clone(),
        })
    }

    /// What is kept; `None` where nothing is.
    ///
    /// # Errors
    /// [`SealedError`] where it cannot be read, or was changed.
    pub fn load(&self) -> Result<Option<Vec<u8>>, SealedError> {
        let path = self.folder.credentials(&self.server);
        let failed = |source| SealedError::Io {
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        let opened = self.opened(bytes)?;
        opened
            .map(Some)
            .ok_or_else(|| SealedError::Damaged { path: path.clone() })
    }

    /// Keeps this in place of what was kept before: whole, or not at all.
    ///
    /// # Errors
    /// [`SealedError`] where it cannot be written; what was kept before stays then.
    pub fn save(&self, plain: &[u8]) -> Result<(), SealedError> {
        let path = self.folder.credentials(&self.server);
        let failed = |source| SealedError::Io {
            path: path.clone(),
            source,
        };
        let nonce: [u8; NONCE_LEN] = random().map_err(failed)?;
        let mut sealed = plain.to_vec();
        let unsealable = |_| failed(io::ErrorKind::InvalidInput.into());
        self.key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.purpose()),
                &mut sealed,
            )
            .map_err(unsealable)?;
        let bytes = [&[VERSION][..], &nonce, &sealed].concat();
        self.folder.replace(&path, &bytes).map_err(failed)
    }

    /// Waits for the turn to renew what is kept. Blocks.
    ///
    /// # Errors
    /// [`SealedError`] where the lock cannot be had.
    pub fn turn(&self) -> Result<SealedTurn, SealedError> {
        let lock = self.folder.credentials_lock(&self.server)?;
        lock.lock().map_err(|source| SealedError::Io {
            path: self.folder.dir().to_owned(),
            source,
        })?;
        Ok(SealedTurn(lock))
    }

    fn opened(&self, mut bytes: Vec<u8>) -> Result<Option<Vec<u8>>, SealedError> {
        let Some((&mut VERSION, rest)) = bytes.split_first_mut() else {
            return Ok(None);
        };
        let Some((nonce, sealed)) = rest.split_first_chunk_mut::<NONCE_LEN>() else {
            return Ok(None);
        };
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .key()?
            .open_in_place(nonce, Aad::from(self.purpose()), sealed);
        Ok(opened.ok().map(|plain| plain.to_vec()))
    }

    /// What a file is for: it cannot be passed off as that of another server.
    fn purpose(&self) -> Vec<u8> {
        format!("callgate credentials\0{}", self.server).into_bytes()
    }

    fn key(&self) -> Result<LessSafeKey, SealedError> {
        let key = self.folder.credentials_key()?;
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &key);
        unbound.map(LessSafeKey::new).map_err(|_| {
            SealedError::Open(OpenError::Key {
                path: self.folder.dir().to_owned(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const PLAIN: &[u8] = b"a token that nobody else is to read";

    fn sealed(dir: &Path, name: &str) -> Sealed {
        Sealed::of(dir, &ServerName::new(name).unwrap()).unwrap()
    }

    #[test]
    fn what_is_kept_can_be_read_with_the_folder_s_key_alone() {
        let outer = tempfile::tempdir().unwrap();
        let (dir, other) = (outer.path().join("a"), outer.path().join("b"));
        let one = sealed(&dir, "mail");
        assert_eq!(one.load().unwrap(), None);
        one.save(b"before").unwrap();
        one.save(PLAIN).unwrap();
        assert_eq!(sealed(&dir, "mail").load().unwrap().as_deref(), Some(PLAIN));
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                assert!(
                    !bytes.windows(7).any(|window| window == &PLAIN[..7]),
                    "{}",
                    path.display()
                );
                let mode = path.metadata().unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", path.display());
            }
        }
        // Neither as another server's, nor with another key, nor with a bit changed.
        std::fs::copy(dir.join("credentials-mail"), dir.join("credentials-notes")).unwrap();
        assert!(matches!(
            sealed(&dir, "notes").load(),
            Err(SealedError::Damaged { .. })
        ));
        let stranger = sealed(&other, "mail");
        stranger.save(b"x").unwrap();
        std::fs::copy(dir.join("credentials-mail"), other.join("credentials-mail")).unwrap();
        assert!(matches!(stranger.load(), Err(SealedError::Damaged { .. })));
        let bytes = std::fs::read(dir.join("credentials-mail")).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            std::fs::write(dir.join("credentials-mail"), changed).unwrap();
            assert!(matches!(one.load(), Err(SealedError::Damaged { .. })), "{place}");
        }
    }

    #[test]
    fn a_name_that_is_no_file_s_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../a", "A", "a.b", "a/b"] {
            let server = ServerName::new(name).unwrap();
            assert!(matches!(
                Sealed::of(&dir.path().join("s"), &server),
                Err(SealedError::Name)
            ));
        }
    }
}
