//! The ways in which the server misbehaves.

use callgate_testkit::log::LogWriter;
use clap::ValueEnum;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mischief {
    /// Words that are no messages on stdout, before and among them.
    Noise,
    /// Broken JSON before each answer.
    Malformed,
    /// Each answer twice; the second one says something else.
    DuplicateAnswers,
    /// Answers to questions that nobody asked, before each true one.
    UnaskedAnswers,
    /// Notifications are answered, with an error.
    AnswersNotifications,
    /// Tool calls are answered by 17 MiB.
    Oversized,
    /// Tool calls are never answered.
    NeverAnswers,
    /// Nothing is ever answered.
    Mute,
    /// The first tool call ends the process, with code 3.
    Dies,
    /// A tool call is answered in part, then the process ends with code 3.
    DiesMidAnswer,
    /// Neither SIGTERM nor the end of stdin ends the process.
    Stubborn,
    /// A grandchild holds stdout open; its pid is a note in the log.
    Grandchild,
    /// Answers carry the id spelt otherwise: a number as a string, a string as another.
    WrongIds,
    /// Answers carry `result` twice.
    DuplicateKeys,
    /// Answers are no UTF-8.
    BadUtf8,
    /// Lines end as they do on Windows.
    Crlf,
    /// Each line comes in three parts with pauses between.
    Trickle,
    /// The first message is read two seconds late.
    SlowStart,
    /// 4 MiB on stderr before each answer.
    FloodsStderr,
    /// Answers to tool calls have neither `result` nor `error`.
    NoResult,
    /// Each message comes as a batch of one.
    Batches,
    /// The process ends before the first message, with code 7.
    ExitsAtOnce,
}

/// What becomes of a received message.
pub(crate) enum Reaction {
    /// It is served.
    Serve,
    /// These words go out first, then it is served.
    Say(Vec<u8>),
    /// It is forgotten.
    Ignore,
}

pub(crate) fn at_start(mischief: Option<Mischief>, log: &LogWriter) -> std::io::Result<()> {
    match mischief {
        Some(Mischief::ExitsAtOnce) => std::process::exit(7),
        Some(Mischief::Noise) => println!("Starting the server...\n{{not: json}}\n[]\nnull\n\n  42"),
        Some(Mischief::SlowStart) => std::thread::sleep(Duration::from_secs(2)),
        Some(Mischief::Stubborn) => ignore_sigterm()?,
        Some(Mischief::Grandchild) => {
            // Five minutes are longer than any test, and not forever should one fail to end it.
            let child = Command::new("sleep").arg("300").stdin(Stdio::null()).spawn()?;
            log.note(&format!("grandchild {}", child.id()));
        }
        _ => {}
    }
    Ok(())
}

pub(crate) fn at_end(mischief: Option<Mischief>) {
    if mischief == Some(Mischief::Stubborn) {
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}

pub(crate) fn on_message(mischief: Option<Mischief>, line: &[u8]) -> Reaction {
    let Some(mischief) = mischief else {
        return Reaction::Serve;
    };
    let has = |words: &str| memory_has(line, words.as_bytes());
    let is_call = has(r#""tools/call""#);
    match mischief {
        Mischief::Mute => Reaction::Ignore,
        Mischief::NeverAnswers if is_call => Reaction::Ignore,
        Mischief::Dies if is_call => std::process::exit(3),
        Mischief::Noise => Reaction::Say(b"handling a message\nWARN: {\"jsonrpc\":\n".to_vec()),
        Mischief::Malformed => Reaction::Say(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\n".to_vec()),
        Mischief::UnaskedAnswers => Reaction::Say(
            concat!(
                r#"{"jsonrpc":"2.0","id":987654321,"result":{"content":[]}}"#,
                "\n",
                r#"{"jsonrpc":"2.0","id":"nobody-asked","error":{"code":-1,"message":"unasked"}}"#,
                "\n",
                r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
                "\n"
            )
            .into(),
        ),
        Mischief::AnswersNotifications if has(r#""method":"notifications/"#) => Reaction::Say(
            concat!(
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"Method not found"}}"#,
                "\n",
                r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"}}"#,
                "\n"
            )
            .into(),
        ),
        Mischief::FloodsStderr => {
            let line = "x".repeat(1023);
            for _ in 0..4096 {
                eprintln!("{line}");
            }
            Reaction::Serve
        }
        _ => Reaction::Serve,
    }
}

fn memory_has(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Once tokio listens for a signal it no longer ends the process.
fn ignore_sigterm() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listen = || -> std::io::Result<()> {
        let _entered = runtime.enter();
        for kind in [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ] {
            drop(signal(kind)?);
        }
        Ok(())
    };
    listen()
}
