//! The one place that decides what may be shown.
//!
//! A state machine without I/O, threads or clocks. Frames, answers and the time go in; what to do
//! next comes out: analyse a frame, release a frame with its verdict, or wait. In verified mode a
//! frame is shown only when every detector that the rules need has answered for it, or for a frame
//! before and one after it in the same shot, close enough together and with nothing unexplained in
//! between. Everything else is covered whole, for a reason that is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::{self, Grid};
use super::pace::Pace;
use crate::censor::{Action, OnFailure, Policy, Region};
use crate::detect::{Failure, Finding, Need};
use crate::media::Rect;
use crate::track::{self, Area, Classes, Fix, Margins, Moment, Snapshot, Tracker, bracket};

/// Frames whose block means are kept to look back at: what is held, and two seconds before.
const RECENT: usize = 128;

/// What does not change while a stream runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// The longest time between two analysed frames of one shot (1 / PROCESSING_FPS).
    pub max_gap: Duration,
    /// How long before its release a frame's verdict is taken: time for covering and encoding.
    pub lead: Duration,
    /// How objects are followed.
    pub track: track::Config,
    /// The least time an analysis needs; a frame that nothing later vouches for is asked for at
    /// the latest this long before its verdict is due.
    pub analysis: Duration,
}

/// Answers that may be outstanding before optional samples stop. One: the next sample is taken
/// when the last is answered, so a stream never queues behind itself, and the slower the machine,
/// the fewer samples it gets.
const WINDOW: usize = 1;
/// Share of `max_gap` that two neighbouring analysed frames may be apart beyond it: sources do
/// not keep time exactly.
const GAP_SLACK: f64 = 1.5;

/// One decoded frame, as the gate sees it.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Counts decoded frames of the stream from 0; no gaps.
    pub index: u64,
    /// RTP time in seconds.
    pub time: f64,
    /// When it is to be sent.
    pub due: Instant,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Block means.
    pub grid: Arc<Grid>,
    /// It starts a shot.
    pub cut: bool,
    /// It differs from the frame before.
    pub moving: bool,
}

/// Why a whole frame is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No verdict by its time.
    Late,
    /// A detector failed on it.
    Failed,
    /// An operator pressed the dump button.
    Operator,
    /// The rules cover the whole frame for what was found.
    Rule,
}

/// What a frame is released as.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing to cover.
    Clean,
    /// These regions are covered.
    Regions(Vec<Region>),
    /// The whole frame is covered.
    Covered(Reason),
    /// The last verified frame is shown again (rule `onFailure: freeze`).
    Frozen(Reason),
    /// Shown without a verdict (rule `onFailure: pass`).
    Passed(Reason),
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Hand the frame to detection; answer by the deadline.
    Analyse {
        /// The frame.
        index: u64,
        /// When its verdict is taken.
        deadline: Instant,
        /// Whether detection may drop it under load.
        need: Need,
    },
    /// Release the frame; always the oldest held.
    Release {
        /// The frame.
        index: u64,
        /// What it is released as.
        verdict: Verdict,
    },
    /// Nothing before this time, unless something comes in. `None`: nothing is held.
    Wait(Option<Instant>),
}

#[derive(Debug)]
enum Sight {
    Unasked,
    Asked(Instant),
    Seen(Vec<Finding>),
    Failed,
}

#[derive(Debug)]
struct Held {
    frame: Frame,
    sight: Sight,
}

impl Held {
    fn is_seen(&self) -> bool {
        matches!(self.sight, Sight::Seen(_))
    }
}

/// The shot that is being released.
#[derive(Debug)]
struct Shot {
    tracker: Tracker,
    anchor: Option<Anchor>,
}

impl Shot {
    fn new(config: &Config, size: (u32, u32)) -> Self {
        Self { tracker: Tracker::new(config.track, size), anchor: None }
    }
}

/// The last analysed frame that has left, while its shot goes on.
#[derive(Debug)]
struct Anchor {
    at: Moment,
    size: (u32, u32),
    grid: Arc<Grid>,
    findings: Vec<Finding>,
    known: Snapshot,
}

/// The guard of one stream. See the module.
#[derive(Debug)]
pub(crate) struct Guard {
    config: Config,
    policy: Arc<Policy>,
    held: VecDeque<Held>,
    classes: Classes,
    /// What is known of the shot of the oldest held frame, up to the last released one.
    shot: Option<Shot>,
    /// Block means of the last frames, released ones too, oldest first.
    recent: VecDeque<(u64, Arc<Grid>)>,
    /// Size of the newest frame.
    size: (u32, u32),
    /// Index and time of the last frame asked for; `None` at a shot's start.
    asked: Option<(u64, f64)>,
    /// Frames to be asked for, oldest first.
    wanted: VecDeque<(u64, Need)>,
    pace: Pace,
    covering: bool,
}

impl Guard {
    /// A guard that holds nothing.
    pub(crate) fn new(config: Config, policy: Arc<Policy>) -> Self {
        Self {
            config,
            classes: Classes::new(&policy),
            policy,
            held: VecDeque::new(),
            shot: None,
            recent: VecDeque::new(),
            size: (0, 0),
            asked: None,
            wanted: VecDeque::new(),
            pace: Pace::new(config.max_gap),
            covering: false,
        }
    }

    /// New rules; they hold for every frame not yet released.
    pub(crate) fn set_policy(&mut self, policy: Arc<Policy>) {
        if self.policy.classes.is_empty() && !policy.classes.is_empty() {
            // Under rules that need no detector nobody looked: those frames have no verdict now.
            for held in &mut self.held {
                held.sight = Sight::Unasked;
            }
            (self.shot, self.asked) = (None, None);
        }
        self.classes = Classes::new(&policy);
        self.policy = policy;
        if let Some(Anchor { at, size, grid, findings, .. }) =
            self.shot.take().and_then(|shot| shot.anchor)
        {
            let mut shot = Shot::new(&self.config, size);
            let known = shot.tracker.step(at, &findings, &self.classes);
            shot.anchor = Some(Anchor { at, size, grid, findings, known });
            self.shot = Some(shot);
        }
    }

    /// The dump button: covers every frame not yet released, until switched off.
    pub(crate) fn set_covering(&mut self, on: bool) {
        self.covering = on;
    }

    /// Takes a decoded frame. `frame.index` must be one more than the last.
    pub(crate) fn push(&mut self, mut frame: Frame) {
        frame.cut |= std::mem::replace(&mut self.size, frame.size) != frame.size;
        if frame.cut {
            self.close_shot();
        }
        self.recent.push_back((frame.index, frame.grid.clone()));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        if self.policy.classes.is_empty() {
            // No detector is needed, so every one that is has answered.
            self.held.push_back(Held { frame, sight: Sight::Seen(Vec::new()) });
            return;
        }
        let sample = self.sample(&frame);
        let index = frame.index;
        self.held.push_back(Held { frame, sight: Sight::Unasked });
        if let Some(need) = sample {
            self.want(index, need);
            self.want_transients(index);
        }
    }

    /// Takes what detection says of a frame that was asked for. Answers for frames already
    /// released, or never asked for, change nothing.
    pub(crate) fn answer(
        &mut self,
        index: u64,
        result: Result<Vec<Finding>, Failure>,
        now: Instant,
    ) {
        let Some(held) = self.held_mut(index) else { return };
        let Sight::Asked(since) = held.sight else { return };
        match result {
            Ok(findings) => {
                held.sight = Sight::Seen(findings);
                self.pace.answered(now.saturating_duration_since(since));
            }
            Err(Failure::Shed | Failure::Late) => {
                held.sight = Sight::Unasked;
                self.pace.missed();
            }
            Err(_) => {
                held.sight = Sight::Failed;
                self.pace.missed();
            }
        }
    }

    /// What to do now. Call until it says to wait.
    pub(crate) fn poll(&mut self, now: Instant) -> Step {
        if let Some(step) = self.ask_wanted(now) {
            return step;
        }
        let Some(first) = self.held.front() else { return Step::Wait(None) };
        let verdict_at = self.before(first.frame.due, self.config.lead);
        if verdict_at <= now {
            return self.release();
        }
        match self.vouch_at() {
            Some(vouch_at) if vouch_at > now => Step::Wait(Some(vouch_at.min(verdict_at))),
            Some(_) => {
                self.want_newest();
                self.ask_wanted(now).unwrap_or(Step::Wait(Some(verdict_at)))
            }
            None => Step::Wait(Some(verdict_at)),
        }
    }

    fn held_mut(&mut self, index: u64) -> Option<&mut Held> {
        let first = self.held.front()?.frame.index;
        self.held.get_mut(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// Whether a new frame is worth a look, and how badly it is needed.
    fn sample(&self, frame: &Frame) -> Option<Need> {
        let Some((_, last)) = self.asked else { return Some(Need::Required) };
        if frame.cut {
            return Some(Need::Required);
        }
        let since = frame.time - last;
        if since >= self.stride().as_secs_f64() {
            return Some(Need::Required);
        }
        let outstanding = self.held.iter().filter(|h| matches!(h.sight, Sight::Asked(_))).count();
        let due = frame.moving && since >= self.pace.interval().as_secs_f64();
        (due && outstanding < WINDOW).then_some(Need::Optional)
    }

    /// The longest time from one sample to the next: the frames in between are vouched for by the
    /// next one, whose answer must be there when the verdict on the first of them is due.
    fn stride(&self) -> Duration {
        let patience = self.policy.delay.saturating_sub(self.config.lead + self.config.analysis);
        // A fifth less than allowed: sources do not keep time exactly.
        (self.config.max_gap * 4 / 5).min(patience)
    }

    fn want(&mut self, index: u64, need: Need) {
        if let Some(held) = self.held_mut(index) {
            let time = held.frame.time;
            self.asked = Some((index, time));
            self.wanted.push_back((index, need));
        }
    }

    /// Asks for the frames since the last sample that show what neither it nor `upto` shows.
    fn want_transients(&mut self, upto: u64) {
        let Some(end) = self.held.iter().position(|h| h.frame.index == upto) else { return };
        if self.held[end].frame.cut {
            return;
        }
        let shot = self.held.range(..end).rposition(|h| h.frame.cut);
        let last = self.held.range(..end).rposition(|h| !matches!(h.sight, Sight::Unasked));
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
        let strange: Vec<_> = self
            .held
            .range(from..end)
            .filter(|n| !gate::transients(a, &n.frame.grid, b).is_empty())
            .map(|n| (n.frame.index, Need::Required))
            .collect();
        self.wanted.extend(strange);
    }

    /// The shot is over: its last frame must be analysed, or nothing vouches for those before it.
    fn close_shot(&mut self) {
        if let Some(last) = self.held.back()
            && matches!(last.sight, Sight::Unasked)
        {
            self.want_newest();
        }
        self.asked = None;
    }

    fn want_newest(&mut self) {
        if let Some(newest) = self.held.back().map(|h| h.frame.index) {
            self.want(newest, Need::Required);
            self.want_transients(newest);
        }
    }

    /// When the newest frame must be asked for, because nothing that is being analysed vouches
    /// for the frames since the last sample. `None`: all are vouched for.
    fn vouch_at(&self) -> Option<Instant> {
        let asked = self.held.iter().rposition(|h| !matches!(h.sight, Sight::Unasked));
        let unvouched = self.held.get(asked.map_or(0, |i| i + 1))?;
        Some(self.before(unvouched.frame.due, self.config.lead + self.config.analysis))
    }

    fn anchor(&self) -> Option<&Anchor> {
        self.shot.as_ref()?.anchor.as_ref()
    }

    fn before(&self, time: Instant, by: Duration) -> Instant {
        time.checked_sub(by).unwrap_or(time)
    }

    fn ask_wanted(&mut self, now: Instant) -> Option<Step> {
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
        let lead = self.config.lead;
        let held = self.held_mut(index)?;
        let deadline = held.frame.due.checked_sub(lead)?;
        if !matches!(held.sight, Sight::Unasked) || deadline <= now {
            return None;
        }
        held.sight = Sight::Asked(now);
        let time = held.frame.time;
        if self.asked.is_none_or(|(last, _)| last < index) {
            self.asked = Some((index, time));
        }
        Some(Step::Analyse { index, deadline, need })
    }

    /// Takes the oldest frame out with its verdict.
    fn release(&mut self) -> Step {
        let verdict = if self.covering { Verdict::Covered(Reason::Operator) } else { self.judge() };
        let Some(Held { frame, sight }) = self.held.pop_front() else { return Step::Wait(None) };
        if frame.cut {
            self.shot = None;
        }
        if let Sight::Seen(findings) = sight {
            let shot = self.shot.get_or_insert_with(|| Shot::new(&self.config, frame.size));
            let at = Moment::new(frame.index, frame.time);
            let known = shot.tracker.step(at, &findings, &self.classes);
            let Frame { size, grid, .. } = frame;
            shot.anchor = Some(Anchor { at, size, grid, findings, known });
        }
        Step::Release { index: frame.index, verdict }
    }

    /// The verdict on the oldest frame.
    fn judge(&self) -> Verdict {
        let Some(first) = self.held.front() else { return Verdict::Covered(Reason::Late) };
        let shot_len =
            self.held.iter().skip(1).position(|h| h.frame.cut).map_or(self.held.len(), |i| i + 1);
        let Some(next) = self.held.range(..shot_len).position(Held::is_seen) else {
            return self.unverified(shot_len);
        };
        let mut strange = Vec::new();
        if next > 0 {
            // Not analysed itself: two neighbours must vouch for it.
            let after = &self.held[next];
            let anchor = if first.frame.cut { None } else { self.anchor() };
            let Some(anchor) = anchor else { return self.unverified(shot_len) };
            let apart = after.frame.time - anchor.at.time;
            if apart > self.config.max_gap.as_secs_f64() * GAP_SLACK {
                return self.unverified(shot_len);
            }
            strange = gate::transients(&anchor.grid, &first.frame.grid, &after.frame.grid);
        }
        self.regions(shot_len, &strange)
    }

    /// Whether what was seen at `fix` may be on `frame` too: nothing appeared or vanished there in
    /// between. What cannot be looked up may.
    fn may_be_there(&self, frame: &Frame, fix: &Fix) -> bool {
        let (w, h) = (frame.size.0 as f32, frame.size.1 as f32);
        let area = Rect::new(fix.rect.x / w, fix.rect.y / h, fix.rect.w / w, fix.rect.h / h);
        let (first, last) = (frame.index.min(fix.at.index), frame.index.max(fix.at.index));
        let between = self.recent.iter().filter(|(index, _)| (first + 1..=last).contains(index));
        !between.into_iter().any(|(_, grid)| gate::jumps(grid, &area))
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

    /// The regions of the oldest frame: everything known of its shot, before and after it.
    fn regions(&self, shot_len: usize, strange: &[Rect]) -> Verdict {
        let first = &self.held[0].frame;
        let shot = if first.cut { None } else { self.shot.as_ref() };
        let mut tracker = shot.map_or_else(
            || Shot::new(&self.config, first.size).tracker,
            |shot| shot.tracker.clone(),
        );
        let anchor = shot.and_then(|shot| shot.anchor.as_ref());
        let mut known: Vec<Snapshot> = anchor.map(|a| a.known.clone()).into_iter().collect();
        for Held { frame, sight } in self.held.range(..shot_len) {
            if let Sight::Seen(findings) = sight {
                let at = Moment::new(frame.index, frame.time);
                known.push(tracker.step(at, findings, &self.classes));
            }
        }
        let margins = Margins { padding: self.policy.padding, ..Margins::default() };
        let areas = bracket::regions(Moment::new(first.index, first.time), &known, margins);
        let stays = |area: &&Area| area.doubt.is_none_or(|fix| self.may_be_there(first, &fix));
        let mut regions: Vec<Region> = areas.iter().filter(stays).map(Region::from).collect();
        if regions.iter().any(|r| r.action == Action::Cover) {
            return Verdict::Covered(Reason::Rule);
        }
        let (w, h) = (first.size.0 as f32, first.size.1 as f32);
        regions.extend(strange.iter().map(|area| Region {
            rect: Rect::new(area.x * w, area.y * h, area.w * w, area.h * h),
            action: Action::Blur,
        }));
        if regions.is_empty() { Verdict::Clean } else { Verdict::Regions(regions) }
    }
}

#[cfg(test)]
mod tests;
