//! An answer, and what a test asks of it.

use serde_json::Value;

/// A response, as it came and as JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The line or the event, verbatim.
    pub raw: String,
    /// The same as JSON.
    pub json: Value,
}

impl Answer {
    /// Reads one.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    pub fn of(raw: &str) -> Self {
        let json = serde_json::from_str(raw).unwrap_or_else(|error| panic!("no JSON ({error}): {raw}"));
        Self {
            raw: raw.to_owned(),
            json,
        }
    }

    /// Its result.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn result(&self) -> &Value {
        self.json
            .get("result")
            .unwrap_or_else(|| panic!("no result: {}", self.raw))
    }

    /// The text that a tool has said.
    ///
    /// # Panics
    /// When it is no tool's result.
    #[must_use]
    pub fn text(&self) -> String {
        let text = self.result()["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text: {}", self.raw)).to_owned()
    }

    /// Whether it is a tool's result that tells of a failure.
    #[must_use]
    pub fn is_tool_error(&self) -> bool {
        self.json["result"]["isError"] == true
    }

    /// Whether the policy has denied the call.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.is_tool_error() && self.text().starts_with("[POLICY DENIED]")
    }

    /// The reason code of a refusal, from a result's `_meta` or an error's `data`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        let of = |place: &Value| {
            place
                .get("callgate/reason")
                .and_then(Value::as_str)
                .map(str::len)
                .is_some()
        };
        let places = [&self.json["result"]["_meta"], &self.json["error"]["data"]];
        let place = places.into_iter().find(|place| of(place))?;
        place["callgate/reason"].as_str()
    }

    /// The rule that has denied, a JSON Pointer or a name.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.json["result"]["_meta"]["callgate/rule"].as_str()
    }

    /// The code of a JSON-RPC error.
    #[must_use]
    pub fn error_code(&self) -> Option<i64> {
        self.json["error"]["code"].as_i64()
    }

    /// The text of a JSON-RPC error.
    #[must_use]
    pub fn error_message(&self) -> Option<&str> {
        self.json["error"]["message"].as_str()
    }

    /// The names of the tools of a list.
    #[must_use]
    pub fn tool_names(&self) -> Vec<String> {
        let tools = self.result()["tools"].as_array().cloned().unwrap_or_default();
        tools
            .iter()
            .filter_map(|tool| tool["name"].as_str().map(str::to_owned))
            .collect()
    }
}
