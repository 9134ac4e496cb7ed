//! The one writer of what happens by itself: streams, detections, webhooks.
//!
//! It hears of it through bounded queues that nobody waits for, keeps what it heard in a
//! [`Backlog`], and writes that in batches. A database that fails is tried again with a growing
//! pause, and what waits is written when it is back. Every few seconds it asks the manager what
//! runs: that is the heartbeat of streams, and it mends whatever it has not heard of.

use std::collections::HashSet;
use std::pin::Pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backlog::{Backlog, Batch, Outcome};
use super::changes::Area;
use super::digest::Digest;
use super::journal::{Journal, Note};
use super::{
    AuditEntry, Error, News, Record, Sql, Store, detections, micros, thumbnails, webhooks,
};
use crate::media::clock;
use crate::runtime::Exit;
use crate::session::{Event, Manager, Origin, State, Statistics, Summary};

/// How often running streams are written: a crash loses no more of them than this.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long what waits may take when the process stops.
const FLUSH: Duration = Duration::from_secs(2);

/// Writes; runs under the supervisor.
#[derive(Debug)]
pub struct JournalActor {
    store: Store,
    manager: Manager,
    events: broadcast::Receiver<Event>,
    notes: mpsc::Receiver<Note>,
    journal: Journal,
    /// Names this run of the process to the database, which counts its batches.
    writer: Uuid,
    batch: i64,
    backlog: Backlog,
    /// Detections to tell the operator's server of; `None`: there is none.
    digest: Option<Digest>,
    /// Streams whose end was heard of, as long as the manager remembers them.
    ended: HashSet<Uuid>,
    /// Who waits for which batch.
    waiters: Vec<(i64, oneshot::Sender<()>)>,
}

type Writing = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;
type Listing = Pin<Box<dyn Future<Output = Vec<Summary>> + Send>>;

impl JournalActor {
    pub(super) fn new(
        store: Store,
        manager: Manager,
        notes: mpsc::Receiver<Note>,
        journal: Journal,
    ) -> Self {
        Self {
            store,
            events: manager.events(),
            manager,
            notes,
            journal,
            writer: Uuid::now_v7(),
            batch: 1,
            backlog: Backlog::default(),
            digest: None,
            ended: HashSet::new(),
            waiters: Vec::new(),
        }
    }

    /// The same, which keeps news for the operator's server too.
    pub(super) fn telling(self) -> Self {
        Self { digest: Some(Digest::default()), ..self }
    }

    /// Runs until `stop`; then writes what waits, if that takes no longer than two seconds.
    pub async fn run(mut self, stop: CancellationToken) -> Exit {
        let mut tick = tokio::time::interval(HEARTBEAT);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut writing: Option<Writing> = None;
        let mut listing: Option<Listing> = None;
        loop {
            let due = self.backlog.due().filter(|_| writing.is_none());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                written = running(&mut writing) => self.written(&written),
                event = self.events.recv() => match event {
                    Ok(event) => self.event(event),
                    Err(broadcast::error::RecvError::Lagged(lost)) => self.journal.lose(lost),
                    // The manager and all streams are gone: only the end can follow.
                    Err(broadcast::error::RecvError::Closed) => break,
                },
                Some(note) = self.notes.recv() => self.note(note),
                list = running(&mut listing) => self.reconcile(&list),
                _ = tick.tick(), if listing.is_none() => {
                    self.announce_due();
                    let manager = self.manager.clone();
                    listing = Some(Box::pin(async move { manager.list().await }));
                }
                () = until(due) => writing = self.write(),
            }
            self.tell();
        }
        self.finish(writing).await;
        Exit::Cancelled
    }

    fn event(&mut self, event: Event) {
        let now = clock::now();
        self.announce(&event, now);
        match event {
            Event::Started { stream_id, room_name, origin, started_at } => {
                let record = record(stream_id, room_name, origin, started_at);
                self.backlog.stream(record, now);
            }
            Event::Ended {
                stream_id,
                room_name,
                origin,
                started_at,
                ended_at,
                statistics,
                problems,
            } => {
                self.ended.insert(stream_id);
                let record = Record {
                    state: State::Ended,
                    heartbeat_at: ended_at,
                    ended_at: Some(ended_at),
                    viewers_peak: statistics.viewers.peak,
                    viewers_total: statistics.viewers.total,
                    statistics,
                    problems,
                    ..record(stream_id, room_name, origin, started_at)
                };
                self.backlog.stream(record, now);
            }
            Event::Detection(detection) => {
                self.backlog.detection(detection, now);
            }
            Event::Thumbnail(thumbnail) => {
                if !self.backlog.thumbnail(thumbnail, now) {
                    self.journal.metrics.global().thumbnails_dropped.inc();
                }
            }
            Event::Degraded { .. } | Event::Recovered { .. } => {}
        }
    }

    fn announce_due(&mut self) {
        let now = clock::now();
        for news in self.digest.as_mut().map(|digest| digest.due(now)).unwrap_or_default() {
            self.backlog.news(news, now);
        }
    }

    /// Keeps what the operator's server is to be told of an event.
    fn announce(&mut self, event: &Event, now: Instant) {
        let Some(digest) = &mut self.digest else { return };
        match event {
            Event::Detection(one) => {
                if let Some(news) = digest.add(one, now) {
                    self.backlog.news(news, now);
                }
                return;
            }
            // Pictures stay here.
            Event::Thumbnail(_) => return,
            Event::Ended { stream_id, .. } => {
                if let Some(news) = digest.end(*stream_id) {
                    self.backlog.news(news, now);
                }
            }
            Event::Started { .. } | Event::Degraded { .. } | Event::Recovered { .. } => {}
        }
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(event) {
            let kind = fields.get("type").and_then(|kind| kind.as_str()).unwrap_or("event");
            let kind = kind.to_owned();
            self.backlog.news(News::new(&kind, fields), now);
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Webhook(id) => self.backlog.webhook(id, clock::now()),
            Note::Room(room) => self.backlog.room(room, clock::now()),
            Note::Audit(entry) => self.backlog.audit(*entry, clock::now()),
            Note::Settle(reply) => match self.backlog.hurry(clock::now()) {
                0 => drop(reply.send(())),
                batches => {
                    self.waiters.push((self.batch + batches.cast_signed() - 1, reply));
                }
            },
        }
    }

    /// Running streams are written anew, and ends that were not heard of.
    fn reconcile(&mut self, list: &[Summary]) {
        let now = Timestamp::now();
        self.ended.retain(|id| list.iter().any(|one| one.stream_id == *id));
        // One that never gets into its rooms leaves no trace.
        for one in list.iter().filter(|one| one.state != State::Starting) {
            let over = one.state == State::Ended;
            if !over || self.ended.insert(one.stream_id) {
                self.backlog.stream(Record::of(one, now), clock::now());
            }
        }
    }

    fn write(&mut self) -> Option<Writing> {
        let batch = self.backlog.take()?;
        let (store, writer, number) = (self.store.clone(), self.writer, self.batch);
        Some(Box::pin(async move { store.write_batch(&batch, writer, number).await }))
    }

    fn written(&mut self, written: &Result<(), Error>) {
        let outcome = match written {
            Ok(()) => Outcome::Written,
            Err(error) if error.may_pass() => Outcome::Failed,
            Err(_) => Outcome::Refused,
        };
        let failing = outcome == Outcome::Failed;
        let was_failing = std::mem::replace(&mut self.journal.lock().failing, failing);
        match written {
            Err(error) if outcome == Outcome::Refused => {
                tracing::error!(%error, cause = cause(error), "the database takes a batch never");
            }
            Err(error) if !was_failing => {
                tracing::warn!(%error, cause = cause(error), "the database fails; what happens waits");
            }
            Ok(()) if was_failing => {
                tracing::info!(waiting = self.backlog.waiting(), "the database works again");
            }
            _ => {}
        }
        if self.backlog.done(outcome, fastrand::f64(), clock::now()) {
            self.settle(outcome == Outcome::Written);
            self.batch += 1;
        }
    }

    /// Answers those who waited for the batch that is done; who is dropped learns that it is not
    /// written.
    fn settle(&mut self, written: bool) {
        for (_, reply) in self.waiters.extract_if(.., |(batch, _)| *batch <= self.batch) {
            if written {
                let _ = reply.send(());
            }
        }
    }

    fn tell(&mut self) {
        let lost = self.backlog.take_lost();
        self.journal.lose(lost);
        let waiting = self.backlog.waiting();
        self.journal.lock().waiting = waiting;
        let depth = &self.journal.metrics.database().waiting;
        depth.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Hears the last of what happened and writes it.
    async fn finish(&mut self, mut writing: Option<Writing>) {
        let flush = async {
            loop {
                if writing.is_some() {
                    let written = running(&mut writing).await;
                    self.written(&written);
                }
                loop {
                    match self.events.try_recv() {
                        Ok(event) => self.event(event),
                        Err(broadcast::error::TryRecvError::Lagged(lost)) => {
                            self.journal.lose(lost)
                        }
                        Err(_) => break,
                    }
                }
                while let Ok(note) = self.notes.try_recv() {
                    self.note(note);
                }
                if self.journal.lock().failing {
                    until(self.backlog.due()).await;
                }
                writing = self.write();
                if writing.is_none() {
                    return;
                }
            }
        };
        if tokio::time::timeout(FLUSH, flush).await.is_err() {
            let waiting = self.backlog.waiting();
            tracing::error!(waiting, "not written: the database did not answer before the end");
        }
    }
}

/// The stream as it is when it begins.
fn record(id: Uuid, room: String, origin: Origin, started_at: Timestamp) -> Record {
    Record {
        id,
        room,
        origin,
        state: State::Live,
        started_at,
        heartbeat_at: Timestamp::now(),
        ended_at: None,
        viewers_peak: 0,
        viewers_total: 0,
        events: 0,
        statistics: Statistics::default(),
        problems: Vec::new(),
    }
}

/// The innermost error: the database's own words. For the log only.
fn cause(error: &Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// The result of what runs, which is over then; never, when nothing does.
async fn running<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match future {
        None => std::future::pending().await,
        Some(running) => {
            let done = running.as_mut().await;
            *future = None;
            done
        }
    }
}

/// Waits until then; for ever without a time.
async fn until(then: Option<Instant>) {
    match then {
        None => std::future::pending().await,
        Some(then) => tokio::time::sleep_until(then.into()).await,
    }
}

impl Store {
    /// Writes a batch, or nothing of it. A batch whose number the database knows is written
    /// already.
    pub(super) async fn write_batch(
        &self,
        batch: &Batch,
        writer: Uuid,
        number: i64,
    ) -> Result<(), Error> {
        let now = Timestamp::now();
        let mut all = Vec::new();
        all.extend(batch.streams.iter().map(|stream| stream.upsert(self.instance())));
        all.extend(batch.rooms.iter().map(|room| room.upsert(self.instance())));
        all.extend(batch.webhooks.chunks(256).filter_map(|ids| webhooks::insert(ids, now)));
        all.extend(batch.audit.iter().map(AuditEntry::insert));
        all.extend(batch.news.iter().map(News::insert));
        all.extend(detections::insert(&batch.detections, self.instance()));
        all.extend(batch.thumbnails.iter().map(thumbnails::insert));
        self.transaction(async |connection| {
            let new = Sql::new("insert into writers (id, batch, seen_at) values ")
                .rows_of([vec![writer.into(), number.into(), micros(now).into()]])
                .push(
                    " on conflict (id) do update set batch = excluded.batch, \
                     seen_at = excluded.seen_at where writers.batch < excluded.batch",
                )
                .run(connection)
                .await?;
            if new > 0 {
                if !batch.rooms.is_empty() {
                    Area::Rooms.count(connection).await?;
                }
                for sql in all {
                    sql.run(connection).await?;
                }
            }
            Ok::<_, Error>(())
        })
        .await
    }
}
