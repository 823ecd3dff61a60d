//! Which servers are known: those that the catalogue has by the name of their package, started as usual.

use super::entry::Server;
use callgate_catalog::catalogue::Registry;
use callgate_catalog_data::bundled;

/// The catalogue's name of a server that is started as `npx -y PACKAGE …` or `uvx PACKAGE …`.
pub(super) fn known(server: &Server) -> Option<&'static str> {
    let Server::Command(command) = server else {
        return None;
    };
    // Its folder and its variables can have `npx` and `uvx` start something else.
    if command.cwd.is_some() || !command.env.is_empty() {
        return None;
    }
    let (registry, package) = package(&command.program, &command.args)?;
    // A catalogue that cannot be read knows nothing.
    let servers = bundled().ok()?.servers().iter();
    servers
        .filter(|server| server.package.registry == registry)
        .find(|server| server.package.name == package)
        .map(|server| server.name.as_str())
}

/// The package that a command starts, where it is one of a registry and nothing else. What is named by a file, a URL
/// or another name (`known@npm:other`) is none.
fn package<'c>(program: &str, args: &'c [String]) -> Option<(Registry, &'c str)> {
    let registry = match program {
        "npx" => Registry::Npm,
        "uvx" => Registry::Pypi,
        _ => return None,
    };
    let mut words = args.iter().map(String::as_str).peekable();
    if registry == Registry::Npm {
        words.next_if(|word| matches!(*word, "-y" | "--yes"));
    }
    let word = words.next().filter(|word| !word.starts_with('-'))?;
    // A scope begins with the same sign as a version.
    let at = word.char_indices().skip(1).find(|(_, c)| *c == '@');
    let Some((at, _)) = at else {
        return Some((registry, word));
    };
    let (name, version) = word.split_at_checked(at)?;
    let is_version = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '^' | '~' | '+');
    version.chars().all(is_version).then_some((registry, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_package_of_a_registry_is_one() {
        let of = |words: &str| {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let (program, args) = words.split_first().unwrap();
            package(program, args).map(|(registry, name)| format!("{} {name}", registry.name()))
        };
        let cases = [
            ("npx -y mistral-mcp", Some("npm mistral-mcp")),
            ("npx --yes @a/b@1.2.3-rc.1 --flag", Some("npm @a/b")),
            ("npx @a/b", Some("npm @a/b")),
            ("uvx mcp-server-time@latest --x", Some("pypi mcp-server-time")),
            ("npx -y known@npm:evil", None),
            ("npx -y known@file:/evil", None),
            ("npx -y known@https://evil/x.tgz", None),
            ("npx -p evil known", None),
            ("npx --registry=http://evil known", None),
            ("uvx --from evil known", None),
            ("uvx -y known", None),
            ("/tmp/npx -y known", None),
            ("sh -c npx", None),
            ("npx -y", None),
        ];
        for (words, wanted) in cases {
            assert_eq!(of(words).as_deref(), wanted, "{words}");
        }
    }
}
