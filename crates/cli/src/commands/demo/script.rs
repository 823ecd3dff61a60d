//! What the demo's agent asks for, in order.

use serde_json::{Value, json};

/// One call of the agent.
pub(super) struct Ask {
    pub(super) tool: &'static str,
    /// What it comes to, in a few words.
    pub(super) gist: &'static str,
    pub(super) arguments: Value,
}

const fn ask(tool: &'static str, gist: &'static str, arguments: Value) -> Ask {
    Ask {
        tool,
        gist,
        arguments,
    }
}

/// All of them: ordinary work, a loop that runs away, a mistake, and what should never happen.
pub(super) fn calls() -> Vec<Ask> {
    let mut calls = executions();
    calls.extend(flows());
    calls
}

fn executions() -> Vec<Ask> {
    let execute = || {
        let arguments = json!({ "workflowIdentifier": "invoice-intake", "input": { "batch": 17 } });
        ask("workflow_execute", "invoice-intake, batch 17", arguments)
    };
    let interact = |gist, action, name| {
        let arguments = json!({ "executionId": "exec-4711", "action": action, "name": name });
        ask("workflow_interact", gist, arguments)
    };
    vec![
        execute(),
        ask(
            "workflow_status",
            "exec-4711",
            json!({ "executionId": "exec-4711" }),
        ),
        interact("query progress", "query", "progress"),
        execute(),
        execute(),
        ask(
            "workflow_execute",
            "invoice-intake, no input",
            json!({ "workflowIdentifier": "invoice-intake" }),
        ),
        interact("signal terminate", "signal", "terminate"),
    ]
}

fn flows() -> Vec<Ask> {
    let flow = |gist, namespace, id| {
        ask(
            "execute_flow",
            gist,
            json!({ "namespace": namespace, "flow_id": id }),
        )
    };
    let run = |gist, cost: f64| {
        ask(
            "run_workflow",
            gist,
            json!({ "workflow": "market-scan", "max_cost_usd": cost }),
        )
    };
    vec![
        flow("nightly-report, team", "company.team", "nightly-report"),
        flow(
            "nightly-report, production",
            "company.production",
            "nightly-report",
        ),
        flow("../../admin/users, team", "company.team", "../../admin/users"),
        run("market-scan, 12.50 USD", 12.5),
        run("market-scan, 10.00 USD", 10.0),
        run("market-scan, 2.51 USD", 2.51),
        ask(
            "delete_workflow",
            "invoice-intake",
            json!({ "workflowIdentifier": "invoice-intake" }),
        ),
    ]
}
