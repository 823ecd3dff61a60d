//! Numbers: exact, ordered, and counted.

use crate::dsl::number;
use callgate_core::amount::Amount;
use callgate_core::decimal::{Decimal, DecimalError};
use proptest::prelude::*;

#[test]
fn what_is_no_json_number_is_refused() {
    for text in [
        "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e5", "0x1", "1_0", " 1", "1 ", "NaN",
        "Infinity", "١", "1e5.0", "--1",
    ] {
        assert_eq!(Decimal::parse(text), Err(DecimalError::NotANumber), "{text}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused() {
    for text in [
        "1e309",
        "-1e309",
        "1e-309",
        "1.8e308",
        "1e99999999999999999999",
        "0.1e310",
        "5e-324",
    ] {
        assert_eq!(Decimal::parse(text), Err(DecimalError::OutOfRange), "{text}");
    }
    let digits = "1".repeat(41);
    assert_eq!(Decimal::parse(&digits), Err(DecimalError::TooManyDigits));
    assert!(Decimal::parse(&"1".repeat(40)).is_ok());
    assert_eq!(
        Decimal::parse(&format!("1{}", "0".repeat(50))),
        Ok(number("1e50"))
    );
    assert_eq!(
        Decimal::parse(&format!("0.{}1", "0".repeat(99))),
        Ok(number("1e-100"))
    );
}

#[test]
fn one_number_has_one_form() {
    for (left, right) in [
        ("1", "1.0"),
        ("1", "10e-1"),
        ("0", "-0.0"),
        ("0", "0e99"),
        ("120", "1.2E+2"),
        ("-5e-1", "-0.5"),
    ] {
        assert_eq!(number(left), number(right), "{left} {right}");
    }
    assert_eq!(Decimal::from_u64(u64::MAX), number("18446744073709551615"));
    assert_eq!(Decimal::from_i64(i64::MIN), number("-9223372036854775808"));
    assert_eq!(number("18446744073709551615").to_u64(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").to_u64(), None);
    assert_eq!(number("1e300").to_u64(), None);
    assert_eq!(number("0.5").to_u64(), None);
    assert_eq!(number("-1").to_u64(), None);
}

#[test]
fn the_nearest_double_is_known_exactly() {
    let tenth = number("0.1").nearest_double_decimal();
    assert!(tenth > number("0.1"));
    assert!(tenth > number("0.1000000000000000055511151231257827"));
    assert!(tenth < number("0.1000000000000000055511151231257828"));
    assert_eq!(
        number("9007199254740993").nearest_double_decimal(),
        number("9007199254740992")
    );
    assert_eq!(number("0.5").nearest_double_decimal(), number("0.5"));
    assert_eq!(number("-0.25").nearest_double_decimal(), number("-0.25"));
    // The nearest double lies below the smallest number that is read.
    assert!(number("1e-308").nearest_double_decimal() < number("1e-308"));
    assert!(number("1e308").nearest_double_decimal() > number("1e308"));
}

#[test]
fn amounts_are_rounded_against_the_call() {
    let amount = |billionths| Amount::from_billionths(billionths);
    for (text, ceil, floor) in [
        ("0", amount(0), amount(0)),
        ("1", amount(1_000_000_000), amount(1_000_000_000)),
        ("0.0000000011", amount(2), amount(1)),
        ("1e-300", amount(1), amount(0)),
        ("1e-10", amount(1), amount(0)),
        (
            "123456789.987654321",
            amount(123_456_789_987_654_321),
            amount(123_456_789_987_654_321),
        ),
        ("1e28", Some(Amount::MAX), Some(Amount::MAX)),
        (
            "10000000000000000000000000000.0000000001",
            None,
            Some(Amount::MAX),
        ),
        ("1e29", None, None),
        ("1e308", None, None),
        ("-1", None, None),
        ("-1e-300", None, None),
    ] {
        assert_eq!(number(text).amount_ceil(), ceil, "ceil {text}");
        assert_eq!(number(text).amount_floor(), floor, "floor {text}");
    }
}

#[test]
fn a_budget_counts_the_larger_reading() {
    for (text, counted) in [
        ("0.1", "0.1"),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740995", "9007199254740996"),
        ("99.99999999999999999", "100"),
        ("2251799813685249.3", "2251799813685249.5"),
        ("2251799813685249.2", "2251799813685249.2"),
    ] {
        assert_eq!(
            number(text).amount_counted().unwrap().to_string(),
            counted,
            "{text}"
        );
    }
}

/// A numeral and what it is in units of 10^-12.
fn small() -> impl Strategy<Value = (String, i128)> {
    (any::<i64>(), 0_u32..=12, 0_usize..4, 0_i32..=6).prop_map(|(mantissa, decimals, zeros, shift)| {
        // Spelled as a decimal with `decimals` decimals, then moved by an exponent.
        let digits = format!("{:0>20}", mantissa.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - decimals as usize);
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let sign = if mantissa < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        let zeros = if fraction.is_empty() {
            String::new()
        } else {
            "0".repeat(zeros)
        };
        let text = format!("{sign}{whole}{point}{fraction}{zeros}e{shift}");
        let value = i128::from(mantissa) * 10_i128.pow(12 - decimals) * 10_i128.pow(shift.unsigned_abs());
        (text, value)
    })
}

proptest! {
    #[test]
    fn decimals_are_ordered_as_integers_are((left, l) in small(), (right, r) in small()) {
        prop_assert_eq!(number(&left).cmp(&number(&right)), l.cmp(&r), "{} {}", left, right);
    }

    #[test]
    fn near_neighbours_are_ordered((text, value) in small(), step in -3_i128..=3) {
        let other = value + step;
        let spelled = format!("{other}e-12");
        prop_assert_eq!(number(&text).cmp(&number(&spelled)), value.cmp(&other), "{} {}", text, spelled);
    }

    #[test]
    fn what_is_printed_reads_back(mantissa in "-?[1-9][0-9]{0,39}", exponent in -300_i32..=268) {
        let parsed = number(&format!("{mantissa}e{exponent}"));
        prop_assert_eq!(number(&parsed.to_string()), parsed);
    }

    #[test]
    fn the_nearest_double_is_the_one_that_is_parsed(mantissa in "-?[1-9][0-9]{0,39}", exponent in -340_i32..=268) {
        let text = format!("{mantissa}e{exponent}");
        if let Ok(parsed) = Decimal::parse(&text) {
            prop_assert_eq!(parsed.nearest_double().to_bits(), text.parse::<f64>().unwrap().to_bits());
            let exact = parsed.nearest_double_decimal();
            prop_assert_eq!(exact.nearest_double().to_bits(), parsed.nearest_double().to_bits());
        }
    }

    #[test]
    fn doubles_that_are_integers_are_exact(value in any::<u64>()) {
        let double = value as f64;
        let exact = number(&format!("{double:.0}"));
        prop_assert_eq!(Decimal::from_u64(value).nearest_double_decimal(), exact);
    }

    #[test]
    fn amounts_agree_with_integers((text, value) in small()) {
        let number = number(&text);
        if value < 0 {
            prop_assert_eq!(number.amount_ceil(), None);
        } else {
            let floor = u128::try_from(value / 1_000).unwrap();
            let ceil = u128::try_from((value + 999) / 1_000).unwrap();
            prop_assert_eq!(number.amount_floor(), Amount::from_billionths(floor));
            prop_assert_eq!(number.amount_ceil(), Amount::from_billionths(ceil));
            prop_assert!(number.amount_counted() >= number.amount_ceil());
        }
    }

    #[test]
    fn anything_is_read_or_refused_but_never_panics(text in "[-+0-9.eE]{0,60}") {
        let read = Decimal::parse(&text);
        if let Ok(number) = read {
            let _ = (number.amount_ceil(), number.amount_floor(), number.amount_counted(), number.to_u64());
        }
    }
}
