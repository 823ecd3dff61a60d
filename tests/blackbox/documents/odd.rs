//! Blocks that are run each in a way of its own.

use super::desk::{Desk, repository};
use super::page::Block;
use super::shown::assert_shown;
use crate::support::{OPEN, Record};
use callgate_testkit::{Http, PATIENCE, Process, Script, Stdio};
use regex::Regex;
use serde_json::{Value, json};

/// The program's output, shortened on the page.
pub(super) fn the_demo(desk: &Desk, block: &Block) {
    let printed = desk.said("callgate demo");
    // What comes before the table and after the last line that is shown is the demo's, and not the page's.
    let lines: Vec<&str> = printed
        .lines()
        .skip_while(|line| !line.starts_with("DECISION TOOL"))
        .collect();
    let last = lines.iter().position(|line| line.starts_with("verified "));
    let lines = &lines[..=last.expect("the verified ledger")];
    assert_shown(&block.place, &block.text, &lines.join("\n"));
}

/// A result of a denied call, as it is sent.
pub(super) fn a_denial(desk: &Desk, block: &Block) {
    let mut client = begun(desk);
    let answer = client.call("list_notes", json!({"folder": "/home/ana/.ssh"}));
    let shown = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}}",
        answer.json["id"],
        block.text.trim_end()
    );
    assert_answer(block, &shown, &answer.raw);
}

/// The third note of a minute, refused with the time to wait.
pub(super) fn a_limit(desk: &Desk, block: &Block) {
    let mut client = begun(desk);
    for _ in 0..2 {
        client.start_call("send_note", json!({"to": "bo@example.org", "text": "hi"}));
    }
    let call = json!({"name": "send_note", "arguments": {"to": "bo@example.org", "text": "hi"}});
    client.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}).to_string());
    let answer = client.answer(7);
    let left = answer.json["result"]["_meta"]["callgate/retryAfterMs"]
        .as_u64()
        .expect("a time to wait");
    assert!((50_000..=60_000).contains(&left), "{}", answer.raw);
    // The milliseconds since the first note are this run's own.
    let sent = answer
        .raw
        .replace(
            &format!("\"callgate/retryAfterMs\":{left}"),
            "\"callgate/retryAfterMs\":60000",
        )
        .replace(
            &format!("try again in {} s", left.div_ceil(1_000)),
            "try again in 60 s",
        );
    assert_answer(block, block.text.trim_end(), &sent);
}

/// A call whose arguments have a key twice.
pub(super) fn a_malformed_message(desk: &Desk, block: &Block) {
    let mut client = begun(desk);
    client.send(TWICE);
    let answer = client.answer(json!(null));
    assert_answer(block, block.text.trim_end(), &answer.raw);
}

const TWICE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"send_note","#,
    r#""arguments":{"to":"bo","to":"eve"}}}"#
);

/// An export that verifies; by its bytes it is also compared where the format is tested.
pub(super) fn an_export(desk: &Desk, block: &Block) {
    desk.room.write("example.jsonl", &block.text);
    let printed = desk.said("python3 tests/verify_ledger.py example.jsonl");
    assert!(
        printed.contains("records 0 to 2 (exclusive) are whole"),
        "{}: {printed}",
        block.place
    );
}

/// The ledger that the page on it shows: a session of seven calls, three of them let through.
pub(super) fn keep_a_ledger(desk: &Desk) {
    let mut process = desk.notes_gate("--checkpoint-out kept.txt");
    process.lives_in(&desk.room);
    let mut client = Stdio::on(process);
    client.initialize("2025-06-18");
    assert_eq!(client.tools(), ["list_notes", "send_note"]);
    client.send(TWICE);
    let _ = client.answer(json!(null));
    let note = |to: &str| json!({"to": to, "text": "hi"});
    let listed = client.start_call("list_notes", json!({"folder": "/home/ana/notes"}));
    recorded(desk, 4);
    assert!(
        client
            .call("list_notes", json!({"folder": "/home/ana/.ssh"}))
            .is_denied()
    );
    assert!(client.call("delete_notes", json!({})).is_denied());
    let first = client.start_call("send_note", note("bo@example.org"));
    recorded(desk, 7);
    let second = client.start_call("send_note", note("bo@example.org"));
    recorded(desk, 8);
    assert!(client.call("send_note", note("bo@example.org")).is_denied());
    assert!(client.call("send_note", note("eve@example.com")).is_denied());
    recorded(desk, 10);
    client.notify("notifications/roots/list_changed", json!({}));
    for id in [listed, first, second] {
        assert!(!client.answer(id).is_tool_error());
    }
    client.close_stdin();
    assert!(client.ended_within(PATIENCE).is_some());
}

fn recorded(desk: &Desk, count: usize) {
    let _ = Record::once(&desk.room, "so many records", |record| record.0.len() >= count);
}

/// A word of a record is another one, in a copy of the ledger.
pub(super) fn a_changed_record(desk: &Desk, block: &Block) {
    desk.said("cp -a state changed");
    let database = rusqlite::Connection::open(desk.at("changed/callgate.db")).unwrap();
    let changed = database
        .execute(
            "UPDATE ledger SET record = CAST(replace(CAST(record AS TEXT), 'colleagues', 'companions') AS BLOB)
             WHERE seq = 9",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(database);
    let command = "callgate ledger --state-dir changed verify --checkpoint kept.txt --key";
    let (printed, code) = desk.ran(&format!("{command} \"$(callgate ledger key)\""));
    assert_shown(&block.place, &block.text, &printed);
    assert_eq!(code, Some(2), "{printed}");
}

/// Two command lines, of which the second is this program's, and else the same.
pub(super) fn the_same_command_line(desk: &Desk, block: &Block) {
    let (theirs, ours) = block.text.trim_end().split_once('\n').unwrap();
    assert_eq!(
        theirs.strip_prefix("intercept -c"),
        ours.strip_prefix("callgate  -c"),
        "{}: they differ by more than the name",
        block.place
    );
    with_credentials(desk, block, ours);
}

/// Each line starts a gate that gives the server its credentials.
pub(super) fn headers(desk: &Desk, block: &Block) {
    desk.room.write(
        "headers.txt",
        "# what the server asks for\n\nAuthorization: Bearer ${env:API_KEY}\n",
    );
    for line in block.text.lines() {
        with_credentials(desk, block, line);
    }
}

fn with_credentials(desk: &Desk, block: &Block, line: &str) {
    desk.room.write("policy.yaml", OPEN);
    let before = desk.upstream().log().notes().len();
    let process = Process::start(&mut desk.shell(&format!("exec {line}")));
    desk.speak(&block.place, Stdio::on(process), None);
    let notes = desk.upstream().log().notes();
    let sent = &notes[before..];
    assert!(!sent.is_empty());
    for note in sent.iter().filter(|note| note.starts_with("POST ")) {
        assert!(
            note.to_lowercase()
                .contains("authorization: bearer of-the-environment"),
            "{}: {note}",
            block.place
        );
    }
}

/// What every start says of a policy without `default`.
pub(super) fn no_default(desk: &Desk, block: &Block) {
    desk.room.write(
        "policy.yaml",
        "version: \"1\"\ntools:\n  send_note:\n    rules: [{name: few, rate_limit: 10/hour}]\n",
    );
    let (printed, _) = desk.ran("callgate run -c policy.yaml -- python3 /opt/notes/server.py");
    assert!(
        printed.contains(&block.text),
        "{}: the page shows\n{}\n--- but this was printed\n{printed}\n---",
        block.place,
        block.text
    );
}

/// Where a gate says that it listens.
pub(super) fn listening(desk: &Desk, block: &Block) {
    let process = desk.notes_gate("--transport http --port 0");
    let line = process.stderr_line("listening on");
    let port = |line: &str| {
        let (_, rest) = line.split_once("127.0.0.1:").unwrap();
        rest.split('/').next().unwrap().to_owned()
    };
    let (shown, printed) = (block.text.trim_end(), line.trim_end());
    assert_eq!(
        printed.replace(&port(printed), &port(shown)),
        shown,
        "{}",
        block.place
    );
}

/// A limit is taken out of a policy, then a brace is lost, then all is put back.
pub(super) fn reloads(desk: &Desk, block: &Block) {
    let policy = Desk::notes_policy();
    let (looser, _) = policy.split_once("    limits:").unwrap();
    desk.room.write("live.yaml", &policy);
    let command = "exec callgate run -c live.yaml -- python3 /opt/notes/server.py";
    let mut client = Stdio::on(Process::start(&mut desk.shell(command)));
    client.initialize("2025-06-18");
    let steps = [
        looser.to_owned(),
        format!("{looser}    limits: {{\n"),
        policy.clone(),
    ];
    for (line, text) in block.text.lines().zip(steps) {
        desk.room.write("live.yaml", &text);
        let (level, words) = line.split_once(' ').unwrap();
        let said = client.stderr_line(words);
        assert!(
            said.ends_with(words) && said.contains(level),
            "{}: the page shows\n{line}\n--- but this was printed\n{said}",
            block.place
        );
    }
    assert_eq!(block.text.lines().count(), 3);
}

/// A key that the policy's reader does not know.
pub(super) fn a_misspelt_key(desk: &Desk, block: &Block) {
    desk.room.write(
        "policy.yaml",
        "version: \"1\"\ndefault: deny\ntools:\n  send_note:\n    limts:\n      - {window: minute, max: 2}\n",
    );
    let (printed, code) = desk.ran("callgate run -c policy.yaml -- python3 /opt/notes/server.py");
    assert_shown(&block.place, &block.text, &printed);
    assert_eq!(code, Some(1), "{}", block.place);
}

/// The configuration of a team, on a free port and with this folder's server.
pub(super) fn a_configuration(desk: &Desk, block: &Block) {
    let text = block
        .text
        .replace("127.0.0.1:8700", "127.0.0.1:0")
        .replace("127.0.0.1:9464", "127.0.0.1:0")
        .replace("notes.py", Script::path("notes.py").to_str().unwrap());
    desk.room.write("callgate.yaml", &text);
}

/// A configuration that stands for itself.
pub(super) fn a_valid_configuration(desk: &Desk, block: &Block) {
    a_configuration(desk, block);
    desk.said("CONDUCTOR_SECRET=s callgate validate callgate.yaml");
}

/// The policy that a team's configuration names.
pub(super) fn a_policy_of_a_team(desk: &Desk, block: &Block) {
    desk.room.write("notes-readers.yaml", &block.text);
    desk.said("callgate validate notes-readers.yaml");
}

/// All but the last of the commands that set a team up; the last serves, when its client comes.
pub(super) fn a_team_is_set_up(desk: &Desk, block: &Block) {
    let (first, last) = block.text.trim_end().rsplit_once('\n').unwrap();
    desk.said(&format!("{{ {first}\n}} > set-up"));
    let said = std::fs::read_to_string(desk.at("set-up")).unwrap();
    let token = said.lines().last().unwrap();
    assert!(token.starts_with("cg_"), "{said}");
    desk.room.write("token", token);
    desk.room.write("serve", last);
}

/// A client reaches its server by the gateway's address, a path, and its grant's token.
pub(super) fn a_team_is_served(desk: &Desk, block: &Block) {
    let [command, token] = ["serve", "token"].map(|name| std::fs::read_to_string(desk.at(name)).unwrap());
    let mut process = Process::start(&mut desk.shell(&format!("exec {command}")));
    process.lives_in(&desk.room);
    let line = process.stderr_line("listening on http://");
    let authority = line.split('/').nth(2).unwrap();
    let shown: Value = serde_json::from_str(&block.text).unwrap();
    let server = &shown["mcpServers"]["notes"];
    let url = server["url"]
        .as_str()
        .unwrap()
        .replace("127.0.0.1:8700", authority);
    let header = server["headers"]["Authorization"].as_str().unwrap();
    let mut client = Http::to(&url).header("authorization", &header.replace("cg_…", token.trim()));
    client.initialize("2025-11-25");
    assert_eq!(
        client.request("tools/list", json!({})).tool_names(),
        ["list_notes"]
    );
    assert_eq!(Http::to(&url).post("{}").status, 401, "{}", block.place);
}

/// What a client without a token is told.
pub(super) fn a_challenge(desk: &Desk, block: &Block) {
    let (_process, url) = served(desk);
    let refused = Http::to(&format!("{url}/mcp/notes")).post("{}");
    let challenge = refused.header("www-authenticate").unwrap();
    assert_eq!(refused.status, 401, "{}", block.place);
    assert_eq!(
        block.text.trim_end(),
        format!("WWW-Authenticate: {challenge}"),
        "{}",
        block.place
    );
}

/// Where a token can be had.
pub(super) fn metadata_of_a_resource(desk: &Desk, block: &Block) {
    let (_process, url) = served(desk);
    let path = "/.well-known/oauth-protected-resource/mcp/notes";
    let told = Http::to(&url).path(path).send("GET", &[], b"").rest();
    assert_eq!(told.body.trim_end(), block.text.trim_end(), "{}", block.place);
}

/// The gateway of the page's configuration, and where it is.
fn served(desk: &Desk) -> (Process, String) {
    let mut process = Process::start(&mut desk.shell("exec callgate serve -c callgate.yaml"));
    process.lives_in(&desk.room);
    let line = process.stderr_line("listening on http://");
    let authority = line.split('/').nth(2).unwrap();
    let url = format!("http://{authority}");
    (process, url)
}

/// The same commands on a page that shows neither the configuration nor the client.
pub(super) fn a_team_in_short(desk: &Desk, block: &Block) {
    let page = super::page::Page::read("docs/serve.md");
    let [configuration, policy, _, client, ..] = &page.blocks[..] else {
        panic!("docs/serve.md has other blocks now");
    };
    a_configuration(desk, configuration);
    a_policy_of_a_team(desk, policy);
    a_team_is_set_up(desk, block);
    a_team_is_served(desk, client);
}

/// The example configuration, with all that it needs beside it.
pub(super) fn the_example_configuration(desk: &Desk, block: &Block) {
    let example = repository().join("docs/examples/team/callgate.yaml");
    assert_eq!(
        block.text,
        std::fs::read_to_string(example).unwrap(),
        "{}",
        block.place
    );
    let secret = desk.room.write("secret", "k");
    let text = block
        .text
        .replace("/run/secrets/mistral", secret.to_str().unwrap());
    desk.room
        .write("callgate.yaml", &text.replace("policies/", "team-policies/"));
    desk.said("CONDUCTOR_TOKEN=t callgate validate callgate.yaml");
}

/// The commands around configurations.
pub(super) fn about_configurations(desk: &Desk, block: &Block) {
    let page = super::page::Page::read("docs/serve-config.md");
    let example = page
        .blocks
        .iter()
        .find(|block| block.text.contains("mistral-readers:"));
    the_example_configuration(desk, example.unwrap());
    desk.said(&format!("export CONDUCTOR_TOKEN=t\n{}", block.text));
}

/// A variable that is not set, told without the secret beside it.
pub(super) fn an_unset_variable(desk: &Desk, block: &Block) {
    let (printed, code) = desk.ran("callgate validate callgate.yaml");
    assert_eq!(code, Some(2), "{}\n{printed}", block.place);
    let error = printed.split("\n\n").next().unwrap();
    assert_shown(&block.place, &block.text, error);
}

const OTHERS: callgate_policy::document::Genre = callgate_policy::document::Genre {
    called: "file of another program",
    begin: "",
    split: "",
    repeat: "",
};

/// A file of another program's: what can be said of it here is that it is YAML.
pub(super) fn other_yaml(_: &Desk, block: &Block) {
    let read = callgate_policy::read_document(&block.text, &OTHERS);
    assert!(read.is_ok(), "{}: {read:?}", block.place);
}

/// Rules for alerts: each is about series that there are, with labels that they have.
pub(super) fn alerts(desk: &Desk, block: &Block) {
    other_yaml(desk, block);
    let series = crate::metrics::series_on_the_page();
    let named = Regex::new(r"callgate_[a-z_]+").unwrap();
    let labels = Regex::new(r"(?:\{|by \()([a-z_]+)").unwrap();
    let expressions: Vec<&str> = block
        .text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .collect();
    assert_eq!(expressions.len(), block.text.matches("- alert: ").count());
    for expression in expressions {
        let mut of = Vec::new();
        for name in named.find_iter(expression) {
            let name = name.as_str();
            let found = series
                .iter()
                .find(|one| one.name == name || format!("{}_bucket", one.name) == name);
            of.extend(
                &found
                    .unwrap_or_else(|| panic!("{}: there is no {name}", block.place))
                    .labels,
            );
        }
        assert!(
            !named.find_iter(expression).collect::<Vec<_>>().is_empty(),
            "{expression}"
        );
        for label in labels.captures_iter(expression) {
            assert!(
                &label[1] == "le" || of.iter().any(|one| **one == label[1]),
                "{}: {expression}",
                block.place
            );
        }
    }
}

/// What a client's configuration says, and is found.
pub(super) fn a_configuration_of_a_client(desk: &Desk, block: &Block) {
    std::fs::create_dir_all(desk.at(".cursor")).unwrap();
    desk.room.write(".cursor/mcp.json", &desk.here(&block.text));
}

/// The command that a person is asked by; here, the answer is yes.
pub(super) fn is_protected(desk: &Desk, block: &Block) {
    desk.said(&format!("{} --yes", block.text.trim_end()));
}

/// What the configuration says then.
pub(super) fn is_behind_callgate(desk: &Desk, block: &Block) {
    let wanted = desk
        .here(&block.text)
        .replace("/home/ana/.cargo/bin", desk.at("bin").to_str().unwrap())
        .replace("/home/ana", desk.room.path().to_str().unwrap());
    assert_eq!(
        std::fs::read_to_string(desk.at(".cursor/mcp.json")).unwrap(),
        wanted,
        "{}",
        block.place
    );
}

/// The three commands, on a configuration that is as it was at the end.
pub(super) fn all_is_protected(desk: &Desk, block: &Block) {
    let config = r#"{"mcpServers": {"notes": {"command": "python3", "args": ["/opt/notes/server.py"]}}}"#;
    std::fs::create_dir_all(desk.at(".cursor")).unwrap();
    let path = desk.room.write(".cursor/mcp.json", &desk.here(config));
    let read = || std::fs::read_to_string(&path).unwrap();
    let before = read();
    for command in block.text.lines() {
        match command {
            "callgate init" => {
                desk.said("callgate init --yes");
                assert!(read().contains("--server"), "{}: {}", block.place, read());
            }
            other => drop(desk.said(other)),
        }
    }
    assert_eq!(read(), before, "{}", block.place);
}

/// A client of a gate in front of the server with notes.
fn begun(desk: &Desk) -> Stdio {
    let mut client = Stdio::on(desk.notes_gate(""));
    client.initialize("2025-06-18");
    client
}

#[track_caller]
fn assert_answer(block: &Block, shown: &str, sent: &str) {
    assert!(
        sent.trim_end() == shown,
        "{}: the page shows\n{shown}\n--- but this was sent\n{sent}\n---",
        block.place
    );
}
