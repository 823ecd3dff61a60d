//! A server's words made harmless, as policies and messages show them.

pub(crate) use callgate_catalog::is_shown;
pub(crate) use callgate_catalog::recommend::one_line;
