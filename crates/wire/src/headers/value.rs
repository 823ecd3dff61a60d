//! Values of mirrored headers: plain ASCII, or Base64 between `=?base64?` and `?=`.

use std::borrow::Cow;

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What is wrong with the value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHeaderValue {
    /// Neither visible ASCII, space nor tab.
    #[error("it holds a character that no header may hold")]
    Character,
    /// Not Base64 (RFC 4648 section 4, padded, no stray bits).
    #[error("it is not valid Base64")]
    Base64,
    /// The decoded bytes are not UTF-8.
    #[error("its Base64 is not UTF-8")]
    Utf8,
}

/// A value as it is sent: plain where a header can hold it, else encoded.
#[must_use]
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let is_safe = value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    let is_padded = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    if is_safe && !is_padded && sentinel(value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{PREFIX}{}{SUFFIX}", base64(value.as_bytes())))
}

/// The value that is meant by what was sent. White space around it, which belongs to the header's syntax, is
/// left out.
///
/// # Errors
/// [`BadHeaderValue`]
pub fn decode_value(sent: &[u8]) -> Result<Cow<'_, str>, BadHeaderValue> {
    let plain = plain(sent)?;
    match sentinel(plain) {
        None => Ok(Cow::Borrowed(plain)),
        Some(encoded) => {
            let bytes = from_base64(encoded.as_bytes()).ok_or(BadHeaderValue::Base64)?;
            String::from_utf8(bytes)
                .map(Cow::Owned)
                .map_err(|_| BadHeaderValue::Utf8)
        }
    }
}

/// The value as it stands, for headers that have no encoded form.
pub(crate) fn plain(sent: &[u8]) -> Result<&str, BadHeaderValue> {
    if !sent.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return Err(BadHeaderValue::Character);
    }
    let text = std::str::from_utf8(sent).map_err(|_| BadHeaderValue::Character)?;
    Ok(text.trim_matches([' ', '\t']))
}

fn sentinel(value: &str) -> Option<&str> {
    value.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let symbol = (bits >> (18 - 6 * index)) & 0x3f;
            let symbol = ALPHABET
                .iter()
                .copied()
                .nth(usize::try_from(symbol).unwrap_or(0))
                .unwrap_or(b'=');
            out.push(if index <= chunk.len() {
                char::from(symbol)
            } else {
                '='
            });
        }
    }
    out
}

/// Canonical Base64 only: padded, and the bits that carry nothing are zero.
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (chunks, []) = text.as_chunks::<4>() else {
        return None;
    };
    for (index, chunk) in chunks.iter().enumerate() {
        let padding = chunk.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && index + 1 != chunks.len()) {
            return None;
        }
        let mut bits = 0_u32;
        for byte in chunk.iter().take(4 - padding) {
            let symbol = ALPHABET.iter().position(|symbol| symbol == byte)?;
            bits = bits << 6 | u32::try_from(symbol).ok()?;
        }
        bits <<= 6 * u32::try_from(padding).ok()?;
        let [_, first, second, third] = bits.to_be_bytes();
        let decoded = [first, second, third];
        let (kept, spare) = decoded.split_at_checked(3 - padding)?;
        if spare.iter().any(|byte| *byte != 0) {
            return None;
        }
        out.extend_from_slice(kept);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{BadHeaderValue, decode_value, encode_value};
    use proptest::prelude::*;

    #[test]
    fn values_are_sent_as_the_specification_shows() {
        for (value, sent) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("=?BASE64?x?=", "=?BASE64?x?="),
            ("", ""),
        ] {
            assert_eq!(encode_value(value), sent);
            assert_eq!(decode_value(sent.as_bytes()).as_deref(), Ok(value));
        }
    }

    #[test]
    fn values_that_nobody_can_read_alike_are_refused() {
        for (sent, cause) in [
            (&b"a\nb"[..], BadHeaderValue::Character),
            (b"a\0", BadHeaderValue::Character),
            ("世".as_bytes(), BadHeaderValue::Character),
            (b"=?base64?abc?=", BadHeaderValue::Base64),
            (b"=?base64?not valid!?=", BadHeaderValue::Base64),
            (b"=?base64?IHBhZGRlZCB=?=", BadHeaderValue::Base64),
            (b"=?base64?YQ==YQ==?=", BadHeaderValue::Base64),
            (b"=?base64?====?=", BadHeaderValue::Base64),
            (b"=?base64?/w==?=", BadHeaderValue::Utf8),
        ] {
            assert_eq!(
                decode_value(sent),
                Err(cause),
                "{}",
                String::from_utf8_lossy(sent)
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(value in ".*") {
            let sent = encode_value(&value);
            prop_assert!(sent.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')));
            prop_assert_eq!(decode_value(sent.as_bytes()).unwrap(), value.as_str());
        }
    }
}
