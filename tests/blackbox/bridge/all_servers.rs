//! Servers of both eras as one, before clients of either.

use crate::support::{OPEN, Record};
use crate::team::Stage;
use callgate_testkit::{Http, HttpServer};
use serde_json::json;

#[test]
fn servers_of_both_eras_are_one_to_clients_of_either() {
    let mut stage = Stage::new();
    stage.room.write("open.yaml", OPEN);
    let legacy = HttpServer::start(&stage.room, &["--version", super::LEGACY]);
    let modern = HttpServer::start(&stage.room, &["--version", super::MODERN]);
    stage.config["servers"] = json!({"old": {"url": legacy.url()}, "new": {"url": modern.url()}});
    stage.config["policies"] = json!({"open": "open.yaml"});
    stage.config["local"] = json!({"old": "open", "new": "open"});
    let team = stage.serve();
    let url = format!("{}/mcp", team.url);
    let mut old_client = Http::to(&url);
    old_client.initialize(super::LEGACY);
    for mut client in [old_client, Http::to(&url).modern()] {
        let tools = client.request("tools/list", json!({})).tool_names();
        for tool in ["old__echo", "new__echo"] {
            assert!(tools.iter().any(|listed| listed == tool), "{tools:?}");
            assert_eq!(client.call(tool, json!({"text": tool})).text(), tool);
        }
    }
    let record = Record::once(&stage.room, "the outcomes", |record| record.outcomes().len() == 4);
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), ["ok"; 4]);
}
