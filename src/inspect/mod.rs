//! One picture, or a text, under the rules: what a stream would cover of it, and why.
//!
//! ```text
//! bytes ─► picture: bounded, upright ─► detect (threads shared with the streams) ─┐
//!                                    └► pipeline::text: one look                  ├─► report
//! typed text ─► words ────────────────────────────────────────────────────────────┘   and the
//!                                                                                     censored picture
//! ```
//!
//! Nothing here decides: thresholds, padding and actions come from `track` and `censor`, words from
//! `text` and the text lane, as for a stream of one frame. Nothing is kept. An [`Inspector`] takes
//! so many pictures at once ([`Limits::at_once`]); further ones are refused, and the detectors drop
//! them before anything that a stream asks for.

mod judge;
mod picture;
mod report;
pub(crate) mod rgb;
mod service;
mod still;
mod words;

pub use picture::{Format, Limits as PictureLimits, PictureError};
pub use report::{Covered, Kind, Passed, Place, Report, Spotted, Why};
pub use service::{Ask, Inspector, Limits, LookError, Looked, Ruling};
