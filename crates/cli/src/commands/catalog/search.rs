//! `callgate catalog search` and `callgate catalog risks`: servers and tools by words, class, severity and signals.

use super::safe::{cut, shown, table};
use super::view::HitView;
use super::{RisksArgs, SearchArgs};
use crate::commands::ledger::{Out, to_the_end_of_a_pipe};
use crate::words::say;
use anyhow::bail;
use callgate_catalog::catalogue::{Catalogue, Filter, Hit};
use callgate_catalog::{Severity, Signal};
use callgate_catalog_data::bundled;
use serde_json::json;
use std::collections::BTreeSet;
use std::process::ExitCode;

/// So many rows a table has, where nothing else is asked for.
const ROWS: usize = 20;
/// So many characters of a tool's name are shown in a table.
const NAME_CHARS_MAX: usize = 36;

pub(super) fn search(args: &SearchArgs) -> anyhow::Result<ExitCode> {
    let text = args.text.join(" ");
    let filter = args.filter.filter(args.severity);
    if text.trim().is_empty() && filter == Filter::default() {
        bail!(
            "say what to look for\nhint: callgate catalog search workflow; or --class, --severity, --signal"
        );
    }
    let catalogue = bundled()?;
    let hits = catalogue.search_by(&text, &filter);
    if hits.is_empty() {
        bail!("nothing in the catalogue has all of that");
    }
    to_the_end_of_a_pipe(|out| {
        list(&hits, args.limit, args.json, out)?;
        Ok(ExitCode::SUCCESS)
    })
}

pub(super) fn risks(args: &RisksArgs) -> anyhow::Result<ExitCode> {
    let catalogue = bundled()?;
    let filter = args.filter.filter(args.severity);
    to_the_end_of_a_pipe(|out| {
        if filter == Filter::default() {
            overview(catalogue, args.json, out)?;
            return Ok(ExitCode::SUCCESS);
        }
        let filter = Filter {
            severity: filter.severity.or(Some(Severity::High)),
            ..filter
        };
        let hits = catalogue.search_by("", &filter);
        if hits.is_empty() {
            bail!("no tool in the catalogue has all of that");
        }
        list(&hits, args.limit, args.json, out)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// What was found: all of it as JSON, the best as a table.
fn list(hits: &[Hit<'_>], limit: Option<usize>, json: bool, out: &mut Out) -> anyhow::Result<()> {
    if json {
        for hit in hits.iter().take(limit.unwrap_or(usize::MAX)) {
            out.json(&HitView::of(hit))?;
        }
        return Ok(());
    }
    let limit = limit.unwrap_or(ROWS);
    let rows: Vec<Vec<String>> = hits.iter().take(limit).map(row).collect();
    out.bytes(
        table(
            &["SERVER", "TOOL", "CLASS", "SEVERITY", "WHAT IT SAYS OF ITSELF"],
            &rows,
        )
        .as_bytes(),
    )?;
    out.flush()?;
    let tools = hits.iter().filter(|hit| hit.tool.is_some()).count();
    let servers: BTreeSet<&str> = hits.iter().map(|hit| hit.server.name.as_str()).collect();
    let all = format!("{} of {}", count(tools, "tool"), count(servers.len(), "server"));
    if hits.len() > limit {
        say(&format!(
            "callgate: {all}; the first {limit} are shown, --limit shows more"
        ));
    } else {
        say(&format!("callgate: {all}"));
    }
    Ok(())
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn row(hit: &Hit<'_>) -> Vec<String> {
    match hit.tool {
        Some(tool) => vec![
            hit.server.name.clone(),
            cut(&shown(&tool.name), NAME_CHARS_MAX),
            tool.class.name().to_owned(),
            tool.severity.name().to_owned(),
            shown(cut(&tool.description, 200).as_str()),
        ],
        None => vec![
            hit.server.name.clone(),
            format!("({})", count(hit.server.tools.len(), "tool")),
            String::new(),
            hit.server
                .tools
                .iter()
                .map(|tool| tool.severity)
                .max()
                .map_or_else(String::new, |worst| worst.name().to_owned()),
            shown(
                hit.server
                    .about
                    .as_deref()
                    .unwrap_or_else(|| hit.server.shown_title()),
            ),
        ],
    }
}

/// How many tools have which severity, and which signal.
fn overview(catalogue: &Catalogue, json: bool, out: &mut Out) -> anyhow::Result<()> {
    let number = |is_so: &dyn Fn(&callgate_catalog::catalogue::Tool) -> bool| {
        let found: Vec<&str> = catalogue
            .tools()
            .filter(|(_, tool)| is_so(tool))
            .map(|(server, _)| server.name.as_str())
            .collect();
        let servers: BTreeSet<&str> = found.iter().copied().collect();
        (found.len(), servers.len())
    };
    let severities = Severity::ALL.map(|severity| (severity, number(&|tool| tool.severity == severity)));
    let signals = Signal::KINDS.map(|(code, meaning)| {
        let all = number(&|tool| tool.signals.contains(&code));
        let high = number(&|tool| tool.signals.contains(&code) && tool.is_high_risk());
        (code, meaning, all, high.0)
    });
    if json {
        let severities: Vec<_> = severities
            .iter()
            .map(|(severity, (tools, servers))| {
                json!({"severity": severity.name(), "tools": tools, "servers": servers, "meaning": severity.meaning()})
            })
            .collect();
        let signals: Vec<_> = signals
            .iter()
            .map(|(code, meaning, (tools, servers), high)| {
                json!({"signal": code, "tools": tools, "servers": servers, "high_risk": high, "meaning": meaning})
            })
            .collect();
        return out.json(&json!({"severities": severities, "signals": signals}));
    }
    let rows: Vec<Vec<String>> = severities
        .iter()
        .map(|(severity, (tools, servers))| {
            vec![
                severity.name().to_owned(),
                tools.to_string(),
                servers.to_string(),
                severity.meaning().to_owned(),
            ]
        })
        .collect();
    out.line(&table(&["SEVERITY", "TOOLS", "SERVERS", "WHAT IT SAYS"], &rows))?;
    let rows: Vec<Vec<String>> = signals
        .iter()
        .map(|(code, meaning, (tools, servers), high)| {
            vec![
                (*code).to_owned(),
                tools.to_string(),
                servers.to_string(),
                high.to_string(),
                (*meaning).to_owned(),
            ]
        })
        .collect();
    out.bytes(
        table(
            &["SIGNAL", "TOOLS", "SERVERS", "HIGH RISK", "WHAT WAS SEEN"],
            &rows,
        )
        .as_bytes(),
    )?;
    Ok(())
}
