//! `tools/list`, straight and crooked.

use super::{Tools, page};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// How many tools a page holds when the list comes in pages.
const PAGE: usize = 3;

/// How the list is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ListKind {
    /// All tools, on one page.
    #[default]
    Plain,
    /// Three tools a page; the cursor of the second page is the empty string, which is no end.
    Pages,
    /// Pages without an end.
    Endless,
    /// Other tools each time: those at even places, then those at odd ones.
    Shifting,
    /// Members nobody knows, numbers spelt oddly, white space: to be passed on as they are.
    Odd,
    /// An error in place of a list.
    Failing,
    /// A list in which a name stands twice, with different schemas.
    Twice,
}

impl Tools {
    pub(super) fn list(&self, cursor: Option<&str>, modern: bool) -> String {
        let times = self.listed.fetch_add(1, Ordering::Relaxed);
        let tools = self.definitions();
        match self.list {
            ListKind::Plain => page(modern, &format!(r#""tools":[{}]"#, tools.join(","))),
            ListKind::Pages => paged(&tools, cursor, modern),
            ListKind::Endless => {
                let next = format!("next-{times}");
                page(
                    modern,
                    &format!(r#""tools":[{}],"nextCursor":"{next}""#, tools.join(",")),
                )
            }
            ListKind::Shifting => {
                let parity = usize::from(times % 2 == 1);
                let some: Vec<String> = tools.into_iter().skip(parity).step_by(2).collect();
                page(modern, &format!(r#""tools":[{}]"#, some.join(",")))
            }
            ListKind::Odd => odd(modern),
            ListKind::Failing => page(modern, r#""tools":"none today""#),
            ListKind::Twice => {
                let again = r#"{"name":"echo","inputSchema":{"type":"object","required":["other"]}}"#;
                page(modern, &format!(r#""tools":[{},{again}]"#, tools.join(",")))
            }
        }
    }

    /// Whether one of the listed tools has a name, beside those with a behaviour of their own.
    pub(super) fn has(&self, name: &str) -> bool {
        let extra = name
            .strip_prefix("tool_")
            .and_then(|number| number.parse::<usize>().ok());
        extra.is_some_and(|number| number < self.extra)
            || (name == "grown" && self.grown.load(Ordering::Relaxed))
            || (name == "odd" && self.list == ListKind::Odd)
    }

    /// From now on `grown` is listed.
    pub fn grow(&self) {
        self.grown.store(true, Ordering::Relaxed);
    }

    fn definitions(&self) -> Vec<String> {
        let string = json!({"type": "string"});
        let number = json!({"type": "number"});
        let read = json!({"readOnlyHint": true});
        let mut tools = vec![
            tool(
                "echo",
                "Says its text again",
                &json!({"text": string}),
                &["text"],
                &read,
            ),
            tool(
                "mirror",
                "Gives its arguments back, byte for byte",
                &json!({}),
                &[],
                &read,
            ),
            tool("sleep", "Waits", &json!({"ms": number}), &["ms"], &read),
            tool(
                "add",
                "Adds two numbers",
                &json!({"a": number, "b": number}),
                &["a", "b"],
                &read,
            ),
            tool(
                "fail",
                "Fails as a tool",
                &json!({}),
                &[],
                &json!({"destructiveHint": true}),
            ),
            tool("boom", "Fails as the protocol", &json!({}), &[], &Value::Null),
            tool(
                "progress",
                "Tells its progress",
                &json!({"steps": number, "ms": number}),
                &[],
                &read,
            ),
            tool("ask", "Asks the client", &json!({"what": string}), &[], &read),
            tool(
                "big",
                "Answers at length",
                &json!({"bytes": number}),
                &["bytes"],
                &read,
            ),
            tool("grow", "Adds a tool to the list", &json!({}), &[], &Value::Null),
        ];
        if self.grown.load(Ordering::Relaxed) {
            tools.push(tool(
                "grown",
                "Came later",
                &json!({"text": string}),
                &[],
                &Value::Null,
            ));
        }
        let extra = |number| {
            let name = format!("tool_{number:04}");
            tool(
                &name,
                "Says its text again",
                &json!({"text": string}),
                &["text"],
                &Value::Null,
            )
        };
        tools.extend((0..self.extra).map(extra));
        tools
    }
}

fn tool(name: &str, description: &str, properties: &Value, required: &[&str], annotations: &Value) -> String {
    // `mirror` takes anything; the others say all they take.
    let is_open = name == "mirror";
    let mut tool = json!({"name": name, "description": description,
        "inputSchema": {"type": "object", "properties": properties, "required": required,
            "additionalProperties": is_open}});
    if !annotations.is_null() {
        tool["annotations"] = annotations.clone();
    }
    tool.to_string()
}

fn paged(tools: &[String], cursor: Option<&str>, modern: bool) -> String {
    let number = match cursor {
        None => 0,
        Some("") => 1,
        Some(cursor) => cursor
            .strip_prefix("page-")
            .and_then(|page| page.parse().ok())
            .unwrap_or(usize::MAX),
    };
    let start = number.saturating_mul(PAGE);
    let some: Vec<&str> = tools.iter().skip(start).take(PAGE).map(String::as_str).collect();
    let has_more = start.saturating_add(PAGE) < tools.len();
    let next = match number {
        0 => r#","nextCursor":"""#.to_owned(),
        _ => format!(r#","nextCursor":"page-{}""#, number.saturating_add(1)),
    };
    let next = if has_more { next.as_str() } else { "" };
    page(modern, &format!(r#""tools":[{}]{next}"#, some.join(",")))
}

fn odd(modern: bool) -> String {
    page(
        modern,
        concat!(
            r#""x-vendor" : {"deep":[1e2,1.50,-0,1E+2,123456789012345678901234567890]} , "tools":[ "#,
            r#"{"name":"echo","title":"Écho \u00e9","inputSchema":{"zeta":1,"type":"object","alpha":2,"#,
            r#""properties":{"text":{"type":"string","maxLength":1.0e3}}},"execution":{"taskSupport":"optional"},"#,
            r#""x-odd":{"n":0.1000000000000000055,"m":100000000000000000000}} ,"#,
            r#"{"inputSchema":{"type":"object"},"x-first":true,"name":"odd","annotations":{"readOnlyHint":true,"x":1}}"#,
            r#" ] , "_meta":{"x/y":[ 1 , 2 ]}"#
        ),
    )
}
