//! The pure heart of Callgate: what a call is, what a policy says of it, and what follows.
//!
//! Nothing here reads a clock, a file or the environment, and nothing waits: time and state come in as
//! arguments, consequences go out as values. [`decide`] judges one call by a [`Program`]; the
//! [`limit`] arithmetic says whether its [`Reservation`]s fit; whoever holds the state applies them.

pub mod amount;
pub mod call;
pub mod condition;
pub mod decide;
pub mod decimal;
pub mod decision;
pub mod json;
pub mod limit;
pub mod looser;
pub mod name;
pub mod path;
pub mod program;
pub mod refusal;

pub use call::Call;
pub use decide::{MethodClass, decide, decide_method, visible};
pub use decision::Decision;
pub use limit::Reservation;
pub use looser::looser;
pub use program::Program;
