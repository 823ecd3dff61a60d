//! An answer in JSON that is passed on while it comes: no more of it is kept than a piece, and while the client takes
//! none, none is read.

use super::exchange::{Asked, BROKE_OFF, NO_ANSWER, TOO_LARGE};
use super::pool::Reply;
use crate::flow::Piece;
use crate::session::Session;
use bytes::Bytes;
use callgate_core::refusal::Reason;
use callgate_wire::mcp::Era;
use callgate_wire::passing::{Fault, LAST, Part, Passing};
use callgate_wire::{IdKey, Malformed};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

/// Bytes of an answer that are waited for before any of it is passed on.
pub(super) const HELD_BACK_BYTES: usize = 32 * 1024;

/// An answer of which a part has come.
pub(super) struct Begun<'a> {
    session: &'a Arc<Session>,
    asked: &'a Asked<'a>,
    passing: Passing,
    /// Dropped before the last piece is in it, it breaks the client's answer off.
    pieces: mpsc::Sender<Piece>,
    /// What may go on of what has come.
    due: Vec<Bytes>,
    client: Client,
    /// How long the client was waited for.
    waited: Duration,
}

/// Whether anybody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Reads,
    /// Where that does not cancel, the rest is read all the same: its outcome is to be known.
    HasGone,
}

/// Why an answer is not passed on to its end.
enum Broken {
    /// The request has ended otherwise, by a deadline, a cancellation or the end of its session, which has written
    /// its outcome.
    Ended,
    /// The client has gone, which cancels.
    Left,
    /// The connection to the server broke.
    Server,
    Fault(Fault),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Begins to pass on an answer of which this has come. `None` where something has to see all of it first, or where it
/// is not seen to be a result: it is to be read as a whole then.
pub(super) fn begin<'a>(
    session: &'a Arc<Session>,
    asked: &'a Asked<'a>,
    so_far: &Bytes,
    status: u16,
) -> Option<Begun<'a>> {
    let addressing = session.may_pass(asked.key, asked.departure)?;
    let mut passing = Passing::new(&session.gate().settings.bounds, addressing);
    let mut due = Vec::new();
    push(&mut passing, so_far, &mut due).ok()?;
    if !passing.has_result() {
        return None;
    }
    let pieces = session.begin_passing(asked.key, asked.departure, status)?;
    Some(Begun {
        session,
        asked,
        passing,
        pieces,
        due,
        client: Client::Reads,
        waited: Duration::ZERO,
    })
}

fn push(passing: &mut Passing, data: &Bytes, due: &mut Vec<Bytes>) -> Result<(), Fault> {
    passing.push(data, |part| {
        due.push(match part {
            Part::Received(range) => data.slice(range),
            Part::Own(bytes) => Bytes::copy_from_slice(bytes),
        });
    })
}

impl Begun<'_> {
    /// Passes it on to its end, or breaks it off.
    pub(super) async fn run(mut self, mut reply: Reply) {
        let (session, asked) = (self.session, self.asked);
        let server = &session.gate().server;
        let passed = self.pass(&mut reply).await;
        let bytes = self.passing.bytes();
        let passed = match passed {
            Ok(()) => self.finish().await,
            Err(broken) => Err(broken),
        };
        match passed {
            Ok(()) => {}
            Err(Broken::Ended) => {
                tracing::warn!(%server, "an answer was broken off, as its request has ended");
            }
            Err(Broken::Left) => session.abandon(asked.key),
            Err(Broken::Server) => {
                tracing::warn!(%server, "an answer was broken off, as the connection to the server broke");
                session
                    .fail(asked.key, Reason::UpstreamUnreachable, BROKE_OFF)
                    .await;
            }
            Err(Broken::Fault(fault)) => {
                tracing::warn!(%server, %fault, "an answer was broken off");
                refuse(session, asked.key, fault, bytes).await;
            }
        }
    }

    async fn pass(&mut self, reply: &mut Reply) -> Result<(), Broken> {
        loop {
            for piece in std::mem::take(&mut self.due) {
                self.hand_on(piece).await?;
            }
            let data = tokio::select! {
                data = reply.data() => data,
                () = self.asked.departure.ended() => return Err(Broken::Ended),
                () = self.pieces.closed(), if self.client == Client::Reads => {
                    self.client_has_gone()?;
                    continue;
                }
            };
            match data {
                None => return Ok(()),
                Some(Err(_)) => return Err(Broken::Server),
                Some(Ok(data)) => push(&mut self.passing, &data, &mut self.due)?,
            }
        }
    }

    /// Hands a piece to the client, once it has taken those before.
    async fn hand_on(&mut self, piece: Bytes) -> Result<(), Broken> {
        if self.client == Client::HasGone {
            return Ok(());
        }
        match self.pieces.try_send(Piece::More(piece)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(piece)) => {
                let (room, waited) = room(self.session, self.asked, &self.pieces).await?;
                self.waited = self.waited.saturating_add(waited);
                if let Some(room) = room {
                    room.send(piece);
                    return Ok(());
                }
            }
        }
        self.client_has_gone()
    }

    fn client_has_gone(&mut self) -> Result<(), Broken> {
        self.client = Client::HasGone;
        match self.asked.era {
            Era::Modern => Err(Broken::Left),
            Era::Legacy => Ok(()),
        }
    }

    /// All has come. The last piece goes out once the outcome is on its way, and that waits until the client has taken
    /// what was before it: until then its request can end otherwise.
    async fn finish(self) -> Result<(), Broken> {
        let answer = self.passing.finish()?;
        let (room, waited) = match self.client {
            Client::Reads => room(self.session, self.asked, &self.pieces).await?,
            Client::HasGone => (None, Duration::ZERO),
        };
        let waited = self.waited.saturating_add(waited);
        let asked = self.asked;
        if !self
            .session
            .finish_passing(asked.key, asked.departure, &answer, waited)
        {
            return Err(Broken::Ended);
        }
        if let Some(room) = room {
            room.send(Piece::Last(Bytes::from_static(LAST)));
        }
        Ok(())
    }
}

/// Waits until the client has taken what went before, and says how long that took; no room where it has gone. Its time
/// is not the server's.
async fn room<'p>(
    session: &Arc<Session>,
    asked: &Asked<'_>,
    pieces: &'p mpsc::Sender<Piece>,
) -> Result<(Option<mpsc::Permit<'p, Piece>>, Duration), Broken> {
    match pieces.try_reserve() {
        Ok(room) => return Ok((Some(room), Duration::ZERO)),
        Err(TrySendError::Closed(())) => return Ok((None, Duration::ZERO)),
        Err(TrySendError::Full(())) => {}
    }
    let since = Instant::now();
    session.wait_for_client(asked.key, asked.departure);
    let room = tokio::select! {
        room = pieces.reserve() => room.ok(),
        () = asked.departure.ended() => return Err(Broken::Ended),
    };
    session.go_on(asked.key, asked.departure);
    let waited = since.elapsed();
    Ok((room, waited))
}

/// Ends a request whose answer does not stand, as one that was read as a whole would be.
async fn refuse(session: &Arc<Session>, key: &IdKey, fault: Fault, bytes: usize) {
    match fault {
        Fault::TooMuchToKeep | Fault::Malformed(Malformed::TooLarge { .. }) => {
            return session.fail(key, Reason::TooLarge, TOO_LARGE).await;
        }
        Fault::Malformed(cause) => session.noise(&cause, bytes),
        Fault::OtherId => session.misdirected(bytes),
        Fault::NotAResult => {}
    }
    session.fail(key, Reason::UpstreamProtocol, NO_ANSWER).await;
}
