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
