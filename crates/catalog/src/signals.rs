//! What else is worth knowing of a tool, and how severe its worst is.

use crate::class::{Class, Severity};
use crate::definition::{Definition, Parameter};
use crate::text::{flat, words_of_name};
use crate::{hidden, lookalike, rules};

/// From so many parameters on the outermost level there are many.
const MANY: usize = 12;

/// Something in a definition that a person should know of before the tool is let through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// It takes code, a command, or a query, as free text.
    Freeform {
        /// The parameters.
        parameters: Vec<String>,
    },
    /// It takes, makes or shows credentials.
    Credentials,
    /// One call can touch many things.
    Bulk,
    /// One call touches one thing, which its arguments name.
    SingleTarget,
    /// It takes HTML that is shown to somebody as it is.
    RawHtml {
        /// The parameters.
        parameters: Vec<String>,
    },
    /// It takes a URL, which it may fetch.
    Url {
        /// The parameters.
        parameters: Vec<String>,
    },
    /// It takes a path in a file system.
    Path {
        /// The parameters.
        parameters: Vec<String>,
    },
    /// It takes many parameters.
    ManyParameters {
        /// How many.
        count: usize,
    },
    /// Its annotations say less than its definition.
    LyingAnnotation,
    /// It says nothing of what it does.
    NoDescription,
    /// Its text tells the model what to do.
    Instructions {
        /// What it says.
        quote: String,
    },
    /// Its text has characters that nobody sees.
    HiddenText {
        /// Which, as `U+200B`.
        characters: Vec<String>,
    },
    /// Its name has letters that only look like others.
    MixedAlphabets,
    /// Its name looks like that of another tool of the list.
    LookAlike {
        /// The other's name.
        other: String,
    },
}

impl Signal {
    /// The words for programs, each with what was seen.
    pub const KINDS: [(&'static str, &'static str); 14] = [
        (
            "freeform_input",
            "it takes code, a command or a query as free text",
        ),
        (
            "credentials",
            "its name or a parameter has to do with passwords, keys or tokens",
        ),
        ("bulk_operation", "one call can touch many things"),
        ("single_target", "a call touches the one thing that it names"),
        ("raw_html", "it takes HTML"),
        ("url_argument", "it takes a URL, which the server may fetch"),
        ("path_argument", "it takes a path"),
        ("many_parameters", "it takes twelve parameters or more"),
        ("lying_annotation", "its annotations say less than its definition"),
        ("no_description", "it does not say what it does"),
        (
            "instruction_like_text",
            "its text speaks to the model: it orders, hides, or sends it to files",
        ),
        (
            "hidden_text",
            "its text has characters that nobody sees: zero width, turned direction, tags, control characters",
        ),
        (
            "mixed_alphabets",
            "its name mixes Latin letters with others that look like them",
        ),
        (
            "look_alike_name",
            "its name looks like that of another tool in the list, or is one letter from it",
        ),
    ];

    /// A word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Freeform { .. } => "freeform_input",
            Self::Credentials => "credentials",
            Self::Bulk => "bulk_operation",
            Self::SingleTarget => "single_target",
            Self::RawHtml { .. } => "raw_html",
            Self::Url { .. } => "url_argument",
            Self::Path { .. } => "path_argument",
            Self::ManyParameters { .. } => "many_parameters",
            Self::LyingAnnotation => "lying_annotation",
            Self::NoDescription => "no_description",
            Self::Instructions { .. } => "instruction_like_text",
            Self::HiddenText { .. } => "hidden_text",
            Self::MixedAlphabets => "mixed_alphabets",
            Self::LookAlike { .. } => "look_alike_name",
        }
    }

    /// Words for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Freeform { parameters } => {
                format!("takes free code or queries ({})", parameters.join(", "))
            }
            Self::Credentials => "has to do with credentials".to_owned(),
            Self::Bulk => "one call can touch many things".to_owned(),
            Self::SingleTarget => "touches one thing a call".to_owned(),
            Self::RawHtml { parameters } => format!("takes raw HTML ({})", parameters.join(", ")),
            Self::Url { parameters } => format!("takes a URL ({})", parameters.join(", ")),
            Self::Path { parameters } => format!("takes a path ({})", parameters.join(", ")),
            Self::ManyParameters { count } => format!("takes {count} parameters"),
            Self::LyingAnnotation => "its annotations say less than its definition".to_owned(),
            Self::NoDescription => "says nothing of what it does".to_owned(),
            Self::Instructions { quote } => format!("tells the model what to do: {quote}"),
            Self::HiddenText { characters } => {
                format!("has text that nobody sees ({})", characters.join(", "))
            }
            Self::MixedAlphabets => "its name mixes alphabets".to_owned(),
            Self::LookAlike { other } => format!("its name looks like {other}"),
        }
    }
}

/// Adds a signal where it belongs.
pub(crate) fn add(signals: &mut Vec<Signal>, signal: Signal) {
    signals.push(signal);
    signals.sort();
}

fn has_word(words: &[String], list: &str) -> bool {
    words.iter().any(|word| {
        list.split_whitespace()
            .any(|other| other == word || other == crate::text::singular(word))
    })
}

/// The names of the parameters that are so.
fn named(tool: &Definition, is_so: impl Fn(&Parameter, &[String]) -> bool) -> Vec<String> {
    let mut names: Vec<String> = tool
        .parameters
        .iter()
        .filter(|parameter| is_so(parameter, &words_of_name(&parameter.name)))
        .map(|parameter| parameter.name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// All signals of one definition.
pub(crate) fn signals(tool: &Definition, class: Class, is_unclear: bool) -> Vec<Signal> {
    let name = words_of_name(&tool.name);
    let text = flat(&tool.description);
    let mut found = Vec::new();
    let mut listed = |parameters: Vec<String>, signal: fn(Vec<String>) -> Signal| {
        if !parameters.is_empty() {
            found.push(signal(parameters));
        }
    };
    listed(
        named(tool, |parameter, words| {
            rules::takes_code(parameter, &text)
                || parameter.is_free_text()
                    && words
                        .last()
                        .is_some_and(|word| word == "query" || word == "code" && words.len() == 1)
        }),
        |parameters| Signal::Freeform { parameters },
    );
    listed(
        named(tool, |parameter, words| {
            parameter.is_free_text() && has_word(words, "html")
        }),
        |parameters| Signal::RawHtml { parameters },
    );
    listed(
        named(tool, |parameter, words| {
            parameter.choices.is_empty() && has_word(words, "url uri href endpoint webhook website link")
        }),
        |parameters| Signal::Url { parameters },
    );
    listed(
        named(tool, |parameter, words| {
            parameter.choices.is_empty()
                && has_word(words, "path file filename filepath directory dir folder cwd")
                && !has_word(words, "id type size count")
        }),
        |parameters| Signal::Path { parameters },
    );
    const SECRETS: &str = "password secret token credential passphrase apikey privatekey mnemonic";
    let is_secret = |words: &[String]| {
        has_word(words, SECRETS) && !has_word(words, "max min limit page next count continuation usage budget total completion prompt")
            || words.windows(2).any(|pair| matches!(pair, [a, b] if (a == "api" || a == "private" || a == "access" || a == "ssh") && b.starts_with("key")))
    };
    // A process is often given its secrets so.
    let is_environment = has_word(&name, "env environ dotenv")
        || name
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a == "environment" && b.starts_with("variable")));
    if is_secret(&name)
        || is_environment
        || tool
            .parameters
            .iter()
            .any(|parameter| is_secret(&words_of_name(&parameter.name)))
    {
        found.push(Signal::Credentials);
    }
    let is_bulk = has_word(&name, "bulk batch all many multiple mass everything purge")
        || class != Class::Read
            && tool.parameters.iter().any(|parameter| {
                let words = words_of_name(&parameter.name);
                parameter.is_list()
                    && words.last().is_some_and(|word| {
                        has_word(
                            std::slice::from_ref(word),
                            "ids items records users emails recipients files paths keys",
                        )
                    })
                    || words == ["all"]
            });
    if is_bulk {
        found.push(Signal::Bulk);
    } else if tool.parameters.iter().any(|parameter| {
        let words = words_of_name(&parameter.name);
        parameter.is_required
            && !parameter.is_list()
            && words.last().is_some_and(|word| {
                has_word(
                    std::slice::from_ref(word),
                    "id identifier name key uuid sid number slug path email",
                )
            })
    }) {
        found.push(Signal::SingleTarget);
    }
    if tool.outer >= MANY {
        found.push(Signal::ManyParameters { count: tool.outer });
    }
    // Where nothing is clear, nothing can be a lie.
    let lies = tool.claims_read_only == Some(true) && class > Class::Read
        || tool.claims_destructive == Some(false) && class == Class::Destructive;
    if lies && !is_unclear {
        found.push(Signal::LyingAnnotation);
    }
    if tool.description.trim().is_empty() {
        found.push(Signal::NoDescription);
    }
    if let Some(quote) = hidden::instruction(tool) {
        found.push(Signal::Instructions { quote });
    }
    let characters = hidden::hidden(tool);
    if !characters.is_empty() {
        found.push(Signal::HiddenText { characters });
    }
    if lookalike::is_mixed(&tool.name) {
        found.push(Signal::MixedAlphabets);
    }
    found.sort();
    found
}

/// How severe the worst is that a tool of this class can do.
pub(crate) fn severity(tool: &Definition, class: Class, signals: &[Signal]) -> Severity {
    let has = |is_so: fn(&Signal) -> bool| signals.iter().any(is_so);
    let is_bulk = signals.contains(&Signal::Bulk);
    let is_secret = signals.contains(&Signal::Credentials);
    let is_free = has(|signal| matches!(signal, Signal::Freeform { .. }));
    let leads_elsewhere = has(|signal| matches!(signal, Signal::Url { .. } | Signal::Path { .. }));
    let name = words_of_name(&tool.name);
    let by_class = match class {
        Class::Read if is_secret && has_word(&name, "secret password token credential key") => Severity::High,
        Class::Read if is_free || leads_elsewhere || is_secret => Severity::Medium,
        Class::Read => Severity::Low,
        Class::Write
            if is_bulk || is_secret || has_word(&name, "permission role policy access firewall acl") =>
        {
            Severity::High
        }
        Class::Write => Severity::Medium,
        Class::Execute
            if has_word(
                &name,
                "shell bash command eval exec sudo terminal python javascript code",
            ) && is_free =>
        {
            Severity::Critical
        }
        Class::Execute => Severity::High,
        Class::Destructive
            if is_bulk
                || has_word(
                    &name,
                    "database volume cluster account repository project disk bucket table server backup history",
                ) =>
        {
            Severity::Critical
        }
        Class::Destructive => Severity::High,
        Class::Financial
            if is_bulk
                || has_word(
                    &name,
                    "pay transfer send withdraw payout swap buy sell bridge order refund charge payment leverage",
                ) =>
        {
            Severity::Critical
        }
        Class::Financial => Severity::High,
    };
    let is_suspicious = has(|signal| {
        matches!(
            signal,
            Signal::HiddenText { .. } | Signal::Instructions { .. } | Signal::MixedAlphabets
        )
    });
    let by_text = if is_suspicious {
        Severity::High
    } else {
        Severity::Low
    };
    by_class.max(by_text)
}
