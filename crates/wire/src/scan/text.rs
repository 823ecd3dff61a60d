//! Strings: finding their end fast, reading their escapes.

/// Bytes looked at eight at a time before the search by vectors starts: most strings are shorter.
const SHORT_RUN: usize = 64;

/// How many bytes at the start need no attention: no quote, no backslash, no control character.
pub(crate) fn plain_run(rest: &[u8]) -> usize {
    let (words, _) = rest.as_chunks::<8>();
    for (index, word) in words.iter().take(SHORT_RUN / 8).enumerate() {
        let marks = special_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return index * 8 + usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0);
        }
    }
    let begun = words.len().min(SHORT_RUN / 8) * 8;
    let tail = rest.get(begun..).unwrap_or_default();
    let run = memchr::memchr2(b'"', b'\\', tail).unwrap_or(tail.len());
    let run = tail.get(..run).unwrap_or_default();
    // A fold without an early exit is what the compiler turns into vector instructions.
    let has_control = run.iter().fold(false, |seen, byte| seen | (*byte < 0x20));
    let plain = if has_control {
        run.iter().position(|byte| *byte < 0x20).unwrap_or(run.len())
    } else {
        run.len()
    };
    begun + plain
}

/// The top bit of each of eight bytes that is a quote, a backslash or a control character. Bytes above the
/// first such one may be marked wrongly, by the borrow of the subtraction; the first never is.
fn special_marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    let (quotes, backslashes) = (word ^ QUOTES, word ^ BACKSLASHES);
    let quote = quotes.wrapping_sub(ONES) & !quotes;
    let backslash = backslashes.wrapping_sub(ONES) & !backslashes;
    let control = word.wrapping_sub(SPACES) & !word;
    (quote | backslash | control) & TOPS
}

/// What stands at a backslash.
pub(crate) enum Escape {
    /// A character, or both halves of a surrogate pair.
    Whole { bytes: usize },
    /// One half of a surrogate pair.
    HalfPair { bytes: usize },
    /// Not an escape of JSON.
    Invalid,
}

/// Reads the escape whose backslash is the first byte.
pub(crate) fn escape(rest: &[u8]) -> Escape {
    match rest.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::Whole { bytes: 2 },
        Some(b'u') => match utf16_unit(rest) {
            None => Escape::Invalid,
            Some(0xd800..=0xdbff) => match rest.get(6..).and_then(utf16_unit) {
                Some(0xdc00..=0xdfff) => Escape::Whole { bytes: 12 },
                _ => Escape::HalfPair { bytes: 6 },
            },
            Some(0xdc00..=0xdfff) => Escape::HalfPair { bytes: 6 },
            Some(_) => Escape::Whole { bytes: 6 },
        },
        _ => Escape::Invalid,
    }
}

/// The unit of `\uXXXX` at the start.
fn utf16_unit(rest: &[u8]) -> Option<u32> {
    let hex = rest.strip_prefix(b"\\u")?.get(..4)?;
    hex.iter()
        .try_fold(0, |unit, byte| Some(unit * 16 + char::from(*byte).to_digit(16)?))
}

/// The string that an already checked inside means. Half a surrogate pair, which only framed results may
/// hold, reads as U+FFFD.
pub(crate) fn unescaped(inside: &str) -> String {
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let (character, bytes) = unescaped_one(escape.as_bytes());
        out.push(character);
        rest = escape.get(bytes..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn unescaped_one(rest: &[u8]) -> (char, usize) {
    let simple = match rest.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let unit = utf16_unit(rest).unwrap_or(0xfffd);
            if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (unit, rest.get(6..).and_then(utf16_unit))
            {
                let scalar = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
            }
            return (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
        }
        Some(itself) => char::from(*itself),
        None => char::REPLACEMENT_CHARACTER,
    };
    (simple, 2)
}

#[cfg(test)]
mod tests {
    use super::plain_run;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plain_run_ends_at_the_first_byte_that_needs_attention(
            plain in prop::collection::vec(prop_oneof![0x20..=0x21_u8, 0x23..=0x5b_u8, 0x5d..=0xff_u8], 0..150),
            rest in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let bytes = [plain, rest].concat();
            let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
            let expected = bytes.iter().position(is_special).unwrap_or(bytes.len());
            prop_assert_eq!(plain_run(&bytes), expected);
        }
    }
}
