//! What the catalogue knows of a package.

use super::command::Published;
use super::finding::{Finding, Looked};
use super::rules;
use callgate_catalog::are_near;
use callgate_catalog::catalogue::{Catalogue, Damaged, Registry, Server};
use callgate_catalog_data::bundled;
use std::borrow::Cow;

/// The most bytes of a package's name that are compared: npm has none that are longer.
const NAME_BYTES_MAX: usize = 214;

/// The server that a package is in the catalogue.
pub(crate) fn server<'c>(catalogue: &'c Catalogue, package: &Published) -> Option<&'c Server> {
    let name = meant(package.registry, &package.name);
    catalogue.servers().iter().find(|server| {
        server.package.registry == package.registry && meant(package.registry, &server.package.name) == name
    })
}

/// The name that a registry finds a package by: PyPI tells neither case apart nor `-`, `_`, `.` and runs of them.
fn meant(registry: Registry, name: &str) -> Cow<'_, str> {
    if registry != Registry::Pypi {
        return Cow::Borrowed(name);
    }
    let mut one = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '-' | '_' | '.' if one.ends_with('-') => {}
            '-' | '_' | '.' => one.push('-'),
            letter => one.push(letter.to_ascii_lowercase()),
        }
    }
    Cow::Owned(one)
}

/// What its name is easily taken for: a package of the same registry, where it is none itself.
pub(crate) fn near<'c>(catalogue: &'c Catalogue, package: &Published) -> Option<&'c str> {
    let name = meant(package.registry, &package.name);
    if name.len() > NAME_BYTES_MAX || server(catalogue, package).is_some() {
        return None;
    }
    catalogue
        .servers()
        .iter()
        .filter(|server| server.package.registry == package.registry)
        .map(|server| server.package.name.as_str())
        .find(|known| are_near(known, &name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_package_can_have_is_not_compared() {
        let catalogue = bundled().unwrap();
        let near = |registry, name: &str| {
            let package = Published {
                registry,
                name: name.to_owned(),
                place: None,
            };
            near(catalogue, &package)
        };
        let long = format!("mistra1{}mcp", "-".repeat(300));
        assert_eq!(near(Registry::Npm, "mistra1-mcp"), Some("mistral-mcp"));
        assert_eq!(near(Registry::Npm, &long), None);
        // PyPI takes a run of separators for one.
        let known = catalogue
            .servers()
            .iter()
            .find(|server| server.package.registry == Registry::Pypi && server.package.name.contains('-'))
            .unwrap();
        let name = &known.package.name;
        let runs = format!("{name}x").replace('-', &"-".repeat(300));
        assert!(near(Registry::Pypi, &format!("{name}x")).is_some(), "{name}");
        assert!(near(Registry::Pypi, &runs).is_some(), "{name}");
    }
}
