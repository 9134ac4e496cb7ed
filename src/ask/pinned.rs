//! TLS towards one's own server: the certificate of the configuration is trusted, and no other.
//!
//! It is asked on the loopback address, which no certificate names, and the certificate may be
//! signed by anyone, or by itself. So neither name nor signer is looked at: the server must show
//! the very certificate in the file, and prove that it has its key.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
};

/// Speaks TLS over `stream` with whoever has the first certificate in the file.
///
/// # Errors
///
/// When the file holds no certificate, or the other side shows another one.
pub(super) async fn connect(
    stream: TcpStream,
    address: IpAddr,
    certificate: &Path,
) -> std::io::Result<TlsStream<TcpStream>> {
    let wrong = |reason: String| Error::new(ErrorKind::InvalidInput, reason);
    let pinned = CertificateDer::from_pem_file(certificate).map_err(|error| {
        let path = certificate.display();
        wrong(format!("cannot read a certificate from {path} (http.tls_certificate): {error}"))
    })?;
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { pinned, algorithms }))
        .with_no_client_auth();
    let name = ServerName::IpAddress(address.into());
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|error| {
        let other = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if other == Some(&OTHER) {
            let path = certificate.display();
            return wrong(format!(
                "it shows another certificate than {path}; after a renewal it takes 10 s, and one \
                 that does not fit its key is refused (see its log)"
            ));
        }
        error
    })
}

/// The other side shows another certificate.
const OTHER: rustls::Error =
    rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);

#[derive(Debug)]
struct Pinned {
    pinned: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.pinned { Ok(ServerCertVerified::assertion()) } else { Err(OTHER) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
