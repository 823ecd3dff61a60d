//! A tree to a program: what each key means.

mod condition;
mod context;
mod document;
mod entry;
mod globs;
mod limit;
mod operator;
mod path;
mod rule;
mod state;
mod tool;
mod trust;
mod unit;

pub(crate) use context::{ArgumentUse, Purpose};
pub(crate) use document::lower;
pub(crate) use operator::OPERATORS;
