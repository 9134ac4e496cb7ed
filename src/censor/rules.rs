//! The rules document: what an operator writes, and what it means once every level is laid over
//! the next.
//!
//! The same [`Document`] stands in `[rules]` of the configuration and in `rules` of
//! `POST /stream/start`. What a level leaves out comes from the one below; [`Policy`] is the sum,
//! with the defaults underneath.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record_rule::RecordRule;
use super::text_rule::{TextPolicy, TextRule};

/// The shortest and longest delay an operator may ask for, in milliseconds.
pub const DELAY_MS: std::ops::RangeInclusive<u32> = 60..=5_000;

/// What is done to a region of a class.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Shown as it is.
    Allow,
    /// Gaussian blur, its strength relative to the region's size.
    Blur,
    /// Large squares of one colour each.
    Pixelate,
    /// One colour; nothing of the original is left.
    Solid,
    /// The whole frame is covered.
    Cover,
}

/// What the rules say about one class of a detector.
#[derive(schemars::JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// Findings below this score do not count, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// What is done to the region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
}

/// How a frame gets its verdict.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Held for a fixed delay; shown only with a verdict.
    Verified,
    /// Released at once on a prediction.
    Instant,
}

/// What is shown when there is no verdict.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The whole frame covered.
    Cover,
    /// The last verified frame, again.
    Freeze,
    /// The frame as it is. Breaks the promise; for those who need the picture more.
    Pass,
}

/// `"auto"` or a number of milliseconds.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Delay {
    /// A fixed delay in milliseconds.
    Millis(u32),
    /// Chosen by the server.
    Auto(Auto),
}

/// The word `auto`.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Auto {
    /// Chosen by the server.
    #[serde(rename = "auto")]
    Auto,
}

/// One level of rules; everything may be left out.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "Rules")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// Detector class → what to do with it. A level that names classes replaces the list of the
    /// level below: what it does not name is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<BTreeMap<String, ClassRule>>,
    /// Verified or instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The fixed delay of verified mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<Delay>,
    /// By how much of its size a region is grown on each side, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<f32>,
    /// What is shown when there is no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Whether frames without the colour of skin are looked at no more often than they must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cascade: Option<bool>,
    /// Words in the picture, merged key by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextRule>,
    /// What is kept of detections, merged key by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordRule>,
}

/// What holds for a stream: every level laid over the next, defaults at the bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Classes that are not allowed, with the score from which a finding counts.
    pub classes: BTreeMap<String, (f32, Action)>,
    /// Verified or instant.
    pub mode: Mode,
    /// How long verified mode holds frames; `None` leaves it to the server: as short as verdicts
    /// allow.
    pub delay: Option<Duration>,
    /// Share of a region's size by which it grows on each side.
    pub padding: f32,
    /// What is shown when there is no verdict.
    pub on_failure: OnFailure,
    /// Whether frames without the colour of skin are looked at no more often than they must be.
    pub cascade: bool,
    /// What holds for words in the picture; `None`: they are not read.
    pub text: Option<Arc<TextPolicy>>,
    /// Whether covered pictures of what is found are kept.
    pub thumbnails: bool,
}

/// The score from which a finding counts where the rules name none.
pub const DEFAULT_THRESHOLD: f32 = 0.25;

/// NudeNet's classes that are covered unless the rules say otherwise: all that it calls exposed.
pub const DEFAULT_CLASSES: [&str; 9] = [
    "ANUS_EXPOSED",
    "ARMPITS_EXPOSED",
    "BELLY_EXPOSED",
    "BUTTOCKS_EXPOSED",
    "FEET_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
];

impl Document {
    /// This level over the one below.
    pub fn over(&self, below: &Self) -> Self {
        Self {
            classes: self.classes.clone().or_else(|| below.classes.clone()),
            mode: self.mode.or(below.mode),
            delay_ms: self.delay_ms.or(below.delay_ms),
            padding: self.padding.or(below.padding),
            on_failure: self.on_failure.or(below.on_failure),
            cascade: self.cascade.or(below.cascade),
            text: match (&self.text, &below.text) {
                (Some(own), Some(below)) => Some(own.over(below)),
                (own, below) => own.clone().or_else(|| below.clone()),
            },
            record: match (&self.record, &below.record) {
                (Some(own), Some(below)) => Some(own.over(below)),
                (own, below) => own.clone().or_else(|| below.clone()),
            },
        }
    }

    /// Everything that is wrong with this level, each with its key and what is allowed.
    /// `known` lists the classes of the detectors that are loaded.
    pub fn check(&self, known: &[impl AsRef<str>]) -> Vec<String> {
        let mut problems = Vec::new();
        for (class, rule) in self.classes.iter().flatten() {
            if !known.iter().any(|k| k.as_ref() == class) {
                let known: Vec<_> = known.iter().map(AsRef::as_ref).collect();
                problems
                    .push(format!("classes.{class}: unknown class; known: {}", known.join(", ")));
            }
            if rule.threshold.is_some_and(|t| !(0.05..=0.99).contains(&t)) {
                problems.push(format!("classes.{class}.threshold: must be from 0.05 to 0.99"));
            }
        }
        if self.padding.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            problems.push("padding: must be from 0 to 1".into());
        }
        if let Some(Delay::Millis(ms)) = self.delay_ms
            && !DELAY_MS.contains(&ms)
        {
            problems.push(format!(
                "delayMs: must be \"auto\" or from {} to {}",
                DELAY_MS.start(),
                DELAY_MS.end()
            ));
        }
        problems.extend(self.text.iter().flat_map(TextRule::check));
        problems
    }

    /// What this level means with the defaults underneath.
    pub fn resolve(&self) -> Policy {
        let classes = match &self.classes {
            Some(classes) => classes
                .iter()
                .map(|(class, rule)| {
                    let action = rule.action.unwrap_or(Action::Blur);
                    (class.clone(), (rule.threshold.unwrap_or(DEFAULT_THRESHOLD), action))
                })
                .filter(|(_, (_, action))| *action != Action::Allow)
                .collect(),
            None => DEFAULT_CLASSES
                .iter()
                .map(|class| ((*class).to_owned(), (DEFAULT_THRESHOLD, Action::Blur)))
                .collect(),
        };
        let delay = match self.delay_ms {
            Some(Delay::Millis(ms)) => Some(Duration::from_millis(ms.into())),
            Some(Delay::Auto(_)) | None => None,
        };
        Policy {
            classes,
            mode: self.mode.unwrap_or(Mode::Verified),
            delay,
            padding: self.padding.unwrap_or(0.15),
            on_failure: self.on_failure.unwrap_or(OnFailure::Cover),
            cascade: self.cascade.unwrap_or(false),
            text: self.text.as_ref().and_then(TextRule::resolve).map(Arc::new),
            thumbnails: self.record.as_ref().and_then(|record| record.thumbnails) == Some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_replaces_only_what_it_names() {
        let global: Document = serde_json::from_str(
            r#"{"classes": {"FACE_FEMALE": {"threshold": 0.3}}, "padding": 0.2, "delayMs": 300}"#,
        )
        .unwrap();
        let room: Document = serde_json::from_str(r#"{"delayMs": "auto"}"#).unwrap();
        let policy = room.over(&global).resolve();
        assert_eq!(policy.classes["FACE_FEMALE"], (0.3, Action::Blur));
        assert_eq!(policy.delay, None);
        assert_eq!(global.resolve().delay, Some(Duration::from_millis(300)));
        assert!((policy.padding - 0.2).abs() < f32::EPSILON);
    }

    #[test]
    fn allowed_classes_are_not_in_the_policy() {
        let rules: Document = serde_json::from_str(
            r#"{"classes": {"FACE_FEMALE": {"action": "allow"}, "FACE_MALE": {"action": "solid"}}}"#,
        )
        .unwrap();
        let policy = rules.resolve();
        assert_eq!(policy.classes.keys().collect::<Vec<_>>(), ["FACE_MALE"]);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let rules: Document = serde_json::from_str(
            r#"{"classes": {"NOSE": {"threshold": 7}}, "padding": -1, "delayMs": 1,
                "text": {"words": ["*"]}}"#,
        )
        .unwrap();
        let problems = rules.check(&["FACE_FEMALE"]);
        assert_eq!(problems.len(), 5, "{problems:?}");
    }

    #[test]
    fn text_is_merged_key_by_key() {
        let global: Document =
            serde_json::from_str(r#"{"text": {"enabled": true, "words": ["damn"]}}"#).unwrap();
        let room: Document = serde_json::from_str(r#"{"text": {"unread": "show"}}"#).unwrap();
        assert_eq!(room.resolve().text, None);
        let text = room.over(&global).resolve().text.unwrap();
        assert_eq!(text.rules.words[0].text, "damn");
        assert_eq!(Document::default().over(&global).text, global.text);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Document>(r#"{"paddding": 0.1}"#).is_err());
    }
}
