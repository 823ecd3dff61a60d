//! What `cargo xtask classify` prints, in both its forms.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has failed"
)]

use serde_json::Value;
use std::process::Command;

const CLASSES: [&str; 5] = ["Financial", "Destructive", "Execute", "Write", "Read"];

fn classify(flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("classify")
        .args(flags)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn splits(flags: &[&str]) -> Vec<Value> {
    serde_json::from_str(&classify(flags)).unwrap()
}

/// How many tools of a label were given a class.
fn count(split: &Value, label: &str, given: &str) -> u64 {
    split["classes"][label]["given"][given].as_u64().unwrap()
}

#[track_caller]
fn assert_is(figure: &Value, part: u64, whole: u64) {
    let wanted = f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap());
    let figure = figure.as_f64().unwrap();
    assert!((figure - wanted).abs() < 1e-9, "{figure} is not {part}/{whole}");
}

/// The figures are what follows from the counts.
#[track_caller]
fn assert_adds_up(split: &Value) {
    assert_eq!(split["classes"].as_object().unwrap().len(), CLASSES.len());
    let cells = || {
        CLASSES
            .iter()
            .flat_map(|label| CLASSES.map(|given| (*label, given)))
    };
    let sum = |pick: &dyn Fn(&str, &str) -> bool| -> u64 {
        cells()
            .filter(|(label, given)| pick(label, given))
            .map(|(label, given)| count(split, label, given))
            .sum()
    };
    let all = sum(&|_, _| true);
    assert_eq!(split["tools"], all);
    assert_is(&split["accuracy"], sum(&|label, given| label == given), all);
    for class in CLASSES {
        let right = count(split, class, class);
        let figures = &split["classes"][class];
        assert_is(&figures["recall"], right, sum(&|label, _| label == class));
        assert_is(&figures["precision"], right, sum(&|_, given| given == class));
    }
    let is_worst = |class: &str| ["Financial", "Destructive"].contains(&class);
    assert_is(
        &split["recall_of_destructive_and_financial"],
        sum(&|label, given| is_worst(label) && is_worst(given)),
        sum(&|label, _| is_worst(label)),
    );
    let f1 = CLASSES.map(|class| split["classes"][class]["f1"].as_f64().unwrap());
    let mean = f1.iter().sum::<f64>() / 5.0;
    assert!((split["macro_f1"].as_f64().unwrap() - mean).abs() < 1e-9);
}

#[test]
fn the_development_split_is_told_with_its_mistakes_as_json_and_as_text() {
    let splits = splits(&["--development", "--json"]);
    assert_eq!(splits.len(), 1);
    let split = &splits[0];
    assert_eq!(split["split"], "development");
    assert!(split["servers"].as_u64().unwrap() >= 40, "{}", split["servers"]);
    assert_adds_up(split);
    let mistakes = split["mistakes"].as_array().unwrap();
    for label in CLASSES {
        for given in CLASSES.into_iter().filter(|given| *given != label) {
            let told = mistakes
                .iter()
                .filter(|mistake| mistake["label"] == label && mistake["given"] == given)
                .count();
            assert_eq!(told as u64, count(split, label, given), "{label} as {given}");
        }
    }

    let text = classify(&["--development"]);
    let first = format!(
        "development split: {} servers, {} tools",
        split["servers"], split["tools"]
    );
    assert_eq!(text.lines().next(), Some(first.as_str()));
    let rows: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let told = |row: String| assert!(rows.contains(&row), "{row} is not in\n{text}");
    for label in CLASSES {
        let counts = CLASSES.map(|given| count(split, label, given).to_string());
        let figures = ["precision", "recall", "f1"]
            .map(|name| format!("{:.3}", split["classes"][label][name].as_f64().unwrap()));
        told(format!("{label} {} {}", counts.join(" "), figures.join(" ")));
    }
    for mistake in mistakes {
        let word = |name: &str| mistake[name].as_str().unwrap();
        let (label, given) = (word("label"), word("given"));
        told(format!("{label} as {given} {} {}", word("server"), word("tool")));
    }
}

#[test]
fn of_the_test_split_nothing_but_counts_is_told() {
    let splits = splits(&["--json"]);
    let names: Vec<&Value> = splits.iter().map(|split| &split["split"]).collect();
    assert_eq!(names, ["development", "test"]);
    let test = &splits[1];
    assert_adds_up(test);
    let mut names: Vec<&String> = test.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "accuracy",
            "classes",
            "macro_f1",
            "recall_of_destructive_and_financial",
            "servers",
            "split",
            "tools"
        ]
    );
    let text = classify(&[]);
    let (_, told) = text.split_once("test split: ").unwrap();
    // What failed must not tell it either.
    assert_eq!(told.lines().filter(|line| line.contains(" as ")).count(), 0);
}
