//! What is said of a picture or a text. The fields are the API's own.

use schemars::JsonSchema;
use serde::Serialize;

use crate::censor::Action;
use crate::media::Rect;
use crate::text::Severity;

/// What the rules make of a picture, of a text, or of both.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Width of the upright picture in pixels; missing without a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Its height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// What is covered in the picture.
    pub covered: Vec<Covered>,
    /// What was found, in the picture or the text, and let through.
    pub passed: Vec<Passed>,
    /// What the rules forbid in the text.
    pub text: Vec<Spotted>,
}

/// What kind of thing was found.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A region that a detector knows.
    Class,
    /// A word or phrase.
    Text,
}

/// A part of a picture, in pixels from its upper left corner.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Serialize)]
#[schemars(rename = "Box")]
pub struct Place {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl From<Rect> for Place {
    fn from(rect: Rect) -> Self {
        Self { x: rect.x, y: rect.y, width: rect.w, height: rect.h }
    }
}

/// Something that is covered.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[schemars(rename = "CoveredRegion")]
#[serde(rename_all = "camelCase")]
pub struct Covered {
    /// A detector's class or a text.
    pub kind: Kind,
    /// The class; for text the word as it stands in the picture, or `TEXT_UNREAD` for text that
    /// could not be read.
    pub label: String,
    /// The word of the rules or of the built-in list that it matches; for contact data its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// How sure it is, 0 to 1.
    pub score: f32,
    /// From which score it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// What is covered, padding included.
    #[serde(rename = "box")]
    pub place: Place,
    /// How.
    pub action: Action,
}

/// Why something that was found is let through.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[schemars(rename = "PassReason")]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// Its score is below the threshold.
    BelowThreshold,
    /// The rules allow it.
    Allowed,
    /// What stands around the word makes it harmless.
    InnocentContext,
    /// The rules cover worse words only.
    BelowSeverity,
    /// Text that could not be read, under rules that show it.
    Unread,
    /// The rules do not look at text.
    TextOff,
}

/// Something that was found and is let through.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[schemars(rename = "PassedFinding")]
#[serde(rename_all = "camelCase")]
pub struct Passed {
    /// A detector's class or a text.
    pub kind: Kind,
    /// The class, or the word as it was written.
    pub label: String,
    /// The word of the rules or of the built-in list that it matches; for contact data its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// How sure it is, 0 to 1.
    pub score: f32,
    /// From which score it would count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Where it stands in the picture.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// First character of the text (of Unicode, from 0), when it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
    /// One past its last character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<usize>,
    /// Why.
    pub reason: Why,
}

/// A part of a text that the rules forbid.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[schemars(rename = "ForbiddenWord")]
#[serde(rename_all = "camelCase")]
pub struct Spotted {
    /// As it was written.
    pub word: String,
    /// The word of the rules or of the built-in list that it matches; for contact data its kind.
    pub entry: String,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is, 0.5 to 1.
    pub score: f32,
    /// Its first character (of Unicode, from 0).
    pub start: usize,
    /// One past its last.
    pub end: usize,
}
