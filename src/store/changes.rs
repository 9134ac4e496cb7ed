//! How a process hears of what others on the same database have changed.
//!
//! Each area has a number in the table `changes`, which grows in the very transaction that changes
//! something. Numbers are read first and things after them: what is read is then at least as new as
//! its number, and a change in between shows with the next look. One row an area, so looking twice a
//! second costs nothing; both databases can do it.

use sqlx::AnyConnection;

use super::sql::Columns;
use super::{Error, Sql, Store};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    Rules,
    Thresholds,
    Keys,
    Rooms,
}

impl Area {
    const fn name(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Thresholds => "thresholds",
            Self::Keys => "keys",
            Self::Rooms => "rooms",
        }
    }

    /// Counts one change and answers with its number. The row is held until the transaction ends:
    /// changes of one area become visible in the order of their numbers.
    pub(super) async fn count(self, connection: &mut AnyConnection) -> Result<u64, Error> {
        let sql = Sql::new("update changes set number = number + 1 where area = ")
            .bind(self.name())
            .push(" returning number");
        let rows = sql.rows(connection).await?;
        rows.first().map_or(Ok(0), |row| Columns::of(row).count())
    }
}

/// How often each area was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rules, global and of rooms.
    pub rules: u64,
    /// Thresholds that feedback moved.
    pub thresholds: u64,
    /// API keys, their uses left out.
    pub keys: u64,
    /// What operators said of rooms.
    pub rooms: u64,
}

impl Store {
    /// How often each area was changed, by anyone.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn changes(&self) -> Result<Changes, Error> {
        let mut changes = Changes::default();
        for row in self.rows(Sql::new("select area, number from changes")).await? {
            let mut row = Columns::of(&row);
            let (area, number) = (row.text()?, row.count()?);
            match area.as_str() {
                "rules" => changes.rules = number,
                "thresholds" => changes.thresholds = number,
                "keys" => changes.keys = number,
                "rooms" => changes.rooms = number,
                _ => {}
            }
        }
        Ok(changes)
    }
}
