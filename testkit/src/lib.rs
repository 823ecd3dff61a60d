//! What black-box tests and the bench need around the built `callgate`: MCP servers to guard, well-behaved and
//! not, and clients that send what a test writes; never shipped.
//!
//! A test reads as a script:
//!
//! ```no_run
//! use callgate_testkit::{Gate, Room, StdioServer};
//! use serde_json::json;
//! # let callgate = "target/debug/callgate";
//!
//! let room = Room::new();
//! let server = StdioServer::echo(&room);
//! let gate = Gate::of(callgate, &room).policy("version: '1'\ndefault: deny\ntools: {echo: {}}").before(&server);
//! let mut client = gate.stdio();
//! client.initialize("2025-06-18");
//! assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
//! assert!(client.call("add", json!({"a": 1, "b": 2})).is_denied());
//! assert_eq!(server.log().calls().len(), 1);
//! ```
//!
//! Each server writes every message it receives, verbatim and before it acts, to a log that a test compares with
//! the ledger ([`log`]).

pub mod client;
pub mod gate;
pub mod log;
pub mod play;
pub mod process;
pub mod protocol;
pub mod server;
pub mod shell;
pub mod tools;

pub use client::answer::Answer;
pub use client::http::Http;
pub use client::stdio::Stdio;
pub use gate::{Gate, HttpGate};
pub use log::ServerLog;
pub use process::{Lines, Process, Room, free_port};
pub use server::{HttpServer, Script, StdioServer, build};

use std::time::Duration;

/// How long a test waits for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(20);
