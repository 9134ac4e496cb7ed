//! Log lines: to standard error, for a person or for a collector.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Format, Level, Log};

/// Installs the logger of this process.
///
/// # Errors
///
/// When there is one already.
pub fn init(log: &Log) -> Result<(), TryInitError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter(log.level)))
        .with_writer(std::io::stderr);
    match log.format {
        Format::Pretty => builder.finish().try_init(),
        Format::Json => builder.json().flatten_event(true).finish().try_init(),
    }
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
