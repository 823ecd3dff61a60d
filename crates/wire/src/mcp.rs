//! The Model Context Protocol, in its five versions: methods, versions, and what a gate reads of a call.

mod call;
pub mod method;
mod version;

pub use call::{
    CancelTarget, ProgressTokenKey, ToolCall, progress_notification, progress_token, protocol_version,
    result_protocol_version,
};
pub use method::{is_housekeeping, is_in_version};
pub use version::{Era, UnknownVersion, Version};

/// The key of `_meta` that names the protocol version of a request (2026-07-28, basic/index).
pub const META_PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The key of `_meta` that names the client's capabilities for a request.
pub const META_CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The key of `_meta` that names the client.
pub const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The key of `_meta` that names the server in a result.
pub const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The key of `_meta` that asks for log messages of a level.
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The key of `_meta` that ties a message to its `subscriptions/listen` request.
pub const META_SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The key of `_meta` that names the span in which a request was made (2026-07-28, basic/index). It has no prefix.
pub const META_TRACEPARENT: &str = "traceparent";
/// The key of `_meta` for what systems of tracing note along a trace.
pub const META_TRACESTATE: &str = "tracestate";
