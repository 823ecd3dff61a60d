//! What an attack is made of: a server that can be attacked, what the attacker has the agent do, what ordinary use
//! looks like, and how one tells from what the server did that harm was done.

use super::issuer::Person;
use super::record::{Done, Recorder};
use super::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};

/// An attack that can be played. Its page has the same id.
#[async_trait(?Send)]
pub(super) trait Case: Sync {
    /// The id of its page.
    fn id(&self) -> &'static str;

    /// How it is reached.
    fn setting(&self) -> Setting {
        Setting::Run
    }

    /// The server of this name that can be attacked, as it starts. Where there is one alone, its name is the id.
    fn server(&self, name: &str) -> Box<dyn Server>;

    /// What the attacker has the agent do. It goes on where a call is denied: an error says that the attack could not
    /// be played.
    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()>;

    /// What the agent is there for. None of its calls may be denied or fail.
    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()>;

    /// The harm that the server did, in words that go on from "the server has", where it did any.
    fn harm(&self, done: &Done) -> Option<String>;

    /// A way of doing the same harm that the page's policy does not stop, as the page says under "What it does not
    /// stop": in a few words.
    fn beyond(&self) -> Option<&'static str> {
        None
    }

    /// Goes that way.
    async fn attack_beyond(&self, _: &mut Scene) -> anyhow::Result<()> {
        Ok(())
    }
}

/// How the callers reach what is attacked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Setting {
    /// One agent, which starts the server, or `callgate run` with the server behind it.
    Run,
    /// Servers over HTTP for several callers, or `callgate serve` before them.
    Serve(Serving),
    /// One agent, whose client starts the server in this environment, or `callgate serve` in the same environment,
    /// which starts it.
    Start(&'static [(&'static str, &'static str)]),
}

/// Several callers of servers over HTTP. Without Callgate each shows its label as its token; with it, it has a grant of
/// this label with the page's policy for each server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Serving {
    /// The names of the servers.
    pub(super) servers: &'static [&'static str],
    /// The labels of the callers.
    pub(super) callers: &'static [&'static str],
    /// The caller that is the agent, and the server that it uses.
    pub(super) first: (&'static str, &'static str),
    /// Whose tokens they show.
    pub(super) access: Access,
}

/// What the callers show.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    /// A token of their own, which says nothing of the server.
    Labels,
    /// Access tokens of an issuer, each for one server. These are the callers.
    Issuer(&'static [Person]),
}

/// A server that can be attacked: what it lists, and what it does.
pub(super) trait Server: Send {
    /// Its tools, as `tools/list` has them.
    fn tools(&self) -> Vec<Value>;

    /// Does what a call asks for, and writes down what it has done: a text for the agent, or one that says what
    /// failed.
    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String>;

    /// The result of a request that is no plain call of a tool, such as one of tasks, if it knows it.
    fn other(&mut self, _method: &str, _params: &Value, _recorder: &mut Recorder) -> Option<Value> {
        None
    }
}

/// A call as it reaches the server.
#[derive(Debug)]
pub(super) struct Call<'c> {
    pub(super) tool: &'c str,
    pub(super) arguments: &'c Value,
    /// The message as it came.
    pub(super) message: &'c str,
    /// The bearer token that came with it over HTTP.
    pub(super) token: Option<&'c str>,
    /// The session that it names over HTTP.
    pub(super) session: Option<&'c str>,
}

impl Call<'_> {
    /// An argument that is a text; empty where it is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.arguments
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// An argument that is a number; zero where it is none.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.arguments
            .get(name)
            .and_then(Value::as_f64)
            .unwrap_or_default()
    }
}

/// A tool and its arguments, each with its type; all of them are required.
pub(super) fn tool(name: &str, description: &str, arguments: &[(&str, &str)]) -> Value {
    let properties: serde_json::Map<String, Value> = arguments
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
    json!({
        "name": name,
        "description": description,
        "inputSchema": { "type": "object", "properties": properties, "required": required },
    })
}
