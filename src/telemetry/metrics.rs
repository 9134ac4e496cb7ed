//! Every metric, declared once.
//!
//! Labels come from enums; rooms are bounded ([`ROOMS_MAX`]). The media path bumps handles that
//! were resolved before ([`RoomMetrics`]): atomics only, no lock, no allocation.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use super::histogram::Histogram;
use super::labels::{
    Breaker, DetectionLabels, DetectorLabels, Direction, DirectionLabels, HttpLabels, Outcome,
    OutcomeLabels, Processor, ProcessorLabels, QueueLabels, Reason, ReasonLabels, Refused,
    RefusedLabels, RoomLabels,
};
use super::rooms::Rooms;
use super::service::Service;

/// Rooms with labels of their own; what comes when all are in use is counted under [`OTHER`].
pub const ROOMS_MAX: usize = 200;

/// The room label past [`ROOMS_MAX`] rooms.
pub const OTHER: &str = "other";

/// Bounds for requests, in seconds.
const REQUEST: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Bounds for one step of one frame, in seconds: from a tenth of a millisecond to three frames.
const STEP: &[f64] = &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];

/// Bounds for a frame's way through the server, in seconds; densest around the delays in use.
const LATENCY: &[f64] =
    &[0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.0, 5.0];

/// Bounds for pictures in one run of a model.
const BATCH: &[f64] = &[1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0];

/// A family of histograms with one set of bounds.
pub(super) type Histograms<S> = Family<S, Histogram, fn() -> Histogram>;

/// Handles to all metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Histograms<HttpLabels>,
    load: Load,
    service: Service,
    censorship: Gauge,
    rooms: Mutex<Rooms>,
    detector_up: Family<DetectorLabels, Gauge>,
    breaker: Family<DetectorLabels, Gauge>,
    queue: Family<QueueLabels, Gauge>,
    global: Global,
    database: Database,
}

/// What is written to the database.
#[derive(Debug)]
pub struct Database {
    /// Things that wait to be written.
    pub waiting: Gauge,
    /// Detections and other news that were given up: the queue was full, or the database refused.
    pub lost: Counter,
    /// 1 when it answers.
    pub up: Gauge,
}

impl Database {
    fn declare(declare: &mut Declare<'_>, queue: &Family<QueueLabels, Gauge>) -> Self {
        Self {
            waiting: queue.get_or_create_owned(&QueueLabels { queue: "database" }),
            lost: declare.metric(
                "scrim_database_lost",
                "Detections and other news that could not be kept",
                Counter::default(),
            ),
            up: declare.metric(
                "scrim_database_up",
                "1 when the database answers",
                Gauge::default(),
            ),
        }
    }
}

/// How much runs, and how much more could.
#[derive(Debug)]
struct Load {
    streams: Gauge,
    refused: [Counter; 5],
    cpu_busy: Gauge<f64, AtomicU64>,
    detect_busy: Gauge<f64, AtomicU64>,
}

impl Load {
    fn declare(declare: &mut Declare<'_>) -> Self {
        let refused: Family<RefusedLabels, Counter> = declare.metric(
            "scrim_streams_refused",
            "Streams that were not started, by the reason",
            Family::default(),
        );
        Self {
            streams: declare.metric("livekit_active_streams", "Streams that run", Gauge::default()),
            refused: Refused::ALL
                .map(|reason| refused.get_or_create_owned(&RefusedLabels { reason })),
            cpu_busy: declare.metric(
                "scrim_cpu_busy_ratio",
                "Share of the processors that is busy with anything, 0 to 1",
                Gauge::default(),
            ),
            detect_busy: declare.metric(
                "scrim_detect_busy_ratio",
                "Share of the time that the threads of detection spend in models, 0 to 1",
                Gauge::default(),
            ),
        }
    }
}

/// Families with a room label.
#[derive(Clone, Debug)]
pub(super) struct PerRoom {
    pub(super) detections: Family<DetectionLabels, Counter>,
    pub(super) processing: Histograms<ProcessorLabels>,
    pub(super) frames: Family<OutcomeLabels, Counter>,
    pub(super) live: Family<RoomLabels, Gauge>,
}

/// Metrics without a room label that every stream bumps.
#[derive(Clone, Debug)]
pub struct Global {
    /// From a frame's arrival to its release, in seconds.
    pub added_latency: Histogram,
    /// From a frame's arrival to its verdict, in seconds.
    pub verdict_latency: Histogram,
    /// Pictures in one run of a model.
    pub batch_size: Histogram,
    /// Bytes released as they came.
    pub forwarded_bytes: Counter,
    /// Frames encoded here.
    pub encoded_frames: Counter,
    /// Pictures of detections that were drawn and told of.
    pub thumbnails: Counter,
    /// Pictures that were not drawn or not kept: a queue was full.
    pub thumbnails_dropped: Counter,
    keyframe_requests: [Counter; 2],
    covered: [Counter; 6],
}

impl Global {
    /// Keyframes asked for.
    pub fn keyframe_requests(&self, direction: Direction) -> &Counter {
        &self.keyframe_requests[direction as usize]
    }

    /// Frames covered, by the reason.
    pub fn covered_frames(&self, reason: Reason) -> &Counter {
        &self.covered[reason as usize]
    }
}

impl Metrics {
    /// Declares every metric in `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let mut declare = Declare(registry);
        let http =
            declare.histograms("http_request_duration_seconds", "Time to answer a request", || {
                Histogram::new(REQUEST)
            });
        let load = Load::declare(&mut declare);
        let service = Service::declare(&mut declare);
        let censorship = declare.metric(
            "scrim_censorship_enabled",
            "1 unless everything is forwarded",
            Gauge::default(),
        );
        let per_room = PerRoom {
            detections: declare.metric(
                "censorship_detections",
                "Objects that the rules cover, by class",
                Family::default(),
            ),
            processing: declare.histograms(
                "frame_processing_duration_seconds",
                "Time of one step for one frame",
                || Histogram::new(STEP),
            ),
            frames: declare.metric(
                "scrim_frames",
                "Frames by what became of them",
                Family::default(),
            ),
            live: declare.metric(
                "scrim_live_streams",
                "Streams with a broadcaster's video",
                Family::default(),
            ),
        };
        let detector_up =
            declare.metric("detector_up", "1 when the detector answers", Family::default());
        let breaker = declare.metric(
            "scrim_breaker_state",
            "0 closed, 1 half open, 2 open",
            Family::default(),
        );
        let queue =
            declare.metric("scrim_queue_depth", "Items waiting in a queue", Family::default());
        let global = Global::declare(&mut declare);
        let database = Database::declare(&mut declare, &queue);
        registry.register_collector(Box::new(super::process::ProcessCollector));
        registry.register_collector(Box::new(super::runtime::RuntimeCollector));
        let rooms = Mutex::new(Rooms::new(ROOMS_MAX, per_room));
        Self(Arc::new(Inner {
            http,
            load,
            service,
            censorship,
            rooms,
            detector_up,
            breaker,
            queue,
            global,
            database,
        }))
    }

    /// The histogram of answered requests. `method` and `route` must come from closed sets.
    pub fn http(&self, method: &'static str, route: &str, status_code: u16) -> Histogram {
        let labels = HttpLabels { method, route: route.to_owned(), status_code };
        self.0.http.get_or_create_owned(&labels)
    }

    /// Streams that run.
    pub fn active_streams(&self) -> &Gauge {
        &self.0.load.streams
    }

    /// Streams that were not started, by the reason.
    pub fn streams_refused(&self, reason: Refused) -> &Counter {
        &self.0.load.refused[reason as usize]
    }

    /// Shows how busy the processors and detection's threads are, as shares of 1.
    pub fn set_busy(&self, cpu: f64, detection: f64) {
        self.0.load.cpu_busy.set(cpu);
        self.0.load.detect_busy.set(detection);
    }

    pub(super) fn service(&self) -> &Service {
        &self.0.service
    }

    /// Shows whether anything is covered at all.
    pub fn set_censorship(&self, enabled: bool) {
        self.0.censorship.set(enabled.into());
    }

    /// Shows whether a detector answers. Names come from the manifest.
    pub fn set_detector_up(&self, detector: &str, up: bool) {
        let labels = DetectorLabels { detector: detector.to_owned() };
        self.0.detector_up.get_or_create(&labels).set(up.into());
    }

    /// Shows where a detector's breaker stands.
    pub fn set_breaker(&self, detector: &str, state: Breaker) {
        let labels = DetectorLabels { detector: detector.to_owned() };
        self.0.breaker.get_or_create(&labels).set(state as i64);
    }

    /// The gauge of a queue's depth; keep it, do not look it up for each item.
    pub fn queue_depth(&self, queue: &'static str) -> Gauge {
        self.0.queue.get_or_create_owned(&QueueLabels { queue })
    }

    /// What is written to the database.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// The metrics that all streams share.
    pub fn global(&self) -> &Global {
        &self.0.global
    }

    /// The handles of a room, or of [`OTHER`] when [`ROOMS_MAX`] rooms hold theirs. A room whose
    /// handles were all dropped keeps its series until another room needs the place.
    pub fn room(&self, name: &str) -> RoomMetrics {
        let mut rooms = self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        RoomMetrics(rooms.get(name))
    }
}

impl Global {
    fn declare(declare: &mut Declare<'_>) -> Self {
        let requests: Family<DirectionLabels, Counter> = declare.metric(
            "scrim_keyframe_requests",
            "Keyframes asked for: upstream by us, downstream by viewers",
            Family::default(),
        );
        let covered: Family<ReasonLabels, Counter> = declare.metric(
            "scrim_covered_frames",
            "Frames covered, by the reason",
            Family::default(),
        );
        let request = |direction| requests.get_or_create_owned(&DirectionLabels { direction });
        let cover = |reason| covered.get_or_create_owned(&ReasonLabels { reason });
        Self {
            added_latency: declare.metric(
                "scrim_added_latency_seconds",
                "From a frame's arrival to its release",
                Histogram::new(LATENCY),
            ),
            verdict_latency: declare.metric(
                "scrim_verdict_latency_seconds",
                "From a frame's arrival to its verdict",
                Histogram::new(LATENCY),
            ),
            batch_size: declare.metric(
                "scrim_batch_size",
                "Pictures in one run of a model",
                Histogram::new(BATCH),
            ),
            forwarded_bytes: declare.metric(
                "scrim_forwarded_bytes",
                "Bytes released as they came",
                Counter::default(),
            ),
            encoded_frames: declare.metric(
                "scrim_encoded_frames",
                "Frames encoded here",
                Counter::default(),
            ),
            thumbnails: declare.metric(
                "scrim_thumbnails",
                "Pictures of detections that were made",
                Counter::default(),
            ),
            thumbnails_dropped: declare.metric(
                "scrim_thumbnails_dropped",
                "Pictures of detections that were left out: a queue was full",
                Counter::default(),
            ),
            keyframe_requests: Direction::ALL.map(request),
            covered: Reason::ALL.map(cover),
        }
    }
}

/// A room's handles, resolved; clones share them.
#[derive(Clone, Debug)]
pub struct RoomMetrics(pub(super) Arc<RoomInner>);

#[derive(Debug)]
pub(super) struct RoomInner {
    pub(super) label: String,
    pub(super) families: PerRoom,
    pub(super) frames: [Counter; 4],
    pub(super) processing: [Histogram; Processor::ALL.len()],
    pub(super) live: Gauge,
    /// Classes that have a series, to be forgotten with the room.
    pub(super) classes: Mutex<BTreeSet<String>>,
}

impl RoomMetrics {
    /// Frames by what became of them.
    pub fn frames(&self, outcome: Outcome) -> &Counter {
        &self.0.frames[outcome as usize]
    }

    /// The time of a step.
    pub fn processing(&self, processor: Processor) -> &Histogram {
        &self.0.processing[processor as usize]
    }

    /// The counter of a class; keep it, do not look it up for each frame.
    pub fn detections(&self, class: &str) -> Counter {
        let mut classes = self.0.classes.lock().unwrap_or_else(PoisonError::into_inner);
        classes.insert(class.to_owned());
        let labels = DetectionLabels { r#type: class.to_owned(), room_name: self.0.label.clone() };
        self.0.families.detections.get_or_create_owned(&labels)
    }
}

/// Registers under names as the contract has them. The library appends `_total` to counters and
/// the full stop to help texts.
pub(super) struct Declare<'a>(&'a mut Registry);

impl Declare<'_> {
    pub(super) fn metric<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn histograms<S>(&mut self, name: &str, help: &str, new: fn() -> Histogram) -> Histograms<S>
    where
        S: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        self.metric(name, help, Family::new_with_constructor(new))
    }
}
