//! Where a configuration has traces go.

use super::read::Reader;
use super::vocabulary::TRACES;
use crate::traces::{Part, SAMPLERS, SERVICE_DEFAULT, TIMEOUT_DEFAULT, Traces, endpoint};
use callgate_gateway::traces::{Others, Ratio, Sampler, Share};
use callgate_policy::Code;
use callgate_policy::document::{Fields, join};
use callgate_policy::tree::Value;
use url::Url;

const FORM: &str = "write the whole address: `endpoint: http://127.0.0.1:4318/v1/traces`";
const TIMEOUT_SECONDS_MAX: u64 = 600;

impl Reader<'_> {
    /// Where traces go.
    pub(super) fn traces(&mut self, fields: Fields<'_>) -> Option<Traces> {
        let node = fields.value("traces")?;
        let fields = self.findings.fields(node, "/traces", &TRACES)?;
        let endpoint = self.endpoint(fields);
        let headers = self.headers(fields);
        let sampler = self.sampler(fields);
        let service = self.service(fields);
        let timeout = self.findings.duration(fields, "timeout", TIMEOUT_SECONDS_MAX);
        Some(Traces {
            endpoint: endpoint?,
            headers,
            sampler: sampler?,
            service,
            attributes: Vec::new(),
            timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
        })
    }

    fn endpoint(&mut self, fields: Fields<'_>) -> Option<Url> {
        let (text, span) = self.needed(fields, "endpoint", "`traces`", FORM)?;
        let (code, message, hint) = match endpoint(text) {
            _ if text.contains("${") => (
                Code::Reference,
                "references are resolved under `env` and `headers` only",
                "URLs end up in logs; hand the value over under `headers`",
            ),
            Ok(url) => return Some(url),
            // The text is part of no message: it may hold credentials that were mistyped.
            Err(wrong) => (Code::Url, wrong, FORM),
        };
        self.findings
            .error(code, span, "/traces/endpoint", message)
            .hint(hint);
        None
    }

    fn service(&mut self, fields: Fields<'_>) -> String {
        let Some((text, span)) = self.findings.text(fields, "service") else {
            return SERVICE_DEFAULT.to_owned();
        };
        if text.is_empty() {
            self.findings
                .error(Code::Empty, span, "/traces/service", "`service` is empty")
                .hint(format!(
                    "write a name, or remove the key: it is `{SERVICE_DEFAULT}` then"
                ));
        }
        text.to_owned()
    }

    fn sampler(&mut self, fields: Fields<'_>) -> Option<Sampler> {
        let words = SAMPLERS.map(|(name, others, part)| (name, (others, part)));
        let named = self.findings.word(fields, "sampler", &words);
        if fields.has("sampler") && named.is_none() {
            return None;
        }
        if !fields.has("ratio") {
            let (others, part) = named.unwrap_or((Others::Followed, Part::Ratio));
            let share = match part {
                Part::Fixed(share) => share,
                Part::Ratio => Share::All,
            };
            return Some(Sampler { share, others });
        }
        let ratio = self.ratio(fields)?;
        let (others, part) = named.unwrap_or((Others::Followed, Part::Ratio));
        if part == Part::Ratio {
            let share = Share::Ratio(ratio);
            return Some(Sampler { share, others });
        }
        let span = fields
            .entry("ratio")
            .map_or(fields.head(), |entry| entry.key_span);
        self.findings
            .error(
                Code::Conflict,
                span,
                "/traces/ratio",
                "this sampler takes no `ratio`",
            )
            .hint("remove it, or write `sampler: parentbased_traceidratio`");
        None
    }

    fn ratio(&mut self, fields: Fields<'_>) -> Option<Ratio> {
        const HINT: &str = "write `ratio: 0.1` for one trace in ten";
        let node = fields.value("ratio")?;
        let pointer = join(fields.pointer, "ratio");
        let Value::Number(text) = &node.value else {
            self.findings
                .wrong_type(node, &pointer, "`ratio` is a number from 0 to 1", HINT);
            return None;
        };
        let ratio = text.parse().ok().and_then(Ratio::new);
        if ratio.is_none() {
            self.findings
                .error(
                    Code::Number,
                    node.span,
                    &pointer,
                    "`ratio` is a number from 0 to 1",
                )
                .hint(HINT);
        }
        ratio
    }
}
