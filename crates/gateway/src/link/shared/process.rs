//! One process of a shared child: which sessions use it, and what each of them waits for.

use super::inbox::{Asked, Inbox, Item, NOT_READ, Unsent};
use super::interest::Interest;
use super::tasks::SharedTasks;
use super::turns::Turns;
use super::{Owner, SharedLink, ViewId};
use crate::gate::Gate;
use crate::link::child::End;
use crate::link::{Passage, PassageKind};
use crate::recorder::Recorder;
use crate::session::{Session, cancellation};
use crate::settings::Settings;
use bytes::Bytes;
use callgate_core::name::ServerName;
use callgate_core::refusal::Reason;
use callgate_wire::mcp::method;
use callgate_wire::{IdKey, quoted};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot, watch};

/// Requests that were given up and whose answers may still come.
const GIVEN_UP_MAX: usize = 4_096;

/// The process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) server: ServerName,
    pub(super) settings: Settings,
    pub(super) recorder: Recorder,
    nonce: String,
    next_id: AtomicU64,
    next_view: AtomicU64,
    end: watch::Sender<End>,
    /// Whether the hub has told it to end.
    is_dismissed: AtomicBool,
    has_greeted: AtomicBool,
    state: Mutex<State>,
    /// Signalled whenever something waits for the child, and at the end.
    work: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    is_over: bool,
    views: HashMap<ViewId, View>,
    open: HashMap<IdKey, Open>,
    given_up: GivenUp,
    turns: Turns<Lane, Passage>,
    pub(super) interest: Interest,
    pub(super) tasks: SharedTasks,
    users: Users,
}

/// Who uses the process.
#[derive(Debug)]
struct View {
    owner: Owner,
    inbox: Inbox,
    /// The ids under which its requests wait, by its own.
    open: HashMap<IdKey, IdKey>,
}

/// Where messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// The hub's own.
    Own,
    /// A session's.
    View(ViewId),
}

/// Who has ever used the process.
#[derive(Debug, Default)]
enum Users {
    #[default]
    Nobody,
    One(Owner),
    Several,
}

/// A request that waits for the child's answer.
#[derive(Debug)]
pub(super) enum Open {
    /// The hub's own.
    Own(oneshot::Sender<Bytes>),
    /// A session's.
    Of(Waiting),
}

/// A session's request.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) view: ViewId,
    pub(super) asked: Asked,
    /// The session's own progress token.
    pub(super) token: Option<IdKey>,
    pub(super) purpose: Purpose,
}

/// What a request is, as far as its answer is treated differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Plain,
    /// It opens a subscription, which is known by its id.
    Listen,
    /// It asks for news of a resource.
    Subscribe(String),
    /// It sets the log level.
    Level,
}

/// Requests that were given up, the oldest first: whose they were, where their session is to be told of an answer.
#[derive(Debug, Default)]
struct GivenUp {
    by_id: HashMap<IdKey, Option<(ViewId, IdKey)>>,
    in_order: VecDeque<IdKey>,
}

impl GivenUp {
    fn put(&mut self, id: IdKey, whose: Option<(ViewId, IdKey)>) {
        if self.in_order.len() >= GIVEN_UP_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.in_order.push_back(id.clone());
        self.by_id.insert(id, whose);
    }
}

/// The process has ended, or the view was given up.
#[derive(Debug)]
pub(super) struct Over;

/// What an answer of the child's belongs to.
#[derive(Debug)]
pub(super) enum Matched {
    Open(Open),
    /// A request that a session has given up.
    GivenUp(ViewId, IdKey),
    /// A request of the hub's own whose answer says nothing.
    Unheeded,
    Nothing,
}

impl Process {
    pub(super) fn new(gate: &Gate) -> Arc<Self> {
        Arc::new(Self {
            server: gate.server.clone(),
            settings: gate.settings.clone(),
            recorder: gate.recorder().clone(),
            nonce: crate::session::nonce(),
            next_id: AtomicU64::new(0),
            next_view: AtomicU64::new(0),
            end: watch::Sender::new(End::NotYet),
            is_dismissed: AtomicBool::new(false),
            has_greeted: AtomicBool::new(false),
            state: Mutex::default(),
            work: Notify::new(),
        })
    }

    pub(super) fn wanted(&self) -> watch::Receiver<End> {
        self.end.subscribe()
    }

    /// Has the process end; it did not fail.
    pub(super) fn dismiss(&self) {
        self.is_dismissed.store(true, Ordering::Release);
        self.end.send_replace(End::Wanted);
    }

    /// Has the process end as one that cannot be used.
    pub(super) fn give_up(&self) {
        self.end.send_replace(End::Wanted);
    }

    pub(super) fn greeted(&self) {
        self.has_greeted.store(true, Ordering::Release);
    }

    /// Whether it ended by itself before it was of any use.
    pub(super) fn has_failed(&self) -> bool {
        !self.has_greeted.load(Ordering::Acquire) && !self.is_dismissed.load(Ordering::Acquire)
    }

    /// Whether no session can use it any more.
    pub(super) fn is_over(&self) -> bool {
        *self.end.borrow() != End::NotYet || self.lock().is_over
    }

    pub(super) fn next_view(&self) -> ViewId {
        ViewId(self.next_view.fetch_add(1, Ordering::Relaxed))
    }

    /// An id for a request.
    pub(super) fn mint(&self) -> IdKey {
        let count = self.next_id.fetch_add(1, Ordering::Relaxed);
        IdKey::from(format!("callgate-{}-{count}", self.nonce).as_str())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a session hear what is meant for it, from now on; again changes nothing.
    pub(super) fn attach(&self, link: &SharedLink, session: &Arc<Session>) -> Result<(), Over> {
        let mut state = self.lock();
        // Looked at under the lock: what was given up does not come back.
        if state.is_over || link.is_closed.load(Ordering::Acquire) {
            return Err(Over);
        }
        if state.views.contains_key(&link.view) {
            return Ok(());
        }
        state.users.add(&link.owner);
        let view = View {
            owner: link.owner.clone(),
            inbox: Inbox::new(session),
            open: HashMap::new(),
        };
        state.views.insert(link.view, view);
        Ok(())
    }

    /// Puts a session's message in its lane.
    pub(super) fn queue(&self, view: ViewId, passage: Passage) -> Result<(), Unsent> {
        let pushed = self.lock().turns.push(Lane::View(view), passage);
        pushed.map_err(Unsent)?;
        self.work.notify_one();
        Ok(())
    }

    /// Puts a message of the hub's own in its lane. Where that is full, the child has said more than it reads.
    pub(super) fn say(&self, bytes: impl Into<Bytes>) {
        let passage = Passage::response(bytes.into());
        if self.lock().turns.push(Lane::Own, passage).is_ok() {
            self.work.notify_one();
        }
    }

    /// Asks the child something whose answer says nothing.
    fn say_request(&self, state: &mut State, asked: &str, params: &str) -> Bytes {
        let id = self.mint();
        let json = id.to_json();
        state.given_up.put(id, None);
        let asked = quoted(asked);
        format!(r#"{{"jsonrpc":"2.0","id":{json},"method":{asked},"params":{params}}}"#).into()
    }

    /// Tells the child the level from which on it has to log.
    pub(super) fn say_level(&self, level: crate::gravity::Gravity) {
        let Some(name) = level.name() else { return };
        let request = self.say_request(
            &mut self.lock(),
            method::LOGGING_SET_LEVEL,
            &format!(r#"{{"level":"{name}"}}"#),
        );
        self.say(request);
    }

    /// The message whose turn it is; `None` once the process has ended.
    pub(super) async fn next_turn(&self) -> Option<(Lane, Passage)> {
        loop {
            let work = self.work.notified();
            {
                let mut state = self.lock();
                if state.is_over {
                    return None;
                }
                if let Some(turn) = state.turns.pop() {
                    return Some(turn);
                }
            }
            work.await;
        }
    }

    /// A session gives its view up, or has ended.
    pub(super) fn detach(&self, view: ViewId) {
        let mut said: Vec<Bytes> = Vec::new();
        let level = {
            let mut state = self.lock();
            let Some(left) = state.views.remove(&view) else {
                return;
            };
            state.turns.remove(Lane::View(view));
            for id in left.open.into_values() {
                if state.open.remove(&id).is_some() {
                    said.push(cancellation(&id, "the session that asked has ended"));
                }
            }
            let (uris, level) = state.interest.leave(view);
            for uri in uris {
                let params = format!(r#"{{"uri":{}}}"#, quoted(&uri));
                said.push(self.say_request(&mut state, method::RESOURCES_UNSUBSCRIBE, &params));
            }
            level
        };
        for message in said {
            self.say(message);
        }
        if let Some(level) = level {
            self.say_level(level);
        }
    }

    /// The child has gone: all who use it are told, and what waits for it ends.
    pub(super) fn lose_child(&self) {
        let mut state = self.lock();
        state.is_over = true;
        for view in state.views.values() {
            view.inbox.put(Item::Gone);
        }
        *state = State {
            is_over: true,
            ..State::default()
        };
        drop(state);
        self.work.notify_waiters();
        self.work.notify_one();
    }

    /// The child reads no more: what comes is not sent, for as long as anything comes.
    pub(super) async fn turn_away(&self) {
        while let Some((lane, passage)) = self.next_turn().await {
            if let (Lane::View(view), PassageKind::Request, Some(key)) = (lane, passage.kind, passage.key) {
                let departure = passage.departure;
                self.lock().fail(view, Asked { key, departure }, NOT_READ);
            }
        }
    }
}

impl Users {
    fn add(&mut self, owner: &Owner) {
        match self {
            Self::Nobody => *self = Self::One(owner.clone()),
            Self::One(one) if one == owner => {}
            Self::One(_) | Self::Several => *self = Self::Several,
        }
    }
}

impl State {
    /// Hands something to a session.
    pub(super) fn give(&self, view: ViewId, item: Item) {
        if let Some(view) = self.views.get(&view) {
            view.inbox.put(item);
        }
    }

    /// The sessions that are still there. To be let go of without the lock: the last to let go of one takes it, to give
    /// its view up.
    pub(super) fn sessions(&self) -> Vec<Arc<Session>> {
        let views = self.views.values();
        views.filter_map(|view| view.inbox.session()).collect()
    }

    /// Tells a session of a request that gets no answer.
    pub(super) fn fail(&self, view: ViewId, asked: Asked, text: &'static str) {
        let reason = Reason::UpstreamUnreachable;
        self.give(view, Item::Failed { asked, reason, text });
    }

    /// Whether a session is still there.
    pub(super) fn has(&self, view: ViewId) -> bool {
        self.views.contains_key(&view)
    }

    /// Who has a view.
    pub(super) fn owner(&self, view: ViewId) -> Option<&Owner> {
        self.views.get(&view).map(|view| &view.owner)
    }

    /// The sessions that a message is for which the child says to everyone.
    pub(super) fn everyone(&self) -> Vec<ViewId> {
        self.views.keys().copied().collect()
    }

    /// The sessions that a message is for of which the child does not say whom it concerns. Once more than one
    /// caller has used the process, it may concern any of them, and is for nobody.
    pub(super) fn only_user(&self) -> Vec<ViewId> {
        match self.users {
            Users::Nobody | Users::Several => Vec::new(),
            Users::One(_) => self.everyone(),
        }
    }

    /// Notes a session's request under an id of the hub's; false where the session has gone.
    pub(super) fn begin(&mut self, id: IdKey, waiting: Waiting) -> bool {
        let Some(view) = self.views.get_mut(&waiting.view) else {
            return false;
        };
        view.open.insert(waiting.asked.key.clone(), id.clone());
        self.open.insert(id, Open::Of(waiting));
        true
    }

    /// Notes a request of the hub's own; `None` where the child has gone.
    pub(super) fn begin_own(&mut self, id: IdKey, answer: oneshot::Sender<Bytes>) -> Option<()> {
        (!self.is_over).then(|| {
            self.open.insert(id, Open::Own(answer));
        })
    }

    /// Nobody waits for the answer to a request of the hub's own any more.
    pub(super) fn give_up_own(&mut self, id: IdKey) {
        if self.open.remove(&id).is_some() {
            self.given_up.put(id, None);
        }
    }

    /// A session gives a request up: the id that the child knows it by.
    pub(super) fn cancel(&mut self, view: ViewId, key: &IdKey) -> Option<IdKey> {
        let id = self.views.get_mut(&view)?.open.remove(key)?;
        if let Some(Open::Of(waiting)) = self.open.remove(&id)
            && let Purpose::Subscribe(uri) = &waiting.purpose
        {
            self.interest.refuse(view, uri);
        }
        self.given_up.put(id.clone(), Some((view, key.clone())));
        Some(id)
    }

    /// Takes out what an answer belongs to.
    pub(super) fn take(&mut self, id: &IdKey) -> Matched {
        if let Some(open) = self.open.remove(id) {
            if let Open::Of(waiting) = &open
                && let Some(view) = self.views.get_mut(&waiting.view)
                && view.open.get(&waiting.asked.key) == Some(id)
            {
                view.open.remove(&waiting.asked.key);
            }
            return Matched::Open(open);
        }
        match self.given_up.by_id.remove(id) {
            Some(Some((view, key))) => Matched::GivenUp(view, key),
            Some(None) => Matched::Unheeded,
            None => Matched::Nothing,
        }
    }

    /// The session's request that waits under an id.
    pub(super) fn waiting(&self, id: &IdKey) -> Option<&Waiting> {
        match self.open.get(id)? {
            Open::Of(waiting) => Some(waiting),
            Open::Own(_) => None,
        }
    }

    /// The one request that waits; `None` where there are several, or none.
    pub(super) fn only_waiting(&self) -> Option<&IdKey> {
        let mut ids = self.open.keys();
        ids.next().filter(|_| ids.next().is_none())
    }
}
