//! Asks, decides, and hands each frame on as what it may be shown as. Never waits for an encoder.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::album::Pictures;
use super::cascade;
use super::decode::Decoded;
use super::delay::Settler;
use super::deliver::{Released, Task};
use super::guard::{self, Guard, Reason, Step, Verdict};
use super::sightings::{Sighting, Sightings};
use super::text;
use super::{Controls, Links, Spec};
use crate::censor::{OnFailure, Policy, Region};
use prometheus_client::metrics::counter::Counter;
use uuid::Uuid;

use crate::detect::{Answer, AnswerTime, Failure, Finding, Need, Request};
use crate::media::Rect;
use crate::media::clock;
use crate::session::Event;
use crate::store::{self, Detection, Kind};
use crate::telemetry::trace::Milestone;
use crate::telemetry::{Outcome, Processor, Reason as Cover};
use crate::track::is_text;

/// How long before its release a frame is decided: covering and encoding 720p take 6 ms on one
/// core, three times that on a busy machine, and the dump button must be felt within 50 ms.
const LEAD: Duration = Duration::from_millis(25);
/// The longest that samples of a clean stream at 30 frames a second are apart: five frames.
const IDLE_GAP: Duration = Duration::from_millis(170);
/// What an answer takes on a machine with some load.
const ANSWER: Duration = Duration::from_millis(50);
/// Answers from which it can be told better.
const ENOUGH: u32 = 100;

/// The guard's settings for frames that this stage releases.
pub(super) fn config(max_gap: Duration, track: crate::track::Config) -> guard::Config {
    guard::Config { max_gap, lead: LEAD, track }
}

/// The delay that a new track needs, as far as can be told before its first verdict: from how long
/// answers have taken for others of late.
pub(super) fn guess(max_gap: Duration, answers: AnswerTime) -> Duration {
    let answer = if answers.samples < ENOUGH { ANSWER } else { answers.p99 };
    max_gap.min(IDLE_GAP) + answer + LEAD
}

/// What wakes the release thread.
#[derive(Debug)]
pub(crate) enum Input {
    /// A decoded frame.
    Frame(Decoded),
    /// What detection says of a frame.
    Answer(u64, Answer),
    /// What the text lane says of a frame that it was asked for at this time.
    Text(u64, Instant, text::Answer),
    /// Nothing but a reason to look at the controls.
    Wake,
}

/// A stretch of frames without a verdict.
struct Unverified {
    since: Instant,
    frames: u64,
    reason: Reason,
}

/// The releasing stage of one track.
pub(super) struct Stage {
    spec: Spec,
    links: Links,
    controls: Arc<Controls>,
    policy: Arc<Policy>,
    version: u64,
    guard: Guard,
    settler: Settler,
    held: VecDeque<Decoded>,
    deliver: SyncSender<Task>,
    /// Released frames were left out since the last that was delivered.
    gap: bool,
    answers: SyncSender<Input>,
    text: text::Desk,
    sightings: Sightings,
    /// Thumbnails of what is told of.
    pictures: Pictures,
    /// The stretch of unverified frames that is going on.
    unverified: Option<Unverified>,
    /// The metric of each class met so far.
    counted: HashMap<Arc<str>, Counter>,
}

impl Stage {
    pub(super) fn new(
        spec: Spec,
        links: Links,
        controls: Arc<Controls>,
        answers: SyncSender<Input>,
        deliver: SyncSender<Task>,
    ) -> Self {
        let policy = controls.policy();
        let super::Watch { max_gap, track } = spec.watch;
        let guard = Guard::new(config(max_gap, track), policy.clone());
        let settler = Settler::new(links.delay.needed(spec.source));
        let stream = spec.stream.as_u128() as u64;
        let text = text::Desk::new(stream, links.detect.reader(), &policy);
        let pictures = Pictures::new(&spec, &links, &policy);
        Self {
            spec,
            links,
            controls,
            policy,
            version: 0,
            guard,
            settler,
            held: VecDeque::new(),
            deliver,
            gap: false,
            answers,
            text,
            sightings: Sightings::default(),
            pictures,
            unverified: None,
            counted: HashMap::new(),
        }
    }

    /// Runs until told to stop. The stage holds a sender of its own queue (for answers), which
    /// therefore never closes: the end is always the flag.
    pub(super) fn run(mut self, inputs: &Receiver<Input>) {
        while !self.controls.stopping.load(Relaxed) {
            self.follow_controls();
            self.settle();
            let wait = match self.guard.poll(clock::now()) {
                Step::Analyse { index, deadline, need } => {
                    self.analyse(index, deadline, need);
                    None
                }
                Step::Release { index, verdict } => {
                    self.release(index, verdict);
                    None
                }
                Step::Wait(until) => Some(until),
            };
            let input = match wait {
                None => match inputs.try_recv() {
                    Ok(input) => input,
                    Err(_) => continue,
                },
                Some(None) => match inputs.recv() {
                    Ok(input) => input,
                    Err(_) => return,
                },
                Some(Some(until)) => {
                    match inputs.recv_timeout(until.saturating_duration_since(clock::now())) {
                        Ok(input) => input,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            };
            match input {
                Input::Frame(mut decoded) => {
                    decoded.frame.promising = !self.policy.cascade
                        || cascade::promising(&decoded.picture, &decoded.frame.grid);
                    self.guard.push(decoded.frame.clone());
                    self.held.push_back(decoded);
                }
                Input::Answer(index, answer) => self.answered(index, answer),
                Input::Text(index, asked, answer) => self.read(index, asked, answer),
                Input::Wake => {}
            }
        }
    }

    /// Tells the stream how long verdicts take.
    fn settle(&mut self) {
        let Some(need) = self.guard.take_need() else { return };
        let before = self.settler.delay();
        self.settler.observe(need, clock::now());
        let delay = self.settler.delay();
        if delay != before {
            tracing::debug!(source = ?self.spec.source, ?need, ?delay, "delay settled anew");
        }
        self.links.delay.need(self.spec.source, delay);
    }

    fn follow_controls(&mut self) {
        let version = self.controls.version.load(Relaxed);
        if version != self.version {
            self.version = version;
            self.policy = self.controls.policy();
            self.guard.set_policy(self.policy.clone());
            self.text.set_policy(&self.policy);
            self.pictures.set_policy(&self.policy);
        }
        self.guard.set_covering(self.controls.covering.load(Relaxed));
    }

    fn analyse(&mut self, index: u64, deadline: Instant, need: Need) {
        let Some((picture, time)) = self.held(index).map(|d| (d.picture.clone(), d.frame.time))
        else {
            return;
        };
        self.pictures.asked(index);
        let detectors = !self.policy.classes.is_empty();
        let now = clock::now();
        self.text.expect(index, detectors, now);
        if detectors {
            let answers = self.answers.clone();
            self.links.detect.submit(Request {
                stream: self.spec.stream.as_u128() as u64,
                picture: picture.clone(),
                deadline,
                need,
                // A full queue loses the answer: its frame is covered.
                reply: Box::new(move |answer| {
                    let _ = answers.try_send(Input::Answer(index, answer));
                }),
            });
        }
        let answers = self.answers.clone();
        self.text.look(now, |rules| text::Look {
            picture,
            time,
            deadline,
            rules,
            reply: text::Reply::new(move |answer| {
                let _ = answers.try_send(Input::Text(index, now, answer));
            }),
        });
    }

    fn held(&self, index: u64) -> Option<&Decoded> {
        let first = self.held.front()?.frame.index;
        self.held.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    fn answered(&mut self, index: u64, answer: Answer) {
        let took = answer.queued + answer.ran;
        self.links.metrics.global().verdict_latency.observe_time(took);
        self.links.room.processing(Processor::Detect).observe_time(took);
        match &answer.result {
            Ok(findings) => {
                self.links.figures.analysed.fetch_add(1, Relaxed);
                self.links.trace.reach(Milestone::Verdict, clock::now());
                let also = self.covers(findings);
                for finding in findings {
                    self.report(finding, index, None, &also);
                }
                for sighting in self.sightings.rest(clock::now()) {
                    self.tell(&sighting);
                }
                if findings.iter().any(|finding| self.counts(finding)) {
                    self.prepare(index);
                }
            }
            Err(Failure::Shed | Failure::Late) => {}
            Err(failure) => tracing::debug!(index, %failure, "frame not analysed"),
        }
        self.guard.detected(index, &answer.result, clock::now());
        if let Some(whole) = self.text.detected(index, answer.result) {
            self.guard.answer(index, whole, clock::now());
        }
    }

    /// Takes what the text lane says of a frame.
    fn read(&mut self, index: u64, asked: Instant, answer: text::Answer) {
        let took = clock::now().saturating_duration_since(asked);
        self.links.room.processing(Processor::Text).observe_time(took);
        match &answer {
            Ok(found) => {
                if self.policy.classes.is_empty() {
                    self.links.figures.analysed.fetch_add(1, Relaxed);
                    self.links.trace.reach(Milestone::Verdict, clock::now());
                }
                let findings: Vec<Finding> = found.iter().map(Finding::from).collect();
                let also = self.covers(&findings);
                for (finding, found) in findings.iter().zip(found) {
                    self.report(finding, index, found.rule.as_ref(), &also);
                }
                if !found.is_empty() {
                    self.prepare(index);
                }
            }
            Err(failure) => tracing::debug!(index, %failure, "text not looked for"),
        }
        if let Some(whole) = self.text.read(index, asked, answer) {
            self.guard.answer(index, whole, clock::now());
        }
    }

    /// Whether the rules cover a finding.
    fn counts(&self, finding: &Finding) -> bool {
        if is_text(&finding.class) {
            return self.policy.text.is_some();
        }
        let rule = self.policy.classes.get(&*finding.class);
        rule.is_some_and(|(threshold, _)| finding.score >= *threshold)
    }

    /// Something will be covered: the encoder opens before its frame is due.
    fn prepare(&self, index: u64) {
        if let Some(decoded) = self.held(index) {
            let (picture, codec) = (decoded.picture.clone(), decoded.codec);
            let due = decoded.frame.due;
            let _ = self.deliver.try_send(Task::Prepare { picture, codec, due });
        }
    }

    /// Counts a finding that the rules cover, and tells of it, and of the `rule` that forbids a
    /// word, when that is due.
    fn report(
        &mut self,
        finding: &Finding,
        index: u64,
        rule: Option<&Arc<str>>,
        also: &Arc<[Region]>,
    ) {
        if !self.counts(finding) {
            return;
        }
        self.links.figures.detection(&finding.class);
        let room = &self.links.room;
        self.counted
            .entry(finding.class.clone())
            .or_insert_with(|| room.detections(&finding.class))
            .inc();
        self.pictures.found(finding, index, also);
        if let Some(sighting) = self.sightings.see(finding, index, rule, clock::now()) {
            self.tell(&sighting);
        }
    }

    /// What is covered in a thumbnail because of these findings of its frame.
    fn covers(&self, findings: &[Finding]) -> Arc<[Region]> {
        self.pictures.covers(findings.iter().filter(|one| self.counts(one)), &self.policy)
    }

    fn tell(&mut self, sighting: &Sighting) {
        let Rect { x, y, w, h } = sighting.rect;
        let id = Uuid::now_v7();
        let _ = self.links.events.send(Event::Detection(Detection {
            id,
            at: store::at(id),
            stream_id: self.spec.stream,
            room: self.spec.room.clone(),
            kind: if is_text(&sighting.class) { Kind::Text } else { Kind::Object },
            class: sighting.class.to_string(),
            score: sighting.score.into(),
            bbox: [x, y, w, h].map(f64::from),
            frame: sighting.frame,
            findings: sighting.findings,
            rule: sighting.rule.as_deref().map(ToOwned::to_owned),
            has_thumbnail: false,
        }));
        self.pictures.told(&sighting.class, sighting.frame, id);
    }

    fn release(&mut self, index: u64, verdict: Verdict) {
        let Some(decoded) = self.held.pop_front() else { return };
        debug_assert_eq!(decoded.frame.index, index);
        self.pictures.released(index, &decoded.picture, &verdict, self.policy.mode);
        self.count(&verdict);
        self.episode(&verdict);
        let keep = self.policy.on_failure == OnFailure::Freeze;
        let released = Box::new(Released { decoded, verdict, keep, gap: self.gap });
        self.gap = self.deliver.try_send(Task::Show(released)).is_err();
        if self.gap {
            self.links.dropped();
        }
    }

    /// One line for each stretch of frames without a verdict, when it is over: how long, and why.
    fn episode(&mut self, verdict: &Verdict) {
        let now = clock::now();
        match verdict {
            Verdict::Covered(reason @ (Reason::Late | Reason::Failed))
            | Verdict::Frozen(reason)
            | Verdict::Passed(reason) => {
                self.unverified
                    .get_or_insert(Unverified { since: now, frames: 0, reason: *reason })
                    .frames += 1;
            }
            Verdict::Clean | Verdict::Regions(_) | Verdict::Covered(_) => {
                if let Some(Unverified { since, frames, reason }) = self.unverified.take() {
                    tracing::warn!(
                        room = self.spec.room,
                        source = ?self.spec.source,
                        frames,
                        ?reason,
                        lasted = ?now - since,
                        "frames had no verdict in time; verified again"
                    );
                }
            }
        }
    }

    fn count(&self, verdict: &Verdict) {
        let figures = &self.links.figures;
        let (count, outcome, reason) = match verdict {
            Verdict::Clean => (&figures.clean, Outcome::Clean, None),
            Verdict::Regions(_) => (&figures.covered, Outcome::Covered, Some(Cover::Rule)),
            Verdict::Covered(reason) | Verdict::Frozen(reason) | Verdict::Passed(reason) => {
                let (outcome, label) = match reason {
                    Reason::Operator => (Outcome::Covered, Cover::Operator),
                    Reason::Rule => (Outcome::Covered, Cover::Rule),
                    Reason::Unseen => (Outcome::Covered, Cover::Startup),
                    Reason::Late => (Outcome::Unverified, Cover::VerdictLate),
                    Reason::Failed => (Outcome::Unverified, Cover::DetectorFailed),
                };
                let unverified = outcome == Outcome::Unverified;
                let count = if unverified { &figures.unverified } else { &figures.covered };
                (count, outcome, Some(label))
            }
        };
        count.fetch_add(1, Relaxed);
        self.links.room.frames(outcome).inc();
        if let Some(reason) = reason {
            self.links.metrics.global().covered_frames(reason).inc();
        }
    }
}
