//! An error that quotes a request, its key included.

use crate::commands::attacks::case::{Call, Case, Server, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};

pub(super) struct CredentialLeakInErrors;

const KEY: &str = "key_live_51c9";

#[async_trait(?Send)]
impl Case for CredentialLeakInErrors {
    fn id(&self) -> &'static str {
        "credential-leak-in-errors"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Billing)
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for invoice in ["'", "INV-20417\n", "../keys", "INV-20417?x=1"] {
            scene.agent().call("get_invoice", named(invoice)).await?;
        }
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for invoice in ["INV-20417", "INV-20418"] {
            scene.agent().call("get_invoice", named(invoice)).await?;
        }
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let told = done.count("told the agent its key");
        (told > 0).then(|| format!("told the agent its own key, {told} times"))
    }

    fn beyond(&self) -> Option<&'static str> {
        Some("an invoice that is well named and does not exist")
    }

    async fn attack_beyond(&self, scene: &mut Scene) -> anyhow::Result<()> {
        scene.agent().call("get_invoice", named("INV-99999999")).await?;
        Ok(())
    }
}

fn named(invoice: &str) -> Value {
    json!({ "invoice": invoice })
}

/// A server that hands its backend's errors on as they come.
struct Billing;

impl Server for Billing {
    fn tools(&self) -> Vec<Value> {
        vec![tool("get_invoice", "Reads an invoice.", &[("invoice", "string")])]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let invoice = call.text("invoice");
        if matches!(invoice, "INV-20417" | "INV-20418") {
            return Ok(format!("{invoice}: 120.00, paid"));
        }
        recorder.did("told the agent its key", invoice);
        Err(format!(
            "GET https://billing.internal/invoices/{invoice}?key={KEY}: 400 Bad Request"
        ))
    }
}
