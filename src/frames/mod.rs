//! Frames that are sent to the API in sessions, beside the streams of rooms.
//!
//! | part | answers |
//! |---|---|
//! | [`Sessions`] | which sessions are open, and what they hold: bounded in number and memory |
//! | [`Queue`] | `/ws/stream/NAME`: which frames wait, and which was given up for a newer one |
//! | [`Upload`] | `/stream`: numbered frames in, acknowledgements out, in any order, twice or missing; pure |
//! | [`Film`] | what becomes of an upload: the censored video and a report |
//!
//! The sockets are in `api::sockets`; what a frame shows is judged by [`crate::inspect`].

mod film;
mod live;
mod sessions;
mod upload;

pub use film::{Film, FilmError, Studio};
pub use live::Queue;
pub use sessions::{Frames, Kind, Limits, OpenError, Session, SessionStats, Sessions, Stats};
pub use upload::{Gathered, Start, Step, Upload};
