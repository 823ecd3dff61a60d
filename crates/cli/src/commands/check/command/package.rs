//! Packages and images that a command fetches and runs.

use super::Word;
use crate::commands::check::secrets::{is_secret_name, token_in};

/// Where a package comes from, which tells how a version is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Npm,
    Python,
    Go,
    Image,
}

/// What is fetched and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) kind: Kind,
    /// As it is written, with its version where it has one.
    pub(super) spec: Word,
}

/// Flags of `npx` and its like that take a value.
const NPM_VALUES: &[&str] = &[
    "--registry",
    "--cache",
    "--prefix",
    "--workspace",
    "-w",
    "--userconfig",
    "--loglevel",
    "--node-options",
];

/// Flags of `uvx` and `pipx run` that take a value.
const PYTHON_VALUES: &[&str] = &[
    "--with-requirements",
    "--python",
    "-p",
    "--index",
    "--index-url",
    "-i",
    "--default-index",
    "--extra-index-url",
    "--directory",
    "--project",
    "--cache-dir",
    "--find-links",
    "-f",
    "--env-file",
    "--refresh-package",
    "--resolution",
    "--prerelease",
    "--pip-args",
];

/// Flags of `docker run` that take none.
const IMAGE_PLAIN: &[&str] = &[
    "--rm",
    "--interactive",
    "--tty",
    "--init",
    "--detach",
    "--privileged",
    "--read-only",
    "--quiet",
    "--publish-all",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--disable-content-trust",
    "--sig-proxy",
];

/// What a program of this name fetches to run it, where it is one that fetches: the package itself first.
pub(super) fn of(name: &str, rest: &[Word]) -> Vec<Package> {
    let second = rest.first().map(|word| word.text.as_str()).unwrap_or_default();
    let is_run = |index: usize| rest.get(index).is_some_and(|word| word.text == "run");
    let after = |count: usize| rest.get(count..).unwrap_or_default();
    match (name, second) {
        ("npx" | "bunx" | "pnpx", _) => npm(rest),
        ("npm", "exec" | "x") | ("pnpm" | "yarn", "dlx") | ("bun", "x") => npm(after(1)),
        ("uvx", _) => python(rest),
        ("uv", "tool") if is_run(1) => python(after(2)),
        ("pipx", "run") => python(after(1)),
        ("go", "run") => of_kind(Kind::Go, positional(after(1), &[]))
            .into_iter()
            .filter(|package| package.spec.text.contains('/'))
            .collect(),
        ("docker" | "podman" | "nerdctl" | "finch", "run") => of_kind(Kind::Image, image(after(1))),
        ("docker" | "podman" | "nerdctl" | "finch", "container") if is_run(1) => {
            of_kind(Kind::Image, image(after(2)))
        }
        _ => Vec::new(),
    }
}

/// Packages that are fetched: what stands on the machine is none.
fn of_kind(kind: Kind, specs: impl IntoIterator<Item = Word>) -> Vec<Package> {
    specs
        .into_iter()
        .filter(|spec| kind == Kind::Image || !is_local(&spec.text))
        .map(|spec| Package { kind, spec })
        .collect()
}

impl Package {
    /// Its name without a version.
    pub(super) fn name(&self) -> &str {
        let spec = self.spec.text.as_str();
        let versioned = match self.kind {
            Kind::Npm | Kind::Go => spec.rsplit_once('@'),
            Kind::Python => spec
                .find(['=', '<', '>', '~', '!', '[', '@', ';'])
                .and_then(|at| spec.split_at_checked(at)),
            Kind::Image => spec
                .split_once('@')
                .or_else(|| spec.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))),
        };
        versioned
            .map(|(name, _)| name)
            .filter(|name| !name.is_empty())
            .unwrap_or(spec)
    }

    /// As it is written, unless that may hold a secret.
    pub(super) fn shown(&self) -> &str {
        let spec = self.spec.text.as_str();
        if spec.contains("://") || token_in(spec).is_some() {
            return "…";
        }
        spec
    }

    /// Whether the same is run whenever it is run.
    pub(super) fn is_pinned(&self) -> bool {
        let spec = self.spec.text.as_str();
        if is_commit(spec.rsplit(['#', '@']).next().unwrap_or_default()) {
            return true;
        }
        match self.kind {
            Kind::Npm => spec
                .rsplit_once('@')
                .filter(|(name, _)| !name.is_empty())
                .is_some_and(|(_, version)| is_exact(version)),
            Kind::Python => {
                let version = spec.rsplit_once("==").or_else(|| spec.rsplit_once('@'));
                version.is_some_and(|(_, version)| is_exact(version.trim_start_matches('=')))
            }
            Kind::Go => spec
                .rsplit_once('@')
                .and_then(|(_, version)| version.strip_prefix('v'))
                .is_some_and(is_exact),
            Kind::Image => spec.rsplit_once("@sha256:").is_some_and(|(_, digest)| {
                digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit())
            }),
        }
    }
}

/// `1.2`, `1.2.3`, `1.2.3-rc.1`: no range, and no word that moves.
fn is_exact(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = numbers.split('.').collect();
    let is_number = |part: &&str| part.bytes().next().is_some_and(|b| b.is_ascii_digit());
    parts.len() >= 2
        && parts.iter().all(is_number)
        && version
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+' | b'!'))
        && !parts.contains(&"x")
}

/// A whole git commit.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_local(spec: &str) -> bool {
    spec.starts_with(['.', '/', '~']) || spec.starts_with("file:") || spec.get(1..3) == Some(":\\")
}

/// The first word that is neither a flag nor the value of one.
fn positional(rest: &[Word], takes_value: &[&str]) -> Option<Word> {
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if text == "--" {
            return words.next().cloned();
        }
        if !text.starts_with('-') {
            return Some(word.clone());
        }
        // What stands behind the name of a credential is its value, and must not be shown.
        if takes_value.contains(&text) || is_secret_name(text) {
            words.next();
        }
    }
    None
}

/// The values of flags, in the word behind one or after `=`, up to the first word that is no flag.
fn values_of(rest: &[Word], flags: &[&str], takes_value: &[&str]) -> Vec<Word> {
    let mut values = Vec::new();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if flags.contains(&text) {
            values.extend(words.next().cloned());
        } else if let Some((_, value)) = text.split_once('=').filter(|(flag, _)| flags.contains(flag)) {
            values.push(Word {
                text: value.to_owned(),
                place: word.place,
            });
        } else if takes_value.contains(&text) || is_secret_name(text) {
            words.next();
        } else if !text.starts_with('-') || text == "--" {
            break;
        }
    }
    values
}

fn npm(rest: &[Word]) -> Vec<Package> {
    let flagged = values_of(rest, &["-p", "--package"], NPM_VALUES);
    if !flagged.is_empty() {
        return of_kind(Kind::Npm, flagged);
    }
    // With `--call` there is a script, and no package.
    if rest
        .iter()
        .any(|word| matches!(word.text.as_str(), "-c" | "--call"))
    {
        return Vec::new();
    }
    of_kind(Kind::Npm, positional(rest, NPM_VALUES))
}

fn python(rest: &[Word]) -> Vec<Package> {
    let mut takes_value = PYTHON_VALUES.to_vec();
    takes_value.extend(["--from", "--spec", "--with"]);
    let from = values_of(rest, &["--from", "--spec"], &takes_value);
    let main = if from.is_empty() {
        Vec::from_iter(positional(rest, &takes_value))
    } else {
        from
    };
    of_kind(
        Kind::Python,
        main.into_iter().chain(values_of(rest, &["--with"], &takes_value)),
    )
}

/// Flags of `docker run` mostly take a value.
fn image(rest: &[Word]) -> Option<Word> {
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if !text.starts_with('-') {
            return Some(word.clone());
        }
        let is_plain = text.contains('=')
            || IMAGE_PLAIN.contains(&text)
            || !text.starts_with("--")
                && text
                    .chars()
                    .skip(1)
                    .all(|c| matches!(c, 'i' | 't' | 'd' | 'q' | 'P'));
        if !is_plain {
            words.next();
        }
    }
    None
}
