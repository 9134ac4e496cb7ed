//! A broadcaster that sends the clip at its own pace, whatever comes back.
//!
//! A picture that is late is sent at once, and none is left out: a server that is slow does not
//! make the load smaller. An encoded clip cannot bring the keyframe that a viewer asks for; the
//! next one in it has to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::channel::Channel;
use super::clip::Clip;
use crate::livekit::{Downstream, Link, Outgoing};
use crate::media::{Source, clock};

/// Time of one packet of sound.
const PACKET: Duration = Duration::from_millis(20);

/// RTP ticks of one packet of sound, at 48 kHz.
const PACKET_TICKS: u64 = 960;

/// 20 ms of silence in Opus (RFC 6716: CELT, full band, mono; what encoders send as comfort
/// noise).
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// One broadcaster.
#[derive(Debug)]
pub(super) struct Broadcaster {
    pub(super) clip: Arc<Clip>,
    pub(super) channel: Arc<Channel>,
    pub(super) outgoing: mpsc::Sender<Outgoing>,
    pub(super) downstream: mpsc::Receiver<Downstream>,
    pub(super) sound: bool,
    /// How long to wait, once ready, before the first picture: keeps the keyframes of many
    /// broadcasters apart.
    pub(super) phase: Duration,
}

/// When the first picture was due, once the track is ready.
type Started = Option<Instant>;

impl Broadcaster {
    /// Sends until `stop`, then stays silent in the room until the connection ends.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let (codec, size) = (Some(self.clip.codec), self.clip.size);
        self.send(Outgoing::Announce { source: Source::Camera, codec, size }).await;
        if self.sound {
            let source = Source::Microphone;
            self.send(Outgoing::Announce { source, codec: None, size: (0, 0) }).await;
        }
        let mut started: Started = None;
        let mut packets = 0;
        loop {
            let next = started.map(|start| self.next(start, packets));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(next) => {
                    if let Some(start) = started {
                        self.pictures(start).await;
                        self.packets(start, &mut packets).await;
                    }
                }
                event = self.downstream.recv() => match event {
                    Some(event) => self.note(event, &mut started),
                    None => return,
                },
            }
        }
        while let Some(event) = self.downstream.recv().await {
            self.note(event, &mut started);
        }
    }

    fn note(&self, event: Downstream, started: &mut Started) {
        match event {
            Downstream::Ready { source: Source::Camera } => {
                started.get_or_insert(clock::now() + self.phase);
            }
            Downstream::KeyframeRequested { .. } => self.channel.notes().keyframes_asked += 1,
            Downstream::Link(Link::Reconnecting(reason)) => {
                self.channel.notes().reconnects += 1;
                self.channel.problem(format!("broadcaster: {reason}"));
            }
            Downstream::Link(Link::Failed(reason)) => {
                self.channel.problem(format!("broadcaster gave up: {reason}"));
            }
            Downstream::Link(Link::Connected)
            | Downstream::Ready { .. }
            | Downstream::Lost { .. } => {}
        }
    }

    /// When something is to be sent.
    fn next(&self, start: Instant, packets: u64) -> Instant {
        let picture = start + self.clip.rate.time(self.channel.sends().next());
        let packet = self.sound.then(|| packet_due(start, packets));
        packet.map_or(picture, |packet| packet.min(picture))
    }

    /// Sends the pictures that are due.
    async fn pictures(&self, start: Instant) {
        loop {
            let now = clock::now();
            let (n, picture, base) = {
                let mut sends = self.channel.sends();
                let n = sends.next();
                let due = start + self.clip.rate.time(n);
                if due > now {
                    return;
                }
                let picture = sends.of_clip(n);
                sends.record(due, now);
                (n, picture, sends.base())
            };
            let coded = &self.clip.frames[picture];
            self.send(Outgoing::Video {
                source: Source::Camera,
                data: Arc::clone(&coded.data),
                rtp_time: u64::from(base) + self.clip.rate.rtp(n),
                captured: now,
                due: now,
                keyframe: coded.keyframe,
            })
            .await;
        }
    }

    /// Sends the packets of sound that are due.
    async fn packets(&self, start: Instant, packets: &mut u64) {
        let now = clock::now();
        while self.sound && packet_due(start, *packets) <= now {
            let rtp_time = *packets * PACKET_TICKS;
            *packets += 1;
            self.channel.notes().sound.0 += 1;
            let (source, data) = (Source::Microphone, Arc::from(SILENCE));
            let (captured, due) = (now, now);
            self.send(Outgoing::Audio { source, data, rtp_time, captured, due }).await;
        }
    }

    /// An actor that has ended takes nothing more: it said why.
    async fn send(&self, message: Outgoing) {
        let _ = self.outgoing.send(message).await;
    }
}

fn packet_due(start: Instant, packets: u64) -> Instant {
    start + PACKET.saturating_mul(u32::try_from(packets).unwrap_or(u32::MAX))
}

/// Sleeps until then, or for ever.
async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}
