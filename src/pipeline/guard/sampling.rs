//! Which frames are analysed: as many as the machine has time for and what was found is worth,
//! never fewer than the promise needs.

use std::time::{Duration, Instant};

use super::{Frame, Guard, Held, Sight, Step, before};
use crate::censor::Mode;
use crate::detect::Need;
use crate::media::Rect;
use crate::pipeline::gate;
use crate::track::Moment;

/// Answers that may be outstanding before optional samples stop. One: the next sample is taken
/// when the last is answered, so a stream never queues behind itself, and the slower the machine,
/// the fewer samples it gets.
const WINDOW: usize = 1;
/// Sources do not keep time exactly: a gap may be this much longer than the longest.
const SLACK: f64 = 1.05;
/// The longest time between two analysed frames of a picture in which nothing changes. An analysed
/// frame vouches for those that show the same; this is for what no block's mean shows.
const STILL_GAP: Duration = Duration::from_secs(1);
/// Most frames between two samples that are analysed for what came and went in them, on a machine
/// that has time; one where it has not.
const TRANSIENTS: usize = 3;
/// How long an answer is worth something in instant mode, where no frame waits for it.
const PATIENCE: Duration = Duration::from_millis(500);

fn total(areas: &[Rect]) -> f32 {
    areas.iter().map(Rect::area).sum()
}

impl Guard {
    /// Whether a new frame is worth a look, and how badly it is needed.
    pub(super) fn sample(&self, frame: &Frame, still: bool) -> Option<Need> {
        let Some(last) = self.asked else { return Some(Need::Required) };
        if frame.cut {
            return Some(Need::Required);
        }
        let since = frame.time - last.time;
        let next = since + (frame.time - self.newest).max(0.0);
        let gap = if still { STILL_GAP } else { self.longest_gap() };
        if next > gap.as_secs_f64() * SLACK {
            return Some(Need::Required);
        }
        let awaited = |h: &&Held| matches!(h.sight, Sight::Asked(_)) && !h.learned;
        let outstanding = self.held.iter().filter(awaited).count();
        let due = !still
            && frame.moving
            && (frame.promising || self.pace.finds())
            && frame.index - last.index >= self.pace.stride()
            && since >= self.pace.interval().as_secs_f64();
        (due && outstanding + self.awaited.len() < WINDOW).then_some(Need::Optional)
    }

    /// The longest time from one sample to the next. Where the delay is given, the frames in
    /// between are vouched for by the next sample, whose answer must be there when the verdict on
    /// the first of them is due; where it is not, the delay follows.
    fn longest_gap(&self) -> Duration {
        let max_gap = self.config.max_gap;
        match (self.policy.mode, self.policy.delay) {
            (Mode::Verified, Some(delay)) => {
                let needed = self.config.lead + self.pace.answer();
                max_gap.min(delay.saturating_sub(needed))
            }
            (Mode::Verified, None) | (Mode::Instant, _) => max_gap,
        }
    }

    pub(super) fn want(&mut self, index: u64, need: Need) {
        if let Some(held) = self.held_mut(index) {
            let at = Moment::new(index, held.frame.time);
            self.asked = Some(at);
            self.wanted.push_back((index, need));
        }
    }

    /// Asks for the frames since the last sample that show most of what neither it nor `upto`
    /// shows: as many as there is time for, each with something of its own. In the others such
    /// areas are covered unseen.
    pub(super) fn want_transients(&mut self, upto: u64) {
        let Some(end) = self.held.iter().position(|h| h.frame.index == upto) else { return };
        if self.held[end].frame.cut {
            return;
        }
        let shot = self.held.range(..end).rposition(|h| h.frame.cut);
        let last = self.held.range(..end).rposition(|h| !h.is_unasked());
        let (a, from) = match last {
            Some(last) if shot.is_none_or(|shot| last >= shot) => {
                (&self.held[last].frame.grid, last + 1)
            }
            _ => match self.anchor() {
                Some(anchor) if shot.is_none() => (&anchor.grid, 0),
                _ => return,
            },
        };
        let b = &self.held[end].frame.grid;
        let strange = |n: &Held| (n.frame.index, gate::transients(a, &n.frame.grid, b));
        let mut strange: Vec<_> = self.held.range(from..end).map(strange).collect();
        let looks = if self.pace.interval().is_zero() { TRANSIENTS } else { 1 };
        for _ in 0..looks {
            let most = strange.iter().max_by(|(_, a), (_, b)| total(a).total_cmp(&total(b)));
            let Some((index, areas)) = most.filter(|(_, areas)| !areas.is_empty()).cloned() else {
                return;
            };
            self.wanted.push_back((index, Need::Required));
            for (_, others) in &mut strange {
                others.retain(|other| areas.iter().all(|area| area.intersect(other).area() <= 0.0));
            }
        }
    }

    /// The shot is over: its last frame must be analysed, or nothing vouches for those before it.
    pub(super) fn close_shot(&mut self) {
        if self.held.back().is_some_and(|last| last.is_unasked() && !last.still) {
            self.want_newest();
        }
        self.asked = None;
    }

    pub(super) fn want_newest(&mut self) {
        if let Some(newest) = self.held.back().map(|h| h.frame.index) {
            self.want(newest, Need::Required);
            self.want_transients(newest);
        }
    }

    /// When the newest frame must be asked for, because nothing that is being analysed vouches
    /// for the frames since the last sample. `None`: all are vouched for.
    pub(super) fn vouch_at(&self) -> Option<Instant> {
        if self.policy.mode == Mode::Instant {
            return None;
        }
        let asked = self.held.iter().rposition(|h| !h.is_unasked());
        let unvouched = self.held.range(asked.map_or(0, |i| i + 1)..).find(|h| !h.still)?;
        Some(before(unvouched.frame.due, self.config.lead + self.pace.answer()))
    }

    pub(super) fn ask_wanted(&mut self, now: Instant) -> Option<Step> {
        while let Some((index, need)) = self.wanted.pop_front() {
            let step = self.ask(index, need, now);
            if step.is_some() {
                return step;
            }
        }
        None
    }

    /// Marks a frame as asked for. `None` when it has left, was asked for already, or could not
    /// be answered in time.
    fn ask(&mut self, index: u64, need: Need, now: Instant) -> Option<Step> {
        let instant = self.policy.mode == Mode::Instant;
        let lead = self.config.lead;
        let held = self.held_mut(index)?;
        let deadline = if instant { now + PATIENCE } else { held.frame.due.checked_sub(lead)? };
        if !held.is_unasked() || deadline <= now {
            return None;
        }
        held.sight = Sight::Asked(now);
        let at = Moment::new(index, held.frame.time);
        if self.asked.is_none_or(|last| last.index < index) {
            self.asked = Some(at);
        }
        Some(Step::Analyse { index, deadline, need })
    }
}
