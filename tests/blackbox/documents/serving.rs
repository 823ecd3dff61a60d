//! Blocks about what `callgate serve` does while it runs.

use super::desk::Desk;
use super::page::Block;
use callgate_testkit::{Process, Script};
use regex::Regex;

/// What the gateway says as the configuration of the page changes.
pub(super) fn reloads(desk: &Desk, block: &Block) {
    let read = |name: &str| std::fs::read_to_string(desk.at(name)).unwrap();
    let (config, policy, command) = (read("callgate.yaml"), read("notes-readers.yaml"), read("serve"));
    let mut process = Process::start(&mut desk.shell(&format!("exec {command}")));
    process.lives_in(&desk.room);
    let _ = process.stderr_line("listening on http://");
    let more = config.replacen(
        "servers:\n",
        "servers:\n  mail: {url: \"http://127.0.0.1:9/mcp\"}\n",
        1,
    );
    let steps = [
        ("callgate.yaml", more.clone()),
        (
            "notes-readers.yaml",
            policy.replace("  list_notes: {}\n", "  {}\n"),
        ),
        ("callgate.yaml", more.replacen("127.0.0.1:0", "127.0.0.1:1", 1)),
    ];
    assert_eq!(block.text.lines().count(), steps.len());
    for (line, (name, text)) in block.text.lines().zip(steps) {
        desk.room.write(name, &text);
        let (level, words) = line.split_once(' ').unwrap();
        let said = process.stderr_line(words);
        assert!(
            said.ends_with(words) && said.contains(level),
            "{}: the page shows\n{line}\n--- but this was printed\n{said}",
            block.place
        );
    }
}

/// The first line of a gateway that logs as JSON.
pub(super) fn a_log_line(desk: &Desk, block: &Block) {
    let mut process =
        Process::start(&mut desk.shell("exec callgate serve --log-format json -c callgate.yaml"));
    process.lives_in(&desk.room);
    let said = process.stderr_line("listening on http://127.0.0.1:");
    let varies = Regex::new(r#""time":"[^"]*"|127\.0\.0\.1:\d+"#).unwrap();
    assert_eq!(
        varies.replace_all(&said, "…"),
        varies.replace_all(block.text.trim_end(), "…"),
        "{}",
        block.place
    );
}

/// A request over the socket that the page's configuration would listen on.
pub(super) fn over_a_socket(desk: &Desk, block: &Block) {
    let config = std::fs::read_to_string(desk.at("callgate.yaml")).unwrap();
    std::fs::create_dir(desk.at("run")).unwrap();
    let config = config.replacen("127.0.0.1:0", "unix:run/callgate.sock", 1);
    desk.room.write("socket.yaml", &config);
    let mut process = Process::start(&mut desk.shell("exec callgate serve -c socket.yaml"));
    process.lives_in(&desk.room);
    let _ = process.stderr_line("listening on unix:");
    // Where its output is no terminal, curl tells its progress too.
    let said = desk.said(block.text.trim_end());
    assert!(said.trim_end().ends_with("ok"), "{}: {said}", block.place);
}

/// A gateway of the folder's configuration, with the authority of its admin API.
fn with_admin_api(desk: &Desk) -> (Process, String) {
    let mut process = Process::start(&mut desk.shell("exec callgate serve -c callgate.yaml"));
    process.lives_in(&desk.room);
    let line = process.stderr_line("callgate: admin API on http://");
    let authority = line.split('/').nth(2).unwrap().to_owned();
    (process, authority)
}

/// A configuration with an admin API, on free ports.
pub(super) fn an_admin_configuration(desk: &Desk, block: &Block) {
    let text = block
        .text
        .replace("127.0.0.1:8700", "127.0.0.1:0")
        .replace("127.0.0.1:8701", "127.0.0.1:0")
        .replace("notes.py", Script::path("notes.py").to_str().unwrap());
    desk.room.write("callgate.yaml", &text);
}

/// A command for the admin API of a gateway that runs; what it printed is kept for the next block.
pub(super) fn asked_of_the_admin_api(desk: &Desk, block: &Block) {
    let (_gateway, authority) = with_admin_api(desk);
    let command = block.text.trim_end().replace("127.0.0.1:8701", &authority);
    desk.said(&format!("{{ {command}\n}} > printed"));
}

/// What the command of the block before printed; numbers and times are this run's own.
pub(super) fn an_answer_of_the_admin_api(desk: &Desk, block: &Block) {
    let printed = std::fs::read_to_string(desk.at("printed")).unwrap();
    let varies = Regex::new(r"\d{16}").unwrap();
    assert_eq!(
        varies.replace_all(printed.trim_end(), "…"),
        varies.replace_all(block.text.trim_end(), "…"),
        "{}",
        block.place
    );
}
