//! `callgate attacks list`.

use super::super::ledger::to_the_end_of_a_pipe;
use callgate_catalog::Class;
use callgate_catalog::attacks::{Attack, Section, all};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Prints the attacks, the worst first.
pub(super) fn list(class: Option<Class>, as_json: bool) -> anyhow::Result<ExitCode> {
    let abuses = |attack: &&Attack| class.is_none_or(|class| attack.classes.contains(&class));
    let mut attacks: Vec<&Attack> = all()?.iter().filter(abuses).collect();
    attacks.sort_by_key(|attack| (std::cmp::Reverse(attack.severity), attack.id));
    let width = attacks.iter().map(|attack| attack.id.len()).max().unwrap_or(0);
    to_the_end_of_a_pipe(|out| {
        let paint = out.paint();
        if !as_json {
            out.line(&paint.dim(&format!("{:<width$}  {:<8}  {}", "ID", "SEVERITY", "CLASSES")))?;
        }
        for attack in attacks {
            if as_json {
                out.json(&value(attack))?;
                continue;
            }
            let (id, classes) = (format!("{:<width$}", attack.id), classes(attack));
            out.line(&format!(
                "{}  {:<8}  {classes}",
                paint.strong(&id),
                attack.severity
            ))?;
            for line in super::show::wrapped(&in_short(attack), "  ") {
                out.line(&line)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn classes(attack: &Attack) -> String {
    let names: Vec<&str> = attack.classes.iter().map(|class| class.name()).collect();
    names.join(", ")
}

fn in_short(attack: &Attack) -> String {
    super::show::plain(attack.section(Section::InShort))
}

/// An attack's facts, for programs.
pub(super) fn value(attack: &Attack) -> Value {
    json!({
        "id": attack.id,
        "title": attack.title,
        "severity": attack.severity.name(),
        "classes": attack.classes.iter().map(|class| class.name()).collect::<Vec<_>>(),
        "signals": attack.signals,
        "in_short": in_short(attack),
    })
}
