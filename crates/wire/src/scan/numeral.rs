//! Numbers: their grammar, and which of them every parser reads alike.

/// Significant digits (leading and trailing zeros do not count) that a number may have.
const DIGITS_MAX: usize = 40;
/// The largest power of ten, either way, as written and as it is.
const EXPONENT_MAX: i64 = 308;

/// A digit is missing at this offset.
pub(crate) struct DigitMissing {
    pub(crate) at: usize,
}

/// The length of the number at the start, by the grammar of RFC 8259 section 6.
pub(crate) fn length(rest: &[u8]) -> Result<usize, DigitMissing> {
    let mut at = usize::from(rest.first() == Some(&b'-'));
    at = match rest.get(at) {
        Some(b'0') => at + 1,
        _ => digits(rest, at)?,
    };
    if rest.get(at) == Some(&b'.') {
        at = digits(rest, at + 1)?;
    }
    if let Some(b'e' | b'E') = rest.get(at) {
        let signed = matches!(rest.get(at + 1), Some(b'+' | b'-'));
        at = digits(rest, at + 1 + usize::from(signed))?;
    }
    Ok(at)
}

/// The end of the digits that begin at `from`; at least one.
fn digits(rest: &[u8], from: usize) -> Result<usize, DigitMissing> {
    let count = rest
        .get(from..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        Err(DigitMissing { at: from })
    } else {
        Ok(from + count)
    }
}

/// Whether a number of valid grammar has at most 40 significant digits, an exponent within ±308 (as written
/// and in scientific notation), and lies in the range of a double.
pub(crate) fn is_read_alike(numeral: &str) -> bool {
    let unsigned = numeral.strip_prefix('-').unwrap_or(numeral);
    if unsigned.len() <= DIGITS_MAX && !unsigned.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return true;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let Some(exponent) = written_exponent(exponent) else {
        return false;
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = whole.len() + fraction.len();
    let digits = || whole.bytes().chain(fraction.bytes());
    let leading = digits().take_while(|digit| *digit == b'0').count();
    if leading == all {
        return true;
    }
    let leading_zeros = leading;
    let trailing = digits().rev().take_while(|digit| *digit == b'0').count();
    if all - leading - trailing > DIGITS_MAX {
        return false;
    }
    let (Ok(whole), Ok(leading)) = (i64::try_from(whole.len()), i64::try_from(leading)) else {
        return false;
    };
    let scientific = exponent + whole - leading - 1;
    scientific.abs() < EXPONENT_MAX
        || scientific == -EXPONENT_MAX
        || (scientific == EXPONENT_MAX && is_below_the_top(digits().skip(leading_zeros)))
}

/// The largest double, as every parser reads it.
const LARGEST: &[u8] = b"17976931348623157";
/// Above this (still below the largest double) parsers that round twice overflow where others do not.
const SAFE_TOP: &[u8] = b"1797693134862315";

/// Whether digits times a power that makes them at least 1e308 are a double to every parser.
fn is_below_the_top(digits: impl Iterator<Item = u8> + Clone) -> bool {
    digits.clone().eq(LARGEST.iter().copied()) || digits.lt(SAFE_TOP.iter().copied())
}

/// The exponent as written, if it is within bounds.
fn written_exponent(exponent: &str) -> Option<i64> {
    let value: i64 = exponent.parse().ok()?;
    (value.abs() <= EXPONENT_MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::is_read_alike;

    #[test]
    fn numbers_that_every_parser_reads_alike() {
        for numeral in [
            "0",
            "-0",
            "1",
            "-1",
            "0.1",
            "1e2",
            "1E+2",
            "1e-7",
            "123456789012345678901234567890",
            "1e308",
            "-1.7976931348623157e308",
            "1e-308",
            "1.797693134862314e308",
            "17976931348623157E+292",
            "0e308",
            "0.000",
            "1.50000000000000000000000000000000000000000000000000",
            "1234567890123456789012345678901234567890",
            "0.1e-307",
            "1e0000000000000000010",
        ] {
            assert!(is_read_alike(numeral), "{numeral}");
        }
    }

    #[test]
    fn numbers_that_parsers_may_read_differently() {
        for numeral in [
            "1e309",
            "1e400",
            "-1e400",
            "1.8e308",
            "1797693134862315731e290",
            "1.7976931348623158e308",
            "1.79769313486231570e308",
            "-1.7976931348623155e308",
            "1e-309",
            "0.1e-308",
            "10e308",
            "0e400",
            "1e99999999999999999999",
            "12345678901234567890123456789012345678901",
            "0.12345678901234567890123456789012345678901",
        ] {
            assert!(!is_read_alike(numeral), "{numeral}");
        }
        let long = format!("1{}", "0".repeat(309));
        assert!(!is_read_alike(&long));
    }
}
