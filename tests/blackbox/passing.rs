//! Long answers go to their client while they still come; whatever is wrong with the rest of one, nobody can take what
//! came for the whole, and the record says how it ended.

use crate::support::upstream::{Asked, Held, Upstream};
use crate::support::{OPEN, Record, gate, until};
use crate::team::Stage;
use callgate_testkit::client::http::Stream;
use callgate_testkit::{Http, HttpGate, PATIENCE, Room};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

const IMPATIENT: &str = "version: \"1\"\ndefault: allow\ntimeout: 3s\ntools: {}\n";
/// More than is held back, and than a read of the gate's brings at once.
const LONG: usize = 100 * 1024;
/// What its client has got then, at least.
const PART: usize = 40 * 1024;

/// A server whose answers to tool calls the test gives, and a gate before it.
struct Scene {
    room: Room,
    gate: HttpGate,
    calls: Receiver<Held>,
}

fn is_call(asked: &Asked) -> bool {
    asked.json()["method"] == "tools/call"
}

impl Scene {
    fn new(policy: &str) -> Self {
        let room = Room::new();
        let (server, calls) = Upstream::holding(is_call);
        let gate = gate(&room, policy).upstream(&server.url).http();
        Self { room, gate, calls }
    }

    fn legacy(&self) -> Http {
        let mut client = self.gate.client();
        client.initialize("2025-11-25");
        client
    }

    fn modern(&self) -> Http {
        self.gate.client().modern()
    }

    fn held(&self) -> Held {
        self.calls.recv_timeout(PATIENCE).unwrap()
    }

    /// A call whose answer has begun with this, of which its client has a part.
    fn begun(&self, client: &mut Http, start: &str) -> (Stream, Held) {
        let mut answer = client.open_call("echo", json!({"text": "hi"}));
        let mut held = self.held();
        held.begin("application/json");
        assert!(held.piece(start.replace("ID", &held.id()).as_bytes()));
        answer.first(PART);
        (answer, held)
    }

    /// What is recorded once all is settled, of the one call.
    fn outcome(&self) -> (String, Option<String>) {
        let record = Record::once(&self.room, "an outcome", |record| record.outcomes().len() == 1);
        record.assert_one_outcome_each();
        let outcome = record.outcomes()[0];
        assert_eq!(outcome.settlement.as_str(), "kept");
        (
            outcome.status.as_str().to_owned(),
            outcome.reason.as_ref().map(ToString::to_string),
        )
    }
}

/// The first part of an answer, which is cut within its text.
fn start() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":ID,"result":{{"content":[{{"type":"text","text":"{}"#,
        "x".repeat(LONG)
    )
}

/// The same, before its id has come.
fn start_without_id() -> String {
    start().replace(r#""jsonrpc":"2.0","id":ID,"#, "")
}

/// What comes is no whole message: neither to HTTP, nor as JSON.
#[track_caller]
fn assert_broken_off(answer: Stream) {
    let reply = answer.rest();
    assert!(!reply.is_whole, "HTTP says that this is all");
    assert!(reply.body.len() >= PART);
    assert!(serde_json::from_str::<Value>(&reply.body).is_err());
}

#[test]
fn a_long_answer_reaches_its_client_while_its_server_holds_the_rest() {
    let orders = [
        r#"{"jsonrpc":"2.0", "id":ID, "result":{"content":[{"type":"text","text":"TEXT"}],"isError":false}}"#,
        r#"{"result" : {"content":[{"type":"text","text":"TEXT"}]} , "jsonrpc":"2.0" , "id" : ID }"#,
    ];
    for is_modern in [false, true] {
        let scene = Scene::new(OPEN);
        let mut client = if is_modern { scene.modern() } else { scene.legacy() };
        for (count, order) in orders.iter().enumerate() {
            let text = "0123456789abcdef".repeat(LONG / 16);
            let message = order.replace("TEXT", &text);
            let mut answer = client.open_call("echo", json!({"text": "hi"}));
            let mut held = scene.held();
            let sent = format!(" \r\n{}\n ", message.replace("ID", &held.id()));
            let (first, rest) = sent.as_bytes().split_at(LONG - 100);
            held.begin("application/json");
            assert!(held.piece(first));
            assert_eq!(answer.status(), 200);
            let so_far = answer.first(PART);
            assert!(answer.is_silent_for(Duration::from_millis(50)) || so_far.len() < LONG - 100);
            assert_eq!(
                Record::of(&scene.room).outcomes().len(),
                count,
                "it is not settled"
            );
            // Cut at each byte: the id, the escapes of nothing, the end.
            for piece in rest.chunks(1).take(200) {
                assert!(held.piece(piece));
            }
            assert!(held.piece(&rest[200.min(rest.len())..]) || rest.len() <= 200);
            held.end();
            let reply = answer.rest();
            assert!(reply.is_whole);
            assert_eq!(reply.header("content-type"), Some("application/json"));
            // The client's own id, and else what the server sent, without white space around it.
            let own = serde_json::from_str::<Value>(&reply.body).unwrap()["id"].to_string();
            assert_eq!(reply.body, message.replace("ID", &own));
            Record::once(&scene.room, "its outcome", |record| {
                record.statuses() == vec!["ok"; count + 1]
            });
        }
        // The line is free for the next call, and an answer that is short is what it was.
        let mut answer = client.open_call("echo", json!({"text": "hi"}));
        let mut held = scene.held();
        held.begin("application/json");
        let short = r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[]}}"#.replace("ID", &held.id());
        let (first, rest) = short.split_at(short.len() - 9);
        assert!(held.piece(first.as_bytes()));
        assert!(answer.is_silent_for(Duration::from_millis(100)));
        assert!(held.piece(rest.as_bytes()));
        held.end();
        let reply = answer.rest();
        assert!(
            reply.is_whole && reply.header("content-length").is_some(),
            "{reply:?}"
        );
    }
}

#[test]
fn the_last_brace_waits_for_the_end_of_the_body() {
    let scene = Scene::new(OPEN);
    let (mut answer, mut held) = scene.begun(&mut scene.legacy(), &start());
    assert!(held.piece(b"\"}]}}   "));
    until("all but the brace", || {
        answer.is_silent_for(Duration::from_millis(20));
        answer.first(PART).ends_with(r#""}]}"#).then_some(())
    });
    assert!(answer.is_silent_for(Duration::from_millis(100)));
    assert_eq!(Record::of(&scene.room).outcomes().len(), 0);
    held.end();
    assert!(answer.rest().is_whole);
    assert_eq!(scene.outcome().0, "ok");
}

#[test]
fn the_outcome_is_that_of_the_whole_answer() {
    let orders: [(&str, &str); 5] = [
        (r#""}],"isError":true}}"#, "tool_error"),
        (r#""}],"is\u0045rror":true}}"#, "tool_error"),
        (r#""}],"isError":true,"isError":true}}"#, "ok"),
        (r#""}],"resultType":"input_required"}}"#, "input_required"),
        (r#""}],"resultType":"task","taskId":"t1"}}"#, "accepted"),
    ];
    for (end, status) in orders {
        let scene = Scene::new(OPEN);
        let (answer, mut held) = scene.begun(&mut scene.legacy(), &start());
        assert!(held.piece(end.as_bytes()));
        held.end();
        assert!(answer.rest().is_whole, "{end}");
        assert_eq!(scene.outcome(), (status.to_owned(), None), "{end}");
    }
}

#[test]
fn an_answer_that_does_not_stand_is_broken_off_and_ends_as_one_that_was_read_whole() {
    let with_id = [
        ("twice the id", r#""}]},"id":ID}"#.as_bytes().to_vec()),
        ("a variant of a key", br#""}]},"Result":1}"#.to_vec()),
        ("another result", br#""}]},"result":{}}"#.to_vec()),
        (
            "an error too",
            br#""}]},"error":{"code":1,"message":"m"}}"#.to_vec(),
        ),
        ("a method too", br#""}]},"method":"ping"}"#.to_vec()),
        ("no UTF-8", b"\xc3\"}]}}".to_vec()),
        (
            "half a pair beside the result",
            br#""}]},"more":"\ud800"}"#.to_vec(),
        ),
        ("a number beside it", br#""}]},"more":1e999}"#.to_vec()),
        ("a control character", b"\n\"}]}}".to_vec()),
        (
            "too deep",
            [&br#""}],"a":"#[..], &[b'['; 127], &[b']'; 127], b"}}"].concat(),
        ),
        ("not closed", br#""}]}"#.to_vec()),
        (
            "more than one",
            br#""}]}}{"jsonrpc":"2.0","id":1,"result":{}}"#.to_vec(),
        ),
    ];
    let without_id = [
        (
            "another's id",
            br#""}]},"jsonrpc":"2.0","id":"nobody-asked"}"#.to_vec(),
        ),
        ("no id", br#""}]},"jsonrpc":"2.0"}"#.to_vec()),
        (
            "an id that is none",
            br#""}]},"jsonrpc":"2.0","id":null}"#.to_vec(),
        ),
        ("another version", br#""}]},"jsonrpc":"2.1","id":ID}"#.to_vec()),
    ];
    let cases = with_id.into_iter().map(|case| (start(), case));
    let cases = cases.chain(without_id.into_iter().map(|case| (start_without_id(), case)));
    let scene = Scene::new(OPEN);
    let mut clients = [scene.legacy(), scene.modern()];
    let mut count = 0;
    for (start, (what, end)) in cases {
        for client in &mut clients {
            count += 1;
            let (answer, mut held) = scene.begun(client, &start);
            let end = match String::from_utf8(end.clone()) {
                Ok(end) => end.replace("ID", &held.id()).into_bytes(),
                Err(end) => end.into_bytes(),
            };
            let _ = held.piece(&end);
            held.end();
            assert_broken_off(answer);
            let record = Record::once(&scene.room, what, |record| record.outcomes().len() == count);
            record.assert_one_outcome_each();
            let outcome = record.outcomes()[count - 1];
            let told = (
                outcome.status.as_str(),
                outcome.reason.as_ref().map(|reason| reason.as_str()),
            );
            assert_eq!(told, ("protocol_error", Some("upstream_protocol")), "{what}");
            assert_eq!(outcome.settlement.as_str(), "kept");
            // As what cannot be read, or as what nobody has asked for.
            let told = record.malformed_or_suppressed() + u64::from(record.has("drop"));
            assert!(told >= 1, "{what}");
            // The session lives on.
            assert_eq!(client.request("ping", json!({})).error_code(), None, "{what}");
        }
    }
}

#[test]
fn an_answer_whose_server_breaks_off_or_goes_on_too_long_is_broken_off_as_unknown() {
    let scene = Scene::new(OPEN);
    let (answer, held) = scene.begun(&mut scene.legacy(), &start());
    drop(held);
    assert_broken_off(answer);
    assert_eq!(
        scene.outcome(),
        ("unknown".to_owned(), Some("upstream_unreachable".to_owned()))
    );

    let scene = Scene::new(OPEN);
    let (answer, mut held) = scene.begun(&mut scene.modern(), &start());
    let mebibyte = vec![b'x'; 1 << 20];
    let writer = std::thread::spawn(move || while held.piece(&mebibyte) {});
    assert_broken_off(answer);
    writer.join().unwrap();
    assert_eq!(
        scene.outcome(),
        ("unknown".to_owned(), Some("too_large".to_owned()))
    );

    // Not long, but more keys than are kept.
    let scene = Scene::new(OPEN);
    let (answer, mut held) = scene.begun(&mut scene.modern(), &start());
    let mut keys = "\"}]".to_owned();
    for index in 0..50_000 {
        let _ = write!(keys, ",\"k{index}\":1");
    }
    let _ = held.piece(keys.as_bytes()) && held.piece(b"}}");
    held.end();
    assert_broken_off(answer);
    assert_eq!(
        scene.outcome(),
        ("unknown".to_owned(), Some("too_large".to_owned()))
    );
}

#[test]
fn the_deadline_holds_within_an_answer_and_does_not_count_what_its_client_takes() {
    let scene = Scene::new(IMPATIENT);
    let began = Instant::now();
    let (answer, held) = scene.begun(&mut scene.legacy(), &start());
    assert_broken_off(answer);
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert_eq!(
        scene.outcome(),
        ("unknown".to_owned(), Some("deadline".to_owned()))
    );
    assert!(held.is_closed_within(PATIENCE));

    // For longer than the deadline, the client takes nothing, and the server can send nothing.
    let scene = Scene::new(IMPATIENT);
    let began = Instant::now();
    let (mut answer, mut held) = scene.begun(&mut scene.legacy().narrow(), &start());
    let writer = std::thread::spawn(move || {
        let mebibyte = vec![b'x'; 1 << 20];
        assert!((0..14).all(|_| held.piece(&mebibyte)));
        assert!(held.piece(b"\"}]}}"));
        held.end();
    });
    let pause = Duration::from_secs(5);
    std::thread::sleep(pause);
    assert!(
        !writer.is_finished(),
        "all was read though the client took nothing"
    );
    answer.first(PART);
    let reply = answer.rest();
    assert!(reply.is_whole && reply.body.len() > 14 << 20);
    writer.join().unwrap();
    let record = Record::once(&scene.room, "an outcome", |record| record.outcomes().len() == 1);
    assert_eq!(record.statuses(), ["ok"]);
    // Nor is it told as the server's time.
    let took = Duration::from_micros(record.outcomes()[0].duration_us.unwrap().get());
    let all = began.elapsed();
    assert!(took + pause - Duration::from_secs(1) < all, "{took:?} of {all:?}");
}

#[test]
fn slow_clients_of_large_answers_do_not_fill_memory() {
    const CALLS: usize = 8;
    let scene = Scene::new(OPEN);
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", scene.gate.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    };
    let mut clients: Vec<Http> = (0..CALLS).map(|_| scene.legacy().narrow()).collect();
    let before = memory();
    let begun: Vec<(Stream, Held)> = clients
        .iter_mut()
        .map(|client| scene.begun(client, &start()))
        .collect();
    let (answers, held): (Vec<Stream>, Vec<Held>) = begun.into_iter().unzip();
    let writers: Vec<_> = held
        .into_iter()
        .map(|mut held| {
            std::thread::spawn(move || {
                let mebibyte = vec![b'x'; 1 << 20];
                assert!((0..15).all(|_| held.piece(&mebibyte)));
                assert!(held.piece(b"\"}]}}"));
                held.end();
            })
        })
        .collect();
    // Time in which a gate that collects would collect.
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        !writers.iter().any(std::thread::JoinHandle::is_finished),
        "all of an answer was read though its client took nothing"
    );
    let readers: Vec<_> = answers
        .into_iter()
        .map(|answer| std::thread::spawn(move || answer.rest()))
        .collect();
    for reader in readers {
        let reply = reader.join().unwrap();
        assert!(reply.is_whole && reply.body.len() > 15 << 20);
    }
    for writer in writers {
        writer.join().unwrap();
    }
    Record::once(&scene.room, "all outcomes", |record| {
        record.statuses() == ["ok"; CALLS]
    });
    let grown = memory() - before;
    assert!(
        grown < CALLS * (4 << 20),
        "it took {grown} bytes more for {CALLS} answers of 15 MiB"
    );
}

#[test]
fn a_client_that_leaves_cancels_from_2026_07_28_on_and_before_the_server_ends_what_it_began() {
    let scene = Scene::new(OPEN);
    let (answer, held) = scene.begun(&mut scene.modern(), &start());
    drop(answer);
    assert!(held.is_closed_within(PATIENCE), "the server was not told");
    assert_eq!(scene.outcome(), ("cancelled".to_owned(), None));

    for (end, status) in [(r#""}]}}"#, "ok"), (r#""}],"isError":true}}"#, "tool_error")] {
        let scene = Scene::new(OPEN);
        let (answer, mut held) = scene.begun(&mut scene.legacy(), &start());
        drop(answer);
        assert!((0..12).all(|_| held.piece(&vec![b'x'; 1 << 20])));
        assert_eq!(Record::of(&scene.room).outcomes().len(), 0);
        assert!(held.piece(end.as_bytes()));
        held.end();
        assert_eq!(scene.outcome(), (status.to_owned(), None));
    }
}

#[test]
fn a_cancellation_breaks_an_answer_off() {
    let scene = Scene::new(OPEN);
    let mut client = scene.legacy();
    let (answer, held) = scene.begun(&mut client, &start());
    let id = held.asked.json()["id"].clone();
    client.notify("notifications/cancelled", json!({"requestId": id}));
    assert_broken_off(answer);
    assert!(held.is_closed_within(PATIENCE));
    assert_eq!(scene.outcome(), ("cancelled".to_owned(), None));
}

#[test]
fn an_answer_on_its_way_is_finished_when_the_end_is_wanted_within_the_time_for_that() {
    let mut scene = Scene::new(OPEN);
    let (answer, mut held) = scene.begun(&mut scene.legacy(), &start());
    scene.gate.signal(Signal::TERM);
    until("it takes no more", || {
        std::net::TcpStream::connect(scene.gate.url().split('/').nth(2).unwrap()).err()
    });
    assert!(held.piece(b"\"}]}}"));
    held.end();
    let reply = answer.rest();
    assert!(reply.is_whole);
    assert!(serde_json::from_str::<Value>(&reply.body).is_ok());
    scene.gate.ended();
    assert_eq!(scene.outcome(), ("ok".to_owned(), None));

    let mut scene = Scene::new(OPEN);
    let (answer, _held) = scene.begun(&mut scene.legacy(), &start());
    scene.gate.signal(Signal::TERM);
    assert_broken_off(answer);
    scene.gate.ended();
    assert_eq!(
        scene.outcome(),
        ("unknown".to_owned(), Some("client_gone".to_owned()))
    );
}

/// A team whose server `mail` is the test's.
fn team() -> (Stage, Receiver<Held>) {
    let mut stage = Stage::new();
    let (server, calls) = Upstream::holding(is_call);
    stage.config["servers"]["mail"] = json!({"url": server.url});
    (stage, calls)
}

#[test]
fn a_revocation_breaks_off_what_is_on_its_way() {
    let (stage, calls) = team();
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let mut client = team.begun("mail", &ana);
    let mut answer = client.open_call("echo", json!({"text": "hi"}));
    let mut held = calls.recv_timeout(PATIENCE).unwrap();
    held.begin("application/json");
    assert!(held.piece(start().replace("ID", &held.id()).as_bytes()));
    answer.first(PART);
    stage.grants(&["revoke", "ana"]);
    let revoked = Instant::now();
    assert!(held.is_closed_within(PATIENCE));
    assert_broken_off(answer);
    // A second, and as much again for a machine that is busy.
    assert!(
        revoked.elapsed() < Duration::from_secs(2),
        "{:?}",
        revoked.elapsed()
    );
    let record = Record::once(&stage.room, "an outcome", |record| record.outcomes().len() == 1);
    assert_eq!(record.statuses(), ["unknown"]);
}

#[test]
fn what_has_to_be_seen_whole_is_read_whole() {
    // At `/mcp`, links to resources get their server's name.
    let (stage, calls) = team();
    let ana = stage.grant("ana", &["mail=open", "notes=open"]);
    let team = stage.serve();
    let mut all = Http::to(&format!("{}/mcp", team.url)).header("authorization", &format!("Bearer {ana}"));
    all.initialize("2025-11-25");
    let mut answer = all.open_call("mail__echo", json!({"text": "hi"}));
    let mut held = calls.recv_timeout(PATIENCE).unwrap();
    held.begin("application/json");
    let link = format!(
        "{}\"}},{{\"type\":\"resource_link\",\"uri\":\"file:///a\",\"name\":\"a",
        start()
    );
    assert!(held.piece(link.replace("ID", &held.id()).as_bytes()));
    assert!(answer.is_silent_for(Duration::from_millis(200)));
    assert!(held.piece(b"\"}]}}"));
    held.end();
    let reply = answer.rest();
    assert!(reply.is_whole && reply.header("content-length").is_some());
    assert_eq!(
        reply.answer().json["result"]["content"][1]["uri"],
        "mcp+mail:file:///a"
    );

    // A client whose response has become a stream of events gets the answer as one of them.
    let room = Room::new();
    let (server, held) = Upstream::holding(|asked| is_call(asked) || asked.method == "GET");
    let gate = gate(&room, OPEN).upstream(&server.url).http();
    let mut client = gate.client();
    client.initialize("2025-11-25");
    let mut standing = held.recv_timeout(PATIENCE).unwrap();
    standing.begin("text/event-stream");
    let mut answer = client.open_call("echo", json!({"text": "hi"}));
    let mut call = held.recv_timeout(PATIENCE).unwrap();
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"d"}}"#;
    assert!(standing.piece(format!("data: {log}\n\n").as_bytes()));
    assert_eq!(answer.event().json["method"], "notifications/message");
    call.begin("application/json");
    assert!(call.piece(start().replace("ID", &call.id()).as_bytes()));
    assert!(answer.is_silent_for(Duration::from_millis(200)));
    assert!(call.piece(b"\"}]}}"));
    call.end();
    let whole = answer.event();
    assert_eq!(whole.text().len(), LONG);
    Record::once(&room, "its outcome", |record| record.statuses() == ["ok"]);
}

/// A gate before a server whose own stream stands open too.
fn with_standing() -> (Scene, Http, Held) {
    let room = Room::new();
    let (server, calls) = Upstream::holding(|asked| is_call(asked) || asked.method == "GET");
    let gate = gate(&room, IMPATIENT).upstream(&server.url).http();
    let scene = Scene { room, gate, calls };
    let client = scene.legacy();
    let mut standing = scene.held();
    assert_eq!(standing.asked.method, "GET");
    standing.begin("text/event-stream");
    (scene, client, standing)
}

#[test]
fn a_second_answer_on_the_servers_own_stream_breaks_the_first_off_and_is_its_outcome() {
    let (scene, mut client, mut standing) = with_standing();
    let (answer, mut held) = scene.begun(&mut client, &start());
    let second = r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[],"isError":true}}"#;
    let second = second.replace("ID", &held.id());
    assert!(standing.piece(format!("data: {second}\n\n").as_bytes()));
    assert!(held.is_closed_within(PATIENCE), "the first is read on");
    let _ = held.piece(b"\"}]}}");
    assert_broken_off(answer);
    assert_eq!(scene.outcome(), ("tool_error".to_owned(), None));
    assert_eq!(client.request("ping", json!({})).error_code(), None);
}

#[test]
fn progress_shortens_no_deadline_that_waits_for_the_client() {
    let (scene, client, mut standing) = with_standing();
    let mut client = client.narrow();
    let mut params = callgate_testkit::client::call("echo", &json!({"text": "hi"}));
    params["_meta"] = json!({"progressToken": "t"});
    let mut answer = client.open("tools/call", params);
    let mut held = scene.held();
    held.begin("application/json");
    assert!(held.piece(start().replace("ID", &held.id()).as_bytes()));
    answer.first(PART);
    let writer = std::thread::spawn(move || {
        let mebibyte = vec![b'x'; 1 << 20];
        let _ = (0..14).all(|_| held.piece(&mebibyte)) && held.piece(b"\"}]}}");
        held.end();
    });
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        !writer.is_finished(),
        "all was read though the client took nothing"
    );
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}"#;
    assert!(standing.piece(format!("data: {progress}\n\n").as_bytes()));
    std::thread::sleep(Duration::from_secs(5));
    let reply = answer.rest();
    writer.join().unwrap();
    assert!(reply.is_whole && reply.body.len() > 14 << 20);
    assert_eq!(scene.outcome(), ("ok".to_owned(), None));
}

#[test]
fn a_client_of_http_1_0_gets_the_answer_as_it_comes_and_no_json_of_one_that_broke_off() {
    use std::io::{Read as _, Write as _};
    for is_whole in [true, false] {
        let scene = Scene::new(OPEN);
        let client = scene.legacy();
        let authority = scene.gate.url().split('/').nth(2).unwrap().to_owned();
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": callgate_testkit::client::call("echo", &json!({"text": "hi"}))})
        .to_string();
        let mut socket = std::net::TcpStream::connect(&authority).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.0\r\nhost: {authority}\r\ncontent-type: application/json\r\nconnection: keep-alive\r\n\
             mcp-session-id: {}\r\nmcp-protocol-version: 2025-11-25\r\ncontent-length: {}\r\n\r\n",
            client.session().unwrap(),
            body.len()
        );
        socket.write_all((head + &body).as_bytes()).unwrap();
        let mut held = scene.held();
        held.begin("application/json");
        assert!(held.piece(start().replace("ID", &held.id()).as_bytes()));
        let mut first = vec![0; PART];
        socket.read_exact(&mut first).unwrap();
        if is_whole {
            assert!(held.piece(b"\"}]}}"));
            held.end();
        } else {
            drop(held);
        }
        let mut rest = Vec::new();
        // How the connection ends does not tell which of the two it is.
        let _ = socket.read_to_end(&mut rest);
        let all = String::from_utf8([first, rest].concat()).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("chunked"), "{head}");
        assert_eq!(serde_json::from_str::<Value>(body).is_ok(), is_whole);
        let outcome = if is_whole { "ok" } else { "unknown" };
        assert_eq!(scene.outcome().0, outcome);
    }
}
