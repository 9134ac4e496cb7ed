//! How long what is recorded beside detections is kept.

use serde::{Deserialize, Serialize};

/// `[record]`: bounds of what the rules want kept of detections (`rules.record`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// How long pictures of detections are kept, in hours.
    pub thumbnail_hours: u32,
}

impl Default for Record {
    fn default() -> Self {
        Self { thumbnail_hours: 24 }
    }
}
