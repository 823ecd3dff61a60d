//! Processes of the bench and of conformance: started, watched, ended.

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// What one tick of the kernel's accounting is: `USER_HZ` is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Lines that a process writes.
pub(crate) type Heard = std::sync::mpsc::Receiver<String>;

/// A process that ends with the value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child })
    }

    /// Starts a server and waits until it tells its URL, on stdout or on stderr.
    pub(crate) fn announced(command: &mut Command) -> anyhow::Result<(Self, String)> {
        let (running, url, _) = Self::heard(command)?;
        Ok((running, url))
    }

    /// The same, with the lines that it writes after that.
    pub(crate) fn heard(command: &mut Command) -> anyhow::Result<(Self, String, Heard)> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = Self::start(command)?;
        let stdout = running.child.stdout.take().context("stdout is a pipe")?;
        let stderr = running.child.stderr.take().context("stderr is a pipe")?;
        let (sender, told) = std::sync::mpsc::channel();
        forward(stdout, sender.clone());
        forward(stderr, sender);
        let mut said = Vec::new();
        while let Ok(line) = told.recv_timeout(Duration::from_secs(10)) {
            if let Some(url) = line
                .split_whitespace()
                .find(|word| word.starts_with("http://127.0.0.1"))
            {
                let url = url.to_owned();
                return Ok((running, url, told));
            }
            said.push(line);
        }
        anyhow::bail!("{command:?} tells no URL:\n{}", said.join("\n"))
    }

    /// Starts a server on pipes.
    pub(crate) fn piped(command: &mut Command) -> anyhow::Result<(Self, ChildStdin, ChildStdout)> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut running = Self::start(command)?;
        let stdin = running.child.stdin.take().context("stdin is a pipe")?;
        let stdout = running.child.stdout.take().context("stdout is a pipe")?;
        Ok((running, stdin, stdout))
    }

    /// Its id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What is watched of it alone, its children left out.
    pub(crate) fn watched(&self) -> Watched {
        Watched {
            pids: vec![self.pid()],
        }
    }

    /// It and the children it has now.
    pub(crate) fn watched_with_children(&self) -> Watched {
        let pid = self.pid();
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        Watched {
            pids: std::iter::once(pid).chain(children).collect(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        for _ in 0..500 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands over each line of a pipe; once nobody wants them they are still read, so that the writer never waits.
fn forward(pipe: impl Read + Send + 'static, sender: std::sync::mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
}

/// Processes whose time and memory count for a subject.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    pids: Vec<u32>,
}

impl Watched {
    /// The processor time they have used so far.
    pub(crate) fn cpu(&self) -> Duration {
        let ticks: u32 = self.pids.iter().filter_map(|pid| ticks(*pid)).sum();
        TICK * ticks
    }

    /// Their resident memory, in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        self.pids.iter().filter_map(|pid| rss_kib(*pid)).sum()
    }
}

/// User and system time, fields 14 and 15 of proc(5)'s `stat`.
fn ticks(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces; it ends at the last parenthesis, after field 2.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn rss_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
