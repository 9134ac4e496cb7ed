//! The sockets of one peer connection, bound where the route to the server leads.
//!
//! UDP first. Where no UDP gets through, [`Sockets::connect`] opens TCP connections to the
//! server's TCP candidates. A client behind NAT needs no more than host candidates: the server
//! has a public address and learns ours from the first check.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use str0m::Candidate;
use str0m::net::{Protocol, TcpType, Transmit};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

mod faults;
mod stream;

pub use faults::Faults;
use stream::Stream;

/// The largest datagram that is accepted, bytes; media packets stay below 1500.
pub(super) const DATAGRAM: usize = 2048;

/// Addresses that stand for "the rest of the world" when the kernel is asked for a route. Nothing
/// is sent to them (they are reserved for documentation).
const ELSEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// TCP candidates of the server that are tried; it has one for each of its addresses.
const STREAMS: usize = 4;

/// A packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// How it came.
    pub(super) protocol: Protocol,
    /// Where it came from.
    pub(super) source: SocketAddr,
    /// Which of our addresses it came to.
    pub(super) destination: SocketAddr,
    /// Its length, bytes.
    pub(super) length: usize,
}

/// TCP connections that are coming about.
type Connecting = Pin<Box<dyn Future<Output = Vec<Stream>> + Send>>;

/// The sockets, one for each local address that may lead to the server.
pub(super) struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    streams: Vec<Stream>,
    connecting: Option<Connecting>,
    faults: Faults,
}

impl std::fmt::Debug for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sockets, streams, .. } = self;
        f.debug_struct("Sockets").field("udp", sockets).field("tcp", streams).finish()
    }
}

impl Sockets {
    /// Binds a socket on each local address from which `server` and the rest of the world are
    /// reached. Media may come from another host than signalling does.
    pub(super) async fn bind(server: &str, faults: Faults) -> io::Result<Self> {
        let mut targets: Vec<IpAddr> = match tokio::net::lookup_host(server).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(error) => {
                tracing::debug!(server, %error, "cannot resolve the server for its route");
                Vec::new()
            }
        };
        targets.extend(ELSEWHERE);
        let mut sockets: Vec<(SocketAddr, UdpSocket)> = Vec::new();
        for target in targets {
            let Ok(local) = route(target).await else { continue };
            if sockets.iter().any(|(address, _)| address.ip() == local) {
                continue;
            }
            let socket = UdpSocket::bind((local, 0)).await?;
            sockets.push((socket.local_addr()?, socket));
        }
        if sockets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, "no route anywhere"));
        }
        Ok(Self { sockets, streams: Vec::new(), connecting: None, faults })
    }

    /// A host candidate for each socket.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.sockets.iter().filter_map(|(address, _)| Candidate::host(*address, "udp").ok())
    }

    /// Starts to connect to TCP candidates of the server, in place of the connections there are.
    pub(super) fn connect(&mut self, servers: Vec<SocketAddr>) {
        self.connecting = Some(Box::pin(async move {
            let mut streams = Vec::new();
            for server in servers.into_iter().take(STREAMS) {
                match Stream::connect(server).await {
                    Ok(stream) => streams.push(stream),
                    Err(error) => tracing::debug!(%server, %error, "no TCP connection"),
                }
            }
            streams
        }));
    }

    /// A candidate for each TCP connection.
    pub(super) fn stream_candidates(&self) -> Vec<Candidate> {
        let active = |address| {
            Candidate::builder().tcp().host(address).tcptype(TcpType::Active).build().ok()
        };
        self.streams.iter().filter_map(|stream| active(stream.local)).collect()
    }

    /// Sends a packet from the socket it belongs to. Like the network, it may lose it.
    pub(super) async fn send(&mut self, packet: &Transmit) {
        if self.faults.lose(packet.proto, &packet.contents) {
            return;
        }
        if packet.proto == Protocol::Tcp {
            let (local, remote) = (packet.source, packet.destination);
            let pair = |stream: &&mut Stream| stream.local == local && stream.remote == remote;
            if let Some(stream) = self.streams.iter_mut().find(pair) {
                stream.send(&packet.contents);
            }
            return;
        }
        let socket = self.sockets.iter().find(|(address, _)| *address == packet.source);
        if let Some((_, socket)) = socket
            && let Err(error) = socket.send_to(&packet.contents, packet.destination).await
        {
            tracing::trace!(%error, "a packet could not be sent");
        }
    }

    /// The next packet, put into `buffer`; `None` when [`Sockets::connect`] has come to its end.
    /// Cancelling loses nothing.
    pub(super) async fn receive(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        loop {
            let arrival = poll_fn(|context| {
                if let Some(connecting) = &mut self.connecting
                    && let Poll::Ready(streams) = connecting.as_mut().poll(context)
                {
                    (self.streams, self.connecting) = (streams, None);
                    return Poll::Ready(None);
                }
                if let Poll::Ready(arrival) = self.poll_udp(context, buffer) {
                    return Poll::Ready(Some(arrival));
                }
                self.poll_streams(context, buffer).map(Some)
            })
            .await?;
            if !self.faults.lose(arrival.protocol, &buffer[..arrival.length]) {
                return Some(arrival);
            }
        }
    }

    fn poll_udp(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Arrival> {
        for (address, socket) in &self.sockets {
            let mut read = ReadBuf::new(buffer);
            while let Poll::Ready(result) = socket.poll_recv_from(context, &mut read) {
                match result {
                    Ok(source) => {
                        return Poll::Ready(Arrival {
                            protocol: Protocol::Udp,
                            source,
                            destination: *address,
                            length: read.filled().len(),
                        });
                    }
                    // The echo of something sent (port unreachable): no news.
                    Err(error) => tracing::trace!(%error, "socket error"),
                }
            }
        }
        Poll::Pending
    }

    fn poll_streams(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Arrival> {
        let mut index = 0;
        while let Some(stream) = self.streams.get_mut(index) {
            match stream.poll(context, buffer) {
                Poll::Ready(Ok(length)) => {
                    return Poll::Ready(Arrival {
                        protocol: Protocol::Tcp,
                        source: stream.remote,
                        destination: stream.local,
                        length,
                    });
                }
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "a TCP connection ended");
                    self.streams.swap_remove(index);
                }
                Poll::Pending => index += 1,
            }
        }
        Poll::Pending
    }
}

/// The local address from which `target` is reached.
async fn route(target: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect((target, 9)).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_on_loopback_is_reached_from_loopback() {
        let sockets = Sockets::bind("127.0.0.1:7880", Faults::default()).await.unwrap();
        let locals: Vec<_> = sockets.sockets.iter().map(|(address, _)| address.ip()).collect();
        assert_eq!(locals[0], Ipv4Addr::LOCALHOST);
        assert_eq!(locals.iter().filter(|ip| ip.is_loopback()).count(), 1);
    }

    #[tokio::test]
    async fn packets_pass_both_ways() {
        let mut sockets = Sockets::bind("127.0.0.1:7880", Faults::default()).await.unwrap();
        let local = sockets.sockets[0].0;
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.send_to(b"hello", local).await.unwrap();
        let mut buffer = [0; DATAGRAM];
        let arrival = sockets.receive(&mut buffer).await.unwrap();
        assert_eq!(buffer[..arrival.length], *b"hello");
        assert_eq!((arrival.source, arrival.destination), (peer.local_addr().unwrap(), local));
    }
}
