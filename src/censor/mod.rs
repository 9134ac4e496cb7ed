//! What the rules cover, and how it is covered.
//!
//! `apply` is the one call of the pipeline for a frame with regions, `cover` the one for a frame
//! without a verdict. Both write in place.

mod blur;
mod effect;
mod grid;
mod mask;
mod record_rule;
mod rules;
mod text_rule;

pub use effect::{apply, cover};
pub use record_rule::RecordRule;
pub use rules::{
    Action, Auto, ClassRule, DEFAULT_CLASSES, DEFAULT_THRESHOLD, DELAY_MS, Delay, Document, Mode,
    OnFailure, Policy,
};
pub use text_rule::{FullWord, TextCover, TextPolicy, TextRule, Unread, WordRule};

use crate::media::Rect;

/// A part of a frame and what is done to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// In pixels of the frame; may reach beyond its edges. A coordinate that is no number stands
    /// for the whole frame.
    pub rect: Rect,
    /// What is done.
    pub action: Action,
}
