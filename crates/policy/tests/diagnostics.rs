//! Every finding has a place, a caret and a way out. The snapshots are what users see.
#![cfg(test)]

use callgate_policy::{LoadOptions, Style, load};

/// All findings of a text, errors and warnings, as they are shown.
fn shown(text: &str) -> String {
    let found = match load(text, &LoadOptions::default()) {
        Ok(loaded) => loaded.warnings,
        Err(errors) => errors.0,
    };
    found
        .iter()
        .map(|finding| finding.render("policy.yaml", text, &Style::PLAIN))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn unknown_key() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    rules:
      - name: slow
        rate_limt: 5/hour
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
 --> policy.yaml:1:1
  |
1 | version: "1"
  | ^^^^^^^
  = help: add `methods:` to judge them

error[missing-key]: this rule asks nothing
 --> policy.yaml:6:9
  |
6 |       - name: slow
  |         ^^^^
  = help: add `conditions`, `rate_limit` or `action: deny`; or write `rules: []` to allow every call

error[unknown-key]: `rate_limt` is no key of a rule
 --> policy.yaml:7:9
  |
7 |         rate_limt: 5/hour
  |         ^^^^^^^^^
  = help: did you mean `rate_limit`?
"##);
}

#[test]
fn unknown_key_far() {
    let text = r##"version: "1"
default: deny
policies: {}
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[unknown-key]: `policies` is no key of a policy
 --> policy.yaml:3:1
  |
3 | policies: {}
  | ^^^^^^^^
  = help: its keys are version, description, default, mode, timeout, hide, tools, all_tools, methods, approvals
"##);
}

#[test]
fn duplicate_key() {
    let text = r##"version: "1"
default: deny
tools:
  push: {}
  push:
    rules: []
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[duplicate-key]: the key `push` stands twice in this mapping
 --> policy.yaml:5:3
  |
5 |   push:
  |   ^^^^
  = help: keep one of them, or merge what they hold
"##);
}

#[test]
fn duplicate_json_key() {
    let text = r##"{"version": "1", "default": "deny",
 "tools": {"push": {}, "push": {}}}"##;
    insta::assert_snapshot!(shown(text), @r##"
error[duplicate-key]: the key `push` stands twice in this object
 --> policy.yaml:2:24
  |
2 |  "tools": {"push": {}, "push": {}}}
  |                        ^^^^^^
  = help: keep one of them, or merge what they hold
"##);
}

#[test]
fn json_syntax() {
    let text = r##"{"version": "1",
 "default": "deny",}"##;
    insta::assert_snapshot!(shown(text), @r##"
error[syntax]: a key in double quotes is missing here
 --> policy.yaml:2:20
  |
2 |  "default": "deny",}
  |                    ^
  = help: remove the comma before it
"##);
}

#[test]
fn yaml_star() {
    let text = r##"version: "1"
default: deny
tools:
  *:
    rules: []
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[syntax]: while parsing node, found unknown anchor
 --> policy.yaml:4:3
  |
4 |   *:
  |   ^
  = help: put the key in quotes: `"*":`
"##);
}

#[test]
fn yaml_tab() {
    let text = r##"version: "1"
default: deny
tools:
	push: {}
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[syntax]: tabs disallowed within this context (block indentation)
 --> policy.yaml:4:2
  |
4 |  push: {}
  |  ^
  = help: indent with spaces; YAML allows no tabs there
"##);
}

#[test]
fn merge_key() {
    let text = r##"version: "1"
default: deny
tools:
  a: &a {}
  b:
    <<: *a
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[merge-key]: merge keys do not exist in YAML 1.2
 --> policy.yaml:6:5
  |
6 |     <<: *a
  |     ^^
  = help: write the merged keys out
"##);
}

#[test]
fn tag() {
    let text = r##"version: !!str 1
default: deny
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[tag]: tags are not used in a policy
 --> policy.yaml:1:10
  |
1 | version: !!str 1
  |          ^^^^^
  = help: remove the tag; put a value in quotes to make it a string
"##);
}

#[test]
fn many_documents() {
    let text = r##"version: "1"
default: deny
---
version: "1"
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[many-documents]: a file holds one policy, and a second begins here
 --> policy.yaml:3:1
  |
3 | ---
  | ^^^
  = help: put it in a file of its own
"##);
}

#[test]
fn key_type() {
    let text = r##"version: "1"
default: deny
tools:
  1: {}
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[key-type]: a key has to be a string
 --> policy.yaml:4:3
  |
4 |   1: {}
  |   ^
  = help: write `"1"`
"##);
}

#[test]
fn number_spelling() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    limits: [{ window: 0x10, max: 010 }]
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[wrong-type]: `window` has no value
 --> policy.yaml:5:16
  |
5 |     limits: [{ window: 0x10, max: 010 }]
  |                ^^^^^^
  = help: give it one, `[]` or `{}` for none, or remove the key

error[number-spelling]: numbers are written in decimal
 --> policy.yaml:5:24
  |
5 |     limits: [{ window: 0x10, max: 010 }]
  |                        ^^^^
  = help: write it in decimal, or in quotes where it is a string

error[wrong-type]: `max` has no value
 --> policy.yaml:5:30
  |
5 |     limits: [{ window: 0x10, max: 010 }]
  |                              ^^^
  = help: give it one, `[]` or `{}` for none, or remove the key

error[number-spelling]: a number with leading zeros is octal to some tools and decimal to others
 --> policy.yaml:5:35
  |
5 |     limits: [{ window: 0x10, max: 010 }]
  |                                   ^^^
  = help: drop the zeros, or put it in quotes where it is a string
"##);
}

#[test]
fn boolean_word() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    deny_if:
      - conditions: [{ path: args.force, op: exists, value: yes }]
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[operator-value]: `exists` takes `true` or `false`, and this is a string
 --> policy.yaml:6:61
  |
6 |       - conditions: [{ path: args.force, op: exists, value: yes }]
  |                                                             ^^^
  = help: write `value: true` or `value: false`

warning[boolean-word]: `yes` is a string here, not a boolean
 --> policy.yaml:6:61
  |
6 |       - conditions: [{ path: args.force, op: exists, value: yes }]
  |                                                             ^^^
  = help: write `true` or `false`, or `"yes"` for the string
"##);
}

#[test]
fn no_value() {
    let text = r##"version: "1"
default: deny
tools:
  push:
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[wrong-type]: the tool `push` has no value
 --> policy.yaml:4:3
  |
4 |   push:
  |   ^^^^
  = help: write `{}` or `rules: []` to list it without asking anything
"##);
}

#[test]
fn wrong_type() {
    let text = r##"version: "1"
default: deny
tools: [push]
hide: push
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[wrong-type]: `tools` is a mapping from names to rules, and this is a list
 --> policy.yaml:3:8
  |
3 | tools: [push]
  |        ^^^^^
  = help: write `tools: { NAME: {} }`

error[wrong-type]: `hide` is a list, and this is a string
 --> policy.yaml:4:7
  |
4 | hide: push
  |       ^^^^
  = help: begin each item with `- `, or write `[a, b]`
"##);
}

#[test]
fn unknown_word() {
    let text = r##"version: "1"
default: denny
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[unknown-word]: `default` cannot be `denny`
 --> policy.yaml:2:10
  |
2 | default: denny
  |          ^^^^^
  = help: did you mean `deny`?
"##);
}

#[test]
fn version() {
    let text = r##"version: "2"
default: deny
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[unsupported-version]: only version 1 of the language exists
 --> policy.yaml:1:10
  |
1 | version: "2"
  |          ^^^
  = help: write `version: "1"`
"##);
}

#[test]
fn no_version_no_default() {
    let text = r##"tools:
  push:
    limits: [{ window: hour, max: 1 }]
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[no-version]: the policy names no version, and is read as version 1
 --> policy.yaml:1:1
  |
1 | tools:
  | ^^^^^
  = help: add `version: "1"`

warning[no-default]: without `default`, tools that the policy does not name are allowed
 --> policy.yaml:1:1
  |
1 | tools:
  | ^^^^^
  = help: add `default: deny`, and list the tools to allow under `tools`
"##);
}

#[test]
fn operator() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    require:
      - { path: args.a, op: "<=", value: 1 }
      - { path: args.a, op: equals, value: 1 }
      - { path: args.a, op: lte, value: "1" }
      - { path: args.a, op: in, value: main }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[unknown-operator]: there is no operator `<=`
 --> policy.yaml:6:29
  |
6 |       - { path: args.a, op: "<=", value: 1 }
  |                             ^^^^
  = help: did you mean `lte`?

error[unknown-operator]: there is no operator `equals`
 --> policy.yaml:7:29
  |
7 |       - { path: args.a, op: equals, value: 1 }
  |                             ^^^^^^
  = help: did you mean `eq`?

error[wrong-type]: the value of `lte` is a number, and this is a string
 --> policy.yaml:8:41
  |
8 |       - { path: args.a, op: lte, value: "1" }
  |                                         ^^^
  = help: write 1 without quotes

error[operator-value]: `in` takes a list, and this is a string
 --> policy.yaml:9:40
  |
9 |       - { path: args.a, op: in, value: main }
  |                                        ^^^^
  = help: write `[a, b]`, or use `eq` for one value
"##);
}

#[test]
fn regex() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    require:
      - { path: args.branch, op: regex, value: '^feat/(?=x)' }
      - { path: args.branch, op: regex, value: '^(feat' }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[regex]: this pattern cannot be used: look-around, including look-ahead and look-behind, is not supported
 --> policy.yaml:6:55
  |
6 |       - { path: args.branch, op: regex, value: '^feat/(?=x)' }
  |                                                       ^^^
  = help: patterns run in linear time, so there is no look-around and no backreference; use two conditions

error[regex]: this pattern cannot be used: unclosed group
 --> policy.yaml:7:50
  |
7 |       - { path: args.branch, op: regex, value: '^(feat' }
  |                                                  ^
  = help: the syntax is that of RE2; put the pattern in single quotes so that YAML keeps backslashes
"##);
}

#[test]
fn paths() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    require:
      - { path: branch, op: eq, value: main }
      - { path: args..branch, op: eq, value: main }
      - { path: caller.lable, op: eq, value: ci }
      - { path: time.weekday, op: eq, value: monday }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[path]: a path cannot begin with `branch`
 --> policy.yaml:6:17
  |
6 |       - { path: branch, op: eq, value: main }
  |                 ^^^^^^
  = help: did you mean `args.branch`?

error[path]: a step of this path is empty
 --> policy.yaml:7:21
  |
7 |       - { path: args..branch, op: eq, value: main }
  |                     ^^^^^^^^
  = help: write one dot between two steps

error[path]: `caller` has no `lable`
 --> policy.yaml:8:23
  |
8 |       - { path: caller.lable, op: eq, value: ci }
  |                       ^^^^^^
  = help: did you mean `caller.label`?

error[never-matches]: `time.weekday` is never this
 --> policy.yaml:9:46
  |
9 |       - { path: time.weekday, op: eq, value: monday }
  |                                              ^^^^^^
  = help: weekdays are mon, tue, wed, thu, fri, sat, sun
"##);
}

#[test]
fn windows() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    limits:
      - { counter: a, window: week, max: 1 }
      - { counter: b, window: 400d, max: 1 }
      - { counter: c, window: hour, max: 0 }
      - { counter: d, window: hour, max: -1 }
      - { counter: e, window: hour, max: 10, amount: 0 }
      - { counter: f, window: hour }
      - { counter: g, window: 90s, max: 1, align: calendar }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[window]: this is no window
 --> policy.yaml:6:31
  |
6 |       - { counter: a, window: week, max: 1 }
  |                               ^^^^
  = help: use `minute`, `hour`, `day`, whole seconds, or `90s`, `15m`, `6h`, `30d`

error[window]: a window lasts from 1 second to 366 days
 --> policy.yaml:7:31
  |
7 |       - { counter: b, window: 400d, max: 1 }
  |                               ^^^^
  = help: use `minute`, `hour`, `day`, or `90s`, `15m`, `6h`, `30d`

error[amount]: `max` has to be above zero
 --> policy.yaml:8:42
  |
8 |       - { counter: c, window: hour, max: 0 }
  |                                          ^
  = help: use `action: deny` in `rules` to deny every call

error[amount]: `max` has to be above zero
 --> policy.yaml:9:42
  |
9 |       - { counter: d, window: hour, max: -1 }
  |                                          ^^
  = help: use `action: deny` in `rules` to deny every call

error[limit-never-counts]: a limit whose calls cost nothing never counts
  --> policy.yaml:10:54
   |
10 |       - { counter: e, window: hour, max: 10, amount: 0 }
   |                                                      ^
   = help: remove `amount` to count each call once

error[missing-key]: a limit needs `max`
  --> policy.yaml:11:11
   |
11 |       - { counter: f, window: hour }
   |           ^^^^^^^
   = help: write `window: minute` and `max: 10`, or `concurrent: 2`

error[window]: the calendar has no window of this length
  --> policy.yaml:12:51
   |
12 |       - { counter: g, window: 90s, max: 1, align: calendar }
   |                                                   ^^^^^^^^
   = help: use `minute`, `hour` or `day`, or remove `align`
"##);
}

#[test]
fn rates() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    rules:
      - { name: a, rate_limit: 0/hour }
      - { name: b, rate_limit: 5/hours }
      - { name: c, action: deny, rate_limit: 5/hour }
      - { name: d, rate_limit: 5/hour, conditions: [{ path: args.a, op: exists, value: true }] }
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
 --> policy.yaml:1:1
  |
1 | version: "1"
  | ^^^^^^^
  = help: add `methods:` to judge them

error[amount]: a rate begins with a whole number above zero
 --> policy.yaml:6:32
  |
6 |       - { name: a, rate_limit: 0/hour }
  |                                ^^^^^^
  = help: write `10/hour`; use `action: deny` to deny every call

error[window]: `hours` is no window
 --> policy.yaml:7:32
  |
7 |       - { name: b, rate_limit: 5/hours }
  |                                ^^^^^^^
  = help: did you mean `5/hour`?

error[conflict]: `rate_limit` says nothing beside `action: deny`
 --> policy.yaml:8:34
  |
8 |       - { name: c, action: deny, rate_limit: 5/hour }
  |                                  ^^^^^^^^^^
  = help: remove one of them

error[conflict]: `rate_limit` cannot stand beside `conditions`, `when` or `state`
 --> policy.yaml:9:20
  |
9 |       - { name: d, rate_limit: 5/hour, conditions: [{ path: args.a, op: exists, value: true }] }
  |                    ^^^^^^^^^^
  = help: make it a rule of its own: it counts every call of the tool
"##);
}

#[test]
fn evaluate_without_conditions() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    rules:
      - name: nothing
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
 --> policy.yaml:1:1
  |
1 | version: "1"
  | ^^^^^^^
  = help: add `methods:` to judge them

error[missing-key]: this rule asks nothing
 --> policy.yaml:6:9
  |
6 |       - name: nothing
  |         ^^^^
  = help: add `conditions`, `rate_limit` or `action: deny`; or write `rules: []` to allow every call
"##);
}

#[test]
fn deny_with_conditions() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    rules:
      - name: main
        action: deny
        conditions: [{ path: args.branch, op: eq, value: main }]
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
 --> policy.yaml:1:1
  |
1 | version: "1"
  | ^^^^^^^
  = help: add `methods:` to judge them

error[conflict]: `action: deny` denies every call, so it takes no conditions
 --> policy.yaml:8:9
  |
8 |         conditions: [{ path: args.branch, op: eq, value: main }]
  |         ^^^^^^^^^^
  = help: use `deny_if` to deny some calls
"##);
}

#[test]
fn duplicate_counter() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    limits:
      - { counter: pushes, window: minute, max: 5 }
      - { counter: pushes, window: day, max: 50 }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[duplicate-counter]: the counter `pushes` is kept by /tools/push/limits/0 already
 --> policy.yaml:7:11
  |
7 |       - { counter: pushes, window: day, max: 50 }
  |           ^^^^^^^
  = help: two limits on one counter would count each call twice; give this one a `counter` of its own
"##);
}

#[test]
fn state_unknown() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    rules:
      - name: few
        conditions: [{ path: state.push.dayly, op: lte, value: 5 }]
        state: { counter: daily, window: day }
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
 --> policy.yaml:1:1
  |
1 | version: "1"
  | ^^^^^^^
  = help: add `methods:` to judge them

error[state-unknown]: no rule keeps this counter
 --> policy.yaml:7:30
  |
7 |         conditions: [{ path: state.push.dayly, op: lte, value: 5 }]
  |                              ^^^^^^^^^^^^^^^^
  = help: did you mean `state.push.daily`?
"##);
}

#[test]
fn state_misplaced() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    deny_if:
      - conditions: [{ path: state.push.daily, op: gt, value: 5 }]
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[state-place]: a counter can only be asked about in the `conditions` of a rule
 --> policy.yaml:6:30
  |
6 |       - conditions: [{ path: state.push.daily, op: gt, value: 5 }]
  |                              ^^^^^^^^^^^^^^^^
  = help: use `limits` here
"##);
}

#[test]
fn state_operator() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    rules:
      - name: few
        conditions: [{ path: state.push.daily, op: eq, value: 5 }]
        state: { counter: daily, window: day }
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
 --> policy.yaml:1:1
  |
1 | version: "1"
  | ^^^^^^^
  = help: add `methods:` to judge them

error[state-place]: `eq` cannot be asked of a counter
 --> policy.yaml:7:52
  |
7 |         conditions: [{ path: state.push.daily, op: eq, value: 5 }]
  |                                                    ^^
  = help: use `lte`, `lt`, `gte` or `gt`
"##);
}

#[test]
fn never_matches() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    deny_if:
      - conditions:
          - { path: args.size, op: gt, value: 10 }
          - { path: args.size, op: lt, value: 5 }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[never-matches]: the conditions on `args.size` cannot all hold, so it never applies
 --> policy.yaml:6:9
  |
6 |       - conditions:
  |         ^^^^^^^^^^
  = help: use `any:` where one of them is enough
"##);
}

#[test]
fn unreachable() {
    let text = r##"version: "1"
default: deny
hide: [push]
tools:
  push:
    rules:
      - { name: no, action: deny }
      - { name: no, rate_limit: 5/hour }
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
 --> policy.yaml:1:1
  |
1 | version: "1"
  | ^^^^^^^
  = help: add `methods:` to judge them

warning[unreachable]: `push` is hidden, so this is never asked
 --> policy.yaml:5:3
  |
5 |   push:
  |   ^^^^
  = help: remove it from `hide` or from `tools`

warning[boolean-word]: `no` is a string here, not a boolean
 --> policy.yaml:7:17
  |
7 |       - { name: no, action: deny }
  |                 ^^
  = help: write `true` or `false`, or `"no"` for the string

warning[boolean-word]: `no` is a string here, not a boolean
 --> policy.yaml:8:17
  |
8 |       - { name: no, rate_limit: 5/hour }
  |                 ^^
  = help: write `true` or `false`, or `"no"` for the string

warning[duplicate-name]: another rule of this tool is called `no` too
 --> policy.yaml:8:17
  |
8 |       - { name: no, rate_limit: 5/hour }
  |                 ^^
  = help: denials and records name the rule; give each a name of its own

warning[limit-never-counts]: this limit never counts, because /tools/push/rules/0 denies every call
 --> policy.yaml:8:33
  |
8 |       - { name: no, rate_limit: 5/hour }
  |                                 ^^^^^^
  = help: remove one of them
"##);
}

#[test]
fn a_notification_cannot_be_limited() {
    let text = r##"version: "1"
default: allow
tools: {}
methods:
  notifications/progress:
    limits:
      - {window: minute, max: 10}
  notifications/roots/list_changed:
    limits:
      - {concurrent: 1}
  resources/read:
    limits:
      - {window: minute, max: 10}
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[limit-never-counts]: a notification has no answer that could say that a limit is used up
 --> policy.yaml:5:3
  |
5 |   notifications/progress:
  |   ^^^^^^^^^^^^^^^^^^^^^^
  = help: take the limit away, or deny the method

error[limit-never-counts]: a notification has no answer that could say that a limit is used up
 --> policy.yaml:8:3
  |
8 |   notifications/roots/list_changed:
  |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: take the limit away, or deny the method
"##);
}

#[test]
fn glob_tie() {
    let text = r##"version: "1"
default: deny
tools:
  "get_*": {}
  "*_abc": {}
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[glob-tie]: `get_*` and `*_abc` can match the same name, and weigh the same
 --> policy.yaml:5:3
  |
5 |   "*_abc": {}
  |   ^^^^^^^
  = help: the pattern with more literal characters applies; make one of them longer, or merge them
"##);
}

#[test]
fn glob_bad() {
    let text = r##"version: "1"
default: deny
hide: ["get_[", "", get_x, get_x]
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[glob]: this pattern cannot be used: unclosed character class; missing ']'
 --> policy.yaml:3:8
  |
3 | hide: ["get_[", "", get_x, get_x]
  |        ^^^^^^^
  = help: patterns know `*`, `?`, `[abc]` and `{a,b}`; a backslash takes a character as it is

error[empty]: this entry of `hide` is empty
 --> policy.yaml:3:17
  |
3 | hide: ["get_[", "", get_x, get_x]
  |                 ^^
  = help: name a tool, or remove it

error[duplicate-entry]: `get_x` is hidden already
 --> policy.yaml:3:28
  |
3 | hide: ["get_[", "", get_x, get_x]
  |                            ^^^^^
  = help: remove one of them
"##);
}

#[test]
fn annotations() {
    let text = r##"version: "1"
default: deny
tools:
  "read_*":
    require:
      - { path: tool.annotations.readOnlyHint, op: eq, value: true }
  push:
    require:
      - any:
          - { path: tool.annotations.readOnlyHint, op: eq, value: true }
          - { path: args.confirmed, op: eq, value: true }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[annotation-trust]: this glob would allow every tool whose server makes the right claim
 --> policy.yaml:6:11
  |
6 |       - { path: tool.annotations.readOnlyHint, op: eq, value: true }
  |           ^^^^
  = help: name the tools, put the annotation into a rule of its own, or set `trust: annotations` for this server

error[annotation-trust]: a claim of the server would spare a call what is asked of it otherwise
 --> policy.yaml:9:9
  |
9 |       - any:
  |         ^^^
  = help: name the tools, put the annotation into a rule of its own, or set `trust: annotations` for this server
"##);
}

#[test]
fn cel() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    deny_if:
      - when: "args.size >"
      - when: "arg.size > 5"
      - when: "now() > 5"
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[cel]: this expression cannot be used: Syntax error: mismatched input '<EOF>'
 --> policy.yaml:6:27
  |
6 |       - when: "args.size >"
  |                           ^
  = help: write CEL, such as `args.amount <= 100 && args.currency == "eur"`

error[cel]: there is no variable `arg`
 --> policy.yaml:7:16
  |
7 |       - when: "arg.size > 5"
  |                ^
  = help: did you mean `args`?

error[cel]: there is no function `now`
 --> policy.yaml:8:16
  |
8 |       - when: "now() > 5"
  |                ^
  = help: there are size, contains, startsWith, endsWith, int, uint, double, string, bool, type, max, min
"##);
}

#[test]
fn reminders() {
    let text = r##"version: "1"
default: deny
mode: shadow
approvals: {}
tools:
  push:
    limits:
      - { counter: a, window: day, max: 5, scope: session }
      - { counter: b, window: day, max: 5, align: calendar }
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[shadow-mode]: shadow mode records what would be denied, and denies nothing
 --> policy.yaml:3:7
  |
3 | mode: shadow
  |       ^^^^^^
  = help: use `mode: enforce`, or remove the key, to deny

warning[not-in-force]: `approvals` is kept, but not in force
 --> policy.yaml:4:1
  |
4 | approvals: {}
  | ^^^^^^^^^
  = help: use `require_approval` on a tool to hold its calls for a person

warning[session-scope]: a new session renews this limit
 --> policy.yaml:8:11
  |
8 |       - { counter: a, window: day, max: 5, scope: session }
  |           ^^^^^^^
  = help: use `limits` with `scope: grant` to keep it over sessions

warning[calendar-alignment]: a calendar window lets up to twice `max` through around a boundary
 --> policy.yaml:9:51
  |
9 |       - { counter: b, window: day, max: 5, align: calendar }
  |                                                   ^^^^^^^^
  = help: remove `align`: windows then slide, and no window ever holds more than `max`
"##);
}

#[test]
fn methods_pass() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    rules: []
"##;
    insta::assert_snapshot!(shown(text), @r##"
warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
 --> policy.yaml:1:1
  |
1 | version: "1"
  | ^^^^^^^
  = help: add `methods:` to judge them
"##);
}

#[test]
fn spend() {
    let text = r##"version: "1"
default: deny
tools:
  pay:
    spend: { per_call: 5, daily: 50 }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[missing-key]: which argument holds the amount is not said
 --> policy.yaml:5:14
  |
5 |     spend: { per_call: 5, daily: 50 }
  |              ^^^^^^^^
  = help: add `amount: args.amount`
"##);
}

#[test]
fn empty_value() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    deny_if:
      - conditions: [{ path: args.a, op: eq, value: }]
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[wrong-type]: `value` has no value
 --> policy.yaml:6:46
  |
6 |       - conditions: [{ path: args.a, op: eq, value: }]
  |                                              ^^^^^
  = help: give it one, or write `value: null` to ask for null
"##);
}

#[test]
fn conditions_shape() {
    let text = r##"version: "1"
default: deny
tools:
  push:
    require:
      - { path: args.a, op: eq }
      - { any: [] }
      - { path: args.a, op: eq, value: 1, any: [] }
      - { path: args.a, op: in, value: [] }
"##;
    insta::assert_snapshot!(shown(text), @r##"
error[missing-key]: a condition needs `value`
 --> policy.yaml:6:11
  |
6 |       - { path: args.a, op: eq }
  |           ^^^^
  = help: write `{ path: args.amount, op: lte, value: 100 }`

error[empty]: `any` is empty
 --> policy.yaml:7:16
  |
7 |       - { any: [] }
  |                ^^
  = help: list at least one condition, or remove the key

error[conflict]: a condition has one form, and this is a second
 --> policy.yaml:8:43
  |
8 |       - { path: args.a, op: eq, value: 1, any: [] }
  |                                           ^^^
  = help: put each into an item of its own

warning[unfilled]: this list is empty, so no call meets this condition
 --> policy.yaml:9:40
  |
9 |       - { path: args.a, op: in, value: [] }
  |                                        ^^
  = help: fill it in
"##);
}

#[test]
fn an_empty_list_loads_where_it_lets_nothing_pass_and_nowhere_else() {
    for operator in [
        "in",
        "starts_with",
        "ends_with",
        "glob",
        "path_under",
        "host_in",
        "cidr",
    ] {
        let condition = format!("{{path: args.a, op: {operator}, value: []}}");
        let text = format!("version: \"1\"\ndefault: deny\ntools:\n  t: {{require: [{condition}]}}\n");
        assert!(shown(&text).starts_with("warning[unfilled]"), "{}", shown(&text));
        let denying = [
            format!("deny_if: [{{conditions: [{condition}]}}]"),
            format!("require_approval: [{{conditions: [{condition}]}}]"),
            format!("require: [{{not: {condition}}}]"),
        ];
        for entry in denying {
            let text = format!("version: \"1\"\ndefault: deny\ntools:\n  t: {{{entry}}}\n");
            assert!(
                shown(&text).starts_with("error[never-matches]"),
                "{text}{}",
                shown(&text)
            );
        }
    }
    let not_in = "{path: args.a, op: not_in, value: []}";
    let text = format!("version: \"1\"\ndefault: deny\ntools:\n  t: {{require: [{not_in}]}}\n");
    assert!(
        shown(&text).starts_with("error[always-matches]"),
        "{}",
        shown(&text)
    );
}

#[test]
fn a_list_that_several_tools_share_is_told_once() {
    let text = "version: \"1\"\ndefault: deny\ntools:\n  a:\n    require: [{path: args.x, op: in, value: &x []}]\n  b:\n    \
                require: [{path: args.x, op: in, value: *x }]\n";
    assert_eq!(shown(text).matches("unfilled").count(), 1, "{}", shown(text));
}
