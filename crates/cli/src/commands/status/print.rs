//! `status` for a person.

use super::super::ledger::time::{Micros, short};
use super::super::ledger::{Out, clean};
use super::gather::{Gate, Status};
use std::time::Duration;

/// How many tools and limits are listed before the rest is counted.
const ROWS_MAX: usize = 20;

pub(super) fn print(status: &Status, out: &mut Out) -> anyhow::Result<()> {
    let paint = out.paint();
    for warning in &status.warnings {
        out.line(&format!("{} {}", paint.odd("warning:"), clean(warning)))?;
    }
    gates(status, out)?;
    servers(status, out)?;
    calls(status, out)?;
    limits(status, out)?;
    ledger(status, out)
}

fn heading(text: &str, out: &mut Out) -> std::io::Result<()> {
    let text = out.paint().strong(text);
    out.line(&text)
}

fn gates(status: &Status, out: &mut Out) -> anyhow::Result<()> {
    let running: Vec<&Gate> = status.gates.iter().filter(|gate| gate.running).collect();
    heading(&format!("Gates: {} running", running.len()), out)?;
    for gate in running {
        let servers = gate.servers.join(", ");
        let age = short(Micros(status.at_us).since(Micros(gate.started_us)));
        out.line(&format!(
            "  {:<28} {:<20} pid {:<8} since {} ({age}), {} calls under way",
            clean(&servers),
            clean(&gate.label),
            gate.pid,
            Micros(gate.started_us),
            gate.open_calls,
        ))?;
    }
    Ok(())
}

/// What a gateway says of its servers.
fn servers(status: &Status, out: &mut Out) -> anyhow::Result<()> {
    if status.servers.is_empty() {
        return Ok(());
    }
    let paint = out.paint();
    heading("Servers of the gateway", out)?;
    for server in &status.servers {
        let health = match server.breakers_open {
            0 => "answers".to_owned(),
            callers => paint.odd(&format!("keeps failing, left alone for {callers} callers")),
        };
        out.line(&format!(
            "  {:<24} {:>5} sessions, {:>5} requests under way, {health}",
            clean(&server.server),
            server.sessions,
            server.pending,
        ))?;
    }
    Ok(())
}

fn calls(status: &Status, out: &mut Out) -> anyhow::Result<()> {
    let (calls, paint) = (&status.calls, out.paint());
    heading(
        &format!(
            "Calls since {}: {} allowed, {} denied",
            Micros(status.since_us),
            calls.allowed,
            calls.denied
        ),
        out,
    )?;
    if !calls.outcomes.is_empty() {
        let ended: Vec<String> = calls
            .outcomes
            .iter()
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        out.line(&format!("  ended: {}", ended.join(", ")))?;
    }
    if calls.malformed > 0 {
        out.line(&format!("  {} malformed messages were refused", calls.malformed))?;
    }
    if !calls.tools.is_empty() {
        out.line(&paint.dim(&format!("  {:>8} {:>8}  SERVER TOOL", "ALLOWED", "DENIED")))?;
    }
    for tool in calls.tools.iter().take(ROWS_MAX) {
        let name = format!("{} {}", clean(&tool.server), clean(&tool.tool));
        out.line(&format!("  {:>8} {:>8}  {name}", tool.allowed, tool.denied))?;
    }
    rest(calls.tools.len(), out)?;
    if !status.denials.is_empty() {
        heading("Denials by rule", out)?;
    }
    for denied in status.denials.iter().take(ROWS_MAX) {
        let whose = if denied.recorded {
            let rule = denied.rule.as_deref().unwrap_or("no rule");
            format!("{}  {}", clean(&denied.server), clean(rule))
        } else {
            "too fast to be recorded one by one".to_owned()
        };
        out.line(&format!(
            "  {:>8}  {whose}: {}",
            denied.count,
            clean(&denied.reason)
        ))?;
    }
    rest(status.denials.len(), out)
}

fn limits(status: &Status, out: &mut Out) -> anyhow::Result<()> {
    heading(&format!("Limits in use: {}", status.limits.len()), out)?;
    let paint = out.paint();
    if !status.limits.is_empty() {
        out.line(&paint.dim(&format!(
            "  {:>16} {:>8}  {:<42} COUNTED BY",
            "USED", "WINDOW", "SERVER TOOL COUNTER"
        )))?;
    }
    for limit in status.limits.iter().take(ROWS_MAX) {
        let window = match limit.window_s {
            None => "-".to_owned(),
            Some(seconds) => short(Duration::from_secs_f64(seconds)),
        };
        let used = match (&limit.used, &limit.max) {
            (None, _) => "-".to_owned(),
            (Some(used), None) => used.clone(),
            (Some(used), Some(max)) => format!("{used} of {max}"),
        };
        let what = [
            limit.server.as_deref().unwrap_or("*"),
            &limit.tool,
            &limit.counter,
        ]
        .map(clean)
        .join(" ");
        let value = limit
            .value
            .as_deref()
            .map(|value| format!(" {}", clean(value)))
            .unwrap_or_default();
        let flight = match (limit.in_flight, limit.places) {
            (0, _) => String::new(),
            (count, None) => format!(", {count} in flight"),
            (count, Some(places)) => format!(", {count} of {places} in flight"),
        };
        out.line(&format!(
            "  {used:>16} {window:>8}  {what:<42} {}{value}{flight}",
            clean(&limit.scope)
        ))?;
    }
    rest(status.limits.len(), out)
}

fn rest(count: usize, out: &mut Out) -> anyhow::Result<()> {
    if count > ROWS_MAX {
        out.line(&format!("  and {} more; --json shows all", count - ROWS_MAX))?;
    }
    Ok(())
}

fn ledger(status: &Status, out: &mut Out) -> anyhow::Result<()> {
    let ledger = &status.ledger;
    let records = ledger.size.saturating_sub(ledger.first);
    heading(
        &format!(
            "Ledger: {records} records, {} KiB in {}",
            ledger.bytes / 1024,
            status.state_dir.display()
        ),
        out,
    )?;
    let unsigned = ledger.size.saturating_sub(ledger.signed);
    let signed = match ledger.signed_at_us {
        Some(at) => format!(
            "signed up to record {} of {}; {unsigned} unsigned",
            ledger.signed.saturating_sub(1),
            Micros(at)
        ),
        None if ledger.signed == 0 => "not signed yet".to_owned(),
        None => format!("signed up to {} records; {unsigned} unsigned", ledger.signed),
    };
    out.line(&format!("  {}, {signed}", clean(&ledger.origin)))?;
    Ok(())
}
