//! From what the tasks counted to the report. Pure.

use std::time::Duration;

use serde_json::{Map, Value};

use super::channel::Channel;
use super::clip::Clip;
use super::latencies::{Latencies, ms};
use super::report::{ClipFacts, Figures, ScrimFigures, StreamReport};
use super::stream::Live;
use super::tally::Counted;

/// Sums over streams, from which the percentiles of all follow.
#[derive(Debug, Default)]
pub(super) struct Sum {
    figures: Vec<Figures>,
    latency: Latencies,
    late: Latencies,
}

/// What the clip is.
pub(super) fn facts(clip: &Clip) -> ClipFacts {
    ClipFacts {
        codec: clip.codec.name(),
        width: clip.size.0,
        height: clip.size.1,
        fps: hundredths(clip.rate.fps()),
        frames: clip.frames.len(),
        seconds: hundredths(clip.length().as_secs_f64()),
        bits_per_second: clip.bitrate().round(),
        longest_keyframe_interval: hundredths(clip.longest_group().as_secs_f64()),
    }
}

impl Sum {
    /// Takes in a stream that was measured for `span`.
    pub(super) fn stream(
        &mut self,
        live: &Live,
        span: Duration,
        scrim: Option<ScrimFigures>,
    ) -> StreamReport {
        let counted: Vec<Counted> =
            live.channel.tallies().map(|tally| tally.counted().clone()).collect();
        let mut latency = Latencies::default();
        counted.iter().for_each(|one| latency.merge(&one.latency));
        let late = live.channel.sends().late().clone();
        let mut figures = figures(&counted, live.window.1 - live.window.0, span);
        (figures.latency_ms, figures.send_late_ms) = (latency.percentiles(), late.percentiles());
        note(&mut figures, &live.channel);
        self.latency.merge(&latency);
        self.late.merge(&late);
        self.figures.push(figures.clone());
        let (stream, room) = (live.number, live.room.clone());
        let problems = live.channel.notes().problems.clone();
        StreamReport { stream, room, figures, scrim, problems }
    }

    /// All streams together.
    pub(super) fn total(&self) -> Figures {
        let sum = |of: fn(&Figures) -> u64| self.figures.iter().map(of).sum();
        let mean = |of: fn(&Figures) -> f64| {
            hundredths(self.figures.iter().map(of).sum::<f64>() / self.figures.len().max(1) as f64)
        };
        let most = |of: fn(&Figures) -> f64| self.figures.iter().map(of).fold(0.0, f64::max);
        Figures {
            sent: sum(|f| f.sent),
            received: sum(|f| f.received),
            forwarded: sum(|f| f.forwarded),
            encoded: sum(|f| f.encoded),
            missing: sum(|f| f.missing),
            repeated: sum(|f| f.repeated),
            unplaced: sum(|f| f.unplaced),
            fps_sent: mean(|f| f.fps_sent),
            fps: mean(|f| f.fps),
            fps_worst: self.figures.iter().map(|f| f.fps_worst).reduce(f64::min).unwrap_or(0.0),
            worst_second: self.figures.iter().map(|f| f.worst_second).min().unwrap_or(0),
            latency_ms: self.latency.percentiles(),
            longest_gap_ms: most(|f| f.longest_gap_ms),
            send_late_ms: self.late.percentiles(),
            reconnects: sum(|f| f.reconnects.into()) as u32,
            keyframes_asked: sum(|f| f.keyframes_asked.into()) as u32,
            sound_sent: sum(|f| f.sound_sent),
            sound_received: sum(|f| f.sound_received),
        }
    }
}

/// The figures of one stream, of which `sent` pictures were to reach each viewer.
fn figures(viewers: &[Counted], sent: u64, span: Duration) -> Figures {
    let seconds = span.as_secs_f64().max(1e-3);
    let sum = |of: fn(&Counted) -> u64| viewers.iter().map(of).sum::<u64>();
    // Pictures in whole seconds, by their arrival: what a viewer saw meanwhile.
    let rate = |one: &Counted| {
        let whole = one.seconds.len().max(1) as f64;
        f64::from(one.seconds.iter().sum::<u32>()) / whole
    };
    let rates: Vec<f64> = viewers.iter().map(rate).collect();
    Figures {
        sent: sent * viewers.len() as u64,
        received: sum(Counted::received),
        forwarded: sum(|one| one.forwarded),
        encoded: sum(|one| one.encoded),
        missing: viewers.iter().map(|one| sent.saturating_sub(one.received())).sum(),
        repeated: sum(|one| one.repeated),
        unplaced: sum(|one| one.unplaced),
        fps_sent: hundredths(sent as f64 / seconds),
        fps: hundredths(rates.iter().sum::<f64>() / rates.len().max(1) as f64),
        fps_worst: hundredths(rates.iter().copied().reduce(f64::min).unwrap_or(0.0)),
        worst_second: viewers
            .iter()
            .map(|one| one.seconds.iter().min().copied().unwrap_or(0))
            .min()
            .unwrap_or(0),
        longest_gap_ms: viewers.iter().map(|one| ms(one.longest_gap)).fold(0.0, f64::max),
        ..Figures::default()
    }
}

fn note(figures: &mut Figures, channel: &Channel) {
    let notes = channel.notes();
    (figures.reconnects, figures.keyframes_asked) = (notes.reconnects, notes.keyframes_asked);
    (figures.sound_sent, figures.sound_received) = notes.sound;
}

/// Frames by what became of them in `after`, without those in `before`: two answers of Scrim's
/// `/streams`, of which this takes the stream's own.
pub(super) fn frames_between(before: &Value, after: &Value, stream: &str) -> Option<Value> {
    let frames = |page: &Value| -> Option<Map<String, Value>> {
        let streams = page["streams"].as_array()?;
        let own = streams.iter().find(|one| one["streamId"] == stream)?;
        own["statistics"]["frames"].as_object().cloned()
    };
    let (before, after) = (frames(before)?, frames(after)?);
    let difference = after.into_iter().filter_map(|(name, count)| {
        let earlier = before.get(&name).and_then(Value::as_u64).unwrap_or(0);
        let count = count.as_u64()?.saturating_sub(earlier);
        Some((name, Value::from(count)))
    });
    Some(Value::Object(difference.collect()))
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_of_two_viewers() {
        let full = Counted { forwarded: 60, seconds: vec![30, 30], ..Counted::default() };
        let poor = Counted {
            forwarded: 40,
            encoded: 10,
            seconds: vec![30, 21],
            longest_gap: Duration::from_millis(300),
            ..Counted::default()
        };
        let figures = figures(&[full, poor], 60, Duration::from_secs(2));
        assert_eq!((figures.sent, figures.received, figures.missing), (120, 110, 10));
        assert_eq!((figures.forwarded, figures.encoded), (100, 10));
        assert_eq!((figures.fps, figures.fps_worst, figures.fps_sent), (27.75, 25.5, 30.0));
        assert_eq!((figures.worst_second, figures.longest_gap_ms), (21, 300.0));
    }

    #[test]
    fn without_streams_there_are_no_figures() {
        let total = Sum::default().total();
        assert_eq!((total.sent, total.fps, total.latency_ms.p50), (0, 0.0, None));
    }

    #[test]
    fn frames_are_counted_from_one_answer_to_the_next() {
        let page = |analysed: u64, id: &str| {
            json!({ "streams": [
                { "streamId": "other", "statistics": { "frames": { "analysed": 1 } } },
                { "streamId": id, "statistics": { "frames": { "analysed": analysed } } },
            ]})
        };
        let difference = frames_between(&page(5, "a"), &page(12, "a"), "a");
        assert_eq!(difference, Some(json!({ "analysed": 7 })));
        assert_eq!(frames_between(&page(5, "b"), &page(12, "a"), "a"), None);
    }
}
