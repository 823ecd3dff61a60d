//! A whole policy.

use super::context::{ArgumentUse, Context, Fields, join};
use super::entry::Subject;
use super::globs::Keyed;
use super::state::Counters;
use super::tool::Body;
use crate::bounds::{REGEX_COMPILED_BYTES_MAX, REGEXES_COMPILED_BYTES_MAX, RULES_MAX, TIMEOUT_SECONDS_MAX};
use crate::cel::Expressions;
use crate::diagnostic::{Code, Findings};
use crate::glob::is_glob;
use crate::patterns::Room;
use crate::shape::Shape;
use crate::tree::{Node, Value};
use crate::vocabulary::{DOCUMENT, METHOD, TOOL};
use callgate_core::name::ToolName;
use callgate_core::program::{Default, MethodTable, Mode, Program, RulesByName, ToolPatterns};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A program, and what else was learned on the way.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) program: Program,
    pub(crate) expressions: Expressions,
    pub(crate) uses: Vec<ArgumentUse>,
    pub(crate) rules: usize,
}

/// Compiles a tree.
pub(crate) fn lower(
    root: &Node,
    source: &str,
    shape: Shape,
    trust: crate::Trust,
    findings: &mut Findings,
) -> Lowered {
    let mut context = Context {
        findings,
        source,
        expressions: Expressions::default(),
        trust,
        denies_by_default: false,
        rules: 0,
        uses: Vec::new(),
        patterns: BTreeMap::new(),
        room_for_patterns: Room::of(REGEX_COMPILED_BYTES_MAX, REGEXES_COMPILED_BYTES_MAX),
    };
    let program = context.document(root, shape);
    let (rules, uses) = (context.rules, std::mem::take(&mut context.uses));
    if rules > RULES_MAX {
        context
            .findings
            .error(
                Code::TooManyRules,
                root.span,
                "",
                format!("the policy has {rules} rules; at most {RULES_MAX} are read"),
            )
            .hint("use globs as keys, or `all_tools`");
    }
    Lowered {
        program,
        expressions: context.expressions,
        uses,
        rules,
    }
}

impl Context<'_> {
    fn document(&mut self, root: &Node, shape: Shape) -> Program {
        let mut program = Program::deny_all();
        let Some(fields) = self.fields(root, "", &DOCUMENT) else {
            return program;
        };
        self.version(fields, shape);
        let _note = self.text(fields, "description");
        program.default = self.default_posture(fields);
        self.denies_by_default = program.default == Default::Deny;
        program.mode = self.mode(fields).unwrap_or(Mode::Enforce);
        program.timeout = self.duration(fields, "timeout", TIMEOUT_SECONDS_MAX);
        program.hide = self.hide(fields);
        self.tools(fields, &mut program);
        self.methods(fields, shape, &mut program);
        if let Some(entry) = fields.entry("approvals") {
            self.findings
                .warn(
                    Code::NotInForce,
                    entry.key_span,
                    "/approvals",
                    "`approvals` is kept, but not in force",
                )
                .hint("use `require_approval` on a tool to hold its calls for a person");
        }
        program
    }

    fn version(&mut self, fields: Fields<'_>, shape: Shape) {
        let Some(entry) = fields.entry("version") else {
            if shape != Shape::Catalogue {
                self.findings
                    .warn(
                        Code::NoVersion,
                        fields.head(),
                        "",
                        "the policy names no version, and is read as version 1",
                    )
                    .hint("add `version: \"1\"`");
            }
            return;
        };
        let supported = match &entry.value.value {
            Value::String(text) | Value::Number(text) => &**text == "1",
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => false,
        };
        if !supported {
            self.findings
                .error(
                    Code::UnsupportedVersion,
                    entry.value.span,
                    "/version",
                    "only version 1 of the language exists",
                )
                .hint("write `version: \"1\"`");
        }
    }

    fn default_posture(&mut self, fields: Fields<'_>) -> Default {
        if !fields.has("default") {
            self.findings
                .warn(
                    Code::NoDefault,
                    fields.head(),
                    "",
                    "without `default`, tools that the policy does not name are allowed",
                )
                .hint("add `default: deny`, and list the tools to allow under `tools`");
            return Default::Allow;
        }
        // A `default` that cannot be read denies.
        self.word(
            fields,
            "default",
            &[("deny", Default::Deny), ("allow", Default::Allow)],
        )
        .unwrap_or(Default::Deny)
    }

    fn hide(&mut self, fields: Fields<'_>) -> ToolPatterns {
        let mut seen = BTreeSet::new();
        let mut texts = Vec::new();
        let mut set = globset::GlobSetBuilder::new();
        for (item, pointer) in self.list(fields, "hide") {
            let Some(text) = item.text() else {
                self.wrong_type(
                    item,
                    &pointer,
                    "an entry of `hide` is a tool's name or a glob",
                    "put it in quotes",
                );
                continue;
            };
            if text.trim().is_empty() {
                self.findings
                    .error(Code::Empty, item.span, &pointer, "this entry of `hide` is empty")
                    .hint("name a tool, or remove it");
                continue;
            }
            if !seen.insert(text) {
                self.findings
                    .error(
                        Code::DuplicateEntry,
                        item.span,
                        &pointer,
                        format!("`{text}` is hidden already"),
                    )
                    .hint("remove one of them");
                continue;
            }
            if let Some(glob) = self.glob(text, item.span, &pointer) {
                texts.push(Arc::from(text));
                set.add(glob.compiled);
            }
        }
        match set.build() {
            Ok(set) => ToolPatterns { texts, set },
            Err(error) => {
                if let Some(entry) = fields.entry("hide") {
                    self.findings
                        .error(Code::Glob, entry.value.span, "/hide", error.kind().to_string());
                }
                Program::deny_all().hide
            }
        }
    }

    fn tools(&mut self, fields: Fields<'_>, program: &mut Program) {
        let mut everywhere = Body::new(Subject::Everywhere);
        let mut counters = Counters::default();
        let mut keyed = Vec::new();
        let tools = fields.value("tools");
        if let Some(tools) = tools {
            if !matches!(tools.value, Value::Map(_)) {
                self.wrong_type(
                    tools,
                    "/tools",
                    "`tools` is a mapping from names to rules",
                    "write `tools: { NAME: {} }`",
                );
            }
            for entry in tools.entries() {
                counters.gather(&entry.key, &entry.value);
            }
        }
        if let Some(all) = fields.value("all_tools") {
            counters.gather("*", all);
        }
        for entry in tools.map_or(&[][..], Node::entries) {
            let pointer = join("/tools", &entry.key);
            if matches!(entry.value.value, Value::Null) {
                self.findings
                    .error(
                        Code::WrongType,
                        entry.key_span,
                        &pointer,
                        format!("the tool `{}` has no value", entry.key),
                    )
                    .hint("write `{}` or `rules: []` to list it without asking anything");
                continue;
            }
            if &*entry.key == "*" {
                self.tool(
                    &entry.value,
                    &pointer,
                    &TOOL,
                    Mode::Enforce,
                    &counters,
                    &mut everywhere,
                );
                continue;
            }
            if is_glob(&entry.key) {
                let Some(glob) = self.glob(&entry.key, entry.key_span, &pointer) else {
                    continue;
                };
                let mut body = Body::new(Subject::Glob((&*entry.key).into()));
                self.tool(&entry.value, &pointer, &TOOL, Mode::Enforce, &counters, &mut body);
                keyed.push(Keyed {
                    glob,
                    text: (&*entry.key).into(),
                    span: entry.key_span,
                    pointer,
                    rules: Arc::new(body.tool),
                });
                continue;
            }
            let name = match ToolName::new(&entry.key) {
                Ok(name) => name,
                Err(error) => {
                    self.findings
                        .error(Code::Empty, entry.key_span, &pointer, error.to_string())
                        .hint("a key of `tools` is a tool's name, a glob, or `\"*\"`");
                    continue;
                }
            };
            if program.hide.set.is_match(name.as_str()) {
                self.findings
                    .warn(
                        Code::Unreachable,
                        entry.key_span,
                        &pointer,
                        format!("`{name}` is hidden, so this is never asked"),
                    )
                    .hint("remove it from `hide` or from `tools`");
            }
            let mut body = Body::new(Subject::Tool(name.as_str().into()));
            self.tool(&entry.value, &pointer, &TOOL, Mode::Enforce, &counters, &mut body);
            program.exact.insert(name, Arc::new(body.tool));
        }
        if let Some(all) = fields.value("all_tools") {
            self.tool(
                all,
                "/all_tools",
                &TOOL,
                Mode::Enforce,
                &counters,
                &mut everywhere,
            );
        }
        program.globs = self.ordered(keyed);
        program.everywhere = Arc::new(everywhere.tool);
    }

    fn methods(&mut self, fields: Fields<'_>, shape: Shape, program: &mut Program) {
        let judged = matches!(shape, Shape::Hosted | Shape::Callgate);
        let default = match program.default {
            Default::Deny if judged => Default::Deny,
            Default::Deny | Default::Allow => Default::Allow,
        };
        let mut exact = RulesByName::new();
        let mut keyed = Vec::new();
        let counters = Counters::default();
        match fields.value("methods") {
            None if !judged => self
                .findings
                .warn(
                    Code::MethodsPass,
                    fields.head(),
                    "",
                    "methods other than tool calls pass unjudged, such as `resources/read`",
                )
                .hint("add `methods:` to judge them"),
            None => {}
            Some(node) => {
                if !matches!(node.value, Value::Map(_)) {
                    self.wrong_type(
                        node,
                        "/methods",
                        "`methods` is a mapping from methods to rules",
                        "write `methods: { resources/read: {} }`",
                    );
                }
                for entry in node.entries() {
                    let pointer = join("/methods", &entry.key);
                    if &*entry.key == "tools/call" || entry.key.trim().is_empty() {
                        self.findings
                            .error(
                                Code::Conflict,
                                entry.key_span,
                                &pointer,
                                "this is no method that `methods` judges",
                            )
                            .hint("tool calls are judged by `tools`");
                        continue;
                    }
                    if matches!(entry.value.value, Value::Null) {
                        self.findings
                            .error(
                                Code::WrongType,
                                entry.key_span,
                                &pointer,
                                format!("the method `{}` has no value", entry.key),
                            )
                            .hint("write `{}` to list it without asking anything");
                        continue;
                    }
                    let mut body = Body::new(Subject::Method((&*entry.key).into()));
                    self.tool(
                        &entry.value,
                        &pointer,
                        &METHOD,
                        Mode::Enforce,
                        &counters,
                        &mut body,
                    );
                    let rules = Arc::new(body.tool);
                    let is_limited = !rules.limits.is_empty();
                    if is_limited && entry.key.starts_with("notifications/") {
                        self.findings
                            .error(
                                Code::LimitNeverCounts,
                                entry.key_span,
                                &pointer,
                                "a notification has no answer that could say that a limit is used up",
                            )
                            .hint("take the limit away, or deny the method");
                    }
                    if is_glob(&entry.key) {
                        if let Some(glob) = self.glob(&entry.key, entry.key_span, &pointer) {
                            keyed.push(Keyed {
                                glob,
                                text: (&*entry.key).into(),
                                span: entry.key_span,
                                pointer,
                                rules,
                            });
                        }
                    } else {
                        exact.insert((&*entry.key).into(), rules);
                    }
                }
            }
        }
        program.methods = MethodTable {
            default,
            exact,
            globs: self.ordered(keyed),
        };
    }
}
