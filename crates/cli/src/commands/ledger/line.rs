//! A record, or a call with its outcome, as one line of a table.

use super::out::{Paint, clean};
use super::time::{Micros, short};
use callgate_ledger::record::{
    Charge, Denial, GrantChange, Intent, List, Outcome, Reload, ReloadEffect, Shadow, Suppressed,
};
use callgate_ledger::{Body, Record, Text, Uint53};
use std::time::Duration;

/// What is shown of a record, column by column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    seq: u64,
    at: Micros,
    who: String,
    verdict: Verdict,
    outcome: String,
    took: String,
    tool: String,
    why: String,
}

/// What a line is about, for its word and its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Denied,
    Limited,
    Refused(&'static str),
    Told(&'static str),
}

/// The reasons by which a limit refuses.
const LIMITS: [&str; 4] = [
    "rate_limited",
    "budget_exceeded",
    "concurrency_limited",
    "amount_invalid",
];

/// The line above all others.
pub(crate) fn header(paint: Paint) -> String {
    let cells = [
        "#",
        "TIME (UTC)",
        "CALLER",
        "DECISION",
        "OUTCOME",
        "SERVER TOOL",
        "RULE, REASON",
    ];
    paint.dim(&row(cells))
}

fn row(cells: [&str; 7]) -> String {
    let [seq, at, who, verdict, outcome, tool, why] = cells;
    format!("{seq:>5}  {at:<24}  {who:<8}  {verdict:<9}  {outcome:<14}  {tool:<27}  {why}")
}

impl Line {
    /// Of any record that stands for itself.
    pub(crate) fn of_record(record: &Record) -> Self {
        let mut line = Self::at(record);
        match &record.body {
            Body::Intent(intent) => {
                line.intent(intent, None);
                // The record alone does not know.
                line.outcome.clear();
            }
            Body::Denial(denial) => line.denial(denial),
            Body::Outcome(outcome) => {
                line.verdict = Verdict::Told("outcome");
                line.ended(outcome);
                line.why = format!("of call {}", outcome.call);
            }
            Body::Malformed(body) => {
                line.verdict = Verdict::Refused("malformed");
                line.who = optional(body.grant.as_ref());
                line.tool = optional(body.server.as_ref());
                line.why = format!("{} ({} bytes, from the {})", body.reason, body.bytes, body.peer);
            }
            Body::AuthFailure(body) => {
                line.verdict = Verdict::Refused("no access");
                line.who = optional(body.grant.as_ref().or(body.address.as_ref()));
                line.tool = optional(body.server.as_ref());
                line.why = body.reason.to_string();
                if let (Some(subject), Some(issuer)) = (&body.subject, &body.issuer) {
                    let [subject, issuer] = [subject, issuer].map(|text| clean(text.as_str()));
                    line.why.push_str(&format!(" ({subject} of {issuer})"));
                }
            }
            Body::Drop(body) => {
                line.verdict = Verdict::Refused("dropped");
                line.who = optional(body.grant.as_ref());
                line.tool = clean(body.server.as_str());
                line.why = format!("{} ({} bytes, from the {})", body.reason, body.bytes, body.peer);
            }
            Body::Suppressed(body) => line.suppressed(body),
            Body::Start(body) => {
                line.verdict = Verdict::Told("start");
                line.tool = list(body.policies.iter().map(|policy| policy.server.as_str()));
                line.why = format!(
                    "callgate {} {}, durability {}",
                    clean(body.version.as_str()),
                    body.mode,
                    body.durability
                );
            }
            Body::Stop(body) => {
                line.verdict = Verdict::Told("stop");
                line.why = body.reason.to_string();
            }
            Body::Reload(body) => line.reload(body),
            Body::List(body) => line.list(body),
            Body::GrantChange(body) => line.grant(body),
            Body::Late(body) => {
                line.verdict = Verdict::Told("late");
                line.outcome = body.status.to_string();
                line.took = duration(Some(body.after_us));
                line.why = format!("after the outcome of call {}", body.call);
            }
            Body::TaskEnd(body) => {
                line.verdict = Verdict::Told("task end");
                line.outcome = body.status.to_string();
                line.took = duration(body.duration_us);
                line.why = format!("of call {}", body.call);
            }
        }
        line
    }

    /// Of a call: its intent, and its outcome where there is one.
    pub(crate) fn of_call(record: &Record, intent: &Intent, outcome: Option<&Outcome>) -> Self {
        let mut line = Self::at(record);
        line.intent(intent, outcome);
        line
    }

    const fn at(record: &Record) -> Self {
        Self {
            seq: record.seq.get(),
            at: Micros(record.at.get()),
            who: String::new(),
            verdict: Verdict::Allowed,
            outcome: String::new(),
            took: String::new(),
            tool: String::new(),
            why: String::new(),
        }
    }

    fn intent(&mut self, intent: &Intent, outcome: Option<&Outcome>) {
        self.verdict = Verdict::Allowed;
        self.who = clean(intent.grant.as_str());
        self.tool = target(Some(&intent.server), intent.tool.as_ref(), &intent.method);
        self.why = because(intent.rule.as_ref(), &intent.charges, &intent.shadow);
        match outcome {
            Some(outcome) => self.ended(outcome),
            None => self.outcome = "under way".to_owned(),
        }
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.outcome = match &outcome.reason {
            Some(reason) => format!("{} ({reason})", outcome.status),
            None => outcome.status.to_string(),
        };
        self.took = duration(outcome.duration_us);
    }

    fn denial(&mut self, denial: &Denial) {
        self.verdict = if is_limit(denial.reason.as_str()) {
            Verdict::Limited
        } else {
            Verdict::Denied
        };
        self.who = clean(denial.grant.as_str());
        self.outcome = "-".to_owned();
        self.tool = target(denial.server.as_ref(), denial.tool.as_ref(), &denial.method);
        let rule = denial.rule.as_ref().map_or("no rule", Text::as_str);
        self.why = format!("{}: {}", clean(rule), denial.reason);
        if let Some(text) = &denial.text {
            self.why.push_str(&format!(" \"{}\"", clean(text.as_str())));
        }
    }

    fn suppressed(&mut self, body: &Suppressed) {
        self.verdict = Verdict::Refused("refusals");
        self.who = optional(body.grant.as_ref().or(body.address.as_ref()));
        self.why = format!(
            "{} more of kind {} since {}",
            body.count,
            body.of,
            Micros(body.since.get())
        );
        if let Some(reason) = &body.reason {
            self.why.push_str(&format!(": {reason}"));
        }
    }

    fn reload(&mut self, body: &Reload) {
        self.verdict = match body.effect {
            ReloadEffect::Looser | ReloadEffect::Waiting | ReloadEffect::Rejected => {
                Verdict::Refused("reload")
            }
            ReloadEffect::Tighter | ReloadEffect::Same => Verdict::Told("reload"),
        };
        self.outcome = body.effect.to_string();
        self.tool = optional(body.server.as_ref());
        self.why = optional(body.reason.as_ref());
    }

    fn list(&mut self, body: &List) {
        self.verdict = Verdict::Told("list");
        self.who = optional(body.grant.as_ref());
        self.tool = clean(body.server.as_str());
        self.why = match &body.reason {
            Some(reason) => format!("no list of tools was had: {reason}"),
            None => format!("{} of {} tools are shown", body.shown, body.tools),
        };
    }

    fn grant(&mut self, body: &GrantChange) {
        self.verdict = Verdict::Told("grant");
        self.outcome = body.action.to_string();
        self.who = clean(body.grant.as_str());
        self.tool = optional(body.server.as_ref());
        self.why = clean(body.label.as_str());
        if let Some(policy) = &body.policy_name {
            self.why
                .push_str(&format!(", under policy {}", clean(policy.as_str())));
        }
        if let (Some(claim), Some(value), Some(issuer)) = (&body.claim, &body.value, &body.issuer) {
            let [claim, value, issuer] = [claim, value, issuer].map(|text| clean(text.as_str()));
            self.why.push_str(&format!(", {claim} {value} of {issuer}"));
        }
        if let Some(expires) = body.expires {
            self.why.push_str(&format!(", until {}", Micros(expires.get())));
        }
    }

    /// The line, in colour where `paint` has any.
    pub(crate) fn show(&self, paint: Paint) -> String {
        let (seq, at) = (self.seq.to_string(), self.at.to_string());
        let verdict = self.verdict.word();
        let outcome = format!("{} {}", self.outcome, self.took);
        let text = row([
            &seq,
            &at,
            &self.who,
            verdict,
            outcome.trim_end(),
            &self.tool,
            &self.why,
        ]);
        let painted = match self.verdict {
            Verdict::Allowed => paint.good(verdict),
            Verdict::Denied => paint.bad(verdict),
            Verdict::Limited | Verdict::Refused(_) => paint.odd(verdict),
            Verdict::Told(_) => paint.dim(verdict),
        };
        // The first occurrence is the column's only where the caller is not called so; the column is then plain.
        if self.who.contains(verdict) {
            text.trim_end().to_owned()
        } else {
            text.trim_end().replacen(verdict, &painted, 1)
        }
    }
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Refused(word) | Self::Told(word) => word,
        }
    }
}

/// Whether a reason is that a limit is used up.
pub(crate) fn is_limit(reason: &str) -> bool {
    LIMITS.contains(&reason)
}

fn target(server: Option<&Text>, tool: Option<&Text>, method: &Text) -> String {
    let server = optional(server);
    let what = tool.unwrap_or(method);
    format!("{server} {}", clean(what.as_str()))
}

fn because(rule: Option<&Text>, charges: &[Charge], shadow: &[Shadow]) -> String {
    let mut parts: Vec<String> = rule.iter().map(|rule| clean(rule.as_str())).collect();
    parts.extend(
        charges
            .iter()
            .map(|charge| format!("{} of {}", charge.amount, clean(charge.rule.as_str()))),
    );
    parts.extend(shadow.iter().map(|shadow| {
        format!(
            "shadow {} would refuse: {}",
            clean(shadow.rule.as_str()),
            shadow.reason
        )
    }));
    parts.join(", ")
}

fn optional(text: Option<&Text>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| clean(text.as_str()))
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(clean).collect::<Vec<_>>().join(", ")
}

fn duration(micros: Option<Uint53>) -> String {
    micros.map_or_else(String::new, |micros| short(Duration::from_micros(micros.get())))
}
