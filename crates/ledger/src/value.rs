//! The types of a record's fields: bounded, and valid by construction.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::encoding::hex;

/// Longest [`Text`] in bytes; longer input is cut and marked by its hash.
pub const TEXT_BYTES_MAX: usize = 512;
/// Longest [`Code`] in bytes.
pub const CODE_BYTES_MAX: usize = 64;
/// Longest [`Amount`] in bytes.
pub const AMOUNT_BYTES_MAX: usize = 64;

/// An integer from 0 to 2^53 - 1: what every JSON reader holds exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uint53(u64);

/// A number was 2^53 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not below 2^53")]
pub struct RangeError(pub u64);

impl Uint53 {
    /// 2^53 - 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// # Errors
    /// If `value` is 2^53 or more.
    pub const fn new(value: u64) -> Result<Self, RangeError> {
        if value <= Self::MAX.0 {
            Ok(Self(value))
        } else {
            Err(RangeError(value))
        }
    }

    /// `value`, or [`Uint53::MAX`] where it is greater.
    #[must_use]
    pub const fn saturating(value: u64) -> Self {
        if value <= Self::MAX.0 {
            Self(value)
        } else {
            Self::MAX
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u32> for Uint53 {
    fn from(value: u32) -> Self {
        Self(u64::from(value))
    }
}

impl TryFrom<u64> for Uint53 {
    type Error = RangeError;

    fn try_from(value: u64) -> Result<Self, RangeError> {
        Self::new(value)
    }
}

impl fmt::Display for Uint53 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! hex_type {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Reads lower-case hexadecimal of the exact length.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                $crate::encoding::unhex(text).map(Self)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::encoding::hex(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}
pub(crate) use hex_type;

hex_type! {
    /// A 32-byte digest: SHA-256 of public things (a policy), HMAC-SHA-256 of private ones (arguments).
    Digest, 32
}
hex_type! {
    /// Names one call: 16 bytes, unique in the ledger, chosen by the writer before the intent is written.
    CallId, 16
}
hex_type! {
    /// Names one run of a Callgate process: 16 random bytes.
    RunId, 16
}

/// Text from outside (names, rules, addresses), at most [`TEXT_BYTES_MAX`] bytes; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<str>);

impl Text {
    /// Keeps `text` whole up to the bound. Longer text is cut and ends in `…` and the first 16 hexadecimal
    /// digits of the SHA-256 of the whole, so that two long names stay two names.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.len() <= TEXT_BYTES_MAX {
            return Self(text.into());
        }
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mark = format!("…{}", hex(digest.first_chunk::<8>().unwrap_or(&[0; 8])));
        let head = text
            .get(..text.floor_char_boundary(TEXT_BYTES_MAX - mark.len()))
            .unwrap_or_default();
        Self(format!("{head}{mark}").into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        (text.len() <= TEXT_BYTES_MAX).then(|| Self(text.into()))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stable reason code: 1 to [`CODE_BYTES_MAX`] of `a-z`, `0-9` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(Arc<str>);

impl Code {
    /// Makes a code of `text`: upper case is lowered, what is not allowed becomes `_`, the rest is cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let code: String = text.chars().map(code_character).take(CODE_BYTES_MAX).collect();
        Self(if code.is_empty() { "_".into() } else { code.into() })
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let code = Self::new(text);
        (code.as_str() == text).then_some(code)
    }
}

fn code_character(character: char) -> char {
    match character.to_ascii_lowercase() {
        allowed @ ('a'..='z' | '0'..='9') => allowed,
        _ => '_',
    }
}

impl From<&str> for Code {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An exact amount that a limit was charged: digits, an optional fraction, an optional exponent, no sign.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Amount(Box<str>);

/// Text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an unsigned decimal of at most 64 characters")]
pub struct AmountError(pub Text);

impl Amount {
    /// # Errors
    /// If `text` is not `digits[.digits][e[-]digits]` or is longer than [`AMOUNT_BYTES_MAX`].
    pub fn new(text: &str) -> Result<Self, AmountError> {
        if text.len() <= AMOUNT_BYTES_MAX && is_amount(text) {
            Ok(Self(text.into()))
        } else {
            Err(AmountError(text.into()))
        }
    }

    /// The decimal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for Amount {
    fn from(amount: u64) -> Self {
        Self(amount.to_string().into())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_amount(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (number, exponent) = text.split_once('e').map_or((text, None), |(n, e)| (n, Some(e)));
    let (whole, fraction) = number
        .split_once('.')
        .map_or((number, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix('-').unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_texts_are_cut_yet_stay_apart() {
        let (one, two) = ("é".repeat(300) + "1", "é".repeat(300) + "2");
        let (one, two) = (Text::new(&one), Text::new(&two));
        assert!(one.as_str().len() <= TEXT_BYTES_MAX && one.as_str().len() > TEXT_BYTES_MAX - 4);
        assert_ne!(one, two);
        assert_eq!(
            Text::new(&"x".repeat(TEXT_BYTES_MAX)).as_str().len(),
            TEXT_BYTES_MAX
        );
        assert!(!Text::new(&"x".repeat(TEXT_BYTES_MAX)).as_str().contains('…'));
    }

    #[test]
    fn amounts_are_unsigned_decimals() {
        for good in ["0", "12", "12.50", "1e3", "1.5e-7"] {
            assert_eq!(Amount::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "-1", "+1", ".5", "5.", "1e", "1e+3", "1E3", "NaN", "0x1", " 1", "1_0",
        ] {
            assert!(Amount::new(bad).is_err(), "{bad:?}");
        }
        assert!(Amount::new(&"1".repeat(AMOUNT_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn integers_stop_at_two_to_the_53() {
        assert_eq!(Uint53::new(1 << 53), Err(RangeError(1 << 53)));
        assert_eq!(Uint53::saturating(u64::MAX), Uint53::MAX);
    }

    proptest! {
        #[test]
        fn any_text_and_code_can_be_read_back(text in any::<String>()) {
            let bounded = Text::new(&text);
            prop_assert_eq!(Text::read(bounded.as_str()), Some(bounded));
            let code = Code::new(&text);
            prop_assert_eq!(Code::read(code.as_str()), Some(code));
        }
    }
}
