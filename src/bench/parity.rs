//! Whether two sets of findings of the same pictures say the same. Pure.

use serde::Serialize;

use crate::detect::Finding;

/// Findings below this score may come and go: they are far from any rule's threshold.
const COUNTS_FROM: f32 = 0.2;

/// How far one set of findings is from another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parity {
    /// Pictures that were compared.
    pub pictures: usize,
    /// Findings that were to be found, of a score of 0.2 or more.
    pub expected: usize,
    /// Of them: without one of the same class that overlaps.
    pub missing: usize,
    /// The least overlap (IoU); 1 when nothing was expected.
    pub worst_iou: f32,
    /// The largest difference of scores.
    pub worst_score_change: f32,
}

impl Parity {
    /// Compares what was `found` in each picture with what was `expected`.
    pub(super) fn of(expected: &[Vec<Finding>], found: &[Vec<Finding>]) -> Self {
        let mut parity = Self { pictures: expected.len(), worst_iou: 1.0, ..Self::default() };
        for (n, expected) in expected.iter().enumerate() {
            let found = found.get(n).map_or(&[][..], Vec::as_slice);
            for expected in expected.iter().filter(|finding| finding.score >= COUNTS_FROM) {
                parity.compare(expected, found);
            }
        }
        parity
    }

    fn compare(&mut self, expected: &Finding, found: &[Finding]) {
        self.expected += 1;
        let same = found.iter().filter(|finding| finding.class == expected.class);
        let overlaps = same.map(|finding| (iou(expected, finding), finding.score));
        let Some((iou, score)) = overlaps.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|o| o.0 > 0.0)
        else {
            self.missing += 1;
            return;
        };
        self.worst_iou = self.worst_iou.min(iou);
        self.worst_score_change = self.worst_score_change.max((score - expected.score).abs());
    }

    /// Whether nothing is missing, and everything within these bounds.
    pub(super) fn within(&self, min_iou: f32, max_score_change: f32) -> bool {
        self.missing == 0
            && self.worst_iou >= min_iou
            && self.worst_score_change <= max_score_change
    }
}

fn iou(a: &Finding, b: &Finding) -> f32 {
    let shared = a.rect.intersect(&b.rect).area();
    let all = a.rect.area() + b.rect.area() - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Rect;

    fn finding(class: &str, score: f32, x: f32) -> Finding {
        Finding { class: class.into(), score, rect: Rect::new(x, 0.0, 100.0, 100.0) }
    }

    #[test]
    fn the_same_is_the_same() {
        let findings = vec![vec![finding("FACE", 0.8, 0.0), finding("FACE", 0.6, 300.0)], vec![]];
        let parity = Parity::of(&findings, &findings);
        assert!(parity.within(1.0, 0.0), "{parity:?}");
        assert_eq!((parity.pictures, parity.expected), (2, 2));
    }

    #[test]
    fn what_is_lost_moved_or_weaker_is_told() {
        let expected = [vec![finding("FACE", 0.8, 0.0), finding("FEET", 0.5, 300.0)]];
        let found = [vec![finding("FACE", 0.7, 50.0), finding("HAND", 0.5, 300.0)]];
        let parity = Parity::of(&expected, &found);
        assert_eq!(parity.missing, 1);
        assert!((parity.worst_iou - 1.0 / 3.0).abs() < 1e-6);
        assert!((parity.worst_score_change - 0.1).abs() < 1e-6);
        assert!(!parity.within(0.3, 0.2));
        assert_eq!(Parity::of(&expected, &[]).missing, 2);
    }

    #[test]
    fn what_is_hardly_found_may_come_and_go() {
        let parity = Parity::of(&[vec![finding("FACE", 0.1, 0.0)]], &[vec![]]);
        assert!(parity.within(1.0, 0.0) && parity.expected == 0);
    }
}
