//! Signed notes (C2SP signed-note) with Ed25519 keys: a text, an empty line, and a line a signature.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::encoding::{base64, hex, unbase64, unhex};

/// Longest note in bytes.
pub const NOTE_BYTES_MAX: usize = 64 << 10;
/// Most signature lines of a note.
pub const NOTE_SIGNATURES_MAX: usize = 64;
/// Longest name of a key in characters.
pub const KEY_NAME_CHARS_MAX: usize = 256;

/// The signature type of plain Ed25519 in a key's encoding.
const ALGORITHM_ED25519: u8 = 1;
const SIGNATURE_START: &str = "\u{2014} ";

/// Why text is no verifier key, or a name no key name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Key names are not empty, hold no white space, control character or `+`, and are at most
    /// [`KEY_NAME_CHARS_MAX`] characters.
    #[error("not a key name: it may not be empty or hold spaces or `+`")]
    Name,
    /// Not `name+hash+key`.
    #[error("a verifier key reads `name+hash+key`: 8 hexadecimal digits and base64")]
    Form,
    /// Not an Ed25519 key.
    #[error("the key is of an unknown type, only Ed25519 (1) is known")]
    Algorithm,
    /// The bytes are no point, or one that verifies anything.
    #[error("the key's bytes are not an Ed25519 public key")]
    Point,
    /// The hash is that of another name or key.
    #[error("the key's hash does not fit its name and bytes; was it copied whole?")]
    Hash,
}

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("a note of {0} bytes is over the limit of {NOTE_BYTES_MAX}")]
    TooLong(usize),
    /// Not text, an empty line, and signature lines; or control characters in it.
    #[error("not a signed note")]
    Form,
    /// A line after the text that is no signature.
    #[error("signature line {0} of the note is malformed")]
    SignatureLine(usize),
    /// More than [`NOTE_SIGNATURES_MAX`] signatures, or two by one key.
    #[error("the note has too many signatures")]
    Signatures,
    /// A known key's signature is wrong.
    #[error("the signature by `{0}` is wrong")]
    BadSignature(String),
    /// None of the known keys signed it.
    #[error("no known key signed it")]
    Unsigned,
}

/// A public key that checks notes.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name);
        }
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        Ok(Self {
            name: name.to_owned(),
            id: key_id(name, &key),
            key,
        })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first 4 bytes of SHA-256 of the name, a line feed, the type 1, and the public key.
    #[must_use]
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Form)?;
        let id = unhex::<4>(id).ok_or(KeyError::Form)?;
        let bytes = unbase64(key).ok_or(KeyError::Form)?;
        let (algorithm, bytes) = bytes.split_first().ok_or(KeyError::Form)?;
        if *algorithm != ALGORITHM_ED25519 {
            return Err(KeyError::Algorithm);
        }
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| KeyError::Form)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Point)?;
        let key = Self::new(name, key)?;
        if key.id == id {
            Ok(key)
        } else {
            Err(KeyError::Hash)
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ALGORITHM_ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex(&self.id), base64(&bytes))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// A private key that signs notes.
pub struct Signer {
    verifier: VerifierKey,
    key: SigningKey,
}

impl Signer {
    /// The key of a 32-byte seed (RFC 8032 section 5.1.5) under `name`; by custom the log's origin.
    ///
    /// # Errors
    /// If the name is no key name.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        Ok(Self {
            verifier: VerifierKey::new(name, key.verifying_key())?,
            key,
        })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs `text`, which ends in a line feed, and gives the note.
    pub(crate) fn sign(&self, text: &str) -> String {
        let mut bytes = self.verifier.id.to_vec();
        bytes.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!(
            "{text}\n{SIGNATURE_START}{} {}\n",
            self.verifier.name,
            base64(&bytes)
        )
    }
}

/// Shows the public half alone.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// Checks a note's form and signatures, and gives its text with the line feed at its end.
///
/// At least one of `keys` has signed it, and no signature by one of them is wrong. Signatures by other
/// keys are not looked into.
///
/// # Errors
/// Otherwise.
pub fn open_note<'n>(note: &'n str, keys: &[VerifierKey]) -> Result<&'n str, NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong(note.len()));
    }
    if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::Form);
    }
    let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
    let text = note.get(..=text.len()).ok_or(NoteError::Form)?;
    let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Form)?;
    let mut signed_by: Vec<&VerifierKey> = Vec::new();
    for (index, line) in signatures.split('\n').enumerate() {
        if index == NOTE_SIGNATURES_MAX {
            return Err(NoteError::Signatures);
        }
        let (name, id, signature) = signature_line(line).ok_or(NoteError::SignatureLine(index + 1))?;
        let Some(key) = keys.iter().find(|key| key.name == name && key.id == id) else {
            continue;
        };
        if signed_by.contains(&key) {
            return Err(NoteError::Signatures);
        }
        let bad = || NoteError::BadSignature(name.to_owned());
        let signature = Signature::from_slice(&signature).map_err(|_| bad())?;
        key.key
            .verify_strict(text.as_bytes(), &signature)
            .map_err(|_| bad())?;
        signed_by.push(key);
    }
    if signed_by.is_empty() {
        Err(NoteError::Unsigned)
    } else {
        Ok(text)
    }
}

/// The notes of a file that holds one behind the other. A note ends with the signature line that no other
/// signature line follows. Bytes behind the last are given as a note of their own, for its reader to refuse.
pub fn split_notes(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = 0;
        let mut signed = false;
        for line in rest.split_inclusive('\n') {
            let signature = line.starts_with(SIGNATURE_START);
            if signed && !signature {
                break;
            }
            signed = signature;
            end += line.len();
        }
        let (note, behind) = rest.split_at_checked(end)?;
        rest = behind;
        (!note.is_empty()).then_some(note)
    })
}

/// The name, the key id and the signature of a line.
fn signature_line(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, bytes) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
    let bytes = unbase64(bytes)?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    (is_key_name(name) && !signature.is_empty()).then(|| (name, *id, signature.to_vec()))
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= KEY_NAME_CHARS_MAX
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ALGORITHM_ED25519])
        .chain_update(key.as_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NEUMANN_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    /// The example that Go's package `note` is documented with, made by another implementation.
    #[test]
    fn a_note_signed_elsewhere_opens() {
        let key: VerifierKey = NEUMANN.parse().unwrap();
        assert_eq!(key.to_string(), NEUMANN);
        let text = open_note(NEUMANN_NOTE, std::slice::from_ref(&key)).unwrap();
        assert!(text.ends_with("problem is.\n"));
        let changed = NEUMANN_NOTE.replacen("think", "thinK", 1);
        assert_eq!(
            open_note(&changed, &[key]),
            Err(NoteError::BadSignature("PeterNeumann".into()))
        );
        assert_eq!(open_note(NEUMANN_NOTE, &[]), Err(NoteError::Unsigned));
    }

    /// RFC 8032 section 7.1, test 1: the public key of the seed.
    #[test]
    fn a_seed_gives_the_key_of_rfc_8032() {
        let seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let signer = Signer::from_seed("example.com/log", &seed).unwrap();
        let public = hex(signer.verifier.key.as_bytes());
        assert_eq!(
            public,
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert!(!format!("{signer:?}").contains("9d61"), "the seed is not shown");
    }

    #[test]
    fn keys_that_are_not_whole_are_refused() {
        for (text, error) in [
            ("PeterNeumann", KeyError::Form),
            ("PeterNeumann+c74f20a3", KeyError::Form),
            (
                "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                KeyError::Form,
            ),
            (
                "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                KeyError::Hash,
            ),
            (
                "PeterNeumanN+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                KeyError::Hash,
            ),
            (
                "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                KeyError::Algorithm,
            ),
            (
                "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
                KeyError::Form,
            ),
            (
                "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                KeyError::Name,
            ),
            (
                "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                KeyError::Name,
            ),
            (
                "a+00000000+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                KeyError::Point,
            ),
        ] {
            assert_eq!(text.parse::<VerifierKey>().unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn malformed_notes_are_refused() {
        let signer = Signer::from_seed("log", &[7; 32]).unwrap();
        let keys = [signer.verifier.clone()];
        let good = signer.sign("text\n");
        assert_eq!(open_note(&good, &keys), Ok("text\n"));
        let signature = good.lines().last().unwrap();
        for (note, error) in [
            ("text\n".to_owned(), NoteError::Form),
            (good.trim_end().to_owned(), NoteError::Form),
            (good.replace("text", "te\rxt"), NoteError::Form),
            (good.replace('\u{2014}', "-"), NoteError::SignatureLine(1)),
            (format!("{good}junk\n"), NoteError::SignatureLine(2)),
            (format!("{good}{signature}\n"), NoteError::Signatures),
            (format!("{good}\n"), NoteError::Form),
            (
                format!("{good}{}", "\u{2014} other AAAAAAA=\n".repeat(64)),
                NoteError::Signatures,
            ),
            (good.replace(" log ", " gol "), NoteError::Unsigned),
        ] {
            assert_eq!(open_note(&note, &keys), Err(error), "{note:?}");
        }
        assert_eq!(
            open_note(&format!("{good}\u{2014} witness AAAAAAA=\n"), &keys),
            Ok("text\n")
        );
    }
}
