//! Regions as the effects need them: whole chroma samples, inside the frame, merged, in the order
//! in which a stricter action comes last.

use super::{Action, Region};
use crate::media::Rect;

/// Two patches become one when the hull of both is at most this much larger than both together.
/// Above it the hull would hide too much that nobody asked to hide.
const MERGE: usize = 5;
/// See [`MERGE`]: hull ≤ both × 5 / 4.
const MERGE_OF: usize = 4;

/// A part of a frame in luma samples. Left and top are even; right and bottom are even or the
/// edge of the frame, so that the patch owns every chroma sample it touches. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patch {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
    pub(super) action: Action,
}

impl Patch {
    fn area(&self) -> usize {
        (self.right - self.left) * (self.bottom - self.top)
    }

    fn hull(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
            action: self.action,
        }
    }

    /// Samples that both own.
    fn common(&self, other: &Self) -> usize {
        let width = self.right.min(other.right).saturating_sub(self.left.max(other.left));
        let height = self.bottom.min(other.bottom).saturating_sub(self.top.max(other.top));
        width * height
    }

    fn joins(&self, other: &Self) -> bool {
        let both = self.area() + other.area() - self.common(other);
        self.action == other.action && self.hull(other).area() * MERGE_OF <= both * MERGE
    }
}

/// The patches that cover `regions` on a frame of `width` × `height` pixels. Whole-frame actions
/// are the caller's; allowed regions are left out.
pub(super) fn patches(regions: &[Region], width: u32, height: u32) -> Vec<Patch> {
    let mut patches: Vec<Patch> = Vec::with_capacity(regions.len());
    for region in regions.iter().filter(|r| r.action != Action::Allow) {
        let Some(mut patch) = align(region, width, height) else { continue };
        // A merged patch may reach others: until nothing joins.
        while let Some(i) = patches.iter().position(|other| patch.joins(other)) {
            patch = patch.hull(&patches.swap_remove(i));
        }
        patches.push(patch);
    }
    patches.sort_by_key(|patch| patch.action);
    patches
}

fn align(region: &Region, width: u32, height: u32) -> Option<Patch> {
    let Rect { x, y, w, h } = region.rect;
    let (right, bottom) = (x + w, y + h);
    if [x, y, w, h, right, bottom].iter().any(|v| v.is_nan()) {
        let (right, bottom) = (width as usize, height as usize);
        let whole = Patch { left: 0, top: 0, right, bottom, action: region.action };
        return (right > 0 && bottom > 0).then_some(whole);
    }
    // A cast to an integer saturates: what lies beyond the frame ends at its edge.
    let low = |v: f32| v.floor() as usize & !1;
    let high = |v: f32, edge: u32| (v.ceil() as usize).min(edge as usize);
    let even = |v: usize, edge: u32| v.next_multiple_of(2).min(edge as usize);
    let patch = Patch {
        left: low(x),
        top: low(y),
        right: even(high(right, width), width),
        bottom: even(high(bottom, height), height),
        action: region.action,
    };
    let inside = x < width as f32 && y < height as f32 && w > 0.0 && h > 0.0;
    (inside && patch.left < patch.right && patch.top < patch.bottom).then_some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blur(x: f32, y: f32, w: f32, h: f32) -> Region {
        Region { rect: Rect::new(x, y, w, h), action: Action::Blur }
    }

    fn edges(patch: &Patch) -> [usize; 4] {
        [patch.left, patch.top, patch.right, patch.bottom]
    }

    #[test]
    fn regions_grow_to_whole_chroma_samples() {
        for (region, expected) in [
            (blur(3.0, 5.0, 2.0, 2.0), [2, 4, 6, 8]),
            (blur(3.5, 5.5, 0.1, 0.1), [2, 4, 4, 6]),
            (blur(-50.0, -50.0, 60.0, 61.0), [0, 0, 10, 12]),
            (blur(90.0, 40.0, 500.0, 500.0), [90, 40, 101, 51]),
            (blur(100.2, 50.2, 0.1, 0.1), [100, 50, 101, 51]),
            (blur(f32::NAN, 0.0, 1.0, 1.0), [0, 0, 101, 51]),
            (blur(f32::NEG_INFINITY, 0.0, f32::INFINITY, 1.0), [0, 0, 101, 51]),
        ] {
            let patches = patches(&[region], 101, 51);
            assert_eq!(edges(&patches[0]), expected, "{region:?}");
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        for region in [
            blur(10.0, 10.0, 0.0, 5.0),
            blur(10.0, 10.0, 5.0, -5.0),
            blur(200.0, 10.0, 5.0, 5.0),
            blur(-20.0, 10.0, 5.0, 5.0),
            Region { action: Action::Allow, ..blur(10.0, 10.0, 5.0, 5.0) },
        ] {
            assert!(patches(&[region], 101, 51).is_empty(), "{region:?}");
        }
        assert!(patches(&[blur(f32::NAN, 0.0, 1.0, 1.0)], 0, 0).is_empty());
    }

    #[test]
    fn neighbours_merge_and_strangers_do_not() {
        let near = patches(&[blur(0.0, 0.0, 20.0, 20.0), blur(18.0, 0.0, 20.0, 20.0)], 100, 100);
        assert_eq!(edges(&near[0]), [0, 0, 38, 20]);
        let nested = patches(&[blur(0.0, 0.0, 40.0, 40.0), blur(8.0, 8.0, 4.0, 4.0)], 100, 100);
        assert_eq!(nested.len(), 1);
        let far = patches(&[blur(0.0, 0.0, 20.0, 20.0), blur(60.0, 60.0, 20.0, 20.0)], 100, 100);
        assert_eq!(far.len(), 2);
    }

    #[test]
    fn the_stricter_action_comes_last() {
        let solid = Region { action: Action::Solid, ..blur(0.0, 0.0, 20.0, 20.0) };
        let patches = patches(&[solid, blur(0.0, 0.0, 20.0, 20.0)], 100, 100);
        assert_eq!(
            patches.iter().map(|p| p.action).collect::<Vec<_>>(),
            [Action::Blur, Action::Solid]
        );
    }

    proptest! {
        #[test]
        fn every_sample_of_every_region_is_in_a_patch(
            rects in prop::collection::vec(
                (-50.0_f32..150.0, -50.0_f32..150.0, 0.0_f32..80.0, 0.0_f32..80.0), 0..12),
            width in 1_u32..120, height in 1_u32..120,
        ) {
            let regions: Vec<_> = rects.iter().map(|&(x, y, w, h)| blur(x, y, w, h)).collect();
            let patches = patches(&regions, width, height);
            for patch in &patches {
                prop_assert!(patch.right <= width as usize && patch.bottom <= height as usize);
                prop_assert!(patch.left % 2 == 0 && patch.top % 2 == 0);
                prop_assert!(patch.right % 2 == 0 || patch.right == width as usize);
                prop_assert!(patch.left < patch.right && patch.top < patch.bottom);
            }
            for region in &regions {
                let visible = region.rect.clip(width, height);
                if visible.w <= 0.0 || visible.h <= 0.0 {
                    continue;
                }
                for y in visible.y as usize..(visible.bottom().ceil() as usize) {
                    for x in visible.x as usize..(visible.right().ceil() as usize) {
                        prop_assert!(patches.iter().any(|p| (p.left..p.right).contains(&x)
                            && (p.top..p.bottom).contains(&y)));
                    }
                }
            }
        }
    }
}
