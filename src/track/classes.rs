//! What a finding means to the tracker under the rules of a stream.

use std::collections::BTreeMap;

use crate::censor::{Action, Policy};
use crate::detect::Finding;

/// Share of a class's threshold down to which a finding still continues a track.
///
/// A face that turns away loses score long before it is gone; a new track on such a score would
/// mostly be noise.
const CONTINUE: f32 = 0.4;

/// Share of a class's threshold from which a finding counts where the picture was just replaced.
/// Lower, and what is no such thing at all would be covered at every cut.
const NEARLY: f32 = 0.7;

/// The class of a word that a rule forbids.
pub const TEXT: &str = "TEXT";

/// The class of text that nobody has read yet.
pub const TEXT_UNREAD: &str = "TEXT_UNREAD";

/// The score from which a finding of text counts; all have 1.
const TEXT_SCORE: f32 = 0.5;

/// Whether a class is of text. What is said of text is no guess, as a model's finding is: what is
/// not there is gone.
pub(crate) fn is_text(class: &str) -> bool {
    matches!(class, TEXT | TEXT_UNREAD)
}

/// The classes that are covered, with the score from which a finding counts and what is done.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    covered: BTreeMap<String, (f32, Action)>,
}

/// How much a finding may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Grade {
    /// Starts a track, or continues one.
    Strong(Action),
    /// Continues a track.
    Weak(Action),
    /// Of a class that is allowed, but the same part of a body as a covered one: the model may
    /// have changed its mind about the sex. Moves a track without renewing its lease.
    Mate,
}

impl Classes {
    /// The classes that `policy` covers.
    pub fn new(policy: &Policy) -> Self {
        let mut covered = policy.classes.clone();
        if let Some(text) = &policy.text {
            let rule = |class: &str| (class.to_owned(), (TEXT_SCORE, text.action));
            covered.extend([TEXT, TEXT_UNREAD].map(rule));
        }
        Self { covered }
    }

    /// The finding as a strong one, if it is nearly one.
    pub(crate) fn strengthened(&self, finding: &Finding) -> Option<Finding> {
        let (threshold, _) = *self.covered.get(&*finding.class)?;
        let nearly = (NEARLY * threshold..threshold).contains(&finding.score);
        nearly.then(|| Finding { score: threshold, ..finding.clone() })
    }

    /// What `finding` may do; `None` when the rules have nothing to do with it.
    ///
    /// A score that is no number counts as strong.
    pub(crate) fn grade(&self, finding: &Finding) -> Option<Grade> {
        let Some(&(threshold, action)) = self.covered.get(&*finding.class) else {
            let group = part(&finding.class);
            return self.covered.keys().any(|class| part(class) == group).then_some(Grade::Mate);
        };
        if finding.score.is_nan() || finding.score >= threshold {
            Some(Grade::Strong(action))
        } else if finding.score >= CONTINUE * threshold {
            Some(Grade::Weak(action))
        } else {
            None
        }
    }
}

/// The class name without the sex: classes that share it may name one and the same object. A word
/// is the same before it was read.
pub(super) fn part(class: &str) -> String {
    if is_text(class) {
        return TEXT.to_owned();
    }
    let words: Vec<_> = class.split('_').filter(|w| !matches!(*w, "FEMALE" | "MALE")).collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Rect;

    fn finding(class: &str, score: f32) -> Finding {
        Finding { class: class.into(), score, rect: Rect::new(0.0, 0.0, 9.0, 9.0) }
    }

    #[test]
    fn a_score_decides_what_a_finding_may_do() {
        let covered = [("FACE_FEMALE".to_owned(), (0.25, Action::Blur))].into();
        let classes = Classes { covered };
        let grade = |class, score| classes.grade(&finding(class, score));
        assert_eq!(grade("FACE_FEMALE", 0.25), Some(Grade::Strong(Action::Blur)));
        assert_eq!(grade("FACE_FEMALE", f32::NAN), Some(Grade::Strong(Action::Blur)));
        assert_eq!(grade("FACE_FEMALE", 0.11), Some(Grade::Weak(Action::Blur)));
        assert_eq!(grade("FACE_FEMALE", 0.09), None);
        assert_eq!(grade("FACE_MALE", 0.9), Some(Grade::Mate));
        assert_eq!(grade("FEMALE_BREAST_EXPOSED", 0.9), None);
    }
}
