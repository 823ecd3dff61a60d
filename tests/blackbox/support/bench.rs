//! A folder with a policy, a state folder and server logs, and the ways to start a gate there.

use super::{Gate, ServerLog};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// All tools may be called.
pub(crate) const OPEN: &str = "version: \"1\"\ndefault: allow\ntools: {}\n";

/// The folder of one test.
#[derive(Debug)]
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A folder with this policy.
    pub(crate) fn new(policy: &str) -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        bench.put_policy(policy);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.path("policy.yaml")
    }

    /// Writes the policy in place.
    pub(crate) fn put_policy(&self, text: &str) {
        std::fs::write(self.policy(), text).unwrap();
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The log of a server of this name.
    pub(crate) fn log(&self, name: &str) -> ServerLog {
        ServerLog::at(self.path(&format!("{name}.log")))
    }

    /// A run of this bench's policy in front of a command.
    pub(crate) fn run<I, S>(&self, server: I) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let server = server.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self.begin(server, Vec::new())
    }

    /// A run in front of `testkit-echo`, whose log is `echo`.
    pub(crate) fn echo(&self, args: &[&str]) -> Run {
        self.echo_as("echo", args)
    }

    /// A run in front of `testkit-echo` with a log of this name.
    pub(crate) fn echo_as(&self, log: &str, args: &[&str]) -> Run {
        self.run(self.bundled("testkit-echo", log, args))
    }

    /// A run in front of a URL.
    pub(crate) fn upstream(&self, url: &str) -> Run {
        self.begin(Vec::new(), vec!["--upstream".into(), url.into()])
    }

    /// The command line of a bundled server with a log of this name.
    pub(crate) fn bundled(&self, name: &str, log: &str, args: &[&str]) -> Vec<OsString> {
        let mut words = vec![binary(name).into_os_string()];
        words.extend(["--log".into(), self.log(log).path().as_os_str().to_owned()]);
        words.extend(args.iter().map(OsString::from));
        words
    }

    fn begin(&self, server: Vec<OsString>, options: Vec<OsString>) -> Run {
        let mut args: Vec<OsString> = vec!["run".into(), "-c".into(), self.policy().into()];
        args.extend(["--state-dir".into(), self.state().into()]);
        args.extend(options);
        Run {
            args,
            server,
            env: Vec::new(),
            dir: self.dir.path().to_owned(),
        }
    }
}

/// A command line of `callgate`, not yet started.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    args: Vec<OsString>,
    server: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: PathBuf,
}

impl Run {
    /// More options.
    pub(crate) fn with<S: AsRef<OsStr>>(mut self, options: &[S]) -> Self {
        self.args
            .extend(options.iter().map(|option| option.as_ref().to_owned()));
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Starts it with a client on stdio.
    pub(crate) fn start(&self) -> Gate {
        Gate::start(self.command())
    }

    /// Starts it as an HTTP server and waits until it listens.
    pub(crate) fn serve(&self) -> Gate {
        let run = self.clone().with(&["--transport", "http", "--port", "0"]);
        let mut gate = Gate::start(run.command());
        gate.await_address();
        gate
    }

    /// Runs it to its end without any input.
    pub(crate) fn finish(&self) -> Finished {
        let output = self.command().stdin(Stdio::null()).output().unwrap();
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The words of the command line, the program first.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words = vec![callgate().into()];
        words.extend(self.args.iter().cloned());
        if !self.server.is_empty() {
            words.push("--".into());
            words.extend(self.server.iter().cloned());
        }
        words
    }

    fn command(&self) -> Command {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .envs(self.env.iter().cloned())
            .current_dir(&self.dir);
        // The machine's own settings are no part of a test.
        for name in ["CALLGATE_STATE_DIR", "XDG_STATE_HOME", "NO_COLOR", "NODE_OPTIONS"] {
            if self.env.iter().all(|(own, _)| own != name) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// How a run ended that needed no client.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program under test.
pub(crate) fn callgate() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_callgate"))
}

/// The workspace's own folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A bundled server, built when the first test asks for one.
pub(crate) fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let folder = callgate().parent().unwrap().to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build
            .args(["build", "--quiet", "--package", "callgate-testkit", "--bins"])
            .current_dir(root());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        build.env("CARGO_TARGET_DIR", folder.parent().unwrap());
        let built = build.output().expect("cargo can be run");
        assert!(
            built.status.success(),
            "the bundled servers cannot be built: {}",
            String::from_utf8_lossy(&built.stderr)
        );
        folder
    });
    folder.join(name)
}
