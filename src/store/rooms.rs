//! What operators said of rooms, for the next stream in them.

use jiff::Timestamp;

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
}

impl Remembered {
    /// The statement that keeps it.
    pub(super) fn upsert(&self, now: Timestamp) -> Sql {
        let cover = match self.cover {
            None => "",
            Some(false) => "picture",
            Some(true) => "picture+sound",
        };
        Sql::new("insert into rooms (room, rules, cover, updated_at) values ")
            .rows_of([vec![
                self.room.as_str().into(),
                serde_json::to_string(&self.rules).unwrap_or_default().into(),
                cover.into(),
                micros(now).into(),
            ]])
            .push(
                " on conflict (room) do update set rules = excluded.rules, \
                 cover = excluded.cover, updated_at = excluded.updated_at",
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
        let sql = Sql::new("select room, rules, cover from rooms order by updated_at desc limit ");
        let read = |row| {
            let mut row = Columns::of(row);
            let (room, rules) = (row.text()?, row.json()?);
            let cover = match row.text()?.as_str() {
                "" => None,
                cover => Some(cover == "picture+sound"),
            };
            Ok(Remembered { room, rules, cover })
        };
        self.rows(sql.bind(limit)).await?.iter().map(read).collect()
    }
}
