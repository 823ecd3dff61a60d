//! `callgate grants`.

use crate::gate::{Folder, callgate, text};
use serde_json::{Value, json};
use std::process::Output;

fn grants(folder: &Folder, args: &[&str]) -> Output {
    callgate(&["grants", "--state-dir", &folder.state()])
        .args(args)
        .output()
        .unwrap()
}

/// What it printed on stdout and stderr, and that it ended well.
fn done(folder: &Folder, args: &[&str]) -> (String, String) {
    let output = grants(folder, args);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{args:?}: {stderr}");
    (stdout, stderr)
}

/// The lines of JSON that it printed.
fn values(folder: &Folder, args: &[&str]) -> Vec<Value> {
    let (stdout, _) = done(folder, &[args, &["--json"]].concat());
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What it said as it failed with this code, having printed nothing.
fn refused(folder: &Folder, args: &[&str], code: i32) -> String {
    let output = grants(folder, args);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
    stderr
}

fn is_token(text: &str) -> bool {
    let secret = text.strip_prefix("cg_").unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    secret.len() == 43 && secret.bytes().all(plain)
}

#[test]
fn a_token_is_printed_alone_and_once() {
    let folder = Folder::new();
    let create = ["create", "ci", "--server", "github=reviewers", "--server", "mail"];
    let (stdout, stderr) = done(&folder, &create);
    let token = stdout.strip_suffix('\n').unwrap();
    assert!(is_token(token), "{stdout}");
    for words in [
        "made the grant `ci` (g_",
        "github  under policy reviewers",
        "mail    under no policy: every call is denied",
        "Authorization: Bearer",
    ] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    let rotated = values(&folder, &["rotate", "ci"]);
    let newer = rotated[0]["token"].as_str().unwrap();
    assert!(is_token(newer) && newer != token);
    for args in [
        vec!["grants", "list", "--all"],
        vec!["grants", "list", "--all", "--json"],
        vec!["grants", "show", "ci"],
        vec!["grants", "show", "ci", "--json"],
        vec!["ledger", "tail"],
        vec!["ledger", "tail", "--json"],
        vec!["status"],
    ] {
        let output = callgate(&args)
            .args(["--state-dir", &folder.state()])
            .output()
            .unwrap();
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(
            output.status.success() && !shown.contains("cg_"),
            "{args:?}: {shown}"
        );
    }
}

#[test]
fn a_token_that_could_not_be_printed_is_no_success() {
    let folder = Folder::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = callgate(&["grants", "create", "ci", "--state-dir", &folder.state()])
        .stdout(writer)
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("lost; `callgate grants rotate g_"), "{stderr}");
    assert_eq!(values(&folder, &["list"])[0]["label"], "ci");
}

#[test]
fn a_grant_is_changed_until_it_is_revoked() {
    let folder = Folder::new();
    done(&folder, &["create", "ci", "--expires", "30d"]);
    let made = values(&folder, &["show", "ci"]).remove(0);
    let id = made["grant"].as_str().unwrap();
    let lasts = made["expires_us"].as_u64().unwrap() - made["created_us"].as_u64().unwrap();
    assert_eq!(lasts, 30 * 86_400_000_000);
    assert_eq!((&made["state"], &made["servers"]), (&json!("live"), &json!({})));

    let (stdout, stderr) = done(&folder, &["attach", "ci", "mail", "--policy", "senders"]);
    assert_eq!(stdout, "");
    assert!(stderr.contains("may use mail under policy senders"), "{stderr}");
    done(&folder, &["attach", id, "github"]);
    let shown = values(&folder, &["detach", id, "mail"]).remove(0);
    assert_eq!(shown["servers"], json!({ "github": null }));
    assert_eq!(values(&folder, &["list"]), [shown]);

    let (_, stderr) = done(&folder, &["revoke", "ci"]);
    assert!(
        stderr.contains("no call of it is let through any more"),
        "{stderr}"
    );
    let (stdout, stderr) = done(&folder, &["list"]);
    assert!(
        stdout.is_empty() && stderr.contains("--all shows them"),
        "{stderr}"
    );
    assert_eq!(values(&folder, &["list", "--all"])[0]["state"], "revoked");
    for change in [
        vec!["revoke", id],
        vec!["rotate", id],
        vec!["attach", id, "mail"],
        vec!["detach", id, "github"],
    ] {
        assert!(refused(&folder, &change, 1).contains("was revoked"), "{change:?}");
    }
    done(&folder, &["create", "ci"]);
    let actions: Vec<String> = folder
        .values(&["tail", "--json"])
        .iter()
        .map(|record| record["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        actions,
        ["create", "attach", "attach", "detach", "revoke", "create"]
    );
}

#[test]
fn what_is_wrong_is_said_and_no_token_repeated() {
    let folder = Folder::new();
    assert!(refused(&folder, &["list"], 1).contains("holds no state"));
    let token = done(&folder, &["create", "ci"]).0.trim_end().to_owned();
    for args in [
        vec!["show", &token],
        vec!["revoke", &token],
        vec!["rotate", &token],
        vec!["attach", &token, "mail"],
        vec!["create", &token],
    ] {
        let stderr = refused(&folder, &args, 1);
        assert!(!stderr.contains(&token), "{args:?}: {stderr}");
    }
    for (args, code, words) in [
        (vec!["create", "ci"], 1, "is called `ci` already"),
        (vec!["create", "a\u{200b}"], 1, "visible characters"),
        (vec!["show", "cd"], 1, "no grant is called `cd`"),
        (vec!["detach", "ci", "mail"], 1, "has no server `mail`"),
        (vec!["create", "x", "--expires", "0s"], 1, "later than now"),
        (
            vec!["create", "x", "--expires", "2026-01-01"],
            1,
            "later than now",
        ),
        (vec!["create", "x", "--expires", "soon"], 2, "12h, 30d or 1w"),
        (vec!["create", "x", "--server", "Mail"], 2, "1 to 24 of a-z"),
        (vec!["create", "x", "--server", "mail="], 2, "1 to 64 of a-z"),
        (
            vec!["create", "x", "--server", "mail", "--server", "mail=a"],
            1,
            "names `mail` twice",
        ),
        (
            vec!["attach", "ci", "mail", "--policy", "../a"],
            2,
            "1 to 64 of a-z",
        ),
    ] {
        let stderr = refused(&folder, &args, code);
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
    assert_eq!(values(&folder, &["list"]).len(), 1);
}

#[test]
fn changes_are_made_and_signed_while_a_gate_runs() {
    let folder = Folder::new();
    let mut gate = folder.start();
    done(&folder, &["create", "ci", "--server", "flows=readers"]);
    gate.usual_calls();
    gate.end();
    let found = folder.told(&["search", "--kind", "grant", "--server", "flows"]);
    assert!(found.contains("ci, under policy readers"), "{found}");
    let verified = folder.told(&["verify"]);
    assert!(
        verified.contains("2 grant") && verified.contains(" 0 after that are unsigned"),
        "{verified}"
    );
}

#[test]
fn a_grant_lets_in_who_holds_an_issuer_s_tokens() {
    let folder = Folder::new();
    done(&folder, &["create", "ci", "--server", "github=reviewers"]);
    done(&folder, &["create", "other"]);
    let issuer = ["--issuer", "https://login.example.com"];
    let attach =
        |grant: &'static str, whose: [&'static str; 2]| [&["attach", grant], &issuer[..], &whose].concat();
    let (_, said) = done(&folder, &attach("ci", ["--subject", "build-7"]));
    assert!(
        said.contains("lets in the subject `build-7` of https://login.example.com"),
        "{said}"
    );
    done(&folder, &attach("ci", ["--claim", "groups=a=b"]));
    let shown = &values(&folder, &["show", "ci"])[0]["lets_in"];
    assert_eq!(
        *shown,
        json!([{"issuer": issuer[1], "claim": "groups", "value": "a=b"},
            {"issuer": issuer[1], "claim": "sub", "value": "build-7"}])
    );
    let (stdout, _) = done(&folder, &["show", "ci"]);
    assert!(stdout.contains("lets in  who has `a=b` in `groups`"), "{stdout}");
    let taken = refused(&folder, &attach("other", ["--subject", "build-7"]), 1);
    assert!(taken.contains("is let in by the grant g_"), "{taken}");
    // A token in the wrong place is not repeated.
    let token = "eyJhbGciOiJub25lIn0.e30.AAAA";
    assert!(!refused(&folder, &attach("ci", ["--subject", token]), 1).contains(token));
    for wrong in [
        &["attach", "ci"][..],
        &["attach", "ci", "mail", issuer[0], issuer[1], "--subject", "x"],
        &["attach", "ci", issuer[0], issuer[1]],
        &["attach", "ci", "--subject", "x"],
        &[
            "attach",
            "ci",
            issuer[0],
            issuer[1],
            "--subject",
            "x",
            "--claim",
            "a=b",
        ],
    ] {
        refused(&folder, wrong, 2);
    }
    refused(
        &folder,
        &["attach", "ci", "--issuer", "login.example.com", "--subject", "x"],
        1,
    );
    refused(&folder, &attach("ci", ["--claim", "groups"]), 1);
    let detach = [&["detach", "ci"], &issuer[..], &["--subject", "build-7"]].concat();
    done(&folder, &detach);
    refused(&folder, &detach, 1);
}
