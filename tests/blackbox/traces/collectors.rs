//! Collectors that are there, and that are not: no call notices.

use super::{stage, traced};
use crate::support::collector::{Collector, Mood};
use crate::support::{OPEN, before_echo, gate, until};
use callgate_testkit::process::free_port;
use callgate_testkit::{Http, Room, StdioServer};
use rustix::process::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_collector_that_hangs_refuses_or_is_gone_holds_up_no_call_and_no_end() {
    let hangs = Collector::in_mood(Mood::Hangs);
    let refuses = Collector::in_mood(Mood::Refuses(503));
    let gone = format!("http://127.0.0.1:{}", free_port());
    for url in [&hangs.url, &refuses.url, &gone] {
        let (_room, _server, gate) = before_echo(OPEN);
        let mut client = gate.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).stdio();
        client.initialize("2025-11-25");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1_500) {
            assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
        }
        client.close_stdin();
        // A child may take some of it; a collector takes two seconds at most.
        assert!(client.ended_within(Duration::from_secs(8)).is_some(), "{url}");
        let told = client.stderr();
        if *url != hangs.url {
            assert_eq!(
                told.matches("the collector does not take traces").count(),
                1,
                "{told}"
            );
        }
    }
}

#[test]
fn what_was_not_taken_is_offered_again() {
    let collector = Collector::in_mood(Mood::Refuses(503));
    let (_room, _server, gate) = before_echo(OPEN);
    let mut client = traced(gate, &collector).stdio();
    client.initialize("2025-11-25");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    until("it was offered", || (!collector.sent().is_empty()).then_some(()));
    collector.be(Mood::Takes);
    collector.call();
    let _ = client.stderr_line("the collector takes traces again");
}

#[test]
fn what_is_there_at_the_end_is_handed_over() {
    let collector = Collector::start();
    let (_room, _server, gate) = before_echo(OPEN);
    let mut client = traced(gate, &collector).stdio();
    client.initialize("2025-11-25");
    for _ in 0..5 {
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    }
    client.close_stdin();
    client.ended();
    let calls = collector
        .spans()
        .into_iter()
        .filter(|span| span.name == "tools/call echo");
    assert_eq!(calls.count(), 10);

    let collector = Collector::start();
    let stage = stage(&collector);
    let token = stage.grant("ana", &["notes=open"]);
    let mut team = stage.serve();
    let mut client = team.begun("notes", &token);
    let open = client.open_call("sleep", json!({"ms": 300}));
    until("the call is at the server", || {
        (!stage.notes.of_method("tools/call").is_empty()).then_some(())
    });
    team.process.signal(Signal::TERM);
    assert!(format!("{:?}", open.rest()).contains("slept"));
    assert_eq!(team.process.ended().code(), Some(143));
    let calls = collector.spans();
    let told: Vec<_> = calls
        .iter()
        .filter(|span| span.name == "tools/call sleep")
        .map(|span| span.attribute("callgate.outcome"))
        .collect();
    assert_eq!(told, [Some("ok"), Some("ok")]);
}

#[test]
fn what_is_handed_over_and_what_is_not_is_counted() {
    let collector = Collector::start();
    let mut stage = stage(&collector);
    stage.config["metrics"] = json!("127.0.0.1:0");
    let token = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let line = team.process.stderr_line("metrics on http://");
    let metrics = Http::to(line.split_whitespace().last().unwrap());
    let counted = |name: &str, count: u32| {
        let expected = format!("\ncallgate_trace_spans_{name}_total {count}\n");
        until(&expected, || {
            let text = metrics.send("GET", &[], b"").rest().body;
            text.contains(&expected).then_some(())
        });
    };
    counted("exported", 0);
    let mut client = team.begun("notes", &token);
    client.call("echo", json!({"text": "hi"}));
    counted("exported", 2);
    // This is no reason that may pass.
    collector.be(Mood::Refuses(400));
    client.call("echo", json!({"text": "hi"}));
    counted("dropped", 2);
    counted("exported", 2);
}

#[test]
fn a_changed_secret_for_the_collector_is_in_force_without_a_restart() {
    let collector = Collector::start();
    let mut stage = stage(&collector);
    stage.room.write("key", "one");
    stage.config["traces"]["headers"] = json!({"X-Key": "${file:key}"});
    stage.config["traces"]["service"] = json!("gate-of-tests");
    let token = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &token);
    client.call("echo", json!({"text": "hi"}));
    let (own, _) = collector.call();
    assert_eq!(own.resource["service.name"], "gate-of-tests");
    assert!(
        collector
            .sent()
            .iter()
            .all(|sent| sent.head.contains("x-key: one\r\n"))
    );
    stage.room.write("key", "two");
    let _ = team.process.stderr_line("`traces` changed");
    client.call("echo", json!({"text": "hi"}));
    collector.calls(4);
    assert!(collector.sent().last().unwrap().head.contains("x-key: two\r\n"));
    stage.config["traces"]["service"] = json!("another");
    stage.room.write("callgate.yaml", &stage.config.to_string());
    let _ = team
        .process
        .stderr_line("`traces` has changed, which takes a restart");
}

#[test]
fn variables_that_cannot_be_used_are_told_and_stop_nothing() {
    for (name, value, told) in [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://me:s3cret@c/",
            "the URL holds credentials",
        ),
    ] {
        let collector = Collector::start();
        let room = Room::new();
        let server = StdioServer::echo(&room);
        let gate = traced(gate(&room, OPEN).before(&server), &collector);
        let mut client = gate.env(name, value).stdio();
        client.initialize("2025-11-25");
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
        client.close_stdin();
        client.ended();
        let stderr = client.stderr();
        assert!(stderr.contains(told) && !stderr.contains("s3cret"), "{stderr}");
        assert!(collector.sent().is_empty());
    }
}
