//! `cargo xtask`: what a developer of Callgate runs.

mod bench;
mod classify;
mod conformance;
mod docs;
mod instructions;
mod process;
mod shell;
mod site;
mod test;
mod tools;
mod train;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test            install what the tests need, then run every check, every test, and conformance
  test --quick    the tests alone, without the other checks
  check           the checks alone: format, lints, spelling, dependencies, instructions
  deny            the dependencies, with what is known of their weaknesses, which is fetched
  docs            make the pages that come from the source
  docs --check    whether they still are what the source says
  classify        how often labelled tools get the class of their label
    --development   of the development split alone
    --cross         of the development split, each server by what the others teach
    --train         make the weights anew, from the development split and the primer
    --json          as JSON
  site            the catalogue as pages for a browser, and as a JSON feed, in target/site
    --out FOLDER    in another folder, which is empty, or has an earlier site
    --only NAME     of one server alone, to look at quickly
    --base URL      where the folder will be read, so that the feed has whole addresses
  instructions    whether a decision takes as many instructions with a thousand rules as with one
  conformance     the official conformance suite, with the reference server alone and through Callgate
  conformance --quick    the two newest revisions, through `serve` alone
    --only SCENARIO one of its scenarios
  bench           what a call costs through the gate, beside the server alone and nginx
  bench --quick   the same in a few minutes, with less certainty
    --json FILE     the numbers as JSON too
    --only WORD     only the rows of subjects whose name has this word, and their yardsticks
    --case WORDS    only the cases whose name has these words, such as 'HTTP 200 B c=64' or 'reloads'";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => test::run(test::Scope::All),
        ["test", "--quick"] => test::run(test::Scope::TestsOnly),
        ["deny"] => test::deny().map(|()| ExitCode::SUCCESS),
        ["instructions"] => instructions::run().map(|()| ExitCode::SUCCESS),
        ["check"] => test::run(test::Scope::ChecksOnly),
        ["conformance", flags @ ..] => conformance::run(flags),
        ["bench", flags @ ..] => bench::run(flags),
        ["classify", flags @ ..] => classify::run(flags),
        ["site", flags @ ..] => site::run(flags),
        ["docs"] => docs::run(docs::Mode::Write),
        ["docs", "--check"] => docs::run(docs::Mode::Check),
        _ => {
            shell::say(HELP);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            shell::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
