//! Every example of the guide loads, and the guide names every key and operator.
#![cfg(test)]

use callgate_policy::{LoadOptions, Style, json_schema, load};

const GUIDE: &str = include_str!("../../../docs/policy.md");

#[test]
fn every_example_of_the_guide_loads_without_a_word() {
    let examples: Vec<&str> = GUIDE
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(examples.len() >= 10, "{}", examples.len());
    // What these warn about is what the text beside them says.
    let expected = ["no-default", "methods-pass", "session-scope", "shadow-mode"];
    for text in examples {
        let shown = |found: &[callgate_policy::Diagnostic]| -> String {
            found
                .iter()
                .filter(|found| !expected.contains(&found.code.slug()))
                .map(|found| found.render("docs/policy.md", text, &Style::PLAIN))
                .collect()
        };
        match load(text, &LoadOptions::default()) {
            Ok(loaded) => assert_eq!(shown(&loaded.warnings), ""),
            Err(errors) => assert_eq!(shown(&errors.0), "", "{text}"),
        }
    }
}

#[test]
fn the_guide_names_every_key_and_operator() {
    let schema = json_schema();
    let mut words: Vec<String> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    for (_, table) in schema["$defs"].as_object().unwrap() {
        words.extend(table["properties"].as_object().unwrap().keys().cloned());
    }
    let operators = &schema["$defs"]["condition"]["properties"]["op"]["enum"];
    words.extend(
        operators
            .as_array()
            .unwrap()
            .iter()
            .map(|operator| operator.as_str().unwrap().to_owned()),
    );
    let unnamed: Vec<_> = words
        .iter()
        // A key that is not in force, and one that only published files use.
        .filter(|word| !["approvals", "increment"].contains(&word.as_str()))
        .filter(|word| !GUIDE.contains(word.as_str()))
        .collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");
}
