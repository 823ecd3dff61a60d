//! The bundled servers do what tests of the gate take for granted.

use callgate_testkit::process::{is_alive, is_gone_within, kill9};
use callgate_testkit::tools::ListKind;
use callgate_testkit::{HttpServer, Process, Room, Script, Stdio, StdioServer};
use serde_json::{Value, json};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

fn echo(mischief: &str) -> (StdioServer, Stdio) {
    let server = StdioServer::echo(&Room::new()).mischief(mischief);
    let mut client = Stdio::direct(&server);
    client.initialize("2025-06-18");
    (server, client)
}

#[test]
fn a_call_is_in_the_log_byte_for_byte_before_it_is_answered() {
    let server = StdioServer::echo(&Room::new());
    let mut client = Stdio::direct(&server);
    let line = r#"{"jsonrpc":"2.0",  "id":7,"method":"tools/call","params":{"name":"mirror","arguments":{"n":1.50e2}}}"#;
    client.send(line);
    assert!(
        client
            .answer(7)
            .raw
            .contains(r#""structuredContent":{"n":1.50e2}"#)
    );
    assert_eq!(server.log().lines(), [line]);
}

#[test]
fn both_eras_and_the_servers_own_requests() {
    let server = StdioServer::echo(&Room::new());
    let mut client = Stdio::direct(&server);
    assert_eq!(
        client.initialize("2025-03-26").result()["protocolVersion"],
        "2025-03-26"
    );
    let id = client.start_call("ask", json!({"what": "sampling"}));
    let asked = client.message("sampling/createMessage");
    client.reply(&asked, json!({"role": "assistant"}));
    assert!(client.answer(id).text().contains("assistant"));
    let modern = callgate_testkit::client::modern(json!({"name": "ask", "arguments": {}}));
    assert_eq!(
        client.request("tools/call", modern).result()["resultType"],
        "input_required"
    );

    let old = StdioServer::echo(&Room::new()).version("2024-11-05");
    let mut client = Stdio::direct(&old);
    assert_eq!(
        client.initialize("2025-06-18").result()["protocolVersion"],
        "2024-11-05"
    );
    let discover = client.request("server/discover", callgate_testkit::client::modern(json!({})));
    assert_eq!(discover.error_code(), Some(-32022));
}

#[test]
fn lists_come_in_pages_change_and_are_odd() {
    let list = |kind| Stdio::direct(&StdioServer::echo(&Room::new()).list(kind).tools(5));
    assert_eq!(list(ListKind::Pages).tools(), list(ListKind::Plain).tools());
    assert!(
        list(ListKind::Pages)
            .request("tools/list", json!({}))
            .raw
            .contains(r#""nextCursor":"""#)
    );
    let mut shifting = list(ListKind::Shifting);
    assert_ne!(shifting.tools(), shifting.tools());
    assert!(
        list(ListKind::Odd)
            .request("tools/list", json!({}))
            .raw
            .contains("1.0e3")
    );
}

#[test]
fn each_mischief_can_be_seen() {
    let said = |client: &Stdio, words: &str| client.lines().iter().any(|line| line.contains(words));
    let (_, mut client) = echo("noise");
    client.call("echo", json!({"text": "x"}));
    assert!(said(&client, "{not: json}"));
    let (_, mut client) = echo("duplicate-answers");
    let id = client.start_call("echo", json!({"text": "x"}));
    client.answer(id);
    client.call("echo", json!({"text": "y"}));
    assert_eq!(client.count_of(id), 2);
    let (_, mut client) = echo("unasked-answers");
    client.call("echo", json!({"text": "x"}));
    assert!(said(&client, "nobody-asked"));
    let (_, mut client) = echo("answers-notifications");
    client.call("echo", json!({"text": "x"}));
    assert!(
        client
            .messages()
            .iter()
            .any(|message| message["id"] == Value::Null)
    );
    let (_, mut client) = echo("oversized");
    assert!(client.call("echo", json!({"text": "x"})).raw.len() > 17 << 20);
    let (server, mut client) = echo("never-answers");
    let id = client.start_call("echo", json!({"text": "x"}));
    assert!(client.answer_within(id, SHORT).is_none());
    assert_eq!(server.log().calls().len(), 1);
    let (server, mut client) = echo("dies");
    client.start_call("echo", json!({"text": "x"}));
    assert_eq!(client.ended().code(), Some(3));
    assert_eq!(server.log().calls_of("echo"), [json!({"text": "x"})]);
    let (_, mut client) = echo("wrong-ids");
    client.start_call("echo", json!({"text": "x"}));
    client.answer("2");
}

#[test]
fn a_stubborn_server_outlives_everything_but_sigkill() {
    let (server, mut client) = echo("stubborn");
    client.close_stdin();
    server.log().wait_until(Duration::from_secs(5), |log| {
        log.notes().contains(&"stdin closed".to_owned())
    });
    client.signal(rustix::process::Signal::TERM);
    assert!(client.ended_within(SHORT).is_none());
    client.kill9();
}

#[test]
fn a_grandchild_holds_stdout_open() {
    let (server, mut client) = echo("grandchild");
    client.close_stdin();
    assert!(client.ended().success());
    assert!(!client.stdout().is_closed_within(SHORT));
    let grandchild = server.log().notes_of("grandchild ")[0].parse().expect("a pid");
    assert!(is_alive(grandchild));
    kill9(grandchild);
    assert!(is_gone_within(grandchild, Duration::from_secs(5)));
    assert!(client.stdout().is_closed_within(Duration::from_secs(5)));
}

#[test]
fn over_http_every_dialect_and_cut_reads_the_same() {
    let room = Room::new();
    for flags in [
        &["--mode", "json"][..],
        &["--mode", "sse"],
        &["--mode", "sse", "--dialect", "crlf", "--cut", "1"],
        &["--mode", "sse", "--dialect", "cr", "--cut", "3"],
        &["--mode", "sse", "--dialect", "multiline"],
        &["--mode", "sse", "--dialect", "rich", "--cut", "7"],
    ] {
        let server = HttpServer::start(&room, flags);
        let mut client = callgate_testkit::Http::to(server.url());
        client.initialize("2025-11-25");
        assert_eq!(
            client.call("echo", json!({"text": "é\n"})).text(),
            "é\n",
            "{flags:?}"
        );
        let messages = client
            .reply(
                "tools/call",
                json!({"name": "progress", "arguments": {"steps": 2},
            "_meta": {"progressToken": "p"}}),
            )
            .messages();
        assert_eq!(messages.len(), 3, "{flags:?}");
        let mut asking = client.open_call("ask", json!({}));
        let asked = asking.event();
        assert_eq!(client.answer(&asked, json!({"roots": []})), 202);
        assert!(asking.event().text().contains("roots"), "{flags:?}");
    }
}

#[test]
fn over_http_sessions_streams_and_the_modern_era() {
    let room = Room::new();
    let server = HttpServer::start(&room, &["--notify-ms", "20"]);
    let mut client = callgate_testkit::Http::to(server.url());
    assert_eq!(client.reply("tools/list", json!({})).status, 400);
    client.initialize("2025-06-18");
    let mut stream = client.listen();
    assert_eq!(stream.event().json["params"]["data"], "tick 1");
    assert_eq!(client.delete(), 204);
    assert_eq!(client.reply("tools/list", json!({})).status, 404);
    let mut modern = callgate_testkit::Http::to(server.url()).modern();
    assert_eq!(
        modern.call("echo", json!({"text": "hi"})).result()["resultType"],
        "complete"
    );
    assert_eq!(modern.reply("no/such", json!({})).status, 404);
    let mut lying = modern.header("mcp-name", "add");
    assert_eq!(
        lying
            .reply("tools/call", json!({"name": "echo", "arguments": {}}))
            .status,
        400
    );
    assert!(
        server
            .log()
            .notes()
            .iter()
            .any(|note| note.contains("| mcp-name: add"))
    );
}

#[test]
fn over_http_each_fault_can_be_seen() {
    let room = Room::new();
    for (fault, status) in [
        ("unauthorized", 401),
        ("payment", 402),
        ("rate-html", 429),
        ("redirect", 307),
        ("html", 200),
    ] {
        let server = HttpServer::start(&room, &["--fault", fault]);
        let mut client = callgate_testkit::Http::to(server.url());
        client.initialize("2025-06-18");
        assert_eq!(
            client.reply("tools/call", json!({"name": "echo"})).status,
            status,
            "{fault}"
        );
    }
}

#[test]
fn the_path_that_is_put_together_reaches_what_it_should_not() {
    let server = StdioServer::kestra(&Room::new());
    let mut client = Stdio::direct(&server);
    let mut execute = |namespace: &str, flow: &str| {
        client
            .call("execute_flow", json!({"namespace": namespace, "flow_id": flow}))
            .is_tool_error()
    };
    assert!(!execute("shop", "nightly"));
    assert!(execute("exec-1", "resume#"));
    assert!(execute("resume", "by-query"));
    assert!(!execute("dev/../prod", "nightly"));
    let did = [
        "start shop nightly",
        "resume exec-1",
        "resume exec-2",
        "start prod nightly",
    ];
    assert_eq!(server.backend(), did);
}

#[test]
fn the_shell_line_that_is_put_together_runs_what_it_should_not() {
    let server = StdioServer::toon(&Room::new());
    let mut client = Stdio::direct(&server);
    let before = client.request("tools/list", json!({})).raw;
    let run = json!({"workflowName": "k8s-detective", "parameters": {"namespace": "shop; touch X #"}});
    assert!(
        client
            .call("execute_workflow", run)
            .text()
            .starts_with("success: true")
    );
    assert_eq!(server.shell_files(), ["X"]);
    std::thread::sleep(SHORT);
    let after = client.request("tools/list", json!({})).raw;
    assert!(before.contains("none yet") && after.contains("prometheus"));
}

#[test]
fn the_python_stand_ins_start_and_answer() {
    let conductor = Script::python("conductor.py", &[]);
    let mut client = callgate_testkit::Http::to(conductor.url());
    client.initialize("2025-06-18");
    assert_eq!(client.request("tools/list", json!({})).tool_names().len(), 16);
    let mistral = Script::python("mistral.py", &[]);
    let api = callgate_testkit::Http::to(mistral.url()).path("/v1/workflows/echo/execute");
    assert_eq!(
        api.post(r#"{"input":{"a":1}}"#).answer().json["workflow_name"],
        "echo"
    );
}

#[test]
fn a_process_that_is_dropped_is_gone() {
    let process = Process::start(std::process::Command::new("sleep").arg("60"));
    let pid = process.pid();
    drop(process);
    assert!(!is_alive(pid));
}
