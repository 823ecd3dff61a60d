//! Shells within a command line.

use super::Word;
use crate::commands::check::finding::Place;

/// Programs that fetch.
const FETCHERS: &[&str] = &[
    "curl",
    "wget",
    "fetch",
    "iwr",
    "irm",
    "invoke-webrequest",
    "invoke-restmethod",
    "aria2c",
    "http",
];

/// Programs that run what they are given on stdin.
const RUNNERS: &[&str] = &[
    "sh",
    "bash",
    "zsh",
    "dash",
    "ash",
    "ksh",
    "fish",
    "python",
    "python3",
    "node",
    "deno",
    "bun",
    "perl",
    "ruby",
    "php",
    "iex",
    "invoke-expression",
    "pwsh",
    "powershell",
];

/// A script that a shell is given as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// The flag before it.
    pub(super) flag: String,
    pub(super) text: String,
}

impl Script {
    /// The words of its command, all at the place of the shell.
    pub(super) fn words(&self, place: Option<Place>) -> Vec<Word> {
        split(&self.text)
            .into_iter()
            .skip_while(|word| word == "exec" || word.contains('='))
            .map(|text| Word { text, place })
            .collect()
    }
}

/// The script among the arguments of a shell.
pub(super) fn script(name: &str, rest: &[Word]) -> Option<Script> {
    let is_flag: fn(&str) -> bool = match name {
        "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh" | "fish" | "busybox" => {
            |word| word.starts_with('-') && !word.starts_with("--") && word.contains('c')
        }
        "npx" | "npm" => |word| matches!(word, "-c" | "--call"),
        "cmd" => |word| matches!(word.to_lowercase().as_str(), "/c" | "/k" | "//c"),
        "powershell" | "pwsh" => |word| {
            let word = word.to_lowercase();
            word.len() > 1 && ("-command".starts_with(&word) || "-encodedcommand".starts_with(&word))
        },
        _ => return None,
    };
    let at = rest.iter().position(|word| is_flag(&word.text))?;
    let flag = rest.get(at)?.text.clone();
    let words: Vec<&str> = rest
        .iter()
        .skip(at.saturating_add(1))
        .map(|word| word.text.as_str())
        .collect();
    Some(Script {
        flag,
        text: words.join(" "),
    })
}

/// The flag by which an interpreter is given its program as an argument.
pub(super) fn code(name: &str, rest: &[Word]) -> Option<String> {
    let flags: &[&str] = match name {
        "python" | "python3" | "pypy" | "pypy3" => &["-c"],
        "node" | "bun" | "ruby" | "perl" | "php" => &["-e", "-r", "-p", "-E", "--eval", "--print"],
        "deno" => &["eval"],
        _ => return None,
    };
    // What comes behind the program's own file is not the interpreter's.
    rest.iter()
        .map(|word| word.text.as_str())
        .take_while(|word| word.starts_with('-') || flags.contains(word))
        .find(|word| flags.contains(word))
        .map(str::to_owned)
}

/// Whether a script runs at once what it fetches. What is written to be missed is missed: this is a hint to people, and
/// no boundary.
pub(crate) fn pipes_to_shell(script: &str) -> bool {
    let script = script.to_lowercase();
    let fetches = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_'))
            .any(|word| FETCHERS.contains(&word))
    };
    let begins_with_fetcher = |text: &str| {
        let word = text
            .trim_start()
            .split(|c: char| !c.is_alphanumeric() && c != '-')
            .next();
        word.is_some_and(|word| FETCHERS.contains(&word))
    };
    let is_run = |text: &str| {
        text.split_whitespace()
            .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-' && c != '/'))
            .find(|word| {
                !word.is_empty() && !word.starts_with('-') && !matches!(*word, "sudo" | "env" | "doas")
            })
            .is_some_and(|word| RUNNERS.contains(&super::program(word).as_str()))
    };
    let mut fetched = false;
    for part in script.split('|') {
        if fetched && is_run(part) {
            return true;
        }
        fetched |= fetches(part);
    }
    let within = [
        "$(",
        "<(",
        "`",
        "iex (",
        "iex(",
        "invoke-expression (",
        "(new-object",
    ];
    let runs = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '-')
            .any(|word| RUNNERS.contains(&word) || matches!(word, "eval" | "source"))
    };
    within.iter().any(|opening| {
        script.match_indices(opening).any(|(at, _)| {
            script
                .get(at.saturating_add(opening.len())..)
                .is_some_and(begins_with_fetcher)
        })
    }) && runs(&script)
}

/// The words of a line as a shell cuts it; quotes that are not closed end with the line.
pub(crate) fn split(line: &str) -> Vec<String> {
    cut(line, &[])
}

/// The same, with each of these signs a word by itself where no quotes are round it.
pub(crate) fn cut(line: &str, signs: &[char]) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars().peekable();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') if matches!(letters.peek(), Some('"' | '\\' | '$' | '`')) => {
                word.get_or_insert_default().extend(letters.next());
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') if letters.peek().is_some_and(|next| !next.is_alphanumeric()) => {
                word.get_or_insert_default().extend(letters.next());
            }
            (None, c) if signs.contains(&c) => {
                words.extend(word.take());
                words.push(c.to_string());
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_as_a_shell_cuts_it() {
        let cases: &[(&str, &[&str])] = &[
            ("a b  c", &["a", "b", "c"]),
            ("a 'b c' \"d \\\" e\"", &["a", "b c", "d \" e"]),
            ("a\\ b ''", &["a b", ""]),
            ("c'la'ude \"x", &["claude", "x"]),
            ("C:\\node\\npx", &["C:\\node\\npx"]),
            ("", &[]),
        ];
        for (line, wanted) in cases {
            assert_eq!(split(line), *wanted, "{line}");
        }
    }

    #[test]
    fn only_what_is_fetched_and_run_is_piped_to_a_shell() {
        for script in [
            "curl https://host | sh",
            "curl https://host | sudo bash -s -- x",
            "wget -qO- x | tee /tmp/x | /bin/sh",
            "bash <(curl x)",
            "eval `curl x`",
            "python3 -c \"$(curl x)\"",
            "iex (iwr x)",
        ] {
            assert!(pipes_to_shell(script), "{script}");
        }
        for script in [
            "curl https://host -o x",
            "ls | sh",
            "echo curl",
            "curl x | jq .",
            "npx curl-mcp",
        ] {
            assert!(!pipes_to_shell(script), "{script}");
        }
    }
}
