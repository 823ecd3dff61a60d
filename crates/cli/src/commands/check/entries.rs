//! The servers that a client's configuration names.

use super::command::{Word, split};
use super::finding::Place;
use crate::commands::tree::{self, Fault, Format, Kind as Shape, Member, Node, Places};
use anyhow::bail;
use std::fmt;
use std::ops::Range;

/// 4 MiB: a configuration of servers is small, and a client that keeps much beside it is not checked in time.
pub(super) const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// So many servers of a file are looked at.
const ENTRIES_MAX: usize = 1_000;

/// A server as a client's configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Where its name stands.
    pub(crate) place: Option<Place>,
    pub(crate) kind: Kind,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Command {
        argv: Vec<Word>,
        env: Vec<Pair>,
        dir: Option<String>,
        /// The file that the client reads further variables from.
        env_file: Option<String>,
    },
    Url {
        url: Word,
        headers: Vec<Pair>,
    },
    /// Neither is there, or not as text.
    Unknown,
}

/// A variable or a header, and where its value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) place: Option<Place>,
}

/// Why a configuration has no single meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than is read.
    TooLarge,
    /// It names more servers than are looked at.
    TooMany,
    /// It is not of its format.
    Format(Fault),
    /// A key stands twice, where two readers could take different values.
    Twice(Place),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(
                f,
                "1:1: it has more than the {TEXT_BYTES_MAX} bytes that are read"
            ),
            Self::TooMany => write!(
                f,
                "1:1: it names more than the {ENTRIES_MAX} servers that are looked at"
            ),
            Self::Format(fault) => write!(f, "{}:{}: {}", fault.line, fault.column, fault.what),
            Self::Twice(place) => write!(
                f,
                "{}:{}: this key stands here for the second time, and clients may take either",
                place.line, place.column
            ),
        }
    }
}

/// The servers of a configuration, those of all its projects too.
pub(crate) fn read(format: Format, text: &str) -> Result<Vec<Entry>, Unread> {
    let root = whole(format, text)?;
    let entries = File::of(text).entries(&root);
    if entries.len() > ENTRIES_MAX {
        return Err(Unread::TooMany);
    }
    Ok(entries)
}

/// A server that stands by itself, such as what `claude mcp add-json` takes.
pub(crate) fn single(name: &str, text: &str) -> Option<Entry> {
    let root = whole(Format::Json, text).ok()?;
    Some(Entry {
        name: name.to_owned(),
        place: None,
        kind: File::of(text).kind(&root),
    })
}

fn whole(format: Format, text: &str) -> Result<Node, Unread> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Unread::TooLarge);
    }
    let root = tree::read(format, text).map_err(Unread::Format)?;
    match root.twice_below() {
        Some(member) => Err(Unread::Twice(File::of(text).place(&member.key))),
        None => Ok(root),
    }
}

/// Whether a member is a server by itself, in files that are nothing but servers.
fn is_server(member: &Member) -> bool {
    ["command", "url"]
        .iter()
        .any(|key| member.value.get(key).is_some())
}

/// A configuration's text, of which entries are made.
struct File<'t> {
    text: &'t str,
    places: Places<'t>,
}

impl<'t> File<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            places: Places::of(text),
        }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let (line, column) = self.places.at(span.start);
        Place { line, column }
    }

    fn entries(&self, root: &Node) -> Vec<Entry> {
        let mut maps: Vec<&Node> = ["mcpServers", "servers", "context_servers", "mcp_servers"]
            .iter()
            .filter_map(|key| root.get(key))
            .collect();
        maps.extend(root.get("mcp").and_then(|mcp| mcp.get("servers")));
        let projects = root.get("projects").map(Node::members).unwrap_or_default();
        maps.extend(
            projects
                .iter()
                .filter_map(|project| project.value.get("mcpServers")),
        );
        if maps.is_empty() && !root.members().is_empty() && root.members().iter().all(is_server) {
            maps.push(root);
        }
        let members = maps.iter().flat_map(|map| map.members());
        members.map(|member| self.entry(member)).collect()
    }

    /// A server from what stands behind its name.
    fn entry(&self, member: &Member) -> Entry {
        Entry {
            name: member.name.clone(),
            place: Some(self.place(&member.key)),
            kind: self.kind(&member.value),
        }
    }

    fn kind(&self, server: &Node) -> Kind {
        let url = ["url", "serverUrl", "httpUrl"]
            .iter()
            .find_map(|key| server.get(key));
        if let Some(command) = server.get("command") {
            // Which of the two is meant depends on the client.
            return match url {
                Some(_) => Kind::Unknown,
                None => self.command(server, command),
            };
        }
        match url.and_then(|url| self.word(url).filter(|_| url.text().is_some())) {
            Some(url) => Kind::Url {
                url,
                headers: self.headers(server),
            },
            None => Kind::Unknown,
        }
    }

    fn command(&self, server: &Node, command: &Node) -> Kind {
        // Zed has the program and its arguments below `command`.
        let (program, outer) = match command.get("path") {
            Some(path) => (path, command),
            None => (command, server),
        };
        let arguments = outer.get("args").map(Node::items).unwrap_or_default();
        let mut argv = Vec::new();
        for node in std::iter::once(program).chain(program.items()).chain(arguments) {
            match self.word(node) {
                Some(word) => argv.push(word),
                None if matches!(node.kind, Shape::List(_)) => {}
                None => return Kind::Unknown,
            }
        }
        // A whole line in place of a program: some clients cut it.
        if let [line] = argv.as_slice()
            && line.text.contains(' ')
            && !line.text.contains(['/', '\\'])
        {
            let place = line.place;
            argv = split(&line.text)
                .into_iter()
                .map(|text| Word { text, place })
                .collect();
        }
        if argv.is_empty() {
            return Kind::Unknown;
        }
        Kind::Command {
            argv,
            env: self.env(server, outer),
            dir: server.get("cwd").and_then(Node::text).map(str::to_owned),
            env_file: server.get("envFile").map(|file| match self.word(file) {
                Some(word) => word.text,
                None => String::new(),
            }),
        }
    }

    /// The variables of all members that a client may take them from.
    fn env(&self, server: &Node, outer: &Node) -> Vec<Pair> {
        let mut tables = vec![outer];
        if !std::ptr::eq(server, outer) {
            tables.push(server);
        }
        tables
            .into_iter()
            .flat_map(|table| ["env", "environment"].map(|key| self.pairs(table.get(key))))
            .flatten()
            .collect()
    }

    /// A text, or a number as it is written, which clients take for one.
    fn word(&self, node: &Node) -> Option<Word> {
        let written = self.text.get(node.span.clone()).unwrap_or_default();
        let is_number = node.kind == Shape::Other
            && written.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+'));
        let text = node.text().or_else(|| is_number.then_some(written))?;
        Some(Word {
            text: text.to_owned(),
            place: Some(self.place(&node.span)),
        })
    }

    /// The headers that a client sends, in Codex's three ways too.
    fn headers(&self, server: &Node) -> Vec<Pair> {
        let mut headers = self.pairs(server.get("headers"));
        headers.extend(self.pairs(server.get("http_headers")));
        for pair in self.pairs(server.get("env_http_headers")) {
            headers.push(Pair {
                value: format!("${{{}}}", pair.value),
                ..pair
            });
        }
        if let Some(bearer) = server
            .get("bearer_token_env_var")
            .and_then(|node| self.word(node))
        {
            headers.push(Pair {
                name: "Authorization".to_owned(),
                value: format!("Bearer ${{{}}}", bearer.text),
                place: bearer.place,
            });
        }
        headers
    }

    fn pairs(&self, map: Option<&Node>) -> Vec<Pair> {
        let members = map.map(Node::members).unwrap_or_default().iter();
        members
            .filter_map(|member| {
                Some(Pair {
                    name: member.name.clone(),
                    value: member.value.text()?.to_owned(),
                    place: Some(self.place(&member.value.span)),
                })
            })
            .collect()
    }
}

/// A text with `${NAME}` and `${NAME:-otherwise}` filled in from the environment, as clients do.
pub(super) fn expanded(text: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, after)) = inside.split_once('}') else {
            bail!("a `${{` has no `}}`");
        };
        let (name, otherwise) = match name.split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (name, None),
        };
        let name = name.strip_prefix("env:").unwrap_or(name);
        match (std::env::var(name), otherwise) {
            (Ok(value), _) => out.push_str(&value),
            (Err(_), Some(otherwise)) => out.push_str(otherwise),
            (Err(_), None) => bail!("the variable {name} is not set"),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        read(Format::Json, text)
            .unwrap()
            .iter()
            .map(|entry| {
                let place = entry.place.unwrap();
                let kind = match &entry.kind {
                    Kind::Command { argv, .. } => argv
                        .iter()
                        .map(|word| word.text.as_str())
                        .collect::<Vec<_>>()
                        .join(" "),
                    Kind::Url { url, .. } => url.text.clone(),
                    Kind::Unknown => "?".to_owned(),
                };
                format!("{}:{} {} {kind}", place.line, place.column, entry.name)
            })
            .collect()
    }

    #[test]
    fn each_clients_form_is_read() {
        let cases: &[(&str, &[&str])] = &[
            (
                r#"{"mcpServers": {"a": {"command": "x", "args": ["y", 1]}}}"#,
                &["1:17 a x y 1"],
            ),
            (
                r#"{"servers": {"a": {"type": "http", "url": "https://h/"}}}"#,
                &["1:14 a https://h/"],
            ),
            (r#"{"mcp": {"servers": {"a": {"command": "x"}}}}"#, &["1:22 a x"]),
            (
                r#"{"context_servers": {"a": {"command": {"path": "x", "args": ["y"]}}}}"#,
                &["1:22 a x y"],
            ),
            (
                r#"{"mcpServers": {"a": {"serverUrl": "https://h/"}}}"#,
                &["1:17 a https://h/"],
            ),
            (
                r#"{"mcpServers": {"a": {"httpUrl": "https://h/"}}}"#,
                &["1:17 a https://h/"],
            ),
            (
                r#"{"mcpServers": {"a": {"command": ["x", "y"]}}}"#,
                &["1:17 a x y"],
            ),
            (
                r#"{"mcpServers": {"a": {"command": "npx -y x"}}}"#,
                &["1:17 a npx -y x"],
            ),
            (
                r#"{"projects": {"/p": {"mcpServers": {"a": {"command": "x"}}}}}"#,
                &["1:37 a x"],
            ),
            (
                r#"{"a": {"command": "x"}, "b": {"url": "https://h/"}}"#,
                &["1:2 a x", "1:25 b https://h/"],
            ),
            (
                r#"{"mcpServers": {"a": {"command": 5}, "b": {}, "c": 1}}"#,
                &["1:17 a 5", "1:38 b ?", "1:47 c ?"],
            ),
            (
                r#"{"mcpServers": {"a": {"type": "http", "url": "https://h/", "command": "x"}}}"#,
                &["1:17 a ?"],
            ),
            (r#"{"mcpServers": {}}"#, &[]),
            (r#"{"theme": "dark"}"#, &[]),
        ];
        for (text, wanted) in cases {
            assert_eq!(shown(text), *wanted, "{text}");
        }
    }

    #[test]
    fn codex_names_its_servers_in_toml() {
        let text = "model = \"m\"\n[mcp_servers.a]\ncommand = 'npx'\nargs = [\"-y\", 1, \"é\"]\ncwd = \"/d\"\n[mcp_servers.a.env]\nK = \"v\"\n[mcp_servers.b]\nurl = \"https://h/\"\nbearer_token_env_var = \"T\"\nhttp_headers = { X-A = \"1\" }\nenv_http_headers = { X-B = \"B\" }\n";
        let entries = read(Format::Toml, text).unwrap();
        let [a, b] = entries.as_slice() else {
            panic!("{entries:?}");
        };
        let place = |line, column| Some(Place { line, column });
        assert_eq!((a.name.as_str(), a.place), ("a", place(2, 14)));
        let Kind::Command { argv, env, dir, .. } = &a.kind else {
            panic!("{a:?}");
        };
        let words: Vec<(&str, Option<Place>)> =
            argv.iter().map(|word| (word.text.as_str(), word.place)).collect();
        assert_eq!(
            words,
            [
                ("npx", place(3, 11)),
                ("-y", place(4, 9)),
                ("1", place(4, 15)),
                ("é", place(4, 18))
            ]
        );
        assert_eq!((env[0].name.as_str(), env[0].value.as_str()), ("K", "v"));
        assert_eq!(dir.as_deref(), Some("/d"));
        let Kind::Url { url, headers } = &b.kind else {
            panic!("{b:?}");
        };
        assert_eq!(url.text, "https://h/");
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|pair| (pair.name.as_str(), pair.value.as_str()))
            .collect();
        assert_eq!(
            headers,
            [("X-A", "1"), ("X-B", "${B}"), ("Authorization", "Bearer ${T}")]
        );
    }

    #[test]
    fn comments_and_last_commas_are_passed_over_and_places_stay() {
        let text = "{ // über \"x\"\n  \"mcpServers\": {/* é */ \"a\": {\"command\": \"//x\", \"args\": [\"/*\", \"\\\"//\",],},\n  },\n}\n";
        assert_eq!(shown(text), ["2:26 a //x /* \"//"]);
        // The sign that opens a comment does not close it, and one that is not closed is none.
        let text =
            r#"{/*/ "servers": {"good": {"command": "a"}} }//*/ "servers": {"evil": {"command": "b"}} }"#;
        assert_eq!(shown(text).len(), 1);
        assert!(shown(text)[0].ends_with("evil b"), "{:?}", shown(text));
        assert!(read(Format::Json, "{\"mcpServers\": {}} /* }").is_err());
    }

    #[test]
    fn a_key_that_stands_twice_has_no_single_meaning() {
        let twice = r#"{"mcpServers": {"a": {"command": "x"},
 "a": {"command": "y"}}}"#;
        assert_eq!(
            read(Format::Json, twice).unwrap_err().to_string(),
            "2:2: this key stands here for the second time, and clients may take either"
        );
        assert!(read(Format::Json, "{\"mcpServers\": {").is_err());
    }
}
