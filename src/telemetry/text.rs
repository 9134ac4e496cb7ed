//! The text that a scrape gets.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// The content type of Prometheus' plain text.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The content type of OpenMetrics.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as text in one of the two formats.
///
/// # Errors
///
/// When a collector fails to write itself.
pub fn render(registry: &Registry, open_metrics: bool) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(if open_metrics { text } else { plain(&text) })
}

/// OpenMetrics as plain text: there a counter's help and type carry its full name, with `_total`,
/// and there are no units and no end mark.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("# EOF") || line.starts_with("# UNIT ") {
            continue;
        }
        let help = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        let mut is_counter = |name: &str| {
            lines.peek().and_then(|next| next.strip_prefix("# TYPE "))
                == Some(format!("{name} counter").as_str())
        };
        match help {
            Some((name, help)) if is_counter(name) => {
                lines.next();
                out.push_str(&format!("# HELP {name}_total {help}\n# TYPE {name}_total counter\n"));
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::{
        Breaker, Direction, Metrics, OTHER, Outcome, Processor, ROOMS_MAX, Reason,
    };

    fn scrape(registry: &Registry) -> String {
        render(registry, false).unwrap()
    }

    #[test]
    fn every_name_is_as_the_contract_has_it() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        metrics.http("GET", "/health", 200).observe(0.01);
        metrics.active_streams().set(2);
        metrics.set_detector_up("nudenet", true);
        metrics.set_breaker("nudenet", Breaker::Open);
        metrics.queue_depth("detect").set(3);
        let room = metrics.room("stage");
        room.frames(Outcome::Unverified).inc_by(4);
        room.processing(Processor::Encode).observe_time(Duration::from_millis(3));
        room.detections("FACE_FEMALE").inc();
        let global = metrics.global();
        global.keyframe_requests(Direction::Downstream).inc();
        global.covered_frames(Reason::Startup).inc();
        global.added_latency.observe(0.2);
        let text = scrape(&registry);
        for line in [
            "http_request_duration_seconds_count{method=\"GET\",route=\"/health\",status_code=\"200\"} 1",
            "livekit_active_streams 2",
            "censorship_detections_total{type=\"FACE_FEMALE\",room_name=\"stage\"} 1",
            "frame_processing_duration_seconds_bucket{le=\"0.005\",room_name=\"stage\",processor=\"encode\"} 1",
            "detector_up{detector=\"nudenet\"} 1",
            "scrim_breaker_state{detector=\"nudenet\"} 2",
            "scrim_frames_total{room_name=\"stage\",outcome=\"unverified\"} 4",
            "scrim_added_latency_seconds_count 1",
            "scrim_verdict_latency_seconds_count 0",
            "scrim_batch_size_count 0",
            "scrim_queue_depth{queue=\"detect\"} 3",
            "scrim_forwarded_bytes_total 0",
            "scrim_encoded_frames_total 0",
            "scrim_keyframe_requests_total{direction=\"downstream\"} 1",
            "scrim_covered_frames_total{reason=\"startup\"} 1",
            "# TYPE scrim_frames_total counter",
            "# TYPE process_cpu_seconds_total counter",
        ] {
            assert!(text.lines().any(|have| have == line), "missing {line} in\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes ") && !text.contains("# EOF"));
        assert!(render(&registry, true).unwrap().ends_with("# EOF\n"));
    }

    #[test]
    fn rooms_in_use_keep_their_labels_and_the_rest_is_other() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let mut held: Vec<_> = (0..ROOMS_MAX).map(|n| metrics.room(&format!("room-{n}"))).collect();
        held[0].detections("FACE_MALE").inc();
        metrics.room("late").frames(Outcome::Clean).inc_by(7);
        let text = scrape(&registry);
        let count = format!("scrim_frames_total{{room_name=\"{OTHER}\",outcome=\"clean\"}} 7");
        assert!(text.contains(&count) && !text.contains("\"late\""));

        drop(held.remove(0));
        metrics.room("late").frames(Outcome::Clean).inc_by(5);
        let text = scrape(&registry);
        assert!(text.contains("{room_name=\"late\",outcome=\"clean\"} 5"));
        assert!(!text.contains("\"room-0\"") && text.contains("\"room-1\""));
    }

    #[test]
    fn handles_of_one_room_share_their_counts() {
        let metrics = Metrics::new(&mut Registry::default());
        metrics.room("a").frames(Outcome::Clean).inc();
        metrics.room("a").frames(Outcome::Clean).inc();
        assert_eq!(metrics.room("a").frames(Outcome::Clean).get(), 2);
    }
}
