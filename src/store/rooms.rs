//! What operators said of rooms, for the next stream in them, whichever process runs it.

use jiff::Timestamp;
use sqlx::any::AnyRow;

use super::sql::Columns;
use super::{Error, Sql, Store, micros};
use crate::censor::Document;

/// What an operator said of a room's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// The raw room.
    pub room: String,
    /// The rules that its stream was started with.
    pub rules: Document,
    /// The dump button is pressed; `true`: the sound is muted too.
    pub cover: Option<bool>,
    /// When it was said.
    pub at: Timestamp,
}

/// What a row is read from, in the order of [`Remembered::read`].
const COLUMNS: &str = "select room, rules, cover, updated_at from rooms";
const NEWEST: &str = " order by updated_at desc limit ";

impl Remembered {
    fn read(row: &AnyRow) -> Result<Self, Error> {
        let mut row = Columns::of(row);
        let (room, rules) = (row.text()?, row.json()?);
        let cover = match row.text()?.as_str() {
            "" => None,
            cover => Some(cover == "picture+sound"),
        };
        Ok(Self { room, rules, cover, at: row.time()? })
    }

    /// The statement that keeps it.
    pub(super) fn upsert(&self, instance: &str) -> Sql {
        let cover = match self.cover {
            None => "",
            Some(false) => "picture",
            Some(true) => "picture+sound",
        };
        Sql::new("insert into rooms (room, rules, cover, updated_at, instance) values ")
            .rows_of([vec![
                self.room.as_str().into(),
                serde_json::to_string(&self.rules).unwrap_or_default().into(),
                cover.into(),
                micros(self.at).into(),
                instance.into(),
            ]])
            .push(
                " on conflict (room) do update set rules = excluded.rules, \
                 cover = excluded.cover, updated_at = excluded.updated_at, \
                 instance = excluded.instance",
            )
    }
}

impl Store {
    /// What was said of the rooms that were heard of last, newest first.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn remembered(&self, limit: u64) -> Result<Vec<Remembered>, Error> {
        let sql = Sql::new(COLUMNS).push(NEWEST).bind(limit);
        self.rows(sql).await?.iter().map(Remembered::read).collect()
    }

    /// The same, of the rooms that another process spoke of last.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn remembered_elsewhere(&self, limit: u64) -> Result<Vec<Remembered>, Error> {
        let sql = Sql::new(COLUMNS).push(" where instance <> ").bind(self.instance());
        let sql = sql.push(NEWEST).bind(limit);
        self.rows(sql).await?.iter().map(Remembered::read).collect()
    }
}
