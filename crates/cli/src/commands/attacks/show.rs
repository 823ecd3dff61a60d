//! `callgate attacks show`: an attack's page, for a terminal.

use super::super::ledger::{Out, to_the_end_of_a_pipe};
use super::{list, page};
use callgate_catalog::attacks::{Attack, Section};
use std::process::ExitCode;

/// So many characters a line has.
const LINE_CHARS_MAX: usize = 96;

/// Prints the page of an attack.
pub(super) fn show(id: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let attack = page::named(id)?;
    to_the_end_of_a_pipe(|out| {
        if as_json {
            out.json(&whole(attack))?;
        } else {
            print(attack, out)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The facts and the sections, as they are written.
fn whole(attack: &Attack) -> serde_json::Value {
    let mut value = list::value(attack);
    if let Some(members) = value.as_object_mut() {
        for section in Section::ALL {
            let text = match section {
                Section::InShort => continue,
                Section::Policy => attack.policy(),
                Section::HowItWorks | Section::Seen | Section::WhatStopsIt | Section::WhatItDoesNotStop => {
                    attack.section(section)
                }
            };
            let key = section.heading().to_lowercase().replace(' ', "_");
            members.insert(key, text.into());
        }
    }
    value
}

fn print(attack: &Attack, out: &mut Out) -> anyhow::Result<()> {
    let paint = out.paint();
    let classes: Vec<&str> = attack.classes.iter().map(|class| class.name()).collect();
    out.line(&format!(
        "{}  {}",
        paint.strong(&attack.title),
        paint.dim(attack.id)
    ))?;
    out.line("")?;
    out.line(&format!("severity  {}", attack.severity))?;
    out.line(&format!("classes   {}", classes.join(", ")))?;
    out.line(&format!("signals   {}", attack.signals.join(", ")))?;
    for section in Section::ALL {
        out.line("")?;
        out.line(&paint.strong(section.heading()))?;
        for line in laid_out(attack.section(section)) {
            out.line(&line)?;
        }
    }
    out.line("")?;
    Ok(out.line(&paint.dim(&format!("See it: callgate attacks run {}", attack.id)))?)
}

/// A section in lines: paragraphs and items wrapped, blocks as they are.
fn laid_out(section: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<(String, &str)> = None;
    let mut is_fenced = false;
    let close = |open: &mut Option<(String, &str)>, lines: &mut Vec<String>| {
        if let Some((text, hang)) = open.take() {
            lines.extend(wrapped_item(&plain(&text), hang));
        }
    };
    for line in section.lines() {
        if line.starts_with("```") {
            close(&mut open, &mut lines);
            is_fenced = !is_fenced;
        } else if is_fenced {
            lines.push(format!("    {line}").trim_end().to_owned());
        } else if line.trim().is_empty() {
            close(&mut open, &mut lines);
            lines.push(String::new());
        } else if line.starts_with("- ") {
            close(&mut open, &mut lines);
            open = Some((line.to_owned(), "    "));
        } else {
            let (text, _) = open.get_or_insert_with(|| (String::new(), "  "));
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line.trim());
        }
    }
    close(&mut open, &mut lines);
    lines
}

/// Markdown's marks taken out: a link is its words with the address behind them.
pub(super) fn plain(markdown: &str) -> String {
    let text = markdown.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let link = after
            .split_once("](")
            .and_then(|(words, after)| Some((words, after.split_once(')')?)));
        match link {
            Some((words, (address, after))) if !words.contains('[') => {
                out.push_str(&format!("{words} ({address})"));
                rest = after;
            }
            _ => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.replace("**", "")
}

/// A text in lines that begin with these spaces.
pub(super) fn wrapped(text: &str, indent: &str) -> Vec<String> {
    wrapped_from(text, indent, indent)
}

fn wrapped_item(text: &str, hang: &str) -> Vec<String> {
    wrapped_from(text, "  ", hang)
}

fn wrapped_from(text: &str, first: &str, hang: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > LINE_CHARS_MAX {
            lines.push(std::mem::replace(&mut line, hang.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_spelt_out_and_blocks_stay() {
        assert_eq!(
            plain("see [the\n page](https://x.example/a) and [1]"),
            "see the page (https://x.example/a) and [1]"
        );
        let lines = laid_out("One\ntwo.\n\n- item\n  goes on\n\n```yaml\na:\n  - 1\n```");
        assert_eq!(
            lines,
            ["  One two.", "", "  - item goes on", "", "    a:", "      - 1"]
        );
    }

    #[test]
    fn long_lines_are_wrapped_with_items_hanging() {
        let lines = laid_out(&format!("- {}", "word ".repeat(40)));
        assert!(
            lines.iter().all(|line| line.chars().count() <= LINE_CHARS_MAX),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("    word"), "{lines:?}");
    }
}
