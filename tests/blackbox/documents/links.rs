//! Every link between the documents leads somewhere, in the repository and in the book that is made of `docs`.

use super::desk::repository;
use super::page;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// What is neither code nor the inside of a code span.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// Where the links of a page lead.
fn links(text: &str) -> Vec<String> {
    // A link's text may break over lines, and its target may not.
    prose(text)
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap().to_owned())
        .collect()
}

/// The anchors of a page, as GitHub and mdBook make them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        let title = line.trim_start_matches('#');
        if is_code || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let anchor: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|character| match character {
                ' ' => Some('-'),
                '-' | '_' => Some(character),
                _ if character.is_alphanumeric() => Some(character),
                _ => None,
            })
            .collect();
        anchors.insert(anchor);
    }
    anchors
}

/// A path without `..` in it; `None` where it leads out of the repository.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => plain.pop().then_some(())?,
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(part),
        }
    }
    Some(plain)
}

/// What is wrong with a link; `None` where nothing is.
fn wrong(page: &str, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        PathBuf::from(page)
    } else {
        let Some(path) = plain(&Path::new(page).with_file_name(file)) else {
            return Some("it leads out of the repository".to_owned());
        };
        path
    };
    let path = repository().join(&target);
    if !path.exists() {
        return Some(format!("there is no {}", target.display()));
    }
    if page.starts_with("docs/") && !target.starts_with("docs") {
        return Some("it leads out of the book".to_owned());
    }
    let is_there = anchor.is_empty() || anchors(&std::fs::read_to_string(path).unwrap()).contains(anchor);
    (!is_there).then(|| format!("{} has no heading `#{anchor}`", target.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    let mut found = Vec::new();
    for page in page::names() {
        let text = std::fs::read_to_string(repository().join(&page)).unwrap();
        for link in links(&text) {
            count += 1;
            found.extend(wrong(&page, &link).map(|why| format!("{page}: ({link}): {why}")));
        }
    }
    assert!(count > 50, "the links were not found");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_page_stands_in_the_summary() {
    let summary = std::fs::read_to_string(repository().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<String> = links(&summary).into_iter().collect();
    let pages: BTreeSet<String> = page::names()
        .iter()
        .filter_map(|page| page.strip_prefix("docs/"))
        .filter(|page| *page != "SUMMARY.md")
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, pages);
}

#[test]
fn what_leads_nowhere_is_found() {
    assert_eq!(wrong("README.md", "docs/limits.md#what-counts-together"), None);
    assert_eq!(wrong("docs/run.md", "limits.md#windows-slide"), None);
    for (page, link) in [
        ("README.md", "docs/limit.md"),
        ("README.md", "docs/limits.md#windows"),
        ("README.md", "../README.md"),
        ("docs/run.md", "#no-such-heading"),
        ("docs/run.md", "../SECURITY.md"),
    ] {
        assert!(wrong(page, link).is_some(), "{page}: {link}");
    }
    assert_eq!(
        links("a [b\nc](d.md) `[e](f.md)`\n```\n[g](h.md)\n```\n"),
        ["d.md"]
    );
}
