//! Servers that a client starts.

use super::edit::{At, Edit, Placed, before_first, separator};
use super::{Gate, Site, texts};
use crate::commands::check::gate::misleads;
use crate::commands::init::clients::Client;
use crate::commands::tree::{Kind, Node, Shape, bare_key, between, literal};

/// A command, as a client starts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::init) struct Command {
    pub(in crate::commands::init) program: String,
    pub(in crate::commands::init) args: Vec<String>,
    pub(in crate::commands::init) env: Vec<(String, String)>,
    /// Whether the client reads further variables from a file.
    has_env_file: bool,
    pub(in crate::commands::init) cwd: Option<String>,
    /// Zed's older form: the command is a table of its own.
    is_nested: bool,
}

pub(super) fn read(client: Client, node: &Node) -> Result<Command, String> {
    let command = node.member("command").map(|member| &member.value);
    let (table, key, is_nested) = match command.map(|command| &command.kind) {
        Some(Kind::Table(..)) if matches!(client, Client::Zed | Client::Other) => {
            (command.unwrap_or(node), "path", true)
        }
        _ => (node, "command", false),
    };
    let mut tables = vec![table];
    if is_nested {
        tables.push(node);
    }
    let mut env = Vec::new();
    for member in tables
        .iter()
        .flat_map(|table| ["env", "environment"].map(|key| table.member(key)))
    {
        env.extend(texts(member.map(|member| &member.value))?);
    }
    let text = |table: &Node, name: &str| {
        let member = table.member(name);
        member.and_then(|member| member.value.text()).map(str::to_owned)
    };
    let args = match table.member("args").map(|member| &member.value.kind) {
        None => Vec::new(),
        Some(Kind::List(items)) => {
            let words = items.iter().map(|item| item.text().map(str::to_owned));
            words
                .collect::<Option<_>>()
                .ok_or("one of its `args` is no text")?
        }
        Some(_) => return Err("its `args` are no list".to_owned()),
    };
    Ok(Command {
        program: text(table, key)
            .filter(|program| !program.is_empty())
            .ok_or("its command is no text")?,
        args,
        env,
        has_env_file: node.member("envFile").is_some(),
        cwd: text(node, "cwd"),
        is_nested,
    })
}

impl Command {
    /// The program and its arguments.
    pub(in crate::commands::init) fn words(&self) -> Vec<String> {
        std::iter::once(&self.program)
            .chain(&self.args)
            .cloned()
            .collect()
    }

    /// Why a gate in front of it could not be known to be one, or is not: `program` is what the client would start.
    pub(super) fn misleads(&self, program: &str) -> Option<&'static str> {
        if self.has_env_file {
            return Some(
                "its client reads variables from a file (`envFile`), which may start another program; write them in `env`",
            );
        }
        self.env
            .iter()
            .any(|(name, _)| misleads(program, name))
            .then_some("its variables may start another program")
    }

    /// The policy that its arguments name, where they are those of a gate.
    pub(super) fn policy(&self) -> Option<&str> {
        let mut words = self
            .args
            .iter()
            .map(String::as_str)
            .take_while(|word| *word != "--");
        let first = words.clone().next()?;
        if first != "run" && !first.starts_with('-') {
            return None;
        }
        let named = |word: &'_ str| matches!(word, "-c" | "--config");
        while let Some(word) = words.next() {
            if named(word) {
                return words.next();
            }
            if let Some(policy) = word.strip_prefix("--config=") {
                return Some(policy);
            }
            // `-cFILE` and `-c=FILE`.
            if let Some(policy) = word.strip_prefix("-c") {
                return Some(policy.strip_prefix('=').unwrap_or(policy));
            }
        }
        None
    }
}

pub(super) fn wrap(
    site: Site<'_>,
    node: &Node,
    command: &Command,
    gate: Gate<'_>,
) -> Result<Vec<Placed>, String> {
    const CHANGED: &str = "it has changed meanwhile";
    let (above, key): (&[&str], _) = if command.is_nested {
        (&["command"], "path")
    } else {
        (&[], "command")
    };
    let above: Vec<String> = above.iter().map(|key| (*key).to_owned()).collect();
    let table = node.at(&above).ok_or(CHANGED)?;
    let program = table.member(key).ok_or(CHANGED)?;
    // As it is written, with whatever the client expands in it.
    let was = site.text.get(program.value.span.clone()).ok_or(CHANGED)?;
    let mut words: Vec<String> = ["run", "-c", gate.policy, "--server", gate.server, "--"]
        .map(literal)
        .into();
    words.push(was.to_owned());
    let path = |name: &str| above.iter().cloned().chain([name.to_owned()]).collect();
    let mut is = literal(gate.program);
    let mut placed = Vec::new();
    match table.member("args").map(|member| &member.value) {
        Some(args) => {
            let Kind::List(items) = &args.kind else {
                return Err(CHANGED.to_owned());
            };
            let first = items.first().map(|item| item.span.start);
            placed.push(Placed {
                start: args.span.start.saturating_add(1),
                edit: Edit {
                    path: path("args"),
                    at: At::Inside,
                    was: String::new(),
                    is: before_first(site.text, args.span.start, first, &words),
                },
            });
        }
        None => {
            let shape = match &table.kind {
                Kind::Table(shape, _) => *shape,
                Kind::Text(_) | Kind::List(_) | Kind::Flag(_) | Kind::Other => Shape::Braced,
            };
            is.push_str(&separator(site.text, shape, program.key.start));
            is.push_str(&format!(
                "{}{}[{}]",
                bare_key(site.format, "args"),
                between(site.format),
                words.join(", ")
            ));
        }
    }
    placed.push(Placed {
        start: program.value.span.start,
        edit: Edit {
            path: path(key),
            at: At::Value,
            was: was.to_owned(),
            is,
        },
    });
    Ok(placed)
}
