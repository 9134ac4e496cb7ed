//! Ids of LiveKit's webhooks that were dealt with, so that none is dealt with again after a
//! restart.

use jiff::Timestamp;

use super::sql::Columns;
use super::{Error, Sql, Store, micros};

/// The statement that keeps ids.
pub(super) fn insert(ids: &[String], now: Timestamp) -> Option<Sql> {
    let rows = ids.iter().map(|id| vec![id.as_str().into(), micros(now).into()]);
    let sql = Sql::new("insert into webhook_events (id, seen_at) values ").rows_of(rows);
    (!ids.is_empty()).then(|| sql.push(" on conflict (id) do nothing").once())
}

impl Store {
    /// The ids that were seen since then, oldest first, at most `limit` of the newest.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn webhooks_since(&self, then: Timestamp, limit: u64) -> Result<Vec<String>, Error> {
        let sql = Sql::new("select id from webhook_events where seen_at >= ").bind(micros(then));
        let sql = sql.push(" order by seen_at desc limit ").bind(limit);
        let rows = self.rows(sql).await?;
        rows.iter().rev().map(|row| Columns::of(row).text()).collect()
    }
}
