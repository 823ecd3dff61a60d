//! W3C Trace Context: who is told by which trace a request belongs to, and what of it is believed.
//!
//! The values come from clients. What is not exactly of the standard's form is as good as none, and no more of it
//! is kept than the standard has intermediaries keep.

use crate::envelope::Request;
use crate::mcp::{META_TRACEPARENT, META_TRACESTATE};
use std::fmt;

/// Bytes of a `tracestate` that are passed on; intermediaries should pass on that many at least.
pub const STATE_BYTES_MAX: usize = 512;
/// Members of a `tracestate`.
const STATE_MEMBERS_MAX: usize = 32;
/// Members that are longer go first where not all can be passed on.
const LARGE_MEMBER_BYTES: usize = 128;
/// Bytes of a key or value.
const PART_BYTES_MAX: usize = 256;
/// The flag of traces that are recorded.
const SAMPLED: u8 = 1;

/// The id of a trace; not all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span; not all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// `None` for zeros alone.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// `None` for zeros alone.
    #[must_use]
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// Whether the spans of a trace are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampled {
    /// They are.
    Yes,
    /// They are not.
    No,
}

/// Which span a request was made in: what `traceparent` says. It is shown as that header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether its spans are recorded.
    pub sampled: Sampled,
}

impl TraceContext {
    /// Reads a `traceparent`. Of versions to come it is read what they have in common with the present one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let [version] = hex(parts.next()?)?;
        let (trace, span) = (hex(parts.next()?)?, hex(parts.next()?)?);
        let [flags] = hex(parts.next()?)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        Some(Self {
            trace: TraceId::new(trace)?,
            span: SpanId::new(span)?,
            sampled: if flags & SAMPLED == 0 {
                Sampled::No
            } else {
                Sampled::Yes
            },
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(match self.sampled {
            Sampled::Yes => "-01",
            Sampled::No => "-00",
        })
    }
}

/// Bytes that are written in lower-case hexadecimal digits, and in no others.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// What systems of tracing have noted along a trace: the members of a `tracestate`, as they are passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceState(Box<str>);

impl TraceState {
    /// Reads a `tracestate`; `None` where it has no member, or is not of the standard's form. Of one that is too
    /// large the large members go first, and then the last ones.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut members: Vec<&str> = Vec::new();
        for member in text.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            let is_new = members.iter().all(|one| one.split('=').next() != Some(key));
            if !is_key(key) || !is_value(value) || !is_new || members.len() >= STATE_MEMBERS_MAX {
                return None;
            }
            members.push(member);
        }
        let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>();
        let is_too_long = |members: &[&str]| length(members) > STATE_BYTES_MAX + 1;
        while is_too_long(&members) {
            let large = members
                .iter()
                .rposition(|member| member.len() > LARGE_MEMBER_BYTES);
            members.remove(large.unwrap_or(members.len().saturating_sub(1)));
        }
        (!members.is_empty()).then(|| Self(members.join(",").into()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key: of one system, or of one tenant of a system.
fn is_key(key: &str) -> bool {
    let is_inner = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
    };
    key.len() <= PART_BYTES_MAX
        && key
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.bytes().all(is_inner)
        && key.bytes().filter(|byte| *byte == b'@').count() <= 1
}

fn is_value(value: &str) -> bool {
    let is_inner = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    (1..=PART_BYTES_MAX).contains(&value.len()) && value.bytes().all(is_inner) && !value.ends_with(' ')
}

/// What a request says of the trace that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The span that it was made in.
    pub context: TraceContext,
    /// What was noted along the trace.
    pub state: Option<TraceState>,
}

impl Carried {
    /// What these values say; without a `traceparent` a `tracestate` has no meaning.
    #[must_use]
    pub fn of(parent: Option<&str>, state: Option<&str>) -> Option<Self> {
        Some(Self {
            context: TraceContext::parse(parent?)?,
            state: state.and_then(TraceState::parse),
        })
    }

    /// What stands in `_meta` of a request.
    #[must_use]
    pub fn in_meta(request: &Request<'_>) -> Option<Self> {
        let meta = request.params.as_ref()?.get("_meta")?.as_object()?;
        let text = |key| meta.get(key).and_then(|value| value.as_str());
        Self::of(
            text(META_TRACEPARENT).as_deref(),
            text(META_TRACESTATE).as_deref(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it() {
        assert_eq!(TraceContext::parse(GOOD).unwrap().to_string(), GOOD);
        for (text, is_read) in [
            (GOOD.to_owned(), true),
            (GOOD.replace("-01", "-00"), true),
            // Flags that are not known are no error, and not passed on.
            (GOOD.replace("-01", "-ff"), true),
            (GOOD.replacen("00", "cc", 1), true),
            (format!("{}-more", GOOD.replacen("00", "cc", 1)), true),
            (format!("{GOOD}-more"), false),
            (format!("{GOOD}-"), false),
            (format!("{}.more", GOOD.replacen("00", "cc", 1)), false),
            (GOOD.replacen("00", "ff", 1), false),
            (GOOD.replacen("00", "0", 1), false),
            (GOOD.replace('b', "B"), false),
            (
                GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
                false,
            ),
            (GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)), false),
            (GOOD.replace("-01", "-1"), false),
            (GOOD.replace("-01", ""), false),
            (GOOD.replace("-01", "-0g"), false),
            (GOOD.replace('-', "_"), false),
            (format!(" {GOOD}"), false),
            (format!("{GOOD} "), false),
            (format!("{GOOD}\0"), false),
            (format!("{GOOD},{GOOD}"), false),
            (GOOD.replace('4', "é"), false),
            ("0".repeat(1 << 20), false),
            (String::new(), false),
        ] {
            assert_eq!(TraceContext::parse(&text).is_some(), is_read, "{text:.80}");
        }
        let odd = TraceContext::parse(&GOOD.replace("-01", "-fe")).unwrap();
        assert_eq!(odd.sampled, Sampled::No);
        assert!(odd.to_string().ends_with("-00"), "{odd}");
    }

    #[test]
    fn a_tracestate_is_read_as_the_standard_has_it() {
        let long = "v".repeat(257);
        for (text, kept) in [
            ("a=1", Some("a=1")),
            ("a=1,b@c=2 3", Some("a=1,b@c=2 3")),
            (" a=1 ,,\tb=2, ", Some("a=1,b=2")),
            ("0a/*_-=~", Some("0a/*_-=~")),
            ("", None),
            (" , ,", None),
            ("a", None),
            ("a=", None),
            ("=1", None),
            ("A=1", None),
            ("_a=1", None),
            ("a@b@c=1", None),
            ("a=1=2", None),
            ("a=1,a=2", None),
            ("a=1\r\nx: y", None),
            ("a=\0", None),
            ("a=é", None),
            (&format!("a={long}"), None),
            (&format!("{long}=a"), None),
        ] {
            let read = TraceState::parse(text);
            assert_eq!(read.as_ref().map(TraceState::as_str), kept, "{text}");
        }
        let members = |count: usize| {
            let members: Vec<String> = (0..count).map(|number| format!("k{number}=v")).collect();
            members.join(",")
        };
        assert_eq!(TraceState::parse(&members(32)).unwrap().as_str(), members(32));
        assert_eq!(TraceState::parse(&members(33)), None);
    }

    #[test]
    fn of_a_large_tracestate_large_members_go_first_and_then_the_last() {
        let large = format!("l={}", "v".repeat(200));
        let small = |key: char| format!("{key}={}", "v".repeat(98));
        let text = format!(
            "{},{large},{},{},{}",
            small('a'),
            small('b'),
            small('c'),
            small('d')
        );
        let kept = TraceState::parse(&text).unwrap();
        assert_eq!(
            kept.as_str(),
            [small('a'), small('b'), small('c'), small('d')].join(",")
        );
        let text: Vec<String> = ('a'..='h').map(small).collect();
        let kept = TraceState::parse(&text.join(",")).unwrap();
        assert_eq!(kept.as_str(), text[..5].join(","));
        // Exactly as much as may be.
        let exact = format!("{},a1={}", text[..5].join(","), "v".repeat(4));
        assert_eq!(exact.len(), STATE_BYTES_MAX);
        assert_eq!(TraceState::parse(&exact).unwrap().as_str(), exact);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_in_the_standard_form_and_within_bounds(text in "[ -~\\t\\r\\n\u{0}é]{0,700}") {
            if let Some(state) = TraceState::parse(&text) {
                prop_assert!(state.as_str().len() <= STATE_BYTES_MAX);
                prop_assert!(state.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                prop_assert_eq!(TraceState::parse(state.as_str()), Some(state));
            }
        }

        #[test]
        fn a_context_is_read_as_it_was_written(trace: [u8; 16], span: [u8; 8], is_sampled: bool) {
            if let (Some(trace), Some(span)) = (TraceId::new(trace), SpanId::new(span)) {
                let sampled = if is_sampled { Sampled::Yes } else { Sampled::No };
                let context = TraceContext { trace, span, sampled };
                prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
            }
        }
    }
}
