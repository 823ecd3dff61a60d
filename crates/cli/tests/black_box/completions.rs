//! `callgate completions` and `callgate man`.

use crate::gate::good;
use std::process::Command;

#[test]
fn bash_completes_subcommands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("callgate.bash");
    std::fs::write(&script, good(&["completions", "bash"])).unwrap();
    let ask = format!(
        ". {}; COMP_WORDS=(callgate ledger ver); COMP_CWORD=2; _callgate callgate ver ledger; echo \"${{COMPREPLY[*]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "verify");
}

#[test]
fn the_manual_has_a_page_for_each_subcommand_that_is_shown() {
    assert!(good(&["man"]).contains(".TH callgate 1"));
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    good(&["man", pages.to_str().unwrap()]);
    for page in [
        "callgate.1",
        "callgate-run.1",
        "callgate-ledger-verify.1",
        "callgate-demo.1",
    ] {
        assert!(pages.join(page).exists(), "{page}");
    }
    assert!(!pages.join("callgate-demo-server.1").exists());
}
