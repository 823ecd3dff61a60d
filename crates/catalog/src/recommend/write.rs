//! Plans written down as a policy.

use super::maker::{present, spelled};
use super::terms::{
    Approval, Budget, Condition, Entry, Fate, Literals, Plan, Presence, REQUIRED_ONLY, Validation, Value,
};
use super::yaml::{comment, one_line, quoted, scalar, sentence};
use super::{Filled, Hole, HoleKind};
use crate::class::Class;
use crate::hidden::is_shown;
use callgate_core::path::Path;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Patterns, which escaped names are, may have so many bytes.
const PATTERN_BYTES_MAX: usize = 256;
/// So many keys of a mapping may be patterns.
const PATTERNS_MAX: usize = 500;
/// A name may have so many bytes.
const NAME_BYTES_MAX: usize = 1_024;
/// Expressions are broken before they are longer.
const WIDTH: usize = 112;

/// What means something in a pattern.
const MEANS_SOMETHING: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// A list of several tools that is written once.
type Shared = BTreeMap<SharedKey, Anchor>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SharedKey {
    argument: String,
    kind: HoleKind,
    filled: Filled,
    values: Vec<String>,
    are: Literals,
}

#[derive(Debug)]
struct Anchor {
    name: String,
    is_written: bool,
    tools: usize,
}

impl SharedKey {
    fn of(hole: &Hole, entry: &Entry) -> Self {
        Self {
            argument: hole.argument.clone(),
            kind: hole.kind,
            filled: hole.filled,
            values: hole.values.clone(),
            are: literals_of(&entry.condition),
        }
    }
}

/// The lists of a tool, each with its entry.
fn lists(plan: &Plan) -> impl Iterator<Item = (&Hole, &Entry)> {
    let hole = |entry: &Entry| plan.holes.get(entry.hole?);
    plan.entries
        .iter()
        .filter_map(move |entry| Some((hole(entry)?, entry)))
}

/// The budget of a tool, while nobody has said how much it is.
fn open_budget(plan: &Plan) -> Option<&Budget> {
    plan.budget.as_ref().filter(|budget| budget.most.is_none())
}

/// The whole policy.
pub(super) fn policy(server: &str, plans: &[&Plan]) -> String {
    let mut out = String::new();
    let listed: Vec<&Plan> = plans
        .iter()
        .copied()
        .filter(|plan| plan.fate == Fate::Listed)
        .collect();
    head(&mut out, server, plans);
    hide(&mut out, plans);
    let mut shared = shared(&listed);
    let mut patterns = 0_usize;
    let mut entries = String::new();
    let mut count = 0_usize;
    for plan in listed {
        if let Some(key) = key(&plan.name, &mut patterns) {
            entries.push('\n');
            tool(&mut entries, plan, &key, &mut shared);
            count = count.saturating_add(1);
        }
    }
    out.push_str(if count == 0 { "tools: {}\n" } else { "tools:\n" });
    out.push_str(entries.strip_prefix('\n').unwrap_or(&entries));
    out
}

/// A policy for one tool alone.
pub(super) fn fragment(plan: &Plan) -> String {
    let mut out = String::from("version: \"1\"\ndefault: deny\n");
    let mut patterns = 0;
    match (&plan.fate, key(&plan.name, &mut patterns)) {
        (Fate::Listed, Some(key)) => {
            out.push_str("tools:\n");
            tool(&mut out, plan, &key, &mut Shared::new());
        }
        (Fate::Hidden { .. }, _) => {
            hide(&mut out, &[plan]);
            out.push_str("tools: {}\n");
        }
        (Fate::Listed, None) => out.push_str("tools: {}\n"),
    }
    out
}

fn head(out: &mut String, server: &str, plans: &[&Plan]) {
    let server = match one_line(server) {
        server if server.is_empty() => "a server".to_owned(),
        server => server,
    };
    let listed = plans.iter().filter(|plan| plan.fate == Fate::Listed);
    let lists: BTreeSet<SharedKey> = listed
        .clone()
        .flat_map(|plan| lists(plan))
        .filter(|(hole, _)| hole.is_open())
        .map(|(hole, entry)| SharedKey::of(hole, entry))
        .collect();
    let budgets = listed.clone().filter_map(|plan| open_budget(plan)).count();
    let open = lists.len().saturating_add(budgets);
    comment(
        out,
        0,
        &format!("Recommended rules for {server}, made by `callgate scan`."),
    );
    out.push_str("#\n");
    comment(
        out,
        0,
        &format!(
            "What is not listed here is denied. Of {} tools {} are listed. The class of each comes from what the server \
             says of it: read each entry before you rely on it.",
            plans.len(),
            listed.count(),
        ),
    );
    if open > 0 {
        out.push_str("#\n");
        comment(
            out,
            0,
            &format!(
                "Still to be filled in: {open}, marked FILL IN. Until then they deny every call that reaches them. Write \
                 into this file, or scan again with `--set TOOL.ARGUMENT=VALUE,VALUE`."
            ),
        );
    }
    out.push_str("version: \"1\"\ndefault: deny\n\n");
}

fn hide(out: &mut String, plans: &[&Plan]) {
    let mut patterns = 0_usize;
    let mut lines = String::new();
    let mut is_any_listed = false;
    for plan in plans {
        let Fate::Hidden { why } = &plan.fate else {
            continue;
        };
        let what = format!("{}, {}: {}", plan.class, plan.severity, one_line(why));
        match key(&plan.name, &mut patterns) {
            Some(key) => {
                is_any_listed = true;
                let _ = writeln!(lines, "  - {key}  # {what}");
            }
            None => comment(&mut lines, 2, &format!("{} ({what})", one_line(&plan.name))),
        }
    }
    if lines.is_empty() {
        return;
    }
    comment(
        out,
        0,
        "Left out of lists and denied. To have a tool listed, with its rules: `callgate scan --allow TOOL`.",
    );
    out.push_str(if is_any_listed { "hide:\n" } else { "hide: []\n" });
    out.push_str(&lines);
    out.push('\n');
}

/// The lists that more than one tool has, with names for them.
fn shared(plans: &[&Plan]) -> Shared {
    let mut counts: BTreeMap<SharedKey, usize> = BTreeMap::new();
    for (hole, entry) in plans.iter().flat_map(|plan| lists(plan)) {
        if hole.is_open() || hole.values.len() > 1 {
            let count = counts.entry(SharedKey::of(hole, entry)).or_default();
            *count = count.saturating_add(1);
        }
    }
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    counts
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(key, tools)| {
            let mut name: String = key
                .argument
                .trim_start_matches("args.")
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                .take(40)
                .collect();
            if name.is_empty() {
                name.push_str("list");
            }
            let number = taken.entry(name.clone()).or_default();
            *number = number.saturating_add(1);
            if *number > 1 {
                let _ = write!(name, "-{number}");
            }
            (
                key,
                Anchor {
                    name,
                    is_written: false,
                    tools,
                },
            )
        })
        .collect()
}

/// A tool's name as a key; `None` where it cannot be one. `patterns` counts the names that need to be escaped.
pub(super) fn key(name: &str, patterns: &mut usize) -> Option<String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    if !name.contains(MEANS_SOMETHING) {
        return Some(scalar(name));
    }
    let mut pattern = String::new();
    for c in name.chars() {
        if MEANS_SOMETHING.contains(&c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    if pattern.len() > PATTERN_BYTES_MAX || *patterns >= PATTERNS_MAX {
        return None;
    }
    *patterns = patterns.saturating_add(1);
    Some(scalar(&pattern))
}

fn tool(out: &mut String, plan: &Plan, key: &str, shared: &mut Shared) {
    let description = one_line(&plan.description);
    if !description.is_empty() {
        let _ = writeln!(out, "  # {description}");
    }
    let signals: Vec<String> = plan.signals.iter().map(|signal| one_line(signal)).collect();
    let mut what = format!("{}, {}", plan.class, plan.severity);
    if plan.class != Class::Read && !signals.is_empty() {
        let _ = write!(what, ": {}", signals.join("; "));
    }
    comment(out, 2, &what);
    if plan.name.contains(MEANS_SOMETHING) {
        out.push_str("  # Backslashes keep the name from being read as a pattern.\n");
    }
    let mut body = String::new();
    match plan.validation {
        Validation::None => {}
        Validation::Required => {
            comment(&mut body, 4, REQUIRED_ONLY);
            body.push_str("    validate: required_args\n");
        }
        Validation::Schema => body.push_str("    validate: schema\n"),
    }
    let open_budget = open_budget(plan);
    if let Some(Budget {
        path,
        most: Some((call, day)),
        ..
    }) = &plan.budget
    {
        spend(&mut body, path, call, day);
    }
    if !plan.entries.is_empty() || open_budget.is_some() {
        body.push_str("    require:\n");
        if let Some(budget) = open_budget {
            no_budget(&mut body, budget);
        }
        for entry in &plan.entries {
            require(&mut body, plan, entry, shared);
        }
    }
    approval(&mut body, &plan.approval);
    if let Some(max) = plan.a_minute {
        body.push_str("    limits:\n");
        let _ = writeln!(body, "      - {{window: minute, max: {max}}}");
        if let Some(most) = plan.at_once {
            let _ = writeln!(body, "      - {{concurrent: {most}}}");
        }
    }
    if body.is_empty() {
        let _ = writeln!(out, "  {key}: {{}}");
    } else {
        let _ = writeln!(out, "  {key}:");
        out.push_str(&body);
    }
}

fn spend(out: &mut String, path: &Path, call: &str, day: &str) {
    let _ = writeln!(
        out,
        "    spend: {{amount: {}, per_call: {}, daily: {}}}",
        flow_path(&path.to_string()),
        number(call),
        number(day)
    );
}

/// An entry that stands where a budget belongs, and lets nothing pass.
fn no_budget(out: &mut String, budget: &Budget) {
    let path = flow_path(&budget.path.to_string());
    comment(
        out,
        6,
        &format!(
            "FILL IN: how much may one call spend, and how much all calls of a day, in the unit of `{}`? Put this in the \
             place of the entry, in line with `require`:",
            spelled(&budget.path)
        ),
    );
    let _ = writeln!(
        out,
        "      #   spend: {{amount: {path}, per_call: 50, daily: 200}}"
    );
    let _ = writeln!(out, "      - name: no budget yet");
    let _ = writeln!(out, "        path: {path}");
    out.push_str("        op: in\n        value: []\n");
    out.push_str(
        "        on_deny: Nobody has said how much may be spent; a person writes a budget into the policy\n",
    );
}

fn require(out: &mut String, plan: &Plan, entry: &Entry, shared: &mut Shared) {
    let mut list = None;
    match entry.hole.and_then(|hole| plan.holes.get(hole)) {
        None => comment(out, 6, &entry.why),
        Some(hole) => {
            let values = list_of(&hole.values, literals_of(&entry.condition));
            let mut sharing = String::new();
            let text = match shared.get_mut(&SharedKey::of(hole, entry)) {
                Some(anchor) if anchor.is_written => {
                    comment(out, 6, &format!("{} The list is the one above.", hole.question()));
                    format!("*{} ", anchor.name)
                }
                Some(anchor) => {
                    anchor.is_written = true;
                    sharing = format!(" {} tools share this list, as *{}.", anchor.tools, anchor.name);
                    format!("&{} {values}", anchor.name)
                }
                None => values,
            };
            if hole.is_open() && !text.starts_with('*') {
                comment(
                    out,
                    6,
                    &format!(
                        "FILL IN, such as [{}]. {}{sharing}",
                        hole.kind.example(),
                        hole.question()
                    ),
                );
            } else if !hole.is_open() && entry_is_given(entry, hole) {
                comment(
                    out,
                    6,
                    "All that the schema names; take out what agents do not need.",
                );
            }
            list = Some(text);
        }
    }
    if let (Condition::When(expression), "") = (&entry.condition, &*entry.on_deny) {
        let line = format!(
            "      - {{name: {}, when: {}}}",
            sentence(&entry.name),
            single(expression)
        );
        if line.len() <= WIDTH {
            let _ = writeln!(out, "{line}");
            return;
        }
    }
    let _ = writeln!(out, "      - name: {}", sentence(&entry.name));
    let list = list.as_deref();
    match &entry.condition {
        Condition::Test {
            path,
            operator,
            value,
        } => {
            let _ = writeln!(out, "        path: {}", flow_path(&path.to_string()));
            let _ = writeln!(out, "        op: {operator}");
            let _ = writeln!(out, "        value: {}", flow_value(value, list).trim_end());
        }
        Condition::All(members) => group(out, "all", members, list),
        Condition::Any(members) => group(out, "any", members, list),
        Condition::Not(member) => {
            let _ = writeln!(out, "        not: {}", flow(member, list));
        }
        Condition::When(expression) => when(out, "        ", expression),
    }
    if !entry.on_deny.is_empty() {
        let _ = writeln!(out, "        on_deny: {}", sentence(&entry.on_deny));
    }
}

/// Whether a list was filled with what the schema names.
fn entry_is_given(entry: &Entry, hole: &Hole) -> bool {
    entry.kind == super::RuleKind::AllowList && hole.filled == Filled::BySchema
}

fn group(out: &mut String, word: &str, members: &[Condition], list: Option<&str>) {
    let _ = writeln!(out, "        {word}:");
    for member in members {
        if let Condition::When(expression) = member {
            when(out, "          - ", expression);
        } else {
            let _ = writeln!(out, "          - {}", flow(member, list));
        }
    }
}

/// An expression behind `lead`, folded where it is long: a break stands for a space.
fn when(out: &mut String, lead: &str, expression: &str) {
    let indent = lead.len().saturating_add(2);
    if expression.len().saturating_add(indent).saturating_add(6) < WIDTH {
        let _ = writeln!(out, "{lead}when: {}", single(expression));
        return;
    }
    let _ = writeln!(out, "{lead}when: >-");
    let margin = " ".repeat(indent);
    let mut line = String::new();
    for word in expression.split(' ') {
        let length = line.len().saturating_add(word.len()).saturating_add(1);
        if !line.is_empty() && length.saturating_add(indent) > WIDTH {
            let _ = writeln!(out, "{margin}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{margin}{line}");
}

fn approval(out: &mut String, approval: &Approval) {
    const ON_DENY: &str = "A person has to say yes to this";
    match approval {
        Approval::None => {}
        Approval::Always { why } => {
            comment(out, 4, &format!("{why} Denied until an approver can be set up."));
            out.push_str("    require_approval: true\n");
        }
        Approval::Unless {
            path,
            is_required,
            free,
            why,
        } => {
            comment(out, 4, &format!("{why} Denied until an approver can be set up."));
            out.push_str("    require_approval:\n      - conditions:\n");
            let value = Value::List {
                values: free.clone(),
                are: Literals::Texts,
            };
            let is_held = Condition::test(path, "not_in", value);
            let is_held = if *is_required {
                is_held
            } else {
                Condition::All(vec![present(path), is_held])
            };
            let _ = writeln!(out, "          - {}", flow(&is_held, None));
            let _ = writeln!(out, "        on_deny: {ON_DENY}");
        }
    }
}

fn literals_of(condition: &Condition) -> Literals {
    match condition {
        Condition::Test {
            value: Value::List { are, .. },
            ..
        } => *are,
        Condition::All(members) | Condition::Any(members) => {
            members.iter().map(literals_of).max().unwrap_or(Literals::Texts)
        }
        Condition::Not(member) => literals_of(member),
        Condition::Test { .. } | Condition::When(_) => Literals::Texts,
    }
}

/// A condition on one line.
fn flow(condition: &Condition, list: Option<&str>) -> String {
    let members = |word: &str, members: &[Condition]| {
        let members: Vec<String> = members.iter().map(|member| flow(member, list)).collect();
        format!("{{{word}: [{}]}}", members.join(", "))
    };
    match condition {
        Condition::Test {
            path,
            operator,
            value,
        } => format!(
            "{{path: {}, op: {operator}, value: {}}}",
            flow_path(&path.to_string()),
            flow_value(value, list)
        ),
        Condition::All(all) => members("all", all),
        Condition::Any(any) => members("any", any),
        Condition::Not(member) => format!("{{not: {}}}", flow(member, list)),
        Condition::When(expression) => format!("{{when: {}}}", single(expression)),
    }
}

fn flow_path(path: &str) -> String {
    scalar(path)
}

fn flow_value(value: &Value, list: Option<&str>) -> String {
    match value {
        Value::Text(text) => single(text),
        Value::Number(text) => number(text),
        Value::Flag(Presence::Yes) => "true".to_owned(),
        Value::Flag(Presence::No) => "false".to_owned(),
        Value::List { values, are } => list.map_or_else(|| list_of(values, *are), str::to_owned),
        Value::Length { min: 0, max: 0 } => "0".to_owned(),
        Value::Length { min, max } if min == max => max.to_string(),
        Value::Length { min: 0, max } => format!("{{max: {max}}}"),
        Value::Length { min, max } => format!("{{min: {min}, max: {max}}}"),
    }
}

fn list_of(values: &[String], are: Literals) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|value| match are {
            Literals::Texts => scalar(value),
            Literals::Numbers => number(value),
        })
        .collect();
    format!("[{}]", values.join(", "))
}

/// A number as it is written, where it is one; else a text, at which the policy then fails to load or to match.
fn number(text: &str) -> String {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut parts = digits.splitn(2, '.');
    let is_whole =
        |part: &str| !part.is_empty() && part.len() < 20 && part.bytes().all(|byte| byte.is_ascii_digit());
    let whole = parts.next().unwrap_or_default();
    let is_number =
        is_whole(whole) && (whole == "0" || !whole.starts_with('0')) && parts.next().is_none_or(is_whole);
    if is_number { text.to_owned() } else { quoted(text) }
}

/// In single quotes, in which nothing but the quote means anything.
fn single(text: &str) -> String {
    if text.chars().all(|c| is_shown(c) && c != '\u{a0}') {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        quoted(text)
    }
}
