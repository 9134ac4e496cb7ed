//! Video tracks by what decodes and encodes them.

use prometheus_client::metrics::gauge::Gauge;

use super::labels::{Step, TrackLabels};
use super::metrics::Metrics;

/// Counts a track as decoded or encoded by an engine until it is dropped.
#[derive(Debug)]
pub struct OnEngine(Gauge);

impl Metrics {
    /// Counts one more track; `engine` must come from a closed set.
    pub fn on_engine(&self, step: Step, engine: &'static str) -> OnEngine {
        let gauge = self.service().tracks.get_or_create_owned(&TrackLabels { step, engine });
        gauge.inc();
        OnEngine(gauge)
    }
}

impl Drop for OnEngine {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::telemetry::render;

    #[test]
    fn a_track_counts_where_it_is() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let mut track = metrics.on_engine(Step::Decode, "nvdec");
        let line = |engine, count| {
            format!("scrim_tracks{{step=\"decode\",engine=\"{engine}\"}} {count}\n")
        };
        assert!(render(&registry, false).unwrap().contains(&line("nvdec", 1)));
        track = {
            drop(track);
            metrics.on_engine(Step::Decode, "software")
        };
        let text = render(&registry, false).unwrap();
        assert!(text.contains(&line("nvdec", 0)) && text.contains(&line("software", 1)), "{text}");
        drop(track);
    }
}
