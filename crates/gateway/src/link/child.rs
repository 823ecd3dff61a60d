//! A server as a child process: lines on its stdin and stdout, its stderr passed on or told.

use super::{Passage, PassageKind};
use crate::lines::{Line, Lines};
use crate::session::{Origin, Session};
use crate::settings::Settings;
use bytes::Bytes;
use callgate_core::name::ServerName;
use callgate_core::refusal::Reason;
use callgate_wire::Malformed;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Messages that may wait for a child to read them: more than the requests that may be in flight, so that only
/// a child that does not read fills it.
const QUEUE_MAX: usize = 2_048;
/// Bytes read from a child at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes of a line on stderr that is told.
const TOLD_BYTES_MAX: usize = 8 * 1024;
/// How long a child that has ended is listened to on stderr.
const TELL_GRACE: Duration = Duration::from_millis(500);

/// A child could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start `{program}`: {cause}{}", hint(cause))]
pub struct SpawnError {
    /// What was to be started.
    pub program: String,
    /// Why it was not.
    pub cause: io::Error,
}

fn hint(cause: &io::Error) -> &'static str {
    if cause.kind() == io::ErrorKind::NotFound {
        "; is it installed, and on the PATH?"
    } else if cause.kind() == io::ErrorKind::PermissionDenied {
        "; is it executable?"
    } else {
        ""
    }
}

/// The writing side of a child, shared by all who send to it.
#[derive(Debug)]
pub struct ChildLink {
    queue: mpsc::Sender<Passage>,
}

/// The child itself and its output, for the one task that looks after it.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    output: ChildStdout,
    /// Where it is told.
    errors: Option<ChildStderr>,
    /// Told to close the child's input.
    close: watch::Sender<Closing>,
    group: Option<rustix::process::Pid>,
}

/// Whether the child's input is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// Once what is queued has been written.
    Drain,
}

/// A server's command, and what its process is given. Its environment may hold secrets.
#[derive(Clone)]
pub struct ServerCommand {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// What it finds in its environment.
    pub environment: Environment,
    /// Its working folder; the gate's own where it is `None`.
    pub dir: Option<PathBuf>,
    /// What becomes of what it writes to stderr.
    pub stderr: Stderr,
}

/// What becomes of what a child writes to stderr, which may hold whatever it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// It is the gate's own stderr.
    Inherited,
    /// It is told line by line at the level `debug`.
    Told,
}

/// A process's environment.
#[derive(Clone)]
pub enum Environment {
    /// The gate's own.
    Inherited,
    /// These variables, and no other.
    Only(Vec<(OsString, OsString)>),
}

impl ServerCommand {
    /// A command in the gate's own environment and working folder.
    #[must_use]
    pub const fn inheriting(words: Vec<OsString>) -> Self {
        Self {
            words,
            environment: Environment::Inherited,
            dir: None,
            stderr: Stderr::Inherited,
        }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inherited => f.write_str("Inherited"),
            // Their values may be secrets.
            Self::Only(variables) => f
                .debug_list()
                .entries(variables.iter().map(|(name, _)| name))
                .finish(),
        }
    }
}

impl std::fmt::Debug for ServerCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its arguments may hold secrets.
        f.debug_struct("ServerCommand")
            .field("program", &self.words.first())
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}

/// Starts a child in a process group of its own, so that what it starts ends with it.
///
/// # Errors
/// [`SpawnError`] where the program cannot be started.
pub fn spawn(server: &ServerCommand) -> Result<(ChildLink, ChildProcess), SpawnError> {
    spawn_with(server, QUEUE_MAX)
}

/// As [`spawn`], with so many messages that may wait for the child to read them.
pub(super) fn spawn_with(
    server: &ServerCommand,
    queue_max: usize,
) -> Result<(ChildLink, ChildProcess), SpawnError> {
    let (program, arguments) = server.words.split_first().ok_or_else(|| SpawnError {
        program: String::new(),
        cause: io::Error::new(io::ErrorKind::InvalidInput, "no command was given"),
    })?;
    let failed = |cause| SpawnError {
        program: program.to_string_lossy().into_owned(),
        cause,
    };
    let mut command = Command::new(program);
    if let Environment::Only(variables) = &server.environment {
        command
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)));
    }
    if let Some(dir) = &server.dir {
        command.current_dir(dir);
    }
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(match server.stderr {
            Stderr::Inherited => Stdio::inherit(),
            Stderr::Told => Stdio::piped(),
        })
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let missing = || failed(io::Error::other("its input or output is not there"));
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw);
    let (queue, passages) = mpsc::channel(queue_max);
    let (close, closing) = watch::channel(Closing::No);
    tokio::spawn(write(input, passages, closing));
    Ok((
        ChildLink { queue },
        ChildProcess {
            errors: child.stderr.take(),
            child,
            output,
            close,
            group,
        },
    ))
}

impl ChildLink {
    /// Queues a message. A child that does not read must hold up neither other requests nor their deadlines:
    /// a request or cancellation for which there is no room is not sent, and a request is told so.
    pub(super) async fn send(&self, session: &Arc<Session>, passage: Passage) {
        let key = passage.key.clone();
        match passage.kind {
            PassageKind::Request => {
                if self.queue.try_send(passage).is_err()
                    && let Some(key) = key
                {
                    let text = "the server does not read what it is sent, so the call has not run";
                    session.fail(&key, Reason::UpstreamUnreachable, text).await;
                }
            }
            PassageKind::Cancellation => {
                let _ = self.queue.try_send(passage);
            }
            PassageKind::Notification | PassageKind::Initialized | PassageKind::Response => {
                let _ = self.queue.send(passage).await;
            }
        }
    }

    /// Waits until there is room for one more message; `None` once the child takes none any more.
    pub(super) async fn room(&self) -> Option<mpsc::Permit<'_, Passage>> {
        self.queue.reserve().await.ok()
    }

    /// Resolves once the child takes no message any more.
    pub(super) async fn closed(&self) {
        self.queue.closed().await;
    }
}

async fn drain(closing: &mut watch::Receiver<Closing>) {
    let _ = closing.wait_for(|now| *now == Closing::Drain).await;
}

/// Writes whole lines, one after the other. A request that was called back is not written.
async fn write(
    mut input: ChildStdin,
    mut passages: mpsc::Receiver<Passage>,
    mut closing: watch::Receiver<Closing>,
) {
    loop {
        let passage = tokio::select! {
            biased;
            passage = passages.recv() => passage,
            () = drain(&mut closing) => {
                passages.close();
                passages.recv().await
            }
        };
        let Some(passage) = passage else { return };
        if !passage.leave() {
            continue;
        }
        let mut line = Vec::with_capacity(passage.bytes.len().saturating_add(1));
        line.extend_from_slice(&passage.bytes);
        line.push(b'\n');
        // The child's end, or the closing of its input, is seen by whoever reads its output.
        if input.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// Whoever hears what a child says: the one session that has it, or what its sessions share.
pub trait Audience: Clone + Send + Sync + 'static {
    /// The server that the child is.
    fn server(&self) -> &ServerName;

    /// Bounds and deadlines.
    fn settings(&self) -> &Settings;

    /// The child has said something.
    fn hear(&self, line: Bytes) -> impl Future<Output = ()> + Send;

    /// It has said more on one line than a message may have.
    fn hear_too_much(&self) -> impl Future<Output = ()> + Send;

    /// It says no more.
    fn lose(&self) -> impl Future<Output = ()> + Send;
}

impl Audience for Arc<Session> {
    fn server(&self) -> &ServerName {
        &self.gate().server
    }

    fn settings(&self) -> &Settings {
        &self.gate().settings
    }

    async fn hear(&self, line: Bytes) {
        self.on_server(line, Origin::Shared).await;
    }

    async fn hear_too_much(&self) {
        self.too_large(self.gate().settings.bounds.message_bytes_max)
            .await;
    }

    async fn lose(&self) {
        self.server_gone().await;
    }
}

impl ChildProcess {
    /// Hands over what the child says until it ends, and returns how it ended.
    ///
    /// # Errors
    /// Where the child cannot be waited for.
    pub async fn serve(
        self,
        audience: impl Audience,
        mut end: watch::Receiver<End>,
    ) -> io::Result<ExitStatus> {
        let Self {
            mut child,
            output,
            errors,
            close,
            group,
        } = self;
        let reader = tokio::spawn(read(output, audience.clone()));
        let errors = errors.map(|errors| tokio::spawn(tell(errors, audience.server().clone())));
        let status = tokio::select! {
            status = child.wait() => status,
            () = wanted(&mut end) => {
                close_down(&mut child, &close, group, &mut end, audience.settings()).await
            }
        };
        // What it said before it ended is still read, unless something it started holds its output open.
        let _ = timeout(audience.settings().kill_grace, reader).await;
        signal(group, rustix::process::Signal::KILL);
        audience.lose().await;
        if let Some(mut errors) = errors {
            // Something that left its group may hold it open.
            let _ = timeout(TELL_GRACE, &mut errors).await;
            errors.abort();
        }
        status
    }
}

/// Whether a child is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It may go on.
    NotYet,
    /// It is asked to end: its input is closed, then it is told to, then it is made to.
    Wanted,
    /// It is told to end at once, and made to soon after.
    Urgent,
}

/// Waits until an end is wanted, or nobody can want it any more.
pub(crate) async fn wanted(end: &mut watch::Receiver<End>) {
    let _ = end.wait_for(|now| *now != End::NotYet).await;
}

/// Waits until an end is urgent; as long as it takes.
async fn urgent(end: &mut watch::Receiver<End>) {
    if end.wait_for(|now| *now == End::Urgent).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn close_down(
    child: &mut Child,
    close: &watch::Sender<Closing>,
    group: Option<rustix::process::Pid>,
    end: &mut watch::Receiver<End>,
    settings: &Settings,
) -> io::Result<ExitStatus> {
    close.send_replace(Closing::Drain);
    tokio::select! {
        ended = timeout(settings.close_grace, child.wait()) => {
            if let Ok(status) = ended {
                return status;
            }
        }
        () = urgent(end) => {}
    }
    signal(group, rustix::process::Signal::TERM);
    if let Ok(status) = timeout(settings.kill_grace, child.wait()).await {
        return status;
    }
    signal(group, rustix::process::Signal::KILL);
    child.wait().await
}

fn signal(group: Option<rustix::process::Pid>, signal: rustix::process::Signal) {
    if let Some(group) = group {
        // A group that has gone needs no signal.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Tells what a child writes to stderr.
async fn tell(errors: ChildStderr, server: ServerName) {
    let mut lines = Lines::new(BufReader::with_capacity(READ_BYTES, errors), TOLD_BYTES_MAX);
    while let Ok(Some(line)) = lines.next().await {
        match line {
            Line::Text(text) => {
                let said = String::from_utf8_lossy(&text);
                tracing::debug!(%server, %said, "the server wrote to stderr");
            }
            Line::TooLong => tracing::debug!(%server, "the server wrote a long line to stderr"),
        }
    }
}

async fn read(output: ChildStdout, audience: impl Audience) {
    let bytes_max = audience.settings().bounds.message_bytes_max;
    let mut lines = Lines::new(BufReader::with_capacity(READ_BYTES, output), bytes_max);
    loop {
        match lines.next().await {
            Ok(Some(Line::Text(text))) if text.iter().all(u8::is_ascii_whitespace) => {}
            Ok(Some(Line::Text(text))) => audience.hear(text).await,
            Ok(Some(Line::TooLong)) => audience.hear_too_much().await,
            Ok(None) => return,
            Err(cause) => {
                tracing::warn!(%cause, "cannot read from the server");
                return;
            }
        }
    }
}

impl Session {
    /// A line beyond the bound. Which request it answered cannot be told without reading it, unless only one
    /// waits; the others keep their deadlines.
    pub(super) async fn too_large(self: &Arc<Self>, bytes_max: usize) {
        let cause = Malformed::TooLarge {
            bytes: bytes_max.saturating_add(1),
            bytes_max,
        };
        self.noise(&cause, bytes_max);
        if let Some(key) = self.only_departed() {
            let text = "the server's answer was larger than a message may be; the call has run";
            self.fail(&key, Reason::TooLarge, text).await;
        }
    }
}
