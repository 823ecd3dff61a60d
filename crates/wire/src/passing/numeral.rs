//! The grammar of numbers (RFC 8259, section 6), a character at a time.

/// What has been read of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numeral {
    /// The sign.
    Minus,
    /// The whole part, where it is 0.
    Zero,
    /// Digits of the whole part.
    Whole,
    /// The point.
    Point,
    /// Digits behind it.
    Fraction,
    /// `e`
    Exponent,
    /// The sign of the exponent.
    Sign,
    /// Its digits.
    Power,
}

/// What a character is to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Part of it.
    On(Numeral),
    /// The first after it.
    Over,
    /// Not the digit that there has to be.
    DigitMissing,
}

impl Numeral {
    pub(super) const fn first(byte: u8) -> Self {
        match byte {
            b'-' => Self::Minus,
            b'0' => Self::Zero,
            _ => Self::Whole,
        }
    }

    pub(super) const fn next(self, byte: u8) -> Next {
        match (self, byte) {
            (Self::Minus, b'0') => Next::On(Self::Zero),
            (Self::Minus | Self::Whole, b'0'..=b'9') => Next::On(Self::Whole),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Next::On(Self::Fraction),
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Next::On(Self::Power),
            (Self::Exponent, b'+' | b'-') => Next::On(Self::Sign),
            (Self::Zero | Self::Whole, b'.') => Next::On(Self::Point),
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Next::On(Self::Exponent),
            (Self::Zero | Self::Whole | Self::Fraction | Self::Power, _) => Next::Over,
            (Self::Minus | Self::Point | Self::Exponent | Self::Sign, _) => Next::DigitMissing,
        }
    }
}
