//! Exact decimal numbers, as JSON spells them.

/// An exact decimal: a sign, up to [`DIGITS_MAX`] significant digits and an exponent, never expanded.
///
/// Normal form: no zero at either end of the digits; zero has no digits, no sign, and exponent 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    pub(crate) negative: bool,
    /// The significant digits, each 0 to 9.
    pub(crate) digits: Box<[u8]>,
    /// The power of ten of the last digit.
    pub(crate) exponent: i32,
}

/// The most significant digits a number may have.
pub const DIGITS_MAX: usize = 40;
