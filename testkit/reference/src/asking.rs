//! Tools and a prompt that need something of the client before they can answer, as results of 2026-07-28 say it.

use crate::catalogue::{complete, typed};
use crate::handler::Reference;
use crate::tools::{said, text_of};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, GetPromptResponse, GetPromptResult,
    InputRequiredResult, InputResponses, JsonObject,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

/// The prompt that asks.
pub(crate) const PROMPT: &str = "test_input_required_result_prompt";

/// A question with one field.
pub(crate) fn question(message: &str, field: &str, kind: &str) -> Value {
    json!({"method": "elicitation/create", "params": {
        "mode": "form",
        "message": message,
        "requestedSchema": {"type": "object", "properties": {field: {"type": kind}}, "required": [field]},
    }})
}

fn to_a_model(text: &str) -> Value {
    json!({"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": text}}],
        "maxTokens": 100,
    }})
}

fn name() -> Value {
    question("What is your name?", "name", "string")
}

fn all_three() -> Value {
    json!({"user_name": name(), "greeting": to_a_model("Generate a greeting"), "client_roots": roots()})
}

fn roots() -> Value {
    json!({"method": "roots/list"})
}

fn required(requests: Value, state: Option<String>) -> Result<InputRequiredResult, ErrorData> {
    let mut result = json!({"resultType": "input_required", "inputRequests": requests});
    if let Some(state) = state {
        result["requestState"] = json!(state);
    }
    typed(result)
}

/// What the client answered under a key; anything but an object is no answer, and is asked for again.
fn answer<'a>(responses: Option<&'a InputResponses>, key: &str) -> Option<&'a JsonObject> {
    responses?.get(key)?.as_object()
}

/// What the client filled into a field of a question.
pub(crate) fn field(answer: &JsonObject, field: &str) -> String {
    let content = answer.get("content").and_then(|content| content.get(field));
    content.and_then(Value::as_str).unwrap_or("nobody").to_owned()
}

/// Answers a call of a tool that asks; `None` where the tool is none of these.
pub(crate) fn call(
    server: &Reference,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let responses = request.input_responses.as_ref();
    let answer = |key: &str| answer(responses, key);
    let ask = |requests: Value| required(requests, None).map(Into::into);
    Some(match request.name.as_ref() {
        "test_streaming_elicitation" => ask(json!({"value": question("A value?", "value", "string")})),
        "test_input_required_result_elicitation" => match answer("user_name") {
            Some(answer) => said(&format!("Hello, {}!", field(answer, "name"))),
            None => ask(json!({"user_name": name()})),
        },
        "test_input_required_result_sampling" => match answer("capital_question") {
            Some(answer) => said(&format!("The model said: {}", text_of(answer.get("content")))),
            None => ask(json!({"capital_question": to_a_model("What is the capital of France?")})),
        },
        "test_input_required_result_list_roots" => match answer("client_roots") {
            Some(answer) => said(&format!(
                "The roots are: {}",
                answer.get("roots").unwrap_or(&Value::Null)
            )),
            None => ask(json!({"client_roots": roots()})),
        },
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            with_state(server, request, |state| match state {
                None => Step::Ask(
                    json!({"confirm": question("Go on?", "ok", "boolean")}),
                    json!({"stage": "confirm"}),
                ),
                Some(_) => Step::Say("The state came back whole: state-ok"),
            })
        }
        "test_input_required_result_multiple_inputs" => with_state(server, request, |state| {
            let is_complete = ["user_name", "greeting", "client_roots"]
                .iter()
                .all(|key| answer(key).is_some());
            if is_complete && state.is_some() {
                Step::Say("All three were answered")
            } else {
                Step::Ask(all_three(), json!({"stage": "gather"}))
            }
        }),
        "test_input_required_result_multi_round" => with_state(server, request, |state| {
            match state.map_or(0, |state| state["round"].as_u64().unwrap_or(0)) {
                0 => Step::Ask(json!({"step1": name()}), json!({"round": 1})),
                1 => {
                    let color = question("Your favourite colour?", "color", "string");
                    Step::Ask(json!({"step2": color}), json!({"round": 2}))
                }
                _ => Step::Say("Both rounds are over"),
            }
        }),
        "test_input_required_result_capabilities" if responses.is_some() => {
            said("What was asked for has come")
        }
        "test_input_required_result_capabilities" => {
            let declared = context.client_capabilities().unwrap_or_default();
            let mut requests = all_three();
            for (key, can) in [
                ("user_name", declared.elicitation.is_some()),
                ("greeting", declared.sampling.is_some()),
                ("client_roots", declared.roots.is_some()),
            ] {
                if let (false, Some(requests)) = (can, requests.as_object_mut()) {
                    requests.remove(key);
                }
            }
            if requests.as_object().is_some_and(|requests| requests.is_empty()) {
                said("There is nothing that the client could answer")
            } else {
                ask(requests)
            }
        }
        _ => return None,
    })
}

/// What a tool with state does next.
enum Step {
    /// It asks this, and gives this state along.
    Ask(Value, Value),
    /// It is done.
    Say(&'static str),
}

/// One round of a tool whose state the client carries: a state that was changed is an error.
fn with_state(
    server: &Reference,
    request: &CallToolRequestParams,
    next: impl FnOnce(Option<Value>) -> Step,
) -> Result<CallToolResponse, ErrorData> {
    let state =
        match request.request_state.as_deref() {
            None => None,
            Some(sealed) => {
                let opened = server.states.open_json::<Value>(sealed);
                Some(opened.map_err(|_| {
                    ErrorData::invalid_params("the requestState is not the server's own", None)
                })?)
            }
        };
    match next(state) {
        Step::Say(text) => said(text),
        Step::Ask(requests, state) => {
            let sealed = server.states.seal_json(&state);
            let sealed = sealed.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            Ok(required(requests, Some(sealed))?.into())
        }
    }
}

/// The prompt that asks for its context.
pub(crate) fn prompt(responses: Option<&InputResponses>) -> Result<GetPromptResponse, ErrorData> {
    let Some(answer) = answer(responses, "user_context") else {
        let context = question("Which context?", "context", "string");
        return Ok(required(json!({"user_context": context}), None)?.into());
    };
    let text = format!("The context is: {}", field(answer, "context"));
    let message = json!({"role": "user", "content": {"type": "text", "text": text}});
    Ok(complete::<GetPromptResult>(json!({"messages": [message]}))?.into())
}
