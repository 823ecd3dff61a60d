//! A server's words made harmless, as policies and messages show them.

pub(crate) use callgate_catalog::recommend::{is_shown, one_line};
