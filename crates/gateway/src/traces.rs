//! OpenTelemetry traces: which trace a request belongs to, and what is told of it.
//!
//! A request that is traced has a span for what its client sees, and, once it is sent, one for what its server does.
//! A call costs random ids, the time, and a short lock at its end; all else is done by a thread of the exporter's
//! own (`export`), behind a queue with an end. What spans say are words of the program's own, names of the
//! configuration, and of the client's nothing but a tool that its server lists.

mod export;
mod otlp;
mod span;

pub use export::Destination;
pub(crate) use export::SpanCounts;
pub(crate) use span::{Heard, Outward, Subject, Trace};

use callgate_wire::trace::{Carried, Sampled, SpanId, TraceContext, TraceId};
use export::{Exporter, Queue};
use http::HeaderMap;
use span::Record;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// Of the traces that begin here.
    pub share: Share,
    /// Of those that begin elsewhere.
    pub others: Others,
}

/// How many of the traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All of them.
    All,
    /// None.
    None,
    /// So many of them, chosen by their ids.
    Ratio(Ratio),
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// How many of the 2^63 places of an id are in it.
    places: u64,
}

impl Ratio {
    /// A number from 0 to 1.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        // A cast of a float keeps its whole part.
        let places = || (value * 2_f64.powi(63)) as u64;
        (0.0..=1.0).contains(&value).then(|| Self { places: places() })
    }

    /// Whether a trace is in it, as the SDKs of OpenTelemetry choose them.
    fn holds(self, trace: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g, h] = *trace.bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1 < self.places
    }
}

/// What is done with traces that begin elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They are recorded where they are recorded there.
    Followed,
    /// They are chosen as those that begin here.
    Chosen,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            share: Share::All,
            others: Others::Followed,
        }
    }
}

impl Sampler {
    fn decide(self, trace: TraceId, parent: Option<&TraceContext>) -> Sampled {
        let is_recorded = match (self.others, parent, self.share) {
            (Others::Followed, Some(parent), _) => return parent.sampled,
            (_, _, Share::All) => true,
            (_, _, Share::None) => false,
            (_, _, Share::Ratio(ratio)) => ratio.holds(trace),
        };
        if is_recorded { Sampled::Yes } else { Sampled::No }
    }
}

/// What spans are said to be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The name of the service.
    pub service: String,
    /// The program's version.
    pub version: &'static str,
    /// What else is to be said of it.
    pub attributes: Vec<(String, String)>,
}

/// Makes spans and hands them over.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    queue: Arc<Queue>,
    exporter: Exporter,
}

/// A request that belongs to a trace.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What is told of it, where its trace is recorded.
    pub(crate) trace: Option<Box<Trace>>,
    /// What its server is told.
    pub(crate) outward: Arc<Outward>,
}

impl Tracer {
    /// Begins to hand spans over, on a thread of its own.
    ///
    /// # Errors
    /// Where the system gives no more threads.
    pub fn start(sampler: Sampler, resource: Resource, destination: Destination) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Queue::default());
        let exporter = Exporter::start(resource, destination, Arc::clone(&queue))?;
        Ok(Arc::new(Self {
            sampler,
            queue,
            exporter,
        }))
    }

    /// Hands spans over to this place from now on.
    pub fn redirect(&self, destination: Destination) {
        self.exporter.redirect(destination);
    }

    /// Hands over what is there, within so long.
    pub async fn close(&self, within: Duration) {
        self.exporter.close(within).await;
    }

    /// What became of the spans so far.
    pub(crate) fn counts(&self) -> SpanCounts {
        self.queue.counts()
    }

    /// What the headers of a request say of its trace.
    pub(crate) fn heard(headers: &HeaderMap) -> Heard {
        Heard::of(headers)
    }

    /// Begins the spans of a request that came at `received`. What it says itself goes before what came with it.
    /// `None` where the system has no randomness.
    pub(crate) fn begin(
        self: &Arc<Self>,
        subject: Subject<'_>,
        own: Option<Carried>,
        heard: Option<&Heard>,
        received: Instant,
    ) -> Option<Begun> {
        let around = heard.and_then(|heard| heard.carried.as_ref());
        // Where the two differ, the other one is linked to.
        let link = match (&own, around) {
            (Some(own), Some(around)) if own.context != around.context => Some(around.context),
            (_, _) => None,
        };
        let parent = own.or_else(|| around.cloned());
        let random = random()?;
        let trace = parent
            .as_ref()
            .map_or(random.trace, |parent| parent.context.trace);
        let sampled = self
            .sampler
            .decide(trace, parent.as_ref().map(|parent| &parent.context));
        let outward = TraceContext {
            trace,
            span: random.outward,
            sampled,
        };
        let (parent, state) = parent.map_or((None, None), |parent| (Some(parent.context.span), parent.state));
        let outward = Arc::new(Outward::new(
            Carried {
                context: outward,
                state,
            },
            heard.and_then(|heard| heard.baggage.clone()),
        ));
        let trace = (sampled == Sampled::Yes).then(|| {
            let at = SystemTime::now()
                .checked_sub(received.elapsed())
                .unwrap_or(SystemTime::UNIX_EPOCH);
            let record = Record::new(
                subject,
                random.own,
                parent,
                link,
                Arc::clone(&outward),
                at,
                received,
            );
            Box::new(Trace::new(record, Arc::clone(&self.queue)))
        });
        Some(Begun { trace, outward })
    }
}

/// Ids that nobody has used.
struct Random {
    trace: TraceId,
    own: SpanId,
    outward: SpanId,
}

fn random() -> Option<Random> {
    let (mut trace, mut own, mut outward) = ([0; 16], [0; 8], [0; 8]);
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).ok()?;
    let (first, rest) = bytes.split_at(16);
    let (second, third) = rest.split_at(8);
    trace.copy_from_slice(first);
    own.copy_from_slice(second);
    outward.copy_from_slice(third);
    Some(Random {
        trace: TraceId::new(trace)?,
        own: SpanId::new(own)?,
        outward: SpanId::new(outward)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(low: u64) -> TraceId {
        let mut bytes = [1; 16];
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        TraceId::new(bytes).unwrap()
    }

    fn ratio(value: f64) -> Share {
        Share::Ratio(Ratio::new(value).unwrap())
    }

    fn parent(sampled: Sampled) -> TraceContext {
        TraceContext {
            trace: trace(u64::MAX),
            span: SpanId::new([1; 8]).unwrap(),
            sampled,
        }
    }

    #[test]
    fn a_trace_is_recorded_as_where_it_began_or_as_its_id_says() {
        let sampler = |share, others| Sampler { share, others };
        let (yes, no) = (parent(Sampled::Yes), parent(Sampled::No));
        for (share, low, high) in [
            (Share::All, Sampled::Yes, Sampled::Yes),
            (Share::None, Sampled::No, Sampled::No),
            (ratio(0.0), Sampled::No, Sampled::No),
            (ratio(0.25), Sampled::Yes, Sampled::No),
            (ratio(1.0), Sampled::Yes, Sampled::Yes),
        ] {
            for others in [Others::Followed, Others::Chosen] {
                assert_eq!(sampler(share, others).decide(trace(0), None), low, "{share:?}");
                assert_eq!(
                    sampler(share, others).decide(trace(u64::MAX), None),
                    high,
                    "{share:?}"
                );
            }
            let followed = sampler(share, Others::Followed);
            assert_eq!(followed.decide(trace(0), Some(&yes)), Sampled::Yes, "{share:?}");
            assert_eq!(followed.decide(trace(0), Some(&no)), Sampled::No, "{share:?}");
            let chosen = sampler(share, Others::Chosen);
            assert_eq!(chosen.decide(trace(0), Some(&no)), low, "{share:?}");
            assert_eq!(chosen.decide(trace(u64::MAX), Some(&yes)), high, "{share:?}");
        }
    }

    #[test]
    fn a_share_of_the_ids_is_that_share() {
        let tenth = Ratio::new(0.1).unwrap();
        let within = (0..4_096_u64).filter(|number| tenth.holds(trace(number << 52)));
        assert_eq!(within.count(), 410);
        for value in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Ratio::new(value), None, "{value}");
        }
    }
}
