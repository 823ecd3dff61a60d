//! Lists of all servers as one.

use super::asking::{ask, gather};
use super::offer::Feature;
use super::part::{LongNames, Part, Seat, page_request};
use super::shelf::{MERGED_BYTES_MAX, Merged, Slice};
use super::whole::Whole;
use crate::answer;
use crate::session::{Session, protocol_meta};
use crate::sink::{Sink, object};
use bytes::Bytes;
use callgate_wire::aggregate::{Item, ListOf, NAME_CHARS_MAX, Page, Prefix, page};
use callgate_wire::mcp::{Era, META_SERVER_INFO};
use callgate_wire::{Decoded, Kind, Payload, Request, decode, quoted};
use futures_util::future::BoxFuture;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::time::Instant;

/// JSON-RPC's code for parameters that are not right.
const INVALID_PARAMS: i32 = -32_602;
/// JSON-RPC's code for a method that there is not.
const METHOD_NOT_FOUND: i64 = -32_601;
/// The `_meta` key of the servers whose items a list lacks.
const META_LEFT_OUT: &str = "callgate/leftOut";

/// What one server lists.
#[derive(Debug, Default)]
struct Listed {
    items: Vec<Item>,
    /// The least time that one of its pages may be kept; `None` where none says.
    ttl_ms: Option<u64>,
}

impl Listed {
    fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.json.len()).sum()
    }
}

impl Whole {
    /// Answers a request for a list.
    pub(super) fn list(
        self: &Arc<Self>,
        list: ListOf,
        request: &Request<'_>,
        sink: &Sink,
    ) -> BoxFuture<'static, ()> {
        let (whole, sink) = (Arc::clone(self), sink.clone());
        let id: Box<str> = request.id.raw().into();
        let cursor = request.params.as_ref().and_then(|params| params.get("cursor"));
        if let Some(cursor) = cursor {
            let slice = cursor
                .as_str()
                .and_then(|cursor| self.shelf().next(list, &cursor, &self.judged_by()));
            return Box::pin(async move {
                let bytes = match slice {
                    Some(slice) => whole.page(&id, &slice),
                    None => answer::error(
                        &id,
                        INVALID_PARAMS,
                        "the cursor leads nowhere; list from the start",
                    ),
                };
                sink.answer(bytes).await;
            });
        }
        let meta = (self.era() == Era::Modern)
            .then(|| protocol_meta(request.params.as_ref()))
            .flatten();
        Box::pin(async move {
            let judged_by = whole.judged_by();
            let merged = whole.merged(list, meta.map(Into::into), &sink).await;
            let slice = whole.shelf().first(merged, judged_by);
            sink.answer(whole.page(&id, &slice)).await;
        })
    }

    /// The lists of all servers, one after the other.
    async fn merged(self: &Arc<Self>, list: ListOf, meta: Option<Arc<str>>, sink: &Sink) -> Merged {
        let asked = |part: Arc<Part>| {
            let (whole, meta, sink) = (Arc::clone(self), meta.clone(), sink.clone());
            async move {
                let seat = part.seat(&whole).await.ok()?;
                if !may_have(&seat, list) && whole.era() == Era::Legacy {
                    return Some(Listed::default());
                }
                let listed = listed(&seat.session, part.prefix(), list, meta.as_deref(), &sink).await?;
                Some(told_apart(&part, list, listed))
            }
        };
        let told = gather(self, self.parts(), asked).await;
        let mut items: Vec<Box<str>> = Vec::new();
        let mut left_out = Vec::new();
        let mut ttl_ms = None;
        let mut bytes = 0_usize;
        for (part, listed) in told {
            let fits = |listed: &Listed| bytes.saturating_add(listed.bytes()) <= MERGED_BYTES_MAX;
            let Some(listed) = listed.filter(fits) else {
                left_out.push(part.prefix().server().into());
                continue;
            };
            bytes = bytes.saturating_add(listed.bytes());
            ttl_ms = [ttl_ms, listed.ttl_ms].into_iter().flatten().min();
            items.extend(listed.items.into_iter().map(|item| item.json));
        }
        // What is not whole may be whole the next time.
        if !left_out.is_empty() {
            ttl_ms = Some(0);
        }
        Merged {
            list,
            items: items.into(),
            bytes,
            left_out: left_out.into(),
            ttl_ms,
        }
    }

    fn page(&self, id: &str, slice: &Slice) -> Bytes {
        let items = format!("[{}]", slice.items().join(","));
        let cursor = slice.cursor.as_deref().map(quoted);
        let ttl = slice.of.ttl_ms.unwrap_or(0).to_string();
        let left_out: Vec<String> = slice.of.left_out.iter().map(|server| quoted(server)).collect();
        let left_out = format!("[{}]", left_out.join(","));
        let own = server_info();
        let is_modern = self.era() == Era::Modern;
        let mut meta = Vec::new();
        if is_modern {
            meta.push((META_SERVER_INFO, own.as_str()));
        }
        if !slice.of.left_out.is_empty() {
            meta.push((META_LEFT_OUT, left_out.as_str()));
        }
        let meta = (!meta.is_empty()).then(|| object(&meta));
        let mut members = Vec::new();
        if is_modern {
            members.push(("resultType", "\"complete\""));
        }
        members.push((slice.of.list.key(), items.as_str()));
        members.extend(cursor.as_deref().map(|cursor| ("nextCursor", cursor)));
        if is_modern {
            members.push(("ttlMs", ttl.as_str()));
            // Which servers there are, and what of them is shown, is this caller's alone.
            members.push(("cacheScope", "\"private\""));
        }
        members.extend(meta.as_deref().map(|meta| ("_meta", meta)));
        object(&[("jsonrpc", "\"2.0\""), ("id", id), ("result", &object(&members))]).into()
    }

    /// A server's own name of what the whole knows by a name as long as cut ones are; `None` where no list of the
    /// caller's has it, or two tools meet in it.
    pub(super) async fn own_of_long(
        &self,
        part: &Arc<Part>,
        session: &Arc<Session>,
        list: ListOf,
        name: &str,
        meta: Option<&str>,
        sink: &Sink,
    ) -> Option<Box<str>> {
        if let Some(known) = part.long_names(list) {
            match known.by_name.get(name) {
                Some(own) => return own.clone(),
                None if known.read.elapsed() < self.settings().relist_interval => return None,
                None => {}
            }
        }
        let read = listed(session, part.prefix(), list, meta, sink);
        let read = tokio::time::timeout(self.settings().list_timeout, read).await;
        told_apart(part, list, read.ok().flatten()?);
        part.long_names(list)?.by_name.get(name)?.clone()
    }
}

/// Callgate, as it names itself.
pub(super) fn server_info() -> String {
    let version = quoted(env!("CARGO_PKG_VERSION"));
    object(&[("name", "\"callgate\""), ("version", &version)])
}

fn may_have(seat: &Seat, list: ListOf) -> bool {
    seat.offer.has(match list {
        ListOf::Tools => Feature::Tools,
        ListOf::Prompts => Feature::Prompts,
        ListOf::Resources | ListOf::Templates => Feature::Resources,
        ListOf::Tasks => Feature::TaskLists,
    })
}

/// All that a server lists, asked for now; `None` where it does not say. One that has no such list has none of it.
async fn listed(
    session: &Arc<Session>,
    prefix: &Prefix,
    list: ListOf,
    meta: Option<&str>,
    sink: &Sink,
) -> Option<Listed> {
    let settings = &session.gate().settings;
    let mut all = Listed::default();
    let mut cursor: Option<Box<str>> = None;
    for _ in 0..settings.list_pages_max {
        let asked = page_request(session, list, cursor.as_deref(), meta);
        let answer = ask(session, prefix, &asked, sink).await?;
        let Some(page) = read(session, prefix, list, &answer)? else {
            return Some(all);
        };
        all.ttl_ms = [all.ttl_ms, page.ttl_ms].into_iter().flatten().min();
        all.items.extend(page.items);
        let is_too_long = all.items.len() > settings.list_tools_max;
        if is_too_long || all.bytes() > settings.bounds.message_bytes_max {
            return None;
        }
        match page.next_cursor {
            None => return Some(all),
            next if next == cursor => return None,
            next => cursor = next,
        }
    }
    None
}

/// The page in an answer. Inside, `None` where the server has no such list.
fn read(session: &Session, prefix: &Prefix, list: ListOf, answer: &[u8]) -> Option<Option<Page>> {
    let decoded = decode(answer, &session.gate().settings.bounds).ok()?;
    let Decoded::Single(message) = &decoded else {
        return None;
    };
    let Kind::Response(response) = message.kind() else {
        return None;
    };
    match &response.payload {
        Payload::Result(result) => page(list, *result, prefix).map(Some),
        Payload::Error(error) => {
            let code = error.as_object()?.get("code")?.text().parse();
            (code == Ok(METHOD_NOT_FOUND)).then_some(None)
        }
    }
}

/// A list without what could not be told apart by its name, of which the part keeps the long ones. Of two items of
/// one own name the first stands, as for the server there is only one of that name.
fn told_apart(part: &Part, list: ListOf, listed: Listed) -> Listed {
    if !matches!(list, ListOf::Tools | ListOf::Prompts) {
        return listed;
    }
    let mut seen: HashSet<Box<str>> = HashSet::new();
    let mut by_name: HashMap<Box<str>, Option<Box<str>>> = HashMap::new();
    let mut items: Vec<(Box<str>, Item)> = Vec::new();
    for item in listed.items {
        if !seen.insert(item.own.clone()) {
            continue;
        }
        let name: Box<str> = part.prefix().name(&item.own).into();
        if name.chars().count() == NAME_CHARS_MAX {
            let own = item.own.clone();
            by_name
                .entry(name.clone())
                .and_modify(|known| *known = None)
                .or_insert(Some(own));
        }
        items.push((name, item));
    }
    let server = part.prefix().server();
    for (name, _) in by_name.iter().filter(|(_, own)| own.is_none()) {
        tracing::warn!(
            server,
            name = &**name,
            "two names are one at /mcp, and both are hidden"
        );
    }
    items.retain(|(name, _)| !matches!(by_name.get(name), Some(None)));
    let read = Instant::now();
    part.keep_long_names(list, LongNames { by_name, read });
    Listed {
        items: items.into_iter().map(|(_, item)| item).collect(),
        ..listed
    }
}
