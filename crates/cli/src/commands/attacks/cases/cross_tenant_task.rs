//! The result of another caller's task, fetched by its id.

use crate::commands::attacks::case::{Access, Call, Case, Server, Serving, Setting, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};

pub(super) struct CrossTenantTask;

#[async_trait(?Send)]
impl Case for CrossTenantTask {
    fn id(&self) -> &'static str {
        "cross-tenant-task"
    }

    fn setting(&self) -> Setting {
        Setting::Serve(Serving {
            servers: &["reports"],
            callers: &["acme", "globex"],
            first: ("acme", "reports"),
            access: Access::Labels,
        })
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Reports::default())
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        scene.agent().try_to("tools/call", &export("acme")).await?;
        let globex = scene.caller("globex", "reports").await?;
        globex.try_to("tools/call", &export("globex")).await?;
        // Its own task is the second; it counts back.
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            globex.try_to(method, &json!({ "taskId": "task-1" })).await?;
        }
        globex.try_to("tasks/list", &json!({})).await?;
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let acme = scene.agent();
        acme.call("export_report", json!({ "of": "acme" })).await?;
        acme.try_to("tools/call", &export("acme")).await?;
        let fetched = acme.ask("tasks/result", &json!({ "taskId": "task-1" })).await?;
        let text = fetched.pointer("/result/content/0/text");
        anyhow::ensure!(
            text == Some(&json!("revenue of acme")),
            "a task of one's own: {fetched}"
        );
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        // In the attack acme fetches nothing.
        let did: Vec<String> = ["told the state of", "gave out", "cancelled"]
            .into_iter()
            .filter(|verb| done.has(verb, "acme's task"))
            .map(|verb| format!("{verb} acme's task"))
            .collect();
        (!did.is_empty()).then(|| format!("{} to globex", did.join(", ")))
    }
}

fn export(of: &str) -> Value {
    json!({ "name": "export_report", "arguments": { "of": of }, "task": { "ttl": 60000 } })
}

/// A server that numbers its tasks and asks for nothing but the number.
#[derive(Default)]
struct Reports {
    tasks: Vec<String>,
}

impl Server for Reports {
    fn tools(&self) -> Vec<Value> {
        vec![tool(
            "export_report",
            "Reads a report, which takes a while.",
            &[("of", "string")],
        )]
    }

    fn call(&mut self, call: &Call<'_>, _: &mut Recorder) -> Result<String, String> {
        Ok(format!("revenue of {}", call.text("of")))
    }

    fn other(&mut self, method: &str, params: &Value, recorder: &mut Recorder) -> Option<Value> {
        if method == "tools/call" {
            let of = params.pointer("/arguments/of").and_then(Value::as_str)?;
            self.tasks.push(of.to_owned());
            return Some(json!({ "task": state(self.tasks.len()) }));
        }
        if method == "tasks/list" {
            let tasks: Vec<Value> = (1..=self.tasks.len()).map(state).collect();
            return Some(json!({ "tasks": tasks }));
        }
        let id = params.get("taskId").and_then(Value::as_str)?;
        let number: usize = id.strip_prefix("task-")?.parse().ok()?;
        let of = self.tasks.get(number.checked_sub(1)?)?;
        let whose = format!("{of}'s task");
        match method {
            "tasks/get" => {
                recorder.did("told the state of", whose);
                Some(state(number))
            }
            "tasks/result" => {
                recorder.did("gave out", whose);
                let text = format!("revenue of {of}");
                Some(json!({ "content": [{ "type": "text", "text": text }], "isError": false }))
            }
            "tasks/cancel" => {
                recorder.did("cancelled", whose);
                Some(state(number))
            }
            _ => None,
        }
    }
}

fn state(number: usize) -> Value {
    json!({
        "taskId": format!("task-{number}"), "status": "working", "createdAt": "2026-11-26T00:00:00Z",
        "lastUpdatedAt": "2026-11-26T00:00:00Z", "ttl": 60000,
    })
}
