//! The admin API of `callgate serve`, and the command line that uses it.

use crate::support::{Record, state, until};
use crate::team::{Stage, Team, initialize};
use callgate_testkit::Http;
use callgate_testkit::process::is_gone_within;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A gateway with an admin API.
struct Desk {
    stage: Stage,
    team: Team,
    url: String,
}

impl Desk {
    fn new() -> Self {
        Self::of(Stage::new())
    }

    fn of(mut stage: Stage) -> Self {
        stage.room.write("admin-token", &format!("{TOKEN}\n"));
        stage.config["admin"] = json!({"listen": "127.0.0.1:0", "token": "${file:admin-token}"});
        let team = stage.serve();
        let line = team.process.stderr_line("callgate: admin API on ");
        let url = line
            .rsplit_once(' ')
            .unwrap()
            .1
            .trim_end_matches("/v1/")
            .to_owned();
        Self { stage, team, url }
    }

    /// A request without a token.
    fn bare(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        Self::ask(&Http::to(&format!("{}{path}", self.url)), method, body)
    }

    fn ask(client: &Http, method: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = client.send(method, &[], body.as_bytes()).rest();
        let read = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
        (reply.status, read)
    }

    fn with(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let client = Http::to(&format!("{}{path}", self.url));
        let client = client.header("authorization", &format!("Bearer {token}"));
        Self::ask(&client, method, body)
    }

    fn get(&self, path: &str) -> Value {
        let (status, answer) = self.with(TOKEN, "GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    fn tell(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.with(TOKEN, method, path, body)
    }

    /// Runs the program on this state folder.
    fn cli(&self, words: &[&str]) -> Output {
        cli(&state(&self.stage.room), words)
    }
}

fn cli(dir: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(words).arg("--state-dir").arg(dir).output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Whether an answer is what the document describes for it.
#[track_caller]
fn check(document: &Value, operation: &Value, status: u16, answer: &Value) {
    let id = &operation["operationId"];
    let described = &operation["responses"][status.to_string()];
    assert!(described.is_object(), "{id}: {status} is not described: {answer}");
    let Some(schema) = described.pointer("/content/application~1json/schema") else {
        assert!(answer.is_null(), "{id}: {answer}");
        return;
    };
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let wrong: Vec<String> = schema
        .iter_errors(answer)
        .map(|error| error.to_string())
        .collect();
    assert!(wrong.is_empty(), "{id} {status}: {wrong:?} {answer}");
}

#[test]
fn every_operation_of_the_document_answers_as_it_is_described() {
    let desk = Desk::new();
    let document = desk.get("/v1/openapi.json");
    let kept: Value = serde_json::from_str(include_str!("../../crates/console/src/openapi.json")).unwrap();
    assert_eq!(document, kept);
    let (_, made) = desk.tell(
        "POST",
        "/v1/grants",
        &json!({"label": "ana", "servers": {"notes": "open"}}),
    );
    let token = made["token"].as_str().unwrap().to_owned();
    let client = desk.team.begun("notes", &token);
    let session = client.session().unwrap().to_owned();
    let mut seen = BTreeSet::new();
    let bobs = json!({"issuer": "https://issuer.example", "claim": "sub", "value": "bob"});
    // What is asked, in an order in which each finds what it needs; and what is asked wrongly.
    let asked = [
        ("document", "/v1/openapi.json", Value::Null, 200),
        ("health", "/v1/health", Value::Null, 200),
        ("servers", "/v1/servers", Value::Null, 200),
        ("policies", "/v1/policies", Value::Null, 200),
        ("sessions", "/v1/sessions", Value::Null, 200),
        ("end_session", "/v1/sessions/SESSION", Value::Null, 204),
        ("end_session", "/v1/sessions/SESSION", Value::Null, 404),
        (
            "create_grant",
            "/v1/grants",
            json!({"label": "bob", "servers": {"notes": null}, "expires_in_s": 60}),
            201,
        ),
        ("create_grant", "/v1/grants", json!({"label": "bob"}), 409),
        (
            "create_grant",
            "/v1/grants",
            json!({"label": "x", "server": {}}),
            400,
        ),
        (
            "create_grant",
            "/v1/grants",
            json!({"label": "x", "servers": {"NO": null}}),
            400,
        ),
        (
            "create_grant",
            "/v1/grants",
            json!({"label": "x", "expires_us": 1, "expires_in_s": 1}),
            400,
        ),
        ("create_grant", "/v1/grants", json!({"label": "cg_x"}), 400),
        ("grants", "/v1/grants", Value::Null, 200),
        ("grants", "/v1/grants?all=true", Value::Null, 200),
        ("grants", "/v1/grants?all=perhaps", Value::Null, 400),
        ("grant", "/v1/grants/bob", Value::Null, 200),
        ("grant", "/v1/grants/nobody", Value::Null, 404),
        ("grant", "/v1/grants/cg_token", Value::Null, 400),
        (
            "attach",
            "/v1/grants/bob/servers/mail",
            json!({"policy": "open"}),
            200,
        ),
        (
            "attach",
            "/v1/grants/bob/servers/mail",
            json!({"policy": "NO"}),
            400,
        ),
        ("attach", "/v1/grants/nobody/servers/mail", json!({}), 404),
        ("detach", "/v1/grants/bob/servers/mail", Value::Null, 200),
        ("detach", "/v1/grants/bob/servers/mail", Value::Null, 404),
        (
            "attach_identity",
            "/v1/grants/bob/identities/attach",
            bobs.clone(),
            200,
        ),
        (
            "attach_identity",
            "/v1/grants/ana/identities/attach",
            bobs.clone(),
            409,
        ),
        (
            "attach_identity",
            "/v1/grants/bob/identities/attach",
            json!({"issuer": "no url", "claim": "sub", "value": "bob"}),
            400,
        ),
        (
            "detach_identity",
            "/v1/grants/bob/identities/detach",
            bobs.clone(),
            200,
        ),
        ("detach_identity", "/v1/grants/bob/identities/detach", bobs, 404),
        ("rotate_grant", "/v1/grants/bob/rotate", Value::Null, 200),
        ("rotate_grant", "/v1/grants/nobody/rotate", Value::Null, 404),
        ("revoke_grant", "/v1/grants/bob/revoke", Value::Null, 200),
        ("revoke_grant", "/v1/grants/bob/revoke", Value::Null, 404),
        ("reload", "/v1/reload", Value::Null, 200),
        ("ledger", "/v1/ledger", Value::Null, 200),
        ("records", "/v1/ledger/records?limit=5", Value::Null, 200),
        ("records", "/v1/ledger/records?limit=0", Value::Null, 400),
        ("records", "/v1/ledger/records?limit=5&limit=6", Value::Null, 400),
        ("records", "/v1/ledger/records?more=1", Value::Null, 400),
    ];
    for (id, path, body, expected) in asked {
        let template = path.split('?').next().unwrap();
        let (method, operation) = operation(&document, id);
        let path = path.replace("SESSION", &session);
        let (status, answer) = desk.tell(&method, &path, &body);
        assert_eq!(status, expected, "{id} {template}: {answer}");
        check(&document, &operation, status, &answer);
        let (status, answer) = desk.bare(&method, &path, &body);
        // After many of them the address is told to wait.
        assert!(matches!(status, 401 | 429), "{id}: {status}");
        check(&document, &operation, status, &answer);
        seen.insert(id.to_owned());
    }
    let all: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(_, one)| one["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(seen, all, "each operation is asked");
}

fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = paths.values().flat_map(|item| item.as_object().unwrap());
    of_path
        .map(|(method, operation)| (method.to_ascii_uppercase(), operation.clone()))
        .collect()
}

fn operation(document: &Value, id: &str) -> (String, Value) {
    let mut all = operations(document).into_iter();
    all.find(|(_, one)| one["operationId"] == id).unwrap()
}

#[test]
fn nobody_is_let_in_without_the_token_and_nothing_of_it_is_on_the_address_of_clients() {
    let desk = Desk::new();
    let ana = desk.stage.grant("ana", &["notes=open"]);
    let shorter = TOKEN.strip_prefix('0').unwrap();
    for token in ["", "wrong", &ana, shorter, &format!("{TOKEN}0")] {
        let (status, answer) = desk.with(token, "GET", "/v1/health", &Value::Null);
        assert_eq!((status, &answer["code"]), (401, &json!("token")), "{token}");
    }
    assert_eq!(
        desk.bare("GET", &format!("/v1/health?token={TOKEN}"), &Value::Null)
            .0,
        401
    );
    let client =
        Http::to(&format!("{}/v1/health", desk.url)).header("authorization", &format!("Bearer {TOKEN}"));
    assert_eq!(
        Desk::ask(&client.header("host", "evil.example"), "GET", &Value::Null).0,
        403
    );
    // The admin token is no caller's, and clients find no admin API.
    let reply = desk.team.client("notes", TOKEN).post(&initialize());
    assert_eq!(reply.status, 401);
    for path in ["/v1/health", "/v1/grants"] {
        let client = desk.team.client("notes", &ana).path(path);
        assert_eq!(client.send("GET", &[], b"").rest().status, 404, "{path}");
    }
    let statuses: Vec<u16> = (0..40)
        .map(|_| desk.with("wrong", "GET", "/v1/health", &Value::Null).0)
        .collect();
    assert_eq!(statuses.last(), Some(&429));
    assert_eq!(
        desk.tell("GET", "/v1/health", &Value::Null).0,
        200,
        "who has the token comes in"
    );
    Record::once(&desk.stage.room, "they are recorded", |record| {
        record.auth_failures() >= 47
    });
    for (method, path, status) in [
        ("POST", "/v1/health", 405),
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
        ("GET", "/v1/health/", 404),
    ] {
        assert_eq!(desk.tell(method, path, &Value::Null).0, status, "{method} {path}");
    }
    let large = json!({"label": "x".repeat(100_000)});
    assert_eq!(desk.tell("POST", "/v1/grants", &large).0, 413);
}

#[test]
fn a_grant_that_is_made_changed_and_ended_here_holds_at_once_and_its_token_is_shown_once() {
    let desk = Desk::new();
    let new = json!({"label": "ana", "servers": {"notes": "open"}});
    let (status, made) = desk.tell("POST", "/v1/grants", &new);
    assert_eq!(status, 201, "{made}");
    let first = made["token"].as_str().unwrap().to_owned();
    let id = made["grant"]["grant"].as_str().unwrap().to_owned();
    let mut client = desk.team.begun("notes", &first);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let (status, _) = desk.tell(
        "PUT",
        "/v1/grants/ana/servers/notes",
        &json!({"policy": "nothing"}),
    );
    assert_eq!(status, 200);
    let denied = client.call("echo", json!({"text": "hi"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    let (_, rotated) = desk.tell("POST", "/v1/grants/ana/rotate", &Value::Null);
    let second = rotated["token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(desk.team.client("notes", &first).post(&initialize()).status, 401);
    assert_eq!(desk.team.client("notes", &second).post(&initialize()).status, 200);
    let (status, revoked) = desk.tell("POST", &format!("/v1/grants/{id}/revoke"), &Value::Null);
    assert_eq!((status, &revoked["state"]), (200, &json!("revoked")));
    assert_eq!(desk.team.client("notes", &second).post(&initialize()).status, 401);
    assert_eq!(desk.get("/v1/grants"), json!([]));
    assert_eq!(desk.get("/v1/grants?all=true")[0]["grant"], json!(id));
    // No answer, no line of the log and no file holds a token or the admin token.
    let mut all = desk.team.process.stderr();
    for path in [
        "grants?all=true",
        "sessions",
        "servers",
        "policies",
        "health",
        "ledger",
        "ledger/records?limit=1000",
    ] {
        all += &desk.get(&format!("/v1/{path}")).to_string();
    }
    all += &std::fs::read_to_string(state(&desk.stage.room).join("admin.json")).unwrap();
    for secret in [&first, &second, TOKEN] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn sessions_are_seen_and_ended() {
    let desk = Desk::new();
    let ana = desk.stage.grant("ana", &["notes=open", "mail=open"]);
    let mut notes = desk.team.begun("notes", &ana);
    let mail = desk.team.begun("mail", &ana);
    let sessions = desk.get("/v1/sessions");
    let seen: BTreeSet<(&str, &str, &str)> = sessions
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            ["session", "server", "label"]
                .map(|key| one[key].as_str().unwrap())
                .into()
        })
        .collect();
    let [one, two] = [&notes, &mail].map(|client| client.session().unwrap());
    assert_eq!(
        seen,
        BTreeSet::from([(one, "notes", "ana"), (two, "mail", "ana")])
    );
    let servers = desk.get("/v1/servers");
    assert_eq!(servers[0]["sessions"], 1);
    assert_eq!(servers.pointer("/1/kind"), Some(&json!("command")), "{servers}");
    let child = desk.stage.notes.notes_of("pid")[0].parse().unwrap();
    let path = format!("/v1/sessions/{}", notes.session().unwrap());
    assert_eq!(desk.tell("DELETE", &path, &Value::Null).0, 204);
    assert!(is_gone_within(child, Duration::from_secs(5)));
    assert_eq!(notes.reply("tools/list", json!({})).status, 404);
    assert_eq!(desk.get("/v1/sessions").as_array().unwrap().len(), 1);
}

#[test]
fn a_session_with_all_servers_as_one_is_seen_at_each_and_ended_as_a_whole() {
    let desk = Desk::new();
    let ana = desk.stage.grant("ana", &["notes=open", "mail=open"]);
    let mut all = desk.team.client("", &ana).path("/mcp");
    all.initialize("2025-11-25");
    let id = all.session().unwrap().to_owned();
    let sessions = desk.get("/v1/sessions");
    let seen: BTreeSet<(&str, &str)> = sessions
        .as_array()
        .unwrap()
        .iter()
        .map(|one| ["session", "server"].map(|key| one[key].as_str().unwrap()).into())
        .collect();
    assert_eq!(seen, BTreeSet::from([(&*id, "notes"), (&*id, "mail")]));
    assert_eq!(
        desk.tell("DELETE", &format!("/v1/sessions/{id}"), &Value::Null).0,
        204
    );
    assert_eq!(all.reply("tools/list", json!({})).status, 404);
    assert_eq!(desk.get("/v1/sessions"), json!([]));
}

#[test]
fn the_configuration_is_read_when_it_is_asked_for_and_what_came_of_it_is_told() {
    let mut desk = Desk::new();
    desk.stage.config["servers"]["later"] = json!({"url": desk.stage.mail.url()});
    desk.stage
        .room
        .write("callgate.yaml", &desk.stage.config.to_string());
    let output = desk.cli(&["reload"]);
    // The gateway may have looked by itself.
    let told = said(&output);
    assert!(told.starts_with("the configuration was reloaded ("), "{told}");
    let names: Vec<String> = desk
        .get("/v1/servers")
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["server"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["later", "mail", "notes"]);
    desk.stage.config["listen"] = json!("127.0.0.1:1");
    desk.stage
        .room
        .write("callgate.yaml", &desk.stage.config.to_string());
    let (status, answer) = desk.tell("POST", "/v1/reload", &Value::Null);
    assert_eq!((status, &answer["code"]), (409, &json!("conflict")), "{answer}");
    assert!(
        answer["message"].as_str().unwrap().contains("takes a restart"),
        "{answer}"
    );
    let output = desk.cli(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("takes a restart"));
    // Another token is in force with the rest.
    desk.stage.config["listen"] = json!("127.0.0.1:0");
    desk.stage
        .room
        .write("callgate.yaml", &desk.stage.config.to_string());
    let other = "f".repeat(40);
    desk.stage.room.write("admin-token", &other);
    until("the new token is in force", || {
        (desk.with(&other, "GET", "/v1/health", &Value::Null).0 == 200).then_some(())
    });
    let before = desk.tell("GET", "/v1/health", &Value::Null).0;
    assert!(matches!(before, 401 | 429), "{before}");
}

#[test]
fn the_command_line_asks_the_gateway_where_one_runs_and_the_folder_where_none_does() {
    let mut desk = Desk::new();
    // By its address, whatever folder there is.
    let authority = desk.url.trim_start_matches("http://").to_owned();
    let file = desk.stage.room.at("admin-token");
    let nowhere = desk.stage.room.at("nowhere");
    let far = [
        "--admin",
        &authority,
        "--admin-token-file",
        file.to_str().unwrap(),
    ];
    let token = said(&cli(
        &nowhere,
        &[
            &[
                "grants",
                "create",
                "Ana's laptop",
                "--server",
                "notes=open",
                "--expires",
                "1h",
            ],
            &far[..],
        ]
        .concat(),
    ));
    let mut client = desk.team.begun("notes", token.trim());
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    for words in [
        &["grants", "attach", "Ana's laptop", "mail", "--policy", "open"][..],
        &["grants", "detach", "Ana's laptop", "mail"],
        &["grants", "list"],
    ] {
        let output = cli(&nowhere, &[words, &far[..]].concat());
        let _ = said(&output);
    }
    let shown = said(&cli(
        &nowhere,
        &[&["grants", "show", "Ana's laptop", "--json"], &far[..]].concat(),
    ));
    let by_folder = said(&desk.cli(&["grants", "show", "Ana's laptop", "--json"]));
    assert_eq!(shown, by_folder);
    assert!(!nowhere.exists());
    let missing = cli(&nowhere, &[&["grants", "revoke", "nobody"], &far[..]].concat());
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no grant is called `nobody`"));
    let rotated = said(&cli(
        &nowhere,
        &[&["grants", "rotate", "Ana's laptop"], &far[..]].concat(),
    ));
    assert_eq!(
        desk.team.client("notes", token.trim()).post(&initialize()).status,
        401
    );
    assert_eq!(
        desk.team
            .client("notes", rotated.trim())
            .post(&initialize())
            .status,
        200
    );
    // By the folder: what only a gateway knows is there.
    assert!(said(&desk.cli(&["status"])).contains("Servers of the gateway"));
    let _ = said(&desk.cli(&["reload"]));
    // One that was killed has left its notice, and the folder is asked.
    desk.team.process.kill9();
    assert!(state(&desk.stage.room).join("admin.json").exists());
    let revoked = desk.cli(&["grants", "revoke", "Ana's laptop"]);
    let _ = said(&revoked);
    assert!(!said(&desk.cli(&["status"])).contains("Servers of the gateway"));
    let output = desk.cli(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no gateway with an admin API runs"));
}

#[test]
fn where_the_first_grant_can_be_made_later_a_gateway_for_others_starts_and_lets_nobody_in() {
    let mut stage = Stage::new();
    stage.config["listen"] = json!("0.0.0.0:0");
    stage.config["local"] = json!({});
    let mut desk = Desk::of(stage);
    let _ = desk.team.process.stderr_line("so nobody is let in");
    desk.team.url = desk.team.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(desk.team.anyone("notes").post(&initialize()).status, 404);
    // Nobody is let in by a reload either.
    desk.stage.config["local"] = json!({"notes": "open"});
    desk.stage
        .room
        .write("callgate.yaml", &desk.stage.config.to_string());
    let refused = desk.cli(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("no grant was made yet"), "{told}");
    assert_eq!(desk.team.anyone("notes").post(&initialize()).status, 404);
    let token = said(&desk.cli(&["grants", "create", "ana", "--server", "notes=open"]));
    assert_eq!(
        desk.team.client("notes", token.trim()).post(&initialize()).status,
        200
    );
}

#[test]
fn over_a_socket_the_admin_api_is_the_users_alone() {
    let mut stage = Stage::new();
    stage.room.write("admin-token", TOKEN);
    stage.config["admin"] = json!({"listen": "unix:admin.sock", "token": "${file:admin-token}"});
    let mut team = stage.serve();
    let _ = team.process.stderr_line("callgate: admin API on unix:");
    let socket = stage.room.at("admin.sock");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let told = said(&cli(&state(&stage.room), &["reload"]));
    assert!(told.contains("nothing that it says has changed"), "{told}");
    team.process.signal(rustix::process::Signal::TERM);
    team.process.ended();
    assert!(!socket.exists());
    assert!(!state(&stage.room).join("admin.json").exists());
}

#[test]
fn a_token_that_stands_in_the_configuration_or_is_easily_guessed_is_refused_and_not_shown() {
    let mut stage = Stage::new();
    stage.room.write("short", "short-secret");
    for (admin, words) in [
        (json!({}), "`admin` needs `token`"),
        (json!({"token": TOKEN}), "is a reference and nothing else"),
        (
            json!({"token": format!("x${{file:short}}")}),
            "is a reference and nothing else",
        ),
        (json!({"token": "${file:short}"}), "at least 16 characters"),
        (json!({"token": "${file:away}"}), "away"),
        (json!({"listen": "127.0.0.1:0", "tokne": TOKEN}), "tokne"),
    ] {
        stage.config["admin"] = admin.clone();
        let config = stage.room.write("callgate.yaml", &stage.config.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        let output = command.args(["serve", "-c"]).arg(config).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{admin}: {told}");
        assert!(told.contains(words), "{admin}: {told}");
        assert!(!told.contains(TOKEN) && !told.contains("short-secret"), "{told}");
    }
}
