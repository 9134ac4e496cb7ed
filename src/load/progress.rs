//! One line that says where a measurement stands.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a line is written where it cannot be written over.
const SELDOM: Duration = Duration::from_secs(5);

/// Writes to standard error, over the same line on a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    shown: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: None }
    }

    /// Shows where it stands.
    pub(super) fn show(&mut self, line: &str, now: Instant) {
        if self.terminal {
            eprint!("\r\x1b[2K{line}");
            let _ = std::io::stderr().flush();
        } else if self.shown.is_none_or(|shown| now.saturating_duration_since(shown) >= SELDOM) {
            eprintln!("{line}");
        } else {
            return;
        }
        self.shown = Some(now);
    }

    /// Says something that stays.
    pub(super) fn say(&mut self, line: &str) {
        self.clear();
        eprintln!("{line}");
    }

    /// Makes room for what is printed next.
    pub(super) fn clear(&mut self) {
        if self.terminal && self.shown.is_some() {
            eprint!("\r\x1b[2K");
        }
    }
}
