//! A TCP connection that carries packets, framed as RFC 4571 has it: two bytes of length, then
//! the packet.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long connecting may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that may wait for a slow connection: half a second at 16 Mbit/s. Packets beyond are
/// lost, as a router would have it.
const BACKLOG: usize = 1 << 20;

/// One connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    socket: TcpStream,
    /// Bytes that came in and are not a whole packet yet.
    inbound: Vec<u8>,
    outbound: VecDeque<u8>,
}

impl Stream {
    /// Connects.
    pub(super) async fn connect(remote: SocketAddr) -> io::Result<Self> {
        let socket = tokio::time::timeout(TIMEOUT, TcpStream::connect(remote)).await??;
        socket.set_nodelay(true)?;
        let local = socket.local_addr()?;
        Ok(Self { local, remote, socket, inbound: Vec::new(), outbound: VecDeque::new() })
    }

    /// Queues a packet; [`Stream::poll`] sends it.
    pub(super) fn send(&mut self, packet: &[u8]) {
        let Ok(length) = u16::try_from(packet.len()) else { return };
        if self.outbound.len() + packet.len() <= BACKLOG {
            self.outbound.extend(length.to_be_bytes());
            self.outbound.extend(packet);
        }
    }

    /// Sends what waits and takes the next packet into `packet`, which is long enough for any
    /// that is expected; longer ones are skipped. Ready with its length, or with the error that
    /// ended the connection.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        packet: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Err(error)) = self.poll_flush(context) {
            return Poll::Ready(Err(error));
        }
        loop {
            while let Some(length) = self.complete() {
                let frame: Vec<u8> = self.inbound.drain(..2 + length).skip(2).collect();
                if let Some(space) = packet.get_mut(..length).filter(|_| length > 0) {
                    space.copy_from_slice(&frame);
                    return Poll::Ready(Ok(length));
                }
            }
            let mut bytes = [0; 4096];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.inbound.extend_from_slice(read.filled());
        }
    }

    /// The length of the first packet, if all of it is there.
    fn complete(&self) -> Option<usize> {
        let (length, rest) = self.inbound.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        (rest.len() >= length).then_some(length)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbound.is_empty() {
            let (bytes, _) = self.outbound.as_slices();
            let sent = ready!(Pin::new(&mut self.socket).poll_write(context, bytes))?;
            self.outbound.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn packets_are_framed_both_ways_however_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = Stream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        // An empty packet, a whole one, and one in two pieces; the last is too long for us.
        peer.write_all(&[0, 0, 0, 2, 7, 8, 0]).await.unwrap();
        let mut packet = [0; 4];
        let length = poll_fn(|context| stream.poll(context, &mut packet)).await.unwrap();
        assert_eq!(packet[..length], [7, 8]);
        peer.write_all(&[5, 1, 1, 1, 1, 1, 0, 1, 9]).await.unwrap();
        let length = poll_fn(|context| stream.poll(context, &mut packet)).await.unwrap();
        assert_eq!(packet[..length], [9]);
        stream.send(&[1, 2, 3]);
        let mut received = [0; 5];
        tokio::select! {
            result = peer.read_exact(&mut received) => drop(result.unwrap()),
            _ = poll_fn(|context| stream.poll(context, &mut packet)) => panic!("nothing came"),
        }
        assert_eq!(received, [0, 3, 1, 2, 3]);
        drop(peer);
        assert!(poll_fn(|context| stream.poll(context, &mut packet)).await.is_err());
    }
}
