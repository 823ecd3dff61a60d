//! Keys that are globs: compiled, weighed, and no two that would both be the one that applies.

use super::context::Context;
use crate::bounds::GLOBS_MAX;
use crate::diagnostic::Code;
use crate::glob::Glob;
use crate::span::Span;
use callgate_core::program::{ToolPattern, ToolRules};
use std::sync::Arc;

/// A key that is a glob, and what is asked of what it matches.
#[derive(Debug)]
pub(crate) struct Keyed {
    pub(crate) glob: Glob,
    pub(crate) text: Arc<str>,
    pub(crate) span: Span,
    pub(crate) pointer: String,
    pub(crate) rules: Arc<ToolRules>,
}

impl Context<'_> {
    /// Compiles one glob.
    pub(crate) fn glob(&mut self, text: &str, span: Span, pointer: &str) -> Option<Glob> {
        match Glob::new(text) {
            Ok(glob) => Some(glob),
            Err(error) => {
                self.findings
                    .error(
                        Code::Glob,
                        span,
                        pointer,
                        format!("this pattern cannot be used: {error}"),
                    )
                    .hint(
                        "patterns know `*`, `?`, `[abc]` and `{a,b}`; a backslash takes a character as it is",
                    );
                None
            }
        }
    }

    /// The globs in the order in which they are tried, the most literal characters first.
    pub(crate) fn ordered(&mut self, mut keyed: Vec<Keyed>) -> Vec<(ToolPattern, Arc<ToolRules>)> {
        if let Some(last) = keyed.get(GLOBS_MAX) {
            self.findings
                .error(
                    Code::TooManyRules,
                    last.span,
                    &last.pointer,
                    format!("at most {GLOBS_MAX} keys may be patterns"),
                )
                .hint("name tools exactly, or merge patterns");
            return Vec::new();
        }
        keyed.sort_by(|left, right| {
            right
                .glob
                .weight
                .cmp(&left.glob.weight)
                .then(left.text.cmp(&right.text))
        });
        self.ties(&keyed);
        keyed
            .into_iter()
            .map(|key| {
                let pattern = ToolPattern {
                    text: key.text,
                    matcher: key.glob.compiled.compile_matcher(),
                };
                (pattern, key.rules)
            })
            .collect()
    }

    fn ties(&mut self, keyed: &[Keyed]) {
        for (index, left) in keyed.iter().enumerate() {
            let same = keyed
                .iter()
                .skip(index + 1)
                .take_while(|right| right.glob.weight == left.glob.weight);
            for right in same {
                if left.glob.meets(&right.glob) {
                    let (first, second) = if left.span < right.span {
                        (left, right)
                    } else {
                        (right, left)
                    };
                    self.findings
                        .error(
                            Code::GlobTie,
                            second.span,
                            &second.pointer,
                            format!("`{}` and `{}` can match the same name, and weigh the same", first.text, second.text),
                        )
                        .hint("the pattern with more literal characters applies; make one of them longer, or merge them");
                }
            }
        }
    }
}
