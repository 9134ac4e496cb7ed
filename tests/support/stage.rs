//! A publisher of ours as the broadcaster and a subscriber of ours, in one room of a real server.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scrim::livekit::token::{Grant, Role};
use scrim::livekit::{
    Credentials, Downstream, Entrance, Exit, Faults, Incoming, Link, Outgoing, UpstreamCommand,
    Whom, processed_room, publish, subscribe,
};
use scrim::media::{AudioFrame, Source, VideoCodec, VideoFrame};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::frames;
use super::server::Server;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The broadcaster: our publisher, and a camera that feeds it.
pub struct Broadcaster {
    pub faults: Faults,
    outgoing: mpsc::Sender<Outgoing>,
    stop: CancellationToken,
    actor: JoinHandle<Exit>,
    relay: JoinHandle<()>,
    events: mpsc::UnboundedReceiver<Downstream>,
    keyframe: Arc<AtomicBool>,
    camera: Option<(CancellationToken, JoinHandle<()>)>,
    sent: Sent,
}

/// What was sent, by RTP time.
type Sent = Arc<std::sync::Mutex<HashMap<u64, Arc<[u8]>>>>;

impl Broadcaster {
    /// Joins the processed room of `room` as `identity`.
    pub fn join(server: &Server, room: &str, identity: &str) -> Self {
        Self::join_at(server.credentials(), room, identity)
    }

    /// Joins at this address.
    pub fn join_at(credentials: Credentials, room: &str, identity: &str) -> Self {
        let room = processed_room(room);
        let entrance = Entrance::signed(credentials, Grant::new(Role::Server, room, identity));
        let faults = entrance.faults.clone();
        let (outgoing, mut downstream, actor) = publish::new(entrance);
        let stop = CancellationToken::new();
        let keyframe = Arc::new(AtomicBool::new(false));
        let (events_in, events) = mpsc::unbounded_channel();
        let wanted = Arc::clone(&keyframe);
        let relay = tokio::spawn(async move {
            while let Some(event) = downstream.recv().await {
                if matches!(event, Downstream::KeyframeRequested { .. }) {
                    wanted.store(true, Ordering::Relaxed);
                }
                let _ = events_in.send(event);
            }
        });
        let actor = tokio::spawn(actor.run(stop.clone()));
        let sent = Sent::default();
        let camera = None;
        Self { faults, outgoing, stop, actor, relay, events, keyframe, camera, sent }
    }

    /// Announces a camera in this codec, waits until it is ready, and feeds it.
    pub async fn film(&mut self, codec: VideoCodec) {
        self.cut();
        let source = Source::Camera;
        self.send(Outgoing::Announce { source, codec: Some(codec), size: (320, 180) }).await;
        self.wait_for("ready", |event| *event == Downstream::Ready { source }).await;
        let stop = CancellationToken::new();
        let camera = camera(codec, self.outgoing.clone(), &self.keyframe, &self.sent);
        let task = tokio::spawn(stop.clone().run_until_cancelled_owned(camera));
        self.camera = Some((stop, tokio::spawn(async move { drop(task.await) })));
    }

    /// Stops feeding the camera.
    pub fn cut(&mut self) {
        if let Some((stop, _)) = self.camera.take() {
            stop.cancel();
        }
    }

    /// Set when somebody needs a keyframe; whoever films clears it.
    pub fn wanted(&self) -> Arc<AtomicBool> {
        self.keyframe.clone()
    }

    /// Where more can be sent.
    pub fn outgoing(&self) -> mpsc::Sender<Outgoing> {
        self.outgoing.clone()
    }

    pub async fn send(&self, message: Outgoing) {
        self.outgoing.send(message).await.expect("the publisher runs");
    }

    /// Waits for something to come back.
    pub async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Downstream) -> bool) {
        let wait = async {
            while let Some(event) = self.events.recv().await {
                if wanted(&event) {
                    return;
                }
            }
            panic!("the publisher ended while waiting for {what}");
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no {what}"));
    }

    /// What came back up to now and was not waited for.
    pub fn events(&mut self) -> Vec<Downstream> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// The data that was sent with this RTP time, if any.
    pub fn sent(&self, data: &[u8]) -> bool {
        self.sent.lock().expect("no panic under this lock").values().any(|sent| **sent == *data)
    }

    /// Pictures sent so far.
    pub fn count(&self) -> usize {
        self.sent.lock().expect("no panic under this lock").len()
    }

    /// Leaves, and says how the actor ended.
    pub async fn leave(mut self) -> Exit {
        self.cut();
        self.stop.cancel();
        let exit =
            tokio::time::timeout(PATIENCE, self.actor).await.expect("it stops").expect("no panic");
        self.relay.abort();
        exit
    }
}

/// Sends pictures at their rate for ever, keyframes when they are asked for.
async fn camera_loop(
    codec: VideoCodec,
    outgoing: mpsc::Sender<Outgoing>,
    keyframe: Arc<AtomicBool>,
    sent: Sent,
) {
    let mut ticks = tokio::time::interval(Duration::from_nanos(1_000_000_000 / frames::RATE));
    let first = sent.lock().expect("no panic under this lock").len() as u64;
    for n in first.. {
        ticks.tick().await;
        let asked = keyframe.swap(false, Ordering::Relaxed);
        let keyframe = n == first || n % frames::GROUP == 0 || asked;
        let data = frames::video(codec, n, keyframe);
        let rtp_time = n * 90_000 / frames::RATE;
        sent.lock().expect("no panic under this lock").insert(rtp_time, Arc::clone(&data));
        let (source, captured) = (Source::Camera, Instant::now());
        let due = captured;
        let frame = Outgoing::Video { source, data, rtp_time, captured, due, keyframe };
        if outgoing.send(frame).await.is_err() {
            return;
        }
    }
}

fn camera(
    codec: VideoCodec,
    outgoing: mpsc::Sender<Outgoing>,
    keyframe: &Arc<AtomicBool>,
    sent: &Sent,
) -> impl Future<Output = ()> + Send + 'static {
    camera_loop(codec, outgoing, Arc::clone(keyframe), Arc::clone(sent))
}

/// Our subscriber.
pub struct Watcher {
    pub faults: Faults,
    pub incoming: mpsc::Receiver<Incoming>,
    pub commands: mpsc::Sender<UpstreamCommand>,
    stop: CancellationToken,
    actor: JoinHandle<Exit>,
}

impl Watcher {
    /// Joins a room by its own name.
    pub fn join(server: &Server, room: &str) -> Self {
        Self::join_at(server.credentials(), room)
    }

    /// Joins at this address.
    pub fn join_at(credentials: Credentials, room: &str) -> Self {
        Self::enter(Entrance::raw(credentials, room), Whom::Broadcasters)
    }

    /// Joins as a viewer, and sees everyone.
    pub fn view(server: &Server, room: &str) -> Self {
        let grant = Grant::new(Role::Viewer, room, "viewer");
        Self::enter(Entrance::signed(server.credentials(), grant), Whom::Everyone)
    }

    fn enter(entrance: Entrance, whom: Whom) -> Self {
        let faults = entrance.faults.clone();
        let (incoming, commands, actor) = subscribe::new(entrance, whom);
        let stop = CancellationToken::new();
        let actor = tokio::spawn(actor.run(stop.clone()));
        Self { faults, incoming, commands, stop, actor }
    }

    /// Waits for a message that `pick` wants.
    pub async fn wait_for<T>(&mut self, what: &str, pick: impl Fn(Incoming) -> Option<T>) -> T {
        let wait = async {
            while let Some(message) = self.incoming.recv().await {
                if let Some(picked) = pick(message) {
                    return picked;
                }
            }
            panic!("the subscriber ended while waiting for {what}");
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    pub async fn connected(&mut self) {
        let connected = |message| matches!(message, Incoming::Link(Link::Connected)).then_some(());
        self.wait_for("connection", connected).await;
    }

    /// Waits for a track: its sid and codec.
    pub async fn started(&mut self) -> (String, Option<VideoCodec>) {
        self.wait_for("track", |message| match message {
            Incoming::Started { track, codec, .. } => Some((track, codec)),
            _ => None,
        })
        .await
    }

    /// The next picture.
    pub async fn picture(&mut self) -> VideoFrame {
        self.wait_for("picture", |message| match message {
            Incoming::Video { frame, .. } => Some(frame),
            _ => None,
        })
        .await
    }

    /// The next packet of sound.
    pub async fn sound(&mut self) -> AudioFrame {
        self.wait_for("sound", |message| match message {
            Incoming::Audio { frame, .. } => Some(frame),
            _ => None,
        })
        .await
    }

    /// Leaves, and says how the actor ended.
    pub async fn leave(self) -> Exit {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.actor).await.expect("it stops").expect("no panic")
    }

    /// Waits until the actor ends by itself.
    pub async fn ended(self) -> Exit {
        tokio::time::timeout(PATIENCE, self.actor).await.expect("it ends").expect("no panic")
    }
}
