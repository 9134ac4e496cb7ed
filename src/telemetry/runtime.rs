//! What the async runtime says about itself.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::runtime::Handle;

/// Shows the runtime that the scrape runs in; nothing outside of one.
#[derive(Debug)]
pub(super) struct RuntimeCollector;

impl Collector for RuntimeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Ok(handle) = Handle::try_current() else { return Ok(()) };
        let runtime = handle.metrics();
        let gauges = [
            ("scrim_runtime_workers", "Threads of the async runtime", runtime.num_workers()),
            ("scrim_runtime_tasks", "Tasks that have not ended", runtime.num_alive_tasks()),
            (
                "scrim_runtime_queue_depth",
                "Tasks that wait for any thread of the async runtime",
                runtime.global_queue_depth(),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let busy = (0..runtime.num_workers()).map(|n| runtime.worker_total_busy_duration(n));
        let busy = ConstCounter::new(busy.map(|time| time.as_secs_f64()).sum::<f64>());
        let help = "Time that the threads of the async runtime were busy";
        let name = "scrim_runtime_busy_seconds";
        busy.encode(encoder.encode_descriptor(name, help, None, busy.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::telemetry::render;

    #[tokio::test]
    async fn a_scrape_inside_a_runtime_shows_it() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(RuntimeCollector));
        let text = render(&registry, false).unwrap();
        assert!(text.contains("scrim_runtime_workers 1\n"), "{text}");
        assert!(text.contains("scrim_runtime_busy_seconds_total "), "{text}");
    }

    #[test]
    fn a_scrape_outside_shows_nothing() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(RuntimeCollector));
        assert_eq!(render(&registry, false).unwrap(), "");
    }
}
