//! The catalogue as a folder of pages: they open from a disk, search without a server, and ask nothing of the network.

mod attack;
mod book;
mod class;
mod feed;
mod home;
mod parts;
mod place;
mod search;
mod server;
mod tool;

use crate::shell::{root, say};
use anyhow::{Context, bail};
use book::Book;
use place::{Base, Folder};
use std::path::PathBuf;
use std::process::ExitCode;

/// The look of all pages, and what works in a browser.
const ASSETS: [(&str, &str); 3] = [
    ("style.css", include_str!("../assets/site/style.css")),
    ("site.js", include_str!("../assets/site/site.js")),
    ("search.js", include_str!("../assets/site/search.js")),
];

/// What `site` takes.
const FLAGS: &str = "--out FOLDER, --only NAME and --base URL";

/// Where the site goes, of what it is, and where it will be read.
#[derive(Debug, Default)]
struct Wanted {
    out: Option<PathBuf>,
    only: Option<String>,
    base: Option<Base>,
}

impl Wanted {
    fn read(mut flags: &[&str]) -> anyhow::Result<Self> {
        let mut wanted = Self::default();
        while let [flag, value, rest @ ..] = flags {
            match *flag {
                "--out" => wanted.out = Some(PathBuf::from(value)),
                "--only" => wanted.only = Some((*value).to_owned()),
                "--base" => wanted.base = Some(Base::new(value)?),
                other => bail!("`site` takes {FLAGS}, not {other}"),
            }
            flags = rest;
        }
        if let [flag] = flags {
            bail!("`site` takes {FLAGS}, and {flag} has no value");
        }
        Ok(wanted)
    }
}

/// Writes the site.
pub(crate) fn run(flags: &[&str]) -> anyhow::Result<ExitCode> {
    let wanted = Wanted::read(flags)?;
    let out = match wanted.out {
        Some(out) => out,
        None => root()?.join("target/site"),
    };
    let book = Book::read(wanted.only.as_deref())?;
    let mut folder = Folder::clear(&out)?;
    for (name, text) in ASSETS {
        folder.write(name, text)?;
    }
    folder.write("index.html", &home::page(&book))?;
    folder.write("servers.html", &server::list(&book))?;
    folder.write("classes.html", &class::list(&book))?;
    folder.write("risks.html", &class::risks(&book))?;
    folder.write("attacks.html", &attack::list(&book))?;
    folder.write("search.html", &search::page(&book))?;
    folder.write("search-index.js", &search::index(&book)?)?;
    for class in callgate_catalog::Class::ALL {
        folder.write(&place::class(class), &class::page(&book, class))?;
    }
    for attack in book.attacks {
        folder.write(&place::attack(attack), &attack::page(&book, attack))?;
    }
    for (number, server) in book.servers.iter().enumerate() {
        if number % 40 == 0 {
            say(&format!("{number} of {} servers", book.servers.len()));
        }
        folder.write(&place::server(server), &server::page(&book, server))?;
        folder.write(&place::policy(server), &server.policy)?;
        folder.write(&place::tests(server), &server.tests)?;
        for tool in &server.tools {
            folder.write(&place::tool(server, tool), &tool::page(&book, server, tool))?;
        }
    }
    feed::write(&book, wanted.base.as_ref(), &mut folder)?;
    say(&format!(
        "wrote {} files to {}; open {}",
        folder.written(),
        out.display(),
        out.join("index.html")
            .canonicalize()
            .context("the site was not written")?
            .display()
    ));
    Ok(ExitCode::SUCCESS)
}
