//! Keeps a range of bytes that may be cut over several pieces.

use super::reader::Fault;

/// Bytes that may be kept of one message: the keys of objects that are open, and what is looked at of its values.
/// Real results have some hundred.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// What a key costs beside its text.
const KEY_COST: usize = 64;

/// How much is kept already.
#[derive(Debug, Default)]
pub(super) struct Kept(usize);

impl Kept {
    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.0 = self.0.saturating_add(bytes);
        if self.0 > KEPT_BYTES_MAX {
            return Err(Fault::TooMuchToKeep);
        }
        Ok(())
    }

    pub(super) fn take_key(&mut self) -> Result<(), Fault> {
        self.take(KEY_COST)
    }
}

/// One range.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    bytes: Vec<u8>,
    /// Where in the piece at hand it goes on; `None` while nothing is kept.
    from: Option<usize>,
}

impl Recorder {
    pub(super) fn begin(&mut self, at: usize) {
        self.bytes.clear();
        self.from = Some(at);
    }

    pub(super) const fn is_on(&self) -> bool {
        self.from.is_some()
    }

    /// Takes what the piece has of it; it goes on at the start of the next.
    pub(super) fn piece_over(&mut self, piece: &[u8], kept: &mut Kept) -> Result<(), Fault> {
        let Some(from) = self.from else { return Ok(()) };
        let bytes = piece.get(from..).unwrap_or_default();
        kept.take(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        self.from = Some(0);
        Ok(())
    }

    /// All of it, where it ends here.
    pub(super) fn end(&mut self, piece: &[u8], at: usize, kept: &mut Kept) -> Result<&str, Fault> {
        let from = self.from.take().unwrap_or(at);
        let bytes = piece.get(from..at).unwrap_or_default();
        kept.take(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        // It begins and ends at an ASCII character of a text that is UTF-8.
        std::str::from_utf8(&self.bytes).map_err(|_| Fault::not_utf8(at))
    }
}
