//! Lists of tools: reading them to judge, and cutting hidden ones out of the bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::envelope::{Message, Payload, Response};
use crate::json::{JsonKind, Object, RawJson};
use crate::scan::keys::equal_without_case;

/// Why the result of `tools/list` can not be judged. The whole list is then refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Not an object, or one of its keys is given twice.
    #[error("the result of `tools/list` is not an object with each key given once")]
    NotAnObject,
    /// A key that differs from `tools` or `nextCursor` by case alone.
    #[error("the result of `tools/list` has a key that differs from `{known}` only by case")]
    CaseVariant {
        /// The key it is a variant of.
        known: &'static str,
    },
    /// `tools` is missing or no array.
    #[error("the result of `tools/list` has no array `tools`")]
    NoTools,
    /// `nextCursor` is there and no string.
    #[error("`nextCursor` in the result of `tools/list` is not a string")]
    BadCursor,
}

/// One tool as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool<'a> {
    /// The server's own name of it.
    pub name: Cow<'a, str>,
    /// The whole tool object.
    pub raw: RawJson<'a>,
    /// `inputSchema`, whatever its type. Framed only: see [`RawJson::check_strict`].
    pub input_schema: Option<RawJson<'a>>,
    /// `annotations`, whatever their type. Framed only: see [`RawJson::check_strict`].
    pub annotations: Option<RawJson<'a>>,
    /// `description`, whatever its type.
    pub description: Option<RawJson<'a>>,
}

/// One page of tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolList<'a> {
    elements: Vec<Element<'a>>,
    next_cursor: Option<Cow<'a, str>>,
    array: RawJson<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Element<'a> {
    raw: RawJson<'a>,
    /// `None` where it can not be judged.
    tool: Option<Tool<'a>>,
}

impl<'a> ToolList<'a> {
    /// Reads the result of `tools/list`.
    ///
    /// # Errors
    /// [`ListError`] where the page as a whole has no single meaning. A single tool that has none is no error:
    /// it is never shown.
    pub fn read(result: RawJson<'a>) -> Result<Self, ListError> {
        let object = result.as_object().ok_or(ListError::NotAnObject)?;
        for known in ["tools", "nextCursor"] {
            if has_variant(&object, known) {
                return Err(ListError::CaseVariant { known });
            }
        }
        let array = object.get("tools").ok_or(ListError::NoTools)?;
        let elements = array.as_array().ok_or(ListError::NoTools)?;
        let next_cursor = match object.get("nextCursor") {
            Some(cursor) if cursor.kind() != JsonKind::Null => {
                Some(cursor.as_str().ok_or(ListError::BadCursor)?)
            }
            Some(_) | None => None,
        };
        let elements = elements
            .into_iter()
            .map(|raw| Element { raw, tool: tool(raw) })
            .collect();
        Ok(Self {
            elements,
            next_cursor,
            array,
        })
    }

    /// The tools that can be judged, in their order.
    pub fn tools(&self) -> impl Iterator<Item = &Tool<'a>> {
        self.elements.iter().filter_map(|element| element.tool.as_ref())
    }

    /// How many elements can not be judged: no object, no name, or a key given twice.
    #[must_use]
    pub fn unjudgeable(&self) -> usize {
        self.elements
            .iter()
            .filter(|element| element.tool.is_none())
            .count()
    }

    /// Names that stand more than once in this page, each once and in order.
    #[must_use]
    pub fn duplicate_names(&self) -> Vec<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for tool in self.tools() {
            *counts.entry(&tool.name).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|(name, _)| name)
            .collect()
    }

    /// Where the next page begins. An empty cursor is a cursor.
    #[must_use]
    pub fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }

    /// The bytes of the message that holds this list, without the tools that `keep` rejects and those that can
    /// not be judged. Every other byte is as the server sent it. `None` where `message` is not the message
    /// this list was read from.
    pub fn filtered(
        &self,
        message: &Message<'a>,
        mut keep: impl FnMut(&Tool<'a>) -> bool,
    ) -> Option<Cow<'a, [u8]>> {
        let text = message.text();
        (text.get(self.array.span())? == self.array.text()).then_some(())?;
        let kept: Vec<bool> = self
            .elements
            .iter()
            .map(|element| element.tool.as_ref().is_some_and(&mut keep))
            .collect();
        if kept.iter().all(|kept| *kept) {
            return Some(Cow::Borrowed(message.raw()));
        }
        let (Some(first), Some(last)) = (self.elements.first(), self.elements.last()) else {
            return Some(Cow::Borrowed(message.raw()));
        };
        let mut out = String::with_capacity(text.len());
        out.push_str(text.get(..first.raw.span().start)?);
        let mut previous_end = first.raw.span().start;
        let mut is_first = true;
        for (element, kept) in self.elements.iter().zip(kept) {
            let span = element.raw.span();
            if kept {
                // The separator is the server's own: what stood before this element, unless none is needed.
                if !is_first {
                    out.push_str(text.get(previous_end..span.start)?);
                }
                out.push_str(element.raw.text());
                is_first = false;
            }
            previous_end = span.end;
        }
        out.push_str(text.get(last.raw.span().end..)?);
        Some(Cow::Owned(out.into_bytes()))
    }
}

/// The result that a response carries, if it is one.
#[must_use]
pub fn result_of<'a>(response: &Response<'a>) -> Option<RawJson<'a>> {
    match response.payload {
        Payload::Result(result) => Some(result),
        Payload::Error(_) => None,
    }
}

fn tool(raw: RawJson<'_>) -> Option<Tool<'_>> {
    let object = raw.as_object()?;
    if has_variant(&object, "name") {
        return None;
    }
    let name = object.get("name")?.as_str()?;
    Some(Tool {
        name,
        raw,
        input_schema: object.get("inputSchema"),
        annotations: object.get("annotations"),
        description: object.get("description"),
    })
}

fn has_variant(object: &Object<'_>, known: &str) -> bool {
    object
        .iter()
        .any(|(key, _)| key != known && equal_without_case(key, known))
}
