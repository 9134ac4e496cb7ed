//! The one place that decides what may be shown.
//!
//! A state machine without I/O, threads or clocks. Frames, answers and the time go in; what to do
//! next comes out: analyse a frame, release a frame with its verdict, or wait. In verified mode a
//! frame is shown only when every detector that the rules need has answered for it, or for a frame
//! before and one after it in the same shot, close enough together and with nothing unexplained in
//! between; a frame that shows the very picture of an analysed one needs none after it. Everything
//! else is covered whole, for a reason that is counted. In instant mode a frame is shown on what
//! is known of its shot when it leaves.
//!
//! `sampling` says which frames are analysed, `judge` what a frame is released as.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::{self, Grid};
use super::pace::Pace;
use crate::censor::{Mode, Policy, Region};
use crate::detect::{Failure, Finding, Need};
use crate::media::Rect;
use crate::track::{self, Classes, Moment, Snapshot, Tracker};

mod judge;
mod sampling;

/// Frames whose block means are kept to look back at: what is held, and two seconds before.
const RECENT: usize = 128;
/// For how many frames what replaced something in the picture is new.
const FRESH: u64 = 3;
/// Frames that left before their answer came, in instant mode. When full, the oldest is forgotten.
const AWAITED: usize = 8;

/// What does not change while a stream runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// The longest time between two analysed frames of one shot (1 / PROCESSING_FPS).
    pub max_gap: Duration,
    /// How long before its release a frame's verdict is taken: time for covering and encoding.
    pub lead: Duration,
    /// How objects are followed.
    pub track: track::Config,
}

/// One decoded frame, as the gate sees it.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Counts decoded frames of the stream from 0; no gaps.
    pub index: u64,
    /// RTP time in seconds.
    pub time: f64,
    /// When it is to be sent.
    pub due: Instant,
    /// How long before `due` it could be sent at the earliest: the delay that it has.
    pub hold: Duration,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Block means.
    pub grid: Arc<Grid>,
    /// It starts a shot.
    pub cut: bool,
    /// It differs from the frame before.
    pub moving: bool,
    /// It could show what the detectors look for; else it is looked at no more than it must be.
    pub promising: bool,
}

/// Why a whole frame is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No verdict by its time.
    Late,
    /// A detector failed on it.
    Failed,
    /// In instant mode: nothing of its shot has been analysed yet.
    Unseen,
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
    /// It shows the picture of the last frame asked for before it.
    still: bool,
    /// The pace knows what the detectors' answer took; what is awaited is its text.
    learned: bool,
}

impl Held {
    fn is_seen(&self) -> bool {
        matches!(self.sight, Sight::Seen(_))
    }

    fn is_unasked(&self) -> bool {
        matches!(self.sight, Sight::Unasked)
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
    /// The last released frame that still showed the same picture.
    until: Moment,
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
    /// RTP time of the newest frame, in seconds.
    newest: f64,
    /// The last frame asked for; `None` at a shot's start.
    asked: Option<Moment>,
    /// Frames to be asked for, oldest first.
    wanted: VecDeque<(u64, Need)>,
    /// Frames that left before their answer came, in instant mode, oldest first.
    awaited: VecDeque<(Frame, Instant)>,
    pace: Pace,
    covering: bool,
    /// See [`Guard::take_need`].
    need: Option<Duration>,
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
            newest: 0.0,
            asked: None,
            wanted: VecDeque::new(),
            awaited: VecDeque::new(),
            pace: Pace::new(config.max_gap),
            covering: false,
            need: None,
        }
    }

    /// New rules; they hold for every frame not yet released.
    pub(crate) fn set_policy(&mut self, policy: Arc<Policy>) {
        let classes = self.policy.classes.is_empty() && !policy.classes.is_empty();
        let text = policy.text.is_some() && self.policy.text != policy.text;
        if classes || text {
            // Nobody looked for what these rules ask for: those frames have no verdict now.
            for held in &mut self.held {
                (held.sight, held.learned) = (Sight::Unasked, false);
            }
            (self.shot, self.asked) = (None, None);
        }
        self.classes = Classes::new(&policy);
        self.policy = policy;
        if let Some(Anchor { at, until, size, grid, findings, .. }) =
            self.shot.take().and_then(|shot| shot.anchor)
        {
            let mut shot = Shot::new(&self.config, size);
            let known = shot.tracker.step(at, &findings, &self.classes);
            shot.anchor = Some(Anchor { at, until, size, grid, findings, known });
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
        if self.policy.classes.is_empty() && self.policy.text.is_none() {
            // No detector is needed, so every one that is has answered.
            self.held.push_back(Held {
                frame,
                sight: Sight::Seen(Vec::new()),
                still: false,
                learned: false,
            });
            return;
        }
        let still = self.asked.is_some_and(|asked| {
            self.stands(asked.index) && self.unchanged(asked.index, frame.index)
        });
        let sample = self.sample(&frame, still);
        self.newest = frame.time;
        let index = frame.index;
        self.held.push_back(Held { frame, sight: Sight::Unasked, still, learned: false });
        if let Some(need) = sample {
            self.want(index, need);
            self.want_transients(index);
        }
    }

    /// The detectors have answered for a frame whose text is still awaited: they are free for the
    /// next, whatever the text takes.
    pub(crate) fn detected(
        &mut self,
        index: u64,
        result: &Result<Vec<Finding>, Failure>,
        now: Instant,
    ) {
        let Some(held) = self.held_mut(index).filter(|held| !held.learned) else { return };
        let Sight::Asked(since) = held.sight else { return };
        held.learned = true;
        match result {
            Ok(findings) => self.learn(findings, now.saturating_duration_since(since)),
            Err(_) => self.pace.missed(),
        }
    }

    /// Takes what detection says of a frame that was asked for. Answers for frames never asked
    /// for change nothing, nor do, in verified mode, those for frames that have left.
    pub(crate) fn answer(
        &mut self,
        index: u64,
        result: Result<Vec<Finding>, Failure>,
        now: Instant,
    ) {
        self.detected(index, &result, now);
        let size = match self.held_mut(index) {
            Some(Held { sight: Sight::Asked(_), frame, .. }) => frame.size,
            Some(_) => return,
            None => return self.answer_after(index, result, now),
        };
        let sight = match result {
            Ok(findings) => {
                self.note_need(index, now);
                Sight::Seen(self.weigh(index, size, findings))
            }
            Err(Failure::Shed | Failure::Late) => Sight::Unasked,
            Err(_) => Sight::Failed,
        };
        if let Some(held) = self.held_mut(index) {
            (held.sight, held.learned) = (sight, false);
        }
    }

    /// What to do now. Call until it says to wait.
    pub(crate) fn poll(&mut self, now: Instant) -> Step {
        if let Some(step) = self.ask_wanted(now) {
            return step;
        }
        let Some(first) = self.held.front() else { return Step::Wait(None) };
        let verdict_at = before(first.frame.due, self.config.lead);
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

    /// The most that a verdict took since this was last called: from the earliest that its frame
    /// could have left until the answer that completed it, and the lead. `None`: none was
    /// completed.
    pub(crate) fn take_need(&mut self) -> Option<Duration> {
        self.need.take()
    }

    fn held_mut(&mut self, index: u64) -> Option<&mut Held> {
        let first = self.held.front()?.frame.index;
        self.held.get_mut(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    fn anchor(&self) -> Option<&Anchor> {
        self.shot.as_ref()?.anchor.as_ref()
    }

    /// The answer for a frame that has left: what it shows is news for those to come.
    fn answer_after(&mut self, index: u64, result: Result<Vec<Finding>, Failure>, now: Instant) {
        let awaited = self.awaited.iter().position(|(frame, _)| frame.index == index);
        let Some((frame, since)) = awaited.and_then(|at| self.awaited.remove(at)) else { return };
        let Ok(findings) = result else { return self.pace.missed() };
        self.learn(&findings, now.saturating_duration_since(since));
        if self.anchor().is_none_or(|anchor| anchor.at.index < index) {
            let findings = self.weigh(index, frame.size, findings);
            self.absorb(frame, findings);
        }
    }

    /// Nearly a finding, where the picture has just been replaced, is taken for one: what
    /// pops up is small or blurred at first, and nothing else is known of the place.
    fn weigh(&self, index: u64, size: (u32, u32), findings: Vec<Finding>) -> Vec<Finding> {
        let lately = index.saturating_sub(FRESH)..=index;
        let fresh = |finding: &Finding| {
            let area = share(&finding.rect, size);
            let mut frames = self.recent.iter().filter(|(n, _)| lately.contains(n));
            frames.any(|(_, grid)| gate::jumps(grid, &area))
        };
        let weigh = |finding: Finding| match self.classes.strengthened(&finding) {
            Some(strong) if fresh(&finding) => strong,
            _ => finding,
        };
        findings.into_iter().map(weigh).collect()
    }

    fn learn(&mut self, findings: &[Finding], took: Duration) {
        // Text is followed between looks: it is not worth more of them.
        let mut others = findings.iter().filter(|finding| !track::is_text(&finding.class));
        let found = others.any(|finding| self.classes.grade(finding).is_some());
        self.pace.answered(took, found);
    }

    /// Notes what the answer for `index` has cost the first frame that it says something of: the
    /// analysed frame before it, too, since a model may blink.
    fn note_need(&mut self, index: u64, now: Instant) {
        let Some(end) = self.held.iter().position(|h| h.frame.index == index) else { return };
        let before = self.held.range(..end).rposition(|h| h.is_seen() || h.frame.cut);
        let first = before.unwrap_or(0);
        let vouched = self.held.range(first..end).find(|h| !h.still).unwrap_or(&self.held[end]);
        let Frame { due, hold, .. } = vouched.frame;
        let late = now.saturating_duration_since(due);
        let early = due.saturating_duration_since(now);
        self.needed((hold + late).saturating_sub(early) + self.config.lead);
    }

    fn needed(&mut self, need: Duration) {
        self.need = self.need.max(Some(need));
    }

    /// Takes the oldest frame out with its verdict.
    fn release(&mut self) -> Step {
        let verdict = if self.covering { Verdict::Covered(Reason::Operator) } else { self.judge() };
        let Some(Held { frame, sight, .. }) = self.held.pop_front() else {
            return Step::Wait(None);
        };
        let index = frame.index;
        if frame.cut {
            self.shot = None;
            self.awaited.clear();
        }
        if verdict.is_late() {
            // How much more it would have needed nobody knows: an eighth, for a start.
            self.needed(frame.hold + frame.hold / 8);
        }
        self.stretch(&frame);
        match sight {
            Sight::Seen(findings) => self.absorb(frame, findings),
            Sight::Asked(since) if self.policy.mode == Mode::Instant => {
                self.awaited.push_back((frame, since));
                if self.awaited.len() > AWAITED {
                    self.awaited.pop_front();
                }
            }
            Sight::Asked(_) | Sight::Unasked | Sight::Failed => {}
        }
        Step::Release { index, verdict }
    }

    /// The picture of the last analysed frame has stood until this one, if it has.
    fn stretch(&mut self, frame: &Frame) {
        let still = |anchor: &Anchor| self.unchanged(anchor.at.index, frame.index);
        if self.anchor().is_some_and(still)
            && let Some(anchor) = self.shot.as_mut().and_then(|shot| shot.anchor.as_mut())
        {
            anchor.until = Moment::new(frame.index, frame.time);
        }
    }

    /// What an analysed frame that has left shows is what the next ones are judged by.
    fn absorb(&mut self, frame: Frame, findings: Vec<Finding>) {
        let shot = self.shot.get_or_insert_with(|| Shot::new(&self.config, frame.size));
        let at = Moment::new(frame.index, frame.time);
        let known = shot.tracker.step(at, &findings, &self.classes);
        let Frame { size, grid, .. } = frame;
        shot.anchor = Some(Anchor { at, until: at, size, grid, findings, known });
    }

    /// Whether the frame that was asked for has been answered well, or may yet be.
    fn stands(&self, index: u64) -> bool {
        match self.held.iter().find(|held| held.frame.index == index) {
            Some(held) => matches!(held.sight, Sight::Asked(_) | Sight::Seen(_)),
            None => {
                self.anchor().is_some_and(|anchor| anchor.at.index == index)
                    || self.awaited.iter().any(|(frame, _)| frame.index == index)
            }
        }
    }

    /// Whether frame `n` shows the picture of frame `of`, and all between them do.
    fn unchanged(&self, of: u64, n: u64) -> bool {
        let mut frames = self.recent.iter().filter(|(index, _)| (of..=n).contains(index));
        let Some((first, original)) = frames.next() else { return false };
        *first == of && frames.all(|(_, grid)| gate::shows_the_same(grid, original))
    }
}

impl Verdict {
    /// Whether it stands in for one that was not there in time.
    fn is_late(&self) -> bool {
        matches!(
            self,
            Self::Covered(Reason::Late) | Self::Frozen(Reason::Late) | Self::Passed(Reason::Late)
        )
    }
}

/// A rectangle in a frame of `size` in shares of the picture, 0 to 1.
fn share(rect: &Rect, size: (u32, u32)) -> Rect {
    let (w, h) = (size.0 as f32, size.1 as f32);
    Rect::new(rect.x / w, rect.y / h, rect.w / w, rect.h / h)
}

fn before(time: Instant, by: Duration) -> Instant {
    time.checked_sub(by).unwrap_or(time)
}

#[cfg(test)]
mod tests;
