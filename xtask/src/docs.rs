//! Pages that are made from the source, so that they cannot fall behind it.

use crate::shell::{root, say};
use anyhow::{Context, bail};
use callgate_catalog::attacks::{self, Attack, Section};
use callgate_policy::Code;
use serde_json::Value;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The page of the policy language.
const PAGE: &str = "docs/policy-reference.md";

/// Whether pages are written, or only compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are written.
    Write,
    /// A page that differs from its source is an error.
    Check,
}

/// The page on classes, of which a part is measured.
const CLASSES: &str = "docs/classes.md";
/// What stands before and after that part.
const MEASURED: (&str, &str) = (
    "<!-- Measured by `cargo xtask docs`. -->\n",
    "\n<!-- End of what is measured. -->",
);

/// The page on attacks, of which the table is written here.
const ATTACKS: &str = "docs/attacks.md";
/// What stands before and after the table.
const WRITTEN: (&str, &str) = (
    "<!-- Written by `cargo xtask docs`. -->\n",
    "\n<!-- End of what is written. -->",
);

/// Writes or compares the pages.
pub(crate) fn run(mode: Mode) -> anyhow::Result<ExitCode> {
    let kept = |name: &str| {
        std::fs::read_to_string(root()?.join(name)).with_context(|| format!("cannot read {name}"))
    };
    let pages = [
        (PAGE, page(&callgate_policy::json_schema())?),
        (
            CLASSES,
            put_in(&kept(CLASSES)?, MEASURED, &crate::classify::section()?).context(CLASSES)?,
        ),
        (
            ATTACKS,
            put_in(&kept(ATTACKS)?, WRITTEN, &attacks()?).context(ATTACKS)?,
        ),
    ];
    for (name, page) in pages {
        match mode {
            Mode::Write => {
                std::fs::write(root()?.join(name), page).with_context(|| format!("cannot write {name}"))?;
                say(&format!("wrote {name}"));
            }
            Mode::Check => {
                if kept(name)? != page {
                    bail!("{name} differs from its source; run `cargo xtask docs` and commit it");
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A page with the part between two marks put in anew.
fn put_in(page: &str, (begin, end): (&str, &str), section: &str) -> anyhow::Result<String> {
    let (before, rest) = page
        .split_once(begin)
        .with_context(|| format!("there is no `{}`", begin.trim()))?;
    let (_, after) = rest
        .split_once(end)
        .with_context(|| format!("there is no `{}`", end.trim()))?;
    Ok([before, begin, section.trim_end(), end, after].concat())
}

/// The table of attacks, from their pages, the worst first.
fn attacks() -> anyhow::Result<String> {
    let mut all: Vec<&Attack> = attacks::all()?.iter().collect();
    all.sort_by_key(|attack| (std::cmp::Reverse(attack.severity), attack.id));
    let mut out = String::from("\n| attack | severity | classes | in short |\n| --- | --- | --- | --- |\n");
    for attack in all {
        let classes: Vec<&str> = attack.classes.iter().map(|class| class.name()).collect();
        writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            attack.id,
            attack.severity,
            classes.join(", "),
            cell(attack.section(Section::InShort))
        )?;
    }
    Ok(out)
}

fn page(schema: &Value) -> anyhow::Result<String> {
    let mut out = String::from(
        "# Policy reference\n\n<!-- Made by `cargo xtask docs` from the source of the schema. -->\n\n\
         Every key of the language, as `callgate schema` knows it. [The guide](policy.md) shows how they are used.\n",
    );
    section(&mut out, "A policy", schema)?;
    let parts = schema
        .get("$defs")
        .and_then(Value::as_object)
        .context("the schema has no parts")?;
    for (name, part) in parts {
        section(&mut out, &format!("`{name}`"), part)?;
    }
    out.push_str("\n## Findings\n\nWhat `callgate validate` can say, by the code in brackets.\n\n| code | meaning |\n| --- | --- |\n");
    for code in Code::ALL {
        writeln!(out, "| `{}` | {} |", code.slug(), cell(code.meaning().trim()))?;
    }
    Ok(out)
}

/// One table of keys; a part that is written in one word alone has none.
fn section(out: &mut String, title: &str, part: &Value) -> anyhow::Result<()> {
    writeln!(out, "\n## {title}\n")?;
    if let Some(description) = part.get("description").and_then(Value::as_str) {
        writeln!(out, "{description}\n")?;
    }
    let forms = part.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let tables: Vec<_> = std::iter::once(part)
        .chain(forms)
        .filter_map(|form| form.get("properties").and_then(Value::as_object))
        .collect();
    if tables.is_empty() {
        writeln!(out, "Written as {}.", kind(part))?;
    }
    for keys in tables {
        out.push_str("| key | value | meaning |\n| --- | --- | --- |\n");
        for (key, value) in keys {
            let meaning = value
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            writeln!(out, "| `{key}` | {} | {} |", cell(&kind(value)), cell(meaning))?;
        }
    }
    Ok(())
}

/// What a value may be, in words.
fn kind(value: &Value) -> String {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{name})");
    }
    if let Some(words) = value.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        return words.join(", ");
    }
    if let Some(forms) = value.get("anyOf").and_then(Value::as_array) {
        let mut kinds: Vec<String> = Vec::new();
        for kind in forms.iter().map(kind) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        return kinds.join(" or ");
    }
    match value.get("type").and_then(Value::as_str) {
        Some("array") => format!(
            "list of {}",
            value.get("items").map_or_else(|| "any".to_owned(), kind)
        ),
        Some("object") => match value
            .get("additionalProperties")
            .filter(|values| values.is_object())
        {
            Some(values) => format!("map of {}", kind(values)),
            None => "map".to_owned(),
        },
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

/// A text that fits a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_what_their_sources_say() {
        assert_eq!(run(Mode::Check).unwrap(), ExitCode::SUCCESS);
    }

    #[test]
    fn every_key_of_the_schema_has_a_meaning() {
        let schema = callgate_policy::json_schema();
        let page = page(&schema).unwrap();
        let unexplained: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| `") && line.ends_with("|  |"))
            .collect();
        assert!(unexplained.is_empty(), "{unexplained:?}");
    }
}
