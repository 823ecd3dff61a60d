//! The keys of a state folder: one recognises private values, one signs checkpoints.

use crate::error::OpenError;
use crate::folder::Folder;
use callgate_ledger::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// How many bytes a key has.
pub(crate) const KEY_BYTES: usize = 32;

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// HMAC-SHA-256 under a key that never leaves the state folder: equal values can be recognised, not read.
#[derive(Clone)]
pub(crate) struct FingerprintKey(Hmac<Sha256>);

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}

impl FingerprintKey {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        // A key shorter than SHA-256's block is padded with zeros (RFC 2104 section 2).
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Self(Hmac::new(&block.into()))
    }

    /// Of `parts`, each with its length before it, in the domain `domain`: what is fingerprinted for one
    /// purpose cannot be compared with another's.
    pub(crate) fn of(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in std::iter::once(&domain.as_bytes()).chain(parts) {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    pub(crate) fn arguments(&self, bytes: &[u8]) -> Fingerprint {
        Fingerprint(Digest(self.of("arguments", &[bytes])))
    }

    pub(crate) fn scope_value(&self, path: &str, value: &str) -> Digest {
        Digest(self.of("scope", &[path.as_bytes(), value.as_bytes()]))
    }
}

/// HMAC-SHA-256 of a call's arguments under the state folder's key. Only `Store::fingerprint` makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub(crate) Digest);

impl Fingerprint {
    /// As records hold it.
    #[must_use]
    pub const fn digest(self) -> Digest {
        self.0
    }
}

/// HMAC-SHA-256 of `parts` under the key of a state folder, which is made where it is missing: a name for
/// what must not be written as it is, such as a command line. `domain` keeps different uses apart.
///
/// # Errors
/// [`OpenError`] where the folder or its key cannot be had.
pub fn keyed_hash(dir: &Path, domain: &str, parts: &[&[u8]]) -> Result<[u8; 32], OpenError> {
    let key = Folder::prepare(dir)?.fingerprint_key()?;
    Ok(FingerprintKey::new(&key).of(domain, parts))
}
