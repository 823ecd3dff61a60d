//! `callgate ledger search`: calls and other records by what they say.

use super::find::{Call, first_since};
use super::line::{self, Line};
use super::out::Out;
use super::progress::Progress;
use super::time::{Since, since};
use callgate_ledger::record::{Intent, Outcome, Status};
use callgate_ledger::{Body, Kind, Record, Text};
use callgate_store::{Entry, Reader};
use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use std::process::ExitCode;

/// What `search` takes. A record is found where all of them fit.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// The tool's own name; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    tool: Option<Pattern>,

    /// The server's configured name; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    server: Option<Pattern>,

    /// The caller; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    grant: Option<Pattern>,

    /// A rule that decided, that charged a limit, or that would have refused in shadow; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    rule: Option<Pattern>,

    /// From then on: 90s, 15m, 6h or 2d ago, or a date of UTC such as 2026-11-21 or 2026-11-21T14:30
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,

    /// Before then
    #[arg(long, value_name = "TIME", value_parser = since)]
    until: Option<Since>,

    /// What the record is; a call is found by its intent
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Option<Kind>,

    /// How the call ended; `open` where it has not
    #[arg(long, value_name = "STATUS", value_parser = statuses())]
    status: Option<Wanted>,
}

/// How a call is wanted to have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Ended(Status),
    Open,
}

/// Text in which `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(String);

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Pattern {
    fn fits(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let Some((_, after)) = rest.split_once(part) else {
                return false;
            };
            rest = after;
        }
        false
    }
}

fn kinds() -> impl clap::builder::TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.name()))
        .map(|name| Kind::from_name(&name).unwrap_or(Kind::Intent))
}

fn statuses() -> impl clap::builder::TypedValueParser<Value = Wanted> {
    let names = Status::ALL.iter().map(|status| status.as_str());
    PossibleValuesParser::new(names.chain(["open"])).map(|name| {
        let status = Status::ALL.iter().find(|status| status.as_str() == name);
        status.map_or(Wanted::Open, |status| Wanted::Ended(*status))
    })
}

pub(crate) fn search(
    args: &SearchArgs,
    reader: &Reader,
    json: bool,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let start = args.since.map_or(Ok(reader.range()?.start), |since| {
        first_since(since.micros(), reader)
    })?;
    let until = args.until.map(Since::micros);
    let mut progress = Progress::new("records", reader.range()?.end.saturating_sub(start));
    if !json {
        out.line(&line::header(out.paint()))?;
    }
    for entry in reader.entries(start) {
        let entry = entry?;
        progress.step();
        let record = entry.record()?;
        if until.is_some_and(|until| record.at.get() >= until.0) {
            break;
        }
        if let Some(found) = args.look(record, reader)? {
            found.show(&entry, reader, json, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A record that fits, with the call that it belongs to.
struct Match {
    record: Record,
    call: Call,
}

/// What of a record can be asked for.
struct Facts<'r> {
    tool: Option<&'r Text>,
    server: Option<&'r Text>,
    grant: Option<&'r Text>,
    rules: Vec<&'r Text>,
}

impl SearchArgs {
    fn look(&self, record: Record, reader: &Reader) -> anyhow::Result<Option<Match>> {
        let kind = record.kind();
        // Unless asked for, an outcome is shown with its intent and not once more.
        let wanted = self.kind.map_or(kind != Kind::Outcome, |wanted| wanted == kind);
        if !wanted {
            return Ok(None);
        }
        let call = match (&record.body, record.body.call()) {
            (_, None) => Call::default(),
            (Body::Intent(intent), Some(_)) if !self.fits(&of_intent(intent)) => return Ok(None),
            (_, Some(call)) => Call::read(call, reader)?,
        };
        let facts = match &call.intent {
            Some((_, intent)) => of_intent(intent),
            None => of_body(&record.body),
        };
        let fits = self.fits(&facts) && self.status_fits(&record.body, &call);
        drop(facts);
        Ok(fits.then_some(Match { record, call }))
    }

    fn fits(&self, facts: &Facts<'_>) -> bool {
        let fits = |pattern: &Option<Pattern>, text: Option<&Text>| {
            pattern
                .as_ref()
                .is_none_or(|pattern| text.is_some_and(|text| pattern.fits(text.as_str())))
        };
        let any = |pattern: &Pattern| facts.rules.iter().any(|rule| pattern.fits(rule.as_str()));
        fits(&self.tool, facts.tool)
            && fits(&self.server, facts.server)
            && fits(&self.grant, facts.grant)
            && self.rule.as_ref().is_none_or(any)
    }

    fn status_fits(&self, body: &Body, call: &Call) -> bool {
        let Some(wanted) = self.status else {
            return true;
        };
        let status = match body {
            Body::Late(late) => Some(late.status),
            Body::Outcome(outcome) => Some(outcome.status),
            Body::Intent(_) | Body::TaskEnd(_) => call.outcome.as_ref().map(|outcome| outcome.status),
            Body::Denial(_)
            | Body::Malformed(_)
            | Body::AuthFailure(_)
            | Body::Start(_)
            | Body::Stop(_)
            | Body::Reload(_)
            | Body::Suppressed(_)
            | Body::Drop(_)
            | Body::List(_)
            | Body::GrantChange(_) => return false,
        };
        match wanted {
            Wanted::Open => status.is_none(),
            Wanted::Ended(wanted) => status == Some(wanted),
        }
    }
}

impl Match {
    fn show(&self, entry: &Entry, reader: &Reader, json: bool, out: &mut Out) -> anyhow::Result<()> {
        let is_intent = self.record.kind() == Kind::Intent;
        if json {
            super::tail::raw(entry, out)?;
            let call = self.record.body.call().filter(|_| is_intent);
            let records = call.map(|call| reader.call(call)).transpose()?.flatten();
            for entry in records.iter().flat_map(|records| &records.following) {
                super::tail::raw(entry, out)?;
            }
            return Ok(());
        }
        let line = match (&self.call.intent, is_intent) {
            (Some((record, intent)), true) => Line::of_call(record, intent, self.outcome()),
            _ => Line::of_record(&self.record),
        };
        Ok(out.line(&line.show(out.paint()))?)
    }

    const fn outcome(&self) -> Option<&Outcome> {
        self.call.outcome.as_ref()
    }
}

fn of_intent(intent: &Intent) -> Facts<'_> {
    let charged = intent.charges.iter().map(|charge| &charge.rule);
    let shadow = intent.shadow.iter().map(|shadow| &shadow.rule);
    Facts {
        tool: intent.tool.as_ref(),
        server: Some(&intent.server),
        grant: Some(&intent.grant),
        rules: intent.rule.iter().chain(charged).chain(shadow).collect(),
    }
}

fn of_body(body: &Body) -> Facts<'_> {
    let (server, grant) = match body {
        Body::Intent(intent) => return of_intent(intent),
        Body::Denial(body) => {
            let shadow = body.shadow.iter().map(|shadow| &shadow.rule);
            return Facts {
                tool: body.tool.as_ref(),
                server: body.server.as_ref(),
                grant: Some(&body.grant),
                rules: body.rule.iter().chain(shadow).collect(),
            };
        }
        Body::Malformed(body) => (body.server.as_ref(), body.grant.as_ref()),
        Body::AuthFailure(body) => (body.server.as_ref(), body.grant.as_ref()),
        Body::Reload(body) => (body.server.as_ref(), None),
        Body::Suppressed(body) => (None, body.grant.as_ref()),
        Body::Drop(body) => (Some(&body.server), body.grant.as_ref()),
        Body::List(body) => (Some(&body.server), body.grant.as_ref()),
        Body::GrantChange(body) => (body.server.as_ref(), Some(&body.grant)),
        Body::Start(body) => (body.policies.first().map(|policy| &policy.server), None),
        Body::Outcome(_) | Body::Stop(_) | Body::Late(_) | Body::TaskEnd(_) => (None, None),
    };
    Facts {
        tool: None,
        server,
        grant,
        rules: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let cases = [
            ("run", "run", true),
            ("run", "run_all", false),
            ("run*", "run_all", true),
            ("*_all", "run_all", true),
            ("*", "", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("aa*aa", "aaa", false),
            ("*x*", "axb", true),
            ("/tools/*/rules/0", "/tools/a/rules/0", true),
        ];
        for (pattern, text, fits) in cases {
            assert_eq!(Pattern::from(pattern).fits(text), fits, "{pattern} {text}");
        }
    }
}
