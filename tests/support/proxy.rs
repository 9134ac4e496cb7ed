//! A TCP relay in front of the server's signalling, to cut it without touching media.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the relay does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Relays them.
    Open,
    /// Cuts those that are open and refuses new ones.
    Cut,
    /// Keeps them open and lets nothing through.
    Hung,
}

/// The relay; ends with the test's runtime.
pub struct Proxy {
    pub address: SocketAddr,
    line: watch::Sender<Line>,
}

impl Proxy {
    /// Relays a free port to `server`.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (line, state) = watch::channel(Line::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = state.clone();
                if *state.borrow() != Line::Cut {
                    tokio::spawn(relay(client, server, state));
                }
            }
        });
        Self { address, line }
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn relay(mut client: TcpStream, server: SocketAddr, mut state: watch::Receiver<Line>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    loop {
        let line = *state.borrow_and_update();
        match line {
            Line::Cut => return,
            Line::Hung => drop(state.changed().await),
            Line::Open => tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
                _ = state.changed() => {}
            },
        }
    }
}
