//! TLS of the API's own port, for servers without a proxy before them.
//!
//! The certificate is looked at every few seconds and taken when its file has changed, so that
//! whoever renews it needs to tell nobody. A pair that does not fit is refused at the start; later
//! the one in use stays, and the log says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use crate::config::Http;
use crate::runtime::Exit;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Why there is no TLS; names the file, never its contents.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("cannot read {what} from {}: {reason}", path.display())]
    Read {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The two do not belong together, or are of a kind that is not served.
    #[error("http.tls_certificate and http.tls_key make no pair: {0}")]
    Pair(String),
}

/// The certificate in use, and where it comes from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tls {
    acceptor: Acceptor,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

#[derive(Debug)]
struct Shared {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Tls {
    /// Reads the pair that the configuration names; `None` when it names none.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or the two do not belong together.
    pub fn open(http: &Http) -> Result<Option<Self>, Error> {
        if !http.tls() {
            return Ok(None);
        }
        let (certificate, key) = (http.tls_certificate.clone(), http.tls_key.clone());
        let current = RwLock::new(Arc::new(read(&certificate, &key)?));
        let shared = Arc::new(Shared { certificate, key, current });
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Pair(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(shared.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { acceptor: Acceptor(TlsAcceptor::from(Arc::new(config))), shared }))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor.0
    }

    /// Takes a new pair whenever the files have changed, until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Exit {
        let mut seen = self.stamps();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = self.stamps();
            if now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match read(&self.shared.certificate, &self.shared.key) {
            Ok(pair) => {
                let mut current =
                    self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(pair);
                tracing::info!("the certificate was renewed");
            }
            Err(error) => tracing::error!(%error, "the certificate in use stays"),
        }
    }

    /// When the files were written, and how long they are.
    fn stamps(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.shared.certificate, &self.shared.key].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    let failed = |what, path: &Path, reason: String| {
        Err(Error::Read { what, path: path.to_owned(), reason })
    };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain: Vec<_> = match chain {
        Ok(chain) => chain,
        Err(error) => return failed("a certificate", certificate, error.to_string()),
    };
    if chain.is_empty() {
        return failed("a certificate", certificate, "the file has none".into());
    }
    let key = match PrivateKeyDer::from_pem_file(key) {
        Ok(key) => key,
        Err(error) => return failed("a private key", key, error.to_string()),
    };
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
    let pair = pair.map_err(|error| Error::Pair(error.to_string()))?;
    Ok(pair)
}
