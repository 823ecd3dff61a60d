//! What a session tells of the requests that belong to traces.

use super::Session;
use super::inbound::{Entry, Lineage};
use super::pending::Pending;
use crate::link::Link;
use crate::traces::{Begun, Subject, Trace};
use callgate_core::refusal::Refusal;
use callgate_wire::Request;
use callgate_wire::mcp::{Version, method, protocol_version};
use callgate_wire::trace::Carried;

impl Session {
    /// Begins the spans of a client's request, where calls are traced. What keeps a connection going has none.
    pub(super) fn begin_trace(&self, request: &Request<'_>, entry: &Entry) -> Option<Begun> {
        let tracer = self.gate.recorder().tracer()?;
        let Lineage::Client(heard) = &entry.lineage else {
            return None;
        };
        if matches!(request.method.as_ref(), method::INITIALIZE | method::PING) {
            return None;
        }
        let tool = request.params.as_ref().and_then(|params| params.get("name"));
        let tool = tool.filter(|_| request.method == method::TOOLS_CALL);
        let tool = tool.and_then(|tool| tool.as_str());
        let named = protocol_version(request).ok().flatten();
        let subject = Subject {
            method: &request.method,
            tool: tool.as_deref(),
            version: match named {
                Some(named) => named.parse::<Version>().ok(),
                None => self.version(),
            },
            server: Some(&self.gate.server),
            grant: &self.gate.caller.grant,
            transport: Some(match &self.link {
                Link::Child(_) | Link::Shared(_) => "pipe",
                Link::Http(_) | Link::Legacy(_) => "tcp",
            }),
        };
        let carried = Carried::in_meta(request);
        tracer.begin(subject, carried, heard.as_ref(), entry.received)
    }

    /// Ends the spans of a request that is refused before it stands in the table.
    pub(super) fn end_refused(&self, trace: Option<Box<Trace>>, refusal: &Refusal) {
        if let Some(trace) = trace {
            trace.confirm(|tool| self.has_listed(tool));
            trace.denied(refusal);
        }
    }

    /// Has the tool of a request told, which leaves the table, where the server lists it.
    pub(super) fn confirm(&self, pending: &Pending) {
        if let Some(trace) = &pending.trace {
            trace.confirm(|tool| self.has_listed(tool));
        }
    }

    fn has_listed(&self, tool: &str) -> bool {
        self.catalogue
            .last()
            .is_some_and(|tools| tools.get(tool).is_some())
    }
}
