//! So many at a time: for work that would crowd out everything else if all began it at once.

use std::sync::{Condvar, Mutex};
use std::time::Instant;

use crate::media::clock;

/// A number of permits that threads take and give back.
#[derive(Debug)]
pub struct Permits {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A permit; given back when dropped.
#[derive(Debug)]
pub struct Permit<'a>(&'a Permits);

impl Permits {
    /// `count` permits, at least one.
    pub fn new(count: usize) -> Self {
        Self { free: Mutex::new(count.max(1)), freed: Condvar::new() }
    }

    /// Takes a permit; `None` when none was free until then. Blocks: not for async code.
    pub fn take(&self, until: Instant) -> Option<Permit<'_>> {
        let mut free = self.free.lock().unwrap_or_else(|e| e.into_inner());
        while *free == 0 {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return None;
            }
            free = self.freed.wait_timeout(free, left).unwrap_or_else(|e| e.into_inner()).0;
        }
        *free -= 1;
        Some(Permit(self))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(|e| e.into_inner()) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::runtime::Thread;

    #[test]
    fn a_permit_is_waited_for_and_given_back() {
        let permits = Arc::new(Permits::new(1));
        let first = permits.take(clock::now()).unwrap();
        assert!(permits.take(clock::now()).is_none(), "there is only one");
        let (tell, told) = channel();
        let waiting = permits.clone();
        let thread = Thread::spawn("waits", move || {
            tell.send(()).unwrap();
            waiting.take(clock::now() + Duration::from_secs(60)).is_some()
        });
        told.recv().unwrap();
        drop(first);
        let until = clock::now() + Duration::from_secs(60);
        assert!(matches!(
            thread.unwrap().join_until(until),
            crate::runtime::Joined::Finished(true)
        ));
        assert!(permits.take(clock::now()).is_some());
    }
}
