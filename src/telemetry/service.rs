//! How the service stands: what alerts ask for first.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::labels::{
    Fate, FateLabels, Notice, NoticeLabels, StreamState, StreamStateLabels, TrackLabels,
    VersionLabels,
};
use super::metrics::{Declare, Metrics, RoomMetrics};

/// Gauges that somebody sets from time to time.
#[derive(Debug)]
pub(super) struct Service {
    ready: Gauge,
    livekit: Gauge,
    memory_available: Gauge,
    streams: [Gauge; StreamState::ALL.len()],
    spans: [Counter; Fate::ALL.len()],
    notices: [Counter; Notice::ALL.len()],
    pub(super) tracks: Family<TrackLabels, Gauge>,
}

impl Service {
    pub(super) fn declare(declare: &mut Declare<'_>) -> Self {
        let version: Family<VersionLabels, Gauge> =
            declare.metric("scrim_build_info", "1, with the version that runs", Family::default());
        version.get_or_create(&VersionLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        let streams: Family<StreamStateLabels, Gauge> =
            declare.metric("scrim_streams", "Streams by where they stand", Family::default());
        let spans: Family<FateLabels, Counter> = declare.metric(
            "scrim_trace_spans",
            "Spans of traces by what became of them",
            Family::default(),
        );
        let notices: Family<NoticeLabels, Counter> = declare.metric(
            "scrim_notifications",
            "Attempts to tell the operator's server, by what became of them",
            Family::default(),
        );
        Self {
            ready: declare.metric(
                "scrim_ready",
                "1 when a stream can be started, as /health/ready has it",
                Gauge::default(),
            ),
            livekit: declare.metric("scrim_livekit_up", "1 when LiveKit answers", Gauge::default()),
            memory_available: declare.metric(
                "scrim_memory_available_bytes",
                "Memory that can still be had, of the machine or of the cgroup; 0: not known",
                Gauge::default(),
            ),
            tracks: declare.metric(
                "scrim_tracks",
                "Video tracks by what decodes them, and by what encodes them while something does",
                Family::default(),
            ),
            streams: StreamState::ALL
                .map(|state| streams.get_or_create_owned(&StreamStateLabels { state })),
            notices: Notice::ALL
                .map(|outcome| notices.get_or_create_owned(&NoticeLabels { outcome })),
            spans: Fate::ALL.map(|fate| spans.get_or_create_owned(&FateLabels { fate })),
        }
    }
}

impl Metrics {
    /// Shows whether a stream can be started, and whether LiveKit answers.
    pub fn set_service(&self, ready: bool, livekit: bool) {
        self.service().ready.set(ready.into());
        self.service().livekit.set(livekit.into());
    }

    /// Shows how much memory can still be had, in bytes; 0: the system does not tell.
    pub fn set_memory_available(&self, bytes: u64) {
        self.service().memory_available.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Attempts to tell the operator's server, by what became of them.
    pub fn notifications(&self, outcome: Notice) -> &Counter {
        &self.service().notices[outcome as usize]
    }

    /// Spans of traces, by what became of them.
    pub fn spans(&self, fate: Fate) -> &Counter {
        &self.service().spans[fate as usize]
    }

    /// Shows where the streams stand; each counts once.
    pub fn set_streams(&self, states: impl IntoIterator<Item = StreamState>) {
        let mut counts = [0; StreamState::ALL.len()];
        for state in states {
            counts[state as usize] += 1;
        }
        for (gauge, count) in self.service().streams.iter().zip(counts) {
            gauge.set(count);
        }
    }
}

/// Counts a stream of a room as live until it is dropped.
#[derive(Debug)]
pub struct Live(RoomMetrics);

impl RoomMetrics {
    /// Counts one more stream of this room as live. Rooms that share a label (`other`) add up.
    pub fn live(&self) -> Live {
        self.0.live.inc();
        Live(self.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.0.live.dec();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::telemetry::render;

    #[test]
    fn streams_are_counted_where_they_stand_and_leave_no_count_behind() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        metrics.set_streams([StreamState::Live, StreamState::Starting, StreamState::Live]);
        let has = |registry: &Registry, line: &str| {
            render(registry, false).unwrap().lines().any(|have| have == line)
        };
        assert!(has(&registry, "scrim_streams{state=\"live\"} 2"));
        assert!(has(&registry, "scrim_streams{state=\"starting\"} 1"));
        metrics.set_streams([StreamState::Reconnecting]);
        assert!(has(&registry, "scrim_streams{state=\"live\"} 0"));
        assert!(has(&registry, "scrim_streams{state=\"reconnecting\"} 1"));
    }

    #[test]
    fn a_room_is_live_as_long_as_one_of_its_streams() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let line = |count: u8| format!("scrim_live_streams{{room_name=\"stage\"}} {count}");
        let text = |registry: &Registry| render(registry, false).unwrap();
        let first = metrics.room("stage").live();
        let second = metrics.room("stage").live();
        assert!(text(&registry).contains(&line(2)));
        drop(first);
        assert!(text(&registry).contains(&line(1)));
        drop(second);
        assert!(text(&registry).contains(&line(0)));
    }
}
