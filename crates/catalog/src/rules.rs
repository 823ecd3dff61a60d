//! What the rules make of a definition.

use crate::class::Class;
use crate::definition::{Definition, Parameter};
use crate::evidence::{Evidence, Part};
use crate::phrase::{Phrase, verb_of, verbs_of_name};
use crate::seek::{QUOTE_CHARS_MAX, find, has, sentence_with};
use crate::text::{beginning, flat, singular, words_of_name};
use crate::words::{self, Act, Reach, Rule, is_in};
use std::collections::BTreeSet;

/// In so many characters of a description, what is said of reading is said of the tool, not of another.
const OPENING_CHARS: usize = 240;
/// So many words of what a parameter can be are looked at.
const CHOICE_WORDS_MAX: usize = 12;

/// What stands around a verb.
#[derive(Debug)]
pub(crate) struct Around {
    /// Words of the names of parameters, and these names without their gaps.
    pub(crate) params: Vec<String>,
    /// All words.
    pub(crate) words: BTreeSet<String>,
}

impl Around {
    pub(crate) fn of(tool: &Definition, text: &str) -> Self {
        let params = parameter_words(tool);
        let mut words: BTreeSet<String> = text.split_whitespace().map(singular).collect();
        words.extend(params.iter().cloned());
        words.extend(words_of_name(&tool.name).iter().map(|word| singular(word)));
        Self { params, words }
    }
}

fn parameter_words(tool: &Definition) -> Vec<String> {
    let mut words: Vec<String> = tool
        .parameters
        .iter()
        .flat_map(|parameter| words_of_name(&parameter.name))
        .map(|word| singular(&word))
        .collect();
    words.extend(
        tool.parameters
            .iter()
            .map(|parameter| words_of_name(&parameter.name).concat()),
    );
    words.sort();
    words.dedup();
    words
}

fn applies(rule: &Rule, phrase: &Phrase, around: &Around) -> bool {
    let any = |list: &str, words: &[String]| list.is_empty() || words.iter().any(|word| is_in(word, list));
    (rule.acts.is_empty() || rule.acts.contains(&phrase.act))
        && (rule.verbs.is_empty() || is_in(&phrase.verb, rule.verbs))
        && (any(rule.objects, &phrase.objects) || any(rule.objects, &phrase.added))
        && (rule.unless.is_empty() || !any(rule.unless, &phrase.objects))
        && any(rule.params, &around.params)
        && (rule.context.is_empty() || around.words.iter().any(|word| is_in(word, rule.context)))
}

pub(crate) fn by_rules(
    phrase: &Phrase,
    around: &Around,
    percent: i32,
    part: Part,
    quote: &str,
    out: &mut Vec<Evidence>,
) {
    for rule in words::RULES.iter().filter(|rule| applies(rule, phrase, around)) {
        out.push(Evidence {
            part,
            quote: quote.to_owned(),
            class: rule.class,
            points: rule.points.saturating_mul(percent) / 100,
            meaning: rule.meaning,
        });
    }
}

pub(crate) fn by_phrases(tool: &Definition, text: &str, looks: bool, shelves: bool, out: &mut Vec<Evidence>) {
    for (phrase, reach, class, points, meaning) in words::PHRASES {
        if looks && *reach == Reach::NotLooking || shelves && *class == Class::Destructive {
            continue;
        }
        if find(text, phrase).is_some() {
            out.push(Evidence {
                part: Part::Description,
                quote: sentence_with(&tool.description, phrase),
                class: *class,
                points: *points,
                meaning,
            });
        }
    }
}

/// Whether a parameter chooses what is done.
pub(crate) fn chooses(parameter: &Parameter) -> bool {
    words_of_name(&parameter.name)
        .last()
        .is_some_and(|word| is_in(word, words::CHOOSES))
}

/// What a verb counts that stands among others: what sets something going is a hint there, for these verbs are nouns
/// as often.
const fn said_percent(act: Act, percent: i32) -> i32 {
    match act {
        Act::Run | Act::Stop | Act::Drive => 45,
        Act::Look
        | Act::Derive
        | Act::Manage
        | Act::Make
        | Act::Change
        | Act::Shelve
        | Act::Detach
        | Act::Send
        | Act::Overwrite
        | Act::Delete
        | Act::Pay => percent,
    }
}

/// What a parameter that chooses what is done can be.
pub(crate) fn by_choices(
    tool: &Definition,
    name: &[String],
    around: &Around,
    looks: bool,
    makes: bool,
    out: &mut Vec<Evidence>,
) {
    for parameter in &tool.parameters {
        if !chooses(parameter) {
            continue;
        }
        let has_methods = !makes
            && (parameter.name.eq_ignore_ascii_case("method")
                || parameter
                    .choices
                    .iter()
                    .any(|choice| choice.eq_ignore_ascii_case("post")));
        for choice in &parameter.choices {
            if looks && words_of_name(choice).len() > 2 {
                continue;
            }
            let quote = format!("{}: {}", parameter.name, beginning(choice, QUOTE_CHARS_MAX));
            let mut parts = words_of_name(choice);
            parts.truncate(CHOICE_WORDS_MAX);
            if has_methods && is_in(&parts.join(" "), words::HTTP_CHANGES) {
                out.push(Evidence {
                    part: Part::Parameter,
                    quote,
                    class: Class::Execute,
                    points: 60,
                    meaning: "makes calls that change something",
                });
                continue;
            }
            for mut phrase in verbs_of_name(&parts) {
                phrase.objects.extend(name.iter().map(|word| singular(word)));
                by_rules(
                    &phrase,
                    around,
                    said_percent(phrase.act, 75),
                    Part::Parameter,
                    &quote,
                    out,
                );
            }
        }
    }
}

/// Where the name says no more than that something is handled, every verb of the description counts.
pub(crate) fn by_all_verbs(tool: &Definition, around: &Around, text: &str, out: &mut Vec<Evidence>) {
    let mut seen: Vec<Act> = Vec::new();
    let own: Vec<String> = words_of_name(&tool.name)
        .iter()
        .map(|word| singular(word))
        .collect();
    let chosen: String = tool
        .parameters
        .iter()
        .filter(|parameter| chooses(parameter))
        .map(|parameter| flat(&parameter.description))
        .collect();
    for word in text
        .split_whitespace()
        .take(200)
        .chain(chosen.split_whitespace().take(60))
    {
        let Some((verb, act)) = verb_of(word) else {
            continue;
        };
        if is_in(&verb, words::OFTEN_NOUNS) || seen.contains(&act) {
            continue;
        }
        seen.push(act);
        let phrase = Phrase {
            verb,
            act,
            objects: own.clone(),
            added: Vec::new(),
        };
        by_rules(
            &phrase,
            around,
            said_percent(phrase.act, 70),
            Part::Description,
            &sentence_with(&tool.description, word),
            out,
        );
    }
}

/// Switches that turn a call into one that takes something away.
pub(crate) fn by_switches(tool: &Definition, looks: bool, out: &mut Vec<Evidence>) {
    if looks {
        return;
    }
    let is_switch = |parameter: &&Parameter| {
        parameter.kinds.iter().any(|kind| kind == "boolean")
            && words_of_name(&parameter.name)
                .first()
                .is_some_and(|word| is_in(word, words::LOSES))
    };
    if let Some(parameter) = tool.parameters.iter().find(is_switch) {
        out.push(Evidence {
            part: Part::Parameter,
            quote: parameter.name.clone(),
            class: Class::Destructive,
            points: 55,
            meaning: "can be told to take something away",
        });
    }
}

/// Whether a parameter takes code, or a query in a language that can do anything.
pub(crate) fn takes_code(parameter: &Parameter, text: &str) -> bool {
    let name = words_of_name(&parameter.name);
    let Some(last) = name.last().filter(|_| parameter.is_free_text()) else {
        return false;
    };
    is_in(last, words::COMMANDS)
        || is_in(&name.concat(), words::CODE)
        || is_in(last, "query queries body statement expr")
            && (has(text, &["sql", "cypher", "graphql", "spl"])
                || has(&flat(&parameter.description), words::LANGUAGES))
}

pub(crate) fn by_code(tool: &Definition, verb: Option<&Phrase>, text: &str, out: &mut Vec<Evidence>) {
    if verb.is_some_and(|phrase| is_in(&phrase.verb, words::ONLY_LOOKS_AT_CODE)) {
        return;
    }
    let looks = verb.is_some_and(|phrase| phrase.act == Act::Look);
    // What is made or changed may hold a command without running it.
    let makes = verb.is_some_and(|phrase| matches!(phrase.act, Act::Make | Act::Change | Act::Manage));
    let runs = verb.is_none_or(|phrase| matches!(phrase.act, Act::Run | Act::Drive | Act::Send))
        || has(text, words::LANGUAGES) && has(text, &["execute*", "executing", "run", "runs", "evaluat*"]);
    for parameter in &tool.parameters {
        let is_code_alone = is_in(&words_of_name(&parameter.name).concat(), words::CODE);
        if takes_code(parameter, text) && (!is_code_alone || runs && !looks) {
            out.push(Evidence {
                part: Part::Parameter,
                quote: parameter.name.clone(),
                class: Class::Execute,
                points: if makes { 35 } else { 50 },
                meaning: "takes code, a command or a query that can do anything",
            });
        }
    }
}

/// What takes the edge off: a bin, or a promise that only reading is let through.
pub(crate) fn by_softening(verb: Option<&Phrase>, around: &Around, text: &str, out: &mut Vec<Evidence>) {
    let mut push = |class, points, meaning| {
        out.push(Evidence {
            part: Part::Description,
            quote: String::new(),
            class,
            points,
            meaning,
        });
    };
    if has(text, words::CAN_BE_BROUGHT_BACK) && !has(text, words::IS_LOST) {
        push(Class::Destructive, -170, "");
        push(Class::Write, 60, "can be taken back");
    }
    if has(text, words::DRAFT_ONLY) {
        push(Class::Financial, -90, "");
        push(Class::Write, 40, "makes a draft");
    }
    let could_only_read = verb.is_none_or(|phrase| matches!(phrase.act, Act::Look | Act::Run | Act::Derive));
    let has_param = |list: &str| around.params.iter().any(|param| is_in(param, list));
    let opening: String = text.chars().take(OPENING_CHARS).collect();
    if could_only_read
        && !has_param(words::ANYTHING)
        && (has(text, words::ONLY_READS)
            || has(&opening, words::READ_ONLY)
                && (has_param(words::QUERIES) || verb.is_none_or(|phrase| phrase.act == Act::Look)))
    {
        push(Class::Execute, -130, "");
        push(Class::Read, 40, "says that it only reads");
    }
    if has(text, words::READS_ONLY) {
        push(Class::Write, -130, "");
    }
}
