//! The classes, each with its tools, and the tools of the highest risk.

use super::book::Book;
use super::parts::{self, Column, Frame, class_chip, counted};
use super::place;
use super::tool::{usual, why};
use callgate_catalog::{Class, Severity};
use maud::html;

pub(crate) fn list(book: &Book) -> String {
    let body = html! {
        h1 { "Classes" }
        p.lead { "What a tool can do at worst, asked from the top: the first yes is its class." }
        (parts::bar(&parts::all_counts(book)))
        @for (class, count) in parts::all_counts(book) {
            section.card {
                h2 { a href=(place::class(class)) { (class_chip(class)) } " " span.count { (counted(count, "tool")) } }
                p { (parts::sentence(class.meaning())) }
                p { b { "Usual rule: " } (usual(class)) }
            }
        }
        section #sure {
            h2 { "How sure that is" }
            p { "The class comes from the tool's name, description, parameters and annotations, by rules that anybody can read. \
                 It is measured on tools that were labelled by hand; a third of the servers is never used to tune it. \
                 Where nothing speaks clearly, the class is the worst that it plausibly is, and its confidence is below 0.50. \
                 An annotation that says less than the definition never lowers a class." }
        }
    };
    Frame {
        place: "classes.html",
        title: "Classes",
        about: "Financial, Destructive, Execute, Write, Read: what a tool of an MCP server can do at worst.",
    }
    .page(&body)
}

pub(crate) fn page(book: &Book, class: Class) -> String {
    let place = place::class(class);
    let up = place::up(&place);
    let mut tools: Vec<_> = book
        .tools()
        .filter(|(_, tool)| tool.verdict.class == class)
        .collect();
    tools.sort_by_key(|(_, tool)| std::cmp::Reverse(tool.verdict.severity));
    let body = html! {
        p.crumbs { a href={ (up) "classes.html" } { "Classes" } }
        h1 { (class) }
        p.lead { (parts::sentence(class.meaning())) }
        p { (why(class)) }
        p { b { "Usual rule: " } (usual(class)) }
        section {
            h2 { (counted(tools.len(), "tool")) }
            input.filter type="search" placeholder="Filter by name or text" aria-label="Filter by name or text" data-filter="tools" autocomplete="off";
            div #tools { (parts::table(&up, &tools, Column::Server)) }
        }
    };
    Frame {
        place: &place,
        title: &format!("{class} tools"),
        about: &parts::sentence(class.meaning()),
    }
    .page(&body)
}

/// The tools of critical severity, over all servers.
pub(crate) fn risks(book: &Book) -> String {
    let mut tools: Vec<_> = book
        .tools()
        .filter(|(_, tool)| tool.verdict.severity == Severity::Critical)
        .collect();
    tools.sort_by_key(|(_, tool)| std::cmp::Reverse(tool.verdict.class));
    let high = book
        .tools()
        .filter(|(_, tool)| tool.verdict.severity == Severity::High)
        .count();
    let body = html! {
        h1 { "High risk" }
        p.lead { (counted(tools.len(), "tool")) " of critical severity; " (high) " more are of high severity, on the pages of their servers." }
        input.filter type="search" placeholder="Filter by name or text" aria-label="Filter by name or text" data-filter="tools" autocomplete="off";
        div #tools { (parts::table("", &tools, Column::Server)) }
    };
    Frame {
        place: "risks.html",
        title: "High risk",
        about: "The tools that can do most harm, over all servers of the catalogue.",
    }
    .page(&body)
}
