//! What `--set` and `--allow` say, as answers to what a recommended policy leaves open.

use super::tools::Described;
use anyhow::bail;
use callgate_catalog::recommend::{Answers, Filling, Recommended, WhyUnused, one_line};

/// Reads `TOOL.ARGUMENT=VALUE,VALUE` and names of tools, against the tools of a server.
pub(super) fn read(set: &[String], allow: &[String], tools: &[Described]) -> anyhow::Result<Answers> {
    let is_known = |name: &str| tools.iter().any(|tool| tool.listed.name.as_str() == name);
    for name in allow {
        if !is_known(name) {
            bail!("--allow: the server has no tool `{}`", one_line(name));
        }
    }
    let mut fillings: Vec<Filling> = Vec::new();
    for text in set {
        let filling = filling(text, is_known)?;
        match fillings
            .iter_mut()
            .find(|other| other.tool == filling.tool && other.argument == filling.argument)
        {
            Some(other) => other.values.extend(filling.values),
            None => fillings.push(filling),
        }
    }
    Ok(Answers {
        fillings,
        allowed: allow.iter().cloned().collect(),
    })
}

fn filling(text: &str, is_known: impl Fn(&str) -> bool) -> anyhow::Result<Filling> {
    let shown = one_line(text);
    let Some((place, values)) = text.split_once('=') else {
        bail!("--set: `{shown}` has no `=`\nhint: write TOOL.ARGUMENT=VALUE,VALUE");
    };
    // A tool's name may hold dots, so the longest that is a tool's counts.
    let dots = place.match_indices('.').map(|(at, _)| at);
    let at = dots
        .filter(|at| place.get(..*at).is_some_and(|tool| tool == "*" || is_known(tool)))
        .last();
    let parts = at.and_then(|at| Some((place.get(..at)?, place.get(at.saturating_add(1)..)?)));
    let Some((tool, argument)) = parts.filter(|(_, argument)| !argument.is_empty()) else {
        bail!(
            "--set: `{shown}` names no tool of this server\nhint: write TOOL.ARGUMENT=VALUE,VALUE, or * for all tools"
        );
    };
    let values: Vec<String> = values
        .split(',')
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
        .collect();
    if values.is_empty() {
        bail!("--set: `{shown}` gives no value");
    }
    Ok(Filling {
        tool: (tool != "*").then(|| tool.to_owned()),
        argument: argument.to_owned(),
        values,
    })
}

/// Refuses answers that come to nothing: a rule that somebody believes in must be there.
pub(super) fn refuse_unused(answers: &Answers, made: &Recommended) -> anyhow::Result<()> {
    let Some((unused, filling)) = made
        .unused
        .first()
        .and_then(|unused| Some((unused, answers.fillings.get(unused.filling)?)))
    else {
        return Ok(());
    };
    let place = one_line(&format!(
        "{}.{}",
        filling.tool.as_deref().unwrap_or("*"),
        filling.argument
    ));
    match &unused.why {
        WhyUnused::NoList => bail!("--set: there is no list for `{place}`\nhint: {}", places(made)),
        WhyUnused::LeftOut { tool } => {
            let tool = one_line(tool);
            bail!(
                "--set: `{place}` is for a tool that the policy leaves out\nhint: read the definition of `{tool}`; --allow lists it"
            )
        }
        WhyUnused::NoBudget { tool } => bail!(
            "--set: `{place}` is a budget of `{}`, and takes one amount, or two\nhint: how much a call may spend, and how much all calls of a day: 50,200",
            one_line(tool)
        ),
    }
}

/// What could be filled in.
fn places(made: &Recommended) -> String {
    let mut places: Vec<String> = made
        .holes
        .iter()
        .map(|hole| {
            let argument = hole.argument.strip_prefix("args.").unwrap_or(&hole.argument);
            one_line(&format!("{}.{}", hole.tool, argument.replace("[*]", "")))
        })
        .collect();
    places.truncate(20);
    if places.is_empty() {
        "nothing is to be filled in".to_owned()
    } else {
        format!("to be filled in are {}", places.join(", "))
    }
}
