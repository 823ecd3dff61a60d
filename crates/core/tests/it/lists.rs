//! Which tools a caller is shown.

use crate::dsl::{World, policy, tool};
use callgate_core::visible;

fn shown(rules: &str) -> bool {
    let world = World::new(&["t"]);
    visible(&policy(&format!("tool t\n{rules}")), world.scene(), &tool("t"))
}

#[test]
fn a_tool_that_no_call_reaches_is_left_out() {
    for rules in [
        "deny",
        "require caller.label eq \"server\"",
        "require all caller.label eq \"server\" & args.x eq 1",
        "require not tool.class eq \"read\"",
        "require caller.subject eq \"x\"",
        "require caller.label eq 5",
        "deny_if caller.label eq \"laptop\"",
        "deny_if tool.annotations.readOnlyHint eq true",
        "deny_if caller.label eq 5",
        "deny\ndeny # later",
        "tool *\ndeny",
    ] {
        assert!(!shown(rules), "{rules}");
    }
}

#[test]
fn a_tool_that_a_call_may_reach_is_shown() {
    for rules in [
        "",
        "require args.x eq 1",
        "require time.hour lt 8",
        "require external 1",
        "require any caller.label eq \"server\" | args.x eq 1",
        "require caller.label eq \"laptop\"",
        "deny_if args.x eq 1",
        "deny_if all caller.label eq \"laptop\" & args.x eq 1",
        "deny_if caller.subject eq \"x\"",
        "shadow deny",
        "approve",
        "limit calls 0/60",
        "validate required_args",
    ] {
        assert!(shown(rules), "{rules}");
    }
}

#[test]
fn a_denial_with_a_reason_is_meant_to_be_read() {
    assert!(shown("deny # ask the team first"));
    assert!(shown("deny # ask the team first\ndeny"));
    assert!(!shown("require caller.label eq \"server\"\ndeny # never reached"));
}
