//! The admin API: what a person who runs a gateway sees of it and does with it.
//!
//! It stands on plain views, which whoever composes a gateway fills ([`Gateway`]), and sees neither servers nor
//! sockets of calls: nothing that is asked here can be a call, and no view holds what a caller has sent. A console in
//! a browser stands on the same views.

mod api;
mod client;
mod gateway;
mod routes;
pub mod view;

pub use api::converse;
pub use client::{Client, ClientError, Place, segment};
pub use gateway::{Fault, Gateway, Refused, Whole};
pub use routes::{DOCUMENT, ROUTES, Route};
