//! The bounds of what is read, each with its unit.

/// 16 MiB: the default of [`Bounds::message_bytes_max`].
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The default of [`Bounds::depth_max`], and the most that is honoured.
const DEPTH_MAX: usize = 128;
/// The default of [`Bounds::batch_max`].
const BATCH_MAX: usize = 256;

/// How much is read before a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes in one received unit: a stdio line, an HTTP body, the data of an SSE event.
    pub message_bytes_max: usize,
    /// Levels of nesting, the envelope being the first. More than 128 is read as 128, so that code which
    /// walks a value recursively has a stack to stand on.
    pub depth_max: usize,
    /// Messages in one batch.
    pub batch_max: usize,
}

impl Bounds {
    /// The depth that is in force.
    pub(crate) fn depth_in_force(&self) -> usize {
        self.depth_max.min(DEPTH_MAX)
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            message_bytes_max: MESSAGE_BYTES_MAX,
            depth_max: DEPTH_MAX,
            batch_max: BATCH_MAX,
        }
    }
}
