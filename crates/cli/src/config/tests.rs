//! What good configurations come to, what is said of bad ones, and that no secret is in any of it.

use super::*;
use std::ffi::OsString;

/// Part of every secret here, so that it is found wherever it should not be.
const SECRET: &str = "s3cret";

const POLICY: &str = "version: \"1\"\ndefault: deny\ntools: {echo: {}}\nmethods: {}\n";

const GOOD: &str = r#"version: 1
listen: "[::1]:0"
metrics: 127.0.0.1:9464
hosts: [Gate.example.com, gate:8443]
state: {dir: state, durability: disk}
servers:
  mistral:
    command: [npx, -y, mistral-mcp, --key=s3cret]
    env: {PATH: "${env:PATH}", KEY: "a ${file:key} b", EMPTY: "", LITERAL: s3cret}
    dir: /srv/mistral
    shared: false
  conductor:
    url: https://conductor.example/mcp?key=s3cret
    headers: {Authorization: "Bearer ${env:TOKEN}", X-Literal: s3cret}
policies:
  readers: policies/readers.yaml
  writers: policies/readers.yaml
local:
  mistral: readers
"#;

fn net(text: &str) -> Address {
    Address::Net(text.parse().unwrap())
}

fn variables(name: &str) -> Option<OsString> {
    match name {
        "PATH" => Some("/bin".into()),
        "TOKEN" => Some("s3cret-token".into()),
        "BREAKS" => Some("s3cret\nX-More: 1".into()),
        _ => None,
    }
}

/// A folder with a configuration, a good policy and a bad one, and files with secrets.
fn folder(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    let bad = POLICY.replace("default", "defualt");
    for (name, text) in [
        ("callgate.yaml", text),
        ("key", "s3cret-key\r\n"),
        ("policies/readers.yaml", POLICY),
        ("policies/bad.yaml", &bad),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    std::fs::write(dir.path().join("bytes"), b"s3cret\xff").unwrap();
    std::fs::write(dir.path().join("large"), "s3cret".repeat(20_000)).unwrap();
    dir
}

fn loading(dir: &Path) -> Loading {
    let path = dir.join("callgate.yaml");
    Loading::of(Source::read(&path).unwrap(), &path, &variables)
}

/// All findings of a text as they are shown, the folder's name left out.
fn shown(text: &str) -> String {
    let dir = folder(text);
    let loading = loading(dir.path());
    let shown = loading.shown(&Style::PLAIN).join("\n");
    let all = format!(
        "{shown}{loading:?}{}",
        serde_json::to_string(&loading.diagnostics).unwrap()
    );
    assert!(!all.contains(SECRET), "{all}");
    let errors = loading.count(Severity::Error);
    assert_eq!(loading.config.is_none(), errors > 0, "{shown}");
    shown.replace(&format!("{}/", dir.path().display()), "")
}

/// The findings of a configuration with these lines below a good head.
fn of_server(lines: &str) -> String {
    shown(&format!("version: 1\nservers:\n  one:\n{lines}"))
}

#[test]
fn a_process_for_all_sessions_is_had_where_it_is_asked_for_and_at_a_url_there_is_none() {
    let dir = folder(&GOOD.replace("shared: false", "shared: true"));
    let loading = loading(dir.path());
    assert_eq!(loading.shown(&Style::PLAIN), Vec::<String>::new());
    let config = loading.config.unwrap();
    let Some(Server::Command(mistral)) = config.servers.get(&ServerName::new("mistral").unwrap()) else {
        panic!("{config:?}");
    };
    assert_eq!(mistral.sharing, Sharing::Shared);
    let told = of_server("    url: https://host\n    shared: true\n");
    assert!(
        told.starts_with("error[conflict]: `shared` is a key of a server that has a command"),
        "{told}"
    );
    assert!(told.contains("each session has one of its own there"), "{told}");
}

#[test]
fn a_good_configuration_is_taken_as_it_is_written() {
    let dir = folder(GOOD);
    let loading = loading(dir.path());
    assert_eq!(loading.shown(&Style::PLAIN), Vec::<String>::new());
    let config = loading.config.unwrap();
    assert_eq!(config.listen, net("[::1]:0"));
    assert_eq!(config.metrics, Some(net("127.0.0.1:9464")));
    let hosts: Vec<String> = config.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["gate:8443", "gate.example.com"]);
    assert_eq!(config.state.dir, Some(dir.path().join("state")));
    assert_eq!(config.state.durability, Durability::Disk);

    let Some(Server::Command(mistral)) = config.servers.get(&ServerName::new("mistral").unwrap()) else {
        panic!("{config:?}");
    };
    assert_eq!(mistral.program, "npx");
    assert_eq!(mistral.arguments, ["-y", "mistral-mcp", "--key=s3cret"]);
    let env: Vec<(&str, &str)> = mistral
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.reveal()))
        .collect();
    let wanted = [
        ("EMPTY", ""),
        ("KEY", "a s3cret-key b"),
        ("LITERAL", "s3cret"),
        ("PATH", "/bin"),
    ];
    assert_eq!(env, wanted);
    assert_eq!(mistral.dir, Some(PathBuf::from("/srv/mistral")));
    assert_eq!(mistral.sharing, Sharing::PerSession);

    let Some(Server::Remote(conductor)) = config.servers.get(&ServerName::new("conductor").unwrap()) else {
        panic!("{config:?}");
    };
    assert_eq!(conductor.url.as_str(), "https://conductor.example/mcp?key=s3cret");
    assert_eq!(conductor.headers.len(), 2);
    assert_eq!(conductor.headers["authorization"], "Bearer s3cret-token");
    assert!(conductor.headers.values().all(http::HeaderValue::is_sensitive));

    let readers = &config.policies[&PolicyName::new("readers").unwrap()];
    assert_eq!(readers.path, dir.path().join("policies/readers.yaml"));
    assert!(readers.program.exact.get("echo").is_some());
    assert_eq!(config.policies.len(), 2);
    assert_eq!(
        loading.policies.len(),
        1,
        "a file is read once, under however many names"
    );
    let local: Vec<(&str, &str)> = config
        .local
        .iter()
        .map(|(server, policy)| (server.as_str(), policy.as_str()))
        .collect();
    assert_eq!(local, [("mistral", "readers")]);
    let files: Vec<PathBuf> = ["callgate.yaml", "key", "policies/readers.yaml"]
        .map(|name| dir.path().join(name))
        .into();
    assert_eq!(Vec::from_iter(loading.files), files);
}

#[test]
fn the_least_configuration_has_the_defaults() {
    let dir = folder("{\"version\": \"1\", \"servers\": {\"one\": {\"command\": [\"one\"]}}}");
    let config = load(&dir.path().join("callgate.yaml")).unwrap().config.unwrap();
    assert_eq!(config.listen, net("127.0.0.1:8700"));
    assert_eq!(config.metrics, None);
    assert_eq!(config.state, StateFolder::default());
    assert_eq!(config.state.durability, Durability::Process);
    let Some(Server::Command(one)) = config.servers.values().next() else {
        panic!("{config:?}");
    };
    assert_eq!((one.env.len(), one.sharing), (0, Sharing::PerSession));
    assert!(config.hosts.is_empty() && config.policies.is_empty() && config.local.is_empty());
}

#[test]
fn a_change_of_a_secret_or_a_policy_makes_another_configuration() {
    let dir = folder(GOOD);
    let read = || loading(dir.path()).config.unwrap();
    let before = read();
    assert_eq!(before, read());
    std::fs::write(dir.path().join("key"), "another").unwrap();
    let after = read();
    assert_ne!(before.servers, after.servers);
    assert_eq!(before.policies, after.policies);
    std::fs::write(
        dir.path().join("policies/readers.yaml"),
        format!("{POLICY}# more\n"),
    )
    .unwrap();
    assert_ne!(after.policies, read().policies);
}

#[test]
fn files_are_known_even_where_they_are_what_is_wrong() {
    let dir = folder(
        "version: 1\nservers: {one: {command: [one], env: {A: \"${file:gone}\"}}}\npolicies: {a: gone.yaml, b: policies/bad.yaml}\n",
    );
    let loading = loading(dir.path());
    assert!(loading.config.is_none());
    for name in ["callgate.yaml", "gone", "gone.yaml", "policies/bad.yaml"] {
        assert!(loading.files.contains(&dir.path().join(name)), "{name}");
    }
}

#[test]
fn a_configuration_is_told_from_a_policy() {
    for text in [
        "servers: {}",
        "listen: x",
        "{\"servers\": {}}",
        "version: 1\nservers:\n  a: {\n",
        "{\"version\": 1, \"servers\": {]",
    ] {
        assert!(is_config(text), "{text}");
    }
    for text in ["", POLICY, "tools: {servers: {}}", "tools: {\n", "servers_: {"] {
        assert!(!is_config(text), "{text}");
    }
}

#[test]
fn nothing_shows_a_secret() {
    let dir = folder(GOOD);
    let loading = loading(dir.path());
    let config = loading.config.clone().unwrap();
    assert!(!format!("{loading:?}{config:?}").contains(SECRET));
    // Each line is shown once as if something were wrong with it.
    for (index, line) in GOOD.lines().enumerate() {
        for slip in [
            format!("{line} }}"),
            format!("{line}\n{line}"),
            line.replacen(": ", ": - ", 1),
        ] {
            let mut text: Vec<&str> = GOOD.lines().collect();
            text[index] = &slip;
            shown(&text.join("\n"));
        }
    }
    // Each secret stands in each place where it does not belong.
    for place in [
        "hosts: {s3cret: s3cret}",
        "state: [s3cret]",
        "state: {dir: {s3cret: 1}, more: s3cret}",
        "more: {a: [s3cret]}",
        "servers: [s3cret]",
        "servers: {one: s3cret}",
        "servers: {one: {url: \"s3cret:s3cret@host\"}}",
        "servers: {one: {url: [s3cret]}}",
        "servers: {one: {url: s3cret}}",
        "servers: {one: {url: \"me:s3cret://x\"}}",
        "servers: {one: {command: {s3cret: s3cret}}}",
        "servers: {one: {command: [{s3cret: s3cret}]}}",
        "servers: {one: {command: [one], env: {s3cret}}}",
        "servers: {one: {command: [one], env: [s3cret]}}",
        "servers: {one: {command: [one], env: {A: {s3cret: s3cret}, \"s3cret x\": a}}}",
        "servers: {one: {command: [one], evn: {A: s3cret}}}",
        "servers: {one: {url: \"https://h\", headers: {A: \"s3cret${\", B: \"${s3cret}\", C: \"${s3cret:x}\"}}}",
        "servers: {one: {url: \"https://h\", headers: {A: \"${env:s3cret-x}\", \"s3cret x\": a, s3cret}}}",
        "servers: {one: {url: \"https://h\", headers: {A: \"\\x73${x}3cret\", B: 5}}}",
        "traces: s3cret",
        "traces: {endpoint: \"https://me:s3cret@host/?key=s3cret\"}",
        "traces: {endpoint: \"s3cret:s3cret@host\"}",
        "traces: {endpoint: [s3cret], headers: [s3cret], more: s3cret}",
        "traces: {endpoint: \"https://h?s3cret\", ratio: 7, headers: {A: s3cret, B: \"${s3cret}\"}}",
    ] {
        shown(&format!("version: 1\n{place}\n"));
    }
}

#[test]
fn what_is_wrong_at_the_top() {
    insta::assert_snapshot!(
        "top",
        shown(
            r#"version: 2
lisen: 127.0.0.1:1
hosts: [https://gate.example.com, "*.example.com", 5, gate, gate]
state: {dri: x, durability: dsik, dir: ""}
servers: {}
policies: [a.yaml]
local: none
"#
        )
    );
    insta::assert_snapshot!("nothing", shown("hosts: []\n"));
    insta::assert_snapshot!("empty", shown("# nothing yet\n"));
    insta::assert_snapshot!(
        "no values",
        shown("version:\nlisten:\nstate:\nservers:\nlocal:\n")
    );
    insta::assert_snapshot!(
        "broken",
        shown("version: 1\nservers:\n  one:\n    headers: {A: \"s3cret}\n")
    );
    insta::assert_snapshot!(
        "duplicates",
        shown("version: 1\nservers:\n  one: {command: [one]}\n  one: {command: [s3cret]}\nversion: 1\n")
    );
}

#[test]
fn addresses_that_are_none() {
    let mut all = String::new();
    for listen in [
        "8700",
        "localhost:8700",
        "\":8700\"",
        "127.0.0.1",
        "127.0.0.1:x",
        "gate:80",
        "\"::1\"",
        "[1]",
    ] {
        let text = format!("version: 1\nlisten: {listen}\nservers: {{one: {{command: [one]}}}}\n");
        all.push_str(&shown(&text));
        all.push('\n');
    }
    insta::assert_snapshot!(all);
}

#[test]
fn metrics_have_an_address_of_their_own() {
    let mut all = String::new();
    for metrics in ["9464", "localhost:9464", "10.0.0.1", "yes", "127.0.0.1:8700"] {
        let text = format!("version: 1\nmetrics: {metrics}\nservers: {{one: {{command: [one]}}}}\n");
        all.push_str(&shown(&text));
        all.push('\n');
    }
    insta::assert_snapshot!(all);
    let any = "version: 1\nlisten: 127.0.0.1:0\nmetrics: 127.0.0.1:0\nservers: {one: {command: [one]}}\n";
    assert_eq!(shown(any), "");
}

#[test]
fn what_is_wrong_with_traces() {
    let mut all = String::new();
    for traces in [
        "{}",
        "http://c",
        "{endpoint: collector:4318}",
        "{endpoint: \"http://me:s3cret@c\"}",
        "{endpoint: \"http://${env:TOKEN}/\"}",
        "{endpoint: \"http://c\", sampler: always}",
        "{endpoint: \"http://c\", sampler: always_on, ratio: 0.5}",
        "{endpoint: \"http://c\", ratio: 1.5}",
        "{endpoint: \"http://c\", ratio: half}",
        "{endpoint: \"http://c\", service: \"\", timeout: 1h, heders: {}}",
        "{endpoint: \"http://c\", headers: {Content-Type: x, A: \"${env:BREAKS}\"}}",
    ] {
        let text = format!("version: 1\ntraces: {traces}\nservers: {{one: {{command: [one]}}}}\n");
        all.push_str(&shown(&text));
        all.push('\n');
    }
    insta::assert_snapshot!(all);
}

#[test]
fn where_traces_go_is_taken_as_it_is_written() {
    use crate::traces::{TIMEOUT_DEFAULT, Traces};
    use callgate_gateway::traces::{Others, Ratio, Sampler, Share};
    let traces = |lines: &str| -> Traces {
        let text = format!(
            "version: 1\ntraces: {{endpoint: \"https://c:1/x?y\"{lines}}}\nservers: {{one: {{command: [one]}}}}\n"
        );
        let dir = folder(&text);
        loading(dir.path()).config.unwrap().traces.unwrap()
    };
    let least = traces("");
    assert_eq!(least.endpoint.as_str(), "https://c:1/x?y");
    assert_eq!(
        (least.service.as_str(), least.timeout),
        ("callgate", TIMEOUT_DEFAULT)
    );
    assert_eq!((least.sampler, least.headers.len()), (Sampler::default(), 0));
    let more = traces(", headers: {A: \"${file:key}\"}, service: gate, timeout: 2s");
    assert_eq!(more.headers["a"], "s3cret-key");
    assert!(more.headers["a"].is_sensitive());
    assert_eq!((more.service.as_str(), more.timeout.as_secs()), ("gate", 2));
    let half = Share::Ratio(Ratio::new(0.5).unwrap());
    for (lines, share, others) in [
        (", ratio: 0.5", half, Others::Followed),
        (", sampler: traceidratio, ratio: 0.5", half, Others::Chosen),
        (", sampler: traceidratio", Share::All, Others::Chosen),
        (", sampler: always_off", Share::None, Others::Chosen),
        (", sampler: parentbased_always_off", Share::None, Others::Followed),
    ] {
        assert_eq!(traces(lines).sampler, Sampler { share, others }, "{lines}");
    }
}

#[test]
fn what_is_wrong_with_a_server() {
    let mut all = String::new();
    for lines in [
        "    {}\n",
        "    dir: x\n",
        "    command: [one]\n    url: https://host\n",
        "    command: npx -y s3cret\n",
        "    command: []\n",
        "    command: [\"\", s3cret]\n",
        "    command: [one, 5, \"${env:PATH}\", \"a\\0\"] # s3cret\n",
        "    command: [one]\n    headers: {A: s3cret}\n    shared: yes\n",
        "    url: https://host\n    env: {A: s3cret}\n    dir: x\n    shared: true\n",
        "    command: [one]\n    dir: [x]\n",
        "    command: [one]\n    dir: \"${env:PATH}\"\n",
        "    url: https://me:s3cret@host/mcp\n",
        "    url: ws://host/s3cret?s3cret\n"
            .replace("/s3cret?", "/x?")
            .as_str(),
        "    url: localhost:3000/mcp\n",
        "    url: https://${env:TOKEN}/mcp\n",
        "    url: 5\n",
        "    comand: [one]\n",
    ] {
        all.push_str(&of_server(lines));
        all.push('\n');
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_is_wrong_with_variables_and_headers() {
    insta::assert_snapshot!(
        "variables",
        of_server(
            r#"    command: [one]
    env:
      A: "s3cret ${env:NOT_SET} s3cret"
      B: "${file:gone}"
      C: "${file:bytes}${file:large}"
      D: "s3cret ${env:PATH"
      E: "${evn:PATH} ${PATH} ${flie:x} ${env:a-b}"
      F: 5
      G: {a: s3cret}
      H: "s3cret\0"
      8I: s3cret
      "s3cret=": x
"#
        )
    );
    insta::assert_snapshot!(
        "headers",
        of_server(
            r#"    url: https://host
    headers:
      Authorization: "Bearer ${env:BREAKS}"
      Host: s3cret
      "a b": s3cret
      X-Key: "1"
      x-key: "2"
      X-Number: 5
      X-None:
"#
        )
    );
}

#[test]
fn what_is_wrong_between_servers_and_policies() {
    insta::assert_snapshot!(shown(
        r#"version: 1
servers:
  mistral: {command: [one]}
  Con_Ductor: {command: [one]}
  sse: {command: [one]}
  SSE: {command: [one]}
  a-name-that-is-a-little-too-long: {command: [one]}
policies:
  readers: policies/readers.yaml
  bad: policies/bad.yaml
  gone: policies/gone.yaml
  binary: bytes
  Writers: policies/readers.yaml
  none:
  number: 5
local:
  mistrall: readers
  mistral: reader
  other: nobody
  Con_Ductor: 5
"#
    ));
}

/// The findings of a configuration with these keys of `oauth`, and of its one issuer.
fn of_oauth(oauth: &str, issuer: &str) -> String {
    shown(&format!(
        "version: 1\nservers: {{one: {{command: [x]}}}}\noauth:\n  {oauth}\n  issuers:\n    corp: {{{issuer}}}\n"
    ))
}

const ISSUER_LINE: &str = "issuer: https://login.example.com, jwks: https://login.example.com/keys";

#[test]
fn whose_tokens_are_accepted_is_read() {
    for (url, more) in [
        ("https://gate.example.com", ""),
        (
            "https://gate.example.com:8443/",
            ", algorithms: [RS256, EdDSA], types: [JWT], audience: api",
        ),
        (
            "http://127.0.0.1:8700",
            ", refresh: 1m, stale: 2m, ignore_claims: [sid, uti]",
        ),
    ] {
        let found = of_oauth(
            &format!("url: {url}\n  scopes: [mcp]"),
            &format!("{ISSUER_LINE}{more}"),
        );
        assert_eq!(found, "");
    }
}

#[test]
fn what_is_wrong_with_oauth() {
    let good = "url: https://gate.example.com";
    let mut found = Vec::new();
    for (oauth, issuer) in [
        ("ulr: https://gate.example.com", ISSUER_LINE),
        ("url: http://gate.example.com", ISSUER_LINE),
        ("url: https://gate.example.com/mcp", ISSUER_LINE),
        (
            "url: https://gate.example.com\n  scopes: ['a b', offline_access]",
            ISSUER_LINE,
        ),
        (good, "jwks: https://login.example.com/keys"),
        (good, "issuer: https://login.example.com"),
        (
            good,
            "issuer: login.example.com, jwks: http://login.example.com/keys",
        ),
        (good, "issuer: https://login.example.com, jwks_file: key"),
        (
            good,
            "issuer: https://login.example.com, jwks: https://me:s3cret@login.example.com/keys?s3cret",
        ),
        (good, &format!("{ISSUER_LINE}, algorithms: [none, HS256, RS257]")),
        (good, &format!("{ISSUER_LINE}, algorithms: [], types: []")),
        (
            good,
            &format!("{ISSUER_LINE}, ignore_claims: [sub], refresh: 1h, stale: 5m"),
        ),
        (good, &format!("{ISSUER_LINE}, audiance: x")),
    ] {
        found.push(of_oauth(oauth, issuer).trim_end().to_owned());
    }
    insta::assert_snapshot!(found.join("\n\n"));
}

#[test]
fn what_is_wrong_with_the_oauth_of_a_server() {
    let of_client = |more: &str, client: &str| {
        of_server(&format!(
            "    url: https://host/mcp\n{more}    oauth: {{{client}}}\n"
        ))
    };
    let good = "issuer: https://login.example.com, client_id: me, client_secret: \"${env:TOKEN}\"";
    assert_eq!(of_client("", &format!("{good}, scopes: [a]")), "");
    for identity in ["client_id: me", "client_metadata: https://example.com/c.json"] {
        let client = format!("issuer: https://login.example.com, flow: authorization_code, {identity}");
        assert_eq!(of_client("", &client), "");
    }
    let mut found = Vec::new();
    for (more, client) in [
        ("", "issuer: https://login.example.com, client_id: me"),
        ("", "client_id: me, client_secret: \"${file:key}\""),
        (
            "",
            "issuer: http://login.example.com, client_id: me, client_secret: \"${file:key}\"",
        ),
        (
            "",
            "issuer: https://login.example.com, client_id: me, client_secret: s3cret",
        ),
        (
            "",
            "issuer: https://login.example.com, client_id: me, client_secret: \"s3cret ${env:TOKEN}\"",
        ),
        (
            "",
            "issuer: https://login.example.com, client_id: me, client_secret: \"${env:NONE}\"",
        ),
        (
            "",
            "issuer: https://login.example.com, client_di: me, client_secret: \"${env:TOKEN}\"",
        ),
        ("", &format!("{good}, flow: autorization_code")),
        (
            "",
            &format!("{good}, client_metadata: https://example.com/c.json"),
        ),
        (
            "",
            &format!("{good}, flow: authorization_code, client_metadata: https://example.com/c.json"),
        ),
        (
            "",
            "issuer: https://login.example.com, flow: authorization_code, client_metadata: http://example.com/c.json",
        ),
        ("", "issuer: https://login.example.com, flow: authorization_code"),
        (
            "",
            "issuer: https://login.example.com, flow: authorization_code, client_metadata: https://example.com/c.json, client_secret: \"${env:TOKEN}\"",
        ),
        ("    headers: {Authorization: \"Bearer ${env:TOKEN}\"}\n", good),
    ] {
        found.push(of_client(more, client).trim_end().to_owned());
    }
    insta::assert_snapshot!(found.join("\n\n"));
}
