//! Exports, verified by this crate and by the verifier in Python, which was written from the format's
//! description alone: both must say the same, and name the same record.

#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot be set up has failed"
)]

mod support;

use std::path::PathBuf;
use std::process::Command;

use callgate_ledger::export::{Trust, verify_export};
use callgate_ledger::record::*;
use callgate_ledger::*;
use proptest::prelude::*;
use support::{Log, call, denial, intent, outcome, record};

fn python() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/verify_ledger.py")
}

/// What the verifier in Python says: nothing wrong, or the number of the first wrong record.
fn python_says(name: &str, export: &[u8], trust: &Trust) -> Result<String, u64> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("{name}.jsonl"));
    std::fs::write(&file, export).unwrap();
    let mut command = Command::new("python3");
    command.arg(python()).arg(&file);
    if let Some(note) = &trust.checkpoint {
        let kept = folder.join(format!("{name}.checkpoint"));
        std::fs::write(&kept, note).unwrap();
        command.arg("--checkpoint").arg(kept);
    }
    if let Some(key) = &trust.key {
        command.arg("--key").arg(key.to_string());
    }
    let output = command.output().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    if output.status.success() {
        return Ok(out);
    }
    let number = err
        .strip_prefix("record ")
        .and_then(|rest| rest.split(':').next())
        .and_then(|n| n.parse().ok());
    Err(number.unwrap_or_else(|| panic!("{name}: the verifier broke: {err}")))
}

/// Both verifiers accept, and see the same root.
fn both_accept(name: &str, export: &[u8], trust: Trust) -> Report {
    let python = python_says(name, export, &trust);
    let report = verify_export(export, trust).unwrap_or_else(|error| panic!("{name}: {error}"));
    let said = python.unwrap_or_else(|seq| panic!("{name}: python refuses record {seq}"));
    assert!(said.contains(&format!("root {}", report.root)), "{name}: {said}");
    assert!(
        said.contains(&format!("; {} records are unsigned", report.unsigned())),
        "{name}: {said}"
    );
    assert!(
        said.contains(&format!("\n{} calls are open", report.open.len())),
        "{name}: {said}"
    );
    report
}

/// Both verifiers refuse, at record `seq`.
fn both_refuse(name: &str, export: &[u8], trust: Trust, seq: u64) {
    let python = python_says(name, export, &trust);
    match verify_export(export, trust) {
        Ok(_) => panic!("{name}: accepted"),
        Err(error) => assert_eq!((error.seq(), python.err()), (seq, Some(seq)), "{name}: {error}"),
    }
}

fn lines(export: &[u8]) -> Vec<Vec<u8>> {
    export
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

fn replaced(export: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(export.to_vec()).unwrap();
    assert!(text.contains(from), "nothing to tamper with: {from}");
    text.replacen(from, to, 1).into_bytes()
}

fn kept(log: &Log, size: u64) -> Trust {
    Trust {
        key: Some(log.signer().verifier().clone()),
        checkpoint: Some(log.note(size)),
    }
}

#[test]
fn good_logs_of_all_sizes_are_accepted() {
    for size in [0, 1, 2, 3, 7, 8, 9, 1000] {
        let log = Log::new(size);
        let report = both_accept(&format!("good-{size}"), &log.export(), Trust::default());
        assert_eq!((report.records(), report.unsigned()), (size, 0));
        let report = both_accept(&format!("good-kept-{size}"), &log.export(), kept(&log, size / 2));
        assert_eq!(report.outside, Some(size / 2));
    }
}

#[test]
fn records_behind_the_last_checkpoint_are_reported_as_unsigned() {
    let mut log = Log::new(30);
    log.checkpoints = vec![0, 7, 7, 21];
    let report = both_accept("unsigned", &log.export(), Trust::default());
    assert_eq!(
        (report.signed, report.unsigned(), report.checkpoints),
        (Some(21), 9, 4)
    );
    assert_eq!(
        report.open,
        [call(1_000_000), call(1_000_001)],
        "the calls without an outcome"
    );
    log.checkpoints.clear();
    assert_eq!(
        both_accept("never-signed", &log.export(), Trust::default()).unsigned(),
        30
    );
}

#[test]
fn a_log_whose_beginning_was_archived_is_accepted() {
    let whole = Log::new(60);
    for (first, of_archive) in [(1, 0), (6, 3), (32, 0), (45, 1), (60, 0)] {
        let mut rest = whole.clone();
        let archive = Log {
            records: whole.records[..first].to_vec(),
            checkpoints: vec![],
            ..whole.clone()
        };
        let report = verify_export(&archive.export(), Trust::default()).unwrap();
        let mut frontier = Frontier::new();
        archive
            .records
            .iter()
            .for_each(|record| frontier.push(leaf_hash(&record.encode())));
        rest.prefix = Prefix {
            frontier,
            open: report.open,
        };
        rest.records.drain(..first);
        let rest = Log {
            checkpoints: vec![60],
            ..rest
        };
        let report = both_accept(&format!("archived-{first}"), &rest.export(), kept(&rest, 60));
        assert_eq!(
            report.of_archive, of_archive,
            "late answers and ends of tasks of archived calls"
        );
        both_refuse(
            &format!("behind-{first}"),
            &rest.export(),
            kept(&whole, 0),
            first as u64,
        );
    }
}

#[test]
fn each_tampering_with_the_lines_is_found_at_the_same_record() {
    let export = Log::new(9).export();
    let good = lines(&export);
    // A header, records 0 to 4, a checkpoint of 5, records 5 to 8, a checkpoint of 9.
    let tampered = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = good.clone();
        change(&mut lines);
        lines.concat()
    };
    type Case<'a> = (&'a str, Vec<u8>, u64);
    let cases: Vec<Case<'_>> = vec![
        ("dropped", tampered(&|lines| drop(lines.remove(3))), 2),
        ("dropped-last", tampered(&|lines| drop(lines.remove(10))), 8),
        ("dropped-first", tampered(&|lines| drop(lines.remove(1))), 0),
        (
            "inserted",
            tampered(&|lines| lines.insert(3, lines[3].clone())),
            3,
        ),
        ("swapped", tampered(&|lines| lines.swap(2, 3)), 1),
        (
            "empty-line",
            tampered(&|lines| lines.insert(4, b"\n".to_vec())),
            3,
        ),
        ("no-end", tampered(&|lines| lines.truncate(9)), 7),
        ("no-header", tampered(&|lines| drop(lines.remove(0))), 0),
        (
            "two-headers",
            tampered(&|lines| lines.insert(0, lines[0].clone())),
            0,
        ),
        ("half-a-line", export[..export.len() - 150].to_vec(), 9),
        ("no-line-feed", export[..export.len() - 1].to_vec(), 9),
        (
            "half-a-record",
            good[..5].concat()[..good[..5].concat().len() - 20].to_vec(),
            3,
        ),
        ("nothing", Vec::new(), 0),
        ("checkpoint-early", tampered(&|lines| lines.swap(5, 6)), 4),
        ("checkpoint-late", tampered(&|lines| lines.swap(6, 7)), 6),
        ("crlf", replaced(&export, "\n", "\r\n"), 0),
        ("spaces", replaced(&export, "\"at\":", "\"at\": "), 0),
        ("number", replaced(&export, "\"tools\":5", "\"tools\":4"), 0),
        ("fraction", replaced(&export, "\"tools\":5", "\"tools\":5.0"), 1),
        (
            "too-great",
            replaced(&export, "\"tools\":5", "\"tools\":9007199254740992"),
            1,
        ),
        (
            "unknown-field",
            replaced(&export, ",\"v\":1,\"version\"", ",\"v\":1,\"va\":1,\"version\""),
            0,
        ),
        (
            "unknown-kind",
            replaced(&export, "\"kind\":\"list\"", "\"kind\":\"lest\""),
            1,
        ),
        (
            "newer",
            replaced(&export, ",\"tools\":5,\"v\":1", ",\"tools\":5,\"v\":2"),
            1,
        ),
        ("word", replaced(&export, "\"disk\"", "\"disc\""), 0),
        (
            "scope",
            replaced(&export, "\"scope\":\"grant\"", "\"scope\":\"grunt\""),
            2,
        ),
        ("amount", replaced(&export, "12.5e-1", "12.5e+1"), 2),
        ("escape", replaced(&export, "\\u0001", "\\u0002"), 0),
        ("escape-form", replaced(&export, "\\u0001", "\\u0001\\u0041"), 2),
        ("too-long", replaced(&export, "0.1.0", &"x".repeat(513)), 0),
        (
            "clock",
            replaced(&export, "1795226400000002,\"call\"", "1795226399999999,\"call\""),
            4,
        ),
        (
            "other-origin",
            replaced(&export, "\"origin\":\"example", "\"origin\":\"examble"),
            5,
        ),
        ("size-less", replaced(&export, "\"size\":9", "\"size\":8"), 9),
        ("size-more", replaced(&export, "\"size\":9", "\"size\":10"), 9),
        ("starts-later", replaced(&export, "\"first\":0", "\"first\":1"), 0),
        ("key", replaced(&export, "+AY", "+AZ"), 0),
        (
            "note-kind",
            replaced(
                &export,
                "\"kind\":\"checkpoint\",\"note\"",
                "\"kind\":\"checkpoint\",\"nute\"",
            ),
            5,
        ),
        (
            "note-size",
            replaced(&export, "callgate\\n5\\n", "callgate\\n6\\n"),
            5,
        ),
    ];
    for (name, export, seq) in cases {
        both_refuse(name, &export, Trust::default(), seq);
    }
}

#[test]
fn an_untrue_story_is_found_though_it_is_signed() {
    let end = |number| TaskEnd {
        call: call(number),
        duration_us: None,
        status: TaskStatus::Completed,
    };
    let late = |number| Late {
        after_us: 1_u32.into(),
        call: call(number),
        status: Status::Ok,
    };
    let story = |bodies: Vec<Body>| {
        let records = bodies
            .into_iter()
            .zip(0..)
            .map(|(body, seq)| record(seq, body))
            .collect();
        Log {
            records,
            checkpoints: vec![],
            ..Log::new(0)
        }
    };
    for (name, seq, bodies) in [
        ("outcome-alone", 1, vec![denial(), outcome(1, Status::Ok)]),
        (
            "two-outcomes",
            2,
            vec![intent(1), outcome(1, Status::Ok), outcome(1, Status::Unknown)],
        ),
        ("two-intents", 1, vec![intent(1), intent(1)]),
        (
            "intent-again",
            2,
            vec![intent(1), outcome(1, Status::Ok), intent(1)],
        ),
        ("late-alone", 0, vec![late(1).into()]),
        ("late-early", 1, vec![intent(1), late(1).into()]),
        ("end-alone", 0, vec![end(1).into()]),
        ("end-early", 1, vec![intent(1), end(1).into()]),
        (
            "end-of-no-task",
            2,
            vec![intent(1), outcome(1, Status::Ok), end(1).into()],
        ),
        (
            "two-ends",
            3,
            vec![
                intent(1),
                outcome(1, Status::Accepted),
                end(1).into(),
                end(1).into(),
            ],
        ),
    ] {
        let mut log = story(bodies);
        log.checkpoints = vec![log.records.len() as u64];
        both_refuse(name, &log.export(), Trust::default(), seq);
    }
    let mut back = Log::new(4);
    back.records[2].at = 0_u32.into();
    both_refuse("time-back", &back.export(), Trust::default(), 2);
}

#[test]
fn a_log_made_anew_does_not_agree_with_what_was_kept_outside() {
    let log = Log::new(9);
    let mut anew = log.clone();
    anew.records[8] = record(8, denial());
    both_accept(
        "anew-alone",
        &Log {
            checkpoints: vec![9],
            ..anew.clone()
        }
        .export(),
        Trust::default(),
    );
    both_refuse("anew", &anew.export(), kept(&log, 9), 0);
    both_refuse("shorter", &Log::new(7).export(), kept(&log, 9), 7);
    let other_key = Log {
        seed: 2,
        ..log.clone()
    };
    both_accept("other-key-alone", &other_key.export(), Trust::default());
    both_refuse("other-key", &other_key.export(), kept(&log, 9), 5);
    let key_alone = Trust {
        key: Some(log.signer().verifier().clone()),
        checkpoint: None,
    };
    both_refuse("other-key-without-checkpoint", &other_key.export(), key_alone, 5);
    let half = [
        lines(&log.export())[..11].concat(),
        lines(&other_key.export())[11..].concat(),
    ]
    .concat();
    both_refuse("last-by-another-key", &half, Trust::default(), 9);
    let wrong_key = Trust {
        key: Some(other_key.signer().verifier().clone()),
        ..kept(&log, 9)
    };
    both_refuse("kept-by-another-key", &log.export(), wrong_key, 0);
    let other_log = Log {
        origin: "example.com/other".into(),
        ..log.clone()
    };
    both_refuse("other-log", &other_log.export(), kept(&log, 9), 0);
}

/// The example in the format's description is a log that verifies.
#[test]
fn the_documented_example_is_a_good_export() {
    let page = include_str!("../../../docs/ledger-format.md");
    let example = page
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    assert_eq!(example.as_bytes(), Log::new(2).export());
    assert_eq!(
        both_accept("documented", example.as_bytes(), Trust::default()).unsigned(),
        0
    );
}

/// Who changes the log and lets the gate go on gets new checkpoints that agree with the change.
#[test]
fn every_kept_checkpoint_counts_not_the_last_alone() {
    let log = Log::new(30);
    let mut changed = log.clone();
    changed.records[10] = record(10, denial());
    let notes = |parts: &[String]| Trust {
        key: None,
        checkpoint: Some(parts.concat()),
    };
    both_accept(
        "kept-many",
        &log.export(),
        notes(&[log.note(9), log.note(12), log.note(12), log.note(30)]),
    );
    both_accept(
        "kept-after",
        &changed.export(),
        notes(&[changed.note(30), changed.note(9)]),
    );
    both_refuse(
        "kept-before",
        &changed.export(),
        notes(&[log.note(9), log.note(12), changed.note(30)]),
        0,
    );
    both_refuse(
        "kept-twice",
        &changed.export(),
        notes(&[changed.note(12), log.note(12)]),
        0,
    );
    both_refuse(
        "kept-and-junk",
        &log.export(),
        notes(&[log.note(9), "junk\n".into()]),
        0,
    );
    both_refuse(
        "kept-half",
        &log.export(),
        notes(&[log.note(9), log.note(12).chars().take(40).collect()]),
        0,
    );
}

/// RFC 8032 section 7.1, tests 1 to 3, and what must not verify.
#[test]
fn the_verifier_in_python_knows_ed25519() {
    let script = r#"
import sys; sys.path.insert(0, sys.argv[1])
from verify_ledger import signed, point, L
h = bytes.fromhex
vectors = [
 ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
 ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
 ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]
for key, text, signature in vectors:
    key, text, signature = h(key), h(text), h(signature)
    assert signed(key, text, signature)
    assert not signed(key, text + b"x", signature)
    s = int.from_bytes(signature[32:], "little") + L
    assert not signed(key, text, signature[:32] + s.to_bytes(32, "little")), "S is not below L"
for small in ["01" + "00" * 31, "00" * 32, "ec" + "ff" * 30 + "7f", "02" + "00" * 31]:
    try:
        point(h(small))
    except ValueError:
        continue
    raise AssertionError(small)
print("fine")
"#;
    let folder = python().parent().unwrap().to_owned();
    let output = Command::new("python3")
        .arg("-B")
        .arg("-c")
        .arg(script)
        .arg(folder)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "fine\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_changed_byte_is_found(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let export = Log::new(9).export();
        let at = at.index(export.len());
        prop_assume!(export[at] != byte);
        let mut changed = export;
        changed[at] = byte;
        prop_assert!(verify_export(&changed, Trust::default()).is_err(), "byte {at}");
    }
}

#[test]
fn any_changed_byte_is_found_by_the_verifier_in_python_too() {
    let export = Log::new(9).export();
    for at in (0..export.len()).step_by(export.len() / 24) {
        let mut changed = export.clone();
        changed[at] ^= 1;
        let error = verify_export(&changed, Trust::default()).err().unwrap();
        both_refuse("byte", &changed, Trust::default(), error.seq());
    }
}

#[test]
fn a_store_that_disagrees_with_itself_is_told_where() {
    let log = Log::new(3);
    let bytes: Vec<Vec<u8>> = log.records.iter().map(Record::encode).collect();
    let begin = || {
        let mut verifier = Verifier::new(
            &log.origin,
            vec![log.signer().verifier().clone()],
            Prefix::default(),
            None,
        )
        .unwrap();
        verifier
            .record(0, &bytes[0], Some(&leaf_hash(&bytes[0])))
            .unwrap();
        verifier
    };
    let told = |seq, record: &[u8], leaf: Option<Hash>| {
        begin()
            .record(seq, record, leaf.as_ref())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        told(1, &bytes[1], Some(leaf_hash(&bytes[2]))),
        "record 1: the bytes do not have the hash that was stored with them"
    );
    assert_eq!(
        told(2, &bytes[2], None),
        "record 1: expected here, but number 2 follows: records were dropped, inserted or swapped"
    );
    assert_eq!(
        told(1, &bytes[2], None),
        "record 1: the record in this place says it is number 2: records were dropped, inserted or swapped"
    );
    assert_eq!(
        told(1, br#"{"at":0,"kind":"stop","v":2}"#, None),
        "record 1: cannot be read: format version 2 is newer than this program reads (1)"
    );
    let mut verifier = begin();
    verifier.checkpoint(&log.note(1)).unwrap();
    verifier.record(1, &bytes[1], None).unwrap();
    let report = verifier.finish().unwrap();
    assert_eq!(
        (report.records(), report.signed, report.unsigned()),
        (2, Some(1), 1)
    );
}
