//! What the rules cover, and how it is covered.

mod rules;

pub use rules::{
    Action, Auto, ClassRule, DEFAULT_CLASSES, DEFAULT_THRESHOLD, Delay, Document, Mode, OnFailure,
    Policy,
};
/// stub
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// stub
    pub rect: crate::media::Rect,
    /// stub
    pub action: Action,
}
