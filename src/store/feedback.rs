//! What people say of detections, and how it moves thresholds.

use jiff::Timestamp;
use sqlx::AnyConnection;
use uuid::Uuid;

use super::changes::Area;
use super::sql::Columns;
use super::{Change, Error, Sql, Store, micros};

/// How far a false positive raises a threshold.
const UP: f64 = 0.02;
/// How far a true one lowers it.
const DOWN: f64 = 0.01;
/// Past this no finding would count.
const MOST: f64 = 0.99;

/// What somebody says of a detection.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The stream.
    pub stream: Uuid,
    /// The detection.
    pub detection: Uuid,
    /// Its raw room.
    pub room: String,
    /// Its class.
    pub class: String,
    /// Whether it was rightly covered.
    pub correct: bool,
    /// The threshold that the rules give the class, 0 to 1.
    pub configured: f64,
    /// Who says so.
    pub by: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The threshold until now.
    pub before: f64,
    /// The threshold from now on.
    pub after: f64,
    /// The number of the change, among those of all thresholds; 0: nothing was changed.
    pub change: u64,
}

/// Where a threshold moves: up after a false positive, as far as 0.99; down after a true one, as
/// far as the rules say. Kept to four places, so that steps up and down meet again.
pub fn moved(current: f64, configured: f64, correct: bool) -> f64 {
    let most = MOST.max(configured);
    let moved = if correct { current - DOWN } else { current + UP };
    (moved.clamp(configured, most) * 1e4).round() / 1e4
}

impl Store {
    /// Keeps what somebody says of a detection, and moves the threshold of its class in its room.
    /// The same person saying the same of the same detection again changes nothing.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn feedback(&self, said: &Said) -> Result<Answer, Error> {
        let now = Timestamp::now();
        self.transaction(async |connection| {
            let kept = lock(connection, said, now).await?;
            let before = kept.max(said.configured);
            if repeated(connection, said).await? {
                return Ok(Answer { before, after: before, change: 0 });
            }
            let after = moved(before, said.configured, said.correct);
            Sql::new("update thresholds set threshold = ")
                .bind(after)
                .push(" where room = ")
                .bind(said.room.as_str())
                .push(" and class = ")
                .bind(said.class.as_str())
                .run(connection)
                .await?;
            note(said, before, after, now).run(connection).await?;
            Ok(Answer { before, after, change: Area::Thresholds.count(connection).await? })
        })
        .await
    }

    /// Every threshold that feedback has moved: room, class, threshold.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn thresholds(&self) -> Result<Vec<(String, String, f64)>, Error> {
        let rows = self.rows(Sql::new("select room, class, threshold from thresholds")).await?;
        let read = |row| {
            let mut row = Columns::of(row);
            Ok((row.text()?, row.text()?, row.float()?))
        };
        rows.iter().map(read).collect()
    }

    /// Forgets what feedback has moved in a room, for one class or all. Noted in the audit log.
    /// Answers with the number of the change, as [`Answer::change`].
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn reset_feedback(
        &self,
        room: &str,
        class: Option<&str>,
        by: &str,
    ) -> Result<u64, Error> {
        self.transaction(async |connection| {
            let gone = Sql::new("delete from thresholds where room = ")
                .bind(room)
                .maybe(" and class = ", class)
                .run(connection)
                .await?;
            let change = Change::between(
                &serde_json::json!({ "class": class, "thresholds": gone }),
                &serde_json::Value::Null,
            );
            let line = change.note(by, "feedback.reset", room, Timestamp::now());
            line.run(connection).await?;
            Area::Thresholds.count(connection).await
        })
        .await
    }
}

/// Makes sure of the row and holds it until the transaction ends; the threshold that it has.
async fn lock(connection: &mut AnyConnection, said: &Said, now: Timestamp) -> Result<f64, Error> {
    let (room, class) = (said.room.as_str(), said.class.as_str());
    Sql::new("insert into thresholds (room, class, threshold, updated_at) values ")
        .rows_of([vec![room.into(), class.into(), said.configured.into(), micros(now).into()]])
        .push(" on conflict (room, class) do update set updated_at = excluded.updated_at")
        .run(connection)
        .await?;
    let sql = Sql::new("select threshold from thresholds where room = ").bind(room);
    let rows = sql.push(" and class = ").bind(class).rows(connection).await?;
    rows.first().map_or(Ok(said.configured), |row| Columns::of(row).float())
}

async fn repeated(connection: &mut AnyConnection, said: &Said) -> Result<bool, Error> {
    let sql = Sql::new("select correct from feedback where event_id = ").bind(said.detection);
    let sql = sql.push(" and actor = ").bind(said.by.as_str());
    let rows = sql.push(" order by id desc limit 1").rows(connection).await?;
    let last = rows.first().map(|row| Columns::of(row).int()).transpose()?;
    Ok(last == Some(said.correct.into()))
}

fn note(said: &Said, before: f64, after: f64, now: Timestamp) -> Sql {
    Sql::new(
        "insert into feedback (id, at, actor, stream_id, event_id, room, class, correct, \
         threshold_before, threshold_after) values ",
    )
    .rows_of([vec![
        Uuid::now_v7().into(),
        micros(now).into(),
        said.by.as_str().into(),
        said.stream.into(),
        said.detection.into(),
        said.room.as_str().into(),
        said.class.as_str().into(),
        i64::from(said.correct).into(),
        before.into(),
        after.into(),
    ]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_false_positive_raises_by_two_and_a_true_one_lowers_by_one() {
        assert_eq!(moved(0.25, 0.25, false), 0.27);
        assert_eq!(moved(0.27, 0.25, true), 0.26);
        assert_eq!(moved(0.25, 0.25, true), 0.25, "not below what the rules say");
        assert_eq!(moved(0.98, 0.25, false), 0.99);
        assert_eq!(moved(0.99, 0.25, false), 0.99);
    }

    proptest! {
        #[test]
        fn whatever_is_said_a_threshold_stays_within_its_band(
            configured in 0.05f64..0.99, said in prop::collection::vec(any::<bool>(), 0..200)
        ) {
            let mut current = configured;
            for correct in said {
                let next = moved(current, configured, correct);
                prop_assert!((configured - 1e-4..=0.99).contains(&next));
                prop_assert!((next - current).abs() <= UP + 1e-4);
                current = next;
            }
        }
    }
}
