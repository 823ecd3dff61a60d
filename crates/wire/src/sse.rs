//! Server-sent events (WHATWG HTML, section 9.2): bytes in any pieces to events, and back.

use std::mem;

/// Bytes of an event beyond its data (field names, comments, line ends) that are kept.
const FRAMING_BYTES_MAX: usize = 64 * 1024;

/// One block of a stream: the lines up to an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The last `event` field.
    pub event: Option<String>,
    /// The last `id` field of this block; one that holds U+0000 is ignored.
    pub id: Option<String>,
    /// The last `retry` field that is all digits, in milliseconds.
    pub retry: Option<u64>,
    /// The `data` lines, joined by line feeds. `None` in a block without any, which browsers do not
    /// dispatch, but which may set `id` and `retry`.
    pub data: Option<Vec<u8>>,
    /// The exact bytes of the block, its empty line included. Where that line ends with CR LF, the block ends
    /// at the CR: it is complete there, and must not wait for a LF that may never come.
    pub raw: Vec<u8>,
}

/// What a stream consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A block of fields.
    Event(Event),
    /// A comment between blocks, as servers send to keep a connection open; without its colon.
    Comment(Vec<u8>),
    /// A block beyond the bound. It is skipped to its end; what follows is read as ever.
    TooLarge,
}

/// Reads a stream, whatever the pieces it comes in, in time linear in its bytes.
#[derive(Debug)]
pub struct Parser {
    data_bytes_max: usize,
    /// Fields of the block that is being read.
    block: Event,
    has_fields: bool,
    /// Start of the current line in `block.raw`.
    line_start: usize,
    /// The last line ended with CR, so a LF right now belongs to it.
    after_cr: bool,
    is_skipping: bool,
    /// While skipping: whether the current line has a byte.
    skipped_line_has_bytes: bool,
    bom: Bom,
    last_event_id: String,
    retry: Option<u64>,
}

/// How much of a leading byte-order mark has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bom {
    Seen(usize),
    Done,
}

const BOM: [u8; 3] = *b"\xef\xbb\xbf";

impl Parser {
    /// A parser for one stream; an event's data may have up to `data_bytes_max` bytes.
    #[must_use]
    pub fn new(data_bytes_max: usize) -> Self {
        Self {
            data_bytes_max,
            block: Event::default(),
            has_fields: false,
            line_start: 0,
            after_cr: false,
            is_skipping: false,
            skipped_line_has_bytes: false,
            bom: Bom::Seen(0),
            last_event_id: String::new(),
            retry: None,
        }
    }

    /// Reads the next piece and hands each item that is complete to `each`.
    pub fn push(&mut self, piece: &[u8], mut each: impl FnMut(Item)) {
        let mut rest = self.without_bom(piece, &mut each);
        while !rest.is_empty() {
            if mem::take(&mut self.after_cr)
                && let Some(after) = rest.strip_prefix(b"\n")
            {
                // The line was already read at its CR; its LF is only kept for `raw`.
                if !self.is_skipping && !self.block.raw.is_empty() {
                    self.block.raw.push(b'\n');
                    self.line_start = self.block.raw.len();
                }
                rest = after;
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', rest);
            let (line, after) = rest
                .split_at_checked(end.unwrap_or(rest.len()))
                .unwrap_or((rest, &[]));
            self.extend(line, &mut each);
            rest = after;
            if let Some((end, after)) = after.split_first() {
                rest = after;
                self.after_cr = *end == b'\r';
                self.end_line(*end, &mut each);
            }
        }
    }

    /// The id of the last whole block that had one, to resume after (`Last-Event-ID`).
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The last reconnection time, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Whether the stream, should it end here, ends inside a block; that block is then discarded.
    #[must_use]
    pub fn is_inside_event(&self) -> bool {
        self.is_skipping || !self.block.raw.is_empty()
    }

    /// Skips a byte-order mark at the very start, in whatever pieces it comes.
    fn without_bom<'p>(&mut self, piece: &'p [u8], each: &mut impl FnMut(Item)) -> &'p [u8] {
        let mut rest = piece;
        while let Bom::Seen(seen) = self.bom {
            let Some((byte, after)) = rest.split_first() else {
                break;
            };
            if BOM.get(seen) == Some(byte) {
                self.bom = if seen + 1 == BOM.len() {
                    Bom::Done
                } else {
                    Bom::Seen(seen + 1)
                };
                rest = after;
            } else {
                self.bom = Bom::Done;
                let begun = BOM.get(..seen).unwrap_or_default();
                self.extend(begun, each);
            }
        }
        rest
    }

    fn extend(&mut self, line: &[u8], each: &mut impl FnMut(Item)) {
        if self.is_skipping {
            self.skipped_line_has_bytes |= !line.is_empty();
            return;
        }
        if self.block.raw.len().saturating_add(line.len())
            > self.data_bytes_max.saturating_add(FRAMING_BYTES_MAX)
        {
            self.skipped_line_has_bytes = self.block.raw.len() > self.line_start || !line.is_empty();
            self.skip(each);
            return;
        }
        self.block.raw.extend_from_slice(line);
    }

    /// Gives the block up, and tells so once.
    fn skip(&mut self, each: &mut impl FnMut(Item)) {
        self.is_skipping = true;
        self.begin_block();
        each(Item::TooLarge);
    }

    fn begin_block(&mut self) -> Event {
        self.has_fields = false;
        self.line_start = 0;
        mem::take(&mut self.block)
    }

    fn end_line(&mut self, ending: u8, each: &mut impl FnMut(Item)) {
        if self.is_skipping {
            self.is_skipping = mem::take(&mut self.skipped_line_has_bytes);
            return;
        }
        let raw = mem::take(&mut self.block.raw);
        let line = raw.get(self.line_start..).unwrap_or_default();
        let is_empty = line.is_empty();
        let comment = line.strip_prefix(b":").filter(|_| !self.has_fields);
        if let Some(comment) = comment {
            each(Item::Comment(comment.to_vec()));
            self.begin_block();
            return;
        }
        if !is_empty && !line.starts_with(b":") {
            self.has_fields = true;
            self.field(line);
        }
        self.block.raw = raw;
        self.block.raw.push(ending);
        self.line_start = self.block.raw.len();
        if is_empty {
            let had_fields = self.has_fields;
            let event = self.begin_block();
            // Only a whole block moves the place to resume after.
            if let Some(id) = &event.id {
                self.last_event_id.clone_from(id);
            }
            if had_fields {
                each(Item::Event(event));
            }
        } else if self
            .block
            .data
            .as_ref()
            .is_some_and(|data| data.len() > self.data_bytes_max)
        {
            self.skipped_line_has_bytes = false;
            self.skip(each);
        }
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = line.get(colon + 1..).unwrap_or_default();
                (
                    line.get(..colon).unwrap_or_default(),
                    value.strip_prefix(b" ").unwrap_or(value),
                )
            }
            None => (line, &[][..]),
        };
        match name {
            b"data" => match &mut self.block.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                data @ None => *data = Some(value.to_vec()),
            },
            b"event" => self.block.event = Some(String::from_utf8_lossy(value).into_owned()),
            b"id" if !value.contains(&0) => {
                self.block.id = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let milliseconds = std::str::from_utf8(value)
                    .ok()
                    .and_then(|digits| digits.parse().ok());
                self.retry = milliseconds.or(self.retry);
                self.block.retry = milliseconds.or(self.block.retry);
            }
            _ => {}
        }
    }
}

/// Appends one event whose data is `data`: one `data:` line for each line of it, whatever ends those. The
/// reader gets line feeds, which in JSON mean the same as the line ends that were there.
pub fn write_data(out: &mut Vec<u8>, data: &[u8]) {
    let mut rest = data;
    loop {
        let end = memchr::memchr2(b'\r', b'\n', rest);
        let (line, after) = rest
            .split_at_checked(end.unwrap_or(rest.len()))
            .unwrap_or((rest, &[]));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = match after {
            [] => break,
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
        };
    }
    out.push(b'\n');
}

/// Appends one event with its fields. Line ends in `event` and `id`, which no field can hold, are left out.
pub fn write_event(out: &mut Vec<u8>, event: &Event) {
    for (name, value) in [("event", &event.event), ("id", &event.id)] {
        if let Some(value) = value {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend(value.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
            out.push(b'\n');
        }
    }
    if let Some(retry) = event.retry {
        out.extend_from_slice(format!("retry: {retry}\n").as_bytes());
    }
    match &event.data {
        Some(data) => write_data(out, data),
        None => out.push(b'\n'),
    }
}
