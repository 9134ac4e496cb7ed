//! What frame n must have covered, from the analysed frames around it.
//!
//! Every object's region on n comes from where it was truly seen: the fix at or before n carried
//! forward, the fix at or after n carried backward, and the straight line between both, together
//! in one hull. The hull grows by how far n is from what was analysed times how fast the object
//! moves, and by the padding. What appears at an analysed frame is covered on every frame since
//! the analysed frame before it, and a little longer; what disappears stays covered while it
//! coasts. Doubt makes a region larger, never smaller.

use std::sync::Arc;

use super::classes::{TEXT, TEXT_UNREAD, is_text};
use super::{Fix, Moment, Sighting, Snapshot};
use crate::censor::{Action, Region};
use crate::media::Rect;

/// How far an object of unknown speed may move per second, in sizes of the object.
///
/// Three sizes a second is a head thrown around; what is faster is found again at the next
/// analysed frame, and its speed is then known.
const UNKNOWN_SPEED: f32 = 3.0;

/// Most that a rectangle is carried or grown on each axis, in sizes of the object. A speed is a
/// guess, and a guess that has left the picture covers nothing.
const MAX_CARRY: f32 = 2.0;

/// Analysed frames for which a detector may miss an object that is there, so that its absence
/// says nothing yet.
const BLINK: u32 = 1;

/// [`Margins::look_back`] of a forbidden word, without doubt: one that comes in at the picture's
/// edge, or is being written, is known only when it is whole.
const TEXT_LOOK_BACK: u64 = 6;

/// Share of a word's possible way by which it is covered wider between two looks: captions and
/// tickers keep their way, and beside a word stands another.
const TEXT_CARE: f32 = 0.3;

/// By how much regions are larger than what was found.
#[derive(Clone, Copy, Debug)]
pub struct Margins {
    /// Share of the object's size by which its region grows on each side.
    pub padding: f32,
    /// Frames that an object is covered on before the last analysed frame that did not show it:
    /// half a second, in which a face may have grown to a size that the model sees. See
    /// [`Area::doubt`].
    pub look_back: u64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { padding: 0.15, look_back: 15 }
    }
}

/// A region of one frame and the object it belongs to. An object may have more than one.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// Number of the track.
    pub id: u64,
    /// The track's class.
    pub class: Arc<str>,
    /// What is done to it.
    pub action: Action,
    /// In pixels, grown and cut to the frame; finite, never empty.
    pub rect: Rect,
    /// Set when several analysed frames between n and the object's nearest fix did not show it:
    /// that fix. The object may be gone, or not have been there yet; the caller may look.
    pub doubt: Option<Fix>,
}

impl From<&Area> for Region {
    fn from(area: &Area) -> Self {
        Self { rect: area.rect, action: area.action }
    }
}

/// What must be covered on the frame at `n`.
///
/// `snapshots` are those of n's shot that are known, in order: the last analysed frame at or before
/// n, the first at or after n, and any later ones. The more of the future is given, the earlier
/// an object is covered that is first seen there. Without any at or after n the answer is the
/// prediction from the past, which verified mode must not release on.
pub fn regions<'a, I>(n: Moment, snapshots: I, margins: Margins) -> Vec<Area>
where
    I: IntoIterator<Item = &'a Snapshot>,
{
    let mut around: Vec<&Snapshot> = snapshots.into_iter().collect();
    let before = around.iter().rposition(|s| s.at.index <= n.index).unwrap_or(0);
    around.drain(..before);
    let mut areas = Vec::new();
    for (position, snapshot) in around.iter().enumerate() {
        for sighting in &snapshot.sightings {
            if around[..position].iter().all(|earlier| earlier.sighting(sighting.id).is_none()) {
                object(n, &around[position..], sighting, &margins, &mut areas);
            }
        }
    }
    areas
}

/// The areas of one object, first known at `known[0]` as `first`.
fn object(n: Moment, known: &[&Snapshot], first: &Sighting, margins: &Margins, to: &mut Vec<Area>) {
    let sightings: Vec<_> = known.iter().map_while(|s| s.sighting(first.id)).collect();
    let mut fixes: Vec<&Fix> = sightings.iter().map(|s| &s.fix).collect();
    fixes.dedup_by_key(|fix| fix.at.index);
    let after = fixes.iter().position(|fix| fix.at.index >= n.index);
    let (place, own) = match after {
        Some(i) if fixes[i].at.index == n.index => (fixes[i].rect, fixes[i].rect),
        Some(0) => {
            // First seen after n: back to the analysed frame that did not show it, and beyond.
            let previous = known[0].previous.unwrap_or(0);
            let start = match &*first.class {
                // What nobody has read is no object that may have been there before.
                TEXT_UNREAD => previous + 1,
                TEXT => previous.saturating_sub(TEXT_LOOK_BACK),
                _ => previous.saturating_sub(margins.look_back),
            };
            if n.index < start.min(first.born) {
                return;
            }
            (backward(n, fixes[0], fixes.get(1).copied()), fixes[0].rect)
        }
        Some(i) => {
            let (a, b) = (fixes[i - 1], fixes[i]);
            let care = if is_text(&first.class) { TEXT_CARE } else { 1.0 };
            (between(n, a, b, care), interpolate(n, a, b))
        }
        None => {
            let last = fixes[fixes.len() - 1];
            (forward(n, last, known), last.rect)
        }
    };
    let latest = sightings.iter().rfind(|s| s.fix.at.index <= n.index).unwrap_or(&first);
    let size = known[0].size;
    let doubt = if is_text(&first.class) { None } else { doubt(n, first.id, known, &fixes) };
    let mut push = |rect: Rect, own: &Rect| {
        let rect = padded(&rect, own, &first.class, margins.padding).clip(size.0, size.1);
        if rect.w > 0.0 && rect.h > 0.0 {
            let (class, action) = (Arc::clone(&latest.class), strictest(&sightings));
            to.push(Area { id: first.id, class, action, rect, doubt });
        }
    };
    push(place, &own);
    if let Some(kin) = first.kin
        && (kin.at.index..first.fix.at.index).contains(&n.index)
    {
        let line = interpolate(n, &kin, &first.fix);
        push(line, &line);
    }
}

/// `rect` grown on each side by a share of the object `own`. A word is as uncertain at its ends as
/// it is high, however long it is.
pub(crate) fn padded(rect: &Rect, own: &Rect, class: &str, padding: f32) -> Rect {
    let side = own.w.min(own.h);
    let (w, h) = if is_text(class) { (side, side) } else { (own.w, own.h) };
    rect.grow(w * padding, h * padding)
}

/// The fix nearest to n when more analysed frames than a detector's blink takes, from n to that
/// fix, did not show the object.
fn doubt(n: Moment, id: u64, known: &[&Snapshot], fixes: &[&Fix]) -> Option<Fix> {
    let (first, last) = (fixes.first()?, fixes.last()?);
    if n.index < first.at.index {
        // The analysed frame before the first sighting is the first that did not show it.
        return known[0].previous.is_some_and(|blink| n.index < blink).then_some(**first);
    }
    let seen_after = last.at.index >= n.index;
    let missed = known[0].sighting(id).map_or(0, |s| s.missed);
    (!seen_after && known[0].at.index <= n.index && missed > BLINK).then_some(**last)
}

fn strictest(sightings: &[&Sighting]) -> Action {
    sightings.iter().map(|s| s.action).max().unwrap_or(Action::Cover)
}

/// Seen before n and not after: where it was, where it was heading, and all between. It grows
/// with the distance to the nearest frame that was analysed, whether or not that one showed it.
fn forward(n: Moment, fix: &Fix, known: &[&Snapshot]) -> Rect {
    let dt = n.since(fix.at);
    let near = known.iter().map(|s| n.since(s.at).max(s.at.since(n))).fold(dt, f32::min);
    let hull = fix.rect.union(&carried(&fix.rect, fix.speed, dt));
    grow(&hull, &fix.rect, fix.speed, near)
}

/// First seen after n: where it will be, and where it may have come from.
fn backward(n: Moment, fix: &Fix, next: Option<&Fix>) -> Rect {
    let dt = fix.at.since(n);
    // A first sighting has no speed; the second one tells.
    let speed = next.map_or(fix.speed, |next| speed_between(fix, next));
    let hull = fix.rect.union(&carried(&fix.rect, speed, -dt));
    let unknown = UNKNOWN_SPEED * fix.rect.area().sqrt();
    let speed = if next.is_some() { speed } else { (unknown, unknown) };
    grow(&hull, &fix.rect, speed, dt)
}

/// Seen on both sides: the line between, and the turn that both speeds tell of. `care`: how much of
/// the distance that it may have moved since it grows by.
fn between(n: Moment, a: &Fix, b: &Fix, care: f32) -> Rect {
    let (since, until) = (n.since(a.at), b.at.since(n));
    let line = interpolate(n, a, b);
    let hull =
        line.union(&carried(&a.rect, a.speed, since)).union(&carried(&b.rect, b.speed, -until));
    let straight = speed_between(a, b);
    let fastest =
        [a.speed, b.speed, straight].map(|(x, y)| x.hypot(y)).into_iter().fold(0.0, f32::max);
    grow(&hull, &line, (fastest * care, fastest * care), since.min(until))
}

/// The straight line from `a` to `b` at n.
fn interpolate(n: Moment, a: &Fix, b: &Fix) -> Rect {
    let whole = b.at.since(a.at);
    let t = if whole > 0.0 { (n.since(a.at) / whole).min(1.0) } else { 0.5 };
    let mix = |a: f32, b: f32| a + (b - a) * t;
    Rect {
        x: mix(a.rect.x, b.rect.x),
        y: mix(a.rect.y, b.rect.y),
        w: mix(a.rect.w, b.rect.w),
        h: mix(a.rect.h, b.rect.h),
    }
}

fn speed_between(a: &Fix, b: &Fix) -> (f32, f32) {
    let dt = b.at.since(a.at);
    if dt <= 0.0 {
        return (0.0, 0.0);
    }
    let ((ax, ay), (bx, by)) = (a.rect.centre(), b.rect.centre());
    ((bx - ax) / dt, (by - ay) / dt)
}

/// `rect` after `dt` seconds (negative: before) at `speed`.
fn carried(rect: &Rect, speed: (f32, f32), dt: f32) -> Rect {
    rect.shift(bounded(speed.0 * dt, rect.w), bounded(speed.1 * dt, rect.h))
}

/// `hull` grown by what an object of the size of `own` may have moved in `dt` seconds.
fn grow(hull: &Rect, own: &Rect, speed: (f32, f32), dt: f32) -> Rect {
    hull.grow(bounded(speed.0.abs() * dt, own.w), bounded(speed.1.abs() * dt, own.h))
}

fn bounded(distance: f32, size: f32) -> f32 {
    distance.clamp(-MAX_CARRY * size, MAX_CARRY * size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::censor::Document;
    use crate::detect::Finding;
    use crate::track::{Classes, Config, Tracker};
    use proptest::prelude::*;

    const RATE: f64 = 30.0;
    const SIZE: (u32, u32) = (1280, 720);

    fn moment(index: u64) -> Moment {
        Moment::new(index, index as f64 / RATE)
    }

    fn classes() -> Classes {
        let rules: Document =
            serde_json::from_str(r#"{"classes": {"FACE_FEMALE": {"action": "solid"}}}"#).unwrap();
        Classes::new(&rules.resolve())
    }

    fn face(rect: Rect) -> Finding {
        Finding { class: "FACE_FEMALE".into(), score: 0.8, rect }
    }

    /// Snapshots of one shot, from (frame, what was found there).
    fn shot(analysed: &[(u64, Vec<Rect>)]) -> Vec<Snapshot> {
        let mut tracker = Tracker::new(Config::default(), SIZE);
        let step = |(index, rects): &(u64, Vec<Rect>)| {
            let findings: Vec<_> = rects.iter().copied().map(face).collect();
            tracker.step(moment(*index), &findings, &classes())
        };
        analysed.iter().map(step).collect()
    }

    fn at(n: u64, snapshots: &[Snapshot]) -> Vec<Area> {
        regions(moment(n), snapshots, Margins::default())
    }

    fn holds(areas: &[Area], rect: &Rect) -> bool {
        let rect = rect.clip(SIZE.0, SIZE.1);
        let slack = 0.01;
        areas.iter().any(|a| {
            a.rect.x <= rect.x + slack
                && a.rect.y <= rect.y + slack
                && a.rect.right() >= rect.right() - slack
                && a.rect.bottom() >= rect.bottom() - slack
        })
    }

    const HERE: Rect = Rect::new(400.0, 300.0, 150.0, 166.0);

    #[test]
    fn an_analysed_frame_gets_its_findings_padded() {
        let areas = at(0, &shot(&[(0, vec![HERE])]));
        assert_eq!(areas.len(), 1);
        assert_eq!(areas[0].action, Action::Solid);
        let padded = HERE.grow(0.15 * 150.0, 0.15 * 166.0);
        assert!(areas[0].rect.iou(&padded) > 0.9999, "{:?}", areas[0].rect);
    }

    #[test]
    fn what_appears_is_covered_since_the_frame_before_and_half_a_second_longer() {
        let snapshots = shot(&[(0, vec![]), (30, vec![]), (33, vec![HERE])]);
        for n in 15..=33 {
            assert!(holds(&at(n, &snapshots), &HERE), "at {n}");
        }
        assert!(at(14, &snapshots).is_empty());
        assert!(at(32, &snapshots[..2]).is_empty(), "the future is not known yet");
    }

    #[test]
    fn what_the_first_frame_of_a_shot_shows_is_covered_from_its_start() {
        let snapshots = shot(&[(7, vec![HERE])]);
        assert!(holds(&at(7, &snapshots), &HERE));
    }

    #[test]
    fn what_disappears_stays_covered_while_it_coasts() {
        let snapshots: Vec<_> = shot(
            &(0..12).map(|i| (3 * i, if i == 0 { vec![HERE] } else { vec![] })).collect::<Vec<_>>(),
        );
        for n in 0..33 {
            assert!(holds(&at(n, &snapshots), &HERE), "at {n}");
        }
        assert!(at(33, &snapshots).is_empty());
    }

    #[test]
    fn a_coasting_object_found_again_is_covered_on_the_line_between() {
        let there = HERE.shift(90.0, 0.0);
        let snapshots = shot(&[(0, vec![HERE]), (3, vec![]), (6, vec![there])]);
        assert!(holds(&at(3, &snapshots), &HERE.shift(45.0, 0.0)));
        assert!(holds(&at(4, &snapshots), &HERE.shift(60.0, 0.0)));
    }

    #[test]
    fn a_turn_between_two_analysed_frames_is_covered() {
        // 57 pixels a frame to the right until frame 7, then back.
        let place = |n: u64| {
            let x = 57.0 * if n <= 7 { n as f32 } else { 14.0 - n as f32 };
            Rect::new(100.0 + x, 300.0, 120.0, 133.0)
        };
        let snapshots = shot(&(0..5).map(|i| (3 * i, vec![place(3 * i)])).collect::<Vec<_>>());
        for n in 0..=12 {
            assert!(holds(&at(n, &snapshots), &place(n)), "at {n}");
        }
    }

    #[test]
    fn an_object_faster_than_tracks_are_followed_is_covered_on_its_way() {
        let far = HERE.shift(600.0, 0.0);
        let snapshots = shot(&[(0, vec![HERE]), (2, vec![far])]);
        assert!(snapshots[1].sightings[1].kin.is_some());
        let areas = at(1, &snapshots);
        for rect in [HERE, HERE.shift(300.0, 0.0), far] {
            assert!(holds(&areas, &rect));
        }
    }

    #[test]
    fn without_a_later_frame_it_predicts() {
        let snapshots = shot(&[(0, vec![HERE]), (1, vec![HERE.shift(20.0, 0.0)])]);
        assert!(holds(&at(3, &snapshots), &HERE.shift(60.0, 0.0)));
    }

    fn rect() -> impl Strategy<Value = Rect> {
        (-100.0_f32..1300.0, -100.0_f32..800.0, 0.0_f32..400.0, 0.0_f32..400.0)
            .prop_map(|(x, y, w, h)| Rect::new(x, y, w, h))
    }

    fn frames() -> impl Strategy<Value = Vec<(u64, Vec<Rect>)>> {
        prop::collection::vec((1_u64..7, prop::collection::vec(rect(), 0..5)), 1..8).prop_map(
            |frames| {
                let mut index = 0;
                let mut place = |(gap, rects): (u64, Vec<Rect>)| {
                    index += gap;
                    let cut = rects.iter().map(|r| r.clip(SIZE.0, SIZE.1));
                    (index, cut.filter(|r| r.area() > 0.0).collect())
                };
                frames.into_iter().map(&mut place).collect()
            },
        )
    }

    proptest! {
        #[test]
        fn a_frame_is_covered_wherever_it_was_found_itself(frames in frames()) {
            let snapshots = shot(&frames);
            for (index, rects) in &frames {
                let areas = at(*index, &snapshots);
                for rect in rects {
                    prop_assert!(holds(&areas, rect), "{rect:?} at {index}: {areas:?}");
                }
            }
        }

        #[test]
        fn linear_motion_is_covered_at_any_speed(
            start in rect(), vx in -400.0_f32..400.0, vy in -400.0_f32..400.0, gap in 1_u64..7,
        ) {
            let place = |n: u64| start.shift(vx * n as f32, vy * n as f32);
            let snapshots = shot(&[0, gap, 2 * gap].map(|n| (n, vec![place(n)])));
            for n in 0..=2 * gap {
                let areas = at(n, &snapshots);
                let visible = place(n).clip(SIZE.0, SIZE.1);
                if visible.w > 0.0 && visible.h > 0.0 {
                    prop_assert!(holds(&areas, &visible), "{visible:?} at {n}: {areas:?}");
                }
            }
        }

        #[test]
        fn areas_are_finite_and_inside_the_frame(
            frames in frames(), n in 0_u64..60, stretch in -1e9_f64..1e9,
        ) {
            let snapshots = shot(&frames);
            let moment = Moment::new(n, n as f64 / RATE * stretch);
            for area in regions(moment, &snapshots, Margins::default()) {
                let Rect { x, y, w, h } = area.rect;
                prop_assert!(x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0);
                prop_assert!(area.rect.right() <= 1280.01 && area.rect.bottom() <= 720.01);
            }
        }

        #[test]
        fn knowing_more_of_the_future_never_uncovers_what_was_seen_between(
            frames in frames(), n in 0_u64..40,
        ) {
            let snapshots = shot(&frames);
            let Some(next) = snapshots.iter().position(|s| s.at.index >= n) else { return Ok(()) };
            let ids = |areas: &[Area]| areas.iter().map(|a| a.id).collect::<Vec<_>>();
            let (few, all) = (ids(&at(n, &snapshots[..=next])), ids(&at(n, &snapshots)));
            prop_assert!(few.iter().all(|id| all.contains(id)), "{few:?} {all:?}");
        }
    }
}
