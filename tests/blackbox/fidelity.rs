//! What the conformance suite does not see: each message of a corpus passes byte for byte, in both directions, in
//! each version, over each transport. `tests/fidelity/messages.txt` says what stands in it, and what may differ.

use crate::support::{OPEN, gate, until};
use crate::team::Stage;
use callgate_testkit::client::http::Stream;
use callgate_testkit::play::Names;
use callgate_testkit::protocol::{LEGACY, META_VERSION, MODERN};
use callgate_testkit::{Http, HttpServer, PATIENCE, Room, ServerLog, Stdio, StdioServer};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CORPUS: &str = include_str!("../fidelity/messages.txt");

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// What the client sends and the server has to receive.
    Up(String),
    /// What the server sends and the client has to receive.
    Down(String),
    /// What the client sends in place of the lines up of this case.
    Batch(String),
}

/// One part of the corpus.
#[derive(Debug, Clone)]
struct Case {
    about: String,
    lines: Vec<Line>,
}

impl Case {
    fn up(&self) -> impl Iterator<Item = &String> {
        self.lines.iter().filter_map(|line| match line {
            Line::Up(message) => Some(message),
            Line::Down(_) | Line::Batch(_) => None,
        })
    }

    fn down(&self) -> impl Iterator<Item = &String> {
        self.lines.iter().filter_map(|line| match line {
            Line::Down(message) => Some(message),
            Line::Up(_) | Line::Batch(_) => None,
        })
    }

    fn batch(&self) -> Option<&String> {
        self.lines.iter().find_map(|line| match line {
            Line::Batch(message) => Some(message),
            Line::Up(_) | Line::Down(_) => None,
        })
    }
}

fn versions() -> impl Iterator<Item = &'static str> {
    LEGACY.into_iter().chain([MODERN])
}

/// The cases that a version has.
fn corpus(version: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut is_of_version = true;
    for line in CORPUS.lines().skip_while(|line| !line.starts_with("# ")) {
        let (kind, rest) = line.split_at(line.len().min(2));
        let case = cases.last_mut();
        match (kind, case) {
            ("# ", _) => {
                is_of_version = true;
                cases.push(Case {
                    about: rest.to_owned(),
                    lines: Vec::new(),
                });
            }
            ("@ ", _) => {
                let era = if version == MODERN { "modern" } else { "legacy" };
                is_of_version = rest.split(' ').any(|named| named == version || named == era);
            }
            ("> ", Some(case)) if is_of_version => case.lines.push(Line::Up(written(rest, version))),
            ("< ", Some(case)) if is_of_version => case.lines.push(Line::Down(written(rest, version))),
            ("[ ", Some(case)) if is_of_version => case.lines.push(Line::Batch(written(rest, version))),
            ("> " | "< " | "[ " | "", _) => {}
            other => panic!("no line of a corpus: {other:?}"),
        }
    }
    cases.retain(|case| !case.lines.is_empty());
    cases
}

/// A line of the corpus as a version writes it.
fn written(line: &str, version: &str) -> String {
    let capabilities = r#"{"roots":{ },"sampling":{},"elicitation":{},"x-odd":[1.0]}"#;
    let modern = format!(
        r#""{META_VERSION}":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{capabilities},"io.modelcontextprotocol/clientInfo":{{"name":"t","version":"1","x":{{}}}}"#
    );
    let (meta, kind) = if version == MODERN {
        (modern.as_str(), r#""resultType":"complete","#)
    } else {
        (r#""x/legacy":true"#, "")
    };
    line.replace("$VERSION", version)
        .replace("$META", meta)
        .replace("$TYPE", kind)
        .replace("$BIG", &r"é\u00e9\/x😀".repeat(200_000 / 12))
        .replace("$DEEP", &format!("{}{}", "[".repeat(100), "]".repeat(100)))
}

/// The file by which a bundled server plays its part.
fn part(room: &Room, cases: &[Case]) -> PathBuf {
    let lines = cases.iter().flat_map(|case| &case.lines);
    let lines: Vec<String> = lines
        .filter_map(|line| match line {
            Line::Up(message) => Some(format!("> {message}\n")),
            Line::Down(message) => Some(format!("< {message}\n")),
            Line::Batch(_) => None,
        })
        .collect();
    room.write("part.txt", &lines.concat())
}

fn child(room: &Room, version: &str, cases: &[Case]) -> StdioServer {
    let part = part(room, cases);
    StdioServer::echo(room).version(version).arg("--play").arg(part)
}

fn behind_url(room: &Room, version: &str, cases: &[Case], mode: &str) -> HttpServer {
    let part = part(room, cases);
    let part = part.to_str().unwrap();
    // A stream that the client opens is served, and says nothing.
    let flags = [
        "--version",
        version,
        "--mode",
        mode,
        "--play",
        part,
        "--notify-ms",
        "3600000",
    ];
    HttpServer::start(room, &flags)
}

fn is_request(message: &Value) -> bool {
    message.get("method").is_some() && message.get("id").is_some()
}

/// Whose names a message has at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamesAre {
    TheClients,
    Callgates,
}

/// The server has received the lines up of all cases and nothing else, but for what Callgate asks for itself.
#[track_caller]
fn assert_received(way: &str, log: &ServerLog, cases: &[Case], names: NamesAre) {
    let masked = |line: &String| {
        let names_of = Names::of(line);
        let mask = Names {
            id: Some("ID".to_owned()),
            token: Some("TOKEN".to_owned()),
        };
        match names {
            NamesAre::TheClients => line.clone(),
            NamesAre::Callgates => names_of.replaced(line, &mask),
        }
    };
    let mut expected: Vec<String> = cases.iter().flat_map(Case::up).map(masked).collect();
    // Callgate asks and lists for itself as the client would, without what is the corpus' own.
    let is_own = |line: &String| {
        let is_plain = line.contains("tools/list") && !line.contains("cursor")
            || line.contains("server/discover") && !line.contains(r#""params":{"x""#);
        line.contains(r#""id":"callgate-"#) && (names == NamesAre::TheClients || is_plain)
    };
    let received = || -> Vec<String> {
        let lines = log.lines().into_iter().filter(|line| !is_own(line));
        lines.map(|line| masked(&line)).collect()
    };
    until("the server has received all", || {
        (received().len() >= expected.len()).then_some(())
    });
    let mut received = received();
    // Each notification is a request of its own over HTTP, and may overtake another.
    received.sort_unstable();
    expected.sort_unstable();
    let surplus: Vec<_> = received.iter().filter(|line| !expected.contains(line)).collect();
    assert_eq!(received.len(), expected.len(), "{way}: {surplus:#?}");
    for (received, expected) in received.iter().zip(expected) {
        assert_same(way, received, &expected);
    }
}

/// Two messages are the same; where they are not, the place is shown.
#[track_caller]
fn assert_same(what: &str, one: &str, expected: &str) {
    if one == expected {
        return;
    }
    let place = one
        .char_indices()
        .zip(expected.chars())
        .find(|((_, one), expected)| one != expected)
        .map_or(one.len().min(expected.len()), |((place, _), _)| place);
    let around = |text: &str| -> String {
        let before = text.get(..place).unwrap_or(text).chars().rev().take(60);
        let before: String = before.collect::<Vec<_>>().into_iter().rev().collect();
        before
            + &text
                .get(place..)
                .unwrap_or_default()
                .chars()
                .take(60)
                .collect::<String>()
    };
    panic!(
        "{what}: at byte {place}\n     got {}\nexpected {}",
        around(one),
        around(expected)
    );
}

/// Plays the client's part over pipes.
fn play_over_stdio(way: &str, client: &mut Stdio, cases: &[Case]) {
    let mut seen = 0;
    for case in cases {
        let what = format!("{way}: {}", case.about);
        if let Some(batch) = case.batch() {
            client.send(batch);
            let joined = next_line(&what, client, &mut seen);
            assert_joined(&what, &joined, case);
            continue;
        }
        for line in &case.lines {
            match line {
                Line::Up(message) => client.send(message),
                Line::Down(message) => assert_same(&what, &next_line(&what, client, &mut seen), message),
                Line::Batch(_) => {}
            }
        }
    }
    assert_eq!(client.lines().len(), seen, "{way}: {:?}", client.lines().last());
}

#[track_caller]
fn next_line(what: &str, client: &Stdio, seen: &mut usize) -> String {
    let line = until(what, || client.lines().get(*seen).cloned());
    *seen += 1;
    line
}

/// The answers of a batch stand in one array, each as it came.
#[track_caller]
fn assert_joined(what: &str, joined: &str, case: &Case) {
    let mut rest = joined.to_owned();
    for message in case.down() {
        assert!(rest.contains(message.as_str()), "{what}: {joined}");
        rest = rest.replacen(message.as_str(), "", 1);
    }
    let rest: String = rest.split_whitespace().collect();
    assert_eq!(rest, "[,]", "{what}: {joined}");
}

/// A client over HTTP: what it has seen beside the answers it waits for, and the stream of what comes unasked.
struct Player {
    client: Http,
    unasked: Option<Stream>,
    open: Option<Stream>,
    /// How many messages of the open stream were seen.
    read: usize,
    seen: Vec<String>,
}

impl Player {
    fn of(client: Http, version: &str) -> Self {
        let client = if version == MODERN {
            client.modern()
        } else {
            client
        };
        Self {
            client,
            unasked: None,
            open: None,
            read: 0,
            seen: Vec::new(),
        }
    }

    /// Sends a message. Of one that is answered by a stream with a question in it, the stream stays open.
    fn send(&mut self, what: &str, message: &str, has_questions: bool) {
        let json: Value = serde_json::from_str(message).unwrap();
        let is_first = json["method"] == "initialize";
        let sent = self.client.send("POST", &mirrored(&json), message.as_bytes());
        if is_request(&json) && has_questions {
            (self.open, self.read) = (Some(sent), 0);
            return;
        }
        let reply = sent.rest();
        let expected = if is_request(&json) { 200 } else { 202 };
        assert_eq!(reply.status, expected, "{what}: {reply:?}");
        self.seen
            .extend(reply.messages().into_iter().map(|answer| answer.raw));
        if is_first {
            self.client.set_session(reply.header("mcp-session-id"));
            let version = json["params"]["protocolVersion"].as_str().unwrap();
            self.client = self.client.clone().header("mcp-protocol-version", version);
            let mut unasked = self.client.listen();
            assert_eq!(unasked.status(), 200, "{what}");
            self.unasked = Some(unasked);
        }
    }

    /// Waits until a message was seen, and forgets it.
    #[track_caller]
    fn expect(&mut self, what: &str, message: &str) {
        let end = Instant::now() + PATIENCE;
        let is_answer = Names::of(message).id.is_some() && !message.contains("\"method\":");
        if let Some(open) = self.open.take_if(|_| is_answer) {
            let rest = open.rest().messages().into_iter().skip(self.read);
            self.seen.extend(rest.map(|answer| answer.raw));
        }
        loop {
            if let Some(place) = self.seen.iter().position(|seen| seen == message) {
                self.seen.remove(place);
                return;
            }
            let id = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default()["id"].clone();
            if let Some(same) = self.seen.iter().find(|seen| id(seen) == id(message)) {
                assert_same(what, same, message);
            }
            assert!(
                Instant::now() < end,
                "{what}: never seen: {message}\nbut {:?}",
                self.seen
            );
            if let Some(open) = &mut self.open
                && let Some(event) = open.event_within(Duration::from_millis(20))
            {
                self.read += 1;
                self.seen.push(event.raw);
            }
            if let Some(unasked) = &mut self.unasked {
                let event = unasked.event_within(Duration::from_millis(20));
                self.seen.extend(event.map(|event| event.raw));
            }
        }
    }
}

/// The headers by which a modern request says again what its body says.
fn mirrored(message: &Value) -> Vec<(String, String)> {
    let params = &message["params"];
    if params["_meta"][META_VERSION].is_null() {
        return Vec::new();
    }
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    let name = match method.as_str() {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" => params["uri"].as_str(),
        _ => None,
    };
    let name = name.map(|name| ("mcp-name".to_owned(), name.to_owned()));
    [("mcp-method".to_owned(), method)]
        .into_iter()
        .chain(name)
        .collect()
}

/// The same names without needless escapes.
fn plain(names: &Names) -> Names {
    let plain = |name: &Option<String>| {
        let name: Option<Value> = name.as_deref().and_then(|name| serde_json::from_str(name).ok());
        name.map(|name| name.to_string())
    };
    Names {
        id: plain(&names.id),
        token: plain(&names.token),
    }
}

/// Whose names messages of a version have that came over HTTP.
fn names_over_http(version: &str) -> NamesAre {
    if version == MODERN {
        NamesAre::Callgates
    } else {
        NamesAre::TheClients
    }
}

/// Plays the client's part over HTTP.
fn play_over_http(way: &str, client: Http, version: &str, cases: &[Case]) {
    let mut player = Player::of(client, version);
    for case in cases {
        let what = format!("{way}: {}", case.about);
        if let Some(batch) = case.batch() {
            let reply = player.client.send("POST", &[], batch.as_bytes()).rest();
            assert_joined(&what, &reply.messages()[0].raw, case);
            continue;
        }
        let has_questions = case
            .down()
            .any(|message| is_request(&serde_json::from_str(message).unwrap_or_default()));
        let mut names = Names::default();
        for line in &case.lines {
            match line {
                Line::Up(message) => {
                    if version == MODERN {
                        names = Names::of(message);
                    }
                    player.send(&what, message, has_questions);
                }
                Line::Down(message) => player.expect(&what, &names.replaced(message, &plain(&names))),
                Line::Batch(_) => {}
            }
        }
        player.open = None;
    }
    assert!(player.seen.is_empty(), "{way}: {:?}", player.seen);
    if let Some(mut unasked) = player.unasked {
        let more = unasked.event_within(Duration::from_millis(50));
        assert!(more.is_none(), "{way}: {more:?}");
    }
}

#[test]
fn every_message_of_the_corpus_passes_run_over_stdio_as_it_is() {
    for version in versions() {
        let cases = corpus(version);
        let room = Room::new();
        let server = child(&room, version, &cases);
        let way = format!("{version}, stdio to a child");
        play_over_stdio(&way, &mut gate(&room, OPEN).before(&server).stdio(), &cases);
        assert_received(&way, server.log(), &cases, NamesAre::TheClients);

        let room = Room::new();
        let server = behind_url(&room, version, &cases, "json");
        let way = format!("{version}, stdio to a URL");
        play_over_stdio(&way, &mut gate(&room, OPEN).before_http(&server).stdio(), &cases);
        assert_received(&way, server.log(), &cases, NamesAre::TheClients);
    }
}

#[test]
fn every_message_of_the_corpus_passes_run_over_http_as_it_is() {
    for version in versions() {
        let cases = corpus(version);
        for mode in ["json", "sse"] {
            let room = Room::new();
            let server = behind_url(&room, version, &cases, mode);
            let gate = gate(&room, OPEN).before_http(&server).http();
            let way = format!("{version}, HTTP to a URL that answers with {mode}");
            play_over_http(&way, gate.client(), version, &cases);
            assert_received(&way, server.log(), &cases, names_over_http(version));
        }
    }
}

#[test]
fn every_message_of_the_corpus_passes_serve_as_it_is() {
    let mut stage = Stage::new();
    let mut servers = Vec::new();
    for version in versions() {
        let cases = corpus(version);
        let room = Room::new();
        let server = behind_url(&room, version, &cases, "json");
        let name = format!("url-{version}");
        stage.config["servers"][&name] = json!({"url": server.url()});
        servers.push((
            name,
            version,
            cases.clone(),
            server.log().clone(),
            room,
            Some(server),
        ));
        let room = Room::new();
        let server = child(&room, version, &cases);
        let words: Vec<&str> = server.words().iter().map(|word| word.to_str().unwrap()).collect();
        let name = format!("child-{version}");
        stage.config["servers"][&name] = json!({"command": words});
        servers.push((name, version, cases, server.log().clone(), room, None));
    }
    let uses: Vec<String> = servers
        .iter()
        .map(|server| format!("{}=open", server.0))
        .collect();
    let uses: Vec<&str> = uses.iter().map(String::as_str).collect();
    let ana = stage.grant("ana", &uses);
    let team = stage.serve();
    for (name, version, cases, log, _room, _server) in &servers {
        let way = format!("serve, {name}");
        play_over_http(&way, team.client(name, &ana), version, cases);
        assert_received(&way, log, cases, names_over_http(version));
    }
}

#[test]
fn the_corpus_is_played_by_the_bundled_servers_as_it_stands() {
    for version in versions() {
        let cases = corpus(version);
        assert!(cases.len() > 15, "{version}: {}", cases.len());
        let is_whole = |case: &Case| case.batch().is_none();
        let cases: Vec<Case> = cases.into_iter().filter(is_whole).collect();
        let room = Room::new();
        let server = child(&room, version, &cases);
        play_over_stdio(version, &mut Stdio::direct(&server), &cases);
        assert_received(version, server.log(), &cases, NamesAre::TheClients);
    }
}
