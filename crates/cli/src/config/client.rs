//! How Callgate gets access tokens for a server.

use super::read::Reader;
use super::secret::Secret;
use super::vocabulary::CLIENT;
use crate::reference::{Part, parts};
use callgate_policy::Code;
use callgate_policy::document::{Fields, join};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use url::Url;

const CALLED: &str = "`oauth` of a server";
const SECRET_FORM: &str = "write `client_secret: \"${env:NAME}\"` or `client_secret: \"${file:PATH}\"`";

/// Callgate as a client of an authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// The authorization server, as its metadata has to name it.
    pub(crate) issuer: Box<str>,
    /// How tokens are had.
    pub(crate) flow: Flow,
    /// What is asked for.
    pub(crate) scopes: Vec<Box<str>>,
}

/// How tokens are had, and who Callgate is to the authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flow {
    /// By a secret of Callgate's own (RFC 6749, section 4.4).
    Secret {
        /// Its id.
        id: Box<str>,
        /// What proves it.
        secret: Secret,
    },
    /// By a person who lets Callgate in once (RFC 6749, section 4.1).
    Login(Identity),
}

/// Who Callgate is where a person lets it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A client that was registered.
    Registered {
        /// Its id.
        id: Box<str>,
        /// What proves it, where it has something that does.
        secret: Option<Secret>,
    },
    /// A client that a document at this URL describes.
    Document(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FlowWord {
    Secret,
    Login,
}

impl Reader<'_> {
    /// How tokens for a server are had, where it takes such.
    pub(super) fn client(&mut self, server: Fields<'_>, headers: &HeaderMap) -> Option<Client> {
        let entry = server.entry("oauth")?;
        let node = server.value("oauth")?;
        let pointer = join(server.pointer, "oauth");
        if headers.contains_key(AUTHORIZATION) {
            self.findings
                .error(
                    Code::Conflict,
                    entry.key_span,
                    &pointer,
                    "a server gets an `Authorization` header or tokens by `oauth`, and this one has both",
                )
                .hint("keep one of them");
        }
        let fields = self.findings.fields(node, &pointer, &CLIENT)?;
        let issuer = self.issuer_url(fields, CALLED);
        let words = [
            ("client_credentials", FlowWord::Secret),
            ("authorization_code", FlowWord::Login),
        ];
        let flow = match self.findings.word(fields, "flow", &words) {
            Some(FlowWord::Login) => self.identity(fields).map(Flow::Login),
            Some(FlowWord::Secret) | None => self.own_secret(fields),
        };
        let scopes = self.scopes(fields);
        Some(Client {
            issuer: issuer?,
            flow: flow?,
            scopes,
        })
    }

    fn own_secret(&mut self, fields: Fields<'_>) -> Option<Flow> {
        if let Some(entry) = fields.entry("client_metadata") {
            self.findings
                .error(
                    Code::Conflict,
                    entry.key_span,
                    &join(fields.pointer, "client_metadata"),
                    "`client_metadata` is a key of `flow: authorization_code`",
                )
                .hint("remove it, or let a person log in");
        }
        let id = self.client_id(fields);
        if !fields.has("client_secret") {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    fields.pointer,
                    format!("{CALLED} needs `client_secret`"),
                )
                .hint(SECRET_FORM);
        }
        let secret = self.client_secret(fields);
        Some(Flow::Secret {
            id: id?,
            secret: secret?,
        })
    }

    fn identity(&mut self, fields: Fields<'_>) -> Option<Identity> {
        match (fields.entry("client_metadata"), fields.entry("client_id")) {
            (Some(_), None) => {
                if let Some(entry) = fields.entry("client_secret") {
                    self.findings
                        .error(
                            Code::Conflict,
                            entry.key_span,
                            &join(fields.pointer, "client_secret"),
                            "a client that a document describes has no secret",
                        )
                        .hint("remove it, or name a `client_id` in place of `client_metadata`");
                }
                self.document(fields)
            }
            (None, _) => {
                let id = self.client_id(fields);
                let secret = self.client_secret(fields);
                Some(Identity::Registered { id: id?, secret })
            }
            (Some(entry), Some(_)) => {
                self.findings
                    .error(
                        Code::Conflict,
                        entry.key_span,
                        fields.pointer,
                        "a client has `client_id` or `client_metadata`, and this one has both",
                    )
                    .hint("keep one of them");
                None
            }
        }
    }

    fn document(&mut self, fields: Fields<'_>) -> Option<Identity> {
        let (text, span) = self.findings.text(fields, "client_metadata")?;
        let is_good = Url::parse(text)
            .is_ok_and(|url| url.scheme() == "https" && url.path() != "/" && url.query().is_none());
        if is_good {
            return Some(Identity::Document(text.into()));
        }
        let pointer = join(fields.pointer, "client_metadata");
        self.findings
            .error(
                Code::Url,
                span,
                &pointer,
                "a client's document is an https URL with a path",
            )
            .hint("write `client_metadata: https://example.com/callgate.json`");
        None
    }

    fn client_id(&mut self, fields: Fields<'_>) -> Option<Box<str>> {
        let form = "write the id that the issuer knows Callgate by";
        self.needed(fields, "client_id", CALLED, form)
            .map(|(text, _)| text.into())
    }

    /// A secret that stands elsewhere: written out, it would be in every copy of the configuration.
    fn client_secret(&mut self, fields: Fields<'_>) -> Option<Secret> {
        let entry = fields.entry("client_secret")?;
        let (value, span) = self.secret(entry, fields.pointer, "client secret")?;
        let text = entry.value.text().unwrap_or_default();
        let mut pieces = parts(text).into_iter();
        let is_reference =
            matches!(pieces.next(), Some((Part::Env(_) | Part::File(_), _))) && pieces.next().is_none();
        let (message, hint) = if !is_reference {
            (
                "a client secret stands elsewhere, and is referred to",
                SECRET_FORM,
            )
        } else if value.is_empty() {
            (
                "this client secret is empty",
                "look at what the reference stands for",
            )
        } else {
            return Some(Secret::new(value));
        };
        let pointer = join(fields.pointer, "client_secret");
        self.findings
            .error(Code::Reference, span, &pointer, message)
            .hint(hint);
        None
    }
}
