//! Bytes to messages: strict JSON, MCP of every version, SSE framing.
