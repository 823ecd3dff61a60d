//! `callgate grants`: who may call through `callgate serve`, which servers, and under which policies.

mod desk;
mod print;

use super::ledger::time::{Since, since};
use super::ledger::{Out, to_the_end_of_a_pipe};
use crate::admin::AdminArgs;
use crate::run::state_dir;
use crate::words::say;
use anyhow::{Context, bail};
use callgate_console::view;
use callgate_core::limit::StoreTime;
use callgate_core::name::ServerName;
use callgate_store::{Expiry, Grant, GrantLabel, Identity, NewGrant, PolicyName};
use clap::{Args, Subcommand};
use desk::{Desk, Issued};
use print::Shown;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// The longest name of a server that `serve` takes.
const SERVER_BYTES_MAX: usize = 24;

const EXAMPLES: &str = "\
Examples:
  Let a person or a program in for 30 days; the token is printed alone, so that it can go to a file:
    callgate grants create ci --server github=reviewers --expires 30d > token

  Let it use one more server, and see what it may do:
    callgate grants attach ci mail --policy senders
    callgate grants show ci

  Let the holder of an OAuth token in as it, by the subject or by a claim:
    callgate grants attach ci --issuer https://login.example.com --subject build-7
    callgate grants attach ci --issuer https://login.example.com --claim groups=builders

  Replace a token that may have leaked, or end the grant for good:
    callgate grants rotate ci > token
    callgate grants revoke ci

GRANT is an id, such as g_5d1b8f0c2a6e4937, or the label of a grant that is not revoked.
Gateways that run take a change up at once. One with an admin API makes it itself.

Exit codes: 0 done; 1 it could not be done, and nothing was changed.";

const CREATE_EXAMPLES: &str = "\
Examples:
  callgate grants create ci --server github=reviewers --server mail=senders
  callgate grants create \"Ana's laptop\" --server github=reviewers --expires 2027-01-31 > token

POLICY is a name that the configuration of `callgate serve` gives to a policy file. Without one,
every call to the server is denied.

Exit codes: 0 done; 1 it could not be done, and nothing was changed.";

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it could not be done, and nothing was changed.";

/// What is asked of the grants, and where they are.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GrantsArgs {
    #[command(subcommand)]
    command: GrantsCommand,

    /// The folder of limits, ledger and grants [default: $XDG_STATE_HOME/callgate or ~/.local/state/callgate]
    #[arg(long, value_name = "DIR", env = "CALLGATE_STATE_DIR", global = true)]
    state_dir: Option<PathBuf>,

    /// Print JSON: one value a line
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Subcommand)]
enum GrantsCommand {
    /// Make a grant, and print its token this once
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// Show the grants that are not revoked
    #[command(after_help = EXIT_CODES)]
    List(ListArgs),
    /// Show one grant
    #[command(after_help = EXIT_CODES)]
    Show(Which),
    /// Give a grant another token, and print it this once; the one before lets nobody in any more
    #[command(after_help = EXIT_CODES)]
    Rotate(Which),
    /// End a grant for good: no call of it is let through any more
    #[command(after_help = EXIT_CODES)]
    Revoke(Which),
    /// Let a grant use a server, or use it under another policy; or let holders of OAuth tokens in as it
    #[command(after_help = EXIT_CODES)]
    Attach(AttachArgs),
    /// Take a server from a grant, or let holders of OAuth tokens not in any more
    #[command(after_help = EXIT_CODES)]
    Detach(DetachArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What people call it: up to 64 visible characters, unlike the label of any other grant
    label: String,

    /// A server that it may use, and the policy that judges its calls; may be repeated
    #[arg(long, value_name = "NAME[=POLICY]", value_parser = server_and_policy)]
    server: Vec<(ServerName, Option<PolicyName>)>,

    /// When it ends by itself: in 12h, 30d or 1w, or at a date of UTC such as 2027-01-31 [default: never]
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    expires: Option<Expiry>,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Those that were revoked, too
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct Which {
    /// Its id, or the label of one that is not revoked
    #[arg(value_name = "GRANT")]
    grant: String,
}

#[derive(Debug, Args)]
struct AttachArgs {
    #[command(flatten)]
    which: Which,

    /// The server, as the configuration of `callgate serve` names it
    #[arg(value_parser = server, required_unless_present = "issuer", conflicts_with = "issuer")]
    server: Option<ServerName>,

    /// The policy that judges its calls, as that configuration names it; without one every call is denied
    #[arg(long, value_name = "NAME", value_parser = policy, conflicts_with = "issuer")]
    policy: Option<PolicyName>,

    #[command(flatten)]
    whose: Whose,
}

/// Whose OAuth tokens.
#[derive(Debug, Args)]
struct Whose {
    /// In place of a server: the issuer of OAuth tokens, exactly as their `iss` has it
    #[arg(long, value_name = "URL", requires = "whose")]
    issuer: Option<String>,

    /// Tokens of this subject, as their `sub` has it
    #[arg(long, value_name = "NAME", group = "whose", requires = "issuer")]
    subject: Option<String>,

    /// Tokens that have this value in this claim, alone or in a list
    #[arg(long, value_name = "NAME=VALUE", group = "whose", requires = "issuer")]
    claim: Option<String>,
}

impl Whose {
    /// None where a server is meant.
    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        let Some(issuer) = &self.issuer else {
            return Ok(None);
        };
        let identity = match (&self.subject, &self.claim) {
            (Some(subject), _) => Identity::subject(issuer, subject)?,
            (None, Some(claim)) => {
                let (claim, value) = claim
                    .split_once('=')
                    .context("--claim takes a claim and its value, such as `groups=builders`")?;
                Identity::new(issuer, claim, value)?
            }
            (None, None) => bail!("--issuer needs --subject or --claim"),
        };
        Ok(Some(identity))
    }
}

#[derive(Debug, Args)]
struct DetachArgs {
    #[command(flatten)]
    which: Which,

    /// The server
    #[arg(value_parser = server, required_unless_present = "issuer", conflicts_with = "issuer")]
    server: Option<ServerName>,

    #[command(flatten)]
    whose: Whose,
}

/// Does what was asked of the grants.
pub(super) fn grants(args: &GrantsArgs) -> anyhow::Result<ExitCode> {
    let dir = state_dir(args.state_dir.as_deref())?;
    let grants = Desk::of(&dir, &args.admin)?;
    let now = || grants.now();
    match &args.command {
        GrantsCommand::Create(new) => {
            let issued = grants.create(&new_grant(new)?)?;
            say(&print::made(&issued.grant));
            hand_over(&issued, args.json, now()?)
        }
        GrantsCommand::Rotate(which) => {
            let issued = grants.rotate(&which.grant)?;
            say(&print::rotated(&issued.grant));
            hand_over(&issued, args.json, now()?)
        }
        GrantsCommand::List(list) => {
            let mut known = grants.list()?;
            let all = known.len();
            known.retain(|grant| list.all || grant.revoked.is_none());
            if known.is_empty() {
                say(print::none(all));
            }
            let now = now()?;
            to_the_end_of_a_pipe(|out| print::list(&known, now, args.json, out))
        }
        GrantsCommand::Show(which) => {
            let (grant, now) = (grants.show(&which.grant)?, now()?);
            to_the_end_of_a_pipe(|out| print::show(&grant, now, args.json, out))
        }
        GrantsCommand::Revoke(which) => {
            let grant = grants.revoke(&which.grant)?;
            say(&print::revoked(&grant));
            told(&Shown::of(&grant, now()?), args.json)
        }
        GrantsCommand::Attach(attach) => {
            let grant = attached(&grants, attach)?;
            told(&Shown::of(&grant, now()?), args.json)
        }
        GrantsCommand::Detach(detach) => {
            let grant = detached(&grants, detach)?;
            told(&Shown::of(&grant, now()?), args.json)
        }
    }
}

/// A grant as the admin API shows it.
pub(crate) fn shown(grant: &Grant, now: StoreTime) -> view::Grant {
    let us = |time: StoreTime| time.0 / 1_000;
    view::Grant {
        grant: grant.id.to_string(),
        label: grant.label.to_string(),
        state: match (grant.revoked, grant.is_live(now)) {
            (Some(_), _) => view::GrantState::Revoked,
            (None, true) => view::GrantState::Live,
            (None, false) => view::GrantState::Expired,
        },
        created_us: us(grant.created),
        expires_us: grant.expires.map(us),
        revoked_us: grant.revoked.map(us),
        servers: grant
            .servers
            .iter()
            .map(|(server, policy)| (server.to_string(), policy.as_ref().map(ToString::to_string)))
            .collect(),
        lets_in: grant.identities.iter().map(desk::shown).collect(),
    }
}

fn attached(grants: &Desk, args: &AttachArgs) -> anyhow::Result<Grant> {
    let which = &args.which.grant;
    match (args.whose.identity()?, &args.server) {
        (Some(identity), _) => {
            let grant = grants.attach_identity(which, &identity)?;
            say(&print::lets_in(&grant, &identity));
            Ok(grant)
        }
        (None, Some(server)) => {
            let grant = grants.attach(which, server, args.policy.as_ref())?;
            say(&print::attached(&grant, server, args.policy.as_ref()));
            Ok(grant)
        }
        (None, None) => bail!("name a server, or --issuer"),
    }
}

fn detached(grants: &Desk, args: &DetachArgs) -> anyhow::Result<Grant> {
    let which = &args.which.grant;
    match (args.whose.identity()?, &args.server) {
        (Some(identity), _) => {
            let grant = grants.detach_identity(which, &identity)?;
            say(&print::lets_in_no_more(&grant, &identity));
            Ok(grant)
        }
        (None, Some(server)) => {
            let grant = grants.detach(which, server)?;
            say(&print::detached(&grant, server));
            Ok(grant)
        }
        (None, None) => bail!("name a server, or --issuer"),
    }
}

/// A token that could not be printed is lost, and so is no success, whoever closed the pipe.
fn hand_over(issued: &Issued, json: bool, now: StoreTime) -> anyhow::Result<ExitCode> {
    let mut out = Out::new();
    let token = &*issued.token;
    let printed = if json {
        out.json(&Shown::of(&issued.grant, now).with_token(token))
    } else {
        out.line(token).map_err(Into::into)
    };
    printed.and_then(|()| Ok(out.flush()?)).with_context(|| {
        format!(
            "the token could not be printed and is lost; `callgate grants rotate {}` makes another",
            issued.grant.id
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn told(grant: &Shown<'_>, json: bool) -> anyhow::Result<ExitCode> {
    to_the_end_of_a_pipe(|out| {
        if json {
            out.json(grant)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn new_grant(args: &CreateArgs) -> anyhow::Result<NewGrant> {
    let mut servers = BTreeMap::new();
    for (server, policy) in &args.server {
        if servers.insert(server.clone(), policy.clone()).is_some() {
            bail!("--server names `{server}` twice; a grant uses a server under one policy");
        }
    }
    Ok(NewGrant {
        // Checked here and not by clap, which would repeat a token that is put in this place.
        label: GrantLabel::new(&args.label)?,
        servers,
        expires: args.expires,
    })
}

fn server_and_policy(text: &str) -> Result<(ServerName, Option<PolicyName>), String> {
    match text.split_once('=') {
        None => Ok((server(text)?, None)),
        Some((name, under)) => Ok((server(name)?, Some(policy(under)?))),
    }
}

pub(crate) fn server(text: &str) -> Result<ServerName, String> {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if text.len() > SERVER_BYTES_MAX || !text.bytes().all(plain) {
        return Err(format!(
            "the name of a server is 1 to {SERVER_BYTES_MAX} of a-z, 0-9 and `-`"
        ));
    }
    ServerName::new(text).map_err(|error| error.to_string())
}

fn policy(text: &str) -> Result<PolicyName, String> {
    PolicyName::new(text).map_err(|error| error.to_string())
}

fn expiry(text: &str) -> Result<Expiry, String> {
    match since(text) {
        Ok(Since::Ago(time)) => Ok(Expiry::In(time)),
        Ok(Since::At(at)) => Ok(Expiry::At(StoreTime(at.0.saturating_mul(1_000)))),
        Err(_) => Err(format!(
            "`{text}` is no time; write 12h, 30d or 1w for so long from now, or a date such as 2027-01-31 or 2027-01-31T12:00Z (UTC)"
        )),
    }
}
