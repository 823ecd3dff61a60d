//! JSON values as text again, for what a gate says itself. What it forwards are always the bytes that it got.

use crate::json::quoted;
use callgate_core::json::Json;

/// How a value is written.
#[derive(Debug, Clone, Copy)]
pub struct JsonStyle {
    /// Between two members or elements.
    pub between: &'static str,
    /// After a key.
    pub after_key: &'static str,
    /// A text or a key, quotes included.
    pub quoted: fn(&str) -> String,
}

impl JsonStyle {
    /// Without spaces, for programs.
    pub const COMPACT: Self = Self {
        between: ",",
        after_key: ":",
        quoted,
    };
    /// With a space after each comma and colon, for people.
    pub const SPACED: Self = Self {
        between: ", ",
        after_key: ": ",
        quoted,
    };

    /// A value in this style. Numbers keep their digits, and members their order.
    #[must_use]
    pub fn text(&self, value: &Json<'_>) -> String {
        let mut out = String::new();
        self.write(&mut out, value);
        out
    }

    fn write(&self, out: &mut String, value: &Json<'_>) {
        match value {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(digits) => out.push_str(digits),
            Json::String(text) => out.push_str(&(self.quoted)(text)),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(self.between);
                    }
                    self.write(out, item);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (key, member)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push_str(self.between);
                    }
                    out.push_str(&(self.quoted)(key));
                    out.push_str(self.after_key);
                    self.write(out, member);
                }
                out.push('}');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bounds, RawJson};

    #[test]
    fn a_value_is_written_as_it_was_read_but_for_its_spaces() {
        let text = r#"{ "a\"b" : [1.50, -0, true, false, null, "\u0007é"], "c": {}, "d": [] }"#;
        let read = RawJson::read(text.as_bytes(), &Bounds::default()).unwrap();
        let compact = r#"{"a\"b":[1.50,-0,true,false,null,"\u0007é"],"c":{},"d":[]}"#;
        assert_eq!(JsonStyle::COMPACT.text(&read.parse()), compact);
        let spaced = r#"{"a\"b": [1.50, -0, true, false, null, "\u0007é"], "c": {}, "d": []}"#;
        assert_eq!(JsonStyle::SPACED.text(&read.parse()), spaced);
    }
}
