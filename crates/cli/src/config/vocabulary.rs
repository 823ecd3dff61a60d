//! The words of a configuration, once: what reading accepts, and what the JSON Schema describes.

use super::name::{ISSUER_PATTERN, POLICY_PATTERN, SERVER_PATTERN};
use callgate_policy::document::Takes::{
    self, Boolean, Duration, List, Matching, NamedLike, Number, OneOf, Text, Whole, Words,
};
use callgate_policy::document::{Genre, Table, Word, schema};
use serde_json::{Value, json};

pub(super) const CONFIGURATION: Genre = Genre {
    called: "configuration",
    begin: "begin with `version: 1` and `servers:`",
    split: "keep policies in files of their own, under `policies`",
    repeat: "write the values out",
};

const fn word(key: &'static str, takes: Takes, about: &'static str) -> Word {
    Word { key, about, takes }
}

/// A whole configuration.
pub(super) static CONFIG: Table = Table {
    called: "a configuration",
    name: "configuration",
    about: "The configuration of `callgate serve`: the servers behind the gateway, and the policies for them.",
    keys: &[
        word(
            "version",
            OneOf(&[Words(&["1"]), Whole]),
            "The version of this format: 1.",
        ),
        word(
            "listen",
            Text,
            "The address and port to listen on, or `unix:PATH` for a Unix socket; 127.0.0.1:8700 if left out. Port 0 picks one.",
        ),
        word(
            "socket_mode",
            Words(&["0600", "0660", "0666"]),
            "Who may connect to the Unix socket: its owner, the default; its group; everyone on this machine.",
        ),
        word(
            "metrics",
            Text,
            "The address and port on which Prometheus finds metrics, or `unix:PATH`; none if left out. Port 0 picks one.",
        ),
        word(
            "admin",
            Takes::Table(&ADMIN),
            "Where those who run the gateway ask it and change it; nowhere if left out.",
        ),
        word("log", Takes::Table(&LOG), "What is told on stderr, and how."),
        word(
            "hosts",
            List(&Text),
            "Further names under which clients reach the gateway, as their `Host` header says them.",
        ),
        word(
            "tls",
            Takes::Table(&TLS),
            "The certificate that clients are shown. Without it, the gateway speaks plain HTTP.",
        ),
        word(
            "oauth",
            Takes::Table(&OAUTH),
            "Whose access tokens let callers in, beside the tokens of grants.",
        ),
        word(
            "traces",
            Takes::Table(&TRACES),
            "Where OpenTelemetry traces of calls go; where the environment says, if at all, if left out.",
        ),
        word(
            "state",
            Takes::Table(&STATE),
            "Where limits and ledger are kept, and what they survive.",
        ),
        word(
            "servers",
            NamedLike(SERVER_PATTERN, &Takes::Table(&SERVER)),
            "The servers behind the gateway, by name.",
        ),
        word(
            "policies",
            NamedLike(POLICY_PATTERN, &Text),
            "The policy files, by the name that grants give them; paths are relative to this file.",
        ),
        word(
            "local",
            NamedLike(SERVER_PATTERN, &Matching(POLICY_PATTERN)),
            "What callers on this machine may use until the first grant is made: the policy by which each server is judged.",
        ),
    ],
};

/// The admin API.
pub(super) static ADMIN: Table = Table {
    called: "`admin`",
    name: "admin",
    about: "The admin API: its address, and the token that each request needs.",
    keys: &[
        word(
            "listen",
            Text,
            "The address and port to listen on, or `unix:PATH`; 127.0.0.1:8701 if left out. Port 0 picks one.",
        ),
        word(
            "token",
            Text,
            "The token that each request needs, by reference: `${file:PATH}` or `${env:NAME}`.",
        ),
    ],
};

/// What is told on stderr.
pub(super) static LOG: Table = Table {
    called: "`log`",
    name: "log",
    about: "What is told on stderr, and how; `--log-format` and `--log-level` go before it.",
    keys: &[
        word(
            "format",
            Words(&["text", "json"]),
            "How it is written: `text`, the default, for people; `json`, one object a line.",
        ),
        word(
            "level",
            Words(&["debug", "info", "warn", "error"]),
            "What is told: `info`, the default, and what is graver.",
        ),
    ],
};

/// A certificate.
pub(super) static TLS: Table = Table {
    called: "`tls`",
    name: "tls",
    about: "The certificate that clients are shown, and its key.",
    keys: &[
        word(
            "certificate",
            Text,
            "The file of the chain of certificates in PEM, the gateway's own first; relative to this file.",
        ),
        word(
            "key",
            Text,
            "The file of the private key in PEM, relative to this file.",
        ),
    ],
};

/// Whose access tokens are accepted.
pub(super) static OAUTH: Table = Table {
    called: "`oauth`",
    name: "oauth",
    about: "Whose access tokens let callers in: the gateway is an OAuth 2.1 protected resource.",
    keys: &[
        word(
            "url",
            Matching("^https?://"),
            "The gateway as clients reach it, without a path: `https://gate.example.com`. Tokens and metadata name its endpoints so.",
        ),
        word(
            "scopes",
            List(&Text),
            "Scopes that each token needs, all of them.",
        ),
        word(
            "issuers",
            NamedLike(ISSUER_PATTERN, &Takes::Table(&ISSUER)),
            "The issuers whose tokens are accepted, by a name for them.",
        ),
    ],
};

/// One issuer.
pub(super) static ISSUER: Table = Table {
    called: "an issuer",
    name: "issuer",
    about: "An authorization server whose access tokens are accepted.",
    keys: &[
        word(
            "issuer",
            Matching("^https?://"),
            "What the `iss` of its tokens says, exactly.",
        ),
        word(
            "jwks",
            Matching("^https?://"),
            "Where its keys are: https, or http on this machine.",
        ),
        word(
            "jwks_file",
            Text,
            "The file of its keys, in place of `jwks`; relative to this file.",
        ),
        word(
            "audience",
            Text,
            "What the `aud` of its tokens has to hold; the URI of the endpoint that is called if left out.",
        ),
        word(
            "algorithms",
            List(&Words(&ALGORITHMS)),
            "The algorithms that its tokens may be signed by; all of these if left out.",
        ),
        word(
            "types",
            List(&Text),
            "What the `typ` of its tokens may be; `at+jwt` if left out.",
        ),
        word(
            "ignore_claims",
            List(&Text),
            "Claims that differ from token to token and say nothing of the caller; exp, iat, nbf and jti always are.",
        ),
        word(
            "refresh",
            Duration,
            "How old its keys may be before they are fetched again; 5m if left out.",
        ),
        word(
            "stale",
            Duration,
            "How old they may be while they cannot be fetched; 1h if left out. After that no token of it is accepted.",
        ),
    ],
};

/// The names of [`callgate_gateway::oauth::Algorithm`].
const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// Where traces go.
pub(super) static TRACES: Table = Table {
    called: "`traces`",
    name: "traces",
    about: "Where OpenTelemetry traces of calls go, over OTLP/HTTP in protocol buffers.",
    keys: &[
        word(
            "endpoint",
            Matching("^https?://"),
            "The whole address of the collector: `http://127.0.0.1:4318/v1/traces`.",
        ),
        word(
            "headers",
            Takes::NamedLike("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", &Text),
            "What the collector is sent with each request. `${env:NAME}` and `${file:PATH}` stand for values.",
        ),
        word(
            "sampler",
            Words(&[
                "parentbased_always_on",
                "parentbased_traceidratio",
                "parentbased_always_off",
                "always_on",
                "traceidratio",
                "always_off",
            ]),
            "Which traces are told, by OpenTelemetry's names; `parentbased_always_on` if left out, with a `ratio` `parentbased_traceidratio`.",
        ),
        word(
            "ratio",
            Number,
            "How many of the traces a sampler by ratio takes, from 0 to 1.",
        ),
        word(
            "service",
            Text,
            "The name of the service; `callgate` if left out.",
        ),
        word(
            "timeout",
            Duration,
            "How long the collector may take to answer; 10s if left out.",
        ),
    ],
};

/// Where the state is.
pub(super) static STATE: Table = Table {
    called: "`state`",
    name: "state",
    about: "Where limits and ledger are kept, and what they survive.",
    keys: &[
        word(
            "dir",
            Text,
            "The state folder, relative to this file; the user's own if left out.",
        ),
        word(
            "durability",
            Words(&["process", "disk"]),
            "What limits and ledger survive: `process`, the default, crashes of processes; `disk` loss of power too.",
        ),
    ],
};

/// One server.
pub(super) static SERVER: Table = Table {
    called: "a server",
    name: "server",
    about: "A server behind the gateway: a command, or a URL.",
    keys: &[
        word(
            "command",
            List(&Text),
            "The program of a server that runs as a child process, and its arguments.",
        ),
        word(
            "env",
            NamedLike("^[A-Za-z_][A-Za-z0-9_]*$", &Text),
            "The child's environment, all of it. `${env:NAME}` and `${file:PATH}` stand for values.",
        ),
        word(
            "dir",
            Text,
            "The child's working folder, relative to this file; the gateway's own if left out.",
        ),
        word(
            "shared",
            Boolean,
            "`false`, the default: one child a session. `true`: one for all sessions of all callers, which the server takes for one client.",
        ),
        word(
            "url",
            Matching("^https?://"),
            "The URL of a server that speaks Streamable HTTP, or HTTP+SSE.",
        ),
        word(
            "transport",
            Words(&["streamable", "sse"]),
            "How the server at the URL is spoken to: Streamable HTTP, the default, or `sse`, the transport of 2024-11-05.",
        ),
        word(
            "headers",
            Takes::NamedLike("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", &Text),
            "What the server at the URL is sent with each request. `${env:NAME}` and `${file:PATH}` stand for values.",
        ),
        word(
            "oauth",
            Takes::Table(&CLIENT),
            "How Callgate gets access tokens for the server at the URL, in place of an `Authorization` header.",
        ),
    ],
};

/// How tokens for a server are had.
pub(super) static CLIENT: Table = Table {
    called: "`oauth` of a server",
    name: "client",
    about: "How Callgate, as an OAuth client, gets access tokens for a server.",
    keys: &[
        word(
            "issuer",
            Matching("^https?://"),
            "The authorization server. Its metadata has to name itself so, and no other gets to see the secret.",
        ),
        word("client_id", Text, "Who Callgate is to the authorization server."),
        word(
            "client_secret",
            Text,
            "What proves it: a reference, `${env:NAME}` or `${file:PATH}`, and nothing else.",
        ),
        word(
            "flow",
            Words(&["client_credentials", "authorization_code"]),
            "How tokens are had: by Callgate's own secret, the default, or by a person who runs `callgate login`.",
        ),
        word(
            "client_metadata",
            Matching("^https://"),
            "In place of `client_id`, for `authorization_code`: the URL of the document that describes Callgate as a client.",
        ),
        word("scopes", List(&Text), "The scopes that are asked for."),
    ],
};

/// The JSON Schema (2020-12) of a configuration. It accepts every configuration that loads, and is looser than
/// loading.
pub(crate) fn json_schema() -> Value {
    let mut schema = schema(
        "Callgate configuration",
        &CONFIG,
        &[
            &ADMIN, &LOG, &TLS, &OAUTH, &ISSUER, &TRACES, &STATE, &SERVER, &CLIENT,
        ],
    );
    if let Value::Object(members) = &mut schema {
        members.insert("required".to_owned(), json!(["version", "servers"]));
    }
    if let Some(Value::Object(members)) = schema.pointer_mut("/$defs/server") {
        members.insert(
            "oneOf".to_owned(),
            json!([{ "required": ["command"] }, { "required": ["url"] }]),
        );
    }
    for (pointer, required) in [
        ("/$defs/oauth", json!(["url", "issuers"])),
        ("/$defs/issuer", json!(["issuer"])),
        ("/$defs/client", json!(["issuer"])),
        ("/$defs/traces", json!(["endpoint"])),
    ] {
        if let Some(Value::Object(members)) = schema.pointer_mut(pointer) {
            members.insert("required".to_owned(), required);
        }
    }
    if let Some(Value::Object(members)) = schema.pointer_mut("/$defs/issuer") {
        members.insert(
            "oneOf".to_owned(),
            json!([{ "required": ["jwks"] }, { "required": ["jwks_file"] }]),
        );
    }
    if let Some(Value::Object(members)) = schema.pointer_mut("/properties/servers") {
        members.insert("minProperties".to_owned(), json!(1));
    }
    schema
}
