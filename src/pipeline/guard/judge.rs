//! What a frame is released as.

use std::time::Duration;

use super::{Frame, Guard, Held, Reason, Shot, Sight, Verdict, share};
use crate::censor::{Action, Mode, OnFailure, Region};
use crate::media::Rect;
use crate::pipeline::gate;
use crate::track::{Area, Fix, Margins, Moment, Snapshot, bracket, is_text};

/// By how much two neighbouring analysed frames may be apart beyond the longest gap: sources drop
/// frames.
pub(super) const GAP_SLACK: f64 = 1.5;
/// By how much of its size an area is grown on each side that nobody looked into: parts of what is
/// there may look like what was there before.
const UNSEEN: f32 = 0.5;
/// How far from where its way leads a word is still the same, as a share of its smaller side.
const ALONG: f32 = 0.5;
/// In instant mode, how much longer than the longest gap the last look may be ago before its shot
/// counts as unseen: answers take their time.
const STALE: Duration = Duration::from_millis(500);

/// Whether what was seen at `one` is where its way led at `other`: a word that scrolls, which jumps
/// from block to block of the picture all the time.
fn came_along(one: &Fix, other: &Fix) -> bool {
    let seconds = other.at.since(one.at);
    let expected = one.rect.shift(one.speed.0 * seconds, one.speed.1 * seconds);
    let ((ax, ay), (bx, by)) = (expected.centre(), other.rect.centre());
    let side = other.rect.w.min(other.rect.h);
    (ax - bx).hypot(ay - by) <= ALONG * side
}

impl Guard {
    /// The verdict on the oldest frame.
    pub(super) fn judge(&self) -> Verdict {
        let shot_len =
            self.held.iter().skip(1).position(|h| h.frame.cut).map_or(self.held.len(), |i| i + 1);
        let vouched = self.vouched(shot_len);
        match (vouched, self.policy.mode) {
            (Some(strange), _) => self.regions(shot_len, &strange),
            (None, Mode::Verified) => self.unverified(shot_len),
            (None, Mode::Instant) => self.predict(shot_len),
        }
    }

    /// Whether analysed frames vouch for the oldest frame; if so, the areas in it that they do not
    /// explain, in shares of the picture.
    fn vouched(&self, shot_len: usize) -> Option<Vec<Rect>> {
        let first = &self.held.front()?.frame;
        let next = self.held.range(..shot_len).position(Held::is_seen);
        if next == Some(0) {
            return Some(Vec::new());
        }
        // Not analysed itself: the picture of one that was, or two neighbours, must vouch for it.
        let anchor = if first.cut { None } else { self.anchor() }?;
        if self.unchanged(anchor.at.index, first.index) {
            return Some(Vec::new());
        }
        let after = &self.held[next?].frame;
        let apart = after.time - anchor.until.time;
        if apart > self.config.max_gap.as_secs_f64() * GAP_SLACK {
            return None;
        }
        Some(gate::transients(&anchor.grid, &first.grid, &after.grid))
    }

    /// Whether what was seen at `fix` may be on `frame` too: nothing appeared or vanished there in
    /// between. What cannot be looked up may.
    fn may_be_there(&self, frame: &Frame, fix: &Fix) -> bool {
        !self.jumps(fix, frame.size, frame.index, fix.at.index)
    }

    /// Whether the picture at the place of `fix`, in frames of `size`, was replaced after one of two
    /// frames, up to the other.
    fn jumps(&self, fix: &Fix, size: (u32, u32), one: u64, other: u64) -> bool {
        let area = share(&fix.rect, size);
        let after = one.min(other) + 1..=one.max(other);
        let mut between = self.recent.iter().filter(|(index, _)| after.contains(index));
        between.any(|(_, grid)| gate::jumps(grid, &area))
    }

    /// Where two things that were taken for one may be on `frame`: one was there and vanished,
    /// the other appeared elsewhere, and nothing was on the way between them.
    fn swapped(&self, frame: &Frame, known: &[Snapshot]) -> Vec<Region> {
        let (n, size) = (frame.index, frame.size);
        let Some(next) = known.iter().position(|s| s.at.index >= n).filter(|next| *next > 0) else {
            return Vec::new();
        };
        let (before, after) = (&known[next - 1], &known[next]);
        let mut regions = Vec::new();
        for one in &before.sightings {
            let Some(other) = after.sighting(one.id) else { continue };
            let replaced = |fix| self.jumps(fix, size, before.at.index, after.at.index);
            let followed = is_text(&one.class) && came_along(&one.fix, &other.fix);
            if followed || (!replaced(&one.fix) && !replaced(&other.fix)) {
                continue;
            }
            for (sighting, until) in [(one, before.at.index), (other, after.at.index)] {
                let fix = &sighting.fix;
                if !self.jumps(fix, size, n, until) {
                    let rect =
                        bracket::padded(&fix.rect, &fix.rect, &one.class, self.policy.padding);
                    let rect = rect.clip(size.0, size.1);
                    regions.push(Region { rect, action: sighting.action });
                }
            }
        }
        regions
    }

    /// Why the oldest frame has no verdict, and what the rules make of that.
    fn unverified(&self, shot_len: usize) -> Verdict {
        let failed = self.held.range(..shot_len).any(|h| matches!(h.sight, Sight::Failed));
        let reason = if failed { Reason::Failed } else { Reason::Late };
        match self.policy.on_failure {
            OnFailure::Cover => Verdict::Covered(reason),
            OnFailure::Freeze => Verdict::Frozen(reason),
            OnFailure::Pass => Verdict::Passed(reason),
        }
    }

    /// Instant mode: what was last known of the shot, carried to the oldest frame, and all that
    /// appeared since. A shot that nobody has seen yet, or not for long, is covered whole.
    fn predict(&self, shot_len: usize) -> Verdict {
        let Some(Held { frame: first, .. }) = self.held.front() else {
            return Verdict::Covered(Reason::Late);
        };
        let Some(anchor) = self.anchor().filter(|_| !first.cut) else {
            return Verdict::Covered(Reason::Unseen);
        };
        let longest = self.config.max_gap.as_secs_f64() * GAP_SLACK + STALE.as_secs_f64();
        let stale = first.time - anchor.at.time > longest;
        if stale && !self.unchanged(anchor.at.index, first.index) {
            return self.unverified(shot_len);
        }
        let since = anchor.at.index + 1..=first.index;
        let news: Vec<Rect> = self
            .recent
            .iter()
            .filter(|(index, _)| since.contains(index))
            .flat_map(|(_, grid)| gate::news(grid))
            .collect();
        self.regions(shot_len, &news)
    }

    /// The regions of the oldest frame: everything known of its shot, before and after it, and
    /// the `strange` areas, in shares of the picture.
    fn regions(&self, shot_len: usize, strange: &[Rect]) -> Verdict {
        let first = &self.held[0].frame;
        let shot = if first.cut { None } else { self.shot.as_ref() };
        let mut tracker = shot.map_or_else(
            || Shot::new(&self.config, first.size).tracker,
            |shot| shot.tracker.clone(),
        );
        let anchor = shot.and_then(|shot| shot.anchor.as_ref());
        let mut known: Vec<Snapshot> = anchor.map(|a| a.known.clone()).into_iter().collect();
        for Held { frame, sight, .. } in self.held.range(..shot_len) {
            if let Sight::Seen(findings) = sight {
                let at = Moment::new(frame.index, frame.time);
                known.push(tracker.step(at, findings, &self.classes));
            }
        }
        let margins = Margins { padding: self.policy.padding, ..Margins::default() };
        let areas = bracket::regions(Moment::new(first.index, first.time), &known, margins);
        let stays = |area: &&Area| area.doubt.is_none_or(|fix| self.may_be_there(first, &fix));
        let mut regions: Vec<Region> = areas.iter().filter(stays).map(Region::from).collect();
        regions.extend(self.swapped(first, &known));
        let (w, h) = (first.size.0 as f32, first.size.1 as f32);
        let text = self.policy.text.as_ref().map(|text| text.action);
        let action = self.policy.classes.values().map(|(_, action)| *action).chain(text).max();
        regions.extend(strange.iter().map(|area| {
            let seen = Rect::new(area.x * w, area.y * h, area.w * w, area.h * h);
            let rect = seen.grow(seen.w * UNSEEN, seen.h * UNSEEN).clip(w as u32, h as u32);
            Region { rect, action: action.unwrap_or(Action::Blur) }
        }));
        if regions.iter().any(|r| r.action == Action::Cover) {
            return Verdict::Covered(Reason::Rule);
        }
        if regions.is_empty() { Verdict::Clean } else { Verdict::Regions(regions) }
    }
}
