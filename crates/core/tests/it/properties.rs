//! What holds for any policy and any call.

use crate::dsl::{World, condition, json, label, policy};
use callgate_core::condition::{CheckId, Condition};
use callgate_core::decide::{Recorder, decide_traced};
use callgate_core::decision::Decision;
use callgate_core::json::Json;
use callgate_core::program::{Default as Unnamed, Program, Rule, RuleKind, ToolRules};
use callgate_core::refusal::Reason;
use callgate_core::{decide, visible};
use proptest::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

fn value() -> impl Strategy<Value = Json<'static>> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        prop_oneof!["-?[0-9]{1,3}(\\.[0-9]{1,3})?", "[1-9][0-9]{15,42}"]
            .prop_filter(
                "no leading zero",
                |text: &String| callgate_core::decimal::Decimal::parse(text).is_ok() || text.len() > 40
            )
            .prop_map(|text| Json::Number(Cow::Owned(text))),
        prop_oneof![
            Just("a"),
            Just("b"),
            Just("/srv/a"),
            Just("/srv/../a"),
            Just("http://a.com"),
            Just("10.0.0.1")
        ]
        .prop_map(|text| Json::String(Cow::Borrowed(text))),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
            arguments_of(inner),
        ]
    })
}

fn arguments_of(value: impl Strategy<Value = Json<'static>>) -> impl Strategy<Value = Json<'static>> {
    proptest::collection::btree_map(prop_oneof![Just("a"), Just("b"), Just("i")], value, 0..3).prop_map(
        |members| {
            Json::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (Cow::Borrowed(key), value))
                    .collect(),
            )
        },
    )
}

fn leaf() -> impl Strategy<Value = Condition> {
    let paths = prop_oneof![
        Just("args.a"),
        Just("args.b"),
        Just("args.a.b"),
        Just("args.i[*]"),
        Just("args.i[0]"),
        Just("caller.label"),
        Just("tool.class")
    ];
    let tests = prop_oneof![
        Just("eq 1"),
        Just("neq \"a\""),
        Just("in [1, \"a\"]"),
        Just("not_in [\"b\"]"),
        Just("lt 5"),
        Just("gte 10"),
        Just("regex \"a\""),
        Just("contains \"a\""),
        Just("exists true"),
        Just("exists false"),
        Just("starts_with \"a\""),
        Just("path_under \"/srv\""),
        Just("host_in \"a.com\""),
        Just("cidr \"10.0.0.0/8\""),
        Just("length [1, 2]"),
        Just("eq null"),
    ];
    (paths, tests).prop_map(|(path, test)| condition(&format!("{path} {test}")))
}

fn any_condition() -> impl Strategy<Value = Condition> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn any_rule() -> impl Strategy<Value = RuleKind> {
    prop_oneof![
        any_condition().prop_map(RuleKind::Require),
        any_condition().prop_map(RuleKind::DenyIf),
    ]
}

fn program(kinds: &[RuleKind]) -> Program {
    let mut program = policy("tool t\nlimit calls 5/60\nconcurrent 3");
    let mut rules: ToolRules = (**program.exact.values().next().unwrap()).clone();
    rules.rules = kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| Rule {
            label: label(&format!("/{index}")),
            kind: kind.clone(),
        })
        .collect();
    let rules = Arc::new(rules);
    program.exact = program
        .exact
        .keys()
        .map(|name| (name.clone(), Arc::clone(&rules)))
        .collect();
    program
}

fn judge(program: &Program, arguments: &Json<'_>) -> Decision {
    let world = World::new(&["t"]);
    decide(program, &world.call("t", Some(arguments)))
}

fn count_leaves(condition: &Condition) -> usize {
    match condition {
        Condition::All(members) | Condition::Any(members) => members.iter().map(count_leaves).sum(),
        Condition::Not(member) => count_leaves(member),
        Condition::Test(_) | Condition::External(_) => 1,
    }
}

/// The condition with its leaf number `which` replaced by one that cannot be evaluated.
fn broken(condition: &Condition, which: &mut usize) -> Condition {
    let mut all = |members: &[Condition]| members.iter().map(|member| broken(member, which)).collect();
    match condition {
        Condition::All(members) => Condition::All(all(members)),
        Condition::Any(members) => Condition::Any(all(members)),
        Condition::Not(member) => Condition::Not(Box::new(broken(member, which))),
        Condition::Test(_) | Condition::External(_) => {
            let this = *which == 0;
            *which = which.wrapping_sub(1);
            if this {
                Condition::External(CheckId(0))
            } else {
                condition.clone()
            }
        }
    }
}

fn admits(decision: &Decision) -> bool {
    matches!(decision, Decision::Admit(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn default_deny_holds_for_any_call_that_nothing_lists(arguments in arguments_of(value()), rules in proptest::collection::vec(any_rule(), 0..3)) {
        let mut program = program(&rules);
        program.default = Unnamed::Deny;
        program.everywhere = program.exact.values().next().unwrap().clone();
        let world = World::new(&["other"]);
        let decision = decide(&program, &world.call("other", Some(&arguments)));
        prop_assert!(matches!(decision, Decision::Deny(refusal) if refusal.reason == Reason::NotInPolicy));
        prop_assert!(!visible(&program, world.scene(), &crate::dsl::tool("other")));
        prop_assert!(!admits(&decide(&Program::deny_all(), &world.call("other", Some(&arguments)))));
    }

    #[test]
    fn an_error_never_widens(rules in proptest::collection::vec(any_rule(), 1..4), rule in any::<usize>(), which in any::<usize>(), arguments in arguments_of(value())) {
        let before = judge(&program(&rules), &arguments);
        let mut rules = rules;
        let at = rule % rules.len();
        rules[at] = match &rules[at] {
            RuleKind::Require(condition) => RuleKind::Require(broken(condition, &mut (which % count_leaves(condition)))),
            RuleKind::DenyIf(condition) => RuleKind::DenyIf(broken(condition, &mut (which % count_leaves(condition)))),
            RuleKind::Deny => RuleKind::Deny,
        };
        let after = judge(&program(&rules), &arguments);
        prop_assert!(!admits(&after), "{before:?} became {after:?}");
    }

    #[test]
    fn one_more_rule_never_widens(rules in proptest::collection::vec(any_rule(), 0..3), more in any_rule(), at in any::<usize>(), arguments in arguments_of(value())) {
        let before = judge(&program(&rules), &arguments);
        let mut longer = rules.clone();
        longer.insert(at % (rules.len() + 1), more);
        if !admits(&before) {
            prop_assert!(!admits(&judge(&program(&longer), &arguments)));
        }
    }

    #[test]
    fn whether_a_call_passes_does_not_depend_on_the_order_of_rules_groups_or_keys(rules in proptest::collection::vec(any_rule(), 0..4), arguments in arguments_of(value())) {
        let forwards = judge(&program(&rules), &arguments);
        let turned: Vec<RuleKind> = rules.iter().rev().map(|kind| match kind {
            RuleKind::Require(condition) => RuleKind::Require(turned(condition)),
            RuleKind::DenyIf(condition) => RuleKind::DenyIf(turned(condition)),
            RuleKind::Deny => RuleKind::Deny,
        }).collect();
        let Json::Object(mut members) = arguments else { panic!("arguments are an object") };
        members.reverse();
        let backwards = judge(&program(&turned), &Json::Object(members));
        prop_assert_eq!(admits(&forwards), admits(&backwards));
    }

    #[test]
    fn require_and_deny_if_of_the_opposite_deny_at_least_alike(condition in any_condition(), arguments in arguments_of(value())) {
        // `deny_if: not c` lets missing pass, and is else what `require: c` is.
        let require = judge(&program(&[RuleKind::Require(condition.clone())]), &arguments);
        let deny_if = judge(&program(&[RuleKind::DenyIf(Condition::Not(Box::new(condition)))]), &arguments);
        if admits(&require) {
            prop_assert!(admits(&deny_if), "{deny_if:?}");
        }
    }

    #[test]
    fn a_condition_and_its_opposite_never_both_pass(condition in any_condition(), arguments in arguments_of(value())) {
        let opposite = Condition::Not(Box::new(condition.clone()));
        let both = judge(&program(&[RuleKind::Require(condition), RuleKind::Require(opposite)]), &arguments);
        prop_assert!(!admits(&both));
    }

    #[test]
    fn what_is_never_callable_is_not_listed_and_what_is_left_out_is_not_callable(rules in proptest::collection::vec(any_rule(), 0..3), arguments in arguments_of(value())) {
        let program = program(&rules);
        let world = World::new(&["t"]);
        if !visible(&program, world.scene(), &crate::dsl::tool("t")) {
            prop_assert!(!admits(&judge(&program, &arguments)));
        }
    }

    #[test]
    fn a_trace_changes_nothing_and_ends_with_the_rule_that_decides(rules in proptest::collection::vec(any_rule(), 0..3), arguments in arguments_of(value())) {
        let program = program(&rules);
        let world = World::new(&["t"]);
        let mut trace = Recorder::default();
        let traced = decide_traced(&program, &world.call("t", Some(&arguments)), &mut trace);
        prop_assert_eq!(&traced, &judge(&program, &arguments));
        match traced {
            Decision::Deny(refusal) => prop_assert_eq!(trace.steps.last().and_then(|step| step.refused.clone()), Some(refusal)),
            Decision::Admit(admission) => {
                prop_assert!(trace.steps.iter().all(|step| step.refused.is_none()));
                prop_assert_eq!((admission.reservations.len(), admission.slots.len()), (1, 1));
            }
        }
    }
}

fn turned(condition: &Condition) -> Condition {
    match condition {
        Condition::All(members) => Condition::All(members.iter().rev().map(turned).collect()),
        Condition::Any(members) => Condition::Any(members.iter().rev().map(turned).collect()),
        Condition::Not(member) => Condition::Not(Box::new(turned(member))),
        Condition::Test(_) | Condition::External(_) => condition.clone(),
    }
}

#[test]
fn a_call_without_arguments_misses_what_is_required() {
    let world = World::new(&["t"]);
    let decision = decide(&policy("tool t\nvalidate required_args"), &world.call("t", None));
    assert!(matches!(decision, Decision::Deny(refusal) if refusal.reason == Reason::ArgumentsInvalid));
    let given = json(r#"{"id": null}"#);
    let decision = decide(
        &policy("tool t\nvalidate required_args"),
        &world.call("t", Some(&given)),
    );
    assert!(admits(&decision));
    let decision = decide(&policy("tool t\nvalidate schema"), &world.call("t", Some(&given)));
    assert!(matches!(decision, Decision::Deny(refusal) if refusal.reason == Reason::ArgumentsInvalid));
}
