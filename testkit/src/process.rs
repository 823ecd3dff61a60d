//! Processes that a test starts, and that end with it.

use crate::PATIENCE;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A temporary folder of a test: policy, state and logs. Copies share the folder; it goes with the last.
#[derive(Debug, Clone)]
pub struct Room {
    dir: Arc<TempDir>,
}

impl Room {
    /// A new, empty folder, private to the user.
    ///
    /// # Panics
    /// When none can be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("callgate-")
            .tempdir()
            .expect("a temporary folder");
        Self { dir: Arc::new(dir) }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A place within it.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file in it, and says where.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at(name);
        std::fs::write(&path, text).expect("a file in the room");
        path
    }
}

/// A port of the loopback that is free at this moment.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Whether a process is there.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    pid_of(pid).is_some_and(|pid| test_kill_process(pid).is_ok()) && !is_zombie(pid)
}

/// Ends a process at once, as `kill -9` does; one that is gone is no error.
pub fn kill9(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Sends a signal; to a process that is gone it is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = pid_of(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Waits until a process is gone; false if it is still there.
#[must_use]
pub fn is_gone_within(pid: u32, timeout: Duration) -> bool {
    let end = Instant::now() + timeout;
    while is_alive(pid) {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// The lines that a process has written so far, gathered as they come.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    shared: Arc<(Mutex<Gathered>, Condvar)>,
}

#[derive(Debug, Default)]
struct Gathered {
    lines: Vec<String>,
    is_closed: bool,
}

impl Lines {
    /// Gathers what comes from a pipe, in a thread of its own.
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
                let text = String::from_utf8_lossy(&line);
                writer
                    .locked()
                    .lines
                    .push(text.trim_end_matches(['\n', '\r']).to_owned());
                writer.shared.1.notify_all();
                line.clear();
            }
            writer.locked().is_closed = true;
            writer.shared.1.notify_all();
        });
        lines
    }

    /// All lines so far.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.locked().lines.clone()
    }

    /// The number and the text of the first line, not before line `from`, that `wanted` takes; `None` when the
    /// time is over or no more lines can come.
    #[must_use]
    pub fn find(
        &self,
        from: usize,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<(usize, String)> {
        let end = Instant::now() + timeout;
        let mut seen = from;
        let mut gathered = self.locked();
        loop {
            for (number, line) in gathered.lines.iter().enumerate().skip(seen) {
                if wanted(line) {
                    return Some((number, line.clone()));
                }
            }
            seen = gathered.lines.len().max(from);
            let left = end.saturating_duration_since(Instant::now());
            if gathered.is_closed || left.is_zero() {
                return None;
            }
            gathered = self
                .shared
                .1
                .wait_timeout(gathered, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for the end of the pipe; false if it is still open.
    #[must_use]
    pub fn is_closed_within(&self, timeout: Duration) -> bool {
        let _ = self.find(usize::MAX, timeout, |_| false);
        self.locked().is_closed
    }

    fn locked(&self) -> MutexGuard<'_, Gathered> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process with its pipes. When it is dropped it is asked to end, then ended, and nothing it left stays.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
    logs: Vec<crate::ServerLog>,
    rooms: Vec<Room>,
}

impl Process {
    /// Starts a command.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = Lines::of(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Lines::of(child.stderr.take().expect("stderr is a pipe"));
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            stdout,
            stderr,
            logs: Vec::new(),
            rooms: Vec::new(),
        }
    }

    /// Names the log of a server that this process starts, so that one that was left behind is ended too.
    pub fn owns_servers_of(&mut self, log: crate::ServerLog) {
        self.logs.push(log);
    }

    /// Keeps a room while the process is there.
    pub fn lives_in(&mut self, room: &Room) {
        self.rooms.push(room.clone());
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stdout.
    #[must_use]
    pub const fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// What it has written to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.all().join("\n")
    }

    /// Waits for a line on stderr that has these words.
    ///
    /// # Panics
    /// When none comes.
    #[must_use]
    pub fn stderr_line(&self, words: &str) -> String {
        let found = self.stderr.find(0, PATIENCE, |line| line.contains(words));
        found
            .map(|(_, line)| line)
            .unwrap_or_else(|| panic!("no `{words}` on stderr:\n{}", self.stderr()))
    }

    /// Writes to its stdin; false once it does not read.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        use std::io::Write;
        let stdin = self.stdin.as_mut();
        stdin.is_some_and(|stdin| stdin.write_all(bytes).and_then(|()| stdin.flush()).is_ok())
    }

    /// Closes its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(self.pid(), signal);
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Its end, if it comes in time.
    ///
    /// # Panics
    /// When the process cannot be waited for.
    pub fn ended_within(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + timeout;
        loop {
            let status = self.child.try_wait().expect("a process of ours");
            if status.is_some() || Instant::now() >= end {
                return status;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ended(&mut self) -> ExitStatus {
        let status = self.ended_within(PATIENCE);
        status.unwrap_or_else(|| panic!("it does not end; stderr:\n{}", self.stderr()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- stderr of process {}\n{}\n---", self.pid(), self.stderr());
        }
        self.close_stdin();
        if self.ended_within(Duration::from_millis(300)).is_none() {
            self.signal(Signal::TERM);
            if self.ended_within(Duration::from_secs(5)).is_none() {
                self.kill9();
            }
        }
        let left: Vec<u32> = self.logs.iter().flat_map(left_behind).collect();
        left.into_iter().for_each(kill9);
    }
}

/// The servers and grandchildren that a log names and that still run. A pid may have gone to someone else: only
/// what still names one of our programs counts.
fn left_behind(log: &crate::ServerLog) -> Vec<u32> {
    let pids = log
        .notes_of("pid ")
        .into_iter()
        .chain(log.notes_of("grandchild "));
    let is_ours = |pid: &u32| {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.contains("testkit-") || command.starts_with("sleep\0")
    };
    pids.filter_map(|pid| pid.parse().ok()).filter(is_ours).collect()
}
