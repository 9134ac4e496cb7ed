//! Forwards a raw room into its processed room, frame by frame, untouched: the LiveKit edge on
//! its own, for measuring what it adds.
//!
//! `LIVEKIT_URL=… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… forward ROOM [DELAY_MS]`

#![allow(clippy::disallowed_methods, reason = "outside the server, where nobody supervises")]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Context;
use scrim::livekit::{
    Credentials, Downstream, Entrance, Incoming, Outgoing, UpstreamCommand, Whom, create_rooms,
    publish, subscribe,
};
use scrim::media::{Source, VideoFrame};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args().skip(1);
    let room = arguments.next().context("the name of the room is missing")?;
    let delay = arguments.next().map_or(Ok(0), |ms| ms.parse()).context("DELAY_MS is no number")?;
    let variable = |name: &'static str| std::env::var(name).context(name);
    let credentials = Credentials {
        url: variable("LIVEKIT_URL")?,
        api_key: variable("LIVEKIT_API_KEY")?,
        api_secret: variable("LIVEKIT_API_SECRET")?,
    };
    create_rooms(&credentials, &room).await?;
    let (incoming, commands, subscriber) =
        subscribe::new(Entrance::raw(credentials.clone(), &room), Whom::Broadcasters);
    let (outgoing, downstream, publisher) = publish::new(Entrance::processed(credentials, &room));
    let stop = CancellationToken::new();
    let subscriber = tokio::spawn(subscriber.run(stop.child_token()));
    let publisher = tokio::spawn(publisher.run(stop.child_token()));
    let forwarder = Forwarder {
        delay: Duration::from_millis(delay),
        outgoing,
        commands,
        tracks: HashMap::new(),
        broken: HashSet::new(),
        ages: Vec::new(),
    };
    tokio::select! {
        () = forwarder.run(incoming, downstream) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stop.cancel();
    eprintln!("subscriber {:?}, publisher {:?}", subscriber.await?, publisher.await?);
    Ok(())
}

struct Forwarder {
    delay: Duration,
    outgoing: mpsc::Sender<Outgoing>,
    commands: mpsc::Sender<UpstreamCommand>,
    tracks: HashMap<String, Source>,
    /// Tracks that lost their references: nothing is sent until a keyframe comes.
    broken: HashSet<String>,
    /// Time from capture to arrival of each picture, ms.
    ages: Vec<f64>,
}

impl Forwarder {
    async fn run(
        mut self,
        mut incoming: mpsc::Receiver<Incoming>,
        mut downstream: mpsc::Receiver<Downstream>,
    ) {
        let mut report = tokio::time::interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                Some(message) = incoming.recv() => self.forward(message).await,
                Some(message) = downstream.recv() => self.relay(message).await,
                _ = report.tick() => self.report(),
                else => return,
            }
        }
    }

    async fn forward(&mut self, message: Incoming) {
        let message = match message {
            Incoming::Started { track, source, codec, size, .. } => {
                eprintln!("{track}: {source:?} {codec:?} {size:?}");
                self.tracks.insert(track, source);
                Outgoing::Announce { source, codec, size }
            }
            Incoming::Video { track, frame } => match self.video(&track, frame) {
                Some(message) => message,
                None => return,
            },
            Incoming::Audio { track, frame } => {
                let Some(source) = self.tracks.get(&track).copied() else { return };
                let due = frame.arrived + self.delay;
                let (data, rtp_time, captured) = (frame.data, frame.rtp_time, frame.captured);
                Outgoing::Audio { source, data, rtp_time, captured, due }
            }
            Incoming::Muted { track, muted } => {
                let Some(source) = self.tracks.get(&track).copied() else { return };
                Outgoing::Mute { source, muted }
            }
            Incoming::Ended { track } => {
                let Some(source) = self.tracks.remove(&track) else { return };
                Outgoing::Retract { source }
            }
            Incoming::Refused { .. } | Incoming::Link(_) => {
                eprintln!("{message:?}");
                return;
            }
        };
        let _ = self.outgoing.send(message).await;
    }

    fn video(&mut self, track: &str, frame: VideoFrame) -> Option<Outgoing> {
        let source = *self.tracks.get(track)?;
        self.ages.push((frame.arrived - frame.captured).as_secs_f64() * 1e3);
        if frame.keyframe {
            self.broken.remove(track);
        } else if !frame.contiguous {
            eprintln!("{track}: a gap");
            self.broken.insert(track.to_owned());
        }
        if self.broken.contains(track) {
            return None;
        }
        let due = frame.arrived.max(Instant::now()) + self.delay;
        let VideoFrame { data, rtp_time, captured, keyframe, .. } = frame;
        Some(Outgoing::Video { source, data, rtp_time, captured, due, keyframe })
    }

    async fn relay(&mut self, message: Downstream) {
        if !matches!(message, Downstream::KeyframeRequested { .. }) {
            eprintln!("{message:?}");
        }
        if let Downstream::KeyframeRequested { source } = message {
            for (track, shown) in &self.tracks {
                if *shown == source {
                    let command = UpstreamCommand::RequestKeyframe { track: track.clone() };
                    let _ = self.commands.send(command).await;
                }
            }
        }
    }

    fn report(&mut self) {
        let ages = &mut self.ages;
        ages.sort_by(f64::total_cmp);
        if let (Some(least), Some(most)) = (ages.first(), ages.last()) {
            let median = ages[ages.len() / 2];
            let count = ages.len();
            eprintln!(
                "{count} pictures, capture to arrival {least:.1} / {median:.1} / {most:.1} ms"
            );
        }
        ages.clear();
    }
}
