//! Who is asked for grants: the gateway that runs on the state folder, else the folder itself.

use crate::admin::{AdminArgs, Asking, gateway};
use anyhow::Context;
use callgate_console::{segment, view};
use callgate_core::limit::StoreTime;
use callgate_core::name::{GrantId, ServerName};
use callgate_store::{
    Expiry, Grant, GrantLabel, Grants, Identity, NewGrant, PolicyName, Reader, SystemClock,
};
use http::Method;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(super) enum Desk {
    Folder { grants: Grants, dir: PathBuf },
    Gateway(Asking),
}

/// A grant and its new token, which is nowhere else.
pub(super) struct Issued {
    pub(super) grant: Grant,
    pub(super) token: String,
}

const NONE: Option<&()> = None;

impl Desk {
    pub(super) fn of(dir: &Path, args: &AdminArgs) -> anyhow::Result<Self> {
        Ok(match gateway(dir, args)? {
            Some(gateway) => Self::Gateway(gateway),
            None => Self::Folder {
                grants: Grants::of(dir),
                dir: dir.to_owned(),
            },
        })
    }

    /// The present time, by which grants expire.
    pub(super) fn now(&self) -> anyhow::Result<StoreTime> {
        match self {
            Self::Folder { dir, .. } => Ok(Reader::open(dir)?.now(&SystemClock)?),
            Self::Gateway(_) => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
                Ok(StoreTime(u64::try_from(since.as_nanos())?))
            }
        }
    }

    pub(super) fn create(&self, new: &NewGrant) -> anyhow::Result<Issued> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.create(new.clone())?.into()),
            Self::Gateway(gateway) => {
                let servers = new.servers.iter();
                let (expires_us, expires_in_s) = match new.expires {
                    None => (None, None),
                    Some(Expiry::At(at)) => (Some(at.0 / 1_000), None),
                    Some(Expiry::In(time)) => (None, Some(time.as_secs())),
                };
                let new = view::NewGrant {
                    label: new.label.to_string(),
                    servers: servers
                        .map(|(server, policy)| {
                            (server.to_string(), policy.as_ref().map(ToString::to_string))
                        })
                        .collect(),
                    expires_us,
                    expires_in_s,
                };
                issued(gateway.tell(Method::POST, "/v1/grants", Some(&new))?)
            }
        }
    }

    pub(super) fn rotate(&self, which: &str) -> anyhow::Result<Issued> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.rotate(which)?.into()),
            Self::Gateway(gateway) => {
                issued(gateway.tell(Method::POST, &format!("{}/rotate", path(which)), NONE)?)
            }
        }
    }

    pub(super) fn list(&self) -> anyhow::Result<Vec<Grant>> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.list()?),
            Self::Gateway(gateway) => {
                let known: Vec<view::Grant> = gateway.get("/v1/grants?all=true")?;
                known.iter().map(read).collect()
            }
        }
    }

    pub(super) fn show(&self, which: &str) -> anyhow::Result<Grant> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.show(which)?),
            Self::Gateway(gateway) => read(&gateway.get(&path(which))?),
        }
    }

    pub(super) fn revoke(&self, which: &str) -> anyhow::Result<Grant> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.revoke(which)?),
            Self::Gateway(gateway) => {
                read(&gateway.tell(Method::POST, &format!("{}/revoke", path(which)), NONE)?)
            }
        }
    }

    pub(super) fn attach(
        &self,
        which: &str,
        server: &ServerName,
        policy: Option<&PolicyName>,
    ) -> anyhow::Result<Grant> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.attach(which, server, policy)?),
            Self::Gateway(gateway) => {
                let policy = policy.map(ToString::to_string);
                let attachment = view::Attachment { policy };
                read(&gateway.tell(Method::PUT, &path_of(which, server), Some(&attachment))?)
            }
        }
    }

    pub(super) fn attach_identity(&self, which: &str, identity: &Identity) -> anyhow::Result<Grant> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.attach_identity(which, identity)?),
            Self::Gateway(gateway) => read(&gateway.tell(
                Method::POST,
                &format!("{}/identities/attach", path(which)),
                Some(&shown(identity)),
            )?),
        }
    }

    pub(super) fn detach_identity(&self, which: &str, identity: &Identity) -> anyhow::Result<Grant> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.detach_identity(which, identity)?),
            Self::Gateway(gateway) => read(&gateway.tell(
                Method::POST,
                &format!("{}/identities/detach", path(which)),
                Some(&shown(identity)),
            )?),
        }
    }

    pub(super) fn detach(&self, which: &str, server: &ServerName) -> anyhow::Result<Grant> {
        match self {
            Self::Folder { grants, .. } => Ok(grants.detach(which, server)?),
            Self::Gateway(gateway) => read(&gateway.tell(Method::DELETE, &path_of(which, server), NONE)?),
        }
    }
}

impl From<callgate_store::Issued> for Issued {
    fn from(issued: callgate_store::Issued) -> Self {
        Self {
            token: issued.token.reveal().to_owned(),
            grant: issued.grant,
        }
    }
}

/// Whom a grant lets in, as the admin API shows it.
pub(super) fn shown(identity: &Identity) -> view::Identity {
    view::Identity {
        issuer: identity.issuer().to_owned(),
        claim: identity.claim().to_owned(),
        value: identity.value().to_owned(),
    }
}

fn path(which: &str) -> String {
    format!("/v1/grants/{}", segment(which))
}

fn path_of(which: &str, server: &ServerName) -> String {
    format!("{}/servers/{}", path(which), segment(server.as_str()))
}

fn issued(issued: view::Issued) -> anyhow::Result<Issued> {
    Ok(Issued {
        grant: read(&issued.grant)?,
        token: issued.token,
    })
}

/// A grant as the gateway shows it.
fn read(grant: &view::Grant) -> anyhow::Result<Grant> {
    const ODD: &str = "the gateway shows a grant that this version does not know";
    let time = |us: u64| StoreTime(us.saturating_mul(1_000));
    let mut servers = std::collections::BTreeMap::new();
    for (server, policy) in &grant.servers {
        let policy = policy.as_deref().map(PolicyName::new).transpose().context(ODD)?;
        servers.insert(ServerName::new(server).context(ODD)?, policy);
    }
    let mut identities = std::collections::BTreeSet::new();
    for identity in &grant.lets_in {
        identities.insert(Identity::new(&identity.issuer, &identity.claim, &identity.value).context(ODD)?);
    }
    Ok(Grant {
        id: GrantId::new(&grant.grant).context(ODD)?,
        label: GrantLabel::new(&grant.label).context(ODD)?,
        created: time(grant.created_us),
        expires: grant.expires_us.map(time),
        revoked: grant.revoked_us.map(time),
        servers,
        identities,
    })
}
