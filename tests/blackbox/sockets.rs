//! Unix sockets: who may connect, what becomes of their files, and what callers are known by.

use crate::support::{Record, until};
use crate::team::{Stage, initialize};
use callgate_testkit::{PATIENCE, Process};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

fn command(stage: &Stage) -> Command {
    let config = stage.room.write("callgate.yaml", &stage.config.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(["serve", "-c"]).arg(config);
    command
}

fn serve(stage: &Stage) -> Process {
    let mut process = Process::start(&mut command(stage));
    process.lives_in(&stage.room);
    process.owns_servers_of(stage.notes.clone());
    let _ = process.stderr_line("listening on unix:");
    process
}

/// A request and its whole answer: status and body.
fn ask(socket: &Path, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

fn post(socket: &Path, host: &str, more: &str, body: &str) -> (u16, String) {
    let length = body.len();
    ask(
        socket,
        &format!(
            "POST /mcp/notes HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_gateway_serves_on_a_socket_of_its_user_alone_and_takes_it_away_at_the_end() {
    let mut stage = Stage::new();
    stage.config["listen"] = json!("unix:run.sock");
    stage.config["metrics"] = json!("unix:metrics.sock");
    stage.config["hosts"] = json!(["gate.example.com"]);
    let ana = stage.grant("ana", &["notes=open"]);
    let mut process = serve(&stage);
    let [socket, metrics] = ["run.sock", "metrics.sock"].map(|name| stage.room.at(name));
    assert_eq!((mode(&socket), mode(&metrics)), (0o600, 0o600));
    let bearer = format!("authorization: Bearer {ana}\r\n");
    for host in ["localhost", "gate.example.com"] {
        let (status, body) = post(&socket, host, &bearer, &initialize());
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("serverInfo"), "{body}");
    }
    assert_eq!(post(&socket, "evil.example", &bearer, &initialize()).0, 403);
    assert_eq!(post(&socket, "localhost", "", &initialize()).0, 401);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!(ask(&socket, &get("/readyz")).0, 200);
    let (status, told) = ask(&metrics, &get("/metrics"));
    assert_eq!(status, 200);
    assert!(
        told.contains("callgate_auth_failures_total{reason=\"token\"} 1"),
        "{told}"
    );
    // The record knows callers over a socket as such.
    let record = Record::once(&stage.room, "both are recorded", |record| {
        record.auth_failures() == 2
    });
    assert!(record.refused_addresses().iter().all(|address| address == "unix"));
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(143));
    for path in [socket, metrics] {
        assert!(!path.exists(), "{} was left", path.display());
    }
    let left: Vec<_> = std::fs::read_dir(stage.room.path()).unwrap().flatten().collect();
    let hidden = left
        .iter()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".cg"));
    assert_eq!(hidden.count(), 0);
}

#[test]
fn a_socket_that_nobody_listens_on_is_replaced_and_any_other_file_is_not() {
    let mut stage = Stage::new();
    stage.config["listen"] = json!("unix:run.sock");
    stage.grant("ana", &["notes=open"]);
    let socket = stage.room.at("run.sock");
    let mut killed = serve(&stage);
    killed.kill9();
    assert!(
        std::fs::metadata(&socket).unwrap().file_type().is_socket(),
        "it was left behind"
    );
    let process = serve(&stage);
    // Another process that is there keeps its place.
    let refused = command(&stage).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("another process listens there"), "{said}");
    assert_eq!(post(&socket, "localhost", "", &initialize()).0, 401);
    drop(process);
    std::fs::write(&socket, "somebody's").unwrap();
    let refused = command(&stage).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("there is a file that is no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "somebody's");
    std::fs::remove_file(&socket).unwrap();
    stage.config["listen"] = json!(format!("unix:{}", "x".repeat(120)));
    let refused = command(&stage).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("may have 103 bytes"), "{said}");
}

#[test]
fn a_socket_that_another_has_taken_over_is_left_to_it() {
    let mut stage = Stage::new();
    stage.config["listen"] = json!("unix:run.sock");
    stage.grant("ana", &["notes=open"]);
    let socket = stage.room.at("run.sock");
    let mut process = serve(&stage);
    std::fs::remove_file(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(143));
    assert!(socket.exists());
}

#[test]
fn others_may_connect_where_the_configuration_says_so_and_never_without_a_grant() {
    let mut stage = Stage::new();
    stage.config["listen"] = json!("unix:run.sock");
    stage.config["socket_mode"] = json!("0660");
    // A proxy would look like a caller on this machine.
    let refused = command(&stage).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("callgate grants create"), "{said}");
    assert!(!stage.room.at("run.sock").exists());
    stage.grant("ana", &["notes=open"]);
    let process = serve(&stage);
    until("it is there", || {
        (mode(&stage.room.at("run.sock")) == 0o660).then_some(())
    });
    drop(process);
    let mut told = Vec::new();
    for (listen, socket_mode) in [
        (json!("unix:"), Value::Null),
        (json!("unix://run.sock"), Value::Null),
        (json!("127.0.0.1:0"), json!("0660")),
        (json!("unix:run.sock"), json!("0777")),
    ] {
        stage.config["listen"] = listen;
        stage.config["socket_mode"] = socket_mode;
        if stage.config["socket_mode"].is_null() {
            stage.config.as_object_mut().unwrap().remove("socket_mode");
        }
        let refused = command(&stage).output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "{}", stage.config);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        told.push(said.lines().next().unwrap().to_owned());
    }
    assert!(told[0].starts_with("error[address]"), "{told:?}");
    assert!(told[1].starts_with("error[address]"), "{told:?}");
    assert!(told[2].contains("`listen` is none"), "{told:?}");
    assert!(told[3].starts_with("error[unknown-word]"), "{told:?}");
}
