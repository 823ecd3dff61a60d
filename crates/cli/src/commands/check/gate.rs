//! Whether a server stands behind Callgate, and under which policy.

use super::command::{Word, program};
use super::entries::{Kind, Pair, expanded};
use super::finding::{Finding, Place};
use super::rules;
use crate::commands::validate::load::Source;
use crate::reference::{Part, parts};
use callgate_policy::Loaded;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How a client reaches a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// With no Callgate that can be seen.
    Bare,
    /// With one of Callgate's own commands that guards nothing, such as `mcp`.
    Own,
    /// Behind Callgate.
    Guarded(Guard),
}

/// What stands behind `callgate run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    /// The policy, as it is written.
    pub(crate) policy: Option<Word>,
    /// The server's own command.
    pub(crate) inner: Vec<Word>,
    /// The server's URL. A variable of the entry is its value, any other is left as a reference.
    pub(crate) upstream: Option<Word>,
    /// The headers that it is sent, but for those of files; variables as in the URL.
    pub(crate) headers: Vec<Pair>,
}

/// Flags of `run` that take no value.
const PLAIN: &[&str] = &["--help", "-h", "--version", "-V"];

/// Commands of Callgate that are servers themselves.
const OWN: &[&str] = &["mcp", "demo-server"];

/// Variables by which a program is looked for, where it is named without its folder.
const LOOKED_UP_BY: &[&str] = &["path", "pathext"];

/// How the variables of loaders begin, which put other code into a program wherever it is.
const OF_LOADERS: &[&str] = &["ld_", "dyld_"];

/// Whether a variable can have another program started in place of this one, or other code in it.
pub(crate) fn misleads(program: &str, variable: &str) -> bool {
    let variable = variable.to_lowercase();
    let is_looked_for = !program.contains(['/', '\\']);
    OF_LOADERS.iter().any(|begin| variable.starts_with(begin))
        || is_looked_for && LOOKED_UP_BY.contains(&variable.as_str())
}

/// What an entry says.
pub(crate) fn of(kind: &Kind) -> Way {
    match kind {
        // What a file of variables sets is not known.
        Kind::Command {
            env_file: Some(_), ..
        } => Way::Bare,
        Kind::Command { argv, env, .. } => {
            let is_misled = argv
                .first()
                .is_some_and(|program| env.iter().any(|pair| misleads(&program.text, &pair.name)));
            if is_misled { Way::Bare } else { way(argv, env) }
        }
        Kind::Url { .. } | Kind::Unknown => Way::Bare,
    }
}

/// What a command line says, with the variables that it is started with.
fn way(argv: &[Word], env: &[Pair]) -> Way {
    let Some((_, rest)) = argv.split_first().filter(|(first, _)| is_callgate(&first.text)) else {
        return Way::Bare;
    };
    if rest.first().is_some_and(|word| OWN.contains(&word.text.as_str())) {
        return Way::Own;
    }
    let rest = match rest.split_first() {
        Some((word, rest)) if word.text == "run" => rest,
        Some((word, _)) if word.text.starts_with('-') => rest,
        Some(_) | None => return Way::Bare,
    };
    let mut guard = Guard {
        policy: None,
        inner: Vec::new(),
        upstream: None,
        headers: Vec::new(),
    };
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        if word.text == "--" {
            guard.inner = words.cloned().collect();
            break;
        }
        // `-cFILE` and `-c=FILE` are read as `-c FILE` is.
        if let Some(value) = word.text.strip_prefix("-c").filter(|value| !value.is_empty()) {
            guard.policy = Some(Word {
                text: value.trim_start_matches('=').to_owned(),
                place: word.place,
            });
            continue;
        }
        let (flag, value) = match word.text.split_once('=') {
            Some((flag, value)) => (
                flag,
                Some(Word {
                    text: value.to_owned(),
                    place: word.place,
                }),
            ),
            None if PLAIN.contains(&word.text.as_str()) => continue,
            None => (word.text.as_str(), words.next().cloned()),
        };
        match flag {
            "-c" | "--config" => guard.policy = value,
            "--upstream" => guard.upstream = value,
            "--upstream-env" => guard.upstream = value.map(|name| variable(&name, env)),
            "--header" => guard.headers.extend(value.and_then(|line| header(&line, env))),
            "--header-env" => guard
                .headers
                .extend(value.and_then(|line| header_of_variable(&line, env))),
            _ => {}
        }
    }
    Way::Guarded(guard)
}

/// What a variable holds: its value where the entry sets it, else a reference to it.
fn variable(name: &Word, env: &[Pair]) -> Word {
    match env.iter().find(|pair| pair.name == name.text) {
        Some(pair) => Word {
            text: pair.value.clone(),
            place: pair.place,
        },
        None => Word {
            text: format!("${{env:{}}}", name.text),
            place: name.place,
        },
    }
}

/// A header as `--header` has it.
fn header(line: &Word, env: &[Pair]) -> Option<Pair> {
    let (name, value) = line.text.split_once(':')?;
    let value = value.trim();
    let pieces = parts(value).into_iter().map(|(part, span)| match part {
        Part::Env(name) => variable(&Word::new(name), env).text,
        Part::Text(_) | Part::File(_) | Part::Unclosed | Part::Unknown(_) => {
            value.get(span).unwrap_or_default().to_owned()
        }
    });
    Some(Pair {
        name: name.trim().to_owned(),
        value: pieces.collect(),
        place: line.place,
    })
}

/// A header as `--header-env` has it.
fn header_of_variable(line: &Word, env: &[Pair]) -> Option<Pair> {
    let (name, of) = line.text.split_once(':')?;
    let value = variable(
        &Word {
            text: of.trim().to_owned(),
            place: line.place,
        },
        env,
    );
    Some(Pair {
        name: name.trim().to_owned(),
        value: value.text,
        place: value.place,
    })
}

/// Whether a program is Callgate: by its name alone where the client looks for it, else at a place where it is
/// installed. A file of that name elsewhere may be anything.
fn is_callgate(word: &str) -> bool {
    if !word.contains(['/', '\\']) {
        return matches!(word, "callgate" | "callgate.exe");
    }
    if program(word) != "callgate" {
        return false;
    }
    let path = Path::new(word);
    let is_same = |other: &Path| {
        let real = |path: &Path| path.canonicalize().ok();
        real(path).is_some_and(|path| Some(path) == real(other))
    };
    const PLACES: &[&str] = &[
        "/usr/bin",
        "/usr/local/bin",
        "/opt/homebrew/bin",
        "/opt/callgate/bin",
    ];
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let own = [".cargo/bin", ".local/bin", "bin"];
    let is_installed = path.parent().is_some_and(|folder| {
        PLACES.iter().any(|place| folder == Path::new(place))
            || home
                .as_ref()
                .is_some_and(|home| own.iter().any(|below| folder == home.join(below)))
    });
    is_installed || std::env::current_exe().is_ok_and(|exe| is_same(&exe))
}

/// The policies of servers, each read once: many entries may name the same.
#[derive(Debug, Default)]
pub(crate) struct Policies(BTreeMap<PathBuf, Option<Rc<Loaded>>>);

impl Policies {
    /// The policy of a file; `None` where it does not load.
    fn of(&mut self, path: PathBuf) -> Option<Rc<Loaded>> {
        let path = path.canonicalize().unwrap_or(path);
        let loaded = self.0.entry(path).or_insert_with_key(|path| {
            let source = Source::read(path).ok()?;
            source.check().loaded.map(Rc::new)
        });
        loaded.clone()
    }
}

/// The policy of a guarded server, with what is to be said of it. `folder` is where its path begins.
pub(crate) fn policy(
    guard: &Guard,
    folder: &Path,
    policies: &mut Policies,
    found: &mut Vec<Finding>,
) -> Option<Rc<Loaded>> {
    let Some(word) = &guard.policy else {
        found.push(Finding::of(rules::POLICY_MISSING).quoting("callgate run without -c"));
        return None;
    };
    // What is no file, such as a pipe, may never end.
    let path = expanded(&word.text)
        .ok()
        .map(|path| folder.join(path))
        .filter(|path| path.is_file());
    let Some(path) = path else {
        found.push(
            Finding::of(rules::POLICY_MISSING)
                .quoting(&word.text)
                .at(word.place),
        );
        return None;
    };
    let Some(loaded) = policies.of(path) else {
        found.push(
            Finding::of(rules::POLICY_INVALID)
                .quoting(&word.text)
                .at(word.place),
        );
        return None;
    };
    found.extend(posture(&loaded, &word.text, word.place));
    Some(loaded)
}

/// What a policy leaves open as a whole.
pub(crate) fn posture(loaded: &Loaded, name: &str, place: Option<Place>) -> Vec<Finding> {
    let summary = &loaded.summary;
    let mut found = Vec::new();
    if !summary.denies_unlisted_tools {
        found.push(Finding::of(rules::POLICY_OPEN_BY_DEFAULT).quoting(name).at(place));
    }
    if summary.shadow {
        found.push(Finding::of(rules::POLICY_IN_SHADOW).quoting(name).at(place));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::command::split;

    fn told(line: &str) -> String {
        let argv: Vec<Word> = split(line).into_iter().map(Word::new).collect();
        let own = |name: &str, value: &str| Pair {
            name: name.to_owned(),
            value: value.to_owned(),
            place: None,
        };
        match way(&argv, &[own("U", "https://h/?k=1"), own("T", "s3cret")]) {
            Way::Bare => "bare".to_owned(),
            Way::Own => "own".to_owned(),
            Way::Guarded(guard) => {
                let text = |word: Option<Word>| word.map(|word| word.text).unwrap_or_default();
                let inner: Vec<String> = guard.inner.into_iter().map(|word| word.text).collect();
                let headers: String = guard
                    .headers
                    .iter()
                    .map(|pair| format!("|{}={}", pair.name, pair.value))
                    .collect();
                format!(
                    "{}|{}|{}{headers}",
                    text(guard.policy),
                    inner.join(" "),
                    text(guard.upstream)
                )
            }
        }
    }

    #[test]
    fn a_guarded_server_is_known_with_its_policy() {
        let cases = [
            ("callgate run -c p.yaml -- npx x", "p.yaml|npx x|"),
            ("callgate -c p.yaml -- npx x", "p.yaml|npx x|"),
            ("callgate run --config=p.yaml --server n -- x", "p.yaml|x|"),
            ("callgate run -cp.yaml -- x", "p.yaml|x|"),
            ("callgate run -c=p.yaml -- x", "p.yaml|x|"),
            (
                "callgate run -c p.yaml --upstream https://h/",
                "p.yaml||https://h/",
            ),
            (
                "callgate run -c p.yaml --upstream-env U --header-env 'X-A: T' --header-env=X-B:V",
                "p.yaml||https://h/?k=1|X-A=s3cret|X-B=${env:V}",
            ),
            (
                "callgate run -c p.yaml --upstream-env=V --header 'X-A: Bearer ${env:T}${env:V}${file:f}'",
                "p.yaml||${env:V}|X-A=Bearer s3cret${env:V}${file:f}",
            ),
            ("/usr/local/bin/callgate run -c p.yaml -- x", "p.yaml|x|"),
            ("callgate run -- x -c p.yaml", "|x -c p.yaml|"),
            ("callgate mcp", "own"),
            ("callgate scan -- x", "bare"),
            ("callgate", "bare"),
            ("npx callgate run -c p.yaml -- x", "bare"),
            ("callgate.cmd run -c p.yaml -- x", "bare"),
            ("./callgate run -c p.yaml -- x", "bare"),
            ("/tmp/callgate run -c p.yaml -- x", "bare"),
        ];
        for (line, wanted) in cases {
            assert_eq!(told(line), wanted, "{line}");
        }
    }

    #[test]
    fn a_policy_is_read_once_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.yaml"), "version: \"1\"\ndefault: deny\n").unwrap();
        let mut policies = Policies::default();
        let mut of = |name: &str| {
            let guard = Guard {
                policy: Some(Word::new(name)),
                inner: Vec::new(),
                upstream: None,
                headers: Vec::new(),
            };
            policy(&guard, folder.path(), &mut policies, &mut Vec::new()).unwrap()
        };
        assert!(Rc::ptr_eq(&of("p.yaml"), &of("./p.yaml")));
    }
}
