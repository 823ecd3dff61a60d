//! Pages that are made from the source, so that they cannot fall behind it.

use crate::shell::{root, say};
use anyhow::{Context, bail};
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

/// Writes or compares the pages.
pub(crate) fn run(mode: Mode) -> anyhow::Result<ExitCode> {
    let kept = |name: &str| {
        std::fs::read_to_string(root()?.join(name)).with_context(|| format!("cannot read {name}"))
    };
    let pages = [
        (PAGE, page(&callgate_policy::json_schema())?),
        (
            CLASSES,
            with_measured(&kept(CLASSES)?, &crate::classify::section()?)?,
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

/// A page with its measured part put in anew.
fn with_measured(page: &str, section: &str) -> anyhow::Result<String> {
    let (before, rest) = page
        .split_once(MEASURED.0)
        .with_context(|| format!("{CLASSES} has no place for what is measured"))?;
    let (_, after) = rest
        .split_once(MEASURED.1)
        .with_context(|| format!("{CLASSES} does not say where what is measured ends"))?;
    Ok([before, MEASURED.0, section.trim_end(), MEASURED.1, after].concat())
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
