//! Pictures, encoded frames and time: the types every other module speaks in.

pub mod clock;
pub(crate) mod ffmpeg;
mod frame;
mod picture;
mod rect;

pub use frame::{AudioFrame, Kind, Source, VideoCodec, VideoFrame};
pub use picture::{Picture, Plane, PlaneMut};
pub use rect::Rect;
