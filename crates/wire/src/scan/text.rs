//! Strings: finding their end fast, reading their escapes.

/// Bytes looked at one by one before the search by vectors starts: most strings are shorter.
const SHORT_RUN: usize = 16;

/// How many bytes at the start need no attention: no quote, no backslash, no control character.
pub(crate) fn plain_run(rest: &[u8]) -> usize {
    let head = rest
        .iter()
        .take(SHORT_RUN)
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
    if let Some(at) = head {
        return at;
    }
    let tail = rest.get(SHORT_RUN..).unwrap_or_default();
    let run = memchr::memchr2(b'"', b'\\', tail).unwrap_or(tail.len());
    let run = tail.get(..run).unwrap_or_default();
    // A fold without an early exit is what the compiler turns into vector instructions.
    let has_control = run.iter().fold(false, |seen, byte| seen | (*byte < 0x20));
    let plain = if has_control {
        run.iter().position(|byte| *byte < 0x20).unwrap_or(run.len())
    } else {
        run.len()
    };
    rest.len().min(SHORT_RUN) + plain
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
