//! The page of one tool.

use super::book::{Book, Server, Tool};
use super::parts::{self, Column, Frame, class_chip, counted, seen, seen_text, severity_chip};
use super::place;
use callgate_catalog::{Class, Evidence, Parameter};
use maud::{Markup, html};

/// So many other tools of the class are named.
const ALIKE_MAX: usize = 8;

/// Why a class asks for a policy, in one sentence.
pub(crate) const fn why(class: Class) -> &'static str {
    match class {
        Class::Financial => {
            "A call can move money or bind somebody to pay. One wrong amount, or the same call twice, cannot be called back."
        }
        Class::Destructive => {
            "A call can lose something for good. What an agent deletes by mistake, or because a text told it to, is gone."
        }
        Class::Execute => {
            "A call sets something going whose effects the definition does not bound: builds, messages, code, other systems."
        }
        Class::Write => {
            "A call changes what others see. It can be put right, but many wrong changes in a row cost somebody a day."
        }
        Class::Read => {
            "A call changes nothing. What it reads can still be more than the agent should see, or carry instructions."
        }
    }
}

/// What is done about a class where nothing more is known.
pub(crate) const fn usual(class: Class) -> &'static str {
    match class {
        Class::Financial => "Held for a person, with a budget.",
        Class::Destructive => "Hidden, or held for a person.",
        Class::Execute => "At most ten calls a minute, with exact lists of what may be started.",
        Class::Write => "At most thirty calls a minute, arguments checked against the schema.",
        Class::Read => "No limit; arguments checked where they name paths or addresses.",
    }
}

pub(crate) fn page(book: &Book, server: &Server, tool: &Tool) -> String {
    let place = place::tool(server, tool);
    let up = place::up(&place);
    let verdict = &tool.verdict;
    let name = &tool.definition.name;
    let title = format!(
        "{name} of {}: {}, {}",
        server.name, verdict.class, verdict.severity
    );
    let about = format!("{} What Callgate recommends for it.", verdict.rationale);
    let body = html! {
        p.crumbs {
            a href={ (up) "servers.html" } { "Servers" } " › "
            a href={ (up) (place::server(server)) } { (server.name) }
        }
        h1 { code { (seen(name)) } }
        p.chips {
            a href={ (up) (place::class(verdict.class)) } { (class_chip(verdict.class)) }
            (severity_chip(verdict.severity))
            span.chip { "sure: " (verdict.confidence) }
            @for signal in &verdict.signals {
                span.chip.signal { (signal.code().replace('_', " ")) }
            }
        }
        @if verdict.confidence.is_low() {
            p.note { "Nothing in the definition speaks clearly, so the class is the worst that it plausibly is. Read it yourself." }
        }
        section {
            h2 { "What it says of itself" }
            @if tool.definition.description.trim().is_empty() {
                p { "Nothing. A tool without a description is called by its name alone." }
            } @else {
                (parts::paragraphs(&tool.definition.description))
            }
            (parameters(&tool.definition.parameters))
        }
        section {
            h2 { "What it can do at worst" }
            p { (seen(&verdict.rationale)) }
            p { (why(verdict.class)) }
            @if !verdict.signals.is_empty() {
                ul.signals {
                    @for signal in &verdict.signals { li { (seen(&signal.text())) } }
                }
            }
            (evidence(&verdict.evidence))
        }
        (rule(server, tool, &up))
        (super::attack::on(book, tool, &up))
        section {
            h2 { "Other " (verdict.class) " tools" }
            @let alike = book.alike(server, tool, ALIKE_MAX);
            @if alike.is_empty() {
                p { "None has a name like it. " a href={ (up) (place::class(verdict.class)) } { "All of the class" } "." }
            } @else {
                (parts::table(&up, &alike, Column::Server))
            }
        }
        (questions(server, tool, &up))
        (super::server::origin(server))
    };
    Frame {
        place: &place,
        title: &title,
        about: &about,
    }
    .page(&body)
}

/// What is recommended, and why.
fn rule(server: &Server, tool: &Tool, up: &str) -> Markup {
    html! {
        @if let Some(advice) = &tool.advice {
            section {
                h2 #rule { "Recommended rule" }
                (parts::policy(&advice.policy))
                @if !advice.reasons.is_empty() {
                    ul.reasons {
                        @for reason in &advice.reasons {
                            li { b { (reason.kind.name().replace('_', " ")) } ": " (seen(&reason.why)) }
                        }
                    }
                }
                p {
                    "In one file with the server's other tools: "
                    a href={ (up) (place::server(server)) "#recommended" } { "the policy of " (server.name) } "."
                }
            }
        }
    }
}

fn parameters(parameters: &[Parameter]) -> Markup {
    html! {
        @if !parameters.is_empty() {
            details open[parameters.len() <= 12] {
                summary { (counted(parameters.len(), "parameter")) }
                div.wide { table {
                    thead { tr { th { "Parameter" } th { "Type" } th { "Needed" } th { "What it says" } } }
                    tbody {
                        @for parameter in parameters {
                            tr {
                                td { code { (seen(&parameter.name)) } }
                                td {
                                    @if parameter.choices.is_empty() {
                                        (seen(&parameter.kinds.join(" or ")))
                                    } @else {
                                        "one of " (seen(&parts::beginning(&parameter.choices.join(", "), 200)))
                                    }
                                }
                                td { @if parameter.is_required { "yes" } }
                                td.says { (seen(&parts::beginning(&parameter.description, 240))) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn evidence(evidence: &[Evidence]) -> Markup {
    html! {
        @if !evidence.is_empty() {
            h3 { "From the tool's definition" }
            ul.evidence {
                @for piece in evidence {
                    li {
                        span.part { (piece.part.name()) }
                        " " q { (seen(&piece.quote)) }
                        @if !piece.meaning.is_empty() { ": it " (piece.meaning) }
                        " "
                        @if piece.points < 0 {
                            span.against { "(speaks against " (piece.class) ")" }
                        } @else {
                            span.for { "(speaks for " (piece.class) ")" }
                        }
                    }
                }
            }
        }
    }
}

fn questions(server: &Server, tool: &Tool, up: &str) -> Markup {
    let verdict = &tool.verdict;
    let name = seen_text(&tool.definition.name);
    html! {
        section.questions {
            h2 { "Questions" }
            details {
                summary { "What does " code { (name) } " do?" }
                p { (seen(&parts::beginning(&tool.definition.description, 400))) }
                p { "It is a tool of class " (verdict.class) ": " (why(verdict.class)) }
            }
            details {
                summary { "How do I put a policy in force?" }
                p { "Save the server's policy as " code { "policy.yaml" } ", and put Callgate before the server's command:" }
                pre { code { "callgate run -c policy.yaml -- …" } }
                p { "Every call is judged before it reaches the server. What is denied comes back as an answer that the agent can read." }
            }
            details {
                summary { "How do I block " code { (name) } " altogether?" }
                p { "Leave it out under " code { "default: deny" } ", or name it under " code { "hide" } ": then no agent sees it." }
            }
            details {
                summary { "Can I limit how often it is called?" }
                p { "Yes, exactly: at most so many calls in any window, over all processes that share a state folder, also after a restart. A sum of an argument makes a budget." }
            }
            details {
                summary { "Which server has it?" }
                p { a href={ (up) (place::server(server)) } { (server.name) } ", as " code { (seen(&server.package.name)) } " " (seen(&server.package.version)) "." }
            }
        }
    }
}
