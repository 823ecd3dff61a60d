//! Every bound that a policy's text is held to.

/// The most bytes a policy's text may have: 4 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most rules of any kind a policy may have: rules, `require`, `deny_if`, `require_approval`, limits,
/// validations, over all tools and methods.
pub const RULES_MAX: usize = 20_000;

/// How deep mappings and lists may nest, counted over YAML and JSON alike.
pub const NESTING_MAX: usize = 64;

/// The most values a document may have once its aliases are written out.
pub const NODES_MAX: usize = 1_000_000;

/// The most values that aliases may add by being written out.
pub const ALIAS_NODES_MAX: usize = 10_000;

/// The most patterns with wildcards among the keys of one mapping, and in `hide`.
pub const GLOBS_MAX: usize = 500;

/// The most patterns that the braces of one glob may stand for.
pub const GLOB_ALTERNATIVES_MAX: usize = 64;

/// The most bytes of one glob.
pub const GLOB_BYTES_MAX: usize = 256;

/// The most bytes of one regular expression.
pub const REGEX_BYTES_MAX: usize = 4_096;

/// The most bytes that one compiled regular expression may take.
pub const REGEX_COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes that the compiled regular expressions of a policy may take together: 64 MiB. The same one again takes
/// nothing.
pub const REGEXES_COMPILED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most steps of one path.
pub const PATH_SEGMENTS_MAX: usize = 32;

/// The most bytes of one CEL expression.
pub const CEL_BYTES_MAX: usize = 2_048;

/// The most opening brackets of a CEL expression, those in its strings included.
pub const CEL_BRACKETS_MAX: usize = 48;

/// The most signs (operators, dots, commas, brackets) of a CEL expression, those in its strings included.
pub const CEL_SIGNS_MAX: usize = 256;

/// How deep a CEL expression may nest once it is read.
pub const CEL_DEPTH_MAX: usize = 24;

/// How deep macros that walk a list (`all`, `exists`, `exists_one`, `map`, `filter`) may nest in CEL.
pub const CEL_LOOPS_MAX: usize = 2;

/// The most values that a CEL expression without loops gets to see; more is an error.
pub const CEL_NODES_MAX: usize = 10_000;

/// The most values that a CEL expression with a loop gets to see; more is an error. Each 64 bytes of text count
/// as one more, for a loop may look through a text as often as it has items.
pub const CEL_LOOP_NODES_MAX: usize = 4_000;

/// The most values that a CEL expression with nested loops gets to see, texts counted likewise.
pub const CEL_NESTED_NODES_MAX: usize = 300;

/// The most compiled input schemas that are kept.
pub const SCHEMAS_MAX: usize = 1_024;

/// The most bytes of an input schema that is compiled: 1 MiB.
pub const SCHEMA_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes that one compiled pattern of an input schema may take: 4 MiB.
pub const SCHEMA_PATTERN_COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most bytes that the compiled patterns of one input schema may take together: 16 MiB.
pub const SCHEMA_PATTERNS_COMPILED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes that the compiled patterns of all input schemas that a policy keeps may take together: 128 MiB. Where
/// another does not fit, all are let go.
pub const SCHEMAS_PATTERNS_COMPILED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The longest window of a limit, in seconds: 366 days.
pub const WINDOW_SECONDS_MAX: u64 = 366 * 86_400;

/// The longest `timeout`, in seconds: 1 hour.
pub const TIMEOUT_SECONDS_MAX: u64 = 3_600;

/// The longest `approval_timeout`, in seconds: 7 days.
pub const APPROVAL_SECONDS_MAX: u64 = 7 * 86_400;

/// The most calls in flight that `concurrent` may name.
pub const CONCURRENT_MAX: u32 = 1_000_000;

/// The most bytes of an `on_deny` or `reason`.
pub const MESSAGE_BYTES_MAX: usize = 4_096;

/// The most diagnostics that are kept of one document; what follows is counted only.
pub const DIAGNOSTICS_MAX: usize = 200;
