//! Where client and server are of different eras: the checks that come out otherwise than of a server of the client's
//! era, each with the reason, which `docs/protocol.md` says to users. The list is exact: what is not in it is a finding,
//! and so is what does not happen.

use super::verdicts::Verdicts;

/// A client of one era before a server of the other.
#[derive(Debug)]
pub(super) struct Crossing {
    /// What the client speaks.
    pub(super) revision: &'static str,
    /// The era of the server.
    pub(super) server: &'static str,
    expected: &'static [Expected],
}

/// Checks that come out otherwise, and why.
#[derive(Debug)]
struct Expected {
    why: &'static str,
    /// Through which command; all where it is `None`.
    way: Option<&'static str>,
    checks: &'static [&'static str],
}

/// The suite looks for the keys that its own server would give what it wants; those of the bridge are of its making,
/// as a legacy server asks without keys.
const KEYS: &str = "what a legacy server asks has keys of the bridge's";
/// The reference server, as most do, waits for one answer before it asks for another thing.
const ONE_BY_ONE: &str = "a legacy server asks for one thing at a time";
/// The suite notes that an answer comes as JSON, where the server alone gives a stream.
const STATUS: &str = "a stream opens once the HTTP status of the answer is known";
/// Neither offered nor carried.
const TASKS: &str = "tasks do not cross";
/// The suite's client never gets to poll, as the stream stays open until the answer.
const POLLING: &str = "a modern server has no stream that could be taken up again";

/// Both ways across.
pub(super) const CROSSINGS: [Crossing; 2] = [
    Crossing {
        revision: "2026-07-28",
        server: "legacy",
        expected: &[
            Expected {
                why: KEYS,
                way: None,
                checks: &[
                    "input-required-result-basic-elicitation sep-2322-elicitation-complete",
                    "input-required-result-basic-elicitation sep-2322-elicitation-incomplete",
                    "input-required-result-ignore-extra-params sep-2322-ignore-unexpected-params",
                ],
            },
            Expected {
                why: ONE_BY_ONE,
                way: None,
                checks: &[
                    "input-required-result-multiple-input-requests sep-2322-multiple-inputs-complete",
                    "input-required-result-multiple-input-requests sep-2322-multiple-inputs-incomplete",
                ],
            },
            Expected {
                why: STATUS,
                way: None,
                checks: &["server-sse-multiple-streams server-sse-streams-functional"],
            },
            Expected {
                why: TASKS,
                way: None,
                checks: &[
                    "tasks-capability-negotiation tasks-extension-advertised",
                    "tasks-capability-negotiation tasks-per-request-meta-opt-in",
                    "tasks-dispatch-and-envelope sep-2663-durable-create-strong-consistency",
                    "tasks-dispatch-and-envelope tasks-result-type-complete-on-non-task-responses",
                    "tasks-dispatch-and-envelope tasks-server-directed-creation-no-hint",
                    "tasks-lifecycle sep-2663-cancel-ack-empty-result",
                    "tasks-lifecycle sep-2663-result-type-task-on-create",
                    "tasks-lifecycle sep-2663-tasks-get-status-completed",
                    "tasks-lifecycle sep-2663-tasks-get-status-failed",
                    "tasks-lifecycle sep-2663-tasks-get-status-working",
                    "tasks-lifecycle sep-2663-tool-error-uses-completed-status",
                    "tasks-lifecycle tasks-cancel-terminal-idempotent-ack",
                    "tasks-mrtr-composition sep-2663-mrtr-synchronous-before-task-creation",
                    "tasks-mrtr-input sep-2663-tasks-get-status-input-required",
                    "tasks-mrtr-input tasks-mrtr-partial-fulfillment",
                    "tasks-mrtr-input tasks-mrtr-tasks-update-resumes",
                    "tasks-request-headers sep-2663-routing-headers-accepted-on-tasks-get",
                    "tasks-request-headers sep-2663-server-rejects-mismatched-mcp-name-on-tasks-get",
                    "tasks-request-state-removal tasks-create-result-no-request-state",
                    "tasks-request-state-removal tasks-get-detailed-no-request-state",
                    "tasks-request-state-removal tasks-request-state-removal-setup",
                    "tasks-wire-fields tasks-no-early-ttl-expiry",
                    "tasks-wire-fields tasks-no-related-task-meta-on-inlined-result",
                    "tasks-wire-fields tasks-wire-field-renames",
                ],
            },
            Expected {
                why: TASKS,
                way: Some("run"),
                checks: &[
                    "tasks-capability-negotiation sep-2663-tasks-methods-non-declaring",
                    "tasks-dispatch-and-envelope sep-2663-tasks-get-invalid-task-id-32602",
                ],
            },
        ],
    },
    Crossing {
        revision: "2025-11-25",
        server: "modern",
        expected: &[Expected {
            why: POLLING,
            way: None,
            checks: &[
                "server-sse-polling incoming-response (2)",
                "server-sse-polling outgoing-request (2)",
                "server-sse-polling server-sse-disconnect-resume",
            ],
        }],
    },
];

impl Crossing {
    /// How many checks come out otherwise, and what of that is not as the list says.
    pub(super) fn findings(
        &self,
        way: &str,
        direct: &Verdicts,
        through: &Verdicts,
        only: Option<&str>,
    ) -> (usize, Vec<String>) {
        let differences = direct.differences(through);
        let listed: Vec<(&str, &str)> = self
            .expected
            .iter()
            .filter(|expected| expected.way.is_none_or(|listed| listed == way))
            .flat_map(|expected| expected.checks.iter().map(|check| (*check, expected.why)))
            .collect();
        let new = differences
            .iter()
            .filter(|(check, _)| listed.iter().all(|(listed, _)| check != listed))
            .map(|(_, words)| words.clone());
        let is_looked_at = |check: &str| only.is_none_or(|only| check.split(' ').next() == Some(only));
        let vanished = listed
            .iter()
            .filter(|(check, _)| is_looked_at(check))
            .filter(|(check, _)| differences.iter().all(|(found, _)| found != check))
            .map(|(check, why)| format!("{check}: listed as a difference ({why}), and is none"));
        (differences.len(), new.chain(vanished).collect())
    }
}
