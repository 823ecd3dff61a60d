//! A small fast MCP server on stdio, which can also misbehave.

mod mischief;
mod out;

use callgate_testkit::log::LogWriter;
use callgate_testkit::play::{self, Part};
use callgate_testkit::protocol::{error, response};
use callgate_testkit::tools::{Act, ListKind, Step, Tools, text};
use clap::Parser;
use mischief::Mischief;
use out::Out;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

#[derive(Debug, Parser)]
struct Args {
    /// Where each received line is written before it is acted on.
    #[arg(long)]
    log: Option<PathBuf>,
    /// A version that is spoken; may be repeated; all without it.
    #[arg(long)]
    version: Vec<String>,
    /// How many more tools there are: tool_0000, tool_0001, …
    #[arg(long, default_value_t = 0)]
    tools: usize,
    /// How the list of tools is told.
    #[arg(long, value_enum, default_value_t)]
    list: ListKind,
    /// A file that says what is said after which message.
    #[arg(long)]
    play: Option<PathBuf>,
    /// A way to misbehave.
    #[arg(long, value_enum)]
    mischief: Option<Mischief>,
}

/// What all threads share.
struct Server {
    tools: Tools,
    out: Out,
    log: LogWriter,
    asked: AtomicU64,
    waiting: Mutex<HashMap<String, mpsc::Sender<String>>>,
    cancelled: Mutex<HashSet<String>>,
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let log = LogWriter::open(args.log.as_deref())?;
    log.note(&format!("pid {}", std::process::id()));
    mischief::at_start(args.mischief, &log)?;
    let server = Arc::new(Server {
        tools: Tools::new(args.version, args.tools, args.list)
            .playing(args.play.as_deref().map(Part::read).transpose()?),
        out: Out::new(args.mischief),
        log,
        asked: AtomicU64::new(0),
        waiting: Mutex::default(),
        cancelled: Mutex::default(),
    });
    let mut input = std::io::BufReader::with_capacity(1 << 16, std::io::stdin().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        while line.last().is_some_and(u8::is_ascii_whitespace) {
            line.pop();
        }
        if !line.is_empty() {
            server.log.message(&line);
            server.take(&line);
        }
    }
    server.log.note("stdin closed");
    mischief::at_end(args.mischief);
    Ok(())
}

impl Server {
    fn take(self: &Arc<Self>, line: &[u8]) {
        match mischief::on_message(self.out.mischief(), line) {
            mischief::Reaction::Ignore => return,
            mischief::Reaction::Say(words) => self.out.raw(&words),
            mischief::Reaction::Serve => {}
        }
        match self.tools.step(line) {
            Step::Nothing => {}
            Step::Answer(answer) => self.out.answer(answer),
            Step::Answered { id, answer } => {
                if let Some(sender) = lock(&self.waiting).remove(&id) {
                    let _ = sender.send(answer.get().to_owned());
                }
            }
            Step::Cancelled { id } => {
                lock(&self.cancelled).insert(id);
            }
            Step::Act { id, act } => {
                let server = Arc::clone(self);
                std::thread::spawn(move || server.act(&id, act));
            }
        }
    }

    fn act(&self, id: &str, act: Act) {
        let result = match act {
            Act::Result(result) => result,
            Act::Error { code, message } => return self.out.answer(error(id, code, &message)),
            Act::After(pause, result) => {
                std::thread::sleep(pause);
                result
            }
            Act::Progress {
                steps,
                token,
                pause,
                result,
            } => {
                for step in 1..=steps {
                    std::thread::sleep(pause);
                    if let Some(token) = &token {
                        let token = token.get();
                        self.notify(
                            "notifications/progress",
                            &format!(r#"{{"progressToken":{token},"progress":{step},"total":{steps}}}"#),
                        );
                    }
                }
                result
            }
            Act::Ask { method, params } => self.ask(&method, &params),
            Act::Play(messages) => return self.play(messages),
            Act::Grow { result } => {
                self.tools.grow();
                self.notify("notifications/tools/list_changed", "{}");
                result
            }
            Act::Listen => {
                let meta = format!(r#"{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#);
                return self.notify("notifications/subscriptions/acknowledged", &meta);
            }
        };
        if !lock(&self.cancelled).remove(id) {
            self.out.answer(response(id, &result));
        }
    }

    fn play(&self, messages: Vec<String>) {
        for message in messages {
            let asked = play::asks(&message).map(|id| {
                let (sender, answer) = mpsc::channel();
                lock(&self.waiting).insert(id, sender);
                answer
            });
            self.out.line(message.into_bytes());
            if asked.is_some_and(|answer| answer.recv_timeout(std::time::Duration::from_secs(60)).is_err()) {
                return;
            }
        }
    }

    fn ask(&self, method: &str, params: &Value) -> String {
        let id = format!(r#""ask-{}""#, self.asked.fetch_add(1, Ordering::Relaxed));
        let (sender, answer) = mpsc::channel();
        lock(&self.waiting).insert(id.clone(), sender);
        self.out.line(
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).into_bytes(),
        );
        match answer.recv_timeout(std::time::Duration::from_secs(60)) {
            Ok(answer) => text(false, &format!("the client said {answer}")),
            Err(_) => {
                json!({"content": [{"type": "text", "text": "the client said nothing"}], "isError": true})
                    .to_string()
            }
        }
    }

    fn notify(&self, method: &str, params: &str) {
        self.out
            .line(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).into_bytes());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
