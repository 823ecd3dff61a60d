//! A configuration's tree to its meaning, with a finding for whatever is wrong with it.

use super::name::{HostName, Name, PolicyName, ServerName};
use super::policies::LoadedPolicy;
use super::server::Server;
use super::veil::verbatim;
use super::vocabulary::{CONFIG, LOG, STATE, TLS};
use super::{Config, Durability, LISTEN_DEFAULT, Log, METRICS_EXAMPLE, StateFolder, Tls};
use crate::args::{LogFormat, LogLevel};
use crate::commands::validate::load::{Checked, Source};
use crate::reference::Variables;
use callgate_gateway::serve::http::{Address, SocketMode};
use callgate_policy::document::{Fields, Findings, join, nearest};
use callgate_policy::tree::{Entry, Node, Value};
use callgate_policy::{Code, Severity, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What goes along while a configuration is read.
pub(super) struct Reader<'r> {
    pub(super) findings: Findings,
    /// The text of the configuration.
    pub(super) source: &'r str,
    /// The folder that paths are relative to.
    pub(super) base: &'r Path,
    pub(super) variables: Variables<'r>,
    /// The files that were read beside the configuration, or looked for.
    pub(super) files: BTreeSet<PathBuf>,
    /// Those of them that hold the certificate and its key.
    pub(super) certificate: BTreeSet<PathBuf>,
    /// The policy files, each once, in the order in which they are named.
    pub(super) policies: Vec<Checked>,
}

impl Reader<'_> {
    /// The configuration; complete only where there are no errors among the findings.
    pub(super) fn config(&mut self, root: &Node) -> Option<Config> {
        let fields = self.findings.fields(root, "", &CONFIG)?;
        self.version(fields);
        let listen = self.listen(fields);
        let socket_mode = self.socket_mode(fields, &listen);
        let metrics = self.metrics(fields, &listen);
        let taken: Vec<&Address> = std::iter::once(&listen).chain(&metrics).collect();
        let admin = self.admin(fields, &taken);
        let log = self.log(fields);
        let hosts = self.hosts(fields);
        let tls = self.tls(fields);
        let oauth = self.oauth(fields);
        let traces = self.traces(fields);
        let state = self.state(fields);
        let servers = self.servers(fields);
        let policies = self.policies(fields);
        let local = self.local(fields);
        (self.findings.error_count() == 0).then_some(Config {
            listen,
            socket_mode,
            metrics,
            admin,
            log,
            hosts,
            tls,
            oauth,
            traces,
            state,
            servers,
            policies,
            local,
        })
    }

    fn version(&mut self, fields: Fields<'_>) {
        const HINT: &str = "write `version: 1`";
        let Some(entry) = fields.entry("version") else {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    "",
                    "a configuration needs `version`",
                )
                .hint(HINT);
            return;
        };
        let is_supported = match &entry.value.value {
            Value::String(text) | Value::Number(text) => &**text == "1",
            // That it has no value has been said.
            Value::Null => true,
            Value::Bool(_) | Value::List(_) | Value::Map(_) => false,
        };
        if !is_supported {
            self.findings
                .error(
                    Code::UnsupportedVersion,
                    entry.value.span,
                    "/version",
                    "only version 1 of the configuration exists",
                )
                .hint(HINT);
        }
    }

    fn listen(&mut self, fields: Fields<'_>) -> Address {
        self.address(fields, "listen", LISTEN_DEFAULT)
            .unwrap_or(Address::Net(LISTEN_DEFAULT))
    }

    fn socket_mode(&mut self, fields: Fields<'_>, listen: &Address) -> SocketMode {
        let modes = [
            ("0600", SocketMode::Owner),
            ("0660", SocketMode::Group),
            ("0666", SocketMode::Everyone),
        ];
        let mode = self.findings.word(fields, "socket_mode", &modes);
        if let (Some(entry), Address::Net(_)) = (fields.entry("socket_mode"), listen) {
            self.findings
                .error(
                    Code::Conflict,
                    entry.key_span,
                    "/socket_mode",
                    "`socket_mode` is of a Unix socket, and `listen` is none",
                )
                .hint("remove it, or write `listen: unix:/run/callgate/callgate.sock`");
        }
        mode.unwrap_or_default()
    }

    fn metrics(&mut self, fields: Fields<'_>, listen: &Address) -> Option<Address> {
        let address = self.address(fields, "metrics", METRICS_EXAMPLE)?;
        let picks_one = matches!(&address, Address::Net(address) if address.port() == 0);
        if address == *listen && !picks_one {
            let span = fields.value("metrics").map_or(fields.head(), |node| node.span);
            self.findings
                .error(
                    Code::Address,
                    span,
                    "/metrics",
                    "`metrics` is the address that clients call",
                )
                .hint(format!("give it another port: `{METRICS_EXAMPLE}`"));
        }
        Some(address)
    }

    /// The address and port at `key`, or the Unix socket.
    pub(super) fn address(&mut self, fields: Fields<'_>, key: &str, example: SocketAddr) -> Option<Address> {
        let node = fields.value(key)?;
        let (wanted, pointer) = (
            format!("`{key}` is an address and a port"),
            join(fields.pointer, key),
        );
        let hint = match &node.value {
            Value::String(text) => match (text.strip_prefix("unix:"), text.parse()) {
                (Some(path), _) if is_socket_path(path) => {
                    return Some(Address::Unix(self.base.join(path)));
                }
                (Some(_), _) => "write the socket's path: `unix:/run/callgate/callgate.sock`".to_owned(),
                (None, Ok(address)) => return Some(Address::Net(address)),
                (None, Err(_)) => address_hint(text, example),
            },
            Value::Number(port) if port.parse::<u16>().is_ok() => {
                format!("add the address: `127.0.0.1:{port}`")
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                self.findings
                    .wrong_type(node, &pointer, &wanted, &format!("write `{example}`"));
                return None;
            }
        };
        self.findings
            .error(Code::Address, node.span, &pointer, wanted)
            .hint(hint);
        None
    }

    fn hosts(&mut self, fields: Fields<'_>) -> BTreeSet<HostName> {
        let mut hosts = BTreeSet::new();
        for (node, pointer) in self.findings.list(fields, "hosts") {
            let Some(text) = node.text() else {
                let hint = "write `gate.example.com`, in quotes where it is a number";
                self.findings
                    .wrong_type(node, &pointer, "a host is a string", hint);
                continue;
            };
            let Some(host) = HostName::new(text) else {
                self.findings
                    .error(Code::Name, node.span, &pointer, "this is no host")
                    .hint(host_hint(text));
                continue;
            };
            if !hosts.insert(host) {
                self.findings
                    .warn(
                        Code::DuplicateEntry,
                        node.span,
                        &pointer,
                        "this host stands twice in the list",
                    )
                    .hint("remove one of them");
            }
        }
        hosts
    }

    fn log(&mut self, fields: Fields<'_>) -> Log {
        let Some(node) = fields.value("log") else {
            return Log::default();
        };
        let Some(fields) = self.findings.fields(node, "/log", &LOG) else {
            return Log::default();
        };
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let levels = [
            ("debug", LogLevel::Debug),
            ("info", LogLevel::Info),
            ("warn", LogLevel::Warn),
            ("error", LogLevel::Error),
        ];
        Log {
            format: self.findings.word(fields, "format", &formats),
            level: self.findings.word(fields, "level", &levels),
        }
    }

    fn tls(&mut self, fields: Fields<'_>) -> Option<Tls> {
        let node = fields.value("tls")?;
        let fields = self.findings.fields(node, "/tls", &TLS)?;
        let (certificate, key) = (self.path(fields, "certificate"), self.path(fields, "key"));
        let (Some(certificate), Some(key)) = (certificate, key) else {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    "/tls",
                    "`tls` needs `certificate` and `key`",
                )
                .hint("write `tls: {certificate: cert.pem, key: key.pem}`");
            return None;
        };
        let tls = Tls { certificate, key };
        self.certificate = BTreeSet::from([tls.certificate.clone(), tls.key.clone()]);
        self.files.extend(self.certificate.iter().cloned());
        match tls.load() {
            Ok(_) => Some(tls),
            Err(error) => {
                self.findings
                    .error(Code::File, fields.head(), "/tls", format!("{error:#}"))
                    .hint("paths are relative to this file; both files are PEM");
                None
            }
        }
    }

    fn state(&mut self, fields: Fields<'_>) -> StateFolder {
        let mut state = StateFolder::default();
        let Some(node) = fields.value("state") else {
            return state;
        };
        let Some(fields) = self.findings.fields(node, "/state", &STATE) else {
            return state;
        };
        state.dir = self.path(fields, "dir");
        let words = [("process", Durability::Process), ("disk", Durability::Disk)];
        if let Some(durability) = self.findings.word(fields, "durability", &words) {
            state.durability = durability;
        }
        state
    }

    fn servers(&mut self, fields: Fields<'_>) -> BTreeMap<ServerName, Server> {
        const FORM: &str = "write `servers: {NAME: {command: [npx, -y, some-mcp]}}`";
        let mut servers = BTreeMap::new();
        if !fields.has("servers") {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    "",
                    "a configuration needs `servers`",
                )
                .hint(FORM);
        }
        for entry in self.declared(fields, "servers", FORM) {
            let pointer = join("/servers", &entry.key);
            let name = self.name::<ServerName>(entry, &pointer);
            let server = self.server(entry, &pointer);
            if let (Some(name), Some(server)) = (name, server) {
                servers.insert(name, server);
            }
        }
        if let Some(node) = fields.value("servers")
            && matches!(node.value, Value::Map(_))
            && node.entries().is_empty()
        {
            self.findings
                .error(Code::Empty, node.span, "/servers", "`servers` is empty")
                .hint(FORM);
        }
        servers
    }

    fn policies(&mut self, fields: Fields<'_>) -> BTreeMap<PolicyName, LoadedPolicy> {
        let mut policies = BTreeMap::new();
        for entry in self.declared(fields, "policies", "write `policies: {NAME: policies/FILE.yaml}`") {
            let pointer = join("/policies", &entry.key);
            let name = self.name::<PolicyName>(entry, &pointer);
            let path = self.path_of(&entry.value, &entry.key, entry.key_span, &pointer);
            let policy = path.and_then(|path| self.policy(path, entry.value.span, &pointer));
            if let (Some(name), Some(policy)) = (name, policy) {
                policies.insert(name, policy);
            }
        }
        policies
    }

    fn policy(&mut self, path: PathBuf, span: Span, pointer: &str) -> Option<LoadedPolicy> {
        let name = path.display().to_string();
        let known = self.policies.iter().position(|one| one.source.name == name);
        let index = match known {
            Some(index) => index,
            None => {
                self.files.insert(path.clone());
                match Source::read(&path) {
                    Ok(source) => self.policies.push(source.check()),
                    Err(error) => {
                        self.findings
                            .error(Code::File, span, pointer, format!("{error:#}"))
                            .hint("paths are relative to this file");
                        return None;
                    }
                }
                self.policies.len().saturating_sub(1)
            }
        };
        let checked = self.policies.get(index)?;
        if let Some(loaded) = &checked.loaded {
            return Some(LoadedPolicy {
                path,
                program: Arc::new(loaded.program.clone()),
            });
        }
        let message = match checked.count(Severity::Error) {
            1 => format!("the policy {name} has an error"),
            errors => format!("the policy {name} has {errors} errors"),
        };
        self.findings
            .error(Code::InvalidPolicy, span, pointer, message)
            .hint(format!("`callgate validate {name}` says what is wrong with it"));
        None
    }

    fn local(&mut self, fields: Fields<'_>) -> BTreeMap<ServerName, PolicyName> {
        let mut local = BTreeMap::new();
        for entry in self.declared(fields, "local", "write `local: {SERVER: POLICY}`") {
            let pointer = join("/local", &entry.key);
            let is_server =
                self.is_declared(fields, "servers", "server", &entry.key, entry.key_span, &pointer);
            let node = &entry.value;
            let Some(policy) = node.text() else {
                let hint = "name one of those under `policies`";
                let span = if matches!(node.value, Value::Null) {
                    entry.key_span
                } else {
                    node.span
                };
                let message = format!("a policy's name is a string, and this is {}", node.type_name());
                self.findings
                    .error(Code::WrongType, span, &pointer, message)
                    .hint(hint);
                continue;
            };
            let is_policy = self.is_declared(fields, "policies", "policy", policy, node.span, &pointer);
            if is_server
                && is_policy
                && let (Some(server), Some(policy)) = (ServerName::new(&entry.key), PolicyName::new(policy))
            {
                local.insert(server, policy);
            }
        }
        local
    }

    /// Whether `name` is one of the keys of the mapping at `key`; with a finding where it is not.
    fn is_declared(
        &mut self,
        fields: Fields<'_>,
        key: &str,
        kind: &str,
        name: &str,
        span: Span,
        pointer: &str,
    ) -> bool {
        let declared: Vec<&str> = fields
            .value(key)
            .map_or(&[][..], Node::entries)
            .iter()
            .map(|entry| &*entry.key)
            .collect();
        if declared.contains(&name) {
            return true;
        }
        let hint = match nearest(name, declared.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if declared.is_empty() => format!("declare it under `{key}`"),
            None => format!("`{key}` declares {}", declared.join(", ")),
        };
        let message = format!("there is no {kind} `{name}`");
        self.findings
            .error(Code::UnknownName, span, pointer, message)
            .hint(hint);
        false
    }

    /// The entries of a mapping from names.
    pub(super) fn declared<'n>(&mut self, fields: Fields<'n>, key: &str, form: &str) -> &'n [Entry] {
        let Some(node) = fields.value(key) else { return &[] };
        if !matches!(node.value, Value::Map(_)) {
            let pointer = join("", key);
            self.findings
                .wrong_type(node, &pointer, &format!("`{key}` is a mapping from names"), form);
        }
        node.entries()
    }

    pub(super) fn name<N: Name>(&mut self, entry: &Entry, pointer: &str) -> Option<N> {
        let name = N::read(&entry.key);
        if name.is_none() {
            let form = format!("a name has 1 to {} of `a-z`, `0-9` and `-`", N::BYTES_MAX);
            let taken = N::TAKEN.filter(|(taken, _)| *taken == &*entry.key);
            let hint = match (taken, N::suggestion(&entry.key)) {
                (Some((_, by)), _) => format!("{by}; choose another name"),
                (None, Some(suggestion)) => format!("{form}, such as `{suggestion}`"),
                (None, None) => form,
            };
            let message = format!("`{}` cannot be the name of a {}", entry.key, N::KIND);
            self.findings
                .error(Code::Name, entry.key_span, pointer, message)
                .hint(hint);
        }
        name
    }

    /// The path at `key`, as it can be opened.
    pub(super) fn path(&mut self, fields: Fields<'_>, key: &str) -> Option<PathBuf> {
        let entry = fields.entry(key)?;
        if matches!(entry.value.value, Value::Null) {
            // That it has no value has been said.
            return None;
        }
        self.path_of(&entry.value, key, entry.key_span, &join(fields.pointer, key))
    }

    fn path_of(&mut self, node: &Node, key: &str, key_span: Span, pointer: &str) -> Option<PathBuf> {
        let Some(text) = node.text() else {
            let span = if matches!(node.value, Value::Null) {
                key_span
            } else {
                node.span
            };
            let message = format!("`{key}` is a path, and this is {}", node.type_name());
            self.findings
                .error(Code::WrongType, span, pointer, message)
                .hint("write one path, in quotes where it looks like something else");
            return None;
        };
        let (code, message, hint) = if text.is_empty() {
            (
                Code::Empty,
                format!("`{key}` is empty"),
                "write a path, or remove the key",
            )
        } else if text.contains("${") {
            (
                Code::Reference,
                "references are resolved under `env` and `headers` only".to_owned(),
                "write the path out",
            )
        } else if text.contains('\0') {
            (
                Code::Unsendable,
                "no path can hold the character NUL".to_owned(),
                "remove it",
            )
        } else {
            return Some(self.base.join(text));
        };
        self.findings.error(code, node.span, pointer, message).hint(hint);
        None
    }

    /// The place of a part of a string; of all of it where it is spelled otherwise in the file.
    pub(super) fn place(&self, span: Span, text: &str, range: &Range<usize>) -> Span {
        match verbatim(self.source, span, text) {
            Some((_, start)) => {
                let offset = start.saturating_sub(span.start).saturating_add(range.start);
                span.within(self.source, offset, range.len())
            }
            None => span,
        }
    }
}

/// What was probably meant by what is no host.
fn host_hint(text: &str) -> String {
    let url = url::Url::parse(text).ok();
    match url.as_ref().and_then(url::Url::host_str) {
        Some(host) => format!("write the name alone: `{host}`"),
        None => "write a name alone, or with a port: `gate.example.com:8443`".to_owned(),
    }
}

/// Whether a text can be the path of a socket. `//` at its beginning is how a URL would go on.
fn is_socket_path(path: &str) -> bool {
    !path.is_empty() && !path.starts_with("//") && !path.ends_with('/') && !path.contains(['\0', '$'])
}

/// What was probably meant by what is no address and port.
fn address_hint(text: &str, example: SocketAddr) -> String {
    if let Ok(address) = text.parse::<IpAddr>() {
        return format!("add the port: `{}`", SocketAddr::new(address, example.port()));
    }
    let port = text
        .rsplit_once(':')
        .map(|(name, port)| (name, port.parse::<u16>()));
    match port {
        Some(("localhost" | "", Ok(port))) => format!("write the address out: `127.0.0.1:{port}`"),
        Some((_, Err(_))) => format!("a port is a number from 0 to 65535: `{example}`"),
        Some((_, Ok(_))) | None => {
            let port = example.port();
            format!("write an IP address and a port: `{example}`, or `\"[::1]:{port}\"`")
        }
    }
}
