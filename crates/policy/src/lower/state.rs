//! Counters of the rules shape: `state` blocks, and conditions on `state.TOOL.COUNTER`.

use super::context::{Context, Fields, join};
use super::entry::Subject;
use super::limit::limit_rule;
use super::tool::Body;
use crate::diagnostic::Code;
use crate::tree::{Node, Value};
use crate::vocabulary::{CONDITION, STATE};
use callgate_core::amount::Amount;
use callgate_core::decimal::Decimal;
use callgate_core::limit::Window;
use callgate_core::name::CounterName;
use callgate_core::program::{AmountSource, Label, LimitKind, LimitRule, Scope, ToolPart};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Every counter that a `state` block of the document keeps, by the path that reads it.
#[derive(Debug, Default)]
pub(crate) struct Counters(BTreeMap<String, Kept>);

#[derive(Debug, Clone)]
struct Kept {
    tool: Arc<str>,
    counter: CounterName,
    window: Option<u64>,
}

impl Counters {
    /// Gathers the counters of the rules of one key.
    pub(crate) fn gather(&mut self, key: &str, tool: &Node) {
        let name = if key == "*" { "_global" } else { key };
        let states = tool
            .get("rules")
            .map_or(&[][..], Node::items)
            .iter()
            .filter_map(|rule| rule.get("state"));
        for state in states {
            let Some(counter) = state.get("counter").and_then(Node::text) else {
                continue;
            };
            let window = match state.get("window").map(|node| &node.value) {
                Some(Value::String(text)) => super::unit::window_seconds(text),
                Some(Value::Number(numeral)) => {
                    Decimal::parse(numeral).ok().and_then(|number| number.to_u64())
                }
                Some(Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_)) | None => None,
            };
            if let Ok(counter) = CounterName::new(counter) {
                let path = format!("state.{name}.{counter}");
                self.0.entry(path).or_insert(Kept {
                    tool: key.into(),
                    counter,
                    window,
                });
            }
        }
    }
}

/// What a rule's conditions ask of counters, most strictly.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Of the rule's own counter.
    own: Bounds,
    /// Of others.
    others: Vec<LimitRule>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Bounds {
    max: Option<Amount>,
    min: Option<Amount>,
}

/// Whether a condition asks about a counter.
pub(crate) fn asks_state(node: &Node) -> bool {
    node.get("path")
        .and_then(Node::text)
        .is_some_and(|path| path == "state" || path.starts_with("state."))
}

impl Context<'_> {
    /// A rule's condition on a counter.
    pub(crate) fn state_condition(
        &mut self,
        node: &Node,
        pointer: &str,
        own: Option<&str>,
        label: &Label,
        counters: &Counters,
        asked: &mut Asked,
    ) {
        let Some(fields) = self.fields(node, pointer, &CONDITION) else {
            return;
        };
        let bounds = self.state_bounds(fields);
        let Some((path, span)) = self.text(fields, "path") else {
            return;
        };
        let Some(kept) = counters.0.get(path) else {
            let near = crate::suggest::nearest(path, counters.0.keys().map(String::as_str));
            self.findings
                .error(
                    Code::StateUnknown,
                    span,
                    &join(pointer, "path"),
                    "no rule keeps this counter",
                )
                .hint(near.map_or_else(
                    || "add a `state` block with this `counter` to a rule of that tool".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                ));
            return;
        };
        let Some(bounds) = bounds else { return };
        if own == Some(path) {
            if bounds.min.is_some() {
                self.findings
                    .error(
                        Code::NeverMatches,
                        span,
                        pointer,
                        "only calls that this rule admits add to this counter, so it never gets there",
                    )
                    .hint("ask about a counter of another tool");
            }
            asked.own.max = match (asked.own.max, bounds.max) {
                (Some(before), Some(now)) => Some(before.min(now)),
                (before, now) => before.or(now),
            };
            return;
        }
        let Some(window) = kept.window else { return };
        asked.others.push(LimitRule {
            label: label.clone(),
            counter: kept.counter.clone(),
            tool: ToolPart::Fixed(Arc::clone(&kept.tool)),
            scope: Scope::Server,
            kind: LimitKind::Window {
                window: Window::Sliding(Duration::from_secs(window)),
                amount: AmountSource::Fixed(Amount::ZERO),
                max: bounds.max,
                min: bounds.min,
            },
        });
    }

    /// The bounds that an operator and a value say.
    fn state_bounds(&mut self, fields: Fields<'_>) -> Option<Bounds> {
        for key in ["op", "value"] {
            if !fields.has(key) {
                self.findings.error(
                    Code::MissingKey,
                    fields.head(),
                    fields.pointer,
                    format!("a condition needs `{key}`"),
                );
            }
        }
        let (op, span) = self.text(fields, "op")?;
        let node = fields.value("value")?;
        let pointer = join(fields.pointer, "value");
        let smallest = Amount::from_billionths(1)?;
        match op {
            "lte" => Some(Bounds {
                max: Some(self.amount(node, &pointer, "a counter's bound")?),
                min: None,
            }),
            "lt" => {
                let below = self
                    .amount(node, &pointer, "a counter's bound")?
                    .minus(smallest)?;
                Some(Bounds {
                    max: Some(below),
                    min: None,
                })
            }
            "gte" => Some(Bounds {
                max: None,
                min: Some(self.amount(node, &pointer, "a counter's bound")?),
            }),
            "gt" => {
                let above = self.amount(node, &pointer, "a counter's bound")?.plus(smallest)?;
                Some(Bounds {
                    max: None,
                    min: Some(above),
                })
            }
            _ => {
                self.findings
                    .error(
                        Code::StatePlace,
                        span,
                        &join(fields.pointer, "op"),
                        format!("`{op}` cannot be asked of a counter"),
                    )
                    .hint("use `lte`, `lt`, `gte` or `gt`");
                None
            }
        }
    }

    /// A rule's `state` block with what its conditions ask, and the counters that it only looks at.
    pub(crate) fn state(
        &mut self,
        node: Option<&Node>,
        pointer: &str,
        label: &Label,
        asked: Asked,
        body: &mut Body,
    ) {
        if let Some(node) = node
            && let Some((counter, kind)) =
                self.state_block(node, &join(pointer, "state"), asked.own, &body.subject)
        {
            let rule = limit_rule(label.clone(), counter, Scope::Server, kind, &body.subject);
            self.add_limit(rule, node.span, body);
        }
        body.tool.limits.extend(asked.others);
    }

    fn state_block(
        &mut self,
        node: &Node,
        pointer: &str,
        bounds: Bounds,
        subject: &Subject,
    ) -> Option<(CounterName, LimitKind)> {
        let fields = self.fields(node, pointer, &STATE)?;
        for key in ["counter", "window"] {
            if !fields.has(key) {
                self.findings.error(
                    Code::MissingKey,
                    fields.head(),
                    pointer,
                    format!("a `state` block needs `{key}`"),
                );
            }
        }
        let counter = self.counter_name(fields, "counter");
        let window = fields
            .value("window")
            .and_then(|node| self.window(node, &join(pointer, "window")));
        let amount = self.increment(fields, subject);
        let (counter, window, amount) = (counter?, window?, amount?);
        let kind = LimitKind::Window {
            window: Window::Sliding(Duration::from_secs(window)),
            amount,
            max: bounds.max,
            min: bounds.min,
        };
        Some((counter, kind))
    }

    fn increment(&mut self, fields: Fields<'_>, subject: &Subject) -> Option<AmountSource> {
        let pointer = join(fields.pointer, "increment");
        if let (Some(_), Some(entry)) = (fields.entry("increment"), fields.entry("increment_from")) {
            self.findings
                .error(
                    Code::Conflict,
                    entry.key_span,
                    fields.pointer,
                    "`increment` and `increment_from` rule each other out",
                )
                .hint("keep one of them");
        }
        if let Some((text, span)) = self.text(fields, "increment_from") {
            let path = self.argument(text, span, &join(fields.pointer, "increment_from"), subject)?;
            self.counts(&path, span, &pointer, subject);
            return Some(AmountSource::Argument(path));
        }
        match fields.value("increment") {
            None if fields.has("increment_from") => None,
            None => Some(AmountSource::Fixed(Amount::ONE)),
            Some(node) if is_zero(node) => {
                self.findings
                    .error(
                        Code::LimitNeverCounts,
                        node.span,
                        &pointer,
                        "a counter that nothing is added to never counts",
                    )
                    .hint("remove `increment` to add 1");
                None
            }
            Some(node) => self
                .amount(node, &pointer, "`increment`")
                .map(AmountSource::Fixed),
        }
    }
}

fn is_zero(node: &Node) -> bool {
    matches!(&node.value, Value::Number(numeral) if Decimal::parse(numeral).is_ok_and(|n| n == Decimal::zero()))
}
