//! YAML 1.2 to a tree, from the parser's events: no tags, no merge keys, no second document, bounded aliases.

use super::{Genre, Read, may_nest, scalar};
use crate::bounds::{ALIAS_NODES_MAX, NESTING_MAX, NODES_MAX};
use crate::diagnostic::{Code, Findings};
use crate::span::{Lines, Span};
use crate::tree::{Entry, Node, Value};
use granit_parser::{Event, Parser, Placement, ScalarStyle, ScanError, Tag};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn read(
    text: &str,
    base: usize,
    lines: &Lines<'_>,
    genre: &Genre,
    findings: &mut Findings,
) -> Option<Read> {
    let options = granit_parser::options! {
        flow_nesting_limit: NESTING_MAX * 2,
        block_nesting_limit: NESTING_MAX * 2,
        max_buffered_comment_events: text.len(),
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder {
        base,
        lines,
        genre,
        findings,
        stack: Vec::new(),
        root: None,
        anchors: BTreeMap::new(),
        comments: Vec::new(),
        nodes: 0,
        alias_nodes: 0,
        documents: 0,
    };
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => {
                if builder.event(event, &span).is_err() {
                    return None;
                }
            }
            Err(error) => {
                builder.syntax(&error, text);
                return None;
            }
        }
    }
    let trailing = std::mem::take(&mut builder.comments);
    match builder.root.take() {
        Some(root) => Some(Read { root, trailing }),
        None => {
            let span = builder.lines.span(0, 0);
            builder
                .findings
                .error(Code::Empty, span, "", format!("the {} is empty", genre.called))
                .hint(genre.begin);
            None
        }
    }
}

/// Reading goes no further; the finding has been made.
struct Stop;

enum Frame {
    List {
        items: Vec<Node>,
        start: Span,
        anchor: usize,
        above: Vec<Box<str>>,
    },
    Map {
        entries: Vec<Entry>,
        seen: BTreeSet<Box<str>>,
        key: Option<Key>,
        start: Span,
        anchor: usize,
        above: Vec<Box<str>>,
    },
}

/// A key whose value is still to come.
enum Key {
    Good {
        text: Box<str>,
        span: Span,
        above: Vec<Box<str>>,
    },
    /// One that was reported; its value is read and dropped.
    Bad,
}

struct Builder<'b, 't> {
    base: usize,
    lines: &'b Lines<'t>,
    genre: &'b Genre,
    findings: &'b mut Findings,
    stack: Vec<Frame>,
    root: Option<Node>,
    /// What each anchor stands for; `None` while it is still being read.
    anchors: BTreeMap<usize, Option<Node>>,
    comments: Vec<Box<str>>,
    nodes: usize,
    alias_nodes: usize,
    documents: usize,
}

impl Builder<'_, '_> {
    fn span(&self, span: &granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or_default();
        self.lines.span(range.start + self.base, range.end + self.base)
    }

    fn event(&mut self, event: Event<'_>, place: &granit_parser::Span) -> Result<(), Stop> {
        let span = self.span(place);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(tag.as_ref(), place);
                self.scalar(&text, style, anchor, span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_ref(), place);
                self.open(span, anchor, |start, above| Frame::List {
                    items: Vec::new(),
                    start,
                    anchor,
                    above,
                })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_ref(), place);
                self.open(span, anchor, |start, above| Frame::Map {
                    entries: Vec::new(),
                    seen: BTreeSet::new(),
                    key: None,
                    start,
                    anchor,
                    above,
                })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(id) => self.alias(id, span),
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.findings
                        .error(
                            Code::ManyDocuments,
                            span,
                            "",
                            "a file holds one policy, and a second begins here",
                        )
                        .hint("put it in a file of its own");
                    return Err(Stop);
                }
                Ok(())
            }
            Event::Comment(text, placement) => {
                self.comment(&text, placement, span);
                Ok(())
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_) => Ok(()),
            _ => Ok(()),
        }
    }

    fn tag(&mut self, tag: Option<&Cow<'_, Tag>>, place: &granit_parser::Span) {
        if tag.is_some() {
            let span = self.span(&place.tag_span().unwrap_or(*place));
            self.findings
                .error(Code::Tag, span, "", "tags are not used in a policy")
                .hint("remove the tag; put a value in quotes to make it a string");
        }
    }

    fn comment(&mut self, text: &str, placement: Placement, span: Span) {
        let last = match self.stack.last_mut() {
            Some(Frame::List { items, .. }) => items.last_mut(),
            Some(Frame::Map {
                entries, key: None, ..
            }) => entries.last_mut().map(|entry| &mut entry.value),
            Some(Frame::Map { .. }) | None => None,
        };
        match last {
            Some(node)
                if placement == Placement::Right
                    && node.beside.is_none()
                    && self.lines.span(node.span.end, node.span.end).line == span.line =>
            {
                node.beside = Some(text.into());
            }
            Some(_) | None => self.comments.push(text.into()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame::Map { key: None, .. }))
    }

    fn open(
        &mut self,
        span: Span,
        anchor: usize,
        frame: impl FnOnce(Span, Vec<Box<str>>) -> Frame,
    ) -> Result<(), Stop> {
        if self.wants_key() {
            self.findings
                .error(Code::KeyType, span, "", "a key has to be a string")
                .hint("put text with `{`, `[` or `?` in quotes");
            return Err(Stop);
        }
        if !may_nest(self.stack.len()) {
            self.findings
                .error(Code::TooDeep, span, "", "lists and mappings nest too deep here")
                .hint(format!("at most {NESTING_MAX} levels are read"));
            return Err(Stop);
        }
        self.count(1, span)?;
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        // Comments before a mapping or list belong to its first entry, unless it stands in a list.
        let above = match self.stack.last() {
            Some(Frame::List { .. }) => std::mem::take(&mut self.comments),
            Some(Frame::Map { .. }) | None => Vec::new(),
        };
        self.stack.push(frame(span, above));
        Ok(())
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Stop> {
        self.nodes += more;
        if self.nodes > NODES_MAX {
            self.findings.error(
                Code::TooLarge,
                span,
                "",
                format!("at most {NODES_MAX} values are read"),
            );
            return Err(Stop);
        }
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Stop> {
        let (mut node, anchor) = match self.stack.pop() {
            Some(Frame::List {
                items,
                start,
                anchor,
                above,
            }) => {
                let last = items.last().map_or(end, |item| item.span);
                let mut node = Node::new(start.to(last), Value::List(items));
                node.above = above;
                (node, anchor)
            }
            Some(Frame::Map {
                entries,
                start,
                anchor,
                above,
                ..
            }) => {
                let last = entries.last().map_or(end, |entry| entry.value.span);
                let mut node = Node::new(start.to(last), Value::Map(entries));
                node.above = above;
                (node, anchor)
            }
            None => return Ok(()),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, Some(node.clone()));
        }
        node.span.end = node.span.end.max(node.span.start);
        self.attach(node);
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, span: Span) -> Result<(), Stop> {
        self.count(1, span)?;
        let plain = style == ScalarStyle::Plain;
        if self.wants_key() {
            self.key(text, plain, span);
            return Ok(());
        }
        if plain && scalar::is_boolean_word(text) {
            self.findings
                .warn(
                    Code::BooleanWord,
                    span,
                    "",
                    format!("`{text}` is a string here, not a boolean"),
                )
                .hint(format!("write `true` or `false`, or `\"{text}\"` for the string"));
        }
        let value = if plain {
            match scalar::resolve(text) {
                Ok(value) => value,
                Err(unclear) => {
                    self.findings
                        .error(Code::NumberSpelling, span, "", unclear.message)
                        .hint(unclear.hint);
                    // Nothing more is to be said about it.
                    Value::Null
                }
            }
        } else {
            Value::String(text.into())
        };
        let mut node = Node::new(span, value);
        if anchor > 0 {
            self.anchors.insert(anchor, Some(node.clone()));
        }
        if matches!(self.stack.last(), Some(Frame::List { .. }) | None) {
            node.above = std::mem::take(&mut self.comments);
        }
        self.attach(node);
        Ok(())
    }

    fn key(&mut self, text: &str, plain: bool, span: Span) {
        let above = std::mem::take(&mut self.comments);
        let good = self.good_key(text, plain, span);
        let Some(Frame::Map { seen, key, .. }) = self.stack.last_mut() else {
            return;
        };
        *key = Some(Key::Bad);
        if !good {
            return;
        }
        if !seen.insert(text.into()) {
            self.findings
                .error(
                    Code::DuplicateKey,
                    span,
                    "",
                    format!("the key `{text}` stands twice in this mapping"),
                )
                .hint("keep one of them, or merge what they hold");
            return;
        }
        *key = Some(Key::Good {
            text: text.into(),
            span,
            above,
        });
    }

    fn good_key(&mut self, text: &str, plain: bool, span: Span) -> bool {
        if plain && text == "<<" {
            self.findings
                .error(Code::MergeKey, span, "", "merge keys do not exist in YAML 1.2")
                .hint("write the merged keys out");
            return false;
        }
        if plain && !matches!(scalar::resolve(text), Ok(Value::String(_))) {
            self.findings
                .error(Code::KeyType, span, "", "a key has to be a string")
                .hint(format!("write `\"{text}\"`"));
            return false;
        }
        true
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Stop> {
        if self.wants_key() {
            self.findings
                .error(Code::KeyType, span, "", "an alias cannot be a key")
                .hint("put a key that begins with `*` in quotes: `\"*\"`");
            return Err(Stop);
        }
        let Some(Some(node)) = self.anchors.get(&id) else {
            self.findings
                .error(
                    Code::AliasCycle,
                    span,
                    "",
                    "this alias stands inside what it repeats",
                )
                .hint("write the value out");
            return Err(Stop);
        };
        let (count, depth) = (node.count(), node.depth());
        self.alias_nodes = self.alias_nodes.saturating_add(count);
        if self.alias_nodes > ALIAS_NODES_MAX || depth + self.stack.len() > NESTING_MAX {
            self.findings
                .error(
                    Code::AliasBomb,
                    span,
                    "",
                    format!("aliases may add at most {ALIAS_NODES_MAX} values and {NESTING_MAX} levels"),
                )
                .hint(self.genre.repeat);
            return Err(Stop);
        }
        let node = node.clone();
        self.count(count, span)?;
        self.attach(node);
        Ok(())
    }

    fn attach(&mut self, mut node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => {
                if let Some(Key::Good { text, span, above }) = key.take() {
                    node.above = above;
                    entries.push(Entry {
                        key: text,
                        key_span: span,
                        value: node,
                    });
                }
            }
        }
    }

    fn syntax(&mut self, error: &ScanError, text: &str) {
        let at = error.marker().byte_offset().unwrap_or(text.len()) + self.base;
        let line = text
            .get(..at)
            .map_or(0, |before| before.rfind('\n').map_or(0, |n| n + 1));
        let here = text
            .get(line..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let hint = if here.trim_start().starts_with('*') {
            Some("put the key in quotes: `\"*\":`")
        } else if here.contains('\t') {
            Some("indent with spaces; YAML allows no tabs there")
        } else if here.contains(": ") && here.matches(": ").count() > 1 {
            Some("put text that contains `: ` in quotes")
        } else {
            None
        };
        let span = self.lines.span(at, at + 1);
        self.findings
            .error(Code::Syntax, span, "", error.kind().to_string())
            .maybe(hint.map(str::to_owned));
    }
}
