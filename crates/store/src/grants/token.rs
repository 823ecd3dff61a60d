//! Tokens: 256 random bits, of which the store keeps a keyed hash alone.

use crate::secrets::{FingerprintKey, random};
use std::fmt;

/// What tokens begin with, so that people and scanners know one where it should not be.
pub(super) const PREFIX: &str = "cg_";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A bearer token: whoever has it is the grant. Nothing here prints it but [`Token::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub(super) fn new() -> std::io::Result<Self> {
        let secret: [u8; 32] = random()?;
        Ok(Self(format!("{PREFIX}{}", base64url(&secret))))
    }

    /// The token as text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// HMAC-SHA-256 of a token under the state folder's key. Two may be compared in any time: without the key
/// nobody can choose what a text hashes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub(crate) fn new(key: &FingerprintKey, token: &str) -> Self {
        Self(key.of("grant token", &[token.as_bytes()]))
    }

    pub(super) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    let digit = |value: u32| {
        let place = usize::try_from(value & 63).unwrap_or_default();
        char::from(BASE64URL.get(place).copied().unwrap_or(b'-'))
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    let (mut group, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        group = (group << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 6 {
            bits -= 6;
            text.push(digit(group >> bits));
        }
        group &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(digit(group << (6 - bits)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_gives_the_vectors_of_rfc_4648() {
        let cases: [(&[u8], &str); 5] = [
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xfb, 0xff, 0xbf], "-_-_"),
        ];
        for (plain, text) in cases {
            assert_eq!(base64url(plain), text);
        }
    }

    #[test]
    fn a_token_is_long_enough_to_be_no_guess_and_is_not_printed() {
        let (one, two) = (Token::new().unwrap(), Token::new().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.reveal().len(), 3 + 43);
        assert!(
            one.reveal()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
        let hash = TokenHash::new(&FingerprintKey::new(&[1; 32]), one.reveal());
        assert_ne!(hash, TokenHash::new(&FingerprintKey::new(&[2; 32]), one.reveal()));
        assert_eq!(format!("{one:?} {hash:?}"), "Token(..) TokenHash(..)");
    }
}
