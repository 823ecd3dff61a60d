//! `callgate attacks`: every attack of the database is played, and has to go as its page says.

use crate::support::{Folder, Ran, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What Callgate stops by itself, whatever the policy says, and for which reasons then.
const STOPPED_BY_ANY_GATE: &[(&str, &[&str])] = &[
    ("cross-tenant-task", &["task_not_found"]),
    ("hidden-tool-call", &["not_listed"]),
    ("parser-differential", &["case_variant_keys", "duplicate_key"]),
    ("session-theft", &["token"]),
];

const OPEN: &str = "version: \"1\"\ndefault: allow\n";
const SHUT: &str = "version: \"1\"\ndefault: deny\n";

const SECTIONS: [&str; 6] = [
    "In short",
    "How it works",
    "Seen",
    "What stops it",
    "Policy",
    "What it does not stop",
];

fn callgate(arguments: &[&str]) -> Ran {
    run(Path::new("/"), arguments, "")
}

fn listed(arguments: &[&str]) -> Vec<Value> {
    let ran = callgate(&[&["attacks", "list", "--json"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    ran.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ids() -> Vec<String> {
    let ids = listed(&[]);
    ids.iter()
        .map(|attack| attack["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Plays all attacks, two at once: each id with the exit code and what was told.
fn play_all(arguments: &[&str]) -> Vec<(String, Option<i32>, Value)> {
    let left = Mutex::new(ids());
    let played = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(id) = left.lock().unwrap().pop() else {
                        return;
                    };
                    let ran = callgate(&[&["attacks", "run", &id, "--json"], arguments].concat());
                    let proof = serde_json::from_str(&ran.stdout);
                    let proof = proof.unwrap_or_else(|_| panic!("{id}: {}", ran.shown()));
                    played.lock().unwrap().push((id, ran.code, proof));
                }
            });
        }
    });
    played.into_inner().unwrap()
}

/// The reasons for which calls were refused.
fn reasons(proof: &Value) -> BTreeSet<&str> {
    let refused = proof["refused"].as_array().unwrap();
    refused
        .iter()
        .map(|refused| refused["reason"].as_str().unwrap())
        .collect()
}

fn by_any_gate(id: &str) -> Option<&'static [&'static str]> {
    let found = STOPPED_BY_ANY_GATE.iter().find(|(stopped, _)| *stopped == id);
    found.map(|(_, reasons)| *reasons)
}

/// The reason codes and causes that the documents know.
fn known_codes() -> BTreeSet<&'static str> {
    let page = include_str!("../../docs/answers.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next())
        .filter(|code| !code.contains('/'))
        .collect()
}

#[test]
fn every_attack_succeeds_alone_and_is_stopped_for_the_reasons_that_its_page_names() {
    let played = play_all(&[]);
    assert!(played.len() >= 20, "{} attacks", played.len());
    let known = known_codes();
    assert!(known.contains("rate_limited") && known.contains("duplicate_key"));
    for (id, code, proof) in played {
        assert_eq!(
            (code, &proof["ok"]),
            (Some(0), &Value::Bool(true)),
            "{id}: {proof}"
        );
        assert_eq!(proof["flaws"], Value::Array(Vec::new()), "{id}: {proof}");
        assert!(proof["without"]["harm"].is_string(), "{id}: {proof}");
        assert!(proof["with"]["harm"].is_null(), "{id}: {proof}");
        assert!(proof["ordinary"]["calls"].as_u64().unwrap() > 0, "{id}: {proof}");
        // What any gate stops is proved by the test of a policy that allows everything.
        let mut seen = reasons(&proof);
        seen.extend(by_any_gate(&id).unwrap_or_default());
        let page = callgate(&["attacks", "show", &id, "--json"]).json();
        let named: BTreeSet<&str> = page["what_stops_it"]
            .as_str()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| known.contains(word) || seen.contains(word))
            .collect();
        assert_eq!(seen, named, "{id}: {proof}");
    }
}

#[test]
fn an_attack_that_nothing_stops_is_told_as_not_stopped() {
    let folder = Folder::with(&[("open.yaml", OPEN)]);
    let open = folder.path().join("open.yaml");
    for (id, code, proof) in play_all(&["--policy", open.to_str().unwrap()]) {
        let flaws = proof["flaws"].to_string();
        if let Some(expected) = by_any_gate(&id) {
            assert_eq!(code, Some(0), "{id}: {proof}");
            assert!(reasons(&proof).iter().eq(expected), "{id}: {proof}");
            continue;
        }
        assert_eq!(code, Some(1), "{id}: {proof}");
        assert!(proof["with"]["harm"].is_string(), "{id}: {proof}");
        assert!(
            flaws.contains("it was not stopped: the server has "),
            "{id}: {proof}"
        );
    }
}

#[test]
fn a_policy_that_stops_the_attack_and_all_else_is_told_so() {
    let folder = Folder::with(&[("shut.yaml", SHUT)]);
    let ran = folder.callgate(&["attacks", "run", "runaway-loop", "--policy", "shut.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    assert!(
        ran.stdout
            .contains("ordinary use is hindered: start_build: [POLICY DENIED]"),
        "{}",
        ran.shown()
    );
}

#[test]
fn an_attack_that_cannot_be_played_proves_nothing() {
    let folder = Folder::with(&[("broken.yaml", "version: \"1\"\ndefault: perhaps\n")]);
    let ran = folder.callgate(&["attacks", "run", "runaway-loop", "--policy", "broken.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    assert!(
        ran.stderr
            .contains("runaway-loop could not be played: the attack with Callgate")
            && ran.stderr.contains("perhaps"),
        "{}",
        ran.shown()
    );
    assert!(!ran.stdout.contains("stopped"), "{}", ran.shown());
}

#[test]
fn a_story_is_told_and_nothing_is_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["attacks", "run", "runaway-loop", "confused-deputy"])
        .env("TMPDIR", place.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for line in [
        "  without Callgate  40 calls, 40 reached the server; it has started 40 builds",
        "  with Callgate     40 calls, 5 reached the server; it has done no harm",
        "35 × rate_limited /tools/start_build/limits/0",
        "  ordinary use      3 calls, all carried out",
        "records of the attack, whole, in order and signed",
        "2 of 2 attacks went as their pages say.",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colour where no terminal is");
    assert_eq!(
        std::fs::read_dir(place.path()).unwrap().count(),
        0,
        "the folder stayed"
    );
}

/// Whether any process was started with a place below this one among its arguments.
fn is_used(place: &Path) -> bool {
    let place = place.to_str().unwrap();
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(place)
    })
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_play_that_is_told_to_end_leaves_no_process_and_no_folder() {
    for id in ["boundary-burst", "confused-deputy"] {
        let place = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["attacks", "run", id])
            .env("TMPDIR", place.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        wait_until("a server runs", || is_used(place.path()));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{id}");
        wait_until("no process is left", || !is_used(place.path()));
        assert_eq!(
            std::fs::read_dir(place.path()).unwrap().count(),
            0,
            "{id}: the folder stayed"
        );
    }
}

#[test]
fn attacks_are_listed_the_worst_first_and_by_class() {
    let all = listed(&[]);
    assert!(all.len() >= 20, "{} attacks", all.len());
    let severities: Vec<&str> = all
        .iter()
        .map(|attack| attack["severity"].as_str().unwrap())
        .collect();
    let rank = |name: &str| {
        ["Critical", "High", "Medium", "Low"]
            .iter()
            .position(|of| *of == name)
    };
    assert!(severities.is_sorted_by_key(|name| rank(name)), "{severities:?}");
    let financial = listed(&["--class", "financial"]);
    assert!(!financial.is_empty() && financial.len() < all.len());
    for attack in &financial {
        assert!(
            attack["classes"]
                .as_array()
                .unwrap()
                .contains(&"Financial".into()),
            "{attack}"
        );
    }
    let table = callgate(&["attacks", "list"]).stdout;
    for attack in &all {
        let (id, severity) = (
            attack["id"].as_str().unwrap(),
            attack["severity"].as_str().unwrap(),
        );
        let row = table.lines().find(|line| line.starts_with(&format!("{id} ")));
        assert!(row.unwrap().contains(severity), "{table}");
    }
    let wrong = callgate(&["attacks", "list", "--class", "Other"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.shown());
    assert!(
        wrong
            .stderr
            .contains("Financial, Destructive, Execute, Write, Read"),
        "{}",
        wrong.shown()
    );
}

#[test]
fn each_page_is_shown_whole_and_its_policy_is_valid() {
    for id in ids() {
        let shown = callgate(&["attacks", "show", &id]);
        assert_eq!(shown.code, Some(0), "{}", shown.shown());
        let headings: Vec<&str> = shown
            .stdout
            .lines()
            .filter(|line| SECTIONS.contains(line))
            .collect();
        assert_eq!(headings, SECTIONS, "{id}");
        assert!(
            shown
                .stdout
                .contains(&format!("See it: callgate attacks run {id}")),
            "{id}"
        );
        // A reader who copies the policy out of the page gets the one that is played.
        let page = callgate(&["attacks", "show", &id, "--json"]).json();
        let policy = page["policy"].as_str().unwrap();
        for line in policy.lines().filter(|line| !line.trim().is_empty()) {
            assert!(shown.stdout.contains(&format!("    {line}\n")), "{id}: {line:?}");
        }
        let folder = Folder::with(&[("policy.yaml", policy)]);
        let validated = folder.callgate(&["validate", "policy.yaml"]);
        assert_eq!(validated.code, Some(0), "{id}: {}", validated.shown());
    }
}

#[test]
fn an_id_that_there_is_not_is_refused_with_what_there_is() {
    let ran = callgate(&["attacks", "show", "runaway"]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    assert!(
        ran.stderr.contains("do you mean runaway-loop?"),
        "{}",
        ran.shown()
    );
    let ran = callgate(&["attacks", "run", "no-such-thing"]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    assert!(
        ran.stderr.contains("`callgate attacks list` shows all"),
        "{}",
        ran.shown()
    );
    let ran = callgate(&["attacks", "run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
}

#[test]
fn a_poisoned_description_is_a_signal_before_the_server_is_used() {
    let folder = Folder::with(&[]);
    let program = env!("CARGO_BIN_EXE_callgate");
    let place = folder.path().to_str().unwrap();
    let server = ["attack-server", "tool-poisoning", "--folder", place];
    let scan = folder.callgate(&[&["scan", "-o", "policy.yaml", "--", program], &server[..]].concat());
    assert_eq!(scan.code, Some(0), "{}", scan.shown());
    let policy = folder.read("policy.yaml");
    assert!(policy.contains("tells the model what to do"), "{policy}");
}

/// The signals of the classifier, as the documents have them.
fn classifier_s_signals() -> BTreeSet<&'static str> {
    let page = include_str!("../../docs/classes.md");
    let (_, rest) = page.split_once("\n## Signals\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

#[test]
fn signals_and_classes_of_a_page_are_those_that_the_tools_of_its_server_get() {
    let known = classifier_s_signals();
    assert!(known.contains("look_alike_name"), "{known:?}");
    let ask = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#,
        "\n"
    );
    let mut named = 0;
    for attack in listed(&[]) {
        let id = attack["id"].as_str().unwrap();
        let folder = Folder::with(&[]);
        let served = run(folder.path(), &["attack-server", id, "--folder", "."], ask);
        let classified = run(
            folder.path(),
            &["catalog", "classify", "--json", "-"],
            &served.stdout,
        );
        assert_eq!(classified.code, Some(0), "{id}: {}", classified.shown());
        let tools: Vec<Value> = classified
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let got: BTreeSet<&str> = tools
            .iter()
            .flat_map(|tool| tool["signals"].as_array().unwrap())
            .map(|signal| signal.as_str().unwrap())
            .collect();
        let page = callgate(&["attacks", "show", id, "--json"]).json();
        for signal in page["signals"].as_array().unwrap() {
            let signal = signal.as_str().unwrap();
            // The others are plain words.
            if known.contains(signal) {
                named += 1;
                assert!(got.contains(signal), "{id}: {signal} is not among {got:?}");
            } else {
                assert!(!signal.contains('_'), "{id}: {signal} is no signal");
            }
        }
        // A list of tools that only read says nothing of what the server does besides.
        let classes = page["classes"].as_array().unwrap();
        let worst = ["Financial", "Destructive", "Execute", "Write"]
            .into_iter()
            .find(|class| tools.iter().any(|tool| tool["class"] == *class));
        assert!(
            worst.is_none_or(|worst| classes.contains(&worst.into())),
            "{id}: {worst:?} is not on the page"
        );
    }
    assert!(named > 0, "no page names a signal of the classifier");
}

#[test]
fn a_server_of_a_play_ends_when_whoever_has_started_it_is_gone() {
    let folder = Folder::with(&[]);
    let mut server = std::process::Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["attack-server", "session-theft", "--listen", "--folder"])
        .arg(folder.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    let told = server.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(told), &mut address).unwrap();
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    assert_eq!(server.try_wait().unwrap(), None, "it serves while it is wanted");
    drop(server.stdin.take());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while server.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > deadline {
            server.kill().unwrap();
            panic!("it is still there");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
