//! The catalogue's pages: made by `cargo xtask site`, and opened in a real browser, from their folder, without a server.

use crate::support::deps::{browser_script, xtask};
use callgate_testkit::Room;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Writes the whole site.
fn make(folder: &Path) {
    let output = Command::new(xtask())
        .args(["site", "--out"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// All files of a folder, by their places below it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let below = path.strip_prefix(folder).unwrap();
                found.insert(below.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// What a browser saw, by what it was asked to do.
fn seen(folder: &Path) -> BTreeMap<String, Value> {
    let output = Command::new("node")
        .arg(browser_script())
        .arg(folder)
        .arg("/usr/bin/chromium")
        .env_remove("NODE_OPTIONS")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
        .lines()
        .map(|line| {
            let seen: Value = serde_json::from_str(line).unwrap();
            (seen["what"].as_str().unwrap().to_owned(), seen)
        })
        .collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect()
}

#[test]
fn the_site_opens_from_its_folder_and_is_searched_and_clicked_through_and_every_link_leads_somewhere() {
    let room = Room::new();
    let folder = room.at("site");
    make(&folder);
    a_browser_finds_its_way(&folder);
    every_link_leads_to_a_page(&folder);
}

fn a_browser_finds_its_way(folder: &Path) {
    let seen = seen(folder);
    for (what, seen) in &seen {
        assert_eq!(texts(&seen["complaints"]), [""; 0], "{what}");
    }

    let search = &seen["search"];
    assert_eq!(search["first"], "workflow_execute");
    assert_eq!(search["heading"], "workflow_execute");
    assert_eq!(search["place"], "tools/mistral/workflow_execute.html");
    assert_eq!(texts(&search["chips"])[..2], ["Execute", "High"]);
    assert!(texts(&search["headings"]).contains(&"Attack patterns"));
    let rule = search["rule"].as_str().unwrap();
    assert!(rule.contains("workflowIdentifier"), "{rule}");

    let filters = &seen["filters"];
    assert_eq!(texts(&filters["classes"]), ["Financial"]);
    assert_eq!(filters["none"], "0 found");
    assert!(filters["all"].as_u64().unwrap() >= 100, "{filters}");
    assert_eq!(texts(&filters["some"]), ["gitlab", "gitlab-zereight"]);

    let trail = texts(&seen["links"]["trail"]);
    assert_eq!(
        trail,
        ["Servers", "kestra", "execute_flow", "Execute", "execute_flow"]
    );
    assert!(seen["attacks"]["listed"].as_u64().unwrap() >= 20);
    let headings = texts(&seen["attacks"]["headings"]);
    assert_eq!(headings[2..4], ["What stops it", "The policy that stops it"]);
    assert!(texts(&seen["hidden text"]["marks"]).contains(&"U+200B"));
    assert_eq!(seen["without scripts"]["heading"], "mistral");
    assert!(seen["without scripts"]["rows"].as_u64().unwrap() >= 3);

    for scheme in ["access, light", "access, dark"] {
        assert_eq!(texts(&seen[scheme]["violations"]), [""; 0], "{scheme}");
    }
    assert_eq!(texts(&seen["narrow"]["wide"]), [""; 0]);
}

/// Every link of a page, and every address in the feed and the data.
fn every_link_leads_to_a_page(folder: &Path) {
    let files = files(folder);
    let mut tools = 0;
    for place in files.iter().filter(|place| place.ends_with(".html")) {
        tools += usize::from(place.starts_with("tools/"));
        let page = std::fs::read_to_string(folder.join(place)).unwrap();
        let here = Path::new(place).parent().unwrap();
        for link in links(&page) {
            // Sources of what is known of an attack, for a person to follow; nothing of them is loaded.
            if link.starts_with("http") && place.starts_with("attacks/") {
                continue;
            }
            let target = joined(here, link);
            assert!(
                files.contains(&target),
                "{place} links to {link}, which is not there"
            );
        }
    }
    assert!(tools >= 1_500, "{tools} pages of tools");

    let feed: Value = serde_json::from_slice(&std::fs::read(folder.join("feed.json")).unwrap()).unwrap();
    assert_eq!(feed["version"], "https://jsonfeed.org/version/1.1");
    let items = feed["items"].as_array().unwrap();
    let servers: BTreeSet<String> = items
        .iter()
        .filter_map(|item| item["url"].as_str())
        .filter(|url| url.starts_with("servers/"))
        .map(str::to_owned)
        .collect();
    let pages = files.iter().filter(|place| place.starts_with("servers/"));
    assert_eq!(servers, pages.cloned().collect());
    let mut ids = BTreeSet::new();
    for item in items {
        assert!(ids.insert(item["id"].as_str().unwrap()), "{item} is there twice");
        assert!(
            item["title"].is_string() && item["content_text"].is_string(),
            "{item}"
        );
    }
    let listed: Value =
        serde_json::from_slice(&std::fs::read(folder.join("api/servers.json")).unwrap()).unwrap();
    for server in listed["servers"].as_array().unwrap() {
        let data = std::fs::read(folder.join(server["data"].as_str().unwrap())).unwrap();
        let data: Value = serde_json::from_slice(&data).unwrap();
        let of_it = data["tools"].as_array().unwrap();
        assert_eq!(of_it.len() as u64, server["tools"].as_u64().unwrap());
        for tool in of_it {
            assert!(files.contains(tool["page"].as_str().unwrap()), "{tool}");
        }
    }
}

/// The addresses that a page's `href` and `src` name, without what follows `#` or `?`.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split(" href=\"")
        .skip(1)
        .chain(page.split(" src=\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter_map(|link| link.split(['#', '?']).next())
        .filter(|link| !link.is_empty())
}

fn joined(here: &Path, link: &str) -> String {
    let mut path: Vec<&str> = here.iter().map(|part| part.to_str().unwrap()).collect();
    for part in link.split('/') {
        match part {
            ".." => {
                path.pop().unwrap();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}

#[test]
fn a_folder_with_anything_else_in_it_is_left_alone() {
    let room = Room::new();
    let folder = room.at("mine");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("letter.txt"), "dear").unwrap();
    let output = Command::new(xtask())
        .args(["site", "--only", "kestra", "--out"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is not empty, and holds no site"), "{said}");
    assert_eq!(files(&folder), BTreeSet::from(["letter.txt".to_owned()]));
}

/// What `cargo xtask site` did, for one server.
fn made_of_one(folder: &Path, flags: &[&str]) -> std::process::Output {
    Command::new(xtask())
        .args(["site", "--only", "kestra"])
        .args(flags)
        .arg("--out")
        .arg(folder)
        .output()
        .unwrap()
}

#[test]
fn where_the_site_will_be_read_is_in_the_feed_alone() {
    let room = Room::new();
    let (plain, based) = (room.at("plain"), room.at("based"));
    assert!(made_of_one(&plain, &[]).status.success());
    let base = "https://example.com/catalogue";
    assert!(
        made_of_one(&based, &["--base", "https://example.com/catalogue/"])
            .status
            .success()
    );
    let read = |folder: &Path, place: &str| std::fs::read(folder.join(place)).unwrap();
    let feed = |folder: &Path| -> Value { serde_json::from_slice(&read(folder, "feed.json")).unwrap() };
    let (without, mut with) = (feed(&plain), feed(&based));
    assert_eq!(with["home_page_url"], format!("{base}/"));
    assert_eq!(with["feed_url"], format!("{base}/feed.json"));
    for item in with["items"].as_array_mut().unwrap() {
        let place = item["url"].as_str().unwrap().strip_prefix(base).unwrap();
        let place = place.strip_prefix('/').unwrap().to_owned();
        assert!(based.join(&place).is_file(), "{place}");
        item["url"] = place.into();
    }
    // But for these it is the same feed, and all else is the same.
    for name in ["home_page_url", "feed_url"] {
        assert_eq!(without.get(name), None);
        with.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(with, without);
    assert_eq!(files(&plain), files(&based));
    for place in files(&plain).iter().filter(|place| *place != "feed.json") {
        assert_eq!(read(&plain, place), read(&based, place), "{place}");
    }
}

#[test]
fn a_base_that_is_no_address_of_a_folder_is_refused() {
    let room = Room::new();
    for base in [
        "example.com",
        "/catalogue",
        "https://",
        "https:///catalogue",
        "file:///srv/site",
        "https://example.com/?page=",
        "https://example.com/#catalogue",
        "https://example.com/a b",
    ] {
        let output = made_of_one(&room.at("site"), &["--base", base]);
        assert!(!output.status.success(), "{base}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("--base takes the site's URL"), "{said}");
    }
    assert!(!room.at("site").exists());
}
