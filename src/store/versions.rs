//! What rules were: each version that was written, to be shown and brought back.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::AnyConnection;

use super::rules::{Saved, Scope};
use super::sql::Columns;
use super::{Error, Sql, Store, micros};

/// Versions of one scope that are kept; the oldest go.
const KEPT: u64 = 100;

/// Rules as they were once.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[schemars(rename = "RulesVersion")]
pub struct Version {
    /// Grows by one with each change; what the rules' ETag holds.
    pub version: u64,
    /// Since when.
    pub at: Timestamp,
    /// Who wrote it: the subject of the caller's token or key.
    pub actor: String,
    /// The whole document as it was written; null when the rules were taken away.
    pub document: Option<Value>,
}

/// Notes a version, and lets go of what is too old; to be run in the transaction that makes it.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    scope: &Scope,
    saved: &Saved,
    by: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let document =
        saved.document.as_ref().map(|document| serde_json::to_string(document).unwrap_or_default());
    Sql::new("insert into rule_versions (scope, version, document, at, actor) values ")
        .rows_of([vec![
            scope.key().into(),
            saved.version.into(),
            document.into(),
            micros(now).into(),
            by.into(),
        ]])
        .run(connection)
        .await?;
    Sql::new("delete from rule_versions where scope = ")
        .bind(scope.key())
        .push(" and version <= ")
        .bind(saved.version.saturating_sub(KEPT))
        .run(connection)
        .await?;
    Ok(())
}

impl Store {
    /// What the rules of a scope were, newest first: at most `limit`, older than `before`.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn rule_versions(
        &self,
        scope: &Scope,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Version>, Error> {
        let sql = Sql::new("select version, at, actor, document from rule_versions where scope = ")
            .bind(scope.key())
            .maybe(" and version < ", before)
            .push(" order by version desc limit ")
            .bind(limit);
        self.rows(sql).await?.iter().map(|row| read(&mut Columns::of(row))).collect()
    }
}

/// A document is not made into rules: an old one may hold what is not known any more.
fn read(row: &mut Columns<'_>) -> Result<Version, Error> {
    let (version, at, actor) = (row.count()?, row.time()?, row.text()?);
    let document = row.maybe_text()?.map(|text| serde_json::from_str(&text)).transpose();
    let document = document.map_err(|error| Error::Unreadable(error.to_string()))?;
    Ok(Version { version, at, actor, document })
}
