//! The demo's server: a few workflow tools over stdio, with plausible answers. It does nothing else.

use clap::Args;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler, ServiceExt as _};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the server is started with.
#[derive(Debug, Args)]
pub(crate) struct DemoServerArgs {
    /// A file to which each call that arrives is appended
    #[arg(long, value_name = "FILE")]
    received: Option<PathBuf>,
}

/// Its tools: name, description, required and optional arguments.
pub(super) const TOOLS: [(&str, &str, &[&str], &[&str]); 6] = [
    (
        "workflow_status",
        "Where an execution stands.",
        &["executionId"],
        &[],
    ),
    (
        "workflow_execute",
        "Starts an execution of a workflow.",
        &["workflowIdentifier", "input"],
        &["waitForResult", "timeoutSeconds"],
    ),
    (
        "workflow_interact",
        "Sends a signal to a running execution, or queries it.",
        &["executionId", "action", "name"],
        &["input"],
    ),
    (
        "execute_flow",
        "Starts a flow of a namespace.",
        &["namespace", "flow_id"],
        &["inputs"],
    ),
    (
        "run_workflow",
        "Runs a workflow of many steps, up to a price.",
        &["workflow", "max_cost_usd"],
        &[],
    ),
    (
        "delete_workflow",
        "Deletes a workflow and its history.",
        &["workflowIdentifier"],
        &[],
    ),
];

/// Serves on stdin and stdout until the client leaves.
pub(crate) fn serve(args: &DemoServerArgs) -> anyhow::Result<ExitCode> {
    let server = Workflows {
        received: args.received.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let running = server.serve((tokio::io::stdin(), tokio::io::stdout())).await?;
        running.waiting().await?;
        anyhow::Ok(())
    })?;
    // A reader of stdin may be blocked for good; nothing waits for it.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

struct Workflows {
    received: Option<PathBuf>,
}

impl ServerHandler for Workflows {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_server_info(
            Implementation::new("callgate-demo-workflows", env!("CARGO_PKG_VERSION")),
        )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = TOOLS
            .iter()
            .map(|(name, about, required, optional)| Tool::new(*name, *about, schema(required, optional)));
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.note(&request.name)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let arguments = request.arguments.unwrap_or_default();
        let text = answer(&request.name, &arguments)
            .ok_or_else(|| ErrorData::invalid_params(format!("no tool {}", request.name), None))?;
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

impl Workflows {
    /// Writes down that a call arrived.
    fn note(&self, tool: &str) -> std::io::Result<()> {
        let Some(path) = &self.received else {
            return Ok(());
        };
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        writeln!(file, "{tool}")
    }
}

fn schema(required: &[&str], optional: &[&str]) -> JsonObject {
    let properties: JsonObject = required
        .iter()
        .chain(optional)
        .map(|name| ((*name).to_owned(), kind(name)))
        .collect();
    JsonObject::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), properties.into()),
        ("required".to_owned(), json!(required)),
    ])
}

fn kind(name: &str) -> Value {
    match name {
        "input" | "inputs" => json!({ "type": "object" }),
        "max_cost_usd" | "timeoutSeconds" => json!({ "type": "number" }),
        "waitForResult" => json!({ "type": "boolean" }),
        _ => json!({ "type": "string" }),
    }
}

fn answer(tool: &str, arguments: &JsonObject) -> Option<String> {
    let given = |name: &str| match arguments.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "?".to_owned(),
    };
    Some(match tool {
        "workflow_status" => format!("{} is RUNNING, step 3 of 5", given("executionId")),
        "workflow_execute" => format!(
            "{} started as exec-{:04}: RUNNING",
            given("workflowIdentifier"),
            4711
        ),
        "workflow_interact" => format!("{}: {} answered", given("executionId"), given("name")),
        "execute_flow" => format!("{}.{} is QUEUED", given("namespace"), given("flow_id")),
        "run_workflow" => format!(
            "{} COMPLETED within {} USD",
            given("workflow"),
            given("max_cost_usd")
        ),
        "delete_workflow" => format!("{} is gone", given("workflowIdentifier")),
        _ => return None,
    })
}
