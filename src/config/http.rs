//! `[http]`, the section with the most to say.
//!
//! Every key and default here stands in `config/scrim.toml` too; a test keeps them equal.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[http]`: where and how the API is served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Origins that browsers may call from: `https://host[:port]`, or `*` for any. In development
    /// mode pages of this machine may call too.
    pub cors_origins: Vec<String>,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Most connections at once; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Most connections of one client (an IPv6 client: its /64); further ones are closed. 0: no
    /// limit. Does not hold behind a proxy that `client_ip_header` speaks of.
    pub max_connections_per_client: usize,
    /// How long a client may take to send a request's headers, in milliseconds; also how long an
    /// idle connection is kept.
    pub header_timeout_ms: u64,
    /// How long a client may take to send a request's body, in milliseconds; then 408.
    pub body_timeout_ms: u64,
    /// How long an answer may wait for a client that does not read, in milliseconds; then the
    /// connection is closed.
    pub write_timeout_ms: u64,
    /// How long a request may take, in milliseconds; then 504. Event streams are exempt.
    pub request_timeout_ms: u64,
    /// Header in which a trusted proxy names the client; its last entry counts. Empty: the
    /// connection's own address.
    pub client_ip_header: String,
    /// File with the certificate chain in PEM, for TLS on this port; empty: plain HTTP.
    pub tls_certificate: PathBuf,
    /// File with the certificate's private key in PEM.
    pub tls_key: PathBuf,
}

impl Http {
    /// Whether this port speaks TLS.
    pub fn tls(&self) -> bool {
        !self.tls_certificate.as_os_str().is_empty()
    }

    /// Most connections of one address: behind a proxy all come from one.
    pub fn max_connections_of_a_client(&self) -> usize {
        if self.client_ip_header.is_empty() { self.max_connections_per_client } else { 0 }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            cors_origins: Vec::new(),
            max_body_bytes: 65_536,
            max_connections: 1_024,
            max_connections_per_client: 256,
            header_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            write_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            client_ip_header: String::new(),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
        }
    }
}
