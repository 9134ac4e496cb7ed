//! What the rules say of what is kept.

use serde::{Deserialize, Serialize};

/// What is kept of detections beside class, place and score.
#[derive(schemars::JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RecordRule {
    /// Whether small covered pictures of detections are kept for a time (`record.thumbnail_hours`),
    /// for operators; off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnails: Option<bool>,
}

impl RecordRule {
    /// This level over the one below, key by key.
    pub(super) fn over(&self, below: &Self) -> Self {
        Self { thumbnails: self.thumbnails.or(below.thumbnails) }
    }
}
