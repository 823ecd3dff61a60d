//! The page of one attack, and the list of all.

use super::book::Book;
use super::parts::{self, Column, Frame, class_chip, counted, severity_chip};
use super::place;
use callgate_catalog::attacks::{Attack, Section};
use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Event, Parser};

/// So many tools are named that are open to it.
const TOOLS_MAX: usize = 8;

/// Markdown as markup. HTML in it is shown, not used.
fn rendered(markdown: &str) -> Markup {
    let events = Parser::new(markdown).map(|event| {
        if let Event::Html(text) | Event::InlineHtml(text) = event {
            Event::Text(text)
        } else {
            event
        }
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    PreEscaped(out)
}

/// A bare address as a link.
fn linked(markdown: &str) -> String {
    markdown
        .split_inclusive(char::is_whitespace)
        .map(|word| {
            let bare = word.trim_end();
            if bare.starts_with("https://") || bare.starts_with("http://") {
                let (_, space) = word.split_at(bare.len());
                format!("<{bare}>{space}")
            } else {
                word.to_owned()
            }
        })
        .collect()
}

pub(crate) fn page(book: &Book, attack: &Attack) -> String {
    let place = place::attack(attack);
    let up = place::up(&place);
    let in_short = attack.section(Section::InShort);
    let body = html! {
        p.crumbs { a href={ (up) "attacks.html" } { "Attacks" } }
        h1 { (attack.title) }
        p.chips {
            (severity_chip(attack.severity))
            @for class in &attack.classes {
                a href={ (up) (place::class(*class)) } { (class_chip(*class)) }
            }
            @for signal in &attack.signals { span.chip.signal { (signal.replace('_', " ")) } }
        }
        div.lead { (rendered(in_short)) }
        @for section in [Section::HowItWorks, Section::Seen, Section::WhatStopsIt] {
            section {
                h2 { (section.heading()) }
                (rendered(&linked(attack.section(section))))
            }
        }
        section {
            h2 { "The policy that stops it" }
            (parts::policy(attack.policy()))
            p { "See it stopped: the attack is played on this machine, once without Callgate and once with it." }
            pre { code { "callgate attacks run " (attack.id) } }
        }
        section {
            h2 { (Section::WhatItDoesNotStop.heading()) }
            (rendered(attack.section(Section::WhatItDoesNotStop)))
        }
        @let open = book.open_to(attack, TOOLS_MAX);
        @if !open.is_empty() {
            section {
                h2 { "Tools that it could abuse" }
                p { "Of its classes and signals, the most severe, one a server. None of them is known to have been abused so." }
                (parts::table(&up, &open, Column::Server))
            }
        }
    };
    Frame {
        place: &place,
        title: &attack.title,
        about: &parts::beginning(in_short, 300),
    }
    .page(&body)
}

pub(crate) fn list(book: &Book) -> String {
    let body = html! {
        h1 { "Attacks" }
        p.lead {
            (counted(book.attacks.len(), "attack")) ", each played against a server twice: without Callgate it succeeds, with the policy on its page it does not."
        }
        div.wide { table {
            thead { tr { th { "Attack" } th { "Severity" } th { "Abuses" } th { "In short" } } }
            tbody {
                @for attack in book.attacks {
                    tr {
                        td { a href=(place::attack(attack)) { (attack.title) } }
                        td { (severity_chip(attack.severity)) }
                        td { @for class in &attack.classes { (class_chip(*class)) " " } }
                        td.says { (rendered(attack.section(Section::InShort))) }
                    }
                }
            }
        } }
    };
    Frame {
        place: "attacks.html",
        title: "Attacks",
        about: "Attacks on agents and their tools, and the policy that stops each.",
    }
    .page(&body)
}

/// The attacks that abuse tools like this one, as links.
pub(crate) fn on(book: &Book, tool: &super::book::Tool, up: &str) -> Markup {
    let attacks = book.attacks_on(tool);
    html! {
        @if !attacks.is_empty() {
            section {
                h2 { "Attack patterns" }
                p { "Known patterns that abuse tools of this class or with these signals; each page has the policy that stops it." }
                ul {
                    @for attack in attacks {
                        li { a href={ (up) (place::attack(attack)) } { (attack.title) } " " (severity_chip(attack.severity)) }
                    }
                }
            }
        }
    }
}
