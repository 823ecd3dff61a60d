//! Every example of the documents is run.
//!
//! A page is gone through from top to bottom in one folder, as a reader would: policies are written and validated,
//! commands are run and print what the page says, client configurations are started and spoken to. What a block is
//! tells how it is run; blocks that need more than that stand in [`ODD`], and those that cannot be run in
//! [`NOT_RUN`], with the reason.

mod checking;
mod desk;
mod links;
mod odd;
mod page;
mod serving;
mod shown;

use desk::Desk;
use page::{Block, Page};
use std::collections::BTreeSet;

/// A page, and the first line of a block on it.
type Place = (&'static str, &'static str);

/// Runs a block at a desk.
type Run = fn(&Desk, &Block);

/// Blocks whose run is a story of its own.
const ODD: &[(Place, Run)] = &[
    (("README.md", "DECISION TOOL "), odd::the_demo),
    (("README.md", r#"{"content":[{"type":"text""#), odd::a_denial),
    (("README.md", "callgate init --dry-run\n"), odd::all_is_protected),
    (
        ("README.md", "callgate validate callgate.yaml\n"),
        odd::a_team_in_short,
    ),
    (("docs/admin.md", "version: 1\n"), serving::an_admin_configuration),
    (("docs/admin.md", "curl -H "), serving::asked_of_the_admin_api),
    (
        ("docs/admin.md", "{\"state\":"),
        serving::an_answer_of_the_admin_api,
    ),
    (
        ("docs/admin.md", "callgate reload "),
        serving::asked_of_the_admin_api,
    ),
    (
        ("docs/admin.md", "the configuration was reloaded"),
        serving::an_answer_of_the_admin_api,
    ),
    (
        ("docs/admin.md", "callgate grants list "),
        serving::asked_of_the_admin_api,
    ),
    (("docs/answers.md", r#"{"jsonrpc":"2.0","id":7,"#), odd::a_limit),
    (
        ("docs/answers.md", r#"{"jsonrpc":"2.0","id":null,"#),
        odd::a_malformed_message,
    ),
    (
        ("docs/check.md", "- name: Check MCP servers"),
        checking::a_workflow,
    ),
    (("docs/check.md", "{\n  \"hooks\""), checking::a_hook),
    (
        (
            "docs/init.md",
            "{\n  \"mcpServers\": {\n    \"notes\": {\n      \"command\": \"python3\"",
        ),
        odd::a_configuration_of_a_client,
    ),
    (("docs/init.md", "callgate init\n"), odd::is_protected),
    (
        (
            "docs/init.md",
            "{\n  \"mcpServers\": {\n    \"notes\": {\n      \"command\": \"/home",
        ),
        odd::is_behind_callgate,
    ),
    (
        ("docs/ledger-format.md", r#"{"first":0,"kind":"export""#),
        odd::an_export,
    ),
    (("docs/ledger.md", "error: record 9: "), odd::a_changed_record),
    (
        ("docs/migrating.md", "intercept -c policy.yaml "),
        odd::the_same_command_line,
    ),
    (("docs/migrating.md", "warning[no-default]"), odd::no_default),
    (("docs/monitoring.md", "livenessProbe:"), odd::other_yaml),
    (("docs/monitoring.md", "version: 1\n"), odd::a_configuration),
    (("docs/monitoring.md", "scrape_configs:"), odd::other_yaml),
    (("docs/monitoring.md", "{\"time\":"), serving::a_log_line),
    (("docs/monitoring.md", "groups:"), odd::alerts),
    (
        (
            "docs/oauth.md",
            "version: 1\nlisten: 127.0.0.1:8700\nstate: {dir: state}\noauth:",
        ),
        odd::a_configuration,
    ),
    (
        (
            "docs/oauth.md",
            "version: 1\nlisten: 127.0.0.1:8700\nstate: {dir: state}\nservers:",
        ),
        odd::a_valid_configuration,
    ),
    (("docs/oauth.md", "version: \"1\"\n"), odd::a_policy_of_a_team),
    (("docs/oauth.md", "WWW-Authenticate: "), odd::a_challenge),
    (("docs/oauth.md", "{\"resource\":"), odd::metadata_of_a_resource),
    (("docs/run.md", "callgate: listening on "), odd::listening),
    (
        ("docs/run.md", "callgate run -c policy.yaml --upstream "),
        odd::headers,
    ),
    (("docs/run.md", "WARN the policy was reloaded"), odd::reloads),
    (("docs/run.md", "error[unknown-key]"), odd::a_misspelt_key),
    (("docs/serve.md", "version: 1\n"), odd::a_configuration),
    (("docs/serve.md", "version: \"1\"\n"), odd::a_policy_of_a_team),
    (
        ("docs/serve.md", "callgate validate callgate.yaml\n"),
        odd::a_team_is_set_up,
    ),
    (("docs/serve.md", "{\n  \"mcpServers\""), odd::a_team_is_served),
    (("docs/serve.md", "curl --unix-socket"), serving::over_a_socket),
    (
        ("docs/serve.md", "WARN the configuration was reloaded"),
        serving::reloads,
    ),
    (
        ("docs/serve-config.md", "callgate validate callgate.yaml\n"),
        odd::about_configurations,
    ),
    (
        ("docs/serve-config.md", "# yaml-language-server"),
        odd::the_example_configuration,
    ),
    (
        ("docs/serve-config.md", "error[reference]"),
        odd::an_unset_variable,
    ),
    (("docs/traces.md", "version: 1\n"), odd::a_valid_configuration),
];

/// Why blocks about images and clusters are not run; the page says so too.
const NO_CONTAINERS: &str = "it needs a daemon or a cluster; what it mounts is checked in `packaging.rs`";

/// Blocks that no test can run.
const NOT_RUN: &[(Place, &str)] = &[
    (
        ("docs/oauth.md", "$ callgate login mail"),
        "a person and an authorization server have their parts in it; `oauth_client.rs` plays them",
    ),
    (("README.md", "cargo xtask test"), "it is what runs this"),
    (
        ("docs/site.md", "cargo xtask site"),
        "the tests of the site run it",
    ),
    (("docs/index.md", "  agent ── MCP client "), "a drawing"),
    (("docs/packaging.md", "docker build "), NO_CONTAINERS),
    (("docs/packaging.md", "cd packaging/compose"), NO_CONTAINERS),
    (("docs/packaging.md", "kubectl create secret"), NO_CONTAINERS),
    (
        ("docs/packaging.md", "useradd --system"),
        "it changes the machine; the unit is read by systemd in `packaging.rs`",
    ),
];

/// What is to be done with a block.
enum Way {
    /// A policy or a test file, which is valid.
    File,
    /// Commands, with what they print.
    Session,
    /// Commands.
    Script,
    /// A client's configuration with servers to start.
    ClientConfig,
    Odd(Run),
    NotRun,
}

/// `None` where nobody has said.
fn way(page: &Page, block: &Block) -> Option<Way> {
    let is_here = |place: &Place| place.0 == page.name && block.text.starts_with(place.1);
    if let Some((_, run)) = ODD.iter().find(|(place, _)| is_here(place)) {
        return Some(Way::Odd(*run));
    }
    if NOT_RUN.iter().any(|(place, _)| is_here(place)) {
        return Some(Way::NotRun);
    }
    match block.language.as_str() {
        "yaml" => Some(Way::File),
        "json" if block.text.contains("\"mcpServers\"") => Some(Way::ClientConfig),
        "sh" => Some(Way::Script),
        "console" => Some(Way::Session),
        "text" if block.text.starts_with("$ ") => Some(Way::Session),
        _ => None,
    }
}

/// Runs all blocks of a page; how many there were.
#[track_caller]
fn run(name: &str) -> usize {
    let page = Page::read(name);
    let desk = Desk::new(name);
    for block in &page.blocks {
        match way(&page, block) {
            Some(Way::File) => desk.validate(block),
            Some(Way::Session) => desk.session(block),
            Some(Way::Script) => desk.script(block),
            Some(Way::ClientConfig) => desk.client_config(block),
            Some(Way::Odd(run)) => run(&desk, block),
            Some(Way::NotRun) => {}
            None => panic!(
                "{}: it is neither run nor listed as one that cannot be run",
                block.place
            ),
        }
    }
    page.blocks.len()
}

/// One test a page, so that pages are run side by side.
macro_rules! pages {
    ($($test:ident: $name:literal,)*) => {
        const PAGES: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                assert!(run($name) > 0, "no example was found on {}", $name);
            }
        )*
    };
}

pages! {
    the_examples_of_the_readme_work: "README.md",
    the_examples_of_the_security_page_work: "SECURITY.md",
    the_examples_of_the_admin_api_work: "docs/admin.md",
    the_examples_of_answers_work: "docs/answers.md",
    the_examples_of_the_catalogue_work: "docs/catalogue.md",
    the_examples_of_attacks_work: "docs/attacks.md",
    the_examples_of_checking_work: "docs/check.md",
    the_examples_of_classes_work: "docs/classes.md",
    the_examples_of_getting_started_work: "docs/getting-started.md",
    the_examples_of_grants_work: "docs/grants.md",
    the_examples_of_the_index_work: "docs/index.md",
    the_examples_of_protecting_work: "docs/init.md",
    the_examples_of_the_ledger_format_work: "docs/ledger-format.md",
    the_examples_of_the_ledger_work: "docs/ledger.md",
    the_examples_of_limits_work: "docs/limits.md",
    the_examples_of_asking_before_connecting_work: "docs/mcp.md",
    the_examples_of_migrating_work: "docs/migrating.md",
    the_examples_of_monitoring_work: "docs/monitoring.md",
    the_examples_of_oauth_work: "docs/oauth.md",
    the_examples_of_the_policy_language_work: "docs/policy.md",
    the_examples_of_packaging_are_listed: "docs/packaging.md",
    the_examples_of_recommended_rules_work: "docs/recommended.md",
    the_examples_of_running_work: "docs/run.md",
    the_examples_of_serving_work: "docs/serve.md",
    the_examples_of_configurations_work: "docs/serve-config.md",
    the_examples_of_the_site_are_listed: "docs/site.md",
    the_examples_of_testing_policies_work: "docs/testing-policies.md",
    the_examples_of_traces_work: "docs/traces.md",
}

/// Pages of which each has one block, a policy: `tests/cli_policy/attacks.rs` validates it, and plays the attack under
/// it.
const ATTACKS: &str = "crates/catalog/data/attacks/";

#[test]
fn every_page_with_an_example_is_run() {
    let (attacks, pages): (Vec<Page>, Vec<Page>) = Page::all()
        .into_iter()
        .filter(|page| !page.blocks.is_empty())
        .partition(|page| page.name.starts_with(ATTACKS));
    let found: BTreeSet<String> = pages.into_iter().map(|page| page.name).collect();
    for page in attacks {
        assert_eq!(page.blocks.len(), 1, "{}: more than its policy", page.name);
    }
    let run: BTreeSet<String> = PAGES.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(found, run);
}

#[test]
fn every_listed_example_is_on_its_page() {
    let pages = Page::all();
    let places = ODD
        .iter()
        .map(|(place, _)| place)
        .chain(NOT_RUN.iter().map(|(place, _)| place));
    for (name, first) in places {
        let page = pages.iter().find(|page| page.name == *name).unwrap();
        let count = page
            .blocks
            .iter()
            .filter(|block| block.text.starts_with(first))
            .count();
        assert_eq!(count, 1, "{name}: blocks that begin with `{first}`");
    }
}

#[test]
fn a_block_of_a_kind_that_nobody_knows_is_neither_run_nor_left_out() {
    let page = Page::of("docs/new.md", "Look:\n\n```toml\na = 1\n```\n");
    assert!(way(&page, &page.blocks[0]).is_none());
}

#[test]
fn the_page_on_tests_shows_the_files_that_it_runs() {
    let page = Page::read("docs/testing-policies.md");
    for name in ["policy.yaml", "policy.test.yaml"] {
        let path = desk::repository().join("docs/examples/payments").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            page.blocks
                .iter()
                .any(|block| block.text.trim_end() == text.trim_end()),
            "{name}"
        );
    }
}
