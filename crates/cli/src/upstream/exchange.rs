//! A token for a secret: what is said to the authorization server, and what it has to be to be told the secret.

use crate::config::Client;
use anyhow::{Context, ensure};
use oauth2::TokenResponse as _;
use rmcp::transport::auth::{AuthorizationManager, ClientCredentialsConfig};
use std::time::Duration;
use url::Url;

/// A way to tokens for one server.
pub(super) struct Exchange {
    /// The URI of the server, for which the token is to be good (RFC 8707).
    resource: String,
    client: Client,
    /// Once the authorization server is known.
    manager: Option<AuthorizationManager>,
}

/// A token that was made.
pub(super) struct Issued {
    pub(super) token: String,
    /// For how long it is good, where that was said.
    pub(super) lasts: Option<Duration>,
}

impl Exchange {
    pub(super) fn new(url: &Url, client: &Client) -> Self {
        let mut resource = url.clone();
        resource.set_query(None);
        resource.set_fragment(None);
        Self {
            resource: resource.as_str().trim_end_matches('/').to_owned(),
            client: client.clone(),
            manager: None,
        }
    }

    /// A token. After a failure the authorization server is looked for anew.
    pub(super) async fn token(&mut self) -> anyhow::Result<Issued> {
        let manager = match self.manager.take() {
            Some(manager) => manager,
            None => self.discovered().await?,
        };
        let issued = manager.exchange_client_credentials(&self.config()).await?;
        self.manager = Some(manager);
        Ok(Issued {
            token: issued.access_token().secret().clone(),
            lasts: issued.expires_in(),
        })
    }

    fn config(&self) -> ClientCredentialsConfig {
        ClientCredentialsConfig::ClientSecret {
            client_id: self.client.id.to_string(),
            client_secret: self.client.secret.reveal().to_owned(),
            scopes: self.client.scopes.iter().map(|scope| scope.to_string()).collect(),
            resource: Some(self.resource.clone()),
        }
    }

    /// The authorization server, where its metadata is its own. Names that lead to addresses of another kind than
    /// the issuer's own are not followed.
    async fn discovered(&self) -> anyhow::Result<AuthorizationManager> {
        // Fails only where a provider is in place already, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let issuer = Url::parse(&self.client.issuer)?;
        let mut manager = AuthorizationManager::new(issuer.clone()).await?;
        let resolved = manager
            .resolve_metadata()
            .await
            .with_context(|| format!("the metadata of {issuer} cannot be had"))?;
        let metadata = resolved.metadata;
        ensure!(
            metadata.issuer.as_deref() == Some(&*self.client.issuer),
            "what {issuer} says of itself does not name it as the issuer"
        );
        let endpoint = Url::parse(&metadata.token_endpoint).context("the token endpoint is no URL")?;
        let is_private =
            endpoint.scheme() == "https" || (issuer.scheme() == "http" && endpoint.host() == issuer.host());
        ensure!(is_private, "the token endpoint is not reached over https");
        manager.set_metadata(metadata);
        let config = self.config();
        manager.validate_client_credentials_metadata(&config)?;
        manager.configure_client_credentials(&config)?;
        Ok(manager)
    }
}
