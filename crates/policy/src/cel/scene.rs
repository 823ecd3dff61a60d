//! What stands around a call, as an expression's variables.

use callgate_core::condition::CheckInput;
use callgate_core::json::Json;
use std::borrow::Cow;

/// The days of 400 years of the Gregorian calendar.
const ERA_DAYS: u64 = 146_097;
/// Day 0 of the Unix epoch was a Thursday.
const WEEKDAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];

/// A variable; `None` where the call has no such thing.
pub(super) fn variable<'a>(name: &str, input: &CheckInput<'a>) -> Option<Json<'a>> {
    let scene = input.scene;
    let members = match name {
        "args" | "params" => {
            return Some(
                input
                    .arguments
                    .cloned()
                    .unwrap_or_else(|| Json::Object(Vec::new())),
            );
        }
        "uri" | "name" => return input.arguments.and_then(|params| params.get(name)).cloned(),
        "caller" => vec![
            ("label", Some(text(&scene.caller.label))),
            ("subject", scene.caller.subject.as_deref().map(text)),
            ("grant", Some(text(scene.caller.grant.as_str()))),
            ("claims", Some(scene.caller.claims.clone())),
        ],
        "tool" => vec![
            ("name", input.tool.map(text)),
            (
                "class",
                input.listed.and_then(|listed| listed.class.as_deref()).map(text),
            ),
            (
                "annotations",
                input.listed.map(|listed| listed.annotations.clone()),
            ),
        ],
        "session" => vec![("id", scene.session.map(|session| text(session.as_str())))],
        "time" => time(scene.now.0 / 1_000),
        "server" => vec![("name", Some(text(scene.server.as_str())))],
        _ => return None,
    };
    let present = members
        .into_iter()
        .filter_map(|(key, value)| Some((Cow::Borrowed(key), value?)));
    Some(Json::Object(present.collect()))
}

fn text(text: &str) -> Json<'_> {
    Json::String(Cow::Borrowed(text))
}

/// `seconds` since the Unix epoch, UTC, taken apart.
fn time(seconds: u64) -> Vec<(&'static str, Option<Json<'static>>)> {
    let number = |value: u64| Some(Json::Number(Cow::Owned(value.to_string())));
    let days = seconds / 86_400;
    let weekday = usize::try_from(days % 7).ok().and_then(|day| WEEKDAYS.get(day));
    vec![
        ("unix", number(seconds)),
        ("hour", number(seconds / 3_600 % 24)),
        ("minute", number(seconds / 60 % 60)),
        ("weekday", weekday.map(|day| text(day))),
        ("date", Some(Json::String(Cow::Owned(date(days))))),
    ]
}

/// The date of a day since the epoch, as ISO 8601 writes it.
fn date(days: u64) -> String {
    // Years from 1 March on end with their leap day; 719,468 days lie between 1 March of the year 0 and the epoch.
    let shifted = days.saturating_add(719_468);
    let (era, day) = (shifted / ERA_DAYS, shifted % ERA_DAYS);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        for (days, wanted) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_723, "2024-01-01"),
            (20_778, "2026-11-21"),
        ] {
            assert_eq!(date(days), wanted);
        }
    }
}
