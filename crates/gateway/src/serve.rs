//! Where clients come in: one over stdio, or many over HTTP.

pub mod http;
pub mod stdio;
