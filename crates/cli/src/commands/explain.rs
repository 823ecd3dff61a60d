use clap::Args;
use std::process::ExitCode;
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {}
pub(crate) fn run(_a: &ExplainArgs) -> anyhow::Result<ExitCode> { anyhow::bail!("") }
