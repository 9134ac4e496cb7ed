//! What outlives the process: streams, detections, rules, feedback, who changed what.
//!
//! One [`Store`] over SQLite (a file, the default) or PostgreSQL, with the same statements on both.
//! What happens on the media path never comes here directly: it goes through the [`Journal`], a
//! bounded queue before one writer, so that a slow, full or dead database holds no frame up.
//! What a person is told is done (rules, feedback) is written before they are told.

mod audit;
mod backlog;
mod changes;
mod detections;
mod digest;
mod error;
mod feedback;
mod figures;
mod held;
#[cfg(any(test, feature = "test-hooks"))]
mod hooks;
mod journal;
mod keys;
mod migrations;
mod open;
mod outbox;
mod retention;
mod rooms;
mod rules;
mod silence;
mod sql;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod thumbnails;
mod time;
mod versions;
mod webhooks;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Connection as _};

use crate::media::clock;

pub use audit::{Change, Entry as AuditEntry, Filter as AuditFilter};
pub use changes::Changes;
pub use detections::{Detection, Filter as DetectionFilter, Kind};
pub use error::Error;
pub use feedback::{Answer as FeedbackAnswer, Said as FeedbackSaid, moved};
pub use figures::{Figures, Range};
pub use journal::{Journal, JournalStatus};
pub use open::Backend;
pub use outbox::{Listed as ListedNews, News};
pub use retention::Keeper;
pub use rooms::Remembered;
pub use rules::{Saved, Scope, Stale};
pub use streams::{Filter as StreamFilter, Record};
pub use thumbnails::Thumbnail;
pub use time::{at, micros};
pub use versions::Version;
pub use writer::JournalActor;

pub(crate) use sql::Sql;

/// How long a read may take before its caller is told that the database does not answer.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// The same for a write. Longer than SQLite's own wait for its lock.
const WRITE_LIMIT: Duration = Duration::from_secs(8);
/// The same for the look that `/health` takes.
const CHECK_LIMIT: Duration = Duration::from_secs(1);

/// The database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Backend,
    /// Names this process in rows that it owns: `host:port`.
    instance: String,
    reader: AnyPool,
    /// SQLite has one writer at a time: it is one connection here, so that nobody waits for a lock.
    writer: AnyPool,
}

impl Store {
    /// Opens the database at `url` (`sqlite:PATH` or `postgres://…`), makes or updates its tables,
    /// and holds up to `connections` to PostgreSQL. `instance` names this process in what it owns.
    ///
    /// # Errors
    ///
    /// When the file or the server cannot be reached, or its tables are those of a newer Scrim.
    pub async fn open(url: &str, connections: u32, instance: &str) -> Result<Self, Error> {
        Ok(Self::new(open::open(url, connections).await?, instance))
    }

    fn new(opened: open::Opened, instance: &str) -> Self {
        let open::Opened { backend, reader, writer } = opened;
        Self(Arc::new(Inner { backend, instance: instance.to_owned(), reader, writer }))
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        self.0.backend
    }

    /// The name of this process in what it owns.
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// Asks the database for nothing, and says how long it took to answer.
    ///
    /// # Errors
    ///
    /// When it does not answer within a second.
    pub async fn check(&self) -> Result<Duration, Error> {
        let began = clock::now();
        let asked = async {
            let mut connection = self.0.reader.acquire().await?;
            Sql::new("select 1").rows(&mut connection).await
        };
        match tokio::time::timeout(CHECK_LIMIT, asked).await {
            Ok(Ok(_)) => Ok(clock::now().saturating_duration_since(began)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Error::Slow(CHECK_LIMIT)),
        }
    }

    /// Closes every connection, and waits until SQLite has folded its log into the file.
    pub async fn close(&self) {
        self.0.reader.close().await;
        self.0.writer.close().await;
    }

    /// The rows that a statement answers with.
    pub(crate) async fn rows(&self, sql: Sql) -> Result<Vec<AnyRow>, Error> {
        let read = async {
            let mut connection = self.0.reader.acquire().await?;
            sql.rows(&mut connection).await
        };
        within(READ_LIMIT, read).await
    }

    /// Runs one statement that writes; the rows that it touched.
    pub(crate) async fn write(&self, sql: Sql) -> Result<u64, Error> {
        let write = async {
            let mut connection = self.0.writer.acquire().await?;
            sql.run(&mut connection).await
        };
        within(WRITE_LIMIT, write).await
    }

    /// Runs `work` in a transaction: all of it is written, or nothing. `work` answers with an
    /// error to undo what it did.
    ///
    /// A connection on which a transaction did not come to its end is not used again.
    pub(crate) async fn transaction<T, E>(
        &self,
        work: impl AsyncFnOnce(&mut sqlx::AnyConnection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<sqlx::Error> + From<Error>,
    {
        let all = async {
            let mut connection = held::Held::new(self.0.writer.acquire().await?);
            let mut transaction = connection.begin().await?;
            match work(&mut transaction).await {
                Ok(done) => {
                    transaction.commit().await?;
                    connection.is_well();
                    Ok(done)
                }
                Err(error) => {
                    if transaction.rollback().await.is_ok() {
                        connection.is_well();
                    }
                    Err(error)
                }
            }
        };
        match tokio::time::timeout(WRITE_LIMIT, all).await {
            Ok(done) => done,
            Err(_) => Err(Error::Slow(WRITE_LIMIT).into()),
        }
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Error::Slow(limit)),
    }
}
