//! For the bench: writes as the journal does, and the plans of its queries.

use uuid::Uuid;

use super::backlog::Batch;
use super::sql::Columns;
use super::{
    Backend, Detection, DetectionFilter, Error, Record, Sql, Store, StreamFilter, Thumbnail,
    thumbnails,
};

impl Store {
    /// Writes streams and detections as the journal does; `number` must grow from call to call.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn write_history(
        &self,
        streams: Vec<Record>,
        detections: Vec<Detection>,
        number: i64,
    ) -> Result<(), Error> {
        let batch = Batch { streams, detections, ..Batch::default() };
        self.write_batch(&batch, Uuid::nil(), number).await
    }

    /// Writes a picture as the journal does.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn write_thumbnail(&self, thumbnail: &Thumbnail) -> Result<u64, Error> {
        self.write(thumbnails::insert(thumbnail)).await
    }

    /// How the database would find these detections.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn plan_of_detections(&self, filter: &DetectionFilter) -> Result<String, Error> {
        self.plan(filter.select()).await
    }

    /// How the database would find these streams.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn plan_of_streams(&self, filter: &StreamFilter) -> Result<String, Error> {
        self.plan(filter.select()).await
    }

    /// How the database would count detections over a range of time.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn plan_of_figures(&self, range: &super::Range) -> Result<Vec<String>, Error> {
        let mut plans = Vec::new();
        for sql in range.select() {
            plans.push(self.plan(sql).await?);
        }
        Ok(plans)
    }

    async fn plan(&self, sql: Sql) -> Result<String, Error> {
        let (before, column) = match self.backend() {
            Backend::Sqlite => ("explain query plan ", 3),
            Backend::Postgres => ("explain (analyze, costs off, timing off, summary off) ", 0),
        };
        let rows = self.rows(sql.after(before)).await?;
        let line = |row| Columns::at(row, column).text();
        Ok(rows.iter().map(line).collect::<Result<Vec<_>, _>>()?.join("\n"))
    }
}
