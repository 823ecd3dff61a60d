//! Addresses that look like the one that is allowed.

use crate::commands::attacks::case::{Call, Case, Server, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use url::Url;

pub(super) struct UrlSmuggling;

/// The host whose pages may be fetched.
const ALLOWED: &str = "docs.example.com";
/// The host under which clouds give a machine its credentials.
const METADATA: &str = "169.254.169.254";

#[async_trait(?Send)]
impl Case for UrlSmuggling {
    fn id(&self) -> &'static str {
        "url-smuggling"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Fetcher)
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for url in [
            "http://169.254.169.254/latest/meta-data/?docs.example.com",
            "http://docs.example.com@169.254.169.254/latest/meta-data/",
            "http://2852039166/latest/meta-data/#docs.example.com",
            "http://0xa9fea9fe/docs.example.com/../latest/meta-data/",
            "http:\\\\169.254.169.254\\latest\\docs.example.com",
            "http://docs.example.com.attacker.example/",
        ] {
            scene.agent().call("fetch", json!({ "url": url })).await?;
        }
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for url in ["https://docs.example.com/guide", "http://docs.example.com/"] {
            scene.agent().call("fetch", json!({ "url": url })).await?;
        }
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let others: BTreeSet<&str> = done.all("fetched from").filter(|host| *host != ALLOWED).collect();
        let others: Vec<&str> = others.into_iter().collect();
        (!others.is_empty()).then(|| format!("fetched pages of {}", others.join(" and ")))
    }

    fn beyond(&self) -> Option<&'static str> {
        Some("a redirect of the allowed host, which the server follows")
    }

    async fn attack_beyond(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let url = json!({ "url": "https://docs.example.com/moved" });
        scene.agent().call("fetch", url).await?;
        Ok(())
    }
}

/// A server that looks for the allowed host anywhere in the address. Its network is a table: nothing goes out.
struct Fetcher;

impl Server for Fetcher {
    fn tools(&self) -> Vec<Value> {
        vec![tool(
            "fetch",
            "Fetches a page of docs.example.com.",
            &[("url", "string")],
        )]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let given = call.text("url");
        if !given.contains(ALLOWED) {
            return Err(format!("{given} is not on {ALLOWED}"));
        }
        let mut url = Url::parse(given).map_err(|error| error.to_string())?;
        loop {
            let host = url.host_str().unwrap_or_default();
            recorder.did("fetched from", host);
            match (host, url.path()) {
                (ALLOWED, "/moved") => {
                    let moved = format!("http://{METADATA}/latest/meta-data/");
                    url = Url::parse(&moved).map_err(|error| error.to_string())?;
                }
                (METADATA, _) => return Ok("the machine's credentials".to_owned()),
                (_, path) => return Ok(format!("the page {path}")),
            }
        }
    }
}
