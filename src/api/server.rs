//! Connections: a bounded number, none of which can hold a place by being slow.

mod patient;
mod peers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::limits::Client;
use super::tls::Tls;
use crate::config::Http;
use crate::runtime::Exit;
use patient::Patient;
use peers::{Peers, Place};

/// How long to wait when the system has no descriptor for a new connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Most header fields of a request; with more it is refused with 431. Browsers send some twenty.
const HEADERS_MAX: usize = 100;

/// Most bytes of a request's line and headers; past it (by up to as much again, because they are
/// read in pieces) it is refused with 431.
const HEAD_MAX: usize = 32 * 1_024;

/// How the API is served.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Limits and time limits.
    pub http: Http,
    /// The certificate; `None` for plain HTTP.
    pub tls: Option<Tls>,
}

impl From<Http> for Serving {
    /// Plain HTTP.
    fn from(http: Http) -> Self {
        Self { http, tls: None }
    }
}

/// Serves `router` until `stop`; then lets the requests that run finish. A connection waits in the
/// kernel's queue when `max_connections` are open; one past its client's own number is closed.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    serving: impl Into<Serving>,
    stop: CancellationToken,
) -> Exit {
    let serving = serving.into();
    let places = Arc::new(Semaphore::new(serving.http.max_connections));
    let peers = Peers::new(serving.http.max_connections_of_a_client());
    let serving = Arc::new(serving);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                let Some(place) = peers.enter(accepted.1.ip()) else {
                    tracing::debug!(peer = %accepted.1, "too many connections of one client");
                    continue;
                };
                let connection =
                    Connection { serving: serving.clone(), stop: stop.clone(), _place: place };
                connections.spawn(connection.run(accepted, router.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Exit::Cancelled
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

/// The place first: what is not accepted costs nothing.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

struct Connection {
    serving: Arc<Serving>,
    stop: CancellationToken,
    _place: Place,
}

impl Connection {
    async fn run(self, (stream, peer, _permit): Accepted, router: Router) {
        let Some(tls) = &self.serving.tls else { return self.serve(stream, peer, router).await };
        let limit = Duration::from_millis(self.serving.http.header_timeout_ms);
        match timeout(limit, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, peer, router).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => tracing::debug!(%peer, "no TLS in time"),
        }
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr, router: Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let http = &self.serving.http;
        let named = router.map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(Client(peer.ip()));
            request
        });
        let mut builder = Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(http.header_timeout_ms))
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_MAX);
        let stream = Patient::new(stream, Duration::from_millis(http.write_timeout_ms));
        // A WebSocket takes the stream over: it is then a session of frames, bounded as such.
        let served = builder
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(named))
            .with_upgrades();
        let mut served = std::pin::pin!(served);
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = self.stop.cancelled() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;

    use super::*;
    use crate::runtime::Supervisor;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    struct Server {
        address: SocketAddr,
        tasks: Supervisor,
        /// Told when a request has begun, and awaited before it is answered.
        begun: Arc<Notify>,
        answer: Arc<Notify>,
    }

    async fn server(http: Http) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begin, wait) = (begun.clone(), answer.clone());
        let handler = async move || {
            begin.notify_one();
            wait.notified().await;
            "done"
        };
        let router = Router::new().route("/", get(handler));
        let mut tasks = Supervisor::new(CancellationToken::new());
        tasks.spawn("http", |stop| serve(listener, router, http, stop));
        Server { address, tasks, begun, answer }
    }

    async fn read_all(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        // A reset counts as closed.
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn a_request_that_runs_is_finished_on_stop() {
        let mut server = server(Http::default()).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        server.begun.notified().await;
        server.tasks.token().cancel();
        server.answer.notify_one();
        let text = read_all(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("done"), "{text}");
        assert!(server.tasks.shut_down(Duration::from_secs(3_600)).await.is_empty());
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_its_headers_is_let_go() {
        let http = Http { header_timeout_ms: 50, ..Http::default() };
        let server = server(http).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        // Without the limit this would never return.
        assert!(!read_all(&mut stream).await.contains("200"));
    }

    #[tokio::test]
    async fn a_connection_past_the_limit_waits_its_turn() {
        let http = Http { max_connections: 1, ..Http::default() };
        let server = server(http).await;
        let mut first = TcpStream::connect(server.address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        server.begun.notified().await;
        let mut second = TcpStream::connect(server.address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(50), server.begun.notified());
        assert!(early.await.is_err(), "served past the limit");
        server.answer.notify_one();
        let mut head = [0; 12];
        first.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        drop(first);
        server.begun.notified().await;
        server.answer.notify_one();
        second.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn an_idle_connection_is_let_go() {
        let http = Http { header_timeout_ms: 50, ..Http::default() };
        let server = server(http).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        server.answer.notify_one();
        stream.write_all(REQUEST).await.unwrap();
        // Kept alive after its answer, and closed when nothing more comes.
        assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_client_has_so_many_connections() {
        let http = Http { max_connections_per_client: 2, ..Http::default() };
        let server = server(http).await;
        let mut first = TcpStream::connect(server.address).await.unwrap();
        let _second = TcpStream::connect(server.address).await.unwrap();
        let mut third = TcpStream::connect(server.address).await.unwrap();
        // Whether or not it could be written, nothing comes back.
        let _ = third.write_all(REQUEST).await;
        assert_eq!(read_all(&mut third).await, "");
        first.write_all(REQUEST).await.unwrap();
        server.answer.notify_one();
        let mut head = [0; 12];
        first.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn heads_that_are_too_large_are_refused() {
        let server = server(Http::default()).await;
        let many: String = (0..=HEADERS_MAX).map(|n| format!("x-{n}: 1\r\n")).collect();
        let long = format!("x: {}\r\n", "y".repeat(4 * HEAD_MAX));
        for bomb in [many, long] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{bomb}\r\n");
            let _ = stream.write_all(request.as_bytes()).await;
            let text = read_all(&mut stream).await;
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
        }
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let line = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(4 * HEAD_MAX));
        // Closed while it is still written, perhaps.
        let _ = stream.write_all(line.as_bytes()).await;
        let text = read_all(&mut stream).await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
}
