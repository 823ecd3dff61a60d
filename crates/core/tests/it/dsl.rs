//! Policies and calls from short texts, and a player of scripts.

use callgate_core::amount::Amount;
use callgate_core::call::{Call, Caller, ListedTool, Listing, OtherCall, Scene, WallTime};
use callgate_core::condition::{
    CheckId, Condition, HostPattern, LengthBound, Literal, Operator, Presence, Test,
};
use callgate_core::decimal::Decimal;
use callgate_core::decision::Decision;
use callgate_core::json::Json;
use callgate_core::limit::{CalendarUnit, Charge, MemoryCounters, StoreTime, Verdict, Window, admit};
use callgate_core::name::{CounterName, GrantId, RuleId, ServerName, SessionId, ToolName};
use callgate_core::path::{Path, Root, Segment};
use callgate_core::program::{
    AmountSource, Approval, Default as Unnamed, Label, LimitKind, LimitRule, Mode, Program, Rule, RuleKind,
    Scope, ToolPart, ToolPattern, ToolPatterns, ToolRules, Validation, ValidationLevel,
};
use callgate_core::refusal::Refusal;
use callgate_core::{MethodClass, decide, decide_method, visible};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Reads JSON, numerals kept; only what tests write.
pub(crate) fn json(text: &str) -> Json<'static> {
    let mut rest = text.trim();
    let value = json_value(&mut rest);
    assert!(rest.trim().is_empty(), "left over: {rest}");
    value
}

fn json_value(rest: &mut &str) -> Json<'static> {
    *rest = rest.trim_start();
    for (word, value) in [
        ("null", Json::Null),
        ("true", Json::Bool(true)),
        ("false", Json::Bool(false)),
    ] {
        if let Some(after) = rest.strip_prefix(word) {
            *rest = after;
            return value;
        }
    }
    match rest.chars().next().unwrap() {
        '"' => Json::String(Cow::Owned(json_string(rest))),
        '[' => {
            let mut items = Vec::new();
            members(rest, ']', |rest| items.push(json_value(rest)));
            Json::Array(items)
        }
        '{' => {
            let mut found = Vec::new();
            members(rest, '}', |rest| {
                let key = json_string(rest);
                *rest = rest.trim_start().strip_prefix(':').unwrap();
                found.push((Cow::Owned(key), json_value(rest)));
            });
            Json::Object(found)
        }
        _ => {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
                .unwrap_or(rest.len());
            let (numeral, after) = rest.split_at(end);
            *rest = after;
            Json::Number(Cow::Owned(numeral.to_owned()))
        }
    }
}

fn members(rest: &mut &str, close: char, mut member: impl FnMut(&mut &str)) {
    *rest = rest[1..].trim_start();
    loop {
        if let Some(after) = rest.strip_prefix(close) {
            *rest = after;
            return;
        }
        member(rest);
        *rest = rest.trim_start();
        *rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

fn json_string(rest: &mut &str) -> String {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    loop {
        match chars.next().unwrap() {
            (at, '"') => {
                *rest = &rest[at + 1..];
                return text;
            }
            (_, '\\') => match chars.next().unwrap().1 {
                'n' => text.push('\n'),
                '0' => text.push('\0'),
                other => text.push(other),
            },
            (_, c) => text.push(c),
        }
    }
}

pub(crate) fn number(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn as_literal(value: &Json<'_>) -> Literal {
    match value {
        Json::Null => Literal::Null,
        Json::Bool(value) => Literal::Bool(*value),
        Json::Number(numeral) => Literal::Number(number(numeral)),
        Json::String(text) => Literal::String((&**text).into()),
        Json::Array(items) => Literal::List(items.iter().map(as_literal).collect()),
        Json::Object(members) => {
            let mut members: Vec<(Arc<str>, Literal)> = members
                .iter()
                .map(|(key, value)| ((&**key).into(), as_literal(value)))
                .collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            Literal::Map(members)
        }
    }
}

/// `args.items[*].price`.
pub(crate) fn path(text: &str) -> Path {
    let text = text.replace("[", ".[");
    let mut parts = text.split('.');
    let root = match parts.next().unwrap() {
        "args" => Root::Args,
        "caller" => Root::Caller,
        "tool" => Root::Tool,
        "session" => Root::Session,
        "time" => Root::Time,
        "server" => Root::Server,
        _ => Root::Params,
    };
    let segments = parts
        .map(|part| match part.strip_prefix('[') {
            Some("*]") => Segment::Each,
            Some(index) => Segment::Index(index.trim_end_matches(']').parse().unwrap()),
            None => Segment::Key(part.into()),
        })
        .collect();
    Path { root, segments }
}

/// `args.a lte 5`, `not …`, `any … | …`, `all … & …`, `external N`.
pub(crate) fn condition(text: &str) -> Condition {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix("not ") {
        return Condition::Not(Box::new(condition(inner)));
    }
    if let Some(inner) = text.strip_prefix("any ") {
        return Condition::Any(inner.split('|').map(condition).collect());
    }
    if let Some(inner) = text.strip_prefix("all ") {
        return Condition::All(inner.split('&').map(condition).collect());
    }
    if let Some(id) = text.strip_prefix("external ") {
        return Condition::External(CheckId(id.parse().unwrap()));
    }
    let mut parts = text.splitn(3, ' ');
    let spelled = parts.next().unwrap();
    Condition::Test(Test {
        path: path(spelled),
        spelled: spelled.into(),
        operator: operator(parts.next().unwrap(), parts.next().unwrap()),
    })
}

fn operator(name: &str, value: &str) -> Operator {
    let value = json(value);
    let many = || match &value {
        Json::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let literals = || many().iter().map(as_literal).collect::<Vec<_>>();
    let texts = || {
        many()
            .iter()
            .map(|item| match item {
                Json::String(text) => (&**text).into(),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<Arc<str>>>()
    };
    let decimal = || match &value {
        Json::Number(numeral) => number(numeral),
        other => panic!("{other:?}"),
    };
    match name {
        "eq" => Operator::Eq(as_literal(&value)),
        "neq" => Operator::Neq(as_literal(&value)),
        "in" => Operator::In(literals()),
        "not_in" => Operator::NotIn(literals()),
        "lt" => Operator::Lt(decimal()),
        "lte" => Operator::Lte(decimal()),
        "gt" => Operator::Gt(decimal()),
        "gte" => Operator::Gte(decimal()),
        "regex" => Operator::Regex(regex::Regex::new(&texts()[0]).unwrap()),
        "contains" => Operator::Contains(as_literal(&value)),
        "exists" => Operator::Exists(match value {
            Json::Bool(true) => Presence::Present,
            _ => Presence::Absent,
        }),
        "starts_with" => Operator::StartsWith(texts()),
        "ends_with" => Operator::EndsWith(texts()),
        "glob" => {
            let mut set = globset::GlobSetBuilder::new();
            for text in texts() {
                set.add(globset::Glob::new(&text).unwrap());
            }
            Operator::Glob(Arc::new(set.build().unwrap()))
        }
        "path_under" => Operator::PathUnder(texts()),
        "host_in" => Operator::HostIn(
            texts()
                .iter()
                .map(|text| match text.strip_prefix("*.") {
                    Some(parent) => HostPattern::Below(parent.into()),
                    None => HostPattern::Exact(text.clone()),
                })
                .collect(),
        ),
        "cidr" => Operator::Cidr(texts().iter().map(|text| text.parse().unwrap()).collect()),
        "length" => Operator::Length(match many().as_slice() {
            [Json::Number(min), Json::Number(max)] => LengthBound {
                min: min.parse().unwrap(),
                max: max.parse().unwrap(),
            },
            other => panic!("{other:?}"),
        }),
        other => panic!("no operator {other}"),
    }
}

pub(crate) fn label(id: &str) -> Label {
    Label {
        id: RuleId::new(id),
        name: None,
        on_deny: None,
        mode: Mode::Enforce,
    }
}

/// A policy from lines such as
///
/// ```text
/// default deny
/// hide secret_*
/// tool pay
///   require args.amount lte 100 # told to the agent
///   shadow deny
///   limit calls 2/60 grant
/// ```
pub(crate) fn policy(script: &str) -> Program {
    let mut program = Program::deny_all();
    program.default = Unnamed::Allow;
    program.methods.default = Unnamed::Allow;
    let mut keys: Vec<(String, ToolRules)> = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "default" => {
                program.default = if rest == "deny" {
                    Unnamed::Deny
                } else {
                    Unnamed::Allow
                }
            }
            "methods" => program.methods.default = Unnamed::Deny,
            "mode" => program.mode = Mode::Shadow,
            "hide" => program.hide.texts.push(rest.into()),
            "tool" | "method" => keys.push((line.to_owned(), ToolRules::default())),
            _ => {
                let (key, rules) = keys.last_mut().unwrap();
                rule(key, rules, line);
            }
        }
    }
    program.hide = patterns(&program.hide.texts);
    for (key, rules) in keys {
        let (kind, key) = key.split_once(' ').unwrap();
        let rules = Arc::new(rules);
        match (kind, key) {
            ("method", key) if key.contains('*') => program.methods.globs.push((pattern(key), rules)),
            ("method", key) => drop(program.methods.exact.insert(key.into(), rules)),
            (_, "*") => program.everywhere = rules,
            (_, key) if key.contains('*') => program.globs.push((pattern(key), rules)),
            (_, key) => drop(program.exact.insert(ToolName::new(key).unwrap(), rules)),
        }
    }
    program
}

fn pattern(text: &str) -> ToolPattern {
    ToolPattern {
        text: text.into(),
        matcher: globset::Glob::new(text).unwrap().compile_matcher(),
    }
}

fn patterns(texts: &[Arc<str>]) -> ToolPatterns {
    let mut set = globset::GlobSetBuilder::new();
    for text in texts {
        set.add(globset::Glob::new(text).unwrap());
    }
    ToolPatterns {
        texts: texts.to_vec(),
        set: set.build().unwrap(),
    }
}

fn rule(key: &str, rules: &mut ToolRules, line: &str) {
    let (line, on_deny) = match line.split_once(" # ") {
        Some((line, text)) => (line, Some(text)),
        None => (line, None),
    };
    let (mode, line) = match line.strip_prefix("shadow ") {
        Some(line) => (Mode::Shadow, line),
        None => (Mode::Enforce, line),
    };
    let key = key.split_once(' ').unwrap().1;
    let count = rules.rules.len() + rules.limits.len() + rules.approvals.len() + rules.validate.len();
    let label = Label {
        on_deny: on_deny.map(Into::into),
        mode,
        ..label(&format!("/{key}/{count}"))
    };
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let kind = match word {
        "deny" => RuleKind::Deny,
        "require" => RuleKind::Require(condition(rest)),
        "deny_if" => RuleKind::DenyIf(condition(rest)),
        "approve" => {
            return rules.approvals.push(Approval {
                label,
                when: (!rest.is_empty()).then(|| condition(rest)),
                timeout: None,
            });
        }
        "validate" => {
            let level = match rest {
                "schema" => ValidationLevel::Schema,
                _ => ValidationLevel::Required,
            };
            return rules.validate.push(Validation { label, level });
        }
        "limit" | "concurrent" => return rules.limits.push(limit(label, word, rest)),
        "record" => return rules.record.push(path(rest)),
        "timeout" => return rules.timeout = Some(Duration::from_secs(rest.parse().unwrap())),
        other => panic!("no rule {other}"),
    };
    rules.rules.push(Rule { label, kind });
}

/// `limit COUNTER MAX/WINDOW SCOPE [AMOUNT-PATH]`, `concurrent MAX`.
fn limit(label: Label, word: &str, rest: &str) -> LimitRule {
    let parts: Vec<&str> = rest.split(' ').collect();
    if word == "concurrent" {
        return LimitRule {
            label,
            counter: CounterName::new("calls").unwrap(),
            tool: ToolPart::Called,
            scope: Scope::Grant,
            kind: LimitKind::Concurrent {
                max: parts[0].parse().unwrap(),
            },
        };
    }
    let (max, window) = parts[1].split_once('/').unwrap();
    LimitRule {
        label,
        counter: CounterName::new(parts[0]).unwrap(),
        tool: ToolPart::Called,
        scope: match parts.get(2).copied().unwrap_or("grant") {
            "grant" => Scope::Grant,
            "session" => Scope::Session,
            "tool" => Scope::Tool,
            "server" => Scope::Server,
            "global" => Scope::Global,
            other => Scope::Argument(path(other)),
        },
        kind: LimitKind::Window {
            window: match window {
                "day" => Window::Calendar(CalendarUnit::Day),
                seconds => Window::Sliding(Duration::from_secs(seconds.parse().unwrap())),
            },
            amount: match parts.get(3) {
                Some(text) => AmountSource::Argument(path(text)),
                None => AmountSource::Fixed(Amount::ONE),
            },
            max: number(max).amount_floor(),
            min: None,
        },
    }
}

/// Everything around a call that a test can change.
pub(crate) struct World {
    pub server: ServerName,
    pub caller: Caller,
    pub session: Option<SessionId>,
    pub now: WallTime,
    pub tools: Option<Vec<ListedTool>>,
}

pub(crate) fn tool(name: &str) -> ListedTool {
    ListedTool {
        name: ToolName::new(name).unwrap(),
        input_schema: None,
        required: vec!["id".into()],
        annotations: json(r#"{"readOnlyHint": true}"#),
        class: Some("read".into()),
    }
}

impl World {
    pub(crate) fn new(tools: &[&str]) -> Self {
        Self {
            server: ServerName::new("shop").unwrap(),
            caller: Caller {
                grant: GrantId::new("local").unwrap(),
                label: "laptop".into(),
                issuer: None,
                subject: None,
                claims: json(r#"{"team": "blue"}"#),
            },
            session: None,
            now: WallTime(0),
            tools: Some(tools.iter().map(|name| tool(name)).collect()),
        }
    }

    pub(crate) fn scene(&self) -> Scene<'_> {
        Scene {
            server: &self.server,
            caller: &self.caller,
            session: self.session.as_ref(),
            now: self.now,
        }
    }

    pub(crate) fn call<'a>(&'a self, tool: &'a str, arguments: Option<&'a Json<'a>>) -> Call<'a> {
        let listing = match &self.tools {
            None => Listing::Unknown,
            Some(tools) => match tools.iter().find(|listed| listed.name.as_str() == tool) {
                Some(listed) => Listing::Listed(listed),
                None => Listing::NotListed,
            },
        };
        Call {
            scene: self.scene(),
            tool,
            listing,
            arguments,
        }
    }
}

/// One call of `t` under a policy.
pub(crate) fn ask(script: &str, arguments: &str) -> Decision {
    let world = World::new(&["t"]);
    let arguments = json(arguments);
    decide(&policy(script), &world.call("t", Some(&arguments)))
}

/// Plays calls against a policy, time and counters in memory, and writes down what came of each.
///
/// The script is a policy, a line `---`, and lines of `TOOL ARGUMENTS`, `+SECONDS`, `refund`, `release`,
/// `session NAME`, `list`, `method NAME PARAMS`, `no list`.
pub(crate) fn play(script: &str) -> String {
    let (rules, calls) = script.split_once("---").unwrap();
    let program = policy(rules);
    let mut world = World::new(&["pay", "read", "get_a", "get_b", "secret_x"]);
    let mut counters = MemoryCounters::new();
    let mut now = 1_000_000_000_000_000;
    let mut last: Vec<Charge> = Vec::new();
    let mut out = String::new();
    for line in calls.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let arguments = |text: &str| (!text.is_empty()).then(|| json(text));
        let decision = match word {
            "refund" => {
                for charge in last.drain(..) {
                    counters.refund(&charge);
                }
                continue;
            }
            "session" => {
                world.session = SessionId::new(rest).ok();
                continue;
            }
            "no" => {
                world.tools = None;
                continue;
            }
            "list" => {
                let tools = world.tools.as_deref().unwrap_or_default();
                let shown = tools.iter().filter(|tool| visible(&program, world.scene(), tool));
                let names: Vec<_> = shown.map(|tool| tool.name.as_str()).collect();
                writeln!(out, "list: {}", names.join(" ")).unwrap();
                continue;
            }
            "method" => {
                let (method, params) = rest.split_once(' ').unwrap_or((rest, ""));
                let params = arguments(params);
                let call = OtherCall {
                    scene: world.scene(),
                    method,
                    params: params.as_ref(),
                };
                let class = match method {
                    "ping" => MethodClass::Housekeeping,
                    _ => MethodClass::Other,
                };
                decide_method(&program, &call, class)
            }
            step if step.starts_with('+') => {
                now += (step.parse::<f64>().unwrap() * 1e9) as u64;
                continue;
            }
            tool => {
                let arguments = arguments(rest);
                decide(&program, &world.call(tool, arguments.as_ref()))
            }
        };
        let told = match decision {
            Decision::Deny(refusal) => told(&refusal),
            Decision::Admit(admission) => {
                let mut text = String::new();
                for refusal in &admission.shadow {
                    write!(text, "(shadow: {}) ", told(refusal)).unwrap();
                }
                match admit(
                    &mut counters,
                    StoreTime(now),
                    &admission.reservations,
                    &admission.slots,
                )
                .unwrap()
                {
                    Verdict::Admitted { charges, shadow } => {
                        last = charges;
                        for refusal in &shadow {
                            write!(text, "(shadow: {}) ", told(refusal)).unwrap();
                        }
                        text + "ok"
                    }
                    Verdict::Refused(refusal) => text + &told(&refusal),
                }
            }
        };
        writeln!(out, "{line} → {told}").unwrap();
    }
    out
}

fn told(refusal: &Refusal) -> String {
    let wait = refusal
        .retry_after
        .map(|wait| format!(" (in {wait:?})"))
        .unwrap_or_default();
    format!(
        "{} {}: {}{wait}",
        refusal.reason.code(),
        refusal.rule,
        refusal.text
    )
}
