//! Findings of analysed frames in, regions for every frame between them out; pure.
//!
//! A `Tracker` is fed the analysed frames of one shot in order and answers each with a `Snapshot`:
//! what is known at that frame. `bracket::regions` says from the snapshots around frame n what
//! must be covered on it. A cut or a change of size starts a new tracker; nothing is carried
//! across. Nothing here reads a clock or does I/O.

mod associate;
pub mod bracket;
mod classes;
mod kalman;
mod tracker;

pub(crate) use associate::assign;
pub use bracket::{Area, Margins};
pub(crate) use classes::is_text;
pub use classes::{Classes, TEXT, TEXT_UNREAD};
pub use tracker::{Config, Fix, Sighting, Snapshot, Tracker};

/// When a frame is: its number and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Number of the frame in its stream, counted over all frames, analysed or not.
    pub index: u64,
    /// Capture time in seconds from any fixed point of the stream.
    pub time: f64,
}

impl Moment {
    /// A frame's number and its time in seconds.
    pub const fn new(index: u64, time: f64) -> Self {
        Self { index, time }
    }

    /// Seconds from `earlier` to this moment, at most a minute; zero when the times make no sense.
    pub(crate) fn since(&self, earlier: Self) -> f32 {
        let seconds = self.time - earlier.time;
        if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, 60.0) as f32 }
    }
}
