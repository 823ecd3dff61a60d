//! The methods of all five versions, and what looks like one of them.

use super::version::Version;
use crate::scan::keys::equal_without_case;
use Version::{V2024_11_05, V2025_06_18, V2025_11_25, V2026_07_28};

/// `initialize`
pub const INITIALIZE: &str = "initialize";
/// `notifications/initialized`
pub const NOTIFICATIONS_INITIALIZED: &str = "notifications/initialized";
/// `ping`
pub const PING: &str = "ping";
/// `server/discover`
pub const SERVER_DISCOVER: &str = "server/discover";
/// `tools/list`
pub const TOOLS_LIST: &str = "tools/list";
/// `tools/call`
pub const TOOLS_CALL: &str = "tools/call";
/// `resources/list`
pub const RESOURCES_LIST: &str = "resources/list";
/// `resources/templates/list`
pub const RESOURCES_TEMPLATES_LIST: &str = "resources/templates/list";
/// `resources/read`
pub const RESOURCES_READ: &str = "resources/read";
/// `resources/directory/read` (skills extension)
pub const RESOURCES_DIRECTORY_READ: &str = "resources/directory/read";
/// `resources/subscribe`
pub const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
/// `resources/unsubscribe`
pub const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
/// `prompts/list`
pub const PROMPTS_LIST: &str = "prompts/list";
/// `prompts/get`
pub const PROMPTS_GET: &str = "prompts/get";
/// `completion/complete`
pub const COMPLETION_COMPLETE: &str = "completion/complete";
/// `logging/setLevel`
pub const LOGGING_SET_LEVEL: &str = "logging/setLevel";
/// `subscriptions/listen`
pub const SUBSCRIPTIONS_LISTEN: &str = "subscriptions/listen";
/// `tasks/get`
pub const TASKS_GET: &str = "tasks/get";
/// `tasks/result`
pub const TASKS_RESULT: &str = "tasks/result";
/// `tasks/list`
pub const TASKS_LIST: &str = "tasks/list";
/// `tasks/cancel`
pub const TASKS_CANCEL: &str = "tasks/cancel";
/// `tasks/update`
pub const TASKS_UPDATE: &str = "tasks/update";
/// `sampling/createMessage`
pub const SAMPLING_CREATE_MESSAGE: &str = "sampling/createMessage";
/// `elicitation/create`
pub const ELICITATION_CREATE: &str = "elicitation/create";
/// `roots/list`
pub const ROOTS_LIST: &str = "roots/list";
/// `notifications/cancelled`
pub const NOTIFICATIONS_CANCELLED: &str = "notifications/cancelled";
/// `notifications/progress`
pub const NOTIFICATIONS_PROGRESS: &str = "notifications/progress";
/// `notifications/message`
pub const NOTIFICATIONS_MESSAGE: &str = "notifications/message";
/// `notifications/resources/updated`
pub const NOTIFICATIONS_RESOURCES_UPDATED: &str = "notifications/resources/updated";
/// `notifications/resources/list_changed`
pub const NOTIFICATIONS_RESOURCES_LIST_CHANGED: &str = "notifications/resources/list_changed";
/// `notifications/tools/list_changed`
pub const NOTIFICATIONS_TOOLS_LIST_CHANGED: &str = "notifications/tools/list_changed";
/// `notifications/prompts/list_changed`
pub const NOTIFICATIONS_PROMPTS_LIST_CHANGED: &str = "notifications/prompts/list_changed";
/// `notifications/roots/list_changed`
pub const NOTIFICATIONS_ROOTS_LIST_CHANGED: &str = "notifications/roots/list_changed";
/// `notifications/elicitation/complete`
pub const NOTIFICATIONS_ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
/// `notifications/tasks/status` (core tasks of 2025-11-25)
pub const NOTIFICATIONS_TASKS_STATUS: &str = "notifications/tasks/status";
/// `notifications/tasks` (tasks extension)
pub const NOTIFICATIONS_TASKS: &str = "notifications/tasks";
/// `notifications/subscriptions/acknowledged`
pub const NOTIFICATIONS_SUBSCRIPTIONS_ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// Whether a policy has something to judge in a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Keeps the connection going, lists, or follows what was begun under judgement.
    Housekeeping,
    /// Reads or does something of its own.
    Judged,
}

#[derive(Debug)]
struct Method {
    name: &'static str,
    first: Version,
    last: Version,
    purpose: Use,
}

const fn row(name: &'static str, first: Version, last: Version, purpose: Use) -> Method {
    Method {
        name,
        first,
        last,
        purpose,
    }
}

/// Every method that some version defines (extensions of 2026-07-28 included): the first and the last version
/// that has it, and what it is for. The most frequent come first.
static METHODS: &[Method] = &[
    row(TOOLS_CALL, V2024_11_05, V2026_07_28, Use::Judged),
    row(
        NOTIFICATIONS_PROGRESS,
        V2024_11_05,
        V2026_07_28,
        Use::Housekeeping,
    ),
    row(TOOLS_LIST, V2024_11_05, V2026_07_28, Use::Housekeeping),
    row(INITIALIZE, V2024_11_05, V2025_11_25, Use::Housekeeping),
    row(
        NOTIFICATIONS_INITIALIZED,
        V2024_11_05,
        V2025_11_25,
        Use::Housekeeping,
    ),
    row(PING, V2024_11_05, V2025_11_25, Use::Housekeeping),
    row(SERVER_DISCOVER, V2026_07_28, V2026_07_28, Use::Housekeeping),
    row(RESOURCES_LIST, V2024_11_05, V2026_07_28, Use::Housekeeping),
    row(
        RESOURCES_TEMPLATES_LIST,
        V2024_11_05,
        V2026_07_28,
        Use::Housekeeping,
    ),
    row(RESOURCES_READ, V2024_11_05, V2026_07_28, Use::Judged),
    row(RESOURCES_DIRECTORY_READ, V2026_07_28, V2026_07_28, Use::Judged),
    row(RESOURCES_SUBSCRIBE, V2024_11_05, V2025_11_25, Use::Judged),
    row(RESOURCES_UNSUBSCRIBE, V2024_11_05, V2025_11_25, Use::Housekeeping),
    row(PROMPTS_LIST, V2024_11_05, V2026_07_28, Use::Housekeeping),
    row(PROMPTS_GET, V2024_11_05, V2026_07_28, Use::Judged),
    row(COMPLETION_COMPLETE, V2024_11_05, V2026_07_28, Use::Judged),
    row(LOGGING_SET_LEVEL, V2024_11_05, V2025_11_25, Use::Housekeeping),
    row(SUBSCRIPTIONS_LISTEN, V2026_07_28, V2026_07_28, Use::Housekeeping),
    row(TASKS_GET, V2025_11_25, V2026_07_28, Use::Housekeeping),
    row(TASKS_RESULT, V2025_11_25, V2025_11_25, Use::Housekeeping),
    row(TASKS_LIST, V2025_11_25, V2025_11_25, Use::Housekeeping),
    row(TASKS_CANCEL, V2025_11_25, V2026_07_28, Use::Housekeeping),
    row(TASKS_UPDATE, V2026_07_28, V2026_07_28, Use::Housekeeping),
    row(SAMPLING_CREATE_MESSAGE, V2024_11_05, V2026_07_28, Use::Judged),
    row(ELICITATION_CREATE, V2025_06_18, V2026_07_28, Use::Judged),
    row(ROOTS_LIST, V2024_11_05, V2026_07_28, Use::Judged),
    row(
        NOTIFICATIONS_CANCELLED,
        V2024_11_05,
        V2026_07_28,
        Use::Housekeeping,
    ),
    row(NOTIFICATIONS_MESSAGE, V2024_11_05, V2026_07_28, Use::Housekeeping),
    row(
        NOTIFICATIONS_RESOURCES_UPDATED,
        V2024_11_05,
        V2026_07_28,
        Use::Housekeeping,
    ),
    row(
        NOTIFICATIONS_RESOURCES_LIST_CHANGED,
        V2024_11_05,
        V2026_07_28,
        Use::Housekeeping,
    ),
    row(
        NOTIFICATIONS_TOOLS_LIST_CHANGED,
        V2024_11_05,
        V2026_07_28,
        Use::Housekeeping,
    ),
    row(
        NOTIFICATIONS_PROMPTS_LIST_CHANGED,
        V2024_11_05,
        V2026_07_28,
        Use::Housekeeping,
    ),
    row(
        NOTIFICATIONS_ROOTS_LIST_CHANGED,
        V2024_11_05,
        V2025_11_25,
        Use::Housekeeping,
    ),
    row(
        NOTIFICATIONS_ELICITATION_COMPLETE,
        V2025_11_25,
        V2025_11_25,
        Use::Housekeeping,
    ),
    row(
        NOTIFICATIONS_TASKS_STATUS,
        V2025_11_25,
        V2025_11_25,
        Use::Housekeeping,
    ),
    row(NOTIFICATIONS_TASKS, V2026_07_28, V2026_07_28, Use::Housekeeping),
    row(
        NOTIFICATIONS_SUBSCRIPTIONS_ACKNOWLEDGED,
        V2026_07_28,
        V2026_07_28,
        Use::Housekeeping,
    ),
];

/// What a method is to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resemblance {
    Known(&'static str),
    /// Equal to a known one but for case, white space or control characters.
    LooksLike(&'static str),
    Unknown,
}

pub(crate) fn resemblance(method: &str) -> Resemblance {
    if let Some(known) = find(method) {
        return Resemblance::Known(known.name);
    }
    let visible: String = method
        .chars()
        .filter(|character| !is_unseen(*character))
        .collect();
    match METHODS
        .iter()
        .find(|known| equal_without_case(known.name, &visible))
    {
        Some(known) => Resemblance::LooksLike(known.name),
        None => Resemblance::Unknown,
    }
}

fn find(method: &str) -> Option<&'static Method> {
    METHODS.iter().find(|known| known.name == method)
}

/// White space, control characters, and the format characters that show nothing.
fn is_unseen(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Whether a method only keeps the protocol going, so that a policy which denies by default lets it pass.
///
/// | is housekeeping | is judged |
/// | --- | --- |
/// | `initialize`, `ping`, `server/discover`, `logging/setLevel` | `tools/call` |
/// | `tools/list`, `resources/list`, `resources/templates/list`, `prompts/list` | `resources/read`, `resources/directory/read`, `resources/subscribe` |
/// | `subscriptions/listen`, `resources/unsubscribe` | `prompts/get` |
/// | `tasks/get`, `tasks/result`, `tasks/list`, `tasks/cancel`, `tasks/update`: the call that made the task was judged | `completion/complete` |
/// | `notifications/*`, known or not | what servers ask of clients (`sampling/createMessage`, `elicitation/create`, `roots/list`), and every unknown method |
#[must_use]
pub fn is_housekeeping(method: &str) -> bool {
    method.starts_with("notifications/")
        || find(method).is_some_and(|known| known.purpose == Use::Housekeeping)
}

/// A method's name in the program's own words, where some version defines it.
#[must_use]
pub fn known(method: &str) -> Option<&'static str> {
    find(method).map(|known| known.name)
}

/// Whether a version defines a method (its extensions included).
#[must_use]
pub fn is_in_version(method: &str, version: Version) -> bool {
    find(method).is_some_and(|known| (known.first..=known.last).contains(&version))
}

#[cfg(test)]
mod tests {
    use super::{METHODS, Resemblance, is_housekeeping, is_in_version, resemblance};
    use crate::mcp::Version;

    #[test]
    fn each_known_method_is_known_once_and_resembles_no_other() {
        for known in METHODS {
            assert_eq!(resemblance(known.name), Resemblance::Known(known.name));
            assert_eq!(
                METHODS.iter().filter(|other| other.name == known.name).count(),
                1,
                "{}",
                known.name
            );
            assert!(known.first <= known.last, "{}", known.name);
            let upper = known.name.to_uppercase();
            assert_eq!(resemblance(&upper), Resemblance::LooksLike(known.name));
        }
    }

    #[test]
    fn methods_that_only_look_known_are_told_apart_from_unknown_ones() {
        for variant in [
            "Tools/Call",
            "tools/call ",
            " tools/call",
            "tools /call",
            "tools/call\u{0}",
            "tools\t/call",
            "tools/call\u{200b}",
            "\u{feff}tools/call",
            "tools/ca\u{ad}ll",
            "TOOL\u{17f}/CALL",
            "tools/call\u{a0}",
        ] {
            assert_eq!(
                resemblance(variant),
                Resemblance::LooksLike("tools/call"),
                "{variant:?}"
            );
        }
        for unknown in [
            "tools/calls",
            "tools.call",
            "tools/call/",
            "vendor/x",
            "",
            " ",
            "tools//call",
        ] {
            assert_eq!(resemblance(unknown), Resemblance::Unknown, "{unknown:?}");
        }
    }

    #[test]
    fn housekeeping_passes_and_what_acts_is_judged() {
        for method in [
            "initialize",
            "tools/list",
            "notifications/vendor/x",
            "tasks/cancel",
            "server/discover",
        ] {
            assert!(is_housekeeping(method), "{method}");
        }
        for method in [
            "tools/call",
            "resources/read",
            "prompts/get",
            "completion/complete",
            "vendor/x",
            "Ping",
        ] {
            assert!(!is_housekeeping(method), "{method}");
        }
    }

    #[test]
    fn versions_have_the_methods_their_schemas_define() {
        assert!(is_in_version("ping", Version::V2025_11_25));
        assert!(!is_in_version("ping", Version::V2026_07_28));
        assert!(!is_in_version("server/discover", Version::V2025_11_25));
        assert!(is_in_version("elicitation/create", Version::V2025_06_18));
        assert!(!is_in_version("elicitation/create", Version::V2025_03_26));
        assert!(
            Version::ALL
                .into_iter()
                .all(|version| is_in_version("tools/call", version))
        );
        assert!(!is_in_version("vendor/x", Version::V2026_07_28));
    }
}
