//! What a person who has let Callgate in at an authorization server leaves: tokens that are renewed, and kept
//! encrypted in the state folder.

use super::exchange::{Issued, discovered, scopes};
use crate::config::{Client, Flow, Identity};
use anyhow::{Context, bail, ensure};
use callgate_store::{Sealed, SealedTurn};
use oauth2::TokenResponse as _;
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationRequest, AuthorizationSession, CredentialStore,
    OAuthClientConfig, StoredCredentials,
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// How long before its end a token counts as used up.
const EARLY: Duration = Duration::from_secs(30);
/// Where a person comes back to, but for the port; it is not asked for when tokens are renewed.
const REDIRECT: &str = "http://127.0.0.1/callback";

/// The way to tokens by what was left.
pub(crate) struct Login {
    name: Box<str>,
    url: Url,
    client: Client,
    kept: Kept,
    /// Once the authorization server is known.
    manager: Option<AuthorizationManager>,
}

impl Login {
    /// For the server of this name at this URL.
    pub(crate) fn new(name: &str, url: &Url, client: &Client, sealed: Sealed) -> Self {
        let kept = Kept {
            sealed,
            url: url.as_str().into(),
            issuer: client.issuer.clone(),
        };
        Self {
            name: name.into(),
            url: url.clone(),
            client: client.clone(),
            kept,
            manager: None,
        }
    }

    /// The token that is kept, or one that takes its place: whatever another process has kept meanwhile counts.
    pub(super) async fn token(&mut self, refused: Option<&str>) -> anyhow::Result<Issued> {
        let before = self.held().await?;
        let is_other = |issued: &Issued| refused != Some(&issued.token);
        if is_other(&before) && before.lasts.is_none_or(|lasts| lasts > EARLY) {
            return Ok(before);
        }
        // An issuer that sees one token twice to renew with may take all of them back: whoever had the turn before
        // has renewed it, and its token is used.
        let _turn = self.turn().await?;
        let now = self.held().await?;
        let was_renewed = now.token != before.token && now.lasts.is_none_or(|lasts| !lasts.is_zero());
        if was_renewed && is_other(&now) {
            return Ok(now);
        }
        let again = self.again();
        let manager = match self.manager.take() {
            Some(manager) => manager,
            None => self.configured().await?,
        };
        match manager.refresh_token().await {
            Ok(renewed) => {
                self.manager = Some(manager);
                Ok(Issued {
                    token: renewed.access_token().secret().clone(),
                    lasts: renewed.expires_in(),
                })
            }
            Err(AuthError::AuthorizationRequired | AuthError::TokenRefreshRejected(_)) => {
                bail!("the token that is kept cannot be renewed; {again}")
            }
            Err(cause) => Err(cause.into()),
        }
    }

    /// What is kept.
    async fn held(&self) -> anyhow::Result<Issued> {
        let Some(kept) = self.kept.load().await? else {
            bail!("nobody has let Callgate in there; {}", self.again());
        };
        issued(&kept).with_context(|| format!("no token is kept; {}", self.again()))
    }

    /// What is to be done where nothing kept is of use.
    fn again(&self) -> String {
        format!("run `callgate login {}`", self.name)
    }

    async fn configured(&self) -> anyhow::Result<AuthorizationManager> {
        let (mut manager, _) = discovered(self.url.clone(), &self.client).await?;
        let Flow::Login(identity) = &self.client.flow else {
            bail!("this server takes a client secret, and no login");
        };
        let mut config = match identity {
            Identity::Registered { id, .. } => OAuthClientConfig::new(id.to_string(), REDIRECT),
            Identity::Document(url) => OAuthClientConfig::new(url.to_string(), REDIRECT),
        };
        if let Identity::Registered {
            secret: Some(secret), ..
        } = identity
        {
            config = config.with_client_secret(secret.reveal());
        }
        manager.configure_client(config)?;
        manager.set_credential_store(self.kept.clone());
        Ok(manager)
    }

    /// Waits for the turn to change what is kept: a gateway that renews it must not put back what was before.
    pub(crate) async fn turn(&self) -> anyhow::Result<SealedTurn> {
        Ok(self.kept.apart(Sealed::turn).await?)
    }

    /// Begins to let a person let Callgate in; who then comes back to `redirect`.
    pub(crate) async fn begin(&self, redirect: &str) -> anyhow::Result<AuthorizationSession> {
        let (mut manager, metadata) = discovered(self.url.clone(), &self.client).await?;
        let methods = metadata.code_challenge_methods_supported.unwrap_or_default();
        ensure!(
            methods.iter().any(|method| method == "S256"),
            "the authorization server does not say that it checks PKCE by S256, without which a code could be stolen"
        );
        let Flow::Login(identity) = &self.client.flow else {
            bail!("this server takes a client secret, and no login");
        };
        let mut request = AuthorizationRequest::new(redirect).with_scopes(scopes(&self.client));
        match identity {
            Identity::Registered { id, secret } => {
                request = request.with_preregistered_client(id.to_string());
                if let Some(secret) = secret {
                    request = request.with_client_secret(secret.reveal());
                }
            }
            Identity::Document(url) => {
                let takes = metadata
                    .additional_fields
                    .get("client_id_metadata_document_supported")
                    .and_then(serde_json::Value::as_bool);
                ensure!(
                    takes == Some(true),
                    "the authorization server takes no documents of clients; register Callgate there, and name its `client_id`"
                );
                request = request.with_client_metadata_url(url.to_string());
            }
        }
        manager.set_credential_store(self.kept.clone());
        let session = AuthorizationSession::new(manager, request).await;
        session.map_err(|(_, cause)| cause.into())
    }
}

fn issued(kept: &StoredCredentials) -> Option<Issued> {
    let response = kept.token_response.as_ref()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let lasts = response.expires_in().map(|lasts| {
        let received = Duration::from_secs(kept.token_received_at.unwrap_or(0));
        lasts.saturating_sub(now.saturating_sub(received))
    });
    Some(Issued {
        token: response.access_token().secret().clone(),
        lasts,
    })
}

/// What is kept, and for which server and issuer: with others, nothing of it is sent anywhere.
#[derive(Clone)]
struct Kept {
    sealed: Sealed,
    url: Box<str>,
    issuer: Box<str>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    url: Box<str>,
    issuer: Box<str>,
    credentials: StoredCredentials,
}

impl Kept {
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Sealed) -> Result<T, callgate_store::SealedError> + Send + 'static,
    ) -> Result<T, AuthError> {
        let sealed = self.sealed.clone();
        let worked = tokio::task::spawn_blocking(move || work(&sealed)).await;
        let worked = worked.map_err(|cause| AuthError::CredentialStoreError(cause.to_string()))?;
        worked.map_err(|cause| AuthError::CredentialStoreError(cause.to_string()))
    }
}

/// Without a guard of its own: whoever renews holds the turn already.
#[async_trait::async_trait]
impl CredentialStore for Kept {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        let Some(bytes) = self.apart(Sealed::load).await? else {
            return Ok(None);
        };
        // The error could hold a token.
        let written: Written = serde_json::from_slice(&bytes)
            .map_err(|_| AuthError::CredentialStoreError("what is kept cannot be read".to_owned()))?;
        let is_own = written.url == self.url && written.issuer == self.issuer;
        Ok(is_own.then_some(written.credentials))
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let written = Written {
            url: self.url.clone(),
            issuer: self.issuer.clone(),
            credentials,
        };
        let bytes = serde_json::to_vec(&written)
            .map_err(|_| AuthError::CredentialStoreError("the tokens cannot be written".to_owned()))?;
        self.apart(move |sealed| sealed.save(&bytes)).await
    }

    async fn clear(&self) -> Result<(), AuthError> {
        Ok(())
    }
}
