//! What the rules make of findings in one picture: the decisions of a stream of one frame. Pure.

use super::report::{Covered, Kind, Passed, Place, Why};
use crate::censor::{Policy, Region};
use crate::detect::Finding;
use crate::track::{Area, Classes, Config, Margins, Moment, Tracker, bracket};

/// What becomes of findings.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) covered: Vec<Covered>,
    pub(super) passed: Vec<Passed>,
    /// What is covered, for the censor.
    pub(super) regions: Vec<Region>,
}

/// Judges what the region detectors found in a picture of `size`.
pub(super) fn judge(findings: &[Finding], size: (u32, u32), policy: &Policy) -> Judged {
    let classes = Classes::new(policy);
    // All together, as a stream sees them: what joins there joins here.
    let regions = areas(findings, size, policy, &classes).iter().map(Region::from).collect();
    let mut judged = Judged { regions, ..Judged::default() };
    for finding in findings {
        let rule = policy.classes.get(&*finding.class);
        let own = areas(std::slice::from_ref(finding), size, policy, &classes);
        judged.regions.extend(own.iter().map(Region::from));
        let (label, score) = (finding.class.to_string(), finding.score);
        let threshold = rule.map(|(threshold, _)| *threshold);
        match own.first() {
            Some(area) => judged.covered.push(Covered {
                kind: Kind::Class,
                label,
                entry: None,
                score,
                threshold,
                place: area.rect.into(),
                action: area.action,
            }),
            None => judged.passed.push(Passed {
                kind: Kind::Class,
                label,
                entry: None,
                score,
                threshold,
                place: Some(Place::from(finding.rect)),
                start: None,
                end: None,
                reason: if rule.is_some() { Why::BelowThreshold } else { Why::Allowed },
            }),
        }
    }
    judged
}

/// What a stream covers on a frame of which this is all that is known.
pub(super) fn areas(
    findings: &[Finding],
    size: (u32, u32),
    policy: &Policy,
    classes: &Classes,
) -> Vec<Area> {
    let now = Moment::new(0, 0.0);
    let known = Tracker::new(Config::default(), size).step(now, findings, classes);
    let margins = Margins { padding: policy.padding, ..Margins::default() };
    bracket::regions(now, [&known], margins)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::censor::{Action, Document};
    use crate::media::Rect;

    const SIZE: (u32, u32) = (640, 480);

    fn policy(json: &str) -> Policy {
        serde_json::from_str::<Document>(json).unwrap().resolve()
    }

    fn found(class: &str, score: f32, rect: Rect) -> Finding {
        Finding { class: class.into(), score, rect }
    }

    #[test]
    fn what_counts_is_covered_with_its_padding_and_the_rest_says_why_not() {
        let policy = policy(
            r#"{"padding": 0.1, "classes": {"FACE_FEMALE": {"threshold": 0.3, "action": "solid"}}}"#,
        );
        let rect = Rect::new(100.0, 100.0, 50.0, 40.0);
        let judged = judge(
            &[
                found("FACE_FEMALE", 0.8, rect),
                found("FACE_FEMALE", 0.29, rect.shift(200.0, 200.0)),
                found("FEET_EXPOSED", 0.9, rect.shift(0.0, 200.0)),
            ],
            SIZE,
            &policy,
        );
        let [covered] = &judged.covered[..] else { panic!("{judged:?}") };
        assert_eq!((covered.threshold, covered.action), (Some(0.3), Action::Solid));
        assert_eq!(covered.place, Place { x: 95.0, y: 96.0, width: 60.0, height: 48.0 });
        let why: Vec<_> = judged.passed.iter().map(|p| (p.reason, p.threshold)).collect();
        assert_eq!(why, [(Why::BelowThreshold, Some(0.3)), (Why::Allowed, None)]);
        assert!(judged.regions.iter().all(|region| region.action == Action::Solid));
    }

    proptest! {
        /// Each finding is either covered or passed, and whatever a stream would cover is covered.
        #[test]
        fn nothing_that_a_stream_covers_is_left_open(
            faces in prop::collection::vec(
                (0..3usize, 0.0f32..1.0, 0.0f32..600.0, 0.0f32..440.0, 1.0f32..200.0), 0..8,
            ),
        ) {
            let names = ["FACE_FEMALE", "FACE_MALE", "FEET_EXPOSED"];
            let findings: Vec<Finding> = faces
                .iter()
                .map(|&(class, score, x, y, side)| {
                    found(names[class], score, Rect::new(x, y, side, side).clip(SIZE.0, SIZE.1))
                })
                .collect();
            let policy = policy(
                r#"{"classes": {"FACE_FEMALE": {"threshold": 0.4}, "FACE_MALE": {"action": "cover"}}}"#,
            );
            let judged = judge(&findings, SIZE, &policy);
            prop_assert_eq!(judged.covered.len() + judged.passed.len(), findings.len());
            for area in areas(&findings, SIZE, &policy, &Classes::new(&policy)) {
                prop_assert!(judged.regions.contains(&Region::from(&area)));
            }
            for covered in &judged.covered {
                let Place { x, y, width, height } = covered.place;
                let rect = Rect::new(x, y, width, height);
                prop_assert!(judged.regions.iter().any(|r| r.rect == rect));
            }
        }
    }
}
