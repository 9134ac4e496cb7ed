//! News for the operator's own server, kept until it has taken them.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::sql::Columns;
use super::{Error, Sql, Store, micros};

/// Something that the operator's server is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// UUIDv7: the same at each attempt.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What kind, as `area.what`.
    pub kind: String,
    /// The JSON that is sent.
    pub body: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When to try next; `None`: given up.
    pub due_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// News as the API lists them.
#[derive(schemars::JsonSchema, Debug, Serialize)]
#[schemars(rename = "Notification")]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// UUIDv7.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next; `null`: given up.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// What is sent.
    pub body: serde_json::Value,
}

const COLUMNS: &str = "select id, at, kind, body, attempts, due_at, error from outbox";

impl News {
    /// News that are due at once. `fields` are those of the body beside its id, type and time.
    pub fn new(kind: &str, fields: serde_json::Map<String, serde_json::Value>) -> Self {
        let id = Uuid::now_v7();
        let at = super::at(id);
        let mut body = fields;
        body.insert("id".into(), id.to_string().into());
        body.insert("type".into(), kind.into());
        body.insert("at".into(), at.to_string().into());
        let body = serde_json::Value::Object(body).to_string();
        Self { id, at, kind: kind.to_owned(), body, attempts: 0, due_at: Some(at), error: None }
    }

    /// As the API lists it.
    pub fn listed(self) -> Listed {
        Listed {
            id: self.id,
            at: self.at,
            kind: self.kind,
            attempts: self.attempts,
            next_attempt_at: self.due_at,
            error: self.error,
            body: serde_json::from_str(&self.body).unwrap_or_default(),
        }
    }

    /// The statement that keeps it.
    pub(crate) fn insert(&self) -> Sql {
        Sql::new("insert into outbox (id, at, kind, body, attempts, due_at, error) values ")
            .rows_of([vec![
                self.id.into(),
                micros(self.at).into(),
                self.kind.as_str().into(),
                self.body.as_str().into(),
                i64::from(self.attempts).into(),
                self.due_at.map(micros).into(),
                self.error.clone().into(),
            ]])
            .push(" on conflict (id) do nothing")
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        let mut row = Columns::of(row);
        Ok(Self {
            id: row.id()?,
            at: row.time()?,
            kind: row.text()?,
            body: row.text()?,
            attempts: row.count()?.try_into().unwrap_or(u32::MAX),
            due_at: row.maybe_int()?.map(super::time::time),
            error: row.maybe_text()?,
        })
    }
}

impl Store {
    /// News whose time has come, the longest due first.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn news_due(&self, now: Timestamp, limit: u64) -> Result<Vec<News>, Error> {
        let sql = Sql::new(COLUMNS).push(" where due_at <= ").bind(micros(now));
        let rows = self.rows(sql.push(" order by due_at limit ").bind(limit)).await?;
        rows.iter().map(News::read).collect()
    }

    /// News that were given up (or, with `waiting`, that are still tried), newest first.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn news(
        &self,
        waiting: bool,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<News>, Error> {
        let which = if waiting { " where due_at is not null" } else { " where due_at is null" };
        let sql = Sql::new(COLUMNS).push(which).maybe(" and id < ", before);
        let rows = self.rows(sql.push(" order by id desc limit ").bind(limit)).await?;
        rows.iter().map(News::read).collect()
    }

    /// The operator's server has taken it.
    ///
    /// # Errors
    ///
    /// When the database does not answer: it will be told again.
    pub async fn news_taken(&self, id: Uuid) -> Result<(), Error> {
        self.write(Sql::new("delete from outbox where id = ").bind(id)).await.map(drop)
    }

    /// It has not; `due_at` says when to try again.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn news_failed(&self, failed: &News) -> Result<(), Error> {
        let sql = Sql::new("update outbox set attempts = ")
            .bind(i64::from(failed.attempts))
            .push(", due_at = ")
            .bind(failed.due_at.map(micros))
            .push(", error = ")
            .bind(failed.error.clone())
            .push(" where id = ")
            .bind(failed.id);
        self.write(sql).await.map(drop)
    }

    /// Tries again what was given up; whether there is such a thing.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn news_again(&self, id: Uuid, now: Timestamp) -> Result<bool, Error> {
        let sql = Sql::new("update outbox set attempts = 0, due_at = ")
            .bind(micros(now))
            .push(" where id = ")
            .bind(id)
            .push(" and due_at is null");
        Ok(self.write(sql).await? > 0)
    }
}
