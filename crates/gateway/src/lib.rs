//! The line of a call: transports in and out, sessions, upstreams, and the answers in between.
//!
//! A straight line, one module a step: [`serve`] takes messages from a client, [`session`] decodes, decides,
//! has the store admit, and forwards over a [`link`] to the server; what comes back is inspected, settled and
//! handed to the [`sink`] of the request it answers. Nothing calls back up the line.

pub mod answer;
mod bridge;
mod flow;
pub mod gate;
mod gather;
mod gravity;
pub mod health;
mod lines;
pub mod link;
pub mod metrics;
pub mod oauth;
pub mod recorder;
pub mod serve;
pub mod session;
pub mod settings;
pub mod sink;
pub mod tasks;
pub mod traces;
mod workers;

pub use gate::Gate;
pub use metrics::Metrics;
pub use session::Session;
pub use settings::Settings;
