//! Numerals as machine numbers, where nothing is lost.

use callgate_core::decimal::Decimal;

/// A machine number that stands for exactly its numeral.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Exact {
    Signed(i64),
    Unsigned(u64),
    Double(f64),
}

/// The machine number of a numeral; `None` where it has none.
///
/// A double stands for the shortest decimal that reads back as it (which is what JSON readers print), so `0.1`
/// is exact and `0.10000000000000000001` is not.
pub(crate) fn exact(numeral: &str) -> Option<Exact> {
    let number = Decimal::parse(numeral).ok()?;
    if number.is_integer() {
        if let Some(unsigned) = number.to_u64() {
            return Some(i64::try_from(unsigned).map_or(Exact::Unsigned(unsigned), Exact::Signed));
        }
        if let Ok(signed) = numeral.parse::<i64>() {
            return Some(Exact::Signed(signed));
        }
    }
    let double = numeral.parse::<f64>().ok().filter(|double| double.is_finite())?;
    let shortest = Decimal::parse(&format!("{double:e}")).ok()?;
    (shortest == number).then_some(Exact::Double(double))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_number_cannot_hold_is_nothing() {
        let table = [
            ("0", Some(Exact::Signed(0))),
            ("-7", Some(Exact::Signed(-7))),
            ("1.0", Some(Exact::Signed(1))),
            ("1e3", Some(Exact::Signed(1000))),
            ("9223372036854775807", Some(Exact::Signed(i64::MAX))),
            (
                "9223372036854775808",
                Some(Exact::Unsigned(9_223_372_036_854_775_808)),
            ),
            ("0.1", Some(Exact::Double(0.1))),
            ("19.99", Some(Exact::Double(19.99))),
            ("1e20", Some(Exact::Double(1e20))),
            ("-2.5e-3", Some(Exact::Double(-0.0025))),
            ("0.10000000000000000001", None),
            ("9007199254740993.5", None),
            ("100000000000000000001", None),
            ("1e999", None),
        ];
        for (numeral, wanted) in table {
            assert_eq!(exact(numeral), wanted, "{numeral}");
        }
    }
}
