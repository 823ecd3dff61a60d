//! Times as people write them: RFC 3339 in UTC, to the second.

use anyhow::{Context, bail};
use callgate_core::call::WallTime;

const DAY: u64 = 86_400;

/// Reads `2026-01-05T09:00:00Z`, or a date alone.
pub(crate) fn parse(text: &str) -> anyhow::Result<WallTime> {
    read(text).with_context(|| format!("`{text}` is no time such as 2026-01-05T09:00:00Z"))
}

fn read(text: &str) -> anyhow::Result<WallTime> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let Some(time) = time.strip_suffix('Z') else {
        bail!("it has to end with `Z`, for UTC");
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    if hour > 23 || minute > 59 || second > 59 || !(1970..=9999).contains(&year) {
        bail!("it does not exist");
    }
    let days = days_since_epoch(year, month, day).context("the date does not exist")?;
    let seconds = days * DAY + hour * 3_600 + minute * 60 + second;
    Ok(WallTime(seconds * 1_000))
}

fn numbers(text: &str, separator: char) -> anyhow::Result<[u64; 3]> {
    let parts: Vec<u64> = text
        .split(separator)
        .map(|part| {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                bail!("`{part}` is no number");
            }
            Ok(part.parse()?)
        })
        .collect::<anyhow::Result<_>>()?;
    <[u64; 3]>::try_from(parts).map_err(|_| anyhow::anyhow!("it has three parts"))
}

const fn is_leap(year: u64) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn month_days(year: u64) -> [u64; 12] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let months = month_days(year);
    if day == 0 || day > *months.get(index)? {
        return None;
    }
    let years: u64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    Some(years + months.iter().take(index).sum::<u64>() + day - 1)
}

/// Reads `30s`, `15m`, `6h`, `1d`, `250ms`, or seconds, into nanoseconds.
pub(crate) fn duration(text: &str) -> Option<u64> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let unit: u64 = match unit.trim() {
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut nanos = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.chars() {
        place /= 10;
        nanos = nanos.checked_add(place.checked_mul(u64::from(digit.to_digit(10)?))?)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_utc() {
        let cases = [
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:01Z", Some(1)),
            ("2026-01-05T09:00:00Z", Some(1_767_603_600)),
            ("2024-02-29 23:59:59Z", Some(1_709_251_199)),
            ("2025-02-29", None),
            ("2026-13-01", None),
            ("2026-01-05T09:00:00+01:00", None),
            ("2026-01-05T24:00:00Z", None),
            ("1969-12-31", None),
            ("now", None),
        ];
        for (text, wanted) in cases {
            let found = parse(text).ok().map(|time| time.0 / 1_000);
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn durations_have_units() {
        let cases = [
            ("30s", Some(30_000_000_000)),
            ("90", Some(90_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("250ms", Some(250_000_000)),
            ("2m", Some(120_000_000_000)),
            ("1d", Some(86_400_000_000_000)),
            ("s", None),
            ("5 weeks", None),
            ("-1s", None),
            ("99999999999999999999s", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(duration(text), wanted, "{text}");
        }
    }
}
