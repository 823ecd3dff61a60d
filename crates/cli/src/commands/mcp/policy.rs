//! What is wrong with a policy, what it comes to, and how it judges a call.

use super::answer::Answer;
use super::arguments::{CheckPolicy, PolicyCall};
use crate::commands::explain::story::Story;
use crate::commands::explain::{self, text};
use crate::commands::scan::tools;
use crate::commands::validate::load::Source;
use crate::commands::validate::posture;
use anyhow::{Context, bail};
use callgate_core::call::ListedTool;
use callgate_policy::{Diagnostic, Loaded, Severity, Style, Summary};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What the policy is called in messages.
const NAME: &str = "policy";
/// So many findings are written out.
const FINDINGS_MAX: usize = 20;

#[derive(Debug, Serialize)]
struct Report<'c> {
    valid: bool,
    diagnostics: &'c [Diagnostic],
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'c Summary>,
    /// How the call is judged, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'c Story>,
}

pub(super) fn check(asked: CheckPolicy) -> anyhow::Result<Answer> {
    asked.check()?;
    let source = Source {
        name: NAME.to_owned(),
        text: asked.policy,
    };
    let checked = source.check();
    let mut out = String::new();
    for found in checked.diagnostics.iter().take(FINDINGS_MAX) {
        out.push_str(&found.render(NAME, &checked.source.text, &Style::PLAIN));
        out.push('\n');
    }
    let story = match (&checked.loaded, &asked.call) {
        (Some(loaded), Some(call)) => Some(judge(loaded, call)?),
        (Some(_) | None, _) => None,
    };
    match &checked.loaded {
        Some(loaded) => out.push_str(&posture::words(NAME, loaded, checked.count(Severity::Warning))),
        None => {
            out.push_str(&posture::invalid(NAME, checked.count(Severity::Error)));
            out.push_str("; an invalid policy is never put in force, so no call was judged");
        }
    }
    out.push('\n');
    if let Some(story) = &story {
        out.push_str("\nThe call, with limits that nothing has used:\n");
        out.push_str(&text::words(story, NAME, &Style::PLAIN));
    }
    let report = Report {
        valid: checked.loaded.is_some(),
        diagnostics: &checked.diagnostics,
        summary: checked.loaded.as_ref().map(|loaded| &loaded.summary),
        call: story.as_ref(),
    };
    Answer::new(out, &report)
}

fn judge(loaded: &Loaded, call: &PolicyCall) -> anyhow::Result<Story> {
    let listed = match &call.definition {
        Some(definition) => Some(listed(definition, &call.tool)?),
        None => None,
    };
    let arguments = call
        .arguments
        .as_ref()
        .map(|arguments| json!(arguments).to_string());
    explain::of_call(loaded, &call.tool, arguments.as_deref(), listed)
}

fn listed(definition: &Map<String, Value>, name: &str) -> anyhow::Result<ListedTool> {
    let list = json!({ "tools": [definition] }).to_string();
    let tools = tools::read(&list).context("`call.definition`")?;
    match tools.into_iter().next() {
        Some(tool) if tool.listed.name.as_str() == name => Ok(tool.listed),
        Some(_) | None => bail!("`call.definition` is not that of the tool that `call.tool` names"),
    }
}
