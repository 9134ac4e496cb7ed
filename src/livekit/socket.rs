//! UDP sockets of one peer connection, bound where the route to the server leads.
//!
//! A client behind NAT needs no more than host candidates: the server has a public address and
//! learns ours from the first check.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use str0m::Candidate;
use str0m::net::Transmit;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

mod faults;

pub use faults::Faults;

/// The largest datagram that is accepted, bytes; media packets stay below 1500.
pub(super) const DATAGRAM: usize = 2048;

/// Addresses that stand for "the rest of the world" when the kernel is asked for a route. Nothing
/// is sent to them (they are reserved for documentation).
const ELSEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// The sockets, one for each local address that may lead to the server.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    faults: Faults,
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
        Ok(Self { sockets, faults })
    }

    /// A host candidate for each socket.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.sockets.iter().filter_map(|(address, _)| Candidate::host(*address, "udp").ok())
    }

    /// Sends a packet from the socket it belongs to. Like the network, it may lose it.
    pub(super) async fn send(&self, packet: &Transmit) {
        if self.faults.lose(&packet.contents) {
            return;
        }
        let socket = self.sockets.iter().find(|(address, _)| *address == packet.source);
        if let Some((_, socket)) = socket
            && let Err(error) = socket.send_to(&packet.contents, packet.destination).await
        {
            tracing::trace!(%error, "a packet could not be sent");
        }
    }

    /// The next packet: its length, where it came from and where it came to. Cancelling loses
    /// nothing.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> (usize, SocketAddr, SocketAddr) {
        loop {
            let (length, from, to) = poll_fn(|context| {
                for (address, socket) in &self.sockets {
                    let mut read = ReadBuf::new(buffer);
                    // An error here is the echo of something sent (port unreachable): poll on.
                    while let Poll::Ready(result) = socket.poll_recv_from(context, &mut read) {
                        match result {
                            Ok(from) => return Poll::Ready((read.filled().len(), from, *address)),
                            Err(error) => tracing::trace!(%error, "socket error"),
                        }
                    }
                }
                Poll::Pending
            })
            .await;
            if !self.faults.lose(&buffer[..length]) {
                return (length, from, to);
            }
        }
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
        let sockets = Sockets::bind("127.0.0.1:7880", Faults::default()).await.unwrap();
        let local = sockets.sockets[0].0;
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.send_to(b"hello", local).await.unwrap();
        let mut buffer = [0; DATAGRAM];
        let (length, from, to) = sockets.receive(&mut buffer).await;
        assert_eq!(
            (&buffer[..length], from, to),
            (&b"hello"[..], peer.local_addr().unwrap(), local)
        );
    }
}
