//! Access tokens for servers: fetched by client credentials, once for all, renewed in time, and shown to nobody else.

use crate::support::authority::{Authority, Mood, base64url};
use crate::support::upstream::{Asked, Upstream, housekeeping, reply};
use crate::support::{Record, state, until};
use crate::team::{Stage, Team};
use callgate_testkit::client::http::Reply;
use callgate_testkit::{Http, Process};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
        let issuer = authority.url.clone();
        let server = Upstream::start(move |asked| answer(asked, &issuer, seen.lock().unwrap().as_deref()));
        stage.room.write("secret", SECRET);
        stage.config["servers"]["mail"] = json!({"url": server.url, "oauth": {"issuer": authority.url,
            "client_id": "callgate", "client_secret": "${file:secret}", "scopes": ["send", "read"]}});
        stage.room.write("callgate.yaml", &stage.config.to_string());
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

fn answer(asked: &Asked, issuer: &str, accepted: Option<&str>) -> String {
    if asked.path.starts_with("/.well-known/oauth-protected-resource") {
        let (server, issuer) = (format!("http://{}/mcp", asked.header("host").unwrap()), issuer);
        let document = json!({"resource": server, "authorization_servers": [issuer]});
        return reply("200 OK", "application/json", &document.to_string());
    }
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
    let form: HashMap<String, String> = url::form_urlencoded::parse(asked[0].body.as_bytes())
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

impl Scene {
    /// The same, where a person has to let Callgate in.
    fn with_login() -> Self {
        let mut scene = Self::new();
        let oauth = &mut scene.stage.config["servers"]["mail"]["oauth"];
        oauth["flow"] = json!("authorization_code");
        oauth.as_object_mut().unwrap().remove("client_secret");
        scene
    }

    fn login(&self) -> Process {
        let config = self
            .stage
            .room
            .write("callgate.yaml", &self.stage.config.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(["login", "mail", "-c"]).arg(config);
        Process::start(&mut command)
    }

    /// Logs in, as a person with a browser does; what was asked of the person's browser.
    fn logged_in(&self) -> HashMap<String, String> {
        let mut process = self.login();
        let asked = asked_of_the_browser(&process);
        let answer = come_back(
            &asked,
            &[
                ("code", "a-code"),
                ("state", &asked["state"]),
                ("iss", &self.authority.url),
            ],
        );
        assert_eq!(answer.status, 200, "{answer:?}: {}", process.stderr());
        assert!(process.ended().success(), "{}", process.stderr());
        asked
    }

    /// What was asked of the token endpoint last.
    fn form(&self) -> HashMap<String, String> {
        let asked = self.authority.asked_for_tokens();
        let body = &asked.last().unwrap().body;
        url::form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect()
    }

    /// That nothing in the state folder can be read as a token.
    fn assert_nothing_can_be_read(&self, more: &[&str]) {
        let made = self.authority.made();
        for entry in std::fs::read_dir(state(&self.stage.room)).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
            for secret in made.iter().map(String::as_str).chain(more.iter().copied()) {
                let found = bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} stands in the state folder");
            }
        }
    }
}

/// The parameters of the URL that a person is to open.
fn asked_of_the_browser(process: &Process) -> HashMap<String, String> {
    let line = until("a URL to open", || {
        let lines = process.stdout().all();
        lines.into_iter().find(|line| line.contains("/authorize?"))
    });
    let url = url::Url::parse(line.trim()).unwrap();
    url.query_pairs().into_owned().collect()
}

/// The browser comes back with these parameters.
fn come_back(asked: &HashMap<String, String>, parameters: &[(&str, &str)]) -> Reply {
    let redirect = &asked["redirect_uri"];
    let url = url::Url::parse_with_params(redirect, parameters).unwrap();
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    Http::to(redirect).path(&path).send("GET", &[], b"").rest()
}

#[test]
fn a_person_lets_callgate_in_once_and_what_is_kept_cannot_be_read() {
    let scene = Scene::with_login();
    let asked = scene.logged_in();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "callgate"),
        ("code_challenge_method", "S256"),
        ("scope", "send read"),
        ("resource", scene.server.url.as_str()),
    ] {
        assert_eq!(asked.get(name).map(String::as_str), Some(value), "{name}");
    }
    let form = scene.form();
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["resource"], scene.server.url);
    let digest = ring::digest::digest(&ring::digest::SHA256, form["code_verifier"].as_bytes());
    assert_eq!(base64url(digest), asked["code_challenge"]);
    scene.assert_nothing_can_be_read(&["to-renew-with-1", "a-code", &form["code_verifier"]]);
    let team = scene.stage.serve();
    assert!(is_done(&scene.call(&team)));
    let authorized: Vec<Option<String>> = scene.sent().into_iter().filter(Option::is_some).collect();
    assert!(!authorized.is_empty());
    assert!(
        authorized
            .iter()
            .all(|sent| sent.as_deref() == Some("Bearer made-by-the-issuer-0"))
    );
    assert_eq!(scene.authority.made().len(), 1);
}

#[test]
fn what_is_kept_is_renewed_once_for_all_and_kept_anew() {
    let scene = Scene::with_login();
    scene.authority.tokens_last(1);
    scene.logged_in();
    scene.authority.tokens_last(3_600);
    let team = scene.stage.serve();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert!(is_done(&scene.call(&team))));
        }
    });
    assert_eq!(scene.authority.made().len(), 2);
    let form = scene.form();
    assert_eq!(form["grant_type"], "refresh_token");
    assert_eq!(form["refresh_token"], "to-renew-with-1");
    assert_eq!(form["resource"], scene.server.url);
    drop(team);
    scene.assert_nothing_can_be_read(&["to-renew-with-1", "to-renew-with-2"]);
    // Another start goes on with what was kept.
    let team = scene.stage.serve();
    assert!(is_done(&scene.call(&team)));
    assert_eq!(scene.authority.made().len(), 2);
}

#[test]
fn of_two_gateways_on_a_folder_one_renews_and_the_other_takes_its_token() {
    // A token that lives for less than half a minute is renewed early, but not by each of them.
    for lasts in [3_600, 29] {
        let scene = Scene::with_login();
        scene.authority.tokens_last(1);
        scene.logged_in();
        scene.authority.tokens_last(lasts);
        let teams = [scene.stage.serve(), scene.stage.serve()];
        std::thread::scope(|scope| {
            for team in &teams {
                for _ in 0..4 {
                    scope.spawn(|| assert!(is_done(&scene.call(team))));
                }
            }
        });
        let asked = scene.authority.asked_for_tokens();
        let renewed = asked.iter().filter(|asked| asked.body.contains("refresh_token"));
        assert_eq!(renewed.count(), 1, "{lasts} s: {asked:?}");
    }
}

#[test]
fn a_server_that_says_where_its_issuer_is_is_not_believed() {
    let mut scene = Scene::with_login();
    let issuer = scene.authority.url.clone();
    // It calls itself the issuer, and would have all tokens made at its own place.
    let impostor = Upstream::start(move |asked| {
        let here = format!("http://{}", asked.header("host").unwrap());
        let document = json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{here}/token"), "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"]});
        let token = json!({"access_token": "stolen", "token_type": "Bearer"});
        let said = if asked.path == "/token" { token } else { document };
        reply("200 OK", "application/json", &said.to_string())
    });
    let place = format!("{}/.well-known/x", impostor.url.trim_end_matches("/mcp"));
    let accepted = Arc::clone(&scene.accepted);
    scene.server = Upstream::start(move |asked| answer(asked, &place, accepted.lock().unwrap().as_deref()));
    scene.stage.config["servers"]["mail"]["url"] = json!(scene.server.url);
    scene.authority.tokens_last(1);
    scene.logged_in();
    scene.authority.tokens_last(3_600);
    let team = scene.stage.serve();
    assert!(is_done(&scene.call(&team)));
    assert_eq!(
        scene.authority.made().len(),
        2,
        "made, and renewed, at the issuer"
    );
    let told: Vec<Asked> = impostor
        .asked()
        .into_iter()
        .filter(|asked| asked.path == "/token")
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_token_that_is_said_to_last_for_ever_is_good() {
    let scene = Scene::new();
    scene.authority.tokens_last(u64::MAX);
    let team = scene.stage.serve();
    assert!(is_done(&scene.call(&team)));
    assert!(is_done(&scene.call(&team)));
    assert_eq!(scene.authority.made().len(), 1);
}

#[test]
fn an_answer_that_was_not_asked_for_lets_nobody_in() {
    let scene = Scene::with_login();
    let mut process = scene.login();
    let asked = asked_of_the_browser(&process);
    let forged = come_back(&asked, &[("code", "a-code"), ("state", "guessed")]);
    assert_eq!(forged.status, 404);
    assert!(scene.authority.asked_for_tokens().is_empty());
    // An answer of another issuer is not taken either (RFC 9207).
    let mixed = come_back(
        &asked,
        &[
            ("code", "a-code"),
            ("state", &asked["state"]),
            ("iss", "http://127.0.0.1:1"),
        ],
    );
    assert_eq!(mixed.status, 400);
    assert_eq!(process.ended().code(), Some(1));
    assert!(scene.authority.asked_for_tokens().is_empty());
    let mut process = scene.login();
    let asked = asked_of_the_browser(&process);
    let denied = come_back(&asked, &[("error", "access_denied"), ("state", &asked["state"])]);
    assert_eq!(denied.status, 400);
    assert_eq!(process.ended().code(), Some(1));
    assert!(process.stderr().contains("access_denied"), "{}", process.stderr());
}

#[test]
fn connections_that_say_nothing_keep_no_browser_waiting() {
    let scene = Scene::with_login();
    let mut process = scene.login();
    let asked = asked_of_the_browser(&process);
    let authority = asked["redirect_uri"].strip_prefix("http://").unwrap();
    let authority = authority.split('/').next().unwrap();
    let connect = || std::net::TcpStream::connect(authority).unwrap();
    // More than the page reads at once; among them one that has begun to speak.
    let silent: Vec<_> = (0..80).map(|_| connect()).collect();
    (&silent[79]).write_all(b"GET /callback?state=").unwrap();
    let began = Instant::now();
    let parameters = [
        ("code", "a-code"),
        ("state", &*asked["state"]),
        ("iss", &*scene.authority.url),
    ];
    let answer = come_back(&asked, &parameters);
    assert_eq!(answer.status, 200, "{answer:?}: {}", process.stderr());
    // One after the other, they would have been waited for for ten seconds each.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(process.ended().success(), "{}", process.stderr());
}

#[test]
fn what_is_kept_goes_to_no_other_server_and_without_it_the_log_says_what_to_do() {
    let mut scene = Scene::with_login();
    let team = scene.stage.serve();
    let refused = team.client("mail", &scene.token).post(&crate::team::initialize());
    assert_eq!(reason(&refused.answer().json), "upstream_auth", "{refused:?}");
    let _ = team.process.stderr_line("callgate login mail");
    // A gateway that runs takes up what is kept meanwhile.
    scene.logged_in();
    until("the gateway has a token", || {
        // Only so many sessions are opened a minute.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let answer = team.client("mail", &scene.token).post(&crate::team::initialize());
        (answer.answer().json["result"].is_object()).then_some(())
    });
    drop(team);
    let other = Upstream::start(housekeeping);
    scene.stage.config["servers"]["mail"]["url"] = json!(other.url);
    let team = scene.stage.serve();
    let refused = team.client("mail", &scene.token).post(&crate::team::initialize());
    assert_eq!(reason(&refused.answer().json), "upstream_auth", "{refused:?}");
    assert!(other.asked().is_empty());
}

#[test]
fn callgate_is_described_by_a_document_where_the_issuer_takes_one_and_pkce_is_never_left_out() {
    let document = "https://callgate.example/client.json";
    let with = |of_itself: Value| {
        let mut scene = Scene::with_login();
        let oauth = scene.stage.config["servers"]["mail"]["oauth"]
            .as_object_mut()
            .unwrap();
        oauth.remove("client_id");
        oauth.insert("client_metadata".to_owned(), json!(document));
        scene.authority.say_of_itself(of_itself);
        scene
    };
    let scene = with(json!({"client_id_metadata_document_supported": true}));
    assert_eq!(scene.logged_in()["client_id"], document);
    for (of_itself, said) in [
        (json!({}), "takes no documents"),
        (
            json!({"client_id_metadata_document_supported": true, "code_challenge_methods_supported": null}),
            "PKCE",
        ),
        (json!({"issuer": "http://127.0.0.1:1"}), "error:"),
    ] {
        let mut process = with(of_itself).login();
        assert_eq!(process.ended().code(), Some(1));
        assert!(process.stderr().contains(said), "{}", process.stderr());
        assert!(process.stdout().all().is_empty());
    }
}
