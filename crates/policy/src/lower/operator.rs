//! Operators and the values they take.

use super::context::{Context, join};
use crate::bounds::{REGEX_BYTES_MAX, REGEXES_COMPILED_BYTES_MAX};
use crate::diagnostic::Code;
use crate::glob::Glob;
use crate::patterns::Refused;
use crate::span::Span;
use crate::suggest::nearest;
use crate::tree::{Node, Value};
use callgate_core::condition::{HostPattern, LengthBound, Literal, Operator, Polarity, Presence};
use callgate_core::decimal::Decimal;
use std::net::IpAddr;
use std::sync::Arc;

/// The operators, by name.
pub(crate) const OPERATORS: &[&str] = &[
    "eq",
    "neq",
    "in",
    "not_in",
    "lt",
    "lte",
    "gt",
    "gte",
    "regex",
    "contains",
    "exists",
    "starts_with",
    "ends_with",
    "glob",
    "path_under",
    "host_in",
    "cidr",
    "length",
];

/// Signs that people write for operators.
const SIGNS: [(&str, &str); 12] = [
    ("equals", "eq"),
    ("not_equals", "neq"),
    ("prefix", "starts_with"),
    ("==", "eq"),
    ("=", "eq"),
    ("!=", "neq"),
    ("<", "lt"),
    ("<=", "lte"),
    (">", "gt"),
    (">=", "gte"),
    ("matches", "regex"),
    ("=~", "regex"),
];

/// An operator that takes a list, with nothing in it; `None` where an empty list would let calls pass.
fn unfilled(name: &str) -> Option<Operator> {
    Some(match name {
        "in" => Operator::In(Vec::new()),
        "starts_with" => Operator::StartsWith(Vec::new()),
        "ends_with" => Operator::EndsWith(Vec::new()),
        "glob" => Operator::Glob(Arc::new(globset::GlobSet::empty())),
        "path_under" => Operator::PathUnder(Vec::new()),
        "host_in" => Operator::HostIn(Vec::new()),
        "cidr" => Operator::Cidr(Vec::new()),
        _ => return None,
    })
}

impl Context<'_> {
    /// An operator with its value, or findings.
    ///
    /// An empty list is one that a person has yet to fill in: where its condition must hold, no call meets it, and
    /// it is only told. Where it selects what is denied, it would let every call pass, and is refused.
    pub(crate) fn operator(
        &mut self,
        name: &str,
        at: Span,
        value: &Node,
        pointer: &str,
        polarity: Polarity,
    ) -> Option<Operator> {
        let spot = join(pointer, "value");
        if polarity == Polarity::MustHold
            && let Some(unfilled) = unfilled(name)
            && matches!(&value.value, Value::List(items) if items.is_empty())
        {
            self.findings
                .warn_once(
                    Code::Unfilled,
                    value.span,
                    &spot,
                    "this list is empty, so no call meets this condition",
                )
                .hint("fill it in");
            return Some(unfilled);
        }
        Some(match name {
            "eq" => Operator::Eq(self.literal(value, &spot)?),
            "neq" => Operator::Neq(self.literal(value, &spot)?),
            "contains" => Operator::Contains(self.literal(value, &spot)?),
            "in" => Operator::In(self.literals(name, value, &spot)?),
            "not_in" => Operator::NotIn(self.literals(name, value, &spot)?),
            "lt" => Operator::Lt(self.bound(name, value, &spot)?),
            "lte" => Operator::Lte(self.bound(name, value, &spot)?),
            "gt" => Operator::Gt(self.bound(name, value, &spot)?),
            "gte" => Operator::Gte(self.bound(name, value, &spot)?),
            "regex" => Operator::Regex(self.regex(value, &spot)?),
            "exists" => Operator::Exists(self.presence(value, &spot)?),
            "starts_with" => {
                Operator::StartsWith(self.texts(name, value, &spot)?.into_iter().map(|t| t.0).collect())
            }
            "ends_with" => {
                Operator::EndsWith(self.texts(name, value, &spot)?.into_iter().map(|t| t.0).collect())
            }
            "glob" => self.globs(value, &spot)?,
            "path_under" => self.folders(value, &spot)?,
            "host_in" => self.hosts(value, &spot)?,
            "cidr" => self.networks(value, &spot)?,
            "length" => Operator::Length(self.length(value, &spot)?),
            _ => {
                let sign = SIGNS
                    .iter()
                    .find(|(sign, _)| *sign == name)
                    .map(|(_, operator)| *operator);
                let near = sign.or_else(|| nearest(name, OPERATORS.iter().copied()));
                let hint = near.map_or_else(
                    || format!("the operators are {}", OPERATORS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.findings
                    .error(
                        Code::UnknownOperator,
                        at,
                        &join(pointer, "op"),
                        format!("there is no operator `{name}`"),
                    )
                    .hint(hint);
                return None;
            }
        })
    }

    fn bad_value(&mut self, node: &Node, pointer: &str, message: impl Into<String>, hint: &str) {
        self.findings
            .error(Code::OperatorValue, node.span, pointer, message)
            .hint(hint);
    }

    fn literal(&mut self, node: &Node, pointer: &str) -> Option<Literal> {
        Some(match &node.value {
            Value::Null => Literal::Null,
            Value::Bool(value) => Literal::Bool(*value),
            Value::Number(_) => Literal::Number(self.decimal(node, pointer, "the value")?),
            Value::String(text) => Literal::String((&**text).into()),
            Value::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.push(self.literal(item, pointer)?);
                }
                Literal::List(list)
            }
            Value::Map(entries) => {
                let mut map = Vec::with_capacity(entries.len());
                for entry in entries {
                    map.push((Arc::from(&*entry.key), self.literal(&entry.value, pointer)?));
                }
                map.sort_by(|(left, _): &(Arc<str>, Literal), (right, _)| left.cmp(right));
                Literal::Map(map)
            }
        })
    }

    fn literals(&mut self, name: &str, node: &Node, pointer: &str) -> Option<Vec<Literal>> {
        let Value::List(items) = &node.value else {
            self.bad_value(
                node,
                pointer,
                format!("`{name}` takes a list, and this is {}", node.type_name()),
                "write `[a, b]`, or use `eq` for one value",
            );
            return None;
        };
        if items.is_empty() {
            let (code, what) = match name {
                "in" => (Code::NeverMatches, "nothing is in an empty list"),
                _ => (
                    Code::AlwaysMatches,
                    "nothing is in an empty list, so this always holds",
                ),
            };
            self.findings
                .error(code, node.span, pointer, what)
                .hint("list at least one value");
            return None;
        }
        items.iter().map(|item| self.literal(item, pointer)).collect()
    }

    fn bound(&mut self, name: &str, node: &Node, pointer: &str) -> Option<Decimal> {
        self.decimal(node, pointer, &format!("the value of `{name}`"))
    }

    fn presence(&mut self, node: &Node, pointer: &str) -> Option<Presence> {
        match &node.value {
            Value::Bool(true) => Some(Presence::Present),
            Value::Bool(false) => Some(Presence::Absent),
            Value::Null | Value::Number(_) | Value::String(_) | Value::List(_) | Value::Map(_) => {
                let message = format!(
                    "`exists` takes `true` or `false`, and this is {}",
                    node.type_name()
                );
                self.bad_value(node, pointer, message, "write `value: true` or `value: false`");
                None
            }
        }
    }

    fn regex(&mut self, node: &Node, pointer: &str) -> Option<regex::Regex> {
        let Some(pattern) = node.text() else {
            let message = format!("`regex` takes a string, and this is {}", node.type_name());
            self.bad_value(node, pointer, message, "put the pattern in quotes");
            return None;
        };
        if pattern.len() > REGEX_BYTES_MAX {
            self.findings.error(
                Code::Regex,
                node.span,
                pointer,
                format!("a pattern may have at most {REGEX_BYTES_MAX} bytes"),
            );
            return None;
        }
        if let Some(regex) = self.patterns.get(pattern) {
            return Some(regex.clone());
        }
        match self.room_for_patterns.compile(pattern) {
            Ok(regex) => {
                self.patterns.insert(pattern.to_owned(), regex.clone());
                Some(regex)
            }
            Err(Refused::Pattern(error)) => {
                self.bad_regex(node, pattern, pointer, &error);
                None
            }
            Err(Refused::Full) => {
                self.findings
                    .error(
                        Code::Regex,
                        node.span,
                        pointer,
                        format!(
                            "the patterns up to here take more than the {REGEXES_COMPILED_BYTES_MAX} bytes that those of a policy may take once compiled"
                        ),
                    )
                    .hint("use fewer patterns, smaller counts of repetition, or `[0-9A-Za-z_]` in place of `\\w`");
                None
            }
        }
    }

    fn bad_regex(&mut self, node: &Node, pattern: &str, pointer: &str, error: &regex::Error) {
        let (span, message) = match regex_syntax::parse(pattern) {
            Err(regex_syntax::Error::Parse(fault)) => (
                self.inside(node, pattern, fault.span().start.offset, fault.span().end.offset),
                fault.kind().to_string(),
            ),
            Err(regex_syntax::Error::Translate(fault)) => (
                self.inside(node, pattern, fault.span().start.offset, fault.span().end.offset),
                fault.kind().to_string(),
            ),
            Ok(_) | Err(_) => (
                node.span,
                error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            ),
        };
        let hint = if message.contains("look-around") || message.contains("backreference") {
            "patterns run in linear time, so there is no look-around and no backreference; use two conditions"
        } else if message.contains("size limit") {
            "use smaller counts of repetition"
        } else {
            "the syntax is that of RE2; put the pattern in single quotes so that YAML keeps backslashes"
        };
        self.findings
            .error(
                Code::Regex,
                span,
                pointer,
                format!("this pattern cannot be used: {message}"),
            )
            .hint(hint);
    }

    /// The place of a part of a string, where the file spells the string as it is.
    pub(crate) fn inside(&self, node: &Node, text: &str, start: usize, end: usize) -> Span {
        let spelled = self
            .source
            .get(node.span.start..node.span.end)
            .unwrap_or_default();
        match spelled.find(text) {
            Some(offset) => node
                .span
                .within(self.source, offset + start, end.saturating_sub(start)),
            None => node.span,
        }
    }

    /// One text or several, none of them empty.
    fn texts(&mut self, name: &str, node: &Node, pointer: &str) -> Option<Vec<(Arc<str>, Span)>> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            Value::String(_) => std::slice::from_ref(node),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Map(_) => {
                let message = format!(
                    "`{name}` takes a string or a list of strings, and this is {}",
                    node.type_name()
                );
                self.bad_value(node, pointer, message, "put it in quotes");
                return None;
            }
        };
        if items.is_empty() {
            self.findings
                .error(
                    Code::NeverMatches,
                    node.span,
                    pointer,
                    format!("`{name}` with an empty list never holds"),
                )
                .hint("list at least one");
            return None;
        }
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let Some(text) = item.text() else {
                let message = format!("`{name}` takes strings, and this is {}", item.type_name());
                self.bad_value(item, pointer, message, "put it in quotes");
                return None;
            };
            if text.is_empty() {
                self.bad_value(
                    item,
                    pointer,
                    format!("an empty text says nothing to `{name}`"),
                    "remove it",
                );
                return None;
            }
            texts.push((text.into(), item.span));
        }
        Some(texts)
    }

    fn globs(&mut self, node: &Node, pointer: &str) -> Option<Operator> {
        let mut set = globset::GlobSetBuilder::new();
        for (text, span) in self.texts("glob", node, pointer)? {
            match Glob::new(&text) {
                Ok(glob) => {
                    set.add(glob.compiled);
                }
                Err(error) => {
                    self.findings.error(
                        Code::Glob,
                        span,
                        pointer,
                        format!("this pattern cannot be used: {error}"),
                    );
                    return None;
                }
            }
        }
        match set.build() {
            Ok(set) => Some(Operator::Glob(Arc::new(set))),
            Err(error) => {
                self.findings.error(
                    Code::Glob,
                    node.span,
                    pointer,
                    format!("these patterns cannot be used: {}", error.kind()),
                );
                None
            }
        }
    }

    fn folders(&mut self, node: &Node, pointer: &str) -> Option<Operator> {
        let texts = self.texts("path_under", node, pointer)?;
        for (text, span) in &texts {
            if text.split(['/', '\\']).any(|part| part == "..") {
                self.findings
                    .error(
                        Code::OperatorValue,
                        *span,
                        pointer,
                        "a folder cannot contain `..`",
                    )
                    .hint("write the folder that it leads to");
                return None;
            }
        }
        Some(Operator::PathUnder(texts.into_iter().map(|t| t.0).collect()))
    }

    fn hosts(&mut self, node: &Node, pointer: &str) -> Option<Operator> {
        let mut hosts = Vec::new();
        for (text, span) in self.texts("host_in", node, pointer)? {
            let lower = text.to_ascii_lowercase();
            let (below, name) = match lower.strip_prefix("*.") {
                Some(name) => (true, name),
                None => (false, lower.as_str()),
            };
            let bare = name.trim_start_matches('[').trim_end_matches(']');
            let address = bare.parse::<IpAddr>().is_ok();
            let plain = !name.is_empty()
                && !name.starts_with('.')
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
            if !(plain || address && !below) {
                self.findings
                    .error(Code::OperatorValue, span, pointer, format!("`{text}` is no host"))
                    .hint("write `example.com`, `*.example.com` or an address: no scheme, port or path, letters of ASCII");
                return None;
            }
            let name: Arc<str> = name.trim_end_matches('.').into();
            hosts.push(if below {
                HostPattern::Below(name)
            } else {
                HostPattern::Exact(name)
            });
        }
        Some(Operator::HostIn(hosts))
    }

    fn networks(&mut self, node: &Node, pointer: &str) -> Option<Operator> {
        let mut networks = Vec::new();
        for (text, span) in self.texts("cidr", node, pointer)? {
            let network = text
                .parse::<ipnet::IpNet>()
                .ok()
                .or_else(|| text.parse::<IpAddr>().ok().map(ipnet::IpNet::from));
            let Some(network) = network else {
                self.findings
                    .error(
                        Code::OperatorValue,
                        span,
                        pointer,
                        format!("`{text}` is no network"),
                    )
                    .hint("write `10.0.0.0/8`, `fd00::/8` or one address");
                return None;
            };
            networks.push(network.trunc());
        }
        Some(Operator::Cidr(networks))
    }

    fn length(&mut self, node: &Node, pointer: &str) -> Option<LengthBound> {
        let whole = |context: &mut Self, node: &Node| {
            let number = context.decimal(node, pointer, "a length")?;
            let length = number.to_u64();
            if length.is_none() {
                context.bad_value(
                    node,
                    pointer,
                    "a length is a whole number, and not negative",
                    "write `{ max: 100 }`",
                );
            }
            length
        };
        let bound = match &node.value {
            Value::Number(_) => {
                let exact = whole(self, node)?;
                LengthBound {
                    min: exact,
                    max: exact,
                }
            }
            Value::Map(entries) if !entries.is_empty() => {
                let mut bound = LengthBound {
                    min: 0,
                    max: u64::MAX,
                };
                for entry in entries {
                    match &*entry.key {
                        "min" => bound.min = whole(self, &entry.value)?,
                        "max" => bound.max = whole(self, &entry.value)?,
                        other => {
                            self.findings
                                .error(
                                    Code::UnknownKey,
                                    entry.key_span,
                                    pointer,
                                    format!("`{other}` is no key of a length"),
                                )
                                .hint("its keys are min, max");
                            return None;
                        }
                    }
                }
                bound
            }
            Value::Null | Value::Bool(_) | Value::String(_) | Value::List(_) | Value::Map(_) => {
                let message = format!(
                    "`length` takes a number or `{{ min, max }}`, and this is {}",
                    node.type_name()
                );
                self.bad_value(node, pointer, message, "write `{ min: 1, max: 100 }`");
                return None;
            }
        };
        if bound.min > bound.max {
            self.findings
                .error(
                    Code::NeverMatches,
                    node.span,
                    pointer,
                    "no length is at least `min` and at most `max` here",
                )
                .hint("swap them");
            return None;
        }
        Some(bound)
    }
}
