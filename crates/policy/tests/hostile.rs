//! Texts that are made to hurt: each is refused, or read, in little time; and what fuzzing keeps is replayed.
#![cfg(test)]

mod common;

use callgate_policy::bounds::{DOCUMENT_BYTES_MAX, NESTING_MAX, RULES_MAX};
use callgate_policy::fuzzing::fuzz_policy;
use callgate_policy::{Code, LoadOptions, load};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What a text fails with first; `None` where it loads. Generous for a debug build on a busy machine.
fn fails(text: &str) -> Option<Code> {
    let start = Instant::now();
    let result = load(text, &LoadOptions::default());
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    result
        .err()
        .and_then(|errors| errors.errors().next().map(|found| found.code))
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text =
        String::from("version: \"1\"\ndefault: deny\napprovals:\n  - &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        writeln!(text, "  - &a{level} [{}]", [before.as_str(); 9].join(", ")).unwrap();
    }
    assert_eq!(fails(&text), Some(Code::AliasBomb));
}

#[test]
fn aliases_inside_of_themselves_are_refused() {
    assert_eq!(
        fails("version: \"1\"\ntools: &t\n  a: *t\n"),
        Some(Code::AliasCycle)
    );
    assert_eq!(fails("version: \"1\"\nhide: &h [*h]\n"), Some(Code::AliasCycle));
}

#[test]
fn nesting_is_bounded_in_yaml_and_json() {
    for depth in [NESTING_MAX + 1, 10_000, 1_000_000] {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        // Far beyond, the parser stops of its own accord while it still looks ahead.
        let yaml = fails(&format!("version: \"1\"\napprovals: {lists}\n"));
        assert!(
            matches!(yaml, Some(Code::TooDeep | Code::Syntax)),
            "{depth} {yaml:?}"
        );
        assert_eq!(
            fails(&format!("{{\"version\": \"1\", \"approvals\": {lists}}}")),
            Some(Code::TooDeep),
            "{depth}"
        );
    }
    let mut block = String::from("version: \"1\"\napprovals:\n");
    for depth in 1..200 {
        writeln!(block, "{}a:", " ".repeat(depth)).unwrap();
    }
    assert_eq!(fails(&block), Some(Code::TooDeep));
}

#[test]
fn many_rules_load_and_one_too_many_does_not() {
    let policy = |count: usize| {
        let mut text = String::from("version: \"1\"\ndefault: deny\ntools:\n");
        for index in 0..count {
            writeln!(
                text,
                "  tool_{index}:\n    limits: [{{ window: minute, max: {} }}]",
                index + 1
            )
            .unwrap();
        }
        text
    };
    assert_eq!(fails(&policy(RULES_MAX)), None);
    assert_eq!(fails(&policy(RULES_MAX + 1)), Some(Code::TooManyRules));
}

#[test]
fn a_text_that_is_too_large_is_not_read() {
    let text = format!("version: \"1\"\n# {}\n", "x".repeat(DOCUMENT_BYTES_MAX));
    assert_eq!(fails(&text), Some(Code::TooLarge));
}

#[test]
fn many_globs_are_compared_in_time_and_too_many_refused() {
    let policy = |count: usize| {
        let mut text = String::from("version: \"1\"\ndefault: deny\ntools:\n");
        for index in 0..count {
            writeln!(text, "  \"a*{index:04}_*x*y*z\": {{}}").unwrap();
        }
        text
    };
    assert_eq!(fails(&policy(60)), Some(Code::GlobTie));
    assert_eq!(fails(&policy(600)), Some(Code::TooManyRules));
}

#[test]
fn regexes_and_expressions_are_bounded() {
    let rule = |condition: &str| {
        format!("version: \"1\"\ndefault: deny\ntools:\n  t:\n    require:\n      - {condition}\n")
    };
    for pattern in ["(a{1000}){1000}", "((a|b){500}){500}", "\\1(a)"] {
        let text = rule(&format!("{{ path: args.a, op: regex, value: '{pattern}' }}"));
        assert_eq!(fails(&text), Some(Code::Regex), "{pattern}");
    }
    for expression in [
        "(".repeat(2_000),
        "!".repeat(2_000),
        "a".repeat(5_000),
        "[".repeat(1_000),
        "1+".repeat(900),
    ] {
        assert_eq!(
            fails(&rule(&format!("when: \"{expression}\""))),
            Some(Code::Cel),
            "{expression:.9}"
        );
    }
}

#[test]
fn the_corpus_holds_with_every_prefix() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/policy");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for end in 0..=bytes.len() {
            fuzz_policy(&bytes[..end]);
        }
        files += 1;
    }
    assert!(files > 40, "the corpus is missing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_changed_corpus_holds(pick in 0_usize..1_000, at in 0_usize..2_000, with in "[ -~\n]{0,3}", cut in 0_usize..6) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/policy");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut bytes = std::fs::read(&files[pick % files.len()]).unwrap();
        let at = at % (bytes.len() + 1);
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        fuzz_policy(&bytes);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        fuzz_policy(text.as_bytes());
    }
}

/// The parser and the interpreter recurse; the deepest expressions that are taken must fit a thread's stack.
#[test]
fn the_deepest_expressions_that_are_taken_can_be_read() {
    let expressions = [
        format!("{}args.a{}", "(".repeat(48), ")".repeat(48)),
        format!("{}args.a{}", "[".repeat(48), "]".repeat(48)),
        format!("{}args.a{}", "{1:".repeat(48), "}".repeat(48)),
        format!("{}args.a{}", "size(".repeat(48), ")".repeat(48)),
        format!("{}args.a{}", "!(".repeat(20), ")".repeat(20)),
        format!("{}args.a", "!".repeat(250)),
        format!("{}1", "true?1:".repeat(120)),
        format!("args{}", ".a".repeat(250)),
        format!("args{}", "[0]".repeat(22)),
        format!("1{} > 0", "+1".repeat(20)),
        format!("1{}", "+1".repeat(250)),
        format!("true{}", "&&true".repeat(120)),
        format!("r'\\' + {}", "(".repeat(1_000)),
        format!("// '\n{}", "(".repeat(1_000)),
    ];
    for expression in expressions {
        let quoted = serde_json::to_string(&expression).unwrap();
        let text = format!(
            "{{\"version\": \"1\", \"default\": \"deny\", \"tools\": {{\"t\": {{\"require\": {{\"when\": {quoted}}}}}}}}}"
        );
        if let Ok(loaded) = load(&text, &LoadOptions::default()) {
            let _decision = common::decide_plainly(&loaded.program, "t");
        }
    }
}
