//! A server that may see the tickets of all tenants, and shows them to whoever asks.

use crate::commands::attacks::case::{Access, Call, Case, Server, Serving, Setting, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};

pub(super) struct ConfusedDeputy;

#[async_trait(?Send)]
impl Case for ConfusedDeputy {
    fn id(&self) -> &'static str {
        "confused-deputy"
    }

    fn setting(&self) -> Setting {
        Setting::Serve(Serving {
            servers: &["tickets"],
            callers: &["acme", "globex"],
            first: ("acme", "tickets"),
            access: Access::Labels,
        })
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Tickets)
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let agent = scene.agent();
        agent.call("list_tickets", json!({ "tenant": "globex" })).await?;
        let close = json!({ "tenant": "globex", "ticket": "7" });
        agent.call("close_ticket", close).await?;
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let acme = scene.agent();
        acme.call("list_tickets", json!({ "tenant": "acme" })).await?;
        acme.call("close_ticket", json!({ "tenant": "acme", "ticket": "3" }))
            .await?;
        let globex = scene.caller("globex", "tickets").await?;
        globex.call("list_tickets", json!({ "tenant": "globex" })).await?;
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        // In the attack only acme calls.
        let crossed: Vec<&str> = done
            .all("used its rights")
            .filter(|what| what.ends_with("globex"))
            .collect();
        (!crossed.is_empty()).then(|| format!("used its rights for acme, to {}", crossed.join(" and to ")))
    }
}

/// A server with one credential for all tenants, which does not look at who calls.
struct Tickets;

impl Server for Tickets {
    fn tools(&self) -> Vec<Value> {
        vec![
            tool(
                "list_tickets",
                "Lists the open tickets of a tenant.",
                &[("tenant", "string")],
            ),
            tool(
                "close_ticket",
                "Closes a ticket of a tenant.",
                &[("tenant", "string"), ("ticket", "string")],
            ),
        ]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let what = match call.tool {
            "list_tickets" => format!("list the tickets of {}", call.text("tenant")),
            _ => format!("close a ticket of {}", call.text("tenant")),
        };
        recorder.did("used its rights", what);
        Ok("done".to_owned())
    }
}
