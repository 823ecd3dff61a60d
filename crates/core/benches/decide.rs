//! What one decision costs, and that it does not grow with the policy.
//!
//! With the arguments `count RULES TIMES` it makes so many decisions and does nothing else, for
//! `cargo xtask instructions`, which counts them.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has to stop")]

use callgate_core::amount::Amount;
use callgate_core::call::{Call, Caller, ListedTool, Listing, Scene, WallTime};
use callgate_core::condition::{Condition, Operator, Test};
use callgate_core::decide;
use callgate_core::decimal::Decimal;
use callgate_core::decision::Decision;
use callgate_core::json::Json;
use callgate_core::limit::Window;
use callgate_core::name::{CounterName, GrantId, RuleId, ServerName, ToolName};
use callgate_core::path::{Path, Root, Segment};
use callgate_core::program::{
    AmountSource, Label, LimitKind, LimitRule, Mode, Program, Rule, RuleKind, Scope, ToolPart, ToolRules,
};
use divan::{Bencher, black_box};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["count", rules, times] => count(rules.parse().unwrap(), times.parse().unwrap()),
        _ => divan::main(),
    }
}

fn count(rules: usize, times: usize) {
    let program = program(rules, &[]);
    with_call(&program, |call| {
        for _ in 0..times {
            let _ = black_box(decide(black_box(&program), black_box(call)));
        }
    });
}

fn label(id: &str) -> Label {
    Label {
        id: RuleId::new(id),
        name: None,
        on_deny: None,
        mode: Mode::Enforce,
    }
}

fn amount() -> Path {
    Path {
        root: Root::Args,
        segments: vec![Segment::Key("amount".into())],
    }
}

fn limit(counter: &str, amount: AmountSource) -> LimitRule {
    LimitRule {
        label: label("/limit"),
        counter: CounterName::new(counter).unwrap(),
        tool: ToolPart::Called,
        scope: Scope::Grant,
        kind: LimitKind::Window {
            window: Window::Sliding(Duration::from_secs(3_600)),
            amount,
            max: Some(Amount::units(1_000)),
            min: None,
        },
    }
}

/// Under default deny, a rule for each of so many tools.
fn program(tools: usize, limits: &[LimitRule]) -> Program {
    let mut program = Program::deny_all();
    for index in 0..tools {
        let test = Test {
            path: amount(),
            spelled: "args.amount".into(),
            operator: Operator::Lte(Decimal::from_u64(50_000)),
        };
        let rules = ToolRules {
            rules: vec![Rule {
                label: label("/rule"),
                kind: RuleKind::Require(Condition::All(vec![Condition::Test(test)])),
            }],
            limits: limits.to_vec(),
            ..ToolRules::default()
        };
        program.exact.insert(
            ToolName::new(&format!("tool_number_{index:04}")).unwrap(),
            Arc::new(rules),
        );
    }
    program
}

fn measure(bencher: Bencher<'_, '_>, program: &Program) {
    with_call(program, |call| {
        bencher.bench_local(|| decide(black_box(program), black_box(call)));
    });
}

/// Hands over a call that passes, of the tool in the middle of a program.
fn with_call(program: &Program, then: impl FnOnce(&Call<'_>)) {
    let name = program.exact.keys().nth(program.exact.len() / 2).unwrap().clone();
    let server = ServerName::new("shop").unwrap();
    let caller = Caller {
        grant: GrantId::new("local").unwrap(),
        label: "local".into(),
        issuer: None,
        subject: None,
        claims: Json::Null,
    };
    let listed = ListedTool {
        name: name.clone(),
        input_schema: None,
        required: Vec::new(),
        annotations: Json::Null,
        class: None,
    };
    let arguments = Json::Object(vec![
        (Cow::Borrowed("customer"), Json::String(Cow::Borrowed("c-17"))),
        (Cow::Borrowed("amount"), Json::Number(Cow::Borrowed("199.95"))),
    ]);
    let call = Call {
        scene: Scene {
            server: &server,
            caller: &caller,
            session: None,
            now: WallTime(1_795_228_200_000),
        },
        tool: name.as_str(),
        listing: Listing::Listed(&listed),
        arguments: Some(&arguments),
    };
    assert!(
        matches!(decide(program, &call), Decision::Admit(_)),
        "the benchmark's call passes"
    );
    then(&call);
}

#[divan::bench]
fn one_rule(bencher: Bencher<'_, '_>) {
    measure(bencher, &program(1, &[]));
}

#[divan::bench]
fn thousand_rules_over_thousand_tools(bencher: Bencher<'_, '_>) {
    measure(bencher, &program(1_000, &[]));
}

#[divan::bench]
fn one_rule_and_two_limits(bencher: Bencher<'_, '_>) {
    let limits = [
        limit("calls", AmountSource::Fixed(Amount::ONE)),
        limit("spend", AmountSource::Argument(amount())),
    ];
    measure(bencher, &program(1, &limits));
}
