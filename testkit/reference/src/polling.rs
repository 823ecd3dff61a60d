//! Sessions whose streams close early for one tool, so that the client has to take them up again.

use futures_util::StreamExt;
use futures_util::stream::Stream;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use std::time::Duration;

/// The tool whose stream closes.
const POLLED_TOOL: &str = "test_reconnection";
/// The event that tells a stream's id, before any message.
const PRIMING_EVENTS: usize = 1;

/// How long a client is to wait before it takes the stream up again.
const RETRY: Duration = Duration::from_millis(100);
/// How long the tool takes. The library forgets a stream once its result is there, so that a client has to be back
/// before.
pub(crate) const POLLED_FOR: Duration = Duration::from_secs(2);

/// The library's own sessions, but for the stream of [`POLLED_TOOL`].
#[derive(Debug)]
pub(crate) struct Sessions(LocalSessionManager);

impl Default for Sessions {
    fn default() -> Self {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.sse_retry = Some(RETRY);
        Self(sessions)
    }
}

impl SessionManager for Sessions {
    type Error = <LocalSessionManager as SessionManager>::Error;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.0.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.0.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.0.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.0.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let events_max = if is_polled(&message) {
            PRIMING_EVENTS
        } else {
            usize::MAX
        };
        Ok(self.0.create_stream(id, message).await?.take(events_max))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.0.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.0.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.0.resume(id, last_event_id).await
    }
}

fn is_polled(message: &ClientJsonRpcMessage) -> bool {
    let JsonRpcMessage::Request(request) = message else {
        return false;
    };
    matches!(&request.request, ClientRequest::CallToolRequest(call) if call.params.name == POLLED_TOOL)
}
