//! Small pictures of detections, covered.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::sql::Columns;
use super::{Error, Sql, Store};

/// Pictures that are kept, the newest: 300 MB at most. A busy stream makes 3,600 an hour.
pub(super) const KEPT: u64 = 100_000;

/// A picture of a detection: a JPEG of at most `thumbnail::WIDTH` × `thumbnail::HEIGHT` pixels, in
/// which everything that the rules cover is covered.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Thumbnail {
    /// The detection.
    pub detection_id: Uuid,
    /// Its stream.
    pub stream_id: Uuid,
    /// The stream's raw room.
    #[serde(rename = "roomName")]
    pub room: String,
    /// The file; never in JSON.
    #[serde(skip)]
    pub jpeg: Arc<[u8]>,
}

/// Writes a picture; nothing where its detection is not, or is no more.
pub(super) fn insert(one: &Thumbnail) -> Sql {
    Sql::new("insert into thumbnails (event_id, picture) select id, ")
        .bind(&*one.jpeg)
        .push(" from censorship_events where id = ")
        .bind(one.detection_id)
        .push(" on conflict (event_id) do nothing")
}

/// Removes up to `step` pictures of detections before the one of that id, in the order of time.
pub(super) fn before(id: String, step: u64) -> Sql {
    Sql::new(
        "delete from thumbnails where event_id in (select event_id from thumbnails \
         where event_id < ",
    )
    .bind(id)
    .push(" order by event_id limit ")
    .bind(step)
    .push(")")
}

/// Removes up to `step` pictures beyond the newest `keep`.
pub(super) fn beyond(keep: u64, step: u64) -> Sql {
    Sql::new(
        "delete from thumbnails where event_id in (select event_id from thumbnails \
         order by event_id desc limit ",
    )
    .bind(step)
    .push(" offset ")
    .bind(keep)
    .push(")")
}

impl Store {
    /// The JPEG of a detection; `None`: there is none.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn thumbnail(&self, detection: Uuid) -> Result<Option<Vec<u8>>, Error> {
        let sql = Sql::new("select picture from thumbnails where event_id = ").bind(detection);
        self.rows(sql).await?.first().map(|row| Columns::of(row).bytes()).transpose()
    }
}
