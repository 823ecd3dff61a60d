//! Paths: where a condition finds its value.

use std::fmt;
use std::sync::Arc;

/// What a path starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// `args`: the call's arguments.
    Args,
    /// `caller`: `label`, `subject`, `grant`, `claims`.
    Caller,
    /// `tool`: `name`, `class`, `annotations`.
    Tool,
    /// `session`: `id`.
    Session,
    /// `time` in UTC: `hour`, `minute`, `weekday` (`mon` … `sun`), `date` (`2026-01-31`), `unix`.
    Time,
    /// `server`: `name`.
    Server,
    /// `uri`, `name` and other params of a method that is not a tool call.
    Params,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A member of an object.
    Key(Arc<str>),
    /// An element of an array, counted from 0.
    Index(usize),
    /// `[*]`: each element of an array.
    Each,
}

/// A path such as `args.items[*].price`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Where it starts.
    pub root: Root,
    /// The steps down.
    pub segments: Vec<Segment>,
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Args => "args",
            Self::Caller => "caller",
            Self::Tool => "tool",
            Self::Session => "session",
            Self::Time => "time",
            Self::Server => "server",
            Self::Params => "params",
        })
    }
}

impl fmt::Display for Path {
    /// Writes the path so that the policy parser reads the same path back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)?;
        for segment in &self.segments {
            match segment {
                Segment::Key(key) if is_plain(key) => write!(f, ".{key}")?,
                Segment::Key(key) => write!(f, "[{key:?}]")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Each => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can stand after a dot.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@'))
}
