//! One server of a configuration.

use super::client::Client;
use super::read::Reader;
use super::secret::Secret;
use super::vocabulary::SERVER;
use crate::reference::{self, FORMS, Part, Unresolved, is_variable, parts};
use crate::run::headers::RESERVED;
use callgate_policy::document::{Fields, join, nearest};
use callgate_policy::tree::{Entry, Node, Value};
use callgate_policy::{Code, Span};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// A server behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Server {
    /// It runs as a child process.
    Command(Command),
    /// It is reached over Streamable HTTP.
    Remote(Remote),
}

/// A server that runs as a child process.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its environment, all of it.
    pub(crate) env: BTreeMap<String, Secret>,
    /// Its working folder; the gateway's own where there is none.
    pub(crate) dir: Option<PathBuf>,
    /// How many children there are.
    pub(crate) sharing: Sharing,
}

/// How many children a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sharing {
    /// One a session.
    #[default]
    PerSession,
    /// One for all sessions.
    Shared,
}

/// A server at a URL.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Where it is: HTTP or HTTPS, without credentials.
    pub(crate) url: Url,
    /// What it is sent with each request; every value is marked as sensitive.
    pub(crate) headers: HeaderMap,
    /// How access tokens for it are had, where it takes such.
    pub(crate) oauth: Option<Client>,
    /// How it is spoken to.
    pub(crate) transport: RemoteTransport,
}

/// How a server at a URL is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RemoteTransport {
    /// Streamable HTTP.
    #[default]
    Streamable,
    /// The HTTP transport of 2024-11-05: a stream of events, and an address to post to.
    Sse,
}

/// Arguments may hold secrets.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .field("env", &self.env)
            .field("dir", &self.dir)
            .field("sharing", &self.sharing)
            .finish()
    }
}

/// A query may hold secrets.
impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("host", &self.url.host_str())
            .field("headers", &self.headers)
            .field("oauth", &self.oauth)
            .finish_non_exhaustive()
    }
}

fn is_nearly_a_server(key: &str) -> bool {
    nearest(key, ["command", "url"]).is_some()
}

impl Reader<'_> {
    /// A server; `None`, with a finding, where it cannot be one.
    pub(super) fn server(&mut self, entry: &Entry, pointer: &str) -> Option<Server> {
        let fields = self.findings.fields(&entry.value, pointer, &SERVER)?;
        match (fields.entry("command"), fields.entry("url")) {
            (Some(_), None) => {
                let hint = "remove it, or put the secret under `env`";
                self.refuse(
                    fields,
                    &["headers", "transport", "oauth"],
                    "a server that has a URL",
                    hint,
                );
                self.command(fields).map(Server::Command)
            }
            (None, Some(_)) => {
                let hint = "remove it; what is sent to a URL stands under `headers`";
                let kind = "a server that has a command";
                self.refuse(fields, &["env", "dir"], kind, hint);
                let hint = "remove it; at a URL there is no child to share, and each session has one of its own there";
                self.refuse(fields, &["shared"], kind, hint);
                self.remote(fields).map(Server::Remote)
            }
            (Some(one), Some(other)) => {
                let later = if one.key_span < other.key_span { other } else { one };
                self.findings
                    .error(
                        Code::Conflict,
                        later.key_span,
                        pointer,
                        "a server has a command or a URL, and this one has both",
                    )
                    .hint("keep one of them, or make two servers of it");
                None
            }
            // One that is misspelt has been reported.
            (None, None)
                if entry
                    .value
                    .entries()
                    .iter()
                    .any(|entry| is_nearly_a_server(&entry.key)) =>
            {
                None
            }
            (None, None) => {
                let message = format!("the server `{}` has neither a command nor a URL", entry.key);
                self.findings
                    .error(Code::MissingKey, entry.key_span, pointer, message)
                    .hint("add `command: [npx, -y, some-mcp]` or `url: https://host/mcp`");
                None
            }
        }
    }

    /// Says that these keys belong to servers of the other kind.
    fn refuse(&mut self, fields: Fields<'_>, keys: &[&str], kind: &str, hint: &str) {
        for entry in keys.iter().filter_map(|key| fields.entry(key)) {
            self.findings
                .error(
                    Code::Conflict,
                    entry.key_span,
                    &join(fields.pointer, &entry.key),
                    format!("`{}` is a key of {kind}", entry.key),
                )
                .hint(hint);
        }
    }

    fn command(&mut self, fields: Fields<'_>) -> Option<Command> {
        let words = self.command_words(fields);
        let env = self.env(fields);
        let dir = self.path(fields, "dir");
        let sharing = self.sharing(fields);
        let mut words = words?.into_iter();
        Some(Command {
            program: words.next()?,
            arguments: words.collect(),
            env,
            dir,
            sharing,
        })
    }

    fn command_words(&mut self, fields: Fields<'_>) -> Option<Vec<String>> {
        let node = fields.value("command")?;
        let pointer = join(fields.pointer, "command");
        let Value::List(items) = &node.value else {
            let hint = "write the program and each argument by itself: `[npx, -y, some-mcp]`";
            self.findings
                .wrong_type(node, &pointer, "`command` is a list", hint);
            return None;
        };
        if items.first().is_none_or(|first| first.text() == Some("")) {
            self.findings
                .error(Code::Empty, node.span, &pointer, "`command` names no program")
                .hint("begin with the program: `[npx, -y, some-mcp]`");
            return None;
        }
        let words: Vec<Option<String>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| self.command_word(item, &format!("{pointer}/{index}")))
            .collect();
        words.into_iter().collect()
    }

    fn command_word(&mut self, item: &Node, pointer: &str) -> Option<String> {
        let Some(text) = item.text() else {
            self.findings.wrong_type(
                item,
                pointer,
                "each part of a command is a string",
                "put it in quotes",
            );
            return None;
        };
        if text.contains("${") {
            self.findings
                .error(
                    Code::Reference,
                    item.span,
                    pointer,
                    "references are resolved under `env` and `headers` only",
                )
                .hint("arguments can be seen in the list of processes; hand the value over under `env`");
            return None;
        }
        if text.contains('\0') {
            self.findings
                .error(
                    Code::Unsendable,
                    item.span,
                    pointer,
                    "no argument can hold the character NUL",
                )
                .hint("remove it");
            return None;
        }
        Some(text.to_owned())
    }

    fn sharing(&mut self, fields: Fields<'_>) -> Sharing {
        let Some(node) = fields.value("shared") else {
            return Sharing::default();
        };
        match &node.value {
            Value::Bool(true) => Sharing::Shared,
            Value::Bool(false) => Sharing::PerSession,
            Value::Null | Value::Number(_) | Value::String(_) | Value::List(_) | Value::Map(_) => {
                let pointer = join(fields.pointer, "shared");
                self.findings
                    .wrong_type(node, &pointer, "`shared` is a boolean", "write `true` or `false`");
                Sharing::default()
            }
        }
    }

    fn env(&mut self, fields: Fields<'_>) -> BTreeMap<String, Secret> {
        let mut env = BTreeMap::new();
        let pointer = join(fields.pointer, "env");
        for entry in self.named(fields, "env", "write `env: {NAME: \"${env:NAME}\"}`") {
            if !is_variable(&entry.key) {
                self.findings
                    .error(
                        Code::Name,
                        entry.key_span,
                        &pointer,
                        "this is no name of an environment variable",
                    )
                    .hint("it has letters, digits and `_`, and begins with no digit");
                continue;
            }
            let Some((value, span)) = self.secret(entry, &pointer, "variable") else {
                continue;
            };
            if value.contains('\0') {
                let message = "the value of this variable has the character NUL";
                self.findings
                    .error(Code::Unsendable, span, &join(&pointer, &entry.key), message)
                    .hint("no environment variable can hold it");
                continue;
            }
            env.insert(entry.key.to_string(), Secret::new(value));
        }
        env
    }

    fn remote(&mut self, fields: Fields<'_>) -> Option<Remote> {
        let url = self.url(fields);
        let headers = self.headers(fields);
        let oauth = self.client(fields, &headers);
        let transport = self.transport(fields);
        Some(Remote {
            url: url?,
            headers,
            oauth,
            transport,
        })
    }

    fn transport(&mut self, fields: Fields<'_>) -> RemoteTransport {
        let Some(node) = fields.value("transport") else {
            return RemoteTransport::default();
        };
        match node.text() {
            Some("streamable") => RemoteTransport::Streamable,
            Some("sse") => RemoteTransport::Sse,
            Some(_) | None => {
                self.findings.wrong_type(
                    node,
                    &join(fields.pointer, "transport"),
                    "`transport` is `streamable` or `sse`",
                    "write `sse` for the HTTP+SSE transport of 2024-11-05, and leave it out for others",
                );
                RemoteTransport::default()
            }
        }
    }

    fn url(&mut self, fields: Fields<'_>) -> Option<Url> {
        let node = fields.value("url")?;
        let pointer = join(fields.pointer, "url");
        let Some(text) = node.text() else {
            self.findings
                .wrong_type(node, &pointer, "`url` is a string", "write `https://host/mcp`");
            return None;
        };
        if text.contains("${") {
            self.findings
                .error(
                    Code::Reference,
                    node.span,
                    &pointer,
                    "references are resolved under `env` and `headers` only",
                )
                .hint("URLs end up in logs; hand the value over under `headers`");
            return None;
        }
        // The text is part of no message: it may hold credentials that were mistyped.
        let (message, hint) = match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => (
                "a server is reached over http or https only",
                "write `https://host/mcp`, or run the server as a `command`",
            ),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => (
                "the URL holds credentials, which would end up in logs",
                "send them as a header: `headers: {Authorization: \"Bearer ${env:TOKEN}\"}`",
            ),
            Ok(url) => return Some(url),
            Err(_) => ("this is no URL", "write `https://host/mcp`"),
        };
        self.findings
            .error(Code::Url, node.span, &pointer, message)
            .hint(hint);
        None
    }

    /// What is sent with each request, under `headers`.
    pub(super) fn headers(&mut self, fields: Fields<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pointer = join(fields.pointer, "headers");
        let form = "write `headers: {Authorization: \"Bearer ${env:TOKEN}\"}`";
        for entry in self.named(fields, "headers", form) {
            let value = self.secret(entry, &pointer, "header");
            let Some(name) = self.header_name(entry, &pointer, &headers) else {
                continue;
            };
            let Some((value, span)) = value else { continue };
            // The message of the error would hold the value.
            let Ok(mut value) = HeaderValue::try_from(value) else {
                let message = format!("the value of `{name}` has characters that no header may have");
                self.findings
                    .error(Code::Unsendable, span, &join(&pointer, &entry.key), message)
                    .hint("line breaks and control characters cannot be sent");
                continue;
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers
    }

    fn header_name(&mut self, entry: &Entry, pointer: &str, before: &HeaderMap) -> Option<HeaderName> {
        let name = entry.key.parse::<HeaderName>();
        let (code, message, hint) = match &name {
            Err(_) => (
                Code::Name,
                "this is no name of a header".to_owned(),
                "write it as `Authorization`; the value stands behind the colon",
            ),
            Ok(name) if RESERVED.contains(&name.as_str()) => (
                Code::Name,
                format!("`{name}` is set by Callgate itself"),
                "remove it",
            ),
            Ok(name) if before.contains_key(name) => (
                Code::DuplicateKey,
                format!("the header `{name}` stands twice here, in different spellings"),
                "keep one of them",
            ),
            Ok(_) => return name.ok(),
        };
        self.findings
            .error(code, entry.key_span, pointer, message)
            .hint(hint);
        None
    }

    /// The entries of a mapping from names to values.
    fn named<'n>(&mut self, fields: Fields<'n>, key: &str, form: &str) -> &'n [Entry] {
        let Some(node) = fields.value(key) else { return &[] };
        if !matches!(node.value, Value::Map(_)) {
            let pointer = join(fields.pointer, key);
            let wanted = format!("`{key}` is a mapping from names to values");
            self.findings.wrong_type(node, &pointer, &wanted, form);
        }
        node.entries()
    }

    /// A value with its references resolved. Nothing that is said of it holds any of it.
    pub(super) fn secret(&mut self, entry: &Entry, pointer: &str, kind: &str) -> Option<(String, Span)> {
        let node = &entry.value;
        let Some(text) = node.text() else {
            self.no_text(entry, pointer, kind);
            return None;
        };
        let pointer = match HeaderName::try_from(&*entry.key) {
            Ok(_) => join(pointer, &entry.key),
            Err(_) => pointer.to_owned(),
        };
        let mut value = Some(String::new());
        for (part, range) in parts(text) {
            let resolved = match part {
                Part::Text(text) => Ok(text.to_owned()),
                Part::Env(name) => reference::variable(name, self.variables),
                Part::File(path) => {
                    let path = self.base.join(path);
                    self.files.insert(path.clone());
                    reference::file(&path)
                }
                Part::Unclosed | Part::Unknown(_) => {
                    self.misspelt(part, self.place(node.span, text, &range), &pointer);
                    value = None;
                    continue;
                }
            };
            match resolved {
                Ok(text) => value = value.map(|value| value + &text),
                Err(unresolved) => {
                    let span = self.place(node.span, text, &range);
                    self.unresolved(&unresolved, span, &pointer);
                    value = None;
                }
            }
        }
        value.map(|value| (value, node.span))
    }

    /// Says that a value is no text. A key without a value may be a value without its key, so it is not named.
    fn no_text(&mut self, entry: &Entry, pointer: &str, kind: &str) {
        let node = &entry.value;
        let (span, hint) = match &node.value {
            Value::Null => (
                entry.key_span,
                "write the value behind a colon, `\"\"` for an empty one",
            ),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => (node.span, "put it in quotes"),
            Value::List(_) | Value::Map(_) => (node.span, "write one value, in quotes"),
        };
        let found = node.type_name();
        let message = format!("the value of a {kind} is a string, and this is {found}");
        self.findings
            .error(Code::WrongType, span, pointer, message)
            .hint(hint);
    }

    fn unresolved(&mut self, unresolved: &Unresolved, span: Span, pointer: &str) {
        let hint = match unresolved {
            Unresolved::Variable(_) => "set it where the gateway is started, or name a file: `${file:PATH}`",
            Unresolved::File(..) => "paths are relative to this file",
            Unresolved::TooLarge(_) | Unresolved::NotText(_) => "name a file that holds the value alone",
        };
        self.findings
            .error(Code::Reference, span, pointer, unresolved.to_string())
            .hint(hint);
    }

    fn misspelt(&mut self, part: Part<'_>, span: Span, pointer: &str) {
        let (message, hint) = match part {
            Part::Unclosed => ("this `${` has no `}`", FORMS.to_owned()),
            Part::Unknown(kind) => {
                let near = match kind {
                    "env" | "file" => Some(kind),
                    _ => nearest(kind, ["env", "file"]),
                };
                let hint = match near {
                    Some("env") => "write `${env:NAME}`, with the name of an environment variable".to_owned(),
                    Some("file") => "write `${file:PATH}`".to_owned(),
                    Some(_) | None => FORMS.to_owned(),
                };
                ("this reference leads nowhere", hint)
            }
            Part::Text(_) | Part::Env(_) | Part::File(_) => return,
        };
        self.findings
            .error(Code::Reference, span, pointer, message)
            .hint(hint);
    }
}
