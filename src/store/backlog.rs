//! What waits to be written. Pure: what comes in, what goes out in one batch, and when.
//!
//! Of a stream and a room only the newest state waits. Detections wait in order; when there is no
//! room for one it is refused and counted, and nobody waits.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{AuditEntry, Detection, News, Record, Remembered, Thumbnail};
use crate::session::State;

/// Detections that may wait; further ones are refused. At one a second, class and stream, an hour
/// of a dozen busy streams; some 15 MB.
pub(super) const DETECTIONS: usize = 50_000;
/// Streams that may wait; further ones are refused.
pub(super) const STREAMS: usize = 10_000;
/// Rooms, ids of webhooks, lines of the audit log and news that may wait; then the oldest go.
const NOTES: usize = 4_096;
/// Pictures that may wait; further ones are refused. Some 3 MB.
const THUMBNAILS: usize = 1_024;
/// Pictures in one batch.
const THUMBNAIL_BATCH: usize = 256;
/// Detections in one batch: one transaction of some tens of milliseconds.
const BATCH: usize = 1_024;
/// How long the first to wait may wait for company.
const LINGER: Duration = Duration::from_millis(250);
/// The first pause after a failure, before jitter, and the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is written together, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Batch {
    pub streams: Vec<Record>,
    pub rooms: Vec<Remembered>,
    pub webhooks: Vec<String>,
    pub audit: Vec<AuditEntry>,
    pub news: Vec<News>,
    pub detections: Vec<Detection>,
    pub thumbnails: Vec<Thumbnail>,
}

impl Batch {
    fn len(&self) -> usize {
        let notes = self.rooms.len() + self.webhooks.len() + self.audit.len() + self.news.len();
        self.streams.len() + notes + self.detections.len() + self.thumbnails.len()
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is written.
    Written,
    /// The database did not answer: the very same batch is tried again.
    Failed,
    /// The database will never take it.
    Refused,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    streams: BTreeMap<Uuid, Record>,
    rooms: BTreeMap<String, Remembered>,
    webhooks: VecDeque<String>,
    audit: VecDeque<AuditEntry>,
    news: VecDeque<News>,
    detections: VecDeque<Detection>,
    thumbnails: VecDeque<Thumbnail>,
    /// What is being written, or was tried in vain. It stays as it is until it is written: whether
    /// a commit that failed took effect is not known, and only the same batch can be told apart.
    pending: Option<Batch>,
    /// No attempt before this; `None`: nothing waits.
    due: Option<Instant>,
    failures: u32,
    lost: u64,
    /// Somebody waits: the next batch does not wait for company.
    hurried: bool,
}

impl Backlog {
    /// A stream as it is now.
    pub(super) fn stream(&mut self, record: Record, now: Instant) {
        let full = self.streams.len() >= STREAMS;
        match self.streams.entry(record.id) {
            Entry::Occupied(mut known) => {
                // An end is final, whatever a list says that was made before it.
                if known.get().state != State::Ended || record.state == State::Ended {
                    known.insert(record);
                }
            }
            Entry::Vacant(_) if full => self.lost += 1,
            Entry::Vacant(place) => drop(place.insert(record)),
        }
        self.wake(now);
    }

    /// What an operator said of a room.
    pub(super) fn room(&mut self, room: Remembered, now: Instant) {
        if self.rooms.len() >= NOTES && !self.rooms.contains_key(&room.room) {
            self.rooms.pop_first();
        }
        self.rooms.insert(room.room.clone(), room);
        self.wake(now);
    }

    /// A webhook that was dealt with.
    pub(super) fn webhook(&mut self, id: String, now: Instant) {
        if self.webhooks.len() >= NOTES {
            self.webhooks.pop_front();
        }
        self.webhooks.push_back(id);
        self.wake(now);
    }

    /// A line of the audit log.
    pub(super) fn audit(&mut self, entry: AuditEntry, now: Instant) {
        if self.audit.len() >= NOTES {
            self.audit.pop_front();
            self.lost += 1;
        }
        self.audit.push_back(entry);
        self.wake(now);
    }

    /// Something that the operator's server is to be told.
    pub(super) fn news(&mut self, news: News, now: Instant) {
        if self.news.len() >= NOTES {
            self.news.pop_front();
            self.lost += 1;
        }
        self.news.push_back(news);
        self.wake(now);
    }

    /// A detection; whether there was room for it.
    pub(super) fn detection(&mut self, detection: Detection, now: Instant) -> bool {
        if self.detections.len() >= DETECTIONS {
            self.lost += 1;
            return false;
        }
        self.detections.push_back(detection);
        self.wake(now);
        true
    }

    /// A picture of a detection that came before it; whether there was room for it.
    pub(super) fn thumbnail(&mut self, thumbnail: Thumbnail, now: Instant) -> bool {
        let room = self.thumbnails.len() < THUMBNAILS;
        if room {
            self.thumbnails.push_back(thumbnail);
            self.wake(now);
        }
        room
    }

    fn wake(&mut self, now: Instant) {
        self.due.get_or_insert(now + LINGER);
    }

    /// When to write next; `None`: nothing waits, or a batch is on its way.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Has what waits written soon; how many batches that takes, the one on its way included.
    /// Detections that wait behind a full batch are not counted.
    pub(super) fn hurry(&mut self, now: Instant) -> u64 {
        let pending = self.pending.as_ref().map_or(0, Batch::len);
        let behind = self.waiting() > pending;
        self.hurried = behind;
        if self.failures == 0 {
            self.due = self.due.map(|due| due.min(now));
        }
        u64::from(pending > 0) + u64::from(behind)
    }

    /// Takes what is to be written now; the same again as long as it has not been written.
    pub(super) fn take(&mut self) -> Option<Batch> {
        self.due = None;
        if self.pending.is_none() {
            self.hurried = false;
            let count = self.detections.len().min(BATCH);
            // A picture is not written before its detection.
            let all = count == self.detections.len();
            let pictures = if all { self.thumbnails.len().min(THUMBNAIL_BATCH) } else { 0 };
            let batch = Batch {
                streams: std::mem::take(&mut self.streams).into_values().collect(),
                rooms: std::mem::take(&mut self.rooms).into_values().collect(),
                webhooks: std::mem::take(&mut self.webhooks).into(),
                audit: std::mem::take(&mut self.audit).into(),
                news: std::mem::take(&mut self.news).into(),
                detections: self.detections.drain(..count).collect(),
                thumbnails: self.thumbnails.drain(..pictures).collect(),
            };
            self.pending = (batch.len() > 0).then_some(batch);
        }
        self.pending.clone()
    }

    /// Says what became of the batch; whether the next one is another. `entropy` is uniform in
    /// 0..1.
    pub(super) fn done(&mut self, outcome: Outcome, entropy: f64, now: Instant) -> bool {
        if outcome == Outcome::Failed {
            let step = PAUSE.saturating_mul(1 << self.failures.min(5)).min(LONGEST_PAUSE);
            self.failures = self.failures.saturating_add(1);
            self.due = Some(now + step.mul_f64(0.5 + entropy.clamp(0.0, 1.0) / 2.0));
            return false;
        }
        self.failures = 0;
        let batch = self.pending.take().unwrap_or_default();
        if outcome == Outcome::Refused {
            self.refused(batch);
        }
        // Behind already, or waited for: at once. Otherwise the next one waits for company again.
        let full = self.detections.len() >= BATCH;
        let behind = full || self.hurried || self.pending.is_some();
        self.due = (self.waiting() > 0).then(|| if behind { now } else { now + LINGER });
        true
    }

    /// Detections and their pictures are given up first; what is left is tried once more.
    fn refused(&mut self, mut batch: Batch) {
        if batch.detections.is_empty() && batch.thumbnails.is_empty() {
            self.lost += (batch.streams.len() + batch.audit.len() + batch.news.len()) as u64;
            return;
        }
        self.lost += batch.detections.len() as u64;
        batch.detections.clear();
        batch.thumbnails.clear();
        self.pending = (batch.len() > 0).then_some(batch);
    }

    /// How many things wait.
    pub(super) fn waiting(&self) -> usize {
        let notes = self.rooms.len() + self.webhooks.len() + self.audit.len() + self.news.len();
        let pending = self.pending.as_ref().map_or(0, Batch::len);
        let found = self.detections.len() + self.thumbnails.len();
        self.streams.len() + notes + found + pending
    }

    /// Detections and streams that were given up since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;
    use crate::session::{Origin, Statistics};
    use crate::store::Kind;

    fn detection(stream: Uuid) -> Detection {
        let id = Uuid::now_v7();
        Detection {
            id,
            at: crate::store::at(id),
            stream_id: stream,
            room: "stage".into(),
            kind: Kind::Object,
            class: "A".into(),
            score: 0.5,
            bbox: [0.0; 4],
            frame: 1,
            findings: 1,
            rule: None,
            has_thumbnail: false,
        }
    }

    fn record(id: Uuid, state: State) -> Record {
        Record {
            id,
            room: "stage".into(),
            origin: Origin::Operator,
            state,
            started_at: Timestamp::UNIX_EPOCH,
            heartbeat_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            viewers_peak: 0,
            viewers_total: 0,
            events: 0,
            statistics: Statistics::default(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn an_end_is_not_taken_back_by_a_list_that_was_made_before_it() {
        let (mut backlog, now, id) = (Backlog::default(), clock::now(), Uuid::now_v7());
        backlog.stream(record(id, State::Ended), now);
        backlog.stream(record(id, State::Live), now);
        assert_eq!(backlog.take().unwrap().streams, [record(id, State::Ended)]);
    }

    #[test]
    fn what_the_database_refuses_for_good_does_not_stand_in_the_way() {
        let (mut backlog, now) = (Backlog::default(), clock::now());
        backlog.stream(record(Uuid::nil(), State::Live), now);
        backlog.detection(detection(Uuid::nil()), now);
        backlog.take().unwrap();
        assert!(backlog.done(Outcome::Refused, 0.0, now));
        let left = backlog.take().unwrap();
        assert_eq!((left.streams.len(), left.detections.len()), (1, 0));
        assert_eq!(backlog.take_lost(), 1);
        assert!(backlog.done(Outcome::Refused, 0.0, now));
        assert_eq!((backlog.take(), backlog.take_lost()), (None, 1));
    }

    #[test]
    fn a_picture_is_not_written_before_its_detection() {
        let (mut backlog, now) = (Backlog::default(), clock::now());
        let picture = |of: &Detection| Thumbnail {
            detection_id: of.id,
            stream_id: of.stream_id,
            room: of.room.clone(),
            jpeg: Arc::default(),
        };
        let found: Vec<Detection> = (0..=BATCH).map(|_| detection(Uuid::nil())).collect();
        for one in &found {
            assert!(backlog.detection(one.clone(), now));
            backlog.thumbnail(picture(one), now);
        }
        assert_eq!(backlog.thumbnails.len(), THUMBNAILS, "as many as may wait");
        let first = backlog.take().unwrap();
        assert_eq!((first.detections.len(), first.thumbnails.len()), (BATCH, 0));
        assert!(backlog.done(Outcome::Written, 0.0, now));
        let second = backlog.take().unwrap();
        assert_eq!((second.detections.len(), second.thumbnails.len()), (1, THUMBNAIL_BATCH));
        assert!(backlog.done(Outcome::Refused, 0.0, now));
        assert_eq!(backlog.take().unwrap().thumbnails.len(), THUMBNAIL_BATCH, "the next ones");
        assert_eq!(backlog.take_lost(), 1, "pictures are no loss");
    }

    #[test]
    fn who_waits_knows_after_which_batch_and_waits_for_no_company() {
        let (mut backlog, now) = (Backlog::default(), clock::now());
        assert_eq!(backlog.hurry(now), 0, "nothing waits");
        backlog.webhook("1".into(), now);
        assert_eq!((backlog.hurry(now), backlog.due()), (1, Some(now)));
        backlog.take().unwrap();
        assert_eq!(backlog.hurry(now), 1, "it is on its way");
        backlog.webhook("2".into(), now);
        assert_eq!(backlog.hurry(now), 2);
        assert!(backlog.done(Outcome::Written, 0.0, now));
        assert_eq!(backlog.due(), Some(now));
        assert_eq!(backlog.take().unwrap().webhooks, ["2"]);
        backlog.done(Outcome::Failed, 1.0, now);
        backlog.hurry(now);
        assert_eq!(backlog.due(), Some(now + PAUSE), "a failing database is not pressed");
    }

    #[test]
    fn pauses_grow_to_a_cap() {
        let (mut backlog, now) = (Backlog::default(), clock::now());
        backlog.webhook("1".into(), now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            backlog.take().unwrap();
            assert!(!backlog.done(Outcome::Failed, 1.0, now));
            pauses.push((backlog.due().unwrap() - now).as_millis());
        }
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
    }

    proptest! {
        /// Whatever happens to batches, what was accepted and not refused is written once, in
        /// order; and nothing waits for ever.
        #[test]
        fn everything_is_written_once_and_in_order(
            steps in prop::collection::vec((0usize..3_000, 0u8..3), 1..40)
        ) {
            let (mut backlog, mut now) = (Backlog::default(), clock::now());
            let (mut accepted, mut written, mut lost) = (Vec::new(), Vec::new(), 0);
            let run = |backlog: &mut Backlog, now: &mut Instant, fails: bool, written: &mut Vec<Uuid>| {
                let Some(due) = backlog.due() else { return };
                *now = due.max(*now);
                let Some(batch) = backlog.take() else { return };
                assert!(batch.detections.len() <= BATCH);
                if fails {
                    backlog.done(Outcome::Failed, 0.5, *now);
                } else {
                    written.extend(batch.detections.iter().map(|one| one.id));
                    backlog.done(Outcome::Written, 0.5, *now);
                }
            };
            for (count, fails) in steps {
                for _ in 0..count {
                    let one = detection(Uuid::nil());
                    let id = one.id;
                    if backlog.detection(one, now) { accepted.push(id) } else { lost += 1 }
                }
                run(&mut backlog, &mut now, fails > 0, &mut written);
            }
            for _ in 0..1_000 {
                run(&mut backlog, &mut now, false, &mut written);
            }
            prop_assert_eq!(backlog.waiting(), 0);
            prop_assert_eq!(backlog.take_lost(), lost);
            prop_assert_eq!(written, accepted);
        }
    }
}
