//! How well the classifier does on labelled tools.
//!
//! A third of the servers, chosen by a hash of their names, is the test split: nothing of it but counts is ever
//! shown, so that nobody tunes on it.

use crate::shell::root;
use crate::train;
use anyhow::{Context, bail};
use callgate_catalog::learn::Model;
use callgate_catalog::measure::Matrix;
use callgate_catalog::{Class, Definition, classify_by};
use callgate_wire::{Bounds, RawJson};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Where the data is.
pub(crate) const DATA: &str = "crates/catalog/data";

/// A part of the labelled servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    /// What the tables are tuned on.
    Development,
    /// What they are measured on.
    Test,
}

impl Split {
    fn of(server: &str) -> Self {
        match Sha256::digest(server.as_bytes()).first() {
            Some(byte) if byte % 3 == 0 => Self::Test,
            Some(_) | None => Self::Development,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
        }
    }
}

/// So many parts the development split is cut into, to class each by what the others teach.
const FOLDS: u8 = 5;

/// A labelled tool.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    /// The server that it is of, or the part of the primer.
    pub(crate) source: String,
    pub(crate) tool: Definition,
    pub(crate) label: Class,
}

/// A tool that was given another class than its label.
#[derive(Debug)]
struct Mistake {
    server: String,
    tool: String,
    label: Class,
    given: Class,
}

/// What was measured on one split.
#[derive(Debug)]
struct Measured {
    title: &'static str,
    split: Split,
    servers: usize,
    matrix: Matrix,
    /// Of the development split alone.
    mistakes: Vec<Mistake>,
}

impl Measured {
    fn new(title: &'static str, split: Split, examples: &[Example]) -> Self {
        let servers: BTreeSet<&str> = examples.iter().map(|example| example.source.as_str()).collect();
        Self {
            title,
            split,
            servers: servers.len(),
            matrix: Matrix::default(),
            mistakes: Vec::new(),
        }
    }

    /// Classes tools and counts.
    fn add(&mut self, examples: &[Example], model: &Model<'_>) {
        for Example { source, tool, label } in examples {
            let given = classify_by(tool, model).class;
            self.matrix.add(*label, given);
            if self.split == Split::Development && given != *label {
                self.mistakes.push(Mistake {
                    server: source.clone(),
                    tool: tool.name.clone(),
                    label: *label,
                    given,
                });
            }
        }
    }
}

/// Measures and prints.
pub(crate) fn run(flags: &[&str]) -> anyhow::Result<ExitCode> {
    let measured = match flags {
        [] | ["--json"] => vec![measure(Split::Development)?, measure(Split::Test)?],
        ["--development"] | ["--development", "--json"] => vec![measure(Split::Development)?],
        ["--train"] => return train(),
        ["--cross"] | ["--cross", "--json"] => vec![cross()?],
        _ => bail!("`classify` takes --train, --cross, --development and --json"),
    };
    if flags.contains(&"--json") {
        let json: Vec<_> = measured.iter().map(as_json).collect();
        print(&serde_json::to_string_pretty(&json)?)?;
    } else {
        for part in &measured {
            print(&as_text(part)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write to stdout")
}

fn measure(split: Split) -> anyhow::Result<Measured> {
    let examples = examples(split)?;
    let mut measured = Measured::new("split", split, &examples);
    measured.add(&examples, Model::bundled());
    Ok(measured)
}

/// The tools that nobody scanned.
fn written_down() -> anyhow::Result<Vec<Example>> {
    let data = root()?.join(DATA);
    let mut examples = train::primer(&data)?;
    examples.extend(train::described(&data)?);
    Ok(examples)
}

/// What the weights are learned from: the development split and the primer.
pub(crate) fn to_learn_from() -> anyhow::Result<Vec<Example>> {
    let mut examples = examples(Split::Development)?;
    examples.extend(written_down()?);
    Ok(examples)
}

/// Fits the weights to the development split and the primer, and keeps them.
fn train() -> anyhow::Result<ExitCode> {
    let examples = to_learn_from()?;
    let path = train::path()?;
    std::fs::write(&path, train::weights(&examples)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Classes each tool of the development split by weights that were fitted without its server. The rules were written
/// with these servers in sight, so that this is still too good.
fn cross() -> anyhow::Result<Measured> {
    let examples = examples(Split::Development)?;
    let primer = written_down()?;
    let mut measured = Measured::new(
        "split, each server by what the others teach",
        Split::Development,
        &examples,
    );
    let fold = |example: &Example| {
        Sha256::digest(format!("fold{}", example.source).as_bytes())
            .first()
            .map(|byte| byte % FOLDS)
    };
    for at in 0..FOLDS {
        let (held, mut others): (Vec<Example>, Vec<Example>) = examples
            .iter()
            .cloned()
            .partition(|example| fold(example) == Some(at));
        others.extend(primer.iter().cloned());
        measured.add(&held, &Model::read(&train::weights(&others)?));
    }
    Ok(measured)
}

/// The labelled tools of a split.
fn examples(split: Split) -> anyhow::Result<Vec<Example>> {
    let data = root()?.join(DATA);
    let mut examples = Vec::new();
    for server in labelled(&data, split)? {
        let labels = labels(&data.join("labels").join(format!("{server}.tsv")))?;
        for tool in tools(&data.join("servers").join(format!("{server}.json")))? {
            let Some(&label) = labels.get(&tool.name) else {
                bail!("{server}: a tool has no label");
            };
            examples.push(Example {
                source: server.clone(),
                tool,
                label,
            });
        }
    }
    Ok(examples)
}

/// The names of the labelled servers of a split.
fn labelled(data: &Path, split: Split) -> anyhow::Result<Vec<String>> {
    let folder = data.join("labels");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(server) = name.strip_suffix(".tsv")
            && data.join("servers").join(format!("{server}.json")).exists()
            && Split::of(server) == split
        {
            names.push(server.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn labels(path: &Path) -> anyhow::Result<BTreeMap<String, Class>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let mut fields = line.split('\t');
            let tool = fields.next().unwrap_or_default().to_owned();
            let class = fields
                .next()
                .and_then(Class::named)
                .with_context(|| format!("{}: a line has no class", path.display()))?;
            Ok((tool, class))
        })
        .collect()
}

fn tools(path: &Path) -> anyhow::Result<Vec<Definition>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let server = RawJson::read(&bytes, &Bounds::default())
        .with_context(|| format!("cannot read {}", path.display()))?;
    let tools = server
        .as_object()
        .and_then(|server| server.get("tools"))
        .and_then(|tools| tools.as_array())
        .with_context(|| format!("{} has no tools", path.display()))?;
    Ok(tools.iter().map(|tool| Definition::read(&tool.parse())).collect())
}

fn as_text(measured: &Measured) -> anyhow::Result<String> {
    let matrix = &measured.matrix;
    let mut out = format!(
        "{} {}: {} servers, {} tools\n\n",
        measured.split.name(),
        measured.title,
        measured.servers,
        matrix.total(),
    );
    for row in table(matrix, "") {
        for cell in row {
            write!(out, "{cell:>12}")?;
        }
        out.push('\n');
    }
    writeln!(
        out,
        "\naccuracy {:.3}, macro-F1 {:.3}, recall of Destructive and Financial together {:.3}",
        matrix.accuracy(),
        matrix.macro_f1(),
        matrix.worst_recall()
    )?;
    for mistake in &measured.mistakes {
        writeln!(
            out,
            "{:>12} as {:<12} {} {}",
            mistake.label.name(),
            mistake.given.name(),
            mistake.server,
            mistake.tool
        )?;
    }
    Ok(out)
}

/// How the tools of each label were classed, under a row of headings; `before` stands before each class that was given.
fn table(matrix: &Matrix, before: &str) -> Vec<Vec<String>> {
    let heading = ["label".to_owned()]
        .into_iter()
        .chain(Class::ALL.map(|given| format!("{before}{given}")))
        .chain(["precision", "recall", "F1"].map(str::to_owned))
        .collect();
    let row = |label: Class| {
        let figures = matrix.figures(label);
        [label.name().to_owned()]
            .into_iter()
            .chain(Class::ALL.map(|given| matrix.count(label, given).to_string()))
            .chain([figures.precision, figures.recall, figures.f1].map(|figure| format!("{figure:.3}")))
            .collect()
    };
    [heading].into_iter().chain(Class::ALL.map(row)).collect()
}

/// The part of the page on classes that is measured: the matrices, and the mistakes of the development split.
pub(crate) fn section() -> anyhow::Result<String> {
    let mut out = String::new();
    for measured in [measure(Split::Test)?, cross()?] {
        let matrix = &measured.matrix;
        write!(
            out,
            "\nThe {} {}: {} tools of {} servers. Macro-F1 {:.3}, recall of Destructive and Financial together {:.3}, \
             accuracy {:.3}.\n\n",
            measured.split.name(),
            measured.title,
            matrix.total(),
            measured.servers,
            matrix.macro_f1(),
            matrix.worst_recall(),
            matrix.accuracy(),
        )?;
        for (at, row) in table(matrix, "as ").iter().enumerate() {
            writeln!(out, "| {} |", row.join(" | "))?;
            if at == 0 {
                writeln!(out, "|{}", " --- |".repeat(row.len()))?;
            }
        }
        if measured.split == Split::Development {
            out.push_str("\nIts mistakes, by label and by what was given:\n\n");
            for label in Class::ALL {
                for given in Class::ALL {
                    let tools: Vec<String> = measured
                        .mistakes
                        .iter()
                        .filter(|mistake| mistake.label == label && mistake.given == given)
                        .map(|mistake| format!("`{}` of {}", mistake.tool, mistake.server))
                        .collect();
                    if !tools.is_empty() {
                        writeln!(out, "- {label} as {given}: {}", tools.join(", "))?;
                    }
                }
            }
        }
    }
    Ok(out)
}

fn as_json(measured: &Measured) -> serde_json::Value {
    let matrix = &measured.matrix;
    let classes: serde_json::Map<String, serde_json::Value> = Class::ALL
        .iter()
        .map(|label| {
            let figures = matrix.figures(*label);
            let given: serde_json::Map<String, serde_json::Value> = Class::ALL
                .iter()
                .map(|given| (given.name().to_owned(), matrix.count(*label, *given).into()))
                .collect();
            (
                label.name().to_owned(),
                serde_json::json!({
                    "given": given,
                    "precision": figures.precision,
                    "recall": figures.recall,
                    "f1": figures.f1,
                }),
            )
        })
        .collect();
    let mistakes: Vec<_> = measured
        .mistakes
        .iter()
        .map(|mistake| {
            serde_json::json!({
                "server": mistake.server,
                "tool": mistake.tool,
                "label": mistake.label.name(),
                "given": mistake.given.name(),
            })
        })
        .collect();
    let mut json = serde_json::json!({
        "split": measured.split.name(),
        "servers": measured.servers,
        "tools": matrix.total(),
        "classes": classes,
        "accuracy": matrix.accuracy(),
        "macro_f1": matrix.macro_f1(),
        "recall_of_destructive_and_financial": matrix.worst_recall(),
    });
    if measured.split == Split::Development
        && let Some(json) = json.as_object_mut()
    {
        json.insert("mistakes".to_owned(), mistakes.into());
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is really reached. A change may raise these, and never lowers them.
    #[test]
    fn the_classifier_is_as_good_as_it_was() {
        for (split, macro_f1, worst_recall, accuracy) in [
            (Split::Development, 0.953, 0.989, 0.966),
            (Split::Test, 0.809, 0.876, 0.881),
        ] {
            let matrix = measure(split).unwrap().matrix;
            let name = split.name();
            assert!(
                matrix.macro_f1() >= macro_f1,
                "{name}: macro-F1 {}",
                matrix.macro_f1()
            );
            assert!(
                matrix.worst_recall() >= worst_recall,
                "{name}: recall of Destructive and Financial {}",
                matrix.worst_recall()
            );
            assert!(
                matrix.accuracy() >= accuracy,
                "{name}: accuracy {}",
                matrix.accuracy()
            );
        }
    }

    #[test]
    fn of_the_test_split_nothing_but_counts_is_kept() {
        let measured = measure(Split::Test).unwrap();
        assert!(measured.servers > 0);
        assert!(measured.mistakes.is_empty());
        let development = measure(Split::Development).unwrap();
        assert!(!development.mistakes.is_empty());
        assert!(
            development
                .mistakes
                .iter()
                .all(|mistake| Split::of(&mistake.server) == Split::Development)
        );
    }
}
