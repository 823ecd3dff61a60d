//! The servers that a client's configuration names: JSON, with comments where the client lets them stand.

use super::command::{Word, split};
use super::finding::Place;
use anyhow::bail;
use callgate_policy::document::Genre;
use callgate_policy::tree::{Entry as Member, Node, Value};
use callgate_policy::{Diagnostics, read_document};

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

const CONFIGURATION: Genre = Genre {
    called: "configuration",
    begin: "begin with `{\"mcpServers\": {`",
    split: "check the part with the servers by itself",
    repeat: "write each server out",
};

/// The servers of a configuration, those of all its projects too.
pub(crate) fn read(text: &str) -> Result<Vec<Entry>, Diagnostics> {
    let document = read_document(&without_comments(text), &CONFIGURATION)?;
    Ok(of(&document.root))
}

fn of(root: &Node) -> Vec<Entry> {
    let mut maps: Vec<&Node> = ["mcpServers", "servers", "context_servers"]
        .iter()
        .filter_map(|key| root.get(key))
        .collect();
    maps.extend(root.get("mcp").and_then(|mcp| mcp.get("servers")));
    let projects = root.get("projects").map(Node::entries).unwrap_or_default();
    maps.extend(
        projects
            .iter()
            .filter_map(|project| project.value.get("mcpServers")),
    );
    if maps.is_empty() && !root.entries().is_empty() && root.entries().iter().all(is_server) {
        maps.push(root);
    }
    maps.iter().flat_map(|map| map.entries()).map(entry).collect()
}

/// Whether a member is a server by itself, in files that are nothing but servers.
fn is_server(member: &Member) -> bool {
    ["command", "url"]
        .iter()
        .any(|key| member.value.get(key).is_some())
}

/// A server from what stands behind its name.
pub(crate) fn entry(member: &Member) -> Entry {
    Entry {
        name: member.key.to_string(),
        place: Some(member.key_span.into()),
        kind: kind(&member.value),
    }
}

/// A server that stands by itself, such as what `claude mcp add-json` takes.
pub(crate) fn single(name: &str, text: &str) -> Option<Entry> {
    let document = read_document(text, &CONFIGURATION).ok()?;
    Some(Entry {
        name: name.to_owned(),
        place: None,
        kind: kind(&document.root),
    })
}

fn kind(server: &Node) -> Kind {
    let url = ["url", "serverUrl", "httpUrl"]
        .iter()
        .find_map(|key| server.get(key));
    if let Some(command) = server.get("command") {
        // Which of the two is meant depends on the client.
        return match url {
            Some(_) => Kind::Unknown,
            None => command_of(server, command),
        };
    }
    match url.and_then(|url| Some((url, url.text()?))) {
        Some((url, text)) => Kind::Url {
            url: Word {
                text: text.to_owned(),
                place: Some(url.span.into()),
            },
            headers: pairs(server.get("headers")),
        },
        None => Kind::Unknown,
    }
}

fn command_of(server: &Node, command: &Node) -> Kind {
    // Zed has the program and its arguments below `command`.
    let (program, outer) = match command.get("path") {
        Some(path) => (path, command),
        None => (command, server),
    };
    let arguments = outer.get("args").map(Node::items).unwrap_or_default();
    let mut argv = Vec::new();
    for node in std::iter::once(program).chain(program.items()).chain(arguments) {
        match &node.value {
            Value::String(text) => argv.push(Word {
                text: text.to_string(),
                place: Some(node.span.into()),
            }),
            Value::Number(text) => argv.push(Word {
                text: text.to_string(),
                place: Some(node.span.into()),
            }),
            Value::List(_) => {}
            Value::Null | Value::Bool(_) | Value::Map(_) => return Kind::Unknown,
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
        env: pairs(outer.get("env").or_else(|| server.get("environment"))),
        dir: server.get("cwd").and_then(Node::text).map(str::to_owned),
    }
}

fn pairs(map: Option<&Node>) -> Vec<Pair> {
    map.map(Node::entries)
        .unwrap_or_default()
        .iter()
        .filter_map(|member| {
            Some(Pair {
                name: member.key.to_string(),
                value: member.value.text()?.to_owned(),
                place: Some(member.value.span.into()),
            })
        })
        .collect()
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

/// The same text with blanks for comments and for commas before a closing bracket, so that places stay as they are.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.char_indices().peekable();
    let mut in_string = false;
    // Where the last comma stands in `out`, while nothing but space and comments came after it.
    let mut comma: Option<usize> = None;
    while let Some((at, c)) = letters.next() {
        let rest = text.get(at..).unwrap_or_default();
        if in_string {
            out.push(c);
            if c == '\\'
                && let Some((_, next)) = letters.next()
            {
                out.push(next);
            }
            in_string = c != '"';
            continue;
        }
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(inside) = rest.strip_prefix("/*") {
            // One that is not closed is left, and is no JSON then.
            inside.find("*/").map_or(0, |end| end.saturating_add(4))
        } else {
            0
        };
        if length > 0 {
            let end = at.saturating_add(length);
            blank(&mut out, c);
            while let Some((_, c)) = letters.next_if(|(at, _)| *at < end) {
                blank(&mut out, c);
            }
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                comma = None;
            }
            ',' => comma = Some(out.len()),
            '}' | ']' => {
                if let Some(comma) = comma.take() {
                    out.replace_range(comma..comma.saturating_add(1), " ");
                }
            }
            c if c.is_whitespace() => {}
            _ => comma = None,
        }
        out.push(c);
    }
    out
}

/// So many bytes of space as a character has; lines stay lines.
fn blank(out: &mut String, c: char) {
    match c {
        '\n' | '\r' => out.push(c),
        c => (0..c.len_utf8()).for_each(|_| out.push(' ')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        read(text)
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
    fn comments_and_last_commas_are_passed_over_and_places_stay() {
        let text = "{ // über \"x\"\n  \"mcpServers\": {/* é */ \"a\": {\"command\": \"//x\", \"args\": [\"/*\", \"\\\"//\",],},\n  },\n}\n";
        assert_eq!(without_comments(text).len(), text.len());
        assert_eq!(shown(text), ["2:27 a //x /* \"//"]);
        // The sign that opens a comment does not close it, and one that is not closed is none.
        let text =
            r#"{/*/ "servers": {"good": {"command": "a"}} }//*/ "servers": {"evil": {"command": "b"}} }"#;
        assert_eq!(shown(text).len(), 1);
        assert!(shown(text)[0].ends_with("evil b"), "{:?}", shown(text));
        assert!(read("{\"mcpServers\": {}} /* }").is_err());
    }

    #[test]
    fn a_key_that_stands_twice_has_no_single_meaning() {
        assert!(read(r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}"#).is_err());
        assert!(read("{\"mcpServers\": {").is_err());
    }
}
