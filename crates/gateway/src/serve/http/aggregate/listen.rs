//! `subscriptions/listen` to all servers: one stream of several.

use super::names::Names;
use super::part::Part;
use super::requests::answered;
use super::tide::Since;
use super::whole::Whole;
use crate::answer;
use crate::serve::http::{QUEUE_MAX, carry_out};
use crate::session::{Entry, Session};
use crate::sink::{Outbound, Sink, object};
use bytes::Bytes;
use callgate_wire::aggregate::{Shape, read_task, read_uri};
use callgate_wire::mcp::{META_SUBSCRIPTION_ID, method};
use callgate_wire::splice::Splice;
use callgate_wire::{Bounds, Decoded, Kind, Message, Object, Payload, RawJson, Request, decode, quoted};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

const INVALID_PARAMS: i32 = -32_602;
/// How long servers may take to acknowledge before the client is told of those that have.
const ACKNOWLEDGE_MAX: Duration = Duration::from_secs(5);
/// Messages that are held back until then.
const HELD_MAX: usize = QUEUE_MAX;
/// What is told of lists, by the key that asks for it.
const LISTS: [(&str, &str); 3] = [
    ("toolsListChanged", method::NOTIFICATIONS_TOOLS_LIST_CHANGED),
    ("promptsListChanged", method::NOTIFICATIONS_PROMPTS_LIST_CHANGED),
    (
        "resourcesListChanged",
        method::NOTIFICATIONS_RESOURCES_LIST_CHANGED,
    ),
];
/// What lists what it is about, by server.
const BY_URI: &str = "resourceSubscriptions";
const BY_TASK: &str = "taskIds";

/// A subscription to several servers.
struct Listening {
    id: Box<str>,
    sink: Sink,
    /// What servers send before their answers, under the names of the whole.
    messages: mpsc::Receiver<Outbound>,
    /// Their answers, with which their streams end.
    answers: mpsc::Receiver<Outbound>,
    /// Servers that have not answered.
    open: usize,
    /// Servers that have neither acknowledged nor answered.
    due: usize,
    granted: Granted,
    held: Vec<Bytes>,
    bounds: Bounds,
    /// Since when the servers are these.
    since: Since,
}

/// What servers have acknowledged: raw JSON by key, and lists joined.
#[derive(Debug, Default)]
struct Granted {
    plain: BTreeMap<String, String>,
    lists: BTreeMap<&'static str, Vec<String>>,
}

impl Whole {
    /// Opens the stream of a subscription.
    pub(super) fn listen(
        self: &Arc<Self>,
        message: &Message<'_>,
        request: &Request<'_>,
        sink: &Sink,
    ) -> BoxFuture<'static, ()> {
        let params = request.params.as_ref();
        let filter = params.and_then(|params| params.get("notifications")?.as_object());
        // In this place it could not be said which server a task is of.
        let has_tasks_beside = params.is_some_and(|params| params.get(BY_TASK).is_some());
        let Some(filter) = filter.filter(|_| !has_tasks_beside) else {
            let text = "`notifications` has to say what to be told of";
            return answered(sink, answer::error(request.id.raw(), INVALID_PARAMS, text), 200);
        };
        let since = self.house.tide.since();
        let (to, messages) = mpsc::channel(QUEUE_MAX);
        let (end, answers) = mpsc::channel(QUEUE_MAX);
        let mut begun = Vec::new();
        for part in self.parts() {
            let own = filter_of(&filter, part.prefix().server());
            let (Some(own), Some(session)) = (own, part.at_hand()) else {
                continue;
            };
            begun.extend(begin(&session, &part, message, &own, (&to, &end)));
        }
        drop((to, end));
        let listening = Listening {
            id: request.id.raw().into(),
            sink: sink.clone(),
            messages,
            answers,
            open: begun.len(),
            due: begun.len(),
            granted: Granted::default(),
            held: Vec::new(),
            bounds: self.settings().bounds,
            since,
        };
        Box::pin(async move {
            for work in begun {
                tokio::spawn(work);
            }
            listening.run().await;
        })
    }
}

/// Subscribes at one server, by the client's own request.
fn begin(
    session: &Arc<Session>,
    part: &Part,
    message: &Message<'_>,
    filter: &str,
    (to, end): (&mpsc::Sender<Outbound>, &mpsc::Sender<Outbound>),
) -> Option<BoxFuture<'static, ()>> {
    let bounds = session.gate().settings.bounds;
    let filter = RawJson::read(filter.as_bytes(), &bounds).ok()?;
    let spliced = Splice::new(message).listen_filter(filter).ok()?.finish(&bounds);
    let bytes = Bytes::from(spliced.ok()?);
    let names = Names::new(part.prefix().clone(), Shape::Other, bounds);
    let sink = names.but_answers(Sink::Shared(to.clone()), end.clone());
    let intake = session.accept_decoded(&bytes, decode(&bytes, &bounds), &sink, &Entry::own());
    Some(Box::pin(carry_out(Arc::clone(session), intake)))
}

/// What a server is to tell of what the client wants to be told of; `None` where that is nothing.
fn filter_of(filter: &Object<'_>, server: &str) -> Option<String> {
    let mut members: Vec<(&str, String)> = Vec::new();
    for (key, value) in filter.iter() {
        let read = match key {
            BY_URI => read_uri,
            BY_TASK => read_task,
            _ => {
                members.push((key, value.text().to_owned()));
                continue;
            }
        };
        let own: Vec<String> = value
            .as_array()
            .unwrap_or_default()
            .iter()
            .filter_map(|named| named.as_str())
            .filter_map(|named| {
                let (named_server, own) = read(&named)?;
                (named_server == server).then(|| quoted(own))
            })
            .collect();
        if !own.is_empty() {
            members.push((key, format!("[{}]", own.join(","))));
        }
    }
    let borrowed: Vec<(&str, &str)> = members
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    (!borrowed.is_empty()).then(|| object(&borrowed))
}

impl Listening {
    async fn run(mut self) {
        let at = Instant::now() + ACKNOWLEDGE_MAX;
        while self.due > 0 && self.held.len() < HELD_MAX {
            tokio::select! {
                biased;
                () = self.sink.closed() => return,
                Some(message) = self.messages.recv() => self.take_early(message.bytes),
                Some(answer) = self.answers.recv() => {
                    self.due = self.due.saturating_sub(1);
                    self.open = self.open.saturating_sub(1);
                    if self.open == 0 {
                        return self.end(&answer).await;
                    }
                }
                () = self.since.over() => break,
                () = sleep_until(at) => break,
            }
        }
        self.sink.offer(self.acknowledgement()).await;
        for held in std::mem::take(&mut self.held) {
            self.sink.offer(held).await;
        }
        loop {
            tokio::select! {
                biased;
                () = self.sink.closed() => return,
                () = self.since.over() => return self.end_for_others().await,
                Some(message) = self.messages.recv() => {
                    if self.acknowledged(&message.bytes).is_none() {
                        self.sink.offer(message.bytes).await;
                    }
                }
                Some(answer) = self.answers.recv() => {
                    self.open = self.open.saturating_sub(1);
                    if self.open == 0 {
                        return self.end(&answer).await;
                    }
                }
            }
        }
    }

    /// Before the client is told that it is listened for.
    fn take_early(&mut self, message: Bytes) {
        match self.acknowledged(&message) {
            Some(granted) => {
                self.due = self.due.saturating_sub(1);
                self.granted.join(granted);
            }
            None => self.held.push(message),
        }
    }

    /// What a server acknowledges, where that is what it says.
    fn acknowledged(&self, message: &[u8]) -> Option<Granted> {
        let Ok(Decoded::Single(message)) = decode(message, &self.bounds) else {
            return None;
        };
        let Kind::Notification(told) = message.kind() else {
            return None;
        };
        if told.method != method::NOTIFICATIONS_SUBSCRIPTIONS_ACKNOWLEDGED {
            return None;
        }
        let granted = told
            .params
            .as_ref()
            .and_then(|params| params.get("notifications")?.as_object());
        Some(granted.as_ref().map(Granted::of).unwrap_or_default())
    }

    fn acknowledgement(&self) -> Bytes {
        let meta = object(&[(META_SUBSCRIPTION_ID, &self.id)]);
        let params = object(&[("_meta", &meta), ("notifications", &self.granted.to_json())]);
        let method = quoted(method::NOTIFICATIONS_SUBSCRIPTIONS_ACKNOWLEDGED);
        object(&[("jsonrpc", "\"2.0\""), ("method", &method), ("params", &params)]).into()
    }

    /// The last server has ended its stream. An error of the only one that was there is the client's to know.
    async fn end(&self, last: &Outbound) {
        let is_error = matches!(
            decode(&last.bytes, &self.bounds),
            Ok(Decoded::Single(message))
                if matches!(message.kind(), Kind::Response(response) if matches!(response.payload, Payload::Error(_)))
        );
        if is_error && self.granted.is_empty() {
            return self.sink.send(last.bytes.clone(), last.status).await;
        }
        self.over().await;
    }

    /// There are other servers: lists are not what they were, and what other servers would grant is for the client to
    /// ask for. It finds them when it listens anew.
    async fn end_for_others(&self) {
        let meta = object(&[(META_SUBSCRIPTION_ID, &self.id)]);
        let params = object(&[("_meta", &meta)]);
        for (key, changed) in LISTS {
            if self.granted.plain.get(key).is_some_and(|value| value == "true") {
                let told = [
                    ("jsonrpc", "\"2.0\""),
                    ("method", &*quoted(changed)),
                    ("params", &*params),
                ];
                self.sink.offer(object(&told).into()).await;
            }
        }
        self.over().await;
    }

    /// Ends the stream, as one that has served its time.
    async fn over(&self) {
        let meta = object(&[(META_SUBSCRIPTION_ID, &self.id)]);
        let result = object(&[("resultType", "\"complete\""), ("_meta", &meta)]);
        let ended = super::greeting::result(&self.id, &result);
        self.sink.answer(ended).await;
    }
}

impl Granted {
    fn of(granted: &Object<'_>) -> Self {
        let mut own = Self::default();
        for (key, value) in granted.iter() {
            let list = [BY_URI, BY_TASK].into_iter().find(|list| *list == key);
            match list {
                Some(list) => {
                    let named = value.as_array().unwrap_or_default();
                    let named = named.iter().map(|named| named.text().to_owned());
                    own.lists.insert(list, named.collect());
                }
                None => {
                    own.plain.insert(key.to_owned(), value.text().to_owned());
                }
            }
        }
        own
    }

    /// What one of them grants is granted.
    fn join(&mut self, other: Self) {
        for (key, value) in other.plain {
            let known = self.plain.entry(key).or_insert_with(|| value.clone());
            if known == "false" {
                *known = value;
            }
        }
        for (list, named) in other.lists {
            self.lists.entry(list).or_default().extend(named);
        }
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.lists.is_empty()
    }

    fn to_json(&self) -> String {
        let lists = self
            .lists
            .iter()
            .map(|(key, named)| (*key, format!("[{}]", named.join(","))));
        let plain = self
            .plain
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()));
        let members: Vec<(&str, String)> = plain.chain(lists).collect();
        let borrowed: Vec<(&str, &str)> = members
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        object(&borrowed)
    }
}
