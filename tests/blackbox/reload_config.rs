//! A configuration that changes while `callgate serve` runs: all of it is put in force, or nothing.

use crate::support::{OPEN, Record, state, until};
use crate::team::{Stage, Team, initialize};
use callgate_testkit::process::{is_alive, is_gone_within};
use callgate_testkit::{Http, HttpServer, PATIENCE, Process, Room, StdioServer};
use rustix::process::Signal;
use serde_json::json;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const NOTHING: &str = "version: \"1\"\ndefault: deny\ntools: {}\n";

/// How often the gateway has said that something is in force.
fn reloads(team: &Team) -> usize {
    let stderr = team.process.stderr();
    let said = |line: &&str| line.contains("the configuration was reloaded");
    stderr.lines().filter(said).count()
}

/// Puts a configuration in the place of the one before, as editors do, and waits until it is in force.
#[track_caller]
pub(crate) fn change(stage: &Stage, team: &Team) {
    let before = reloads(team);
    replace(stage);
    until("the configuration is in force", || {
        (reloads(team) > before).then_some(())
    });
}

fn replace(stage: &Stage) {
    let new = stage.room.write("callgate.yaml.new", &stage.config.to_string());
    std::fs::rename(new, stage.room.at("callgate.yaml")).unwrap();
}

fn words(server: &StdioServer) -> Vec<String> {
    let word = |word: &std::ffi::OsString| word.to_str().unwrap().to_owned();
    server.words().iter().map(word).collect()
}

#[track_caller]
fn echoes(client: &mut Http, text: &str) {
    let answer = client.call("echo", json!({"text": text}));
    assert_eq!(answer.text(), text, "{}", answer.raw);
}

fn effects(record: &Record) -> Vec<&str> {
    let reloads = record.reloads();
    reloads.iter().map(|reload| reload.effect.as_str()).collect()
}

#[test]
fn servers_come_go_and_become_others_and_those_that_stay_are_not_touched() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open", "later=open"]);
    let team = stage.serve();
    let mut notes = team.begun("notes", &ana);
    let mut mail = team.begun("mail", &ana);
    echoes(&mut notes, "before");
    echoes(&mut mail, "before");
    assert_eq!(team.client("later", &ana).post(&initialize()).status, 404);
    let child: u32 = stage.notes.notes_of("pid")[0].parse().unwrap();

    // `mail` becomes another server, and `later` comes.
    let elsewhere = Room::new();
    let other = HttpServer::start(&elsewhere, &[]);
    let calls_of_mail = stage.mail.log().calls().len();
    stage.config["servers"]["mail"]["url"] = json!(other.url());
    stage.config["servers"]["later"] = json!({"command": words(&StdioServer::echo(&elsewhere))});
    change(&stage, &team);
    let reply = mail.reply("tools/list", json!({}));
    assert_eq!(reply.status, 404, "its session has ended: {reply:?}");
    let mut mail = team.begun("mail", &ana);
    echoes(&mut mail, "after");
    assert_eq!(stage.mail.log().calls().len(), calls_of_mail);
    assert_eq!(other.log().calls().len(), 1);
    let mut later = team.begun("later", &ana);
    echoes(&mut later, "new");
    echoes(&mut notes, "stays");
    assert_eq!(stage.notes.notes_of("pid")[0].parse::<u32>().unwrap(), child);
    assert!(is_alive(child));

    // `notes` goes, with its child.
    let calls = stage.notes.calls().len();
    stage.config["servers"].as_object_mut().unwrap().remove("notes");
    stage.config["local"] = json!({});
    change(&stage, &team);
    assert_eq!(notes.reply("tools/list", json!({})).status, 404);
    assert_eq!(team.client("notes", &ana).post(&initialize()).status, 404);
    assert!(is_gone_within(child, PATIENCE), "the child stayed");
    echoes(&mut mail, "stays");
    echoes(&mut later, "stays");
    assert_eq!(stage.notes.calls().len(), calls);

    let record = Record::once(&stage.room, "both are recorded", |record| {
        record.reloads().len() == 2
    });
    assert_eq!(effects(&record), ["looser", "tighter"]);
    let reason = record.reloads()[0].reason.as_ref().unwrap().to_string();
    assert!(reason.contains("the server `mail` is another"), "{reason}");
    assert!(reason.contains("the server `later` is new"), "{reason}");
}

#[test]
fn policies_that_come_go_or_get_another_name_hold_on_open_sessions_too() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=later"]);
    let team = stage.serve();
    let mut notes = team.begun("notes", &ana);
    let mut mail = team.begun("mail", &ana);
    echoes(&mut notes, "before");
    let denied = mail.call("echo", json!({"text": "a"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    // `open` is called `later` now.
    stage.config["policies"] = json!({"later": "open.yaml", "echo-only": "echo-only.yaml"});
    change(&stage, &team);
    echoes(&mut mail, "after");
    let denied = notes.call("echo", json!({"text": "b"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    let _ = team
        .process
        .stderr_line("names the policy `open`, which the configuration does not have");
    // The name leads to another file.
    stage.room.write("strict.yaml", NOTHING);
    stage.config["policies"]["later"] = json!("strict.yaml");
    change(&stage, &team);
    let denied = mail.call("echo", json!({"text": "c"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    assert_eq!(stage.mail.log().calls().len(), 1);
    let record = Record::once(&stage.room, "all are recorded", |record| {
        record.reloads().len() == 3
    });
    // The policy that judges otherwise has a record of its own.
    assert_eq!(effects(&record), ["looser", "tighter", "tighter"]);
    assert!(record.reloads()[1].from.is_some() && record.reloads()[1].to.is_some());
}

#[test]
fn what_callers_on_this_machine_may_use_changes_with_the_configuration() {
    let mut stage = Stage::new();
    let team = stage.serve();
    let mut notes = team.anyone("notes");
    notes.initialize("2025-11-25");
    echoes(&mut notes, "before");
    stage.config["local"] = json!({"mail": "open", "notes": "nothing"});
    change(&stage, &team);
    let mut mail = team.anyone("mail");
    mail.initialize("2025-11-25");
    echoes(&mut mail, "after");
    let denied = notes.call("echo", json!({"text": "a"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    stage.config["local"] = json!({});
    change(&stage, &team);
    assert_eq!(notes.reply("tools/list", json!({})).status, 404);
    // With `hosts`, callers through a proxy would look like callers on this machine.
    stage.config["local"] = json!({"notes": "open"});
    stage.config["hosts"] = json!(["gate.example.com"]);
    replace(&stage);
    let _ = team
        .process
        .stderr_line("take `local` away; what was in force stays");
    assert_eq!(team.anyone("notes").post(&initialize()).status, 404);
}

#[test]
fn hosts_are_let_in_and_refused_as_the_configuration_says_now() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let status = |host: &str| {
        let client = team.client("notes", &ana).header("host", host);
        client.post(&initialize()).status
    };
    assert_eq!(status("gate.example.com"), 403);
    stage.config["hosts"] = json!(["gate.example.com"]);
    change(&stage, &team);
    assert_eq!(status("gate.example.com"), 200);
    stage.config["hosts"] = json!([]);
    change(&stage, &team);
    assert_eq!(status("gate.example.com"), 403);
}

#[test]
fn a_configuration_with_a_mistake_anywhere_changes_nothing_and_says_where_it_is() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=echo-only", "later=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &ana);
    let unchanged = |client: &mut Http| {
        echoes(client, "as before");
        let denied = client.call("add", json!({"a": 1, "b": 2}));
        assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
        assert_eq!(team.client("later", &ana).post(&initialize()).status, 404);
    };
    // One of the policies is right and looser, the other one is broken.
    stage
        .room
        .write("broken.yaml", "version: \"1\"\ntools: {echo: {\n");
    stage.room.write("echo-only.yaml", OPEN);
    let good = stage.config.clone();
    stage.config["servers"]["later"] = json!({"url": stage.mail.url()});
    stage.config["policies"]["open"] = json!("broken.yaml");
    replace(&stage);
    let _ = team.process.stderr_line("broken.yaml:2:");
    let said = team.process.stderr_line("the configuration was not reloaded");
    assert!(said.contains("what was in force stays"), "{said}");
    unchanged(&mut client);
    // A secret that is not there, and a text that is no configuration.
    stage.config = good;
    stage.config["servers"]["mail"]["headers"] = json!({"Authorization": "Bearer ${file:token}"});
    replace(&stage);
    let _ = team.process.stderr_line("token");
    std::fs::write(
        stage.room.at("callgate.yaml"),
        [b"version: 1\n".as_slice(), b"# \xff"].concat(),
    )
    .unwrap();
    let _ = team.process.stderr_line("is not UTF-8");
    unchanged(&mut client);
    // The file is there at last, and all of it is put in force.
    replace(&stage);
    let before = reloads(&team);
    stage.room.write("token", "hush-hush-hush");
    until("the configuration is in force", || {
        (reloads(&team) > before).then_some(())
    });
    let sum = client.call("add", json!({"a": 1, "b": 2}));
    assert_eq!(sum.text(), "3", "{}", sum.raw);
    assert!(!team.process.stderr().contains("hush-hush-hush"));
    let record = Record::once(&stage.room, "all are recorded", |record| {
        record.reloads().len() >= 5
    });
    let effects = effects(&record);
    assert_eq!(effects.first(), Some(&"rejected"));
    assert_eq!(effects.last(), Some(&"looser"));
}

#[test]
fn what_takes_a_restart_is_refused_as_a_whole() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "later=open"]);
    let team = stage.serve();
    stage.config["listen"] = json!("127.0.0.1:1");
    stage.config["state"]["durability"] = json!("disk");
    stage.config["servers"]["later"] = json!({"url": stage.mail.url()});
    replace(&stage);
    let said = team.process.stderr_line("which takes a restart");
    assert!(said.contains("`listen`, `state`"), "{said}");
    assert!(said.contains("what was in force stays"), "{said}");
    assert_eq!(team.client("later", &ana).post(&initialize()).status, 404);
    let record = Record::once(&stage.room, "it is recorded", |record| {
        record.reloads().len() == 1
    });
    let reason = record.reloads()[0].reason.as_ref().unwrap().to_string();
    assert_eq!(effects(&record), ["rejected"]);
    assert!(reason.contains("`listen`"), "{reason}");
    let is_warned_of = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(["status", "--state-dir"]).arg(state(&stage.room));
        let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
        told.contains("serve: the configuration was changed and not put in force")
    };
    assert!(is_warned_of());
    // Without that, the rest of it is put in force.
    stage.config["listen"] = json!("127.0.0.1:0");
    stage.config["state"]
        .as_object_mut()
        .unwrap()
        .remove("durability");
    change(&stage, &team);
    assert_eq!(team.client("later", &ana).post(&initialize()).status, 200);
    assert!(!is_warned_of());
}

#[test]
fn with_tighten_all_of_a_looser_configuration_waits() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=echo-only", "mail=open", "later=open"]);
    let team = stage.serve_with(&["--reload", "tighten"]);
    let mut notes = team.begun("notes", &ana);
    // A tighter policy and a new server.
    stage.room.write("echo-only.yaml", NOTHING);
    stage.config["servers"]["later"] = json!({"url": stage.mail.url()});
    replace(&stage);
    let said = team.process.stderr_line("--reload tighten");
    assert!(said.contains("the server `later` is new"), "{said}");
    echoes(&mut notes, "as before");
    assert_eq!(team.client("later", &ana).post(&initialize()).status, 404);
    // Without the new server it is tighter.
    stage.config["servers"].as_object_mut().unwrap().remove("later");
    change(&stage, &team);
    let denied = notes.call("echo", json!({"text": "a"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    let record = Record::once(&stage.room, "all are recorded", |record| {
        effects(record).last() == Some(&"tighter")
    });
    assert!(effects(&record).contains(&"waiting"));
    assert!(!effects(&record).contains(&"looser"));
}

#[test]
fn with_reload_off_no_file_is_looked_at() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=echo-only"]);
    stage.room.write("admin-token", &"f".repeat(32));
    stage.config["admin"] = json!({"listen": "127.0.0.1:0", "token": "${file:admin-token}"});
    let team = stage.serve_with(&["--reload", "off"]);
    let mut client = team.begun("notes", &ana);
    stage.room.write("echo-only.yaml", NOTHING);
    stage.config["servers"].as_object_mut().unwrap().remove("notes");
    replace(&stage);
    // Long enough for several looks.
    std::thread::sleep(Duration::from_secs(2));
    echoes(&mut client, "as before");
    // Not even where somebody asks for it.
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(["reload", "--state-dir"]).arg(state(&stage.room));
    let asked = command.output().unwrap();
    assert_eq!(asked.status.code(), Some(1));
    let told = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(told.contains("--reload off"), "{told}");
    echoes(&mut client, "as before");
    assert_eq!(reloads(&team), 0);
}

#[test]
fn a_configuration_behind_links_as_kubernetes_swaps_them_is_put_in_force() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "later=open"]);
    for version in ["v1", "v2"] {
        std::fs::create_dir(stage.room.at(version)).unwrap();
    }
    let policies = |stage: &mut Stage| {
        for name in ["open", "echo-only", "nothing"] {
            stage.config["policies"][name] = json!(stage.room.at(&format!("{name}.yaml")));
        }
    };
    policies(&mut stage);
    stage.room.write("v1/callgate.yaml", &stage.config.to_string());
    stage.config["servers"]["later"] = json!({"url": stage.mail.url()});
    stage.room.write("v2/callgate.yaml", &stage.config.to_string());
    symlink("v1", stage.room.at("..data")).unwrap();
    let served = stage.room.at("served.yaml");
    symlink("..data/callgate.yaml", &served).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(["serve", "-c"]).arg(served);
    let mut process = Process::start(&mut command);
    process.lives_in(&stage.room);
    let line = process.stderr_line("listening on");
    let url = line.split_whitespace().find(|word| word.contains("://")).unwrap();
    let team = Team {
        url: url.trim_end_matches("/mcp/SERVER").to_owned(),
        process,
    };
    assert_eq!(team.client("later", &ana).post(&initialize()).status, 404);
    symlink("v2", stage.room.at("..data_tmp")).unwrap();
    std::fs::rename(stage.room.at("..data_tmp"), stage.room.at("..data")).unwrap();
    let _ = team
        .process
        .stderr_line("the configuration was reloaded (the server `later` was added)");
    assert_eq!(team.client("later", &ana).post(&initialize()).status, 200);
}

#[test]
fn a_secret_that_is_replaced_is_sent_from_then_on() {
    let mut stage = Stage::new();
    stage.room.write("token", "first-secret");
    stage.config["servers"]["mail"]["headers"] = json!({"X-Key": "${file:token}"});
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let mut client = team.begun("mail", &ana);
    echoes(&mut client, "a");
    let told = |secret: &str| {
        let notes = stage.mail.log().notes();
        // The sessions of before are ended as they were begun.
        let asked = notes.iter().filter(|note| !note.contains("DELETE"));
        asked.filter(|note| note.contains(secret)).count()
    };
    assert!(told("first-secret") > 0);
    stage.room.write("token", "second-secret");
    let _ = team
        .process
        .stderr_line("the configuration was reloaded (the server `mail` changed)");
    let first = told("first-secret");
    let mut client = team.begun("mail", &ana);
    echoes(&mut client, "b");
    assert!(told("second-secret") > 0);
    assert_eq!(told("first-secret"), first);
    for secret in ["first-secret", "second-secret"] {
        assert!(!team.process.stderr().contains(secret));
    }
}

#[test]
fn a_call_that_a_changed_server_was_asked_is_answered() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let mut team = stage.serve();
    let mut notes = team.begun("notes", &ana);
    let mut mail = team.begun("mail", &ana);
    let mut all = team.client("", &ana).path("/mcp");
    all.initialize("2025-11-25");
    let streams = [
        notes.open_call("sleep", json!({"ms": 2_500})),
        mail.open_call("sleep", json!({"ms": 2_500})),
        all.open_call("notes__sleep", json!({"ms": 2_500})),
        all.open_call("mail__sleep", json!({"ms": 2_500})),
    ];
    until("the calls have reached their servers", || {
        (stage.notes.calls().len() == 2 && stage.mail.log().calls().len() == 2).then_some(())
    });
    stage.config["servers"]["notes"]["env"] = json!({"OTHER": "1"});
    stage.config["servers"].as_object_mut().unwrap().remove("mail");
    change(&stage, &team);
    for stream in streams {
        let rest = stream.rest();
        assert!(format!("{rest:?}").contains("slept"), "{rest:?}");
    }
    team.process.signal(Signal::TERM);
    team.process.ended();
    Record::of(&stage.room).assert_one_outcome_each();
}

#[test]
fn reloads_are_counted_and_new_servers_with_them() {
    let mut stage = Stage::new();
    stage.config["metrics"] = json!("127.0.0.1:0");
    let ana = stage.grant("ana", &["later=open"]);
    let team = stage.serve();
    let scrape = || {
        let line = team.process.stderr_line("callgate: metrics on ");
        let url = line.rsplit_once(' ').unwrap().1.to_owned();
        Http::to(&url).send("GET", &[], b"").rest().body
    };
    assert!(scrape().contains("callgate_reloads_total{effect=\"looser\"} 0"));
    stage.config["servers"]["later"] = json!({"url": stage.mail.url()});
    change(&stage, &team);
    let mut client = team.begun("later", &ana);
    echoes(&mut client, "a");
    let told = scrape();
    assert!(
        told.contains("callgate_reloads_total{effect=\"looser\"} 1"),
        "{told}"
    );
    let counted =
        r#"callgate_decisions_total{server="later",tool="echo",decision="allow",rule="",reason=""} 1"#;
    assert!(told.contains(counted), "{told}");
    stage.config["listen"] = json!("127.0.0.1:1");
    replace(&stage);
    let _ = team.process.stderr_line("which takes a restart");
    until("it is counted", || {
        scrape()
            .contains("callgate_reloads_total{effect=\"rejected\"} 1")
            .then_some(())
    });
}

#[test]
fn of_a_server_that_was_removed_no_metrics_are_left() {
    let mut stage = Stage::new();
    stage.config["metrics"] = json!("127.0.0.1:0");
    let ana = stage.grant("ana", &["notes=echo-only", "mail=echo-only"]);
    let team = stage.serve();
    let line = team.process.stderr_line("callgate: metrics on ");
    let url = line.rsplit_once(' ').unwrap().1.to_owned();
    let of = |server: &str| {
        let text = Http::to(&url).send("GET", &[], b"").rest().body;
        let label = format!("server=\"{server}\"");
        text.lines().filter(|line| line.contains(&label)).count()
    };
    for server in ["notes", "mail"] {
        let mut client = team.begun(server, &ana);
        echoes(&mut client, "hi");
        assert!(client.call("add", json!({"a": 1, "b": 2})).is_denied());
        assert!(of(server) > 20, "{server}: {}", of(server));
    }
    let removed = stage.config["servers"]
        .as_object_mut()
        .unwrap()
        .remove("mail")
        .unwrap();
    change(&stage, &team);
    assert_eq!(of("mail"), 0);
    assert!(of("notes") > 20);
    // One that comes back is counted anew.
    stage.config["servers"]["mail"] = removed;
    change(&stage, &team);
    let mut client = team.begun("mail", &ana);
    echoes(&mut client, "again");
    let text = Http::to(&url).send("GET", &[], b"").rest().body;
    let counted = r#"callgate_outcomes_total{server="mail",status="ok"} 1"#;
    until("the call is counted", || {
        let text = Http::to(&url).send("GET", &[], b"").rest().body;
        text.contains(counted).then_some(())
    });
    assert!(
        !text.contains(r#"server="mail",tool="other",decision="deny""#),
        "{text}"
    );
}

/// What a caller has seen of its calls.
#[derive(Default)]
struct Seen {
    calls: AtomicU64,
    over: AtomicBool,
}

/// Calls without a pause until it is over; a call without its own answer ends the test.
fn keep_calling(mut client: Http, tool: &str, seen: &Seen) {
    while !seen.over.load(Ordering::Acquire) {
        let text = format!("call {}", seen.calls.fetch_add(1, Ordering::AcqRel));
        let reply = client.reply("tools/call", json!({"name": tool, "arguments": {"text": text}}));
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.answer().text(), text, "{reply:?}");
    }
}

#[test]
fn reloads_while_everybody_calls_cost_no_call() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open", "other=open"]);
    stage.config["servers"]["other"] = json!({"url": stage.mail.url()});
    let team = stage.serve();
    let seen = Arc::new(Seen::default());
    // Sessions with servers that stay, and requests of their own to one that becomes another each time.
    let mut clients: Vec<Http> = ["notes", "mail"]
        .iter()
        .map(|server| team.begun(server, &ana))
        .collect();
    clients.extend((0..2).map(|_| team.client("other", &ana).modern()));
    let callers: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || keep_calling(client, "echo", &seen))
        })
        .collect();
    reload_and_count(stage, team, &seen, callers);
}

/// Reloads twenty times while callers call, and looks whether each of their calls was answered, settled as `ok` and
/// met by what was in force.
fn reload_and_count(mut stage: Stage, mut team: Team, seen: &Seen, callers: Vec<JoinHandle<()>>) {
    for round in 0..20 {
        stage.config["servers"]["other"]["headers"] = json!({"X-Round": format!("round-{round}.")});
        stage.config["policies"]["more"] = json!(["open.yaml", "nothing.yaml"][round % 2]);
        let servers = stage.config["servers"].as_object_mut().unwrap();
        match servers.remove("fourth") {
            Some(_) => {}
            None => drop(servers.insert("fourth".to_owned(), json!({"url": stage.mail.url()}))),
        }
        let hidden = ["[]", "[boom]"][round % 2];
        stage.room.write("open.yaml", &format!("{OPEN}hide: {hidden}\n"));
        change(&stage, &team);
        let before = seen.calls.load(Ordering::Acquire);
        until("calls go on", || {
            let has_failed = callers.iter().any(JoinHandle::is_finished);
            assert!(!has_failed, "a call failed in round {round}");
            (seen.calls.load(Ordering::Acquire) > before + 4).then_some(())
        });
    }
    seen.over.store(true, Ordering::Release);
    for caller in callers {
        caller.join().expect("no call failed");
    }
    let notes = stage.mail.log().notes();
    let told = |round: usize| notes.iter().any(|note| note.contains(&format!("round-{round}.")));
    assert!((0..20).all(told), "each of the twenty was in force for a while");
    team.process.signal(Signal::TERM);
    team.process.ended();
    let record = Record::of(&stage.room);
    record.assert_one_outcome_each();
    let ok = record.statuses().iter().filter(|status| **status == "ok").count();
    assert_eq!(u64::try_from(ok).unwrap(), seen.calls.load(Ordering::Acquire));
}

#[test]
fn reloads_while_everybody_calls_all_servers_as_one_cost_no_call() {
    let mut stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open", "other=open", "fourth=open"]);
    stage.config["servers"]["other"] = json!({"url": stage.mail.url()});
    let team = stage.serve();
    let seen = Arc::new(Seen::default());
    let everything =
        || Http::to(&format!("{}/mcp", team.url)).header("authorization", &format!("Bearer {ana}"));
    let begun = || {
        let mut client = everything();
        client.initialize("2025-11-25");
        client
    };
    // With servers that stay, and with one that becomes another each time, in sessions and without.
    let clients = [
        (begun(), "notes__echo"),
        (begun(), "mail__echo"),
        (begun(), "other__echo"),
        (everything().modern(), "mail__echo"),
        (everything().modern(), "other__echo"),
    ];
    let callers = clients.into_iter().map(|(client, tool)| {
        let seen = Arc::clone(&seen);
        std::thread::spawn(move || keep_calling(client, tool, &seen))
    });
    let callers = callers.collect();
    reload_and_count(stage, team, &seen, callers);
}

#[test]
fn no_call_meets_a_server_as_it_is_now_under_a_policy_of_before() {
    let mut stage = Stage::new();
    let elsewhere = Room::new();
    let forbidden = HttpServer::start(&elsewhere, &[]);
    let ana = stage.grant("ana", &["mail=changing"]);
    let allowed = stage.mail.url().to_owned();
    // The one server may be called, and the other one may not.
    let set = |stage: &mut Stage, url: &str, policy: &str| {
        stage.config["servers"]["mail"]["url"] = json!(url);
        stage.config["policies"]["changing"] = json!(policy);
    };
    set(&mut stage, &allowed, "open.yaml");
    let team = stage.serve();
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, over) = (team.client("mail", &ana).modern(), Arc::clone(&over));
            std::thread::spawn(move || {
                while !over.load(Ordering::Acquire) {
                    let _ = client.reply("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}));
                }
            })
        })
        .collect();
    for _ in 0..6 {
        set(&mut stage, forbidden.url(), "nothing.yaml");
        change(&stage, &team);
        set(&mut stage, &allowed, "open.yaml");
        change(&stage, &team);
        let before = stage.mail.log().calls().len();
        until("calls are let through again", || {
            (stage.mail.log().calls().len() > before + 4).then_some(())
        });
    }
    over.store(true, Ordering::Release);
    for caller in callers {
        caller.join().unwrap();
    }
    assert_eq!(forbidden.log().calls().len(), 0);
}
