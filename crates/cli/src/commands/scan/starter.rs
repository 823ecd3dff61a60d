//! A starter policy: what is listed may be called, limited where it may change something.

use super::client::Listing;
use super::comment::{is_shown, one_line};
use super::tools::{Described, Effect, Entry};
use callgate_catalog::Signal;
use std::fmt::Write as _;

/// The calls a minute that a tool gets whose effect is not known.
const CALLS_A_MINUTE: u32 = 10;

/// Patterns, which escaped names are, may have so many bytes.
const PATTERN_BYTES_MAX: usize = callgate_policy::bounds::GLOB_BYTES_MAX;

/// So many keys of a policy may be patterns.
const PATTERNS_MAX: usize = callgate_policy::bounds::GLOBS_MAX;

/// The policy's text. The same server gives the same text.
pub(super) fn policy(listing: &Listing, tools: &[Described]) -> String {
    let mut tools: Vec<&Described> = tools.iter().collect();
    tools.sort_by(|left, right| left.listed.name.cmp(&right.listed.name));
    let mut out = String::new();
    head(&mut out, listing, &tools);
    let mut patterns = 0_usize;
    let mut entries = String::new();
    let mut listed = 0_usize;
    for tool in tools {
        let key = key(tool.listed.name.as_str());
        let fits = match &key {
            Key::Name(_) => true,
            Key::Pattern(text) => text.len() <= PATTERN_BYTES_MAX && patterns < PATTERNS_MAX,
        };
        if matches!(key, Key::Pattern(_)) && fits {
            patterns = patterns.saturating_add(1);
        }
        entries.push('\n');
        if entry(&mut entries, tool, &key, fits) {
            listed = listed.saturating_add(1);
        }
    }
    if listed == 0 {
        out.push_str("tools: {}\n");
    } else {
        out.push_str("tools:\n");
    }
    out.push_str(entries.strip_prefix('\n').unwrap_or(&entries));
    out
}

fn head(out: &mut String, listing: &Listing, tools: &[&Described]) {
    let server = listing.name.as_deref().map(one_line).unwrap_or_default();
    let version = listing.version.as_deref().map(one_line).unwrap_or_default();
    let called = [server.as_str(), version.as_str()].join(" ");
    let called = match called.trim() {
        "" => "a server".to_owned(),
        called => called.to_owned(),
    };
    let count = |entry| tools.iter().filter(|tool| tool.entry() == entry).count();
    // Writing to a `String` cannot fail.
    let _ = write!(
        out,
        "# A starter policy for {called}, made by `callgate scan`.\n\
         #\n\
         # What is not listed here is denied. {} tools: {} only read, as far as one can tell, and have no limit; {} may do\n\
         # more and are limited; {} can destroy and are left out. The class of each comes from what the server says of\n\
         # it: read each entry, and write down which arguments you allow.\n\
         version: \"1\"\n\
         default: deny\n\n",
        tools.len(),
        count(Entry::Free),
        count(Entry::Limited),
        count(Entry::LeftOut),
    );
}

/// Writes a tool's entry, and says whether it lists the tool.
fn entry(out: &mut String, tool: &Described, key: &Key, fits: bool) -> bool {
    if let Some(description) = tool
        .description
        .as_deref()
        .map(one_line)
        .filter(|text| !text.is_empty())
    {
        let _ = writeln!(out, "  # {description}");
    }
    for parameter in &tool.parameters {
        let need = if parameter.required {
            "required"
        } else {
            "optional"
        };
        let _ = write!(
            out,
            "  #   {} ({}, {need})",
            one_line(&parameter.name),
            one_line(&parameter.kind)
        );
        if let Some(text) = parameter
            .description
            .as_deref()
            .map(one_line)
            .filter(|text| !text.is_empty())
        {
            let _ = write!(out, ": {text}");
        }
        out.push('\n');
    }
    let verdict = &tool.verdict;
    let signals: Vec<String> = verdict.signals.iter().map(Signal::text).collect();
    let _ = writeln!(
        out,
        "  # {}, severity {}, {} sure{}{}",
        verdict.class,
        verdict.severity,
        verdict.confidence,
        if signals.is_empty() { "" } else { "; " },
        one_line(&signals.join("; "))
    );
    let quoted = match key {
        Key::Name(name) => yaml_key(name),
        Key::Pattern(pattern) => {
            out.push_str("  # The backslashes keep the name from being read as a pattern.\n");
            yaml_key(pattern)
        }
    };
    if !fits {
        out.push_str("  # Left out: this name cannot be written as a key.\n");
        let _ = writeln!(out, "  # {}", one_line(&quoted));
        return false;
    }
    // Where there is no schema, nothing could be checked against it, and every call would be denied.
    let checks = tool.listed.input_schema.is_some().then_some("validate: schema");
    let limit = format!("limits:\n  - window: minute\n    max: {CALLS_A_MINUTE}");
    let limit = (tool.entry() != Entry::Free).then_some(limit.as_str());
    let body: Vec<&str> = checks.into_iter().chain(limit).flat_map(str::lines).collect();
    let mark = match tool.entry() {
        Entry::Free | Entry::Limited => "",
        Entry::LeftOut => {
            let by = match tool.effect {
                Effect::Destroys => "the server says that it destroys (destructiveHint)",
                Effect::Reads | Effect::Unknown => "it can destroy",
            };
            let _ = writeln!(out, "  # Left out: {by}. To allow it, take the marks away:");
            "# "
        }
    };
    if body.is_empty() {
        let _ = writeln!(out, "  {mark}{quoted}: {{}}");
    } else {
        let _ = writeln!(out, "  {mark}{quoted}:");
    }
    for line in body {
        let _ = writeln!(out, "  {mark}  {line}");
    }
    tool.entry() != Entry::LeftOut
}

/// How a tool's name becomes a key of `tools`.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Name(String),
    /// With a backslash before what a pattern would read otherwise.
    Pattern(String),
}

fn key(name: &str) -> Key {
    const MEANS_SOMETHING: [char; 6] = ['*', '?', '[', ']', '{', '}'];
    if !name.contains(['*', '?', '[', '{', '\\']) {
        return Key::Name(name.to_owned());
    }
    let mut pattern = String::new();
    for c in name.chars() {
        if c == '\\' || MEANS_SOMETHING.contains(&c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    Key::Pattern(pattern)
}

/// A key as YAML 1.2 and 1.1 alike read it as this string, on one line.
fn yaml_key(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !is_word(text);
    if is_plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_shown(c) && c != '\u{a0}' => out.push(c),
            c => {
                let code = u32::from(c);
                let _ = if code > 0xffff {
                    write!(out, "\\U{code:08x}")
                } else {
                    write!(out, "\\u{code:04x}")
                };
            }
        }
    }
    out.push('"');
    out
}

/// Words that some YAML takes for something other than a string.
fn is_word(text: &str) -> bool {
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::scan::tools;
    use callgate_core::call::{Listing as Listed, Scene, WallTime};
    use callgate_core::decide::decide;
    use callgate_core::{Call, Decision};

    const ODD_NAMES: [&str; 30] = [
        "plain",
        "with space",
        "no",
        "Yes",
        "null",
        "~",
        "123",
        "1.5",
        "0x1f",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "*",
        "a*",
        "?",
        "[a]",
        "{a,b}",
        "\\",
        "a\\b",
        "\"",
        "'",
        "a\nb",
        "a\tb",
        "\u{7f}\u{85}",
        "\u{202e}x",
        "ünï",
        "<<",
        "!!str a",
    ];

    fn listing() -> Listing {
        Listing {
            name: Some("odd\nserver".to_owned()),
            version: Some("1".to_owned()),
            protocol: "2025-11-25".to_owned(),
            text: String::new(),
        }
    }

    fn tools(names: &[String]) -> Vec<Described> {
        let list: Vec<_> = names
            .iter()
            .map(|name| {
                serde_json::json!({
                    "name": name,
                    "description": format!("{name}\ntools: {{}}\n  evil:"),
                    "inputSchema": {"type": "object", "properties": {name: {"type": "string", "description": name}}},
                    "annotations": {"readOnlyHint": true},
                })
            })
            .collect();
        tools::read(&serde_json::json!({ "tools": list }).to_string()).unwrap()
    }

    /// Names that a policy lets through.
    fn allowed(policy: &str, asked: &[String]) -> Vec<String> {
        let loaded = callgate_policy::load(policy, &callgate_policy::LoadOptions::default())
            .unwrap_or_else(|found| panic!("{found}\n{policy}"));
        let server = callgate_core::name::ServerName::new("s").unwrap();
        let caller = callgate_core::call::Caller {
            grant: callgate_core::name::GrantId::new("g").unwrap(),
            label: "g".into(),
            issuer: None,
            subject: None,
            claims: callgate_core::json::Json::Null,
        };
        let is_allowed = |name: &String| {
            let [tool] = tools(std::slice::from_ref(name)).try_into().unwrap();
            let call = Call {
                scene: Scene {
                    server: &server,
                    caller: &caller,
                    session: None,
                    now: WallTime(0),
                },
                tool: name,
                listing: Listed::Listed(&tool.listed),
                arguments: None,
            };
            matches!(decide(&loaded.program, &call), Decision::Admit(_))
        };
        asked.iter().filter(|name| is_allowed(name)).cloned().collect()
    }

    #[test]
    fn a_policy_for_odd_names_lists_exactly_these_names() {
        let names: Vec<String> = ODD_NAMES.iter().map(|name| (*name).to_owned()).collect();
        let text = policy(&listing(), &tools(&names));
        let mut asked = names.clone();
        asked.extend(["evil", "tools", "ab", "aa", "b", "anything"].map(str::to_owned));
        assert_eq!(allowed(&text, &asked), names);
        assert_eq!(text, policy(&listing(), &tools(&names)));
    }

    #[test]
    fn any_one_name_is_listed_alone() {
        let alphabet: Vec<char> =
            "a0 -:#*?[]{},&!|>'\"%@`\\~\n\t\r\u{0}\u{1b}\u{85}\u{a0}\u{2028}\u{feff}é\u{1f600}/._=<"
                .chars()
                .collect();
        // A fixed sequence that visits every pair of characters, and many triples.
        let mut state = 1_u64;
        for _ in 0..600 {
            let mut name = String::new();
            for _ in 0..3 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let index = usize::try_from(state >> 33).unwrap() % alphabet.len();
                name.push(alphabet[index]);
            }
            let names = vec![name];
            let text = policy(&listing(), &tools(&names));
            let mut asked = names.clone();
            asked.extend(["a", "evil", "b"].map(str::to_owned));
            assert_eq!(allowed(&text, &asked), names, "{text}");
        }
    }
}
