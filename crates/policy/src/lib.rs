//! Policy text to a compiled program, with diagnostics.
//!
//! [`load`] reads YAML or JSON in any of the published shapes, or a mixture of them, and gives the
//! [`Program`](callgate_core::program::Program) that judges calls, or every error at once. Nothing here reads a
//! file, a clock or the network.

mod against_tools;
pub mod bounds;
mod cel;
mod checks;
mod diagnostic;
pub mod document;
mod exact;
mod fields;
mod format;
pub mod fuzzing;
mod glob;
mod json_schema;
mod load;
mod lower;
mod patterns;
mod read;
mod shape;
mod span;
mod suggest;
pub mod tree;
mod vocabulary;

pub use against_tools::check_against_tools;
pub use diagnostic::{Code, Diagnostic, Diagnostics, Severity, Style};
pub use document::read_document;
pub use format::format;
pub use json_schema::json_schema;
pub use load::{Document, LoadOptions, Loaded, Summary, Trust, load};
pub use shape::Shape;
pub use span::Span;
pub use suggest::nearest;
