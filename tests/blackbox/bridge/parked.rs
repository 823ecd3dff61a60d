//! A retry of a modern client's that meets the end of the call which waits for it at a legacy server: one of the two
//! comes first, and the client is told one thing.

use super::{LEGACY, call};
use crate::aggregate::scripted;
use crate::support::{Record, until};
use crate::team::{Stage, Team};
use callgate_testkit::client::answer::Answer;
use callgate_testkit::process::kill9;
use callgate_testkit::{Http, HttpServer};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::Duration;

/// Asks, and then answers after so many milliseconds, whatever it is told meanwhile; or waits for the answer.
const ASKS: &str = "
if k == 'server/discover': say({'jsonrpc': '2.0', 'id': m['id'], 'error': {'code': -32601, 'message': 'no'}})
elif k == 'tools/list': tools('ask')
elif k == 'tools/call':
    import os, threading, time
    say({'jsonrpc': '2.0', 'id': 'q' + str(m['id']), 'method': 'elicitation/create',
        'params': {'message': 'well?', 'requestedSchema': {'type': 'object', 'properties': {}}}})
    after = p['arguments'].get('after')
    if after is not None:
        def end(message):
            if after > 0: time.sleep(after / 1000)
            say({'jsonrpc': '2.0', 'id': message['id'], 'result': {'content': [{'type': 'text', 'text': 'alone'}]}})
        threading.Thread(target=end, args=(m,)).start()
";

struct Scene {
    stage: Stage,
    team: Team,
    token: String,
}

impl Scene {
    fn new(flags: &[&str]) -> Self {
        let mut stage = Stage::new();
        stage.config["servers"]["asks"] = scripted(&stage.room, "asks", ASKS);
        let legacy = HttpServer::start(&stage.room, &["--version", LEGACY]);
        stage.config["servers"]["mail"] = json!({"url": legacy.url()});
        stage.mail = legacy;
        let token = stage.grant("ana", &["asks=open", "mail=open"]);
        let team = stage.serve_with(flags);
        Self { stage, team, token }
    }

    fn client(&self, server: &str) -> Http {
        self.team.client(server, &self.token).modern()
    }

    /// Every call and every retry has its one outcome, and no request waits.
    fn all_is_settled(mut self) -> Record {
        self.team.process.signal(Signal::TERM);
        self.team.process.ended();
        let record = Record::of(&self.stage.room);
        record.assert_one_outcome_each();
        record
    }
}

/// A call that is parked, and the parameters by which it is taken up.
#[track_caller]
fn parked(client: &mut Http, arguments: &Value) -> Value {
    parked_or_told(client, arguments).unwrap_or_else(|told| panic!("it is not parked: {}", told.raw))
}

/// The same, or the answer, where there is one at once.
fn parked_or_told(client: &mut Http, arguments: &Value) -> Result<Value, Answer> {
    let told = client.request("tools/call", call("ask", arguments));
    let result = told.result();
    if result["resultType"] != "input_required" {
        return Err(told);
    }
    let mut params = call("ask", arguments);
    params["requestState"] = result["requestState"].clone();
    let keys = result["inputRequests"].as_object().unwrap().keys();
    params["inputResponses"] = keys
        .map(|key| (key.clone(), json!({"action": "decline"})))
        .collect();
    Ok(params)
}

/// That the retry led nowhere, in words.
fn leads_nowhere(told: &Answer) -> bool {
    told.error_code() == Some(-32_602) && told.raw.contains("leads to no call that waits")
}

#[test]
fn a_call_that_its_server_ends_while_it_is_parked_is_answered_by_the_retry_whatever_that_says() {
    let scene = Scene::new(&[]);
    for says in ["an answer", "none", "another's"] {
        let mut client = scene.client("asks");
        let mut retry = parked(&mut client, &json!({"after": 100}));
        match says {
            "none" => drop(retry.as_object_mut().unwrap().remove("inputResponses")),
            "another's" => retry["inputResponses"] = json!({"other": {}}),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(300));
        let told = client.request("tools/call", retry.clone());
        assert_eq!(told.text(), "alone", "{says}: {}", told.raw);
        let again = client.request("tools/call", retry);
        assert!(leads_nowhere(&again), "{says}: {}", again.raw);
    }
    let record = scene.all_is_settled();
    let ok = record.statuses().iter().filter(|status| **status == "ok").count();
    assert_eq!(ok, 3);
}

#[test]
fn a_retry_at_the_very_moment_at_which_its_server_ends_the_call_is_told_how_it_ended() {
    let scene = Scene::new(&[]);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let mut client = scene.client("asks");
            scope.spawn(move || {
                for round in 0..12 {
                    let after = (worker * 7 + round) % 12;
                    let told = match parked_or_told(&mut client, &json!({"after": after})) {
                        Ok(retry) => client.request("tools/call", retry),
                        Err(told) => told,
                    };
                    assert_eq!(told.text(), "alone", "after {after} ms: {}", told.raw);
                }
            });
        }
    });
    let record = scene.all_is_settled();
    let ok = record.statuses().iter().filter(|status| **status == "ok").count();
    assert_eq!(ok, 48);
}

#[test]
fn a_retry_after_its_server_has_died_leads_nowhere_and_is_told_so() {
    let scene = Scene::new(&[]);
    for server in ["asks", "mail"] {
        let mut client = scene.client(server);
        let arguments = json!({"what": "elicitation"});
        let retry = parked(&mut client, &arguments);
        if server == "asks" {
            children(&scene.team).into_iter().for_each(kill9);
            until("it is gone", || children(&scene.team).is_empty().then_some(()));
        } else {
            scene.stage.mail.signal(Signal::KILL);
        }
        let told = until("the end is known", || {
            let told = client.request("tools/call", retry.clone());
            (told.error_code().is_some() || told.is_tool_error()).then_some(told)
        });
        assert!(
            leads_nowhere(&told) || told.reason() == Some("upstream_unreachable"),
            "{}",
            told.raw
        );
        let again = client.request("tools/call", retry);
        assert!(
            again.error_code().is_some() || again.is_tool_error(),
            "{}",
            again.raw
        );
    }
    scene.all_is_settled();
}

/// The gateway's children.
fn children(team: &Team) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", team.process.pid())).unwrap();
    let of =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all: Vec<String> = tasks.flatten().map(of).collect();
    all.iter()
        .flat_map(|children| children.split_whitespace())
        .map(|id| id.parse().unwrap())
        .collect()
}

#[test]
fn of_retries_at_once_one_leads_to_the_call() {
    let scene = Scene::new(&[]);
    let mut client = scene.client("mail");
    let arguments = json!({"what": "elicitation"});
    for _ in 0..10 {
        let retry = parked(&mut client, &arguments);
        let start = Barrier::new(6);
        let told: Vec<Answer> = std::thread::scope(|scope| {
            let retries: Vec<_> = (0..6)
                .map(|_| {
                    let (mut client, retry, start) = (client.clone(), retry.clone(), &start);
                    scope.spawn(move || {
                        start.wait();
                        client.request("tools/call", retry)
                    })
                })
                .collect();
            retries.into_iter().map(|retry| retry.join().unwrap()).collect()
        });
        let (nowhere, led): (Vec<&Answer>, Vec<&Answer>) = told.iter().partition(|told| leads_nowhere(told));
        assert_eq!((nowhere.len(), led.len()), (5, 1), "{told:?}");
        assert!(led[0].text().contains("decline"), "{}", led[0].raw);
    }
    scene.all_is_settled();
}

#[test]
fn a_retry_at_the_very_moment_at_which_its_time_is_over_is_answered_once() {
    let scene = Scene::new(&["--answer-time", "1"]);
    let arguments = json!({"what": "elicitation"});
    let told: Vec<Answer> = std::thread::scope(|scope| {
        let (scene, arguments) = (&scene, &arguments);
        let retries: Vec<_> = (0..24_u64)
            .map(|number| {
                scope.spawn(move || {
                    let mut client = scene.client("mail");
                    let retry = parked(&mut client, arguments);
                    // Around the moment, from before to after.
                    std::thread::sleep(Duration::from_millis(980 + number * 2));
                    client.request("tools/call", retry)
                })
            })
            .collect();
        retries.into_iter().map(|retry| retry.join().unwrap()).collect()
    });
    for told in &told {
        assert!(
            leads_nowhere(told) || told.text().contains("decline"),
            "{}",
            told.raw
        );
    }
    let led = told.iter().filter(|told| !leads_nowhere(told)).count();
    let log = scene.stage.mail.log();
    until("the others are cancelled", || {
        (log.of_method("notifications/cancelled").len() == 24 - led).then_some(())
    });
    // No call was both answered and taken back.
    let cancelled: BTreeSet<String> = log
        .of_method("notifications/cancelled")
        .iter()
        .map(|told| told["params"]["requestId"].to_string())
        .collect();
    assert_eq!(cancelled.len(), 24 - led);
    let answers = log
        .messages()
        .into_iter()
        .filter(|message| message["result"]["action"] == "decline");
    assert_eq!(answers.count(), led);
    scene.all_is_settled();
}
