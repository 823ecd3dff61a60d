//! The same for programs: a JSON Feed (version 1.1, jsonfeed.org) of the servers, and a file of data a server.

use super::book::{Book, Server, Tool};
use super::parts;
use super::place::{self, Base, Folder};
use anyhow::Context;
use callgate_catalog::attacks::{Attack, Section};
use callgate_catalog::{Class, Severity};
use serde_json::{Map, Value, json};

/// Writes them; the feed's own addresses are whole where a base is given, as readers of feeds want them.
pub(crate) fn write(book: &Book, base: Option<&Base>, folder: &mut Folder) -> anyhow::Result<()> {
    let address = |place: String| match base {
        Some(base) => base.of(&place),
        None => place,
    };
    let attacks = book
        .attacks
        .iter()
        .map(|attack| attack_item(attack, &address(place::attack(attack))));
    let servers = book
        .servers
        .iter()
        .map(|server| item(server, &address(place::server(server))));
    let mut feed = json!({
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Callgate catalogue",
        "description": "Tools of MCP servers by what they can do at worst.",
        "language": "en",
        "items": attacks.chain(servers).collect::<Vec<_>>(),
    });
    if let (Some(base), Some(members)) = (base, feed.as_object_mut()) {
        members.insert("home_page_url".to_owned(), json!(base.of("")));
        members.insert("feed_url".to_owned(), json!(base.of(FEED)));
    }
    folder.write(FEED, &pretty(&feed)?)?;
    let servers: Vec<Value> = book.servers.iter().map(summary).collect();
    folder.write("api/servers.json", &pretty(&json!({ "servers": servers }))?)?;
    for server in &book.servers {
        folder.write(&data(server), &pretty(&whole(server))?)?;
    }
    Ok(())
}

const FEED: &str = "feed.json";

fn data(server: &Server) -> String {
    format!("api/servers/{}.json", server.file)
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    text.push('\n');
    Ok(text)
}

/// A server as an item of the feed. Its id has the version, so that a reader sees a new one as new.
fn item(server: &Server, url: &str) -> Value {
    json!({
        "id": format!("{}:{}@{}", server.package.registry.name(), server.package.name, server.package.version),
        "url": url,
        "title": format!("{} {}", server.name, server.package.version),
        "content_text": format!(
            "{}, {} of high or critical severity.",
            parts::counted(server.tools.len(), "tool"),
            server.risks().len()
        ),
        "date_published": format!("{}T00:00:00Z", server.date),
        "_callgate": summary(server),
    })
}

fn attack_item(attack: &Attack, url: &str) -> Value {
    json!({
        "id": format!("attack:{}", attack.id),
        "url": url,
        "title": attack.title,
        "content_text": attack.section(Section::InShort),
        "tags": attack.classes.iter().map(|class| class.name()).collect::<Vec<_>>(),
        "_callgate": {
            "severity": attack.severity.name(),
            "signals": attack.signals,
            "policy": attack.policy(),
        },
    })
}

fn summary(server: &Server) -> Value {
    let counts: Map<String, Value> = Class::ALL
        .into_iter()
        .map(|class| (class.name().to_owned(), json!(server.count(class))))
        .collect();
    json!({
        "name": server.name,
        "registry": server.package.registry.name(),
        "package": server.package.name,
        "version": server.package.version,
        "licence": server.licence,
        "date": server.date,
        "tools": server.tools.len(),
        "classes": counts,
        "critical": server.tools.iter().filter(|tool| tool.verdict.severity == Severity::Critical).count(),
        "high": server.tools.iter().filter(|tool| tool.verdict.severity == Severity::High).count(),
        "page": place::server(server),
        "policy": place::policy(server),
        "data": data(server),
    })
}

fn whole(server: &Server) -> Value {
    let mut value = summary(server);
    if let Some(members) = value.as_object_mut() {
        members.insert("source".to_owned(), json!(server.source));
        members.insert(
            "tools".to_owned(),
            server.tools.iter().map(|tool| entry(server, tool)).collect(),
        );
    }
    value
}

fn entry(server: &Server, tool: &Tool) -> Value {
    let verdict = &tool.verdict;
    json!({
        "name": tool.definition.name,
        "description": tool.definition.description,
        "class": verdict.class.name(),
        "severity": verdict.severity.name(),
        "confidence": verdict.confidence.as_share(),
        "signals": verdict.signals.iter().map(callgate_catalog::Signal::code).collect::<Vec<_>>(),
        "rationale": verdict.rationale,
        "recommended": tool.advice.as_ref().map(|advice| &advice.policy),
        "page": place::tool(server, tool),
    })
}
