//! `callgate catalog show`: a server's page, or a tool's.

use super::safe::{cut, shown, spelt_out, table, wrapped};
use super::view::{Other, ServerPage, ServerView, ToolPage, VerdictView, definition, usual_rule};
use super::{ShowArgs, abuse, find, rule};
use crate::commands::ledger::{Out, Paint, to_the_end_of_a_pipe};
use callgate_catalog::catalogue::{Catalogue, Damaged, Listed, Registry, Server, Tool};
use callgate_catalog::{Class, Signal, Verdict};
use callgate_catalog_data::bundled;
use std::process::ExitCode;

/// So many attacks are named; `--json` has all.
const ATTACKS_MAX: usize = 6;
/// So many other tools of a class are named.
const OTHERS_MAX: usize = 8;
/// So many characters of a tool's name are shown in a table.
const NAME_CHARS_MAX: usize = 40;
/// So many characters of what a server says are shown; `--json` has all.
const SAID_CHARS_MAX: usize = 2_000;

pub(super) fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let catalogue = bundled()?;
    let server = find::server(catalogue, &args.server)?;
    let Some(name) = &args.tool else {
        return to_the_end_of_a_pipe(|out| {
            if args.json {
                out.json(&ServerPage::of(server))?;
            } else {
                server_page(server, out)?;
            }
            Ok(ExitCode::SUCCESS)
        });
    };
    let tool = find::tool(server, name)?;
    let (listed, verdict) = catalogue.verdict(server, &tool.name)?.ok_or(Damaged)?;
    to_the_end_of_a_pipe(|out| {
        let page = ToolPage {
            server: ServerView::of(server),
            verdict: VerdictView::of(&tool.name, &verdict),
            description: &tool.description,
            definition: definition(&listed),
            usual_rule: usual_rule(tool.class),
            recommended: rule::of(&server.name, &listed.raw, &verdict)?,
            attacks: abuse::of(tool.class, &tool.signals)?,
            others: others(catalogue, server, tool),
        };
        if args.json {
            out.json(&page)?;
        } else {
            words(server, tool, &listed, &verdict, &page, out)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Other tools of the class: those whose names share most words, other servers' first.
pub(crate) fn others<'c>(catalogue: &'c Catalogue, server: &Server, tool: &Tool) -> Vec<Other<'c>> {
    let words: Vec<String> = words_of(&tool.name).collect();
    let mut found: Vec<(usize, bool, Other<'c>)> = catalogue
        .tools()
        .filter(|(_, other)| other.class == tool.class)
        .filter(|(of, other)| of.name != server.name || other.name != tool.name)
        .map(|(of, other)| {
            let shared = words_of(&other.name).filter(|word| words.contains(word)).count();
            let other = Other {
                server: &of.name,
                name: &other.name,
            };
            (shared, of.name == server.name, other)
        })
        .collect();
    found.sort_by(|left, right| {
        let key = |(shared, is_own, other): &(usize, bool, Other<'c>)| {
            (std::cmp::Reverse(*shared), *is_own, other.server, other.name)
        };
        key(left).cmp(&key(right))
    });
    found.truncate(OTHERS_MAX);
    found.into_iter().map(|(_, _, other)| other).collect()
}

fn words_of(name: &str) -> impl Iterator<Item = String> {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// What was scanned, in words.
fn package(server: &Server) -> String {
    let package = &server.package;
    match package.registry {
        Registry::Npm => format!("{} {} of npm", package.name, package.version),
        Registry::Pypi => format!("{} {} of PyPI", package.name, package.version),
        Registry::Source => format!("{} at commit {}, in no registry", package.name, package.version),
        Registry::Remote => format!(
            "{} as of {}, which runs remotely only",
            package.name, package.version
        ),
    }
}

fn origin(server: &Server, out: &mut Out) -> anyhow::Result<()> {
    for (head, text) in [
        ("package     ", package(server)),
        ("licence     ", server.licence.clone()),
        (
            "source      ",
            server
                .source
                .clone()
                .unwrap_or_else(|| "its package states none".to_owned()),
        ),
        ("scanned     ", format!("{}, {}", server.date, server.obtained)),
    ] {
        out.bytes(wrapped(head, &shown(&text)).as_bytes())?;
    }
    Ok(())
}

fn server_page(server: &Server, out: &mut Out) -> anyhow::Result<()> {
    let paint = out.paint();
    let title = shown(server.shown_title());
    out.line(&paint.strong(&if title == server.name {
        title
    } else {
        format!("{} ({title})", server.name)
    }))?;
    if let Some(about) = &server.about {
        out.bytes(wrapped("", &shown(&cut(about, SAID_CHARS_MAX))).as_bytes())?;
    }
    out.line("")?;
    origin(server, out)?;
    let counts: Vec<String> = Class::ALL
        .iter()
        .filter(|class| server.count(**class) > 0)
        .map(|class| format!("{} {class}", server.count(*class)))
        .collect();
    out.bytes(
        wrapped(
            "tools       ",
            &format!("{}: {}", server.tools.len(), counts.join(", ")),
        )
        .as_bytes(),
    )?;
    let high = server.high_risk();
    out.line("")?;
    out.line(&paint.strong(&format!(
        "High risk: {} of {} tools",
        high.len(),
        server.tools.len()
    )))?;
    if !high.is_empty() {
        out.bytes(tools(&high).as_bytes())?;
    }
    let rest: Vec<&Tool> = server.tools.iter().filter(|tool| !tool.is_high_risk()).collect();
    if !rest.is_empty() {
        out.line("")?;
        out.line(&paint.strong("Other tools"))?;
        out.bytes(tools(&rest).as_bytes())?;
    }
    Ok(())
}

fn tools(tools: &[&Tool]) -> String {
    let rows: Vec<Vec<String>> = tools
        .iter()
        .map(|tool| {
            let signals: Vec<String> = tool.signals.iter().map(|code| code.replace('_', " ")).collect();
            vec![
                cut(&shown(&tool.name), NAME_CHARS_MAX),
                tool.class.name().to_owned(),
                tool.severity.name().to_owned(),
                tool.confidence.to_string(),
                signals.join(", "),
            ]
        })
        .collect();
    table(&["TOOL", "CLASS", "SEVERITY", "SURE", "SIGNALS"], &rows)
}

fn words(
    server: &Server,
    tool: &Tool,
    listed: &Listed,
    verdict: &Verdict,
    page: &ToolPage<'_>,
    out: &mut Out,
) -> anyhow::Result<()> {
    let paint = out.paint();
    out.line(&paint.strong(&format!("{} of {}", cut(&shown(&tool.name), 80), server.name)))?;
    let said = shown(&cut(&tool.description, SAID_CHARS_MAX));
    out.bytes(
        wrapped(
            "",
            if said.is_empty() {
                "It says nothing of what it does."
            } else {
                &said
            },
        )
        .as_bytes(),
    )?;
    out.line("")?;
    verdict_words(verdict, paint, out)?;
    for (index, parameter) in listed.definition.parameters.iter().take(40).enumerate() {
        let need = if parameter.is_required { ", required" } else { "" };
        let kinds = if parameter.kinds.is_empty() {
            "any".to_owned()
        } else {
            parameter.kinds.join(" | ")
        };
        let head = if index == 0 {
            "takes       "
        } else {
            "            "
        };
        let about = format!("{} ({kinds}{need}) {}", parameter.name, parameter.description);
        out.bytes(wrapped(head, &cut(&shown(&about), 160)).as_bytes())?;
    }
    out.bytes(wrapped("usual rule  ", page.usual_rule).as_bytes())?;
    out.line("")?;
    out.line(&paint.strong("Recommended policy for it alone"))?;
    for line in page.recommended.policy.lines() {
        out.line(format!("  {}", spelt_out(line)).trim_end())?;
    }
    for why in &page.recommended.reasons {
        out.bytes(wrapped("  - ", &shown(&why.why)).as_bytes())?;
    }
    for question in &page.recommended.open {
        out.bytes(wrapped("  to fill in: ", &shown(question)).as_bytes())?;
    }
    out.line("")?;
    origin(server, out)?;
    if !page.attacks.is_empty() {
        out.line("")?;
        out.line(&paint.strong("Attacks that it is open to"))?;
        for abuse in page.attacks.iter().take(ATTACKS_MAX) {
            let by = if abuse.signals.is_empty() {
                String::new()
            } else {
                format!(", by {}", abuse.signals.join(", "))
            };
            out.line(&format!(
                "  {}: {} ({}{by})",
                abuse.id, abuse.title, abuse.severity
            ))?;
        }
        out.line("  `callgate attacks show ID` says what stops one, `callgate attacks run ID` plays it.")?;
    }
    if !page.others.is_empty() {
        out.line("")?;
        out.line(&paint.strong(&format!("Other {} tools", tool.class)))?;
        for other in &page.others {
            out.line(&format!("  {} of {}", cut(&shown(other.name), 60), other.server))?;
        }
    }
    Ok(())
}

fn verdict_words(verdict: &Verdict, paint: Paint, out: &mut Out) -> anyhow::Result<()> {
    let class = format!("{}: {}", verdict.class, verdict.class.meaning());
    out.bytes(wrapped("class       ", &class).as_bytes())?;
    let severity = format!("{}: {}", verdict.severity, verdict.severity.meaning());
    out.bytes(wrapped("severity    ", &severity).as_bytes())?;
    let sure = if verdict.confidence.is_low() {
        format!(
            "{}, which is low: read the definition yourself",
            verdict.confidence
        )
    } else {
        verdict.confidence.to_string()
    };
    out.bytes(wrapped("sure        ", &sure).as_bytes())?;
    out.bytes(wrapped("why         ", &shown(&verdict.rationale)).as_bytes())?;
    for (index, found) in verdict.evidence.iter().enumerate() {
        let head = if index == 0 {
            "evidence    "
        } else {
            "            "
        };
        let quote = format!(
            "{} {:+} {}: “{}”",
            found.class,
            found.points,
            found.part.name(),
            shown(&found.quote)
        );
        out.bytes(wrapped(head, &quote).as_bytes())?;
    }
    for (index, signal) in verdict.signals.iter().enumerate() {
        let head = if index == 0 {
            "signals     "
        } else {
            "            "
        };
        let text = format!("{}: {}", signal.code(), shown(&cut(&Signal::text(signal), 300)));
        out.bytes(wrapped(head, &paint.odd(&text)).as_bytes())?;
    }
    Ok(())
}
