//! What results of 2026-07-28 want of a client, asked of one before it by requests of the server's own.

use rmcp::RoleServer;
use rmcp::model::{ErrorData, InputRequest, InputRequiredResult, InputResponses};
use rmcp::service::RequestContext;

/// How often one call may ask.
pub(crate) const ROUNDS_MAX: usize = 8;

/// Whether a request is one of a version before 2026-07-28.
pub(crate) fn is_legacy(context: &RequestContext<RoleServer>) -> bool {
    context.meta.protocol_version().is_none()
}

/// Asks the client all that a result wants.
pub(crate) async fn answered(
    required: InputRequiredResult,
    context: &RequestContext<RoleServer>,
) -> Result<InputResponses, ErrorData> {
    let failed = |error: &dyn std::fmt::Display| ErrorData::internal_error(error.to_string(), None);
    let mut responses = InputResponses::new();
    for (key, request) in required.input_requests.unwrap_or_default() {
        let answer = match request {
            InputRequest::CreateMessage(asked) => {
                let answer = context.peer.create_message(asked.params).await;
                serde_json::to_value(answer.map_err(|error| failed(&error))?)
            }
            InputRequest::Elicitation(asked) => {
                let answer = context.peer.create_elicitation(asked.params).await;
                serde_json::to_value(answer.map_err(|error| failed(&error))?)
            }
            InputRequest::ListRoots(_) => {
                let answer = context.peer.list_roots().await;
                serde_json::to_value(answer.map_err(|error| failed(&error))?)
            }
            _ => return Err(failed(&"what is wanted has no request of its own")),
        };
        responses.insert(key, answer.map_err(|error| failed(&error))?);
    }
    Ok(responses)
}
