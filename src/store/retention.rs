//! What is old goes, in steps so small that nobody else waits.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::time::first_id;
use super::{Error, Sql, Store, micros};
use crate::runtime::Exit;

/// Rows in one step.
const STEP: u64 = 500;
/// Between two steps: the writer of detections gets its turn.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether there is something to do.
const EVERY: Duration = Duration::from_secs(60);
/// Longest that LiveKit delivers an event again, with much to spare.
const WEBHOOKS: SignedDuration = SignedDuration::from_hours(24);
/// A stream that nobody has written of for this long has lost its process: twelve heartbeats.
const SILENT: SignedDuration = SignedDuration::from_secs(60);

/// Cleans, and ends what other processes left open.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    /// How long streams, detections and feedback are kept; `None`: for ever.
    keep: Option<SignedDuration>,
}

impl Keeper {
    /// Keeps streams, detections and feedback for `days`; 0: for ever.
    pub fn new(store: Store, days: u32) -> Self {
        let keep = (days > 0).then(|| SignedDuration::from_hours(24 * i64::from(days)));
        Self { store, keep }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Exit {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                _ = tick.tick() => {}
            }
            let cleaned = tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                cleaned = self.clean(Timestamp::now()) => cleaned,
            };
            match cleaned {
                Ok(0) => {}
                Ok(rows) => {
                    tracing::info!(rows, "what was older than database.retention_days is gone")
                }
                // The journal tells of a database that does not answer.
                Err(error) => tracing::debug!(%error, "not cleaned"),
            }
        }
    }

    /// Removes everything that is too old at `now`, and ends streams whose process is gone; how
    /// many rows went.
    ///
    /// # Errors
    ///
    /// When the database does not answer; what was removed until then is gone.
    pub async fn clean(&self, now: Timestamp) -> Result<u64, Error> {
        let silent = self.store.close_silent(now - SILENT).await?;
        if silent > 0 {
            tracing::warn!(streams = silent, "streams whose process has died are closed");
        }
        let mut rows = self.store.steps(|| webhooks(now - WEBHOOKS)).await?;
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
