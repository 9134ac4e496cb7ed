//! What a stream did, counted where it happens and read by anyone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::media::{Engine, Source};
use crate::session::{Frames, Percentiles, Statistics};

/// One millisecond a bucket; the last holds everything longer.
const BUCKETS: usize = 4_000;

/// Counters of one stream, shared by its threads. Lock-free but for detections, which are rare.
#[derive(Debug)]
pub(crate) struct Figures {
    pub received: AtomicU64,
    pub analysed: AtomicU64,
    pub clean: AtomicU64,
    pub covered: AtomicU64,
    pub unverified: AtomicU64,
    pub dropped: AtomicU64,
    /// Released as they came, bit for bit.
    pub forwarded: AtomicU64,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    /// The delay in effect, in microseconds.
    held: AtomicU64,
    latency: Vec<AtomicU64>,
    detections: Mutex<BTreeMap<String, u64>>,
    /// What decodes each track.
    decoders: Mutex<BTreeMap<Source, Engine>>,
    /// What encodes each track, or did last.
    encoders: Mutex<BTreeMap<Source, Engine>>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            received: AtomicU64::new(0),
            analysed: AtomicU64::new(0),
            clean: AtomicU64::new(0),
            covered: AtomicU64::new(0),
            unverified: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            held: AtomicU64::new(0),
            latency: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            detections: Mutex::default(),
            decoders: Mutex::default(),
            encoders: Mutex::default(),
        }
    }
}

impl Figures {
    /// Counts one released frame's time from arrival to release.
    pub(crate) fn added_latency(&self, latency: Duration) {
        let bucket = usize::try_from(latency.as_millis()).unwrap_or(BUCKETS).min(BUCKETS - 1);
        self.latency[bucket].fetch_add(1, Relaxed);
    }

    /// Notes the delay in effect.
    pub(crate) fn held(&self, delay: Duration) {
        self.held.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Notes what decodes a track.
    pub(crate) fn decoder(&self, track: Source, engine: Engine) {
        self.decoders.lock().unwrap_or_else(|e| e.into_inner()).insert(track, engine);
    }

    /// Notes what encodes a track.
    pub(crate) fn encoder(&self, track: Source, engine: Engine) {
        self.encoders.lock().unwrap_or_else(|e| e.into_inner()).insert(track, engine);
    }

    /// Counts one finding that is covered.
    pub(crate) fn detection(&self, class: &str) {
        let mut detections = self.detections.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(count) = detections.get_mut(class) {
            *count += 1;
        } else {
            detections.insert(class.to_owned(), 1);
        }
    }

    /// Everything so far, but for duration and viewers, which others know.
    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            frames: Frames {
                received: self.received.load(Relaxed),
                analysed: self.analysed.load(Relaxed),
                clean: self.clean.load(Relaxed),
                covered: self.covered.load(Relaxed),
                covered_unverified: self.unverified.load(Relaxed),
                dropped: self.dropped.load(Relaxed),
            },
            detections: self.detections.lock().unwrap_or_else(|e| e.into_inner()).clone(),
            delay_ms: self.held.load(Relaxed) as f64 / 1e3,
            added_latency_ms: self.percentiles(),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            forwarded_share: self.forwarded_share(),
            decoder: words(&self.decoders),
            encoder: words(&self.encoders),
            ..Statistics::default()
        }
    }

    /// Share of the released frames that left as they came; 0 before the first.
    fn forwarded_share(&self) -> f64 {
        let released = [&self.clean, &self.covered, &self.unverified];
        let released: u64 = released.iter().map(|count| count.load(Relaxed)).sum();
        self.forwarded.load(Relaxed).min(released) as f64 / released.max(1) as f64
    }

    fn percentiles(&self) -> Percentiles {
        let counts: Vec<u64> = self.latency.iter().map(|b| b.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let at = |share: f64| {
            let rank = (total as f64 * share).ceil() as u64;
            let mut below = 0;
            counts.iter().position(|c| {
                below += c;
                total > 0 && below >= rank
            })
        };
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| at(share).map(|ms| ms as f64));
        Percentiles { p50, p95, p99 }
    }
}

/// The engines of all tracks, each once.
fn words(engines: &Mutex<BTreeMap<Source, Engine>>) -> String {
    let engines = engines.lock().unwrap_or_else(|e| e.into_inner());
    let each: BTreeSet<Engine> = engines.values().copied().collect();
    each.iter().map(Engine::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks_of_what_was_counted() {
        let figures = Figures::default();
        assert_eq!(figures.statistics().added_latency_ms, Percentiles::default());
        for ms in 1..=100 {
            figures.added_latency(Duration::from_millis(ms));
        }
        figures.added_latency(Duration::from_secs(3_600));
        let Percentiles { p50, p95, p99 } = figures.statistics().added_latency_ms;
        assert_eq!((p50, p95, p99), (Some(51.0), Some(96.0), Some(100.0)));
    }

    #[test]
    fn the_forwarded_share_is_of_what_was_released() {
        let figures = Figures::default();
        assert_eq!(figures.statistics().forwarded_share, 0.0);
        for (count, by) in [
            (&figures.clean, 6),
            (&figures.covered, 3),
            (&figures.unverified, 1),
            (&figures.dropped, 5),
            (&figures.forwarded, 5),
        ] {
            count.fetch_add(by, Relaxed);
        }
        assert_eq!(figures.statistics().forwarded_share, 0.5);
    }

    #[test]
    fn each_engine_is_named_once() {
        let figures = Figures::default();
        assert_eq!(figures.statistics().decoder, "");
        figures.decoder(Source::Camera, Engine::Nvdec(1));
        figures.decoder(Source::Screen, Engine::Nvdec(1));
        assert_eq!(figures.statistics().decoder, "NVDEC of GPU 1");
        figures.decoder(Source::Screen, Engine::Software);
        figures.encoder(Source::Screen, Engine::Software);
        assert_eq!(figures.statistics().decoder, "software, NVDEC of GPU 1");
        assert_eq!(figures.statistics().encoder, "software");
    }

    #[test]
    fn detections_are_counted_by_class() {
        let figures = Figures::default();
        for class in ["A", "B", "A"] {
            figures.detection(class);
        }
        let counted = figures.statistics().detections;
        assert_eq!(counted, BTreeMap::from([("A".to_owned(), 2), ("B".to_owned(), 1)]));
    }
}
