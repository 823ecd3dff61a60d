//! The page of one server, and the list of all.

use super::book::{Book, Server, Tool};
use super::parts::{self, Column, Frame, counted, seen};
use super::place;
use callgate_catalog::catalogue::Registry;
use callgate_catalog::{Class, Severity};
use maud::{Markup, html};

/// Where what is known of a server is from.
pub(crate) fn origin(server: &Server) -> Markup {
    html! {
        section.origin {
            h2 { "Where this is from" }
            p {
                code { (seen(&server.package.name)) } " " (seen(&server.package.version)) ", " (from(server.package.registry)) ": "
                (seen(&server.obtained)) ", on " (server.date) "."
                @if !server.licence.is_empty() { " Licence: " (seen(&server.licence)) "." }
                @if let Some(source) = &server.source { " Source: " (seen(source)) "." }
            }
            p { "Another version may have other tools. " code { "callgate scan" } " looks at yours." }
        }
    }
}

/// Where a package is published, in words.
const fn from(registry: Registry) -> &'static str {
    match registry {
        Registry::Npm => "from npm",
        Registry::Pypi => "from PyPI",
        Registry::Source => "from its repository",
        Registry::Remote => "at its address",
    }
}

pub(crate) fn page(book: &Book, server: &Server) -> String {
    let place = place::server(server);
    let up = place::up(&place);
    let counts: Vec<(Class, usize)> = Class::ALL
        .into_iter()
        .map(|class| (class, server.count(class)))
        .collect();
    let risks = with(server, server.risks());
    let about = format!(
        "{} of the MCP server {}, by what each can do at worst, and the policy that Callgate recommends.",
        counted(server.tools.len(), "tool"),
        server.name
    );
    let body = html! {
        p.crumbs { a href={ (up) "servers.html" } { "Servers" } }
        h1 { (server.name) }
        @if server.title != server.name { p.crumbs { "It calls itself “" (seen(&server.title)) "”." } }
        @if let Some(about) = &server.about { p.said { (seen(about)) } }
        p.lead { code { (seen(&server.package.name)) } " " (seen(&server.package.version)) ": " (counted(server.tools.len(), "tool")) ", "
            (counted(risks.len(), "high risk")) "." }
        (parts::bar(&counts))
        section {
            h2 #high-risk { "High risk" }
            @if risks.is_empty() {
                p { "No tool of this server is of high or critical severity." }
            } @else {
                (parts::table(&up, &risks, Column::NoServer))
            }
        }
        section {
            h2 #tools { "All tools" }
            (parts::table(&up, &with(server, server.tools.iter().collect()), Column::NoServer))
        }
        (policy(server, &up))
        (questions(server, &counts))
        (origin(server))
        @let others = neighbours(book, server);
        @if !others.is_empty() {
            section {
                h2 { "Other servers" }
                ul.inline {
                    @for other in others { li { a href={ (up) (place::server(other)) } { (other.name) } } }
                }
            }
        }
    };
    Frame {
        place: &place,
        title: &format!("{}: tools by risk", server.name),
        about: &about,
    }
    .page(&body)
}

/// The whole policy, and what it asks of a person.
fn policy(server: &Server, up: &str) -> Markup {
    let open: Vec<_> = server.holes.iter().filter(|hole| hole.is_open()).collect();
    html! {
        section {
            h2 #recommended { "Recommended policy" }
            p {
                a href={ (up) (place::policy(server)) } { "The policy" } " and "
                a href={ (up) (place::tests(server)) } { "its tests" } ", as files. "
                @if open.is_empty() {
                    "It holds as it is."
                } @else {
                    (counted(open.len(), "question")) " only you can answer; until then what they are about is denied."
                }
            }
            @if !open.is_empty() {
                details {
                    summary { "What to fill in" }
                    ul { @for hole in &open { li { code { (seen(&hole.tool)) } ": " (seen(&hole.question())) } } }
                }
            }
            details {
                summary { "Show it" }
                (parts::policy(&server.policy))
            }
        }
    }
}

fn with<'s>(server: &'s Server, tools: Vec<&'s Tool>) -> Vec<(&'s Server, &'s Tool)> {
    tools.into_iter().map(|tool| (server, tool)).collect()
}

/// The servers beside this one in the alphabet.
fn neighbours<'b>(book: &'b Book, server: &Server) -> Vec<&'b Server> {
    let place = book
        .servers
        .iter()
        .position(|other| other.name == server.name)
        .unwrap_or_default();
    book.servers
        .iter()
        .skip(place.saturating_sub(3))
        .take(7)
        .filter(|other| other.name != server.name)
        .collect()
}

fn questions(server: &Server, counts: &[(Class, usize)]) -> Markup {
    let critical: Vec<&Tool> = server
        .tools
        .iter()
        .filter(|tool| tool.verdict.severity == Severity::Critical)
        .collect();
    html! {
        section.questions {
            h2 { "Questions" }
            details {
                summary { "What can an agent do with " (server.name) "?" }
                ul {
                    @for (class, count) in counts.iter().filter(|(_, count)| *count > 0) {
                        li { (counted(*count, "tool")) " of class " (class) ". " (super::tool::why(*class)) }
                    }
                }
            }
            details {
                summary { "Which tools should be looked at first?" }
                @if critical.is_empty() {
                    p { "None is critical; those of high severity are listed above." }
                } @else {
                    p {
                        "Those of critical severity: "
                        @for (number, tool) in critical.iter().enumerate() {
                            @if number > 0 { ", " }
                            code { (seen(&tool.definition.name)) }
                        }
                        "."
                    }
                }
            }
            details {
                summary { "How do I guard it?" }
                p { "Let Callgate write a policy from the server's own list of tools, fill in what it asks for, and put it before the server:" }
                pre { code { "callgate scan -o policy.yaml -- …\ncallgate run -c policy.yaml -- …" } }
            }
        }
    }
}

/// The list of all servers.
pub(crate) fn list(book: &Book) -> String {
    let total = book.tools().count();
    let body = html! {
        h1 { "Servers" }
        p.lead { (counted(book.servers.len(), "server")) " with " (counted(total, "tool")) ", each started and asked for its list." }
        input.filter type="search" placeholder="Filter by name" aria-label="Filter by name" data-filter="servers" autocomplete="off";
        div.wide { table #servers {
            thead { tr {
                th { "Server" } th { "Package" }
                @for class in Class::ALL { th.number { (class) } }
                th.number { "High risk" }
            } }
            tbody {
                @for server in &book.servers {
                    tr {
                        td { a href=(place::server(server)) { (server.name) } }
                        td { code { (seen(&server.package.name)) } " " (seen(&parts::beginning(&server.package.version, 14))) }
                        @for class in Class::ALL {
                            @let count = server.count(class);
                            td.number { @if count > 0 { (count) } @else { span.none { "–" } } }
                        }
                        td.number { (server.risks().len()) }
                    }
                }
            }
        } }
    };
    Frame {
        place: "servers.html",
        title: "Servers",
        about: "MCP servers and what their tools can do at worst.",
    }
    .page(&body)
}
