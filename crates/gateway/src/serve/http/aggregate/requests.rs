//! From the client: which server a message is for, and the message as that server knows it.

use super::asking::{ask, gather};
use super::greeting::result;
use super::names::Names;
use super::part::{Part, set_level};
use super::whole::Whole;
use crate::answer;
use crate::link::Style;
use crate::recorder::Refused;
use crate::serve::http::carry_out;
use crate::session::{Entry, Lineage, Session, protocol_meta, refusal, task_error};
use crate::sink::{BatchJoin, Outbound, Sink, object};
use crate::traces::Subject as TraceSubject;
use bytes::Bytes;
use callgate_core::decide::unlisted;
use callgate_core::name::ServerName;
use callgate_core::refusal::{Reason, Refusal};
use callgate_wire::aggregate::{ListOf, Named, SEPARATOR, Shape, Subject, read_name, read_task, read_uri};
use callgate_wire::mcp::{Era, ToolCall, method};
use callgate_wire::splice::{Param, Splice, SpliceError};
use callgate_wire::trace::Carried;
use callgate_wire::{Decoded, Kind, Malformed, Message, Request, decode, quoted};
use futures_util::future::{BoxFuture, join_all};
use std::sync::Arc;
use tokio::sync::mpsc;

const INVALID_PARAMS: i32 = -32_602;
const METHOD_NOT_FOUND: i32 = -32_601;
const INTERNAL: i32 = -32_603;
/// MCP's code for a resource that there is not, before 2026-07-28.
const NO_RESOURCE: i32 = -32_002;

/// What a body asks for.
pub(super) struct Errand {
    /// How many answers the client will get.
    pub(super) due: usize,
    pub(super) work: BoxFuture<'static, ()>,
}

/// Whose the subject of a request is.
enum Whose {
    Part(Arc<Part>, Own),
    Nobody,
}

/// What the server itself knows a subject by.
enum Own {
    Told(Box<str>),
    /// Its list says it, under the name that the client knows.
    Listed(ListOf),
}

/// How a refusal is worded for a request.
#[derive(Clone, Copy)]
enum Form {
    ToolResult,
    Error,
}

impl Whole {
    /// Takes one body from the client.
    pub(super) fn accept(
        self: &Arc<Self>,
        unit: &Bytes,
        decoded: Result<Decoded<'_>, Malformed>,
        sender: &mpsc::Sender<Outbound>,
        entry: &Entry,
    ) -> Errand {
        let sink = Sink::Shared(sender.clone());
        match decoded {
            Err(cause) => {
                let recorder = &self.house.recorder;
                recorder.stray_malformed(self.house.sender(self.id()), &cause, unit.len());
                let bytes = answer::malformed(&cause);
                Errand {
                    due: 1,
                    work: Box::pin(async move { sink.send(bytes, 400).await }),
                }
            }
            Ok(Decoded::Single(message)) => self.accept_one(unit, &message, &sink, entry),
            Ok(Decoded::Batch(messages)) if self.version().has_batches() => {
                let is_request = |message: &&Message<'_>| matches!(message.kind(), Kind::Request(_));
                let due = messages.iter().filter(is_request).count();
                let joined = Sink::Batch(Arc::new(BatchJoin::new(sender.clone(), due)));
                let sink = if due > 0 { joined } else { sink };
                let works: Vec<_> = messages
                    .iter()
                    .map(|message| self.accept_one(unit, message, &sink, entry).work)
                    .collect();
                let work = Box::pin(async move { drop(join_all(works).await) });
                Errand { due, work }
            }
            Ok(Decoded::Batch(_)) => {
                let text = "this version of the protocol has no batches; send each message alone";
                self.record(&refusal(Reason::BatchNotAllowed, text), "batch", None);
                let bytes = answer::error("null", -32_600, text);
                Errand {
                    due: 1,
                    work: answered(&sink, bytes, 200),
                }
            }
        }
    }

    fn accept_one(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        sink: &Sink,
        entry: &Entry,
    ) -> Errand {
        match message.kind() {
            Kind::Request(request) => Errand {
                due: 1,
                work: self.accept_request(unit, message, request, sink, entry),
            },
            Kind::Notification(notification) => Errand {
                due: 0,
                work: self.accept_notification(unit, message, notification),
            },
            Kind::Response(response) => Errand {
                due: 0,
                work: self.accept_response(message, response),
            },
        }
    }

    fn accept_request(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        request: &Request<'_>,
        sink: &Sink,
        entry: &Entry,
    ) -> BoxFuture<'static, ()> {
        let asked = request.method.as_ref();
        match (asked, self.era()) {
            (method::PING, Era::Legacy) => return answered(sink, result(request.id.raw(), "{}"), 200),
            (method::LOGGING_SET_LEVEL, Era::Legacy) => return self.set_level(request, sink),
            (method::SERVER_DISCOVER, Era::Modern) => return self.discover(request, sink),
            (method::SUBSCRIPTIONS_LISTEN, Era::Modern) => return self.listen(message, request, sink),
            (method::TASKS_LIST, Era::Modern) => {}
            _ => {
                if let Some(list) = ListOf::of(asked) {
                    return self.list(list, request, sink);
                }
            }
        }
        match Subject::of(request) {
            Ok(Some(subject)) => self.route(unit, message, request, &subject, sink, entry),
            Ok(None) => {
                let status = match self.era() {
                    Era::Legacy => 200,
                    Era::Modern => 404,
                };
                let text =
                    "there is no such method for all servers together; some have a method at /mcp/SERVER";
                let bytes = answer::error(request.id.raw(), METHOD_NOT_FOUND, text);
                answered(sink, bytes, status)
            }
            Err(cause) => {
                if asked == method::TOOLS_CALL {
                    let (cause, length) = (Malformed::BadToolName, message.raw().len());
                    let sender = self.house.sender(self.id());
                    self.house.recorder.stray_malformed(sender, &cause, length);
                }
                let bytes = answer::error(request.id.raw(), INVALID_PARAMS, &cause.to_string());
                answered(sink, bytes, 200)
            }
        }
    }

    /// A request for one server. Where that is there, the request is judged before this returns.
    fn route(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        request: &Request<'_>,
        subject: &Subject<'_>,
        sink: &Sink,
        entry: &Entry,
    ) -> BoxFuture<'static, ()> {
        match self.whose(subject, &request.method) {
            Whose::Nobody => {
                let (bytes, status) = self.unknown(request, subject, entry);
                answered(sink, bytes, status)
            }
            Whose::Part(part, Own::Told(own)) => match part.at_hand() {
                Some(session) => hand_over(&session, &part, message, request, subject, &own, sink, entry),
                None => self.route_later(unit.slice_ref(message.raw()), sink, entry),
            },
            Whose::Part(_, Own::Listed(_)) => self.route_later(unit.slice_ref(message.raw()), sink, entry),
        }
    }

    /// As [`Whole::route`], once the server, or its list, is there.
    fn route_later(self: &Arc<Self>, raw: Bytes, sink: &Sink, entry: &Entry) -> BoxFuture<'static, ()> {
        let (whole, sink, entry) = (Arc::clone(self), sink.clone(), entry.clone());
        Box::pin(async move {
            let bounds = whole.settings().bounds;
            // It was decoded before, and so it is decoded again.
            let Ok(Decoded::Single(message)) = decode(&raw, &bounds) else {
                return;
            };
            let Kind::Request(request) = message.kind() else {
                return;
            };
            let Ok(Some(subject)) = Subject::of(request) else {
                return;
            };
            let Whose::Part(part, own) = whole.whose(&subject, &request.method) else {
                let (bytes, status) = whole.unknown(request, &subject, &entry);
                return sink.send(bytes, status).await;
            };
            let key = request.id.key();
            if !whole.waits(key) {
                let text = "a request with this id is still in flight";
                let refused =
                    whole.refused(&part, request, &entry, &refusal(Reason::IdInFlight, text), "null");
                return sink.answer(refused).await;
            }
            let found = whole.find(&part, &own, &subject, request, &sink).await;
            if !whole.waits_no_more(key) {
                return sink.forgo();
            }
            match found {
                Ok(Some((session, own))) => {
                    hand_over(&session, &part, &message, request, &subject, &own, &sink, &entry).await;
                }
                Ok(None) => {
                    let (bytes, status) = whole.unknown(request, &subject, &entry);
                    sink.send(bytes, status).await;
                }
                Err(why) => {
                    let text = format!("the server `{}` is not there: {why}", part.prefix().server());
                    let refusal = refusal(Reason::UpstreamUnreachable, &text);
                    let refused = whole.refused(&part, request, &entry, &refusal, request.id.raw());
                    sink.answer(refused).await;
                }
            }
        })
    }

    /// The session with a server, and the server's own name of a subject; `None` where it has none.
    async fn find(
        self: &Arc<Self>,
        part: &Arc<Part>,
        own: &Own,
        subject: &Subject<'_>,
        request: &Request<'_>,
        sink: &Sink,
    ) -> Result<Option<(Arc<Session>, Box<str>)>, Arc<str>> {
        let session = part.seat(self).await?.session;
        let own = match (own, subject) {
            (Own::Told(own), _) => Some(own.clone()),
            (Own::Listed(list), Subject::Name(name) | Subject::PromptRef(name)) => {
                let meta = match self.era() {
                    Era::Modern => protocol_meta(request.params.as_ref()),
                    Era::Legacy => None,
                };
                self.own_of_long(part, &session, *list, name, meta.as_deref(), sink)
                    .await
            }
            (Own::Listed(_), Subject::Uri(_) | Subject::Task(_) | Subject::ResourceRef(_)) => None,
        };
        Ok(own.map(|own| (session, own)))
    }

    fn whose(&self, subject: &Subject<'_>, asked: &str) -> Whose {
        let list = if asked == method::TOOLS_CALL {
            ListOf::Tools
        } else {
            ListOf::Prompts
        };
        let found = match subject {
            Subject::Name(name) | Subject::PromptRef(name) => match read_name(name) {
                Named::Plain { server, own } => Some((server, Own::Told(own.into()))),
                Named::Perhaps { server, .. } => Some((server, Own::Listed(list))),
                Named::Nobody => None,
            },
            Subject::Uri(uri) | Subject::ResourceRef(uri) => {
                read_uri(uri).map(|(server, own)| (server, Own::Told(own.into())))
            }
            Subject::Task(task) => read_task(task).map(|(server, own)| (server, Own::Told(own.into()))),
        };
        let part = found.and_then(|(server, own)| Some((self.part(server)?, own)));
        part.map_or(Whose::Nobody, |(part, own)| Whose::Part(part, own))
    }

    /// What is said of a subject that no server of the caller's has, and the status of HTTP that goes with it.
    fn unknown(&self, request: &Request<'_>, subject: &Subject<'_>, entry: &Entry) -> (Bytes, u16) {
        let id = request.id.raw();
        match subject {
            Subject::Name(name) if request.method == method::TOOLS_CALL => {
                // As of a tool that one of the servers does not list.
                let own = name.split_once(SEPARATOR).map_or(&**name, |(_, own)| own);
                let refusal = unlisted(own);
                self.record(&refusal, &request.method, Some(name));
                self.trace(None, request, entry, &refusal);
                (self.worded(request, &refusal, id), 200)
            }
            Subject::Name(_) | Subject::PromptRef(_) => {
                let refusal = refusal(Reason::NotListed, "there is no such prompt");
                self.record(&refusal, &request.method, None);
                self.trace(None, request, entry, &refusal);
                (answer::error(id, INVALID_PARAMS, "there is no such prompt"), 200)
            }
            Subject::Uri(uri) | Subject::ResourceRef(uri) => {
                let code = match self.era() {
                    Era::Legacy => NO_RESOURCE,
                    Era::Modern => INVALID_PARAMS,
                };
                let text = "there is no such resource";
                let refusal = refusal(Reason::NotListed, text);
                self.record(&refusal, &request.method, None);
                self.trace(None, request, entry, &refusal);
                let data = object(&[("uri", &quoted(uri))]);
                (answer::error_with_data(id, code, text, Some(&data)), 200)
            }
            Subject::Task(_) => {
                let refusal = refusal(Reason::TaskNotFound, "no call of yours has made such a task");
                self.record(&refusal, &request.method, None);
                self.trace(None, request, entry, &refusal);
                let style = match self.era() {
                    Era::Legacy => Style::Plain,
                    Era::Modern => Style::Modern,
                };
                task_error(request, &refusal, style)
            }
        }
    }

    fn record(&self, refusal: &Refusal, asked: &str, tool: Option<&str>) {
        let refused = Refused {
            method: asked,
            tool,
            arguments: None,
        };
        let sender = self.house.sender(self.id());
        self.house.recorder.stray_refusal(sender, refusal, refused);
    }

    /// Tells of a request that is refused before it comes to a session.
    fn trace(&self, server: Option<&ServerName>, request: &Request<'_>, entry: &Entry, refusal: &Refusal) {
        let (Some(tracer), Lineage::Client(heard)) = (self.house.recorder.tracer(), &entry.lineage) else {
            return;
        };
        let subject = TraceSubject {
            method: &request.method,
            tool: None,
            version: Some(self.version()),
            server,
            grant: &self.house.caller.grant,
            transport: None,
        };
        let carried = Carried::in_meta(request);
        let begun = tracer.begin(subject, carried, heard.as_ref(), entry.received);
        if let Some(trace) = begun.and_then(|begun| begun.trace) {
            trace.denied(refusal);
        }
    }

    /// A refusal for want of a server, recorded as that server's.
    fn refused(
        &self,
        part: &Part,
        request: &Request<'_>,
        entry: &Entry,
        refusal: &Refusal,
        id: &str,
    ) -> Bytes {
        let gate = part.mount().gate();
        self.trace(Some(&gate.server), request, entry, refusal);
        let tool = ToolCall::from_request(request).ok().flatten();
        let own = tool.as_ref().and_then(|call| match read_name(&call.name) {
            Named::Plain { own, .. } => Some(own),
            Named::Perhaps { rest, .. } => Some(rest),
            Named::Nobody => None,
        });
        let asked = Refused {
            method: &request.method,
            tool: own,
            arguments: None,
        };
        gate.recorder().refusal(gate, self.id(), refusal, asked);
        self.worded(request, refusal, id)
    }

    fn worded(&self, request: &Request<'_>, refusal: &Refusal, id: &str) -> Bytes {
        match form_of(request, refusal) {
            Form::ToolResult => answer::denial(id, refusal, self.era()),
            Form::Error => answer::refusal_error(id, refusal),
        }
    }

    /// Which log messages the client wants: each server that has such is told.
    fn set_level(self: &Arc<Self>, request: &Request<'_>, sink: &Sink) -> BoxFuture<'static, ()> {
        let level = request.params.as_ref().and_then(|params| params.get("level"));
        let Some(level) = level.filter(|level| level.as_str().is_some()) else {
            let bytes = answer::error(request.id.raw(), INVALID_PARAMS, "`level` is missing");
            return answered(sink, bytes, 200);
        };
        self.keep_level(level.text());
        let (whole, sink) = (Arc::clone(self), sink.clone());
        let (id, level): (Box<str>, Arc<str>) = (request.id.raw().into(), level.text().into());
        Box::pin(async move {
            let asked = |part: Arc<Part>| {
                let (whole, level, sink) = (Arc::clone(&whole), Arc::clone(&level), sink.clone());
                async move {
                    let seat = part.seat(&whole).await.ok()?;
                    if seat.offer.has(super::offer::Feature::Logging) {
                        let meant = set_level(&seat.session, &level);
                        ask(&seat.session, part.prefix(), &meant, &sink).await?;
                    }
                    Some(())
                }
            };
            gather(&whole, whole.parts(), asked).await;
            sink.answer(result(&id, "{}")).await;
        })
    }
}

/// Hands a request over to the session with its server, which judges it before this returns.
#[expect(
    clippy::too_many_arguments,
    reason = "a request, where it goes, and where its answer goes"
)]
fn hand_over(
    session: &Arc<Session>,
    part: &Part,
    message: &Message<'_>,
    request: &Request<'_>,
    subject: &Subject<'_>,
    own: &str,
    sink: &Sink,
    entry: &Entry,
) -> BoxFuture<'static, ()> {
    let bounds = session.gate().settings.bounds;
    let lost = || {
        let text = "the message could not be re-addressed";
        answered(sink, answer::error(request.id.raw(), INTERNAL, text), 200)
    };
    let Ok((bytes, check)) = addressed(message, subject, own).and_then(Splice::apply) else {
        return lost();
    };
    let bytes = Bytes::from(bytes);
    let Ok(decoded) = check.read(&bytes, &bounds) else {
        return lost();
    };
    let names = Names::new(part.prefix().clone(), Shape::of(&request.method), bounds);
    let sink = names.to(sink.clone());
    let intake = session.accept_decoded(&bytes, Ok(decoded), &sink, entry);
    Box::pin(carry_out(Arc::clone(session), intake))
}

/// A request under the server's own name of its subject.
fn addressed<'m, 'a>(
    message: &'m Message<'a>,
    subject: &Subject<'_>,
    own: &str,
) -> Result<Splice<'m, 'a>, SpliceError> {
    let splice = Splice::new(message);
    match subject {
        Subject::Name(_) => splice.param(Param::Name, own),
        Subject::Uri(_) => splice.param(Param::Uri, own),
        Subject::Task(_) => splice.param(Param::TaskId, own),
        Subject::PromptRef(_) | Subject::ResourceRef(_) => splice.reference(own),
    }
}

/// A tool call is answered by a tool result, unless it asks for a task, or its id is another's.
fn form_of(request: &Request<'_>, refusal: &Refusal) -> Form {
    match ToolCall::from_request(request) {
        Ok(Some(call)) if !call.has_task && refusal.reason != Reason::IdInFlight => Form::ToolResult,
        Ok(_) | Err(_) => Form::Error,
    }
}

pub(super) fn answered(sink: &Sink, bytes: Bytes, status: u16) -> BoxFuture<'static, ()> {
    let sink = sink.clone();
    Box::pin(async move { sink.send(bytes, status).await })
}
