//! A recording through gate and guard in made-up time: what would have been covered on each
//! frame, at any rate of analysis and any delay, in a fraction of the recording's length.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::delay::{Delay, Settler};
use super::gate::{self, Activity, Change, Grid};
use super::guard::{Frame, Guard, Step, Verdict};
use super::{cascade, decode, release, text};
use crate::censor::Document;
use crate::detect::text::Reader;
use crate::detect::{AnswerTime, Failure, Finding};
use crate::media::clock::{self, ReleaseClock};
use crate::media::thumb::Thumb;
use crate::media::{Picture, Rect, Source};

/// RTP ticks a second of video.
const CLOCK_HZ: u32 = 90_000;

/// What the gate saw in one frame.
#[derive(Clone, Debug)]
pub struct Look {
    thumb: Thumb,
    activity: Activity,
    grid: Arc<Grid>,
    change: Change,
    promising: bool,
    size: (u32, u32),
}

impl Look {
    /// Looks at a picture that follows the one of `before`; `None` for the first.
    pub fn at(picture: &Picture, before: Option<&Self>) -> Self {
        let thumb = Thumb::of(picture);
        let mut grid = decode::grid(&thumb, before.map(|b| &b.thumb));
        let mut activity = before.map(|b| b.activity.clone()).unwrap_or_default();
        activity.follow(&mut grid);
        let grid = Arc::new(grid);
        let change = gate::compare(&grid, before.map(|b| &*b.grid));
        let promising = cascade::promising(picture, &grid);
        let size = (picture.width(), picture.height());
        Self { thumb, activity, grid, change, promising, size }
    }
}

/// What a recording is played with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The rules of the room.
    pub rules: Document,
    /// Frames a second of the recording.
    pub fps: f64,
    /// The longest time between two analysed frames.
    pub max_gap: Duration,
    /// What one analysis takes. There is one detector; the frame whose answer is needed first is
    /// next.
    pub answer: Duration,
}

/// What was shown of one frame.
#[derive(Clone, Debug)]
pub struct Shown {
    /// From its arrival to the verdict.
    pub held: Duration,
    /// Why the whole frame was covered, if it was.
    pub whole: Option<String>,
    /// What was covered otherwise, in pixels.
    pub regions: Vec<Rect>,
    /// Whether the frame itself was analysed.
    pub analysed: bool,
}

/// The text lane of a recording: looks at the frames that are analysed, in order.
pub struct Text {
    stage: text::Stage,
    rules: Arc<text::Rules>,
}

impl Text {
    /// A lane under the rules of a room, if they want text read.
    pub fn new(reader: Arc<dyn Reader>, rules: &Document) -> Option<Self> {
        let rules = Arc::new(text::Rules::of(&rules.resolve().text?));
        Some(Self { stage: text::Stage::new(0, reader), rules })
    }

    /// What is covered for its text in a picture, at `time` in seconds of the recording. Waits for
    /// the models as long as they take.
    pub fn look(&mut self, picture: Arc<Picture>, time: f64) -> Vec<Finding> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.stage.take(text::Look {
            picture,
            time,
            deadline: clock::now() + Duration::from_secs(10),
            rules: self.rules.clone(),
            reply: text::Reply::new(move |answer| drop(reply.try_send(answer))),
        });
        let found = answer.try_recv().ok().and_then(Result::ok).unwrap_or_default();
        found.iter().map(Finding::from).collect()
    }
}

/// Plays a recording: `looks` and `findings` hold one entry for each frame; `text` is asked for
/// what is to be added, each time a frame is analysed.
pub fn replay(
    looks: &[Look],
    findings: &[Vec<Finding>],
    settings: &Settings,
    text: &mut dyn FnMut(u64) -> Vec<Finding>,
) -> Vec<Shown> {
    let policy = Arc::new(settings.rules.resolve());
    let cascade = policy.cascade;
    let delay = Delay::new(&policy);
    delay.start(Source::Camera, release::guess(settings.max_gap, AnswerTime::default()));
    let guard = release::config(settings.max_gap, crate::track::Config::default());
    let mut play = Play {
        guard: Guard::new(guard, policy),
        settler: Settler::new(delay.needed(Source::Camera)),
        delay,
        findings,
        text,
        answer: settings.answer,
        running: None,
        waiting: BTreeSet::new(),
        analysed: vec![false; looks.len()],
        shown: Vec::new(),
        arrivals: Vec::new(),
    };
    let mut clock = ReleaseClock::new(CLOCK_HZ, play.delay.get());
    let start = clock::now();
    for (index, look) in looks.iter().enumerate() {
        let time = index as f64 / settings.fps;
        let arrival = start + Duration::from_secs_f64(time);
        play.run_until(arrival);
        play.arrivals.push(arrival);
        clock.set_delay(play.delay.get());
        let due = clock.schedule((time * f64::from(CLOCK_HZ)) as u64, arrival);
        play.guard.push(Frame {
            index: index as u64,
            time,
            due,
            hold: clock.hold(),
            size: look.size,
            grid: look.grid.clone(),
            cut: look.change.cut,
            moving: look.change.moving,
            promising: look.promising || !cascade,
        });
    }
    let length = Duration::from_secs_f64(looks.len() as f64 / settings.fps);
    play.run_until(start + length + clock.hold());
    play.shown
}

struct Play<'a> {
    guard: Guard,
    settler: Settler,
    delay: Delay,
    findings: &'a [Vec<Finding>],
    text: &'a mut dyn FnMut(u64) -> Vec<Finding>,
    answer: Duration,
    /// The analysis that runs, and when it will be done.
    running: Option<(Instant, u64)>,
    /// Those that wait: by when, and which.
    waiting: BTreeSet<(Instant, u64)>,
    analysed: Vec<bool>,
    arrivals: Vec<Instant>,
    shown: Vec<Shown>,
}

impl Play<'_> {
    fn run_until(&mut self, end: Instant) {
        let mut now = self.arrivals.last().copied().unwrap_or(end);
        loop {
            let woken = self.poll(now);
            if let Some(need) = self.guard.take_need() {
                self.settler.observe(need, now);
                self.delay.need(Source::Camera, self.settler.delay());
            }
            let answer = self.running.map(|(at, _)| at);
            let Some(next) = [woken, answer].into_iter().flatten().min().filter(|at| *at < end)
            else {
                return;
            };
            now = now.max(next);
            if let Some((at, index)) = self.running.take_if(|(at, _)| *at <= now) {
                self.analysed[index as usize] = true;
                let mut findings = self.findings[index as usize].clone();
                findings.extend((self.text)(index));
                self.guard.answer(index, Ok(findings), at);
            }
            self.run_next(now);
        }
    }

    /// Starts the most urgent analysis, unless one runs; those that came too late are given up.
    fn run_next(&mut self, now: Instant) {
        while self.running.is_none()
            && let Some((deadline, index)) = self.waiting.pop_first()
        {
            if deadline > now {
                self.running = Some((now + self.answer, index));
            } else {
                self.guard.answer(index, Err(Failure::Late), now);
            }
        }
    }

    /// Does all there is to do now; returns when there will be more.
    fn poll(&mut self, now: Instant) -> Option<Instant> {
        loop {
            match self.guard.poll(now) {
                Step::Analyse { index, deadline, .. } => {
                    self.waiting.insert((deadline, index));
                    self.run_next(now);
                }
                Step::Release { index, verdict } => {
                    let index = index as usize;
                    let (whole, regions) = match verdict {
                        Verdict::Clean => (None, Vec::new()),
                        Verdict::Regions(regions) => {
                            (None, regions.iter().map(|r| r.rect).collect())
                        }
                        Verdict::Covered(reason)
                        | Verdict::Frozen(reason)
                        | Verdict::Passed(reason) => (Some(format!("{reason:?}")), Vec::new()),
                    };
                    let held = now.saturating_duration_since(self.arrivals[index]);
                    let analysed = self.analysed[index];
                    self.shown.push(Shown { held, whole, regions, analysed });
                }
                Step::Wait(until) => return until,
            }
        }
    }
}
