//! A change of a file that names servers, or of a policy that guards one.

use super::find;
use super::{Answer, Asked, text};
use crate::commands::check::config::at_rest;
use crate::commands::check::entries::{self, Entry, Kind, TEXT_BYTES_MAX};
use crate::commands::check::gate::Policies;
use crate::commands::check::rules::Verdict;
use crate::commands::tree::Format;
use callgate_core::json::Json;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// So many servers are told of.
const SERVERS_SHOWN_MAX: usize = 5;

/// Files that name servers, in whichever folder they stand.
pub(super) const NAMES: &[&str] = &[
    ".mcp.json",
    "mcp.json",
    ".claude.json",
    "claude_desktop_config.json",
    "mcp_config.json",
    "mcp_settings.json",
    "cline_mcp_settings.json",
    "managed-mcp.json",
    "managed-settings.json",
];

/// Files that do so, or that name hooks such as this one, in a folder of this name.
const IN_FOLDER: &[(&str, &str)] = &[
    (".claude", "settings.json"),
    (".claude", "settings.local.json"),
    (".codex", "config.toml"),
    (".gemini", "settings.json"),
    (".vscode", "settings.json"),
    ("zed", "settings.json"),
    (".zed", "settings.json"),
];

/// Whether a path is that of a client's configuration. Some file systems do not tell case apart, so nor does this.
pub(super) fn is_config(path: &Path) -> bool {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default()
    };
    let file = name(path);
    let folder = path.parent().map(name).unwrap_or_default();
    NAMES.contains(&file.as_str()) || IN_FOLDER.contains(&(folder.as_str(), file.as_str()))
}

/// The path, from where the call is made, and where it leads.
pub(super) fn paths(text: &str, cwd: &Path) -> Vec<PathBuf> {
    let whole = cwd.join(text);
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part @ (Component::Prefix(_) | Component::RootDir | Component::Normal(_)) => plain.push(part),
        }
    }
    // A link may lead to a file of another name.
    let real = whole.canonicalize().ok().or_else(|| leads(&whole));
    std::iter::once(plain).chain(real).collect()
}

/// Where a path leads whose file is not there yet: by the link that it is, or by its folder.
fn leads(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?.canonicalize().ok()?;
    Some(match path.read_link() {
        Ok(to) => folder.join(to),
        Err(_) => folder.join(path.file_name()?),
    })
}

/// The policies that guard servers, each with the server's name.
pub(super) fn policies(own: Option<&Path>, asked: &Asked) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let servers = find::servers(&asked.cwd)?;
    let mut policies: Vec<(PathBuf, String)> = servers
        .iter()
        .filter_map(|known| Some((known.policy()?, format!("guards the server {}", known.entry.name))))
        .collect();
    let own = own
        .map(|own| paths(&own.to_string_lossy(), &asked.cwd))
        .unwrap_or_default();
    policies.extend(own.into_iter().map(|path| (path, "judges calls".to_owned())));
    Ok(policies)
}

/// Asks about a change of a configuration, with what it would come to; denies it where that must not be connected.
pub(super) fn judge(asked: &Asked, policy: Option<&Path>) -> anyhow::Result<Answer> {
    let path = ["file_path", "notebook_path", "path"]
        .iter()
        .find_map(|key| text(&asked.input, key));
    let Some(path) = path else {
        anyhow::bail!("the call names no file");
    };
    let paths = paths(path, &asked.cwd);
    if let Some(config) = paths.iter().find(|path| is_config(path)) {
        let now = paths.iter().find_map(|path| find::read(path).ok().flatten());
        let then = result(asked, now.as_deref());
        let folder = paths.first().and_then(|path| path.parent()).unwrap_or(&asked.cwd);
        // A link of another name does not change how the file is written.
        let format = Format::of(config);
        return Ok(told(path, format, now.as_deref(), then.as_deref(), folder));
    }
    let policies = policies(policy, asked)?;
    let guarding = policies.iter().find(|(policy, _)| paths.contains(policy));
    Ok(match guarding {
        Some((_, what)) => Answer::Ask(format!("{path} is a policy that {what}")),
        None => Answer::Nothing,
    })
}

/// What the file would hold; `None` where that cannot be said.
fn result(asked: &Asked, now: Option<&str>) -> Option<String> {
    if let Some(content) = text(&asked.input, "content") {
        return Some(content.to_owned());
    }
    let whole = std::slice::from_ref(&asked.input);
    let edits = match asked.input.get("edits") {
        Some(Json::Array(edits)) => edits.as_slice(),
        Some(_) | None => whole,
    };
    let mut then = now?.to_owned();
    for edit in edits {
        let (old, new) = (text(edit, "old_string")?, text(edit, "new_string")?);
        let count = match edit.get("replace_all") {
            Some(Json::Bool(true)) => then.matches(old).count(),
            Some(_) | None => then.matches(old).take(1).count(),
        };
        // Each of many edits may make it longer by as much again, and none of that is read.
        let length = then
            .len()
            .saturating_sub(count.saturating_mul(old.len()))
            .saturating_add(count.saturating_mul(new.len()));
        if length > TEXT_BYTES_MAX {
            return None;
        }
        then = then.replacen(old, new, count);
    }
    Some(then)
}

fn told(path: &str, format: Format, now: Option<&str>, then: Option<&str>, folder: &Path) -> Answer {
    let read = |text| entries::read(format, text);
    let before = now.and_then(|text| read(text).ok()).unwrap_or_default();
    let Some(Ok(after)) = then.map(read) else {
        return Answer::Ask(format!(
            "{path} names MCP servers or hooks, and what it would come to cannot be read"
        ));
    };
    let was: BTreeSet<(&str, String)> = before.iter().map(meant).collect();
    let new: Vec<&Entry> = after
        .iter()
        .filter(|entry| !was.contains(&meant(entry)))
        .collect();
    let names: BTreeSet<&str> = after.iter().map(|entry| entry.name.as_str()).collect();
    let gone = before
        .iter()
        .filter(|entry| !names.contains(entry.name.as_str()))
        .count();
    let head = match gone {
        0 => format!("{path} is changed"),
        gone => format!("{path} is changed, and {gone} of its servers are taken away"),
    };
    servers(&head, &new, folder)
}

/// What an entry says, wherever it stands.
fn meant(entry: &Entry) -> (&str, String) {
    let says = match &entry.kind {
        Kind::Command {
            argv,
            env,
            dir,
            env_file,
        } => {
            let words: Vec<&str> = argv.iter().map(|word| word.text.as_str()).collect();
            let env: Vec<(&str, &str)> = env
                .iter()
                .map(|pair| (pair.name.as_str(), pair.value.as_str()))
                .collect();
            format!("{words:?} {env:?} {dir:?} {env_file:?}")
        }
        Kind::Url { url, headers } => {
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|pair| (pair.name.as_str(), pair.value.as_str()))
                .collect();
            format!("{} {headers:?}", url.text)
        }
        Kind::Unknown => String::new(),
    };
    (&entry.name, says)
}

/// Asks about servers that would be new, or denies them.
pub(super) fn servers(head: &str, new: &[&Entry], folder: &Path) -> Answer {
    let mut worst = Verdict::Ask;
    let mut lines = Vec::new();
    let mut policies = Policies::default();
    for entry in new {
        let (mut one, _, _) = at_rest(entry, folder, &mut policies);
        one.sort();
        worst = worst.max(one.verdict());
        let mut ids: Vec<&str> = one.findings.iter().map(|found| found.rule.id).collect();
        ids.dedup();
        let what = one
            .what
            .as_deref()
            .unwrap_or("something else than a command or a URL");
        let said = if ids.is_empty() {
            "nothing speaks against it".to_owned()
        } else {
            ids.join(", ")
        };
        lines.push(format!(
            "{} runs {what} ({}: {said})",
            one.name,
            one.verdict().word()
        ));
    }
    let more = lines.len().saturating_sub(SERVERS_SHOWN_MAX);
    lines.truncate(SERVERS_SHOWN_MAX);
    let mut reason = match lines.is_empty() {
        true => format!("{head}; no server is new"),
        false => format!("{head}; new or changed: {}", lines.join("; ")),
    };
    if more > 0 {
        reason.push_str(&format!("; and {more} more"));
    }
    match worst {
        Verdict::Stop => Answer::Deny(reason),
        Verdict::Ask | Verdict::Go => Answer::Ask(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_that_make_a_text_ever_longer_are_not_made() {
        let twice = |count: usize| {
            let text = |text: &str| Json::String(text.to_owned().into());
            let edit = Json::Object(vec![
                ("old_string".into(), text("a")),
                ("new_string".into(), text("aa")),
                ("replace_all".into(), Json::Bool(true)),
            ]);
            let asked = Asked {
                tool: "MultiEdit".to_owned(),
                input: Json::Object(vec![("edits".into(), Json::Array(vec![edit; count]))]),
                cwd: PathBuf::new(),
            };
            result(&asked, Some("a")).map(|then| then.len())
        };
        assert_eq!(twice(22), Some(TEXT_BYTES_MAX));
        assert_eq!(twice(23), None);
    }
}
