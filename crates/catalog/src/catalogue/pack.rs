//! From the data files to packed bytes, and the servers of the index back.

use super::bytes::{Sink, Source};
use super::{Damaged, Package, Registry, Server, Tool};
use crate::{Class, Confidence, Definition, Severity, Signal, classify_list};
use callgate_wire::{Bounds, Object, RawJson};
use std::collections::BTreeSet;

/// What packed bytes begin with; another form has another mark.
pub(super) const MARK: &str = "callgate catalogue 1";

/// As small as it gets: packing is done once a build.
const EFFORT: u8 = 9;

/// A data file that cannot be packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {cause}")]
pub struct PackError {
    /// The file's name without `.json`.
    pub file: String,
    /// What is wrong with it.
    #[source]
    pub cause: PackCause,
}

/// What is wrong with a data file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackCause {
    /// Not JSON that every parser reads alike.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// A field is missing, empty, or of another type.
    #[error("`{0}` is missing, empty, or of the wrong type")]
    Field(&'static str),
    /// Its name is not that of its file, or has other letters than names have.
    #[error("`name` is not the file's name of a-z, 0-9 and -")]
    Name,
    /// The day is not written as `2026-11-26`.
    #[error("`date` is not a day such as 2026-11-26")]
    Date,
    /// A registry that is not known.
    #[error("`package.registry` is none of npm, pypi, source, remote")]
    Registry,
    /// A tool without a name, or with that of another.
    #[error("tool {0} has no name, or that of another")]
    Tool(usize),
}

/// A read data file.
struct File<'a> {
    server: Server,
    tools: Vec<RawJson<'a>>,
}

/// Packs data files, each with its name without `.json`.
///
/// # Errors
/// The first file that cannot be packed, and why.
pub fn pack<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<u8>, PackError> {
    let mut read = Vec::new();
    for (name, text) in files {
        let file = file(name, text).map_err(|cause| PackError {
            file: name.to_owned(),
            cause,
        })?;
        read.push(file);
    }
    read.sort_by(|left, right| left.server.name.cmp(&right.server.name));
    let mut definitions = Vec::new();
    let mut index = Sink::default();
    index.number(read.len());
    for File { mut server, tools } in read {
        let mut sink = Sink::default();
        sink.number(tools.len());
        tools.iter().for_each(|tool| sink.text(tool.text()));
        let packed = miniz_oxide::deflate::compress_to_vec(&sink.into_bytes(), EFFORT);
        let from = definitions.len();
        definitions.extend_from_slice(&packed);
        server.at = from..definitions.len();
        write(&mut index, &server);
    }
    let index = miniz_oxide::deflate::compress_to_vec(&index.into_bytes(), EFFORT);
    let mut out = Sink::default();
    out.text(MARK);
    out.number(index.len());
    out.bytes(&index);
    out.bytes(&definitions);
    Ok(out.into_bytes())
}

fn file<'a>(name: &str, text: &'a str) -> Result<File<'a>, PackCause> {
    let json = RawJson::read(text.as_bytes(), &Bounds::default())
        .map_err(|cause| PackCause::Json(cause.to_string()))?;
    let server = json
        .as_object()
        .ok_or_else(|| PackCause::Json("no object".to_owned()))?;
    let package = object(&server, "package").ok_or(PackCause::Field("package"))?;
    let obtained = object(&server, "obtained").ok_or(PackCause::Field("obtained"))?;
    let info = object(&obtained, "serverInfo");
    let said = |key| info.as_ref().and_then(|info| text_of(info, key));
    let written = text_of(&server, "name").ok_or(PackCause::Field("name"))?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if written != name || !written.chars().all(is_name) {
        return Err(PackCause::Name);
    }
    let date = text_of(&server, "date").ok_or(PackCause::Field("date"))?;
    if !is_day(&date) {
        return Err(PackCause::Date);
    }
    let registry = text_of(&package, "registry").ok_or(PackCause::Field("package.registry"))?;
    let tools = server
        .get("tools")
        .and_then(|tools| tools.as_array())
        .filter(|tools| !tools.is_empty())
        .ok_or(PackCause::Field("tools"))?;
    Ok(File {
        server: Server {
            name: written,
            title: said("title").or_else(|| said("name")),
            about: said("description"),
            package: Package {
                registry: Registry::named(&registry).ok_or(PackCause::Registry)?,
                name: text_of(&package, "name").ok_or(PackCause::Field("package.name"))?,
                version: text_of(&package, "version").ok_or(PackCause::Field("package.version"))?,
            },
            licence: text_of(&server, "licence").ok_or(PackCause::Field("licence"))?,
            source: text_of(&server, "source"),
            date,
            obtained: text_of(&obtained, "how").ok_or(PackCause::Field("obtained.how"))?,
            tools: classified(&tools)?,
            at: 0..0,
        },
        tools,
    })
}

fn object<'a>(object: &Object<'a>, key: &str) -> Option<Object<'a>> {
    object.get(key)?.as_object()
}

fn text_of(object: &Object<'_>, key: &str) -> Option<String> {
    let text = object.get(key)?.as_str()?.into_owned();
    (!text.trim().is_empty()).then_some(text)
}

fn is_day(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

fn classified(tools: &[RawJson<'_>]) -> Result<Vec<Tool>, PackCause> {
    let definitions: Vec<Definition> = tools.iter().map(|tool| Definition::read(&tool.parse())).collect();
    let mut names = BTreeSet::new();
    for (index, definition) in definitions.iter().enumerate() {
        if definition.name.is_empty() || !names.insert(&definition.name) {
            return Err(PackCause::Tool(index.saturating_add(1)));
        }
    }
    let verdicts = classify_list(&definitions);
    let tools = definitions
        .iter()
        .zip(verdicts)
        .map(|(definition, verdict)| Tool {
            name: definition.name.clone(),
            title: definition.title.clone(),
            description: definition.description.clone(),
            class: verdict.class,
            severity: verdict.severity,
            confidence: verdict.confidence,
            signals: verdict.signals.iter().map(Signal::code).collect(),
        });
    Ok(tools.collect())
}

fn write(sink: &mut Sink, server: &Server) {
    sink.text(&server.name);
    sink.perhaps(server.title.as_deref());
    sink.perhaps(server.about.as_deref());
    sink.text(server.package.registry.name());
    sink.text(&server.package.name);
    sink.text(&server.package.version);
    sink.text(&server.licence);
    sink.perhaps(server.source.as_deref());
    sink.text(&server.date);
    sink.text(&server.obtained);
    sink.number(server.at.start);
    sink.number(server.at.end);
    sink.number(server.tools.len());
    for tool in &server.tools {
        sink.text(&tool.name);
        sink.text(&tool.title);
        sink.text(&tool.description);
        sink.text(tool.class.name());
        sink.text(tool.severity.name());
        sink.number(usize::from(tool.confidence.as_percent()));
        sink.number(tool.signals.len());
        tool.signals.iter().for_each(|code| sink.text(code));
    }
}

/// A server of the index; definitions begin at `base`.
pub(super) fn server(source: &mut Source<'_>, base: usize) -> Result<Server, Damaged> {
    let text = |source: &mut Source<'_>| source.text().map(str::to_owned);
    let mut server = Server {
        name: text(source)?,
        title: source.perhaps()?,
        about: source.perhaps()?,
        package: Package {
            registry: Registry::named(source.text()?).ok_or(Damaged)?,
            name: text(source)?,
            version: text(source)?,
        },
        licence: text(source)?,
        source: source.perhaps()?,
        date: text(source)?,
        obtained: text(source)?,
        at: source.number()?.saturating_add(base)..source.number()?.saturating_add(base),
        tools: Vec::new(),
    };
    for _ in 0..source.number()? {
        server.tools.push(tool(source)?);
    }
    Ok(server)
}

fn tool(source: &mut Source<'_>) -> Result<Tool, Damaged> {
    let mut tool = Tool {
        name: source.text()?.to_owned(),
        title: source.text()?.to_owned(),
        description: source.text()?.to_owned(),
        class: Class::named(source.text()?).ok_or(Damaged)?,
        severity: Severity::named(source.text()?).ok_or(Damaged)?,
        confidence: Confidence::percent(i32::try_from(source.number()?).map_err(|_| Damaged)?),
        signals: Vec::new(),
    };
    for _ in 0..source.number()? {
        let code = source.text()?;
        let (known, _) = Signal::KINDS
            .iter()
            .find(|(known, _)| *known == code)
            .ok_or(Damaged)?;
        tool.signals.push(known);
    }
    Ok(tool)
}
