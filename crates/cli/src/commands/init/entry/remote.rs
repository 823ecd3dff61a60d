//! Servers behind a URL. Callgate is a command for the client then, and reaches the server itself.
//!
//! Headers become variables of the entry's own environment, where their values stay as and where they are; the
//! command line names these variables. References are not written as `${env:NAME}`: several clients would expand them.

use super::edit::{At, Edit, Placed, before_first, separator};
use super::{Gate, Site, texts};
use crate::commands::init::clients::Client;
use crate::commands::init::expand::Scene;
use crate::commands::init::secrets::{shown, url_has_secret};
use crate::commands::tree::{Format, Kind, Member, Node, Shape, bare_key, between, literal};
use crate::reference::is_variable;
use crate::run::headers::RESERVED;

/// The variable that a URL with a secret in it is given by.
const URL_VARIABLE: &str = "CALLGATE_UPSTREAM";

const URL_KEYS: [&str; 3] = ["url", "serverUrl", "httpUrl"];

/// Keys that say that the client gets the server's credentials itself.
const LOGIN_KEYS: [&str; 7] = [
    "oauth",
    "auth",
    "scopes",
    "headersHelper",
    "authProviderType",
    "oauth_resource",
    "targetAudience",
];

/// What is said of a server that a person logs in to by the client.
pub(in crate::commands::init) const LOGIN: &str =
    "the client logs in to it, which `callgate run` cannot; `callgate serve` can, with `callgate login`";

/// A URL with the headers that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::init) struct Remote {
    pub(in crate::commands::init) url: String,
    pub(in crate::commands::init) headers: Vec<Header>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::init) struct Header {
    pub(in crate::commands::init) name: String,
    source: Source,
}

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// It stands in the entry, and gets a variable.
    Entry { value: String, variable: String },
    /// It is the value of a variable.
    Variable(String),
    /// It is `Bearer ` and the value of a variable.
    Bearer(String),
}

impl Header {
    /// Its value, with those of variables.
    pub(in crate::commands::init) fn value(&self, scene: &Scene<'_>) -> Result<String, String> {
        match &self.source {
            Source::Entry { value, .. } => scene.expand(value),
            Source::Variable(name) => scene.variable(name),
            Source::Bearer(name) => Ok(format!("Bearer {}", scene.variable(name)?)),
        }
    }
}

/// The member that has the URL.
pub(super) fn url(node: &Node) -> Option<&Member> {
    URL_KEYS.iter().find_map(|key| node.member(key))
}

fn headers_of(node: &Node) -> Option<&Member> {
    node.member("headers").or_else(|| node.member("http_headers"))
}

pub(super) fn read(client: Client, node: &Node) -> Result<Remote, String> {
    let member = url(node).ok_or("it has no URL")?;
    let url = member.value.text().ok_or("its URL is no text")?;
    let kind = node.member("type").and_then(|member| member.value.text());
    // "MCP servers with Gemini CLI": `url` alone is one of SSE, `httpUrl` one of Streamable HTTP.
    let is_sse = match kind {
        Some(kind) => kind == "sse",
        None => client == Client::Gemini && member.name == "url",
    };
    if is_sse {
        return Err("it speaks HTTP+SSE of 2024-11-05, which `callgate serve` reaches (`transport: sse`) and `callgate run` does not".to_owned());
    }
    if !matches!(kind, None | Some("http" | "streamable-http" | "streamableHttp")) {
        return Err(format!(
            "its type `{}` is not known",
            shown(kind.unwrap_or_default())
        ));
    }
    if LOGIN_KEYS.iter().any(|key| node.member(key).is_some()) {
        return Err(LOGIN.to_owned());
    }
    for other in ["env", "environment", "envFile", "args", "cwd", "env_vars"] {
        if node.member(other).is_some() {
            return Err(format!("it has a URL and `{other}`"));
        }
    }
    if url::Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some()) {
        return Err("its URL has a password in it; send it as a header instead".to_owned());
    }
    if node.member("headers").is_some() && node.member("http_headers").is_some() {
        return Err("it has `headers` and `http_headers`; write them in one".to_owned());
    }
    let mut headers = Vec::new();
    for (name, value) in texts(headers_of(node).map(|member| &member.value))? {
        let variable = variable_for(&name, &headers);
        let source = Source::Entry { value, variable };
        headers.push(Header { name, source });
    }
    for (name, variable) in texts(node.member("env_http_headers").map(|member| &member.value))? {
        headers.push(header_of_variable(name, variable)?);
    }
    if let Some(bearer) = node.member("bearer_token_env_var") {
        let variable = bearer.value.text().unwrap_or_default().to_owned();
        let header = header_of_variable("Authorization".to_owned(), variable.clone())?;
        headers.push(Header {
            source: Source::Bearer(variable),
            ..header
        });
    }
    for header in &headers {
        let name = header.name.to_ascii_lowercase();
        if RESERVED.contains(&name.as_str()) || http::HeaderName::try_from(&name).is_err() {
            return Err(format!(
                "Callgate cannot send its header `{}`",
                shown(&header.name)
            ));
        }
    }
    Ok(Remote {
        url: url.to_owned(),
        headers,
    })
}

fn header_of_variable(name: String, variable: String) -> Result<Header, String> {
    if !is_variable(&variable) {
        return Err(format!(
            "the variable of its header `{}` has no name",
            shown(&name)
        ));
    }
    Ok(Header {
        name,
        source: Source::Variable(variable),
    })
}

/// A name for the variable of a header, which no other header has.
fn variable_for(header: &str, others: &[Header]) -> String {
    let mut name = String::from("CALLGATE_");
    for c in header.chars() {
        name.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        });
    }
    let is_taken = |name: &String| {
        name == URL_VARIABLE
            || others
                .iter()
                .any(|other| matches!(&other.source, Source::Entry { variable, .. } if variable == name))
    };
    while is_taken(&name) {
        name.push('_');
    }
    name
}

impl Remote {
    /// The arguments of a gate.
    fn words(&self, gate: Gate<'_>) -> Vec<String> {
        let mut words: Vec<String> = ["run", "-c", gate.policy, "--server", gate.server]
            .map(str::to_owned)
            .into();
        if self.has_secret_url() {
            words.extend(["--upstream-env".to_owned(), URL_VARIABLE.to_owned()]);
        } else {
            words.extend(["--upstream".to_owned(), self.url.clone()]);
        }
        for Header { name, source } in &self.headers {
            words.extend(match source {
                Source::Entry { variable, .. } | Source::Variable(variable) => {
                    ["--header-env".to_owned(), format!("{name}: {variable}")]
                }
                // Codex, which alone has it, expands nothing.
                Source::Bearer(variable) => [
                    "--header".to_owned(),
                    format!("{name}: Bearer ${{env:{variable}}}"),
                ],
            });
        }
        words
    }

    fn has_secret_url(&self) -> bool {
        url_has_secret(&self.url)
    }

    fn variables(&self) -> Vec<&str> {
        let named = self.headers.iter().filter_map(|header| match &header.source {
            Source::Variable(name) | Source::Bearer(name) => Some(name.as_str()),
            Source::Entry { .. } => None,
        });
        named.collect()
    }
}

pub(super) fn wrap(
    site: Site<'_>,
    node: &Node,
    remote: &Remote,
    gate: Gate<'_>,
) -> Result<Vec<Placed>, String> {
    let mut change = Change {
        site,
        shape: match &node.kind {
            Kind::Table(shape, _) => *shape,
            Kind::Text(_) | Kind::List(_) | Kind::Flag(_) | Kind::Other => Shape::Braced,
        },
        placed: Vec::new(),
    };
    let url = url(node).ok_or("it has changed meanwhile")?;
    let words: Vec<String> = remote.words(gate).iter().map(|word| literal(word)).collect();
    let command = change.written("command", &literal(gate.program));
    let args = change.written("args", &format!("[{}]", words.join(", ")));
    let given = remote
        .has_secret_url()
        .then(|| change.raw(&url.value.span))
        .transpose()?;
    let headers = headers_of(node);
    let mut members = match node.member("type") {
        // "MCP servers with Gemini CLI": a type is one of URLs.
        Some(kind) if site.client == Client::Gemini => {
            change.member(kind, "command", command)?;
            vec![args]
        }
        Some(kind) => {
            change.push(kind.value.span.clone(), &["type"], At::Value, literal("stdio"))?;
            vec![command, args]
        }
        None => vec![command, args],
    };
    if let (Some(given), None) = (&given, headers) {
        let table = match site.format {
            Format::Json => format!("{{{}: {given}}}", literal(URL_VARIABLE)),
            Format::Toml => format!("{{ {URL_VARIABLE} = {given} }}"),
        };
        members.push(change.written("env", &table));
    }
    let first = if members
        .iter()
        .any(|member| member.starts_with(&change.written("command", "")))
    {
        "command"
    } else {
        "args"
    };
    let separator = separator(site.text, change.shape, url.key.start);
    change.member(url, first, members.join(&separator))?;
    if let Some(headers) = headers {
        change.headers(headers, remote, given)?;
    }
    change.variables(node, remote)?;
    Ok(change.placed)
}

/// The changes of one entry, as they come together.
struct Change<'s> {
    site: Site<'s>,
    shape: Shape,
    placed: Vec<Placed>,
}

impl Change<'_> {
    fn raw(&self, span: &std::ops::Range<usize>) -> Result<String, String> {
        let raw = self.site.text.get(span.clone());
        Ok(raw.ok_or("it has changed meanwhile")?.to_owned())
    }

    fn written(&self, key: &str, value: &str) -> String {
        format!(
            "{}{}{value}",
            bare_key(self.site.format, key),
            between(self.site.format)
        )
    }

    fn push(
        &mut self,
        span: std::ops::Range<usize>,
        path: &[&str],
        at: At,
        is: String,
    ) -> Result<(), String> {
        let was = self.raw(&span)?;
        self.placed.push(Placed {
            start: span.start,
            edit: Edit {
                path: path.iter().map(|key| (*key).to_owned()).collect(),
                at,
                was,
                is,
            },
        });
        Ok(())
    }

    /// Puts other members in place of one; the first of them is called `first`.
    fn member(&mut self, member: &Member, first: &str, is: String) -> Result<(), String> {
        self.push(member.key.start..member.value.span.end, &[first], At::Key, is)
    }

    /// Makes the table of headers one of variables; the values stay where they are.
    fn headers(&mut self, headers: &Member, remote: &Remote, url: Option<String>) -> Result<(), String> {
        self.push(
            headers.key.clone(),
            &["env"],
            At::Key,
            bare_key(self.site.format, "env"),
        )?;
        let of_entry = remote.headers.iter().filter_map(|header| match &header.source {
            Source::Entry { variable, .. } => Some((header, variable)),
            Source::Variable(_) | Source::Bearer(_) => None,
        });
        for (header, variable) in of_entry {
            let member = headers
                .value
                .member(&header.name)
                .ok_or("it has changed meanwhile")?;
            self.push(
                member.key.clone(),
                &["env", variable],
                At::Key,
                bare_key(self.site.format, variable),
            )?;
        }
        let Some(url) = url else {
            return Ok(());
        };
        if !matches!(headers.value.kind, Kind::Table(Shape::Braced, _)) {
            return Err(
                "its URL holds a secret, and its headers are a table of their own; write them in braces"
                    .to_owned(),
            );
        }
        let open = headers.value.span.start;
        let first = headers.value.members().first().map(|member| member.key.start);
        let item = self.written(URL_VARIABLE, &url);
        let is = before_first(self.site.text, open, first, &[item]);
        let inside = open.saturating_add(1);
        self.push(inside..inside, &["env"], At::Inside, is)
    }

    /// Has the client pass on the variables that headers come from.
    fn variables(&mut self, node: &Node, remote: &Remote) -> Result<(), String> {
        let names: Vec<String> = remote.variables().into_iter().map(literal).collect();
        let members = ["bearer_token_env_var", "env_http_headers"];
        let mut members = members.iter().filter_map(|key| node.member(key));
        let Some(member) = members.next() else {
            return Ok(());
        };
        if members.next().is_some() || matches!(member.value.kind, Kind::Table(Shape::Lines, _)) {
            return Err(
                "its headers come from variables in more than one way; write them as one `env_http_headers = {…}`"
                    .to_owned(),
            );
        }
        let is = self.written("env_vars", &format!("[{}]", names.join(", ")));
        self.member(member, "env_vars", is)
    }
}
