//! A certificate whose files are replaced while the gateway runs.

use crate::config::Tls;
use callgate_gateway::serve::http::Certificate;
use std::time::Duration;
use tokio::sync::watch;

/// How often the files of a certificate are looked at.
const PERIOD: Duration = Duration::from_millis(500);

/// The certificate that clients are shown, and where it is followed.
#[derive(Debug)]
pub(super) struct Followed {
    certificate: Certificate,
    files: watch::Sender<Tls>,
}

impl Followed {
    /// Shows a certificate that was read from other files, and follows those.
    pub(super) fn replace(&self, tls: Tls, certificate: &Certificate) {
        self.certificate.take(certificate);
        self.files.send_replace(tls);
    }
}

/// Shows another certificate once its files have changed; one that cannot be used leaves the one before.
pub(super) fn follow(tls: Tls, certificate: Certificate) -> Followed {
    let (files, followed) = watch::channel(tls);
    let shown = certificate.clone();
    tokio::spawn(async move {
        let read = || followed.borrow().read().ok();
        let mut seen = read();
        loop {
            tokio::time::sleep(PERIOD).await;
            let now = read();
            if now == seen {
                continue;
            }
            // Two files are not replaced at once: they have to read the same twice.
            tokio::time::sleep(PERIOD).await;
            if read() != now {
                continue;
            }
            if let Some((chain, key)) = &now {
                match shown.replace(chain, key) {
                    Ok(()) => tracing::info!("the certificate was reloaded"),
                    Err(cause) => {
                        tracing::error!("the certificate was not reloaded: {cause}; the one before stays")
                    }
                }
            }
            seen = now;
        }
    });
    Followed { certificate, files }
}
