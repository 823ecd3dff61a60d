//! A shell command in an argument that a server puts into a command line.

use crate::commands::attacks::case::{Call, Case, Server};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::process::{Command, Stdio};

pub(super) struct ArgumentInjection;

/// Ways to say it; each makes a file of its own.
const INJECTIONS: [&str; 7] = [
    "shop; touch injected-1 #",
    "shop\ntouch injected-2",
    "$(touch injected-3)",
    "`touch injected-4`",
    "shop && touch injected-5",
    "shop | touch injected-6",
    "shop > injected-7",
];

#[async_trait(?Send)]
impl Case for ArgumentInjection {
    fn id(&self) -> &'static str {
        "argument-injection"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Cluster)
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let agent = scene.agent();
        for namespace in INJECTIONS {
            agent.call("execute_workflow", check(namespace)).await?;
        }
        // Where the namespace is looked at, another parameter may not be.
        let mut other = check("shop");
        if let Some(parameters) = other.pointer_mut("/parameters").and_then(Value::as_object_mut) {
            parameters.insert("label".to_owned(), "; touch injected-8".into());
        }
        agent.call("execute_workflow", other).await?;
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for namespace in ["shop", "warehouse"] {
            let answer = scene.agent().call("execute_workflow", check(namespace)).await?;
            anyhow::ensure!(
                answer.text().contains(&format!("pods of {namespace}")),
                "the check says: {}",
                answer.text()
            );
        }
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let files = done.count("let the shell make");
        (files > 0).then(|| format!("run the attacker's commands in its shell, {files} times"))
    }
}

fn check(namespace: &str) -> Value {
    json!({ "workflowName": "k8s-detective", "parameters": { "namespace": namespace } })
}

/// A server that puts its parameters into a command line as they came, and tells of success whatever happens.
struct Cluster;

impl Server for Cluster {
    fn tools(&self) -> Vec<Value> {
        vec![json!({
            "name": "execute_workflow",
            "description": "Runs a predefined workflow.",
            "inputSchema": {
                "type": "object",
                "properties": { "workflowName": { "type": "string" }, "parameters": { "type": "object" } },
                "required": ["workflowName"],
            },
        })]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let parameter = |name: &str| {
            let value = call.arguments.get("parameters").and_then(|all| all.get(name));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (namespace, label) = (parameter("namespace"), parameter("label"));
        let before = injected(recorder);
        let ran = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("echo pods of {namespace} {label}"))
            .current_dir(recorder.folder())
            .stdin(Stdio::null())
            .output();
        let ran = ran.map_err(|error| format!("/bin/sh: {error}"))?;
        for file in injected(recorder)
            .into_iter()
            .filter(|file| !before.contains(file))
        {
            recorder.did("let the shell make", file);
        }
        Ok(format!("success: true\n{}", String::from_utf8_lossy(&ran.stdout)))
    }
}

/// The files that are there only if the attacker's commands have run.
fn injected(recorder: &Recorder) -> Vec<String> {
    let files = std::fs::read_dir(recorder.folder())
        .into_iter()
        .flatten()
        .flatten();
    files
        .filter_map(|file| file.file_name().into_string().ok())
        .filter(|name| name.starts_with("injected-"))
        .collect()
}
