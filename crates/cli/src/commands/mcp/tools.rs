//! The tools: what they are called, what they take, and who answers.

use super::answer::Answer;
use super::{arguments, denial, policy, servers};
use callgate_catalog::{Class, Severity, Signal};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Search,
    Server,
    Tool,
    Policy,
    Denial,
}

impl Ask {
    pub(super) const ALL: [Self; 5] = [Self::Search, Self::Server, Self::Tool, Self::Policy, Self::Denial];

    const fn name(self) -> &'static str {
        match self {
            Self::Search => "search_catalogue",
            Self::Server => "check_server",
            Self::Tool => "check_tool",
            Self::Policy => "check_policy",
            Self::Denial => "explain_denial",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ask| ask.name() == name)
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Search => "Search the catalogue of MCP servers",
            Self::Server => "Check an MCP server before it is connected",
            Self::Tool => "Check what a tool can do at worst",
            Self::Policy => "Check a Callgate policy, and how it judges a call",
            Self::Denial => "Explain why Callgate denied a call",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Search => {
                "Finds MCP servers and tools in Callgate's catalogue by words, class, severity and signals. Returns the class \
                 (Financial, Destructive, Execute, Write, Read) and severity of each."
            }
            Self::Server => {
                "Says go, ask or stop of an MCP server before it is connected, with reasons: of a server of the catalogue by \
                 name or package, or of the `tools/list` result that is given. Given both, it also says what differs from \
                 what was scanned. Looks at definitions alone; nothing is started or fetched."
            }
            Self::Tool => {
                "Says what one tool can do at worst: class, severity, signals, the evidence quoted from its definition, and \
                 the usual rule. Takes a definition, or the names of a server and a tool of the catalogue."
            }
            Self::Policy => {
                "Checks the text of a Callgate policy (YAML or JSON): what is wrong, where, and what it comes to. Given a \
                 call too, says whether the policy allows it, and which rule decides. Nothing is called or counted."
            }
            Self::Denial => {
                "Explains a denial of Callgate: what its reason code means and what to do. Takes the value of \
                 `callgate/reason` in `_meta`, or the text of the answer."
            }
        }
    }

    fn schema(self) -> Value {
        let codes = Signal::KINDS.map(|(code, _)| code);
        match self {
            Self::Search => json!({
                "type": "object",
                "properties": {
                    "text": {"type": "string", "maxLength": 1000, "description": "Words that have to be there: in a name, a package or a description"},
                    "class": {"type": "array", "items": {"enum": Class::ALL.map(Class::name)}, "description": "Tools of one of these classes"},
                    "severity": {"enum": Severity::ALL.map(Severity::name), "description": "Tools that are at least so severe"},
                    "signal": {"type": "array", "items": {"enum": codes}, "description": "Tools that have all of these signals"},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 50, "description": "At most so many; 10 where it is left out"},
                },
                "additionalProperties": false,
            }),
            Self::Server => json!({
                "type": "object",
                "properties": {
                    "server": {"type": "string", "maxLength": 1000, "description": "A server's name in the catalogue, or its package, such as mistral-mcp"},
                    "tools": {"type": ["object", "array"], "description": "What the server answers to `tools/list`: the result, or the array of tools"},
                },
                "additionalProperties": false,
            }),
            Self::Tool => json!({
                "type": "object",
                "properties": {
                    "server": {"type": "string", "maxLength": 1000, "description": "A server of the catalogue"},
                    "tool": {"type": "string", "maxLength": 1000, "description": "One of its tools"},
                    "definition": {"type": "object", "description": "In place of the two: the tool as a server lists it, with name, description, inputSchema, annotations"},
                },
                "additionalProperties": false,
            }),
            Self::Policy => json!({
                "type": "object",
                "properties": {
                    "policy": {"type": "string", "maxLength": 65_536, "description": "The text of the policy"},
                    "call": {
                        "type": "object",
                        "properties": {
                            "tool": {"type": "string", "maxLength": 1000},
                            "arguments": {"type": "object"},
                            "definition": {"type": "object", "description": "The tool as its server lists it, for `validate`"},
                        },
                        "required": ["tool"],
                        "additionalProperties": false,
                        "description": "A call to judge by it",
                    },
                },
                "required": ["policy"],
                "additionalProperties": false,
            }),
            Self::Denial => json!({
                "type": "object",
                "properties": {
                    "reason": {"type": "string", "maxLength": 1000, "description": "The code, such as rate_limited"},
                    "text": {"type": "string", "maxLength": 100_000, "description": "In place of it: the answer as it came"},
                },
                "additionalProperties": false,
            }),
        }
    }

    /// The tool as it is listed. Nothing is changed by any of them, and nothing outside is asked.
    pub(super) fn definition(self) -> Tool {
        let schema = match self.schema() {
            Value::Object(schema) => schema,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                JsonObject::new()
            }
        };
        Tool::new(self.name(), self.description(), schema)
            .with_title(self.title())
            .with_annotations(
                ToolAnnotations::new()
                    .read_only(true)
                    .destructive(false)
                    .idempotent(true)
                    .open_world(false),
            )
    }

    pub(super) fn answer(self, given: JsonObject) -> anyhow::Result<Answer> {
        match self {
            Self::Search => servers::search(&arguments::read(given)?),
            Self::Server => servers::check_server(&arguments::read(given)?),
            Self::Tool => servers::check_tool(arguments::read(given)?),
            Self::Policy => policy::check(arguments::read(given)?),
            Self::Denial => denial::explain(&arguments::read(given)?),
        }
    }
}
