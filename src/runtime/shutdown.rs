//! Signals: the first asks everything to stop, the second ends the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code after a second signal: 128 + SIGINT, as shells have it.
const IMPATIENT: i32 = 130;

/// SIGTERM and SIGINT. Install before anything that may need to be stopped.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over the two signals.
    ///
    /// # Errors
    ///
    /// When the operating system refuses the handlers.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns the name of the next signal.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for one more signal and ends the process at once.
    pub async fn exit_on_next(&mut self) -> std::convert::Infallible {
        let name = self.next().await;
        tracing::error!(signal = name, "second signal, ending at once");
        std::process::exit(IMPATIENT)
    }
}
