//! Tokens of an authorization server: what is said to it, and what it has to be to be told a secret.

use super::login::Login;
use crate::config::{Client, Flow};
use anyhow::{Context, bail, ensure};
use oauth2::TokenResponse as _;
use rmcp::transport::auth::{AuthorizationManager, AuthorizationMetadata, ClientCredentialsConfig};
use std::time::Duration;
use url::Url;

/// A way to tokens for one server.
pub(crate) enum Exchange {
    /// By a secret.
    Secret(Box<BySecret>),
    /// By what a person who has logged in left.
    Login(Box<Login>),
}

/// A token that was made.
pub(super) struct Issued {
    pub(super) token: String,
    /// For how long it is good, where that was said.
    pub(super) lasts: Option<Duration>,
}

impl Exchange {
    /// A token, other than one that the server has refused.
    pub(super) async fn token(&mut self, refused: Option<&str>) -> anyhow::Result<Issued> {
        match self {
            Self::Secret(secret) => secret.token().await,
            Self::Login(login) => login.token(refused).await,
        }
    }
}

/// Client credentials (RFC 6749, section 4.4).
pub(crate) struct BySecret {
    client: Client,
    config: ClientCredentialsConfig,
    /// Once the authorization server is known.
    manager: Option<AuthorizationManager>,
}

impl BySecret {
    /// For a server at this URL; `None` where a person has to log in.
    pub(super) fn new(url: &Url, client: &Client) -> Option<Self> {
        let Flow::Secret { id, secret } = &client.flow else {
            return None;
        };
        let config = ClientCredentialsConfig::ClientSecret {
            client_id: id.to_string(),
            client_secret: secret.reveal().to_owned(),
            scopes: scopes(client),
            resource: Some(resource(url)),
        };
        Some(Self {
            client: client.clone(),
            config,
            manager: None,
        })
    }

    /// A token. After a failure the authorization server is looked for anew.
    async fn token(&mut self) -> anyhow::Result<Issued> {
        let manager = match self.manager.take() {
            Some(manager) => manager,
            None => self.discovered().await?,
        };
        let issued = manager.exchange_client_credentials(&self.config).await?;
        self.manager = Some(manager);
        Ok(Issued {
            token: issued.access_token().secret().clone(),
            lasts: issued.expires_in(),
        })
    }

    async fn discovered(&self) -> anyhow::Result<AuthorizationManager> {
        let issuer = Url::parse(&self.client.issuer)?;
        let (mut manager, _) = discovered(issuer, &self.client).await?;
        manager.validate_client_credentials_metadata(&self.config)?;
        manager.configure_client_credentials(&self.config)?;
        Ok(manager)
    }
}

/// The scopes that are asked for.
pub(super) fn scopes(client: &Client) -> Vec<String> {
    client.scopes.iter().map(ToString::to_string).collect()
}

/// The URI of a server, for which its tokens are to be good (RFC 8707).
fn resource(url: &Url) -> String {
    let mut resource = url.clone();
    resource.set_query(None);
    resource.set_fragment(None);
    resource.as_str().trim_end_matches('/').to_owned()
}

/// The authorization server that is configured, as it describes itself, for tokens for the server at `base`. What
/// that server says of authorization servers is not asked for: whoever is told a secret is not for it to choose. Names
/// that lead to addresses of another kind than that of the issuer are not followed.
pub(super) async fn discovered(
    base: Url,
    client: &Client,
) -> anyhow::Result<(AuthorizationManager, AuthorizationMetadata)> {
    // Fails only where a provider is in place already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let issuer = Url::parse(&client.issuer)?;
    let resolved = AuthorizationManager::new(issuer.clone())
        .await?
        .resolve_metadata()
        .await
        .with_context(|| format!("the metadata of {issuer} cannot be had"))?;
    let metadata = resolved.metadata;
    match metadata.issuer.as_deref() {
        Some(named) if *named == *client.issuer => {}
        Some(_) => bail!("the authorization server that was found is not the issuer {issuer}"),
        None => bail!("the authorization server that was found does not name itself"),
    }
    for endpoint in [&metadata.token_endpoint, &metadata.authorization_endpoint] {
        let endpoint = Url::parse(endpoint).context("an endpoint of the issuer is no URL")?;
        let is_private =
            endpoint.scheme() == "https" || (issuer.scheme() == "http" && endpoint.host() == issuer.host());
        ensure!(is_private, "an endpoint of the issuer is not reached over https");
    }
    let mut manager = AuthorizationManager::new(base).await?;
    manager.set_metadata(metadata.clone());
    Ok((manager, metadata))
}
