//! A broadcaster's camera through a whole stream of ours and a real livekit-server: clean frames
//! arrive byte for byte, covered ones do not, and the two are spliced at keyframes.

#![allow(clippy::disallowed_methods, reason = "outside the server, where nobody supervises")]
#![allow(clippy::unwrap_used, reason = "a test; its helpers are no test functions to the lint")]

#[allow(unreachable_pub, missing_docs, dead_code)]
mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scrim::censor::Document;
use scrim::detect::{self, Finding};
use scrim::livekit::{Downstream, Outgoing, processed_room};
use scrim::media::bitstream::nals;
use scrim::media::encode::{self, Encoder};
use scrim::media::{Colour, Picture, Rect, Source, VideoCodec, VideoFrame};
use scrim::pipeline::Watch;
use scrim::session::{Limits, Load, Manager, Origin, Registry, Settings, Start, Target};
use scrim::telemetry::Metrics;
use scrim::track;
use support::server::Server;
use support::stage::{Broadcaster, Watcher};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The raw room: what our publisher for `show` publishes into.
const RAW: &str = "show-processed";
const SIZE: (u32, u32) = (320, 180);

/// Sees something wherever it looks, when told to.
struct Script(Arc<AtomicBool>);

impl detect::Model for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn bucket(&self, _: &Arc<Picture>) -> u32 {
        0
    }

    fn open(&self) -> Result<detect::Opened, detect::Error> {
        Ok(detect::Opened {
            detector: Box::new(Self(self.0.clone())),
            provider: "script".into(),
            fallback: None,
            batches: false,
            classes: vec!["SECRET".into()],
        })
    }
}

impl detect::Detector for Script {
    fn detect(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, detect::Error> {
        let rect = Rect::new(80.0, 40.0, 100.0, 100.0);
        let finding = Finding { class: "SECRET".into(), score: 0.9, rect };
        let found = if self.0.load(Relaxed) { vec![finding] } else { Vec::new() };
        Ok(vec![found; pictures.len()])
    }
}

fn picture(n: u64) -> Picture {
    let mut picture = Picture::new(SIZE.0, SIZE.1);
    for plane in &mut picture.planes_mut() {
        for y in 0..plane.height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                *sample = 60 + ((x + 2 * y + 3 * n as usize) / 8 % 100) as u8;
            }
        }
    }
    picture
}

/// Everything that was filmed, as [`units`].
type Filmed = Arc<Mutex<HashSet<Vec<u8>>>>;

/// A frame's bytes; of H.264 its NAL units, since RTP carries no start codes, which are three or
/// four bytes long.
fn units(codec: VideoCodec, data: &[u8]) -> Vec<u8> {
    match codec {
        VideoCodec::H264 => nals(data).flat_map(|nal| [&[0, 0, 0, 1], nal].concat()).collect(),
        _ => data.to_vec(),
    }
}

/// Films at 30 frames a second until the publisher is gone; keyframes when asked.
async fn film(codec: VideoCodec, broadcaster: &Broadcaster, filmed: Filmed, key: Arc<AtomicBool>) {
    let outgoing = broadcaster.outgoing();
    let (width, height) = SIZE;
    let config = encode::Config {
        codec,
        width,
        height,
        bitrate_bps: 500_000,
        fps: 30.0,
        colour: Colour::default(),
    };
    tokio::task::spawn_blocking(move || {
        let mut encoder = Encoder::open(config).unwrap();
        let start = Instant::now();
        for n in 0_u64.. {
            let due = start + Duration::from_nanos(33_333_333) * n as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let encoded = encoder.encode(&picture(n), key.swap(false, Relaxed)).unwrap();
            filmed.lock().unwrap().insert(units(codec, &encoded.data));
            let frame = Outgoing::Video {
                source: Source::Camera,
                data: encoded.data,
                rtp_time: n * 3000,
                captured: due,
                due,
                keyframe: encoded.keyframe,
            };
            if outgoing.blocking_send(frame).is_err() {
                return;
            }
        }
    });
}

/// A stream of ours over the scripted detector.
fn scrim(server: &Server, covering: Arc<AtomicBool>) -> Manager {
    let config = detect::Config { workers: 1, ..detect::Config::default() };
    let service =
        detect::Service::start_with(&config, vec![Arc::new(Script(covering))], |_| ()).unwrap();
    let settings = Settings {
        credentials: server.credentials(),
        watch: Watch { max_gap: Duration::from_millis(200), track: track::Config::default() },
        rules: serde_json::from_str::<Document>(
            r#"{"classes": {"SECRET": {"threshold": 0.5, "action": "solid"}}, "delayMs": 200}"#,
        )
        .unwrap(),
        enabled: true,
        // Whatever else runs on this machine: the stream is not refused.
        limits: Limits { max_cpu: 0.0, max_streams: 0, stream_cpu: 0.1, looks: 5.0 },
        tracer: scrim::telemetry::trace::Tracer::default(),
        thumbnails: None,
        engines: scrim::media::Engines::default(),
    };
    let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
    let events = tokio::sync::broadcast::channel(16).0;
    let (manager, registry) =
        Registry::new(settings, service, metrics, events, watch::channel(Load::default()).1);
    tokio::spawn(registry.run(CancellationToken::new()));
    manager
}

/// Waits for `count` frames in a row that are (or are not) the source's own; returns the first,
/// after checking that it stands alone.
async fn stretch(watcher: &mut Watcher, filmed: &Filmed, own: bool, count: usize) -> VideoFrame {
    let (mut first, mut seen, mut history) = (None::<VideoFrame>, 0, String::new());
    while seen < count {
        let frame = watcher.picture().await;
        let forwarded = filmed.lock().unwrap().contains(&units(frame.codec, &frame.data));
        history.push(match (forwarded, frame.keyframe) {
            (true, true) => 'F',
            (true, false) => 'f',
            (false, true) => 'E',
            (false, false) => 'e',
        });
        history.push(if frame.contiguous { ' ' } else { '!' });
        if forwarded == own {
            first.get_or_insert(frame);
            seen += 1;
        } else {
            (first, seen) = (None, 0);
        }
    }
    let first = first.unwrap();
    assert!(first.keyframe, "begins without a keyframe: {history}");
    first
}

async fn clean_frames_arrive_byte_for_byte(codec: VideoCodec) {
    let server = Server::start().await;
    let covering = Arc::new(AtomicBool::new(false));
    let manager = scrim(&server, covering.clone());
    let rules = Document::default();
    let start = Start { room: RAW.into(), participant: None, rules, origin: Origin::Operator };
    manager.start(start).await.unwrap();

    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    let (source, codec) = (Source::Camera, codec);
    broadcaster.send(Outgoing::Announce { source, codec: Some(codec), size: SIZE }).await;
    broadcaster.wait_for("ready", |event| *event == Downstream::Ready { source }).await;
    let (filmed, key) = (Filmed::default(), broadcaster.wanted());
    film(codec, &broadcaster, filmed.clone(), key).await;

    let mut watcher = Watcher::view(&server, &processed_room(RAW));
    assert_eq!(watcher.started().await.1, Some(codec));
    stretch(&mut watcher, &filmed, true, 60).await;

    covering.store(true, Relaxed);
    let covered = stretch(&mut watcher, &filmed, false, 10).await;
    covering.store(false, Relaxed);
    let again = stretch(&mut watcher, &filmed, true, 60).await;
    let steps = again.rtp_time - covered.rtp_time;
    assert_eq!(steps % 3000, 0, "one timeline");

    let figures = manager.end(Target::Room(RAW.into())).await.unwrap().statistics;
    assert!((0.1..0.95).contains(&figures.forwarded_share), "{figures:?}");
    broadcaster.leave().await;
    watcher.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h264_is_forwarded_and_spliced() {
    clean_frames_arrive_byte_for_byte(VideoCodec::H264).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vp8_is_forwarded_and_spliced() {
    clean_frames_arrive_byte_for_byte(VideoCodec::Vp8).await;
}
