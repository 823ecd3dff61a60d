//! What sessions say to a shared child: under names of the hub's own, or answered by the hub itself where the child
//! knows one client and has been told.

use super::ViewId;
use super::greeting::{Greeting, Guess, Legacy, Refused};
use super::inbox::{Asked, Item};
use super::interest::{Change, Others};
use super::process::{Lane, Process, Purpose, Waiting};
use crate::answer;
use crate::gravity::Gravity;
use crate::link::child::ChildLink;
use crate::link::{Passage, PassageKind};
use crate::session::{Departure, refusal, task_error};
use bytes::Bytes;
use callgate_core::refusal::Reason;
use callgate_wire::mcp::{method, progress_token};
use callgate_wire::splice::{Splice, SpliceError};
use callgate_wire::{Decoded, IdKey, Kind, Message, Notification, Request, decode};
use std::sync::{Arc, Mutex, PoisonError};

/// What is told of a request to a child that would not shake hands.
const NO_HANDSHAKE: &str = "the server did not begin a session, so the request was not sent";
/// What is told of a request that cannot be put under another name.
const LOST: &str = "the message could not be re-addressed, so it was not sent";

/// What becomes of a session's request.
enum Course {
    /// It goes on.
    On(Purpose),
    /// It is answered here, with this HTTP status.
    Answer(Bytes, u16),
}

impl Process {
    /// Shakes hands, and then hands the child what its sessions say, in turn, for as long as it reads.
    pub(super) async fn pump(self: Arc<Self>, link: ChildLink, guessed: Guess, guess: Arc<Mutex<Guess>>) {
        let guess = |guessed| *guess.lock().unwrap_or_else(PoisonError::into_inner) = guessed;
        let greeting = match self.greet(&link, guessed).await {
            Ok(greeting) => greeting,
            Err(refused) => return self.refuse(&refused).await,
        };
        guess(match &greeting {
            Greeting::Legacy(_) => Guess::Legacy,
            Greeting::Modern => Guess::Nothing,
        });
        self.greeted();
        while let Some(room) = link.room().await {
            let passage = tokio::select! {
                passage = self.next_passage(&greeting) => passage,
                () = link.closed() => None,
            };
            let Some(passage) = passage else { break };
            room.send(passage);
        }
        // One that reads nothing any more is of use to nobody, and the next session starts another.
        self.give_up();
        self.turn_away().await;
    }

    /// The child cannot be used: those who wait are told, and it ends.
    async fn refuse(&self, refused: &Refused) {
        let server = &self.server;
        match &refused.error {
            // What it says may hold what it was told.
            Some(error) => tracing::debug!(%server, error, "a shared server refused `initialize`"),
            None => tracing::debug!(%server, "a shared server did not answer `initialize`"),
        }
        tracing::warn!(%server, "a shared server did not begin a session, so it is ended");
        self.give_up();
        while let Some((lane, passage)) = self.next_turn().await {
            let (Lane::View(view), PassageKind::Request, Some(key)) = (lane, passage.kind, passage.key)
            else {
                continue;
            };
            let asked = Asked {
                key,
                departure: passage.departure,
            };
            match &refused.error {
                Some(error) if self.asks(&passage.bytes, method::INITIALIZE) => {
                    let id = asked.key.to_json();
                    let bytes = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into();
                    self.answer(view, asked, bytes, 200);
                }
                Some(_) | None => self.lock().fail(view, asked, NO_HANDSHAKE),
            }
        }
    }

    fn asks(&self, bytes: &Bytes, asked: &str) -> bool {
        let Ok(Decoded::Single(message)) = decode(bytes, &self.settings.bounds) else {
            return false;
        };
        matches!(message.kind(), Kind::Request(request) if request.method == asked)
    }

    /// The next message for the child; `None` once the process has ended.
    async fn next_passage(&self, greeting: &Greeting) -> Option<Passage> {
        loop {
            let (lane, passage) = self.next_turn().await?;
            let passage = match lane {
                Lane::Own => Some(passage),
                Lane::View(view) => self.translated(view, passage, greeting),
            };
            if passage.is_some() {
                return passage;
            }
        }
    }

    fn translated(&self, view: ViewId, passage: Passage, greeting: &Greeting) -> Option<Passage> {
        let bytes = passage.bytes.clone();
        let Ok(Decoded::Single(message)) = decode(&bytes, &self.settings.bounds) else {
            return self.lose(view, passage);
        };
        match (passage.kind, message.kind()) {
            (PassageKind::Request, Kind::Request(request)) => {
                self.request(view, passage, &message, request, greeting)
            }
            (PassageKind::Cancellation, Kind::Notification(_)) => self.cancel(view, &passage, &message),
            (PassageKind::Notification, Kind::Notification(notification)) => {
                passes(notification).then_some(passage)
            }
            // The hub has said so itself; and it has passed on no request of the child's that could be answered.
            (PassageKind::Initialized | PassageKind::Response, _) => None,
            (PassageKind::Request | PassageKind::Cancellation | PassageKind::Notification, _) => {
                self.lose(view, passage)
            }
        }
    }

    /// A message that cannot be told to the child.
    fn lose(&self, view: ViewId, passage: Passage) -> Option<Passage> {
        if let (PassageKind::Request, Some(key)) = (passage.kind, passage.key) {
            let departure = passage.departure;
            self.lock().fail(view, Asked { key, departure }, LOST);
        }
        None
    }

    fn request(
        &self,
        view: ViewId,
        passage: Passage,
        message: &Message<'_>,
        request: &Request<'_>,
        greeting: &Greeting,
    ) -> Option<Passage> {
        let key = passage.key.clone()?;
        let id = self.mint();
        let token = request
            .params
            .as_ref()
            .and_then(|params| progress_token(params).ok().flatten())
            .map(|token| token.0);
        let Ok(bytes) = self.renamed(message, &id, token.is_some()) else {
            return self.lose(view, passage);
        };
        // Called back by its session, which has told its client.
        if !passage.departure.leave() {
            return None;
        }
        let asked = Asked {
            key,
            departure: passage.departure.clone(),
        };
        let purpose = match self.course(view, request, &passage, greeting) {
            Course::On(purpose) => purpose,
            Course::Answer(bytes, status) => {
                self.answer(view, asked, bytes, status);
                return None;
            }
        };
        let waiting = Waiting {
            view,
            asked,
            token,
            purpose,
        };
        let mut state = self.lock();
        if !state.begin(id.clone(), waiting) {
            // It has gone meanwhile, and wants to hear of nothing any more.
            state.interest.leave(view);
            return None;
        }
        // It is sent, and known to have been, once the child's writer takes it.
        Some(Passage {
            trace: passage.trace,
            ..Passage::request(bytes, id, Departure::default())
        })
    }

    /// A request under an id of the hub's, which is its progress token too, where it has one.
    fn renamed(&self, message: &Message<'_>, id: &IdKey, has_token: bool) -> Result<Bytes, SpliceError> {
        let mut splice = Splice::new(message).id(id)?;
        if has_token {
            splice = splice.progress_token(Some(id))?;
        }
        splice.finish(&self.settings.bounds).map(Bytes::from)
    }

    fn answer(&self, view: ViewId, to: Asked, bytes: Bytes, status: u16) {
        self.lock().give(view, Item::Answer { to, bytes, status });
    }

    /// Whether a request goes on, and what as.
    fn course(&self, view: ViewId, request: &Request<'_>, passage: &Passage, greeting: &Greeting) -> Course {
        if let Some(answer) = self.task_refused(view, request, passage) {
            return answer;
        }
        match greeting {
            Greeting::Modern => match request.method.as_ref() {
                // Its session then asks for the other era.
                method::INITIALIZE => no_method(request),
                method::SUBSCRIPTIONS_LISTEN => Course::On(Purpose::Listen),
                _ => Course::On(Purpose::Plain),
            },
            Greeting::Legacy(legacy) => self.legacy_course(view, request, legacy),
        }
    }

    fn legacy_course(&self, view: ViewId, request: &Request<'_>, legacy: &Legacy) -> Course {
        let param = |name: &str| {
            let value = request.params.as_ref()?.get(name)?;
            value.as_str().map(std::borrow::Cow::into_owned)
        };
        match request.method.as_ref() {
            method::INITIALIZE => Course::Answer(result(request, &legacy.result), 200),
            method::SERVER_DISCOVER => no_method(request),
            method::RESOURCES_SUBSCRIBE => match param("uri") {
                Some(uri) if self.ask_for(view, &uri) => Course::On(Purpose::Subscribe(uri)),
                Some(_) => {
                    let text =
                        "this session has too many subscriptions; give some up before you ask for more";
                    Course::Answer(answer::error(request.id.raw(), -32_603, text), 200)
                }
                None => Course::On(Purpose::Plain),
            },
            method::RESOURCES_UNSUBSCRIBE => match param("uri") {
                Some(uri) if self.lock().interest.give_up(view, &uri) == Others::Some => {
                    Course::Answer(result(request, "{}"), 200)
                }
                Some(_) | None => Course::On(Purpose::Plain),
            },
            method::LOGGING_SET_LEVEL if legacy.logs => match Gravity::known(param("level").as_deref()) {
                Some(level) => self.level_course(view, request, level),
                None => Course::On(Purpose::Plain),
            },
            _ => Course::On(Purpose::Plain),
        }
    }

    /// Notes that a session asks for a resource; false where it has too many, or has gone.
    fn ask_for(&self, view: ViewId, uri: &str) -> bool {
        let mut state = self.lock();
        state.has(view) && state.interest.ask(view, uri)
    }

    fn level_course(&self, view: ViewId, request: &Request<'_>, level: Gravity) -> Course {
        let change = {
            let mut state = self.lock();
            // One that has gone sets nothing any more.
            if state.has(view) {
                state.interest.set_level(view, level)
            } else {
                Change::None
            }
        };
        if let Change::Other(lowest) = change {
            self.say_level(lowest);
        }
        match change {
            Change::Own => Course::On(Purpose::Level),
            Change::None | Change::Other(_) => Course::Answer(result(request, "{}"), 200),
        }
    }

    /// The answer to a request for a task of another caller's.
    fn task_refused(&self, view: ViewId, request: &Request<'_>, passage: &Passage) -> Option<Course> {
        let may_ask = {
            let state = self.lock();
            state
                .owner(view)
                .is_none_or(|owner| state.tasks.may_ask(owner, request))
        };
        if may_ask {
            return None;
        }
        let text = "no call of yours has made such a task since the server was started; ask for your own tasks by their ids";
        let refusal = refusal(Reason::TaskNotFound, text);
        let (bytes, status) = task_error(request, &refusal, passage.style);
        Some(Course::Answer(bytes, status))
    }

    fn cancel(&self, view: ViewId, passage: &Passage, message: &Message<'_>) -> Option<Passage> {
        let id = self.lock().cancel(view, passage.key.as_ref()?)?;
        let spliced = Splice::new(message)
            .cancel_target(&id)
            .and_then(|splice| splice.finish(&self.settings.bounds));
        Some(Passage::cancellation(spliced.ok()?.into(), id))
    }
}

/// Whether what a session says goes on as it is. What concerns a request of the child's does not: the hub has
/// answered those.
fn passes(notification: &Notification<'_>) -> bool {
    !matches!(
        notification.method.as_ref(),
        method::NOTIFICATIONS_ROOTS_LIST_CHANGED
            | method::NOTIFICATIONS_PROGRESS
            | method::NOTIFICATIONS_CANCELLED
            | method::NOTIFICATIONS_INITIALIZED
    ) && !notification.method.starts_with("notifications/tasks")
}

fn result(request: &Request<'_>, result: &str) -> Bytes {
    let id = request.id.raw();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into()
}

fn no_method(request: &Request<'_>) -> Course {
    let text = "this server is of the other era";
    Course::Answer(answer::error(request.id.raw(), -32_601, text), 200)
}
