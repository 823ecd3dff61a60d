//! Entries in the layouts that clients and people write, put behind a gate and taken from behind it.

use super::edit::{apply, found, replace};
use super::{Entry, Gate, Site, read, wrap};
use crate::commands::init::clients::Client;
use crate::commands::tree::{self, Format};

const GATE: Gate<'_> = Gate {
    program: "/bin/callgate",
    policy: "/p.yaml",
    server: "s",
};

fn is_own(program: &str) -> bool {
    program == GATE.program
}

fn path(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// The text with a gate before the entry. It is read as guarded, and undone byte for byte, alone and with other
/// changes around it.
#[track_caller]
fn guarded(client: Client, format: Format, text: &str, keys: &[&str]) -> String {
    let root = tree::read(format, text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    let node = root.at(&path(keys)).unwrap();
    let Entry::Open(server) = read(client, node, &is_own) else {
        panic!("{text}: {:?}", read(client, node, &is_own));
    };
    let site = Site { client, format, text };
    let placed = wrap(site, node, &server, GATE).unwrap();
    let after = apply(text, &placed).unwrap();
    let edits: Vec<_> = placed.into_iter().map(|placed| placed.edit).collect();
    // What a person may add since, after the mark that a file can begin with.
    let mark = match format {
        Format::Json => "\n// mine\n",
        Format::Toml => "\n# mine\n",
    };
    for more in ["", mark] {
        let with = |text: &str| match text.strip_prefix('\u{feff}') {
            Some(rest) => format!("\u{feff}{more}{rest}{more}"),
            None => format!("{more}{text}{more}"),
        };
        let changed = with(&after);
        let root = tree::read(format, &changed).unwrap_or_else(|fault| panic!("{fault}: {changed}"));
        let node = root.at(&path(keys)).unwrap();
        assert!(
            matches!(read(client, node, &is_own), Entry::Guarded(_)),
            "{changed}"
        );
        let places = found(&changed, node, &edits).expect(&changed);
        assert_eq!(replace(&changed, &places).unwrap(), with(text), "{changed}");
    }
    after
}

#[track_caller]
fn check(client: Client, format: Format, keys: &[&str], cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        assert_eq!(guarded(client, format, text, keys), *wanted);
    }
}

#[test]
fn a_command_keeps_its_layout() {
    const RUN: &str = r#""run", "-c", "/p.yaml", "--server", "s", "--""#;
    let one = |text: &str| text.replace("RUN", RUN);
    check(
        Client::Cursor,
        Format::Json,
        &["s"],
        &[
            (
                r#"{"s":{"command":"npx","args":["-y","x"],"env":{"K":"v"}}}"#,
                &one(r#"{"s":{"command":"/bin/callgate","args":[RUN, "npx", "-y","x"],"env":{"K":"v"}}}"#),
            ),
            (
                r#"{ "s": { "args": [ "-y", "x" ], "command": "npx" } }"#,
                &one(r#"{ "s": { "args": [ RUN, "npx", "-y", "x" ], "command": "/bin/callgate" } }"#),
            ),
            (
                r#"{"s": {"command": "a b/\u0063"}}"#,
                &one(r#"{"s": {"command": "/bin/callgate", "args": [RUN, "a b/\u0063"]}}"#),
            ),
            (
                r#"{"s": {"command": "x", "args": [],}}"#,
                &one(r#"{"s": {"command": "/bin/callgate", "args": [RUN, "x"],}}"#),
            ),
            (
                "{\r\n\t\"s\": {\r\n\t\t\"command\": \"x\", // why\r\n\t\t\"type\": \"stdio\"\r\n\t}\r\n}\r\n",
                &one(
                    "{\r\n\t\"s\": {\r\n\t\t\"command\": \"/bin/callgate\",\r\n\t\t\"args\": [RUN, \"x\"], // why\r\n\t\t\"type\": \"stdio\"\r\n\t}\r\n}\r\n",
                ),
            ),
            (
                r#"{"s": {"command": "x", "args": [/* a */ "y"]}}"#,
                &one(r#"{"s": {"command": "/bin/callgate", "args": [RUN, "x", /* a */ "y"]}}"#),
            ),
        ],
    );
    let lines = "{\n  \"s\": {\n    \"command\": \"npx\",\n    \"args\": [\n      \"-y\",\n      // pinned\n      \"x@1\",\n    ]\n  }\n}";
    assert_eq!(
        guarded(Client::Zed, Format::Json, lines, &["s"]),
        "{\n  \"s\": {\n    \"command\": \"/bin/callgate\",\n    \"args\": [\n      \"run\",\n      \"-c\",\n      \"/p.yaml\",\n      \"--server\",\n      \"s\",\n      \"--\",\n      \"npx\",\n      \"-y\",\n      // pinned\n      \"x@1\",\n    ]\n  }\n}"
    );
    let comment = "{\"s\": {\n  \"command\": \"npx\",\n  \"args\": [ // all of them\n    \"-y\"\n  ]}}";
    assert!(
        guarded(Client::Zed, Format::Json, comment, &["s"]).contains("\"npx\", // all of them\n    \"-y\"\n")
    );
    let nested = r#"{"s": {"command": {"path": "x", "args": ["y"], "env": {}}, "settings": {}}}"#;
    assert_eq!(
        guarded(Client::Zed, Format::Json, nested, &["s"]),
        one(
            r#"{"s": {"command": {"path": "/bin/callgate", "args": [RUN, "x", "y"], "env": {}}, "settings": {}}}"#
        )
    );
}

#[test]
fn a_command_in_toml_keeps_its_layout() {
    const RUN: &str = r#""run", "-c", "/p.yaml", "--server", "s", "--""#;
    let one = |text: &str| text.replace("RUN", RUN);
    check(
        Client::Codex,
        Format::Toml,
        &["m", "s"],
        &[
            (
                "[m.s]\ncommand = 'npx' # c\nargs = [ \"-y\" ]\n",
                &one("[m.s]\ncommand = \"/bin/callgate\" # c\nargs = [ RUN, 'npx', \"-y\" ]\n"),
            ),
            (
                "[m.s]\r\n  command = \"x\"\r\n[m.s.env]\r\nK = \"v\"\r\n",
                &one(
                    "[m.s]\r\n  command = \"/bin/callgate\"\r\n  args = [RUN, \"x\"]\r\n[m.s.env]\r\nK = \"v\"\r\n",
                ),
            ),
            (
                "[m]\ns.command = \"x\"\n",
                &one("[m]\ns.command = \"/bin/callgate\"\ns.args = [RUN, \"x\"]\n"),
            ),
            (
                "m = { s = { command = \"x\" } }",
                &one("m = { s = { command = \"/bin/callgate\", args = [RUN, \"x\"] } }"),
            ),
            (
                "\u{feff}[m.s]\ncommand = \"x\"",
                &one("\u{feff}[m.s]\ncommand = \"/bin/callgate\"\nargs = [RUN, \"x\"]"),
            ),
        ],
    );
}

#[test]
fn a_url_becomes_a_command_and_its_headers_variables() {
    check(
        Client::VsCode,
        Format::Json,
        &["s"],
        &[
            (
                r#"{"s": {"type": "http", "url": "https://h/mcp", "headers": {"Authorization": "Bearer ${input:k}", "X-A": "1"}}}"#,
                r#"{"s": {"type": "stdio", "command": "/bin/callgate", "args": ["run", "-c", "/p.yaml", "--server", "s", "--upstream", "https://h/mcp", "--header-env", "Authorization: CALLGATE_AUTHORIZATION", "--header-env", "X-A: CALLGATE_X_A"], "env": {"CALLGATE_AUTHORIZATION": "Bearer ${input:k}", "CALLGATE_X_A": "1"}}}"#,
            ),
            (
                "{\"s\": {\n  \"url\": \"https://h/mcp?key=abc\"\n}}",
                "{\"s\": {\n  \"command\": \"/bin/callgate\",\n  \"args\": [\"run\", \"-c\", \"/p.yaml\", \"--server\", \"s\", \"--upstream-env\", \"CALLGATE_UPSTREAM\"],\n  \"env\": {\"CALLGATE_UPSTREAM\": \"https://h/mcp?key=abc\"}\n}}",
            ),
            (
                "{\"s\": {\"url\": \"https://h/?k=1\", \"headers\": {\n  // c\n  \"X-A\": \"1\",\n}}}",
                "{\"s\": {\"command\": \"/bin/callgate\", \"args\": [\"run\", \"-c\", \"/p.yaml\", \"--server\", \"s\", \"--upstream-env\", \"CALLGATE_UPSTREAM\", \"--header-env\", \"X-A: CALLGATE_X_A\"], \"env\": {\n  \"CALLGATE_UPSTREAM\": \"https://h/?k=1\",\n  // c\n  \"CALLGATE_X_A\": \"1\",\n}}}",
            ),
        ],
    );
    check(
        Client::Gemini,
        Format::Json,
        &["s"],
        &[(
            r#"{"s": {"url": "https://h/mcp", "timeout": 5, "type": "http"}}"#,
            r#"{"s": {"args": ["run", "-c", "/p.yaml", "--server", "s", "--upstream", "https://h/mcp"], "timeout": 5, "command": "/bin/callgate"}}"#,
        )],
    );
    check(
        Client::Codex,
        Format::Toml,
        &["m", "s"],
        &[
            (
                "[m.s]\nurl = \"https://h/mcp\"\nbearer_token_env_var = \"TOKEN\"\n[m.s.http_headers]\n\"X-A\" = \"1\" # c\n",
                "[m.s]\ncommand = \"/bin/callgate\"\nargs = [\"run\", \"-c\", \"/p.yaml\", \"--server\", \"s\", \"--upstream\", \"https://h/mcp\", \"--header-env\", \"X-A: CALLGATE_X_A\", \"--header\", \"Authorization: Bearer ${env:TOKEN}\"]\nenv_vars = [\"TOKEN\"]\n[m.s.env]\nCALLGATE_X_A = \"1\" # c\n",
            ),
            (
                "[m.s]\nurl = \"https://h/mcp\"\nenv_http_headers = { \"X-A\" = \"A\", X-B = \"B\" }\n",
                "[m.s]\ncommand = \"/bin/callgate\"\nargs = [\"run\", \"-c\", \"/p.yaml\", \"--server\", \"s\", \"--upstream\", \"https://h/mcp\", \"--header-env\", \"X-A: A\", \"--header-env\", \"X-B: B\"]\nenv_vars = [\"A\", \"B\"]\n",
            ),
            (
                "m.s = { url = \"https://h/?k=1\", http_headers = { X-A = '1' } }\n",
                "m.s = { command = \"/bin/callgate\", args = [\"run\", \"-c\", \"/p.yaml\", \"--server\", \"s\", \"--upstream-env\", \"CALLGATE_UPSTREAM\", \"--header-env\", \"X-A: CALLGATE_X_A\"], env = { CALLGATE_UPSTREAM = \"https://h/?k=1\", CALLGATE_X_A = '1' } }\n",
            ),
        ],
    );
}

/// A layout that nobody would write: space, line ends and comments between all parts, by a fixed sequence.
fn odd_layout(state: &mut u64, parts: &[&str]) -> String {
    const GAPS: [&str; 9] = [
        "",
        " ",
        "\n",
        "\r\n\t",
        "  ",
        "/* , \" } */",
        "// \"x\": [{\n",
        "\n    ",
        "/**/ ",
    ];
    let mut out = String::new();
    for part in parts {
        for _ in 0..2 {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let index = usize::try_from(*state >> 33).unwrap() % GAPS.len();
            out.push_str(GAPS[index]);
        }
        out.push_str(part);
    }
    out
}

#[test]
fn any_layout_comes_back_byte_for_byte_and_nothing_beside_the_entry_changes() {
    let command = [
        "{",
        "\"a\"",
        ":",
        "1",
        ",",
        "\"s\"",
        ":",
        "{",
        "\"command\"",
        ":",
        "\"x\"",
        ",",
        "\"args\"",
        ":",
        "[",
        "\"y\"",
        ",",
        "\"z\"",
        ",",
        "]",
        ",",
        "\"env\"",
        ":",
        "{",
        "}",
        "}",
        ",",
        "\"b\"",
        ":",
        "[",
        "]",
        "}",
    ];
    let bare = ["{", "\"s\"", ":", "{", "\"command\"", ":", "\"x\"", "}", "}"];
    let url = [
        "{",
        "\"s\"",
        ":",
        "{",
        "\"url\"",
        ":",
        "\"https://h/?k=1\"",
        ",",
        "\"headers\"",
        ":",
        "{",
        "\"X-A\"",
        ":",
        "\"1\"",
        ",",
        "\"X-B\"",
        ":",
        "\"2\"",
        "}",
        ",",
        "\"type\"",
        ":",
        "\"http\"",
        ",",
        "}",
        ",",
        "}",
    ];
    let mut state = 1;
    for _ in 0..300 {
        for parts in [&command[..], &bare, &url] {
            let text = odd_layout(&mut state, parts);
            let after = guarded(Client::Cursor, Format::Json, &text, &["s"]);
            let entry = |text: &str| {
                tree::read(Format::Json, text)
                    .unwrap()
                    .at(&path(&["s"]))
                    .unwrap()
                    .span
                    .clone()
            };
            let (was, is) = (entry(&text), entry(&after));
            assert_eq!(text.get(..was.start), after.get(..is.start), "{text}");
            assert_eq!(text.get(was.end..), after.get(is.end..), "{text}");
        }
    }
}

#[test]
fn a_path_to_look_through_misleads_a_program_without_a_folder_alone() {
    let entry = |program: &str| {
        let text =
            format!(r#"{{"command": "{program}", "args": ["run", "-c", "p"], "env": {{"Path": "./evil"}}}}"#);
        let root = tree::read(Format::Json, &text).unwrap();
        read(Client::ClaudeCode, &root, &|_| true)
    };
    assert!(matches!(entry("/bin/callgate"), Entry::Guarded(_)));
    assert!(
        matches!(entry("callgate"), Entry::Left(reason) if reason == "its variables may start another program")
    );
}

#[test]
fn what_cannot_be_put_behind_a_gate_is_left_with_a_reason() {
    let cases = [
        (r#"{"command": "x", "command": "y"}"#, "stands twice"),
        (r#"{"command": "x", "env": {"A": "1", "A": "2"}}"#, "stands twice"),
        (r#"{"command": "x", "args": "y"}"#, "no list"),
        (r#"{"command": "x", "args": [1]}"#, "no text"),
        (r#"{"command": ""}"#, "no text"),
        (r#"{"command": "x", "env": {"A": {}}}"#, "no text"),
        (r#"{"command": "x", "disabled": true}"#, "switched off"),
        (
            r#"{"command": "/evil/callgate", "args": ["run", "-c", "p"]}"#,
            "another program called callgate",
        ),
        (
            r#"{"command": "/bin/callgate", "args": ["mcp"]}"#,
            "Callgate's own",
        ),
        (
            r#"{"command": "/bin/callgate", "args": ["run", "-c", "p"], "env": {"LD_PRELOAD": "x"}}"#,
            "its variables may start another program",
        ),
        (
            r#"{"command": "npx", "environment": {"DYLD_INSERT_LIBRARIES": "x"}}"#,
            "its variables may start another program",
        ),
        (r#"{"command": "npx", "envFile": "x.env"}"#, "`envFile`"),
        (
            r#"{"url": "https://h", "headers": {}, "http_headers": {}}"#,
            "`headers` and `http_headers`",
        ),
        (r#"{"url": "https://h", "environment": {}}"#, "`environment`"),
        (r#"{"source": "extension", "settings": {}}"#, "extension"),
        (r#"{"url": "https://h/sse", "type": "sse"}"#, "HTTP+SSE"),
        (r#"{"url": "https://h", "type": "ws"}"#, "not known"),
        (r#"{"url": "https://h", "oauth": {"clientId": "x"}}"#, "logs in"),
        (r#"{"url": "https://h", "headersHelper": "./x"}"#, "logs in"),
        (r#"{"url": "https://u:p@h"}"#, "password"),
        (r#"{"url": "https://h", "headers": {"Host": "x"}}"#, "`Host`"),
        (r#"{"url": "https://h", "headers": {"a b": "x"}}"#, "`a b`"),
        (r#"{"url": "https://h", "env": {}}"#, "a URL and `env`"),
        (r#"{}"#, "neither a command nor a URL"),
        (r#"[]"#, "no table"),
    ];
    for (text, said) in cases {
        let root = tree::read(Format::Json, text).unwrap();
        match read(Client::ClaudeCode, &root, &is_own) {
            Entry::Left(reason) => assert!(reason.contains(said), "{text}: {reason}"),
            other @ (Entry::Open(_) | Entry::Guarded(_)) => panic!("{text}: {other:?}"),
        }
    }
}
