//! A yes that is given by the tool that starts flows.

use crate::commands::attacks::case::{Call, Case, Server};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use url::Url;

pub(super) struct ApprovalBySideDoor;

#[async_trait(?Send)]
impl Case for ApprovalBySideDoor {
    fn id(&self) -> &'static str {
        "approval-by-side-door"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Flows {
            paused: ["4UXc2", "7Kbd9"].map(str::to_owned).into(),
        })
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for (namespace, flow) in [
            ("4UXc2", "resume#"),
            ("4UXc2", "resume?"),
            ("company.team/../4UXc2", "resume#"),
            ("company.team", "../4UXc2/resume"),
            ("resume", "by-query"),
        ] {
            let arguments = json!({ "namespace": namespace, "flow_id": flow });
            scene.agent().call("execute_flow", arguments).await?;
        }
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for flow in ["nightly-report", "import-orders"] {
            let arguments = json!({ "namespace": "company.team", "flow_id": flow });
            scene.agent().call("execute_flow", arguments).await?;
        }
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let resumed = done.count("resumed");
        (resumed > 0).then(|| format!("resumed {resumed} executions that waited for a person"))
    }

    fn beyond(&self) -> Option<&'static str> {
        Some("a flow on the list that itself resumes others")
    }

    async fn attack_beyond(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let inputs = json!({ "resume_before": "7Kbd9" });
        let arguments = json!({ "namespace": "company.team", "flow_id": "import-orders", "inputs": inputs });
        scene.agent().call("execute_flow", arguments).await?;
        Ok(())
    }
}

/// A server that puts both arguments into a path as they came, with the orchestrator behind it.
struct Flows {
    paused: BTreeSet<String>,
}

impl Server for Flows {
    fn tools(&self) -> Vec<Value> {
        vec![json!({
            "name": "execute_flow",
            "description": "Executes a flow of a namespace.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "namespace": { "type": "string" },
                    "flow_id": { "type": "string" },
                    "inputs": { "type": "object" },
                },
                "required": ["namespace", "flow_id"],
            },
        })]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let (namespace, flow) = (call.text("namespace"), call.text("flow_id"));
        let url = format!("http://127.0.0.1/executions/{namespace}/{flow}?wait=false");
        let url = Url::parse(&url).map_err(|error| error.to_string())?;
        let path: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        match path.as_slice() {
            ["executions", "resume", "by-query"] => {
                for execution in std::mem::take(&mut self.paused) {
                    recorder.did("resumed", execution);
                }
                // What came back is no started flow.
                Err("Error executing tool execute_flow: 'id'".to_owned())
            }
            ["executions", execution, "resume"] => {
                if self.paused.remove(*execution) {
                    recorder.did("resumed", *execution);
                }
                Err("Error executing tool execute_flow: 'id'".to_owned())
            }
            ["executions", namespace, flow] => {
                recorder.did("started", format!("{namespace}.{flow}"));
                // A flow may do what the agent may not.
                let resumed = call.arguments.pointer("/inputs/resume_before");
                if let Some(execution) = resumed.and_then(Value::as_str)
                    && self.paused.remove(execution)
                {
                    recorder.did("resumed", execution);
                }
                Ok(format!("{namespace}.{flow} is QUEUED"))
            }
            _ => Err("Error executing tool execute_flow: 404".to_owned()),
        }
    }
}
