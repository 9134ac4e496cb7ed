//! How many connections each client holds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::limits::network;

/// Connections by client; bounded by the number of connections.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    /// Most connections of one client; 0: no limit.
    limit: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of a client; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    peers: Peers,
    client: IpAddr,
}

impl Peers {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: Arc::default() }
    }

    /// A place for one more connection; `None` when the client has as many as it may.
    pub(super) fn enter(&self, client: IpAddr) -> Option<Place> {
        let client = network(client);
        let mut open = self.open();
        let count = open.entry(client).or_insert(0);
        if self.limit > 0 && *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { peers: self.clone(), client })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.open();
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_so_many_and_gives_them_back() {
        let peers = Peers::new(2);
        let first = peers.enter(ip("192.0.2.1")).unwrap();
        let _second = peers.enter(ip("192.0.2.1")).unwrap();
        assert!(peers.enter(ip("192.0.2.1")).is_none());
        assert!(peers.enter(ip("::ffff:192.0.2.1")).is_none(), "the same client");
        let _other = peers.enter(ip("192.0.2.2")).unwrap();
        drop(first);
        assert!(peers.enter(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn nothing_is_left_of_a_client_that_is_gone() {
        let peers = Peers::new(0);
        let places: Vec<Place> = (0..10).map(|_| peers.enter(ip("2001:db8::1")).unwrap()).collect();
        drop(places);
        assert!(peers.open().is_empty());
    }
}
