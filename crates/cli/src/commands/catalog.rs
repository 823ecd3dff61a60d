//! `callgate catalog`: what is known of tools.

pub(crate) mod abuse;
mod classes;
mod classify;
pub(crate) mod find;
pub(crate) mod read;
pub(crate) mod rule;
pub(crate) mod safe;
mod search;
pub(crate) mod show;
pub(crate) mod view;

use callgate_catalog::catalogue::Filter;
use callgate_catalog::{Class, Severity, Signal};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

const CLASSIFY_EXAMPLES: &str = "\
Examples:
  Of a list that a server gave, as the answer to `tools/list` or as an array:
    callgate catalog classify tools.json

  Of one tool:
    echo '{\"name\": \"delete_repository\"}' | callgate catalog classify -

  As JSON, one object a line, the worst alone:
    callgate catalog classify --json tools.json | jq -c 'select(.severity == \"Critical\")'

Nothing is called, fetched or started: the class comes from the definition alone.";

const SEARCH_EXAMPLES: &str = "\
Examples:
  callgate catalog search run workflow
  callgate catalog search --class financial --severity critical
  callgate catalog search slack --signal credentials --json

Exit codes: 0 something was found, 1 nothing was.";

const SHOW_EXAMPLES: &str = "\
Examples:
  callgate catalog show mistral
  callgate catalog show mistral-mcp workflow_interact

Exit codes: 0 it is there, 1 it is not.";

const RISKS_EXAMPLES: &str = "\
Examples:
  How many tools have which severity and which signals:
    callgate catalog risks

  The tools themselves:
    callgate catalog risks --severity critical
    callgate catalog risks --signal instruction_like_text";

/// What `catalog` takes.
#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Class, severity and signals of tools, from their definitions
    #[command(after_help = CLASSIFY_EXAMPLES)]
    Classify(ClassifyArgs),
    /// Servers and tools that have the words
    #[command(after_help = SEARCH_EXAMPLES)]
    Search(SearchArgs),
    /// A server with its tools, or one tool: what it can do at worst, and why
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// What each class means, how many tools have it, and the usual rule
    Classes {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// How many tools have which severity and signals, or the tools of high risk themselves
    #[command(after_help = RISKS_EXAMPLES)]
    Risks(RisksArgs),
}

/// Which tools are asked for.
#[derive(Debug, Args)]
struct FilterArgs {
    /// Tools of this class; given again, of that one too
    #[arg(long, value_name = "CLASS", ignore_case = true, value_parser = class_parser())]
    class: Vec<Class>,

    /// Tools with this signal; given again, with that one too
    #[arg(long, value_name = "SIGNAL", value_parser = signal_parser())]
    signal: Vec<&'static str>,
}

impl FilterArgs {
    fn filter(&self, severity: Option<Severity>) -> Filter {
        Filter {
            classes: self.class.clone(),
            severity,
            signals: self.signal.clone(),
        }
    }
}

fn class_parser() -> impl TypedValueParser<Value = Class> {
    PossibleValuesParser::new(["financial", "destructive", "execute", "write", "read"])
        .try_map(|word| by_word(Class::ALL, Class::name, &word))
}

fn severity_parser() -> impl TypedValueParser<Value = Severity> {
    PossibleValuesParser::new(["critical", "high", "medium", "low"])
        .try_map(|word| by_word(Severity::ALL, Severity::name, &word))
}

fn signal_parser() -> impl TypedValueParser<Value = &'static str> {
    let codes = Signal::KINDS.map(|(code, _)| code);
    PossibleValuesParser::new(codes).try_map(move |word| by_word(codes, |code| code, &word))
}

/// The one of these that is called so, in whichever case.
fn by_word<T: Copy>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
    word: &str,
) -> Result<T, String> {
    all.into_iter()
        .find(|one| name(*one).eq_ignore_ascii_case(word))
        .ok_or_else(|| format!("`{word}` is not known"))
}

#[derive(Debug, Args)]
struct SearchArgs {
    /// Words that have to be there: in a name, a package or a description
    #[arg(value_name = "TEXT")]
    text: Vec<String>,

    #[command(flatten)]
    filter: FilterArgs,

    /// Tools that are at least so severe
    #[arg(long, value_name = "SEVERITY", ignore_case = true, value_parser = severity_parser())]
    severity: Option<Severity>,

    /// At most so many [default: 20; all with --json]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// A server's name in the catalogue, or its package
    #[arg(value_name = "SERVER")]
    server: String,

    /// One of its tools
    #[arg(value_name = "TOOL")]
    tool: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RisksArgs {
    #[command(flatten)]
    filter: FilterArgs,

    /// Tools that are at least so severe [default where tools are listed: high]
    #[arg(long, value_name = "SEVERITY", ignore_case = true, value_parser = severity_parser())]
    severity: Option<Severity>,

    /// At most so many [default: 20; all with --json]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Print JSON: one object, or one a line where tools are listed
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ClassifyArgs {
    /// A `tools/list` result, a response with one, an array of tools, or one tool a line; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// One JSON object a line, in the order of the tools
    #[arg(long)]
    json: bool,
}

/// Does what was asked.
pub(crate) fn catalog(args: &CatalogArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        CatalogCommand::Classify(args) => classify::classify(&args.file, args.json),
        CatalogCommand::Search(args) => search::search(args),
        CatalogCommand::Show(args) => show::show(args),
        CatalogCommand::Classes { json } => classes::classes(*json),
        CatalogCommand::Risks(args) => search::risks(args),
    }
}
