//! Whole scripts: a policy, calls, and what the agent is told.

use crate::dsl::play;

#[test]
fn hidden_unlisted_and_unknown_tools_cannot_be_told_apart() {
    insta::assert_snapshot!(play(r#"
        default deny
        hide secret_*
        tool pay
        tool secret_x
        tool ghost
        ---
        secret_x
        read
        ghost
        pay
        list
        no list
        pay
    "#), @r#"
    secret_x → hidden : tool `secret_x` is not available here
    read → not_in_policy : tool `read` is not available here
    ghost → not_listed : tool `ghost` is not available here
    pay → ok
    list: pay
    pay → list_unavailable : tool `pay` cannot be called now: the server's list of tools could not be read
    "#);
}

#[test]
fn the_first_denial_names_the_decision() {
    insta::assert_snapshot!(play(r#"
        tool *
          deny_if args.amount gt 5 # everywhere
        tool pay
          validate required_args
          require args.amount lte 100
          deny_if args.to eq "mallory" # not to them
          approve args.amount gt 3
          limit pays 1/60
        ---
        pay {}
        pay {"id": 1}
        pay {"id": 1, "amount": 101, "to": "mallory"}
        pay {"id": 1, "amount": 100, "to": "mallory"}
        pay {"id": 1, "amount": 100, "to": "bob"}
        pay {"id": 1, "amount": 4, "to": "bob"}
        pay {"id": 1, "amount": 1}
        pay {"id": 1, "amount": 1}
    "#), @r#"
    pay {} → arguments_invalid /pay/0: the required argument `id` is missing
    pay {"id": 1} → condition_failed /pay/1: `args.amount` must be at most 100, and it is missing
    pay {"id": 1, "amount": 101, "to": "mallory"} → condition_failed /pay/1: `args.amount` must be at most 100
    pay {"id": 1, "amount": 100, "to": "mallory"} → deny_if_matched /pay/2: not to them
    pay {"id": 1, "amount": 100, "to": "bob"} → deny_if_matched /*/0: everywhere
    pay {"id": 1, "amount": 4, "to": "bob"} → approval_required /pay/3: an approver has to agree to this call, and none is set up; ask a person to change that
    pay {"id": 1, "amount": 1} → ok
    pay {"id": 1, "amount": 1} → rate_limited /pay/4: at most 1 call per minute; the limit is used up (in 60s)
    "#);
}

#[test]
fn an_exact_key_beats_a_glob_and_the_star_always_applies() {
    insta::assert_snapshot!(play(r#"
        default deny
        tool get_a
          require args.x exists true # exact
        tool get_*
          deny # glob
        tool *
          deny_if args.x eq 2 # star
        ---
        get_a {"x": 1}
        get_a {}
        get_a {"x": 2}
        get_b {"x": 1}
        read {"x": 1}
    "#), @r#"
    get_a {"x": 1} → ok
    get_a {} → condition_failed /get_a/0: exact
    get_a {"x": 2} → deny_if_matched /*/0: star
    get_b {"x": 1} → denied_by_rule /get_*/0: glob
    read {"x": 1} → not_in_policy : tool `read` is not available here
    "#);
}

#[test]
fn a_window_slides_and_a_refund_gives_back_at_its_own_time() {
    insta::assert_snapshot!(play(r#"
        tool pay
          limit pays 2/60
        ---
        pay {}
        +59
        pay {}
        +0.5
        pay {}
        +0.5
        pay {}
        refund
        pay {}
        pay {}
    "#), @r#"
    pay {} → ok
    pay {} → ok
    pay {} → rate_limited /pay/0: at most 2 calls per minute; the limit is used up (in 500ms)
    pay {} → ok
    pay {} → ok
    pay {} → rate_limited /pay/0: at most 2 calls per minute; the limit is used up (in 59s)
    "#);
}

#[test]
fn a_budget_counts_amounts_and_refuses_odd_ones() {
    insta::assert_snapshot!(play(r#"
        tool pay
          limit spend 1/3600 grant args.amount
        ---
        pay {"amount": 0.7}
        pay {"amount": 0.4}
        pay {"amount": 0.3}
        pay {"amount": 0.0000000001}
        pay {"amount": -1}
        pay {"amount": "0.1"}
        pay {"amount": null}
        pay {}
        pay {"amount": 1e300}
        pay {"amount": 12345678901234567890123456789012345678901}
    "#), @r#"
    pay {"amount": 0.7} → ok
    pay {"amount": 0.4} → budget_exceeded /pay/0: the budget `spend` allows 1 per hour, and this call would exceed it (in 3600s)
    pay {"amount": 0.3} → ok
    pay {"amount": 0.0000000001} → budget_exceeded /pay/0: the budget `spend` allows 1 per hour, and this call would exceed it (in 3600s)
    pay {"amount": -1} → amount_invalid /pay/0: `args.amount` is counted against a budget, and it is negative
    pay {"amount": "0.1"} → amount_invalid /pay/0: `args.amount` is counted against a budget, and it is not a number
    pay {"amount": null} → amount_invalid /pay/0: `args.amount` is counted against a budget, and it is missing
    pay {} → amount_invalid /pay/0: `args.amount` is counted against a budget, and it is missing
    pay {"amount": 1e300} → amount_invalid /pay/0: `args.amount` is counted against a budget, and it is larger than a budget can count
    pay {"amount": 12345678901234567890123456789012345678901} → amount_invalid /pay/0: `args.amount` is counted against a budget, and it cannot be counted exactly
    "#);
}

#[test]
fn ten_times_a_tenth_is_one() {
    let tenth = "pay {\"amount\": 0.1}\n";
    let script = format!(
        "tool pay\nlimit spend 1/60 grant args.amount\n---\n{}",
        tenth.repeat(11)
    );
    let told = play(&script);
    assert_eq!(told.matches("→ ok").count(), 10, "{told}");
}

#[test]
fn each_value_of_an_argument_has_its_own_limit() {
    insta::assert_snapshot!(play(r#"
        tool pay
          limit calls 1/60 args.customer
        ---
        pay {"customer": 1}
        pay {"customer": 1.0}
        pay {"customer": 10e-1}
        pay {"customer": 1.00000000000000000001}
        pay {"customer": "1"}
        pay {"customer": {"a": 1, "b": 2}}
        pay {"customer": {"b": 2, "a": 1}}
        pay {"customer": null}
        pay {}
    "#), @r#"
    pay {"customer": 1} → ok
    pay {"customer": 1.0} → rate_limited /pay/0: at most 1 call per minute; the limit is used up (in 60s)
    pay {"customer": 10e-1} → rate_limited /pay/0: at most 1 call per minute; the limit is used up (in 60s)
    pay {"customer": 1.00000000000000000001} → rate_limited /pay/0: at most 1 call per minute; the limit is used up (in 60s)
    pay {"customer": "1"} → ok
    pay {"customer": {"a": 1, "b": 2}} → ok
    pay {"customer": {"b": 2, "a": 1}} → rate_limited /pay/0: at most 1 call per minute; the limit is used up (in 60s)
    pay {"customer": null} → condition_error /pay/0: a limit is counted for each value of `args.customer`, so it must be given
    pay {} → condition_error /pay/0: a limit is counted for each value of `args.customer`, so it must be given
    "#);
}

#[test]
fn a_session_limit_without_a_session_is_the_grants() {
    insta::assert_snapshot!(play(r#"
        tool pay
          limit calls 1/60 session
        ---
        pay
        pay
        session one
        pay
        pay
        session two
        pay
    "#), @r#"
    pay → ok
    pay → rate_limited /pay/0: at most 1 call per minute; the limit is used up (in 60s)
    pay → ok
    pay → rate_limited /pay/0: at most 1 call per minute; the limit is used up (in 60s)
    pay → ok
    "#);
}

#[test]
fn two_windows_of_one_counter_count_a_call_once() {
    insta::assert_snapshot!(play(r#"
        tool pay
          limit calls 2/10
          limit calls 3/60
        ---
        pay
        pay
        pay
        +10
        pay
        pay
        +50
        pay
    "#), @r#"
    pay → ok
    pay → ok
    pay → rate_limited /pay/0: at most 2 calls in any 10 s; the limit is used up (in 10s)
    pay → ok
    pay → rate_limited /pay/1: at most 3 calls per minute; the limit is used up (in 50s)
    pay → ok
    "#);
}

#[test]
fn shadow_rules_are_recorded_and_do_not_deny() {
    insta::assert_snapshot!(play(r#"
        tool pay
          shadow deny
          shadow limit calls 1/60
          shadow limit spend 5/60 grant args.amount
        ---
        pay {"amount": 5}
        pay {"amount": -5}
        list
    "#), @r#"
    pay {"amount": 5} → (shadow: denied_by_rule /pay/0: the policy denies `pay`) ok
    pay {"amount": -5} → (shadow: denied_by_rule /pay/0: the policy denies `pay`) (shadow: amount_invalid /pay/2: `args.amount` is counted against a budget, and it is negative) (shadow: rate_limited /pay/1: at most 1 call per minute; the limit is used up (in 60s)) ok
    list: pay read get_a get_b secret_x
    "#);
}

#[test]
fn a_policy_in_shadow_mode_denies_only_what_the_server_does_not_have() {
    insta::assert_snapshot!(play(r#"
        mode shadow
        default deny
        hide secret_*
        ---
        secret_x
        pay
        ghost
        list
    "#), @r#"
    secret_x → (shadow: hidden : tool `secret_x` is not available here) (shadow: not_in_policy : tool `secret_x` is not available here) ok
    pay → (shadow: not_in_policy : tool `pay` is not available here) ok
    ghost → not_listed : tool `ghost` is not available here
    list: pay read get_a get_b secret_x
    "#);
}

#[test]
fn concurrent_calls_are_capped() {
    insta::assert_snapshot!(play(r#"
        tool pay
          concurrent 1 # one at a time
        ---
        pay
        pay
    "#), @r#"
    pay → ok
    pay → concurrency_limited /pay/0: one at a time
    "#);
}

#[test]
fn other_methods_have_rules_of_their_own() {
    insta::assert_snapshot!(play(r#"
        methods deny
        method resources/read
          require params.uri starts_with "docs:"
        method prompts/*
        method ping
          deny # no pings
        ---
        method resources/read {"uri": "docs:a"}
        method resources/read {"uri": "file:a"}
        method resources/read {}
        method prompts/get
        method completion/complete
        method ping
    "#), @r#"
    method resources/read {"uri": "docs:a"} → ok
    method resources/read {"uri": "file:a"} → condition_failed /resources/read/0: `params.uri` must start with `docs:`
    method resources/read {} → condition_failed /resources/read/0: `params.uri` must start with `docs:`, and it is missing
    method prompts/get → ok
    method completion/complete → method_not_in_policy : the method `completion/complete` is not available here
    method ping → denied_by_rule /ping/0: no pings
    "#);
}

#[test]
fn texts_never_repeat_what_a_call_said() {
    let told = play(
        r#"
        tool pay
          require args.a eq 5
          require args.b in ["x", "y"]
        tool read
          deny_if args.path regex "hunter2"
        tool get_a
          require args.p path_under "/srv"
        tool get_b
          limit calls 1/60 args.customer
        ---
        pay {"a": "hunter2"}
        pay {"a": 5, "b": "hunter2"}
        read {"path": {"hunter": "hunter2"}}
        get_a {"p": "hunter2"}
        get_a {"p": "/srv/../hunter2"}
        get_b {"customer": [1, null, 1e999]}
    "#,
    );
    for line in told.lines().filter(|line| line.contains('→')) {
        let text = line.split('→').nth(1).unwrap();
        assert!(!text.contains("hunter2"), "{line}");
        assert!(!text.contains("ok"), "{line}");
    }
    insta::assert_snapshot!(told, @r#"
    pay {"a": "hunter2"} → condition_error /pay/0: the policy cannot judge this call: `args.a` is a string, where `eq` needs a number
    pay {"a": 5, "b": "hunter2"} → condition_failed /pay/1: `args.b` must be one of `x`, `y`
    read {"path": {"hunter": "hunter2"}} → condition_error /read/0: the policy cannot judge this call: `args.path` is an object, where `regex` needs a string
    get_a {"p": "hunter2"} → condition_error /get_a/0: the policy cannot judge this call: `args.p` is not usable: it is relative, and depends on a folder that is not known
    get_a {"p": "/srv/../hunter2"} → condition_failed /get_a/0: `args.p` must be a path under `/srv`
    get_b {"customer": [1, null, 1e999]} → condition_error /get_b/0: a limit is counted for each value of `args.customer`, and this one holds a number that cannot be kept exactly
    "#);
}
