//! Pictures, encoded frames and time: the types every other module speaks in, and the codecs.

pub mod bitstream;
pub mod clock;
pub mod decode;
pub mod encode;
pub mod engines;
pub(crate) mod ffmpeg;
mod frame;
mod link;
pub mod mp4;
mod picture;
mod rect;
#[cfg(test)]
mod tests;
pub mod thumb;

pub use engines::{Engine, Engines};
pub use frame::{AudioFrame, Kind, Source, VideoCodec, VideoFrame};
pub use link::Link;
pub use picture::{Colour, Picture, Plane, PlaneMut};
pub use rect::Rect;
