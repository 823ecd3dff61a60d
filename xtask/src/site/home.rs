//! The first page.

use super::book::Book;
use super::parts::{self, Frame, class_chip, counted};
use super::place;
use super::tool::usual;
use maud::html;

/// So many servers are named.
const SERVERS_MAX: usize = 12;

pub(crate) fn page(book: &Book) -> String {
    let counts = parts::all_counts(book);
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let mut by_risk: Vec<_> = book.servers.iter().collect();
    by_risk.sort_by_key(|server| std::cmp::Reverse(server.risks().len()));
    let body = html! {
        h1 { "What agents can do with their tools" }
        p.lead {
            (counted(total, "tool")) " of " (counted(book.servers.len(), "MCP server"))
            ", by what each can do at worst; why; and the rule that holds."
        }
        form.search.large role="search" aria-label="The whole catalogue" action="search.html" method="get" {
            input type="search" name="q" placeholder="delete, payment, github, workflow_execute …" aria-label="Search the catalogue" autocomplete="off";
            button type="submit" { "Search" }
        }
        (parts::bar(&counts))
        div.cards {
            @for (class, count) in &counts {
                a.card href=(place::class(*class)) {
                    (class_chip(*class)) " " span.count { (counted(*count, "tool")) }
                    p { (parts::sentence(class.meaning())) }
                    p.usual { (usual(*class)) }
                }
            }
        }
        section {
            h2 { "Attacks, and what stops them" }
            ul.inline {
                @for attack in book.attacks { li { a href=(place::attack(attack)) { (attack.title) } } }
            }
        }
        section {
            h2 { "Servers with most high-risk tools" }
            ul.inline {
                @for server in by_risk.iter().take(SERVERS_MAX) {
                    li { a href=(place::server(server)) { (server.name) } " " span.count { (server.risks().len()) } }
                }
                li { a href="servers.html" { "all " (book.servers.len()) } }
            }
        }
    };
    Frame {
        place: "index.html",
        title: "Tools of MCP servers by risk",
        about: "What the tools of MCP servers can do at worst, and the policy that holds.",
    }
    .page(&body)
}
