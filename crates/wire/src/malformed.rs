//! Why bytes are not a message: one variant a cause.

use std::fmt;

/// Characters of a key that an error repeats; keys come from outside and may be long.
const KEY_CHARS_MAX: usize = 64;

/// Why bytes were refused. Offsets count bytes from the start of the received unit (or of the value that was
/// checked). No variant carries a value from the message, only names of keys, so each may be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More bytes than [`crate::Bounds::message_bytes_max`].
    #[error("the message has {bytes} bytes, more than the {bytes_max} that are allowed")]
    TooLarge {
        /// Bytes received.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// Nested deeper than [`crate::Bounds::depth_max`].
    #[error("nested deeper than {depth_max} levels at byte {offset}")]
    TooDeep {
        /// Levels allowed.
        depth_max: usize,
        /// Where the level too many opens.
        offset: usize,
    },
    /// Nothing but white space.
    #[error("the message is empty")]
    Empty,
    /// Not UTF-8 (RFC 8259 section 8.1).
    #[error("not UTF-8 at byte {offset}")]
    InvalidUtf8 {
        /// The first byte that is not.
        offset: usize,
    },
    /// Begins with a byte-order mark, which some parsers skip and others refuse.
    #[error("begins with a byte-order mark; send plain UTF-8 without one")]
    ByteOrderMark,
    /// Not JSON (RFC 8259).
    #[error("not valid JSON at byte {offset}: expected {expected}")]
    Syntax {
        /// The byte that does not fit.
        offset: usize,
        /// What would have fitted.
        expected: Expected,
    },
    /// More bytes after the message.
    #[error("one message is already complete at byte {offset}, but more follows; send one message at a time")]
    TrailingData {
        /// The first byte after the message that is not white space.
        offset: usize,
    },
    /// The same key twice in one object.
    #[error("the key `{key}` is given twice in one object (byte {offset})")]
    DuplicateKey {
        /// The key, at most 64 characters of it.
        key: String,
        /// Where the later one begins.
        offset: usize,
    },
    /// Two keys of one object, or a key and one that the protocol knows, differ only by case.
    #[error(
        "the keys `{key}` and `{other}` differ only by case (byte {offset}); some servers read them as one"
    )]
    CaseVariantKeys {
        /// The key, at most 64 characters of it.
        key: String,
        /// The key it is a variant of.
        other: String,
        /// Where `key` begins.
        offset: usize,
    },
    /// A number with more than 40 significant digits, an exponent beyond ±308, or outside the range of a double.
    #[error("the number at byte {offset} can not be read exactly by every parser; send it as a string")]
    NumberOutOfRange {
        /// Where the number begins.
        offset: usize,
    },
    /// A `\ud800` to `\udfff` escape without its other half.
    #[error("half of a surrogate pair at byte {offset}; parsers disagree on what it means")]
    LoneSurrogate {
        /// Where the escape begins.
        offset: usize,
    },
    /// Valid JSON, but not an object.
    #[error("a message is a JSON object; this one is not (byte {offset})")]
    NotAnObject {
        /// Where the value begins.
        offset: usize,
    },
    /// `jsonrpc` is missing or not `"2.0"`.
    #[error("`jsonrpc` has to be `\"2.0\"`")]
    WrongVersion,
    /// `id` is neither a string nor an integer.
    #[error("`id` has to be a string or an integer (no fraction, no exponent)")]
    BadId,
    /// `method` is not a string.
    #[error("`method` has to be a string")]
    BadMethod,
    /// `params` is there and not an object.
    #[error("`params` has to be an object")]
    ParamsNotObject,
    /// `tools/call` as a notification: nobody could be answered.
    #[error("`tools/call` needs an `id`")]
    ToolCallWithoutId,
    /// Differs from a method of the protocol only by case, white space or control characters.
    #[error("the method is not `{known}` but looks like it")]
    MethodLooksLike {
        /// The method it looks like.
        known: &'static str,
    },
    /// Request and response at once, or result and error at once.
    #[error("`{first}` and `{second}` exclude each other in one message")]
    AmbiguousEnvelope {
        /// One of the two members.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
    /// None of `method`, `result` and `error`.
    #[error(
        "neither a request, a notification nor a response: `method`, `result` and `error` are all missing"
    )]
    NotAMessage,
    /// `error` is not an object with an integer `code` and a string `message`.
    #[error("`error` has to be an object with an integer `code` and a string `message`")]
    BadError,
    /// A batch without messages.
    #[error("the batch is empty")]
    EmptyBatch,
    /// A batch of more than [`crate::Bounds::batch_max`] messages.
    #[error("the batch has more than {batch_max} messages")]
    BatchTooLong {
        /// Messages allowed.
        batch_max: usize,
    },
    /// A batch inside a batch.
    #[error("a batch inside a batch at byte {offset}")]
    NestedBatch {
        /// Where the inner one opens.
        offset: usize,
    },
    /// `tools/call` without a `name` that is a non-empty string.
    #[error("`tools/call` needs a `name` that is a non-empty string")]
    BadToolName,
    /// `arguments` of `tools/call` is there and not an object.
    #[error("`arguments` has to be an object")]
    ArgumentsNotObject,
    /// `_meta` is there and not an object.
    #[error("`_meta` has to be an object")]
    MetaNotObject,
    /// A progress token that is neither a string nor an integer.
    #[error("a progress token has to be a string or an integer")]
    BadProgressToken,
    /// A cancellation that names no request.
    #[error("`notifications/cancelled` needs a `requestId` that is a string or an integer")]
    BadCancelTarget,
    /// A protocol version that is not a string.
    #[error("a protocol version has to be a string")]
    BadProtocolVersion,
}

impl Malformed {
    /// The JSON-RPC 2.0 error code for an answer: -32700 where the bytes are not JSON that everybody reads
    /// alike, -32600 where they are JSON but no valid message.
    #[must_use]
    pub fn jsonrpc_code(&self) -> i32 {
        match self {
            Self::Empty
            | Self::InvalidUtf8 { .. }
            | Self::ByteOrderMark
            | Self::Syntax { .. }
            | Self::TrailingData { .. }
            | Self::TooDeep { .. }
            | Self::NumberOutOfRange { .. }
            | Self::LoneSurrogate { .. } => -32700,
            Self::TooLarge { .. }
            | Self::DuplicateKey { .. }
            | Self::CaseVariantKeys { .. }
            | Self::NotAnObject { .. }
            | Self::WrongVersion
            | Self::BadId
            | Self::BadMethod
            | Self::ParamsNotObject
            | Self::ToolCallWithoutId
            | Self::MethodLooksLike { .. }
            | Self::AmbiguousEnvelope { .. }
            | Self::NotAMessage
            | Self::BadError
            | Self::EmptyBatch
            | Self::BatchTooLong { .. }
            | Self::NestedBatch { .. }
            | Self::BadToolName
            | Self::ArgumentsNotObject
            | Self::MetaNotObject
            | Self::BadProgressToken
            | Self::BadCancelTarget
            | Self::BadProtocolVersion => -32600,
        }
    }

    /// The byte at which the cause stands, where it stands at one.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        match self {
            Self::TooDeep { offset, .. }
            | Self::InvalidUtf8 { offset }
            | Self::Syntax { offset, .. }
            | Self::TrailingData { offset }
            | Self::DuplicateKey { offset, .. }
            | Self::CaseVariantKeys { offset, .. }
            | Self::NumberOutOfRange { offset }
            | Self::LoneSurrogate { offset }
            | Self::NotAnObject { offset }
            | Self::NestedBatch { offset } => Some(*offset),
            Self::TooLarge { .. }
            | Self::Empty
            | Self::ByteOrderMark
            | Self::WrongVersion
            | Self::BadId
            | Self::BadMethod
            | Self::ParamsNotObject
            | Self::ToolCallWithoutId
            | Self::MethodLooksLike { .. }
            | Self::AmbiguousEnvelope { .. }
            | Self::NotAMessage
            | Self::BadError
            | Self::EmptyBatch
            | Self::BatchTooLong { .. }
            | Self::BadToolName
            | Self::ArgumentsNotObject
            | Self::MetaNotObject
            | Self::BadProgressToken
            | Self::BadCancelTarget
            | Self::BadProtocolVersion => None,
        }
    }

    /// The stable name of the cause, for logs and the ledger.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::TooDeep { .. } => "too_deep",
            Self::Empty => "empty",
            Self::InvalidUtf8 { .. } => "invalid_utf8",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Syntax { .. } => "syntax",
            Self::TrailingData { .. } => "trailing_data",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::CaseVariantKeys { .. } => "case_variant_keys",
            Self::NumberOutOfRange { .. } => "number_out_of_range",
            Self::LoneSurrogate { .. } => "lone_surrogate",
            Self::NotAnObject { .. } => "not_an_object",
            Self::WrongVersion => "wrong_version",
            Self::BadId => "bad_id",
            Self::BadMethod => "bad_method",
            Self::ParamsNotObject => "params_not_object",
            Self::ToolCallWithoutId => "tool_call_without_id",
            Self::MethodLooksLike { .. } => "method_looks_like",
            Self::AmbiguousEnvelope { .. } => "ambiguous_envelope",
            Self::NotAMessage => "not_a_message",
            Self::BadError => "bad_error",
            Self::EmptyBatch => "empty_batch",
            Self::BatchTooLong { .. } => "batch_too_long",
            Self::NestedBatch { .. } => "nested_batch",
            Self::BadToolName => "bad_tool_name",
            Self::ArgumentsNotObject => "arguments_not_object",
            Self::MetaNotObject => "meta_not_object",
            Self::BadProgressToken => "bad_progress_token",
            Self::BadCancelTarget => "bad_cancel_target",
            Self::BadProtocolVersion => "bad_protocol_version",
        }
    }

    pub(crate) fn syntax(offset: usize, expected: Expected) -> Self {
        Self::Syntax { offset, expected }
    }

    pub(crate) fn duplicate_key(key: &str, offset: usize) -> Self {
        Self::DuplicateKey {
            key: shortened(key),
            offset,
        }
    }

    pub(crate) fn case_variant(key: &str, other: &str, offset: usize) -> Self {
        Self::CaseVariantKeys {
            key: shortened(key),
            other: shortened(other),
            offset,
        }
    }
}

/// What would have been valid JSON at the place of a [`Malformed::Syntax`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any JSON value.
    Value,
    /// A key in double quotes.
    Key,
    /// The `:` between key and value.
    Colon,
    /// `,` or `}`.
    CommaOrBrace,
    /// `,` or `]`.
    CommaOrBracket,
    /// A digit of a number.
    Digit,
    /// One of the escapes that JSON has.
    Escape,
    /// A control character written as an escape.
    EscapedControl,
    /// The `"` that ends a string.
    ClosingQuote,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "a value",
            Self::Key => "a key in double quotes",
            Self::Colon => "`:`",
            Self::CommaOrBrace => "`,` or `}`",
            Self::CommaOrBracket => "`,` or `]`",
            Self::Digit => "a digit",
            Self::Escape => "one of the escapes of JSON after the backslash",
            Self::EscapedControl => "an escape in place of a raw control character",
            Self::ClosingQuote => "`\"` to end the string",
        })
    }
}

fn shortened(key: &str) -> String {
    key.chars().take(KEY_CHARS_MAX).collect()
}
