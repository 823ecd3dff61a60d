//! What a gate says while it runs: lines for people, or one JSON object a line.
//!
//! Either way it goes to stderr, and holds no argument's value and no secret.

use crate::args::{LogFormat, LogLevel};
use crate::words::stderr_has_colour;
use callgate_gateway::link::child::Stderr;
use callgate_policy::{Diagnostic, Severity};
use serde_json::Value;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// The format that was chosen; text until one was.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Begins to log. What was begun first stays.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    if FORMAT.set(format).is_err() {
        return;
    }
    let level = match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(stderr_has_colour() && format == LogFormat::Text);
    // In detail, the client of authorization servers tells codes, and what came with tokens.
    let quiet = level.min(Level::WARN);
    let targets = Targets::new()
        .with_default(level)
        .with_targets([("rmcp", quiet), ("oauth2", quiet)]);
    match format {
        LogFormat::Text => drop(subscriber.finish().with(targets).try_init()),
        LogFormat::Json => {
            drop(subscriber.event_format(Json).finish().with(targets).try_init());
            std::panic::set_hook(Box::new(|panic| {
                let at = panic.location().map(ToString::to_string).unwrap_or_default();
                line(Level::ERROR, "a thread ended by a panic", &[("at", at.into())]);
            }));
        }
    }
}

/// Whether lines are JSON.
pub(crate) fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// What becomes of what servers write to stderr: between objects it would stand as it is.
pub(crate) fn stderr_of_servers() -> Stderr {
    if is_json() {
        Stderr::Told
    } else {
        Stderr::Inherited
    }
}

/// Writes an object. A closed stderr is no reason to end.
pub(crate) fn line(level: Level, message: &str, fields: &[(&'static str, Value)]) {
    let mut object = Object::begin(level, message);
    for (name, value) in fields {
        object.add(name, value);
    }
    let _ = writeln!(std::io::stderr().lock(), "{}", object.end());
}

/// A finding as an object: where it is, and none of the text that it is in.
pub(crate) fn finding(file: &str, found: &Diagnostic) {
    let level = match found.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARN,
    };
    let mut fields = vec![
        ("code", found.code.slug().into()),
        ("file", file.into()),
        ("line", found.span.line.into()),
        ("column", found.span.column.into()),
    ];
    fields.extend(found.hint.as_deref().map(|hint| ("hint", hint.into())));
    line(level, &found.message, &fields);
}

/// An object that is being written. Its first members are `time`, `level` and `message`.
struct Object(String);

impl Object {
    fn begin(level: Level, message: &str) -> Self {
        let mut time = String::new();
        // It fails where the string cannot grow, which ends the process.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let mut object = Self("{".to_owned());
        object.add("time", &time.into());
        object.add("level", &level.as_str().to_ascii_lowercase().into());
        object.add("message", &message.into());
        object
    }

    fn add(&mut self, name: &str, value: &Value) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}{}:{value}", Value::from(name));
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Formats events as objects.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut members = Members::default();
        event.record(&mut members);
        let mut object = Object::begin(*event.metadata().level(), &members.message);
        for (name, value) in &members.others {
            object.add(name, value);
        }
        writeln!(writer, "{}", object.end())
    }
}

/// What an event holds.
#[derive(Default)]
struct Members {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Members {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.push((field.name(), value));
    }
}

impl Visit for Members {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_stands_on_one_line_and_nothing_in_it_forges_a_member() {
        let mut object = Object::begin(Level::WARN, "first\nsecond\",\"level\":\"error");
        object.add("cause", &"\u{1b}[31m\u{7f}\r\n".into());
        let text = object.end();
        assert!(!text.contains(['\n', '\r', '\u{1b}']), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["level"], "warn");
        assert_eq!(read["message"], "first\nsecond\",\"level\":\"error");
        assert_eq!(read["cause"], "\u{1b}[31m\u{7f}\r\n");
        assert_eq!(read.as_object().unwrap().len(), 4);
    }
}
