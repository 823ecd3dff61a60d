//! `callgate run`: the gate in front of one server.

pub(crate) mod headers;
mod pipes;
mod policy;
mod reload;
mod setup;

pub(crate) use setup::{local, state_dir};

use crate::args::{RunArgs, Transport};
use crate::log;
use crate::traces;
use crate::words::{say, warn};
use anyhow::Context;
use callgate_gateway::link::Link;
use callgate_gateway::link::child::{self, End};
use callgate_gateway::link::http::{HttpLink, LegacyLink};
use callgate_gateway::serve::http::{Address, Doors, Guard, Listener, One, SocketMode, Upstream};
use callgate_gateway::serve::{http, stdio};
use callgate_gateway::session::Ids;
use callgate_gateway::{Gate, Session};
use callgate_store::{StopReason, Store};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long the client may take to read the last messages.
const FLUSH_GRACE: Duration = Duration::from_secs(2);

/// How long what a client has sent is read for once its server has ended.
const READ_GRACE: Duration = Duration::from_millis(50);

/// How long the last transaction may take.
const CLOSE_GRACE: Duration = Duration::from_secs(10);

/// How a run came to its end.
pub(crate) struct Ended {
    pub(crate) code: ExitCode,
    pub(crate) reason: StopReason,
}

/// Runs the gate until the client leaves, the server ends, or a signal asks for it.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    log::start(args.log_level, args.log_format);
    let plan = setup::plan(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let store = Arc::clone(&plan.store);
    let ended = runtime.block_on(serve(args, plan));
    // A reader of stdin may be blocked for good; nothing waits for it.
    runtime.shutdown_background();
    close(
        store,
        ended.as_ref().map_or(StopReason::Exit, |ended| ended.reason),
    );
    Ok(ended?.code)
}

/// Ends the store; a process that is stopped while it holds the lock must not keep this one from ending. What
/// could not be written is closed by the next run, as after a crash.
pub(crate) fn close(store: Arc<Store>, reason: StopReason) {
    let (done, closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        store.close(reason);
        let _ = done.send(());
    });
    if closed.recv_timeout(CLOSE_GRACE).is_err() {
        warn("the state folder did not take the last records in time; the next run closes what is open");
    }
}

async fn serve(args: &RunArgs, plan: setup::Plan) -> anyhow::Result<Ended> {
    let (end, wanted) = watch::channel(End::NotYet);
    let signalled = tokio::spawn({
        let end = end.clone();
        async move {
            let signal = until_signal().await;
            end.send_replace(End::Urgent);
            signal
        }
    });
    let gate = plan.gate;
    let target = reload::Target {
        slot: plan.slot,
        store: Arc::clone(&plan.store),
        mode: args.reload,
        server: gate.server.clone(),
    };
    reload::watch(target, &gate, plan.policy);
    let served = match args.transport.unwrap_or(Transport::Stdio) {
        transport @ (Transport::Http | Transport::Sse) => {
            let address = SocketAddr::new(
                args.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                args.port.unwrap_or(0),
            );
            let doors = Doors::One(One::new(gate, plan.upstream, plan.token));
            let path = if transport == Transport::Sse { "sse" } else { "mcp" };
            serve_http(address, path, doors, wanted, signalled).await
        }
        Transport::Stdio => serve_stdio(gate, plan.upstream, &end, wanted, signalled).await,
    };
    traces::close(plan.tracer.as_ref()).await;
    drop(plan.store);
    served
}

async fn serve_http(
    address: SocketAddr,
    path: &str,
    doors: Doors,
    wanted: watch::Receiver<End>,
    signalled: tokio::task::JoinHandle<i32>,
) -> anyhow::Result<Ended> {
    let listener = Listener::bind(&Address::Net(address), SocketMode::default()).await;
    let listener = listener.with_context(|| {
        format!("cannot listen on {address}; is the port taken? --port 0 picks a free one")
    })?;
    let address = listener.address();
    say(&format!("callgate: listening on http://{address}/{path}"));
    let guard = Guard::at(address);
    let server = http::serve(listener, http::Wire::Plain, doors, guard, wanted);
    server.await?;
    // The server ends when a signal asks for it.
    if signalled.is_finished() {
        return Ok(by_signal(signalled.await.unwrap_or(15)));
    }
    Ok(Ended {
        code: ExitCode::SUCCESS,
        reason: StopReason::Exit,
    })
}

async fn serve_stdio(
    gate: Arc<Gate>,
    upstream: Upstream,
    end: &watch::Sender<End>,
    wanted: watch::Receiver<End>,
    mut signalled: tokio::task::JoinHandle<i32>,
) -> anyhow::Result<Ended> {
    let mut hurried = wanted.clone();
    let (link, process) = match upstream {
        Upstream::Command(command) => {
            let (link, process) = child::spawn(&command)?;
            (Link::Child(link), Some(process))
        }
        // One session has nobody to share it with.
        Upstream::Shared(hub) => {
            let (link, process) = child::spawn(hub.command())?;
            (Link::Child(link), Some(process))
        }
        Upstream::Url(endpoint) => (Link::Http(Box::new(HttpLink::new(*endpoint))), None),
        Upstream::Legacy(endpoint) => (Link::Legacy(Box::new(LegacyLink::new(*endpoint))), None),
    };
    let id = setup::session_id()?;
    let session = Session::new(Arc::clone(&gate), Some(id), Ids::Keep, link);
    let (sink, writer) = stdio::writer(pipes::output());
    session.attach(sink.clone());
    let keeper = process.map(|process| tokio::spawn(process.serve(Arc::clone(&session), wanted)));
    let mut server_ended = std::pin::pin!(async {
        match keeper {
            Some(keeper) => keeper
                .await
                .context("the server's keeper ended")?
                .context("cannot wait for the server"),
            None => std::future::pending().await,
        }
    });
    let mut reader = {
        let (session, sink) = (Arc::clone(&session), sink.clone());
        tokio::spawn(async move { stdio::read(&session, pipes::input(), &sink).await })
    };
    let ended = tokio::select! {
        // A server that ends by the signal ends too: the signal is why.
        biased;
        signal = &mut signalled => {
            if matches!(session.link(), Link::Child(_)) {
                let _ = server_ended.await;
            }
            by_signal(signal.unwrap_or(15))
        }
        status = &mut server_ended => {
            // What the client has sent meanwhile is told that the server has ended.
            let _ = tokio::time::timeout(READ_GRACE, &mut reader).await;
            by_server(status?)
        }
        read = &mut reader => {
            read.context("the client's reader ended")?.context("cannot read from the client")?;
            // The client has said all it will say: what it asked is still answered, for a while.
            let patience = tokio::time::timeout(gate.settings.drain_grace, session.drained());
            tokio::select! {
                _ = patience => {}
                _ = hurried.wait_for(|end| *end == End::Urgent) => {}
            }
            end.send_if_modified(|end| std::mem::replace(end, (*end).max(End::Wanted)) == End::NotYet);
            match session.link() {
                Link::Child(_) => Ended { reason: StopReason::Exit, ..by_server(server_ended.await?) },
                Link::Http(_) | Link::Legacy(_) | Link::Shared(_) => Ended { code: ExitCode::SUCCESS, reason: StopReason::Exit },
            }
        }
    };
    session.hang_up().await;
    // It holds a sink, and its input may stay open for good.
    reader.abort();
    session.client_gone();
    session.detach();
    drop(sink);
    let _ = tokio::time::timeout(FLUSH_GRACE, writer).await;
    Ok(ended)
}

fn by_server(status: ExitStatus) -> Ended {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(1),
        // As shells do it.
        (None, Some(signal)) => u8::try_from(signal.saturating_add(128)).unwrap_or(1),
        (None, None) => 1,
    };
    Ended {
        code: ExitCode::from(code),
        reason: StopReason::ChildExit,
    }
}

pub(crate) fn by_signal(signal: i32) -> Ended {
    let code = u8::try_from(signal.saturating_add(128)).unwrap_or(1);
    Ended {
        code: ExitCode::from(code),
        reason: StopReason::Signal,
    }
}

/// The number of the first signal that asks for the end.
pub(crate) async fn until_signal() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let [interrupt, terminate, hangup] = kinds.map(signal);
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (interrupt, terminate, hangup) else {
        warn("signals cannot be listened for; end the gate by closing its input");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
        _ = hangup.recv() => 1,
    }
}
