//! Why a tool has its class, in one sentence.

use crate::class::Class;
use crate::decide::Decided;
use crate::evidence::Part;
use crate::signals::Signal;

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
pub(crate) fn sentence(decided: &Decided, signals: &[Signal]) -> String {
    let mut out = match decided.evidence.first() {
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
                consequence(decided.class)
            )
        }
        None => format!(
            "Nothing in its definition says what this tool does, so it counts as {}",
            decided.class
        ),
    };
    if decided.is_unclear && !decided.evidence.is_empty() {
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
