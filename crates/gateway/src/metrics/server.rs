//! What is counted of one server, whoever calls it.

use super::{DecisionLabels, Families, GateLabels, OutcomeLabels, ServerLabel};
use arc_swap::ArcSwap;
use callgate_core::refusal::{Reason, Refusal};
use callgate_ledger::record::Status;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tools of a server with a label of their own: those that it listed first.
const TOOLS_MAX: usize = 200;
/// Rules of a server with a label of their own: those that denied first.
const RULES_MAX: usize = 100;
/// Denials of a server that are told apart, by tool, rule and reason.
const DENIALS_MAX: usize = 2_000;
/// The longest label that is kept, in bytes.
const LABEL_BYTES_MAX: usize = 128;
/// The ways through the gate: of requests, and of answers.
const DIRECTIONS: [&str; 2] = ["request", "answer"];
/// What has no label of its own.
const OTHER: &str = "other";

/// What is counted of one server.
#[derive(Debug)]
pub struct ServerMeter {
    server: Arc<str>,
    decisions: Family<DecisionLabels, Counter>,
    /// The tools that the server listed, each with the count of its allowed calls.
    tools: ArcSwap<HashMap<Box<str>, Allowed>>,
    /// Tools without a label of their own.
    other: Allowed,
    /// What is no tool call.
    methods: Allowed,
    denials: Mutex<Denials>,
    outcomes: Vec<(Status, Counter)>,
    requests: Histogram,
    answers: Histogram,
    served: Histogram,
    children: Counter,
}

/// How often calls of a tool were allowed, and its label.
#[derive(Debug, Clone)]
struct Allowed {
    tool: Arc<str>,
    count: Counter,
}

/// The labels that decisions have taken.
#[derive(Debug, Default)]
struct Denials {
    rules: HashSet<Arc<str>>,
    told_apart: usize,
    /// All of them.
    told: HashSet<DecisionLabels>,
    /// Whether the server is none any more: whoever still counts of it adds nothing.
    is_gone: bool,
}

impl ServerMeter {
    pub(super) fn new(server: Arc<str>, families: &Families) -> Self {
        let label = ServerLabel {
            server: Arc::clone(&server),
        };
        let outcomes = Status::ALL.iter().map(|status| {
            let labels = OutcomeLabels {
                server: Arc::clone(&server),
                status: status.as_str(),
            };
            (*status, families.outcomes.get_or_create_owned(&labels))
        });
        let gate = |direction| {
            families.gate.get_or_create_owned(&GateLabels {
                server: Arc::clone(&server),
                direction,
            })
        };
        let (other, methods) = (
            Allowed::new(&families.decisions, &server, OTHER),
            Allowed::new(&families.decisions, &server, ""),
        );
        let told = [&other, &methods].map(|allowed| allowed.labels(&server));
        let denials = Denials {
            told: told.into(),
            ..Denials::default()
        };
        Self {
            tools: ArcSwap::default(),
            other,
            methods,
            denials: Mutex::new(denials),
            outcomes: outcomes.collect(),
            requests: gate(DIRECTIONS[0]),
            answers: gate(DIRECTIONS[1]),
            served: families.answers.get_or_create_owned(&label),
            children: families.children.get_or_create_owned(&label),
            decisions: families.decisions.clone(),
            server,
        }
    }

    /// The server has listed these tools.
    pub(crate) fn listed<'t>(&self, tools: impl Iterator<Item = &'t str>) {
        let known = self.tools.load();
        let new: Vec<&str> = tools
            .filter(|tool| tool.len() <= LABEL_BYTES_MAX && !known.contains_key(*tool))
            .take(TOOLS_MAX.saturating_sub(known.len()))
            .collect();
        if new.is_empty() {
            return;
        }
        let mut denials = self.denials();
        if denials.is_gone {
            return;
        }
        let mut tools = HashMap::clone(&self.tools.load());
        for tool in &new {
            if tools.len() < TOOLS_MAX && !tools.contains_key(*tool) {
                let allowed = Allowed::new(&self.decisions, &self.server, tool);
                denials.told.insert(allowed.labels(&self.server));
                tools.insert((*tool).into(), allowed);
            }
        }
        // Under the lock, which all that add tools take.
        self.tools.store(Arc::new(tools));
    }

    fn denials(&self) -> MutexGuard<'_, Denials> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes away all that was counted of the server. Whatever is still counted of it is told nowhere.
    pub(super) fn forget(&self, families: &Families) {
        let mut denials = self.denials();
        denials.is_gone = true;
        for labels in denials.told.drain() {
            families.decisions.remove(&labels);
        }
        let server = || Arc::clone(&self.server);
        for status in Status::ALL {
            let (server, status) = (server(), status.as_str());
            families.outcomes.remove(&OutcomeLabels { server, status });
        }
        for direction in DIRECTIONS {
            let server = server();
            families.gate.remove(&GateLabels { server, direction });
        }
        families.answers.remove(&ServerLabel { server: server() });
        families.children.remove(&ServerLabel { server: server() });
    }

    /// A call's intent is written. What shadow rules and limits would have denied is counted beside it.
    pub(crate) fn allowed<'r>(&self, tool: Option<&str>, shadow: impl Iterator<Item = &'r Refusal>) {
        self.with_tool(tool, |tool| {
            tool.count.inc();
            for refusal in shadow {
                self.refused(&tool.tool, "shadow", refusal.rule.as_str(), refusal.reason);
            }
        });
    }

    /// A call was denied.
    pub(crate) fn denied(&self, tool: Option<&str>, rule: &str, reason: Reason) {
        self.with_tool(tool, |tool| self.refused(&tool.tool, "deny", rule, reason));
    }

    fn with_tool(&self, tool: Option<&str>, count: impl FnOnce(&Allowed)) {
        let tools = self.tools.load();
        count(match tool {
            Some(tool) => tools.get(tool).unwrap_or(&self.other),
            None => &self.methods,
        });
    }

    fn refused(&self, tool: &Arc<str>, decision: &'static str, rule: &str, reason: Reason) {
        let mut denials = self.denials();
        if denials.is_gone {
            return;
        }
        let mut labels = DecisionLabels {
            server: Arc::clone(&self.server),
            tool: Arc::clone(tool),
            decision,
            rule: denials.rule(rule),
            reason: reason.code(),
        };
        if self.decisions.get(&labels).is_none() {
            if denials.told_apart < DENIALS_MAX {
                denials.told_apart += 1;
            } else {
                labels.tool = Arc::clone(&self.other.tool);
                labels.rule = OTHER.into();
            }
        }
        self.decisions.get_or_create(&labels).inc();
        denials.told.insert(labels);
    }

    /// A call with an intent has ended.
    pub(crate) fn ended(&self, status: Status) {
        if let Some((_, count)) = self.outcomes.iter().find(|(one, _)| *one == status) {
            count.inc();
        }
    }

    /// A tool call is released, so long after it had come.
    pub(crate) fn released(&self, took: Duration) {
        self.requests.observe(took.as_secs_f64());
    }

    /// The server has answered a tool call, so long after it was released.
    pub(crate) fn served(&self, took: Duration) {
        self.served.observe(took.as_secs_f64());
    }

    /// The answer to a tool call went out, so long after it had come.
    pub(crate) fn answered(&self, took: Duration) {
        self.answers.observe(took.as_secs_f64());
    }

    /// A child process was started.
    pub(crate) fn child_started(&self) {
        self.children.inc();
    }
}

impl Allowed {
    fn new(decisions: &Family<DecisionLabels, Counter>, server: &Arc<str>, tool: &str) -> Self {
        let tool: Arc<str> = tool.into();
        let count = decisions.get_or_create_owned(&allowed(server, &tool));
        Self { tool, count }
    }

    fn labels(&self, server: &Arc<str>) -> DecisionLabels {
        allowed(server, &self.tool)
    }
}

fn allowed(server: &Arc<str>, tool: &Arc<str>) -> DecisionLabels {
    DecisionLabels {
        server: Arc::clone(server),
        tool: Arc::clone(tool),
        decision: "allow",
        rule: "".into(),
        reason: "",
    }
}

impl Denials {
    fn rule(&mut self, rule: &str) -> Arc<str> {
        if let Some(known) = self.rules.get(rule) {
            return Arc::clone(known);
        }
        // That no rule says it is always told.
        if !rule.is_empty() && (self.rules.len() >= RULES_MAX || rule.len() > LABEL_BYTES_MAX) {
            return OTHER.into();
        }
        let rule: Arc<str> = rule.into();
        self.rules.insert(Arc::clone(&rule));
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;
    use callgate_core::name::ServerName;
    use prometheus_client::encoding::prometheus_text::encode;
    use prometheus_client::registry::Registry;
    use std::collections::BTreeSet;

    fn meter() -> (Arc<Metrics>, Arc<ServerMeter>) {
        let name = ServerName::new("mail").unwrap();
        let metrics = Metrics::new([name.clone()]);
        let meter = metrics.server(&name).unwrap();
        (metrics, meter)
    }

    fn shown(metrics: &Metrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn names_that_a_server_makes_up_do_not_add_series_without_end() {
        let (metrics, meter) = meter();
        for round in 0..20 {
            let names: Vec<String> = (0..1_000)
                .map(|number| format!("tool-{round}-{number}"))
                .collect();
            meter.listed(names.iter().map(String::as_str));
            for name in &names {
                meter.allowed(Some(name), std::iter::empty());
                meter.denied(
                    Some(name),
                    &format!("/tools/{name}/rules/0"),
                    Reason::DeniedByRule,
                );
                meter.denied(Some("never-listed"), &"x".repeat(1_000), Reason::DeniedByRule);
            }
        }
        let text = shown(&metrics);
        let series: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("callgate_decisions_total{"))
            .collect();
        assert!(series.len() < TOOLS_MAX + DENIALS_MAX + 10, "{}", series.len());
        let sum: u64 = series
            .iter()
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum();
        assert_eq!(sum, 60_000, "all are counted");
        assert!(!text.contains("never-listed"));
        assert!(!text.contains("xxxx"));
    }

    #[test]
    fn denials_of_every_tool_by_every_rule_are_bounded() {
        let (metrics, meter) = meter();
        let names: Vec<String> = (0..TOOLS_MAX).map(|number| format!("t{number}")).collect();
        meter.listed(names.iter().map(String::as_str));
        for name in &names {
            for rule in 0..RULES_MAX {
                meter.denied(Some(name), &format!("/rules/{rule}"), Reason::DeniedByRule);
            }
        }
        let text = shown(&metrics);
        let denials = text
            .lines()
            .filter(|line| line.contains(r#"decision="deny""#))
            .count();
        assert_eq!(denials, DENIALS_MAX + 1);
        let rest = text
            .lines()
            .find(|line| line.contains(r#"tool="other",decision="deny",rule="other""#))
            .unwrap();
        let expected = format!(" {}", TOOLS_MAX * RULES_MAX - DENIALS_MAX);
        assert!(rest.ends_with(&expected), "{rest}");
    }

    #[test]
    fn of_a_server_that_is_gone_nothing_is_told_even_while_somebody_still_counts() {
        let (metrics, meter) = meter();
        let notes = ServerName::new("notes").unwrap();
        metrics.count_also([notes.clone()]);
        let stays = metrics.server(&notes).unwrap();
        for meter in [&meter, &stays] {
            meter.listed(["send"].into_iter());
            meter.allowed(Some("send"), std::iter::empty());
            meter.denied(Some("send"), "/rules/0", Reason::DeniedByRule);
            meter.denied(None, "/rules/1", Reason::DeniedByRule);
            meter.ended(Status::Ok);
            meter.child_started();
        }
        assert!(shown(&metrics).contains(r#"server="mail""#));
        metrics.count_alone(&BTreeSet::from([notes]));
        let once = shown(&metrics);
        assert!(!once.contains(r#"server="mail""#), "{once}");
        assert!(
            once.contains(r#"server="notes",tool="send",decision="deny",rule="/rules/0""#),
            "{once}"
        );
        meter.listed(["later"].into_iter());
        meter.allowed(Some("send"), std::iter::empty());
        meter.denied(Some("later"), "/rules/2", Reason::DeniedByRule);
        meter.ended(Status::Ok);
        meter.released(Duration::from_millis(1));
        assert_eq!(shown(&metrics), once);
        // One that comes back begins anew.
        let mail = ServerName::new("mail").unwrap();
        metrics.count_also([mail.clone()]);
        metrics.server(&mail).unwrap().ended(Status::Ok);
        let again = shown(&metrics);
        assert!(
            again.contains("callgate_outcomes_total{server=\"mail\",status=\"ok\"} 1"),
            "{again}"
        );
    }

    #[test]
    fn a_name_cannot_end_its_label() {
        let (metrics, meter) = meter();
        let name = "a\"} 1\nforged{x=\"\\";
        meter.listed([name].into_iter());
        meter.allowed(Some(name), std::iter::empty());
        let text = shown(&metrics);
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
        assert!(text.contains(r#"tool="a\"} 1\nforged{x=\"\\""#), "{text}");
    }
}
