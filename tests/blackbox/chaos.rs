//! 200 sessions call at once, while servers are killed, stall, flood and lie: whoever asks gets its own answer or is
//! told that there is none, and nothing of it is left afterwards.

mod real;

use crate::slow_clients::connections;
use crate::support::{Record, state, until};
use callgate_testkit::process::kill9;
use callgate_testkit::{Http, HttpServer, PATIENCE, Process, Room, StdioServer};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// Calls of each session.
const CALLS: usize = 6;
/// Short, so that servers that never answer end their calls while the others still call.
const POLICY: &str = "version: \"1\"\ndefault: deny\ntimeout: 1s\ntools:\n  echo: {}\n  sleep: {}\n";
/// Children that misbehave, and servers over HTTP that do.
const MISCHIEF: [&str; 7] = [
    "never-answers",
    "dies-mid-answer",
    "unasked-answers",
    "duplicate-answers",
    "wrong-ids",
    "malformed",
    "floods-stderr",
];
const FAULTS: [&str; 8] = [
    "hang",
    "reset",
    "cut-body",
    "wrong-id",
    "bad-json",
    "html",
    "sse-without-answer",
    "oversized",
];

/// A gateway before all of them.
struct Storm {
    room: Room,
    process: Process,
    url: String,
    metrics: String,
    steady: HttpServer,
    _servers: Vec<HttpServer>,
}

impl Storm {
    fn begin() -> Self {
        let room = Room::new();
        room.write("policy.yaml", POLICY);
        let steady = HttpServer::start(&room, &[]);
        let words = |server: &StdioServer| -> Vec<String> {
            let words = server.words().iter();
            words.map(|word| word.to_str().unwrap().to_owned()).collect()
        };
        let mut servers = BTreeMap::from([
            ("steady".to_owned(), json!({"url": steady.url()})),
            (
                "killed".to_owned(),
                json!({"command": words(&StdioServer::echo(&room))}),
            ),
        ]);
        for name in MISCHIEF {
            let child = StdioServer::echo(&room).mischief(name);
            servers.insert(name.to_owned(), json!({"command": words(&child)}));
        }
        let mut kept = Vec::new();
        for name in FAULTS {
            let server = HttpServer::start(&room, &["--fault", name]);
            servers.insert(name.to_owned(), json!({"url": server.url()}));
            kept.push(server);
        }
        Self::before(room, steady, &servers, kept)
    }

    /// A gateway before these servers, in a room with a policy for all of them.
    fn before(
        room: Room,
        steady: HttpServer,
        servers: &BTreeMap<String, Value>,
        kept: Vec<HttpServer>,
    ) -> Self {
        let local: BTreeMap<&str, &str> = servers.keys().map(|name| (name.as_str(), "policy")).collect();
        let config = json!({
            "version": 1,
            "listen": "127.0.0.1:0",
            "metrics": "127.0.0.1:0",
            "state": {"dir": state(&room)},
            "servers": servers,
            "policies": {"policy": "policy.yaml"},
            "local": local,
        });
        let config = room.write("callgate.yaml", &config.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command
            .args([
                "serve",
                "--sessions-per-minute",
                "1000",
                "--log-level",
                "info",
                "-c",
            ])
            .arg(config)
            .current_dir("/");
        let mut process = Process::start(&mut command);
        process.lives_in(&room);
        let address = |words: &str| {
            let line = process.stderr_line(words);
            let url = line.split_whitespace().find(|word| word.contains("://")).unwrap();
            let authority = url.trim_start_matches("http://").split('/').next().unwrap();
            format!("http://{authority}")
        };
        Self {
            url: address("listening on"),
            metrics: address("metrics"),
            process,
            steady,
            _servers: kept,
            room,
        }
    }

    fn session(&self, server: &str) -> Session {
        self.session_at(&format!("/mcp/{server}"))
    }

    fn session_at(&self, path: &str) -> Session {
        Session {
            client: Http::to(&format!("{}{path}", self.url)),
            has_begun: false,
        }
    }

    /// The gateway's children.
    fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.pid())).unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
            .flat_map(|children| {
                let ids = children.split_whitespace().map(|id| id.parse().unwrap());
                ids.collect::<Vec<u32>>()
            })
            .collect()
    }

    /// The sum over all servers of a gauge.
    fn gauge(&self, name: &str) -> f64 {
        let reply = Http::to(&format!("{}/metrics", self.metrics))
            .send("GET", &[], b"")
            .rest();
        let series = reply.body.lines().filter(|line| line.starts_with(name));
        series
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }
}

/// A client that begins anew where its session has ended.
struct Session {
    client: Http,
    has_begun: bool,
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The answer to its call.
    Answered,
    /// That there is none.
    Refused,
}

impl Session {
    fn begin(&mut self) -> bool {
        self.client.set_session(None);
        let client = json!({"name": "chaos", "version": "1"});
        let begin = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        let reply = self.client.reply("initialize", begin);
        let Some(id) = reply.header("mcp-session-id").map(str::to_owned) else {
            return false;
        };
        self.client.set_session(Some(&id));
        self.client.notify("notifications/initialized", json!({}));
        true
    }

    /// Calls with a text that nobody else has, and looks whether that is what comes back.
    fn call(&mut self, text: &str) -> Told {
        self.call_tool("echo", text)
    }

    fn call_tool(&mut self, tool: &str, text: &str) -> Told {
        let (told, answered) = self.called(tool, &json!({"text": text}));
        assert!(
            told == Told::Refused || answered == text,
            "an answer to another call: {answered:.500}"
        );
        told
    }

    /// Calls, and looks whether the answer holds what no other does.
    fn call_for(&mut self, tool: &str, arguments: &Value, wanted: &str) -> Told {
        let (told, answered) = self.called(tool, arguments);
        assert!(
            told == Told::Refused || answered.contains(wanted),
            "no answer to {wanted}: {answered:.500}"
        );
        told
    }

    /// What a call was told, and the answer.
    fn called(&mut self, tool: &str, arguments: &Value) -> (Told, String) {
        let refused = (Told::Refused, String::new());
        if !self.has_begun {
            self.has_begun = self.begin();
        }
        if !self.has_begun {
            return refused;
        }
        let params = json!({"name": tool, "arguments": arguments});
        let reply = self.client.reply("tools/call", params);
        if reply.status == 404 {
            self.has_begun = false;
            return refused;
        }
        let Some(answer) = reply.messages().pop() else {
            assert_ne!(reply.status, 200, "no answer to {arguments}");
            return refused;
        };
        if answer.json["error"].is_object() || answer.is_tool_error() {
            return refused;
        }
        (Told::Answered, answer.text())
    }

    /// Gives the session up, and opens another for the next call after a pause.
    fn begin_anew_after(&mut self, pause: Duration) {
        self.end();
        self.has_begun = false;
        std::thread::sleep(pause);
    }

    /// Ends the session, as a client does that has no more use for it.
    fn end(&self) {
        if self.has_begun {
            let _ = self.client.delete();
        }
    }
}

/// Kills children of the gateway, one after the other, until it is over.
fn kill_children(storm: &Storm, victims: &Mutex<HashSet<u32>>, is_over: &AtomicBool) {
    let mut random = 0x9e37_79b9_u32;
    while !is_over.load(Ordering::Acquire) {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let children = storm.children();
        let picked = usize::try_from(random >> 16).unwrap() % children.len().max(1);
        if let Some(child) = children.get(picked) {
            victims.lock().unwrap().insert(*child);
            kill9(*child);
        }
        std::thread::sleep(Duration::from_millis(40));
    }
}

/// Waits for all sessions, and ends the killing whatever came of them.
fn all_ended(
    sessions: Vec<ScopedJoinHandle<'_, ()>>,
    killer: ScopedJoinHandle<'_, ()>,
    is_over: &AtomicBool,
) {
    let ended: Vec<_> = sessions.into_iter().map(ScopedJoinHandle::join).collect();
    is_over.store(true, Ordering::Release);
    killer.join().unwrap();
    for ended in ended {
        ended.unwrap();
    }
}

#[test]
fn whoever_asks_gets_its_own_answer_or_is_told_that_there_is_none() {
    let storm = Storm::begin();
    let (is_over, victims) = (AtomicBool::new(false), Mutex::new(HashSet::new()));
    let told: Mutex<BTreeMap<&str, Vec<Told>>> = Mutex::default();
    let odd = MISCHIEF.iter().chain(&FAULTS).copied();
    let places: Vec<&str> = ["steady"; 100]
        .into_iter()
        .chain(["killed"; 25])
        .chain(odd.flat_map(|name| [name; 5]))
        .collect();
    assert_eq!(places.len(), 200);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill_children(&storm, &victims, &is_over));
        let sessions: Vec<_> = places
            .iter()
            .enumerate()
            .map(|(number, place)| {
                let (storm, told) = (&storm, &told);
                scope.spawn(move || {
                    let mut session = storm.session(place);
                    let seen: Vec<Told> = (0..CALLS)
                        .map(|call| session.call(&format!("{place} {number} {call}")))
                        .collect();
                    session.end();
                    told.lock().unwrap().entry(place).or_default().extend(seen);
                })
            })
            .collect();
        all_ended(sessions, killer, &is_over);
    });
    let told = told.into_inner().unwrap();
    assert_eq!(told["steady"], [Told::Answered; 100 * CALLS], "it was disturbed");
    assert!(told["killed"].contains(&Told::Answered));
    assert!(
        victims.into_inner().unwrap().len() > 3,
        "hardly a child was killed"
    );
    for name in [
        "never-answers",
        "hang",
        "reset",
        "wrong-id",
        "bad-json",
        "oversized",
    ] {
        assert_eq!(told[name], [Told::Refused; 5 * CALLS], "{name}");
    }
    nothing_is_left(storm, 100 * CALLS);
}

#[test]
fn whoever_asks_all_servers_as_one_gets_the_answer_of_the_one_that_was_asked_or_is_told_that_there_is_none() {
    const SESSIONS: usize = 8;
    const ROUNDS: usize = 3;
    let storm = Storm::begin();
    let (is_over, victims) = (AtomicBool::new(false), Mutex::new(HashSet::new()));
    let told: Mutex<BTreeMap<&str, Vec<Told>>> = Mutex::default();
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill_children(&storm, &victims, &is_over));
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let (storm, told) = (&storm, &told);
                scope.spawn(move || {
                    let mut session = storm.session_at("/mcp");
                    for round in 0..ROUNDS {
                        for place in ["steady", "killed"].iter().chain(&MISCHIEF).chain(&FAULTS) {
                            let text = format!("{place} {number} {round}");
                            let seen = session.call_tool(&format!("{place}__echo"), &text);
                            told.lock().unwrap().entry(*place).or_default().push(seen);
                        }
                    }
                    session.end();
                })
            })
            .collect();
        all_ended(sessions, killer, &is_over);
    });
    let told = told.into_inner().unwrap();
    assert_eq!(
        told["steady"],
        [Told::Answered; SESSIONS * ROUNDS],
        "it was disturbed"
    );
    assert!(
        victims.into_inner().unwrap().len() > 3,
        "hardly a child was killed"
    );
    for name in [
        "never-answers",
        "hang",
        "reset",
        "wrong-id",
        "bad-json",
        "oversized",
    ] {
        assert_eq!(told[name], [Told::Refused; SESSIONS * ROUNDS], "{name}");
    }
    nothing_is_left(storm, SESSIONS * ROUNDS);
}

/// No request, session or child is left, every call has its one outcome, and each call that a server has received
/// was recorded before.
fn nothing_is_left(mut storm: Storm, calls: usize) {
    until("no request to be pending", || {
        (storm.gauge("callgate_pending_requests") == 0.0).then_some(())
    });
    until("all sessions to have ended", || {
        (storm.gauge("callgate_open_sessions") == 0.0).then_some(())
    });
    until("all children to have ended", || {
        storm.children().is_empty().then_some(())
    });
    until("all connections to have ended", || {
        (connections(&storm.url) == 0).then_some(())
    });
    let received: Vec<String> = storm
        .steady
        .log()
        .calls_of("echo")
        .iter()
        .map(|arguments| arguments["text"].as_str().unwrap().to_owned())
        // The servers behind URLs share a log.
        .filter(|text| text.starts_with("steady"))
        .collect();
    let distinct: BTreeSet<&String> = received.iter().collect();
    assert_eq!(received.len(), calls, "a call was sent twice, or not at all");
    assert_eq!(distinct.len(), received.len());
    let record = Record::once(&storm.room, "every call to be settled", Record::is_settled);
    record.assert_one_outcome_each();
    let steady = record
        .intents()
        .iter()
        .filter(|intent| intent.server.as_str() == "steady")
        .count();
    assert_eq!(steady, received.len());
    storm.process.signal(Signal::TERM);
    let ended = storm.process.ended_within(PATIENCE);
    assert_eq!(ended.and_then(|status| status.code()), Some(143), "{ended:?}");
    let verified = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["ledger", "verify", "--state-dir"])
        .arg(state(&storm.room))
        .output()
        .unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}
