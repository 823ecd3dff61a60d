//! Numbers and texts one after the other: seven bits a byte, and a length before each text.

use super::Damaged;

/// What is written to.
#[derive(Debug, Default)]
pub(super) struct Sink(Vec<u8>);

impl Sink {
    pub(super) fn number(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.0
                .push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or_default());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A text that may be missing; an empty one is missing.
    pub(super) fn perhaps(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What is read from.
#[derive(Debug)]
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn number(&mut self) -> Result<usize, Damaged> {
        let mut number = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Damaged)?;
            self.at = self.at.saturating_add(1);
            number |= usize::from(byte & 0x7f).checked_shl(shift).ok_or(Damaged)?;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.number()?;
        let end = self.at.checked_add(length).ok_or(Damaged)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Damaged)?;
        self.at = end;
        std::str::from_utf8(bytes).map_err(|_| Damaged)
    }

    pub(super) fn perhaps(&mut self) -> Result<Option<String>, Damaged> {
        let text = self.text()?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in prop::collection::vec(any::<usize>(), 0..20), texts in prop::collection::vec("\\PC{0,300}", 0..5)) {
            let mut sink = Sink::default();
            numbers.iter().for_each(|number| sink.number(*number));
            texts.iter().for_each(|text| sink.text(text));
            let bytes = sink.into_bytes();
            let mut source = Source::new(&bytes);
            for number in numbers {
                prop_assert_eq!(source.number(), Ok(number));
            }
            for text in texts {
                prop_assert_eq!(source.text(), Ok(&*text));
            }
            prop_assert_eq!(source.position(), bytes.len());
            prop_assert_eq!(source.number(), Err(Damaged));
        }
    }
}
