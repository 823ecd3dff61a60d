//! Asking servers for their tools, several at once, and writing a policy for each.

use super::Machine;
use super::entry::{LOGIN, Server};
use super::expand::Scene;
use super::files;
use super::found::{Found, Job, Status};
use super::secrets::{Secrets, shown, shown_command};
use crate::commands::scan::client::{Launch, Listing, StderrOf, Target, connect_and_list};
use crate::commands::scan::{recommended, tools};
use crate::run::headers;
use crate::words::say;
use anyhow::{Context, bail};
use callgate_catalog::recommend::Answers;
use http::HeaderMap;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// So many servers are started at once: each may be a download, and a process of some size.
const AT_ONCE_MAX: usize = 4;

/// How long what is left of servers may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Settles which servers could not be scanned. Nothing is started.
pub(super) fn check(machine: &Machine, found: &[Found], jobs: &mut [Job], timeout: Duration) {
    for job in jobs.iter_mut().filter(|job| job.status == Status::Unscanned) {
        if let Err(reason) = target(machine, found, job, timeout) {
            job.status = Status::Failed(reason);
        }
    }
}

/// Scans the servers that may be started.
pub(super) fn all(
    machine: &Machine,
    found: &[Found],
    jobs: &mut [Job],
    timeout: Duration,
) -> anyhow::Result<()> {
    let mut targets = Vec::new();
    for (index, job) in jobs.iter_mut().enumerate() {
        if job.status != Status::Agreed {
            continue;
        }
        match target(machine, found, job, timeout) {
            Ok((target, secrets)) => targets.push(Aim {
                job: index,
                name: job.name.clone(),
                target,
                secrets,
            }),
            Err(reason) => job.status = Status::Failed(reason),
        }
    }
    if targets.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listed = runtime.block_on(list(targets, timeout));
    runtime.shutdown_timeout(CLOSE_TIMEOUT);
    for (index, secrets, listed) in listed {
        let Some(job) = jobs.get_mut(index) else { continue };
        let settled = listed.and_then(|listing| {
            let listing = Listing {
                name: listing.name.map(|name| secrets.scrub(&name)),
                version: listing.version.map(|version| secrets.scrub(&version)),
                text: secrets.scrub_tools(&listing.text),
                ..listing
            };
            settle(job, &listing)
        });
        job.status = match settled {
            Ok(()) => Status::Ready,
            Err(error) => Status::Failed(explained(&secrets.scrub(&format!("{error:#}")))),
        };
    }
    Ok(())
}

/// An error, where a login is missing said as that.
fn explained(error: &str) -> String {
    let is_login = ["401", "Auth required", "Unauthorized", "insufficient scope"]
        .iter()
        .any(|sign| error.contains(sign));
    if is_login {
        format!("it wants a login: {LOGIN}")
    } else {
        error.to_owned()
    }
}

/// Writes the policy of a server that has listed its tools.
fn settle(job: &mut Job, listing: &Listing) -> anyhow::Result<()> {
    let described = tools::read(&listing.text).context("its list of tools")?;
    let made = recommended(listing, &described, &Answers::default())?;
    // Where another one has been written meanwhile, that one stays.
    if files::write_new(&job.policy, &made.policy)? {
        files::write_new(&job.policy.with_extension("test.yaml"), &made.tests)?;
    }
    job.open_lists = made.open_holes().count();
    job.tools = described;
    Ok(())
}

/// A server to scan, and what must not be told of it.
struct Aim {
    job: usize,
    name: String,
    target: Target,
    secrets: Secrets,
}

async fn list(targets: Vec<Aim>, timeout: Duration) -> Vec<(usize, Secrets, anyhow::Result<Listing>)> {
    let progress = Progress::of(targets.len());
    let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut running = JoinSet::new();
    for aim in targets {
        let (turns, progress) = (Arc::clone(&turns), progress.clone());
        running.spawn(async move {
            let _turn = turns.acquire_owned().await;
            progress.begun(&aim.name);
            // What it may take to start, in both eras, and to list and end.
            let longest = timeout.saturating_mul(2).saturating_add(Duration::from_secs(60));
            let listed = tokio::time::timeout(longest, connect_and_list(&aim.target)).await;
            let listed = listed.unwrap_or_else(|_| bail!("it did not answer"));
            progress.ended(&aim.name);
            (aim.job, aim.secrets, listed)
        });
    }
    let listed = running.join_all().await;
    progress.close();
    listed
}

/// How far the scan has come: a bar on a terminal, lines elsewhere.
#[derive(Clone)]
struct Progress(Option<ProgressBar>);

impl Progress {
    fn of(count: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr());
        // A template that is not understood leaves the usual bar.
        if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {pos}/{len} {elapsed} {wide_msg}") {
            bar.set_style(style.progress_chars("##-"));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    fn begun(&self, name: &str) {
        match &self.0 {
            Some(bar) => bar.set_message(shown(name)),
            None => say(&format!("callgate: asking {} for its tools …", shown(name))),
        }
    }

    fn ended(&self, name: &str) {
        match &self.0 {
            Some(bar) => bar.inc(1),
            None => say(&format!("callgate: {} is done", shown(name))),
        }
    }

    fn close(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// What is started or reached for a server, with the values of variables, and which of them are secrets.
fn target(
    machine: &Machine,
    found: &[Found],
    job: &Job,
    timeout: Duration,
) -> Result<(Target, Secrets), String> {
    let (file, item) = job.first(found).ok_or("its configuration is gone")?;
    let project = file.project(item);
    let variables = |name: &str| std::env::var(name).ok();
    let scene = Scene {
        client: file.place.client,
        project: project.as_deref(),
        home: machine.home.as_deref(),
        variables: &variables,
    };
    let by_hand = |reason: String| {
        format!(
            "{reason}; write its policy by hand, or with `callgate scan`, to {}, and run this again",
            job.policy.display()
        )
    };
    match &job.server {
        Server::Command(command) => {
            let folder = folder(machine, &scene, command.cwd.as_deref()).map_err(by_hand)?;
            let words = command
                .words()
                .iter()
                .map(|word| scene.expand(word))
                .collect::<Result<Vec<_>, _>>()
                .map_err(by_hand)?;
            let env = command
                .env
                .iter()
                .map(|(name, value)| Ok((name.clone(), scene.expand(value)?)))
                .collect::<Result<Vec<_>, _>>()
                .map_err(by_hand)?;
            if env
                .iter()
                .any(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
                || words.iter().any(|word| word.contains('\0'))
            {
                return Err("a variable or an argument of it cannot be given to a program".to_owned());
            }
            let secrets = Secrets::of(env.iter().map(|(_, value)| value.clone()), &words);
            let launch = Launch {
                words: in_folder(words, folder.as_deref()),
                env,
                folder,
                stderr: StderrOf::Dropped,
            };
            Ok((Target::to_start(launch, timeout), secrets))
        }
        Server::Remote(remote) => {
            let url = scene.expand(&remote.url).map_err(by_hand)?;
            // The error would not hold it, but what was expanded is best not spoken of at all.
            let url = url::Url::parse(&url).map_err(|_| "its URL is none".to_owned())?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err("its URL is neither http nor https".to_owned());
            }
            let mut map = HeaderMap::new();
            let mut values = Vec::new();
            for header in &remote.headers {
                let value = header.value(&scene).map_err(by_hand)?;
                headers::append(&mut map, &header.name, value.trim())
                    .map_err(|error| format!("{error:#}"))?;
                values.push(value);
            }
            let secrets = Secrets::of(values, &[url.as_str().to_owned()]);
            Ok((Target::to_reach(url, map, timeout), secrets))
        }
    }
}

/// The folder that a server is started in.
fn folder(machine: &Machine, scene: &Scene<'_>, named: Option<&str>) -> Result<Option<PathBuf>, String> {
    let base = scene.project.or(machine.home.as_deref());
    let base = base.filter(|folder| folder.is_dir()).map(Path::to_owned);
    let Some(named) = named else {
        return Ok(base);
    };
    let expanded = PathBuf::from(scene.expand(named)?);
    let folder = match base {
        Some(base) => base.join(expanded),
        None => expanded,
    };
    if folder.is_dir() {
        Ok(Some(folder))
    } else {
        // As it is written: the value of a variable may be a secret.
        let named = shown_command(&[named.to_owned()]);
        Err(format!("its folder {named} is not there"))
    }
}

/// A command whose program is named by a relative path is found in the folder that it starts in.
fn in_folder(words: Vec<String>, folder: Option<&Path>) -> Vec<std::ffi::OsString> {
    let mut words: Vec<std::ffi::OsString> = words.into_iter().map(Into::into).collect();
    if let (Some(program), Some(folder)) = (words.first_mut(), folder)
        && program.to_string_lossy().contains('/')
    {
        *program = folder.join(&*program).into_os_string();
    }
    words
}
