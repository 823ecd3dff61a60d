//! Which trace a request belongs to, and what its server is told of it.

use super::{Http, PARENT, SPAN, TRACE, headers, seen, traced, with_meta};
use crate::support::collector::{Collector, Told};
use crate::support::{OPEN, gate, until};
use callgate_testkit::client::call;
use callgate_testkit::{HttpGate, HttpServer, Room};
use serde_json::{Value, json};

const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

/// A gate over HTTP before a server over HTTP, and a collector.
struct Scene {
    collector: Collector,
    _room: Room,
    server: HttpServer,
    gate: HttpGate,
}

impl Scene {
    fn new(envs: &[(&str, &str)]) -> Self {
        let collector = Collector::start();
        let room = Room::new();
        let server = HttpServer::start(&room, &[]);
        let gate = traced(gate(&room, OPEN).before_http(&server), &collector);
        let gate = envs
            .iter()
            .fold(gate, |gate, (name, value)| gate.env(name, *value));
        Self {
            collector,
            _room: room,
            server,
            gate: gate.http(),
        }
    }

    fn client(&self) -> Http {
        let mut client = self.gate.client();
        client.initialize("2025-11-25");
        client
    }

    /// Calls with these headers and this in `_meta`, and gives what the server saw of it in `_meta` and in headers.
    fn call(&self, sent: &[(&str, &str)], meta: &Value) -> (Value, Vec<String>) {
        let client = self.client();
        let mut client = sent
            .iter()
            .fold(client, |client, (name, value)| client.header(name, value));
        let params = if meta.is_null() {
            call("echo", &json!({"text": "hi"}))
        } else {
            with_meta("echo", &json!({"text": "hi"}), meta)
        };
        assert_eq!(client.request("tools/call", params).text(), "hi");
        let meta = seen(&self.server.log().of_method("tools/call"));
        (meta, headers(&self.server, |note| note.contains("traceparent")))
    }

    /// The spans of the only call.
    #[track_caller]
    fn told(&self) -> (Told, Told) {
        self.collector.call()
    }
}

#[test]
fn the_message_says_more_than_its_headers_and_those_are_linked_to() {
    let scene = Scene::new(&[]);
    let meta = json!({"traceparent": PARENT, "tracestate": "a=1"});
    scene.call(&[("traceparent", OTHER), ("tracestate", "b=2")], &meta);
    let (own, outward) = scene.told();
    assert_eq!((own.trace.as_str(), own.parent.as_str()), (TRACE, SPAN));
    assert_eq!((own.state.as_str(), outward.state.as_str()), ("a=1", "a=1"));
    assert_eq!(own.links, [("1".repeat(32), "2".repeat(16))]);
}

#[test]
fn what_the_headers_say_counts_where_the_message_says_nothing_that_can_be_read() {
    for meta in [
        Value::Null,
        json!({}),
        json!({"traceparent": "00-x"}),
        json!({"traceparent": 7}),
    ] {
        let scene = Scene::new(&[]);
        scene.call(
            &[
                ("traceparent", OTHER),
                ("tracestate", "b=2"),
                ("tracestate", "c=3"),
            ],
            &meta,
        );
        let (own, outward) = scene.told();
        assert_eq!(
            (own.trace, own.parent),
            ("1".repeat(32), "2".repeat(16)),
            "{meta}"
        );
        assert_eq!(outward.state, "b=2,c=3", "{meta}");
        assert!(own.links.is_empty(), "{meta}");
    }
}

#[test]
fn what_was_noted_along_the_trace_is_passed_on_and_baggage_as_it_came() {
    let scene = Scene::new(&[]);
    let baggage = "user=ana;p=1, x=%20";
    let meta = json!({"traceparent": PARENT, "tracestate": " a=1 ,b=2", "baggage": baggage});
    let (meta, headers) = scene.call(&[("baggage", baggage)], &meta);
    let (_, outward) = scene.told();
    let parent = outward.traceparent();
    let expected = json!({"traceparent": parent, "tracestate": "a=1,b=2", "baggage": baggage});
    assert_eq!(meta, expected);
    let headers = headers.join(" ");
    for part in [parent.as_str(), "a=1,b=2", baggage] {
        assert!(headers.contains(part), "{part}: {headers}");
    }
}

#[test]
fn baggage_is_never_made() {
    let scene = Scene::new(&[]);
    let (meta, headers) = scene.call(&[("baggage", "a=1")], &json!({"traceparent": PARENT}));
    assert_eq!(meta.get("baggage"), None);
    assert!(headers.join(" ").contains("a=1"), "{headers:?}");
    let other = Scene::new(&[]);
    let (_, headers) = other.call(&[], &json!({"baggage": "a=1"}));
    assert!(!headers.join(" ").contains("baggage"), "{headers:?}");
}

#[test]
fn a_trace_that_is_not_recorded_is_told_to_the_server_alone() {
    let scene = Scene::new(&[]);
    let quiet = PARENT.replace("-01", "-00");
    let (meta, _) = scene.call(&[], &json!({"traceparent": quiet, "tracestate": "a=1"}));
    let passed_on = meta["traceparent"].as_str().unwrap();
    assert!(passed_on.starts_with(&format!("00-{TRACE}-")), "{passed_on}");
    assert!(
        passed_on.ends_with("-00") && !passed_on.contains(SPAN),
        "{passed_on}"
    );
    assert_eq!(meta["tracestate"], "a=1");
    // One that is recorded comes after it, and alone.
    scene.call(&[], &Value::Null);
    let (own, _) = scene.told();
    assert_ne!(own.trace, TRACE);
}

#[test]
fn a_sampler_chooses_by_its_name() {
    let quiet = PARENT.replace("-01", "-00");
    for (sampler, argument, of_quiet, of_loud, of_none) in [
        ("parentbased_always_off", "", false, true, false),
        ("always_off", "", false, false, false),
        ("always_on", "", true, true, true),
        ("parentbased_traceidratio", "0", false, true, false),
        ("traceidratio", "1", true, true, true),
        ("traceidratio", "0", false, false, false),
    ] {
        let scene = Scene::new(&[
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ]);
        for (meta, is_recorded) in [
            (json!({"traceparent": quiet}), of_quiet),
            (json!({"traceparent": PARENT}), of_loud),
            (Value::Null, of_none),
        ] {
            let (seen, _) = scene.call(&[], &meta);
            let flags = if is_recorded { "-01" } else { "-00" };
            let parent = seen["traceparent"].as_str().unwrap();
            assert!(parent.ends_with(flags), "{sampler} {meta}: {parent}");
        }
        let count = [of_quiet, of_loud, of_none].iter().filter(|one| **one).count();
        if count > 0 {
            assert_eq!(scene.collector.calls(count * 2).len(), count * 2);
        }
        let spans = until("the tail is handed over", || Some(scene.collector.spans()));
        assert!(
            spans.iter().all(|span| span.trace != TRACE || of_loud),
            "{sampler}"
        );
    }
}
