//! Playing a case: its calls in virtual time, against limits in memory.

use super::file::{Case, Expectation, Step, Tests, What};
use super::report::CaseReport;
use crate::commands::explain::story::{self, Outcome, Story, Subject};
use crate::commands::explain::{text, value};
use callgate_core::call::{Call, ListedTool, Listing, OtherCall, Scene, WallTime};
use callgate_core::json::Json;
use callgate_core::limit::{LimitKey, MemoryCounters, StoreTime};
use callgate_core::name::ToolName;
use callgate_policy::Loaded;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Plays a case to its first surprise.
pub(super) fn play(loaded: &Loaded, policy: &str, tests: &Tests, case: &Case) -> CaseReport {
    let began = Instant::now();
    let mut player = Player {
        loaded,
        tests,
        counters: MemoryCounters::new(),
        in_flight: Vec::new(),
    };
    let mut calls = 0_u64;
    let mut failure = None;
    'calls: for step in &case.calls {
        for repeat in 1..=step.times {
            calls = calls.saturating_add(1);
            let told = player.call(case, step);
            if let Err(surprise) = told.and_then(|story| surprise(&step.expect, &story, policy)) {
                failure = Some(describe(step, repeat, &surprise));
                break 'calls;
            }
        }
    }
    CaseReport {
        name: case.name.clone(),
        line: case.line,
        calls,
        seconds: began.elapsed().as_secs_f64(),
        failure,
    }
}

struct Player<'a> {
    loaded: &'a Loaded,
    tests: &'a Tests,
    counters: MemoryCounters,
    /// Places that are taken, and until when.
    in_flight: Vec<(u64, LimitKey)>,
}

impl Player<'_> {
    fn call(&mut self, case: &Case, step: &Step) -> Result<Story, String> {
        let counters = &mut self.counters;
        self.in_flight.retain(|(until, key)| {
            let is_over = *until <= step.at;
            if is_over {
                counters.release(key);
            }
            !is_over
        });
        let now = WallTime(case.now.0.saturating_add(step.at / 1_000_000));
        let scene = Scene {
            server: &self.tests.server,
            caller: &step.caller,
            session: Some(&step.session),
            now,
        };
        let assumed;
        let subject = match &step.what {
            What::Method(method) => Subject::Method(OtherCall {
                scene,
                method,
                params: step.args.as_ref(),
            }),
            What::Tool(tool) => {
                let listing = match &self.tests.tools {
                    Some(tools) => tools
                        .iter()
                        .find(|other| other.listed.name.as_str() == tool)
                        .map_or(Listing::NotListed, |tool| Listing::Listed(&tool.listed)),
                    None => {
                        assumed = taken_for_listed(tool)?;
                        Listing::Listed(&assumed)
                    }
                };
                Subject::Tool(Call {
                    scene,
                    tool,
                    listing,
                    arguments: step.args.as_ref(),
                })
            }
        };
        let now = StoreTime(case.now.0.saturating_mul(1_000_000).saturating_add(step.at));
        let story =
            story::tell(self.loaded, &subject, &mut self.counters, now).map_err(|error| error.to_string())?;
        let until = step.at.saturating_add(step.takes);
        for key in &story.taken.places {
            if step.takes == 0 {
                self.counters.release(key);
            } else {
                self.in_flight.push((until, key.clone()));
            }
        }
        Ok(story)
    }
}

/// A tool of which nothing is known but its name.
fn taken_for_listed(name: &str) -> Result<ListedTool, String> {
    Ok(ListedTool {
        name: ToolName::new(name).map_err(|error| error.to_string())?,
        input_schema: None,
        required: Vec::new(),
        annotations: Json::Null,
        class: None,
    })
}

/// What is not as it was expected, with the rules that were asked.
fn surprise(expect: &Expectation, story: &Story, policy: &str) -> Result<(), String> {
    let mut wrong = Vec::new();
    if expect.outcome != story.decision {
        wrong.push(("expect", expect.outcome.word().to_owned(), found_words(story)));
    } else if let Some(denial) = &story.denial {
        if let Some(reason) = expect.reason.as_deref().filter(|reason| *reason != denial.reason) {
            wrong.push(("reason", reason.to_owned(), denial.reason.to_owned()));
        }
        if let Some(rule) = &expect.rule {
            let place = denial.rule.as_ref();
            let is_named =
                place.is_some_and(|place| place.pointer == *rule || place.name.as_ref() == Some(rule));
            if !is_named {
                let found = place.map_or("no rule", |place| place.name.as_ref().unwrap_or(&place.pointer));
                wrong.push(("rule", rule.clone(), found.to_owned()));
            }
        }
        if let Some(says) = expect
            .says
            .as_ref()
            .filter(|says| !denial.told.contains(says.as_str()))
        {
            wrong.push(("says", says.clone(), denial.told.clone()));
        }
        if let Some(wait) = expect.retry_after.map(Duration::from_nanos)
            && denial.retry_after != Some(wait)
        {
            let found = denial
                .retry_after
                .map_or("never".to_owned(), |wait| format!("{wait:?}"));
            wrong.push(("retry_after", format!("{wait:?}"), found));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let mut out = String::new();
    for (what, wanted, found) in wrong {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "{what}: expected {}, got {}",
            text::clean(&wanted),
            text::clean(&found)
        );
    }
    out.push_str(text::details(story, policy).trim_end());
    Err(out)
}

fn found_words(story: &Story) -> String {
    match (&story.denial, story.decision) {
        (Some(denial), Outcome::Deny) => format!("deny ({}: {})", denial.reason, denial.told),
        (_, decision) => decision.word().to_owned(),
    }
}

fn describe(step: &Step, repeat: u64, surprise: &str) -> String {
    let what = match &step.what {
        What::Tool(name) | What::Method(name) => text::clean(name),
    };
    let mut out = format!("line {}: {what}", step.line);
    if let Some(arguments) = &step.args {
        let _ = write!(out, " {}", text::clean(&value::shown(arguments)));
    }
    let _ = write!(out, " at {} s", Duration::from_nanos(step.at).as_secs_f64());
    if step.times > 1 {
        let _ = write!(out, ", time {repeat} of {}", step.times);
    }
    let _ = write!(out, "\n{surprise}");
    out
}
