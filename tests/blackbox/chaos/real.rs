//! Real servers of npm and Python that are killed, stopped and started again while sessions call. 7 children and a
//! server at a URL: 8 processes at once.

use super::{Storm, Told, all_ended, nothing_is_left};
use crate::real_servers::{everything, everything_on};
use crate::support::deps::python;
use callgate_testkit::process::{kill9, signal};
use callgate_testkit::{HttpServer, Process, Room, free_port};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Calls of each session, at least, and at most where too little has been done to the servers by then.
const CALLS: usize = 12;
const CALLS_MAX: usize = 60;
/// They start slowly, and the stopped ones answer late or never.
const POLICY: &str = "version: \"1\"\ndefault: deny\ntimeout: 3s\ntools:\n  echo: {}\n  convert_time: {}\n";
/// Where each session calls; `all` has a child of each kind.
const PLACES: [&str; 11] = [
    "npm", "npm", "npm", "python", "python", "all", "url", "url", "steady", "steady", "steady",
];

/// What was done to them.
#[derive(Default)]
struct Done {
    killed: AtomicUsize,
    stopped: AtomicUsize,
    restarted: AtomicUsize,
}

impl Done {
    fn is_enough(&self) -> bool {
        let count = |counted: &AtomicUsize| counted.load(Ordering::Acquire);
        count(&self.killed) > 2 && count(&self.stopped) > 1 && count(&self.restarted) > 1
    }
}

fn storm(url: &str) -> Storm {
    let room = Room::new();
    room.write("policy.yaml", POLICY);
    let steady = HttpServer::start(&room, &[]);
    let env = json!({"PATH": "${env:PATH}", "HOME": "${env:HOME}"});
    let npm: Vec<String> = everything("stdio")
        .into_iter()
        .map(|word| word.into_string().unwrap())
        .collect();
    let python = python();
    let time = [
        python.to_str().unwrap(),
        "-m",
        "mcp_server_time",
        "--local-timezone",
        "UTC",
    ];
    let servers = BTreeMap::from([
        ("steady".to_owned(), json!({"url": steady.url()})),
        ("npm".to_owned(), json!({"command": npm, "env": env})),
        ("python".to_owned(), json!({"command": time, "env": env})),
        ("url".to_owned(), json!({"url": url})),
    ]);
    Storm::before(room, steady, &servers, Vec::new())
}

/// A call that no other session makes, and what its answer has to hold.
fn call(server: &str, number: usize, round: usize) -> (&'static str, Value, String) {
    match server {
        "python" => {
            let time = format!("{number:02}:{round:02}");
            let arguments = json!({"source_timezone": "UTC", "target_timezone": "Asia/Tokyo", "time": time});
            ("convert_time", arguments, format!("T{time}:00+00:00"))
        }
        "steady" => {
            let text = format!("steady {number} {round}");
            ("echo", json!({"text": text}), text)
        }
        _ => {
            let text = format!("{server} {number} {round}.");
            ("echo", json!({"message": text}), format!("Echo: {text}"))
        }
    }
}

/// Kills, stops and starts them again, one after the other, until it is over. What is stopped goes on after a while,
/// is killed, or stays as it is.
fn torment(storm: &Storm, port: u16, mut server: Option<Process>, done: &Done, is_over: &AtomicBool) {
    let mut stopped = Vec::new();
    for turn in 0_usize.. {
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let children = storm.children();
        let picked = children
            .get(turn.wrapping_mul(7) % children.len().max(1))
            .copied();
        match (turn % 4, picked) {
            (0 | 2, Some(child)) => {
                kill9(child);
                done.killed.fetch_add(1, Ordering::AcqRel);
            }
            (1, Some(child)) => {
                signal(child, Signal::STOP);
                stopped.push(child);
                done.stopped.fetch_add(1, Ordering::AcqRel);
            }
            (3, _) => {
                // In the middle of what it is asked.
                if let Some(mut server) = server.take() {
                    server.kill9();
                }
                server = Some(everything_on(port, "streamableHttp"));
                done.restarted.fetch_add(1, Ordering::AcqRel);
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(500));
        if turn % 8 == 2 {
            stopped.drain(..).for_each(|child| signal(child, Signal::CONT));
        }
    }
}

#[test]
fn real_servers_that_are_killed_stopped_and_started_again_answer_whoever_asked_or_nobody() {
    let port = free_port();
    let server = Some(everything_on(port, "streamableHttp"));
    let storm = storm(&format!("http://127.0.0.1:{port}/mcp"));
    // One that is stopped when its session ends.
    let mut session = storm.session("python");
    let (tool, arguments, wanted) = call("python", PLACES.len(), 0);
    assert_eq!(session.call_for(tool, &arguments, &wanted), Told::Answered);
    for child in storm.children() {
        signal(child, Signal::STOP);
    }
    session.end();
    let (is_over, done) = (AtomicBool::new(false), Done::default());
    let told: Mutex<BTreeMap<&str, Vec<Told>>> = Mutex::default();
    std::thread::scope(|scope| {
        let tormentor = scope.spawn(|| torment(&storm, port, server, &done, &is_over));
        let sessions = PLACES.iter().enumerate().map(|(number, place)| {
            let (storm, told, done) = (&storm, &told, &done);
            scope.spawn(move || {
                let (path, servers) = match *place {
                    "all" => ("/mcp".to_owned(), vec!["npm", "python", "url"]),
                    one => (format!("/mcp/{one}"), vec![one]),
                };
                let mut session = storm.session_at(&path);
                for round in 0..CALLS_MAX {
                    if round >= CALLS && (*place == "steady" || done.is_enough()) {
                        break;
                    }
                    let server = servers[round % servers.len()];
                    let (tool, arguments, wanted) = call(server, number, round);
                    let tool = if *place == "all" {
                        format!("{server}__{tool}")
                    } else {
                        tool.to_owned()
                    };
                    let seen = session.call_for(&tool, &arguments, &wanted);
                    told.lock().unwrap().entry(place).or_default().push(seen);
                    if seen == Told::Refused {
                        session.begin_anew_after(Duration::from_millis(300));
                    }
                }
                session.end();
            })
        });
        all_ended(sessions.collect(), tormentor, &is_over);
    });
    let told = told.into_inner().unwrap();
    assert_eq!(told["steady"], [Told::Answered; 3 * CALLS], "it was disturbed");
    for place in ["npm", "python", "all", "url"] {
        assert!(
            told[place].contains(&Told::Answered),
            "{place}: nothing was answered"
        );
    }
    assert!(done.is_enough(), "too little was done to them");
    nothing_is_left(storm, 3 * CALLS);
}
