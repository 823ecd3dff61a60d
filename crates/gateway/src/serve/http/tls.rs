//! TLS towards clients, with a certificate that can be replaced while the gateway runs.

use arc_swap::ArcSwap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What clients are shown, and prove nothing about themselves by.
#[derive(Clone)]
pub struct Certificate(Arc<ArcSwap<ServerConfig>>);

/// A certificate or key that cannot be used. Neither is repeated.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate in PEM.
    #[error("it holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// There is no private key in PEM.
    #[error("it holds no private key in PEM that can be read (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    /// They do not belong together, or are of a kind that is not known.
    #[error("certificate and key cannot be used together: {0}")]
    Unusable(#[source] tokio_rustls::rustls::Error),
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate(…)")
    }
}

impl Certificate {
    /// A chain of certificates, the server's own first, and its private key, both in PEM.
    ///
    /// # Errors
    /// [`CertificateError`] where they cannot be used.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(config(chain, key)?))))
    }

    /// Shows another to connections from now on; those that are open keep what they have.
    ///
    /// # Errors
    /// [`CertificateError`] where they cannot be used; the one before stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        self.0.store(Arc::new(config(chain, key)?));
        Ok(())
    }

    /// Shows what `other` shows, as [`Certificate::replace`] does.
    pub fn take(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// Shakes hands with a client.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.0.load_full());
        tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await?
    }
}

fn config(chain: &[u8], key: &[u8]) -> Result<ServerConfig, CertificateError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|_| CertificateError::NoCertificate)?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(CertificateError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
