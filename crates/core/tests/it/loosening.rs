//! What a reload says about a policy that allows more than the one before.

use crate::dsl::policy;
use callgate_core::looser;

fn told(old: &str, new: &str) -> String {
    let found = looser(&policy(old), &policy(new));
    found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn what_is_the_same_or_tighter_says_nothing() {
    for (old, new) in [
        (
            "default deny\ntool a\nrequire args.x eq 1",
            "default deny\ntool a\nrequire args.x eq 1",
        ),
        (
            "tool a\ndeny_if args.x glob \"a*\"",
            "tool a\ndeny_if args.x glob \"a*\"",
        ),
        (
            "tool a\nrequire args.x regex \"a\"",
            "tool a\nrequire args.x regex \"a\"\nrequire args.y eq 1",
        ),
        (
            "tool a\nrequire args.x eq 1\ndeny_if args.y eq 1",
            "tool a\ndeny_if args.y eq 1\nrequire args.x eq 1",
        ),
        ("tool a\nrequire args.x eq 1", "tool a\ndeny"),
        ("default deny\ntool a\ntool b*", "default deny\ntool a"),
        ("default deny\ntool a", "default deny\nhide a\ntool a"),
        ("tool a\nlimit c 5/60", "tool a\nlimit c 4/60\nlimit d 1/60"),
        ("tool a\nvalidate required_args", "tool a\nvalidate schema"),
        ("tool a\napprove args.x eq 1", "tool a\napprove"),
        ("mode shadow\ntool a\ndeny", ""),
        ("", "default deny"),
        ("", "tool a\nrequire args.x eq 1"),
        ("tool a\nshadow deny", "tool a"),
        (
            "tool a*\nrequire args.x eq 1",
            "tool a*\nrequire args.x eq 1\ntool ab\nrequire args.x eq 1",
        ),
    ] {
        assert_eq!(told(old, new), "", "{old} → {new}");
    }
}

#[test]
fn what_may_be_looser_is_named() {
    for (old, new, expected) in [
        (
            "default deny",
            "",
            "tools that the policy does not name are allowed",
        ),
        ("", "mode shadow", "denials are only recorded, not carried out"),
        (
            "methods deny",
            "",
            "methods that the policy does not name are allowed",
        ),
        (
            "methods deny",
            "methods deny\nmethod x",
            "method `x` is newly listed",
        ),
        ("default deny", "default deny\ntool a", "tool `a` is newly listed"),
        (
            "default deny",
            "default deny\ntool a*",
            "tool `a*` is newly listed",
        ),
        ("hide x*\nhide y", "hide y", "`x*` is no longer hidden"),
        (
            "tool a\ndeny",
            "tool a",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool a\ndeny",
            "",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool a\ndeny",
            "tool a\nshadow deny",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool *\ndeny",
            "",
            "all tools: rule `/*/0` is gone, or asks for something else",
        ),
        (
            "tool a\nrequire args.x eq 1",
            "tool a\nrequire args.x eq 2",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool a\nrequire args.x glob \"a*\"",
            "tool a\nrequire args.x glob \"b*\"",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool a\nrequire args.x glob \"a*b\"",
            "tool a\nrequire args.x glob \"a*c\"",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool a\nrequire external 1",
            "tool a\nrequire external 1",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool a\nvalidate schema",
            "tool a\nvalidate required_args",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool a\napprove",
            "tool a\napprove args.x eq 1",
            "tool `a`: rule `/a/0` is gone, or asks for something else",
        ),
        (
            "tool a\nlimit c 5/60",
            "tool a\nlimit c 6/60",
            "tool `a`: limit `/a/0` is gone, or may let more through",
        ),
        (
            "tool a\nlimit c 5/60",
            "tool a\nlimit c 5/30",
            "tool `a`: limit `/a/0` is gone, or may let more through",
        ),
        (
            "tool a\nlimit c 5/60",
            "tool a\nlimit d 5/60",
            "tool `a`: limit `/a/0` is gone, or may let more through",
        ),
        (
            "tool a\nlimit c 5/60",
            "tool a\nlimit c 5/60 session",
            "tool `a`: limit `/a/0` is gone, or may let more through",
        ),
        (
            "tool a\nconcurrent 1",
            "tool a\nconcurrent 2",
            "tool `a`: limit `/a/0` is gone, or may let more through",
        ),
        // A tool falls to the glob that its key stood before, or to a new key.
        (
            "tool a*\ntool ab\ndeny",
            "tool a*",
            "tool `ab`: rule `/ab/0` is gone, or asks for something else",
        ),
        (
            "tool a*\ndeny",
            "tool a*\ndeny\ntool ab",
            "tool `ab`: rule `/a*/0` is gone, or asks for something else",
        ),
        (
            "tool a*\ndeny",
            "tool ab*\ntool a*\ndeny",
            "tool `a*`: rule `/a*/0` is gone, or asks for something else",
        ),
        (
            "default deny\ntool ab*\ndeny\ntool a*",
            "default deny\ntool a*",
            "tool `ab*`: rule `/ab*/0` is gone, or asks for something else",
        ),
    ] {
        assert_eq!(told(old, new), expected, "{old} → {new}");
    }
}
