//! The checks that the pure heart cannot make itself: CEL, and the tools' own JSON Schemas.

mod schema;

use crate::cel::Expressions;
use callgate_core::call::ListedTool;
use callgate_core::condition::{CheckId, CheckInput, Checks, Truth};
use callgate_core::json::Json;
use schema::Schemas;
use std::sync::Arc;

pub(crate) use schema::usable;

/// A policy's expressions, and the schemas that its calls have met so far.
#[derive(Debug, Default)]
pub(crate) struct PolicyChecks {
    expressions: Expressions,
    schemas: Schemas,
}

impl PolicyChecks {
    pub(crate) fn new(expressions: Expressions) -> Self {
        Self {
            expressions,
            schemas: Schemas::default(),
        }
    }
}

impl Checks for PolicyChecks {
    fn check(&self, id: CheckId, input: &CheckInput<'_>) -> Truth {
        self.expressions.check(id, input)
    }

    fn validate(&self, tool: &ListedTool, arguments: Option<&Json<'_>>) -> Result<(), Arc<str>> {
        self.schemas.validate(tool, arguments)
    }
}
