//! Checking every server that a client's configuration names.

use super::command::{self, Published, Word};
use super::entries::{self, Entry, Kind, Pair, expanded};
use super::finding::{Finding, Looked};
use super::gate::{self, Policies, Way};
use super::rules::{self, Verdict};
use super::{ask, known, list, secrets, url};
use crate::commands::catalog::read::text as read_text;
use crate::commands::scan::client::{Launch, StderrOf, Target};
use crate::commands::scan::comment::one_line;
use crate::commands::tree::Format;
use anyhow::{Context, bail};
use callgate_catalog::look;
use callgate_catalog_data::bundled;
use callgate_policy::Loaded;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Whether servers are started.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    None,
    /// Each, and so long may it take.
    Each(Duration),
}

/// Checks each server of a file. A policy that is given stands for that of servers without one of their own.
pub(super) fn check(path: &Path, policy: Option<&Loaded>, start: Start) -> anyhow::Result<Vec<Looked>> {
    let text = read_text(path)?;
    let name = path.display().to_string();
    let entries = match entries::read(Format::of(path), &text) {
        Ok(entries) => entries,
        Err(unread) => bail!("{name}:{unread}\nits servers cannot be checked"),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut policies = Policies::default();
    let mut looked = Vec::new();
    for (entry, other) in entries.iter().zip(with_the_same_look(&entries)) {
        let mut one = server(entry, folder, policy, &mut policies, start)?;
        if let Some(other) = other {
            one.findings.push(
                Finding::of(rules::LOOK_ALIKE_SERVER)
                    .quoting(other)
                    .at(entry.place),
            );
        }
        one.file = Some(name.clone());
        for found in &mut one.findings {
            found.place = found.place.or(entry.place);
        }
        looked.push(one);
    }
    Ok(looked)
}

/// Of each entry, the name of another that looks the same and is not.
fn with_the_same_look(entries: &[Entry]) -> Vec<Option<&str>> {
    let looks: Vec<String> = entries.iter().map(|entry| look(&entry.name)).collect();
    // Of the names of a look the first, and the first that is another: one of both is not the entry's own.
    let mut names: BTreeMap<&str, (&str, Option<&str>)> = BTreeMap::new();
    for (entry, look) in entries.iter().zip(&looks) {
        let (first, other) = names.entry(look).or_insert((&entry.name, None));
        if *first != entry.name {
            other.get_or_insert(&entry.name);
        }
    }
    let other = |(entry, look): (&Entry, &String)| match names.get(look.as_str())? {
        (first, other) if *first == entry.name => *other,
        (first, _) => Some(*first),
    };
    entries.iter().zip(&looks).map(other).collect()
}

/// All that can be said of an entry, in words of the file alone.
pub(super) fn at_rest(
    entry: &Entry,
    folder: &Path,
    policies: &mut Policies,
) -> (Looked, Option<Rc<Loaded>>, Way) {
    let mut one = Looked::named(&entry.name);
    one.place = entry.place;
    let mut own = None;
    let mut way = Way::Bare;
    match &entry.kind {
        Kind::Unknown => one
            .findings
            .push(Finding::of(rules::UNREADABLE_ENTRY).at(entry.place)),
        Kind::Url { url: word, headers } => {
            one.what = url::named(&word.text);
            one.findings.extend(url::check(&word.text, word.place));
            one.findings.extend(written_out(headers));
        }
        Kind::Command { argv, env, dir, .. } => {
            way = gate::of(&entry.kind);
            let inner = match &way {
                Way::Bare | Way::Own => argv,
                Way::Guarded(guard) => &guard.inner,
            };
            one.what = command::named(inner).map(|what| one_line(&what));
            // What stands before the server's own command is seen by all as well.
            one.findings.extend(command::check(argv));
            if let Way::Guarded(guard) = &way {
                let mut behind = command::check(inner);
                if let Some(upstream) = &guard.upstream {
                    one.what = url::named(&upstream.text);
                    behind.extend(url::plain(&upstream.text, upstream.place));
                }
                for found in behind {
                    if !one.findings.contains(&found) {
                        one.findings.push(found);
                    }
                }
                let folder = folder.join(dir.as_deref().unwrap_or_default());
                own = gate::policy(guard, &folder, policies, &mut one.findings);
            }
            one.findings.extend(written_out(env));
        }
    }
    if way == Way::Bare && entry.kind != Kind::Unknown {
        one.findings
            .push(Finding::of(rules::NOT_BEHIND_CALLGATE).at(entry.place));
    }
    (one, own, way)
}

fn server(
    entry: &Entry,
    folder: &Path,
    policy: Option<&Loaded>,
    policies: &mut Policies,
    start: Start,
) -> anyhow::Result<Looked> {
    let (mut one, own, way) = at_rest(entry, folder, policies);
    let policy = own.as_deref().or(policy);
    let packages = packages(entry, &way);
    for package in &packages {
        known::compare(&mut one, package)?;
    }
    let Start::Each(timeout) = start else {
        if let Some(package) = packages.first() {
            remember(&mut one, package, policy)?;
        }
        return Ok(one);
    };
    // What must not be connected is not started to learn more of it.
    if one.verdict() == Verdict::Stop || way == Way::Own {
        return Ok(one);
    }
    match target(entry, &way, folder, timeout) {
        Ok(target) => ask(&mut one, &target, policy)?,
        Err(error) => one
            .findings
            .push(Finding::of(rules::NO_ANSWER).quoting(&format!("{error:#}"))),
    }
    Ok(one)
}

/// The packages that a server's own command fetches, the server's first.
pub(super) fn packages(entry: &Entry, way: &Way) -> Vec<Published> {
    match (&entry.kind, way) {
        (Kind::Command { .. }, Way::Guarded(guard)) => command::published(&guard.inner),
        (Kind::Command { argv, .. }, Way::Bare) => command::published(argv),
        (Kind::Command { .. }, Way::Own) | (Kind::Url { .. } | Kind::Unknown, _) => Vec::new(),
    }
}

/// Looks at the tools that the catalogue has of a package.
fn remember(one: &mut Looked, package: &Published, policy: Option<&Loaded>) -> anyhow::Result<()> {
    let catalogue = bundled()?;
    match known::server(catalogue, package) {
        Some(server) => list(one, &known::list(catalogue, server)?, policy),
        None => Ok(()),
    }
}

/// Credentials among variables and headers.
fn written_out(pairs: &[Pair]) -> Vec<Finding> {
    pairs
        .iter()
        .filter(|pair| {
            secrets::is_secret_name(&pair.name) && secrets::is_written_out(&pair.value)
                || secrets::token_in(&pair.value).is_some()
                || secrets::in_url(&pair.value).is_some()
        })
        .map(|pair| {
            Finding::of(rules::CREDENTIALS_IN_FILE)
                .quoting(&format!("the value of `{}`", pair.name))
                .at(pair.place)
        })
        .collect()
}

/// The server itself, without a Callgate before it: the policy is applied to what is found.
fn target(entry: &Entry, way: &Way, folder: &Path, timeout: Duration) -> anyhow::Result<Target> {
    let reached = |word: &Word, headers: &[Pair]| -> anyhow::Result<Target> {
        let url = ::url::Url::parse(&expanded(&word.text)?).context("its URL cannot be read")?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!("its URL is neither http nor https");
        }
        let mut map = HeaderMap::new();
        for header in headers {
            let name: HeaderName = header.name.parse().context("a header's name cannot be read")?;
            let Ok(mut value) = HeaderValue::try_from(expanded(&header.value)?) else {
                bail!("the value of `{name}` has characters that no header may have");
            };
            value.set_sensitive(true);
            map.append(name, value);
        }
        Ok(Target::to_reach(url, map, timeout).within_server_timeout())
    };
    match (&entry.kind, way) {
        (Kind::Url { url, headers }, _) => reached(url, headers),
        (
            Kind::Command { .. },
            Way::Guarded(gate::Guard {
                upstream: Some(url),
                headers,
                ..
            }),
        ) => reached(url, headers),
        (Kind::Command { argv, env, dir, .. }, way) => {
            let argv = match way {
                Way::Guarded(guard) => &guard.inner,
                Way::Bare | Way::Own => argv,
            };
            let words = argv.iter().map(|word| Ok(expanded(&word.text)?.into()));
            let env = env
                .iter()
                .map(|pair| Ok((pair.name.clone(), expanded(&pair.value)?)));
            let launch = Launch {
                words: words.collect::<anyhow::Result<_>>()?,
                env: env.collect::<anyhow::Result<_>>()?,
                folder: Some(
                    dir.as_ref()
                        .map_or_else(|| folder.to_owned(), |dir| folder.join(dir)),
                )
                .filter(|folder| folder != Path::new("")),
                // It may hold a secret of its configuration, or move the cursor.
                stderr: StderrOf::Dropped,
            };
            Ok(Target::to_start(launch, timeout).within_server_timeout())
        }
        (Kind::Unknown, _) => bail!("it names neither a command nor a URL"),
    }
}
