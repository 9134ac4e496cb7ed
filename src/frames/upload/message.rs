//! What a client of `/stream` may say.

use serde::Deserialize;

use crate::censor::Document;

/// Highest number of a frame: a month at 30 a second would have more.
const NUMBER_MAX: u64 = 50_000_000;

/// Longest side of raw pixels that a header may claim; the decoder has its own limit.
const RAW_SIDE: u32 = 16_384;

/// A message of the client.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub(super) enum Message {
    #[serde(rename = "SESSION_START", rename_all = "camelCase")]
    Start { room_name: Option<String>, fps: Option<f32>, rules: Option<Document> },
    #[serde(rename = "FRAME", rename_all = "camelCase")]
    Frame { frame: u64, format: Coding, width: Option<u32>, height: Option<u32> },
    #[serde(rename = "SIGNAL", rename_all = "camelCase")]
    Signal { name: String },
    #[serde(rename = "SESSION_END")]
    End {},
}

/// How a frame is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Coding {
    #[serde(alias = "JPEG")]
    Jpeg,
    #[serde(alias = "PNG")]
    Png,
    /// Red, green and blue of 8 bits.
    #[serde(alias = "RAW")]
    Raw,
}

/// What a frame's header says of its pixels: their width and height when they are raw.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn header(
    frame: u64,
    format: Coding,
    width: Option<u32>,
    height: Option<u32>,
) -> Result<Option<(u32, u32)>, String> {
    if frame > NUMBER_MAX {
        return Err(format!("frame must be from 0 to {NUMBER_MAX}"));
    }
    match (format, width, height) {
        (Coding::Jpeg | Coding::Png, None, None) => Ok(None),
        (Coding::Jpeg | Coding::Png, ..) => Err("width and height are for raw frames".into()),
        (Coding::Raw, Some(width @ 1..=RAW_SIDE), Some(height @ 1..=RAW_SIDE)) => {
            Ok(Some((width, height)))
        }
        (Coding::Raw, ..) => Err("a raw frame needs its width and height in pixels".into()),
    }
}
