//! One child for all sessions of all callers (`shared: true`): each has what is its own, and nothing of another's.

mod eras;
mod life;
mod lying;

use crate::support::{OPEN, Record, until};
use crate::team::{Stage, Team};
use callgate_testkit::client::http::Stream;
use callgate_testkit::process::is_gone_within;
use callgate_testkit::{Answer, Http, PATIENCE, Script, ServerLog};
use serde_json::{Value, json};
use std::time::Duration;

/// Long enough for what must not come to have come.
const SILENCE: Duration = Duration::from_millis(300);

/// A gateway's surroundings, with the server `desk`, whose child is shared and does what its tools are told
/// (`tests/servers/puppet.py`).
struct House {
    stage: Stage,
    log: ServerLog,
    ana: String,
    bob: String,
}

impl House {
    fn new() -> Self {
        Self::with("legacy", OPEN)
    }

    /// With a child of an era, and a policy.
    fn with(era: &str, policy: &str) -> Self {
        let mut stage = Stage::new();
        stage.room.write("desk.yaml", policy);
        let log = ServerLog::at(stage.room.at("desk.log"));
        stage.config["policies"]["desk"] = json!("desk.yaml");
        stage.config["servers"]["desk"] = json!({
            "command": ["python3", Script::path("puppet.py"), log.path(), era],
            "shared": true,
        });
        let servers = ["desk=desk", "notes=open"];
        let [ana, bob] = ["ana", "bob"].map(|label| stage.grant(label, &servers));
        Self { stage, log, ana, bob }
    }

    /// The cancellations that the child has been told, once there are some.
    fn cancellations(&self) -> Vec<Value> {
        until("the child is told", || {
            let told = self.log.of_method("notifications/cancelled");
            (!told.is_empty()).then_some(told)
        })
    }

    fn serve(&self) -> Team {
        let mut team = self.stage.serve();
        team.process.owns_servers_of(self.log.clone());
        team
    }

    /// The processes that were started, in their order.
    fn pids(&self) -> Vec<u32> {
        let pids = self.log.notes_of("pid");
        pids.iter().map(|pid| pid.parse().unwrap()).collect()
    }

    /// The calls of a tool that the child has received.
    fn calls(&self, tool: &str) -> Vec<Value> {
        let calls = self.log.of_method("tools/call").into_iter();
        calls.filter(|call| call["params"]["name"] == tool).collect()
    }

    /// Waits until calls are parked under these names.
    #[track_caller]
    fn parked(&self, names: &[&str]) {
        until("the calls have reached the server", || {
            let parked = self.calls("park");
            let is_there = |name: &&str| {
                parked
                    .iter()
                    .any(|call| call["params"]["arguments"]["name"] == **name)
            };
            names.iter().all(is_there).then_some(())
        });
    }
}

/// Calls the tool that keeps its request under a name; it reports under the token `p`, as all do here.
fn park(client: &mut Http, name: &str) -> Stream {
    client.open(
        "tools/call",
        json!({"name": "park", "arguments": {"name": name}, "_meta": {"progressToken": "p"}}),
    )
}

#[track_caller]
fn done(client: &mut Http, tool: &str, arguments: Value) {
    assert_eq!(client.call(tool, arguments).text(), "done");
}

fn release(client: &mut Http, name: &str) {
    done(
        client,
        "release",
        json!({"name": name, "text": format!("for {name}")}),
    );
}

/// What a stream brings before long.
fn soon(stream: &mut Stream) -> Vec<Answer> {
    std::iter::from_fn(|| stream.event_within(SILENCE)).collect()
}

fn said(answers: &[Answer]) -> Vec<String> {
    answers.iter().map(|answer| answer.raw.clone()).collect()
}

fn state_of(client: &mut Http) -> Value {
    serde_json::from_str(&client.call("state", json!({})).text()).unwrap()
}

#[test]
fn twenty_sessions_of_two_grants_have_one_process_and_each_its_own_answers() {
    let house = House::new();
    let mut team = house.serve();
    let tokens = [&house.ana, &house.bob];
    let mut clients: Vec<Http> = (0..20).map(|at| team.begun("desk", tokens[at % 2])).collect();
    std::thread::scope(|scope| {
        for (at, client) in clients.iter_mut().enumerate() {
            scope.spawn(move || {
                // All of them count their ids up from 1.
                for round in 0..10 {
                    let text = format!("{at} {round}");
                    assert_eq!(client.call("echo", json!({"text": text})).text(), text);
                }
            });
        }
    });
    assert_eq!(house.pids().len(), 1);
    assert_eq!(house.log.of_method("initialize").len(), 1);
    assert_eq!(house.log.of_method("notifications/initialized").len(), 1);
    let mut ids: Vec<String> = house
        .log
        .messages()
        .iter()
        .map(|message| message["id"].to_string())
        .collect();
    ids.retain(|id| id != "null");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "no id is used twice");
    team.process.signal(rustix::process::Signal::TERM);
    team.process.ended();
    assert!(is_gone_within(house.pids()[0], PATIENCE));
    let record = Record::of(&house.stage.room);
    assert_eq!(record.intents().len(), 200);
    assert!(record.statuses().iter().all(|status| *status == "ok"));
    record.assert_one_outcome_each();
}

#[test]
fn what_the_child_says_of_itself_reaches_each_client_as_it_was_said() {
    let house = House::new();
    let team = house.serve();
    let mut told = Vec::new();
    for (token, version) in [(&house.ana, "2025-11-25"), (&house.bob, "2025-06-18")] {
        let answer = team.client("desk", token).initialize(version);
        assert_eq!(answer.json["id"], 0);
        told.push(answer.result().to_string());
        assert!(
            answer.raw.contains(r#""vendor": {"kept": 1.0}"#),
            "{}",
            answer.raw
        );
    }
    // The version is the one that the child was begun with, as the protocol allows.
    assert_eq!(told[0], told[1]);
    assert!(told[0].contains("2025-11-25"), "{}", told[0]);
    let begun = &house.log.of_method("initialize")[0];
    assert_eq!(begun["params"]["capabilities"], json!({}));
    assert_eq!(begun["params"]["clientInfo"]["name"], "callgate");
}

#[test]
fn requests_of_one_id_and_one_token_get_what_is_theirs_whatever_the_order() {
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let mut other = team.begun("desk", &house.ana);
    let mut first = park(&mut ana, "a");
    let mut second = park(&mut bob, "b");
    house.parked(&["a", "b"]);
    for (name, text) in [("b", "b1"), ("a", "a1"), ("b", "b2")] {
        done(&mut other, "tell", json!({"name": name, "text": text}));
    }
    let messages = |stream: &mut Stream, count: usize| -> Vec<String> {
        let events = (0..count).map(|_| stream.event().json);
        let told = events.map(|event| {
            assert_eq!(event["params"]["progressToken"], "p", "{event}");
            event["params"]["message"].as_str().unwrap().to_owned()
        });
        told.collect()
    };
    assert_eq!(messages(&mut first, 1), ["a1"]);
    assert_eq!(messages(&mut second, 2), ["b1", "b2"]);
    release(&mut other, "b");
    release(&mut other, "a");
    for (mut stream, name) in [(first, "a"), (second, "b")] {
        let answer = stream.event();
        assert_eq!(
            (answer.json["id"].as_u64(), answer.text()),
            (Some(1), format!("for {name}"))
        );
    }
    let ids: Vec<Value> = house
        .calls("park")
        .iter()
        .map(|call| call["id"].clone())
        .collect();
    assert!(
        ids.iter()
            .all(|id| id.as_str().is_some_and(|id| id.starts_with("callgate-"))),
        "{ids:?}"
    );
    assert!(ids.iter().all(|id| *id != json!(1)) && ids[0] != ids[1]);
}

#[test]
fn a_cancellation_ends_the_request_of_its_own_session_alone() {
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let _first = park(&mut ana, "a");
    let second = park(&mut bob, "b");
    house.parked(&["a", "b"]);
    let known: Vec<Value> = house
        .calls("park")
        .iter()
        .map(|call| call["id"].clone())
        .collect();
    // Neither another's id, nor the name that the child knows a request by, leads anywhere.
    ana.notify("notifications/cancelled", json!({"requestId": 7}));
    for id in &known {
        bob.notify("notifications/cancelled", json!({"requestId": id}));
    }
    ana.notify(
        "notifications/cancelled",
        json!({"requestId": 1, "reason": "enough", "extra": 1.0}),
    );
    let cancelled = house.cancellations();
    let of_ana = house
        .calls("park")
        .into_iter()
        .find(|call| call["params"]["arguments"]["name"] == "a");
    assert_eq!(cancelled.len(), 1);
    assert_eq!(
        cancelled[0]["params"],
        json!({"requestId": of_ana.unwrap()["id"], "reason": "enough", "extra": 1.0})
    );
    // The answer comes too late for anyone, though the id is free for another request of the same session.
    release(&mut bob, "a");
    let record = Record::once(&house.stage.room, "the late answer is recorded", |record| {
        record.has("late")
    });
    assert!(
        record.statuses().contains(&"cancelled"),
        "{:?}",
        record.statuses()
    );
    release(&mut bob, "b");
    assert_eq!(second.rest().answer().text(), "for b");
    assert_eq!(house.log.of_method("notifications/cancelled").len(), 1);
    Record::once(&house.stage.room, "all is settled", Record::is_settled).assert_one_outcome_each();
}

#[test]
fn only_those_who_have_subscribed_are_told_of_a_resource_and_all_of_lists() {
    let house = House::new();
    let team = house.serve();
    let mut clients: Vec<Http> = [&house.ana, &house.bob, &house.bob, &house.ana]
        .map(|token| team.begun("desk", token))
        .into();
    let mut streams: Vec<Stream> = clients.iter().map(Http::listen).collect();
    for stream in &mut streams {
        assert_eq!(stream.status(), 200);
    }
    let subscribe = |client: &mut Http, uri: &str| client.request("resources/subscribe", json!({"uri": uri}));
    let both = "test://both";
    for (at, uri) in [(0, "test://one"), (1, "test://two"), (0, both), (1, both)] {
        assert_eq!(subscribe(&mut clients[at], uri).result(), &json!({}));
    }
    assert_eq!(
        subscribe(&mut clients[2], "test://forbidden").error_code(),
        Some(-32_002)
    );
    let touch = |client: &mut Http, uri: &str| done(client, "touch", json!({"uri": uri}));
    let told = |streams: &mut [Stream]| -> Vec<Vec<String>> {
        let uri = |answer: Answer| answer.json["params"]["uri"].to_string().replace('"', "");
        streams
            .iter_mut()
            .map(|stream| soon(stream).into_iter().map(uri).collect())
            .collect()
    };
    for uri in [
        "test://one",
        "test://two/part",
        "test://forbidden",
        "test://none",
        "test://onerous",
    ] {
        touch(&mut clients[3], uri);
    }
    assert_eq!(
        told(&mut streams),
        [vec!["test://one"], vec!["test://two/part"], vec![], vec![]]
    );
    // One of two gives it up: the child is not told, and the other still is.
    let gone = |house: &House| house.log.of_method("resources/unsubscribe").len();
    assert_eq!(
        clients[0]
            .request("resources/unsubscribe", json!({"uri": both}))
            .result(),
        &json!({})
    );
    assert_eq!(gone(&house), 0);
    touch(&mut clients[3], both);
    assert_eq!(told(&mut streams), [vec![], vec![both], vec![], vec![]]);
    // The last one leaves.
    assert!(matches!(clients[1].delete(), 200 | 202 | 204));
    until("the child is told", || (gone(&house) == 2).then_some(()));
    for list in ["tools", "prompts", "resources"] {
        done(&mut clients[3], "change", json!({"list": list}));
    }
    for at in [0, 2, 3] {
        let lists: Vec<String> = soon(&mut streams[at])
            .iter()
            .map(|answer| answer.json["method"].to_string())
            .collect();
        assert_eq!(lists.len(), 3, "{lists:?}");
    }
}

#[test]
fn log_messages_reach_the_sessions_of_a_child_s_only_caller_and_of_several_none() {
    let house = House::new();
    let team = house.serve();
    let mut one = team.begun("desk", &house.ana);
    let mut other = team.begun("desk", &house.ana);
    let [mut first, mut second] = [&one, &other].map(Http::listen);
    assert_eq!((first.status(), second.status()), (200, 200));
    let level = |client: &mut Http, level: &str| {
        let answer = client.request("logging/setLevel", json!({"level": level}));
        assert_eq!(answer.result(), &json!({}));
    };
    level(&mut one, "error");
    level(&mut other, "info");
    level(&mut one, "warning");
    // The child is told the lowest of all, and what is lowest anyway is not said again.
    assert_eq!(state_of(&mut one)["levels"], json!(["error", "info"]));
    for (grave, text) in [("debug", "d"), ("info", "i"), ("error", "e")] {
        done(&mut one, "log", json!({"level": grave, "text": text}));
    }
    let texts = |stream: &mut Stream| -> Vec<String> {
        let text = |answer: &Answer| answer.json["params"]["data"].to_string();
        soon(stream).iter().map(text).collect()
    };
    assert_eq!(texts(&mut first), ["\"e\""]);
    assert_eq!(texts(&mut second), ["\"i\"", "\"e\""]);
    level(&mut other, "emergency");
    assert_eq!(state_of(&mut one)["levels"], json!(["error", "info", "warning"]));
    // From here on a message may be about what another caller does, even once that one has gone.
    let mut bob = team.begun("desk", &house.bob);
    done(&mut bob, "log", json!({"level": "emergency", "text": "of bob"}));
    assert!(matches!(bob.delete(), 200 | 202 | 204));
    done(
        &mut one,
        "log",
        json!({"level": "emergency", "text": "after bob"}),
    );
    done(
        &mut one,
        "emit",
        json!({"lines": [r#"{"jsonrpc":"2.0","method":"notifications/vendor","params":{"of":"bob"}}"#]}),
    );
    assert_eq!(said(&soon(&mut first)), Vec::<String>::new());
    assert_eq!(said(&soon(&mut second)), Vec::<String>::new());
}

#[test]
fn limits_hold_for_each_grant_exactly_whoever_calls_over_one_process() {
    const LIMITED: &str =
        "version: \"1\"\ndefault: deny\ntools:\n  echo: {limits: [{max: 7, window: hour, scope: grant}]}\n";
    let house = House::with("legacy", LIMITED);
    let team = house.serve();
    let tokens = [&house.ana, &house.bob];
    let mut clients: Vec<Http> = (0..8).map(|at| team.begun("desk", tokens[at % 2])).collect();
    let allowed: usize = std::thread::scope(|scope| {
        let calls = clients.iter_mut().map(|client| {
            scope.spawn(move || {
                let calls = (0..4).map(|_| client.call("echo", json!({"text": "x"})));
                calls.filter(|answer| !answer.is_denied()).count()
            })
        });
        let calls: Vec<_> = calls.collect();
        calls.into_iter().map(|calls| calls.join().unwrap()).sum()
    });
    assert_eq!(allowed, 14);
    assert_eq!(house.calls("echo").len(), 14);
    let record = Record::once(&house.stage.room, "all is settled", Record::is_settled);
    assert_eq!(record.intents().len(), 14);
    record.assert_one_outcome_each();
}

#[test]
fn nobody_is_asked_what_the_child_asks_and_it_is_told_so() {
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let [mut first, mut second] = [&ana, &bob].map(Http::listen);
    assert_eq!((first.status(), second.status()), (200, 200));
    for method in [
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "vendor/ask",
    ] {
        let answer = ana.call("ask", json!({"id": "q", "method": method})).text();
        assert!(
            answer.contains("none of them can be asked") && answer.contains("-32601"),
            "{answer}"
        );
    }
    let answer = bob.call("ask", json!({"id": 1, "method": "ping"})).text();
    assert!(answer.contains(r#""result":{}"#), "{answer}");
    // What they would say of themselves is not told to a child that takes them for one.
    for client in [&mut ana, &mut bob] {
        client.notify("notifications/roots/list_changed", json!({}));
        let forged = json!({"jsonrpc": "2.0", "id": "q", "result": {"roots": []}}).to_string();
        assert_eq!(client.post(&forged).status, 202);
    }
    // What was said before has been read by now.
    state_of(&mut ana);
    assert_eq!(said(&soon(&mut first)), Vec::<String>::new());
    assert_eq!(said(&soon(&mut second)), Vec::<String>::new());
    assert!(house.log.of_method("notifications/roots/list_changed").is_empty());
}
