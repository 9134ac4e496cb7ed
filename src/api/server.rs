//! Connections: a bounded number, none of which can hold a place by being slow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::limits::Client;
use crate::config::Http;
use crate::runtime::Exit;

/// How long to wait when the system has no descriptor for a new connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`; then lets the requests that run finish. A connection waits in the
/// kernel's queue when `max_connections` are open.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    http: Http,
    stop: CancellationToken,
) -> Exit {
    let places = Arc::new(Semaphore::new(http.max_connections));
    let header_timeout = Duration::from_millis(http.header_timeout_ms);
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
                let connection = Connection { accepted, header_timeout, stop: stop.clone() };
                connections.spawn(connection.run(router.clone()));
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
    accepted: Accepted,
    header_timeout: Duration,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, router: Router) {
        let (stream, peer, _place) = self.accepted;
        let named = router.map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(Client(peer.ip()));
            request
        });
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.header_timeout);
        let served =
            builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(named));
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
}
