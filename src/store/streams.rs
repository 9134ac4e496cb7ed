//! Streams, live and past.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::silence::Open;
use super::sql::Columns;
use super::{Error, Sql, Store, micros};
use crate::livekit::processed_room;
use crate::session::{Origin, State, Statistics, Summary};

/// What a row of a stream is read from, in the order of [`Record::read`].
const COLUMNS: &str = "select id, room, origin, state, started_at, heartbeat_at, ended_at, \
     viewers_peak, viewers_total, events, statistics, problems from streams";

/// A stream as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// UUIDv7.
    pub id: Uuid,
    /// The raw room.
    pub room: String,
    /// Who started it.
    pub origin: Origin,
    /// [`State::Live`] for every state before the end, [`State::Ended`], or
    /// [`State::Interrupted`].
    pub state: State,
    /// When it was started.
    pub started_at: Timestamp,
    /// When its process last wrote of it.
    pub heartbeat_at: Timestamp,
    /// When it ended, as far as that is known.
    pub ended_at: Option<Timestamp>,
    /// Most viewers at once.
    pub viewers_peak: u32,
    /// Viewers that ever came.
    pub viewers_total: u32,
    /// Rows of its detections.
    pub events: u64,
    /// What it did, up to the end or the last heartbeat.
    pub statistics: Statistics,
    /// What was wrong, for a person.
    pub problems: Vec<String>,
}

/// Which streams are wanted; `None` takes all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that end so, or live ones.
    pub state: Option<State>,
    /// Those of one raw room.
    pub room: Option<String>,
    /// Started then or later.
    pub from: Option<Timestamp>,
    /// Started then or before.
    pub to: Option<Timestamp>,
    /// Older than this one.
    pub before: Option<Uuid>,
    /// Most rows.
    pub limit: u64,
}

impl Record {
    /// What is to be kept of a stream as it is now.
    pub fn of(summary: &Summary, now: Timestamp) -> Self {
        let over = summary.state == State::Ended;
        let viewers = summary.statistics.viewers;
        Self {
            id: summary.stream_id,
            room: summary.room_name.clone(),
            origin: summary.origin,
            state: if over { State::Ended } else { State::Live },
            started_at: summary.started_at,
            heartbeat_at: summary.ended_at.unwrap_or(now),
            ended_at: summary.ended_at.or(over.then_some(now)),
            viewers_peak: viewers.peak,
            viewers_total: viewers.total,
            events: 0,
            statistics: summary.statistics.clone(),
            problems: summary.problems.clone(),
        }
    }

    /// The stream as the API shows it.
    pub fn summary(self) -> Summary {
        Summary {
            stream_id: self.id,
            processed_room: processed_room(&self.room),
            room_name: self.room,
            origin: self.origin,
            state: self.state,
            started_at: self.started_at,
            ended_at: self.ended_at,
            covered: false,
            statistics: self.statistics,
            problems: self.problems,
        }
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        let mut row = Columns::of(row);
        Ok(Self {
            id: row.id()?,
            room: row.text()?,
            origin: if row.text()? == "webhook" { Origin::Webhook } else { Origin::Operator },
            state: state(&row.text()?)?,
            started_at: row.time()?,
            heartbeat_at: row.time()?,
            ended_at: row.maybe_int()?.map(super::time::time),
            viewers_peak: row.count()?.try_into().unwrap_or(u32::MAX),
            viewers_total: row.count()?.try_into().unwrap_or(u32::MAX),
            events: row.count()?,
            statistics: row.json()?,
            problems: row.json()?,
        })
    }

    /// Writes the stream as it is now. An end is final: what comes later and does not know of it
    /// changes nothing. A stream that was taken for interrupted and writes again is live again.
    pub(super) fn upsert(&self, instance: &str) -> Sql {
        let lasted = micros(self.ended_at.unwrap_or(self.heartbeat_at)) - micros(self.started_at);
        let json = |text: Result<String, serde_json::Error>| text.unwrap_or_default();
        Sql::new(
            "insert into streams (id, room, origin, instance, state, started_at, heartbeat_at, \
             ended_at, duration_ms, viewers_peak, viewers_total, events, statistics, problems) \
             values ",
        )
        .rows_of([vec![
            self.id.into(),
            self.room.as_str().into(),
            origin(self.origin).into(),
            instance.into(),
            name(self.state).into(),
            micros(self.started_at).into(),
            micros(self.heartbeat_at).into(),
            self.ended_at.map(micros).into(),
            (lasted.max(0) / 1_000).into(),
            i64::from(self.viewers_peak).into(),
            i64::from(self.viewers_total).into(),
            0_i64.into(),
            json(serde_json::to_string(&self.statistics)).into(),
            json(serde_json::to_string(&self.problems)).into(),
        ]])
        .push(
            " on conflict (id) do update set origin = excluded.origin, \
             instance = excluded.instance, state = excluded.state, \
             heartbeat_at = excluded.heartbeat_at, ended_at = excluded.ended_at, \
             duration_ms = excluded.duration_ms, viewers_peak = excluded.viewers_peak, \
             viewers_total = excluded.viewers_total, statistics = excluded.statistics, \
             problems = excluded.problems \
             where streams.state <> 'ended' or excluded.state = 'ended'",
        )
    }
}

impl Filter {
    pub(super) fn select(&self) -> Sql {
        Sql::new(COLUMNS)
            .push(" where 1 = 1")
            .maybe(" and state = ", self.state.map(name))
            .maybe(" and room = ", self.room.as_deref())
            .maybe(" and started_at >= ", self.from.map(micros))
            .maybe(" and started_at <= ", self.to.map(micros))
            .maybe(" and id < ", self.before)
            .push(" order by id desc limit ")
            .bind(self.limit)
    }
}

impl Store {
    /// Streams, newest first.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn streams(&self, filter: &Filter) -> Result<Vec<Record>, Error> {
        self.rows(filter.select()).await?.iter().map(Record::read).collect()
    }

    /// One stream; `None`: there is none of that id.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn stream(&self, id: Uuid) -> Result<Option<Record>, Error> {
        let rows = self.rows(Sql::new(COLUMNS).push(" where id = ").bind(id)).await?;
        rows.first().map(Record::read).transpose()
    }

    /// Ends what a process of this one's name left open when it died; the raw rooms of those streams.
    /// Their last heartbeat is their end.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn close_left_open(&self) -> Result<Vec<String>, Error> {
        let mine = Sql::new(INTERRUPT).push(" and instance = ").bind(self.instance());
        let mine = mine.push(" returning room");
        self.transaction(async |connection| {
            mine.rows(connection).await?.iter().map(|row| Columns::of(row).text()).collect()
        })
        .await
    }

    /// Open streams of processes that have another name, at most [`OPEN`] of them.
    pub(super) async fn open_elsewhere(&self) -> Result<Vec<Open>, Error> {
        let sql = Sql::new("select id, heartbeat_at from streams where ended_at is null")
            .push(" and instance <> ")
            .bind(self.instance())
            .push(" order by heartbeat_at limit ")
            .bind(OPEN);
        let read = |row| {
            let mut row = Columns::of(row);
            Ok(Open { id: row.id()?, heartbeat: row.int()? })
        };
        self.rows(sql).await?.iter().map(read).collect()
    }

    /// Ends a stream, unless it was written of since; whether it did.
    pub(super) async fn close_silent(&self, silent: Open) -> Result<bool, Error> {
        let sql = Sql::new(INTERRUPT).push(" and id = ").bind(silent.id);
        let sql = sql.push(" and heartbeat_at = ").bind(silent.heartbeat);
        Ok(self.write(sql).await? > 0)
    }
}

/// Open streams of others that are looked at; more than any fleet runs.
const OPEN: u64 = 10_000;

/// The last heartbeat may be earlier than the start: a clock was put back.
const INTERRUPT: &str = "update streams set state = 'interrupted', ended_at = heartbeat_at, \
     duration_ms = case when heartbeat_at > started_at then (heartbeat_at - started_at) / 1000 \
     else 0 end where ended_at is null";

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Operator => "operator",
        Origin::Webhook => "webhook",
    }
}

/// The state as it is kept: whatever is not over is live.
fn name(state: State) -> &'static str {
    match state {
        State::Ended => "ended",
        State::Interrupted => "interrupted",
        State::Starting | State::Waiting | State::Live | State::Reconnecting | State::Ending => {
            "live"
        }
    }
}

fn state(name: &str) -> Result<State, Error> {
    match name {
        "live" => Ok(State::Live),
        "ended" => Ok(State::Ended),
        "interrupted" => Ok(State::Interrupted),
        other => Err(Error::Unreadable(format!("{other:?} is no state"))),
    }
}
