//! How Callgate gets access tokens for a server.

use super::read::Reader;
use super::secret::Secret;
use super::vocabulary::CLIENT;
use crate::reference::{Part, parts};
use callgate_policy::Code;
use callgate_policy::document::{Fields, join};
use http::HeaderMap;
use http::header::AUTHORIZATION;

const CALLED: &str = "`oauth` of a server";
const SECRET_FORM: &str = "write `client_secret: \"${env:NAME}\"` or `client_secret: \"${file:PATH}\"`";

/// Callgate as a client of an authorization server, by client credentials (RFC 6749, section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// The authorization server, as its metadata has to name it.
    pub(crate) issuer: Box<str>,
    /// Who Callgate is there.
    pub(crate) id: Box<str>,
    /// What proves it.
    pub(crate) secret: Secret,
    /// What is asked for.
    pub(crate) scopes: Vec<Box<str>>,
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
        let id = self
            .needed(
                fields,
                "client_id",
                CALLED,
                "write the id that the issuer knows Callgate by",
            )
            .map(|(text, _)| Box::from(text));
        let secret = self.client_secret(fields);
        let scopes = self.scopes(fields);
        Some(Client {
            issuer: issuer?,
            id: id?,
            secret: secret?,
            scopes,
        })
    }

    /// A secret that stands elsewhere: written out, it would be in every copy of the configuration.
    fn client_secret(&mut self, fields: Fields<'_>) -> Option<Secret> {
        let Some(entry) = fields.entry("client_secret") else {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    fields.pointer,
                    format!("{CALLED} needs `client_secret`"),
                )
                .hint(SECRET_FORM);
            return None;
        };
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
