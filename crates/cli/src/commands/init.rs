//! `callgate init`: finds the servers that the clients of this machine start, writes a policy for each, and puts
//! Callgate in front of it; `--undo` takes it away.

mod ask;
mod clients;
mod entry;
mod expand;
mod files;
mod found;
mod known;
mod probe;
mod record;
mod report;
mod secrets;
mod undo;
mod write;

use crate::args::StateArgs;
use crate::run::state_dir;
use crate::words::{FOUND_WRONG, say, warn};
use anyhow::{Context, bail};
use ask::Consent;
use clap::Args;
use clients::{Client, Homes, Place, Scope, System};
use found::{Found, Job, Status};
use record::Archive;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const EXAMPLES: &str = "\
Examples:
  See what would be done:
    callgate init --dry-run

  Do it: each server is asked for its tools, gets a policy, and is put behind Callgate:
    callgate init

  Take it back, each file as it was:
    callgate init --undo

The clients read their configuration when they start: start them anew afterwards.";

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Show what would be changed; start and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Start the servers of your own configurations, and change these, without asking
    #[arg(short, long)]
    yes: bool,

    /// With --yes: start the servers of the project's files too, which others may have written
    #[arg(long, requires = "yes")]
    trust_project: bool,

    /// Take away what was put in front of servers
    #[arg(long, conflicts_with_all = ["yes", "timeout"])]
    undo: bool,

    /// Only the configurations of this client
    #[arg(long, value_enum, value_name = "NAME", num_args = 1.., help_heading = "What is looked at")]
    client: Vec<Client>,

    /// Only this configuration
    #[arg(long, value_name = "FILE", help_heading = "What is looked at")]
    config: Vec<PathBuf>,

    /// Only the servers of this name
    #[arg(long, value_name = "NAME", help_heading = "What is looked at")]
    server: Vec<String>,

    /// How many seconds a server may take to start and answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,

    /// Print what was found and done as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateArgs,
}

/// What of the machine is looked at.
struct Machine {
    home: Option<PathBuf>,
    /// Where the policies are.
    policies: PathBuf,
    archive: Archive,
    places: Vec<Place>,
    /// Callgate's own program, as configurations name it.
    program: String,
}

/// Looks, asks, scans, and writes; or takes it back.
pub(crate) fn run(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let machine = Machine::of(args)?;
    // Held to the end.
    let _lock = match args.dry_run {
        true => None,
        false => Some(files::Lock::take(machine.archive.folder())?),
    };
    if args.undo {
        return undo::run(args, &machine);
    }
    let mut record = machine.archive.read()?;
    let own = |program: &str| machine.is_own(program);
    let names: BTreeSet<&str> = args.server.iter().map(String::as_str).collect();
    let wanted = |name: &str| names.is_empty() || names.contains(name);
    let found: Vec<Found> = machine
        .places
        .iter()
        .filter_map(|place| Found::read(place, &own, &wanted))
        .collect();
    let mut jobs = found::jobs(&found, &mut record, &machine.policies);
    let consent = Consent::of(args);
    if !args.json {
        report::overview(&found, &jobs);
    }
    let timeout = Duration::from_secs(args.timeout);
    if args.dry_run {
        probe::check(&machine, &found, &mut jobs, timeout);
        let changes = write::rehearse(&machine, &found, &mut jobs);
        return report::end(args, &found, &jobs, &changes);
    }
    if consent == Consent::Nobody && jobs.iter().any(Job::is_open) {
        warn(
            "nothing was started and nothing was changed: there is no terminal to ask on; run it with --yes",
        );
        for job in &mut jobs {
            job.settle(Status::Unasked);
        }
    }
    ask::all(&mut jobs, &found, consent)?;
    probe::all(&machine, &found, &mut jobs, timeout)?;
    if !args.json {
        report::tools(&jobs)?;
    }
    ask::to_write(&mut jobs, consent)?;
    let changes = write::all(&machine, &found, &mut jobs, &mut record)?;
    report::end(args, &found, &jobs, &changes)
}

impl Machine {
    fn of(args: &InitArgs) -> anyhow::Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        let folder = |name| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = folder("HOME");
        let config = folder("XDG_CONFIG_HOME");
        let policies = config
            .clone()
            .or_else(|| Some(home.as_ref()?.join(".config")))
            .context("no HOME is set, so there is no place for policies; set HOME or XDG_CONFIG_HOME")?
            .join("callgate/policies");
        let here = std::env::current_dir().context("the working folder is gone")?;
        let mut known = Vec::new();
        match &home {
            Some(home) => known.extend(clients::of_person(
                &Homes {
                    home: home.clone(),
                    config,
                    claude: folder("CLAUDE_CONFIG_DIR"),
                    codex: folder("CODEX_HOME"),
                },
                System::here(),
            )),
            None => warn("no HOME is set; only the project's files are looked at"),
        }
        let project = clients::project_of(&here);
        // At home, the files of a person are also those of the folder.
        let of_project = clients::of_project(&project);
        let of_project = of_project
            .into_iter()
            .filter(|place| !known.iter().any(|other| other.path == place.path));
        let of_project: Vec<Place> = of_project.collect();
        known.extend(of_project);
        let mut places: Vec<Place> = match args.config.as_slice() {
            [] => known,
            named => named
                .iter()
                .map(|path| clients::named(&here.join(path), &known))
                .collect(),
        };
        // Links may lead from two places to one file.
        let mut seen = BTreeSet::new();
        places.retain(|place| seen.insert(place.path.canonicalize().unwrap_or_else(|_| place.path.clone())));
        if !args.client.is_empty() {
            places.retain(|place| args.client.contains(&place.client));
        }
        let managed = clients::managed(System::here());
        if args.config.is_empty() && managed.exists() {
            say(&format!(
                "callgate: {} is your organization's, and is left alone",
                managed.display()
            ));
        }
        if let Some(missing) = args.config.iter().find(|path| path.symlink_metadata().is_err()) {
            bail!("there is no {}", missing.display());
        }
        Ok(Self {
            home,
            policies,
            archive: Archive::of(&state_dir(args.state.state_dir.as_deref())?),
            places,
            program: own_program()?,
        })
    }

    /// Whether a command of a configuration is this program.
    fn is_own(&self, program: &str) -> bool {
        if program == self.program {
            return true;
        }
        let path = if program == "callgate" {
            on_path(program)
        } else {
            Some(PathBuf::from(program)).filter(|path| path.is_absolute())
        };
        let same = |path: &Path| path.canonicalize().ok();
        path.is_some_and(|path| {
            path.file_name().is_some_and(|name| name == "callgate")
                && same(&path).is_some()
                && same(&path) == same(Path::new(&self.program))
        })
    }
}

/// This program by its path: as `PATH` leads to it, so that the path stays when another version takes its place.
fn own_program() -> anyhow::Result<String> {
    let exe = std::env::current_exe().context("this program does not know where it is")?;
    let is_this = |path: &PathBuf| path.canonicalize().ok() == exe.canonicalize().ok();
    let path = on_path("callgate").filter(is_this).unwrap_or(exe);
    path.into_os_string()
        .into_string()
        .map_err(|_| anyhow::anyhow!("the path of this program is no text"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The exit code: whether all that can be behind Callgate is.
fn code(is_whole: bool) -> ExitCode {
    if is_whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND_WRONG)
    }
}
