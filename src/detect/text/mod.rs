//! Text in pictures: where its lines are, and what they say.
//!
//! Two questions, each with a model, a queue, workers and a breaker of its own: a [`FindRequest`]
//! looks for lines in a part of a picture, a [`ReadRequest`] reads one line. Who asks sees a
//! [`Reader`]; what trouble it has never reaches the region detectors.

mod crop;
mod decode;
mod finder;
mod groups;
mod lane;
mod lines;
mod outline;
mod quad;
mod recogniser;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use super::{Failure, Need, Role, Task};
use crate::media::{Picture, Rect};

pub(super) use finder::Finder;
pub(super) use lane::Lane;
pub(super) use recogniser::Recogniser;

/// A place in a picture, in pixels from its top left corner; 0.5, 0.5 is the middle of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// From the left edge.
    pub x: f32,
    /// From the top edge.
    pub y: f32,
}

/// A line's corners, clockwise from the top left as one reads: from the first to the second the
/// text runs, from the first to the last the line is high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quad(pub [Point; 4]);

/// A line of text that was found and not read yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Where it stands, with a margin, in pixels of the picture that was handed in.
    pub quad: Quad,
    /// How sure the model is that this is text, 0 to 1.
    pub score: f32,
}

/// One character of a reading. A space is a glyph too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glyph {
    /// What it is.
    pub character: char,
    /// How sure the model is, 0 to 1.
    pub score: f32,
    /// Where it begins, as a share of the line's length: where the one before it ends; 0 for the
    /// first.
    pub start: f32,
    /// Where it ends; 1 for the last.
    pub end: f32,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its characters in reading order; none when nothing could be made out.
    pub glyphs: Vec<Glyph>,
    /// The mean of the glyphs' scores, 0 without any.
    pub score: f32,
}

impl Reading {
    /// The characters as one string.
    pub fn text(&self) -> String {
        self.glyphs.iter().map(|glyph| glyph.character).collect()
    }
}

/// Asks for the lines in a part of a picture.
pub struct FindRequest {
    /// The stream it belongs to, for fairness between streams.
    pub stream: u64,
    /// The picture; shared, never copied.
    pub picture: Arc<Picture>,
    /// The part to look at, in pixels of the picture; grown to whole, even pixels and cut to the
    /// picture's edges. Nothing outside it is seen, so a line that reaches over its edge is cut.
    pub area: Rect,
    /// Model pixels to a picture pixel. The cost grows with its square; it is lowered where the
    /// area would be larger than the model's largest input.
    pub scale: f32,
    /// After this the answer is worth nothing: a request still waiting then fails as `Late`.
    pub deadline: Instant,
    /// What happens under overload.
    pub need: Need,
    /// Called exactly once, from a detector thread or from [`Reader::find`]. Must not block.
    pub reply: Box<dyn FnOnce(Result<Vec<Line>, Failure>) + Send>,
}

/// Asks what one line says.
pub struct ReadRequest {
    /// The stream it belongs to, for fairness between streams.
    pub stream: u64,
    /// The picture; shared, never copied.
    pub picture: Arc<Picture>,
    /// The line's corners, as a [`Line`] has them or as it has moved since. What lies outside of
    /// the picture is filled with the picture's edge.
    pub quad: Quad,
    /// After this the answer is worth nothing: a request still waiting then fails as `Late`.
    pub deadline: Instant,
    /// What happens under overload.
    pub need: Need,
    /// Called exactly once, from a detector thread or from [`Reader::read`]. Must not block.
    pub reply: Box<dyn FnOnce(Result<Reading, Failure>) + Send>,
}

/// What finds and reads text; a scripted one in tests.
pub trait Reader: Send + Sync {
    /// Looks for lines. Never blocks; the answer may come before it returns.
    fn find(&self, request: FindRequest);

    /// Reads a line. Never blocks; the answer may come before it returns.
    fn read(&self, request: ReadRequest);
}

/// A part of a picture in which lines are looked for.
#[derive(Clone, Debug)]
pub struct Area {
    /// The picture.
    pub picture: Arc<Picture>,
    /// The part: whole pixels inside the picture, from an even column and row on.
    pub rect: Rect,
    /// Model pixels to a picture pixel.
    pub scale: f32,
}

/// Looks for lines of text.
#[derive(Debug)]
pub enum Find {}

impl Task for Find {
    type Input = Area;
    type Output = Vec<Line>;
    const ROLE: Role = Role::Lines;
}

/// A line that is to be read.
#[derive(Clone, Debug)]
pub struct Crop {
    /// The picture.
    pub picture: Arc<Picture>,
    /// The line's corners: finite, at least one pixel long and high.
    pub quad: Quad,
}

/// Reads lines of text.
#[derive(Debug)]
pub enum Read {}

impl Task for Read {
    type Input = Crop;
    type Output = Reading;
    const ROLE: Role = Role::Glyphs;
}
