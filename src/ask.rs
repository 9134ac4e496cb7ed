//! `scrim health`: asks the server that runs on this machine how it is. For health checks of
//! containers and units, where no other client may be installed.

mod pinned;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::Http;

/// How long an answer may take: shorter than the time-outs of the usual health checks.
const LIMIT: Duration = Duration::from_millis(2_500);
/// Longest answer that is read, in bytes.
const ANSWER: u64 = 16_384;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether the process answers.
    Live,
    /// Whether a stream can be started.
    Ready,
}

/// Why the server is not well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers.
    #[error("no answer from {address}: {source}")]
    Unreachable {
        /// Who was asked.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// It says that it is not well.
    #[error("{address} says {status}: {body}")]
    Unwell {
        /// Who was asked.
        address: SocketAddr,
        /// The status line.
        status: String,
        /// What it says.
        body: String,
    },
}

/// Asks the server that this configuration is for, with TLS where it says so; what it says.
///
/// # Errors
///
/// When it does not answer within 2.5 s, shows another certificate than the configuration names, or
/// says anything but 200.
pub async fn ask(http: &Http, question: Question) -> Result<String, Error> {
    let address = reachable(http.listen);
    let unreachable = |source| Error::Unreachable { address, source };
    let answer = tokio::time::timeout(LIMIT, exchange(http, address, question)).await;
    let answer = answer.map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?;
    let answer = answer.map_err(unreachable)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(body.to_owned());
    }
    let (status, body) = (status.to_owned(), body.to_owned());
    Err(Error::Unwell { address, status, body })
}

/// Who listens on every address is asked on the loopback one.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn exchange(http: &Http, address: SocketAddr, question: Question) -> std::io::Result<String> {
    let path = match question {
        Question::Live => "/health/live",
        Question::Ready => "/health/ready",
    };
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let stream = TcpStream::connect(address).await?;
    if http.tls() {
        let stream = pinned::connect(stream, address.ip(), &http.tls_certificate).await?;
        return converse(stream, &request).await;
    }
    converse(stream, &request).await
}

/// HTTP/1.0: the answer ends with the connection.
async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> std::io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    match stream.take(ANSWER).read_to_end(&mut answer).await {
        Ok(_) => {}
        // The other side closed without TLS's own goodbye: the status line came before it.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        Err(error) => return Err(error),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_server_is_asked_what_was_meant() {
        let router = Router::new()
            .route("/health/live", get(async || "alive"))
            .route("/health/ready", get(async || (StatusCode::SERVICE_UNAVAILABLE, "starting")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::future::IntoFuture::into_future(axum::serve(listener, router));
        let story = async {
            let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            let http = Http { listen, ..Http::default() };
            assert_eq!(ask(&http, Question::Live).await.unwrap(), "alive");
            let error = ask(&http, Question::Ready).await.unwrap_err().to_string();
            assert!(error.contains("503") && error.ends_with("starting"), "{error}");
        };
        tokio::select! {
            ended = server => panic!("{ended:?}"),
            () = story => {}
        }
    }

    #[tokio::test]
    async fn nobody_there_is_said_so() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let http = Http { listen: free, ..Http::default() };
        let error = ask(&http, Question::Live).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("no answer from {free}: ")), "{error}");
    }

    #[test]
    fn every_address_is_asked_on_loopback() {
        let [v4, v6, own] = ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"].map(|a| a.parse().unwrap());
        assert_eq!(reachable(v4).to_string(), "127.0.0.1:80");
        assert_eq!(reachable(v6).to_string(), "[::1]:80");
        assert_eq!(reachable(own), own);
    }
}
