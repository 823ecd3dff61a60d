//! Tools that run as tasks, as the extension of 2026-07-28 has them.

use crate::asking::{field, question};
use crate::catalogue::typed;
use crate::handler::Reference;
use crate::tools::{said, texts};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult, ErrorData,
    InputRequest, InputRequiredResult, JsonObject,
};
use rmcp::service::RequestContext;
use rmcp::task_manager::{TaskContext, TaskExit, TaskOptions};
use serde_json::{Value, json};
use std::time::Duration;

/// All tools of this module.
pub(crate) const TOOLS: [&str; 7] = [
    "greet",
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];
/// Those that cannot answer a client without tasks.
const NEEDING_TASKS: [&str; 4] = [
    "failing_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];
/// How long a short task takes.
const SHORTLY: Duration = Duration::from_millis(200);
/// How long a task takes that is to be seen at work.
const A_WHILE: Duration = Duration::from_secs(1);

/// Answers a call of a tool of this module.
pub(crate) fn call(
    server: &Reference,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let name = request.name.as_ref();
    let declared = context.client_capabilities().unwrap_or_default();
    let argument = |key: &str| {
        request
            .arguments
            .as_ref()
            .and_then(|arguments| arguments.get(key))
    };
    if name == "greet" {
        let whom = argument("name").and_then(Value::as_str).unwrap_or("nobody");
        return said(&format!("Hello, {whom}!"));
    }
    if !declared.supports_tasks() {
        if NEEDING_TASKS.contains(&name) {
            let needed = ClientCapabilities::builder().enable_tasks().build();
            return Err(ErrorData::missing_required_client_capability(needed));
        }
        return at_once(name);
    }
    match name {
        "slow_compute" => {
            let seconds = argument("seconds")
                .and_then(Value::as_f64)
                .unwrap_or(1.0)
                .clamp(0.0, 600.0);
            Ok(begin(server, move |task| {
                slow(task, Duration::from_secs_f64(seconds))
            }))
        }
        "failing_job" => Ok(begin(server, |_| async {
            tokio::time::sleep(A_WHILE).await;
            Ok(CallToolResult::error(texts(
                "the job has failed, as it always does",
            )?))
        })),
        "protocol_error_job" => Ok(begin(server, |_| async {
            tokio::time::sleep(SHORTLY).await;
            Err(ErrorData::internal_error("the job has broken, as it always does", None).into())
        })),
        "confirm_delete" => {
            let file = argument("filename")
                .and_then(Value::as_str)
                .unwrap_or("a file")
                .to_owned();
            Ok(begin(server, move |task| async move {
                let asked = question(&format!("Delete {file}?"), "confirm", "boolean");
                let answer = ask(&task, "confirm", asked).await?;
                let is_confirmed = answer["content"]["confirm"] == true;
                done(&format!(
                    "{file} was {}deleted",
                    if is_confirmed { "" } else { "not " }
                ))
            }))
        }
        "multi_input" => Ok(begin(server, |task| async move {
            let first = ask(&task, "first", question("The first value?", "value", "string"));
            let second = ask(&task, "second", question("The second value?", "value", "string"));
            let (first, second) = tokio::join!(first, second);
            let (first, second) = (filled(&first?, "value"), filled(&second?, "value"));
            done(&format!("The values are {first} and {second}"))
        })),
        _ => {
            let responses = request.input_responses.as_ref();
            let Some(answer) = responses
                .and_then(|all| all.get("user_name"))
                .and_then(Value::as_object)
            else {
                let requests = json!({"user_name": question("What is your name?", "name", "string")});
                let required = json!({"resultType": "input_required", "inputRequests": requests});
                return Ok(typed::<InputRequiredResult>(required)?.into());
            };
            let whom = field(answer, "name");
            Ok(begin(server, move |_| async move {
                tokio::time::sleep(SHORTLY).await;
                done(&format!("Hello, {whom}!"))
            }))
        }
    }
}

/// The answer for a client without tasks.
fn at_once(name: &str) -> Result<CallToolResponse, ErrorData> {
    match name {
        "slow_compute" => said("It is computed"),
        _ => Err(ErrorData::internal_error(
            "the job has broken, as it always does",
            None,
        )),
    }
}

fn begin<F>(server: &Reference, work: impl FnOnce(TaskContext) -> F) -> CallToolResponse
where
    F: Future<Output = Result<CallToolResult, TaskExit>> + Send + 'static,
{
    let task = server
        .tasks
        .spawn(TaskOptions::default(), |context| Box::pin(work(context)));
    CreateTaskResult::new(task).into()
}

async fn slow(task: TaskContext, long: Duration) -> Result<CallToolResult, TaskExit> {
    tokio::select! {
        () = task.cancelled() => Err(TaskExit::Cancelled),
        () = tokio::time::sleep(long) => done("It is computed"),
    }
}

async fn ask(task: &TaskContext, key: &str, request: Value) -> Result<Value, TaskExit> {
    task.request_input(key, typed::<InputRequest>(request)?).await
}

fn filled(answer: &Value, name: &str) -> String {
    answer
        .as_object()
        .map_or_else(String::new, |answer: &JsonObject| field(answer, name))
}

fn done(text: &str) -> Result<CallToolResult, TaskExit> {
    Ok(CallToolResult::success(texts(text)?))
}
