//! What is recorded of what was found, beside the detections themselves.

use serde::{Deserialize, Serialize};

/// `[record]`: what is kept of detections beside their class, place and score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// Whether small covered pictures of detections are kept.
    pub thumbnails: bool,
    /// How long, in hours.
    pub thumbnail_hours: u32,
}

impl Default for Record {
    fn default() -> Self {
        Self { thumbnails: true, thumbnail_hours: 24 }
    }
}

impl Record {
    /// How long thumbnails are kept, in hours; `None`: none is made, and none is kept.
    pub fn hours(&self) -> Option<u32> {
        self.thumbnails.then_some(self.thumbnail_hours)
    }
}
