//! Statements written piece by piece, with their values apart from their text.
//!
//! Values are `$1`, `$2`, …, which both databases understand. Nothing that a caller says ever
//! becomes text of a statement.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Executor as _, Row as _};

use super::Error;

/// A value of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    NoInt,
    NoText,
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    /// PostgreSQL takes no NUL in a text.
    fn from(value: &str) -> Self {
        Self::Text(value.replace('\0', "\u{fffd}"))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl From<uuid::Uuid> for Value {
    fn from(value: uuid::Uuid) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::NoInt, Self::Int)
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::NoText, Self::from)
    }
}

/// A statement and its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    text: String,
    values: Vec<Value>,
    /// Whether this very text will come again, so that the database may keep its plan.
    keep: bool,
}

impl Sql {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new(), keep: true }
    }

    /// The text goes on.
    pub(crate) fn push(mut self, text: &'static str) -> Self {
        self.text.push_str(text);
        self
    }

    /// A value, where the text stands.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// `text` and a value, if there is one.
    pub(crate) fn maybe(self, text: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.push(text).bind(value),
            None => self,
        }
    }

    /// `(value, …), (value, …), …`, one group a row.
    pub(crate) fn rows_of(mut self, rows: impl IntoIterator<Item = Vec<Value>>) -> Self {
        for (at, row) in rows.into_iter().enumerate() {
            self = self.push(if at == 0 { "(" } else { ", (" });
            for (at, value) in row.into_iter().enumerate() {
                self = if at == 0 { self } else { self.push(", ") }.bind(value);
            }
            self = self.push(")");
        }
        self
    }

    /// The same with a word before it.
    #[cfg(any(test, feature = "test-hooks"))]
    pub(super) fn after(mut self, word: &'static str) -> Self {
        self.text.insert_str(0, word);
        self.once()
    }

    /// This text will not come again: its plan is not kept.
    pub(crate) fn once(mut self) -> Self {
        self.keep = false;
        self
    }

    /// The rows that it answers with.
    pub(crate) async fn rows(
        self,
        connection: &mut AnyConnection,
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        connection.fetch_all(self.query()).await
    }

    /// How many rows it touches.
    pub(crate) async fn run(self, connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
        Ok(connection.execute(self.query()).await?.rows_affected())
    }

    fn query(self) -> Query<'static, Any, AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(self.text)).persistent(self.keep);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Int(value) => query.bind(value),
            Value::Float(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
            Value::NoInt => query.bind(None::<i64>),
            Value::NoText => query.bind(None::<String>),
        })
    }
}

/// Reads columns by their place, in the order of the statement.
pub(crate) struct Columns<'a> {
    row: &'a AnyRow,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(row: &'a AnyRow) -> Self {
        Self { row, next: 0 }
    }

    /// From that column on.
    #[cfg(any(test, feature = "test-hooks"))]
    pub(super) fn at(row: &'a AnyRow, next: usize) -> Self {
        Self { row, next }
    }

    fn place(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn int(&mut self) -> Result<i64, Error> {
        let place = self.place();
        Ok(self.row.try_get(place)?)
    }

    /// A count; what is below zero counts as none.
    pub(crate) fn count(&mut self) -> Result<u64, Error> {
        Ok(u64::try_from(self.int()?).unwrap_or(0))
    }

    pub(crate) fn float(&mut self) -> Result<f64, Error> {
        let place = self.place();
        Ok(self.row.try_get(place)?)
    }

    pub(crate) fn maybe_float(&mut self) -> Result<Option<f64>, Error> {
        let place = self.place();
        Ok(self.row.try_get(place)?)
    }

    pub(crate) fn maybe_int(&mut self) -> Result<Option<i64>, Error> {
        let place = self.place();
        Ok(self.row.try_get(place)?)
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        let place = self.place();
        Ok(self.row.try_get(place)?)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        let place = self.place();
        Ok(self.row.try_get(place)?)
    }

    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>, Error> {
        let place = self.place();
        Ok(self.row.try_get(place)?)
    }

    pub(crate) fn time(&mut self) -> Result<jiff::Timestamp, Error> {
        Ok(super::time::time(self.int()?))
    }

    pub(crate) fn id(&mut self) -> Result<uuid::Uuid, Error> {
        let text = self.text()?;
        text.parse().map_err(|_| Error::Unreadable(format!("{text:?} is no id")))
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        let text = self.text()?;
        serde_json::from_str(&text).map_err(|error| Error::Unreadable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_in_order_and_never_become_text() {
        let nobody: Option<i64> = None;
        let sql = Sql::new("select id from streams where room = ")
            .bind("'; drop table streams; --")
            .maybe(" and started_at >= ", Some(5_i64))
            .maybe(" and started_at < ", nobody)
            .push(" limit ")
            .bind(2_u64);
        let text = "select id from streams where room = $1 and started_at >= $2 limit $3";
        assert_eq!(sql.text, text);
        let rows = Sql::new("values ")
            .rows_of([vec![1_i64.into(), "a\0b".into()], vec![2_i64.into(), "c".into()]]);
        assert_eq!(rows.text, "values ($1, $2), ($3, $4)");
        assert_eq!(rows.values[1], Value::Text("a\u{fffd}b".into()));
    }
}
