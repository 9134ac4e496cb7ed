//! Detections that the rules covered: a row a stream, class and second.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::sql::{Columns, Value};
use super::time::first_id;
use super::{Error, Sql, Store, at, micros};

/// Rows in one statement: 14 values each, far below what either database takes, and one round trip
/// to PostgreSQL for most batches.
const ROWS: usize = 128;

/// What was found.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[schemars(rename = "DetectionKind")]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something that a detector of objects knows.
    #[default]
    Object,
    /// Text that the rules forbid, or that nobody could read.
    Text,
}

/// Findings of one class in one stream, of about a second.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// UUIDv7: its time is that of the first finding.
    #[serde(rename = "detectionId")]
    pub id: Uuid,
    /// The stream.
    pub stream_id: Uuid,
    /// Its raw room.
    #[serde(rename = "roomName")]
    pub room: String,
    /// When the first of the findings was made, to the millisecond: the time of the id.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: Kind,
    /// The detector's class.
    pub class: String,
    /// The best score, 0 to 1.
    pub score: f64,
    /// Where that was: x, y, width, height in pixels.
    pub bbox: [f64; 4],
    /// The number of that frame in its track.
    pub frame: u64,
    /// Findings that this stands for.
    pub findings: u64,
    /// The word or kind of contact data in the rules that the text matched; never the text itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether a picture of it is kept, at `/censorship/events/{id}/thumbnail`. Of a new detection
    /// an event `thumbnail` says so, within a second.
    pub has_thumbnail: bool,
}

/// Which detections are wanted; `None` takes all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of one stream.
    pub stream: Option<Uuid>,
    /// Those of one raw room.
    pub room: Option<String>,
    /// Those of one class.
    pub class: Option<String>,
    /// At that time or later.
    pub from: Option<Timestamp>,
    /// Before that time.
    pub to: Option<Timestamp>,
    /// Older than this one.
    pub before: Option<Uuid>,
    /// Most rows.
    pub limit: u64,
}

const COLUMNS: &str = "select id, stream_id, room, kind, class, confidence, x, y, width, height, \
     frame, findings, rule, (select count(*) from thumbnails where event_id = censorship_events.id) \
     from censorship_events";

impl Detection {
    /// The hour that it counts in, since 1970.
    fn hour(&self) -> i64 {
        self.at.as_second().div_euclid(3_600)
    }

    fn values(&self) -> Vec<Value> {
        let [x, y, width, height] = self.bbox;
        let kind = if self.kind == Kind::Text { "text" } else { "object" };
        vec![
            self.id.into(),
            self.stream_id.into(),
            self.room.as_str().into(),
            kind.into(),
            self.class.as_str().into(),
            finite(self.score).into(),
            finite(x).into(),
            finite(y).into(),
            finite(width).into(),
            finite(height).into(),
            self.frame.into(),
            self.findings.into(),
            self.rule.clone().into(),
            micros(self.at).into(),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        let mut row = Columns::of(row);
        let id = row.id()?;
        Ok(Self {
            id,
            at: at(id),
            stream_id: row.id()?,
            room: row.text()?,
            kind: if row.text()? == "text" { Kind::Text } else { Kind::Object },
            class: row.text()?,
            score: row.float()?,
            bbox: [row.float()?, row.float()?, row.float()?, row.float()?],
            frame: row.count()?,
            findings: row.count()?,
            rule: row.maybe_text()?,
            has_thumbnail: row.count()? > 0,
        })
    }
}

/// SQLite keeps what is no number as null, which the column does not take.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// The statements that write detections: rows for streams that are not there yet, the detections,
/// the hours that they count in, and what they add to their streams.
pub(super) fn insert(detections: &[Detection], instance: &str) -> Vec<Sql> {
    let mut all = Vec::new();
    let mut streams: BTreeMap<Uuid, (&Detection, u64)> = BTreeMap::new();
    let mut hours: BTreeMap<(&str, i64, &str), i64> = BTreeMap::new();
    for one in detections {
        streams.entry(one.stream_id).or_insert((one, 0)).1 += 1;
        for room in BTreeSet::from([one.room.as_str(), ""]) {
            *hours.entry((room, one.hour(), one.class.as_str())).or_default() += 1;
        }
    }
    all.extend(streams.values().map(|(first, _)| placeholder(first, instance)));
    for rows in detections.chunks(ROWS) {
        let sql = Sql::new(
            "insert into censorship_events (id, stream_id, room, kind, class, confidence, x, y, \
             width, height, frame, findings, rule, at) values ",
        )
        .rows_of(rows.iter().map(Detection::values))
        .push(" on conflict (id) do nothing");
        all.push(if rows.len() == ROWS { sql } else { sql.once() });
    }
    let hours = hours.into_iter().map(|((room, hour, class), events)| {
        Sql::new("insert into censorship_hours (room, hour, class, events) values ")
            .rows_of([vec![room.into(), hour.into(), class.into(), events.into()]])
            .push(
                " on conflict (room, hour, class) do update \
                 set events = censorship_hours.events + excluded.events",
            )
    });
    all.extend(hours);
    all.extend(streams.into_iter().map(|(id, (_, events))| {
        Sql::new("update streams set events = events + ").bind(events).push(" where id = ").bind(id)
    }));
    all
}

/// A row for a stream whose start was lost on the way, until its process writes of it.
fn placeholder(detection: &Detection, instance: &str) -> Sql {
    let (id, now) = (detection.stream_id, micros(detection.at));
    Sql::new(
        "insert into streams (id, room, origin, instance, state, started_at, heartbeat_at, \
         duration_ms, viewers_peak, viewers_total, events, statistics, problems) values ",
    )
    .rows_of([vec![
        id.into(),
        detection.room.as_str().into(),
        "operator".into(),
        instance.into(),
        "live".into(),
        micros(at(id)).into(),
        now.into(),
        0_i64.into(),
        0_i64.into(),
        0_i64.into(),
        0_i64.into(),
        "{}".into(),
        "[]".into(),
    ]])
    .push(" on conflict (id) do nothing")
}

impl Filter {
    pub(super) fn select(&self) -> Sql {
        Sql::new(COLUMNS)
            .push(" where 1 = 1")
            .maybe(" and stream_id = ", self.stream)
            .maybe(" and room = ", self.room.as_deref())
            .maybe(" and class = ", self.class.as_deref())
            .maybe(" and id >= ", self.from.map(first_id))
            .maybe(" and id < ", self.to.map(first_id))
            .maybe(" and id < ", self.before)
            .push(" order by id desc limit ")
            .bind(self.limit)
    }
}

impl Store {
    /// Detections, newest first.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn detections(&self, filter: &Filter) -> Result<Vec<Detection>, Error> {
        self.rows(filter.select()).await?.iter().map(Detection::read).collect()
    }

    /// One detection of a stream; `None`: there is none.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn detection(&self, stream: Uuid, id: Uuid) -> Result<Option<Detection>, Error> {
        let sql = Sql::new(COLUMNS).push(" where id = ").bind(id);
        let rows = self.rows(sql.push(" and stream_id = ").bind(stream)).await?;
        rows.first().map(Detection::read).transpose()
    }
}
