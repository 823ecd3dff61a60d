//! Rules, and the entries of `require`, `deny_if` and `require_approval`.

use super::condition::Place;
use super::context::{Context, Fields, join};
use super::state::{Asked, Counters, asks_state};
use super::tool::Body;
use crate::bounds::APPROVAL_SECONDS_MAX;
use crate::diagnostic::Code;
use crate::tree::{Entry, Node, Value};
use crate::vocabulary::{APPROVAL_ENTRY, DENY_ENTRY, REQUIRE_ENTRY, RULE, VALIDATE};
use callgate_core::condition::{Condition, Polarity};
use callgate_core::name::RuleId;
use callgate_core::program::{Approval, Label, Mode, Rule, RuleKind, Validation, ValidationLevel};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Evaluate,
    Allow,
    Deny,
    RequireApproval,
}

const ACTIONS: [(&str, Action); 4] = [
    ("evaluate", Action::Evaluate),
    ("allow", Action::Allow),
    ("deny", Action::Deny),
    ("require_approval", Action::RequireApproval),
];

impl Context<'_> {
    /// One rule of `rules`.
    pub(crate) fn rule(
        &mut self,
        node: &Node,
        pointer: &str,
        outer: Mode,
        counters: &Counters,
        body: &mut Body,
    ) {
        self.count_rule();
        let Some(fields) = self.fields(node, pointer, &RULE) else {
            return;
        };
        let label = self.label(fields, outer);
        self.unique_name(fields, body);
        let action = if fields.has("action") {
            let Some(action) = self.word(fields, "action", &ACTIONS) else {
                return;
            };
            action
        } else {
            Action::Evaluate
        };
        let timeout = self.duration(fields, "approval_timeout", APPROVAL_SECONDS_MAX);
        if action != Action::RequireApproval
            && let Some(entry) = fields.entry("approval_timeout")
        {
            self.conflict(
                entry,
                pointer,
                "`approval_timeout` needs `action: require_approval`",
                "remove one of them",
            );
        }
        match action {
            Action::Deny => self.deny(fields, label, body),
            Action::RequireApproval => self.approval_rule(fields, label, timeout, body),
            Action::Evaluate | Action::Allow => self.evaluate(fields, action, &label, counters, body),
        }
    }

    fn conflict(&mut self, entry: &Entry, pointer: &str, message: &str, hint: &str) {
        self.findings
            .error(Code::Conflict, entry.key_span, pointer, message)
            .hint(hint);
    }

    fn unique_name(&mut self, fields: Fields<'_>, body: &mut Body) {
        let Some(node) = fields.value("name") else { return };
        let Some(name) = node.text() else { return };
        if !body.names.insert(name.to_owned()) {
            self.findings
                .warn(
                    Code::DuplicateName,
                    node.span,
                    fields.pointer,
                    format!("another rule of this tool is called `{name}` too"),
                )
                .hint("denials and records name the rule; give each a name of its own");
        }
    }

    fn deny(&mut self, fields: Fields<'_>, label: Label, body: &mut Body) {
        for key in ["conditions", "when"] {
            if let Some(entry) = fields.entry(key) {
                self.conflict(
                    entry,
                    fields.pointer,
                    "`action: deny` denies every call, so it takes no conditions",
                    "use `deny_if` to deny some calls",
                );
            }
        }
        for key in ["rate_limit", "state", "validate"] {
            if let Some(entry) = fields.entry(key) {
                self.conflict(
                    entry,
                    fields.pointer,
                    &format!("`{key}` says nothing beside `action: deny`"),
                    "remove one of them",
                );
            }
        }
        self.add_rule(
            Rule {
                label,
                kind: RuleKind::Deny,
            },
            fields,
            body,
        );
    }

    /// Adds a rule, and says so where none can reach it.
    fn add_rule(&mut self, rule: Rule, fields: Fields<'_>, body: &mut Body) {
        if let Some(deny) = &body.denied {
            self.findings
                .warn(
                    Code::Unreachable,
                    fields.head(),
                    fields.pointer,
                    format!("{deny} denies every call before this is asked"),
                )
                .hint("remove one of them");
        }
        if matches!(rule.kind, RuleKind::Deny) && rule.label.mode == Mode::Enforce && body.denied.is_none() {
            body.denied = Some(fields.pointer.to_owned());
        }
        body.tool.rules.push(rule);
    }

    fn approval_rule(
        &mut self,
        fields: Fields<'_>,
        label: Label,
        timeout: Option<std::time::Duration>,
        body: &mut Body,
    ) {
        for key in ["rate_limit", "state", "validate"] {
            if let Some(entry) = fields.entry(key) {
                self.conflict(
                    entry,
                    fields.pointer,
                    &format!("`{key}` cannot stand beside `action: require_approval`"),
                    "make it a rule of its own",
                );
            }
        }
        self.approval(fields, label, timeout, body);
    }

    fn approval(
        &mut self,
        fields: Fields<'_>,
        label: Label,
        timeout: Option<std::time::Duration>,
        body: &mut Body,
    ) {
        let errors = self.findings.error_count();
        let subject = body.subject.clone();
        let place = Place {
            subject: &subject,
            polarity: Polarity::Selects,
        };
        let when = self.conditions(fields, place);
        if self.findings.error_count() > errors {
            return;
        }
        if let Some(condition) = &when {
            self.distrust(condition, place, fields);
        }
        body.tool.approvals.push(Approval { label, when, timeout });
    }

    fn evaluate(
        &mut self,
        fields: Fields<'_>,
        action: Action,
        label: &Label,
        counters: &Counters,
        body: &mut Body,
    ) {
        let errors = self.findings.error_count();
        let subject = body.subject.clone();
        let place = Place {
            subject: &subject,
            polarity: Polarity::MustHold,
        };
        let says_something = ["conditions", "when", "rate_limit", "state", "validate"]
            .iter()
            .any(|key| fields.has(key));
        if action == Action::Evaluate && !says_something {
            self.findings
                .error(Code::MissingKey, fields.head(), fields.pointer, "this rule asks nothing")
                .hint("add `conditions`, `rate_limit` or `action: deny`; or write `rules: []` to allow every call");
            return;
        }
        if let Some(rate) = fields.entry("rate_limit")
            && ["conditions", "when", "state"].iter().any(|key| fields.has(key))
        {
            self.conflict(
                rate,
                fields.pointer,
                "`rate_limit` cannot stand beside `conditions`, `when` or `state`",
                "make it a rule of its own: it counts every call of the tool",
            );
        }
        if let Some(state) = fields.entry("state")
            && !fields.has("conditions")
            && !fields.has("when")
        {
            self.conflict(
                state,
                fields.pointer,
                "a counter that no condition of the rule asks about denies nothing",
                "add a condition on it, or use `limits`",
            );
        }
        let (condition, asked) = self.rule_conditions(fields, place, label, counters);
        self.validate(fields, label, body);
        if self.findings.error_count() > errors {
            return;
        }
        if let Some(condition) = condition {
            self.distrust(&condition, place, fields);
            let rule = Rule {
                label: label.clone(),
                kind: RuleKind::Require(condition),
            };
            self.add_rule(rule, fields, body);
        }
        if let Some(node) = fields.value("rate_limit") {
            self.rate_limit(node, fields.pointer, label, body);
        }
        self.state(fields.value("state"), fields.pointer, label, asked, body);
    }

    /// Conditions of a rule: those on counters become limits, the rest has to hold.
    fn rule_conditions(
        &mut self,
        fields: Fields<'_>,
        place: Place<'_>,
        label: &Label,
        counters: &Counters,
    ) -> (Option<Condition>, Asked) {
        let own = fields
            .value("state")
            .and_then(|state| state.get("counter"))
            .and_then(Node::text)
            .map(|counter| {
                let key = place.subject.key();
                let tool = if &*key == "*" { "_global" } else { &key };
                format!("state.{tool}.{counter}")
            });
        let mut asked = Asked::default();
        let mut rest = fields.node.clone();
        let mut emptied = false;
        if let Value::Map(entries) = &mut rest.value
            && let Some(entry) = entries.iter_mut().find(|entry| &*entry.key == "conditions")
            && let Value::List(items) = &mut entry.value.value
        {
            for (index, node) in items.iter_mut().enumerate() {
                if asks_state(node) {
                    let pointer = format!("{}/{index}", join(fields.pointer, "conditions"));
                    self.state_condition(node, &pointer, own.as_deref(), label, counters, &mut asked);
                    node.value = Value::Null;
                    emptied = true;
                }
            }
        }
        if emptied {
            let listed = rest.get("conditions").map_or(&[][..], Node::items).to_vec();
            let mut all = Vec::new();
            for (index, node) in listed.iter().enumerate() {
                if !matches!(node.value, Value::Null) {
                    let pointer = format!("{}/{index}", join(fields.pointer, "conditions"));
                    all.extend(self.condition(node, &pointer, place));
                }
            }
            all.extend(self.when(fields, place));
            self.contradictions(&all, fields, place);
            let condition = match all.len() {
                0 => None,
                1 => all.pop(),
                _ => Some(Condition::All(all)),
            };
            return (condition, asked);
        }
        (self.conditions(fields, place), asked)
    }

    /// `validate`, of a rule or a tool.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no word is read as a mapping, or refused as none"
    )]
    pub(crate) fn validate(&mut self, fields: Fields<'_>, label: &Label, body: &mut Body) {
        let Some(node) = fields.value("validate") else {
            return;
        };
        let pointer = join(fields.pointer, "validate");
        let level = match &node.value {
            Value::String(_) => self.word(
                fields,
                "validate",
                &[
                    ("required_args", ValidationLevel::Required),
                    ("schema", ValidationLevel::Schema),
                ],
            ),
            _ => self.validate_block(node, &pointer),
        };
        if let Some(level) = level {
            self.count_rule();
            body.tool.validate.push(Validation {
                label: label.clone(),
                level,
            });
        }
    }

    fn validate_block(&mut self, node: &Node, pointer: &str) -> Option<ValidationLevel> {
        let fields = self.fields(node, pointer, &VALIDATE)?;
        let mut on = |key: &str| match fields.value(key).map(|node| (&node.value, node)) {
            Some((Value::Bool(value), _)) => Some(*value),
            Some((_, node)) => {
                self.wrong_type(
                    node,
                    &join(pointer, key),
                    &format!("`{key}` is a boolean"),
                    "write `true` or `false`",
                );
                None
            }
            None => Some(false),
        };
        let (required, schema) = (on("required_args")?, on("schema")?);
        match (required, schema) {
            (_, true) => Some(ValidationLevel::Schema),
            (true, false) => Some(ValidationLevel::Required),
            (false, false) => {
                self.findings
                    .warn(Code::Empty, node.span, pointer, "this checks nothing")
                    .hint("write `required_args: true` or `schema: true`");
                None
            }
        }
    }

    /// One entry of `require`.
    pub(crate) fn require_entry(&mut self, node: &Node, pointer: &str, outer: Mode, body: &mut Body) {
        self.count_rule();
        let errors = self.findings.error_count();
        let Some(fields) = self.fields(node, pointer, &REQUIRE_ENTRY) else {
            return;
        };
        let label = self.label(fields, outer);
        self.unique_name(fields, body);
        let subject = body.subject.clone();
        let place = Place {
            subject: &subject,
            polarity: Polarity::MustHold,
        };
        let single = ["path", "all", "any", "not"]
            .iter()
            .find_map(|key| fields.entry(key));
        let condition = match (single, fields.has("conditions")) {
            (Some(entry), true) => {
                self.conflict(
                    entry,
                    pointer,
                    "an entry has either one condition or `conditions`",
                    "move it into `conditions`",
                );
                None
            }
            (Some(_), false) => self.test_or_group(fields, place),
            (None, _) => self.conditions(fields, place),
        };
        self.needs_condition(fields, errors, condition.is_some());
        if let Some(condition) = condition
            && self.findings.error_count() == errors
        {
            self.distrust(&condition, place, fields);
            let rule = Rule {
                label,
                kind: RuleKind::Require(condition),
            };
            self.add_rule(rule, fields, body);
        }
    }

    fn needs_condition(&mut self, fields: Fields<'_>, errors: usize, found: bool) {
        if !found && self.findings.error_count() == errors {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    fields.pointer,
                    "this entry has no condition",
                )
                .hint("add `conditions` or `when`");
        }
    }

    /// One entry of `deny_if`.
    pub(crate) fn deny_entry(&mut self, node: &Node, pointer: &str, outer: Mode, body: &mut Body) {
        self.count_rule();
        let errors = self.findings.error_count();
        let Some(fields) = self.fields(node, pointer, &DENY_ENTRY) else {
            return;
        };
        let label = self.label(fields, outer);
        self.unique_name(fields, body);
        let subject = body.subject.clone();
        let place = Place {
            subject: &subject,
            polarity: Polarity::Selects,
        };
        let condition = self.conditions(fields, place);
        self.needs_condition(fields, errors, condition.is_some());
        if let Some(condition) = condition
            && self.findings.error_count() == errors
        {
            self.distrust(&condition, place, fields);
            let rule = Rule {
                label,
                kind: RuleKind::DenyIf(condition),
            };
            self.add_rule(rule, fields, body);
        }
    }

    /// `require_approval` of a tool: `true`, or entries.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no boolean is read as a list, or refused as none"
    )]
    pub(crate) fn approvals(&mut self, fields: Fields<'_>, outer: Mode, body: &mut Body) {
        let Some(node) = fields.value("require_approval") else {
            return;
        };
        let pointer = join(fields.pointer, "require_approval");
        match &node.value {
            Value::Bool(true) => {
                self.count_rule();
                body.tool.approvals.push(Approval {
                    label: Label {
                        id: RuleId::new(&pointer),
                        name: None,
                        on_deny: None,
                        mode: outer,
                    },
                    when: None,
                    timeout: None,
                });
            }
            Value::Bool(false) => self
                .findings
                .warn(
                    Code::Empty,
                    node.span,
                    &pointer,
                    "`require_approval: false` asks nothing",
                )
                .hint("remove it"),
            _ => {
                if matches!(&node.value, Value::List(items) if items.is_empty()) {
                    self.findings
                        .error(
                            Code::Empty,
                            node.span,
                            &pointer,
                            "an empty `require_approval` holds nothing",
                        )
                        .hint("write `true` to hold every call, or remove it");
                }
                for (item, pointer) in self.listed(fields, "require_approval") {
                    self.count_rule();
                    let Some(entry) = self.fields(item, &pointer, &APPROVAL_ENTRY) else {
                        continue;
                    };
                    let label = self.label(entry, outer);
                    self.unique_name(entry, body);
                    let timeout = self.duration(entry, "approval_timeout", APPROVAL_SECONDS_MAX);
                    self.approval(entry, label, timeout, body);
                }
            }
        }
    }
}
