//! Checkpoints (C2SP tlog-checkpoint): a signed statement of a log's name, size and root.

use crate::encoding::{base64, unbase64};
use crate::note::{NoteError, Signer, VerifierKey, open_note};
use crate::tree::Hash;
use crate::value::Uint53;

/// A log's name, size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log; one line.
    pub origin: String,
    /// How many records it holds.
    pub size: Uint53,
    /// The root of the tree over them.
    pub root: Hash,
}

/// Why a note is no checkpoint that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note itself.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not an origin, a size and a root.
    #[error("not a checkpoint: it should have a line each for the log's name, its size and its root")]
    Form,
}

impl Checkpoint {
    /// The text that is signed: three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root.0))
    }

    /// Signs it and gives the note.
    ///
    /// # Errors
    /// If the origin is not one line of text, so that no reader would find these three lines again.
    pub fn sign(&self, signer: &Signer) -> Result<String, CheckpointError> {
        let text = self.text();
        if Self::parse(&text).as_ref() == Some(self) {
            Ok(signer.sign(&text))
        } else {
            Err(CheckpointError::Form)
        }
    }

    /// Reads a signed checkpoint. Extension lines are refused: no Callgate writes them.
    ///
    /// # Errors
    /// If it is malformed, or none of `keys` signed it, or a signature by one of them is wrong.
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        Self::parse(open_note(note, keys)?).ok_or(CheckpointError::Form)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = <[u8; 32]>::try_from(unbase64(root)?).ok()?;
        let value: u64 = size.parse().ok()?;
        let whole = lines.next().is_none()
            && !origin.is_empty()
            && !origin.contains(char::is_control)
            && value.to_string() == size;
        let size = Uint53::new(value).ok()?;
        whole.then(|| Self {
            origin: origin.to_owned(),
            size,
            root: Hash(root),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{empty_root, leaf_hash};

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "example.com/log".into(),
            size: 7_u32.into(),
            root: leaf_hash(b"x"),
        }
    }

    #[test]
    fn a_signed_checkpoint_opens() {
        let signer = Signer::from_seed("example.com/log", &[1; 32]).unwrap();
        let note = checkpoint().sign(&signer).unwrap();
        assert_eq!(
            Checkpoint::open(&note, &[signer.verifier().clone()]),
            Ok(checkpoint())
        );
    }

    #[test]
    fn the_text_is_three_lines() {
        let checkpoint = Checkpoint {
            origin: "a".into(),
            size: 0_u32.into(),
            root: empty_root(),
        };
        assert_eq!(
            checkpoint.text(),
            "a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        );
    }

    #[test]
    fn other_spellings_are_no_checkpoints() {
        let text = checkpoint().text();
        assert_eq!(Checkpoint::parse(&text), Some(checkpoint()));
        for other in [
            text.replace("\n7\n", "\n07\n"),
            text.replace("\n7\n", "\n+7\n"),
            text.replace("\n7\n", "\n9007199254740992\n"),
            text.replace("example.com/log", ""),
            text.replace('=', ""),
            format!("{text}extension\n"),
            text.trim_end().to_owned(),
        ] {
            assert_eq!(Checkpoint::parse(&other), None, "{other:?}");
        }
        let two_lines = Checkpoint {
            origin: "a\nb".into(),
            ..checkpoint()
        };
        let signer = Signer::from_seed("a", &[1; 32]).unwrap();
        assert_eq!(two_lines.sign(&signer), Err(CheckpointError::Form));
    }
}
