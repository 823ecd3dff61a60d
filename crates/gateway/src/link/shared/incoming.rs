//! What a shared child says: handed to the session that it is meant for, or to nobody.

use super::ViewId;
use super::inbox::Item;
use super::process::{Matched, Open, Process, Purpose, State, Waiting};
use crate::answer;
use crate::gravity::Gravity;
use crate::link::child::Audience;
use crate::settings::Settings;
use bytes::Bytes;
use callgate_core::name::ServerName;
use callgate_core::refusal::Reason;
use callgate_wire::mcp::{CancelTarget, META_SUBSCRIPTION_ID, method, progress_notification};
use callgate_wire::splice::{Splice, SpliceError};
use callgate_wire::{
    Decoded, IdKey, Kind, Malformed, Message, Notification, Payload, RawJson, Request, Response, decode,
};
use std::sync::Arc;

impl Audience for Arc<Process> {
    fn server(&self) -> &ServerName {
        &self.server
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    async fn hear(&self, line: Bytes) {
        self.take_in(&line);
    }

    async fn hear_too_much(&self) {
        self.take_too_much();
    }

    async fn lose(&self) {
        self.lose_child();
    }
}

impl Process {
    fn take_in(&self, line: &Bytes) {
        let decoded = match decode(line, &self.settings.bounds) {
            Ok(decoded) => decoded,
            Err(cause) => return self.noise(&cause, line.len()),
        };
        let messages = match decoded {
            Decoded::Single(message) => vec![message],
            Decoded::Batch(messages) => messages,
        };
        for message in &messages {
            match message.kind() {
                Kind::Response(response) => self.on_response(line, message, response),
                Kind::Notification(notification) => self.on_notification(line, message, notification),
                Kind::Request(request) => self.on_request(request),
            }
        }
    }

    fn noise(&self, cause: &Malformed, length: usize) {
        tracing::warn!(server = %self.server, %cause, bytes = length, "dropped what the server sent");
        self.recorder.unread_of(&self.server, cause, length);
    }

    /// A line beyond the bound. Which request it answered cannot be told without reading it, unless only one waits.
    fn take_too_much(&self) {
        let bytes_max = self.settings.bounds.message_bytes_max;
        let cause = Malformed::TooLarge {
            bytes: bytes_max.saturating_add(1),
            bytes_max,
        };
        self.noise(&cause, bytes_max);
        let mut state = self.lock();
        let Some(id) = state.only_waiting().cloned() else {
            return;
        };
        if let Matched::Open(Open::Of(waiting)) = state.take(&id) {
            let item = Item::Failed {
                asked: waiting.asked,
                reason: Reason::TooLarge,
                text: "the server's answer was larger than a message may be; the call has run",
            };
            state.give(waiting.view, item);
        }
    }

    fn on_response(&self, line: &Bytes, message: &Message<'_>, response: &Response<'_>) {
        let matched = match &response.id {
            Some(id) => self.lock().take(id.key()),
            None => Matched::Nothing,
        };
        match matched {
            Matched::Open(Open::Own(answer)) => {
                // Nobody waits any more where it comes late.
                let _ = answer.send(line.slice_ref(message.raw()));
            }
            Matched::Open(Open::Of(waiting)) => self.on_answer(message, response, waiting),
            Matched::GivenUp(view, key) => {
                if let Ok(bytes) = self.under(message, &key, &Purpose::Plain) {
                    self.lock().give(view, Item::Late { key, bytes });
                }
            }
            Matched::Unheeded => {}
            Matched::Nothing => self.recorder.unmatched_of(&self.server, message.raw().len()),
        }
    }

    fn on_answer(&self, message: &Message<'_>, response: &Response<'_>, waiting: Waiting) {
        let Waiting {
            view,
            asked,
            purpose,
            token: _,
        } = waiting;
        let bytes = match self.under(message, &asked.key, &purpose) {
            Ok(bytes) => bytes,
            Err(_) => {
                let text = "the server's answer could not be re-addressed";
                answer::error(&asked.key.to_json(), -32_603, text)
            }
        };
        let mut state = self.lock();
        state.learn(view, response, &purpose);
        let status = 200;
        state.give(
            view,
            Item::Answer {
                to: asked,
                bytes,
                status,
            },
        );
    }

    /// An answer under the session's own id, as the id of a subscription that ends too.
    fn under(&self, message: &Message<'_>, key: &IdKey, purpose: &Purpose) -> Result<Bytes, SpliceError> {
        let mut splice = Splice::new(message).id(key)?;
        if *purpose == Purpose::Listen {
            splice = splice.result_meta(META_SUBSCRIPTION_ID, key)?;
        }
        splice.finish(&self.settings.bounds).map(Bytes::from)
    }

    fn on_notification(&self, line: &Bytes, message: &Message<'_>, notification: &Notification<'_>) {
        if notification.method == method::NOTIFICATIONS_TOOLS_LIST_CHANGED {
            // Calls are judged by a list that is read anew, whether their clients are told of it or not.
            let sessions = self.lock().sessions();
            sessions.iter().for_each(|session| session.forget_list());
        }
        if let Some(id) = subscription(notification) {
            return self.on_subscribed(message, &id);
        }
        let params = notification.params.as_ref();
        let param = |name: &str| params?.get(name)?.as_str();
        // A piece of a batch must not keep the rest of it.
        let as_it_is = || match message.raw() {
            whole if whole.len() == line.len() => line.clone(),
            piece => Bytes::copy_from_slice(piece),
        };
        match notification.method.as_ref() {
            method::NOTIFICATIONS_PROGRESS => {
                if let Ok(Some(token)) = progress_notification(notification) {
                    self.on_progress(message, &token.0);
                }
            }
            method::NOTIFICATIONS_CANCELLED => {
                if let Ok(Some(target)) = CancelTarget::from_notification(notification) {
                    self.on_cancelled(message, &target.0);
                }
            }
            method::NOTIFICATIONS_RESOURCES_UPDATED => {
                let Some(uri) = param("uri") else { return };
                let state = self.lock();
                state.tell(&state.interest.wanting(&uri), &as_it_is());
            }
            method::NOTIFICATIONS_TOOLS_LIST_CHANGED
            | method::NOTIFICATIONS_PROMPTS_LIST_CHANGED
            | method::NOTIFICATIONS_RESOURCES_LIST_CHANGED => {
                let state = self.lock();
                state.tell(&state.everyone(), &as_it_is());
            }
            method::NOTIFICATIONS_MESSAGE => {
                let level = Gravity::of(param("level").as_deref());
                let state = self.lock();
                let mut views = state.only_user();
                views.retain(|view| state.interest.wants(*view, level));
                state.tell(&views, &as_it_is());
            }
            method::NOTIFICATIONS_TASKS_STATUS | method::NOTIFICATIONS_TASKS => {
                let state = self.lock();
                let maker: Vec<ViewId> = state.tasks.maker(params).into_iter().collect();
                state.tell(&maker, &as_it_is());
            }
            _ => {
                let state = self.lock();
                state.tell(&state.only_user(), &as_it_is());
            }
        }
    }

    /// What bears the id of a subscription is for the session that has opened it.
    fn on_subscribed(&self, message: &Message<'_>, id: &IdKey) {
        let state = self.lock();
        let waiting = state
            .waiting(id)
            .filter(|waiting| waiting.purpose == Purpose::Listen);
        let Some(waiting) = waiting else { return };
        let own = waiting.asked.key.to_json();
        let renamed = RawJson::read(own.as_bytes(), &self.settings.bounds)
            .ok()
            .and_then(|own| {
                let splice = Splice::new(message).protocol_meta(META_SUBSCRIPTION_ID, Some(own));
                splice.ok()?.finish(&self.settings.bounds).ok()
            });
        if let Some(bytes) = renamed {
            state.tell(&[waiting.view], &bytes.into());
        }
    }

    /// Progress is for the session whose request is known by its token.
    fn on_progress(&self, message: &Message<'_>, token: &IdKey) {
        let state = self.lock();
        let waiting = state.waiting(token);
        let Some((waiting, own)) = waiting.and_then(|waiting| Some((waiting, waiting.token.as_ref()?)))
        else {
            return;
        };
        let renamed = Splice::new(message)
            .reported_progress_token(own)
            .and_then(|splice| splice.finish(&self.settings.bounds));
        if let Ok(bytes) = renamed {
            state.tell(&[waiting.view], &bytes.into());
        }
    }

    /// The child gives up a session's request, such as a subscription.
    fn on_cancelled(&self, message: &Message<'_>, target: &IdKey) {
        let state = self.lock();
        let Some(waiting) = state.waiting(target) else {
            return;
        };
        let renamed = Splice::new(message)
            .cancel_target(&waiting.asked.key)
            .and_then(|splice| splice.finish(&self.settings.bounds));
        if let Ok(bytes) = renamed {
            state.tell(&[waiting.view], &bytes.into());
        }
    }

    /// The child asks something. It does not say on behalf of which session, so none is asked.
    fn on_request(&self, request: &Request<'_>) {
        let id = request.id.raw();
        if request.method == method::PING {
            self.say(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
            return;
        }
        let text = "several clients share this server, so none of them can be asked";
        self.say(answer::error(id, -32_601, text));
    }
}

impl State {
    /// Notes what an answer says of what its session wants to hear of, and of tasks.
    fn learn(&mut self, view: ViewId, response: &Response<'_>, purpose: &Purpose) {
        match (purpose, &response.payload) {
            (Purpose::Subscribe(uri), Payload::Result(_)) => self.interest.agree(view, uri),
            (Purpose::Subscribe(uri), Payload::Error(_)) => self.interest.refuse(view, uri),
            (Purpose::Level, Payload::Error(_)) => self.interest.refuse_level(view),
            (Purpose::Plain, Payload::Result(result)) => {
                if let Some(owner) = self.owner(view).cloned() {
                    self.tasks.note(&owner, view, result);
                }
            }
            (Purpose::Plain | Purpose::Listen, _) | (Purpose::Level, Payload::Result(_)) => {}
        }
    }

    fn tell(&self, views: &[ViewId], bytes: &Bytes) {
        for view in views {
            self.give(*view, Item::Told(bytes.clone()));
        }
    }
}

/// The id of the subscription that a notification belongs to.
fn subscription(notification: &Notification<'_>) -> Option<IdKey> {
    let meta = notification.params.as_ref()?.get("_meta")?.as_object()?;
    IdKey::of(meta.get(META_SUBSCRIPTION_ID)?)
}
