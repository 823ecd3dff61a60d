//! What a rule's conditions say in the policy's own words.

use crate::commands::explain::value;
use callgate_policy::tree::Node;

/// The conditions of a rule as they are written, each given out once.
pub(super) struct Written {
    /// Path, operator, value.
    tests: Vec<(String, String, String)>,
    expressions: Vec<String>,
}

impl Written {
    pub(super) fn of(node: Option<&Node>) -> Self {
        let mut written = Self {
            tests: Vec::new(),
            expressions: Vec::new(),
        };
        if let Some(node) = node {
            written.gather(node);
        }
        written
    }

    fn gather(&mut self, node: &Node) {
        let text = |key| node.get(key).and_then(Node::text);
        if let (Some(path), Some(operator), Some(value)) = (text("path"), text("op"), node.get("value")) {
            let value = value::shown(&value::json_of(value));
            self.tests.push((path.to_owned(), operator.to_owned(), value));
        }
        if let Some(expression) = text("when") {
            self.expressions.push(expression.to_owned());
        }
        for entry in node.entries() {
            self.gather(&entry.value);
        }
        for item in node.items() {
            self.gather(item);
        }
    }

    pub(super) fn value(&mut self, path: &str, operator: &str) -> Option<String> {
        let at = self
            .tests
            .iter()
            .position(|(p, o, _)| p == path && o == operator)?;
        // The last of a kind stays: `[*]` asks it once for each element.
        let is_last = !self
            .tests
            .iter()
            .skip(at.saturating_add(1))
            .any(|(p, o, _)| p == path && o == operator);
        if is_last {
            self.tests.get(at).map(|(_, _, value)| value.clone())
        } else {
            Some(self.tests.remove(at).2)
        }
    }

    pub(super) fn expression(&mut self) -> Option<String> {
        (!self.expressions.is_empty()).then(|| self.expressions.remove(0))
    }
}
