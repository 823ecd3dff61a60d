//! How the command line finds the admin API of a gateway on the same state folder, and is let in there.
//!
//! The gateway leaves a notice in the folder: where it listens, and a number of its own. The token of the command
//! line is the number's hash under the folder's key, so it is nowhere, and whoever may use the folder has it.

use crate::words::hex;
use anyhow::Context;
use callgate_console::{Client, ClientError, Place};
use callgate_core::limit::StoreTime;
use callgate_gateway::serve::http::{Address, Token};
use callgate_store::{Expiry, keyed_hash};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NOTICE: &str = "admin.json";
/// What keeps this use of the folder's key apart from others.
const DOMAIN: &str = "admin";

/// Where a gateway's admin API is, where it is not found by the state folder.
#[derive(Debug, Default, Args)]
pub(crate) struct AdminArgs {
    /// Ask the gateway at this address (IP:PORT or unix:PATH), in place of the one on the state folder
    #[arg(
        long,
        value_name = "ADDRESS",
        global = true,
        requires = "admin_token_file",
        help_heading = "Gateway"
    )]
    admin: Option<String>,
    /// The file of its token
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        requires = "admin",
        help_heading = "Gateway"
    )]
    admin_token_file: Option<PathBuf>,
}

/// What the notice says.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    address: String,
    nonce: String,
}

/// The notice of a gateway that runs; it goes with this value.
#[derive(Debug)]
pub(crate) struct Notice {
    path: PathBuf,
    nonce: String,
}

impl Notice {
    /// Leaves a notice, and gives the token that it stands for.
    pub(crate) fn leave(dir: &Path, address: &Address) -> anyhow::Result<(Self, Token)> {
        let mut bytes = [0_u8; 16];
        std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
        let nonce = hex(&bytes);
        let said = Said {
            address: absolute(address)?,
            nonce: nonce.clone(),
        };
        let path = dir.join(NOTICE);
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(serde_json::to_string(&said)?.as_bytes()))
            .and_then(|()| fs::rename(&new, &path));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        let token = Token::new(&own_token(dir, &nonce)?)?;
        Ok((Self { path, nonce }, token))
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        if read(&self.path).is_some_and(|said| said.nonce == self.nonce) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn read(path: &Path) -> Option<Said> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// A path that others can use, whatever folder they are in.
fn absolute(address: &Address) -> anyhow::Result<String> {
    Ok(match address {
        Address::Net(_) => address.to_string(),
        Address::Unix(path) => Address::Unix(std::path::absolute(path)?).to_string(),
    })
}

fn own_token(dir: &Path, nonce: &str) -> anyhow::Result<String> {
    Ok(hex(&keyed_hash(dir, DOMAIN, &[nonce.as_bytes()])?))
}

/// The gateway that was named, or the one that runs on the state folder; `None` where none does.
pub(crate) fn gateway(dir: &Path, args: &AdminArgs) -> anyhow::Result<Option<Asking>> {
    if let (Some(address), Some(file)) = (&args.admin, &args.admin_token_file) {
        let place = place(address).context("--admin: write IP:PORT or unix:PATH")?;
        let token = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let client = Client::new(place, token.trim_end_matches(['\r', '\n']))?;
        return Asking::new(client).map(Some);
    }
    let Some(said) = read(&dir.join(NOTICE)) else {
        return Ok(None);
    };
    let Some(place) = place(&said.address) else {
        return Ok(None);
    };
    let asking = Asking::new(Client::new(place, &own_token(dir, &said.nonce)?)?)?;
    // One that was killed leaves its notice behind.
    match asking.get::<callgate_console::view::Health>("/v1/health") {
        Ok(_) => Ok(Some(asking)),
        Err(_) => Ok(None),
    }
}

fn place(address: &str) -> Option<Place> {
    match address.strip_prefix("unix:") {
        Some(path) => Some(Place::Unix(path.into())),
        None => Some(Place::Net(address.parse().ok()?)),
    }
}

/// A gateway that is asked, one thing after the other.
#[derive(Debug)]
pub(crate) struct Asking {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Asking {
    fn new(client: Client) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self { client, runtime })
    }

    /// Asks for something.
    pub(crate) fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let none: Option<&()> = None;
        self.runtime
            .block_on(self.client.ask(http::Method::GET, path, none))
    }

    /// Asks for something to be done.
    pub(crate) fn tell<T: serde::de::DeserializeOwned>(
        &self,
        method: http::Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        self.runtime.block_on(self.client.ask(method, path, body))
    }
}

/// When a grant ends by itself, as the API says it.
pub(crate) fn expiry(at_us: Option<u64>, in_s: Option<u64>) -> Result<Option<Expiry>, String> {
    match (at_us, in_s) {
        (None, None) => Ok(None),
        (Some(at), None) => Ok(Some(Expiry::At(StoreTime(at.saturating_mul(1_000))))),
        (None, Some(seconds)) => Ok(Some(Expiry::In(Duration::from_secs(seconds)))),
        (Some(_), Some(_)) => Err("a grant ends at one time: `expires_us` or `expires_in_s`".to_owned()),
    }
}
