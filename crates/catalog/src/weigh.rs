//! Adds up what a definition says, and takes the worst class that has enough.

use crate::class::{Class, Confidence};
use crate::definition::{Definition, Parameter};
use crate::text::{beginning, flat, singular, stems, words_of_name};
use crate::words::{self, Act, Reach, Rule};
use std::collections::BTreeSet;

/// So many words of a description are looked at for its verb.
const LEAD_WORDS_MAX: usize = 6;
/// So many words after a verb are its objects.
const OBJECT_WORDS_MAX: usize = 6;
/// In so many characters of a description, what is said of reading is said of the tool, not of another.
const OPENING_CHARS: usize = 240;
/// So many characters are quoted.
const QUOTE_CHARS_MAX: usize = 120;

/// Where in a definition something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// In its name.
    Name,
    /// In its title.
    Title,
    /// In its description.
    Description,
    /// In its parameters.
    Parameter,
    /// In its annotations.
    Annotation,
}

impl Part {
    /// The part in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Title => "title",
            Self::Description => "description",
            Self::Parameter => "parameter",
            Self::Annotation => "annotation",
        }
    }
}

/// Something that spoke for a class, or against one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Where it stands.
    pub part: Part,
    /// What stands there, as it was sent.
    pub quote: String,
    /// What it speaks for.
    pub class: Class,
    /// How much; below zero where it speaks against.
    pub points: i32,
    /// What it means: "it …"; empty where it only takes away.
    pub meaning: &'static str,
}

/// A class with what it rests on.
#[derive(Debug)]
pub(crate) struct Weighed {
    pub(crate) class: Class,
    pub(crate) confidence: Confidence,
    pub(crate) evidence: Vec<Evidence>,
    /// Whether nothing spoke clearly.
    pub(crate) is_unclear: bool,
}

/// A verb with what stands beside it.
#[derive(Debug)]
struct Phrase {
    verb: String,
    act: Act,
    objects: Vec<String>,
    /// What the sentence beside it adds to that; none of these rules a rule out.
    added: Vec<String>,
}

/// What stands around a verb.
#[derive(Debug)]
struct Around {
    /// Words of the names of parameters, and these names without their gaps.
    params: Vec<String>,
    /// All words.
    words: BTreeSet<String>,
}

impl Around {
    fn of(tool: &Definition, text: &str) -> Self {
        let params = parameter_words(tool);
        let mut words: BTreeSet<String> = text.split_whitespace().map(singular).collect();
        words.extend(params.iter().cloned());
        words.extend(words_of_name(&tool.name).iter().map(|word| singular(word)));
        Self { params, words }
    }
}

/// Weighs a definition.
pub(crate) fn weigh(tool: &Definition) -> Weighed {
    let mut evidence = Vec::new();
    let name_words = words_of_name(&tool.name);
    let leads = leads(tool);
    let lead = leads.first();
    let mut named = verbs_of_name(&name_words);
    if let [only] = named.as_slice()
        && is_in(&only.verb, words::OFTEN_NOUNS)
        && (lead.is_some_and(|lead| lead.act == Act::Look)
            && !(name_words.first() == Some(&only.verb) && matches!(only.act, Act::Delete | Act::Pay))
            || name_words.last().is_some_and(|last| is_in(last, words::SHOWN)))
    {
        named.clear();
        if name_words.last().is_some_and(|last| is_in(last, words::SHOWN)) {
            named.push(Phrase {
                verb: "show".to_owned(),
                act: Act::Look,
                objects: Vec::new(),
                added: Vec::new(),
            });
        }
    }
    if let (Some(lead), [first, ..]) = (lead, named.as_mut_slice())
        && lead.act == first.act
        && (first.objects.len() < 2 || first.act == Act::Send)
    {
        let taken = if first.act == Act::Send {
            OBJECT_WORDS_MAX
        } else {
            3
        };
        if first.act == Act::Send {
            first.objects.extend(lead.objects.iter().take(taken).cloned());
        } else {
            first.added.extend(lead.objects.iter().take(taken).cloned());
        }
    }
    let text = flat(&tool.description);
    let around = Around::of(tool, &text);
    for phrase in &named {
        by_rules(phrase, &around, 100, Part::Name, &tool.name, &mut evidence);
    }
    let lead_weight = if named.is_empty() { 100 } else { 60 };
    for lead in &leads {
        let quote = beginning(tool.description.trim(), QUOTE_CHARS_MAX);
        by_rules(
            lead,
            &around,
            lead_weight,
            Part::Description,
            &quote,
            &mut evidence,
        );
    }
    let looks = !(named.is_empty() && lead.is_none())
        && named.iter().chain(&leads).all(|phrase| phrase.act == Act::Look);
    let makes = named.first().is_some_and(|phrase| phrase.act == Act::Make);
    let shelves = named.first().is_some_and(|phrase| phrase.act == Act::Shelve);
    by_phrases(tool, &text, looks, shelves, &mut evidence);
    by_choices(tool, &name_words, &around, looks, makes, &mut evidence);
    let is_told_apart = !looks
        && tool
            .parameters
            .iter()
            .any(|parameter| chooses(parameter) && parameter.choices.is_empty());
    if is_told_apart
        || named.iter().chain(&leads).any(|phrase| phrase.act == Act::Manage)
        || named.is_empty() && lead.is_none()
    {
        by_all_verbs(tool, &around, &text, &mut evidence);
    }
    by_code(tool, named.first(), &text, &mut evidence);
    by_softening(named.first(), &around, &text, &mut evidence);
    decide(tool, evidence)
}

fn is_in(word: &str, list: &str) -> bool {
    list.split_whitespace().any(|other| other == word)
}

pub(crate) fn act_of(word: &str) -> Option<Act> {
    let listed = |word: &str| {
        words::VERBS
            .iter()
            .find(|(_, verbs)| is_in(word, verbs))
            .map(|(act, _)| *act)
    };
    // What undoes a change is a change.
    let undone = || listed(word.strip_prefix("un")?).filter(|act| *act == Act::Change);
    listed(word).or_else(undone)
}

/// The verb that a word of a sentence is a form of.
fn verb_of(word: &str) -> Option<(String, Act)> {
    stems(word).find_map(|stem| act_of(&stem).map(|act| (stem, act)))
}

/// The verbs of a name: one, and those that `and` and `or` put beside it.
fn verbs_of_name(words: &[String]) -> Vec<Phrase> {
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
                    .is_some_and(|word| word == "and" || word == "or")
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

/// The verbs that a description begins with: one, and those that `and`, `or` or a slash put beside it.
fn leads(tool: &Definition) -> Vec<Phrase> {
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
            .is_some_and(|before| *before == "and" || *before == "or");
        if *word == "." {
            break;
        }
        if let Some((verb, act)) = verb_of(word)
            && is_joined
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

fn by_rules(
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

/// Where a phrase stands in a flat text, if nothing before it turns it round.
fn find(text: &str, phrase: &str) -> Option<usize> {
    let pieces: Vec<&str> = phrase.split(' ').collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    (0..words.len()).find(|&start| {
        pieces.iter().enumerate().all(|(offset, piece)| {
            words
                .get(start.saturating_add(offset))
                .is_some_and(|word| match piece.strip_suffix('*') {
                    Some(stem) => word.starts_with(stem),
                    None => word == piece,
                })
        }) && !words
            .iter()
            .take(start)
            .skip(start.saturating_sub(2))
            .any(|word| is_in(word, words::NOT))
    })
}

fn has(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| find(text, phrase).is_some())
}

fn by_phrases(tool: &Definition, text: &str, looks: bool, shelves: bool, out: &mut Vec<Evidence>) {
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

/// The sentence of a description that a phrase stands in.
fn sentence_with(description: &str, phrase: &str) -> String {
    description
        .split_inclusive(['.', '!', '?', '\n', ';'])
        .find(|sentence| find(&flat(sentence), phrase).is_some())
        .map_or_else(
            || beginning(description.trim(), QUOTE_CHARS_MAX),
            |sentence| beginning(sentence.trim(), QUOTE_CHARS_MAX),
        )
}

/// Whether a parameter chooses what is done.
fn chooses(parameter: &Parameter) -> bool {
    words_of_name(&parameter.name)
        .last()
        .is_some_and(|word| is_in(word, words::CHOOSES))
}

/// What a parameter that chooses what is done can be.
fn by_choices(
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
        for choice in &parameter.choices {
            if looks && words_of_name(choice).len() > 2 {
                continue;
            }
            let quote = format!("{}: {}", parameter.name, beginning(choice, QUOTE_CHARS_MAX));
            let parts = words_of_name(choice);
            let is_method = !makes
                && (parameter.name.eq_ignore_ascii_case("method")
                    || parameter
                        .choices
                        .iter()
                        .any(|other| other.eq_ignore_ascii_case("post")))
                && is_in(&parts.join(" "), words::HTTP_CHANGES);
            if is_method {
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
                by_rules(&phrase, around, 75, Part::Parameter, &quote, out);
            }
        }
    }
}

/// Where the name says no more than that something is handled, every verb of the description counts.
fn by_all_verbs(tool: &Definition, around: &Around, text: &str, out: &mut Vec<Evidence>) {
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
            70,
            Part::Description,
            &sentence_with(&tool.description, word),
            out,
        );
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

fn by_code(tool: &Definition, verb: Option<&Phrase>, text: &str, out: &mut Vec<Evidence>) {
    if verb.is_some_and(|phrase| is_in(&phrase.verb, words::ONLY_LOOKS_AT_CODE)) {
        return;
    }
    let looks = verb.is_some_and(|phrase| phrase.act == Act::Look);
    // What is made or changed may hold a command without running it.
    let makes = verb.is_some_and(|phrase| matches!(phrase.act, Act::Make | Act::Change | Act::Manage));
    for parameter in &tool.parameters {
        let is_code_alone = is_in(&words_of_name(&parameter.name).concat(), words::CODE);
        let runs = verb.is_none_or(|phrase| matches!(phrase.act, Act::Run | Act::Drive | Act::Send))
            || has(text, words::LANGUAGES)
                && has(text, &["execute*", "executing", "run", "runs", "evaluat*"]);
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
fn by_softening(verb: Option<&Phrase>, around: &Around, text: &str, out: &mut Vec<Evidence>) {
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
        push(Class::Destructive, -120, "");
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

fn decide(tool: &Definition, mut evidence: Vec<Evidence>) -> Weighed {
    let points = |class: Class| -> i32 {
        // The heaviest counts whole, the rest by half: many weak words are not a strong one.
        let mut pro: Vec<i32> = evidence
            .iter()
            .filter(|found| found.class == class && found.points > 0)
            .map(|found| found.points)
            .collect();
        pro.sort_unstable_by(|a, b| b.cmp(a));
        let con: i32 = evidence
            .iter()
            .filter(|found| found.class == class && found.points < 0)
            .map(|found| found.points)
            .min()
            .unwrap_or(0);
        let rest: i32 = pro.iter().skip(1).sum();
        pro.first()
            .copied()
            .unwrap_or(0)
            .saturating_add(rest / 3)
            .saturating_add(con)
    };
    let clear = Class::ALL
        .into_iter()
        .find(|class| points(*class) >= words::ENOUGH);
    let some = Class::ALL.into_iter().find(|class| points(*class) >= words::SOME);
    let (class, is_unclear) = match (clear, some) {
        (Some(class), _) => (class, false),
        (None, Some(class)) => (class, true),
        (None, None) => (unknown(tool), true),
    };
    let own = points(class);
    let rival = Class::ALL
        .into_iter()
        .take_while(|other| *other != class)
        .map(points)
        .max()
        .unwrap_or(0);
    let mut hundredths = if is_unclear {
        25
    } else {
        45_i32
            .saturating_add(own.clamp(0, 120) / 3)
            .saturating_sub(rival.clamp(0, 60) / 3)
    };
    let agrees = match class {
        Class::Read => tool.claims_read_only == Some(true),
        Class::Destructive => tool.claims_destructive == Some(true),
        Class::Write | Class::Execute | Class::Financial => tool.claims_read_only == Some(false),
    };
    if agrees {
        hundredths = hundredths.saturating_add(8);
    }
    evidence.retain(|found| found.class == class && found.points > 0 && !found.quote.is_empty());
    evidence.sort_by(|a, b| {
        b.points
            .cmp(&a.points)
            .then(a.part.cmp(&b.part))
            .then_with(|| a.quote.cmp(&b.quote))
    });
    evidence.dedup_by(|a, b| a.part == b.part && a.quote == b.quote);
    Weighed {
        class,
        confidence: Confidence::percent(hundredths.min(99)),
        evidence,
        is_unclear,
    }
}

/// The class of a tool of which no word is known.
fn unknown(tool: &Definition) -> Class {
    if tool.claims_destructive == Some(true) {
        Class::Destructive
    } else if tool.description.trim().len() > 20 && tool.claims_read_only != Some(false) {
        Class::Read
    } else {
        Class::Execute
    }
}
