//! A call of a tool of an MCP server, `mcp__SERVER__TOOL`.

use super::find::{self, Known};
use super::{Answer, Asked, Unasked};
use crate::commands::check::config::packages;
use crate::commands::check::gate::{self, Policies, Way};
use crate::commands::check::known::server as server_of;
use crate::commands::check::tools::caller;
use crate::commands::validate::load::Source;
use anyhow::{Context, bail};
use callgate_catalog::{Class, Definition, Parameter, Severity, Signal, classify};
use callgate_catalog_data::bundled;
use callgate_core::call::{Call, ListedTool, Listing, Scene, WallTime};
use callgate_core::decide::decide;
use callgate_core::json::Json;
use callgate_core::name::{ServerName, ToolName};
use callgate_core::{Decision, program::Program};
use std::path::Path;
use std::time::SystemTime;

/// So many ways to cut a name into server and tool are looked at.
const CUTS_MAX: usize = 64;

/// Judges a call by the policy that is given, by that of its server, or by what its name says.
pub(super) fn judge(
    name: &str,
    asked: &Asked,
    policy: Option<&Path>,
    unasked: Unasked,
) -> anyhow::Result<Answer> {
    let cuts = cuts(name)?;
    if let Some(path) = policy {
        let Some(loaded) = Source::read(path)?.check().loaded else {
            bail!("the policy {} does not load", path.display());
        };
        return strictest(
            cuts.iter()
                .map(|(_, tool)| by_policy(&loaded.program, tool, asked, unasked)),
        );
    }
    let servers = find::servers(&asked.cwd)?;
    let known: Vec<(&Known, &str)> = cuts
        .iter()
        .flat_map(|(server, tool)| {
            servers
                .iter()
                .filter(|known| plain(&known.entry.name) == plain(server))
                .map(|known| (known, *tool))
        })
        .collect();
    if known.is_empty() {
        return strictest(cuts.iter().map(|(_, tool)| Ok(by_name(tool, &asked.input))));
    }
    let mut policies = Policies::default();
    strictest(
        known
            .iter()
            .map(|(known, tool)| by_server(known, tool, asked, unasked, &mut policies)),
    )
}

/// The ways to cut `SERVER__TOOL`: either may hold `__` itself.
fn cuts(name: &str) -> anyhow::Result<Vec<(&str, &str)>> {
    let mut cuts = Vec::new();
    for (at, _) in name.char_indices() {
        if let Some(tool) = name.get(at..).and_then(|rest| rest.strip_prefix("__"))
            && let Some(server) = name.get(..at)
            && !server.is_empty()
            && !tool.is_empty()
        {
            cuts.push((server, tool));
        }
    }
    match cuts.len() {
        0 => bail!("`mcp__{name}` names no tool"),
        1..=CUTS_MAX => Ok(cuts),
        _ => bail!("`mcp__{name}` can be cut in more than {CUTS_MAX} ways"),
    }
}

/// A name as the client gives it to a model: other letters than these become `_`.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// What cannot be told apart is judged as the strictest of it.
fn strictest(answers: impl Iterator<Item = anyhow::Result<Answer>>) -> anyhow::Result<Answer> {
    let mut worst: Option<Answer> = None;
    for answer in answers {
        let answer = answer?;
        worst = Some(match worst {
            Some(worst) => worst.max(answer),
            None => answer,
        });
    }
    worst.context("there is nothing to judge it by")
}

fn by_server(
    known: &Known,
    tool: &str,
    asked: &Asked,
    unasked: Unasked,
    policies: &mut Policies,
) -> anyhow::Result<Answer> {
    let way = gate::of(&known.entry.kind);
    match way {
        Way::Own => Ok(Answer::Nothing),
        Way::Bare => match defined(known, &way, tool)? {
            Some(definition) => Ok(by_definition(&definition)),
            None => Ok(by_name(tool, &asked.input)),
        },
        Way::Guarded(guard) => {
            let mut found = Vec::new();
            match gate::policy(&guard, &known.folder(), policies, &mut found) {
                Some(loaded) => by_policy(&loaded.program, tool, asked, unasked),
                None => {
                    let why = found.first().map(|found| found.rule.title).unwrap_or_default();
                    Ok(Answer::Deny(format!("{}: {why}", known.entry.name)))
                }
            }
        }
    }
}

/// The tool as the catalogue has it, where it has the server's package.
fn defined(known: &Known, way: &Way, tool: &str) -> anyhow::Result<Option<Definition>> {
    let packages = packages(&known.entry, way);
    let Some(package) = packages.first() else {
        return Ok(None);
    };
    let catalogue = bundled()?;
    let Some(server) = server_of(catalogue, package) else {
        return Ok(None);
    };
    let definitions = catalogue.definitions(server)?;
    Ok(definitions
        .tools
        .into_iter()
        .map(|listed| listed.definition)
        .find(|definition| plain(&definition.name) == tool))
}

/// Judges as the gate does, limits left out: those count calls that are made.
fn by_policy(program: &Program, tool: &str, asked: &Asked, unasked: Unasked) -> anyhow::Result<Answer> {
    let server = ServerName::new("server")?;
    let caller = caller()?;
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let scene = Scene {
        server: &server,
        caller: &caller,
        session: None,
        now: WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
    };
    strictest(meant(program, tool).into_iter().map(|name| {
        // What the server lists is not known here, and the gate looks: any arguments fit.
        let listed = ListedTool {
            name: ToolName::new(name)?,
            input_schema: Some("{}".into()),
            required: Vec::new(),
            annotations: Json::Null,
            class: None,
        };
        let call = Call {
            scene,
            tool: name,
            listing: Listing::Listed(&listed),
            arguments: Some(&asked.input),
        };
        Ok(match decide(program, &call) {
            Decision::Deny(refusal) => Answer::Deny(format!(
                "[POLICY DENIED] {} ({})",
                refusal.text,
                refusal.reason.code()
            )),
            Decision::Admit(admission)
                if unasked == Unasked::Allow
                    && admission.shadow.is_empty()
                    && program.rules_for(name).is_some() =>
            {
                Answer::Allow(format!("the policy lets {name} through"))
            }
            Decision::Admit(_) => Answer::Nothing,
        })
    }))
}

/// The names that a policy may have for a tool: the client has put `_` for other letters.
fn meant<'n>(program: &'n Program, tool: &'n str) -> Vec<&'n str> {
    let named: Vec<&str> = program
        .exact
        .keys()
        .map(ToolName::as_str)
        .filter(|name| *name == tool || plain(name) == tool)
        .collect();
    if named.is_empty() { vec![tool] } else { named }
}

/// Where no policy is known, a person is asked about what the name and the arguments say can do harm.
fn by_name(tool: &str, input: &Json<'_>) -> Answer {
    let members = match input {
        Json::Object(members) => members.as_slice(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => &[],
    };
    let definition = Definition {
        name: tool.to_owned(),
        parameters: members
            .iter()
            .map(|(name, value)| parameter(name, value))
            .collect(),
        outer: members.len(),
        ..Definition::default()
    };
    by_definition(&definition)
}

fn by_definition(definition: &Definition) -> Answer {
    let verdict = classify(definition);
    let is_dangerous = match verdict.class {
        Class::Financial | Class::Destructive => true,
        Class::Execute
            if verdict
                .signals
                .iter()
                .any(|signal| matches!(signal, Signal::Freeform { .. })) =>
        {
            true
        }
        Class::Execute | Class::Write | Class::Read => {
            verdict.severity == Severity::Critical || verdict.confidence.is_low()
        }
    };
    if is_dangerous {
        Answer::Ask(format!(
            "no policy is known for {}; it looks {}, severity {}. {}",
            definition.name, verdict.class, verdict.severity, verdict.rationale
        ))
    } else {
        Answer::Nothing
    }
}

/// An argument as what it says of its parameter.
fn parameter(name: &str, value: &Json<'_>) -> Parameter {
    let kind = match value {
        Json::Null | Json::String(_) => "string",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    Parameter {
        name: name.to_owned(),
        description: String::new(),
        kinds: vec![kind.to_owned()],
        choices: Vec::new(),
        is_required: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_in_every_way() {
        assert_eq!(cuts("a__b").unwrap(), [("a", "b")]);
        assert_eq!(cuts("a__b__c").unwrap(), [("a", "b__c"), ("a__b", "c")]);
        assert_eq!(cuts("a___b").unwrap(), [("a", "_b"), ("a_", "b")]);
        for name in ["", "a", "__a", "a__", "__", &"_".repeat(100)] {
            assert!(cuts(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_tool_whose_name_the_client_has_changed_is_judged_under_its_own() {
        let text = "version: \"1\"\ntools:\n  user.delete: {rules: [{action: deny}]}\n  other: {}\n";
        let loaded = callgate_policy::load(text, &callgate_policy::LoadOptions::default()).unwrap();
        assert_eq!(meant(&loaded.program, "user_delete"), ["user.delete"]);
        assert_eq!(meant(&loaded.program, "unknown"), ["unknown"]);
    }
}
