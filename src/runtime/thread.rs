//! Operating system threads by name, joined with a deadline.

use std::any::Any;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::media::clock;

/// The nice value of a thread that gives way; each step is a quarter less processor time.
const YIELDING: i32 = 5;

/// A named thread that returns a `T`. Dropping it lets the thread run on.
#[derive(Debug)]
pub struct Thread<T> {
    name: String,
    handle: JoinHandle<T>,
    ended: Receiver<()>,
}

/// What came of a thread that was waited for.
#[derive(Debug)]
pub enum Joined<T> {
    /// It returned.
    Finished(T),
    /// It panicked; the message of the panic.
    Panicked(String),
    /// It is still running; it can be waited for again, or left behind.
    Running(Thread<T>),
}

/// Makes the calling thread give way to others, as those of [`Thread::spawn_yielding`] do.
pub(crate) fn give_way() {
    // On Linux the priority is the thread's own. A system that refuses is no reason not to work.
    let _ = rustix::process::setpriority_process(None, YIELDING);
}

impl<T: Send + 'static> Thread<T> {
    /// Starts a thread. The system shows the first 15 bytes of its name.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    #[expect(clippy::disallowed_methods, reason = "the home of threads")]
    pub fn spawn(
        name: impl Into<String>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let name = name.into();
        // Never sent on: the receiver sees the sender go when the thread ends, panicking or not.
        let (alive, ended) = sync_channel::<()>(0);
        let handle = Builder::new().name(name.clone()).spawn(move || {
            let _alive = alive;
            work()
        })?;
        Ok(Self { name, handle, ended })
    }

    /// Starts a thread that gives way to those started by [`Thread::spawn`] where processors are
    /// short: it gets a third of what one of them gets.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub fn spawn_yielding(
        name: impl Into<String>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        Self::spawn(name, move || {
            give_way();
            work()
        })
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits until the thread ends or `deadline` passes. Blocks: not for async code.
    pub fn join_until(self, deadline: Instant) -> Joined<T> {
        let left = deadline.saturating_duration_since(clock::now());
        match self.ended.recv_timeout(left) {
            Err(RecvTimeoutError::Timeout) => Joined::Running(self),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => match self.handle.join() {
                Ok(value) => Joined::Finished(value),
                Err(panic) => Joined::Panicked(panic_text(panic.as_ref())),
            },
        }
    }

    /// [`Self::join_until`] from now on.
    pub fn join_within(self, limit: Duration) -> Joined<T> {
        self.join_until(clock::now() + limit)
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_has_its_name_and_gives_its_value() {
        let thread =
            Thread::spawn("media-0", || std::thread::current().name().map(ToOwned::to_owned));
        let Joined::Finished(name) = thread.unwrap().join_within(LONG) else { panic!("ended") };
        assert_eq!(name.as_deref(), Some("media-0"));
    }

    #[test]
    fn a_panic_is_told_with_its_text() {
        let thread = Thread::spawn("buggy", || panic!("code {}", 7)).unwrap();
        let Joined::Panicked(text) = thread.join_within(LONG) else { panic!("ended") };
        assert_eq!(text, "code 7");
    }

    #[test]
    fn a_busy_thread_is_given_back_and_can_be_joined_later() {
        let (finish, wait) = sync_channel::<()>(0);
        let thread = Thread::spawn("busy", move || wait.recv().is_err()).unwrap();
        let Joined::Running(thread) = thread.join_within(Duration::ZERO) else { panic!("runs") };
        assert_eq!(thread.name(), "busy");
        drop(finish);
        assert!(matches!(thread.join_within(LONG), Joined::Finished(true)));
    }
}
