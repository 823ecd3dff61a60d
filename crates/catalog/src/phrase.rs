//! The verbs of a definition: those of its name, and those that its description begins with.

use crate::definition::Definition;
use crate::text::{flat, singular, stems, words_of_name};
use crate::words::{self, Act, is_in};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// So many words of a description are looked at for its verb.
const LEAD_WORDS_MAX: usize = 6;
/// So many words after a verb are its objects.
pub(crate) const OBJECT_WORDS_MAX: usize = 6;

/// A verb with what stands beside it.
#[derive(Debug)]
pub(crate) struct Phrase {
    pub(crate) verb: String,
    pub(crate) act: Act,
    pub(crate) objects: Vec<String>,
    /// What the sentence beside it adds to that; none of these rules a rule out.
    pub(crate) added: Vec<String>,
}

/// What each verb does.
static ACTS: LazyLock<BTreeMap<&'static str, Act>> = LazyLock::new(|| {
    let mut acts = BTreeMap::new();
    for (act, verbs) in words::VERBS {
        for verb in verbs.split_whitespace() {
            acts.entry(verb).or_insert(*act);
        }
    }
    acts
});

/// What a verb does, if the word is one.
pub(crate) fn act_of(word: &str) -> Option<Act> {
    let listed = |word: &str| ACTS.get(word).copied();
    // What undoes a change is a change.
    let undone = || listed(word.strip_prefix("un")?).filter(|act| *act == Act::Change);
    listed(word).or_else(undone)
}

/// The verb that a word of a sentence is a form of.
pub(crate) fn verb_of(word: &str) -> Option<(String, Act)> {
    stems(word).find_map(|stem| act_of(&stem).map(|act| (stem, act)))
}

/// The verbs of a name: one, and those that `and` and `or` put beside it.
pub(crate) fn verbs_of_name(words: &[String]) -> Vec<Phrase> {
    let found: Vec<(usize, Act, bool)> = words
        .iter()
        .enumerate()
        .filter_map(|(index, word)| {
            let act = act_of(word)?;
            Some((index, act, is_in(word, words::OFTEN_NOUNS)))
        })
        .collect();
    let strong = found.iter().find(|(_, _, is_noun)| !is_noun);
    let first = found.first().filter(|(index, _, _)| *index == 0);
    // A noun in front of the verb, as in `order_cancel`, or a verb that is often a noun, as in `post_message`.
    let main = match (strong, first) {
        (Some(strong), Some((_, _, true))) if strong.0.saturating_add(1) == words.len() => Some(strong),
        (_, Some(first)) => Some(first),
        (Some(strong), None) => Some(strong),
        (None, None) => found.first(),
    };
    let Some(&(main, _, _)) = main else {
        return Vec::new();
    };
    found
        .iter()
        .filter(|(index, _, _)| {
            *index == main
                || index
                    .checked_sub(1)
                    .and_then(|before| words.get(before))
                    .is_some_and(|word| is_joint(word))
        })
        .map(|&(index, act, _)| Phrase {
            verb: words.get(index).cloned().unwrap_or_default(),
            act,
            objects: words
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(_, word)| singular(word))
                .collect(),
            added: Vec::new(),
        })
        .collect()
}

/// Whether what follows is done as well.
fn is_joint(word: &str) -> bool {
    matches!(word, "and" | "or" | "then")
}

/// The verbs that a description begins with: one, and those that `and`, `or`, `then` or a slash put beside it.
pub(crate) fn leads(tool: &Definition) -> Vec<Phrase> {
    let mut leads = Vec::new();
    let Some(first) = lead(tool) else { return leads };
    let text = flat(&tool.description);
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| verb_of(word).is_some_and(|(verb, _)| verb == first.verb))
        .unwrap_or_default();
    for (index, word) in words.iter().enumerate().skip(at.saturating_add(1)).take(4) {
        let is_joined = index
            .checked_sub(1)
            .and_then(|before| words.get(before))
            .is_some_and(|before| is_joint(before));
        if *word == "." {
            break;
        }
        if let Some((verb, act)) = verb_of(word)
            && is_joined
            // "Balances and buying power" buys nothing.
            && !word.ends_with("ing")
            && !is_in(&verb, words::OFTEN_NOUNS)
        {
            leads.push(Phrase {
                verb,
                act,
                objects: first.objects.clone(),
                added: Vec::new(),
            });
        }
    }
    leads.insert(0, first);
    leads
}

/// The verb that a description begins with.
fn lead(tool: &Definition) -> Option<Phrase> {
    let text = flat(&tool.description);
    let words: Vec<&str> = text.split_whitespace().collect();
    let own: Vec<String> = words_of_name(&tool.name);
    let start = words.iter().take(12).position(|word| *word == "to").filter(|_| {
        words
            .first()
            .is_some_and(|word| is_in(word, "the this a use used"))
    });
    let from = start.map_or(0, |index| index.saturating_add(1));
    let mut at = from;
    let mut seen = 0_usize;
    while seen < LEAD_WORDS_MAX {
        let word = *words.get(at)?;
        if word != "."
            && !own
                .iter()
                .take(1)
                .any(|name| name == word && own.len() > 1 && act_of(name).is_none())
        {
            seen = seen.saturating_add(1);
            if let Some((verb, act)) = verb_of(word)
                && (!is_in(&verb, words::OFTEN_NOUNS) || seen == 1)
            {
                let objects = words
                    .iter()
                    .skip(at.saturating_add(1))
                    .take(OBJECT_WORDS_MAX)
                    .take_while(|word| **word != ".")
                    // `from` is telling in a name only: sentences say where a thing is deleted from.
                    .filter(|word| **word != "from")
                    .map(|word| singular(word))
                    .collect();
                return Some(Phrase {
                    verb,
                    act,
                    objects,
                    added: Vec::new(),
                });
            }
        }
        at = at.saturating_add(1);
    }
    None
}
