//! Pages, and the blocks of code on them.

use super::desk::repository;
use std::path::Path;

/// A page of the documents.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
}

/// A fenced block of code.
#[derive(Debug)]
pub(super) struct Block {
    /// Page and line, for messages.
    pub(super) place: String,
    pub(super) language: String,
    pub(super) text: String,
}

impl Page {
    /// A page by its path in the repository.
    pub(super) fn read(name: &str) -> Self {
        Self::of(name, &std::fs::read_to_string(repository().join(name)).unwrap())
    }

    /// All pages of the repository.
    pub(super) fn all() -> Vec<Self> {
        names().iter().map(|name| Self::read(name)).collect()
    }

    pub(super) fn of(name: &str, text: &str) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            match (open.take(), line.trim_start().strip_prefix("```")) {
                (Some(block), Some(_)) => blocks.push(block),
                (Some(mut block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, Some(language)) => {
                    open = Some(Block {
                        place: format!("{name}:{}", number + 1),
                        language: language.to_owned(),
                        text: String::new(),
                    });
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{name}: a block is not closed");
        Self {
            name: name.to_owned(),
            blocks,
        }
    }
}

/// The paths of all pages of the repository.
pub(super) fn names() -> Vec<String> {
    let mut names = Vec::new();
    gather(repository(), "", &mut names);
    names
}

fn gather(folder: &Path, under: &str, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('.') || ["target", "node_modules", "corpus"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            gather(&path, &format!("{under}{name}/"), names);
        } else if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "md")
        {
            names.push(format!("{under}{name}"));
        }
    }
}
