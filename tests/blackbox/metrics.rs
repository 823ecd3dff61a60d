//! What can be watched of `callgate serve`: probes, and metrics.

use crate::support::{state, until};
use crate::team::{Stage, Team, initialize};
use callgate_testkit::{Http, HttpServer, Room};
use rustix::process::Signal;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LIMITED: &str = "version: \"1\"
default: deny
tools:
  echo:
    limits: [{window: hour, max: 2}]
  fail:
    rules: [{name: watched, action: deny, mode: shadow}]
  add: {}
";

/// One scrape: values by series, as they are written, and types and texts by name.
#[derive(Debug, Default)]
struct Scrape {
    text: String,
    values: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
}

/// A series as the page on monitoring describes it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) labels: BTreeSet<String>,
    kind: String,
    about: String,
}

impl Scrape {
    fn of(team: &Team) -> Self {
        let reply = metrics(team).send("GET", &[], b"").rest();
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        Self::read(reply.body)
    }

    /// Reads the text format strictly: what is none of its lines is an error.
    fn read(text: String) -> Self {
        let mut scrape = Self::default();
        let sample = regex::Regex::new(
            r#"\A[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)*\})? (\S+)\z"#,
        )
        .unwrap();
        assert!(text.ends_with('\n'));
        for line in text.trim_end_matches('\n').split('\n') {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(
                    scrape.helps.insert(name.to_owned(), help.to_owned()).is_none(),
                    "{line}"
                );
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(
                    scrape.types.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "{line}"
                );
            } else {
                assert!(sample.is_match(line), "{line:?}");
                let (series, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap();
                assert!(scrape.values.insert(series.to_owned(), value).is_none(), "{line}");
            }
        }
        scrape.text = text;
        scrape
    }

    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        *self
            .values
            .get(series)
            .unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// The series of a name that are not zero.
    fn counted(&self, name: &str) -> BTreeMap<&str, f64> {
        let of_name = |series: &str| series.split('{').next() == Some(name);
        self.values
            .iter()
            .filter(|(series, value)| of_name(series) && **value != 0.0)
            .map(|(series, value)| (series.as_str(), *value))
            .collect()
    }

    /// The same, as lines without the name.
    fn lines(&self, name: &str) -> Vec<String> {
        let counted = self.counted(name);
        let lines = counted
            .iter()
            .map(|(series, value)| format!("{} {value}", series.trim_start_matches(name)));
        lines.collect()
    }

    fn decision(server: &str, tool: &str, decision: &str, rule: &str, reason: &str) -> String {
        format!(
            "callgate_decisions_total{{server=\"{server}\",tool=\"{tool}\",decision=\"{decision}\",rule=\"{rule}\",reason=\"{reason}\"}}"
        )
    }
}

/// A client of the address for metrics.
fn metrics(team: &Team) -> Http {
    let line = team.process.stderr_line("metrics on http://");
    Http::to(line.split_whitespace().last().unwrap())
}

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.room.write("limited.yaml", LIMITED);
    stage.config["policies"]["limited"] = json!("limited.yaml");
    stage.config["metrics"] = json!("127.0.0.1:0");
    stage
}

/// The series as the page describes them.
pub(crate) fn series_on_the_page() -> BTreeSet<Described> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/monitoring.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page
        .split_once("| series | type | labels | what it says |\n")
        .unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let described = rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, about] = cells[..] else {
            panic!("{row}")
        };
        Described {
            name: name.trim_matches('`').to_owned(),
            kind: kind.to_owned(),
            labels: labels
                .split(", ")
                .filter(|label| *label != "–")
                .map(|label| label.trim_matches('`').to_owned())
                .collect(),
            about: about.to_owned(),
        }
    });
    described.collect()
}

/// The series as a scrape has them.
fn series_of(scrape: &Scrape) -> BTreeSet<Described> {
    let label = regex::Regex::new(r#"([a-z_]+)=""#).unwrap();
    let described = scrape.types.iter().map(|(name, kind)| {
        let of_name = |series: &&String| {
            let bare = series.split('{').next().unwrap();
            let bare = if kind == "histogram" {
                bare.trim_end_matches("_bucket")
            } else {
                bare
            };
            bare == name
        };
        let series = scrape.values.keys().find(of_name);
        let series = series.unwrap_or_else(|| panic!("nothing is told of {name}"));
        Described {
            name: name.clone(),
            kind: kind.clone(),
            labels: label
                .captures_iter(series)
                .map(|found| found[1].to_owned())
                .filter(|label| label != "le")
                .collect(),
            about: scrape.helps[name].trim_end_matches('.').to_owned(),
        }
    });
    described.collect()
}

#[test]
fn every_series_is_described_as_it_is() {
    let stage = stage();
    stage.grant("ana", &["notes=open"]);
    let scrape = Scrape::of(&stage.serve());
    assert_eq!(series_of(&scrape), series_on_the_page());
}

/// A gateway that has let some calls pass, denied others, and kept some callers out; all of it is on record.
fn busy() -> (Team, Http, Scrape) {
    let stage = stage();
    let ana = stage.grant("ana", &["notes=limited", "mail=open"]);
    let team = stage.serve();
    let mut notes = team.begun("notes", &ana);
    for _ in 0..3 {
        notes.call("echo", json!({"text": "hi"}));
    }
    notes.call("fail", json!({}));
    notes.call("sleep", json!({"ms": 1}));
    notes.call("no-such-tool", json!({}));
    let mut mail = team.begun("mail", &ana);
    assert_eq!(mail.call("echo", json!({"text": "hi"})).text(), "hi");
    for _ in 0..2 {
        assert_eq!(team.anyone("notes").post(&initialize()).status, 401);
    }
    let elsewhere = team.anyone("notes").header("host", "evil.example");
    assert_eq!(elsewhere.post(&initialize()).status, 403);
    let scrape = until("all is written and signed", || {
        let scrape = Scrape::of(&team);
        let lag = scrape.value("callgate_ledger_records") - scrape.value("callgate_ledger_signed_records");
        let ended: f64 = scrape.counted("callgate_outcomes_total").values().sum();
        (ended == 4.0 && lag == 0.0).then_some(scrape)
    });
    (team, notes, scrape)
}

#[test]
fn what_passes_and_what_does_not_is_counted_exactly() {
    let (_team, _, scrape) = busy();
    let decisions = [
        r#"{server="mail",tool="echo",decision="allow",rule="",reason=""} 1"#,
        r#"{server="notes",tool="echo",decision="allow",rule="",reason=""} 2"#,
        r#"{server="notes",tool="echo",decision="deny",rule="/tools/echo/limits/0",reason="rate_limited"} 1"#,
        r#"{server="notes",tool="fail",decision="allow",rule="",reason=""} 1"#,
        r#"{server="notes",tool="fail",decision="shadow",rule="/tools/fail/rules/0",reason="denied_by_rule"} 1"#,
        r#"{server="notes",tool="other",decision="deny",rule="",reason="not_in_policy"} 1"#,
        r#"{server="notes",tool="sleep",decision="deny",rule="",reason="not_in_policy"} 1"#,
    ];
    assert_eq!(scrape.lines("callgate_decisions_total"), decisions);
    let unused = Scrape::decision("notes", "add", "allow", "", "");
    assert_eq!(scrape.value(&unused), 0.0, "what is listed begins at 0");
    let outcomes = [
        r#"{server="mail",status="ok"} 1"#,
        r#"{server="notes",status="ok"} 2"#,
        r#"{server="notes",status="tool_error"} 1"#,
    ];
    assert_eq!(scrape.lines("callgate_outcomes_total"), outcomes);
    let failures = [r#"{reason="host"} 1"#, r#"{reason="token"} 2"#];
    assert_eq!(scrape.lines("callgate_auth_failures_total"), failures);
    let started = [r#"{server="notes"} 1"#];
    assert_eq!(scrape.lines("callgate_children_started_total"), started);
}

#[test]
fn calls_are_timed_and_the_store_is_watched() {
    let (_team, _, scrape) = busy();
    let gate = [
        r#"{server="mail",direction="answer"} 1"#,
        r#"{server="mail",direction="request"} 1"#,
        r#"{server="notes",direction="answer"} 3"#,
        r#"{server="notes",direction="request"} 3"#,
    ];
    assert_eq!(scrape.lines("callgate_gate_duration_seconds_count"), gate);
    let servers = [r#"{server="mail"} 1"#, r#"{server="notes"} 3"#];
    assert_eq!(scrape.lines("callgate_server_duration_seconds_count"), servers);
    // The one over the limit was asked for, too.
    let admissions = scrape.value("callgate_store_admission_duration_seconds_count");
    assert_eq!(admissions, 5.0);
    for (series, value) in [
        ("callgate_store_healthy", 1.0),
        ("callgate_store_queue_length", 0.0),
        ("callgate_grants_generation", 1.0),
        ("callgate_grants_live", 1.0),
    ] {
        assert_eq!(scrape.value(series), value, "{series}");
    }
    // Three were written by whoever made the grant and attached two servers to it.
    let own = scrape.value("callgate_store_records_total");
    assert_eq!(scrape.value("callgate_ledger_records"), own + 3.0);
    assert!(scrape.value("callgate_store_transactions_total") <= own);
    assert!(scrape.value("process_start_time_seconds") > 1.7e9);
}

#[test]
fn open_sessions_are_told_as_of_now() {
    let (team, notes, scrape) = busy();
    let sessions = [r#"{server="mail"} 1"#, r#"{server="notes"} 1"#];
    assert_eq!(scrape.lines("callgate_open_sessions"), sessions);
    assert!(scrape.lines("callgate_pending_requests").is_empty());
    assert!(scrape.lines("callgate_open_breakers").is_empty());
    assert_eq!(notes.delete(), 202);
    let after = Scrape::of(&team);
    assert_eq!(after.lines("callgate_open_sessions"), [r#"{server="mail"} 1"#]);
}

#[test]
fn a_server_that_is_gone_is_seen() {
    let mut stage = stage();
    let room = Room::new();
    let gone = HttpServer::start(&room, &[]);
    stage.config["servers"]["gone"] = json!({"url": gone.url()});
    let ana = stage.grant("ana", &["gone=open"]);
    let team = stage.serve();
    let mut client = team.begun("gone", &ana);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    drop(gone);
    let mut calls = 1.0;
    let scrape = until("the server is left alone", || {
        client.call("echo", json!({"text": "hi"}));
        calls += 1.0;
        let scrape = Scrape::of(&team);
        (scrape.value(r#"callgate_open_breakers{server="gone"}"#) == 1.0).then_some(scrape)
    });
    assert_eq!(
        scrape.value(&Scrape::decision("gone", "echo", "allow", "", "")),
        calls
    );
    let outcomes = scrape.counted("callgate_outcomes_total");
    assert_eq!(outcomes.values().sum::<f64>(), calls, "{outcomes:?}");
    assert!(outcomes[r#"callgate_outcomes_total{server="gone",status="unreachable"}"#] >= 3.0);
    assert_eq!(
        scrape.value(r#"callgate_server_duration_seconds_count{server="gone"}"#),
        1.0
    );
}

/// Lists names that were made up to do harm, other ones each time.
const HOSTILE: &str = r##"
import json, sys
times = 0
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    if asked["method"] == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "h", "version": "1"}}
    elif asked["method"] == "tools/list":
        names = ["a-plain", "a\"} 1\nforged{x=\"\\", "l" * 500, "\u0001\r\t\u2028"]
        names += ["n%d-%d" % (times, number) for number in range(1000)]
        times += 1
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}
        print(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}), flush=True)
    else:
        result = {"content": []}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"##;

#[test]
fn no_name_adds_series_without_end_or_forges_one_and_no_secret_is_told() {
    let mut stage = stage();
    let script = stage.room.write("hostile.py", HOSTILE);
    stage.config["servers"]["hostile"] = json!({"command": ["/usr/bin/env", "python3", script]});
    stage.config["servers"]["hostile"]["env"] = json!({"PATH": "${env:PATH}"});
    let ana = stage.grant("grantee-7", &["hostile=open"]);
    let team = stage.serve();
    let mut client = team.begun("hostile", &ana);
    for tool in ["a-plain", "a\"} 1\nforged{x=\"\\", "\u{1}\r\t\u{2028}"] {
        let answer = client.call(tool, json!({"key": "s3cret-argument"}));
        assert!(!answer.is_denied(), "{}", answer.raw);
    }
    for number in 0..20 {
        client.call(&format!("s3cret-name-{number}"), json!({}));
        client.call(&"l".repeat(500), json!({}));
    }
    let wrong = ana.replacen("cg_", "cg_s3cret", 1);
    assert_eq!(team.client("hostile", &wrong).post(&initialize()).status, 401);
    let scrape = Scrape::of(&team);
    let decisions = scrape
        .values
        .keys()
        .filter(|series| series.contains("server=\"hostile\",tool="));
    assert!(decisions.count() < 250);
    assert_eq!(
        scrape.value(&Scrape::decision("hostile", "a-plain", "allow", "", "")),
        1.0
    );
    let odd = r#"a\"} 1\nforged{x=\"\\"#;
    assert_eq!(
        scrape.value(&Scrape::decision("hostile", odd, "allow", "", "")),
        1.0
    );
    assert_eq!(
        scrape.value(&Scrape::decision("hostile", "other", "allow", "", "")),
        20.0
    );
    assert_eq!(
        scrape.value(&Scrape::decision("hostile", "other", "deny", "", "not_listed")),
        20.0
    );
    let grants = stage.grants(&["list"]);
    let id = grants.split_whitespace().find(|word| word.starts_with("g_"));
    for secret in [
        "s3cret",
        &ana,
        client.session().unwrap(),
        "grantee-7",
        id.unwrap(),
    ] {
        assert!(!scrape.text.contains(secret), "{secret}");
    }
}

#[test]
fn metrics_are_told_at_their_own_address_alone_and_under_its_own_name() {
    let stage = stage();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let client = metrics(&team);
    assert_eq!(
        client
            .clone()
            .header("host", "evil.example")
            .send("GET", &[], b"")
            .rest()
            .status,
        403
    );
    assert_eq!(client.post("{}").status, 405);
    for path in ["/", "/mcp/notes", "/healthz"] {
        assert_eq!(
            client.clone().path(path).send("GET", &[], b"").rest().status,
            404,
            "{path}"
        );
    }
    let elsewhere = team.client("notes", &ana).path("/metrics");
    assert_eq!(elsewhere.send("GET", &[], b"").rest().status, 404);
}

fn probe(team: &Team, path: &str) -> (u16, String) {
    // As an orchestrator does: without a token, and under whatever address the machine has.
    let client = team.anyone("").path(path).header("host", "10.1.2.3:8700");
    let reply = client.send("GET", &[], b"").rest();
    (reply.status, reply.body.trim_end().to_owned())
}

fn state_of(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

#[test]
fn the_gateway_is_ready_while_calls_can_be_judged_and_recorded() {
    let stage = stage();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &ana);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(probe(&team, "/healthz"), state_of(200, "ok"));
    assert_eq!(probe(&team, "/readyz"), state_of(200, "ok"));
    assert_eq!(team.anyone("").path("/readyz").post("{}").status, 405);
    assert_eq!(team.anyone("").path("/readyz/").post("{}").status, 401);

    // Another program holds the database for longer than a call may wait.
    let database = rusqlite::Connection::open(state(&stage.room).join("callgate.db")).unwrap();
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let denied = client.call("echo", json!({"text": "hi"}));
    assert_eq!(denied.reason(), Some("store_unavailable"), "{}", denied.raw);
    assert_eq!(probe(&team, "/readyz"), state_of(503, "store"));
    assert_eq!(probe(&team, "/healthz"), state_of(200, "ok"));
    let scrape = Scrape::of(&team);
    assert_eq!(scrape.value("callgate_store_healthy"), 0.0);
    assert_eq!(
        scrape.value(&Scrape::decision(
            "notes",
            "echo",
            "deny",
            "",
            "store_unavailable"
        )),
        1.0
    );
    database.execute_batch("ROLLBACK").unwrap();
    until("the store is back", || {
        (probe(&team, "/readyz").0 == 200).then_some(())
    });
    assert_eq!(Scrape::of(&team).value("callgate_store_healthy"), 1.0);

    database
        .execute_batch("ALTER TABLE meta RENAME TO elsewhere")
        .unwrap();
    until("the grants cannot be read", || {
        (probe(&team, "/readyz") == state_of(503, "grants")).then_some(())
    });
    database
        .execute_batch("ALTER TABLE elsewhere RENAME TO meta")
        .unwrap();
    until("the grants can be read", || {
        (probe(&team, "/readyz").0 == 200).then_some(())
    });
    assert_eq!(
        Scrape::of(&team).counted("callgate_auth_failures_total").len(),
        1,
        "the one without a token"
    );
}

#[test]
fn while_it_ends_the_gateway_lives_and_is_not_ready() {
    let stage = stage();
    let ana = stage.grant("ana", &["notes=open"]);
    let mut team = stage.serve();
    let mut client = team.begun("notes", &ana);
    let authority = team.url.trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&authority).unwrap();
    let mut ask = |path: &str| {
        write!(socket, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = vec![0; 4_096];
        let count = socket.read(&mut answer).unwrap();
        String::from_utf8(answer[..count].to_vec()).unwrap()
    };
    assert!(ask("/readyz").starts_with("HTTP/1.1 200 "));
    let open = client.open_call("sleep", json!({"ms": 1_500}));
    let pending = r#"callgate_pending_requests{server="notes"}"#;
    until("the call is pending", || {
        (Scrape::of(&team).value(pending) == 1.0).then_some(())
    });
    team.process.signal(Signal::TERM);
    until("new connections are refused", || {
        TcpStream::connect(&authority).err()
    });
    let (ready, live) = (ask("/readyz"), ask("/healthz"));
    assert!(
        ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("ending\n"),
        "{ready}"
    );
    assert!(live.starts_with("HTTP/1.1 200 "), "{live}");
    assert_eq!(Scrape::of(&team).value(pending), 1.0);
    assert!(format!("{:?}", open.rest()).contains("slept"));
    assert_eq!(team.process.ended().code(), Some(143));
}
