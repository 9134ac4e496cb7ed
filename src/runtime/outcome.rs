//! How a command that measures came out.

use std::process::ExitCode;

/// The same exit codes for every command that measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was measured and within the limits: 0.
    Met,
    /// Something was not: 1.
    Missed,
    /// There is nothing to judge by: 2.
    Unmeasured,
    /// A GPU was asked for and there is none: 3.
    NoGpu,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Met => 0,
            Outcome::Missed => 1,
            Outcome::Unmeasured => 2,
            Outcome::NoGpu => 3,
        })
    }
}
