//! What is old goes, in steps so small that nobody else waits; and what processes that died left
//! open is closed.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::silence::{LOOK, Silence};
use super::time::first_id;
use super::{Error, Sql, Store, micros, thumbnails};
use crate::media::clock;
use crate::runtime::Exit;

/// Rows in one step.
const STEP: u64 = 500;
/// Between two steps: the writer of detections gets its turn.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether there is something to do.
const EVERY: Duration = Duration::from_secs(60);
/// Longest that LiveKit delivers an event again, with much to spare.
const WEBHOOKS: SignedDuration = SignedDuration::from_hours(24);

/// How far the clock may have jumped forward since the start and be believed: what a wrong clock
/// takes for old is gone for good.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24);

/// Cleans, and ends what other processes left open.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    /// How long streams, detections and feedback are kept; `None`: for ever.
    keep: Option<SignedDuration>,
    /// How long pictures of detections are kept.
    thumbnails: SignedDuration,
    /// The same moment by both clocks.
    began: (Instant, Timestamp),
}

impl Keeper {
    /// Keeps streams, detections and feedback for `days` (0: for ever), and pictures of detections
    /// for `thumbnail_hours`.
    pub fn new(store: Store, days: u32, thumbnail_hours: u32) -> Self {
        let thumbnails = SignedDuration::from_hours(thumbnail_hours.into());
        let keep = (days > 0).then(|| SignedDuration::from_hours(24 * i64::from(days)));
        Self { store, keep, thumbnails, began: (clock::now(), Timestamp::now()) }
    }

    /// The time that what is old is measured from.
    fn believed(&self, now: Instant, told: Timestamp) -> Timestamp {
        let passed = SignedDuration::try_from(now.saturating_duration_since(self.began.0));
        let latest =
            passed.ok().and_then(|passed| self.began.1.checked_add(passed + BELIEVED).ok());
        latest.map_or(told, |latest| told.min(latest))
    }

    /// Runs until `stop`. Cleaning after a long pause takes minutes; streams are closed meanwhile.
    pub async fn run(self, stop: CancellationToken) -> Exit {
        tokio::select! {
            biased;
            () = stop.cancelled() => Exit::Cancelled,
            never = self.close_for_ever() => match never {},
            never = self.clean_for_ever() => match never {},
        }
    }

    async fn close_for_ever(&self) -> Infallible {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut silence = Silence::default();
        loop {
            tick.tick().await;
            match self.close(&mut silence, clock::now()).await {
                Ok(0) => {}
                Ok(streams) => {
                    tracing::warn!(streams, "streams whose process has died are closed");
                }
                Err(error) => {
                    tracing::debug!(%error, "not looked for streams whose process has died");
                    silence.blind();
                }
            }
        }
    }

    /// Ends the streams of other processes that are silent for too long; how many those were.
    pub(super) async fn close(&self, silence: &mut Silence, now: Instant) -> Result<u64, Error> {
        let open = self.store.open_elsewhere().await?;
        let mut closed = 0;
        for silent in silence.observe(&open, now) {
            closed += u64::from(self.store.close_silent(silent).await?);
        }
        Ok(closed)
    }

    async fn clean_for_ever(&self) -> Infallible {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match self.clean(self.believed(clock::now(), Timestamp::now())).await {
                Ok(0) => {}
                Ok(rows) => {
                    tracing::info!(rows, "what was older than database.retention_days is gone")
                }
                // The journal tells of a database that does not answer.
                Err(error) => tracing::debug!(%error, "not cleaned"),
            }
        }
    }

    /// Removes everything that is too old at `now`; how many rows went.
    ///
    /// # Errors
    ///
    /// When the database does not answer; what was removed until then is gone.
    pub async fn clean(&self, now: Timestamp) -> Result<u64, Error> {
        let mut rows = self.store.steps(|| webhooks(now - WEBHOOKS)).await?;
        rows += self.pictures(now).await?;
        let Some(before) = self.keep.and_then(|keep| now.checked_sub(keep).ok()) else {
            return Ok(rows);
        };
        rows += self.store.steps(|| detections(before)).await?;
        rows += self.store.steps(|| streams(before)).await?;
        rows += self.store.steps(|| feedback(before)).await?;
        rows += self.store.steps(|| outbox(before)).await?;
        let hours = Sql::new("delete from censorship_hours where hour < ");
        rows += self.store.write(hours.bind(before.as_second().div_euclid(3_600))).await?;
        let writers = Sql::new("delete from writers where seen_at < ").bind(micros(before));
        self.store.write(writers).await?;
        Ok(rows)
    }

    /// Removes the pictures that are too old, and the oldest where there are too many.
    async fn pictures(&self, now: Timestamp) -> Result<u64, Error> {
        let Ok(before) = now.checked_sub(self.thumbnails) else { return Ok(0) };
        let old = self.store.steps(|| thumbnails::before(first_id(before), STEP)).await?;
        Ok(old + self.store.steps(|| thumbnails::beyond(thumbnails::KEPT, STEP)).await?)
    }
}

impl Store {
    /// Repeats a step until it finds less than it may take.
    async fn steps(&self, step: impl Fn() -> Sql) -> Result<u64, Error> {
        let mut rows = 0;
        loop {
            let gone = self.write(step()).await?;
            rows += gone;
            if gone < STEP {
                return Ok(rows);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn webhooks(before: Timestamp) -> Sql {
    Sql::new(
        "delete from webhook_events where id in (select id from webhook_events where seen_at < ",
    )
    .bind(micros(before))
    .push(" limit ")
    .bind(STEP)
    .push(")")
}

fn detections(before: Timestamp) -> Sql {
    Sql::new(
        "delete from censorship_events where id in (select id from censorship_events where id < ",
    )
    .bind(first_id(before))
    .push(" order by id limit ")
    .bind(STEP)
    .push(")")
}

/// Streams that ended then or before; their detections are gone by now.
fn streams(before: Timestamp) -> Sql {
    Sql::new("delete from streams where id in (select id from streams where started_at < ")
        .bind(micros(before))
        .push(" and ended_at < ")
        .bind(micros(before))
        .push(" limit ")
        .bind(STEP)
        .push(")")
}

fn outbox(before: Timestamp) -> Sql {
    Sql::new("delete from outbox where id in (select id from outbox where id < ")
        .bind(first_id(before))
        .push(" order by id limit ")
        .bind(STEP)
        .push(")")
}

fn feedback(before: Timestamp) -> Sql {
    Sql::new("delete from feedback where id in (select id from feedback where id < ")
        .bind(first_id(before))
        .push(" order by id limit ")
        .bind(STEP)
        .push(")")
}
