//! TOML, with the places of its keys and values.

use super::{DEPTH_MAX, Fault, Kind, Member, Node, Shape, fault};
use toml_edit::{Document, Item, Key, TableLike, Value};

/// 512 KiB, and so many lines that begin with `[`: the parser's time grows with the square of both.
const BYTES_MAX: usize = 512 * 1024;
const HEADERS_MAX: usize = 2_000;

/// Reads a whole text. A key that stands twice is a fault in TOML itself.
pub(super) fn read(text: &str) -> Result<Node, Fault> {
    let start = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    if text.len() > BYTES_MAX {
        return Err(fault(text, 0, "TOML of more than 512 KiB is not read"));
    }
    let headers = text.lines().filter(|line| line.trim_start().starts_with('['));
    if headers.count() > HEADERS_MAX {
        return Err(fault(
            text,
            0,
            "TOML with more than 2,000 lines that begin with `[` is not read",
        ));
    }
    let reader = Reader { text, start };
    let document = Document::parse(text.get(start..).unwrap_or_default()).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        fault(text, at.saturating_add(start), "this is not valid TOML")
    })?;
    Ok(Node {
        span: start..text.len(),
        kind: reader.table(Shape::Lines, document.as_table(), 0)?,
    })
}

/// Reads a text whose first bytes the parser has not seen.
struct Reader<'t> {
    text: &'t str,
    start: usize,
}

impl Reader<'_> {
    fn moved(&self, span: Option<std::ops::Range<usize>>) -> std::ops::Range<usize> {
        // What has no place is written nowhere, such as a table that only its children name.
        let span = span.unwrap_or_default();
        span.start.saturating_add(self.start)..span.end.saturating_add(self.start)
    }

    fn table(&self, shape: Shape, table: &dyn TableLike, depth: usize) -> Result<Kind, Fault> {
        if depth > DEPTH_MAX {
            return Err(fault(self.text, 0, "values nest too deep"));
        }
        let mut members = Vec::new();
        for (name, item) in table.iter() {
            members.push(Member {
                name: name.to_owned(),
                key: self.moved(table.get_key_value(name).and_then(|(key, _)| Key::span(key))),
                value: self.item(item, depth.saturating_add(1))?,
            });
        }
        Ok(Kind::Table(shape, members))
    }

    fn item(&self, item: &Item, depth: usize) -> Result<Node, Fault> {
        let span = self.moved(item.span());
        let kind = match item {
            Item::None => Kind::Other,
            Item::Value(value) => return self.value(value, depth),
            Item::Table(table) => self.table(Shape::Lines, table, depth)?,
            Item::ArrayOfTables(tables) => {
                let tables = tables.iter().map(|table| {
                    Ok(Node {
                        span: self.moved(table.span()),
                        kind: self.table(Shape::Lines, table, depth.saturating_add(1))?,
                    })
                });
                Kind::List(tables.collect::<Result<_, Fault>>()?)
            }
        };
        Ok(Node { span, kind })
    }

    fn value(&self, value: &Value, depth: usize) -> Result<Node, Fault> {
        let span = self.moved(value.span());
        let kind = match value {
            Value::String(text) => Kind::Text(text.value().clone()),
            Value::Boolean(flag) => Kind::Flag(*flag.value()),
            Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => Kind::Other,
            Value::Array(items) => {
                if depth > DEPTH_MAX {
                    return Err(fault(self.text, span.start, "values nest too deep"));
                }
                let items = items.iter().map(|item| self.value(item, depth.saturating_add(1)));
                Kind::List(items.collect::<Result<_, Fault>>()?)
            }
            // One that is dotted is written by lines, and has no braces.
            Value::InlineTable(table) if table.is_dotted() => self.table(Shape::Lines, table, depth)?,
            Value::InlineTable(table) => self.table(Shape::Braced, table, depth)?,
        };
        Ok(Node { span, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_where_it_says() {
        let text = "\u{feff}# c\n[mcp_servers.a] # x\ncommand = 'npx' # y\nargs = [\"-y\", # z\n  \"p\",\n]\n[mcp_servers.\"b c\".env]\nK = \"v\"\n[other]\nin = { d.e = 1, f = true }\n";
        let node = read(text).unwrap();
        let at = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
            text.get(node.at(&path).unwrap().span.clone()).unwrap()
        };
        assert_eq!(at(&["mcp_servers", "a", "command"]), "'npx'");
        assert_eq!(at(&["mcp_servers", "a", "args"]), "[\"-y\", # z\n  \"p\",\n]");
        assert_eq!(at(&["mcp_servers", "b c", "env", "K"]), "\"v\"");
        assert_eq!(at(&["other", "in"]), "{ d.e = 1, f = true }");
        let env = node.at(&["mcp_servers".to_owned(), "b c".to_owned()]).unwrap();
        let key = env.member("env").unwrap().key.clone();
        assert_eq!(text.get(key), Some("env"));
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_place() {
        let found = read("a = 1\nb = \n").unwrap_err();
        assert_eq!((found.line, found.what), (2, "this is not valid TOML"));
        assert_eq!(read("a = 1\na = 2\n").unwrap_err().line, 2);
    }
}
