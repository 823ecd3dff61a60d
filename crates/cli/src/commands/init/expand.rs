//! Variables that a client expands in its configuration, expanded here for a scan alone: what is written keeps them.

use super::clients::Client;
use super::secrets::shown;
use crate::reference::is_variable;
use std::path::Path;

/// What variables stand for.
pub(super) struct Scene<'s> {
    pub(super) client: Client,
    /// The project that the configuration is in.
    pub(super) project: Option<&'s Path>,
    pub(super) home: Option<&'s Path>,
    pub(super) variables: &'s dyn Fn(&str) -> Option<String>,
}

/// How a client writes its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `${NAME}` and `${NAME:-default}`.
    Plain,
    /// As `Plain`, and `$NAME`.
    Shell,
    /// `${env:NAME}`, `${workspaceFolder}`, `${input:id}`.
    Prefixed,
    /// Texts stand for themselves.
    None,
}

const fn style(client: Client) -> Style {
    match client {
        Client::ClaudeCode => Style::Plain,
        Client::Gemini => Style::Shell,
        Client::Cursor | Client::VsCode | Client::Windsurf | Client::Other => Style::Prefixed,
        Client::ClaudeDesktop | Client::Zed | Client::Codex => Style::None,
    }
}

impl Scene<'_> {
    /// A text with values in place of variables.
    ///
    /// # Errors
    /// Which variable has no value that is known here.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let style = style(self.client);
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$').filter(|_| style != Style::None) {
            out.push_str(before);
            rest = match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                Some((inside, behind)) => {
                    out.push_str(&self.value(style, inside)?);
                    behind
                }
                None => {
                    let length = after
                        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                        .unwrap_or(after.len());
                    let (name, behind) = after.split_at_checked(length).unwrap_or((after, ""));
                    if style == Style::Shell && is_variable(name) {
                        out.push_str(&self.variable(name)?);
                        behind
                    } else {
                        out.push('$');
                        after
                    }
                }
            };
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, style: Style, inside: &str) -> Result<String, String> {
        let unknown = || {
            Err(format!(
                "only {} knows the value of `${{{}}}`",
                self.client.name(),
                shown(inside)
            ))
        };
        let path = |path: Option<&Path>| path.map_or_else(unknown, |path| Ok(path.display().to_string()));
        match (style, inside.split_once(':')) {
            (Style::Plain | Style::Shell, Some((name, default))) if default.starts_with('-') => {
                Ok((self.variables)(name).unwrap_or_else(|| default.trim_start_matches('-').to_owned()))
            }
            (Style::Plain | Style::Shell, _) if is_variable(inside) => self.variable(inside),
            (Style::Prefixed, Some(("env", name))) => self.variable(name),
            (Style::Prefixed, None) => match inside {
                "workspaceFolder" => path(self.project),
                "workspaceFolderBasename" => path(
                    self.project
                        .and_then(|project| project.file_name())
                        .map(Path::new),
                ),
                "userHome" => path(self.home),
                "pathSeparator" | "/" => Ok("/".to_owned()),
                name if self.client == Client::Other && is_variable(name) => self.variable(name),
                _ => unknown(),
            },
            _ => unknown(),
        }
    }

    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Result<String, String> {
        (self.variables)(name).ok_or_else(|| format!("the variable {} is not set here", shown(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_variables() {
        let cases = [
            (Client::ClaudeCode, "a ${K} ${N:-x} $K", Ok("a v x $K")),
            (Client::ClaudeCode, "${N}", Err("the variable N is not set here")),
            (
                Client::ClaudeCode,
                "${env:K}",
                Err("only Claude Code knows the value of `${env:K}`"),
            ),
            (Client::Gemini, "$K/${K}$ $", Ok("v/v$ $")),
            (
                Client::VsCode,
                "${env:K} ${workspaceFolder}${/}x ${userHome}",
                Ok("v /p/q/x /h"),
            ),
            (Client::VsCode, "${workspaceFolderBasename}", Ok("q")),
            (
                Client::VsCode,
                "${input:key}",
                Err("only VS Code knows the value of `${input:key}`"),
            ),
            (
                Client::Cursor,
                "${command:x}",
                Err("only Cursor knows the value of `${command:x}`"),
            ),
            (Client::Codex, "${K} $K", Ok("${K} $K")),
            (Client::Zed, "é${", Ok("é${")),
            (Client::Windsurf, "é${é", Ok("é${é")),
        ];
        for (client, text, wanted) in cases {
            let scene = Scene {
                client,
                project: Some(Path::new("/p/q")),
                home: Some(Path::new("/h")),
                variables: &|name| (name == "K").then(|| "v".to_owned()),
            };
            let wanted = wanted.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(scene.expand(text), wanted, "{text}");
        }
    }
}
