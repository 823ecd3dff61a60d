//! `cargo xtask conformance`: the official conformance suite against the reference server alone, and through
//! Callgate. The suite's own verdict on a proxy says little: a server may leave much out and pass. So each check
//! through Callgate has to come out as it does of the server alone; and where server and client are of different
//! eras, as it does of a server of the client's, but for the differences that are listed. Before the suite's
//! authorization servers, Callgate is the client.

mod across;
mod authorization;
mod suite;
mod verdicts;

use crate::process::Running;
use crate::shell;
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use suite::{Scope, Suite};
use verdicts::{Outcome, Verdicts};

/// A revision of the protocol, and whether the suite has a frozen set of requirements for it.
const REVISIONS: [(&str, bool); 4] = [
    ("2025-03-26", false),
    ("2025-06-18", false),
    ("2025-11-25", true),
    ("2026-07-28", true),
];
/// Each scenario opens a session of its own, and takes milliseconds.
const SESSIONS_PER_MINUTE: &str = "100000";
/// What the server is called behind `serve`.
const SERVER: &str = "reference";

#[derive(Debug, Default)]
struct Plan {
    is_quick: bool,
    only: Option<String>,
}

/// Runs the suite as the flags say.
pub(crate) fn run(flags: &[&str]) -> anyhow::Result<ExitCode> {
    let findings = findings(&plan(flags)?)?;
    for finding in &findings {
        shell::say(finding);
    }
    if findings.is_empty() {
        shell::say(
            "every check comes out through Callgate as it does of the server alone; between the eras, and as a client, as it is listed",
        );
        return Ok(ExitCode::SUCCESS);
    }
    shell::say(&format!("{} findings", findings.len()));
    Ok(ExitCode::FAILURE)
}

/// Runs all of it; what it finds is the error.
pub(crate) fn check() -> anyhow::Result<()> {
    let findings = findings(&Plan::default())?;
    if !findings.is_empty() {
        bail!("{}", findings.join("\n"));
    }
    Ok(())
}

/// Runs the suite, prints what it came to, and gives what is not as it has to be.
fn findings(plan: &Plan) -> anyhow::Result<Vec<String>> {
    let suite = Suite::installed()?;
    // As the tests build it: with other features, much would be built twice.
    shell::run(&["cargo", "build", "--quiet", "--workspace", "--bins"])?;
    let room = tempfile::tempdir()?;
    let stand = Stand::start(room.path(), plan.is_quick)?;
    let mut report = Report::default();
    let mut alone = Vec::new();
    for (revision, is_frozen) in REVISIONS {
        let scope = match &plan.only {
            Some(scenario) => Scope::One(scenario),
            None if is_frozen => Scope::Required,
            None => Scope::All,
        };
        if plan.is_quick && !is_frozen {
            continue;
        }
        let direct = suite.run(&stand.direct, revision, scope, &room.path().join("direct"))?;
        if plan.only.is_some() && direct.verdicts.is_empty() {
            continue;
        }
        report.alone(revision, &direct);
        for (name, url) in &stand.through {
            let through = suite.run(url, revision, scope, &room.path().join(name))?;
            report.compare(revision, name, &direct.verdicts, &through.verdicts);
        }
        alone.push((revision, direct));
    }
    for crossing in &across::CROSSINGS {
        let Some((_, direct)) = alone.iter().find(|(revision, _)| *revision == crossing.revision) else {
            continue;
        };
        let scope = plan.only.as_deref().map_or(Scope::Required, Scope::One);
        let folder = room.path().join("across").join(crossing.revision);
        let stand = Stand::across(&folder, plan.is_quick, crossing.server)?;
        for (name, url) in &stand.through {
            let through = suite.run(url, crossing.revision, scope, &folder.join(name))?;
            let findings = crossing.findings(name, &direct.verdicts, &through.verdicts, plan.only.as_deref());
            report.cross(crossing, name, &through.verdicts, findings);
        }
    }
    if plan.only.as_deref().is_none_or(authorization::is_one) {
        let client = programs()?.join("testkit-operator");
        let tried = authorization::run(&suite, &client, &room.path().join("client"), plan.is_quick)?;
        report.authorize(&tried, plan.only.as_deref());
    }
    report.close(plan.only.as_deref())
}

fn plan(flags: &[&str]) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    let mut words = flags.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => plan.is_quick = true,
            "--only" => {
                plan.only = Some((*words.next().context("--only needs the name of a scenario")?).to_owned())
            }
            other => bail!("`{other}` is no flag of conformance"),
        }
    }
    Ok(plan)
}

/// The servers that the suite is run against.
struct Stand {
    direct: String,
    /// The ways through Callgate, by the name of the command.
    through: Vec<(&'static str, String)>,
    _running: Vec<Running>,
}

impl Stand {
    fn start(room: &Path, is_quick: bool) -> anyhow::Result<Self> {
        Self::before(room, is_quick, &[])
    }

    /// With a server of one era alone.
    fn across(room: &Path, is_quick: bool, era: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(room)?;
        Self::before(room, is_quick, &["--era", era])
    }

    fn before(room: &Path, is_quick: bool, arguments: &[&str]) -> anyhow::Result<Self> {
        let programs = programs()?;
        let mut reference = Command::new(programs.join("testkit-reference"));
        let (reference, direct) = Running::announced(reference.args(arguments))?;
        let policy = room.join("policy.yaml");
        std::fs::write(&policy, "version: \"1\"\ndefault: allow\ntools: {}\n")?;
        let mut through = Vec::new();
        let mut running = vec![reference];
        if !is_quick {
            let mut run = Command::new(programs.join("callgate"));
            run.args([
                "run",
                "--transport",
                "http",
                "--port",
                "0",
                "--upstream",
                &direct,
                "-c",
            ])
            .arg(&policy);
            let (gate, url) = started(&mut run, &room.join("run-state"))?;
            running.push(gate);
            through.push(("run", url));
        }
        let config = room.join("callgate.yaml");
        let text = format!(
            "version: 1\nlisten: 127.0.0.1:0\nservers: {{{SERVER}: {{url: \"{direct}\"}}}}\npolicies: {{open: policy.yaml}}\nlocal: {{{SERVER}: open}}\n"
        );
        std::fs::write(&config, text)?;
        let mut serve = Command::new(programs.join("callgate"));
        serve.arg("serve").arg("-c").arg(&config);
        let (gate, url) = started(&mut serve, &room.join("serve-state"))?;
        running.push(gate);
        through.push(("serve", url.replace("SERVER", SERVER)));
        Ok(Self {
            direct,
            through,
            _running: running,
        })
    }
}

/// Starts a gate with a state folder of its own.
fn started(command: &mut Command, state: &Path) -> anyhow::Result<(Running, String)> {
    command
        .args([
            "--sessions-per-minute",
            SESSIONS_PER_MINUTE,
            "--log-level",
            "warn",
            "--state-dir",
        ])
        .arg(state)
        // A policy below the working folder is worth a warning.
        .current_dir("/");
    Running::announced(command)
}

/// The folder of the programs that were built.
fn programs() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    Ok(exe
        .parent()
        .context("xtask runs out of a target folder")?
        .to_owned())
}

/// What has come out so far.
#[derive(Debug, Default)]
struct Report {
    table: String,
    findings: Vec<String>,
    runs: usize,
}

impl Report {
    /// A run against the server alone, which has to be clean.
    fn alone(&mut self, revision: &str, outcome: &Outcome) {
        self.row(revision, "alone", &outcome.verdicts, "");
        for (check, verdict) in outcome.verdicts.failed() {
            self.findings
                .push(format!("{revision} alone: {check}: {verdict}"));
        }
        if !outcome.is_success && outcome.verdicts.failed().next().is_none() {
            self.findings.push(format!(
                "{revision} alone: the suite failed without a failed check"
            ));
        }
    }

    /// A run through Callgate, which has to come out alike.
    fn compare(&mut self, revision: &str, way: &str, direct: &Verdicts, through: &Verdicts) {
        let differing = direct.differing(through);
        self.row(revision, way, through, &differing.len().to_string());
        for difference in differing {
            self.findings.push(format!("{revision} {way}: {difference}"));
        }
    }

    /// A run before a server of the other era.
    fn cross(
        &mut self,
        crossing: &across::Crossing,
        way: &str,
        through: &Verdicts,
        (differing, findings): (usize, Vec<String>),
    ) {
        let name = format!("{way}*");
        self.row(crossing.revision, &name, through, &differing.to_string());
        for finding in findings {
            let (revision, server) = (crossing.revision, crossing.server);
            self.findings
                .push(format!("{revision} {way}, a {server} server: {finding}"));
        }
    }

    /// Runs with Callgate as a client that wants tokens.
    fn authorize(&mut self, tried: &[authorization::Tried], only: Option<&str>) {
        for one in tried.iter().filter(|one| only.is_none_or(|only| one.has(only))) {
            let (listed, _) = authorization::findings(std::slice::from_ref(one), only);
            let revision = one.trial.revision.unwrap_or("extensions");
            self.row(revision, "client", &one.verdicts, &listed.to_string());
        }
        let (_, findings) = authorization::findings(tried, only);
        let findings = findings
            .into_iter()
            .map(|finding| format!("as a client, {finding}"));
        self.findings.extend(findings);
    }

    fn row(&mut self, revision: &str, way: &str, verdicts: &Verdicts, differing: &str) {
        self.runs += 1;
        let (passed, failed) = (verdicts.count("SUCCESS"), verdicts.count("FAILURE"));
        let other = verdicts.len().saturating_sub(passed).saturating_sub(failed);
        let _ = writeln!(
            self.table,
            "{revision:<12} {way:<6} {passed:>7} {failed:>7} {other:>7} {differing:>10}"
        );
    }

    fn close(self, only: Option<&str>) -> anyhow::Result<Vec<String>> {
        if let (0, Some(scenario)) = (self.runs, only) {
            bail!("the suite has no scenario `{scenario}` for these revisions");
        }
        let header = format!(
            "{:<12} {:<6} {:>7} {:>7} {:>7} {:>10}",
            "revision", "server", "passed", "failed", "other", "differing"
        );
        shell::say(&format!(
            "{header}\n{}* before a server of the other era; the differences are listed in docs/protocol.md\nclient: Callgate before authorization servers; what it does not do is listed in docs/oauth.md\n",
            self.table
        ));
        Ok(self.findings)
    }
}
