//! API keys: what is kept of them, and who made and revoked them.

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::json;
use sqlx::any::AnyRow;

use super::changes::Area;
use super::sql::Columns;
use super::{Change, Error, Sql, Store, micros};
use crate::api::{KeyHash, KeyRecord, Role, Shelf, ShelfError};

impl Shelf for Store {
    fn all(&self) -> BoxFuture<'_, Result<Vec<KeyRecord>, ShelfError>> {
        Box::pin(async {
            let sql = Sql::new(
                "select id, name, role, hash, created_at, created_by, expires_at, last_used_at, \
                 revoked_at from api_keys order by created_at desc, id desc",
            );
            let rows = self.rows(sql).await.map_err(failed)?;
            rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
        })
    }

    fn add(&self, record: KeyRecord) -> BoxFuture<'_, Result<bool, ShelfError>> {
        Box::pin(async move {
            let added = self.transaction(async |connection| {
                if insert(&record).run(connection).await? == 0 {
                    return Ok(false);
                }
                let KeyRecord { id, name, role, created_at, created_by, .. } = &record;
                let detail = json!({
                    "name": name,
                    "role": role.as_str(),
                    "expiresAt": record.expires_at,
                });
                let note = Change::is(detail).note(created_by, "key.create", id, *created_at);
                note.run(connection).await?;
                Area::Keys.count(connection).await?;
                Ok(true)
            });
            added.await.map_err(failed)
        })
    }

    fn revoke<'a>(
        &'a self,
        id: &'a str,
        by: &'a str,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<bool, ShelfError>> {
        Box::pin(async move {
            let revoked = self.transaction(async |connection| {
                let update = Sql::new("update api_keys set revoked_at = ")
                    .bind(micros(at))
                    .push(" where revoked_at is null and id = ")
                    .bind(id);
                if update.run(connection).await? > 0 {
                    let note = Change::default().note(by, "key.revoke", id, at);
                    note.run(connection).await?;
                    Area::Keys.count(connection).await?;
                    return Ok(true);
                }
                let known = Sql::new("select 1 from api_keys where id = ").bind(id);
                Ok(!known.rows(connection).await?.is_empty())
            });
            revoked.await.map_err(failed)
        })
    }

    fn used<'a>(&'a self, id: &'a str, at: Timestamp) -> BoxFuture<'a, Result<(), ShelfError>> {
        Box::pin(async move {
            // Another process may have seen it used later.
            let sql = Sql::new("update api_keys set last_used_at = ")
                .bind(micros(at))
                .push(" where id = ")
                .bind(id)
                .push(" and (last_used_at is null or last_used_at < ")
                .bind(micros(at))
                .push(")");
            self.write(sql).await.map(drop).map_err(failed)
        })
    }
}

fn insert(record: &KeyRecord) -> Sql {
    Sql::new(
        "insert into api_keys (id, name, role, hash, created_at, created_by, expires_at, \
         last_used_at, revoked_at) values ",
    )
    .rows_of([vec![
        record.id.as_str().into(),
        record.name.as_str().into(),
        record.role.as_str().into(),
        record.hash.to_hex().into(),
        micros(record.created_at).into(),
        record.created_by.as_str().into(),
        record.expires_at.map(micros).into(),
        record.last_used_at.map(micros).into(),
        record.revoked_at.map(micros).into(),
    ]])
    .push(" on conflict (id) do nothing")
}

fn read(row: &AnyRow) -> Result<KeyRecord, Error> {
    let mut row = Columns::of(row);
    let unreadable = |what: &str| Error::Unreadable(format!("the {what} of an API key"));
    Ok(KeyRecord {
        id: row.text()?,
        name: row.text()?,
        role: Role::named(&row.text()?).ok_or_else(|| unreadable("role"))?,
        hash: KeyHash::from_hex(&row.text()?).ok_or_else(|| unreadable("hash"))?,
        created_at: row.time()?,
        created_by: row.text()?,
        expires_at: row.maybe_int()?.map(super::time::time),
        last_used_at: row.maybe_int()?.map(super::time::time),
        revoked_at: row.maybe_int()?.map(super::time::time),
    })
}

fn failed(error: Error) -> ShelfError {
    ShelfError::Database(format!("{:#}", anyhow::Error::from(error)))
}
