//! The server's tools as Callgate itself lists them: what a call may name, and what it is judged against.

use super::inbound::style_of;
use super::pending::{Clock, Departure, OwnAnswer, Pending, Purpose, Target, Voice};
use super::{Session, era_of};
use crate::link::Passage;
use crate::recorder::ListSeen;
use crate::sink::object;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use callgate_core::call::ListedTool;
use callgate_core::json::Json;
use callgate_core::name::ToolName;
use callgate_wire::headers::{HeaderParam, params_of_schema};
use callgate_wire::list::{Tool, ToolList, result_of};
use callgate_wire::mcp::{Era, META_PROTOCOL_VERSION, method};
use callgate_wire::{Decoded, IdKey, JsonKind, Kind, RawJson, decode, quoted};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout};

/// The tools of one list, by name.
#[derive(Debug, Default)]
pub(super) struct Tools {
    by_name: BTreeMap<ToolName, Arc<ListedTool>>,
    /// The arguments that headers repeat, for those tools that have such.
    repeated: BTreeMap<ToolName, Arc<[HeaderParam]>>,
    /// Names that stand more than once: none of their tools is listed.
    twice: BTreeSet<ToolName>,
}

impl Tools {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<ListedTool>> {
        self.by_name.get(name)
    }

    /// The arguments of a tool that headers repeat.
    pub(super) fn repeated(&self, name: &str) -> Option<Arc<[HeaderParam]>> {
        self.repeated.get(name).cloned()
    }
}

/// What a session knows of its server's tools.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    read: ArcSwapOption<Reading>,
    /// Counts what makes a list outdated; a list holds as long as the count is what it was before its reading.
    changes: AtomicU64,
    /// Whether the server answered the last listing with an error.
    was_refused: AtomicBool,
    /// Whether the last listing came to nothing.
    has_failed: AtomicBool,
    last_read: StdMutex<Option<Instant>>,
    /// One listing at a time.
    turn: Mutex<()>,
}

/// One list, and when it was read.
#[derive(Debug)]
struct Reading {
    tools: Arc<Tools>,
    changes: u64,
}

/// Why no list could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListFailure {
    NoAnswer,
    Refused,
    Unreadable,
    TooLong,
}

impl ListFailure {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::NoAnswer => "no_answer",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::TooLong => "too_long",
        }
    }
}

impl Catalogue {
    /// The list, where it is at hand and nothing says that it has changed.
    pub(super) fn fresh(&self) -> Option<Arc<Tools>> {
        let reading = self.read.load();
        let reading = reading.as_ref()?;
        (reading.changes == self.changes.load(Ordering::Acquire)).then(|| Arc::clone(&reading.tools))
    }

    /// The list that was read last, even where it has changed since.
    pub(super) fn last(&self) -> Option<Arc<Tools>> {
        self.read
            .load()
            .as_ref()
            .map(|reading| Arc::clone(&reading.tools))
    }

    /// The server says that its tools have changed.
    pub(super) fn invalidate(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the server answered the last listing with an error.
    pub(super) fn was_refused(&self) -> bool {
        self.was_refused.load(Ordering::Acquire)
    }

    fn read_at(&self) -> Option<Instant> {
        *self.last_read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The tools, listed now where no list is at hand, or where the one at hand lacks `name` and is old
    /// enough to be asked for again.
    pub(super) async fn tools_for(self: &Arc<Self>, name: &str, meta: Option<&str>) -> Option<Arc<Tools>> {
        if let Some(tools) = self.catalogue.fresh()
            && (tools.get(name).is_some() || !self.may_relist())
        {
            return Some(tools);
        }
        let queued = Instant::now();
        let _turn = self.catalogue.turn.lock().await;
        if self.catalogue.read_at().is_some_and(|at| at > queued) {
            // Read while this call waited: what came of it holds for this call too, unless the list has changed
            // since and has to be read again.
            let tools = self.catalogue.fresh();
            if tools.is_some() || self.catalogue.has_failed.load(Ordering::Acquire) {
                return tools;
            }
        }
        if let Some(tools) = self.catalogue.fresh()
            && (tools.get(name).is_some() || !self.may_relist())
        {
            return Some(tools);
        }
        // Counted before reading: a change announced meanwhile must not be lost.
        let changes = self.catalogue.changes.load(Ordering::Acquire);
        let read = match timeout(self.gate.settings.list_timeout, self.read_list(meta)).await {
            Ok(read) => read,
            Err(_) => Err(ListFailure::NoAnswer),
        };
        *self
            .catalogue
            .last_read
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.catalogue.has_failed.store(read.is_err(), Ordering::Release);
        match read {
            Ok(tools) => {
                let tools = Arc::new(tools);
                self.record_list(ListSeen::Read {
                    tools: tools.by_name.len(),
                    shown: self.count_visible(&tools),
                });
                self.gate.publish_list(tools.by_name.values().cloned().collect());
                let reading = Reading {
                    tools: Arc::clone(&tools),
                    changes,
                };
                self.catalogue.read.store(Some(Arc::new(reading)));
                Some(tools)
            }
            Err(failure) => {
                self.catalogue
                    .was_refused
                    .store(failure == ListFailure::Refused, Ordering::Release);
                self.catalogue.invalidate();
                self.record_list(ListSeen::Failed { code: failure.code() });
                None
            }
        }
    }

    pub(super) fn may_relist(&self) -> bool {
        self.catalogue
            .read_at()
            .is_none_or(|at| at.elapsed() >= self.gate.settings.relist_interval)
    }

    fn count_visible(&self, tools: &Tools) -> usize {
        let program = self.gate.program();
        let scene = self.gate.scene(self.id.as_ref());
        tools
            .by_name
            .values()
            .filter(|tool| callgate_core::decide::visible(&program, scene, tool))
            .count()
    }

    async fn read_list(self: &Arc<Self>, meta: Option<&str>) -> Result<Tools, ListFailure> {
        let mut tools = Tools::default();
        let mut cursor: Option<String> = None;
        for _ in 0..self.gate.settings.list_pages_max {
            let response = self.ask_for_page(cursor.as_deref(), meta).await?;
            let next = self.read_page(&response, &mut tools)?;
            if tools.by_name.len().saturating_add(tools.twice.len()) > self.gate.settings.list_tools_max {
                return Err(ListFailure::TooLong);
            }
            match next {
                None => return Ok(tools),
                Some(next) if cursor.as_ref() == Some(&next) => return Err(ListFailure::Unreadable),
                Some(next) => cursor = Some(next),
            }
        }
        Err(ListFailure::TooLong)
    }

    async fn ask_for_page(
        self: &Arc<Self>,
        cursor: Option<&str>,
        meta: Option<&str>,
    ) -> Result<Bytes, ListFailure> {
        let id = quoted(&self.mint());
        let key = own_key(&id).ok_or(ListFailure::Unreadable)?;
        let cursor = cursor.map(quoted);
        let mut params = Vec::new();
        if let Some(cursor) = &cursor {
            params.push(("cursor", cursor.as_str()));
        }
        if let Some(meta) = meta {
            params.push(("_meta", meta));
        }
        let params = object(&params);
        let message = object(&[
            ("jsonrpc", "\"2.0\""),
            ("id", &id),
            ("method", "\"tools/list\""),
            ("params", &params),
        ]);
        let (sender, receiver) = oneshot::channel();
        let departure = Departure::default();
        let settings = &self.gate.settings;
        let now = Instant::now();
        let era = meta.map_or(Era::Legacy, |meta| era_of(meta_version(meta).as_deref()));
        let pending = Pending {
            target: Target::Own(sender),
            kind: Purpose::Other,
            voice: Voice::Silent,
            ticket: None,
            era,
            departure: departure.clone(),
            received: now,
            started: now,
            clock: Clock::running(now, settings.list_timeout, None),
            token: None,
            client_token: None,
            trace: None,
            holding: None,
        };
        {
            let mut state = self.lock();
            state.pending.insert(key.clone(), pending);
            self.watch_deadlines(&mut state);
        }
        let passage = Passage {
            style: style_of(era, method::TOOLS_LIST),
            ..Passage::request(message.into(), key, departure)
        };
        self.forward(passage).await;
        match receiver.await {
            Ok(OwnAnswer::Response(bytes)) => Ok(bytes),
            Ok(OwnAnswer::Failed(_)) | Err(_) => Err(ListFailure::NoAnswer),
        }
    }

    /// Adds a page's tools and returns where the next page begins.
    fn read_page(&self, response: &[u8], tools: &mut Tools) -> Result<Option<String>, ListFailure> {
        let bounds = &self.gate.settings.bounds;
        let Ok(Decoded::Single(message)) = decode(response, bounds) else {
            return Err(ListFailure::Unreadable);
        };
        let Kind::Response(answer) = message.kind() else {
            return Err(ListFailure::Unreadable);
        };
        let result = result_of(answer).ok_or(ListFailure::Refused)?;
        let page = ToolList::read(result).map_err(|_| ListFailure::Unreadable)?;
        for tool in page.tools() {
            if let Some(listed) = self.listed(tool) {
                // Two tools of one name cannot be told apart: which of them a call means, and by which schema it is
                // judged, nobody knows.
                if tools.twice.contains(&listed.name) {
                    continue;
                }
                if tools.by_name.remove(&listed.name).is_some() {
                    tools.repeated.remove(&listed.name);
                    tools.twice.insert(listed.name);
                    continue;
                }
                let repeated = tool
                    .input_schema
                    .and_then(|schema| params_of_schema(schema, bounds).ok())
                    .filter(|repeated| !repeated.is_empty());
                if let Some(repeated) = repeated {
                    tools.repeated.insert(listed.name.clone(), repeated.into());
                }
                tools.by_name.insert(listed.name.clone(), Arc::new(listed));
            }
        }
        Ok(page.next_cursor().map(str::to_owned))
    }

    /// A tool as conditions read it; `None` where its definition has no single meaning.
    pub(super) fn listed(&self, tool: &Tool<'_>) -> Option<ListedTool> {
        let bounds = &self.gate.settings.bounds;
        let strict = |part: RawJson<'_>| part.check_strict(bounds).is_ok();
        if tool.input_schema.is_some_and(|schema| !strict(schema))
            || tool.annotations.is_some_and(|annotations| !strict(annotations))
        {
            return None;
        }
        Some(ListedTool {
            name: ToolName::new(&tool.name).ok()?,
            input_schema: tool.input_schema.map(|schema| schema.text().into()),
            required: tool.input_schema.map(required).unwrap_or_default(),
            annotations: tool
                .annotations
                .map_or(Json::Null, |annotations| annotations.parse().into_owned()),
            class: None,
        })
    }
}

/// The members that a schema requires.
fn required(schema: RawJson<'_>) -> Vec<Box<str>> {
    let named = schema.as_object().and_then(|schema| schema.get("required"));
    let Some(names) = named
        .filter(|names| names.kind() == JsonKind::Array)
        .and_then(|names| names.as_array())
    else {
        return Vec::new();
    };
    names
        .iter()
        .filter_map(|name| name.as_str())
        .map(|name| name.as_ref().into())
        .collect()
}

fn own_key(id: &str) -> Option<IdKey> {
    let bounds = callgate_wire::Bounds::default();
    RawJson::read(id.as_bytes(), &bounds).ok().and_then(IdKey::of)
}

fn meta_version(meta: &str) -> Option<String> {
    let bounds = callgate_wire::Bounds::default();
    let meta = RawJson::read(meta.as_bytes(), &bounds).ok()?.as_object()?;
    meta.get(META_PROTOCOL_VERSION)?
        .as_str()
        .map(std::borrow::Cow::into_owned)
}
