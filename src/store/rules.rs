//! Rules that the API was told: global ones and those of rooms, each with a version.

use jiff::Timestamp;
use sqlx::AnyConnection;

use super::changes::Area;
use super::sql::Columns;
use super::{Change, Error, Sql, Store, micros, versions};
use crate::censor::Document;

/// Whose rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of every room.
    Global,
    /// Those of one raw room, over the global ones.
    Room(String),
}

impl Scope {
    /// Its key in the database, and its name in the audit log is `global` or the room's.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Global => "",
            Self::Room(room) => room,
        }
    }

    fn of(key: String) -> Self {
        if key.is_empty() { Self::Global } else { Self::Room(key) }
    }

    /// What the audit log calls it.
    pub fn name(&self) -> &str {
        match self {
            Self::Global => "global",
            Self::Room(room) => room,
        }
    }
}

/// Rules as they are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// Grows by one with each change; 0: never written.
    pub version: u64,
    /// `None`: none, or taken away.
    pub document: Option<Document>,
}

/// Why rules were not written.
#[derive(Debug, thiserror::Error)]
pub enum Stale {
    /// Somebody else has changed them.
    #[error("the rules have version {current}, not the one that was changed")]
    Changed {
        /// What they are now.
        current: u64,
    },
    /// The database did not take them.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for Stale {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// The rules of a scope.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn rules(&self, scope: &Scope) -> Result<Saved, Error> {
        let rows = self.rows(select(scope)).await?;
        rows.first().map_or_else(|| Ok(Saved::default()), |row| read(&mut Columns::of(row)))
    }

    /// All rules there are.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn all_rules(&self) -> Result<Vec<(Scope, Saved)>, Error> {
        let sql = Sql::new("select scope, version, document from rules");
        let read = |row| {
            let mut row = Columns::of(row);
            let scope = Scope::of(row.text()?);
            Ok((scope, read(&mut row)?))
        };
        self.rows(sql).await?.iter().map(read).collect()
    }

    /// Replaces rules (`None`: takes them away), and notes in the audit log who did and what
    /// changed. With `expected`, only when that is still their version. Answers with what they
    /// were and what they are.
    ///
    /// # Errors
    ///
    /// [`Stale::Changed`] when they have another version by now.
    pub async fn set_rules(
        &self,
        scope: &Scope,
        document: Option<Document>,
        expected: Option<u64>,
        by: &str,
    ) -> Result<(Saved, Saved), Stale> {
        let now = Timestamp::now();
        self.transaction(async |connection| {
            let before = current(connection, scope).await?;
            if expected.is_some_and(|expected| expected != before.version) {
                return Err(Stale::Changed { current: before.version });
            }
            let after = Saved { version: before.version + 1, document };
            if replace(scope, &before, &after, by, now).run(connection).await? == 0 {
                // Written by another process in between.
                let current = current(connection, scope).await?.version;
                return Err(Stale::Changed { current });
            }
            let action = if after.document.is_some() { "rules.set" } else { "rules.delete" };
            let change = Change::between(&json(&before), &json(&after));
            change.note(by, action, scope.name(), now).run(connection).await?;
            if let Scope::Room(room) = scope {
                // What its stream was started with is over, whoever runs it.
                Sql::new("update rooms set rules = '{}' where room = ")
                    .bind(room.as_str())
                    .run(connection)
                    .await?;
            }
            Area::Rules.count(connection).await?;
            versions::keep(connection, scope, &after, by, now).await?;
            Ok((before, after))
        })
        .await
    }
}

fn select(scope: &Scope) -> Sql {
    Sql::new("select version, document from rules where scope = ").bind(scope.key())
}

async fn current(connection: &mut AnyConnection, scope: &Scope) -> Result<Saved, Error> {
    let rows = select(scope).rows(connection).await?;
    rows.first().map_or_else(|| Ok(Saved::default()), |row| read(&mut Columns::of(row)))
}

fn replace(scope: &Scope, before: &Saved, after: &Saved, by: &str, now: Timestamp) -> Sql {
    let text =
        after.document.as_ref().map(|document| serde_json::to_string(document).unwrap_or_default());
    if before.version == 0 {
        return Sql::new(
            "insert into rules (scope, version, document, updated_at, updated_by) values ",
        )
        .rows_of([vec![
            scope.key().into(),
            after.version.into(),
            text.into(),
            micros(now).into(),
            by.into(),
        ]])
        .push(" on conflict (scope) do nothing");
    }
    Sql::new("update rules set version = ")
        .bind(after.version)
        .push(", document = ")
        .bind(text)
        .push(", updated_at = ")
        .bind(micros(now))
        .push(", updated_by = ")
        .bind(by)
        .push(" where scope = ")
        .bind(scope.key())
        .push(" and version = ")
        .bind(before.version)
}

fn json(saved: &Saved) -> serde_json::Value {
    serde_json::to_value(&saved.document).unwrap_or_default()
}

fn read(row: &mut Columns<'_>) -> Result<Saved, Error> {
    let version = row.count()?;
    let document = row.maybe_text()?.map(|text| serde_json::from_str(&text));
    let document = document.transpose().map_err(|error| Error::Unreadable(error.to_string()))?;
    Ok(Saved { version, document })
}
