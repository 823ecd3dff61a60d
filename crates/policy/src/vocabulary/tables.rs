//! The tables themselves.

use super::Takes::{
    Anything, Boolean, Cel, Duration, List, Named, Number, OneOf, Path, Rate, Text, Whole, Window, Words,
};
use super::{Table, Takes, Word};

const fn word(key: &'static str, takes: Takes, about: &'static str) -> Word {
    Word { key, about, takes }
}

const MODES: Takes = Words(&["enforce", "shadow"]);

/// A whole policy.
pub(crate) static DOCUMENT: Table = Table {
    called: "a policy",
    name: "policy",
    about: "A policy: what callers may do with the tools of one MCP server.",
    keys: &[
        word(
            "version",
            OneOf(&[Words(&["1"]), Whole]),
            "The version of the language: \"1\".",
        ),
        word(
            "description",
            Text,
            "What the policy is for, in a person's words.",
        ),
        word(
            "default",
            Words(&["deny", "allow"]),
            "What happens to tools that `tools` does not name. Without it they are allowed.",
        ),
        word(
            "mode",
            MODES,
            "`shadow` records what the policy would deny, and denies nothing.",
        ),
        word("timeout", Duration, "How long an answer may take; at most 1 h."),
        word(
            "hide",
            List(&Text),
            "Tools, by name or glob, that are left out of `tools/list` and denied.",
        ),
        word(
            "tools",
            Named(&Takes::Table(&TOOL)),
            "What is asked of each tool, by name or glob. `\"*\"` applies to all tools besides their own.",
        ),
        word(
            "all_tools",
            Takes::Table(&TOOL),
            "What is asked of every tool besides its own.",
        ),
        word(
            "methods",
            Named(&Takes::Table(&METHOD)),
            "What is asked of methods that are no tool calls, by name or glob, such as `resources/read`.",
        ),
        word(
            "approvals",
            Anything,
            "Kept, but not in force; use `require_approval`.",
        ),
    ],
};

/// What is asked of one tool.
pub(crate) static TOOL: Table = Table {
    called: "a tool",
    name: "tool",
    about: "What is asked of the calls of a tool. An empty mapping lists the tool and asks nothing.",
    keys: &[
        word("description", Text, "A note for people."),
        word(
            "mode",
            MODES,
            "`shadow` records what the tool's rules would deny, and denies nothing.",
        ),
        word(
            "timeout",
            Duration,
            "How long this tool's answer may take; at most 1 h.",
        ),
        word(
            "validate",
            OneOf(&[Words(&["required_args", "schema"]), Takes::Table(&VALIDATE)]),
            "Checks the arguments against the tool's own input schema.",
        ),
        word(
            "rules",
            List(&Takes::Table(&RULE)),
            "Rules in order; the first denial decides.",
        ),
        word(
            "deny_if",
            OneOf(&[Takes::Table(&DENY_ENTRY), List(&Takes::Table(&DENY_ENTRY))]),
            "Denials: each applies where all of its conditions hold.",
        ),
        word(
            "require",
            OneOf(&[Takes::Table(&REQUIRE_ENTRY), List(&Takes::Table(&REQUIRE_ENTRY))]),
            "Conditions that must hold, or the call is denied.",
        ),
        word(
            "require_approval",
            OneOf(&[
                Boolean,
                Takes::Table(&APPROVAL_ENTRY),
                List(&Takes::Table(&APPROVAL_ENTRY)),
            ]),
            "Holds the call for a person: `true` for every call, or where all conditions of an entry hold.",
        ),
        word(
            "limits",
            OneOf(&[Takes::Table(&LIMIT), List(&Takes::Table(&LIMIT))]),
            "Limits on calls, sums of an argument, or calls in flight.",
        ),
        word(
            "spend",
            Takes::Table(&SPEND),
            "A budget on one argument, in short.",
        ),
        word(
            "record",
            List(&Path),
            "Arguments whose values the ledger may keep.",
        ),
    ],
};

/// What is asked of one method.
pub(crate) static METHOD: Table = Table {
    called: "a method",
    name: "method",
    about: "What is asked of a method that is no tool call. Paths start at `uri`, `name` or `params`.",
    keys: &[
        word("description", Text, "A note for people."),
        word(
            "mode",
            MODES,
            "`shadow` records what would be denied, and denies nothing.",
        ),
        word("timeout", Duration, "How long the answer may take; at most 1 h."),
        word(
            "rules",
            List(&Takes::Table(&RULE)),
            "Rules in order; the first denial decides.",
        ),
        word(
            "deny_if",
            OneOf(&[Takes::Table(&DENY_ENTRY), List(&Takes::Table(&DENY_ENTRY))]),
            "Denials: each applies where all of its conditions hold.",
        ),
        word(
            "require",
            OneOf(&[Takes::Table(&REQUIRE_ENTRY), List(&Takes::Table(&REQUIRE_ENTRY))]),
            "Conditions that must hold, or the request is denied.",
        ),
        word(
            "limits",
            OneOf(&[Takes::Table(&LIMIT), List(&Takes::Table(&LIMIT))]),
            "Limits on requests.",
        ),
    ],
};

/// One rule of a list of rules.
pub(crate) static RULE: Table = Table {
    called: "a rule",
    name: "rule",
    about: "One rule of a tool.",
    keys: &[
        word("name", Text, "What the rule is called in denials and records."),
        word(
            "action",
            Words(&["evaluate", "allow", "deny", "require_approval"]),
            "`evaluate` (the default) and `allow` ask that all conditions hold; `deny` denies every call; `require_approval` holds calls for a person where all conditions hold.",
        ),
        word(
            "mode",
            MODES,
            "`shadow` records what the rule would deny, and denies nothing.",
        ),
        word("conditions", List(&Takes::Table(&CONDITION)), "All must hold."),
        word("when", Cel, "A CEL expression: one more condition."),
        word(
            "rate_limit",
            OneOf(&[Rate, Takes::Table(&RATE_LIMIT)]),
            "At most so many calls in any window.",
        ),
        word(
            "state",
            Takes::Table(&STATE),
            "A counter that each admitted call adds to.",
        ),
        word(
            "validate",
            OneOf(&[Words(&["required_args", "schema"]), Takes::Table(&VALIDATE)]),
            "Checks the arguments against the tool's own input schema.",
        ),
        word("on_deny", Text, "What the agent is told when the rule denies."),
        word("reason", Text, "The same as `on_deny`."),
        word(
            "approval_timeout",
            Duration,
            "How long a hold waits for a person; at most 7 days.",
        ),
    ],
};

/// One condition, or a group of them.
pub(crate) static CONDITION: Table = Table {
    called: "a condition",
    name: "condition",
    about: "`path`, `op` and `value`; or one group `all`, `any`, `not`; or `when` with a CEL expression.",
    keys: &[
        word(
            "path",
            Path,
            "Where the value is: `args.a.b`, `args.items[*].price`, `args[\"a.b\"]`, `caller.label`, `tool.annotations.readOnlyHint`, `time.hour`, `state.TOOL.COUNTER`.",
        ),
        word("op", Words(crate::lower::OPERATORS), "How it is compared."),
        word("value", Anything, "What it is compared with."),
        word("all", List(&Takes::Table(&CONDITION)), "All of these hold."),
        word(
            "any",
            List(&Takes::Table(&CONDITION)),
            "At least one of these holds.",
        ),
        word(
            "not",
            OneOf(&[Takes::Table(&CONDITION), List(&Takes::Table(&CONDITION))]),
            "This does not hold; of a list, not all do.",
        ),
        word("when", Cel, "A CEL expression that must be true."),
    ],
};

/// One entry of `require`.
pub(crate) static REQUIRE_ENTRY: Table = Table {
    called: "an entry of `require`",
    name: "require",
    about: "A condition that must hold; or several, with a name and a message.",
    keys: &[
        word("name", Text, "What the entry is called in denials and records."),
        word(
            "mode",
            MODES,
            "`shadow` records what the entry would deny, and denies nothing.",
        ),
        word("path", Path, "Where the value is, for a single condition."),
        word("op", Words(crate::lower::OPERATORS), "How it is compared."),
        word("value", Anything, "What it is compared with."),
        word("all", List(&Takes::Table(&CONDITION)), "All of these hold."),
        word(
            "any",
            List(&Takes::Table(&CONDITION)),
            "At least one of these holds.",
        ),
        word(
            "not",
            OneOf(&[Takes::Table(&CONDITION), List(&Takes::Table(&CONDITION))]),
            "This does not hold; of a list, not all do.",
        ),
        word("conditions", List(&Takes::Table(&CONDITION)), "All must hold."),
        word("when", Cel, "A CEL expression: one more condition."),
        word("on_deny", Text, "What the agent is told when it does not hold."),
        word("reason", Text, "The same as `on_deny`."),
    ],
};

/// One entry of `deny_if`.
pub(crate) static DENY_ENTRY: Table = Table {
    called: "an entry of `deny_if`",
    name: "deny_if",
    about: "Denies where all of its conditions hold.",
    keys: &[
        word("name", Text, "What the entry is called in denials and records."),
        word(
            "mode",
            MODES,
            "`shadow` records what the entry would deny, and denies nothing.",
        ),
        word(
            "conditions",
            List(&Takes::Table(&CONDITION)),
            "All must hold for the denial.",
        ),
        word("when", Cel, "A CEL expression: one more condition."),
        word("on_deny", Text, "What the agent is told."),
        word("reason", Text, "The same as `on_deny`."),
    ],
};

/// One entry of `require_approval`.
pub(crate) static APPROVAL_ENTRY: Table = Table {
    called: "an entry of `require_approval`",
    name: "require_approval",
    about: "Holds the call for a person where all of its conditions hold; without conditions, every call.",
    keys: &[
        word("name", Text, "What the entry is called in denials and records."),
        word(
            "mode",
            MODES,
            "`shadow` records what would be held, and holds nothing.",
        ),
        word(
            "conditions",
            List(&Takes::Table(&CONDITION)),
            "All must hold for the hold.",
        ),
        word("when", Cel, "A CEL expression: one more condition."),
        word(
            "approval_timeout",
            Duration,
            "How long a hold waits for a person; at most 7 days.",
        ),
        word("on_deny", Text, "What the agent is told when nobody says yes."),
        word("reason", Text, "The same as `on_deny`."),
    ],
};

/// One limit.
pub(crate) static LIMIT: Table = Table {
    called: "a limit",
    name: "limit",
    about: "At most `max` calls, or at most `max` as a sum of an argument, in any `window`; or at most so many calls in flight.",
    keys: &[
        word("name", Text, "What the limit is called in denials and records."),
        word(
            "mode",
            MODES,
            "`shadow` records what the limit would deny, and denies nothing.",
        ),
        word(
            "counter",
            Text,
            "The name of its history; a reload keeps it. Without one it is made from the limit.",
        ),
        word(
            "window",
            Window,
            "How far the limit looks back: `minute`, `hour`, `day`, seconds, or `90s`, `15m`, `6h`, `1d`.",
        ),
        word("max", Number, "At most so many calls, or so much, in any window."),
        word(
            "amount",
            OneOf(&[Path, Number]),
            "The argument that is summed, or what each call costs. Without it each call counts 1.",
        ),
        word(
            "concurrent",
            Whole,
            "At most so many calls in flight, instead of `window` and `max`.",
        ),
        word(
            "scope",
            OneOf(&[Words(&["grant", "session", "tool", "server", "global"]), Path]),
            "Whose calls share the limit; `grant` if left out. A path counts apart for each value of that argument.",
        ),
        word(
            "align",
            Words(&["sliding", "calendar"]),
            "`calendar` counts by UTC's minute, hour or day, and lets up to twice `max` through around a boundary.",
        ),
        word(
            "on_deny",
            Text,
            "What the agent is told when the limit is used up.",
        ),
        word("reason", Text, "The same as `on_deny`."),
    ],
};

/// The catalogue's form of a rate limit.
pub(crate) static RATE_LIMIT: Table = Table {
    called: "a rate limit",
    name: "rate_limit",
    about: "At most `max` calls in any `window`, a session.",
    keys: &[
        word("max", Whole, "At most so many calls."),
        word(
            "window",
            Window,
            "In any so many seconds, or `minute`, `hour`, `day`, `90s`.",
        ),
        word(
            "scope",
            OneOf(&[Words(&["grant", "session", "tool", "server", "global"]), Path]),
            "Whose calls share the limit; `session` if left out.",
        ),
    ],
};

/// A counter of the rules shape.
pub(crate) static STATE: Table = Table {
    called: "a `state` block",
    name: "state",
    about: "A counter that each admitted call adds to, and that conditions read as `state.TOOL.COUNTER`.",
    keys: &[
        word("counter", Text, "Its name."),
        word("window", Window, "How far it looks back."),
        word("increment", Number, "What each call adds; 1 if left out."),
        word(
            "increment_from",
            Path,
            "The argument whose value each call adds, instead of `increment`.",
        ),
    ],
};

/// A budget in short.
pub(crate) static SPEND: Table = Table {
    called: "a `spend` block",
    name: "spend",
    about: "A budget on the argument at `amount`: at most `per_call` a call, at most `daily` in any 24 hours.",
    keys: &[
        word("amount", Path, "The argument that holds the amount."),
        word("per_call", Number, "The most that one call may spend."),
        word(
            "daily",
            Number,
            "The most that the calls of a grant may spend in any day.",
        ),
        word("on_deny", Text, "What the agent is told."),
        word("reason", Text, "The same as `on_deny`."),
    ],
};

/// How far arguments are checked.
pub(crate) static VALIDATE: Table = Table {
    called: "a `validate` block",
    name: "validate",
    about: "Which checks against the tool's own input schema are made.",
    keys: &[
        word(
            "required_args",
            Boolean,
            "Each argument that the schema requires is there.",
        ),
        word("schema", Boolean, "The arguments fit all of the schema."),
    ],
};
