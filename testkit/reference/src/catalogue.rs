//! What the server offers: its tools, prompts and resources, as they are listed and read.

use rmcp::ErrorData;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long a list may be kept: it never changes.
const TTL_MS: u64 = 60_000;
/// A picture of one pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";
/// A sound without samples.
pub(crate) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

/// A value of the protocol's model, from the JSON that it goes out as.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("the server's own value is none: {error}"), None))
}

/// A result that is the whole answer. The library takes the word for it back out before 2026-07-28.
pub(crate) fn complete<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    value["resultType"] = json!("complete");
    typed(value)
}

/// A result that may be kept, for everyone.
pub(crate) fn lasting<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    value["ttlMs"] = json!(TTL_MS);
    value["cacheScope"] = json!("public");
    complete(value)
}

/// What a server says of itself.
pub(crate) fn capabilities() -> Value {
    json!({
        "completions": {},
        "logging": {},
        "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true},
        "tools": {"listChanged": true},
        "extensions": {"io.modelcontextprotocol/tasks": {}},
    })
}

/// Tools that take no arguments: name, and what each shows.
const PLAIN_TOOLS: [(&str, &str); 25] = [
    ("test_simple_text", "a text"),
    ("test_image_content", "an image"),
    ("test_audio_content", "a sound"),
    ("test_embedded_resource", "a resource within the result"),
    (
        "test_multiple_content_types",
        "text, image and resource in one result",
    ),
    ("test_tool_with_logging", "log messages before the result"),
    ("test_error_handling", "a failure of the tool itself"),
    ("test_tool_with_progress", "progress before the result"),
    ("test_elicitation_sep1034_defaults", "a question with defaults"),
    ("test_elicitation_sep1330_enums", "a question with choices"),
    (
        "test_reconnection",
        "a stream that closes before the result, and is taken up again",
    ),
    ("test_trigger_tool_change", "a change of the list of tools"),
    ("test_trigger_prompt_change", "a change of the list of prompts"),
    (
        "test_missing_capability",
        "a capability that the client has to have",
    ),
    ("test_streaming_elicitation", "a question in place of a result"),
    ("test_logging_tool", "a log message, if the request asks for it"),
    (
        "test_input_required_result_elicitation",
        "a question, then the result",
    ),
    (
        "test_input_required_result_sampling",
        "a request to a model, then the result",
    ),
    (
        "test_input_required_result_list_roots",
        "a request for the roots, then the result",
    ),
    (
        "test_input_required_result_request_state",
        "state that comes back with the answer",
    ),
    (
        "test_input_required_result_multiple_inputs",
        "three requests at once",
    ),
    (
        "test_input_required_result_multi_round",
        "two questions, one after the other",
    ),
    (
        "test_input_required_result_tampered_state",
        "state that was changed on its way",
    ),
    (
        "test_input_required_result_capabilities",
        "only what the client can answer",
    ),
    ("protocol_error_job", "a task that fails in the protocol"),
];

/// All tools.
pub(crate) fn tools() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let mut tools: Vec<Value> = PLAIN_TOOLS
        .iter()
        .map(|(name, shown)| tool(name, &format!("Shows {shown}"), json!({}), &[]))
        .collect();
    tools.extend([
        tool("test_sampling", "Asks the client's model", json!({"prompt": text("What the model is asked")}), &["prompt"]),
        tool("test_elicitation", "Asks the user", json!({"message": text("What the user is asked")}), &["message"]),
        tool(
            "test_custom_header",
            "Has an argument that a header repeats",
            json!({"value": {"type": "string", "x-mcp-header": "Value"}}),
            &["value"],
        ),
        json!({"name": "json_schema_2020_12_tool", "description": "Has a schema with words of 2020-12", "inputSchema": schema_2020_12()}),
        tool("greet", "Greets, without a task", json!({"name": text("Whom")}), &["name"]),
        tool(
            "slow_compute",
            "Takes its time, as a task where it may",
            json!({"seconds": {"type": "number"}, "label": text("What the result is called")}),
            &[],
        ),
        tool("failing_job", "A task whose tool fails", json!({}), &[]),
        tool("confirm_delete", "A task with a question", json!({"filename": text("Which file")}), &[]),
        tool("multi_input", "A task with two questions at once", json!({}), &[]),
        tool("test_tool_with_task", "A question, then a task", json!({}), &[]),
    ]);
    json!({"tools": tools})
}

fn tool(name: &str, description: &str, properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({"name": name, "description": description, "inputSchema": schema})
}

fn schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "address",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }},
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
        "allOf": [{"anyOf": [{"required": ["name"]}, {"required": ["address"]}]}],
        "if": {"required": ["address"]},
        "then": {"properties": {"address": {"required": ["street"]}}},
        "else": {"required": ["name"]},
        "additionalProperties": false,
    })
}

/// All prompts.
pub(crate) fn prompts() -> Value {
    let argument =
        |name: &str, description: &str| json!({"name": name, "description": description, "required": true});
    json!({"prompts": [
        {"name": "test_simple_prompt", "description": "One message"},
        {"name": "test_prompt_with_arguments", "description": "A message made of two arguments",
            "arguments": [argument("arg1", "The first"), argument("arg2", "The second")]},
        {"name": "test_prompt_with_embedded_resource", "description": "A message with a resource",
            "arguments": [argument("resourceUri", "Which resource")]},
        {"name": "test_prompt_with_image", "description": "A message with an image"},
        {"name": "test_input_required_result_prompt", "description": "A question, then a message"},
    ]})
}

/// The messages of a prompt; `None` where there is no such prompt.
pub(crate) fn prompt(name: &str, argument: impl Fn(&str) -> String) -> Option<Value> {
    let message = |content: Value| json!({"role": "user", "content": content});
    let text = |text: &str| message(json!({"type": "text", "text": text}));
    let messages = match name {
        "test_simple_prompt" => json!([text("This is a simple prompt for testing.")]),
        "test_prompt_with_arguments" => json!([text(&format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1"),
            argument("arg2")
        ))]),
        "test_prompt_with_embedded_resource" => json!([
            message(json!({"type": "resource", "resource": {
                "uri": argument("resourceUri"), "mimeType": "text/plain", "text": "Embedded resource content for testing.",
            }})),
            text("Please process the embedded resource above."),
        ]),
        "test_prompt_with_image" => json!([
            message(json!({"type": "image", "data": PNG, "mimeType": "image/png"})),
            text("Please analyze the image above."),
        ]),
        _ => return None,
    };
    Some(json!({"messages": messages}))
}

/// All resources that are no templates.
pub(crate) fn resources() -> Value {
    json!({"resources": [
        {"uri": "test://static-text", "name": "Static text", "description": "A text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "Static binary", "description": "A picture", "mimeType": "image/png"},
    ]})
}

/// All templates of resources.
pub(crate) fn templates() -> Value {
    json!({"resourceTemplates": [{
        "uriTemplate": "test://template/{id}/data", "name": "Template", "description": "A text for each id",
        "mimeType": "application/json",
    }]})
}

/// What a resource holds; `None` where there is no such resource.
pub(crate) fn resource(uri: &str) -> Option<Value> {
    let content = match uri {
        "test://static-text" => {
            json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
        }
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": PNG}),
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let text = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            json!({"uri": uri, "mimeType": "application/json", "text": text.to_string()})
        }
    };
    Some(json!({"contents": [content]}))
}
