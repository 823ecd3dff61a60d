//! The tools of `testkit-echo` over Streamable HTTP, fast enough to be the bench's server, with faults by flag.

mod body;
mod fault;
mod serve;
mod stream;

use callgate_testkit::log::LogWriter;
use callgate_testkit::play::Part;
use callgate_testkit::tools::{ListKind, Tools};
use clap::{Parser, ValueEnum};
use fault::Fault;
use serve::Server;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

#[derive(Debug, Parser)]
struct Args {
    /// The port; 0 picks one. The URL is the first line of stdout.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where each received body is written before it is acted on, after a note with its request line and headers.
    #[arg(long)]
    log: Option<PathBuf>,
    /// A version that is spoken; may be repeated; all without it.
    #[arg(long)]
    version: Vec<String>,
    /// How many more tools there are: tool_0000, tool_0001, …
    #[arg(long, default_value_t = 0)]
    tools: usize,
    /// How the list of tools is told.
    #[arg(long, value_enum, default_value_t)]
    list: ListKind,
    /// A file that says what is said after which message.
    #[arg(long)]
    play: Option<PathBuf>,
    /// How requests are answered where one JSON message would do.
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// How events are written.
    #[arg(long, value_enum, default_value_t)]
    dialect: Dialect,
    /// Streams are cut after so many bytes, each piece its own write.
    #[arg(long)]
    cut: Option<usize>,
    /// No session ids.
    #[arg(long)]
    stateless: bool,
    /// A GET opens a stream with a notification each so many milliseconds; without it, GET is 405.
    #[arg(long)]
    notify_ms: Option<u64>,
    /// What becomes of tool calls.
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// The fault strikes every request.
    #[arg(long)]
    fault_everywhere: bool,
    /// Where a redirect points; the server's own /elsewhere without it.
    #[arg(long)]
    redirect_to: Option<String>,
    /// The pause of the fault `slow`.
    #[arg(long, default_value_t = 1000)]
    slow_ms: u64,
    /// How many threads serve.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Mode {
    /// As JSON, except where more than one message is due.
    #[default]
    Json,
    /// As a stream of events.
    Sse,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Dialect {
    /// As most servers do.
    #[default]
    Plain,
    /// With CRLF line ends.
    Crlf,
    /// With lone CR line ends.
    Cr,
    /// Pretty-printed JSON on many `data` lines.
    Multiline,
    /// With comments, a first event without data, ids and a `retry`.
    Rich,
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.threads.max(1))
        .enable_all()
        .build()?;
    runtime.block_on(run(args))
}

async fn run(args: Args) -> std::io::Result<()> {
    let log = LogWriter::open(args.log.as_deref())?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;
    let address = listener.local_addr()?;
    let server = Arc::new(Server {
        tools: Tools::new(args.version, args.tools, args.list)
            .playing(args.play.as_deref().map(Part::read).transpose()?),
        has_log: args.log.is_some(),
        log,
        mode: args.mode,
        streams: stream::Streams {
            dialect: args.dialect,
            cut: args.cut,
        },
        has_sessions: !args.stateless,
        notify: args.notify_ms.map(Duration::from_millis),
        fault: args.fault,
        fault_everywhere: args.fault_everywhere,
        redirect_to: args
            .redirect_to
            .unwrap_or_else(|| format!("http://{address}/elsewhere")),
        slow: Duration::from_millis(args.slow_ms),
        state: serve::State::default(),
    });
    println!("http://{address}/mcp");
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let server = Arc::clone(&server);
                async move { server.serve(request).await }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(hyper_util::rt::TokioIo::new(socket), service);
            // A client that leaves is no fault of the server.
            let _ = connection.await;
        });
    }
}
