//! Finding what a person names: a server, a tool of it, or what they may have meant.

use anyhow::bail;
use callgate_catalog::catalogue::{Catalogue, Server, Tool};
use callgate_policy::nearest;

use super::safe::{cut, shown};

/// So many characters of an unknown name are repeated.
const NAME_CHARS_MAX: usize = 80;

/// The server of this name or package.
pub(crate) fn server<'c>(catalogue: &'c Catalogue, name: &str) -> anyhow::Result<&'c Server> {
    if let Some(server) = catalogue.server(name) {
        return Ok(server);
    }
    let told = cut(&shown(name), NAME_CHARS_MAX);
    if let Some(near) = near(catalogue, name) {
        bail!("there is no server `{told}` in the catalogue\nhint: did you mean `{near}`?");
    }
    let found = catalogue.search(name);
    let mut servers: Vec<&str> = Vec::new();
    for hit in &found {
        if !servers.contains(&hit.server.name.as_str()) {
            servers.push(&hit.server.name);
        }
    }
    servers.truncate(4);
    if servers.is_empty() {
        bail!(
            "there is no server `{told}` in the catalogue of {} servers\nhint: `callgate catalog classify` and `callgate scan` look at any server",
            catalogue.servers().len()
        );
    }
    bail!(
        "there is no server `{told}` in the catalogue\nhint: servers that have these words: {}",
        servers.join(", ")
    );
}

/// The server or package whose name is nearly this one.
pub(crate) fn near<'c>(catalogue: &'c Catalogue, name: &str) -> Option<&'c str> {
    let servers = catalogue.servers().iter();
    nearest(
        name,
        servers.flat_map(|server| [server.name.as_str(), server.package.name.as_str()]),
    )
}

/// The tool of this name.
pub(crate) fn tool<'s>(server: &'s Server, name: &str) -> anyhow::Result<&'s Tool> {
    if let Some(tool) = server.tool(name) {
        return Ok(tool);
    }
    let told = cut(&shown(name), NAME_CHARS_MAX);
    match nearest(name, server.tools.iter().map(|tool| tool.name.as_str())) {
        Some(near) => bail!(
            "{} has no tool `{told}`\nhint: did you mean `{}`?",
            server.name,
            shown(near)
        ),
        None => bail!(
            "{} has no tool `{told}`\nhint: `callgate catalog show {}` lists its {} tools",
            server.name,
            server.name,
            server.tools.len()
        ),
    }
}
