//! Amounts that limits count: exact, never negative, with a range of their own.

use std::fmt;

/// A count or a sum of an argument, in billionths of a unit.
///
/// Arithmetic is checked: what does not fit is an error, and an error denies. The range is
/// 0 to [`Amount::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u128);

/// How many decimal places an amount keeps.
pub const AMOUNT_DECIMALS: u32 = 9;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One unit: what a call costs where nothing else is said.
    pub const ONE: Self = Self(1_000_000_000);
    /// The largest amount: 10^28 units.
    pub const MAX: Self = Self(10_000_000_000_000_000_000_000_000_000_000_000_000);

    /// An amount from its billionths; `None` beyond [`Amount::MAX`].
    #[must_use]
    pub const fn from_billionths(billionths: u128) -> Option<Self> {
        if billionths <= Self::MAX.0 {
            Some(Self(billionths))
        } else {
            None
        }
    }

    /// So many whole units.
    #[must_use]
    pub const fn units(count: u64) -> Self {
        Self(count as u128 * Self::ONE.0)
    }

    /// The billionths it holds.
    #[must_use]
    pub const fn billionths(self) -> u128 {
        self.0
    }

    /// The sum; `None` beyond [`Amount::MAX`].
    #[must_use]
    pub const fn plus(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Self::from_billionths(sum),
            None => None,
        }
    }

    /// The difference; `None` below zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }
}

impl fmt::Display for Amount {
    /// Writes units with no more decimals than it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, rest) = (self.0 / Self::ONE.0, self.0 % Self::ONE.0);
        if rest == 0 {
            return write!(f, "{units}");
        }
        let decimals = format!("{rest:09}");
        write!(f, "{units}.{}", decimals.trim_end_matches('0'))
    }
}
