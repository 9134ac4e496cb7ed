//! `[media]`: what decodes and encodes streams.
//!
//! Every key and default here stands in `config/scrim.toml` too; a test keeps them equal.

use serde::{Deserialize, Serialize};

use crate::media::engines::{Decoding, Encoding};

/// `[media]`: what decodes and encodes streams. GPUs are those of `detect.devices`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// What decodes.
    pub decoder: Decoding,
    /// What encodes H.264.
    pub encoder: Encoding,
}
