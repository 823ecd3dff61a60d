//! `callgate login`: lets Callgate in at the authorization server of a server, once, by a person.

mod page;

use super::ledger::{Out, clean};
use crate::config::{Client, Flow, Server};
use crate::log;
use crate::run;
use crate::serve;
use crate::upstream::login::Login;
use crate::words::say;
use anyhow::{Context, bail};
use callgate_store::Sealed;
use clap::Args;
use page::Page;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

pub(crate) const EXAMPLES: &str = "\
Examples:
  Let Callgate in at the issuer of the server `mail`, and open the URL that is printed in a browser
  on this machine:
    callgate login mail -c callgate.yaml

  From another machine, with the port of the page handed on:
    ssh -L 8701:127.0.0.1:8701 gateway
    callgate login mail -c callgate.yaml --port 8701

Gateways that run take the tokens up once those that they have are used up or refused.

Exit codes: 0 done; 1 it could not be done, and what was kept before stays.";

/// Which server, and where the page is.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The server, as the configuration names it
    server: String,

    /// The configuration of the gateway
    #[arg(short, long, value_name = "FILE", default_value = "callgate.yaml")]
    config: PathBuf,

    /// The state folder, in place of the configuration's
    #[arg(long, value_name = "DIR", env = "CALLGATE_STATE_DIR")]
    state_dir: Option<PathBuf>,

    /// The port on 127.0.0.1 that the browser comes back to; 0 picks one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

/// Prints where a person lets Callgate in, and waits until that is done.
pub(super) fn login(args: &LoginArgs) -> anyhow::Result<ExitCode> {
    log::start(crate::args::LogLevel::Warn, crate::args::LogFormat::Text);
    let config = serve::read(&args.config)?;
    let found = config
        .servers
        .iter()
        .find(|(name, _)| name.as_str() == args.server);
    let Some((name, server)) = found else {
        bail!("the configuration has no server `{}`", clean(&args.server));
    };
    let (url, client) = match server {
        Server::Remote(remote) => match &remote.oauth {
            Some(
                client @ Client {
                    flow: Flow::Login(_), ..
                },
            ) => (&remote.url, client),
            Some(_) => bail!("the server `{name}` takes a client secret; nobody has to log in"),
            None => bail!("the server `{name}` has no `oauth` in the configuration"),
        },
        Server::Command(_) => bail!("the server `{name}` is a command, and takes no tokens"),
    };
    let dir = run::state_dir(args.state_dir.as_deref().or(config.state.dir.as_deref()))?;
    let login = Login::new(name.as_str(), url, client, Sealed::of(&dir, name.core())?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(let_in(&login, args.port))?;
    say(&format!("Callgate has a token for the server `{name}`"));
    Ok(ExitCode::SUCCESS)
}

async fn let_in(login: &Login, port: u16) -> anyhow::Result<()> {
    let page = Page::open(port).await?;
    let session = login.begin(page.url()).await?;
    say("open this in a browser, and come back by the page that it ends on:");
    print(session.get_authorization_url())?;
    let state = page::parameter(session.get_authorization_url(), "state").context("no state was made")?;
    let taken = async |url: String| {
        let _turn = login.turn().await?;
        let taken = session.handle_callback_url(&url).await;
        taken.map(drop).map_err(anyhow::Error::from)
    };
    let answered = tokio::time::timeout(PATIENCE, page.answered(&state, taken));
    answered.await.context("nobody came back within 10 minutes")?
}

fn print(url: &str) -> anyhow::Result<()> {
    let mut out = Out::new();
    out.line(&clean(url))?;
    Ok(out.flush()?)
}
