//! What a bare word of YAML means, by the core schema of YAML 1.2.

use crate::tree::Value;

/// Why a bare word is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclear {
    pub(crate) message: &'static str,
    pub(crate) hint: &'static str,
}

/// What a bare word means.
pub(crate) fn resolve(word: &str) -> Result<Value, Unclear> {
    Ok(match word {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Err(NOT_FINITE),
        _ => {
            let unsigned = word.trim_start_matches(['+', '-']);
            if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
                return Err(NOT_FINITE);
            }
            let radix = unsigned
                .strip_prefix("0x")
                .or_else(|| unsigned.strip_prefix("0o"));
            if radix.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit()))
            {
                return Err(Unclear {
                    message: "numbers are written in decimal",
                    hint: "write it in decimal, or in quotes where it is a string",
                });
            }
            match numeral(word) {
                Some(Numeral::Plain(text)) => Value::Number(text),
                Some(Numeral::LeadingZero) => {
                    return Err(Unclear {
                        message: "a number with leading zeros is octal to some tools and decimal to others",
                        hint: "drop the zeros, or put it in quotes where it is a string",
                    });
                }
                None => Value::String(word.into()),
            }
        }
    })
}

const NOT_FINITE: Unclear = Unclear {
    message: "only finite numbers can be compared or counted",
    hint: "put it in quotes where it is a string",
};

/// A number's spelling, brought to that of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Numeral {
    Plain(Box<str>),
    LeadingZero,
}

/// Reads `[-+]? digits [. digits] [e [-+] digits]`, either side of the point being optional.
pub(crate) fn numeral(word: &str) -> Option<Numeral> {
    let (sign, rest) = match word.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (rest.get(..at)?, Some(rest.get(at + 1..)?)),
        None => (rest, None),
    };
    let (whole, decimals) = match mantissa.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (mantissa, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !decimals.is_none_or(digits) {
        return None;
    }
    if whole.is_empty() && decimals.is_none_or(str::is_empty) {
        return None;
    }
    if let Some(exponent) = exponent {
        let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if bare.is_empty() || !digits(bare) {
            return None;
        }
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Some(Numeral::LeadingZero);
    }
    let mut text = String::from(sign);
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if let Some(decimals) = decimals.filter(|decimals| !decimals.is_empty()) {
        text.push('.');
        text.push_str(decimals);
    }
    if let Some(exponent) = exponent {
        text.push('e');
        text.push_str(exponent);
    }
    Some(Numeral::Plain(text.into()))
}

/// Whether a bare word reads back as the string that it is.
pub(crate) fn resolves_to_string(word: &str) -> bool {
    matches!(resolve(word), Ok(Value::String(_))) && !is_boolean_word(word)
}

/// Words that are booleans in YAML 1.1 and strings in YAML 1.2.
pub(crate) fn is_boolean_word(word: &str) -> bool {
    ["yes", "no", "on", "off"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_mean_what_the_core_schema_says() {
        let number = |text: &str| Ok(Value::Number(text.into()));
        let string = |text: &str| Ok(Value::String(text.into()));
        let table = [
            ("~", Ok(Value::Null)),
            ("True", Ok(Value::Bool(true))),
            ("yes", string("yes")),
            ("off", string("off")),
            ("12", number("12")),
            ("+12", number("12")),
            ("-0.50", number("-0.50")),
            (".5", number("0.5")),
            ("5.", number("5")),
            ("1E3", number("1e3")),
            (
                "123456789012345678901234567890.5",
                number("123456789012345678901234567890.5"),
            ),
            ("1_000", string("1_000")),
            ("10/hour", string("10/hour")),
            ("1.2.3", string("1.2.3")),
            ("e5", string("e5")),
            (".", string(".")),
            ("-", string("-")),
            ("0x", string("0x")),
        ];
        for (word, wanted) in table {
            assert_eq!(resolve(word), wanted, "{word}");
        }
        for word in ["010", "0x1F", "0o17", ".inf", "-.Inf", ".nan"] {
            assert!(resolve(word).is_err(), "{word}");
        }
    }
}
