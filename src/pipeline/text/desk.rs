//! What the release stage has of the text lane: asks it beside the detectors, and makes one answer
//! of both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stage::{Answer, Lane, Look, Rules};
use super::verdict::Found;
use crate::censor::{Policy, TextPolicy};
use crate::detect::text::Reader;
use crate::detect::{Failure, Finding};
use crate::track::{TEXT, TEXT_UNREAD};

/// Frames of which something is still awaited. When full, the oldest is forgotten: whoever was to
/// answer for it never will.
const AWAITED: usize = 512;
/// Least time between two starts of a lane's thread. Where it ends sooner, or cannot start, looks
/// fail until then: a frame each thirtieth of a second is no reason to try that often.
const RESTART: Duration = Duration::from_secs(1);

/// Starts the thread of a lane.
type Start = dyn FnMut(u64, Arc<dyn Reader>) -> std::io::Result<Lane> + Send;

/// The text lane of a track, while its rules want text, and what it was asked.
pub(crate) struct Desk {
    stream: u64,
    reader: Option<Arc<dyn Reader>>,
    wanted: Option<(Arc<TextPolicy>, Arc<Rules>)>,
    lane: Option<Lane>,
    start: Box<Start>,
    /// When the lane's thread was last started, or was to be.
    started: Option<Instant>,
    /// That failed, and the log says so.
    failed: bool,
    join: Join,
}

impl Desk {
    /// `reader`: what finds and reads text; `None` where no text model is loaded.
    pub(crate) fn new(stream: u64, reader: Option<Arc<dyn Reader>>, policy: &Policy) -> Self {
        let mut desk = Self {
            stream,
            reader,
            wanted: None,
            lane: None,
            start: Box::new(Lane::start),
            started: None,
            failed: false,
            join: Join::default(),
        };
        desk.set_policy(policy);
        desk
    }

    /// New rules: starts the lane when they want text, ends it when they do not.
    pub(crate) fn set_policy(&mut self, policy: &Policy) {
        let same = match (&policy.text, &self.wanted) {
            (Some(new), Some((old, _))) => new == old,
            (new, old) => new.is_none() && old.is_none(),
        };
        if same {
            return;
        }
        self.wanted = policy.text.as_ref().map(|text| (text.clone(), Arc::new(Rules::of(text))));
        if self.wanted.is_none() {
            (self.lane, self.started) = (None, None);
        }
    }

    /// Frame `index` is about to be asked for at `asked`: by the detectors, by the lane, or both.
    pub(crate) fn expect(&mut self, index: u64, detectors: bool, asked: Instant) {
        let text = self.wanted.as_ref().map(|(_, rules)| rules.cover_unread);
        self.join.expect(
            index,
            Parts {
                findings: Part::asked(detectors),
                text: Part::asked(text.is_some()),
                asked,
                cover: text.unwrap_or_default(),
            },
        );
    }

    /// Hands a frame to the lane, whose thread starts with the first one. Without it the answer is
    /// a failure.
    pub(crate) fn look(&mut self, now: Instant, look: impl FnOnce(Arc<Rules>) -> Look) {
        let Some((_, rules)) = &self.wanted else { return };
        let look = look(rules.clone());
        self.ensure_lane(now);
        match &self.lane {
            Some(lane) => lane.look(look),
            None => {
                let missing = self.reader.is_none();
                let why =
                    if missing { "no text model is loaded" } else { "no thread looks for text" };
                look.reply.call(Err(Failure::Failed(why.into())));
            }
        }
    }

    /// Starts the lane's thread if none runs, [`RESTART`] after the last at the earliest.
    fn ensure_lane(&mut self, now: Instant) {
        let runs = self.lane.as_ref().is_some_and(Lane::is_alive);
        let early = self.started.is_some_and(|at| now.saturating_duration_since(at) < RESTART);
        let Some(reader) = self.reader.clone().filter(|_| !runs && !early) else { return };
        self.started = Some(now);
        match (self.start)(self.stream, reader) {
            Ok(lane) => {
                if std::mem::take(&mut self.failed) {
                    tracing::info!("text is looked for again");
                }
                self.lane = Some(lane);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::error!(%error, "no thread to look for text: it is covered by rule");
                }
                self.lane = None;
            }
        }
    }

    /// The detectors' answer for a frame. Returns the whole one if nothing is missing.
    pub(crate) fn detected(
        &mut self,
        index: u64,
        result: Result<Vec<Finding>, Failure>,
    ) -> Option<Result<Vec<Finding>, Failure>> {
        self.join.take(index, |parts| parts.findings = Part::Here(result))
    }

    /// The lane's answer for a frame that it was asked for at `asked`. Returns the whole one if
    /// nothing is missing. An answer from before the frame was asked for anew is no answer: the
    /// rules that it was judged by hold no more.
    pub(crate) fn read(
        &mut self,
        index: u64,
        asked: Instant,
        answer: Answer,
    ) -> Option<Result<Vec<Finding>, Failure>> {
        self.join.take(index, |parts| parts.read(asked, answer))
    }
}

/// One of the answers for a frame.
#[derive(Debug)]
enum Part<T> {
    Unasked,
    Awaited,
    Here(Result<T, Failure>),
}

impl<T> Part<T> {
    fn asked(asked: bool) -> Self {
        if asked { Self::Awaited } else { Self::Unasked }
    }
}

/// The answers for a frame.
#[derive(Debug)]
struct Parts {
    findings: Part<Vec<Finding>>,
    text: Part<Vec<Found>>,
    /// When they were asked for.
    asked: Instant,
    /// Text that nobody has read is covered.
    cover: bool,
}

/// Makes one answer of two. Pure.
#[derive(Debug, Default)]
struct Join {
    frames: BTreeMap<u64, Parts>,
}

impl Join {
    fn expect(&mut self, index: u64, parts: Parts) {
        self.frames.insert(index, parts);
        if self.frames.len() > AWAITED {
            self.frames.pop_first();
        }
    }

    fn take(
        &mut self,
        index: u64,
        set: impl FnOnce(&mut Parts),
    ) -> Option<Result<Vec<Finding>, Failure>> {
        let parts = self.frames.get_mut(&index)?;
        set(parts);
        if matches!(parts.findings, Part::Awaited) || matches!(parts.text, Part::Awaited) {
            return None;
        }
        self.frames.remove(&index).map(Parts::whole)
    }
}

impl Parts {
    fn read(&mut self, asked: Instant, answer: Answer) {
        if self.asked == asked {
            self.text = Part::Here(answer);
        }
    }

    /// What is known of the frame. A lane that failed leaves it unknown where unread text is
    /// covered, and the detectors' answer as it is where it is shown.
    fn whole(self) -> Result<Vec<Finding>, Failure> {
        let mut findings = match self.findings {
            Part::Here(result) => result?,
            Part::Unasked | Part::Awaited => Vec::new(),
        };
        match self.text {
            Part::Here(Ok(found)) => findings.extend(found.iter().map(Finding::from)),
            Part::Here(Err(failure)) if self.cover => return Err(failure),
            Part::Here(Err(_)) | Part::Unasked | Part::Awaited => {}
        }
        Ok(findings)
    }
}

impl From<&Found> for Finding {
    fn from(found: &Found) -> Self {
        let class = if found.rule.is_some() { TEXT } else { TEXT_UNREAD };
        Self { class: class.into(), score: 1.0, rect: found.rect }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::sync_channel;

    use super::super::stage::Reply;
    use super::*;
    use crate::censor::Document;
    use crate::detect::text::{FindRequest, ReadRequest};
    use crate::media::{Picture, Rect, clock};

    /// Never asked.
    struct Nobody;

    impl Reader for Nobody {
        fn find(&self, _: FindRequest) {}
        fn read(&self, _: ReadRequest) {}
    }

    fn text_rules() -> Policy {
        let rules: Document =
            serde_json::from_str(r#"{"classes": {}, "text": {"enabled": true}}"#).unwrap();
        rules.resolve()
    }

    /// The answer to a look that `desk` is handed at `now`, and is late already.
    fn look(desk: &mut Desk, now: Instant) -> Answer {
        let (reply, answer) = sync_channel(1);
        desk.look(now, |rules| Look {
            picture: Arc::new(Picture::filled(64, 64, [0, 128, 128])),
            time: 0.0,
            deadline: clock::now(),
            rules,
            reply: Reply::new(move |answer| reply.send(answer).unwrap()),
        });
        answer.recv().unwrap()
    }

    #[test]
    fn a_lane_that_cannot_start_is_tried_again_after_a_while_not_at_every_look() {
        let mut desk = Desk::new(1, Some(Arc::new(Nobody)), &text_rules());
        let tries = Arc::new(AtomicU32::new(0));
        let counted = tries.clone();
        desk.start =
            Box::new(move |stream, reader| match counted.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err(std::io::Error::other("no thread is left")),
                _ => Lane::start(stream, reader),
            });
        let start = clock::now();
        for (milliseconds, tried, fails) in [
            (0, 1, true),
            (33, 1, true),
            (999, 1, true),
            (1_000, 2, true),
            (1_500, 2, true),
            (2_100, 3, false),
        ] {
            let answer = look(&mut desk, start + Duration::from_millis(milliseconds));
            let failed = matches!(&answer, Err(Failure::Failed(why)) if why.contains("thread"));
            assert_eq!(failed, fails, "{milliseconds}: {answer:?}");
            assert_eq!(tries.load(Ordering::Relaxed), tried, "{milliseconds}");
            assert_eq!(desk.failed, fails, "{milliseconds}");
        }
    }

    #[test]
    fn without_a_model_every_look_fails_and_says_why() {
        let answer = look(&mut Desk::new(1, None, &text_rules()), clock::now());
        assert!(matches!(answer, Err(Failure::Failed(why)) if why.contains("no text model")));
    }

    fn awaited(asked: Instant, cover: bool) -> Parts {
        Parts { findings: Part::Awaited, text: Part::Awaited, asked, cover }
    }

    fn asked(cover: bool) -> Join {
        let mut join = Join::default();
        join.expect(7, awaited(clock::now(), cover));
        join
    }

    fn face() -> Finding {
        Finding { class: "FACE".into(), score: 0.8, rect: Rect::default() }
    }

    fn word() -> Found {
        Found { rect: Rect::new(1.0, 2.0, 3.0, 4.0), rule: Some("damn".into()) }
    }

    #[test]
    fn the_answer_is_whole_when_both_are_in_whichever_is_first() {
        let whole = |first: bool| {
            let mut join = asked(true);
            let text = |parts: &mut Parts| parts.text = Part::Here(Ok(vec![word()]));
            let faces = |parts: &mut Parts| parts.findings = Part::Here(Ok(vec![face()]));
            if first {
                assert_eq!(join.take(7, text), None);
                join.take(7, faces)
            } else {
                assert_eq!(join.take(7, faces), None);
                join.take(7, text)
            }
        };
        for first in [true, false] {
            let classes: Vec<_> =
                whole(first).unwrap().unwrap().into_iter().map(|f| f.class).collect();
            assert_eq!(classes, ["FACE".into(), Arc::<str>::from(TEXT)]);
        }
        assert_eq!(asked(true).take(8, |_| {}), None, "never asked for");
    }

    #[test]
    fn a_lane_that_fails_leaves_a_frame_unknown_only_where_unread_text_is_covered() {
        for (cover, expected) in [(true, Err(Failure::Shed)), (false, Ok(vec![face()]))] {
            let mut join = asked(cover);
            join.take(7, |parts| parts.findings = Part::Here(Ok(vec![face()])));
            let whole = join.take(7, |parts| parts.text = Part::Here(Err(Failure::Shed)));
            assert_eq!(whole, Some(expected));
        }
    }

    #[test]
    fn an_answer_by_rules_that_were_replaced_is_no_answer() {
        let (mut join, before) = (Join::default(), clock::now());
        let after = before + Duration::from_millis(5);
        join.expect(7, awaited(before, true));
        join.expect(7, awaited(after, true));
        assert_eq!(join.take(7, |parts| parts.findings = Part::Here(Ok(Vec::new()))), None);
        assert_eq!(join.take(7, |parts| parts.read(before, Ok(Vec::new()))), None);
        let whole = join.take(7, |parts| parts.read(after, Ok(vec![word()])));
        assert_eq!(whole.unwrap().unwrap()[0].class, TEXT.into());
    }

    #[test]
    fn what_is_never_answered_is_forgotten() {
        let mut join = Join::default();
        for index in 0..2 * AWAITED as u64 {
            let parts = awaited(clock::now(), true);
            join.expect(index, Parts { text: Part::Unasked, ..parts });
        }
        assert_eq!(join.frames.len(), AWAITED);
        let found = |parts: &mut Parts| parts.findings = Part::Here(Ok(Vec::new()));
        assert_eq!(join.take(0, found), None);
        assert_eq!(join.take(2 * AWAITED as u64 - 1, found), Some(Ok(Vec::new())));
    }
}
