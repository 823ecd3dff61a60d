//! From a path to the values it leads to.

use super::eval::Facts;
use super::{EvalError, Polarity, Truth};
use crate::json::Json;
use crate::path::{Path, Root, Segment};
use std::borrow::Cow;

/// Asks `test` about each value that `path` leads to; `None` where there is none.
///
/// What `polarity` says of several values joins the answers. A step into a value that is no object or array
/// is an error rather than missing: a server may read a string as the object it spells.
pub(crate) fn each_value<F>(
    facts: &Facts<'_>,
    path: &Path,
    operator: &'static str,
    polarity: Polarity,
    test: &mut F,
) -> Truth
where
    F: FnMut(Option<&Json<'_>>) -> Truth,
{
    let walk = Walk {
        path,
        operator,
        polarity,
    };
    let input = &facts.input;
    let (root, segments) = (path.root, path.segments.as_slice());
    match (root, input.tool) {
        (Root::Args, Some(_)) | (Root::Params, None) => walk.step(input.arguments, segments, test),
        (Root::Args, None) | (Root::Params, Some(_)) => test(None),
        (Root::Caller | Root::Tool | Root::Session | Root::Time | Root::Server, _) => {
            let Some((Segment::Key(key), rest)) = segments.split_first() else {
                return test(None);
            };
            match (root, &**key, input.listed) {
                (Root::Caller, "claims", _) => walk.step(Some(&input.scene.caller.claims), rest, test),
                (Root::Tool, "annotations", Some(listed)) => walk.step(Some(&listed.annotations), rest, test),
                _ => walk.step(fact(facts, root, key).as_ref(), rest, test),
            }
        }
    }
}

struct Walk<'p> {
    path: &'p Path,
    operator: &'static str,
    polarity: Polarity,
}

impl Walk<'_> {
    fn step<F>(&self, value: Option<&Json<'_>>, segments: &[Segment], test: &mut F) -> Truth
    where
        F: FnMut(Option<&Json<'_>>) -> Truth,
    {
        let Some((segment, rest)) = segments.split_first() else {
            return test(value);
        };
        let value = match value {
            None | Some(Json::Null) => return test(None),
            Some(value) => value,
        };
        match (segment, value) {
            (Segment::Key(key), Json::Object(_)) => self.step(value.get(key), rest, test),
            (Segment::Index(index), Json::Array(items)) => self.step(items.get(*index), rest, test),
            (Segment::Each, Json::Array(items)) => {
                let mut truths = items.iter().map(|item| self.step(Some(item), rest, test));
                let Some(first) = truths.next() else {
                    return Truth::Missing;
                };
                truths.fold(first, |left, right| self.polarity.join(left, right))
            }
            (Segment::Key(_), _) => self.wrong_container("an object", value, segments),
            (Segment::Index(_) | Segment::Each, _) => self.wrong_container("an array", value, segments),
        }
    }

    fn wrong_container(&self, wanted: &'static str, found: &Json<'_>, left: &[Segment]) -> Truth {
        let taken = self.path.segments.len().saturating_sub(left.len());
        let prefix = Path {
            root: self.path.root,
            segments: self.path.segments.iter().take(taken).cloned().collect(),
        };
        Truth::Error(EvalError::WrongType {
            path: prefix.to_string().into(),
            operator: self.operator,
            wanted,
            found: article(found),
        })
    }
}

/// What a person calls a value's type, with its article.
pub(crate) const fn article(value: &Json<'_>) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

fn fact<'a>(facts: &Facts<'a>, root: Root, key: &str) -> Option<Json<'a>> {
    let input = &facts.input;
    let text = |text: &'a str| Some(Json::String(Cow::Borrowed(text)));
    match (root, key) {
        (Root::Caller, "label") => text(&input.scene.caller.label),
        (Root::Caller, "subject") => text(input.scene.caller.subject.as_deref()?),
        (Root::Caller, "grant") => text(input.scene.caller.grant.as_str()),
        (Root::Tool, "name") => text(input.tool?),
        (Root::Tool, "class") => text(input.listed?.class.as_deref()?),
        (Root::Session, "id") => text(input.scene.session?.as_str()),
        (Root::Server, "name") => text(input.scene.server.as_str()),
        (Root::Time, key) => time(input.scene.now.0 / 1_000, key),
        _ => None,
    }
}

/// A fact of the time, UTC, `now` in seconds since the Unix epoch.
fn time(now: u64, key: &str) -> Option<Json<'static>> {
    const WEEKDAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];
    let number = |value: u64| Some(Json::Number(Cow::Owned(value.to_string())));
    let days = now / 86_400;
    match key {
        "unix" => number(now),
        "hour" => number(now / 3_600 % 24),
        "minute" => number(now / 60 % 60),
        "weekday" => {
            let weekday = WEEKDAYS.get(usize::try_from(days % 7).ok()?)?;
            Some(Json::String(Cow::Borrowed(weekday)))
        }
        "date" => Some(Json::String(Cow::Owned(date(days)))),
        _ => None,
    }
}

/// The date of a day since the epoch in the Gregorian calendar, as ISO 8601 writes it.
fn date(days: u64) -> String {
    const ERA: u64 = 146_097; // the days of 400 years
    // Years are counted from 1 March, so that a leap day is the last of its year. 719,468 days lie between
    // 1 March of the year 0 and the epoch.
    let shifted = days.saturating_add(719_468);
    let (era, day) = (shifted / ERA, shifted % ERA);
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
