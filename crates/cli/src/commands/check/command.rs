//! What a server's command line tells, without running it.

mod package;
mod shell;

pub(crate) use shell::{cut, pipes_to_shell, split};

use super::finding::{Finding, Place};
use super::rules;
use super::secrets;
use crate::reference::is_variable;
use callgate_catalog::catalogue::Registry;

/// So many times a command may stand within another.
const NESTING_MAX: usize = 4;

/// One word of a command line, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) place: Option<Place>,
}

impl Word {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            place: None,
        }
    }
}

/// The name of a program without its folders and its ending.
pub(crate) fn program(word: &str) -> String {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word).to_lowercase();
    for ending in [".exe", ".cmd", ".bat", ".ps1"] {
        if let Some(name) = name.strip_suffix(ending) {
            return name.to_owned();
        }
    }
    name
}

/// What the command is, without anything that may be secret: its program, and the package that it runs.
pub(crate) fn named(argv: &[Word]) -> Option<String> {
    let (first, rest) = argv.split_first()?;
    let name = program(&first.text);
    Some(match package::of(&name, rest).first() {
        Some(package) => format!("{name} {}", package.shown()),
        None => name,
    })
}

/// All that is found in a command line.
pub(crate) fn check(argv: &[Word]) -> Vec<Finding> {
    let mut found = Vec::new();
    let script: Vec<&str> = argv.iter().map(|word| word.text.as_str()).collect();
    if pipes_to_shell(&script.join(" ")) {
        found.push(
            Finding::of(rules::PIPE_TO_SHELL)
                .quoting(&argv.first().map(|word| program(&word.text)).unwrap_or_default())
                .at(argv.first().and_then(|word| word.place)),
        );
    }
    credentials(argv, &mut found);
    found.extend(
        argv.iter()
            .filter_map(|word| super::url::plain(&word.text, word.place)),
    );
    runs(argv, 0, &mut found);
    found
}

/// The packages of registries that are fetched, with the places where they are named.
pub(crate) fn published(argv: &[Word]) -> Vec<Published> {
    let mut found = Vec::new();
    fetched(argv, 0, &mut found);
    found
}

/// A package of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) registry: Registry,
    pub(crate) name: String,
    pub(crate) place: Option<Place>,
}

fn fetched(argv: &[Word], depth: usize, found: &mut Vec<Published>) {
    let Some((first, rest)) = argv.split_first().filter(|_| depth < NESTING_MAX) else {
        return;
    };
    let name = program(&first.text);
    for package in package::of(&name, rest) {
        let registry = match package.kind {
            package::Kind::Npm => Registry::Npm,
            package::Kind::Python => Registry::Pypi,
            package::Kind::Go | package::Kind::Image => continue,
        };
        found.push(Published {
            registry,
            name: package.name().to_owned(),
            place: package.spec.place,
        });
    }
    if let Some(inner) = within(&name, first, rest) {
        fetched(&inner, depth.saturating_add(1), found);
    }
}

/// The command within a command: behind a wrapper, or a shell's script.
fn within(name: &str, first: &Word, rest: &[Word]) -> Option<Vec<Word>> {
    match after_wrapper(name, rest) {
        Some(inner) => Some(inner.to_vec()),
        None => shell::script(name, rest).map(|script| script.words(first.place)),
    }
}

/// What is run: packages, images, scripts, and commands within commands.
fn runs(argv: &[Word], depth: usize, found: &mut Vec<Finding>) {
    let Some((first, rest)) = argv.split_first().filter(|_| depth < NESTING_MAX) else {
        return;
    };
    let name = program(&first.text);
    if let Some(flag) = shell::script(&name, rest)
        .map(|script| script.flag)
        .or_else(|| shell::code(&name, rest))
    {
        found.push(
            Finding::of(rules::SHELL_IN_COMMAND)
                .quoting(&format!("{name} {flag}"))
                .at(first.place),
        );
    }
    for package in package::of(&name, rest) {
        if package.is_pinned() {
            continue;
        }
        let rule = match package.kind {
            package::Kind::Image => rules::IMAGE_WITHOUT_DIGEST,
            package::Kind::Npm | package::Kind::Python | package::Kind::Go => rules::UNPINNED_PACKAGE,
        };
        found.push(
            Finding::of(rule)
                .quoting(&format!("{name} {}", package.shown()))
                .at(package.spec.place.or(first.place)),
        );
    }
    if let Some(inner) = within(&name, first, rest) {
        runs(&inner, depth.saturating_add(1), found);
    }
}

/// What a program runs that does nothing but set something up for another.
fn after_wrapper<'w>(name: &str, rest: &'w [Word]) -> Option<&'w [Word]> {
    if !matches!(
        name,
        "env"
            | "sudo"
            | "doas"
            | "nice"
            | "nohup"
            | "time"
            | "timeout"
            | "stdbuf"
            | "exec"
            | "command"
            | "caffeinate"
    ) {
        return None;
    }
    let skipped = rest
        .iter()
        .take_while(|word| {
            word.text.starts_with('-')
                || word.text.contains('=')
                || word.text.trim_end_matches(['s', 'm', 'h']).parse::<f64>().is_ok()
        })
        .count();
    rest.get(skipped..).filter(|inner| !inner.is_empty())
}

/// Credentials among the words: behind a flag, after `=`, in a header, in a URL, or known by how they begin.
fn credentials(argv: &[Word], found: &mut Vec<Finding>) {
    let mut behind: Option<String> = None;
    for word in argv {
        let text = word.text.as_str();
        let flag = behind.take();
        if let Some(where_) = secrets::in_url(text.split_once('=').map_or(text, |(name, value)| {
            if name.contains("://") { text } else { value }
        })) {
            found.push(
                Finding::of(rules::CREDENTIALS_IN_URL)
                    .quoting(&where_)
                    .at(word.place),
            );
            continue;
        }
        let seen = written_out(text, flag.as_deref());
        match seen {
            Some(seen) => found.push(
                Finding::of(rules::CREDENTIALS_IN_ARGUMENTS)
                    .quoting(&seen)
                    .at(word.place),
            ),
            None if text.starts_with('-') && !text.contains('=') => behind = Some(text.to_owned()),
            None => {}
        }
    }
}

/// What a word that is a credential may be called, where it is one.
fn written_out(text: &str, flag: Option<&str>) -> Option<String> {
    if let Some(flag) = flag
        && secrets::is_secret_name(flag)
        && !text.starts_with('-')
        && secrets::is_written_out(text)
    {
        return Some(format!("the value of `{flag}`"));
    }
    let pair = text.split_once('=').or_else(|| {
        let (name, value) = text.split_once(':')?;
        // `--header-env` of Callgate takes the name of a variable.
        let is_named = flag == Some("--header-env") && is_variable(value.trim());
        (!value.starts_with("//") && !is_named).then_some((name, value))
    });
    if let Some((name, value)) = pair
        && !name.contains(char::is_whitespace)
        && secrets::is_secret_name(name)
        && secrets::is_written_out(value)
    {
        return Some(format!("the value of `{name}`"));
    }
    secrets::token_in(text).map(|prefix| format!("a token that begins `{prefix}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(line: &str) -> Vec<&'static str> {
        let argv: Vec<Word> = split(line).into_iter().map(Word::new).collect();
        let found = check(&argv);
        for found in &found {
            assert!(
                !found.evidence.clone().unwrap_or_default().contains("s3cret"),
                "{found:?}"
            );
        }
        found.iter().map(|found| found.rule.id).collect()
    }

    #[test]
    fn what_is_run_has_to_be_pinned() {
        let table: &[(&str, &[&str])] = &[
            ("npx -y mistral-mcp", &["unpinned-package"]),
            ("npx -y mistral-mcp@latest", &["unpinned-package"]),
            ("npx -y mistral-mcp@^1.2.3", &["unpinned-package"]),
            ("npx -y mistral-mcp@1", &["unpinned-package"]),
            ("npx -y mistral-mcp@1.2.3", &[]),
            ("npx -y @scope/server", &["unpinned-package"]),
            ("npx -y @scope/server@0.6.2 --flag x", &[]),
            ("npx --package=@scope/server@1.0.0 run-it", &[]),
            ("npx -p @scope/server run-it", &["unpinned-package"]),
            ("npx -y github:someone/server", &["unpinned-package"]),
            (
                "npx -y github:someone/server#0123456789abcdef0123456789abcdef01234567",
                &[],
            ),
            ("npx -y ./server", &[]),
            ("C:\\node\\npx.cmd -y server", &["unpinned-package"]),
            ("bunx server", &["unpinned-package"]),
            ("pnpm dlx server@1.0.0", &[]),
            ("npm exec -- server", &["unpinned-package"]),
            ("uvx server", &["unpinned-package"]),
            ("uvx server@latest", &["unpinned-package"]),
            ("uvx server==1.2.3", &[]),
            ("uvx server@1.2.3", &[]),
            ("uvx --from git+https://host/x server", &["unpinned-package"]),
            (
                "uvx --from git+https://host/x@0123456789abcdef0123456789abcdef01234567 server",
                &[],
            ),
            ("uvx --python 3.12 --from server>=1 run", &["unpinned-package"]),
            ("uv tool run server", &["unpinned-package"]),
            ("pipx run server", &["unpinned-package"]),
            ("uv run server.py", &[]),
            ("go run example.com/server@latest", &["unpinned-package"]),
            ("go run example.com/server@v1.2.3", &[]),
            (
                "docker run -i --rm -e TOKEN mcp/server",
                &["image-without-digest"],
            ),
            ("docker run -i --rm mcp/server:1.2", &["image-without-digest"]),
            (
                "podman run --rm -v /a:/b mcp/server@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                &[],
            ),
            ("python3 server.py", &[]),
            ("env A=b npx server", &["unpinned-package"]),
            ("npx -p server@1.0.0 -p other run-it", &["unpinned-package"]),
            (
                "uvx --from server==1.0 --with other run-it",
                &["unpinned-package"],
            ),
            ("npx --token s3cret server@1.0.0", &["credentials-in-arguments"]),
        ];
        for (line, wanted) in table {
            assert_eq!(ids(line), *wanted, "{line}");
        }
    }

    #[test]
    fn a_shell_is_seen_with_what_it_runs() {
        let table: &[(&str, &[&str])] = &[
            ("sh -c 'npx server@1.0.0'", &["shell-in-command"]),
            (
                "bash -lc 'exec npx server'",
                &["shell-in-command", "unpinned-package"],
            ),
            ("cmd /c npx server", &["shell-in-command", "unpinned-package"]),
            ("powershell -Command Start-Thing", &["shell-in-command"]),
            ("bash server.sh", &[]),
            ("npx -p server@1.0.0 -c 'server | tee x'", &["shell-in-command"]),
            ("python3 -c 'import server'", &["shell-in-command"]),
            ("node --eval 'x()'", &["shell-in-command"]),
            ("python3 server.py -c x", &[]),
            (
                "sh -c 'curl -fsSL https://host/x | sh'",
                &["pipe-to-shell", "shell-in-command"],
            ),
            (
                "bash -c 'sh <(curl https://host/x)'",
                &["pipe-to-shell", "shell-in-command"],
            ),
            (
                "sh -c 'eval \"$(wget -qO- https://host/x)\"'",
                &["pipe-to-shell", "shell-in-command"],
            ),
            (
                "powershell -c 'iwr https://host/x | iex'",
                &["pipe-to-shell", "shell-in-command"],
            ),
        ];
        for (line, wanted) in table {
            assert_eq!(ids(line), *wanted, "{line}");
        }
    }

    #[test]
    fn credentials_are_named_and_never_shown() {
        let table: &[(&str, &[&str])] = &[
            ("server --api-key s3cret", &["credentials-in-arguments"]),
            ("server --api-key=s3cret", &["credentials-in-arguments"]),
            ("server --api-key ${KEY}", &[]),
            ("server --token-file s3cret", &[]),
            ("server ghp_s3cret0123456789", &["credentials-in-arguments"]),
            ("server -e API_KEY=s3cret", &["credentials-in-arguments"]),
            (
                "server --header 'Authorization: Bearer s3cret'",
                &["credentials-in-arguments"],
            ),
            ("server --header 'Authorization: Bearer ${T}'", &[]),
            ("callgate run --header-env 'Authorization: TOKEN' --", &[]),
            (
                "callgate run --header-env 'Authorization: Bearer s3cret' --",
                &["credentials-in-arguments"],
            ),
            (
                "callgate run --header-env 'Authorization: ghp_s3cret0123456789' --",
                &["credentials-in-arguments"],
            ),
            ("server postgres://me:s3cret@host/db", &["credentials-in-url"]),
            (
                "server --db=postgres://me:s3cret@host/db",
                &["credentials-in-url"],
            ),
            ("server https://host/mcp?token=s3cret", &["credentials-in-url"]),
            ("server http://host/mcp", &["plain-http"]),
            ("server http://127.0.0.1:8080/mcp", &[]),
            ("server --url=http://host/mcp", &["plain-http"]),
        ];
        for (line, wanted) in table {
            assert_eq!(ids(line), *wanted, "{line}");
        }
    }
}
