//! `callgate serve` as an OAuth protected resource: whose access tokens let in, as whom, and for how long.

use crate::support::authority::{Authority, Mood, Signer, base64url, now};
use crate::support::streamed::Streamed;
use crate::support::upstream::{Upstream, housekeeping};
use crate::support::{Record, state, until};
use crate::team::{Stage, Team, initialize};
use callgate_ledger::record::Body;
use callgate_testkit::{Http, PATIENCE};
use rmcp::transport::auth::{AuthorizationManager, AuthorizationMetadataSource};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How the gateway is reached, as tokens name it; the tests themselves reach it under its address.
const GATE: &str = "https://gate.example.com";
const NOTES: &str = "https://gate.example.com/mcp/notes";

/// An issuer with one key, and a gateway that accepts its tokens.
struct Scene {
    stage: Stage,
    authority: Authority,
    key: Signer,
}

impl Scene {
    fn new() -> Self {
        Self::of(Signer::es256("first"))
    }

    fn of(key: Signer) -> Self {
        let mut stage = Stage::new();
        let authority = Authority::start(&[&key]);
        stage.config["oauth"] = json!({"url": GATE, "issuers": {"corp": {"issuer": authority.url,
            "jwks": authority.jwks()}}});
        Self {
            stage,
            authority,
            key,
        }
    }

    /// A grant that lets in one subject, and its own token.
    fn grant(&self, label: &str, servers: &[&str], subject: &str) -> String {
        let token = self.stage.grant(label, servers);
        self.attach(label, &["--subject", subject]);
        token
    }

    fn attach(&self, label: &str, whose: &[&str]) {
        let words = [&["attach", label, "--issuer", &self.authority.url], whose].concat();
        self.stage.grants(&words);
    }

    fn claims(&self, subject: &str) -> Value {
        self.authority.claims(NOTES, subject)
    }

    fn token(&self, subject: &str) -> String {
        self.key.token(&self.claims(subject))
    }
}

/// The claims with some changed; `null` removes one.
fn with(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn status(team: &Team, token: &str) -> u16 {
    team.client("notes", token).post(&initialize()).status
}

/// Whether a token lets in; without opening a session, of which there are only so many a minute.
fn lets_in(team: &Team, token: &str) -> bool {
    match team.client("notes", token).listen().status() {
        405 => true,
        401 | 403 | 429 | 503 => false,
        other => panic!("HTTP {other}"),
    }
}

#[test]
fn a_token_lets_its_subject_in_as_the_grant_that_names_it() {
    let room = callgate_testkit::Room::new();
    for key in [Signer::es256("a"), Signer::ed25519("b"), Signer::rsa("c", &room)] {
        let scene = Scene::of(key);
        scene.grant("ana", &["notes=echo-only"], "ana@example.com");
        let team = scene.stage.serve();
        let mut client = team.begun("notes", &scene.token("ana@example.com"));
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
        let denied = client.call("add", json!({"a": 1, "b": 2}));
        assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
        let record = Record::once(&scene.stage.room, "both calls are recorded", |record| {
            record.intents().len() == 1 && record.denials().len() == 1
        });
        let intent = record.intents()[0];
        let [issuer, subject] = [&intent.issuer, &intent.subject].map(|text| text.as_ref().unwrap().as_str());
        assert_eq!((issuer, subject), (&*scene.authority.url, "ana@example.com"));
        assert_eq!(record.denials()[0].subject, intent.subject);
        assert_eq!(record.denials()[0].grant, intent.grant);
    }
}

#[test]
fn an_rsa_key_also_verifies_pss() {
    let room = callgate_testkit::Room::new();
    let scene = Scene::of(Signer::rsa("c", &room));
    scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    let header = with(scene.key.header(), &json!({"alg": "PS256"}));
    let pss = scene.key.sign(&header, &scene.claims("ana"));
    assert_eq!(status(&team, &pss), 200);
}

/// Every token that is not as it should be, and the reason in the ledger.
fn wrong_tokens(scene: &Scene) -> Vec<(&'static str, String)> {
    let Scene { key, authority, .. } = scene;
    let claims = || scene.claims("ana");
    let good = scene.token("ana");
    let changed = |changes: Value| key.token(&with(claims(), &changes));
    let headed = |changes: Value| key.sign(&with(key.header(), &changes), &claims());
    let stranger = Signer::es256("first");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let flipped = {
        let other = if signature.starts_with('A') { "B" } else { "A" };
        format!("{head}.{}", signature.replacen(|_| true, other, 1))
    };
    let parts: Vec<&str> = good.split('.').collect();
    let mut wrong = vec![
        (
            "jwt_audience",
            changed(json!({"aud": "https://gate.example.com/mcp/mail"})),
        ),
        ("jwt_audience", changed(json!({"aud": GATE}))),
        (
            "jwt_audience",
            changed(json!({"aud": ["https://other.example", "https://gate.example.com/mcp"]})),
        ),
        ("jwt_audience", changed(json!({"aud": 7}))),
        ("jwt_issuer", changed(json!({"iss": "https://other.example"}))),
        (
            "jwt_issuer",
            changed(json!({"iss": format!("{}/", authority.url)})),
        ),
        ("jwt_expired", changed(json!({"exp": now() - 1}))),
        ("jwt_not_yet", changed(json!({"nbf": now() + 120}))),
        ("jwt_not_yet", changed(json!({"iat": now() + 120}))),
        ("jwt_bound", changed(json!({"cnf": {"jkt": "x"}}))),
        ("jwt_type", headed(json!({"typ": "JWT"}))),
        ("jwt_type", headed(json!({"typ": null}))),
        ("jwt_critical", headed(json!({"crit": ["b64"], "b64": false}))),
        ("jwt_algorithm", headed(json!({"alg": "none"}))),
        (
            "jwt_algorithm",
            format!("{}.{}.", base64url(r#"{"alg":"none","typ":"at+jwt"}"#), parts[1]),
        ),
        ("jwt_algorithm", hs256(key, &claims())),
        ("jwt_algorithm", headed(json!({"alg": "ES512"}))),
        ("jwt_malformed", headed(json!({"alg": null}))),
        ("jwt_malformed", format!("{}.{}", parts[0], parts[1])),
        ("jwt_malformed", format!("{good}.x")),
        ("jwt_malformed", format!("{good}=")),
        (
            "jwt_malformed",
            key.sign_bytes(&key.header().to_string(), r#"{"sub":"ana","sub":"eve"}"#),
        ),
        ("jwt_malformed", key.sign_bytes(&key.header().to_string(), "[]")),
        ("jwt_signature", stranger.token(&claims())),
        ("jwt_signature", flipped),
        (
            "jwt_signature",
            format!(
                "{}.{}.{}",
                parts[0],
                base64url(with(claims(), &json!({"sub": "eve"})).to_string()),
                parts[2]
            ),
        ),
        ("jwt_too_large", changed(json!({"more": "x".repeat(13_000)}))),
    ];
    for missing in ["aud", "exp", "sub", "iss"] {
        wrong.push(("jwt_claims", changed(json!({missing: null}))));
    }
    wrong.push(("jwt_claims", changed(json!({"exp": "tomorrow"}))));
    wrong.push(("jwt_claims", changed(json!({"sub": ""}))));
    wrong
}

/// A token that is "signed" by the public key, as a secret.
fn hs256(key: &Signer, claims: &Value) -> String {
    let header = with(key.header(), &json!({"alg": "HS256"}));
    let signed = format!(
        "{}.{}",
        base64url(header.to_string()),
        base64url(claims.to_string())
    );
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.jwk().to_string().as_bytes());
    format!(
        "{signed}.{}",
        base64url(ring::hmac::sign(&secret, signed.as_bytes()))
    )
}

#[test]
fn a_token_that_is_not_as_it_should_be_is_refused_and_recorded_without_it() {
    let scene = Scene::new();
    scene.grant("ana", &["notes=open"], "ana");
    let wrong = wrong_tokens(&scene);
    let mut reasons = Vec::new();
    // An address may fail 30 times a minute; each gateway begins to count anew.
    for part in wrong.chunks(25) {
        let team = scene.stage.serve();
        assert_eq!(status(&team, &scene.token("ana")), 200);
        for (reason, token) in part {
            let refused = team.client("notes", token).post(&initialize());
            assert_eq!(refused.status, 401, "{reason}: {refused:?}");
            let challenge = refused.header("www-authenticate").unwrap();
            assert!(
                challenge.contains("error=\"invalid_token\""),
                "{reason}: {challenge}"
            );
            assert!(!refused.body.contains(token.as_str()) && !challenge.contains(token.as_str()));
            reasons.push(*reason);
        }
        drop(team);
    }
    let seen = |record: &Record| {
        let failures = record.0.iter().filter_map(|body| {
            if let Body::AuthFailure(failure) = body {
                Some(failure.reason.as_str().to_owned())
            } else {
                None
            }
        });
        failures.collect::<std::collections::BTreeSet<String>>()
    };
    let wanted: std::collections::BTreeSet<String> =
        reasons.iter().map(|&reason| reason.to_owned()).collect();
    Record::once(&scene.stage.room, "each reason is recorded", |record| {
        seen(record).is_superset(&wanted)
    });
    // Five a second of an address are recorded one by one, the others counted.
    Record::once(&scene.stage.room, "each failure counts", |record| {
        record.auth_failures() == u64::try_from(wrong.len()).unwrap()
    });
    assert_eq!(scene.stage.notes.calls().len(), 0);
    for entry in std::fs::read_dir(state(&scene.stage.room)).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        for (reason, token) in &wrong {
            let signature = token.rsplit('.').find(|part| part.len() > 16).unwrap();
            let found = bytes
                .windows(signature.len())
                .any(|window| window == signature.as_bytes());
            assert!(!found, "{reason}: a token stands in the state folder");
        }
    }
}

#[test]
fn a_token_in_the_url_lets_nobody_in_even_beside_a_good_one() {
    let scene = Scene::new();
    let own = scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    for token in [scene.token("ana"), own] {
        let path = format!("/mcp/notes?access_token={token}");
        for client in [team.anyone("notes"), team.client("notes", &token)] {
            assert_eq!(client.path(&path).post(&initialize()).status, 401);
        }
        assert_eq!(status(&team, &token), 200);
    }
    Record::once(&scene.stage.room, "they are recorded", |record| {
        record.auth_failures() == 4
    });
}

#[test]
fn a_valid_token_without_a_grant_is_told_so() {
    let scene = Scene::new();
    scene.grant("ana", &["notes=open"], "ana");
    scene.stage.grant("bo", &["notes=open"]);
    scene.attach("ana", &["--claim", "groups=readers"]);
    scene.attach("bo", &["--claim", "groups=writers"]);
    let team = scene.stage.serve();
    let stranger = team.client("notes", &scene.token("eve")).post(&initialize());
    assert_eq!(stranger.status, 403);
    assert!(stranger.body.contains("no grant"), "{}", stranger.body);
    assert_eq!(stranger.header("www-authenticate"), None);
    let grouped = |groups: Value| {
        scene
            .key
            .token(&with(scene.claims("eve"), &json!({"groups": groups})))
    };
    assert_eq!(status(&team, &grouped(json!("readers"))), 200);
    assert_eq!(status(&team, &grouped(json!(["x", "writers"]))), 200);
    assert_eq!(status(&team, &grouped(json!(["reader", 7, null]))), 403);
    // Which of two would be a guess.
    assert_eq!(status(&team, &grouped(json!(["readers", "writers"]))), 403);
    // The grant that names the subject goes first.
    let named = scene
        .key
        .token(&with(scene.claims("ana"), &json!({"groups": ["writers"]})));
    assert_eq!(status(&team, &named), 200);
    let record = Record::once(&scene.stage.room, "three are recorded", |record| {
        record.auth_failures() == 3
    });
    let known = record.0.iter().any(|body| {
        matches!(body, Body::AuthFailure(failure) if failure.reason.as_str() == "no_grant"
            && failure.subject.as_ref().is_some_and(|subject| subject.as_str() == "eve"))
    });
    assert!(known, "{record:?}");
}

#[test]
fn clients_learn_where_tokens_come_from_and_which_scopes_they_need() {
    let mut scene = Scene::new();
    scene.stage.config["oauth"]["scopes"] = json!(["mcp", "calls"]);
    scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    let get = |path: &str| {
        let reply = Http::to(&team.url).path(path).send("GET", &[], b"").rest();
        (
            reply.status,
            serde_json::from_str::<Value>(&reply.body).unwrap_or_default(),
        )
    };
    for (path, resource) in [
        ("/mcp/notes", NOTES),
        ("/mcp", "https://gate.example.com/mcp"),
        ("", GATE),
    ] {
        let (status, document) = get(&format!("/.well-known/oauth-protected-resource{path}"));
        assert_eq!(status, 200);
        assert_eq!(
            document,
            json!({"resource": resource, "authorization_servers": [scene.authority.url],
                "scopes_supported": ["mcp", "calls"], "bearer_methods_supported": ["header"],
                "resource_name": "Callgate"})
        );
    }
    // Whether there is such a server cannot be learned.
    assert_eq!(get("/.well-known/oauth-protected-resource/mcp/none").0, 200);
    assert_eq!(get("/.well-known/oauth-protected-resource/mcp/a/b").0, 404);
    // The stream of all servers is no server: tokens for it are those for all.
    assert_eq!(get("/.well-known/oauth-protected-resource/mcp/sse").0, 404);
    let refused = Http::to(&format!("{}/mcp/sse", team.url)).listen().rest();
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("oauth-protected-resource/mcp\""),
        "{challenge}"
    );
    let refused = team.anyone("notes").post(&initialize());
    assert_eq!(
        refused.header("www-authenticate"),
        Some(
            "Bearer resource_metadata=\"https://gate.example.com/.well-known/oauth-protected-resource/mcp/notes\", scope=\"mcp calls\""
        )
    );
    let scoped = |scope: Value| scene.key.token(&with(scene.claims("ana"), &scope));
    let lacking = team
        .client("notes", &scoped(json!({"scope": "mcp other"})))
        .post(&initialize());
    assert_eq!(lacking.status, 403);
    let challenge = lacking.header("www-authenticate").unwrap();
    for part in [
        "error=\"insufficient_scope\"",
        "scope=\"mcp calls\"",
        "resource_metadata=\"",
    ] {
        assert!(challenge.contains(part), "{challenge}");
    }
    for scope in [
        json!({"scope": "other calls mcp"}),
        json!({"scp": ["mcp", "calls"]}),
        json!({"scp": "mcp calls"}),
    ] {
        assert_eq!(status(&team, &scoped(scope)), 200);
    }
}

#[test]
fn a_configured_audience_and_type_go_in_place_of_the_usual() {
    let mut scene = Scene::new();
    let issuer = &mut scene.stage.config["oauth"]["issuers"]["corp"];
    issuer["audience"] = json!("api://callgate");
    issuer["types"] = json!(["JWT"]);
    issuer["algorithms"] = json!(["ES256"]);
    scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    let header = with(scene.key.header(), &json!({"typ": "JWT"}));
    let token = |audience: &str| scene.key.sign(&header, &scene.authority.claims(audience, "ana"));
    assert_eq!(status(&team, &token("api://callgate")), 200);
    assert_eq!(status(&team, &token(NOTES)), 401);
    assert_eq!(
        status(
            &team,
            &scene.key.token(&scene.authority.claims("api://callgate", "ana"))
        ),
        401
    );
}

#[test]
fn new_keys_are_found_and_made_up_ones_cause_no_storm() {
    let scene = Scene::new();
    scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    assert_eq!(status(&team, &scene.token("ana")), 200);
    let second = Signer::es256("second");
    scene.authority.publish(&[&second]);
    assert_eq!(status(&team, &second.token(&scene.claims("ana"))), 200);
    // The key that is gone is worth nothing, even under its old name.
    assert_eq!(status(&team, &scene.token("ana")), 401);
    let before = scene.authority.fetches();
    let own = scene.stage.grant("bo", &["notes=open"]);
    for index in 0..60 {
        let made_up = Signer::es256(&format!("made-up-{index}"));
        assert!(matches!(
            status(&team, &made_up.token(&scene.claims("ana"))),
            401 | 429
        ));
    }
    let fetched = scene.authority.fetches() - before;
    assert!(fetched <= 5, "{fetched} fetches");
    assert_eq!(status(&team, &second.token(&scene.claims("ana"))), 200);
    until("the grant made meanwhile is let in", || {
        lets_in(&team, &own).then_some(())
    });
}

#[test]
fn a_key_that_is_taken_out_of_a_file_is_soon_worth_nothing() {
    let mut scene = Scene::new();
    let second = Signer::es256("second");
    let file = |key: &Signer| json!({"keys": [key.jwk()]}).to_string();
    let path = scene.stage.room.write("keys.json", &file(&scene.key));
    let issuer = scene.stage.config["oauth"]["issuers"]["corp"]
        .as_object_mut()
        .unwrap();
    issuer.remove("jwks");
    issuer.insert("jwks_file".to_owned(), json!(path));
    scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    assert_eq!(status(&team, &scene.token("ana")), 200);
    scene.stage.room.write("keys.json", &file(&second));
    until("the key that is gone lets nobody in", || {
        (!lets_in(&team, &scene.token("ana"))).then_some(())
    });
    assert_eq!(status(&team, &second.token(&scene.claims("ana"))), 200);
}

#[test]
fn keys_live_on_for_a_time_while_they_cannot_be_had_and_then_nobody_comes_in() {
    let mut scene = Scene::new();
    let issuer = &mut scene.stage.config["oauth"]["issuers"]["corp"];
    issuer["refresh"] = json!("1s");
    issuer["stale"] = json!("6s");
    let own = scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    assert_eq!(status(&team, &scene.token("ana")), 200);
    let fetches = scene.authority.fetches();
    scene.authority.be(Mood::Down);
    let down = Instant::now();
    until("the gateway has tried in vain", || {
        let is_in = lets_in(&team, &scene.token("ana"));
        assert!(
            is_in || down.elapsed() > Duration::from_secs(4),
            "the keys did not live on"
        );
        (scene.authority.fetches() > fetches).then_some(())
    });
    until("nobody comes in any more", || {
        (!lets_in(&team, &scene.token("ana"))).then_some(())
    });
    let closed = team.client("notes", &scene.token("ana")).post(&initialize());
    assert_eq!(closed.status, 503, "{closed:?}");
    assert!(closed.header("retry-after").is_some());
    // Tokens of grants need no issuer.
    assert_eq!(status(&team, &own), 200);
    scene.authority.be(Mood::Well);
    until("tokens let in again", || {
        lets_in(&team, &scene.token("ana")).then_some(())
    });
    Record::once(&scene.stage.room, "it is recorded", |record| {
        record.auth_failures() > 0
    });
}

#[test]
fn keys_elsewhere_in_bulk_or_for_other_uses_are_not_taken() {
    for mood in [Mood::Elsewhere, Mood::Huge] {
        let scene = Scene::new();
        scene.authority.be(mood);
        scene.grant("ana", &["notes=open"], "ana");
        let team = scene.stage.serve();
        assert_eq!(status(&team, &scene.token("ana")), 503, "{mood:?}");
    }
    let scene = Scene::new();
    let [encrypting, private, symmetric] = ["encrypting", "private", "symmetric"].map(Signer::es256);
    scene
        .authority
        .publish_too(with(encrypting.jwk(), &json!({"use": "enc"})));
    scene
        .authority
        .publish_too(with(private.jwk(), &json!({"d": "AAAA"})));
    scene
        .authority
        .publish_too(json!({"kty": "oct", "kid": "symmetric", "k": base64url([0; 32])}));
    scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    assert_eq!(status(&team, &scene.token("ana")), 200);
    for key in [encrypting, private, symmetric] {
        assert_eq!(
            status(&team, &key.token(&scene.claims("ana"))),
            401,
            "{}",
            key.kid
        );
    }
}

#[test]
fn policies_see_the_claims() {
    let scene = Scene::new();
    scene.stage.room.write(
        "echo-only.yaml",
        "version: \"1\"\ndefault: deny\ntools:\n  echo:\n    require:\n      - conditions:\n          - {path: caller.claims.dept, op: eq, value: research}\n          - {path: caller.subject, op: eq, value: ana}\n",
    );
    scene.grant("ana", &["notes=echo-only"], "ana");
    scene.attach("ana", &["--subject", "bo"]);
    let team = scene.stage.serve();
    let answer = |subject: &str, dept: &str| {
        let token = scene
            .key
            .token(&with(scene.claims(subject), &json!({"dept": dept})));
        let mut client = team.begun("notes", &token);
        client.call("echo", json!({"text": "hi"}))
    };
    assert_eq!(answer("ana", "research").text(), "hi");
    assert_eq!(answer("ana", "sales").reason(), Some("condition_failed"));
    assert_eq!(answer("bo", "research").reason(), Some("condition_failed"));
}

#[test]
fn a_session_belongs_to_a_subject_and_what_it_claims_and_outlives_a_token() {
    let scene = Scene::new();
    let own = scene.grant("ana", &["notes=open"], "ana");
    scene.attach("ana", &["--subject", "bo"]);
    let team = scene.stage.serve();
    let first = team.begun("notes", &scene.token("ana"));
    let listed = |token: &str| {
        let mut client = team.client("notes", token);
        client.set_session(first.session());
        client.reply("tools/list", json!({})).status
    };
    // Another token of the same subject goes on with it.
    assert_eq!(listed(&scene.token("ana")), 200);
    assert_eq!(listed(&scene.token("bo")), 404);
    assert_eq!(listed(&own), 404, "the grant's own token is another caller");
    let claims = with(scene.claims("ana"), &json!({"dept": "sales"}));
    assert_eq!(listed(&scene.key.token(&claims)), 404);
}

#[test]
fn a_revocation_and_a_detached_subject_hold_from_the_next_call_on() {
    let scene = Scene::new();
    let own = scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    let issuer = scene.authority.url.clone();
    let detach = ["detach", "ana", "--issuer", &issuer, "--subject", "ana"];
    for words in [&detach[..], &["revoke", "ana"]] {
        let token = scene.token("ana");
        let mut client = until("the subject is let in", || {
            lets_in(&team, &token).then(|| team.begun("notes", &token))
        });
        assert_eq!(client.call("echo", json!({"text": "before"})).text(), "before");
        let stream = client.listen();
        let before = scene.stage.notes.calls().len();
        scene.stage.grants(words);
        let after = client.reply(
            "tools/call",
            json!({"name": "echo", "arguments": {"text": "after"}}),
        );
        assert!(
            matches!(after.status, 403 | 404 | 502) || after.answer().is_tool_error(),
            "{after:?}"
        );
        assert_eq!(
            scene.stage.notes.calls().len(),
            before,
            "the call reached the server"
        );
        until("the subject is let in no more", || {
            (!lets_in(&team, &token)).then_some(())
        });
        assert_eq!(status(&team, &token), 403);
        let ended = Instant::now();
        let _ = stream.rest();
        assert!(ended.elapsed() < PATIENCE / 2, "its stream goes on");
        // The grant itself stands until it is revoked.
        if words[0] == "detach" {
            assert_eq!(status(&team, &own), 200);
            scene.attach("ana", &["--subject", "ana"]);
        }
    }
}

#[test]
fn a_token_ends_at_its_time_and_so_do_the_streams_that_it_opened() {
    let scene = Scene::new();
    scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    let expires = now() + 8;
    let short = scene
        .key
        .token(&with(scene.claims("ana"), &json!({"exp": expires})));
    let client = team.begun("notes", &short);
    let session = client.session().map(str::to_owned);
    let mut stream = client.listen();
    assert_eq!(stream.status(), 200);
    let _ = stream.rest();
    assert!(now() >= expires, "the stream ended early");
    assert!(now() < expires + PATIENCE.as_secs(), "the stream went on");
    let late = client.post(&initialize());
    assert_eq!(late.status, 401, "{late:?}");
    // The session goes on with another token of the same subject.
    let mut client = team.client("notes", &scene.token("ana"));
    client.set_session(session.as_deref());
    assert_eq!(client.reply("tools/list", json!({})).status, 200);
}

#[test]
fn a_token_that_ends_breaks_off_the_answer_that_is_on_its_way_as_if_its_client_had_left() {
    for (is_modern, status) in [(true, "cancelled"), (false, "tool_error")] {
        let mut scene = Scene::new();
        let (mail, calls) = Upstream::holding(|asked| asked.json()["method"] == "tools/call");
        scene.stage.config["servers"]["mail"] = json!({"url": mail.url});
        scene.grant("ana", &["mail=open"], "ana");
        let team = scene.stage.serve();
        let expires = now() + 8;
        let claims = scene.authority.claims(&format!("{GATE}/mcp/mail"), "ana");
        let short = scene.key.token(&with(claims, &json!({"exp": expires})));
        let mut client = if is_modern {
            team.client("mail", &short).modern()
        } else {
            team.begun("mail", &short)
        };
        let mut answer = client.open_call("echo", json!({"text": "hi"}));
        let mut held = calls.recv_timeout(PATIENCE).unwrap();
        held.begin_long();
        answer.first(40 * 1024);
        let reply = answer.rest();
        assert!(now() >= expires, "it was broken off early");
        assert!(now() < expires + PATIENCE.as_secs(), "it went on");
        assert!(!reply.is_whole && serde_json::from_str::<Value>(&reply.body).is_err());
        if is_modern {
            assert!(held.is_closed_within(PATIENCE), "the server was not told");
        } else {
            assert!(held.piece(br#""}],"isError":true}}"#));
            held.end();
        }
        let record = Record::once(&scene.stage.room, "an outcome", |record| {
            record.outcomes().len() == 1
        });
        record.assert_one_outcome_each();
        assert_eq!(record.statuses(), [status]);
    }
}

#[test]
fn a_client_s_token_reaches_no_server_and_a_server_s_challenge_no_client() {
    let mut scene = Scene::new();
    let upstream = Upstream::start(|asked| {
        if asked.json()["method"] == "tools/call" {
            return "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm=\"elsewhere\"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned();
        }
        housekeeping(asked)
    });
    scene.stage.config["servers"]["mail"] = json!({"url": upstream.url});
    scene.grant("ana", &["mail=open"], "ana");
    let team = scene.stage.serve();
    let token = scene
        .key
        .token(&scene.authority.claims("https://gate.example.com/mcp/mail", "ana"));
    let mut client = team.begun("mail", &token);
    let refused = client.reply("tools/call", json!({"name": "echo", "arguments": {}}));
    assert_eq!(refused.status, 200);
    assert_eq!(refused.header("www-authenticate"), None);
    assert_eq!(refused.answer().reason(), Some("upstream_auth"), "{refused:?}");
    assert!(!upstream.asked().is_empty());
    for asked in upstream.asked() {
        assert_eq!(asked.header("authorization"), None);
        assert!(!format!("{asked:?}").contains(&token));
    }
}

#[test]
fn a_subject_comes_with_only_so_many_sets_of_claims_and_pushes_nobody_else_out() {
    let scene = Scene::new();
    scene.grant("ana", &["notes=open"], "ana");
    scene.attach("ana", &["--subject", "bo"]);
    let team = scene.stage.serve();
    let claiming = |round: usize| {
        let claims = with(scene.claims("ana"), &json!({"round": round}));
        scene.key.token(&claims)
    };
    let mut bo = team.begun("notes", &scene.token("bo"));
    let mut clients: Vec<Http> = (0..9)
        .map(|round| team.begun("notes", &claiming(round)))
        .collect();
    until("the session that was not used for longest has ended", || {
        (clients[0].reply("tools/list", json!({})).status == 404).then_some(())
    });
    // Asking was to come again with the claims of the first, so the second had to go.
    assert_eq!(clients[8].reply("tools/list", json!({})).status, 200);
    assert_eq!(bo.reply("tools/list", json!({})).status, 200);
}

#[test]
fn a_client_of_an_official_sdk_finds_the_issuer_by_what_the_gateway_says() {
    let mut scene = Scene::new();
    let address = format!("127.0.0.1:{}", callgate_testkit::free_port());
    scene.stage.config["listen"] = json!(address);
    scene.stage.config["oauth"]["url"] = json!(format!("http://{address}"));
    scene.stage.config["oauth"]["scopes"] = json!(["mcp"]);
    scene.grant("ana", &["notes=open"], "ana");
    let team = scene.stage.serve();
    // Fails only where a provider is in place already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (found, scopes) = runtime.block_on(async {
        let manager = AuthorizationManager::new(format!("{}/mcp/notes", team.url))
            .await
            .unwrap();
        let found = manager.resolve_metadata().await.unwrap();
        (found, manager.select_scopes(None, &[]))
    });
    assert_eq!(
        found.source,
        AuthorizationMetadataSource::ProtectedResourceMetadata
    );
    assert_eq!(found.metadata.issuer.as_deref(), Some(&*scene.authority.url));
    assert_eq!(scopes, ["mcp"]);
    let claims = scene
        .authority
        .claims(&format!("http://{address}/mcp/notes"), "ana");
    let token = scene.key.token(&with(claims, &json!({"scope": "mcp"})));
    assert_eq!(status(&team, &token), 200);
}

#[test]
fn a_token_for_all_servers_as_one_is_good_there_alone() {
    let scene = Scene::new();
    scene.grant("ana", &["notes=open", "mail=open"], "ana");
    scene.attach("ana", &["--subject", "bo"]);
    let team = scene.stage.serve();
    let token = |subject: &str| {
        let claims = scene.authority.claims("https://gate.example.com/mcp", subject);
        scene.key.token(&claims)
    };
    let of_all = |token: &str| {
        Http::to(&format!("{}/mcp", team.url)).header("authorization", &format!("Bearer {token}"))
    };
    let mut client = of_all(&token("ana"));
    client.initialize("2025-11-25");
    assert_eq!(client.call("notes__echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(of_all(&scene.token("ana")).post(&initialize()).status, 401);
    assert_eq!(status(&team, &token("ana")), 401);
    let mut other = of_all(&token("bo"));
    other.set_session(client.session());
    assert_eq!(other.reply("tools/list", json!({})).status, 404);
    // So it is by the transport of 2024-11-05: even two subjects of one grant have no part in each other's streams.
    let url = format!("{}/mcp/sse", team.url);
    let mut streamed = Streamed::open(&url, &token("ana"));
    streamed.initialize();
    assert!(streamed.request("tools/list", &json!({})).tool_names().len() > 1);
    let address = streamed.address().to_owned();
    assert_eq!(
        of_all(&token("bo")).path(&address).post(&initialize()).status,
        404
    );
    for (path, way) in [("/mcp/sse", "GET"), (&*address, "POST")] {
        let stranger = of_all(&scene.token("ana")).path(path);
        assert_eq!(stranger.send(way, &[], b"").status(), 401, "{way}");
    }
    let record = Record::once(&scene.stage.room, "the call is recorded", |record| {
        record.intents().len() == 1
    });
    let subject = record.intents()[0].subject.as_ref().unwrap();
    assert_eq!(subject.as_str(), "ana");
    scene.stage.grants(&[
        "detach",
        "ana",
        "--issuer",
        &scene.authority.url,
        "--subject",
        "ana",
    ]);
    let before = scene.stage.notes.calls().len();
    let after = client.reply(
        "tools/call",
        json!({"name": "notes__echo", "arguments": {"text": "no"}}),
    );
    assert!(
        matches!(after.status, 403 | 404 | 502)
            || after.answer().is_tool_error()
            || after.answer().json["error"].is_object(),
        "{after:?}"
    );
    assert_eq!(
        scene.stage.notes.calls().len(),
        before,
        "the call reached the server"
    );
}
