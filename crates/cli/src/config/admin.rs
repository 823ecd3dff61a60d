//! The admin API of a configuration.

use super::read::Reader;
use super::secret::Secret;
use super::vocabulary::ADMIN;
use super::{ADMIN_DEFAULT, Admin};
use crate::reference::{Part, parts};
use callgate_gateway::serve::http::{Address, Token};
use callgate_policy::Code;
use callgate_policy::document::{Fields, join};

const FORM: &str =
    "write `token: \"${file:admin-token}\"`, and make it with `openssl rand -hex 32 > admin-token`";

impl Reader<'_> {
    /// The admin API; `taken` are the addresses of the gateway that are something else.
    pub(super) fn admin(&mut self, fields: Fields<'_>, taken: &[&Address]) -> Option<Admin> {
        let node = fields.value("admin")?;
        let fields = self.findings.fields(node, "/admin", &ADMIN)?;
        let listen = self.address(fields, "listen", ADMIN_DEFAULT);
        let listen = listen.unwrap_or(Address::Net(ADMIN_DEFAULT));
        let span = fields.value("listen").map_or(fields.head(), |node| node.span);
        let picks_one = matches!(&listen, Address::Net(address) if address.port() == 0);
        if taken.contains(&&listen) && !picks_one {
            self.findings
                .error(
                    Code::Address,
                    span,
                    "/admin/listen",
                    "the admin API needs an address of its own",
                )
                .hint(format!("give it another port: `{ADMIN_DEFAULT}`"));
        }
        if matches!(&listen, Address::Net(address) if !address.ip().is_loopback()) {
            self.findings
                .warn(
                    Code::Address,
                    span,
                    "/admin/listen",
                    "other machines reach the admin API here, and it speaks plain HTTP",
                )
                .hint("keep it on 127.0.0.1 or on a Unix socket, or in a network that nobody else reaches");
        }
        let token = self.admin_token(fields)?;
        Some(Admin { listen, token })
    }

    /// A token by reference: a file that many read is no place for it.
    fn admin_token(&mut self, fields: Fields<'_>) -> Option<Secret> {
        let pointer = join(fields.pointer, "token");
        let Some(entry) = fields.entry("token") else {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    fields.pointer,
                    "`admin` needs `token`: nobody is let in without one",
                )
                .hint(FORM);
            return None;
        };
        let is_literal = |text: &str| {
            let mut parts = parts(text).into_iter();
            parts.any(|(part, _)| matches!(part, Part::Text(_)))
        };
        if entry.value.text().is_some_and(is_literal) {
            self.findings
                .error(
                    Code::Reference,
                    entry.value.span,
                    &pointer,
                    "the token of `admin` is a reference and nothing else",
                )
                .hint(FORM);
            return None;
        }
        let (token, span) = self.secret(entry, fields.pointer, "token")?;
        if let Err(cause) = Token::new(&token) {
            self.findings
                .error(Code::Unsendable, span, &pointer, cause.to_string())
                .hint(FORM);
            return None;
        }
        Some(Secret::new(token))
    }
}
