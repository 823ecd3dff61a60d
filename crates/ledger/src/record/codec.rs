//! How typed fields become members of a canonical object, and back.

use crate::canonical::{Fields, Json, write_integer, write_string};
use crate::encoding::hex_into;
use crate::record::{DecodeError, FORMAT_VERSION, Record};
use crate::value::{Amount, CallId, Code, Digest, RunId, Text, Uint53};

/// A value inside a record.
pub(crate) trait Scalar: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(json: Json<'_>) -> Option<Self>;
}

/// A member of an object: required, or absent when empty.
pub(crate) trait Field: Sized {
    fn put(&self, key: &'static str, writer: &mut Writer<'_>);
    fn take(fields: &mut Fields<'_>, key: &'static str) -> Result<Self, DecodeError>;
}

impl<T: Scalar> Field for T {
    fn put(&self, key: &'static str, writer: &mut Writer<'_>) {
        self.write(writer.key(key));
    }

    fn take(fields: &mut Fields<'_>, key: &'static str) -> Result<Self, DecodeError> {
        take(fields, key)
    }
}

impl<T: Scalar> Field for Option<T> {
    fn put(&self, key: &'static str, writer: &mut Writer<'_>) {
        if let Some(value) = self {
            value.put(key, writer);
        }
    }

    fn take(fields: &mut Fields<'_>, key: &'static str) -> Result<Self, DecodeError> {
        fields
            .take(key)
            .map(|json| T::read(json).ok_or(DecodeError::Invalid(key)))
            .transpose()
    }
}

impl<T: Scalar> Field for Vec<T> {
    fn put(&self, key: &'static str, writer: &mut Writer<'_>) {
        if self.is_empty() {
            return;
        }
        let out = writer.key(key);
        for (index, item) in self.iter().enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            item.write(out);
        }
        out.push(b']');
    }

    fn take(fields: &mut Fields<'_>, key: &'static str) -> Result<Self, DecodeError> {
        match fields.take(key) {
            None => Ok(Self::new()),
            Some(Json::Array(items)) => items
                .into_iter()
                .map(|item| T::read(item).ok_or(DecodeError::Invalid(key)))
                .collect(),
            Some(Json::Text(_) | Json::Integer(_) | Json::Object(_)) => Err(DecodeError::Invalid(key)),
        }
    }
}

/// Takes a required member.
pub(crate) fn take<T: Scalar>(fields: &mut Fields<'_>, key: &'static str) -> Result<T, DecodeError> {
    let json = fields.take(key).ok_or(DecodeError::Missing(key))?;
    T::read(json).ok_or(DecodeError::Invalid(key))
}

/// Writes one object. Members must come in the order of their keys; those of the record's header are
/// slipped in between at their places.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    header: Option<&'a Record>,
    header_done: usize,
    empty: bool,
}

const HEADER: [&str; 5] = ["at", "kind", "run", "seq", "v"];

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, record: &'a Record) -> Self {
        out.push(b'{');
        Self {
            out,
            header: Some(record),
            header_done: 0,
            empty: true,
        }
    }

    pub(crate) fn nested(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            header: None,
            header_done: HEADER.len(),
            empty: true,
        }
    }

    pub(crate) fn finish(mut self) {
        while self.header_member().is_some() {}
        self.out.push(b'}');
    }

    /// Writes `key` and gives where its value goes.
    pub(crate) fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        while HEADER.get(self.header_done).is_some_and(|header| *header < key) {
            self.header_member();
        }
        self.raw_key(key)
    }

    fn raw_key(&mut self, key: &'static str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn header_member(&mut self) -> Option<()> {
        let record = self.header?;
        let key = *HEADER.get(self.header_done)?;
        self.header_done += 1;
        let out = self.raw_key(key);
        match key {
            "at" => record.at.write(out),
            "kind" => write_string(record.kind().name(), out),
            "run" => record.run.write(out),
            "seq" => record.seq.write(out),
            _ => Uint53::from(FORMAT_VERSION).write(out),
        }
        Some(())
    }
}

impl Scalar for Uint53 {
    fn write(&self, out: &mut Vec<u8>) {
        write_integer(*self, out);
    }

    fn read(json: Json<'_>) -> Option<Self> {
        match json {
            Json::Integer(value) => Some(value),
            Json::Text(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }
}

/// The text of a string; nothing of any other value.
pub(crate) fn text_of<'j>(json: &'j Json<'_>) -> Option<&'j str> {
    match json {
        Json::Text(text) => Some(text),
        Json::Integer(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

macro_rules! string_scalars {
    ($($type:ty: $read:expr;)*) => {$(
        impl Scalar for $type {
            fn write(&self, out: &mut Vec<u8>) {
                write_string(self.as_str(), out);
            }

            fn read(json: Json<'_>) -> Option<Self> {
                text_of(&json).and_then($read)
            }
        }
    )*};
}

string_scalars! {
    Text: Self::read;
    Code: Self::read;
    Amount: |text| Self::new(text).ok();
}

/// Unbounded text, for what is bounded as a whole.
impl Scalar for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_string(self, out);
    }

    fn read(json: Json<'_>) -> Option<Self> {
        text_of(&json).map(Self::from)
    }
}

macro_rules! hex_scalars {
    ($($type:ty)*) => {$(
        impl Scalar for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.push(b'"');
                hex_into(self.as_bytes(), out);
                out.push(b'"');
            }

            fn read(json: Json<'_>) -> Option<Self> {
                text_of(&json).and_then(Self::from_hex)
            }
        }
    )*};
}

hex_scalars! { Digest CallId RunId crate::tree::Hash }
