//! Mirrored headers of MCP 2026-07-28 (streamable-http, "Request Metadata"): what a body asks for, and
//! whether the headers that came with it agree.

mod schema;
mod value;

use std::borrow::Cow;

use crate::envelope::Request;
use crate::json::{JsonKind, RawJson};
use crate::mcp::{META_PROTOCOL_VERSION, method};
use crate::scan::numeral;

pub use schema::{HeaderParam, SchemaError, params_of_schema};
pub use value::{BadHeaderValue, decode_value, encode_value};

/// The JSON-RPC error code for headers that disagree with their body.
pub const HEADER_MISMATCH: i32 = -32020;
/// The header that names the protocol version.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// The header that repeats `method`.
pub const METHOD: &str = "mcp-method";
/// The header that repeats `params.name`, `params.uri` or `params.taskId`.
pub const NAME: &str = "mcp-name";
/// What the name of a header that repeats an argument begins with.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// How a value of the body is compared with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Compare {
    Plain,
    Encoded,
    EncodedInteger,
}

/// One header that a body asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The header's name in lower case.
    pub header: Cow<'static, str>,
    /// The value that the body has, not yet encoded.
    pub value: Cow<'a, str>,
    compare: Compare,
}

impl Expected<'_> {
    /// The value as it is sent.
    #[must_use]
    pub fn encoded(&self) -> Cow<'_, str> {
        match self.compare {
            Compare::Plain => Cow::Borrowed(&self.value),
            Compare::Encoded | Compare::EncodedInteger => encode_value(&self.value),
        }
    }
}

/// Why headers and body do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A header that has to be there is not.
    #[error("the header `{header}` is missing")]
    Missing {
        /// The header's name in lower case.
        header: String,
    },
    /// A header is given more than once.
    #[error("the header `{header}` is given more than once")]
    Repeated {
        /// The header's name in lower case.
        header: String,
    },
    /// A value with characters that no header may hold, or an encoding that can not be read.
    #[error("the value of the header `{header}` is not valid: {cause}")]
    Invalid {
        /// The header's name in lower case.
        header: String,
        /// What is wrong with it.
        cause: BadHeaderValue,
    },
    /// The header says another thing than the body.
    #[error("the header `{header}` does not match the body")]
    Differs {
        /// The header's name in lower case.
        header: String,
    },
    /// A header repeats an argument that the call does not have.
    #[error("the header `{header}` repeats something that is not in the body")]
    Unexpected {
        /// The header's name in lower case.
        header: String,
    },
    /// The argument is of a type that no header can repeat, or an integer beyond 2^53 - 1.
    #[error("the argument for the header `{header}` is neither a string, a boolean nor a safe integer")]
    NotPrimitive {
        /// The header's name in lower case.
        header: String,
    },
    /// The body names no protocol version as a string.
    #[error("`_meta` of the body names no protocol version")]
    NoVersionInBody,
}

/// The headers that a modern request asks for. `params` are the annotated properties of the called tool
/// ([`params_of_schema`]); none for every other method.
///
/// # Errors
/// [`Mismatch`] where the body can not be mirrored.
pub fn expected<'a>(request: &Request<'a>, params: &[HeaderParam]) -> Result<Vec<Expected<'a>>, Mismatch> {
    let value = |key: &str| request.params.as_ref().and_then(|params| params.get(key));
    let version = value("_meta").and_then(|meta| meta.as_object()?.get(META_PROTOCOL_VERSION)?.as_str());
    let version = version.ok_or(Mismatch::NoVersionInBody)?;
    let mut headers = vec![
        Expected {
            header: PROTOCOL_VERSION.into(),
            value: version,
            compare: Compare::Plain,
        },
        Expected {
            header: METHOD.into(),
            value: request.method.clone(),
            compare: Compare::Plain,
        },
    ];
    let source = match request.method.as_ref() {
        method::TOOLS_CALL | method::PROMPTS_GET => Some("name"),
        method::RESOURCES_READ => Some("uri"),
        method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL => Some("taskId"),
        _ => None,
    };
    if let Some(name) = source.and_then(|source| value(source)?.as_str()) {
        headers.push(Expected {
            header: NAME.into(),
            value: name,
            compare: Compare::Encoded,
        });
    }
    if request.method == method::TOOLS_CALL {
        for param in params {
            headers.extend(mirrored(value("arguments"), param)?);
        }
    }
    Ok(headers)
}

/// Whether the headers that came with a request agree with its body. Headers that are not of this protocol,
/// and `Mcp-Param-*` that the tool does not know, are ignored.
///
/// # Errors
/// The first [`Mismatch`].
pub fn compare<'h>(
    request: &Request<'_>,
    params: &[HeaderParam],
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<(), Mismatch> {
    let expected = expected(request, params)?;
    let known = |name: &str| {
        [PROTOCOL_VERSION, METHOD, NAME]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
            || repeats(params, name)
    };
    agree(expected, known, headers)
}

/// Whether the `Mcp-Param-*` headers that came with a tool call agree with its arguments: for whoever has
/// compared the other headers before the tool's schema was at hand.
///
/// # Errors
/// The first [`Mismatch`].
pub fn compare_params<'h>(
    request: &Request<'_>,
    params: &[HeaderParam],
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<(), Mismatch> {
    let arguments = request.params.as_ref().and_then(|params| params.get("arguments"));
    let mut expected = Vec::new();
    for param in params {
        expected.extend(mirrored(arguments, param)?);
    }
    agree(expected, |name| repeats(params, name), headers)
}

/// Whether a header repeats one of these arguments.
fn repeats(params: &[HeaderParam], name: &str) -> bool {
    params
        .iter()
        .any(|param| param.header().eq_ignore_ascii_case(name))
}

/// Whether the headers that are `known` are those that are expected, each once.
fn agree<'h>(
    mut expected: Vec<Expected<'_>>,
    known: impl Fn(&str) -> bool,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<(), Mismatch> {
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in headers {
        if !known(name) {
            continue;
        }
        let header = name.to_ascii_lowercase();
        if seen.contains(&header) {
            return Err(Mismatch::Repeated { header });
        }
        seen.push(header.clone());
        let Some(index) = expected.iter().position(|expected| expected.header == header) else {
            if header == NAME {
                // Methods without a name of their own may still carry one; there is nothing to compare with.
                continue;
            }
            return Err(Mismatch::Unexpected { header });
        };
        agrees(&expected.swap_remove(index), value)?;
    }
    match expected.first() {
        Some(missing) => Err(Mismatch::Missing {
            header: missing.header.clone().into_owned(),
        }),
        None => Ok(()),
    }
}

fn agrees(expected: &Expected<'_>, sent: &[u8]) -> Result<(), Mismatch> {
    let header = || expected.header.clone().into_owned();
    let invalid = |cause| Mismatch::Invalid {
        header: header(),
        cause,
    };
    let equal = match expected.compare {
        Compare::Plain => value::plain(sent).map_err(invalid)? == expected.value,
        Compare::Encoded => decode_value(sent).map_err(invalid)? == expected.value,
        Compare::EncodedInteger => {
            let sent = decode_value(sent).map_err(invalid)?;
            integer(&sent).is_some_and(|sent| Some(sent) == integer(&expected.value))
        }
    };
    if equal {
        Ok(())
    } else {
        Err(Mismatch::Differs { header: header() })
    }
}

/// The header for one annotated property, if the arguments have a value at its path.
fn mirrored<'a>(
    arguments: Option<RawJson<'a>>,
    param: &HeaderParam,
) -> Result<Option<Expected<'a>>, Mismatch> {
    let mut at = arguments;
    for step in param.path() {
        at = at
            .and_then(|value| value.as_object())
            .and_then(|object| object.get(step));
    }
    let Some(value) = at else { return Ok(None) };
    let header = param.header();
    let not_primitive = || Mismatch::NotPrimitive {
        header: header.clone(),
    };
    let (value, compare) = match value.kind() {
        JsonKind::Null => return Ok(None),
        JsonKind::Bool => (Cow::Borrowed(value.text()), Compare::Encoded),
        JsonKind::String => (value.as_str().ok_or_else(not_primitive)?, Compare::Encoded),
        JsonKind::Number => {
            let integer = integer(value.text()).ok_or_else(not_primitive)?;
            (Cow::Owned(integer.to_string()), Compare::EncodedInteger)
        }
        JsonKind::Array | JsonKind::Object => return Err(not_primitive()),
    };
    Ok(Some(Expected {
        header: Cow::Owned(header),
        value,
        compare,
    }))
}

/// 2^53 - 1: the integers up to here, either way, are exact everywhere.
const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;

/// An integer, however it is written (`42`, `42.0`, `4.2e1`), within the safe range.
fn integer(numeral: &str) -> Option<i64> {
    if numeral::length(numeral.as_bytes()).ok()? != numeral.len() {
        return None;
    }
    let (sign, unsigned) = numeral
        .strip_prefix('-')
        .map_or((1, numeral), |unsigned| (-1, unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let shift = exponent
        .parse::<i64>()
        .ok()?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let trimmed = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - trimmed.len())
        .ok()?
        .checked_add(shift)?;
    let power = 10_i64.checked_pow(u32::try_from(zeros).ok()?)?;
    let value = trimmed.parse::<i64>().ok()?.checked_mul(power)?;
    (value <= SAFE_INTEGER_MAX).then_some(sign * value)
}
