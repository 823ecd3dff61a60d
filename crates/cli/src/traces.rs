//! Where traces go, by a configuration or by the variables that all programs with OpenTelemetry have in common.

use crate::reference::Variables;
use crate::words::{say, warn};
use anyhow::Context;
use callgate_gateway::traces::{Destination, Others, Ratio, Resource, Sampler, Share, Tracer};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long a collector may take where nobody says otherwise.
pub(crate) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// What the service is called where nobody says otherwise.
pub(crate) const SERVICE_DEFAULT: &str = "callgate";
/// How long the last spans may take to be handed over.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The samplers by their names, which OpenTelemetry gave them. A ratio takes the place of the share.
pub(crate) const SAMPLERS: [(&str, Others, Part); 6] = [
    ("parentbased_always_on", Others::Followed, Part::Fixed(Share::All)),
    ("parentbased_traceidratio", Others::Followed, Part::Ratio),
    (
        "parentbased_always_off",
        Others::Followed,
        Part::Fixed(Share::None),
    ),
    ("always_on", Others::Chosen, Part::Fixed(Share::All)),
    ("traceidratio", Others::Chosen, Part::Ratio),
    ("always_off", Others::Chosen, Part::Fixed(Share::None)),
];

/// Which traces a sampler takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// These.
    Fixed(Share),
    /// As many as a number says; all of them where there is none.
    Ratio,
}

/// Where traces go, and which.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Traces {
    /// The whole address, without credentials.
    pub(crate) endpoint: Url,
    /// What is sent along; every value is marked as sensitive.
    pub(crate) headers: HeaderMap,
    pub(crate) sampler: Sampler,
    /// The name of the service.
    pub(crate) service: String,
    /// What else is said of it.
    pub(crate) attributes: Vec<(String, String)>,
    /// How long the collector may take.
    pub(crate) timeout: Duration,
}

/// A query may hold secrets.
impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces")
            .field("host", &self.endpoint.host_str())
            .field("headers", &self.headers)
            .field("sampler", &self.sampler)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Traces {
    /// Begins to trace, and says where to.
    pub(crate) fn start(&self) -> anyhow::Result<Arc<Tracer>> {
        let resource = Resource {
            service: self.service.clone(),
            version: env!("CARGO_PKG_VERSION"),
            attributes: self.attributes.clone(),
        };
        let tracer = Tracer::start(self.sampler, resource, self.destination()?).context("traces")?;
        // Without a scheme: whoever looks for the address that is listened on looks for that.
        say(&format!("callgate: traces go to {}", self.endpoint.authority()));
        Ok(tracer)
    }

    /// Where they go.
    pub(crate) fn destination(&self) -> anyhow::Result<Destination> {
        Ok(Destination {
            uri: self.endpoint.as_str().parse().context("the address of traces")?,
            headers: self.headers.clone(),
            timeout: self.timeout,
        })
    }

    /// Whether both tell the same, whatever they send along.
    pub(crate) fn tells_as(&self, other: &Self) -> bool {
        let headers = self.headers.clone();
        *self
            == Self {
                headers,
                ..other.clone()
            }
    }

    /// What the variables say: `None` where they name no collector. What cannot be used is said, and does without.
    pub(crate) fn of_variables(variables: Variables<'_>) -> Option<Self> {
        let variables = Environment(variables);
        if variables
            .get("OTEL_SDK_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            return None;
        }
        let exporters = variables.get("OTEL_TRACES_EXPORTER");
        let is_otlp = |names: &String| names.split(',').any(|name| name.trim() == "otlp");
        if exporters.as_ref().is_some_and(|names| !is_otlp(names)) {
            return None;
        }
        let endpoint = variables.endpoint()?;
        if let Some((name, protocol)) = variables.of_traces("PROTOCOL")
            && protocol != "http/protobuf"
        {
            warn(&format!(
                "{name} is `{protocol}`, and traces are told by `http/protobuf` alone; none are"
            ));
            return None;
        }
        let mut attributes = variables.attributes();
        let is_name = |(key, _): &(String, String)| key == "service.name";
        let named = attributes
            .iter()
            .find(|one| is_name(one))
            .map(|(_, name)| name.clone());
        attributes.retain(|one| !is_name(one) && one.0 != "service.version");
        Some(Self {
            endpoint,
            headers: variables.headers(),
            sampler: variables.sampler(),
            service: variables
                .get("OTEL_SERVICE_NAME")
                .or(named)
                .unwrap_or_else(|| SERVICE_DEFAULT.to_owned()),
            attributes,
            timeout: variables.timeout(),
        })
    }
}

/// Hands over what is left.
pub(crate) async fn close(tracer: Option<&Arc<Tracer>>) {
    if let Some(tracer) = tracer {
        tracer.close(CLOSE_GRACE).await;
    }
}

/// The address of a collector; the error says what is wrong with it, without its text.
pub(crate) fn endpoint(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "this is no URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("traces go over http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds credentials, which would end up in logs");
    }
    url.as_str()
        .parse::<http::Uri>()
        .map_err(|_| "this is no URL to which anything can be sent")?;
    Ok(url)
}

/// The variables of OpenTelemetry. One that is empty counts as not set.
struct Environment<'v>(Variables<'v>);

impl Environment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?.into_string().ok()?;
        Some(value).filter(|value| !value.trim().is_empty())
    }

    /// A variable of the exporter, and its name: that of traces goes before that of everything.
    fn of_traces(&self, what: &str) -> Option<(String, String)> {
        let names = [
            format!("OTEL_EXPORTER_OTLP_TRACES_{what}"),
            format!("OTEL_EXPORTER_OTLP_{what}"),
        ];
        names
            .into_iter()
            .find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn endpoint(&self) -> Option<Url> {
        let (name, text) = self.of_traces("ENDPOINT")?;
        match endpoint(text.trim()) {
            Ok(mut url) => {
                // The general one is a base.
                if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
                    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
                    url.set_path(&path);
                }
                Some(url)
            }
            Err(wrong) => {
                warn(&format!("{name}: {wrong}; no traces are told"));
                None
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some((variable, text)) = self.of_traces("HEADERS") else {
            return headers;
        };
        for (name, value) in pairs(&text) {
            match (HeaderName::try_from(&name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                (Err(_), _) | (_, Err(_)) => {
                    warn(&format!("{variable} holds what no header can be; it is left out"));
                }
            }
        }
        headers
    }

    fn attributes(&self) -> Vec<(String, String)> {
        let text = self.get("OTEL_RESOURCE_ATTRIBUTES");
        text.map(|text| pairs(&text).collect()).unwrap_or_default()
    }

    fn timeout(&self) -> Duration {
        let Some((name, text)) = self.of_traces("TIMEOUT") else {
            return TIMEOUT_DEFAULT;
        };
        match text.trim().parse() {
            Ok(milliseconds @ 1..=600_000) => Duration::from_millis(milliseconds),
            Ok(_) | Err(_) => {
                warn(&format!(
                    "{name} is no number of milliseconds from 1 to 600000; it is {} s",
                    TIMEOUT_DEFAULT.as_secs()
                ));
                TIMEOUT_DEFAULT
            }
        }
    }

    fn sampler(&self) -> Sampler {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(named) = self.get(NAME) else {
            return Sampler::default();
        };
        let known = SAMPLERS.iter().find(|(name, _, _)| *name == named.trim());
        let Some((_, others, part)) = known else {
            warn(&format!("{NAME} is none that is known here; all traces are told"));
            return Sampler::default();
        };
        let share = match part {
            Part::Fixed(share) => *share,
            Part::Ratio => match self.get(ARGUMENT).map(|text| text.trim().parse().ok()) {
                None => Share::All,
                Some(ratio) => ratio.and_then(Ratio::new).map_or_else(
                    || {
                        warn(&format!(
                            "{ARGUMENT} is no number from 0 to 1; all traces are told"
                        ));
                        Share::All
                    },
                    Share::Ratio,
                ),
            },
        };
        Sampler {
            share,
            others: *others,
        }
    }
}

/// `key=value,key=value`, with values in percent-encoding.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split(',').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((key.trim().to_owned(), value.into_owned())).filter(|(key, _)| !key.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Option<Traces> {
        Traces::of_variables(&|name| {
            let found = set.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| value.into())
        })
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn without_a_collector_nothing_is_told_and_a_word_is_enough_to_turn_it_off() {
        for set in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "x")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            &[BASE, ("OTEL_SDK_DISABLED", "true")],
            &[BASE, ("OTEL_TRACES_EXPORTER", "none")],
            &[BASE, ("OTEL_TRACES_EXPORTER", "console")],
            &[BASE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            &[BASE, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:pw@collector")],
        ] {
            assert_eq!(of(set), None, "{set:?}");
        }
    }

    #[test]
    fn the_address_is_a_base_or_the_whole() {
        let address = |set: &[(&str, &str)]| of(set).unwrap().endpoint.to_string();
        assert_eq!(address(&[BASE]), "http://127.0.0.1:4318/v1/traces");
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://host/otlp/");
        assert_eq!(address(&[base]), "https://host/otlp/v1/traces");
        let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://host/spans");
        assert_eq!(address(&[BASE, whole]), "https://host/spans");
    }

    #[test]
    fn what_the_variables_say_is_in_force() {
        let plain = of(&[BASE]).unwrap();
        assert_eq!(
            (plain.service.as_str(), plain.timeout),
            ("callgate", TIMEOUT_DEFAULT)
        );
        assert_eq!(plain.sampler, Sampler::default());
        let traces = of(&[
            BASE,
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20s3cret, x-y =a=b,,bad name=1",
            ),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=other,deployment.environment.name=a%2Cb",
            ),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ])
        .unwrap();
        assert_eq!(traces.headers["authorization"], "Bearer s3cret");
        assert_eq!(traces.headers["x-y"], "a=b");
        assert_eq!(traces.headers.len(), 2);
        assert_eq!(traces.timeout, Duration::from_millis(250));
        assert_eq!(traces.service, "other");
        let attribute = ("deployment.environment.name".to_owned(), "a,b".to_owned());
        assert_eq!(traces.attributes, [attribute]);
        let share = Share::Ratio(Ratio::new(0.25).unwrap());
        let others = Others::Followed;
        assert_eq!(traces.sampler, Sampler { share, others });
        assert!(!format!("{traces:?}").contains("s3cret"), "{traces:?}");
    }

    #[test]
    fn what_cannot_be_used_does_without() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "no pair, a b=c"),
        ] {
            assert_eq!(of(&[BASE, (name, value)]), of(&[BASE]), "{name}={value}");
        }
        let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
        let traces = of(&[BASE, ratio, ("OTEL_TRACES_SAMPLER_ARG", "7")]).unwrap();
        assert_eq!(traces.sampler.share, Share::All);
    }
}
