//! What pages have in common: the frame around them, and small pieces. All texts of servers are escaped by the markup.

use super::book::{Book, Server, Tool};
use super::place;
use callgate_catalog::{Class, Severity, is_hidden};
use maud::{DOCTYPE, Markup, html};

/// Nothing is loaded from anywhere but this folder, nothing runs but its own files, nothing is sent.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src data:; \
                              form-action 'self' file:; base-uri 'none'";

/// A page's place and how it presents itself.
#[derive(Debug)]
pub(crate) struct Frame<'f> {
    /// Where it stands below the top.
    pub(crate) place: &'f str,
    pub(crate) title: &'f str,
    /// One sentence for those who look for pages.
    pub(crate) about: &'f str,
}

impl Frame<'_> {
    /// The whole page.
    pub(crate) fn page(&self, body: &Markup) -> String {
        let up = place::up(self.place);
        let links = [
            ("servers.html", "Servers"),
            ("classes.html", "Classes"),
            ("risks.html", "High risk"),
            ("attacks.html", "Attacks"),
        ];
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(CONTENT_POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="description" content=(seen_text(self.about));
                    title { (seen_text(self.title)) " · Callgate catalogue" }
                    link rel="stylesheet" href={ (up) "style.css" };
                    link rel="alternate" type="application/feed+json" title="Callgate catalogue" href={ (up) "feed.json" };
                    script src={ (up) "site.js" } defer {}
                }
                body {
                    a.skip href="#main" { "To the content" }
                    header {
                        a.brand href={ (up) "index.html" } { "Callgate" span { " catalogue" } }
                        nav aria-label="Parts of the catalogue" {
                            @for (href, word) in links {
                                @if self.place == href {
                                    a href={ (up) (href) } aria-current="page" { (word) }
                                } @else {
                                    a href={ (up) (href) } { (word) }
                                }
                            }
                        }
                        form.search role="search" aria-label="From any page" action={ (up) "search.html" } method="get" {
                            input type="search" name="q" placeholder="Search tools and servers" aria-label="Search tools and servers" autocomplete="off";
                        }
                    }
                    main #main { (body) }
                    footer {
                        p {
                            "Classes come from what servers say of their tools, by rules; nothing was called. A class says what can happen at worst. "
                            a href={ (up) "classes.html#sure" } { "How sure that is" } " · "
                            a href={ (up) "feed.json" } { "JSON feed" } " · "
                            a href={ (up) "api/servers.json" } { "Data" }
                        }
                    }
                }
            }
        };
        page.into_string()
    }
}

/// A text with each character that nobody sees as its number.
pub(crate) fn seen_text(text: &str) -> String {
    text.chars()
        .map(|c| {
            if is_hidden(c) {
                format!("[U+{:04X}]", u32::from(c))
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// The same as markup, where the number stands out.
pub(crate) fn seen(text: &str) -> Markup {
    html! {
        @for run in text.split_inclusive(is_hidden) {
            @let unseen = run.chars().next_back().filter(|c| is_hidden(*c));
            (run.trim_end_matches(is_hidden))
            @if let Some(c) = unseen {
                span.unseen title="a character that nobody sees" { (format!("U+{:04X}", u32::from(c))) }
            }
        }
    }
}

/// A description, whose lines and blank lines stay.
pub(crate) fn paragraphs(text: &str) -> Markup {
    html! {
        @for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            p.said { (seen(paragraph.trim())) }
        }
    }
}

/// The first of a text, up to so many characters, on one line.
pub(crate) fn beginning(text: &str, most: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= most {
        return flat;
    }
    let cut: String = flat.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

pub(crate) fn class_chip(class: Class) -> Markup {
    html! { span class={ "chip class-" (class.name().to_lowercase()) } { (class) } }
}

pub(crate) fn severity_chip(severity: Severity) -> Markup {
    html! { span class={ "chip severity-" (severity.name().to_lowercase()) } { (severity) } }
}

/// A meaning as a sentence of its own.
pub(crate) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), rest.as_str())
    })
}

/// `9 tools`, `1 tool`.
pub(crate) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Tools in a table, with their servers where they are of several.
pub(crate) fn table(up: &str, tools: &[(&Server, &Tool)], with: Column) -> Markup {
    html! {
        div.wide { table {
            thead { tr {
                th { "Tool" }
                @if with == Column::Server { th { "Server" } }
                th { "Class" } th { "Severity" } th { "What it says" }
            } }
            tbody {
                @for (server, tool) in tools {
                    tr {
                        td { a href={ (up) (place::tool(server, tool)) } { code { (seen(&tool.definition.name)) } } }
                        @if with == Column::Server {
                            td { a href={ (up) (place::server(server)) } { (server.name) } }
                        }
                        td { (class_chip(tool.verdict.class)) }
                        td { (severity_chip(tool.verdict.severity)) }
                        td.says { (seen(&beginning(&tool.definition.description, 110))) }
                    }
                }
            }
        } }
    }
}

/// Whether a table of tools names their servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Server,
    NoServer,
}

/// How many tools are of each class, as a bar with its legend.
pub(crate) fn bar(counts: &[(Class, usize)]) -> Markup {
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let said = counts
        .iter()
        .map(|(class, count)| format!("{class} {count}"))
        .collect::<Vec<_>>()
        .join(", ");
    let mut left = 0;
    html! {
        svg.bar viewBox={ "0 0 " (total.max(1)) " 8" } preserveAspectRatio="none" role="img" aria-label=(said) {
            @for (class, count) in counts {
                rect class={ "fill-" (class.name().to_lowercase()) } x=(left) y="0" width=(count) height="8" {}
                @let () = left += count;
            }
        }
        ul.legend {
            @for (class, count) in counts {
                li { span class={ "dot fill-" (class.name().to_lowercase()) } {} (class) " " b { (count) } }
            }
        }
    }
}

/// A policy, with a button that copies it; the button is there where scripts are.
pub(crate) fn policy(text: &str) -> Markup {
    html! {
        div.rule {
            button type="button" data-copy="policy" hidden { "Copy" }
            pre.policy tabindex="0" aria-label="Policy" { code #policy { (seen(text)) } }
        }
    }
}

/// How many tools of the whole catalogue are of each class, the worst first.
pub(crate) fn all_counts(book: &Book) -> Vec<(Class, usize)> {
    Class::ALL
        .into_iter()
        .map(|class| (class, book.servers.iter().map(|server| server.count(class)).sum()))
        .collect()
}
