//! Conditions and groups of them.

use super::context::{ArgumentUse, Context, Fields, Purpose, join, numbered};
use super::entry::Subject;
use crate::diagnostic::Code;
use crate::tree::{Entry, Node, Value};
use crate::vocabulary::CONDITION;
use callgate_core::condition::{Condition, Literal, Operator, Polarity, Presence, Test};
use callgate_core::decimal::Decimal;
use callgate_core::path::{Path, Root, Segment};
use std::collections::BTreeMap;

/// Where a condition stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'s> {
    pub(crate) subject: &'s Subject,
    pub(crate) polarity: Polarity,
}

impl Place<'_> {
    const fn inverted(self) -> Self {
        Self {
            polarity: self.polarity.inverted(),
            ..self
        }
    }
}

impl Context<'_> {
    /// The conditions of an entry and its `when`, all of which must be true; `None` where it has none or, with
    /// findings, none that can be used.
    pub(crate) fn conditions(&mut self, fields: Fields<'_>, place: Place<'_>) -> Option<Condition> {
        let mut all = Vec::new();
        let listed = self.list(fields, "conditions");
        if let Some(entry) = fields.entry("conditions")
            && listed.is_empty()
            && matches!(entry.value.value, Value::List(_))
        {
            self.empty_group(entry, fields.pointer, "conditions");
        }
        for (node, pointer) in listed {
            all.extend(self.condition(node, &pointer, place));
        }
        all.extend(self.when(fields, place));
        self.contradictions(&all, fields, place);
        match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Condition::All(all)),
        }
    }

    /// One condition or group.
    pub(crate) fn condition(&mut self, node: &Node, pointer: &str, place: Place<'_>) -> Option<Condition> {
        let fields = self.fields(node, pointer, &CONDITION)?;
        self.test_or_group(fields, place)
    }

    /// What the keys `path`, `op`, `value`, `all`, `any`, `not`, `when` of a mapping say; exactly one form of them.
    pub(crate) fn test_or_group(&mut self, fields: Fields<'_>, place: Place<'_>) -> Option<Condition> {
        let forms: Vec<&Entry> = ["path", "all", "any", "not", "when"]
            .iter()
            .filter_map(|key| fields.entry(key))
            .collect();
        let (Some(form), None) = (forms.first(), forms.get(1)) else {
            match forms.get(1) {
                Some(second) => self
                    .findings
                    .error(
                        Code::Conflict,
                        second.key_span,
                        fields.pointer,
                        "a condition has one form, and this is a second",
                    )
                    .hint("put each into an item of its own"),
                None => self
                    .findings
                    .error(
                        Code::MissingKey,
                        fields.head(),
                        fields.pointer,
                        "a condition needs `path`, `op` and `value`",
                    )
                    .hint("or one of `all`, `any`, `not`, `when`"),
            }
            return None;
        };
        match &*form.key {
            "path" => self.test(fields, place),
            "all" => self.group(fields, "all", place).map(Condition::All),
            "any" => self.group(fields, "any", place).map(Condition::Any),
            "not" => self.not(fields, place),
            _ => self.when(fields, place),
        }
    }

    fn stray_test_keys(&mut self, fields: Fields<'_>) {
        for key in ["op", "value"] {
            if let Some(entry) = fields.entry(key) {
                self.findings.error(
                    Code::Conflict,
                    entry.key_span,
                    fields.pointer,
                    format!("`{key}` needs a `path` beside it"),
                );
            }
        }
    }

    fn group(&mut self, fields: Fields<'_>, key: &str, place: Place<'_>) -> Option<Vec<Condition>> {
        self.stray_test_keys(fields);
        let listed = self.list(fields, key);
        if let Some(entry) = fields.entry(key)
            && listed.is_empty()
        {
            if matches!(entry.value.value, Value::List(_)) {
                self.empty_group(entry, fields.pointer, key);
            }
            return None;
        }
        let count = listed.len();
        let from = self.uses.len();
        let members: Vec<_> = listed
            .iter()
            .filter_map(|(node, pointer)| self.condition(node, pointer, place))
            .collect();
        self.presence_is_asked(key, &members, from);
        if key == "all" {
            self.contradictions(&members, fields, place);
        }
        (members.len() == count).then_some(members)
    }

    /// A group that asks itself whether an argument is there (`any` with `exists: false`, `all` with `exists: true`)
    /// knows that calls may leave it out: its other tests of that argument need no warning.
    fn presence_is_asked(&mut self, key: &str, members: &[Condition], from: usize) {
        let wanted = match key {
            "any" => Presence::Absent,
            _ => Presence::Present,
        };
        let asked: Vec<&Path> = members
            .iter()
            .filter_map(|member| match member {
                Condition::Test(test) if matches!(test.operator, Operator::Exists(presence) if presence == wanted) => {
                    Some(&test.path)
                }
                Condition::Test(_)
                | Condition::All(_)
                | Condition::Any(_)
                | Condition::Not(_)
                | Condition::External(_) => None,
            })
            .collect();
        for follows in self.uses.iter_mut().skip(from) {
            if asked.iter().any(|path| {
                path.root == follows.path.root && follows.path.segments.starts_with(&path.segments)
            }) {
                follows.purpose = Purpose::Presence;
            }
        }
    }

    fn empty_group(&mut self, entry: &Entry, pointer: &str, key: &str) {
        self.findings
            .error(
                Code::Empty,
                entry.value.span,
                &join(pointer, key),
                format!("`{key}` is empty"),
            )
            .hint("list at least one condition, or remove the key");
    }

    fn not(&mut self, fields: Fields<'_>, place: Place<'_>) -> Option<Condition> {
        self.stray_test_keys(fields);
        let node = fields.value("not")?;
        let pointer = join(fields.pointer, "not");
        let inner = match &node.value {
            Value::List(items) if items.is_empty() => {
                if let Some(entry) = fields.entry("not") {
                    self.empty_group(entry, fields.pointer, "not");
                }
                return None;
            }
            Value::List(items) => {
                let members: Vec<_> = numbered(items, &pointer)
                    .iter()
                    .filter_map(|(item, pointer)| self.condition(item, pointer, place.inverted()))
                    .collect();
                if members.len() != items.len() {
                    return None;
                }
                Condition::All(members)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => {
                self.condition(node, &pointer, place.inverted())?
            }
        };
        Some(Condition::Not(Box::new(inner)))
    }

    /// The condition that `when` says.
    pub(crate) fn when(&mut self, fields: Fields<'_>, place: Place<'_>) -> Option<Condition> {
        let (text, span) = self.text(fields, "when")?;
        let pointer = join(fields.pointer, "when");
        let node = fields.value("when")?;
        match self
            .expressions
            .add(text, matches!(place.subject, Subject::Method(_)))
        {
            Ok(added) => {
                if added.annotations {
                    self.distrust_expression(span, &pointer);
                }
                Some(Condition::External(added.id))
            }
            Err(fault) => {
                let span = match fault.at {
                    Some(at) => self.inside(node, text, at, at + 1),
                    None => span,
                };
                self.findings
                    .error(Code::Cel, span, &pointer, fault.message)
                    .maybe(fault.hint);
                None
            }
        }
    }

    fn test(&mut self, fields: Fields<'_>, place: Place<'_>) -> Option<Condition> {
        let path = self.text(fields, "path");
        let op = self.text(fields, "op");
        let value = fields.node.get("value");
        for key in ["op", "value"] {
            if !fields.has(key) {
                self.findings
                    .error(
                        Code::MissingKey,
                        fields.head(),
                        fields.pointer,
                        format!("a condition needs `{key}`"),
                    )
                    .hint("write `{ path: args.amount, op: lte, value: 100 }`");
            }
        }
        if let Some(entry) = fields.entry("value")
            && matches!(entry.value.value, Value::Null)
            && self
                .source
                .get(entry.value.span.start..entry.value.span.end)
                .is_none_or(|text| text.trim().is_empty())
        {
            self.findings
                .error(
                    Code::WrongType,
                    entry.key_span,
                    &join(fields.pointer, "value"),
                    "`value` has no value",
                )
                .hint("give it one, or write `value: null` to ask for null");
        }
        let (text, span) = path?;
        let path_pointer = join(fields.pointer, "path");
        let path = self.path(text, span, &path_pointer, place.subject);
        let operator = match (op, value) {
            (Some((op, op_span)), Some(value)) => {
                self.operator(op, op_span, value, fields.pointer, place.polarity)
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        let (path, operator) = (path?, operator?);
        self.known_value(&path, &operator, value?, fields);
        self.follows(&path, &operator, span, fields.pointer, place);
        Some(Condition::Test(Test {
            path,
            spelled: text.into(),
            operator,
        }))
    }

    /// Remembers which argument a test follows, for the check against a server's tools.
    fn follows(
        &mut self,
        path: &Path,
        operator: &Operator,
        span: crate::Span,
        pointer: &str,
        place: Place<'_>,
    ) {
        let (Subject::Tool(tool), Root::Args) = (place.subject, path.root) else {
            return;
        };
        let purpose = match (operator, place.polarity) {
            (Operator::Exists(Presence::Present | Presence::Absent), _) => Purpose::Presence,
            (_, Polarity::MustHold) => Purpose::MustHold,
            (_, Polarity::Selects) => Purpose::Selects,
        };
        self.uses.push(ArgumentUse {
            tool: tool.clone(),
            path: path.clone(),
            span,
            pointer: pointer.into(),
            purpose,
        });
    }

    /// Finds values that `time.*` never has.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only operators that name whole values are looked at"
    )]
    fn known_value(&mut self, path: &Path, operator: &Operator, value: &Node, fields: Fields<'_>) {
        let (Root::Time, [Segment::Key(member)]) = (path.root, path.segments.as_slice()) else {
            return;
        };
        let literals: Vec<&Literal> = match operator {
            Operator::Eq(literal) | Operator::Neq(literal) => vec![literal],
            Operator::In(literals) | Operator::NotIn(literals) => literals.iter().collect(),
            _ => return,
        };
        for literal in literals {
            let (fits, hint) = match &**member {
                "weekday" => (
                    matches!(literal, Literal::String(day) if ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].contains(&&**day)),
                    "weekdays are mon, tue, wed, thu, fri, sat, sun",
                ),
                "hour" => (below(literal, 24), "hours are the numbers 0 to 23, in UTC"),
                "minute" => (below(literal, 60), "minutes are the numbers 0 to 59"),
                "date" => (
                    matches!(literal, Literal::String(date) if is_date(date)),
                    "dates are written as \"2026-01-31\", in quotes",
                ),
                _ => (
                    matches!(literal, Literal::Number(_)),
                    "it is a number of seconds since 1970",
                ),
            };
            if !fits {
                self.findings
                    .error(
                        Code::NeverMatches,
                        value.span,
                        &join(fields.pointer, "value"),
                        format!("`time.{member}` is never this"),
                    )
                    .hint(hint);
                return;
            }
        }
    }

    /// Finds conditions on one path that cannot all hold.
    pub(crate) fn contradictions(&mut self, all: &[Condition], fields: Fields<'_>, place: Place<'_>) {
        let mut ranges: BTreeMap<&Path, Range<'_>> = BTreeMap::new();
        for condition in all {
            let Condition::Test(test) = condition else {
                continue;
            };
            if test.path.segments.contains(&Segment::Each) {
                continue;
            }
            let range = ranges.entry(&test.path).or_default();
            if !range.narrow(&test.operator) {
                let effect = match place.polarity {
                    Polarity::MustHold => "every call is denied",
                    Polarity::Selects => "it never applies",
                };
                self.findings
                    .error(
                        Code::NeverMatches,
                        fields.head(),
                        fields.pointer,
                        format!(
                            "the conditions on `{}` cannot all hold, so {effect}",
                            test.spelled
                        ),
                    )
                    .hint("use `any:` where one of them is enough");
                return;
            }
        }
    }
}

fn below(literal: &Literal, end: u64) -> bool {
    matches!(literal, Literal::Number(number) if number.to_u64().is_some_and(|n| n < end))
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(index, b)| {
            if matches!(index, 4 | 7) {
                b == b'-'
            } else {
                b.is_ascii_digit()
            }
        })
}

/// What tests on one path leave of its values.
#[derive(Debug, Default)]
struct Range<'t> {
    low: Option<(&'t Decimal, bool)>,
    high: Option<(&'t Decimal, bool)>,
    equal: Option<&'t Literal>,
    absent: bool,
    present: bool,
}

impl<'t> Range<'t> {
    /// Adds a test; `false` where nothing is left.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an operator that is not looked at narrows nothing"
    )]
    fn narrow(&mut self, operator: &'t Operator) -> bool {
        match operator {
            Operator::Exists(Presence::Absent) => self.absent = true,
            _ => self.present = true,
        }
        match operator {
            Operator::Eq(literal) => match self.equal.replace(literal) {
                Some(before) if before != literal => return false,
                Some(_) | None => {}
            },
            Operator::Lt(bound) if self.high.is_none_or(|(high, _)| bound <= high) => {
                self.high = Some((bound, false))
            }
            Operator::Lte(bound) if self.high.is_none_or(|(high, _)| bound < high) => {
                self.high = Some((bound, true))
            }
            Operator::Gt(bound) if self.low.is_none_or(|(low, _)| bound >= low) => {
                self.low = Some((bound, false))
            }
            Operator::Gte(bound) if self.low.is_none_or(|(low, _)| bound > low) => {
                self.low = Some((bound, true))
            }
            _ => {}
        }
        if self.absent && self.present {
            return false;
        }
        let ordered = match (self.low, self.high) {
            (Some((low, low_in)), Some((high, high_in))) => low < high || (low == high && low_in && high_in),
            (Some(_) | None, Some(_) | None) => true,
        };
        let equal = match self.equal {
            Some(Literal::Number(number)) => {
                self.low
                    .is_none_or(|(low, inside)| number > low || (inside && number == low))
                    && self
                        .high
                        .is_none_or(|(high, inside)| number < high || (inside && number == high))
            }
            Some(_) => self.low.is_none() && self.high.is_none(),
            None => true,
        };
        ordered && equal
    }
}
