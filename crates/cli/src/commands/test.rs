use clap::Args;
use std::process::ExitCode;
#[derive(Debug, Args)]
pub(crate) struct TestArgs {}
pub(crate) fn run(_a: &TestArgs) -> anyhow::Result<ExitCode> { anyhow::bail!("") }
