//! What the pages are made of: the servers with their tools, classed, and what belongs together among them.

use super::place::FileNames;
use anyhow::{anyhow, bail};
use callgate_catalog::attacks::{self, Attack};
use callgate_catalog::catalogue::{self, Definitions, Package};
use callgate_catalog::recommend::{Advice, Answers, Hole, ToolFacts, recommend};
use callgate_catalog::{Class, Definition, Severity, Signal, Verdict, words_of_name};
use callgate_core::json::Json;
use callgate_wire::{Bounds, RawJson};
use std::collections::BTreeMap;

/// One tool, as it is shown.
#[derive(Debug)]
pub(crate) struct Tool {
    /// The name of its file, without what follows the dot.
    pub(crate) file: String,
    pub(crate) definition: Definition,
    pub(crate) verdict: Verdict,
    /// What is recommended for it; nothing where another tool of the server has its name.
    pub(crate) advice: Option<Advice>,
}

/// One server, as it is shown.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) file: String,
    pub(crate) name: String,
    /// What it calls itself; its name where it says nothing.
    pub(crate) title: String,
    /// What it says of itself, if anything.
    pub(crate) about: Option<String>,
    pub(crate) package: Package,
    pub(crate) licence: String,
    pub(crate) source: Option<String>,
    pub(crate) date: String,
    pub(crate) obtained: String,
    pub(crate) tools: Vec<Tool>,
    /// What is recommended for all of them.
    pub(crate) policy: String,
    /// Its tests.
    pub(crate) tests: String,
    /// What a person has to fill in.
    pub(crate) holes: Vec<Hole>,
}

impl Server {
    /// How many of its tools are of a class.
    pub(crate) fn count(&self, class: Class) -> usize {
        self.tools
            .iter()
            .filter(|tool| tool.verdict.class == class)
            .count()
    }

    /// Its tools of high and critical severity, the worst first.
    pub(crate) fn risks(&self) -> Vec<&Tool> {
        let mut tools: Vec<&Tool> = self
            .tools
            .iter()
            .filter(|tool| tool.verdict.severity >= Severity::High)
            .collect();
        tools.sort_by_key(|tool| {
            (
                std::cmp::Reverse(tool.verdict.severity),
                std::cmp::Reverse(tool.verdict.class),
            )
        });
        tools
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) servers: Vec<Server>,
    pub(crate) attacks: &'static [Attack],
    /// For each word of names, the tools that have it: places of server and tool.
    by_word: BTreeMap<String, Vec<(usize, usize)>>,
}

impl Book {
    /// Reads the catalogue; of one server alone, where one is named.
    pub(crate) fn read(only: Option<&str>) -> anyhow::Result<Self> {
        let catalogue = callgate_catalog_data::bundled()?;
        let mut files = FileNames::default();
        let servers = catalogue
            .servers()
            .iter()
            .filter(|server| only.is_none_or(|only| server.name == only))
            .map(|server| shown(server, &catalogue.definitions(server)?, &mut files))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if servers.is_empty() {
            bail!("no server of that name is in the catalogue");
        }
        Ok(Self {
            by_word: by_word(&servers),
            servers,
            attacks: attacks::all().map_err(|error| anyhow!("{error}"))?,
        })
    }

    /// All tools, each with its server.
    pub(crate) fn tools(&self) -> impl Iterator<Item = (&Server, &Tool)> {
        self.servers
            .iter()
            .flat_map(|server| server.tools.iter().map(move |tool| (server, tool)))
    }

    /// The attacks that abuse tools like this one: first those whose signals it shows, then those of its class alone that
    /// ask for no signal.
    pub(crate) fn attacks_on(&self, tool: &Tool) -> Vec<&'static Attack> {
        let shown = |attack: &&Attack| shares_signal(attack, tool);
        let of_class = self
            .attacks
            .iter()
            .filter(|attack| attack.classes.contains(&tool.verdict.class));
        let (mut first, rest): (Vec<_>, Vec<_>) = of_class.partition(shown);
        first.extend(rest.into_iter().filter(|attack| !names_signals(attack)));
        first
    }

    /// Tools that an attack could abuse, the most severe first, one a server.
    pub(crate) fn open_to(&self, attack: &Attack, most: usize) -> Vec<(&Server, &Tool)> {
        let mut tools: Vec<_> = self
            .tools()
            .filter(|(_, tool)| attack.classes.contains(&tool.verdict.class))
            .filter(|(_, tool)| !names_signals(attack) || shares_signal(attack, tool))
            .collect();
        tools.sort_by_key(|(_, tool)| std::cmp::Reverse((tool.verdict.severity, tool.verdict.class)));
        let mut seen = Vec::new();
        tools.retain(|(server, _)| {
            let is_new = !seen.contains(&&*server.name);
            seen.push(&server.name);
            is_new
        });
        tools.truncate(most);
        tools
    }

    /// So many tools of the same class at most, of other servers: those first whose names have most words in common.
    pub(crate) fn alike(&self, of: &Server, tool: &Tool, most: usize) -> Vec<(&Server, &Tool)> {
        let mut shared: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for word in words(&tool.definition.name) {
            for place in self.by_word.get(&word).into_iter().flatten() {
                *shared.entry(*place).or_default() += 1;
            }
        }
        let mut places: Vec<_> = shared.into_iter().collect();
        places.sort_by_key(|(place, count)| (std::cmp::Reverse(*count), *place));
        let mut seen = Vec::new();
        places
            .into_iter()
            .filter_map(|((server, tool), _)| {
                let server = self.servers.get(server)?;
                Some((server, server.tools.get(tool)?))
            })
            .filter(|(server, other)| server.name != of.name && other.verdict.class == tool.verdict.class)
            .filter(|(server, _)| {
                let is_new = !seen.contains(&&*server.name);
                seen.push(&server.name);
                is_new
            })
            .take(most)
            .collect()
    }
}

/// Whether an attack names signals of the classifier; other words on its page are for people.
fn names_signals(attack: &Attack) -> bool {
    attack
        .signals
        .iter()
        .any(|signal| Signal::KINDS.iter().any(|(code, _)| code == signal))
}

fn shares_signal(attack: &Attack, tool: &Tool) -> bool {
    let codes = tool.verdict.signals.iter().map(Signal::code);
    codes
        .into_iter()
        .any(|code| attack.signals.iter().any(|signal| signal == code))
}

fn by_word(servers: &[Server]) -> BTreeMap<String, Vec<(usize, usize)>> {
    let mut by_word: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (place, server) in servers.iter().enumerate() {
        for (tool_place, tool) in server.tools.iter().enumerate() {
            for word in words(&tool.definition.name) {
                by_word.entry(word).or_default().push((place, tool_place));
            }
        }
    }
    by_word
}

/// The words of a name that tell it from others: `listAllIssues` and `list_all_issues` have the same.
fn words(name: &str) -> Vec<String> {
    let mut words = words_of_name(name);
    words.retain(|word| word.len() > 2);
    words.sort();
    words.dedup();
    words
}

fn shown(
    server: &catalogue::Server,
    definitions: &Definitions,
    files: &mut FileNames,
) -> anyhow::Result<Server> {
    let verdicts = definitions.verdicts();
    let read = definitions
        .tools
        .iter()
        .map(|tool| RawJson::read(tool.raw.as_bytes(), &Bounds::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let parsed: Vec<Json<'_>> = read.iter().map(RawJson::parse).collect();
    let facts: Vec<ToolFacts<'_>> = parsed
        .iter()
        .zip(&verdicts)
        .map(|(tool, verdict)| ToolFacts { tool, verdict })
        .collect();
    let recommended = recommend(&server.name, &facts, &Answers::default());
    let mut advice: BTreeMap<String, Advice> = recommended
        .tools
        .into_iter()
        .map(|advice| (advice.tool.clone(), advice))
        .collect();
    let mut tool_files = FileNames::default();
    let tools = definitions
        .tools
        .iter()
        .zip(verdicts)
        .map(|(tool, verdict)| Tool {
            file: tool_files.take(&tool.definition.name),
            advice: advice.remove(&tool.definition.name),
            definition: tool.definition.clone(),
            verdict,
        })
        .collect();
    Ok(Server {
        file: files.take(&server.name),
        name: server.name.clone(),
        title: server.shown_title().to_owned(),
        about: server.about.clone(),
        package: server.package.clone(),
        licence: server.licence.clone(),
        source: server.source.clone(),
        date: server.date.clone(),
        obtained: server.obtained.clone(),
        tools,
        policy: recommended.policy,
        tests: recommended.tests,
        holes: recommended.holes,
    })
}
