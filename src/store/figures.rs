//! Totals over a range of time. Whole hours come from `censorship_hours`, what is left of the
//! first and the last hour from the events themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::sql::Columns;
use super::time::first_id;
use super::{Error, Sql, Store, micros};

/// Seconds in an hour.
const HOUR: i64 = 3_600;

/// What is counted: from the one time on, up to the other, in one room or in all.
#[derive(Clone, Debug)]
pub struct Range {
    /// From then on.
    pub from: Timestamp,
    /// Up to then, itself not.
    pub to: Timestamp,
    /// One raw room; `None`: all.
    pub room: Option<String>,
}

/// Streams that started in a range, and detections made in it.
#[derive(schemars::JsonSchema, Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Streams that started.
    pub streams: u64,
    /// Those of them that run.
    pub live_streams: u64,
    /// Viewers that came to them.
    pub viewers: u64,
    /// Most viewers at once of any of them.
    pub peak_viewers: u64,
    /// The mean of each one's most viewers at once.
    pub average_peak_viewers: f64,
    /// The mean length, in seconds.
    pub average_duration_seconds: f64,
    /// The sum of lengths, in seconds.
    pub total_duration_seconds: f64,
    /// The first start.
    pub first_started_at: Option<Timestamp>,
    /// The last start.
    pub last_started_at: Option<Timestamp>,
    /// Detections, by class.
    pub censorship_events: BTreeMap<String, u64>,
}

/// A range in pieces: whole hours since 1970, and what is left before and after them.
#[derive(Debug, PartialEq)]
struct Pieces {
    hours: Option<(i64, i64)>,
    rest: Vec<(Timestamp, Timestamp)>,
}

impl Range {
    fn pieces(&self) -> Pieces {
        let (from, to) = (self.from, self.to);
        if from >= to {
            return Pieces { hours: None, rest: Vec::new() };
        }
        let second = from.as_second();
        let up = i64::from(second.rem_euclid(HOUR) > 0 || from.subsec_nanosecond() > 0);
        let first = second.div_euclid(HOUR) + up;
        let last = to.as_second().div_euclid(HOUR);
        if first >= last {
            return Pieces { hours: None, rest: vec![(from, to)] };
        }
        let edge = |hour: i64| Timestamp::from_second(hour * HOUR).unwrap_or(to);
        let rest = [(from, edge(first)), (edge(last), to)];
        let rest = rest.into_iter().filter(|(from, to)| from < to).collect();
        Pieces { hours: Some((first, last)), rest }
    }
}

impl Range {
    /// The statements whose rows, class and number, make up the detections of the range.
    pub(super) fn select(&self) -> Vec<Sql> {
        let Pieces { hours, rest } = self.pieces();
        let room = self.room.as_deref();
        let whole = hours.map(|(first, last)| {
            Sql::new(
                "select class, cast(sum(events) as bigint) from censorship_hours where room = ",
            )
            .bind(room.unwrap_or_default())
            .push(" and hour >= ")
            .bind(first)
            .push(" and hour < ")
            .bind(last)
            .push(" group by class")
        });
        let rest = rest.into_iter().map(|(from, to)| {
            Sql::new("select class, count(*) from censorship_events where id >= ")
                .bind(first_id(from))
                .push(" and id < ")
                .bind(first_id(to))
                .maybe(" and room = ", room)
                .push(" group by class")
        });
        whole.into_iter().chain(rest).collect()
    }
}

impl Store {
    /// Totals over a range of time.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn figures(&self, range: &Range) -> Result<Figures, Error> {
        let mut figures = self.stream_figures(range).await?;
        for sql in range.select() {
            for row in self.rows(sql).await? {
                let mut row = Columns::of(&row);
                let (class, events) = (row.text()?, row.count()?);
                *figures.censorship_events.entry(class).or_default() += events;
            }
        }
        Ok(figures)
    }

    async fn stream_figures(&self, range: &Range) -> Result<Figures, Error> {
        let sql = Sql::new(
            "select count(*), \
             coalesce(cast(sum(case when ended_at is null then 1 else 0 end) as bigint), 0), \
             coalesce(cast(sum(viewers_total) as bigint), 0), coalesce(max(viewers_peak), 0), \
             cast(avg(viewers_peak) as double precision), \
             cast(avg(duration_ms) as double precision), \
             coalesce(cast(sum(duration_ms) as bigint), 0), min(started_at), max(started_at) \
             from streams where started_at >= ",
        )
        .bind(micros(range.from))
        .push(" and started_at < ")
        .bind(micros(range.to))
        .maybe(" and room = ", range.room.as_deref());
        let rows = self.rows(sql).await?;
        let Some(row) = rows.first() else { return Ok(Figures::default()) };
        let mut row = Columns::of(row);
        Ok(Figures {
            streams: row.count()?,
            live_streams: row.count()?,
            viewers: row.count()?,
            peak_viewers: row.count()?,
            average_peak_viewers: row.maybe_float()?.unwrap_or(0.0),
            average_duration_seconds: row.maybe_float()?.unwrap_or(0.0) / 1e3,
            total_duration_seconds: row.count()? as f64 / 1e3,
            first_started_at: row.maybe_int()?.map(super::time::time),
            last_started_at: row.maybe_int()?.map(super::time::time),
            censorship_events: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The pieces follow one another and make up the range.
        #[test]
        fn pieces_make_up_the_range(from in 0i64..4_000_000_000_000, long in 0i64..100_000_000) {
            let time = |millis| Timestamp::from_millisecond(millis).unwrap();
            let range = Range { from: time(from), to: time(from + long), room: None };
            let Pieces { hours, rest } = range.pieces();
            let hours = hours.map(|(first, last)| (time(first * 3_600_000), time(last * 3_600_000)));
            let mut all: Vec<_> = rest.into_iter().chain(hours).collect();
            all.sort();
            let mut reached = range.from;
            for (from, to) in all {
                prop_assert!(from == reached && from < to);
                reached = to;
            }
            prop_assert_eq!(reached, range.to);
        }
    }
}
