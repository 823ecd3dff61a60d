//! `callgate init`: real layouts of every client are put behind Callgate and taken back byte for byte, with secrets
//! shown to nobody and nothing started that nobody has agreed to.

mod attacks;
mod house;
mod works;

use crate::support::until;
use house::{House, LAYOUTS};
use std::os::unix::fs::PermissionsExt;

const YES: [&str; 3] = ["init", "--yes", "--trust-project"];

/// How an editor or a system keeps a text.
type Way = (&'static str, fn(&str) -> String);

const WAYS: [Way; 3] = [
    ("as it is", str::to_owned),
    ("CRLF", |text| text.replace('\n', "\r\n")),
    ("a mark before, no line end behind", |text| {
        format!("\u{feff}{}", text.trim_end())
    }),
];

#[test]
fn every_layout_is_put_behind_callgate_and_comes_back_byte_for_byte() {
    for (way, write) in WAYS {
        let house = House::new();
        house.furnish(write);
        let before = house.files();
        let ran = house.callgate(&YES);
        assert_eq!(ran.code, 2, "{way}: {}", ran.all());
        // The one server whose key only its client knows.
        assert!(
            ran.stderr
                .contains("weather was left as it is: only VS Code knows the value of `${input:key}`"),
            "{way}: {}",
            ran.all()
        );
        let after = house.files();
        for (path, _) in LAYOUTS {
            assert_ne!(before[*path], after[*path], "{way}: {path}");
        }
        let started = house.started().len();
        assert_eq!(started, 12, "{way}: {:?}", house.started());
        // Again: nothing is started, nothing is changed.
        let again = house.callgate(&YES);
        assert_eq!(house.files(), after, "{way}: {}", again.all());
        assert_eq!(house.started().len(), started, "{way}");
        let undone = house.callgate(&["init", "--undo"]);
        assert_eq!(undone.code, 0, "{way}: {}", undone.all());
        assert_eq!(house.files(), before, "{way}");
        assert_eq!(
            undone.stderr.matches("byte for byte").count(),
            LAYOUTS.len(),
            "{}",
            undone.all()
        );
        let nothing = house.callgate(&["init", "--undo"]);
        assert!(
            nothing.stderr.contains("nothing to take back"),
            "{}",
            nothing.all()
        );
        // And once more, from the policies that are there.
        house.callgate(&YES);
        assert_eq!(house.files(), after, "{way}");
        assert_eq!(house.started().len(), started, "{way}");
    }
}

#[test]
fn what_is_written_keeps_comments_order_and_indentation() {
    let house = House::new();
    house.furnish(str::to_owned);
    house.callgate(&YES);
    let program = env!("CARGO_BIN_EXE_callgate");
    let shown = |path: &str| {
        house
            .read(path)
            .replace(program, "CALLGATE")
            .replace(house.policies().to_str().unwrap(), "POLICIES")
            .replace(house.remote(), "REMOTE")
    };
    insta::assert_snapshot!(shown(".config/zed/settings.json"), @r###"
    // Zed settings
    //
    // For information on how to configure Zed, see the documentation.
    {
      "theme": "One Dark",
      "context_servers": {
        "postgres-context-server": {
          "source": "extension",
          "settings": { "database_url": "postgresql://ana:canary-zed-settings@localhost/shop" },
        },
        "search": {
          "source": "custom",
          "command": "CALLGATE",
          "args": [
            "run",
            "-c",
            "POLICIES/search.yaml",
            "--server",
            "search",
            "--",
            "npx",
            // pinned
            "-y",
            "search-mcp",
          ],
          "env": {},
        },
        "older": {
          "command": { "path": "CALLGATE", "args": ["run", "-c", "POLICIES/older.yaml", "--server", "older", "--", "uvx", "older-mcp"], "env": { "K": "canary-zed-env" } },
          "settings": {},
        },
      },
      "vim_mode": false,
    }
    "###);
    insta::assert_snapshot!(shown(".codex/config.toml"), @r###"
    model = "gpt-5"           # the model
    approval_policy = "on-request"

    [mcp_servers.context7]
    command = "CALLGATE"
    args = ["run", "-c", "POLICIES/context7.yaml", "--server", "context7", "--", 'npx', "-y", "@upstash/context7-mcp"] # docs
    startup_timeout_sec = 20

    [mcp_servers."with env"]
    command = "CALLGATE"
    args = ["run", "-c", "POLICIES/with-env.yaml", "--server", "with-env", "--", "uvx"]
    [mcp_servers."with env".env]
    "API_KEY" = "canary-codex-env"

    [mcp_servers.figma]
    command = "CALLGATE"
    args = ["run", "-c", "POLICIES/figma.yaml", "--server", "figma", "--upstream", "REMOTE", "--header-env", "X-Region: CALLGATE_X_REGION", "--header", "Authorization: Bearer ${env:FIGMA_TOKEN}"]
    env_vars = ["FIGMA_TOKEN"]
    env = { CALLGATE_X_REGION = "canary-codex-header" }

    [projects."/home/ana/shop"]
    trust_level = "trusted"
    "###);
    insta::assert_snapshot!(shown(".config/Code/User/mcp.json"), @r###"
    {
    	// Asked for when a server starts.
    	"inputs": [
    		{"type": "promptString", "id": "key", "description": "The key", "password": true},
    	],
    	"servers": {
    		"memory": {
    			"type": "stdio",
    			"command": "CALLGATE",
    			"args": ["run", "-c", "POLICIES/memory.yaml", "--server", "memory", "--", "npx", "-y", "@modelcontextprotocol/server-memory"], // the usual one
    		},
    		/* Needs a key that only VS Code knows. */
    		"weather": {
    			"type": "stdio",
    			"command": "uvx",
    			"args": ["mcp-weather"],
    			"env": {"KEY": "${input:key}"},
    		},
    	},
    }
    "###);
}

#[test]
fn a_dry_run_shows_the_changes_and_starts_and_writes_nothing() {
    let house = House::new();
    house.furnish(str::to_owned);
    let before = house.everything();
    let ran = house.callgate(&["init", "--dry-run"]);
    // One server of them cannot be scanned.
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("only VS Code knows"), "{}", ran.all());
    assert_eq!(house.everything(), before);
    assert!(house.started().is_empty());
    assert!(ran.stdout.contains("  - command: \"docker\"\n"), "{}", ran.stdout);
    assert!(
        ran.stdout
            .contains("  + env: {\"CALLGATE_AUTHORIZATION\": \"•••\"}\n"),
        "{}",
        ran.stdout
    );
    house.assert_no_secret(&ran.all());
    let ran = house.callgate(&["init", "--dry-run", "--json"]);
    house.assert_no_secret(&ran.all());
    assert_eq!(ran.json()["servers"][0]["status"], "unscanned", "{}", ran.all());
    assert_eq!(house.everything(), before);
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_started_and_nothing_changed() {
    let house = House::new();
    house.furnish(str::to_owned);
    let before = house.files();
    let ran = house.callgate(&["init"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(
        ran.stderr.contains("nothing was started and nothing was changed"),
        "{}",
        ran.all()
    );
    assert_eq!(house.files(), before);
    assert!(house.started().is_empty());
    assert!(!house.policies().exists());
}

#[test]
fn a_server_of_the_project_is_started_only_where_that_was_said() {
    let house = House::new();
    house.write("shop/.mcp.json", include_str!("init/project-mcp.json"));
    house.write(
        ".cursor/mcp.json",
        &house.filled(include_str!("init/claude-desktop.json")),
    );
    let ran = house.callgate(&["init", "--yes"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("shop was not started"), "{}", ran.all());
    assert!(ran.stderr.contains("--trust-project"), "{}", ran.all());
    let started = house.started();
    assert_eq!(started.len(), 2, "{started:?}");
    assert!(
        !started.iter().any(|line| line.contains("shop-mcp")),
        "{started:?}"
    );
    assert_eq!(
        house.read("shop/.mcp.json"),
        include_str!("init/project-mcp.json")
    );
    // Named by its path, it is still the project's.
    let ran = house.callgate(&["init", "--yes", "--config", ".mcp.json"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert_eq!(house.started().len(), 2);
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(house.started().len(), 3);
}

#[test]
fn a_policy_that_is_there_is_no_consent_to_change_a_project() {
    let house = House::new();
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"npx\", \"args\": [\"a\"]}}}\n";
    house.write(".cursor/mcp.json", text);
    house.write("shop/.mcp.json", text);
    // The first run writes the policy that the second one finds.
    for _ in 0..2 {
        let ran = house.callgate(&["init", "--yes"]);
        assert_eq!(ran.code, 2, "{}", ran.all());
        assert!(ran.stderr.contains("--trust-project"), "{}", ran.all());
        assert_eq!(house.read("shop/.mcp.json"), text, "{}", ran.all());
        assert!(
            house.read(".cursor/mcp.json").contains("--server"),
            "{}",
            ran.all()
        );
    }
    assert_eq!(house.callgate(&YES).code, 0);
    assert!(house.read("shop/.mcp.json").contains("--server"));
    assert_eq!(house.started(), ["npx a"]);
}

#[test]
fn a_server_that_comes_later_is_wrapped_alone_and_undo_keeps_it() {
    let house = House::new();
    let one = "{\n  \"mcpServers\": {\n    \"a\": {\"command\": \"npx\", \"args\": [\"a\"]}\n  }\n}\n";
    house.write(".cursor/mcp.json", one);
    assert_eq!(house.callgate(&YES).code, 0);
    let wrapped = house.read(".cursor/mcp.json");
    let more = wrapped.replace(
        "{\n  \"mcpServers\": {",
        "{\n  \"mcpServers\": {\n    \"b\": {\"command\": \"uvx\"},",
    );
    house.write(".cursor/mcp.json", &more);
    assert_eq!(house.callgate(&YES).code, 0);
    let both = house.read(".cursor/mcp.json");
    assert_eq!(both.matches("\"--server\"").count(), 2, "{both}");
    assert_eq!(house.started().len(), 2);
    let undone = house.callgate(&["init", "--undo"]);
    assert_eq!(undone.code, 0, "{}", undone.all());
    let wanted = one.replace(
        "{\n  \"mcpServers\": {",
        "{\n  \"mcpServers\": {\n    \"b\": {\"command\": \"uvx\"},",
    );
    assert_eq!(house.read(".cursor/mcp.json"), wanted);
}

#[test]
fn undo_takes_out_callgates_changes_alone_where_a_person_has_made_others() {
    let house = House::new();
    let text = "{\"mcpServers\": {\n  \"a\": {\"command\": \"npx\", \"args\": [\"a\"]},\n  \"b\": {\"command\": \"uvx\"}\n}}\n";
    house.write(".cursor/mcp.json", text);
    assert_eq!(house.callgate(&YES).code, 0);
    // An argument and a variable more, a key renamed, a comment.
    let edit = |text: &str| {
        text.replace("\"a\"]}", "\"a\", \"--more\"], \"env\": {\"X\": \"1\"}}")
            .replace("  \"b\": {", "  // mine\n  \"c\": {")
    };
    house.write(".cursor/mcp.json", &edit(&house.read(".cursor/mcp.json")));
    let undone = house.callgate(&["init", "--undo"]);
    assert_eq!(undone.code, 0, "{}", undone.all());
    assert_eq!(house.read(".cursor/mcp.json"), edit(text));
    // What was changed within Callgate's own words is not guessed at, and stays as it is.
    house.write(".cursor/mcp.json", text);
    assert_eq!(house.callgate(&YES).code, 0);
    let changed = house
        .read(".cursor/mcp.json")
        .replacen("\"--server\", \"a\"", "\"--server\", \"mine\"", 1);
    house.write(".cursor/mcp.json", &changed);
    let undone = house.callgate(&["init", "--undo"]);
    assert_eq!(undone.code, 2, "{}", undone.all());
    assert!(
        undone
            .stderr
            .contains("a has changed since; take Callgate's words out of it by hand (line 2)"),
        "{}",
        undone.all()
    );
    let left = house.read(".cursor/mcp.json");
    assert!(
        left.contains("\"--server\", \"mine\"") && left.contains("\"b\": {\"command\": \"uvx\"}"),
        "{left}"
    );
}

#[test]
fn undo_forgets_nothing_while_a_gate_is_still_there() {
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"npx\", \"args\": [\"a\"]}}}\n";
    let program = format!("\"{}\"", env!("CARGO_BIN_EXE_callgate"));
    type Edit<'e> = &'e dyn Fn(&str) -> String;
    let edits: [(&str, Edit<'_>); 3] = [
        ("another callgate", &|text| {
            text.replace(&program, "\"/opt/callgate\"")
        }),
        ("switched off", &|text| {
            text.replace("[\"run\"", "[\"--log-level\", \"warn\", \"run\"")
                .replace("\"command\"", "\"disabled\": true, \"command\"")
        }),
        ("renamed and changed", &|text| {
            text.replace("\"a\":", "\"b\":")
                .replace("\"--server\", \"a\"", "\"--server\", \"b\"")
        }),
    ];
    for (way, edit) in edits {
        let house = House::new();
        house.write(".cursor/mcp.json", text);
        assert_eq!(house.callgate(&YES).code, 0);
        let wrapped = house.read(".cursor/mcp.json");
        let changed = edit(&wrapped);
        assert_ne!(changed, wrapped, "{way}");
        house.write(".cursor/mcp.json", &changed);
        let undone = house.callgate(&["init", "--undo"]);
        assert_eq!(undone.code, 2, "{way}: {}", undone.all());
        assert!(
            undone
                .stderr
                .contains("has changed since; take Callgate's words out of it by hand (line 1)"),
            "{way}: {}",
            undone.all()
        );
        assert_eq!(house.read(".cursor/mcp.json"), changed, "{way}");
        // What it was is still kept.
        house.write(".cursor/mcp.json", &wrapped);
        assert_eq!(house.callgate(&["init", "--undo"]).code, 0, "{way}");
        assert_eq!(house.read(".cursor/mcp.json"), text, "{way}");
    }
    // One that was renamed is found, though another has its name now.
    let house = House::new();
    house.write(".cursor/mcp.json", text);
    assert_eq!(house.callgate(&YES).code, 0);
    let renamed = |text: &str| text.replace("\"a\":", "\"a\": {\"command\": \"uvx\"}, \"old\":");
    house.write(".cursor/mcp.json", &renamed(&house.read(".cursor/mcp.json")));
    let undone = house.callgate(&["init", "--undo"]);
    assert_eq!(undone.code, 0, "{}", undone.all());
    assert_eq!(house.read(".cursor/mcp.json"), renamed(text));
}

#[test]
fn undo_takes_back_what_a_client_has_laid_out_anew() {
    let house = House::new();
    let text = house.filled(
        r#"{"numStartups": 1, "mcpServers": {
    "plain": {"command": "npx"},
    "far": {"type": "http", "url": "REMOTE", "headers": {"X-Key": "canary-k"}, "timeout": 20}
}}"#,
    );
    house.write(".claude.json", &text);
    assert_eq!(house.callgate(&YES).code, 0);
    // As Claude Code writes its file.
    let mut config: serde_json::Value = serde_json::from_str(&house.read(".claude.json")).unwrap();
    config["numStartups"] = 2.into();
    house.write(".claude.json", &serde_json::to_string_pretty(&config).unwrap());
    let undone = house.callgate(&["init", "--undo"]);
    assert_eq!(undone.code, 0, "{}", undone.all());
    let left = house.read(".claude.json");
    let left: serde_json::Value = serde_json::from_str(&left).unwrap();
    let mut wanted: serde_json::Value = serde_json::from_str(&text).unwrap();
    wanted["numStartups"] = 2.into();
    assert_eq!(left, wanted);
}

#[test]
fn one_client_one_server_or_one_file_can_be_picked() {
    let house = House::new();
    house.furnish(str::to_owned);
    let before = house.files();
    assert_eq!(
        house
            .callgate(&["init", "--yes", "--client", "cursor", "--server", "filesystem"])
            .code,
        0
    );
    let after = house.files();
    let changed: Vec<&String> = before
        .keys()
        .filter(|path| before[*path] != after[*path])
        .collect();
    assert_eq!(changed, [".cursor/mcp.json"]);
    assert_eq!(after[".cursor/mcp.json"].1.matches("\"--server\"").count(), 1);
    let undone = house.callgate(&["init", "--undo", "--client", "zed"]);
    assert!(undone.stderr.contains("nothing to take back"), "{}", undone.all());
    assert_eq!(house.callgate(&["init", "--undo", "--client", "cursor"]).code, 0);
    assert_eq!(house.files(), before);
    let missing = house.callgate(&["init", "--config", "none.json"]);
    assert_eq!(
        (missing.code, missing.stderr.contains("there is no none.json")),
        (1, true)
    );
}

#[test]
fn one_server_can_be_taken_back_and_the_others_stay() {
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}, \"b\": {\"command\": \"uvx\"}}}",
    );
    assert_eq!(house.callgate(&YES).code, 0);
    assert_eq!(house.callgate(&["init", "--undo", "--server", "a"]).code, 0);
    let text = house.read(".cursor/mcp.json");
    assert!(
        text.contains("\"a\": {\"command\": \"npx\"}") && text.contains("\"--server\", \"b\""),
        "{text}"
    );
    assert_eq!(house.callgate(&["init", "--undo"]).code, 0);
    assert_eq!(
        house.read(".cursor/mcp.json"),
        "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}, \"b\": {\"command\": \"uvx\"}}}"
    );
}

#[test]
fn a_policy_that_a_person_has_written_stays() {
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}",
    );
    house.write(
        ".config/callgate/policies/a.yaml",
        "# mine\nversion: \"1\"\ndefault: deny\ntools: {list_notes: {}}\n",
    );
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(
        house.started().is_empty(),
        "its policy is there: {:?}",
        house.started()
    );
    assert!(
        house
            .read(".config/callgate/policies/a.yaml")
            .starts_with("# mine\n")
    );
    assert!(house.read(".cursor/mcp.json").contains("/a.yaml\""));
    // One that is not valid would keep the server from starting.
    house.write(
        ".cursor/mcp.json",
        "{\"mcpServers\": {\"c\": {\"command\": \"npx\"}}}",
    );
    house.write(".config/callgate/policies/c.yaml", "tools: [");
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(
        ran.stderr
            .contains("its policy is not valid; see: callgate validate "),
        "{}",
        ran.all()
    );
    assert!(!house.read(".cursor/mcp.json").contains("--server"));
}

#[test]
fn a_server_that_is_guarded_in_one_file_and_left_in_another_is_told_as_both() {
    let house = House::new();
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}";
    let locked = house.write(".claude.json", text);
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o444)).unwrap();
    let open = house.write(".cursor/mcp.json", text);
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(
        house.read(".cursor/mcp.json").contains("--server"),
        "{}",
        ran.all()
    );
    assert_eq!(house.read(".claude.json"), text);
    let behind = format!(
        "callgate: a is behind Callgate in {}; its policy is {}",
        open.display(),
        house.policies().join("a.yaml").display()
    );
    let left = format!(
        "callgate: a was left as it is elsewhere: {}: it is read-only",
        locked.display()
    );
    assert!(
        ran.stderr.contains(&behind) && ran.stderr.contains(&left),
        "{}",
        ran.all()
    );
    assert_eq!(house.callgate(&["init", "--undo"]).code, 0);
    let ran = house.callgate(&["init", "--yes", "--json"]);
    let server = &ran.json()["servers"][0];
    assert_eq!(server["status"], "failed", "{}", ran.all());
    assert_eq!(server["changed"], serde_json::json!([open]), "{}", ran.all());
}

#[test]
fn an_entry_that_is_behind_callgate_in_any_spelling_is_left_as_it_is() {
    let policy = "/home/ana/p.yaml";
    for flags in [
        vec!["-c".to_owned(), policy.to_owned()],
        vec![format!("-c{policy}")],
        vec![format!("-c={policy}")],
        vec![format!("--config={policy}")],
    ] {
        let house = House::new();
        let args = [
            vec!["run".to_owned()],
            flags,
            vec!["--".to_owned(), "npx".to_owned()],
        ]
        .concat();
        let entry = serde_json::json!({"command": env!("CARGO_BIN_EXE_callgate"), "args": args});
        let text = serde_json::json!({"mcpServers": {"a": entry}}).to_string();
        house.write(".cursor/mcp.json", &text);
        let ran = house.callgate(&YES);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.all());
        assert!(
            ran.stderr
                .contains(&format!("a: behind Callgate, under {policy}\n")),
            "{args:?}: {}",
            ran.all()
        );
        assert_eq!(house.read(".cursor/mcp.json"), text);
        assert!(house.started().is_empty());
    }
}

#[test]
fn modes_links_and_owners_are_kept() {
    let house = House::new();
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}";
    let file = house.write("dotfiles/cursor", text);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    std::fs::create_dir_all(house.at(".cursor")).unwrap();
    std::os::unix::fs::symlink(&file, house.at(".cursor/mcp.json")).unwrap();
    assert_eq!(house.callgate(&YES).code, 0);
    let mode = || file.metadata().unwrap().permissions().mode() & 0o7777;
    assert!(
        house
            .at(".cursor/mcp.json")
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
    assert!(house.read("dotfiles/cursor").contains("--server"));
    assert_eq!(mode(), 0o640);
    assert_eq!(house.callgate(&["init", "--undo"]).code, 0);
    assert_eq!((house.read("dotfiles/cursor").as_str(), mode()), (text, 0o640));
    let left: Vec<_> = std::fs::read_dir(house.at("dotfiles")).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[test]
fn on_a_terminal_each_server_is_shown_and_asked_for() {
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        "{\"mcpServers\": {\"a\": {\"command\": \"npx\", \"args\": [\"-y\", \"good\"]}, \"b\": {\"command\": \"sh\", \"args\": [\"-c\", \"touch evil\\u001b[2K\"]}}}",
    );
    house.write(
        "shop/.mcp.json",
        "{\"mcpServers\": {\"c\": {\"command\": \"npx\", \"args\": [\"c\"]}}}",
    );
    let screen = house.on_terminal(&["init"], "y\nn\n\ny\n");
    assert!(screen.contains("npx -y good"), "{screen}");
    assert!(screen.contains(r"sh -c 'touch evil\u{1b}[2K'"), "{screen}");
    assert!(screen.contains("It comes with this project."), "{screen}");
    assert!(screen.contains("Put Callgate in front of 1 server?"), "{screen}");
    assert_eq!(house.started().len(), 1, "{screen}");
    assert!(!house.at("evil").exists() && !house.at("shop/evil").exists());
    let text = house.read(".cursor/mcp.json");
    assert_eq!(text.matches("\"--server\"").count(), 1, "{text}");
    assert!(!house.read("shop/.mcp.json").contains("--server"));
    // What the catalogue knows is started without a question, unless it comes with a project.
    let house = House::new();
    let known = "{\"mcpServers\": {\"m\": {\"command\": \"npx\", \"args\": [\"-y\", \"mistral-mcp\"]}}}";
    house.write(".cursor/mcp.json", known);
    house.write("shop/.mcp.json", known);
    let screen = house.on_terminal(&["init"], "n\ny\n");
    assert!(
        screen.contains("The catalogue knows it (mistral), so it is started."),
        "{screen}"
    );
    assert!(screen.contains("It comes with this project."), "{screen}");
    assert_eq!(house.started(), ["npx -y mistral-mcp"], "{screen}");
    assert!(house.read(".cursor/mcp.json").contains("--server"), "{screen}");
    // What is started in a project's folder may be another program by that name.
    let house = House::new();
    house.write(
        ".claude.json",
        &format!(
            "{{\"projects\": {{\"{}\": {known}}}}}",
            house.at("shop").display()
        ),
    );
    let screen = house.on_terminal(&["init"], "n\n");
    assert!(!screen.contains("The catalogue knows it"), "{screen}");
    assert!(house.started().is_empty(), "{screen}");
    // A command is what its variables and its folder make of it.
    let house = House::new();
    house.write(
        "shop/.mcp.json",
        "{\"mcpServers\": {\"c\": {\"command\": \"npx\", \"cwd\": \"hidden\", \"env\": {\"NODE_OPTIONS\": \"canary-o\", \"B\": \"1\"}}}}",
    );
    let screen = house.on_terminal(&["init"], "n\n");
    assert!(screen.contains("with the variables NODE_OPTIONS, B"), "{screen}");
    assert!(screen.contains("in the folder hidden"), "{screen}");
    house.assert_no_secret(&screen);
    // Who says no at the end has nothing changed.
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}",
    );
    let screen = house.on_terminal(&["init"], "a\nn\n");
    assert!(screen.contains("Put Callgate in front of 1 server?"), "{screen}");
    assert!(!house.read(".cursor/mcp.json").contains("--server"), "{screen}");
}

#[test]
fn a_scan_shows_a_bar_on_a_terminal_and_lines_elsewhere() {
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}, \"b\": {\"command\": \"uvx\"}}}";
    let house = House::new();
    house.write(".cursor/mcp.json", text);
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 0, "{}", ran.all());
    for name in ["a", "b"] {
        let place = |line: String| ran.stderr.find(&line);
        let asking = place(format!("callgate: asking {name} for its tools …\n"));
        let done = place(format!("callgate: {name} is done\n"));
        assert!(asking.is_some() && asking < done, "{}", ran.all());
    }
    assert!(!ran.stderr.contains(['\r', '\u{1b}']), "{:?}", ran.stderr);
    let house = House::new();
    house.write(".cursor/mcp.json", text);
    let screen = house.on_terminal(&["init"], "y\ny\ny\n");
    let bar = regex::Regex::new(r"\[[#-]{30}\] [012]/2 ").unwrap();
    assert!(bar.is_match(&screen), "{screen:?}");
    assert!(
        !screen.contains("asking a for its tools") && !screen.contains("a is done"),
        "{screen}"
    );
    assert!(screen.contains("RISK      POLICY   TOOLS"), "{screen}");
}

#[test]
fn the_tools_of_each_server_are_shown_by_risk() {
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}",
    );
    let ran = house.callgate(&YES);
    let mut lines = ran.stdout.lines().skip_while(|line| line.is_empty());
    assert_eq!(lines.next(), Some("a: 3 tools"), "{}", ran.all());
    assert_eq!(lines.next(), Some("  RISK      POLICY   TOOLS"), "{}", ran.all());
    let mut names = Vec::new();
    let mut risks = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [risk, policy, count, tools @ ..] = words.as_slice() else {
            panic!("{line}");
        };
        risks.push(
            ["Critical", "High", "Medium", "Low"]
                .iter()
                .position(|known| known == risk)
                .unwrap_or_else(|| panic!("{line}")),
        );
        assert!(
            ["denied", "held", "limited", "allowed"].contains(policy),
            "{line}"
        );
        assert_eq!(count.parse(), Ok(tools.len()), "{line}");
        names.extend(tools.iter().map(|tool| tool.trim_end_matches(',')));
    }
    assert!(risks.is_sorted(), "the worst come first: {}", ran.stdout);
    assert!(risks.first() < risks.last(), "{}", ran.stdout);
    names.sort_unstable();
    assert_eq!(
        names,
        ["delete_notes", "list_notes", "send_note"],
        "{}",
        ran.stdout
    );
}

#[test]
fn a_second_run_beside_the_first_ends_at_once() {
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        "{\"mcpServers\": {\"slow\": {\"command\": \"sh\", \"args\": [\"-c\", \"touch here; while read x; do :; done\"]}}}",
    );
    let mut first = house
        .command(&["init", "--yes", "--timeout", "60"])
        .spawn()
        .unwrap();
    until("the first run starts its server", || {
        house.at("here").exists().then_some(())
    });
    let second = house.callgate(&["init", "--yes"]);
    assert_eq!(second.code, 1, "{}", second.all());
    assert!(
        second.stderr.contains("another `callgate init` is at work"),
        "{}",
        second.all()
    );
    first.kill().unwrap();
    first.wait().unwrap();
}
