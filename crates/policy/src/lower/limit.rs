//! Limits: entries of `limits`, `rate_limit` in both spellings, `spend`.

use super::context::{ArgumentUse, Context, Fields, Purpose, join};
use super::entry::Subject;
use super::tool::Body;
use super::unit::{window_name, window_seconds};
use crate::bounds::CONCURRENT_MAX;
use crate::diagnostic::Code;
use crate::span::Span;
use crate::tree::{Node, Value};
use crate::vocabulary::{LIMIT, RATE_LIMIT, SPEND};
use callgate_core::amount::Amount;
use callgate_core::condition::{Condition, Operator, Test};
use callgate_core::decimal::Decimal;
use callgate_core::limit::{CalendarUnit, Window};
use callgate_core::name::{CounterName, RuleId};
use callgate_core::path::{Path, Root};
use callgate_core::program::{
    AmountSource, Label, LimitKind, LimitRule, Mode, Rule, RuleKind, Scope, ToolPart,
};
use std::time::Duration;

impl Context<'_> {
    /// One entry of `limits`.
    pub(crate) fn limit(&mut self, node: &Node, pointer: &str, outer: Mode, body: &mut Body) {
        self.count_rule();
        let errors = self.findings.error_count();
        let Some(fields) = self.fields(node, pointer, &LIMIT) else {
            return;
        };
        let label = self.label(fields, outer);
        let scope = self.scope(fields, &body.subject).unwrap_or(Scope::Grant);
        let kind = if fields.has("concurrent") {
            self.concurrent(fields)
        } else {
            self.windowed(fields, &body.subject)
        };
        let given = self.counter_name(fields, "counter");
        let Some(kind) = kind else { return };
        if self.findings.error_count() > errors {
            return;
        }
        let counter = given.or_else(|| CounterName::new(&default_counter(&kind)).ok());
        if let Some(counter) = counter {
            let rule = limit_rule(label, counter, scope, kind, &body.subject);
            self.add_limit(rule, fields.head(), body);
        }
    }

    /// Adds a limit, unless its history is another's already.
    pub(crate) fn add_limit(&mut self, rule: LimitRule, span: Span, body: &mut Body) {
        let concurrent = matches!(rule.kind, LimitKind::Concurrent { .. });
        let key = (
            format!("{:?}", rule.scope),
            rule.counter.as_str().to_owned(),
            concurrent,
        );
        if let Some(other) = body.counters.get(&key) {
            self.findings
                .error(
                    Code::DuplicateCounter,
                    span,
                    rule.label.id.as_str(),
                    format!("the counter `{}` is kept by {other} already", rule.counter),
                )
                .hint("two limits on one counter would count each call twice; give this one a `counter` of its own");
            return;
        }
        body.counters.insert(key, rule.label.id.as_str().to_owned());
        if matches!(rule.scope, Scope::Session) {
            self.findings
                .warn(
                    Code::SessionScope,
                    span,
                    rule.label.id.as_str(),
                    "a new session renews this limit",
                )
                .hint("use `limits` with `scope: grant` to keep it over sessions");
        }
        if let Some(deny) = &body.denied {
            self.findings
                .warn(
                    Code::LimitNeverCounts,
                    span,
                    rule.label.id.as_str(),
                    format!("this limit never counts, because {deny} denies every call"),
                )
                .hint("remove one of them");
        }
        body.tool.limits.push(rule);
    }

    /// The name of a counter; a finding where it is empty or too long.
    pub(crate) fn counter_name(&mut self, fields: Fields<'_>, key: &str) -> Option<CounterName> {
        let (text, span) = self.text(fields, key)?;
        let plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
        match CounterName::new(text) {
            Ok(name) if plain => Some(name),
            Ok(_) => {
                self.findings
                    .error(
                        Code::Empty,
                        span,
                        &join(fields.pointer, key),
                        "a counter needs a name",
                    )
                    .hint("name what it counts, such as `daily_spend`");
                None
            }
            Err(error) => {
                self.findings
                    .error(Code::Empty, span, &join(fields.pointer, key), error.to_string())
                    .hint("name what it counts, such as `daily_spend`");
                None
            }
        }
    }

    fn scope(&mut self, fields: Fields<'_>, subject: &Subject) -> Option<Scope> {
        let (text, span) = self.text(fields, "scope")?;
        let pointer = join(fields.pointer, "scope");
        match text {
            "grant" => Some(Scope::Grant),
            "session" => Some(Scope::Session),
            "tool" => Some(Scope::Tool),
            "server" => Some(Scope::Server),
            "global" => Some(Scope::Global),
            _ if text.contains(['.', '[']) || text == "uri" || text == "name" => {
                let path = self.argument(text, span, &pointer, subject)?;
                self.counts(&path, span, &pointer, subject);
                Some(Scope::Argument(path))
            }
            _ => {
                let near = crate::suggest::nearest(text, ["grant", "session", "tool", "server", "global"]);
                self.findings
                    .error(Code::UnknownWord, span, &pointer, format!("`{text}` is no scope"))
                    .hint(near.map_or_else(
                        || {
                            "it takes grant, session, tool, server, global, or a path such as args.customer"
                                .to_owned()
                        },
                        |near| format!("did you mean `{near}`?"),
                    ));
                None
            }
        }
    }

    /// Remembers an argument that a limit follows.
    pub(crate) fn counts(&mut self, path: &Path, span: Span, pointer: &str, subject: &Subject) {
        if let (Subject::Tool(tool), Root::Args) = (subject, path.root) {
            self.uses.push(ArgumentUse {
                tool: tool.clone(),
                path: path.clone(),
                span,
                pointer: pointer.into(),
                purpose: Purpose::Counts,
            });
        }
    }

    fn concurrent(&mut self, fields: Fields<'_>) -> Option<LimitKind> {
        for key in ["window", "max", "amount", "align"] {
            if let Some(entry) = fields.entry(key) {
                self.findings
                    .error(
                        Code::Conflict,
                        entry.key_span,
                        fields.pointer,
                        format!("`{key}` says nothing beside `concurrent`"),
                    )
                    .hint("make it a limit of its own");
            }
        }
        let node = fields.value("concurrent")?;
        let pointer = join(fields.pointer, "concurrent");
        let count = self.count(node, &pointer, "`concurrent`")?;
        match u32::try_from(count).ok().filter(|count| *count <= CONCURRENT_MAX) {
            Some(max) => Some(LimitKind::Concurrent { max }),
            None => {
                self.findings.error(
                    Code::Amount,
                    node.span,
                    &pointer,
                    format!("`concurrent` may be at most {CONCURRENT_MAX}"),
                );
                None
            }
        }
    }

    fn windowed(&mut self, fields: Fields<'_>, subject: &Subject) -> Option<LimitKind> {
        for key in ["max", "window"] {
            if !fields.has(key) {
                self.findings
                    .error(
                        Code::MissingKey,
                        fields.head(),
                        fields.pointer,
                        format!("a limit needs `{key}`"),
                    )
                    .hint("write `window: minute` and `max: 10`, or `concurrent: 2`");
            }
        }
        let window = fields
            .value("window")
            .and_then(|node| self.window(node, &join(fields.pointer, "window")));
        let max = fields
            .value("max")
            .and_then(|node| self.amount(node, &join(fields.pointer, "max"), "`max`"));
        let amount = match fields.value("amount") {
            None => Some(AmountSource::Fixed(Amount::ONE)),
            Some(node) => self.amount_source(node, fields, subject),
        };
        let (window, max, amount) = (window?, max?, amount?);
        if let (AmountSource::Fixed(cost), Some(node)) = (&amount, fields.value("max"))
            && *cost > max
        {
            self.findings
                .error(
                    Code::NeverMatches,
                    node.span,
                    &join(fields.pointer, "max"),
                    "no call ever fits this limit",
                )
                .hint("a call costs more than `max`");
            return None;
        }
        Some(LimitKind::Window {
            window: self.align(fields, window)?,
            amount,
            max: Some(max),
            min: None,
        })
    }

    fn amount_source(&mut self, node: &Node, fields: Fields<'_>, subject: &Subject) -> Option<AmountSource> {
        let pointer = join(fields.pointer, "amount");
        if let Value::Number(numeral) = &node.value {
            if Decimal::parse(numeral).is_ok_and(|number| number == Decimal::zero()) {
                self.findings
                    .error(
                        Code::LimitNeverCounts,
                        node.span,
                        &pointer,
                        "a limit whose calls cost nothing never counts",
                    )
                    .hint("remove `amount` to count each call once");
                return None;
            }
            return self.amount(node, &pointer, "`amount`").map(AmountSource::Fixed);
        }
        let (text, span) = self.text(fields, "amount")?;
        let path = self.argument(text, span, &pointer, subject)?;
        self.counts(&path, span, &pointer, subject);
        Some(AmountSource::Argument(path))
    }

    fn align(&mut self, fields: Fields<'_>, seconds: u64) -> Option<Window> {
        let sliding = Window::Sliding(Duration::from_secs(seconds));
        if !fields.has("align") {
            return Some(sliding);
        }
        let calendar = self.word(fields, "align", &[("sliding", false), ("calendar", true)])?;
        if !calendar {
            return Some(sliding);
        }
        let span = fields
            .entry("align")
            .map_or(fields.head(), |entry| entry.value.span);
        let pointer = join(fields.pointer, "align");
        let unit = match seconds {
            60 => CalendarUnit::Minute,
            3_600 => CalendarUnit::Hour,
            86_400 => CalendarUnit::Day,
            _ => {
                self.findings
                    .error(
                        Code::Window,
                        span,
                        &pointer,
                        "the calendar has no window of this length",
                    )
                    .hint("use `minute`, `hour` or `day`, or remove `align`");
                return None;
            }
        };
        self.findings
            .warn(
                Code::CalendarAlignment,
                span,
                &pointer,
                "a calendar window lets up to twice `max` through around a boundary",
            )
            .hint("remove `align`: windows then slide, and no window ever holds more than `max`");
        Some(Window::Calendar(unit))
    }

    /// `rate_limit` of a rule, as `10/hour` or as a mapping.
    pub(crate) fn rate_limit(&mut self, node: &Node, pointer: &str, label: &Label, body: &mut Body) {
        let spot = join(pointer, "rate_limit");
        let (max, seconds, scope) = match &node.value {
            Value::String(text) => {
                let Some((max, seconds)) = self.rate(text, node, &spot) else {
                    return;
                };
                (max, seconds, Scope::Server)
            }
            Value::Map(_) => {
                let Some(fields) = self.fields(node, &spot, &RATE_LIMIT) else {
                    return;
                };
                for key in ["max", "window"] {
                    if !fields.has(key) {
                        self.findings
                            .error(
                                Code::MissingKey,
                                fields.head(),
                                &spot,
                                format!("a rate limit needs `{key}`"),
                            )
                            .hint("write `max: 10` and `window: 60`");
                    }
                }
                let max = fields
                    .value("max")
                    .and_then(|node| self.count(node, &join(&spot, "max"), "`max`"));
                let window = fields
                    .value("window")
                    .and_then(|node| self.window(node, &join(&spot, "window")));
                let scope = if fields.has("scope") {
                    self.scope(fields, &body.subject)
                } else {
                    Some(Scope::Session)
                };
                let (Some(max), Some(window), Some(scope)) = (max, window, scope) else {
                    return;
                };
                (max, window, scope)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) => {
                self.wrong_type(
                    node,
                    &spot,
                    "`rate_limit` is a text or a mapping",
                    "write `10/hour`, or `{ max: 10, window: 60 }`",
                );
                return;
            }
        };
        let Ok(counter) = CounterName::new(&format!("_rate_{}", window_name(seconds))) else {
            return;
        };
        let kind = LimitKind::Window {
            window: Window::Sliding(Duration::from_secs(seconds)),
            amount: AmountSource::Fixed(Amount::ONE),
            max: Some(Amount::units(max)),
            min: None,
        };
        let rule = limit_rule(label.clone(), counter, scope, kind, &body.subject);
        self.add_limit(rule, node.span, body);
    }

    fn rate(&mut self, text: &str, node: &Node, pointer: &str) -> Option<(u64, u64)> {
        let (count, window) = text.split_once('/').unwrap_or((text, ""));
        let plain = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
        let max = count.parse::<u64>().ok().filter(|max| plain && *max > 0);
        let seconds = window_seconds(window)
            .filter(|seconds| (1..=crate::bounds::WINDOW_SECONDS_MAX).contains(seconds));
        match (max, seconds) {
            (Some(max), Some(seconds)) => Some((max, seconds)),
            (None, _) => {
                self.findings
                    .error(
                        Code::Amount,
                        node.span,
                        pointer,
                        "a rate begins with a whole number above zero",
                    )
                    .hint("write `10/hour`; use `action: deny` to deny every call");
                None
            }
            (Some(_), None) => {
                let near = crate::suggest::nearest(window, ["minute", "hour", "day"]);
                self.findings
                    .error(
                        Code::Window,
                        node.span,
                        pointer,
                        format!("`{window}` is no window"),
                    )
                    .hint(near.map_or_else(
                        || "write `10/minute`, `10/hour`, `10/day` or `10/90s`".to_owned(),
                        |near| format!("did you mean `{count}/{near}`?"),
                    ));
                None
            }
        }
    }

    /// `spend`: a budget on one argument.
    pub(crate) fn spend(&mut self, node: &Node, pointer: &str, outer: Mode, body: &mut Body) {
        self.count_rule();
        let Some(fields) = self.fields(node, pointer, &SPEND) else {
            return;
        };
        let on_deny = self.message(fields);
        let Some((text, span)) = self.text(fields, "amount") else {
            if !fields.has("amount") {
                self.findings
                    .error(
                        Code::MissingKey,
                        fields.head(),
                        pointer,
                        "which argument holds the amount is not said",
                    )
                    .hint("add `amount: args.amount`");
            }
            return;
        };
        let Some(path) = self.argument(text, span, &join(pointer, "amount"), &body.subject) else {
            return;
        };
        self.counts(&path, span, pointer, &body.subject);
        let label = |part: &str| Label {
            id: RuleId::new(&join(pointer, part)),
            name: None,
            on_deny: on_deny.clone(),
            mode: outer,
        };
        if !fields.has("per_call") && !fields.has("daily") {
            self.findings.error(
                Code::MissingKey,
                fields.head(),
                pointer,
                "a `spend` block needs `per_call` or `daily`",
            );
        }
        if let Some(node) = fields.value("per_call")
            && self
                .amount(node, &join(pointer, "per_call"), "`per_call`")
                .is_some()
            && let Some(most) = self.decimal(node, &join(pointer, "per_call"), "`per_call`")
        {
            let test = |operator| {
                Condition::Test(Test {
                    path: path.clone(),
                    spelled: text.into(),
                    operator,
                })
            };
            body.tool.rules.push(Rule {
                label: label("per_call"),
                kind: RuleKind::Require(Condition::All(vec![
                    test(Operator::Gte(Decimal::zero())),
                    test(Operator::Lte(most)),
                ])),
            });
        }
        if let Some(node) = fields.value("daily")
            && let Some(max) = self.amount(node, &join(pointer, "daily"), "`daily`")
            && let Ok(counter) = CounterName::new("_spend_day")
        {
            let kind = LimitKind::Window {
                window: Window::Sliding(Duration::from_secs(86_400)),
                amount: AmountSource::Argument(path),
                max: Some(max),
                min: None,
            };
            let rule = limit_rule(label("daily"), counter, Scope::Grant, kind, &body.subject);
            self.add_limit(rule, node.span, body);
        }
    }
}

/// A limit of `subject`: its calls share one history, unless the scope is the called tool's own.
pub(crate) fn limit_rule(
    label: Label,
    counter: CounterName,
    scope: Scope,
    kind: LimitKind,
    subject: &Subject,
) -> LimitRule {
    let tool = match scope {
        Scope::Tool => ToolPart::Called,
        Scope::Grant | Scope::Session | Scope::Server | Scope::Global | Scope::Argument(_) => {
            ToolPart::Fixed(subject.key())
        }
    };
    LimitRule {
        label,
        counter,
        tool,
        scope,
        kind,
    }
}

/// The counter of a limit that names none: made from what it counts, never from where it stands.
fn default_counter(kind: &LimitKind) -> String {
    match kind {
        LimitKind::Concurrent { .. } => "_concurrent".to_owned(),
        LimitKind::Window { window, amount, .. } => {
            let length = match window {
                Window::Sliding(length) => window_name(length.as_secs()),
                Window::Calendar(CalendarUnit::Minute) => "calendar_minute".to_owned(),
                Window::Calendar(CalendarUnit::Hour) => "calendar_hour".to_owned(),
                Window::Calendar(CalendarUnit::Day) => "calendar_day".to_owned(),
            };
            match amount {
                AmountSource::Fixed(_) => format!("_calls_{length}"),
                AmountSource::Argument(path) => format!("_sum_{length}_{path}"),
            }
        }
    }
}
