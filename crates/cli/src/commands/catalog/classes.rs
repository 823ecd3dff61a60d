//! `callgate catalog classes`: what each class means, how many tools have it, and the usual rule.

use super::safe::{table, wrapped};
use super::view::usual_rule;
use crate::commands::ledger::to_the_end_of_a_pipe;
use callgate_catalog::{Class, Severity};
use callgate_catalog_data::bundled;
use serde_json::json;
use std::process::ExitCode;

pub(super) fn classes(json: bool) -> anyhow::Result<ExitCode> {
    let catalogue = bundled()?;
    let counted = Class::ALL.map(|class| {
        let servers = catalogue
            .servers()
            .iter()
            .filter(|server| server.count(class) > 0);
        let severities = Severity::ALL.map(|severity| {
            let of_both =
                |tool: &callgate_catalog::catalogue::Tool| tool.class == class && tool.severity == severity;
            (
                severity,
                catalogue.tools().filter(|(_, tool)| of_both(tool)).count(),
            )
        });
        let tools: usize = severities.iter().map(|(_, count)| count).sum();
        (class, tools, servers.count(), severities)
    });
    to_the_end_of_a_pipe(|out| {
        if json {
            for (class, tools, servers, severities) in &counted {
                let severities: serde_json::Map<String, serde_json::Value> = severities
                    .iter()
                    .map(|(severity, count)| (severity.name().to_owned(), json!(count)))
                    .collect();
                out.json(&json!({
                    "class": class.name(),
                    "meaning": class.meaning(),
                    "tools": tools,
                    "servers": servers,
                    "severities": severities,
                    "usual_rule": usual_rule(*class),
                }))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<Vec<String>> = counted
            .iter()
            .map(|(class, tools, servers, severities)| {
                [class.name().to_owned(), tools.to_string(), servers.to_string()]
                    .into_iter()
                    .chain(severities.iter().map(|(_, count)| count.to_string()))
                    .collect()
            })
            .collect();
        let heading = ["CLASS", "TOOLS", "SERVERS", "CRITICAL", "HIGH", "MEDIUM", "LOW"];
        out.bytes(table(&heading, &rows).as_bytes())?;
        for (class, ..) in &counted {
            out.line("")?;
            out.bytes(wrapped(&format!("{:<13}", class.name()), class.meaning()).as_bytes())?;
            out.bytes(wrapped("  usual rule ", usual_rule(*class)).as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
