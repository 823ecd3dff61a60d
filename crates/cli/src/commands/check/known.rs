//! What the catalogue knows of a package.

use super::command::Published;
use super::finding::{Finding, Looked};
use super::rules;
use callgate_catalog::are_near;
use callgate_catalog::catalogue::{Catalogue, Damaged, Registry, Server};
use callgate_catalog_data::bundled;

/// The server that a package is in the catalogue.
pub(crate) fn server<'c>(catalogue: &'c Catalogue, package: &Published) -> Option<&'c Server> {
    catalogue.servers().iter().find(|server| {
        server.package.registry == package.registry
            && same(package.registry, &server.package.name, &package.name)
    })
}

/// Whether two names are those of one package: PyPI tells neither case apart nor `-`, `_`, `.` and runs of them.
fn same(registry: Registry, left: &str, right: &str) -> bool {
    let one = |name: &str| {
        let mut one = String::with_capacity(name.len());
        for letter in name.chars() {
            match letter {
                '-' | '_' | '.' if one.ends_with('-') => {}
                '-' | '_' | '.' => one.push('-'),
                letter => one.push(letter.to_ascii_lowercase()),
            }
        }
        one
    };
    left == right || registry == Registry::Pypi && one(left) == one(right)
}

/// What its name is easily taken for: a package of the same registry, where it is none itself.
pub(crate) fn near<'c>(catalogue: &'c Catalogue, package: &Published) -> Option<&'c str> {
    if server(catalogue, package).is_some() {
        return None;
    }
    catalogue
        .servers()
        .iter()
        .filter(|server| server.package.registry == package.registry)
        .map(|server| server.package.name.as_str())
        .find(|known| are_near(known, &package.name))
}

/// The list of tools that the catalogue has of a server, as it would answer.
pub(crate) fn list(catalogue: &Catalogue, server: &Server) -> Result<String, Damaged> {
    let definitions = catalogue.definitions(server)?;
    let tools: Vec<&str> = definitions.tools.iter().map(|tool| tool.raw.as_str()).collect();
    Ok(format!("{{\"tools\":[{}]}}", tools.join(",")))
}

/// Says that a package's name is easily taken for another's.
pub(super) fn compare(one: &mut Looked, package: &Published) -> Result<(), Damaged> {
    let catalogue = bundled()?;
    if let Some(known) = near(catalogue, package) {
        one.findings.push(
            Finding::of(rules::LOOK_ALIKE_PACKAGE)
                .quoting(known)
                .at(package.place),
        );
    }
    Ok(())
}
