//! All that one key of `tools`, `all_tools` or one key of `methods` asks.

use super::context::{ArgumentUse, Context, Fields, Purpose, join};
use super::entry::Subject;
use super::state::Counters;
use crate::bounds::TIMEOUT_SECONDS_MAX;
use crate::diagnostic::Code;
use crate::tree::{Node, Value};
use crate::vocabulary::Table;
use callgate_core::name::RuleId;
use callgate_core::path::Root;
use callgate_core::program::{Label, Mode, ToolRules};
use std::collections::{BTreeMap, BTreeSet};

/// A tool's rules while they are gathered.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) subject: Subject,
    pub(crate) tool: ToolRules,
    /// Each counter that is kept, by scope, name and whether it counts calls in flight; and by which rule.
    pub(crate) counters: BTreeMap<(String, String, bool), String>,
    pub(crate) names: BTreeSet<String>,
    /// The rule that denies every call, where there is one.
    pub(crate) denied: Option<String>,
}

impl Body {
    pub(crate) fn new(subject: Subject) -> Self {
        Self {
            subject,
            tool: ToolRules::default(),
            counters: BTreeMap::new(),
            names: BTreeSet::new(),
            denied: None,
        }
    }
}

impl Context<'_> {
    /// Reads a tool or a method into `body`.
    pub(crate) fn tool(
        &mut self,
        node: &Node,
        pointer: &str,
        table: &'static Table,
        outer: Mode,
        counters: &Counters,
        body: &mut Body,
    ) {
        let Some(fields) = self.fields(node, pointer, table) else {
            return;
        };
        let _note = self.text(fields, "description");
        let mode = self.mode(fields).unwrap_or(outer);
        if let Some(timeout) = self.duration(fields, "timeout", TIMEOUT_SECONDS_MAX) {
            body.tool.timeout = Some(timeout);
        }
        let label = Label {
            id: RuleId::new(&join(pointer, "validate")),
            name: None,
            on_deny: None,
            mode,
        };
        self.validate(fields, &label, body);
        // The order of keys means nothing, in JSON least of all, so it is always this one.
        for (item, pointer) in self.list(fields, "rules") {
            self.rule(item, &pointer, mode, counters, body);
        }
        for (item, pointer) in self.entries(fields, "deny_if") {
            self.deny_entry(item, &pointer, mode, body);
        }
        for (item, pointer) in self.entries(fields, "require") {
            self.require_entry(item, &pointer, mode, body);
        }
        self.approvals(fields, mode, body);
        for (item, pointer) in self.entries(fields, "limits") {
            self.limit(item, &pointer, mode, body);
        }
        if let Some(spend) = fields.value("spend") {
            self.spend(spend, &join(pointer, "spend"), mode, body);
        }
        self.record(fields, body);
    }

    /// The items of a list that may also be one mapping; an empty list is a slip.
    fn entries<'n>(&mut self, fields: Fields<'n>, key: &str) -> Vec<(&'n Node, String)> {
        let listed = self.listed(fields, key);
        if let Some(entry) = fields.entry(key)
            && listed.is_empty()
            && matches!(entry.value.value, Value::List(_))
        {
            self.findings
                .warn(
                    Code::Empty,
                    entry.value.span,
                    &join(fields.pointer, key),
                    format!("`{key}` is empty and asks nothing"),
                )
                .hint("remove it, or list what it should ask");
        }
        listed
    }

    fn record(&mut self, fields: Fields<'_>, body: &mut Body) {
        for (item, pointer) in self.list(fields, "record") {
            let Some(text) = item.text() else {
                self.wrong_type(
                    item,
                    &pointer,
                    "an entry of `record` is a path",
                    "write `args.repo`",
                );
                continue;
            };
            let subject = body.subject.clone();
            let Some(path) = self.path(text, item.span, &pointer, &subject) else {
                continue;
            };
            if path.root != Root::Args || path.segments.is_empty() {
                self.findings
                    .error(Code::Path, item.span, &pointer, "only arguments can be recorded")
                    .hint("name each argument, such as `args.repo`");
                continue;
            }
            if body.tool.record.contains(&path) {
                self.findings
                    .warn(
                        Code::DuplicateEntry,
                        item.span,
                        &pointer,
                        "this argument is recorded already",
                    )
                    .hint("remove one of them");
                continue;
            }
            if let Subject::Tool(tool) = &subject {
                self.uses.push(ArgumentUse {
                    tool: tool.clone(),
                    path: path.clone(),
                    span: item.span,
                    pointer: pointer.as_str().into(),
                    purpose: Purpose::Records,
                });
            }
            body.tool.record.push(path);
        }
    }
}
