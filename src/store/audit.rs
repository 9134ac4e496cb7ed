//! Who changed what, and when.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::sql::Columns;
use super::{Error, Sql, Store, micros};

/// One line of the audit log.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[schemars(rename = "AuditEntry")]
pub struct Entry {
    /// UUIDv7.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Who: the subject of the caller's token or key.
    pub actor: String,
    /// What was done, as `area.verb`.
    pub action: String,
    /// To what: a room, a stream, a key, or `global`.
    pub target: String,
    /// What changed: each key's path with its value before and after.
    pub detail: Value,
}

/// Which lines are wanted; `None` takes all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// About one room, stream or key.
    pub target: Option<String>,
    /// At that time or later.
    pub from: Option<Timestamp>,
    /// Before that time.
    pub to: Option<Timestamp>,
    /// Older than this one.
    pub before: Option<Uuid>,
    /// Most rows.
    pub limit: u64,
}

/// What is different between two documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change(Map<String, Value>);

impl Change {
    /// Each path whose value differs, as `{"from": …, "to": …}`; what is not there is null.
    pub fn between(before: &Value, after: &Value) -> Self {
        let mut change = Map::new();
        walk(&mut change, String::new(), before, after);
        Self(change)
    }

    /// What was done, where there is no before: an object as it is, anything else as `value`.
    pub fn is(detail: Value) -> Self {
        match detail {
            Value::Object(detail) => Self(detail),
            other => Self(Map::from_iter([("value".to_owned(), other)])),
        }
    }

    /// The paths that differ.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The statement that notes it; to be run in the transaction that makes the change.
    pub(crate) fn note(self, by: &str, action: &str, target: &str, now: Timestamp) -> Sql {
        self.by(by, action, target, now).insert()
    }

    /// The line of the log that tells who made it, and of what.
    pub fn by(self, by: &str, action: &str, target: &str, now: Timestamp) -> Entry {
        Entry {
            id: Uuid::now_v7(),
            at: now,
            actor: by.to_owned(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail: Value::Object(self.0),
        }
    }
}

impl Entry {
    /// The statement that keeps the line.
    pub(super) fn insert(&self) -> Sql {
        Sql::new("insert into audit (id, at, actor, action, target, detail) values ").rows_of([
            vec![
                self.id.into(),
                micros(self.at).into(),
                self.actor.as_str().into(),
                self.action.as_str().into(),
                self.target.as_str().into(),
                self.detail.to_string().into(),
            ],
        ])
    }
}

fn walk(change: &mut Map<String, Value>, path: String, before: &Value, after: &Value) {
    let empty = Map::new();
    let (old, new) = match (before, after) {
        _ if before == after => return,
        (Value::Object(old), Value::Object(new)) => (old, new),
        (Value::Object(old), Value::Null) if !old.is_empty() => (old, &empty),
        (Value::Null, Value::Object(new)) if !new.is_empty() => (&empty, new),
        _ => {
            let both = serde_json::json!({ "from": before, "to": after });
            change.insert(path, both);
            return;
        }
    };
    let null = Value::Null;
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        walk(change, below, old.get(key).unwrap_or(&null), new.get(key).unwrap_or(&null));
    }
}

impl Store {
    /// The audit log, newest first.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn audit(&self, filter: &Filter) -> Result<Vec<Entry>, Error> {
        let sql = Sql::new("select id, at, actor, action, target, detail from audit where 1 = 1")
            .maybe(" and target = ", filter.target.as_deref())
            .maybe(" and at >= ", filter.from.map(micros))
            .maybe(" and at < ", filter.to.map(micros))
            .maybe(" and id < ", filter.before)
            .push(" order by id desc limit ")
            .bind(filter.limit);
        self.rows(sql).await?.iter().map(read).collect()
    }

    /// Notes something that no transaction of the store has made.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn note(
        &self,
        by: &str,
        action: &str,
        target: &str,
        detail: Change,
    ) -> Result<(), Error> {
        self.write(detail.note(by, action, target, Timestamp::now())).await.map(drop)
    }
}

fn read(row: &AnyRow) -> Result<Entry, Error> {
    let mut row = Columns::of(row);
    Ok(Entry {
        id: row.id()?,
        at: row.time()?,
        actor: row.text()?,
        action: row.text()?,
        target: row.text()?,
        detail: row.json()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_names_every_path_that_differs_and_no_other() {
        let before =
            json!({ "padding": 0.1, "classes": { "A": { "threshold": 0.2 } }, "mode": "instant" });
        let after = json!({ "padding": 0.1, "classes": { "A": { "threshold": 0.3 }, "B": {} } });
        let change = Change::between(&before, &after);
        assert_eq!(change.0["classes.A.threshold"], json!({ "from": 0.2, "to": 0.3 }));
        assert_eq!(change.0["mode"], json!({ "from": "instant", "to": null }));
        assert_eq!(change.0["classes.B"], json!({ "from": null, "to": {} }));
        assert_eq!(change.paths().count(), 3, "{change:?}");
        assert_eq!(Change::between(&after, &after), Change::default());
        let taken = Change::between(&json!({ "padding": 0.1 }), &Value::Null);
        assert_eq!(taken.0["padding"], json!({ "from": 0.1, "to": null }));
    }
}
