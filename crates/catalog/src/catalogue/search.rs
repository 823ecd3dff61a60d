//! Finding servers and tools by words.

use super::{Catalogue, Server, Tool};
use crate::text::words_of_name;
use crate::{Class, Severity};
use std::cmp::Reverse;

/// So many words of what is asked for are looked for.
const WORDS_MAX: usize = 16;

/// Which tools are let through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of one of these classes; all where there is none.
    pub classes: Vec<Class>,
    /// Those that are at least so severe.
    pub severity: Option<Severity>,
    /// Those that have each of these signals.
    pub signals: Vec<&'static str>,
}

impl Filter {
    /// Whether a tool is let through.
    #[must_use]
    pub fn lets(&self, tool: &Tool) -> bool {
        (self.classes.is_empty() || self.classes.contains(&tool.class))
            && self.severity.is_none_or(|severity| tool.severity >= severity)
            && self.signals.iter().all(|signal| tool.signals.contains(signal))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit<'c> {
    /// The server.
    pub server: &'c Server,
    /// Its tool, where not the server as a whole was found.
    pub tool: Option<&'c Tool>,
    /// How well it fits.
    pub score: u32,
}

/// How well a word fits a name: it is the name, one of its words, their beginning, or somewhere in it.
#[derive(Debug, Clone, Copy)]
struct Weights {
    whole: u32,
    word: u32,
    beginning: u32,
    inside: u32,
}

const TOOL_NAME: Weights = Weights {
    whole: 100,
    word: 60,
    beginning: 40,
    inside: 20,
};
const SERVER_NAME: Weights = Weights {
    whole: 90,
    word: 50,
    beginning: 30,
    inside: 15,
};
const TEXT: Weights = Weights {
    whole: 10,
    word: 10,
    beginning: 6,
    inside: 3,
};

/// How well a word fits a text, both in lower case; 0 where it does not.
fn fit(text: &str, word: &str, weights: Weights) -> u32 {
    if text == word {
        return weights.whole;
    }
    let mut best = 0;
    for (at, _) in text.match_indices(word) {
        let starts = text
            .get(..at)
            .and_then(|before| before.chars().next_back())
            .is_none_or(|c| !c.is_alphanumeric());
        let ends = text
            .get(at.saturating_add(word.len())..)
            .and_then(|after| after.chars().next())
            .is_none_or(|c| !c.is_alphanumeric());
        match (starts, ends) {
            (true, true) => return weights.word,
            (true, false) => best = best.max(weights.beginning),
            (false, true | false) => best = best.max(weights.inside),
        }
    }
    best
}

/// A server's texts in lower case.
struct Lower {
    names: [String; 3],
    about: String,
}

impl Lower {
    fn of(server: &Server) -> Self {
        Self {
            names: [
                server.name.to_lowercase(),
                server.package.name.to_lowercase(),
                server.shown_title().to_lowercase(),
            ],
            about: server.about.as_deref().unwrap_or_default().to_lowercase(),
        }
    }

    fn fit(&self, word: &str) -> u32 {
        let named = self.names.iter().map(|name| fit(name, word, SERVER_NAME));
        named.max().unwrap_or(0).max(fit(&self.about, word, TEXT))
    }
}

pub(super) fn search<'c>(catalogue: &'c Catalogue, text: &str, filter: &Filter) -> Vec<Hit<'c>> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split_whitespace().take(WORDS_MAX).collect();
    let mut hits = Vec::new();
    for server in catalogue.servers() {
        let lower = Lower::of(server);
        let by_server: Vec<u32> = words.iter().map(|word| lower.fit(word)).collect();
        if filter.is_empty() && !words.is_empty() && !by_server.contains(&0) {
            hits.push(Hit {
                server,
                tool: None,
                score: by_server.iter().sum(),
            });
        }
        for tool in server.tools.iter().filter(|tool| filter.lets(tool)) {
            if let Some(score) = score(tool, &words, &by_server, filter) {
                hits.push(Hit {
                    server,
                    tool: Some(tool),
                    score,
                });
            }
        }
    }
    hits.sort_by_key(|hit| {
        (
            Reverse(hit.score),
            hit.tool.is_some(),
            // A name that says more than what was asked for comes after one that does not.
            hit.tool
                .map(|tool| words_of_name(&tool.name).len().saturating_sub(words.len())),
            Reverse(hit.tool.map(|tool| (tool.severity, tool.class))),
            &hit.server.name,
            hit.tool.map(|tool| &tool.name),
        )
    });
    hits
}

/// How well a tool fits: each word has to be in it or in what its server is called, and one in the tool itself. With a
/// filter, a server's name alone asks for all of its tools.
fn score(tool: &Tool, words: &[&str], by_server: &[u32], filter: &Filter) -> Option<u32> {
    let name = tool.name.to_lowercase();
    let title = tool.title.to_lowercase();
    let description = tool.description.to_lowercase();
    let mut score = 0_u32;
    let mut is_own = words.is_empty() || !filter.is_empty();
    for (word, by_server) in words.iter().zip(by_server) {
        let own = fit(&name, word, TOOL_NAME)
            .max(fit(&title, word, TOOL_NAME) / 2)
            .max(fit(&description, word, TEXT));
        is_own |= own > 0;
        let best = own.max(*by_server);
        if best == 0 {
            return None;
        }
        score = score.saturating_add(best);
    }
    is_own.then_some(score)
}
