//! The published shapes load unchanged and come to what their pages say.
#![cfg(test)]

use callgate_core::amount::Amount;
use callgate_core::limit::Window;
use callgate_core::program::{AmountSource, Default, LimitKind, LimitRule, Scope, ToolPart, ValidationLevel};
use callgate_policy::{LoadOptions, Loaded, Shape, load};
use std::time::Duration;

fn loaded(text: &str) -> Loaded {
    load(text, &LoadOptions::default()).unwrap_or_else(|errors| {
        let shown: String = errors
            .0
            .iter()
            .map(|found| found.render("policy", text, &callgate_policy::Style::PLAIN))
            .collect();
        panic!("{shown}")
    })
}

fn limits<'l>(loaded: &'l Loaded, tool: &str) -> &'l [LimitRule] {
    &loaded.program.exact[tool].limits
}

fn assert_ten_a_minute(limit: &LimitRule, tool: &str) {
    let LimitKind::Window {
        window,
        amount,
        max,
        min,
    } = &limit.kind
    else {
        panic!("{limit:?}");
    };
    assert_eq!(*window, Window::Sliding(Duration::from_secs(60)));
    assert_eq!(*amount, AmountSource::Fixed(Amount::ONE));
    assert_eq!(*max, Some(Amount::units(10)));
    assert_eq!(*min, None);
    assert_eq!(limit.tool, ToolPart::Fixed(tool.into()));
}

#[test]
fn catalogue_pages_load_unchanged_and_limit_a_session() {
    let pages = [
        ("workflow_execute", include_str!("seeds/workflow_execute.yaml")),
        ("workflow_interact", include_str!("seeds/workflow_interact.yaml")),
    ];
    for (tool, text) in pages {
        let loaded = loaded(text);
        assert_eq!(loaded.shape, Shape::Catalogue);
        assert_eq!(loaded.program.default, Default::Allow);
        let [limit] = limits(&loaded, tool) else {
            panic!("one limit")
        };
        assert_ten_a_minute(limit, tool);
        assert_eq!(limit.scope, Scope::Session);
        assert_eq!(limit.counter.as_str(), "_rate_minute");
        let [validation] = loaded.program.exact[tool].validate.as_slice() else {
            panic!("one validation")
        };
        assert_eq!(validation.level, ValidationLevel::Required);
        assert_eq!(validation.label.id.as_str(), format!("/tools/{tool}/rules/0"));
    }
}

#[test]
fn hosted_pages_load_unchanged_and_limit_a_grant() {
    let pages = [
        ("execute_flow", include_str!("seeds/execute_flow.json")),
        ("execute_workflow", include_str!("seeds/execute_workflow.json")),
        ("run_workflow", include_str!("seeds/run_workflow.json")),
    ];
    for (tool, text) in pages {
        let loaded = loaded(text);
        assert_eq!(loaded.shape, Shape::Hosted);
        assert_eq!(loaded.program.default, Default::Deny);
        assert_eq!(loaded.program.methods.default, Default::Deny);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let [limit] = limits(&loaded, tool) else {
            panic!("one limit")
        };
        assert_ten_a_minute(limit, tool);
        assert_eq!(limit.scope, Scope::Grant);
        assert_eq!(limit.counter.as_str(), format!("{tool}_rate"));
        assert_eq!(limit.label.id.as_str(), format!("/tools/{tool}/limits/0"));
    }
}

const PAYMENTS: &str = r#"
version: "1"
description: "Payments"
default: "allow"
hide:
  - close_account
tools:
  create_charge:
    rules:
      - name: "largest charge"
        conditions:
          - path: "args.amount"
            op: "lte"
            value: 50000
        on_deny: "One charge may be at most 500.00"
      - name: "a day's charges"
        conditions:
          - path: "state.create_charge.spent"
            op: "lt"
            value: 1000000
        on_deny: "The day's budget is used up"
        state:
          counter: "spent"
          window: "day"
          increment_from: "args.amount"
  list_charges:
    rules: []
  create_refund:
    rules:
      - name: "only while charges are few"
        conditions:
          - path: "state.create_charge.spent"
            op: "lte"
            value: 10
          - path: args.reason
            op: exists
            value: true
      - name: "ask"
        action: require_approval
        approval_timeout: 15m
        conditions:
          - path: args.amount
            op: gt
            value: 100
  delete_customer:
    rules:
      - name: "never"
        action: "deny"
        on_deny: "Customers are not deleted by agents"
  "*":
    rules:
      - name: "all"
        rate_limit: 60/minute
"#;

#[test]
fn rules_files_mean_what_intercept_says() {
    let loaded = loaded(PAYMENTS);
    assert_eq!(loaded.shape, Shape::Rules);
    assert_eq!(loaded.program.methods.default, Default::Allow);
    let [spent] = limits(&loaded, "create_charge") else {
        panic!("one limit")
    };
    assert_eq!(spent.scope, Scope::Server);
    assert_eq!(spent.counter.as_str(), "spent");
    let LimitKind::Window {
        window,
        amount,
        max,
        min,
    } = &spent.kind
    else {
        panic!("{spent:?}")
    };
    assert_eq!(*window, Window::Sliding(Duration::from_secs(86_400)));
    assert!(matches!(amount, AmountSource::Argument(path) if path.to_string() == "args.amount"));
    // `lt` reads the counter with the call in it: the largest sum below 1,000,000.
    assert_eq!(
        *max,
        Amount::units(1_000_000).minus(Amount::from_billionths(1).unwrap())
    );
    assert_eq!(*min, None);

    let [look] = limits(&loaded, "create_refund") else {
        panic!("one limit")
    };
    let LimitKind::Window { amount, max, .. } = &look.kind else {
        panic!("{look:?}")
    };
    assert_eq!(*amount, AmountSource::Fixed(Amount::ZERO));
    assert_eq!(*max, Some(Amount::units(10)));
    // It looks at the very history that the other tool keeps.
    assert_eq!(
        (&look.tool, &look.counter, &look.scope),
        (&spent.tool, &spent.counter, &spent.scope)
    );
    let refund = &loaded.program.exact["create_refund"];
    assert_eq!(refund.rules.len(), 1);
    assert_eq!(refund.approvals[0].timeout, Some(Duration::from_secs(900)));

    let [all] = loaded.program.everywhere.limits.as_slice() else {
        panic!("one limit")
    };
    assert_eq!(all.tool, ToolPart::Fixed("*".into()));
    assert_eq!(all.scope, Scope::Server);
    assert!(loaded.program.exact["list_charges"].rules.is_empty());
    assert_eq!(loaded.summary.hidden, ["close_account"]);
}
