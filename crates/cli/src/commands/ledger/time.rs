//! Points in time as people write and read them: UTC, of the proleptic Gregorian calendar.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;
/// Years of more digits are no dates of records.
const YEAR_MAX: u64 = 9999;

/// Microseconds since the Unix epoch, as records have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Micros(pub(crate) u64);

/// Since when: a point in time, or so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// A point in time.
    At(Micros),
    /// So long before now.
    Ago(Duration),
}

impl Since {
    /// The point in time.
    pub(crate) fn micros(self) -> Micros {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Micros(whole(now.saturating_sub(ago)))
            }
        }
    }
}

fn whole(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Reads `90s`, `15m`, `6h`, `2d`, `1w`, or a date of UTC with or without a time.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    let unknown = || {
        format!(
            "`{text}` is no time; write 90s, 15m, 6h or 2d for so long ago, or a date such as 2026-11-21 or 2026-11-21T14:30Z (UTC)"
        )
    };
    ago(text)
        .map(Since::Ago)
        .or_else(|| date(text).map(Since::At))
        .ok_or_else(unknown)
}

fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

fn date(text: &str) -> Option<Micros> {
    let (day, clock) = match text.split_once(['T', ' ']) {
        Some((day, clock)) => (day, clock.strip_suffix('Z').unwrap_or(clock)),
        None => (text, "00:00"),
    };
    let mut parts = day.split('-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let days = days_since_epoch(year, month, day)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut times = clock.split(':').map(number);
    let (hour, minute) = (times.next()??, times.next()??);
    let second = times.next().unwrap_or(Some(0))?;
    let whole = parts.next().is_none() && times.next().is_none();
    let fraction = match fraction {
        "" => 0,
        digits if digits.len() <= 6 => number(&format!("{digits:0<6}"))?,
        _ => return None,
    };
    (whole && hour < 24 && minute < 60 && second < 60)
        .then(|| Micros(days * DAY + (hour * 3_600 + minute * 60 + second) * SECOND + fraction))
}

fn number(digits: &str) -> Option<u64> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let good = (1970..=YEAR_MAX).contains(&year) && (1..=12).contains(&month) && day >= 1;
    let days = good.then(|| days_before(year, month) + day - 1)?;
    let next = days_before(year + month / 12, month % 12 + 1);
    (days < next).then_some(days)
}

/// Days from the epoch to the first of a month. Years begin in March here, so that leap days end them.
fn days_before(year: u64, month: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 - 719_468
}

impl Micros {
    /// Year, month and day.
    fn calendar(self) -> (u64, u64, u64) {
        let days = self.0 / DAY;
        let mut year = 1970 + days / 366;
        while days_before(year + 1, 1) <= days {
            year += 1;
        }
        let mut month = 1;
        while month < 12 && days_before(year, month + 1) <= days {
            month += 1;
        }
        (year, month, days - days_before(year, month) + 1)
    }

    /// How long before `self` another time was.
    pub(crate) fn since(self, before: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(before.0))
    }
}

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.calendar();
        let millis = self.0 % DAY / 1_000;
        let (hour, minute, second) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}Z",
            millis % 1_000
        )
    }
}

/// A length of time in two or three figures.
pub(crate) fn short(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
        60_000_000..3_600_000_000 => format!("{} min", micros / 60_000_000),
        3_600_000_000..172_800_000_000 => format!("{} h", micros / 3_600_000_000),
        _ => format!("{} d", micros / 86_400_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        // What `date -u -d … +%s` says.
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("1999-12-31T23:59:59Z", 946_684_799),
            ("2000-02-29", 951_782_400),
            ("2026-11-21 02:53:57", 1_795_229_637),
            ("2100-03-01", 4_107_542_400),
            ("2400-02-29T12:00", 13_574_606_400_u64),
        ] {
            let Ok(Since::At(at)) = since(text) else {
                panic!("{text} is a date");
            };
            assert_eq!(at.0, seconds * SECOND, "{text}");
            let shown = at.to_string();
            assert_eq!(since(&shown), Ok(Since::At(at)), "{shown}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_has_one_date() {
        for day in 0..146_097 * 2 {
            let (year, month, date) = Micros(day * DAY).calendar();
            assert_eq!(days_since_epoch(year, month, date), Some(day));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "h",
            "-1h",
            "2h30m",
            "2026-13-01",
            "2026-02-29",
            "2026-11-21T24:00",
            "2026-11-21T1",
            "21.11.2026",
            "2026-11-21-1",
        ] {
            assert!(since(text).is_err(), "{text}");
        }
        assert_eq!(since("90s"), Ok(Since::Ago(Duration::from_secs(90))));
    }

    #[test]
    fn lengths_have_few_figures() {
        let cases = [
            (412, "412 µs"),
            (1_234, "1.2 ms"),
            (56_789, "56 ms"),
            (2_345_678, "2.3 s"),
            (120_000_000, "2 min"),
        ];
        for (micros, text) in cases {
            assert_eq!(short(Duration::from_micros(micros)), text);
        }
    }
}
