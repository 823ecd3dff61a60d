//! `callgate attacks`: known attacks, and their proof: each played on this machine, without Callgate and with it.

mod caller;
mod case;
mod cases;
mod gullible;
mod issuer;
mod list;
mod page;
mod processes;
mod proof;
mod record;
mod run;
mod scene;
pub(crate) mod server;
mod show;

use callgate_catalog::Class;
use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  What there is, and what has to do with money:
    callgate attacks list
    callgate attacks list --class Financial

  How one works, where it was seen, and the policy that stops it:
    callgate attacks show approval-by-side-door

  See it succeed without Callgate and fail with it:
    callgate attacks run approval-by-side-door

  Whether a policy of your own would stop it, for the tools of the page's policy:
    callgate attacks run approval-by-side-door --policy policy.yaml";

const RUN_EXPLAINED: &str = "\
Each attack is played on this machine alone, in a temporary folder that is removed afterwards, against a vulnerable \
server that this program brings along: first straight at the server, where it has to succeed, then through a gate, \
where it must not. What counts is what the server did, not what it answered. Then ordinary use is played through the \
same gate, and the ledger is checked.

Exit codes: 0 each attack went as its page says; 1 one did not, or could not be played.";

/// What `attacks` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AttacksArgs {
    #[command(subcommand)]
    command: AttacksCommand,
}

#[derive(Debug, Subcommand)]
enum AttacksCommand {
    /// List the attacks, the worst first
    List(ListArgs),
    /// Show how an attack works, where it was seen, and what stops it
    Show(ShowArgs),
    /// Play an attack without Callgate, where it succeeds, and with it, where it does not
    #[command(after_help = RUN_EXPLAINED)]
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Those that abuse tools of this class: Financial, Destructive, Execute, Write or Read
    #[arg(long, value_name = "CLASS", value_parser = class, ignore_case = true)]
    class: Option<Class>,

    /// Print JSON: one value a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The attack's id, as `list` prints it
    #[arg(value_name = "ID")]
    id: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "all"])))]
struct RunArgs {
    /// The attacks' ids, as `list` prints them
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Play them all
    #[arg(long)]
    all: bool,

    /// A policy to try in place of the page's
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    policy: Option<PathBuf>,

    /// Print JSON: one value a line, for each attack
    #[arg(long)]
    json: bool,
}

fn class(name: &str) -> Result<Class, String> {
    let named = Class::ALL
        .into_iter()
        .find(|class| class.name().eq_ignore_ascii_case(name));
    named.ok_or_else(|| format!("the classes are {}", Class::ALL.map(Class::name).join(", ")))
}

/// Does what was asked.
pub(crate) fn attacks(args: &AttacksArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        AttacksCommand::List(args) => list::list(args.class, args.json),
        AttacksCommand::Show(args) => show::show(&args.id, args.json),
        AttacksCommand::Run(args) => {
            let which = if args.all {
                run::Which::All
            } else {
                run::Which::These(&args.ids)
            };
            run::run(&which, args.policy.as_deref(), args.json)
        }
    }
}
