//! A tool that is left out of the list, and works for whoever knows its name.

use crate::commands::attacks::case::{Call, Case, Server, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};

pub(super) struct HiddenToolCall;

#[async_trait(?Send)]
impl Case for HiddenToolCall {
    fn id(&self) -> &'static str {
        "hidden-tool-call"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Cluster)
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let agent = scene.agent();
        let shown = agent.tools().await?;
        anyhow::ensure!(shown.len() == 1, "the list has {} tools", shown.len());
        for (tool, arguments) in [
            ("delete_pod", json!({ "namespace": "shop", "name": "db-0" })),
            ("exec_in_pod", json!({ "namespace": "shop", "command": "env" })),
            ("scale_deployment", json!({ "namespace": "shop", "replicas": 0 })),
            ("get_logs", json!({ "namespace": "shop" })),
        ] {
            agent.call(tool, arguments).await?;
        }
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for namespace in ["shop", "shop-staging"] {
            let arguments = json!({ "namespace": namespace });
            scene.agent().call("get_pods", arguments).await?;
        }
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let tools: Vec<&str> = done.all("carried out").collect();
        (!tools.is_empty()).then(|| format!("carried out what it does not list: {}", tools.join(", ")))
    }
}

/// A server that restricts its list, and not its calls.
struct Cluster;

impl Server for Cluster {
    fn tools(&self) -> Vec<Value> {
        vec![tool("get_pods", "Lists the pods.", &[("namespace", "string")])]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        match call.tool {
            "get_pods" => Ok(format!("pods of {}: web-0, db-0", call.text("namespace"))),
            "delete_pod" | "exec_in_pod" | "scale_deployment" | "get_logs" => {
                recorder.did("carried out", call.tool);
                Ok("done".to_owned())
            }
            _ => Err("there is no such tool".to_owned()),
        }
    }
}
