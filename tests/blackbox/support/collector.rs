//! A collector of traces: it keeps what it is sent, and reads it by the published types of the protocol.

use super::until;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a collector does with what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes it.
    Takes,
    /// It answers with this status.
    Refuses(u16),
    /// It reads it, and never answers.
    Hangs,
}

/// The collector; it ends with the test's process.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    /// Its address, without a path.
    pub(crate) url: String,
    mood: Arc<Mutex<Mood>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// What it was answered with.
    pub(crate) mood: Mood,
}

/// A span, and what it is said to be of.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty at the root.
    pub(crate) parent: String,
    pub(crate) state: String,
    /// 2 on the side of who serves, 3 of who asks.
    pub(crate) kind: i32,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) is_error: bool,
    /// The words of its status.
    pub(crate) message: String,
    /// The traces and spans that it is linked to.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) flags: u32,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) resource: BTreeMap<String, String>,
}

impl Told {
    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }

    /// The context that it is the parent in.
    pub(crate) fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::in_mood(Mood::Takes)
    }

    pub(crate) fn in_mood(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            mood: Arc::new(Mutex::new(mood)),
            sent: Arc::default(),
        };
        let own = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(&stream));
            }
        });
        collector
    }

    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).ok()? == 0 {
                    return None;
                }
            }
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1)?;
            let mut body = vec![0; length.lines().next()?.trim().parse().ok()?];
            reader.read_exact(&mut body).ok()?;
            let mood = *self.mood.lock().unwrap();
            self.sent.lock().unwrap().push(Sent { head, body, mood });
            let status = match mood {
                Mood::Takes => 200,
                Mood::Refuses(status) => status,
                Mood::Hangs => loop {
                    std::thread::park();
                },
            };
            let mut stream = stream;
            write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").ok()?;
        }
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// All that it was sent.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The spans that it has taken.
    pub(crate) fn spans(&self) -> Vec<Told> {
        let taken = self.sent().into_iter().filter(|sent| sent.mood == Mood::Takes);
        taken.flat_map(|sent| read(&sent.body)).collect()
    }

    /// The spans of tool calls once there are so many of them. More would have come with them.
    #[track_caller]
    pub(crate) fn calls(&self, count: usize) -> Vec<Told> {
        until("the spans are handed over", || {
            let mut calls = self.spans();
            calls.retain(|span| span.name.starts_with("tools/call"));
            (calls.len() >= count).then(|| {
                assert_eq!(calls.len(), count, "{calls:#?}");
                calls
            })
        })
    }

    /// The span that the client of the only call sees, and the one of its server.
    #[track_caller]
    pub(crate) fn call(&self) -> (Told, Told) {
        pair(self.calls(2))
    }
}

/// The two spans of a call: what its client sees, and what its server does.
#[track_caller]
pub(crate) fn pair(mut spans: Vec<Told>) -> (Told, Told) {
    spans.sort_by_key(|span| span.kind);
    let [server, client] = <[Told; 2]>::try_from(spans).unwrap();
    assert_eq!((server.kind, client.kind), (2, 3));
    assert_eq!(client.parent, server.id);
    assert_eq!(client.trace, server.trace);
    assert!(server.from <= client.from && client.from <= client.to && client.to <= server.to);
    (server, client)
}

fn read(body: &[u8]) -> Vec<Told> {
    let message = ExportTraceServiceRequest::decode(body).expect("a message of the protocol");
    let mut told = Vec::new();
    for of_resource in message.resource_spans {
        let resource = attributes(of_resource.resource.unwrap().attributes);
        for of_scope in of_resource.scope_spans {
            assert_eq!(of_scope.scope.unwrap().name, "callgate");
            told.extend(of_scope.spans.into_iter().map(|span| of(span, &resource)));
        }
    }
    told
}

fn of(span: Span, resource: &BTreeMap<String, String>) -> Told {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let status = span.status.unwrap_or_default();
    Told {
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state,
        kind: span.kind,
        attributes: attributes(span.attributes),
        is_error: status.code == 2,
        message: status.message,
        links: span
            .links
            .iter()
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        flags: span.flags,
        from: span.start_time_unix_nano,
        to: span.end_time_unix_nano,
        resource: resource.clone(),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for KeyValue { key, value, .. } in pairs {
        let Some(AnyValue {
            value: Some(Value::StringValue(value)),
        }) = value
        else {
            panic!("{key} is no string");
        };
        assert!(
            attributes.insert(key.clone(), value).is_none(),
            "{key} stands twice"
        );
    }
    attributes
}
