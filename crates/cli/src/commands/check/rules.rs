//! What `check` looks for: each rule with its id, its verdict, and what to do.

use callgate_catalog::Severity;
use serde::Serialize;

/// Whether to connect a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Nothing speaks against it.
    Go,
    /// A person should look first.
    Ask,
    /// Do not connect it.
    Stop,
}

impl Verdict {
    /// The verdict as it is written.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Ask => "ask",
            Self::Stop => "stop",
        }
    }
}

/// Something that `check` looks for. Ids are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// What programs know it by.
    pub(crate) id: &'static str,
    /// What follows from it.
    pub(crate) verdict: Verdict,
    /// How much it matters, where the tool's own severity does not say more.
    pub(crate) severity: Severity,
    /// What was found, in short.
    pub(crate) title: &'static str,
    /// What to do about it.
    pub(crate) advice: &'static str,
}

pub(crate) const HIDDEN_TEXT: Rule = Rule {
    id: "hidden-text",
    verdict: Verdict::Stop,
    severity: Severity::High,
    title: "a tool's text has characters that nobody sees",
    advice: "Do not connect the server. If you have to, hide the tool by policy, and ask its maker what the characters are for.",
};

pub(crate) const INSTRUCTION_LIKE_TEXT: Rule = Rule {
    id: "instruction-like-text",
    verdict: Verdict::Stop,
    severity: Severity::High,
    title: "a tool's text speaks to the model: it orders, hides, or sends it to files",
    advice: "Read the whole text. Unless it is harmless, do not connect the server, or hide the tool by policy.",
};

pub(crate) const MIXED_ALPHABETS: Rule = Rule {
    id: "mixed-alphabets",
    verdict: Verdict::Stop,
    severity: Severity::High,
    title: "a tool's name mixes Latin letters with others that look like them",
    advice: "Do not connect the server: the name is made to be taken for another.",
};

pub(crate) const LOOK_ALIKE_NAME: Rule = Rule {
    id: "look-alike-name",
    verdict: Verdict::Stop,
    severity: Severity::High,
    title: "two tools of the list have names that look the same",
    advice: "Do not connect the server, or hide by policy the tool that you do not mean.",
};

pub(crate) const LOOK_ALIKE_SERVER: Rule = Rule {
    id: "look-alike-server",
    verdict: Verdict::Stop,
    severity: Severity::High,
    title: "two servers of the file have names that look the same",
    advice: "Remove the one that you did not put there, or rename it.",
};

pub(crate) const LOOK_ALIKE_PACKAGE: Rule = Rule {
    id: "look-alike-package",
    verdict: Verdict::Stop,
    severity: Severity::High,
    title: "the package is unknown, and its name is easily taken for that of a known one",
    advice: "Compare the name letter by letter with that in the server's own documents.",
};

pub(crate) const CREDENTIALS_IN_URL: Rule = Rule {
    id: "credentials-in-url",
    verdict: Verdict::Stop,
    severity: Severity::High,
    title: "a credential is written out in a URL, which is kept in logs and lists of processes",
    advice: "Take the credential back at its issuer, and hand it over in a header or a variable.",
};

pub(crate) const PIPE_TO_SHELL: Rule = Rule {
    id: "pipe-to-shell",
    verdict: Verdict::Stop,
    severity: Severity::Critical,
    title: "the command fetches a script and runs it at once",
    advice: "Install a version that you have looked at, and name its program in its place.",
};

pub(crate) const DESTRUCTIVE_OPEN: Rule = Rule {
    id: "destructive-open",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "a tool can destroy, and no policy holds it back",
    advice: "Hide it by policy, or list what it may be called with.",
};

pub(crate) const FINANCIAL_OPEN: Rule = Rule {
    id: "financial-open",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "a tool can move money, and no policy holds it back",
    advice: "Hide it by policy, or bound the amount a call and the sum a day.",
};

pub(crate) const CRITICAL_OPEN: Rule = Rule {
    id: "critical-open",
    verdict: Verdict::Ask,
    severity: Severity::Critical,
    title: "what a tool does wrong is large and stays, and no policy holds it back",
    advice: "Hide it by policy, or list what it may be called with.",
};

pub(crate) const FREEFORM_EXECUTION: Rule = Rule {
    id: "freeform-execution",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "a tool runs code or queries as they come, and no policy holds it back",
    advice: "Hide it by policy, or list the texts that it may be called with.",
};

pub(crate) const RATE_ONLY: Rule = Rule {
    id: "rate-only",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "the policy limits how often a dangerous tool is called, and asks nothing of the call",
    advice: "Add conditions on its arguments, or a budget, or hide it: one call is enough to do harm.",
};

pub(crate) const NOT_IN_POLICY: Rule = Rule {
    id: "not-in-policy",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "the policy does not name a tool that can change something, and lets it through",
    advice: "Add `default: deny`, and list the tools to allow under `tools`.",
};

pub(crate) const SIMILAR_NAME: Rule = Rule {
    id: "similar-name",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "the names of two tools of the list are one letter apart",
    advice: "Make sure which is which, and hide by policy the one that you do not mean.",
};

pub(crate) const LYING_ANNOTATION: Rule = Rule {
    id: "lying-annotation",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "a tool's annotations say less than its definition",
    advice: "Do not let the client allow it for what its annotations say.",
};

pub(crate) const UNREADABLE_TOOL: Rule = Rule {
    id: "unreadable-tool",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "tools of the list have no single meaning: a key or a name twice, a number or a text that parsers read differently",
    advice: "Look at the list by hand. Callgate lets no such tool be called.",
};

pub(crate) const NO_ANSWER: Rule = Rule {
    id: "no-answer",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "the server did not list its tools, so nothing is known of them",
    advice: "Run it by hand to see why, or give its list with --tools.",
};

pub(crate) const NOT_BEHIND_CALLGATE: Rule = Rule {
    id: "not-behind-callgate",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "the client reaches the server with no Callgate between them",
    advice: "Put `callgate run -c policy.yaml --` before its command.",
};

pub(crate) const POLICY_MISSING: Rule = Rule {
    id: "policy-missing",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "the policy of a guarded server is not there",
    advice: "Write it: `callgate scan -o policy.yaml -- COMMAND`. Until then Callgate does not start.",
};

pub(crate) const POLICY_INVALID: Rule = Rule {
    id: "policy-invalid",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "the policy of a guarded server does not load",
    advice: "Mend it: `callgate validate` says what is wrong. Until then Callgate does not start.",
};

pub(crate) const POLICY_OPEN_BY_DEFAULT: Rule = Rule {
    id: "policy-open-by-default",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "the policy lets through what it does not name",
    advice: "Add `default: deny`, and list the tools to allow under `tools`.",
};

pub(crate) const POLICY_IN_SHADOW: Rule = Rule {
    id: "policy-in-shadow",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "the policy records what it would deny, and denies nothing",
    advice: "Take `mode: shadow` away.",
};

pub(crate) const UNPINNED_PACKAGE: Rule = Rule {
    id: "unpinned-package",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "the package has no exact version: what is run tomorrow is not what was looked at today",
    advice: "Name an exact version, such as `name@1.2.3`, or `name==1.2.3` for Python.",
};

pub(crate) const IMAGE_WITHOUT_DIGEST: Rule = Rule {
    id: "image-without-digest",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "the image has no digest: a tag can be moved",
    advice: "Name it by its digest, `image@sha256:…`.",
};

pub(crate) const SHELL_IN_COMMAND: Rule = Rule {
    id: "shell-in-command",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "the command carries a script of its own",
    advice: "Name the program and its arguments, without a shell and without code.",
};

pub(crate) const PLAIN_HTTP: Rule = Rule {
    id: "plain-http",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "the server is reached over http, by which others can read and change what is said",
    advice: "Use https.",
};

pub(crate) const CREDENTIALS_IN_ARGUMENTS: Rule = Rule {
    id: "credentials-in-arguments",
    verdict: Verdict::Ask,
    severity: Severity::High,
    title: "a credential is written out in the arguments, which everybody on the machine can list",
    advice: "Hand it over in the environment, and keep it out of the file.",
};

pub(crate) const UNREADABLE_ENTRY: Rule = Rule {
    id: "unreadable-entry",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "an entry of the file names neither a command nor a URL in a form that is known",
    advice: "Look at it by hand.",
};

pub(crate) const NO_DESCRIPTION: Rule = Rule {
    id: "no-description",
    verdict: Verdict::Go,
    severity: Severity::Low,
    title: "a tool does not say what it does",
    advice: "Look into its schema before you let it through.",
};

pub(crate) const CREDENTIALS_IN_FILE: Rule = Rule {
    id: "credentials-in-file",
    verdict: Verdict::Go,
    severity: Severity::Medium,
    title: "a credential is written out in the file",
    advice: "Keep it in a variable, and write `${NAME}` in its place; do not commit the file.",
};

/// All rules, those that stop first.
pub(crate) const ALL: [Rule; 31] = [
    HIDDEN_TEXT,
    INSTRUCTION_LIKE_TEXT,
    MIXED_ALPHABETS,
    LOOK_ALIKE_NAME,
    LOOK_ALIKE_SERVER,
    LOOK_ALIKE_PACKAGE,
    CREDENTIALS_IN_URL,
    PIPE_TO_SHELL,
    DESTRUCTIVE_OPEN,
    FINANCIAL_OPEN,
    CRITICAL_OPEN,
    FREEFORM_EXECUTION,
    RATE_ONLY,
    NOT_IN_POLICY,
    SIMILAR_NAME,
    LYING_ANNOTATION,
    UNREADABLE_TOOL,
    NO_ANSWER,
    NOT_BEHIND_CALLGATE,
    POLICY_MISSING,
    POLICY_INVALID,
    POLICY_OPEN_BY_DEFAULT,
    POLICY_IN_SHADOW,
    UNPINNED_PACKAGE,
    IMAGE_WITHOUT_DIGEST,
    SHELL_IN_COMMAND,
    PLAIN_HTTP,
    CREDENTIALS_IN_ARGUMENTS,
    UNREADABLE_ENTRY,
    NO_DESCRIPTION,
    CREDENTIALS_IN_FILE,
];
