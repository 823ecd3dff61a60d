//! Plays who runs Callgate, and who uses it, before a server that takes access tokens. The official conformance suite
//! starts it as a client: it is given the server's URL, and in the environment the name of the scenario.
//!
//! As whoever runs Callgate it looks up the issuer and the scopes that the server names, writes them into a
//! configuration, and lets Callgate in as a browser does. As whoever uses it, it calls a tool through the gateway. It
//! prints what came of it.

use callgate_testkit::client::http::Reply;
use callgate_testkit::protocol::MODERN;
use callgate_testkit::{Http, Process, Room};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// How long a command of Callgate's may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a server is called in the configuration.
const SERVER: &str = "server";
/// What an operator would have had Callgate registered as.
const CLIENT_ID: &str = "callgate";
const CLIENT_SECRET: &str = "the-secret-of-callgate";
/// The document that the suite expects to be named.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";

fn main() -> ExitCode {
    let url = std::env::args().nth(1).expect("the URL of a server");
    let scenario = variable("MCP_CONFORMANCE_SCENARIO");
    let version = variable("MCP_CONFORMANCE_PROTOCOL_VERSION");
    let context: Value = serde_json::from_str(&variable("MCP_CONFORMANCE_CONTEXT")).unwrap_or_default();
    match play(&url, &scenario, &version, &context) {
        Ok(()) => {
            println!("called");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("not called: {why}");
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn play(url: &str, scenario: &str, version: &str, context: &Value) -> Result<(), String> {
    if !scenario.starts_with("auth/") {
        return Err("this scenario is not about access tokens".to_owned());
    }
    let room = Room::new();
    let told = read(url, version);
    let mut oauth = identity(&room, scenario, context);
    oauth["issuer"] = json!(told.issuer);
    if !told.scopes.is_empty() {
        oauth["scopes"] = json!(told.scopes);
    }
    let config = room.write("callgate.yaml", &configuration(&room, url, &oauth).to_string());
    room.write("open.yaml", "version: \"1\"\ndefault: allow\ntools: {}\n");
    if oauth["flow"] == "authorization_code" {
        login(&config)?;
    }
    let mut gateway = Process::start(callgate("serve").arg("-c").arg(&config));
    gateway.lives_in(&room);
    let told = gateway.stderr_line("listening on");
    let place = told.split_whitespace().find(|word| word.starts_with("http://"));
    let place = place
        .expect("the address of the gateway")
        .replace("SERVER", SERVER);
    call(&place, version).map_err(|why| format!("{why}\n{}", gateway.stderr()))
}

/// What a server says of itself that goes into a configuration.
struct Told {
    issuer: String,
    scopes: Vec<String>,
}

/// Reads what a server says of itself, as somebody does who is to write it down.
fn read(url: &str, version: &str) -> Told {
    let (origin, path) = split(url);
    let mut client = Http::to(url);
    if version == MODERN {
        client = client.modern();
    }
    let refused = client.reply("tools/list", json!({}));
    let challenge = refused.header("www-authenticate").unwrap_or_default();
    let said = |name: &str| {
        let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
        rest.split('"').next().map(str::to_owned)
    };
    let usual = format!("{origin}/.well-known/oauth-protected-resource");
    let places = match said("resource_metadata") {
        Some(named) => vec![named],
        None => vec![format!("{usual}{path}"), usual],
    };
    let document = places
        .iter()
        .find_map(|place| serde_json::from_str::<Value>(&get(place).body).ok())
        .unwrap_or_default();
    let supported = document["scopes_supported"].as_array().into_iter().flatten();
    let supported = || supported.filter_map(Value::as_str).map(str::to_owned).collect();
    Told {
        // Before 2025-06-18 servers were their own issuers.
        issuer: document["authorization_servers"][0]
            .as_str()
            .map_or(origin, str::to_owned),
        scopes: said("scope").map_or_else(supported, |scopes| {
            scopes.split_whitespace().map(str::to_owned).collect()
        }),
    }
}

/// A URL's origin, and its path.
fn split(url: &str) -> (String, &str) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    (format!("http://{authority}"), path)
}

/// Who Callgate is at the issuer.
fn identity(room: &Room, scenario: &str, context: &Value) -> Value {
    let id = context["client_id"].as_str().unwrap_or(CLIENT_ID);
    let secret = |text: &str| {
        room.write("secret", text);
        json!("${file:secret}")
    };
    match (scenario, context["client_secret"].as_str()) {
        ("auth/pre-registration", Some(text)) => {
            json!({"flow": "authorization_code", "client_id": id, "client_secret": secret(text)})
        }
        (_, Some(text)) => json!({"client_id": id, "client_secret": secret(text)}),
        ("auth/token-endpoint-auth-basic" | "auth/token-endpoint-auth-post", None) => {
            json!({"flow": "authorization_code", "client_id": id, "client_secret": secret(CLIENT_SECRET)})
        }
        ("auth/basic-cimd" | "auth/offline-access-scope", None) => {
            json!({"flow": "authorization_code", "client_metadata": DOCUMENT})
        }
        (_, None) => json!({"flow": "authorization_code", "client_id": id}),
    }
}

fn configuration(room: &Room, url: &str, oauth: &Value) -> Value {
    json!({
        "version": 1,
        "listen": "127.0.0.1:0",
        "state": {"dir": room.at("state")},
        "servers": {SERVER: {"url": url, "oauth": oauth}},
        "policies": {"open": "open.yaml"},
        "local": {SERVER: "open"},
    })
}

/// The program beside this one.
fn callgate(subcommand: &str) -> Command {
    let own = std::env::current_exe().expect("a program has a path");
    let folder = own.parent().expect("and that a folder");
    let mut command = Command::new(folder.join("callgate"));
    // A policy below the working folder is worth a warning.
    command.arg(subcommand).current_dir("/");
    command
}

/// Lets Callgate in, as a browser does whose user consents.
fn login(config: &Path) -> Result<(), String> {
    let mut process = Process::start(callgate("login").arg(SERVER).arg("-c").arg(config));
    let asked = process
        .stdout()
        .find(0, PATIENCE, |line| line.starts_with("http://"));
    if let Some((_, url)) = asked {
        let sent = get(url.trim());
        let back = sent
            .header("location")
            .ok_or("the issuer sends the browser nowhere")?;
        let _ = get(back);
    }
    let ended = process.ended_within(PATIENCE);
    if ended.is_some_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!("`callgate login` says: {}", process.stderr()))
}

fn get(url: &str) -> Reply {
    Http::to(url).send("GET", &[], b"").rest()
}

/// Calls the one tool that the suite's servers have.
fn call(place: &str, version: &str) -> Result<(), String> {
    let mut client = Http::to(place);
    if version == MODERN {
        client = client.modern();
    } else {
        let answer = client.post(
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": version,
                "capabilities": {}, "clientInfo": {"name": "operator", "version": "1.0.0"}}})
            .to_string(),
        );
        if answer.status != 200 || answer.answer().json.get("result").is_none() {
            return Err(format!("`initialize` gets {answer:?}"));
        }
        client.set_session(answer.header("mcp-session-id"));
        client.notify("notifications/initialized", json!({}));
    }
    for (method, params) in [
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "test-tool", "arguments": {}})),
    ] {
        let answer = client.reply(method, params);
        let is_good = answer.status == 200 && {
            let answer = answer.answer();
            answer.json.get("result").is_some() && !answer.is_tool_error()
        };
        if !is_good {
            return Err(format!("`{method}` gets {answer:?}"));
        }
    }
    Ok(())
}
