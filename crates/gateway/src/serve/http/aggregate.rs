//! All servers of a caller as one MCP server, at `/mcp`.
//!
//! It stands above sessions. A message of the client's is for one server by what it names: the server's name is cut
//! off, and the session with that server takes the rest as if it had come to `/mcp/SERVER`, judges it, and hands its
//! answers to a sink that puts the name back ([`names`]). What is for all servers is asked of each, and made one
//! ([`listing`], [`greeting`], [`listen`]).

mod asking;
mod greeting;
mod listen;
mod listing;
mod names;
mod offer;
mod part;
mod requests;
mod shelf;
mod streamed;
mod tide;
mod told;
mod visit;
mod whole;

pub(super) use visit::AllVisit;

use super::sessions::{IDLE_MAX, OpenError, Openings, Sessions, session_id};
use super::streams::Streams;
use crate::recorder::{Recorder, Sender};
use crate::settings::Settings;
use bytes::Bytes;
use callgate_core::call::Caller;
use callgate_core::name::{ServerName, SessionId};
use callgate_wire::mcp::Version;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamed::Streamed;
use tide::Tide;
use tokio::time::Instant;
use whole::Whole;

/// The servers of a caller, each with its sessions.
pub(super) type Mounts = BTreeMap<ServerName, Arc<Sessions>>;

/// What everything at `/mcp` of one caller shares.
#[derive(Debug)]
struct House {
    caller: Caller,
    recorder: Recorder,
    settings: Settings,
    /// Servers that did not answer in time when they were asked last.
    slow: Mutex<HashSet<Box<str>>>,
    /// Whether the servers are those that they were.
    tide: Tide,
}

impl House {
    fn is_slow(&self, server: &str) -> bool {
        self.slow().contains(server)
    }

    fn was_late(&self, server: &str) {
        self.slow().insert(server.into());
    }

    fn was_there(&self, server: &str) {
        self.slow().remove(server);
    }

    fn slow(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sender<'a>(&'a self, session: Option<&'a SessionId>) -> Sender<'a> {
        Sender {
            caller: &self.caller,
            session,
        }
    }
}

/// The sessions of one caller with all of its servers.
#[derive(Debug)]
pub(super) struct Aggregates {
    house: Arc<House>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    has_ended: bool,
    mounts: Mounts,
    open: HashMap<String, Held>,
    /// Sessions over the transport of 2024-11-05, which nothing else finds.
    streamed: HashMap<String, Streamed>,
    opened: Openings,
    /// What all stateless requests share.
    stateless: Arc<Whole>,
}

impl State {
    /// Takes a place for one more session.
    fn take_place(&mut self, settings: &Settings) -> Result<(), OpenError> {
        if self.has_ended {
            return Err(OpenError::Ended);
        }
        if self.open.len().saturating_add(self.streamed.len()) >= settings.sessions_max {
            return Err(OpenError::TooMany);
        }
        self.opened.take(settings.sessions_per_minute_max)
    }

    /// All servers as one of each session.
    fn wholes(&self) -> impl Iterator<Item = &Arc<Whole>> {
        let streamed = self.streamed.values().filter_map(Streamed::whole);
        let open = self.open.values().map(|held| &held.opened.whole);
        open.chain(streamed)
    }
}

#[derive(Debug)]
struct Held {
    opened: Opened,
    used: Instant,
}

/// A session that is open, and its streams.
#[derive(Debug, Clone)]
struct Opened {
    whole: Arc<Whole>,
    streams: Arc<Streams>,
}

impl Aggregates {
    pub(super) fn new(caller: Caller, recorder: Recorder, settings: Settings) -> Self {
        let house = Arc::new(House {
            caller,
            recorder,
            settings,
            slow: Mutex::default(),
            tide: Tide::default(),
        });
        Self {
            state: Mutex::new(State {
                has_ended: false,
                mounts: Mounts::new(),
                open: HashMap::new(),
                streamed: HashMap::new(),
                opened: Openings::default(),
                stateless: Arc::new(Whole::stateless(Arc::clone(&house))),
            }),
            house,
        }
    }

    /// The servers are about to be others: what listens to those of before is to listen anew.
    pub(super) fn turn(&self) {
        self.house.tide.turn();
    }

    /// Puts in force which servers there are, all of them: what is begun from now on is begun with these.
    pub(super) fn settle(&self, mounts: Mounts) {
        self.put(mounts);
        self.house.tide.settle();
    }

    /// Puts in force which servers there are, be they all or only those that are left: open sessions gain and lose
    /// parts.
    pub(super) fn put(&self, mounts: Mounts) {
        let mut state = self.lock();
        for whole in state.wholes().chain([&state.stateless]) {
            whole.put_parts(&mounts);
        }
        state.mounts = mounts;
    }

    /// Opens a session for whoever greets so, and begins one with each server.
    fn open(&self, hello: Bytes, version: Version) -> Result<(SessionId, Opened), OpenError> {
        let mut state = self.lock();
        state.take_place(&self.house.settings)?;
        let Some((text, id)) = session_id() else {
            return Err(OpenError::TooMany);
        };
        let whole = Arc::new(Whole::session(
            Arc::clone(&self.house),
            id.clone(),
            hello,
            version,
        ));
        whole.put_parts(&state.mounts);
        let opened = Opened {
            whole,
            streams: Arc::default(),
        };
        let held = Held {
            opened: opened.clone(),
            used: Instant::now(),
        };
        state.open.insert(text, held);
        Ok((id, opened))
    }

    /// A session that is open.
    fn find(&self, id: &str) -> Option<Opened> {
        let mut state = self.lock();
        let held = state.open.get_mut(id)?;
        held.used = Instant::now();
        Some(held.opened.clone())
    }

    /// What all stateless requests share.
    fn stateless(&self) -> Result<Arc<Whole>, OpenError> {
        let state = self.lock();
        if state.has_ended {
            return Err(OpenError::Ended);
        }
        Ok(Arc::clone(&state.stateless))
    }

    /// Closes a session; false where there is none of this id.
    pub(super) async fn close(&self, id: &str) -> bool {
        let held = self.lock().open.remove(id);
        match held {
            Some(held) => {
                held.opened.whole.close().await;
                true
            }
            None => false,
        }
    }

    /// Opens no session any more, and ends the streams of those that are open.
    pub(super) fn shut(&self) {
        let mut state = self.lock();
        state.has_ended = true;
        for whole in state.wholes() {
            whole.detach();
        }
        state.streamed.retain(|_, streamed| streamed.whole().is_some());
    }

    /// Ends every session, and opens no other.
    pub(super) async fn close_all(&self) {
        let wholes: Vec<Arc<Whole>> = {
            let mut state = self.lock();
            state.has_ended = true;
            let wholes = state.wholes().map(Arc::clone).collect();
            state.open.clear();
            state.streamed.clear();
            wholes
        };
        futures_util::future::join_all(wholes.iter().map(|whole| whole.close())).await;
    }

    /// Closes the sessions that nobody has used for long.
    pub(super) fn close_idle(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        let is_idle =
            |held: &Held| now.duration_since(held.used) >= IDLE_MAX && held.opened.whole.is_unused();
        let idle: Vec<String> = state
            .open
            .iter()
            .filter(|(_, held)| is_idle(held))
            .map(|(id, _)| id.clone())
            .collect();
        for id in idle {
            if let Some(held) = state.open.remove(&id) {
                tokio::spawn(async move { held.opened.whole.close().await });
            }
        }
        for held in state.open.values() {
            held.opened.streams.sweep();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
