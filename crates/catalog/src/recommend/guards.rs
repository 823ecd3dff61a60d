//! Makes the entries that need nobody's answer: switches, patterns, bounds, queries, texts and open objects.

use super::RuleKind;
use super::arguments::Argument;
use super::maker::{Maker, all_of, either, if_there, names, of, present, spelled};
use super::patterns::{ACTIVE, AMOUNT_MAX, CHANGING, ID, INSIDE, NAME, READING, SMALL_AMOUNT};
use super::roles::Role;
use super::terms::{Condition, Literals, Presence, Value};
use crate::class::Class;
use callgate_core::path::Segment;

impl Maker<'_> {
    pub(super) fn switches(&mut self, roles: &[(&Argument, Role)]) {
        let waits = of(roles, |role| role == Role::Wait);
        let no = |argument: &&Argument| {
            if_there(
                argument,
                false,
                Condition::test(&argument.path, "eq", Value::Flag(Presence::No)),
            )
        };
        if let Some(condition) = all_of(waits.iter().map(no).collect()) {
            let on_deny = format!(
                "Leave {} out, or give false; look at the result later",
                names(&waits)
            );
            self.push(
                RuleKind::NoWaiting,
                "do not wait".to_owned(),
                "Servers stop waiting before the work has ended, and who then tries again starts it twice.",
                on_deny,
                condition,
                &waits,
            );
        }
        let forces = of(roles, |role| role == Role::Force);
        if let Some(condition) = all_of(forces.iter().map(no).collect()) {
            self.push(
                RuleKind::Safeguard,
                "safeguards stay".to_owned(),
                "With it the tool does more, or asks less, than it does by itself.",
                format!("Leave {} out, or give false", names(&forces)),
                condition,
                &forces,
            );
        }
        let takes_code = roles
            .iter()
            .any(|(_, role)| matches!(role, Role::Code | Role::Query));
        let read_only = of(roles, |role| role == Role::ReadOnly);
        if takes_code
            && let Some(condition) = all_of(
                read_only
                    .iter()
                    .flat_map(|argument| {
                        [
                            present(&argument.path),
                            Condition::test(&argument.path, "eq", Value::Flag(Presence::Yes)),
                        ]
                    })
                    .collect(),
            )
        {
            self.push(
                RuleKind::ReadOnly,
                "read only".to_owned(),
                "The server can be told to change nothing, so it is.",
                format!("Give {} as true", names(&read_only)),
                condition,
                &read_only,
            );
        }
    }

    pub(super) fn patterns(&mut self, roles: &[(&Argument, Role)]) {
        let found = of(roles, |role| matches!(role, Role::Id | Role::Name));
        let conditions = roles
            .iter()
            .filter_map(|(argument, role)| {
                let pattern = if *role == Role::Id {
                    ID
                } else if *role == Role::Name {
                    NAME
                } else {
                    return None;
                };
                let test = Condition::test(&argument.path, "regex", Value::Text(pattern.to_owned()));
                Some(if_there(
                    argument,
                    argument.is_required && !argument.in_list(),
                    test,
                ))
            })
            .collect();
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Pattern,
                "plain identifiers".to_owned(),
                "Servers put identifiers into paths and command lines as they are.",
                format!("{}: letters, digits and _.:@=+~- only, not empty", names(&found)),
                condition,
                &found,
            );
        }
        let inside = of(roles, |role| role == Role::Inside);
        let conditions = inside
            .iter()
            .map(|argument| {
                let test = Condition::test(&argument.path, "regex", Value::Text(INSIDE.to_owned()));
                if_there(argument, argument.is_required && !argument.in_list(), test)
            })
            .collect();
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Pattern,
                "paths stay inside".to_owned(),
                "No path begins at the root or leads upwards.",
                format!(
                    "{}: a relative path without .. and without odd characters",
                    names(&inside)
                ),
                condition,
                &inside,
            );
        }
    }

    pub(super) fn bounds(&mut self, roles: &[(&Argument, Role)]) {
        let is_financial = self.tool.class == Class::Financial;
        let found = of(roles, |role| {
            matches!(role, Role::Count { .. } | Role::Time { .. }) || is_financial && role == Role::Amount
        });
        let mut words = Vec::new();
        let mut conditions = Vec::new();
        for (argument, role) in roles {
            let bound = |max: u32| {
                Condition::All(vec![
                    Condition::test(&argument.path, "gte", Value::Number("0".to_owned())),
                    Condition::test(&argument.path, "lte", Value::Number(max.to_string())),
                ])
            };
            let max = if let Role::Count { max } | Role::Time { max } = role {
                Some(argument.at_most(*max))
            } else if *role == Role::Amount {
                argument.kinds.is_number().then_some(AMOUNT_MAX)
            } else {
                continue;
            };
            let word = spelled(&argument.path);
            let test = match max {
                Some(max) => {
                    words.push(format!("{word} from 0 to {max}"));
                    bound(max)
                }
                None => {
                    words.push(format!("{word} a plain number below 1000"));
                    Condition::test(&argument.path, "regex", Value::Text(SMALL_AMOUNT.to_owned()))
                }
            };
            conditions.push(if_there(
                argument,
                argument.is_required && !argument.in_list(),
                test,
            ));
        }
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Bound,
                "bounds of numbers".to_owned(),
                "A number that is negative or huge does what nobody meant.",
                either(&words, "and"),
                condition,
                &found,
            );
        }
    }

    pub(super) fn queries(&mut self, roles: &[(&Argument, Role)]) {
        for argument in of(roles, |role| role == Role::Query) {
            let test = Condition::All(vec![
                Condition::test(&argument.path, "regex", Value::Text(READING.to_owned())),
                Condition::Not(Box::new(Condition::test(
                    &argument.path,
                    "regex",
                    Value::Text(CHANGING.to_owned()),
                ))),
                Condition::test(&argument.path, "length", Value::Length { min: 1, max: 20_000 }),
            ]);
            self.push(
                RuleKind::ReadOnly,
                format!("{} only reads", spelled(&argument.path)),
                "The server says that it only reads; a user of the database without the right to write holds better.",
                format!("{}: one query that reads, without comments", spelled(&argument.path)),
                if_there(argument, argument.is_required && !argument.in_list(), test),
                &[argument],
            );
        }
    }

    pub(super) fn texts(&mut self, roles: &[(&Argument, Role)]) {
        let html = of(roles, |role| role == Role::Html);
        let conditions = html
            .iter()
            .map(|argument| {
                let test = Condition::All(vec![
                    Condition::Not(Box::new(Condition::test(
                        &argument.path,
                        "regex",
                        Value::Text(ACTIVE.to_owned()),
                    ))),
                    Condition::test(&argument.path, "length", Value::Length { min: 0, max: 100_000 }),
                ]);
                if_there(argument, argument.is_required && !argument.in_list(), test)
            })
            .collect();
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Html,
                "plain HTML".to_owned(),
                "Whoever reads it runs what is in it, and loads what it names.",
                format!("{}: no scripts, forms, images or handlers", names(&html)),
                condition,
                &html,
            );
        }
        let mut words = Vec::new();
        let mut conditions = Vec::new();
        for (argument, role) in roles {
            let Role::Text { max } = role else { continue };
            let test = Condition::test(&argument.path, "length", Value::Length { min: 0, max: *max });
            words.push(format!("{} of at most {max} characters", spelled(&argument.path)));
            conditions.push(if_there(
                argument,
                argument.is_required && !argument.in_list(),
                test,
            ));
        }
        if let Some(condition) = all_of(conditions) {
            let found = of(roles, |role| matches!(role, Role::Text { .. }));
            self.push(
                RuleKind::Length,
                "lengths of texts".to_owned(),
                "No message needs to carry a whole file away.",
                either(&words, "and"),
                condition,
                &found,
            );
        }
    }

    /// Objects of which nothing is said: only members that are numbers, flags or plain words.
    pub(super) fn open(&mut self, roles: &[(&Argument, Role)]) {
        for argument in of(roles, |role| role == Role::Open) {
            let word = spelled(&argument.path);
            let members = self.answers.members(&self.tool.definition.name, &argument.path);
            if !members.is_empty() {
                let mut conditions = Vec::new();
                for (member, values) in &members {
                    let mut path = argument.path.clone();
                    path.segments.push(Segment::Key(member.as_str().into()));
                    conditions.push(Condition::test(
                        &path,
                        "in",
                        Value::List {
                            values: values.clone(),
                            are: Literals::Texts,
                        },
                    ));
                }
                let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
                conditions.push(Condition::test(
                    &argument.path,
                    "length",
                    Value::Length {
                        min: count,
                        max: count,
                    },
                ));
                self.push(
                    RuleKind::Open,
                    format!("known members of {word}"),
                    "Nothing says where the members end up, so only known ones pass.",
                    format!("{word}: exactly the members and values that the policy lists"),
                    Condition::All(conditions),
                    &[argument],
                );
                continue;
            }
            let Some(when) = plain_members(argument) else {
                self.push(
                    RuleKind::Open,
                    format!("nothing in {word}"),
                    "Nothing says where the members end up.",
                    format!("Leave {word} empty"),
                    if_there(
                        argument,
                        false,
                        Condition::test(&argument.path, "length", Value::Length { min: 0, max: 0 }),
                    ),
                    &[argument],
                );
                continue;
            };
            self.push(
                RuleKind::Open,
                format!("plain members of {word}"),
                "Nothing says where the members end up; some servers put them into a command line.",
                format!("{word}: members that are numbers, true, false, or words without spaces, slashes and signs of a shell"),
                Condition::When(when),
                &[argument],
            );
        }
    }
}

/// An expression that is true where all members are numbers, flags or plain words; `None` where the argument's name
/// cannot stand in one.
fn plain_members(argument: &Argument) -> Option<String> {
    let is_plain = argument.name.starts_with(|c: char| c.is_ascii_alphabetic())
        && argument
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_')
        && argument.path.segments.len() == 1;
    let path = format!("args.{}", argument.name);
    is_plain.then(|| {
        format!(
            "!has({path}) || {path}.all(k, !k.startsWith(\"-\") && [\" \", \"/\", \"..\", \";\", \"|\", \"&\", \"$\", \"`\", \"<\", \">\", \"(\", \"{{\", \"*\", \
             \"?\", \"#\", \"%\", \"'\", \"\\\"\", \"\\\\\", \"\\n\", \"\\r\", \"\\t\"].all(c, !k.contains(c) && (type({path}[k]) in \
             [type(1), type(1.5), type(true)] || type({path}[k]) == type(\"\") && !{path}[k].startsWith(\"-\") && \
             !{path}[k].contains(c))))"
        )
    })
}
