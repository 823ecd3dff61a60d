//! What a server says of itself may restrict, and may let nothing pass.
//!
//! Annotations, and a class made from them, are the server's own claims. A condition on one is refused where
//! the claim would spare a call something that is asked of it otherwise: beside other conditions in an `any`
//! that must hold, as an exemption among the conditions of a denial or a hold, on a glob under
//! `default: deny` (which would list every tool that claims the right thing), and inside CEL, which cannot be
//! looked into.

use super::condition::Place;
use super::context::{Context, Fields};
use super::entry::Subject;
use crate::Trust;
use crate::diagnostic::Code;
use crate::span::Span;
use callgate_core::condition::{Condition, Operator, Polarity, Presence};
use callgate_core::path::{Path, Root, Segment};

impl Context<'_> {
    /// Refuses a condition that lets calls pass because of annotations.
    pub(crate) fn distrust(&mut self, condition: &Condition, place: Place<'_>, fields: Fields<'_>) {
        if self.trust == Trust::Annotations || !mentions(condition) {
            return;
        }
        let lists = self.denies_by_default && matches!(place.subject, Subject::Glob(_));
        if lists && spares(condition, place.polarity, false) {
            self.refuse_claim(
                fields.head(),
                fields.pointer,
                "this glob would allow every tool whose server makes the right claim",
            );
        } else if mixes(condition, place.polarity, false) {
            self.refuse_claim(
                fields.head(),
                fields.pointer,
                "a claim of the server would spare a call what is asked of it otherwise",
            );
        }
    }

    /// Refuses an expression that reads annotations.
    pub(crate) fn distrust_expression(&mut self, span: Span, pointer: &str) {
        if self.trust != Trust::Annotations {
            self.refuse_claim(
                span,
                pointer,
                "an expression may not read what the server says of its tools",
            );
        }
    }

    fn refuse_claim(&mut self, span: Span, pointer: &str, message: &str) {
        self.findings
            .error(Code::AnnotationTrust, span, pointer, message)
            .hint("name the tools, put the annotation into a rule of its own, or set `trust: annotations` for this server");
    }
}

fn is_claim(path: &Path) -> bool {
    path.root == Root::Tool
        && matches!(path.segments.first(), Some(Segment::Key(key)) if matches!(&**key, "annotations" | "class"))
}

fn mentions(condition: &Condition) -> bool {
    match condition {
        Condition::All(members) | Condition::Any(members) => members.iter().any(mentions),
        Condition::Not(inner) => mentions(inner),
        Condition::Test(test) => is_claim(&test.path),
        Condition::External(_) => false,
    }
}

/// Whether everything in it is about claims.
fn claims_only(condition: &Condition) -> bool {
    match condition {
        Condition::All(members) | Condition::Any(members) => members.iter().all(claims_only),
        Condition::Not(inner) => claims_only(inner),
        Condition::Test(test) => is_claim(&test.path),
        Condition::External(_) => false,
    }
}

/// Whether a claim that is made, rather than one that is left out, helps a call to pass.
fn spares(condition: &Condition, polarity: Polarity, negated: bool) -> bool {
    match condition {
        Condition::All(members) | Condition::Any(members) => {
            members.iter().any(|member| spares(member, polarity, negated))
        }
        Condition::Not(inner) => spares(inner, polarity, !negated),
        Condition::Test(test) if is_claim(&test.path) => match polarity {
            Polarity::MustHold => true,
            Polarity::Selects => is_negative(&test.operator) != negated,
        },
        Condition::Test(_) | Condition::External(_) => false,
    }
}

/// Whether a claim stands beside other conditions where it can make up for them.
fn mixes(condition: &Condition, polarity: Polarity, negated: bool) -> bool {
    // Under `not`, `all` and `any` change places; in what selects, a call passes where one condition fails.
    let (members, one_is_enough) = match (condition, polarity, negated) {
        (Condition::Any(members), Polarity::MustHold, false)
        | (Condition::All(members), Polarity::MustHold, true)
        | (Condition::All(members), Polarity::Selects, false)
        | (Condition::Any(members), Polarity::Selects, true) => (members, true),
        (Condition::All(members) | Condition::Any(members), _, _) => (members, false),
        (Condition::Not(inner), _, _) => return mixes(inner, polarity, !negated),
        (Condition::Test(_) | Condition::External(_), _, _) => return false,
    };
    let mixed = members.iter().any(mentions) && !members.iter().all(claims_only);
    let sparing = members.iter().any(|member| spares(member, polarity, negated));
    (one_is_enough && mixed && sparing) || members.iter().any(|member| mixes(member, polarity, negated))
}

const fn is_negative(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Neq(_) | Operator::NotIn(_) | Operator::Exists(Presence::Absent)
    )
}
