//! Exact decimal numbers, as JSON spells them.

use crate::amount::{AMOUNT_DECIMALS, Amount};
use std::cmp::Ordering;
use std::fmt;

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

/// The largest power of ten that a number's first digit may stand for, and the smallest, negated.
pub const EXPONENT_MAX: i32 = 308;

/// Integers of at most so many digits are the same as doubles, and so are their neighbours.
const SAFE_DIGITS: i32 = 15;

/// Why a numeral cannot be kept as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a number as RFC 8259, section 6, spells them.
    #[error("not a JSON number")]
    NotANumber,
    /// More significant digits than [`DIGITS_MAX`].
    #[error("a number may have at most {DIGITS_MAX} significant digits")]
    TooManyDigits,
    /// Beyond [`EXPONENT_MAX`], or beyond the range of a double.
    #[error("a number may have an exponent of at most ±{EXPONENT_MAX}")]
    OutOfRange,
}

impl Decimal {
    /// Reads a JSON numeral.
    ///
    /// Zeros at either end are no significant digits, and the exponent is that of the first significant
    /// digit: `0.1e1` and `1` are one number, so both are read or neither is.
    ///
    /// # Errors
    /// [`DecimalError`] for what is not a JSON number, or cannot be kept.
    pub fn parse(numeral: &str) -> Result<Self, DecimalError> {
        let (negative, unsigned) = match numeral.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, numeral),
        };
        let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, parse_power(power)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(DecimalError::NotANumber),
            None => (mantissa, ""),
        };
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !is_digits(whole) || !is_digits(fraction) {
            return Err(DecimalError::NotANumber);
        }
        let last = power.saturating_sub(i64::try_from(fraction.len()).unwrap_or(i64::MAX));
        let parsed = Self::normal(
            negative,
            whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0'),
            last,
            DIGITS_MAX,
        )?;
        let leading = parsed.leading();
        if leading.abs() > i64::from(EXPONENT_MAX) {
            return Err(DecimalError::OutOfRange);
        }
        if leading == i64::from(EXPONENT_MAX) && parsed.nearest_double().is_infinite() {
            return Err(DecimalError::OutOfRange);
        }
        Ok(parsed)
    }

    /// A number from digits that may have zeros at either end, the last of them standing for 10^`last`.
    fn normal(
        negative: bool,
        digits: impl Iterator<Item = u8>,
        last: i64,
        digits_max: usize,
    ) -> Result<Self, DecimalError> {
        let mut kept = Vec::with_capacity(24);
        let mut zeros = 0_usize;
        for digit in digits {
            if digit == 0 {
                zeros += usize::from(!kept.is_empty());
                continue;
            }
            if kept.len().saturating_add(zeros) >= digits_max {
                return Err(DecimalError::TooManyDigits);
            }
            kept.resize(kept.len() + zeros, 0);
            zeros = 0;
            kept.push(digit);
        }
        if kept.is_empty() {
            return Ok(Self::zero());
        }
        let exponent = last.saturating_add(i64::try_from(zeros).unwrap_or(i64::MAX));
        let exponent = i32::try_from(exponent).map_err(|_| DecimalError::OutOfRange)?;
        Ok(Self {
            negative,
            digits: kept.into_boxed_slice(),
            exponent,
        })
    }

    /// Nothing.
    #[must_use]
    pub fn zero() -> Self {
        Self {
            negative: false,
            digits: Box::default(),
            exponent: 0,
        }
    }

    /// A whole number.
    #[must_use]
    pub fn from_u64(value: u64) -> Self {
        Self::from_magnitude(false, value)
    }

    /// A whole number, with its sign.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        Self::from_magnitude(value < 0, value.unsigned_abs())
    }

    fn from_magnitude(negative: bool, value: u64) -> Self {
        let text = value.to_string();
        let digits = text.trim_end_matches('0');
        if digits.is_empty() {
            return Self::zero();
        }
        let zeros = text.len() - digits.len();
        Self {
            negative,
            digits: digits.bytes().map(|byte| byte - b'0').collect(),
            exponent: i32::try_from(zeros).unwrap_or(0),
        }
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether it has no fraction.
    #[must_use]
    pub const fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// The number as a whole one; `None` where it is negative, has a fraction, or is too large.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        if self.negative || self.exponent < 0 || self.leading() > 20 {
            return None;
        }
        u64::try_from(self.whole(self.exponent)?).ok()
    }

    /// The power of ten of the first digit.
    fn leading(&self) -> i64 {
        i64::from(self.exponent) + self.length() - 1
    }

    fn length(&self) -> i64 {
        i64::try_from(self.digits.len()).unwrap_or(i64::MAX)
    }

    /// Whether every reader, of doubles or of decimals, reads it as the same whole number.
    fn is_safe_integer(&self) -> bool {
        self.is_integer() && self.leading() < i64::from(SAFE_DIGITS)
    }

    /// The digits followed by `zeros` zeros, as a number; `None` where it does not fit.
    fn whole(&self, zeros: i32) -> Option<u128> {
        let shift = 10_u128.checked_pow(u32::try_from(zeros).ok()?)?;
        fold(&self.digits)?.checked_mul(shift)
    }

    /// The nearest double, ties to even (IEEE 754).
    #[must_use]
    pub fn nearest_double(&self) -> f64 {
        self.quick_double()
            .unwrap_or_else(|| self.to_string().parse().unwrap_or(f64::INFINITY))
    }

    /// Both operands are doubles without an error of their own, so one operation rounds right.
    fn quick_double(&self) -> Option<f64> {
        if self.length() > i64::from(SAFE_DIGITS) {
            return None;
        }
        let power = usize::try_from(self.exponent.unsigned_abs()).ok()?;
        let power = *POWERS_OF_TEN.get(power)?;
        let digits = self
            .digits
            .iter()
            .fold(0.0, |sum, digit| sum * 10.0 + f64::from(*digit));
        let magnitude = if self.exponent < 0 {
            digits / power
        } else {
            digits * power
        };
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// What the nearest double is exactly. It may have more digits than [`DIGITS_MAX`].
    #[must_use]
    pub fn nearest_double_decimal(&self) -> Self {
        if self.is_safe_integer() {
            return self.clone();
        }
        let double = self.nearest_double();
        // No double has more decimals, and formatting is exact.
        let text = format!("{:.1074}", double.abs());
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        Self::normal(
            self.negative,
            text.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0'),
            -i64::try_from(decimals).unwrap_or(0),
            usize::MAX,
        )
        .unwrap_or_else(|_| self.clone())
    }

    /// How this number of a call compares with a policy's number for a server that reads doubles.
    ///
    /// A whole number in a policy means itself. One with a fraction is read as a double too: few of them
    /// are doubles, and else `0.1` would not equal `0.1`.
    #[must_use]
    pub fn cmp_as_double(&self, policy: &Self) -> Ordering {
        if policy.is_integer() && !policy.is_safe_integer() {
            return self.nearest_double_decimal().cmp(policy);
        }
        if policy.is_integer() && self.is_safe_integer() {
            return self.cmp(policy);
        }
        self.nearest_double().total_cmp(&policy.nearest_double())
    }

    /// The amount, what is below a billionth rounded up; `None` where it is negative or out of range.
    #[must_use]
    pub fn amount_ceil(&self) -> Option<Amount> {
        let (billionths, dropped) = self.billionths()?;
        let extra = u128::from(dropped.is_some());
        Amount::from_billionths(billionths.checked_add(extra)?)
    }

    /// The amount, what is below a billionth left away; `None` where it is negative or out of range.
    #[must_use]
    pub fn amount_floor(&self) -> Option<Amount> {
        let (billionths, _) = self.billionths()?;
        Amount::from_billionths(billionths)
    }

    /// What a budget counts: the larger of the exact amount, rounded up, and of its nearest double.
    ///
    /// The double is rounded to the nearest billionth: its own error must not count, or ten times `0.1`
    /// would exceed a budget of 1. `None` where it is negative or out of range.
    #[must_use]
    pub fn amount_counted(&self) -> Option<Amount> {
        let exact = self.amount_ceil()?;
        if self.is_safe_integer() || self.double_error_is_below_half_a_billionth() {
            return Some(exact);
        }
        let (billionths, dropped) = self.nearest_double_decimal().billionths()?;
        let extra = u128::from(dropped.is_some_and(|digit| digit >= 5));
        let double = Amount::from_billionths(billionths.checked_add(extra)?)?;
        Some(exact.max(double))
    }

    /// Then rounding the double gives the exact amount back, or less than rounding it up.
    fn double_error_is_below_half_a_billionth(&self) -> bool {
        self.leading() < 6
    }

    /// Whole billionths, and the first digit that was left out where any was.
    fn billionths(&self) -> Option<(u128, Option<u8>)> {
        if self.negative {
            return None;
        }
        let decimals = i32::try_from(AMOUNT_DECIMALS).ok()?;
        let shift = self.exponent.checked_add(decimals)?;
        if self.leading() + i64::from(decimals) > 37 {
            return None;
        }
        if shift >= 0 {
            return Some((self.whole(shift)?, None));
        }
        let kept = self.length() + i64::from(shift);
        match usize::try_from(kept) {
            Ok(kept) => {
                let (whole, rest) = self.digits.split_at_checked(kept)?;
                Some((fold(whole)?, rest.first().copied()))
            }
            Err(_) => Some((0, Some(0))),
        }
    }
}

fn parse_power(text: &str) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !is_digits(digits) {
        return Err(DecimalError::NotANumber);
    }
    let power = digits.bytes().fold(0_i64, |sum, byte| {
        sum.saturating_mul(10).saturating_add(i64::from(byte - b'0'))
    });
    Ok(if negative { -power } else { power })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn fold(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u128::from(*digit))
    })
}

/// The powers of ten that are doubles.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.sign(), other.sign()) {
            (1, 1) => self.cmp_magnitude(other),
            (-1, -1) => other.cmp_magnitude(self),
            (mine, theirs) => mine.cmp(&theirs),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Decimal {
    const fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// In normal form the place of the first digit decides, then the digits from the first on.
    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        self.leading()
            .cmp(&other.leading())
            .then_with(|| self.digits.cmp(&other.digits))
    }
}

impl fmt::Display for Decimal {
    /// Writes a JSON numeral that reads back as the same number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.digits.split_first() else {
            return f.write_str("0");
        };
        if self.negative {
            f.write_str("-")?;
        }
        let leading = self.leading();
        if self.exponent >= 0 && leading <= 20 {
            write_digits(f, &self.digits)?;
            return write_zeros(f, i64::from(self.exponent));
        }
        if (-7..=20).contains(&leading) {
            if leading < 0 {
                f.write_str("0.")?;
                write_zeros(f, -leading - 1)?;
                return write_digits(f, &self.digits);
            }
            let whole = usize::try_from(leading + 1).unwrap_or(usize::MAX);
            let (whole, fraction) = self.digits.split_at_checked(whole).unwrap_or((&self.digits, &[]));
            write_digits(f, whole)?;
            f.write_str(".")?;
            return write_digits(f, fraction);
        }
        write!(f, "{first}")?;
        if !rest.is_empty() {
            f.write_str(".")?;
            write_digits(f, rest)?;
        }
        write!(f, "e{leading}")
    }
}

fn write_digits(f: &mut fmt::Formatter<'_>, digits: &[u8]) -> fmt::Result {
    digits.iter().try_for_each(|digit| write!(f, "{digit}"))
}

fn write_zeros(f: &mut fmt::Formatter<'_>, count: i64) -> fmt::Result {
    (0..count).try_for_each(|_| f.write_str("0"))
}
