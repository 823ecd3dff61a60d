//! Conditions, one by one: true, false, missing or error, in both of their places.

use crate::dsl::ask;
use callgate_core::decision::Decision;
use callgate_core::refusal::Reason;

/// What a condition did where it must hold, and where it selects.
fn outcome(condition: &str, arguments: &str) -> &'static str {
    let reason = |rule: &str| match ask(&format!("tool t\n{rule} {condition}"), arguments) {
        Decision::Admit(_) => None,
        Decision::Deny(refusal) => Some(refusal.reason),
    };
    match (reason("require"), reason("deny_if")) {
        (None, Some(Reason::DenyIfMatched)) => "true",
        (Some(Reason::ConditionFailed), None) => "false or missing",
        (Some(Reason::ConditionError), Some(Reason::ConditionError)) => "error",
        // Two readings of a value: each place takes the one that denies.
        (Some(Reason::ConditionFailed), Some(Reason::DenyIfMatched)) => "denies either way",
        (None, None) => "allows either way",
        other => panic!("{condition} {arguments}: {other:?}"),
    }
}

fn table(rows: &[(&str, &str, &str)]) {
    for (condition, arguments, expected) in rows {
        let found = outcome(condition, arguments);
        assert_eq!(found, *expected, "{condition} of {arguments}");
    }
}

#[test]
fn types_are_kept() {
    table(&[
        ("args.a eq 1", r#"{"a": 1}"#, "true"),
        ("args.a eq 1", r#"{"a": 1.0}"#, "true"),
        ("args.a eq 1", r#"{"a": 2}"#, "false or missing"),
        ("args.a eq 1", r#"{"a": "1"}"#, "error"),
        ("args.a eq true", r#"{"a": "true"}"#, "error"),
        ("args.a neq true", r#"{"a": "true"}"#, "error"),
        ("args.a eq 1", r#"{"a": null}"#, "false or missing"),
        ("args.a neq 1", r#"{"a": null}"#, "true"),
        ("args.a eq null", r#"{"a": null}"#, "true"),
        ("args.a eq null", r#"{"a": 1}"#, "false or missing"),
        ("args.a neq null", r#"{"a": 1}"#, "true"),
        ("args.a eq null", r#"{}"#, "false or missing"),
        ("args.a neq 1", r#"{}"#, "false or missing"),
        ("args.a in [1, 2]", r#"{"a": 2}"#, "true"),
        ("args.a in [1, 2]", r#"{"a": "2"}"#, "error"),
        ("args.a in [1, null]", r#"{"a": null}"#, "true"),
        ("args.a not_in [1, 2]", r#"{"a": "2"}"#, "error"),
        ("args.a not_in [\"1\", 2]", r#"{"a": "2"}"#, "error"),
        ("args.a in [\"1\", 2]", r#"{"a": "1"}"#, "true"),
        ("args.a eq [1, 2]", r#"{"a": [1, 2.0]}"#, "true"),
        ("args.a eq [1, 2]", r#"{"a": [1, 2, 3]}"#, "false or missing"),
        ("args.a eq [1, 2]", r#"{"a": [1, "2"]}"#, "error"),
        (
            "args.a eq {\"x\": 1, \"y\": 2}",
            r#"{"a": {"y": 2, "x": 1}}"#,
            "true",
        ),
        ("args.a eq {\"x\": 1}", r#"{"a": {"y": 1}}"#, "false or missing"),
        ("args.a lt 5", r#"{"a": "4"}"#, "error"),
        ("args.a lt 5", r#"{"a": null}"#, "error"),
        ("args.a regex \"^a\"", r#"{"a": 5}"#, "error"),
        ("args.a.b eq 1", r#"{"a": "{\"b\": 1}"}"#, "error"),
        ("args.a.b eq 1", r#"{"a": null}"#, "false or missing"),
        ("args.a[0] eq 1", r#"{"a": {"0": 1}}"#, "error"),
        ("args.a[1] eq 1", r#"{"a": [1]}"#, "false or missing"),
    ]);
}

#[test]
fn exists_takes_null_for_absent() {
    table(&[
        ("args.a exists true", r#"{"a": 0}"#, "true"),
        ("args.a exists true", r#"{"a": null}"#, "false or missing"),
        ("args.a exists true", r#"{}"#, "false or missing"),
        ("args.a exists false", r#"{"a": null}"#, "true"),
        ("args.a exists false", r#"{}"#, "true"),
        ("args.a.b exists false", r#"{}"#, "true"),
    ]);
}

#[test]
fn both_readings_of_a_number_count_and_the_one_that_denies_wins() {
    table(&[
        (
            "args.a eq 9007199254740992",
            r#"{"a": 9007199254740993}"#,
            "denies either way",
        ),
        (
            "args.a neq 9007199254740992",
            r#"{"a": 9007199254740993}"#,
            "denies either way",
        ),
        (
            "args.a lte 9007199254740992",
            r#"{"a": 9007199254740993}"#,
            "denies either way",
        ),
        (
            "args.a lt 100",
            r#"{"a": 99.99999999999999999}"#,
            "denies either way",
        ),
        ("args.a lt 100", r#"{"a": 99.99}"#, "true"),
        (
            "args.a lte 0.3",
            r#"{"a": 0.30000000000000001}"#,
            "denies either way",
        ),
        (
            "args.a in [9007199254740992]",
            r#"{"a": 9007199254740993}"#,
            "denies either way",
        ),
        (
            "not args.a eq 9007199254740992",
            r#"{"a": 9007199254740993}"#,
            "denies either way",
        ),
        // A policy's own fraction is read as the call's is.
        ("args.a eq 0.1", r#"{"a": 0.1}"#, "true"),
        ("args.a lte 0.1", r#"{"a": 1e-1}"#, "true"),
        ("args.a lt 5", r#"{"a": 1e400}"#, "error"),
        (
            "args.a lt 5",
            r#"{"a": 0.00000000000000000000000000000000000000000012345678901234567890123456789012345678901}"#,
            "error",
        ),
    ]);
}

#[test]
fn texts_lists_and_lengths() {
    table(&[
        ("args.a contains \"b\"", r#"{"a": "abc"}"#, "true"),
        ("args.a contains 1", r#"{"a": "1"}"#, "error"),
        ("args.a contains 1", r#"{"a": [2, 1]}"#, "true"),
        ("args.a contains 1", r#"{"a": [2, "1"]}"#, "error"),
        ("args.a contains 1", r#"{"a": []}"#, "false or missing"),
        ("args.a contains 1", r#"{"a": {}}"#, "error"),
        ("args.a starts_with [\"x\", \"a\"]", r#"{"a": "abc"}"#, "true"),
        ("args.a ends_with \"b\"", r#"{"a": "abc"}"#, "false or missing"),
        ("args.a glob \"a*c\"", r#"{"a": "abc"}"#, "true"),
        ("args.a glob \"a*c\"", r#"{"a": "xabc"}"#, "false or missing"),
        ("args.a regex \"b\"", r#"{"a": "abc"}"#, "true"),
        ("args.a length [1, 3]", r#"{"a": "äöü"}"#, "true"),
        ("args.a length [1, 3]", r#"{"a": ""}"#, "false or missing"),
        (
            "args.a length [1, 3]",
            r#"{"a": [1, 2, 3, 4]}"#,
            "false or missing",
        ),
        ("args.a length [1, 3]", r#"{"a": 2}"#, "error"),
    ]);
}

#[test]
fn groups_let_an_error_win_then_what_decides_then_what_is_missing() {
    table(&[
        ("any args.a eq 1 | args.b eq 1", r#"{"a": 1, "b": "1"}"#, "error"),
        ("all args.a eq 2 & args.b eq 1", r#"{"a": 1, "b": "1"}"#, "error"),
        ("any args.a eq 1 | args.b eq 1", r#"{"a": 1}"#, "true"),
        (
            "not any args.a eq 1 | args.b eq 1",
            r#"{"a": 1}"#,
            "false or missing",
        ),
        ("all args.a eq 1 & args.b eq 1", r#"{"a": 1}"#, "false or missing"),
        ("not all args.a eq 1 & args.b eq 1", r#"{"a": 2}"#, "true"),
        (
            "not all args.a eq 1 & args.b eq 1",
            r#"{"a": 1}"#,
            "false or missing",
        ),
        ("not args.a eq 1", r#"{}"#, "false or missing"),
        ("not args.a eq 1", r#"{"a": "1"}"#, "error"),
        ("not not args.a eq 1", r#"{"a": 1}"#, "true"),
        ("external 1", r#"{}"#, "error"),
    ]);
}

#[test]
fn each_asks_every_element_where_it_must_hold_and_any_where_it_selects() {
    table(&[
        ("args.i[*].p lte 5", r#"{"i": [{"p": 1}, {"p": 5}]}"#, "true"),
        (
            "args.i[*].p lte 5",
            r#"{"i": [{"p": 1}, {"p": 6}]}"#,
            "denies either way",
        ),
        (
            "not args.i[*].p gt 5",
            r#"{"i": [{"p": 1}, {"p": 6}]}"#,
            "denies either way",
        ),
        ("not args.i[*].p gt 5", r#"{"i": [{"p": 1}, {"p": 2}]}"#, "true"),
        ("args.i[*].p lte 5", r#"{"i": []}"#, "false or missing"),
        ("not args.i[*].p lte 5", r#"{"i": []}"#, "false or missing"),
        (
            "args.i[*].p lte 5",
            r#"{"i": [{"p": 1}, {}]}"#,
            "denies either way",
        ),
        (
            "args.i[*].p lte 5",
            r#"{"i": [{"p": 9}, {}]}"#,
            "false or missing",
        ),
        ("args.i[*].p lte 5", r#"{"i": [{"p": 9}, {"p": "1"}]}"#, "error"),
        ("args.i[*].p lte 5", r#"{"i": "none"}"#, "error"),
        ("args.i[*][*] eq 1", r#"{"i": [[1, 1], [1]]}"#, "true"),
        ("args.i[*][*] eq 1", r#"{"i": [[1, 1], []]}"#, "denies either way"),
    ]);
}

#[test]
fn facts_beside_the_arguments() {
    table(&[
        ("caller.label eq \"laptop\"", "{}", "true"),
        ("caller.grant eq \"local\"", "{}", "true"),
        ("caller.claims.team eq \"blue\"", "{}", "true"),
        ("caller.subject eq \"x\"", "{}", "false or missing"),
        ("tool.name eq \"t\"", "{}", "true"),
        ("tool.class eq \"read\"", "{}", "true"),
        ("tool.annotations.readOnlyHint eq true", "{}", "true"),
        ("server.name eq \"shop\"", "{}", "true"),
        ("session.id exists true", "{}", "false or missing"),
        ("time.unix eq 0", "{}", "true"),
        ("time.date eq \"1970-01-01\"", "{}", "true"),
        ("time.weekday eq \"thu\"", "{}", "true"),
    ]);
}

#[test]
fn dates_are_those_of_the_calendar() {
    use crate::dsl::{World, policy};
    use callgate_core::call::WallTime;
    let mut world = World::new(&["t"]);
    for (unix, date, weekday, hour, minute) in [
        (951_782_399, "2000-02-28", "mon", 23, 59),
        (951_868_799, "2000-02-29", "tue", 23, 59),
        (951_868_800, "2000-03-01", "wed", 0, 0),
        (1_704_067_199, "2023-12-31", "sun", 23, 59),
        (1_709_164_800, "2024-02-29", "thu", 0, 0),
        (1_795_228_200, "2026-11-21", "sat", 2, 30),
        (4_107_542_399, "2100-02-28", "sun", 23, 59),
        (4_107_542_400, "2100-03-01", "mon", 0, 0),
    ] {
        world.now = WallTime(unix * 1_000 + 999);
        let program = policy(&format!(
            "tool t\nrequire all time.date eq \"{date}\" & time.weekday eq \"{weekday}\" & time.hour eq {hour} & time.minute eq {minute}"
        ));
        let decision = callgate_core::decide(&program, &world.call("t", None));
        assert!(matches!(decision, Decision::Admit(_)), "{unix}: {decision:?}");
    }
}

#[test]
fn a_path_lies_under_a_folder_only_where_every_program_says_so() {
    let under = "args.p path_under \"/srv/dev\"";
    for (path, expected) in [
        ("/srv/dev", "true"),
        ("/srv/dev/", "true"),
        ("/srv/dev/a", "true"),
        ("/srv/./dev//a", "true"),
        ("/srv/x/../dev/a", "true"),
        ("/srv/dev/..a", "true"),
        ("/srv/dev/100%", "true"),
        ("/srv/dev/../prod", "false or missing"),
        ("/srv/devil", "false or missing"),
        ("/srv", "false or missing"),
        ("/", "false or missing"),
        ("/srv/dev/../../../etc", "error"),
        ("srv/dev/a", "error"),
        ("../srv/dev", "error"),
        ("", "error"),
        ("//srv/dev", "error"),
        ("/srv/dev/%2e%2e/prod", "error"),
        ("/srv/dev/%2E%2E%2Fprod", "error"),
        ("/srv/dev/%252e%252e/prod", "error"),
        ("/srv/dev\\\\..\\\\prod", "error"),
        ("/srv/dev/a\\0.txt", "error"),
        ("/srv/dev/a\\n", "error"),
        ("/srv/dev/.../prod", "error"),
        ("/srv/dev/.. /prod", "error"),
        ("/srv/dev/..;/prod", "error"),
        ("/srv/dev/\u{ff0e}\u{ff0e}/prod", "error"),
        ("/srv/dev/a\u{2215}b", "error"),
        (" /srv/dev/a", "error"),
        ("~/a", "error"),
        ("file:///srv/dev/a", "error"),
        ("C:/srv/dev", "error"),
    ] {
        assert_eq!(
            outcome(under, &format!(r#"{{"p": "{path}"}}"#)),
            expected,
            "{path}"
        );
    }
    table(&[
        ("args.p path_under [\"docs\"]", r#"{"p": "docs/a"}"#, "true"),
        (
            "args.p path_under [\"docs\"]",
            r#"{"p": "./docs/../docs/a"}"#,
            "true",
        ),
        (
            "args.p path_under [\"docs\"]",
            r#"{"p": "docs/../../a"}"#,
            "error",
        ),
        ("args.p path_under [\"docs\"]", r#"{"p": "/docs/a"}"#, "error"),
        ("args.p path_under [\".\"]", r#"{"p": "any/a"}"#, "true"),
        ("args.p path_under [\"/\"]", r#"{"p": "/any"}"#, "true"),
        // On many file systems this is the same folder, so it is denied, and not allowed.
        (
            "args.p path_under [\"/etc\"]",
            r#"{"p": "/ETC/passwd"}"#,
            "denies either way",
        ),
    ]);
}

#[test]
fn a_host_is_named_only_where_every_program_says_so() {
    let hosts = "args.u host_in [\"good.com\", \"*.api.com\", \"10.0.0.1\", \"::1\"]";
    for (url, expected) in [
        ("https://good.com", "true"),
        ("https://good.com/a?b#c", "true"),
        ("HTTPS://GOOD.COM:443/", "true"),
        ("wss://good.com:8080/", "true"),
        ("foo://good.com/", "true"),
        ("https://good.com./", "true"),
        ("https://a.api.com/", "true"),
        ("https://a.b.api.com/", "true"),
        ("http://10.0.0.1/", "true"),
        ("http://[::1]:80/", "true"),
        ("http://[0:0:0:0:0:0:0:1]/", "true"),
        ("http://good.com/@evil.com", "true"),
        ("http://[::ffff:10.0.0.1]/", "true"),
        ("http://api.com/", "false or missing"),
        ("http://evilapi.com/", "false or missing"),
        ("http://good.com.evil.com/", "false or missing"),
        ("http://evil.com/good.com", "false or missing"),
        ("http://evil.com#@good.com", "false or missing"),
        ("http://evil.com?@good.com", "false or missing"),
        ("http://good.com@evil.com/", "error"),
        ("http://evil.com@good.com/", "error"),
        ("http://a:b@good.com/", "error"),
        ("http://evil.com\\\\@good.com/", "error"),
        ("http://good.com\\\\.evil.com/", "error"),
        ("http:/good.com", "error"),
        ("http:good.com", "error"),
        ("http:///good.com", "error"),
        ("//good.com/", "error"),
        ("good.com", "error"),
        ("/good.com", "error"),
        ("mailto:a@good.com", "error"),
        ("javascript:alert(1)//good.com", "error"),
        ("http://good.com%2f@evil.com/", "error"),
        ("http://%67ood.com/", "error"),
        ("http://good.com%00.evil.com/", "error"),
        ("http://good.com\\n.evil.com/", "error"),
        ("http:// good.com/", "error"),
        ("http://good.com..", "error"),
        ("http://.good.com", "error"),
        ("http://good.com:80:80/", "error"),
        ("http://good.com:x/", "error"),
        ("http://good.com:99999/", "error"),
        ("http://0x0a000001/", "error"),
        ("http://167772161/", "error"),
        ("http://10.1/", "error"),
        ("http://012.0.0.1/", "error"),
        ("http://10.0.0.1./", "error"),
        ("http://[::1", "error"),
        ("http://[::1%25lo]/", "error"),
        ("http://\u{ff47}ood.com/", "error"),
        ("http://good\u{3002}com/", "error"),
        ("http://good.com\u{ff0f}.evil.com/", "error"),
        ("http://", "error"),
    ] {
        assert_eq!(outcome(hosts, &format!(r#"{{"u": "{url}"}}"#)), expected, "{url}");
    }
    table(&[
        (
            "args.u host_in \"bücher.de\"",
            r#"{"u": "https://xn--bcher-kva.de/"}"#,
            "true",
        ),
        (
            "args.u host_in \"xn--bcher-kva.de\"",
            r#"{"u": "https://BÜCHER.de/"}"#,
            "true",
        ),
    ]);
}

#[test]
fn an_address_lies_inside_a_network() {
    let private = "args.a cidr [\"10.0.0.0/8\", \"fd00::/8\"]";
    for (address, expected) in [
        ("10.1.2.3", "true"),
        ("fd00::1", "true"),
        ("http://10.1.2.3:80/x", "true"),
        ("http://[fd00::1]/x", "true"),
        ("::ffff:10.1.2.3", "true"),
        ("11.0.0.1", "false or missing"),
        ("10.1", "error"),
        ("010.1.2.3", "error"),
        ("http://10.1/", "error"),
        ("localhost", "error"),
        ("http://localhost/", "error"),
        ("10.0.0.0/8", "error"),
        ("", "error"),
    ] {
        assert_eq!(
            outcome(private, &format!(r#"{{"a": "{address}"}}"#)),
            expected,
            "{address}"
        );
    }
    assert_eq!(
        outcome("args.a cidr [\"::/0\"]", r#"{"a": "::ffff:10.1.2.3"}"#),
        "denies either way"
    );
}
