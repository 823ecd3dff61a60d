//! Why a tool has its class, in one sentence.

use crate::class::Class;
use crate::signals::Signal;
use crate::weigh::{Part, Weighed};

/// What it comes to, by class.
const fn consequence(class: Class) -> &'static str {
    match class {
        Class::Read => "nothing is changed by it",
        Class::Write => "what it changes can be changed back",
        Class::Execute => "what follows reaches beyond the call",
        Class::Destructive => "what is lost does not come back",
        Class::Financial => "money moves, or a duty to pay",
    }
}

/// The sentence.
pub(crate) fn sentence(weighed: &Weighed, signals: &[Signal]) -> String {
    let mut out = match weighed.evidence.first() {
        Some(found) => {
            let by = match found.part {
                Part::Name => "By its name",
                Part::Title => "By its title",
                Part::Description => "By its description",
                Part::Parameter => "By its parameters",
                Part::Annotation => "By its annotations",
            };
            format!(
                "{by} this tool {}, and {}",
                found.meaning,
                consequence(weighed.class)
            )
        }
        None => format!(
            "Nothing in its definition says what this tool does, so it counts as {}",
            weighed.class
        ),
    };
    if weighed.is_unclear && !weighed.evidence.is_empty() {
        out.push_str(", though little speaks for it");
    }
    if signals
        .iter()
        .any(|signal| matches!(signal, Signal::LyingAnnotation))
    {
        out.push_str("; its annotations, which say less, do not count");
    }
    out.push('.');
    out
}
