//! Numbers with a meaning: windows, durations, amounts, counts.

use super::context::{Context, Fields, join};
use crate::bounds::WINDOW_SECONDS_MAX;
use crate::diagnostic::{Code, Findings};
use crate::tree::{Node, Value};
use callgate_core::amount::Amount;
use callgate_core::decimal::Decimal;
use std::time::Duration;

/// The words for windows.
const WINDOW_WORDS: [(&str, u64); 3] = [("minute", 60), ("hour", 3_600), ("day", 86_400)];

/// The seconds that `90s`, `15m`, `6h` or `1d` stand for.
fn suffixed(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse::<u64>().ok()?.checked_mul(factor))?
}

impl Findings {
    /// A duration under `key`, from one second to `seconds_max`.
    pub fn duration(&mut self, fields: Fields<'_>, key: &str, seconds_max: u64) -> Option<Duration> {
        let node = fields.value(key)?;
        let pointer = join(fields.pointer, key);
        let seconds = match &node.value {
            Value::Number(numeral) => whole_seconds(numeral),
            Value::String(text) => suffixed(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_type(
                    node,
                    &pointer,
                    &format!("`{key}` is a duration"),
                    "write `30s`, `5m` or `1h`",
                );
                return None;
            }
        };
        match seconds {
            Some(seconds) if (1..=seconds_max).contains(&seconds) => Some(Duration::from_secs(seconds)),
            Some(_) => {
                self.error(
                    Code::Duration,
                    node.span,
                    &pointer,
                    format!("`{key}` lasts from 1 to {seconds_max} seconds"),
                )
                .hint("write it as `30s`, `5m` or `1h`");
                None
            }
            None => {
                self.error(Code::Duration, node.span, &pointer, "this is no duration")
                    .hint("write whole seconds, or `30s`, `5m`, `1h`");
                None
            }
        }
    }
}

/// The seconds of a window's word or shorthand.
pub(crate) fn window_seconds(text: &str) -> Option<u64> {
    WINDOW_WORDS
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, seconds)| *seconds)
        .or_else(|| suffixed(text))
}

/// What a window is called in the names of counters.
pub(crate) fn window_name(seconds: u64) -> String {
    WINDOW_WORDS
        .iter()
        .find(|(_, length)| *length == seconds)
        .map_or_else(|| format!("{seconds}s"), |(word, _)| (*word).to_owned())
}

fn whole_seconds(numeral: &str) -> Option<u64> {
    Decimal::parse(numeral).ok()?.to_u64()
}

impl Context<'_> {
    /// A window in seconds, checked against its bounds.
    pub(crate) fn window(&mut self, node: &Node, pointer: &str) -> Option<u64> {
        let seconds = match &node.value {
            Value::Number(numeral) => whole_seconds(numeral),
            Value::String(text) => window_seconds(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_type(
                    node,
                    pointer,
                    "a window is a word or a number of seconds",
                    "write `minute`, `hour`, `day`, `90s` or `60`",
                );
                return None;
            }
        };
        match seconds {
            Some(seconds) if (1..=WINDOW_SECONDS_MAX).contains(&seconds) => Some(seconds),
            Some(_) => {
                self.findings
                    .error(
                        Code::Window,
                        node.span,
                        pointer,
                        "a window lasts from 1 second to 366 days",
                    )
                    .hint("use `minute`, `hour`, `day`, or `90s`, `15m`, `6h`, `30d`");
                None
            }
            None => {
                self.findings
                    .error(Code::Window, node.span, pointer, "this is no window")
                    .hint("use `minute`, `hour`, `day`, whole seconds, or `90s`, `15m`, `6h`, `30d`");
                None
            }
        }
    }

    /// A duration under `key`, at most `seconds_max`.
    pub(crate) fn duration(&mut self, fields: Fields<'_>, key: &str, seconds_max: u64) -> Option<Duration> {
        self.findings.duration(fields, key, seconds_max)
    }

    /// A number, exact.
    pub(crate) fn decimal(&mut self, node: &Node, pointer: &str, called: &str) -> Option<Decimal> {
        let Value::Number(numeral) = &node.value else {
            self.findings
                .error(
                    Code::WrongType,
                    node.span,
                    pointer,
                    format!("{called} is a number, and this is {}", node.type_name()),
                )
                .maybe(unquoted(node));
            return None;
        };
        match Decimal::parse(numeral) {
            Ok(number) => Some(number),
            Err(error) => {
                self.findings
                    .error(
                        Code::Number,
                        node.span,
                        pointer,
                        format!("this number is not kept exactly: {error}"),
                    )
                    .hint("use at most 40 digits and an exponent within 308");
                None
            }
        }
    }

    /// An amount above zero.
    pub(crate) fn amount(&mut self, node: &Node, pointer: &str, called: &str) -> Option<Amount> {
        let number = self.decimal(node, pointer, called)?;
        let exact = match (number.amount_floor(), number.amount_ceil()) {
            (Some(below), Some(above)) if below == above => Some(below),
            (Some(_) | None, Some(_) | None) => None,
        };
        if number.is_negative() || exact == Some(Amount::ZERO) {
            self.findings
                .error(
                    Code::Amount,
                    node.span,
                    pointer,
                    format!("{called} has to be above zero"),
                )
                .hint("use `action: deny` in `rules` to deny every call");
            return None;
        }
        if exact.is_none() {
            self.findings
                .error(
                    Code::Amount,
                    node.span,
                    pointer,
                    format!("{called} is more than a limit can hold"),
                )
                .hint("use at most 9 decimals, and at most 10^28");
        }
        exact
    }

    /// A whole number above zero.
    pub(crate) fn count(&mut self, node: &Node, pointer: &str, called: &str) -> Option<u64> {
        let number = self.decimal(node, pointer, called)?;
        let count = number.to_u64().filter(|count| *count > 0);
        if count.is_none() {
            self.findings
                .error(
                    Code::Amount,
                    node.span,
                    pointer,
                    format!("{called} is a whole number above zero"),
                )
                .hint("use `action: deny` to deny every call");
        }
        count
    }
}

fn unquoted(node: &Node) -> Option<String> {
    let text = node.text()?;
    Decimal::parse(text)
        .ok()
        .map(|_| format!("write {text} without quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_words_and_shorthands() {
        let table = [
            ("minute", Some(60)),
            ("hour", Some(3_600)),
            ("day", Some(86_400)),
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("6h", Some(21_600)),
            ("30d", Some(2_592_000)),
            ("week", None),
            ("m", None),
            ("-1s", None),
            ("1.5h", None),
            ("99999999999999999999d", None),
            ("999999999999999999d", None),
        ];
        for (text, seconds) in table {
            assert_eq!(window_seconds(text), seconds, "{text}");
        }
    }
}
