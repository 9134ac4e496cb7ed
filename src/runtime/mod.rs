//! Named tasks and threads, stop signals, deadlines.
//!
//! Nothing runs without a name: tasks belong to a [`Supervisor`],
//! foreign code to a [`Thread`].
//! Stopping is a token that is cancelled, a deadline, and one log line that names whoever is left.

mod outcome;
mod permits;
mod shutdown;
mod supervisor;
mod thread;

pub use outcome::Outcome;
pub use permits::{Permit, Permits};
pub use shutdown::Signals;
pub use supervisor::{Ended, Exit, Supervisor};
pub(crate) use thread::give_way;
pub use thread::{Joined, Thread};
