//! Search without a server: an index that the browser reads as a script, as a page from a disk may fetch nothing.

use super::book::Book;
use super::parts::{self, Frame};
use super::place;
use anyhow::Context;
use callgate_catalog::Class;
use callgate_catalog::attacks::Section;
use maud::html;
use serde_json::{Value, json};

/// So many characters of a description are searched.
const TEXT_CHARS: usize = 140;

pub(crate) fn page(_: &Book) -> String {
    let body = html! {
        h1 { "Search" }
        form #search {
            input #q type="search" name="q" aria-label="Words to look for" autocomplete="off" autofocus;
            fieldset {
                legend { "Only" }
                @for class in Class::ALL {
                    label { input type="checkbox" name="class" value=(class.name()); " " (parts::class_chip(class)) }
                }
            }
        }
        p #found role="status" aria-live="polite" {}
        ol #results {}
        noscript { p.note { "Search needs scripts; the lists of servers and classes do not." } }
        script src="search-index.js" defer {}
        script src="search.js" defer {}
    };
    Frame {
        place: "search.html",
        title: "Search",
        about: "Search the tools, servers and attacks of the catalogue.",
    }
    .page(&body)
}

/// The index: for each thing its kind, name, where it belongs, place, class, severity, and the beginning of its text.
pub(crate) fn index(book: &Book) -> anyhow::Result<String> {
    let mut entries: Vec<Value> = Vec::new();
    for server in &book.servers {
        let mut text = parts::counted(server.tools.len(), "tool");
        if let Some(about) = &server.about {
            text = format!(
                "{text}. {}",
                parts::seen_text(&parts::beginning(about, TEXT_CHARS))
            );
        }
        entries.push(json!([
            "server",
            server.name,
            parts::seen_text(&server.package.name),
            place::server(server),
            "",
            "",
            text
        ]));
    }
    for attack in book.attacks {
        let text = parts::beginning(attack.section(Section::InShort), TEXT_CHARS);
        entries.push(json!([
            "attack",
            attack.title,
            attack.id,
            place::attack(attack),
            "",
            attack.severity.name(),
            text
        ]));
    }
    for (server, tool) in book.tools() {
        entries.push(json!([
            "tool",
            parts::seen_text(&tool.definition.name),
            server.name,
            place::tool(server, tool),
            tool.verdict.class.name(),
            tool.verdict.severity.name(),
            parts::seen_text(&parts::beginning(&tool.definition.description, TEXT_CHARS)),
        ]));
    }
    let entries = serde_json::to_string(&entries).context("cannot write the index")?;
    Ok(format!("globalThis.CATALOGUE = {entries};\n"))
}
