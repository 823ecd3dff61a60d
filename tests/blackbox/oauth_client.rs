//! Access tokens for servers: fetched by client credentials, once for all, renewed in time, and shown to nobody else.

use crate::support::authority::{Authority, Mood};
use crate::support::upstream::{Asked, Upstream, housekeeping, reply};
use crate::support::{Record, state, until};
use crate::team::{Stage, Team};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const SECRET: &str = "the-client-s-own-secret";

/// A gateway before a server that takes tokens of an issuer.
struct Scene {
    stage: Stage,
    authority: Authority,
    server: Upstream,
    /// What the server takes; all that is sent where there is nothing.
    accepted: Arc<Mutex<Option<String>>>,
    token: String,
}

impl Scene {
    fn new() -> Self {
        let mut stage = Stage::new();
        let authority = Authority::start(&[]);
        let accepted: Arc<Mutex<Option<String>>> = Arc::default();
        let seen = Arc::clone(&accepted);
        let server = Upstream::start(move |asked| answer(asked, seen.lock().unwrap().as_deref()));
        stage.room.write("secret", SECRET);
        stage.config["servers"]["mail"] = json!({"url": server.url, "oauth": {"issuer": authority.url,
            "client_id": "callgate", "client_secret": "${file:secret}", "scopes": ["send", "read"]}});
        let token = stage.grant("ana", &["mail=open"]);
        Self {
            stage,
            authority,
            server,
            accepted,
            token,
        }
    }

    fn call(&self, team: &Team) -> Value {
        let mut client = team.begun("mail", &self.token);
        client.call("echo", json!({})).json
    }

    fn sent(&self) -> Vec<Option<String>> {
        let asked = self.server.asked();
        asked
            .iter()
            .map(|asked| asked.header("authorization").map(str::to_owned))
            .collect()
    }
}

fn answer(asked: &Asked, accepted: Option<&str>) -> String {
    let sent = asked.header("authorization");
    if accepted.is_some_and(|accepted| sent != Some(accepted)) {
        return "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned();
    }
    let message = asked.json();
    if message["method"] != "tools/call" {
        return housekeeping(asked);
    }
    let result = json!({"content": [{"type": "text", "text": "done"}]});
    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    reply("200 OK", "application/json", &answer.to_string())
}

fn is_done(answer: &Value) -> bool {
    answer["result"]["content"][0]["text"] == "done"
}

fn reason(answer: &Value) -> &Value {
    let place = if answer["error"].is_object() {
        &answer["error"]["data"]
    } else {
        &answer["result"]["_meta"]
    };
    &place["callgate/reason"]
}

#[test]
fn many_calls_at_once_fetch_one_token_and_the_secret_goes_to_its_issuer_alone() {
    let scene = Scene::new();
    let team = scene.stage.serve();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                if is_done(&scene.call(&team)) {
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), 20);
    let asked = scene.authority.asked_for_tokens();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let form: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(asked[0].body.as_bytes())
            .into_owned()
            .collect();
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "callgate"),
        ("client_secret", SECRET),
        ("scope", "send read"),
        ("resource", scene.server.url.as_str()),
    ] {
        assert_eq!(form.get(name).map(String::as_str), Some(value), "{name}");
    }
    let token = &scene.authority.made()[0];
    for sent in scene.sent() {
        assert_eq!(sent, Some(format!("Bearer {token}")));
    }
    for asked in scene.server.asked() {
        assert!(!format!("{asked:?}").contains(SECRET));
    }
    Record::once(&scene.stage.room, "all calls have ended", |record| {
        record.intents().len() == 20 && record.is_settled()
    });
    for entry in std::fs::read_dir(state(&scene.stage.room)).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        for secret in [SECRET, token] {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in the state folder");
        }
    }
}

#[test]
fn a_token_is_replaced_before_its_end() {
    let scene = Scene::new();
    scene.authority.tokens_last(2);
    let team = scene.stage.serve();
    assert!(is_done(&scene.call(&team)));
    until("another token is fetched", || {
        assert!(is_done(&scene.call(&team)));
        std::thread::sleep(std::time::Duration::from_millis(300));
        (scene.authority.made().len() >= 2).then_some(())
    });
}

#[test]
fn a_token_that_the_server_refuses_is_replaced_once_and_no_call_is_repeated() {
    let scene = Scene::new();
    let team = scene.stage.serve();
    let mut client = team.begun("mail", &scene.token);
    assert!(is_done(&client.call("echo", json!({})).json));
    // The server takes the next token alone.
    *scene.accepted.lock().unwrap() = Some("Bearer made-by-the-issuer-1".to_owned());
    let calls = |scene: &Scene| {
        let asked = scene.server.asked();
        asked
            .iter()
            .filter(|asked| asked.json()["method"] == "tools/call")
            .count()
    };
    let before = calls(&scene);
    let refused = client.call("echo", json!({}));
    assert_eq!(refused.reason(), Some("upstream_auth"), "{}", refused.raw);
    assert_eq!(calls(&scene), before + 1, "the call was repeated");
    assert!(is_done(&client.call("echo", json!({})).json));
    assert_eq!(scene.authority.made().len(), 2);
    // One that takes none does not have Callgate ask for ever more.
    *scene.accepted.lock().unwrap() = Some("Bearer nothing".to_owned());
    for _ in 0..5 {
        assert_eq!(client.call("echo", json!({})).reason(), Some("upstream_auth"));
    }
    assert_eq!(scene.authority.made().len(), 2);
}

#[test]
fn without_a_token_nothing_is_sent() {
    let scene = Scene::new();
    scene.authority.be(Mood::Down);
    let team = scene.stage.serve();
    let client = team.client("mail", &scene.token);
    let refused = client.post(&crate::team::initialize());
    assert_eq!(reason(&refused.answer().json), "upstream_auth", "{refused:?}");
    assert!(scene.server.asked().is_empty());
    let said = team.process.stderr_line("no access token was had");
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn the_secret_is_told_to_nobody_who_only_says_to_be_the_issuer() {
    let thief = Authority::start(&[]);
    for changes in [
        json!({"issuer": thief.url}),
        json!({"issuer": null}),
        json!({"token_endpoint": "http://login.example.com/token"}),
        json!({"token_endpoint": "http://169.254.169.254/token"}),
    ] {
        let scene = Scene::new();
        scene.authority.say_of_itself(changes.clone());
        let team = scene.stage.serve();
        let refused = team.client("mail", &scene.token).post(&crate::team::initialize());
        assert_eq!(
            reason(&refused.answer().json),
            "upstream_auth",
            "{changes}: {refused:?}"
        );
        assert!(scene.authority.asked_for_tokens().is_empty(), "{changes}");
        assert!(scene.server.asked().is_empty(), "{changes}");
    }
    assert!(thief.asked_for_tokens().is_empty());
}

#[test]
fn a_detailed_log_holds_no_token_and_no_secret() {
    let scene = Scene::new();
    let mut team = scene.stage.serve_after("set -- \"$@\" --log-level debug");
    assert!(is_done(&scene.call(&team)));
    let _ = team.process.stderr_line("an access token was fetched");
    team.process.signal(rustix::process::Signal::TERM);
    let _ = team.process.ended();
    let said = team.process.stderr();
    for secret in [SECRET, &scene.authority.made()[0], &scene.token] {
        assert!(!said.contains(secret), "{said}");
    }
}
