//! A budget that is filled up again by what is spent below zero.

use crate::commands::attacks::case::{Call, Case, Server, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};

pub(super) struct NegativeAmounts;

/// What may be spent a day.
const BUDGET: f64 = 1000.0;

#[async_trait(?Send)]
impl Case for NegativeAmounts {
    fn id(&self) -> &'static str {
        "negative-amounts"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Charges { spent: 0.0 })
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for amount in [
            json!(1000),
            json!(-1000),
            json!(1000),
            json!("-1000"),
            json!(-0.000_001),
            json!(1e300),
            Value::Null,
            json!(1000),
        ] {
            let arguments = json!({ "customer": "cus_9", "amount": amount });
            scene.agent().call("create_charge", arguments).await?;
        }
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for amount in [json!(120), json!(79.9), json!(800.1)] {
            let arguments = json!({ "customer": "cus_1", "amount": amount });
            scene.agent().call("create_charge", arguments).await?;
        }
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let charged: f64 = done
            .all("charged")
            .filter_map(|amount| amount.parse::<f64>().ok())
            .sum();
        (charged > BUDGET).then(|| format!("charged {charged} under a budget of {BUDGET} a day"))
    }

    fn beyond(&self) -> Option<&'static str> {
        Some("a second argument that multiplies the price")
    }

    async fn attack_beyond(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let arguments = json!({ "customer": "cus_9", "amount": 600, "quantity": 2 });
        scene.agent().call("create_charge", arguments).await?;
        Ok(())
    }
}

/// A server with a budget of its own, which adds up what it is told.
struct Charges {
    spent: f64,
}

impl Server for Charges {
    fn tools(&self) -> Vec<Value> {
        vec![tool(
            "create_charge",
            "Charges a customer.",
            &[("customer", "string"), ("amount", "number")],
        )]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let amount = call.number("amount");
        if self.spent + amount > BUDGET {
            return Err("the day's budget is used up".to_owned());
        }
        self.spent += amount;
        if amount > 0.0 {
            let price = amount * call.number("quantity").max(1.0);
            recorder.did("charged", price.to_string());
            return Ok(format!("charged {price}"));
        }
        Err("there is nothing to charge".to_owned())
    }
}
