//! The format of test files: `docs/testing-policies.md` describes it.

use super::fields::Findings;
use super::find::policy_of;
use crate::commands::explain::story::Outcome;
use crate::commands::explain::{clock, value};
use crate::commands::scan::tools::{self, Described};
use crate::commands::validate::load::Source;
use callgate_core::call::{Caller, WallTime};
use callgate_core::json::Json;
use callgate_core::name::{GrantId, ServerName, SessionId};
use callgate_policy::document::Genre;
use callgate_policy::tree::{Node, Value};
use callgate_policy::{Code, Diagnostic};
use std::path::{Path, PathBuf};

/// A case may make so many calls.
const CALLS_MAX: u64 = 100_000;

/// Monday, 5 January 2026, noon: when a case begins where nothing else is said.
const BEGINNING: WallTime = WallTime(1_767_614_400_000);

const TEST_FILE: Genre = Genre {
    called: "test file",
    begin: "begin with `cases:`",
    split: "split it into several files",
    repeat: "write the values out, or let a case repeat its call with `times`",
};

const FILE_KEYS: [&str; 5] = ["policy", "server", "tools", "now", "cases"];
const CALLER_KEYS: [&str; 4] = ["grant", "label", "subject", "claims"];
const CALL_KEYS: [&str; 13] = [
    "tool",
    "method",
    "args",
    "caller",
    "session",
    "at",
    "times",
    "takes",
    "expect",
    "reason",
    "rule",
    "says",
    "retry_after",
];
const CASE_KEYS: [&str; 16] = [
    "name",
    "now",
    "calls",
    "tool",
    "method",
    "args",
    "caller",
    "session",
    "at",
    "times",
    "takes",
    "expect",
    "reason",
    "rule",
    "says",
    "retry_after",
];

/// A test file.
#[derive(Debug)]
pub(super) struct Tests {
    pub(super) policy: PathBuf,
    pub(super) server: ServerName,
    /// What the server lists; `None` takes every tool for listed, with no schema.
    pub(super) tools: Option<Vec<Described>>,
    pub(super) cases: Vec<Case>,
}

/// Calls that share their limits, which nothing has used before.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) now: WallTime,
    pub(super) calls: Vec<Step>,
}

/// One call, or the same call several times.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) what: What,
    pub(super) args: Option<Json<'static>>,
    pub(super) caller: Caller,
    pub(super) session: SessionId,
    /// Nanoseconds since the case began.
    pub(super) at: u64,
    pub(super) times: u64,
    /// How long each call is in flight, in nanoseconds.
    pub(super) takes: u64,
    pub(super) expect: Expectation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Tool(String),
    Method(String),
}

/// What has to come of a call.
#[derive(Debug)]
pub(super) struct Expectation {
    pub(super) outcome: Outcome,
    /// The reason code.
    pub(super) reason: Option<String>,
    /// The rule's pointer or name.
    pub(super) rule: Option<String>,
    /// A part of what the agent is told.
    pub(super) says: Option<String>,
    /// Nanoseconds until another try may pass.
    pub(super) retry_after: Option<u64>,
}

/// Reads a test file; what is wrong with it is the error.
pub(super) fn read(source: &Source, path: &Path) -> Result<Tests, Vec<Diagnostic>> {
    let document = callgate_policy::read_document(&source.text, &TEST_FILE).map_err(|found| found.0)?;
    let mut findings = Findings::default();
    let tests = file(&document.root, path, &mut findings);
    match tests {
        Some(tests) if findings.0.is_empty() => Ok(tests),
        Some(_) | None => Err(findings.0),
    }
}

fn file(root: &Node, path: &Path, findings: &mut Findings) -> Option<Tests> {
    let root = findings.mapping(root, "a test file", &FILE_KEYS)?;
    let policy = match findings.text(root, "policy") {
        Some(name) => path.with_file_name(name),
        None => policy_of(path),
    };
    let server = findings
        .read(
            root,
            "server",
            |text| ServerName::new(text).ok(),
            "give the server's name",
        )
        .or_else(|| ServerName::new("server").ok())?;
    let now = time(root, findings).unwrap_or(BEGINNING);
    let tools = root.get("tools").and_then(|node| tools_of(node, path, findings));
    if root.get("cases").is_none() {
        let message = "a test file needs `cases`".to_owned();
        findings.add(
            Code::MissingKey,
            root.span,
            message,
            "see `callgate test --help` for an example",
        );
    }
    let cases = findings
        .items(root, "cases")
        .iter()
        .enumerate()
        .filter_map(|(index, node)| case(node, index, now, findings))
        .collect();
    Some(Tests {
        policy,
        server,
        tools,
        cases,
    })
}

fn time(node: &Node, findings: &mut Findings) -> Option<WallTime> {
    findings.read(
        node,
        "now",
        |text| clock::parse(text).ok(),
        "write it as 2026-01-05T09:00:00Z",
    )
}

/// The tools themselves, or a file that holds what the server answered.
fn tools_of(node: &Node, path: &Path, findings: &mut Findings) -> Option<Vec<Described>> {
    let text = match node.text() {
        Some(name) => match std::fs::read_to_string(path.with_file_name(name)) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("`{name}` cannot be read: {error}");
                findings.add(Code::WrongType, node.span, message, "name a file beside this one");
                return None;
            }
        },
        None => {
            let plain = |item: &Node| match item.text() {
                Some(name) => Json::Object(vec![("name".into(), Json::String(name.to_owned().into()))]),
                None => value::json_of(item),
            };
            value::json_text(&Json::Array(node.items().iter().map(plain).collect()))
        }
    };
    match tools::read(&text) {
        Ok(tools) => Some(tools),
        Err(error) => {
            let hint = "list names, or tools as the server's `tools/list` gives them";
            findings.add(Code::WrongType, node.span, format!("{error:#}"), hint);
            None
        }
    }
}

fn case(node: &Node, index: usize, now: WallTime, findings: &mut Findings) -> Option<Case> {
    let node = findings.mapping(node, "a case", &CASE_KEYS)?;
    let name = findings
        .text(node, "name")
        .map_or_else(|| format!("case {}", index.saturating_add(1)), str::to_owned);
    let now = time(node, findings).unwrap_or(now);
    let mut calls = Vec::new();
    if node.get("calls").is_some() {
        if let Some(expect) = node.get("expect") {
            let message = "`expect` stands at each call of `calls`".to_owned();
            findings.add(Code::Conflict, expect.span, message, "move it into the calls");
        }
        let mut earlier = 0;
        for item in findings.items(node, "calls") {
            let Some(item) = findings.mapping(item, "a call", &CALL_KEYS) else {
                continue;
            };
            if let Some(step) = step(item, node, earlier, findings) {
                earlier = step.at;
                calls.push(step);
            }
        }
    } else {
        calls.extend(step(node, node, 0, findings));
    }
    Some(Case {
        name,
        line: node.span.line,
        now,
        calls,
    })
}

/// One call; what it does not say is taken from its case.
fn step(node: &Node, case: &Node, earlier: u64, findings: &mut Findings) -> Option<Step> {
    let of = |key: &str| if node.get(key).is_some() { node } else { case };
    let what = what(node, case, findings)?;
    let args = of("args").get("args").map(value::json_of);
    if let (Some(args), Some(given)) = (&args, of("args").get("args"))
        && !matches!(args, Json::Object(_))
    {
        let message = format!("`args` is a mapping, this is {}", given.type_name());
        findings.add(Code::WrongType, given.span, message, "write it as {amount: 5}");
    }
    let caller = caller(of("caller").get("caller"), findings)?;
    let session = findings
        .read(
            of("session"),
            "session",
            |text| SessionId::new(text).ok(),
            "give the session a name",
        )
        .or_else(|| SessionId::new("session").ok())?;
    let mut span = |key: &str, default: u64| {
        let hint = "write it as 30s, 15m, 6h or 1d";
        findings
            .read(of(key), key, clock::duration, hint)
            .unwrap_or(default)
    };
    let (at, takes) = (span("at", earlier), span("takes", 0));
    if at < earlier {
        let place = node.get("at").map_or(node.span, |node| node.span);
        let message = "this call is earlier than the one before it".to_owned();
        findings.add(
            Code::Conflict,
            place,
            message,
            "calls stand in the order of their time",
        );
    }
    let count = |text: &str| text.parse().ok().filter(|times| (1..=CALLS_MAX).contains(times));
    let hint = "a call is made at least once, and at most 100000 times";
    let times = findings.read(of("times"), "times", count, hint).unwrap_or(1);
    let expect = expectation(node, findings)?;
    Some(Step {
        line: node.span.line,
        what,
        args,
        caller,
        session,
        at,
        times,
        takes,
        expect,
    })
}

fn what(node: &Node, case: &Node, findings: &mut Findings) -> Option<What> {
    let source = if node.get("tool").is_some() || node.get("method").is_some() {
        node
    } else {
        case
    };
    match (source.get("tool"), source.get("method")) {
        (Some(_), None) => findings
            .text(source, "tool")
            .map(|name| What::Tool(name.to_owned())),
        (None, Some(_)) => findings
            .text(source, "method")
            .map(|name| What::Method(name.to_owned())),
        (Some(_), Some(method)) => {
            let message = "a call is of a tool or of a method, not of both".to_owned();
            findings.add(Code::Conflict, method.span, message, "remove one of them");
            None
        }
        (None, None) => {
            let message = "it is not said what is called".to_owned();
            findings.add(
                Code::MissingKey,
                node.span,
                message,
                "add `tool: NAME`, or `method: NAME`",
            );
            None
        }
    }
}

fn caller(node: Option<&Node>, findings: &mut Findings) -> Option<Caller> {
    let local = |grant: &str| {
        Some(Caller {
            grant: GrantId::new(grant).ok()?,
            label: grant.into(),
            issuer: None,
            subject: None,
            claims: Json::Null,
        })
    };
    let Some(node) = node else { return local("local") };
    if let Value::String(grant) = &node.value {
        return local(grant);
    }
    let node = findings.mapping(node, "a caller", &CALLER_KEYS)?;
    let mut caller = local(findings.text(node, "grant").unwrap_or("local"))?;
    if let Some(label) = findings.text(node, "label") {
        caller.label = label.into();
    }
    caller.subject = findings.text(node, "subject").map(Into::into);
    caller.claims = node.get("claims").map_or(Json::Null, value::json_of);
    Some(caller)
}

fn expectation(node: &Node, findings: &mut Findings) -> Option<Expectation> {
    const HINT: &str = "`expect` is `allow` or `deny`";
    if node.get("expect").is_none() {
        let message = "it is not said what is expected".to_owned();
        findings.add(Code::MissingKey, node.span, message, HINT);
        return None;
    }
    let outcome = |text: &str| match text {
        "allow" => Some(Outcome::Allow),
        "deny" => Some(Outcome::Deny),
        _ => None,
    };
    let outcome = findings.read(node, "expect", outcome, HINT)?;
    if outcome == Outcome::Allow {
        for key in ["reason", "rule", "says", "retry_after"] {
            if let Some(value) = node.get(key) {
                let message = format!("`{key}` is about a denial, and `allow` is expected");
                findings.add(Code::Conflict, value.span, message, "remove one of them");
            }
        }
    }
    let mut text = |key| findings.text(node, key).map(str::to_owned);
    let (reason, rule, says) = (text("reason"), text("rule"), text("says"));
    let retry_after = findings.read(node, "retry_after", clock::duration, "write it as 30s");
    Some(Expectation {
        outcome,
        reason,
        rule,
        says,
        retry_after,
    })
}
