//! A reference MCP server: what the official conformance suite asks of a server, in both eras of the protocol, over
//! Streamable HTTP on loopback. It prints its URL, and serves until it is ended. `--era legacy` and `--era modern` make
//! it a server of one era alone.
//!
//! The names and values of its tools, prompts and resources are those that the suite's scenarios look for.

mod asking;
mod catalogue;
mod era;
mod handler;
mod live;
mod polling;
mod tasks;
mod tools;

use era::Eras;
use handler::Reference;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use polling::Sessions;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let eras = Eras::of(std::env::args().skip(1));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "http://{address}/mcp")?;
    std::io::stdout().flush()?;
    let server = Reference::new();
    let origins = [
        format!("http://{address}"),
        format!("http://localhost:{}", address.port()),
    ];
    let config = StreamableHttpServerConfig::default().with_allowed_origins(origins);
    let service =
        StreamableHttpService::new(move || Ok(server.clone()), Arc::new(Sessions::default()), config);
    loop {
        let (stream, _) = listener.accept().await?;
        // An event is several small writes, which would wait for each other's acknowledgements.
        stream.set_nodelay(true)?;
        let whole = TowerToHyperService::new(service.clone());
        let service = service_fn(move |request| {
            let (whole, refused) = (whole.clone(), eras.refuse(&request));
            async move {
                match refused {
                    Some(refused) => Ok(refused),
                    None => whole.call(request).await,
                }
            }
        });
        tokio::spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new());
            // A client that leaves is no failure of the server.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
