//! Threads that foreign code lives on: named, and honest about how they ended.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How a thread ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Exit<T> {
    /// It returned.
    Finished(T),
    /// It panicked; the message is for a person.
    Panicked(String),
    /// It did not end by the deadline, and was left behind.
    Running,
}

/// A running thread. Dropping it leaves the thread alone.
#[derive(Debug)]
pub struct Handle<T> {
    name: String,
    exit: Receiver<Exit<T>>,
}

impl<T> Handle<T> {
    /// The thread's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until the thread ends, at most for `limit`. Ask it to stop before: this does not.
    pub fn join(self, limit: Duration) -> Exit<T> {
        match self.exit.recv_timeout(limit) {
            Ok(exit) => exit,
            Err(RecvTimeoutError::Timeout) => Exit::Running,
            Err(RecvTimeoutError::Disconnected) => Exit::Panicked("no report".into()),
        }
    }
}

/// Runs `work` on a thread of its own. What it opens there it uses and drops there; the exit is
/// reported after the drop. Names longer than 15 bytes are cut by Linux.
#[allow(clippy::disallowed_methods, reason = "the one home of threads")]
pub fn named<T: Send + 'static>(
    name: impl Into<String>,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<Handle<T>> {
    let name = name.into();
    // One exit, never full.
    let (report, exit) = sync_channel(1);
    std::thread::Builder::new().name(name.clone()).spawn(move || {
        // The state that a panic may have left broken is dropped with the closure.
        let ended = catch_unwind(AssertUnwindSafe(work));
        let _ = report.send(match ended {
            Ok(value) => Exit::Finished(value),
            Err(panic) => Exit::Panicked(message(&*panic)),
        });
    })?;
    Ok(Handle { name, exit })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_reports_what_it_returned_under_its_name() {
        let work = || std::thread::current().name().map(str::to_owned);
        let handle = named("decode-cam", work).unwrap();
        assert_eq!(handle.join(LONG), Exit::Finished(Some("decode-cam".into())));
    }

    #[test]
    fn a_panic_is_an_exit_with_its_message() {
        let handle = named("bad", || panic!("no {}", "luck")).unwrap();
        assert_eq!(handle.join(LONG), Exit::<()>::Panicked("no luck".into()));
    }

    #[test]
    fn a_thread_that_does_not_end_is_left_running() {
        let (release, wait) = channel::<()>();
        let (report, ended) = channel();
        let work = move || report.send(wait.recv().is_ok()).unwrap();
        let handle = named("slow", work).unwrap();
        assert_eq!(handle.name(), "slow");
        assert_eq!(handle.join(Duration::ZERO), Exit::Running);
        release.send(()).unwrap();
        assert_eq!(ended.recv_timeout(LONG), Ok(true));
    }
}
