//! Log lines: to standard error, for a person or for a collector.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Format, Level, Log};

/// Installs the logger of this process; panics become log lines too, with the thread's name.
///
/// # Errors
///
/// When there is one already.
pub fn init(log: &Log) -> Result<(), TryInitError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter(log.level)))
        .with_writer(std::io::stderr);
    match log.format {
        Format::Pretty => builder.finish().try_init()?,
        Format::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string);
        let reason = panic.payload_as_str().unwrap_or("without a message");
        tracing::error!(thread = thread.name(), place, reason, "panic");
    }));
    Ok(())
}

/// Our own lines at the level asked for; those of libraries one step quieter, and never at
/// `debug`, where some of them write keys and whole packets.
fn filter(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "warn,scrim=info",
        Level::Debug => "info,scrim=debug",
        Level::Trace => "info,scrim=trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_a_filter() {
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace] {
            assert!(EnvFilter::try_new(filter(level)).is_ok(), "{level:?}");
        }
    }
}
