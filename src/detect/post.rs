//! From a YOLOv8 head's numbers to findings in frame coordinates. Pure.
//!
//! As the `nudenet` package does it: the best class of each cell, a floor, then non-maximum
//! suppression over all classes together. Unlike it, a box that reaches over the left or top
//! edge keeps its right and bottom edge when it is cut.

use std::sync::Arc;

use super::Finding;
use super::pre::Fit;
use crate::media::Rect;

/// Rows of the output before the class scores: centre x, centre y, width, height.
const BOX_ROWS: usize = 4;

/// Most candidates that go into suppression, which is quadratic; the best are kept.
const MAX_CANDIDATES: usize = 512;

/// Why an output cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// It is not the model that the manifest describes.
    #[error("the output has {found} values, not a multiple of its {rows} rows")]
    Size {
        /// Values in the output.
        found: usize,
        /// Rows it should have.
        rows: usize,
    },
    /// It overflowed somewhere.
    #[error("the output holds values that are not numbers")]
    NotFinite,
}

/// Decodes the output of one model.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    /// Class names, in the order of the output's rows.
    pub classes: Arc<[Arc<str>]>,
    /// Lowest score of a finding.
    pub floor: f32,
    /// Overlap over which the lesser of two boxes goes.
    pub nms_iou: f32,
    /// Added to every score: how far coarse arithmetic may have lowered it. Zero in 32 bits.
    pub margin: f32,
}

impl Decoder {
    /// Decodes one picture's output: `[4 + classes][cells]`, boxes in pixels of the model's
    /// input, best finding first.
    ///
    /// # Errors
    /// When `output` does not have that size, or holds something that is not a number: such a
    /// model sees nothing, and nothing seen would uncover the picture.
    pub(crate) fn decode(&self, output: &[f32], fit: &Fit) -> Result<Vec<Finding>, Error> {
        let rows = BOX_ROWS + self.classes.len();
        let cells = output.len() / rows;
        if cells == 0 || output.len() != cells * rows {
            return Err(Error::Size { found: output.len(), rows });
        }
        if !output.iter().all(|value| value.is_finite()) {
            return Err(Error::NotFinite);
        }
        let (boxes, scores) = output.split_at(BOX_ROWS * cells);
        let mut best = scores[..cells].to_vec();
        for row in scores[cells..].chunks_exact(cells) {
            for (best, &score) in best.iter_mut().zip(row) {
                *best = if score > *best { score } else { *best };
            }
        }
        let mut found = Vec::new();
        for (cell, &raw) in best.iter().enumerate() {
            let score = (raw + self.margin).min(1.0);
            if score >= self.floor {
                let of = |class: &usize| scores[class * cells + cell] == raw;
                let class = (0..self.classes.len()).find(of).unwrap_or(0);
                let at = |row: usize| boxes[row * cells + cell];
                let (w, h) = (at(2), at(3));
                let inner = Rect::new(at(0) - w / 2.0, at(1) - h / 2.0, w, h);
                found.push(Finding {
                    class: self.classes[class].clone(),
                    score,
                    rect: fit.to_frame(&inner),
                });
            }
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.retain(|finding| finding.rect.w > 0.0 && finding.rect.h > 0.0);
        found.truncate(MAX_CANDIDATES);
        Ok(suppress(found, self.nms_iou))
    }
}

/// Keeps each finding that overlaps no better one by more than `iou`. `found` is best first.
fn suppress(found: Vec<Finding>, iou: f32) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for finding in found {
        if kept.iter().all(|better| better.rect.iou(&finding.rect) <= iou) {
            kept.push(finding);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detect::pre::Shape;

    fn decoder() -> Decoder {
        Decoder {
            classes: Arc::new(["A".into(), "B".into()]),
            floor: 0.2,
            nms_iou: 0.45,
            margin: 0.0,
        }
    }

    fn fit() -> Fit {
        Fit::new((1280, 720), 320, 32, Shape::Rectangular)
    }

    /// Cells given as [cx, cy, w, h, a, b], laid out as the model does: a row per value.
    fn output(cells: &[[f32; 6]]) -> Vec<f32> {
        (0..6).flat_map(|row| cells.iter().map(move |cell| cell[row])).collect()
    }

    #[test]
    fn boxes_come_out_in_frame_coordinates_best_first() {
        let cells = [
            [100.0, 50.0, 20.0, 10.0, 0.3, 0.1],
            [200.0, 90.0, 40.0, 40.0, 0.1, 0.9],
            [10.0, 10.0, 8.0, 8.0, 0.19, 0.1],
        ];
        let found = decoder().decode(&output(&cells), &fit()).unwrap();
        let flat: Vec<_> = found.iter().map(|f| (&*f.class, f.score, f.rect)).collect();
        assert_eq!(
            flat,
            [
                ("B", 0.9, Rect::new(720.0, 280.0, 160.0, 160.0)),
                ("A", 0.3, Rect::new(360.0, 180.0, 80.0, 40.0)),
            ]
        );
    }

    #[test]
    fn boxes_are_cut_to_the_frame_and_those_in_the_padding_go() {
        let cells = [
            [2.0, 10.0, 10.0, 8.0, 0.5, 0.0],
            [100.0, 178.0, 10.0, 20.0, 0.4, 0.0],
            [100.0, 187.0, 10.0, 6.0, 0.6, 0.0],
        ];
        let found = decoder().decode(&output(&cells), &fit()).unwrap();
        let rects: Vec<Rect> = found.iter().map(|f| f.rect).collect();
        assert_eq!(rects, [Rect::new(0.0, 24.0, 28.0, 32.0), Rect::new(380.0, 672.0, 40.0, 48.0),]);
    }

    #[test]
    fn of_overlapping_boxes_the_best_stays_whatever_their_classes() {
        let cells = [
            [100.0, 50.0, 40.0, 40.0, 0.5, 0.0],
            [102.0, 50.0, 40.0, 40.0, 0.0, 0.7],
            [130.0, 50.0, 40.0, 40.0, 0.4, 0.0],
        ];
        let found = decoder().decode(&output(&cells), &fit()).unwrap();
        let scores: Vec<f32> = found.iter().map(|f| f.score).collect();
        assert_eq!(scores, [0.7, 0.4]);
    }

    #[test]
    fn a_margin_is_given_to_every_score_before_the_floor() {
        let cells = [
            [100.0, 50.0, 20.0, 10.0, 0.19, 0.1],
            [200.0, 90.0, 40.0, 40.0, 0.1, 0.99],
            [10.0, 10.0, 8.0, 8.0, 0.17, 0.1],
        ];
        let coarse = Decoder { margin: 0.02, ..decoder() };
        let found = coarse.decode(&output(&cells), &fit()).unwrap();
        let flat: Vec<_> = found.iter().map(|f| (&*f.class, f.score)).collect();
        assert_eq!(flat, [("B", 1.0), ("A", 0.21)]);
    }

    #[test]
    fn an_output_that_cannot_be_believed_is_refused() {
        let refused = |output: &[f32]| decoder().decode(output, &fit()).unwrap_err();
        assert_eq!(refused(&[0.0; 13]), Error::Size { found: 13, rows: 6 });
        assert_eq!(refused(&[]), Error::Size { found: 0, rows: 6 });
        let cells = [[100.0, 50.0, 40.0, 40.0, f32::NAN, 0.0], [9.0, 9.0, 4.0, 4.0, 0.5, 0.0]];
        assert_eq!(refused(&output(&cells)), Error::NotFinite);
    }

    proptest! {
        #[test]
        fn suppression_is_idempotent_and_separates(
            boxes in prop::collection::vec((0f32..300.0, 0f32..180.0, 4f32..80.0, 4f32..80.0, 0.2f32..1.0), 0..40)
        ) {
            let cells: Vec<_> = boxes.iter().map(|&(x, y, w, h, s)| [x, y, w, h, s, 0.0]).collect();
            prop_assume!(!cells.is_empty());
            let found = decoder().decode(&output(&cells), &fit()).unwrap();
            prop_assert_eq!(&suppress(found.clone(), 0.45), &found);
            for (i, a) in found.iter().enumerate() {
                prop_assert!(a.rect.right() <= 1280.01 && a.rect.bottom() <= 720.01);
                prop_assert!(a.rect.x >= 0.0 && a.rect.y >= 0.0);
                for b in &found[..i] {
                    prop_assert!(b.score >= a.score && a.rect.iou(&b.rect) <= 0.45);
                }
            }
        }
    }
}
