//! The one handshake with a shared child, which is the hub's and not a session's.
//!
//! The hub offers nothing that a server could ask a client for: which session it would be for could not be told. One
//! process speaks one era. 2026-07-28 is asked for first: there, what a client offers comes with each request.

use super::process::Process;
use crate::link::Passage;
use crate::link::child::ChildLink;
use bytes::Bytes;
use callgate_wire::bridge::{Hello, Server, Speaker, Spoken, discover_request, initialize_request};
use callgate_wire::mcp::Version;
use callgate_wire::{Decoded, IdKey, Kind, Payload, Response, decode};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a child may take to say that it knows `server/discover`; some never say that they do not.
const DISCOVER_MAX: Duration = Duration::from_secs(10);
/// How long it may take to start and to answer `initialize`.
const INITIALIZE_MAX: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug)]
pub(super) enum Greeting {
    /// It speaks 2026-07-28.
    Modern,
    /// It speaks a version before that.
    Legacy(Legacy),
}

/// What a legacy child says of itself.
#[derive(Debug)]
pub(super) struct Legacy {
    /// The result of `initialize`, as it came.
    pub(super) result: String,
    /// Whether it logs.
    pub(super) logs: bool,
}

/// It cannot be used.
#[derive(Debug)]
pub(super) struct Refused {
    /// The error with which it has answered `initialize`, as it came.
    pub(super) error: Option<String>,
}

/// What is known of a child's era before it has said anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Guess {
    #[default]
    Nothing,
    /// The process before was legacy, or ended when it was asked.
    Legacy,
}

impl Guess {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Nothing => Self::Legacy,
            Self::Legacy => Self::Nothing,
        }
    }
}

/// What a child says to `initialize`.
enum Said {
    Yes(Legacy),
    No(Refused),
}

impl Process {
    pub(super) async fn greet(&self, link: &ChildLink, guess: Guess) -> Result<Greeting, Refused> {
        let is_asked = guess == Guess::Nothing;
        if is_asked && self.is_modern(link).await {
            return Ok(Greeting::Modern);
        }
        match self.initialize(link).await {
            Said::Yes(legacy) => Ok(Greeting::Legacy(legacy)),
            // It may have been slow to start when it was asked, or be another than it was guessed to be.
            Said::No(refused) if refused.error.is_some() => {
                if self.is_modern(link).await {
                    Ok(Greeting::Modern)
                } else {
                    Err(refused)
                }
            }
            Said::No(refused) => Err(refused),
        }
    }

    async fn is_modern(&self, link: &ChildLink) -> bool {
        let id = self.mint();
        let request = discover_request(&id, &speaker());
        let Some(answer) = self.ask(link, id, request.into(), DISCOVER_MAX).await else {
            return false;
        };
        self.response(&answer, |response| {
            matches!(Spoken::of(response), Spoken::Modern(_))
        })
        .unwrap_or(false)
    }

    async fn initialize(&self, link: &ChildLink) -> Said {
        let id = self.mint();
        let hello = Hello {
            version: Version::V2025_11_25,
            speaker: speaker(),
        };
        let request = initialize_request(&id, &hello);
        let answer = self.ask(link, id, request.into(), INITIALIZE_MAX).await;
        let said = answer.and_then(|answer| {
            self.response(&answer, |response| match &response.payload {
                Payload::Error(error) => Said::No(Refused {
                    error: Some(error.text().to_owned()),
                }),
                Payload::Result(result) => match Server::of_initialize(response) {
                    Ok(server) => Said::Yes(Legacy {
                        result: result.text().to_owned(),
                        logs: server.offers(&["logging"]),
                    }),
                    Err(_) => Said::No(Refused { error: None }),
                },
            })
        });
        let said = said.unwrap_or(Said::No(Refused { error: None }));
        if let (Said::Yes(_), Some(room)) = (&said, link.room().await) {
            let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
            room.send(Passage::notification(initialized.into(), true));
        }
        said
    }

    fn response<T>(&self, answer: &Bytes, read: impl FnOnce(&Response<'_>) -> T) -> Option<T> {
        let Ok(Decoded::Single(message)) = decode(answer, &self.settings.bounds) else {
            return None;
        };
        match message.kind() {
            Kind::Response(response) => Some(read(response)),
            Kind::Request(_) | Kind::Notification(_) => None,
        }
    }

    /// Asks the child something in the hub's own name; `None` where no answer comes in time.
    async fn ask(&self, link: &ChildLink, id: IdKey, request: Bytes, within: Duration) -> Option<Bytes> {
        let (sender, answer) = oneshot::channel();
        self.lock().begin_own(id.clone(), sender)?;
        let asked = async {
            link.room().await?.send(Passage::response(request));
            answer.await.ok()
        };
        let answered = timeout(within, asked).await.ok().flatten();
        if answered.is_none() {
            self.lock().give_up_own(id);
        }
        answered
    }
}

fn speaker() -> Speaker {
    Speaker {
        info: Some(
            concat!(
                r#"{"name":"callgate","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#""}"#
            )
            .to_owned(),
        ),
        capabilities: "{}".to_owned(),
        log_level: None,
    }
}
