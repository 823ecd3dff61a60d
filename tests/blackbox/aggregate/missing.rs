//! Servers that are not there, or not any more.

use super::{begun, everything, received, scripted, scripted_stage};
use crate::support::until;
use crate::team::{Stage, Team, initialize};
use callgate_testkit::{Http, PATIENCE};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// The same, where a server is waited for in vain for as long as the gateway waits, on a machine that is busy.
fn begun_with_patience(team: &Team, token: &str) -> Http {
    let authority = team.url.trim_start_matches("http://");
    let body = initialize();
    let mut socket = TcpStream::connect(authority).unwrap();
    socket.set_read_timeout(Some(PATIENCE * 6)).unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"result\""), "{answer}");
    let session = answer
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "));
    let mut client = everything(team, token);
    client.set_session(session.map(str::trim));
    client.notify("notifications/initialized", json!({}));
    client
}

#[test]
fn a_server_that_is_dead_or_slow_takes_nothing_from_the_others() {
    let mut stage = Stage::new();
    let hold = stage.room.write("hold", "");
    let lines = "if k == 'tools/list': tools('live')\nif k == 'tools/call': text('alive')";
    let mut hanging = scripted(&stage.room, "hanging", lines);
    let command = hanging["command"].take();
    let wait = format!(
        "while test -e {}; do sleep 0.01; done; exec \"$@\"",
        hold.display()
    );
    let mut words = vec![json!("/bin/sh"), json!("-c"), json!(wait), json!("sh")];
    words.extend(command.as_array().unwrap().iter().cloned());
    hanging["command"] = json!(words);
    stage.config["servers"]["hanging"] = hanging;
    stage.config["servers"]["dead"] = json!({"command": ["/bin/false"]});
    stage.config["servers"]["missing"] = json!({"command": ["/nowhere/at-all"]});
    stage.config["servers"]["refusing"] = json!({"url": "http://127.0.0.1:1/mcp"});
    let servers = [
        "notes=open",
        "mail=open",
        "hanging=open",
        "dead=open",
        "missing=open",
        "refusing=open",
    ];
    let ana = stage.grant("ana", &servers);
    let team = stage.serve();
    let mut client = begun_with_patience(&team, &ana);
    let listed = client.request("tools/list", json!({}));
    let names = listed.tool_names();
    for name in ["notes__echo", "mail__echo"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    assert_eq!(
        listed.result()["_meta"]["callgate/leftOut"],
        json!(["dead", "hanging", "missing", "refusing"])
    );
    assert_eq!(client.call("mail__echo", json!({"text": "hi"})).text(), "hi");
    for server in ["dead", "missing", "refusing"] {
        let failed = client.call(&format!("{server}__echo"), json!({}));
        assert_eq!(failed.reason(), Some("upstream_unreachable"), "{}", failed.raw);
        assert!(!failed.raw.contains("/nowhere"), "{}", failed.raw);
    }
    // Whoever begins next does not wait for what was late before.
    let mut second = begun(&team, &ana);
    assert_eq!(second.call("notes__echo", json!({"text": "hi"})).text(), "hi");
    // Once it is there, the client is told, and finds what it has.
    let mut stream = second.listen();
    assert_eq!(stream.status(), 200);
    std::fs::remove_file(hold).unwrap();
    until("the late server is there", || {
        let listed = second.request("tools/list", json!({})).tool_names();
        listed.contains(&"hanging__live".to_owned()).then_some(())
    });
    let told = stream.event();
    assert_eq!(
        told.json["method"], "notifications/tools/list_changed",
        "{}",
        told.raw
    );
    assert_eq!(second.call("hanging__live", json!({})).text(), "alive");
    let begun = received(&stage.room, "hanging");
    let is_begun = |message: &&serde_json::Value| message["method"] == "notifications/initialized";
    assert!(begun.iter().any(|message| is_begun(&message)), "{begun:?}");
}

#[test]
fn a_server_that_ends_is_begun_again_for_the_next_call() {
    let lines = r#"
if k == 'tools/list': tools('die', 'live')
elif k == 'tools/call' and p['name'] == 'die': sys.exit(1)
elif k == 'tools/call': text('alive')
"#
    .trim();
    let (stage, _team, mut client) = scripted_stage(&[("one", lines)]);
    let failed = client.call("one__die", json!({}));
    assert_eq!(failed.reason(), Some("upstream_unreachable"), "{}", failed.raw);
    let answer = until("the server is there again", || {
        let answer = client.call("one__live", json!({}));
        (!answer.is_tool_error()).then_some(answer)
    });
    assert_eq!(answer.text(), "alive");
    let begun = received(&stage.room, "one");
    let count = |method: &str| begun.iter().filter(|message| message["method"] == method).count();
    assert_eq!((count("initialize"), count("notifications/initialized")), (2, 2));
}
