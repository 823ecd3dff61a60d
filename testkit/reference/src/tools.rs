//! Tools that answer by themselves, with messages on the way and questions to the client before 2026-07-28.

use crate::catalogue::{PNG, WAV, typed};
use crate::handler::Reference;
use crate::live;
use crate::polling::POLLED_FOR;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, ErrorData,
    InputRequiredResult,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use std::time::Duration;

/// Between two messages of a tool that sends several.
const PAUSE: Duration = Duration::from_millis(50);

/// A text as a result's content.
pub(crate) fn texts(text: &str) -> Result<Vec<ContentBlock>, ErrorData> {
    typed(json!([{"type": "text", "text": text}]))
}

/// A result of one text.
pub(crate) fn said(text: &str) -> Result<CallToolResponse, ErrorData> {
    Ok(CallToolResult::success(texts(text)?).into())
}

/// The text of a content block, or of the first of several.
pub(crate) fn text_of(content: Option<&Value>) -> String {
    let content = content.unwrap_or(&Value::Null);
    let block = content.get(0).unwrap_or(content);
    block["text"].as_str().unwrap_or("nothing").to_owned()
}

/// Answers a call.
pub(crate) async fn call(
    server: &Reference,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let argument = |key: &str| {
        let value = request
            .arguments
            .as_ref()
            .and_then(|arguments| arguments.get(key));
        value.and_then(Value::as_str)
    };
    match request.name.as_ref() {
        "test_simple_text" => said("This is a simple text response for testing."),
        "test_image_content" => shown(json!([image()])),
        "test_audio_content" => shown(json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}])),
        "test_embedded_resource" => shown(json!([resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )])),
        "test_multiple_content_types" => shown(json!([
            {"type": "text", "text": "Multiple content types test:"},
            image(),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ])),
        "test_error_handling" => {
            let content = texts("This tool intentionally returns an error for testing")?;
            Ok(CallToolResult::error(content).into())
        }
        "test_tool_with_logging" => logging(context).await,
        "test_tool_with_progress" => progress(context).await,
        "test_logging_tool" => {
            if let Some(level) = context.meta.log_level() {
                let note =
                    json!({"level": level, "logger": "reference", "data": "the request asked for this"});
                notify_log(context, note).await?;
            }
            said("Whether something was logged is up to the request")
        }
        "test_reconnection" => {
            tokio::time::sleep(POLLED_FOR).await;
            said("The result came after the stream was taken up again")
        }
        "test_sampling" => {
            let prompt = argument("prompt").unwrap_or_default();
            let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
            let asked = json!({"method": "sampling/createMessage",
                "params": {"messages": [message], "maxTokens": 100}});
            asked_once(request, asked, |answer| {
                format!("LLM response: {}", text_of(answer.get("content")))
            })
        }
        "test_elicitation" => {
            let properties = json!({
                "username": {"type": "string", "description": "User's response"},
                "email": {"type": "string", "description": "User's email address"},
            });
            let schema =
                json!({"type": "object", "properties": properties, "required": ["username", "email"]});
            elicit(request, argument("message").unwrap_or_default(), &schema)
        }
        "test_elicitation_sep1034_defaults" => elicit(request, "Review the defaults", &with_defaults()),
        "test_elicitation_sep1330_enums" => elicit(request, "Choose", &with_choices()),
        "json_schema_2020_12_tool" => said(argument("name").unwrap_or("nobody")),
        "test_custom_header" => said(argument("value").unwrap_or_default()),
        "test_trigger_tool_change" => {
            for listener in server.listeners() {
                // One that has left is not told.
                let _ = listener.notify_tool_list_changed().await;
            }
            if live::is_legacy(context) {
                let _ = context.peer.notify_tool_list_changed().await;
            }
            said("The list of tools is said to have changed")
        }
        "test_trigger_prompt_change" => {
            for listener in server.listeners() {
                let _ = listener.notify_prompt_list_changed().await;
            }
            if live::is_legacy(context) {
                let _ = context.peer.notify_prompt_list_changed().await;
            }
            said("The list of prompts is said to have changed")
        }
        "test_missing_capability" => {
            if context
                .client_capabilities()
                .is_none_or(|declared| declared.sampling.is_none())
            {
                let needed = ClientCapabilities::builder().enable_sampling().build();
                return Err(ErrorData::missing_required_client_capability(needed));
            }
            said("The client can be asked for a sample")
        }
        other => Err(ErrorData::invalid_params(format!("no tool `{other}`"), None)),
    }
}

fn shown(content: Value) -> Result<CallToolResponse, ErrorData> {
    Ok(CallToolResult::success(typed(content)?).into())
}

fn image() -> Value {
    json!({"type": "image", "data": PNG, "mimeType": "image/png"})
}

fn resource(uri: &str, kind: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}})
}

async fn notify_log(context: &RequestContext<RoleServer>, note: Value) -> Result<(), ErrorData> {
    let note = typed(note)?;
    let sent = context.peer.notify_logging_message(note).await;
    sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

async fn logging(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    for text in [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ] {
        notify_log(
            context,
            json!({"level": "info", "logger": "reference", "data": text}),
        )
        .await?;
        tokio::time::sleep(PAUSE).await;
    }
    said("Three messages were logged")
}

async fn progress(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    if let Some(token) = context.meta.get_progress_token() {
        for done in [0, 50, 100] {
            let step = json!({"progressToken": token, "progress": done, "total": 100, "message": format!("{done} %")});
            let sent = context.peer.notify_progress(typed(step)?).await;
            sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            tokio::time::sleep(PAUSE).await;
        }
    }
    said("The work is done")
}

/// Asks the client one thing, and says what came of it.
fn asked_once(
    request: &CallToolRequestParams,
    asked: Value,
    tell: impl Fn(&Value) -> String,
) -> Result<CallToolResponse, ErrorData> {
    let answer = request
        .input_responses
        .as_ref()
        .and_then(|responses| responses.get("asked"));
    match answer {
        Some(answer) => said(&tell(answer)),
        None => {
            let required: InputRequiredResult =
                typed(json!({"resultType": "input_required", "inputRequests": {"asked": asked}}))?;
            Ok(required.into())
        }
    }
}

fn elicit(
    request: &CallToolRequestParams,
    message: &str,
    schema: &Value,
) -> Result<CallToolResponse, ErrorData> {
    let asked = json!({"method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema}});
    asked_once(request, asked, |answer| {
        let action = answer["action"].as_str().unwrap_or_default();
        format!("User response: action={action}, content={}", answer["content"])
    })
}

fn with_defaults() -> Value {
    json!({"type": "object", "properties": {
        "name": {"type": "string", "description": "User's name", "default": "John Doe"},
        "age": {"type": "integer", "description": "User's age", "default": 30},
        "score": {"type": "number", "description": "User's score", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "description": "Whether the user is verified", "default": true},
    }})
}

fn with_choices() -> Value {
    let titled = |key: &str| {
        let choices =
            [1, 2, 3].map(|n| json!({"const": format!("value{n}"), "title": format!("Choice {n}")}));
        json!({key: choices})
    };
    let mut single = titled("oneOf");
    single["type"] = json!("string");
    let options = json!({"type": "string", "enum": ["option1", "option2", "option3"]});
    json!({"type": "object", "properties": {
        "untitledSingle": options,
        "titledSingle": single,
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": options},
        "titledMulti": {"type": "array", "items": titled("anyOf")},
    }})
}
