//! `callgate test`.

use crate::support::{Folder, repository, run};

const GOOD: &str = r##"version: "1"
default: deny
hide: ["admin_*"]
tools:
  create_charge:
    require:
      - name: largest charge
        path: args.amount
        op: lte
        value: 50000
        on_deny: One charge may be at most 500.00
    limits:
      - {name: ten a minute, window: minute, max: 10}
"##;

#[test]
fn passing_cases_are_counted() {
    let ran = Folder::with(&[
        ("policy.yaml", GOOD),
        (
            "policy.test.yaml",
            r##"cases:
  - name: small charges pass
    tool: create_charge
    args: {amount: 500}
    expect: allow
  - name: ten a minute
    tool: create_charge
    args: {amount: 500}
    calls:
      - {times: 10, expect: allow}
      - {at: 30s, expect: deny, reason: rate_limited, rule: ten a minute, retry_after: 30s}
      - {at: 60s, expect: allow}
"##,
        ),
    ])
    .callgate(&["test"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    policy.test.yaml
      ok    small charges pass
      ok    ten a minute

    2 passed, 0 failed, in 1 file
    "##);
}

#[test]
fn a_failing_case_shows_how_the_call_was_judged() {
    let ran = Folder::with(&[
        ("policy.yaml", GOOD),
        (
            "policy.test.yaml",
            r##"cases:
  - name: large charges pass
    tool: create_charge
    args: {amount: 60000}
    expect: allow
  - name: eleven a minute
    tool: create_charge
    args: {amount: 500}
    times: 11
    expect: allow
  - name: another rule, another text
    tool: create_charge
    args: {amount: 60000}
    expect: deny
    reason: rate_limited
    rule: ten a minute
    says: nothing of the kind
    retry_after: 5s
  - name: this one passes
    tool: admin_drop
    expect: deny
    reason: hidden
"##,
        ),
    ])
    .callgate(&["test", "policy.yaml"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stdout
    policy.test.yaml
      FAIL  large charges pass
            line 2: create_charge {"amount": 60000} at 0 s
            expect: expected allow, got deny (condition_failed: One charge may be at most 500.00)

            rules, in the order in which they were asked:
              DENY    require   /tools/create_charge/require/0 "largest charge" (policy.yaml:7)
                        args.amount lte 50000: false, it is 60000
      FAIL  eleven a minute
            line 6: create_charge {"amount": 500} at 0 s, time 11 of 11
            expect: expected allow, got deny (rate_limited: at most 10 calls per minute; the limit is used up)

            rules, in the order in which they were asked:
              pass    require   /tools/create_charge/require/0 "largest charge" (policy.yaml:7)
                        args.amount lte 50000: true, it is 500
              DENY    limit     /tools/create_charge/limits/0 "ten a minute" (policy.yaml:13)

            limits:
              /tools/create_charge/limits/0: at most 10 calls per minute, by grant local: 10 before, this call takes 1, 10 after
      FAIL  another rule, another text
            line 11: create_charge {"amount": 60000} at 0 s
            reason: expected rate_limited, got condition_failed
            rule: expected ten a minute, got largest charge
            says: expected nothing of the kind, got One charge may be at most 500.00
            retry_after: expected 5s, got never

            rules, in the order in which they were asked:
              DENY    require   /tools/create_charge/require/0 "largest charge" (policy.yaml:7)
                        args.amount lte 50000: false, it is 60000
      ok    this one passes

    1 passed, 3 failed, in 1 file
    "##);
}

#[test]
fn a_test_file_with_faults_is_not_run() {
    let ran = Folder::with(&[
        ("policy.yaml", GOOD),
        (
            "policy.test.yaml",
            r##"cases:
  - name: typing
    tool: create_charge
    argz: {amount: 1}
    expect: maybe
  - tool: a
    method: b
    expect: allow
  - tool: a
    expect: allow
    reason: hidden
  - tool: a
    calls:
      - {at: 30s, expect: deny}
      - {at: 20s, expect: deny}
      - {at: soon}
"##,
        ),
    ])
    .callgate(&["test"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stdout
    policy.test.yaml
      INVALID
            error[unknown-key]: a case has no key `argz`
             --> policy.test.yaml:4:5
              |
            4 |     argz: {amount: 1}
              |     ^^^^
              = help: a case has the keys name, now, calls, tool, method, args, caller, session, at, times, takes, expect, reason, rule, says, retry_after

            error[unknown-word]: `expect` cannot be read
             --> policy.test.yaml:5:13
              |
            5 |     expect: maybe
              |             ^^^^^
              = help: `expect` is `allow` or `deny`

            error[conflict]: a call is of a tool or of a method, not of both
             --> policy.test.yaml:7:13
              |
            7 |     method: b
              |             ^
              = help: remove one of them

            error[conflict]: `reason` is about a denial, and `allow` is expected
              --> policy.test.yaml:11:13
               |
            11 |     reason: hidden
               |             ^^^^^^
               = help: remove one of them

            error[conflict]: this call is earlier than the one before it
              --> policy.test.yaml:15:14
               |
            15 |       - {at: 20s, expect: deny}
               |              ^^^
               = help: calls stand in the order of their time

            error[unknown-word]: `at` cannot be read
              --> policy.test.yaml:16:14
               |
            16 |       - {at: soon}
               |              ^^^^
               = help: write it as 30s, 15m, 6h or 1d

            error[missing-key]: it is not said what is expected
              --> policy.test.yaml:16:9
               |
            16 |       - {at: soon}
               |         ^^^^^^^^^
               = help: `expect` is `allow` or `deny`

    0 passed, 0 failed, 1 file invalid, in 1 file
    "##);
}

#[test]
fn an_invalid_policy_fails_its_tests() {
    let ran = Folder::with(&[
        (
            "policy.yaml",
            r##"version: "1"
default: deny
hide: ["admin_*"]
tools:
  create_charge:
    require:
      - name: largest charge
        path: args.amount
        op: smaller
        value: 50000
        on_deny: One charge may be at most 500.00
    limits:
      - {name: ten a minute, window: minute, max: 10}
"##,
        ),
        (
            "policy.test.yaml",
            r##"cases:
  - name: small charges pass
    tool: create_charge
    args: {amount: 500}
    expect: allow
  - name: ten a minute
    tool: create_charge
    args: {amount: 500}
    calls:
      - {times: 10, expect: allow}
      - {at: 30s, expect: deny, reason: rate_limited, rule: ten a minute, retry_after: 30s}
      - {at: 60s, expect: allow}
"##,
        ),
    ])
    .callgate(&["test"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stdout
    policy.test.yaml
      INVALID
            error[unknown-operator]: there is no operator `smaller`
             --> policy.yaml:9:13
              |
            9 |         op: smaller
              |             ^^^^^^^
              = help: the operators are eq, neq, in, not_in, lt, lte, gt, gte, regex, contains, exists, starts_with, ends_with, glob, path_under, host_in, cidr, length

    0 passed, 0 failed, 1 file invalid, in 1 file
    "##);
}

#[test]
fn no_test_file_is_an_error() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate(&["test"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 1
    --- stderr
    error: there is no test file here
    hint: a policy policy.yaml is tested by policy.test.yaml beside it; see callgate test --help
    "##);
}

#[test]
fn no_case_is_an_error() {
    let ran = Folder::with(&[
        ("policy.yaml", GOOD),
        (
            "policy.test.yaml",
            r##"cases: []
"##,
        ),
    ])
    .callgate(&["test"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stdout
    policy.test.yaml
      INVALID
            error[empty]: `cases` is empty
             --> policy.test.yaml:1:8
              |
            1 | cases: []
              |        ^^
              = help: add an entry, or remove it

    0 passed, 0 failed, 1 file invalid, in 1 file
    "##);
}

#[test]
fn a_rule_that_asks_and_counts_is_told_apart() {
    let ran = Folder::with(&[
        (
            "policy.yaml",
            r##"version: "1"
default: deny
tools:
  send:
    rules:
      - name: in order, five an hour
        validate: required_args
        rate_limit: 5/hour
  spend:
    rules:
      - name: the day's purse
        state: {counter: spent, window: day, increment_from: args.euros}
        conditions:
          - {path: state.spend.spent, op: lte, value: 10}
"##,
        ),
        (
            "policy.test.yaml",
            r##"tools:
  - {name: send, inputSchema: {type: object, required: [to]}}
  - spend
cases:
  - {tool: send, args: {}, expect: allow}
  - {tool: send, args: {to: a}, times: 6, expect: allow}
  - {tool: spend, args: {euros: 7.5}, times: 2, expect: allow}
"##,
        ),
    ])
    .callgate(&["test"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stdout
    policy.test.yaml
      FAIL  case 1
            line 5: send {} at 0 s
            expect: expected allow, got deny (arguments_invalid: the required argument `to` is missing)

            rules, in the order in which they were asked:
              DENY    validate  /tools/send/rules/0 "in order, five an hour" (policy.yaml:6)
      FAIL  case 2
            line 6: send {"to": "a"} at 0 s, time 6 of 6
            expect: expected allow, got deny (rate_limited: at most 5 calls per hour; the limit is used up)

            rules, in the order in which they were asked:
              pass    validate  /tools/send/rules/0 "in order, five an hour" (policy.yaml:6)
              DENY    limit     /tools/send/rules/0 "in order, five an hour" (policy.yaml:6)

            limits:
              /tools/send/rules/0: at most 5 calls per hour, by server: 5 before, this call takes 1, 5 after
      FAIL  case 3
            line 7: spend {"euros": 7.5} at 0 s, time 2 of 2
            expect: expected allow, got deny (budget_exceeded: the budget `spent` allows 10 per day, and this call would exceed it)

            rules, in the order in which they were asked:
              DENY    limit     /tools/spend/rules/0 "the day's purse" (policy.yaml:11)

            limits:
              /tools/spend/rules/0: at most 10 of args.euros per day, by server: 7.5 before, this call takes 7.5, 7.5 after

    0 passed, 3 failed, in 1 file
    "##);
}

#[test]
fn a_policy_without_tests_says_what_is_looked_for() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate(&["test", "policy.yaml"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 1
    --- stderr
    error: policy.yaml has no test file beside it; policy.test.yaml is looked for
    "##);
}

#[test]
fn junit_and_json_say_the_same() {
    let folder = Folder::with(&[
        ("policy.yaml", GOOD),
        (
            "policy.test.yaml",
            "cases:\n  - {name: 'a <b> & \"c\"', tool: create_charge, args: {amount: 1}, expect: allow}\n  - {name: wrong, tool: create_charge, args: {amount: 1}, expect: deny}\n",
        ),
        ("broken/policy.test.yaml", "cases: 5\n"),
    ]);
    let ran = folder.callgate(&["test", "--json", "--junit", "results.xml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let json = ran.json();
    assert_eq!(
        [&json["passed"], &json["failed"], &json["invalid_files"]],
        [&serde_json::json!(1); 3]
    );
    assert_eq!(json["files"][1]["cases"][1]["name"], "wrong");
    let xml = folder.read("results.xml");
    let wanted = [
        r#"<testsuite name="broken/policy.test.yaml" tests="1" failures="0" errors="1">"#,
        r#"<testsuite name="policy.test.yaml" tests="2" failures="1" errors="0">"#,
        r#"<testcase name="a &lt;b&gt; &amp; &quot;c&quot;" classname="policy.test.yaml""#,
        r#"<failure message="expect: expected deny, got allow">"#,
    ];
    for part in wanted {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
}

/// The policies in the repository, with their test files: what `callgate test` means for each of them.
#[test]
fn golden_policies_do_what_their_test_files_say() {
    let ran = run(repository(), &["test", "tests/golden", "policies", "--json"], "");
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let json = ran.json();
    let files: Vec<&str> = json["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["file"].as_str().unwrap())
        .collect();
    for entry in std::fs::read_dir(repository().join("tests/golden")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let tests = format!("tests/golden/{name}/policy.test.yaml");
        assert!(files.contains(&tests.as_str()), "{tests} was not run");
    }
    for entry in std::fs::read_dir(repository().join("policies")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let policy = name
            .strip_suffix(".test.yaml")
            .or_else(|| name.strip_suffix(".yaml"))
            .unwrap();
        let tests = format!("policies/{policy}.test.yaml");
        assert!(files.contains(&tests.as_str()), "{tests} was not run");
    }
    assert!(json["passed"].as_u64().unwrap() >= 60, "{}", json["passed"]);
}

/// Each policy against the attacks holds by each of its rules: without any one of them some case fails.
#[test]
fn no_rule_of_the_policies_can_be_left_out() {
    let policies = ["kestra", "code-mode-toon", "mistral-mcp", "conductor"];
    for name in policies {
        let read = |file: String| std::fs::read_to_string(repository().join("policies").join(file)).unwrap();
        let (policy, tests) = (read(format!("{name}.yaml")), read(format!("{name}.test.yaml")));
        let lines: Vec<&str> = policy.lines().collect();
        let rules = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.trim_start().starts_with("- name: "));
        let mut count = 0;
        for (index, line) in rules {
            count += 1;
            // A rule in shadow mode denies nothing.
            let indent = line.len() - line.trim_start().len();
            let mut weaker = lines.clone();
            let shadow = format!("{}mode: shadow", " ".repeat(indent + 2));
            weaker.insert(index + 1, &shadow);
            let folder = Folder::with(&[("p.yaml", &weaker.join("\n")), ("p.test.yaml", &tests)]);
            let ran = folder.callgate(&["test", "--json"]);
            let failed = ran.json()["failed"].as_u64().unwrap();
            assert!(failed > 0, "{name}: {line} is not tested\n{}", ran.shown());
        }
        assert!(count >= 2, "{name} has {count} rules");
    }
}

#[test]
fn folders_of_others_are_left_out() {
    let case = "cases:\n  - {tool: create_charge, args: {amount: 1}, expect: allow}\n";
    let folder = Folder::with(&[
        ("a/policy.yaml", GOOD),
        ("a/policy.test.yaml", case),
        ("a/b/policy.yaml", GOOD),
        ("a/b/policy.test.yml", case),
        ("node_modules/x/policy.test.yaml", "broken"),
        (".hidden/policy.test.yaml", "broken"),
        ("target/policy.test.yaml", "broken"),
        ("a/test.yaml", "broken"),
    ]);
    let json = folder.callgate(&["test", "--json"]).json();
    let files: Vec<&str> = json["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["file"].as_str().unwrap())
        .collect();
    assert_eq!(files, ["a/b/policy.test.yml", "a/policy.test.yaml"]);
    assert_eq!(json["passed"], 2);
}
