//! Judging one call by a policy: nothing is waited for, counted or written here.

mod list;
mod reserve;
mod trace;

pub use list::visible;
pub use trace::{Asked, Leaf, Recorder, Step, Trace, Untraced};

use crate::call::{Call, ListedTool, Listing, OtherCall};
use crate::condition::{
    Asks, CheckInput, Condition, Facts, Polarity, Truth, condition_text, error_text, evaluate,
};
use crate::decision::{Admission, Decision};
use crate::json::Json;
use crate::limit::{Reservation, Slot};
use crate::name::RuleId;
use crate::program::{
    Approval, Default, Label, LimitKind, LimitRule, MethodTable, Mode, Program, Rule, RuleKind, ToolPattern,
    ToolRules, Validation, ValidationLevel,
};
use crate::refusal::{Reason, Refusal};
use reserve::{Uncountable, text_or};
use std::sync::Arc;

/// So many characters of a name from a call are repeated in a text.
const NAME_SHOWN_CHARS_MAX: usize = 128;

/// So many missing arguments are named.
const MISSING_NAMED_MAX: usize = 16;

/// Judges a tool call.
///
/// Asked in this order, and the first denial decides: is the tool hidden; is it in the policy; does the
/// server list it; do the arguments have the form; do the rules allow it, the tool's own before those for
/// all tools; does a person have to approve. What is left are the limits, which the store judges.
pub fn decide(program: &Program, call: &Call<'_>) -> Decision {
    decide_traced(program, call, &mut Untraced)
}

/// Judges a tool call, and shows `trace` how.
pub fn decide_traced<T: Trace>(program: &Program, call: &Call<'_>, trace: &mut T) -> Decision {
    let listed = match call.listing {
        Listing::Listed(tool) => Some(tool),
        Listing::NotListed | Listing::Unknown => None,
    };
    let judge = Judge {
        program,
        subject: call.tool,
        facts: Facts {
            input: CheckInput {
                scene: call.scene,
                tool: Some(call.tool),
                listed,
                arguments: call.arguments,
            },
            checks: program.checks.as_deref(),
        },
        admission: Admission::default(),
        trace,
    };
    judge.tool_call(call.listing).into()
}

/// What the protocol itself needs of a method, as whoever routes it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodClass {
    /// The protocol does not work without it, such as `initialize` or `ping`.
    Housekeeping,
    /// Anything else.
    Other,
}

/// Judges a request or notification that is not a tool call.
///
/// Rules listed for it apply whatever its class; unlisted housekeeping passes.
pub fn decide_method(program: &Program, call: &OtherCall<'_>, class: MethodClass) -> Decision {
    decide_method_traced(program, call, class, &mut Untraced)
}

/// Judges a request or notification that is not a tool call, and shows `trace` how.
pub fn decide_method_traced<T: Trace>(
    program: &Program,
    call: &OtherCall<'_>,
    class: MethodClass,
    trace: &mut T,
) -> Decision {
    let judge = Judge {
        program,
        subject: call.method,
        facts: Facts {
            input: CheckInput {
                scene: call.scene,
                tool: None,
                listed: None,
                arguments: call.params,
            },
            checks: program.checks.as_deref(),
        },
        admission: Admission::default(),
        trace,
    };
    judge.other_call(class).into()
}

impl From<Result<Admission, Refusal>> for Decision {
    fn from(judged: Result<Admission, Refusal>) -> Self {
        match judged {
            Ok(admission) => Self::Admit(admission),
            Err(refusal) => Self::Deny(refusal),
        }
    }
}

impl Program {
    /// The rules of the one key of `tools` that applies to a tool: its own, else the most literal glob.
    #[must_use]
    pub fn rules_for(&self, tool: &str) -> Option<&ToolRules> {
        lookup(self.exact.get(tool), &self.globs, tool)
    }
}

impl MethodTable {
    /// The rules of the one key that applies to a method: its own, else the most literal glob.
    #[must_use]
    pub fn rules_for(&self, method: &str) -> Option<&ToolRules> {
        lookup(self.exact.get(method), &self.globs, method)
    }
}

fn lookup<'p>(
    exact: Option<&'p Arc<ToolRules>>,
    globs: &'p [(ToolPattern, Arc<ToolRules>)],
    name: &str,
) -> Option<&'p ToolRules> {
    exact.map(|rules| &**rules).or_else(|| {
        globs
            .iter()
            .find(|(pattern, _)| pattern.matcher.is_match(name))
            .map(|(_, rules)| &**rules)
    })
}

struct Judge<'a, T> {
    program: &'a Program,
    /// The tool's name, or the method of another request.
    subject: &'a str,
    facts: Facts<'a>,
    admission: Admission,
    trace: &'a mut T,
}

impl<'a, T: Trace> Judge<'a, T> {
    fn tool_call(mut self, listing: Listing<'_>) -> Result<Admission, Refusal> {
        let program = self.program;
        if program.hide.set.is_match(self.subject) {
            self.deny(program.mode, self.unavailable(Reason::Hidden))?;
        }
        let own = program.rules_for(self.subject);
        if own.is_none() && program.default == Default::Deny {
            self.deny(program.mode, self.unavailable(Reason::NotInPolicy))?;
        }
        // Not a matter of policy: what the server does not list must not be called in shadow mode either.
        match listing {
            Listing::Listed(_) => {}
            Listing::NotListed => self.deny(Mode::Enforce, self.unavailable(Reason::NotListed))?,
            Listing::Unknown => self.deny(Mode::Enforce, self.no_list())?,
        }
        self.rules([own, Some(&program.everywhere)])
    }

    fn other_call(mut self, class: MethodClass) -> Result<Admission, Refusal> {
        let methods = &self.program.methods;
        let own = methods.rules_for(self.subject);
        if own.is_none() && class == MethodClass::Other && methods.default == Default::Deny {
            let refusal = Refusal {
                rule: RuleId::default(),
                reason: Reason::MethodNotInPolicy,
                text: format!("the method `{}` is not available here", self.shown_subject()).into(),
                retry_after: None,
            };
            self.deny(self.program.mode, refusal)?;
        }
        self.rules([own, None])
    }

    /// All stages in their order, in each the tool's own rules before those for all tools.
    fn rules(mut self, parts: [Option<&'a ToolRules>; 2]) -> Result<Admission, Refusal> {
        let parts = || parts.into_iter().flatten();
        for validation in parts().flat_map(|part| &part.validate) {
            self.validate(validation)?;
        }
        for rule in parts().flat_map(|part| &part.rules) {
            self.rule(rule)?;
        }
        for approval in parts().flat_map(|part| &part.approvals) {
            self.approval(approval)?;
        }
        for limit in parts().flat_map(|part| &part.limits) {
            self.limit(limit)?;
        }
        self.admission.timeout = parts().find_map(|part| part.timeout).or(self.program.timeout);
        self.admission.record = parts().flat_map(|part| &part.record).cloned().collect();
        Ok(self.admission)
    }

    /// Refuses, or notes what would have been refused.
    fn deny(&mut self, mode: Mode, refusal: Refusal) -> Result<(), Refusal> {
        self.trace.refused(&refusal);
        match mode {
            Mode::Enforce => Err(refusal),
            Mode::Shadow => {
                self.admission.shadow.push(refusal);
                Ok(())
            }
        }
    }

    fn deny_by(
        &mut self,
        label: &Label,
        reason: Reason,
        text: impl FnOnce() -> Arc<str>,
    ) -> Result<(), Refusal> {
        let refusal = Refusal {
            rule: label.id.clone(),
            reason,
            text: text_or(label.on_deny.as_ref(), text),
            retry_after: None,
        };
        self.deny(self.mode_of(label), refusal)
    }

    /// Shadow, where either the rule or the whole policy is.
    fn mode_of(&self, label: &Label) -> Mode {
        label.mode.max(self.program.mode)
    }

    fn shown_subject(&self) -> String {
        shown_name(self.subject)
    }

    fn unavailable(&self, reason: Reason) -> Refusal {
        unavailable(self.subject, reason)
    }

    fn no_list(&self) -> Refusal {
        Refusal {
            rule: RuleId::default(),
            reason: Reason::ListUnavailable,
            text: format!(
                "tool `{}` cannot be called now: the server's list of tools could not be read",
                self.shown_subject()
            )
            .into(),
            retry_after: None,
        }
    }

    fn validate(&mut self, validation: &Validation) -> Result<(), Refusal> {
        let label = &validation.label;
        self.trace.rule(label, Asked::Validate);
        let facts = self.facts;
        let Some(listed) = facts.input.listed else {
            return self.deny_by(label, Reason::ArgumentsInvalid, || {
                "the arguments cannot be checked: nothing defines them".into()
            });
        };
        match validation.level {
            ValidationLevel::Required => {
                let missing = missing_arguments(listed, facts.input.arguments);
                if missing.is_empty() {
                    return Ok(());
                }
                self.deny_by(label, Reason::ArgumentsInvalid, || missing_text(&missing))
            }
            ValidationLevel::Schema => {
                let checked = match facts.checks {
                    Some(checks) => checks.validate(listed, facts.input.arguments),
                    None => Err("the check of arguments that this policy needs is not loaded".into()),
                };
                match checked {
                    Ok(()) => Ok(()),
                    Err(text) => self.deny_by(label, Reason::ArgumentsInvalid, || text),
                }
            }
        }
    }

    fn rule(&mut self, rule: &Rule) -> Result<(), Refusal> {
        let label = &rule.label;
        match &rule.kind {
            RuleKind::Deny => {
                self.trace.rule(label, Asked::Deny);
                let text = || format!("the policy denies `{}`", self.shown_subject()).into();
                let text: Arc<str> = text_or(label.on_deny.as_ref(), text);
                self.deny_by(label, Reason::DeniedByRule, || text)
            }
            RuleKind::Require(condition) => {
                self.trace.rule(label, Asked::Require);
                match evaluate(condition, &self.facts, Polarity::MustHold, self.trace) {
                    Truth::True => Ok(()),
                    Truth::False | Truth::Missing => {
                        let text = || self.failing_text(condition);
                        let text = text_or(label.on_deny.as_ref(), text);
                        self.deny_by(label, Reason::ConditionFailed, || text)
                    }
                    Truth::Error(error) => self.deny_by(label, Reason::ConditionError, || error_text(&error)),
                }
            }
            RuleKind::DenyIf(condition) => {
                self.trace.rule(label, Asked::DenyIf);
                match evaluate(condition, &self.facts, Polarity::Selects, self.trace) {
                    Truth::False | Truth::Missing => Ok(()),
                    Truth::True => self.deny_by(label, Reason::DenyIfMatched, || {
                        condition_text(condition, Asks::NotToHold).into()
                    }),
                    Truth::Error(error) => self.deny_by(label, Reason::ConditionError, || error_text(&error)),
                }
            }
        }
    }

    /// Names only the members of a list of conditions that this call does not meet.
    fn failing_text(&self, condition: &Condition) -> Arc<str> {
        let truth = |condition| evaluate(condition, &self.facts, Polarity::MustHold, &mut Untraced);
        let failing = match condition {
            Condition::All(members) => members.iter().find(|member| truth(member) != Truth::True),
            Condition::Any(_) | Condition::Not(_) | Condition::Test(_) | Condition::External(_) => None,
        };
        let failing = failing.unwrap_or(condition);
        let missing = match truth(failing) {
            Truth::Missing => ", and it is missing",
            Truth::True | Truth::False | Truth::Error(_) => "",
        };
        format!("{}{missing}", condition_text(failing, Asks::ToHold)).into()
    }

    fn approval(&mut self, approval: &Approval) -> Result<(), Refusal> {
        let label = &approval.label;
        self.trace.rule(label, Asked::Approval);
        let truth = match &approval.when {
            Some(condition) => evaluate(condition, &self.facts, Polarity::Selects, self.trace),
            None => Truth::True,
        };
        match truth {
            Truth::False | Truth::Missing => Ok(()),
            Truth::True | Truth::Error(_) => self.deny_by(label, Reason::ApprovalRequired, || {
                "an approver has to agree to this call, and none is set up; ask a person to change that"
                    .into()
            }),
        }
    }

    fn limit(&mut self, limit: &LimitRule) -> Result<(), Refusal> {
        self.trace.rule(&limit.label, Asked::Limit);
        match self.reserve(limit) {
            Ok(()) => Ok(()),
            Err(Uncountable { reason, text }) => self.deny_by(&limit.label, reason, || text.into()),
        }
    }

    fn reserve(&mut self, limit: &LimitRule) -> Result<(), Uncountable> {
        let key = reserve::key(limit, &self.facts, self.subject)?;
        let (rule, on_deny) = (limit.label.id.clone(), limit.label.on_deny.clone());
        let mode = self.mode_of(&limit.label);
        match &limit.kind {
            LimitKind::Window {
                window,
                amount,
                max,
                min,
            } => {
                let (amount, measure) = reserve::amount(amount, &self.facts)?;
                self.admission.reservations.push(Reservation {
                    key,
                    window: *window,
                    amount,
                    max: *max,
                    min: *min,
                    rule,
                    on_deny,
                    mode,
                    measure,
                });
            }
            LimitKind::Concurrent { max } => self.admission.slots.push(Slot {
                key,
                max: *max,
                rule,
                on_deny,
                mode,
            }),
        }
        Ok(())
    }
}

/// The arguments that the tool's definition requires and the call does not have.
/// What is said of a tool that no list has, for whoever is asked for one before any policy is.
#[must_use]
pub fn unlisted(tool: &str) -> Refusal {
    unavailable(tool, Reason::NotListed)
}

/// One text for all of them: an agent must not learn which tools exist behind the policy.
fn unavailable(tool: &str, reason: Reason) -> Refusal {
    Refusal {
        rule: RuleId::default(),
        reason,
        text: format!("tool `{}` is not available here", shown_name(tool)).into(),
        retry_after: None,
    }
}

fn shown_name(name: &str) -> String {
    let mut shown: String = name.chars().take(NAME_SHOWN_CHARS_MAX).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

fn missing_arguments<'t>(listed: &'t ListedTool, arguments: Option<&Json<'_>>) -> Vec<&'t str> {
    listed
        .required
        .iter()
        .map(|name| &**name)
        .filter(|name| arguments.is_none_or(|arguments| arguments.get(name).is_none()))
        .collect()
}

fn missing_text(missing: &[&str]) -> Arc<str> {
    let mut named: Vec<String> = missing
        .iter()
        .take(MISSING_NAMED_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    if missing.len() > MISSING_NAMED_MAX {
        named.push("…".to_owned());
    }
    match missing {
        [_] => format!("the required argument {} is missing", named.join(", ")).into(),
        _ => format!("the required arguments {} are missing", named.join(", ")).into(),
    }
}
