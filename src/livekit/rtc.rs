//! One WebRTC peer connection: str0m, which does no I/O, and the sockets it speaks through.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::SdpPendingOffer;
use str0m::error::{RtcError, SdpError};
use str0m::media::{Frequency, KeyframeRequestKind, MediaTime, Mid, Pt};
use str0m::net::{Receive, Transmit};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::socket::{Arrival, DATAGRAM, Faults, Sockets};
use crate::media::VideoCodec;
use crate::media::clock;

mod lines;
mod negotiate;

pub(super) use negotiate::Changes;

/// The longest time between two ICE checks on a live path. Two or three are answered within the
/// media watchdog's patience.
const CHECK_INTERVAL: Duration = Duration::from_millis(700);

/// How long sound waits for a packet that is late or lost. Opus is not sent again, and hides one
/// gap better than a long wait.
const AUDIO_REORDERING: (usize, Duration) = (3, Duration::from_millis(60));

/// How often a publisher tells what its receiver reports say.
const REPORTS: Duration = Duration::from_secs(1);

/// Pictures received behind a gap that is being repaired before it is given up.
const VIDEO_REORDERING: usize = 60;

/// Constrained Baseline, level 3.1, packetisation mode 1: what browsers and LiveKit agree on.
/// Registered alone, since with another Baseline beside it frames arrive under the wrong label.
const H264_PROFILE: u32 = 0x42e01f;

/// Which way media flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The server offers, we receive.
    Subscriber,
    /// We offer and send.
    Publisher,
}

/// The connection broke in a way that only a new one mends.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    /// No socket could be bound.
    #[error("no network: {0}")]
    Socket(#[from] io::Error),
    /// The WebRTC engine gave up.
    #[error("WebRTC failed: {0}")]
    Rtc(#[from] RtcError),
    /// The server sent a description that cannot be read.
    #[error("unreadable session description: {0}")]
    Sdp(#[from] SdpError),
    /// An answer came that nothing had asked for.
    #[error("unexpected answer")]
    Unexpected,
    /// A frame in a codec that was not negotiated.
    #[error("the codec was not negotiated on line {0}")]
    NoCodec(Mid),
}

/// The peer connection.
pub(super) struct Peer {
    /// Boxed: it is some twenty kilobytes.
    rtc: Box<Rtc>,
    sockets: Sockets,
    buffer: Vec<u8>,
    /// A packet whose sending was interrupted.
    unsent: Option<Transmit>,
    /// Events that came up while sending.
    events: VecDeque<Event>,
    /// When the last packet came in.
    heard: Instant,
    pending: Option<SdpPendingOffer>,
    offered: usize,
    /// Whether candidates of the other side can be used yet.
    described: bool,
    candidates: Vec<Candidate>,
    /// Addresses at which the server takes TCP connections, named since they were last tried.
    passive: Vec<SocketAddr>,
    /// Our ends of TCP connections.
    streams: Vec<Candidate>,
    /// SSRCs that each line had in the last offer, to see when a line is used again.
    lines: HashMap<Mid, (String, Vec<String>)>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

impl Peer {
    /// A peer with sockets towards `server` (host and port), not connected yet.
    pub(super) async fn open(
        role: Role,
        server: &str,
        faults: Faults,
        now: Instant,
    ) -> Result<Self, PeerError> {
        let sockets = Sockets::bind(server, faults).await?;
        let (size, timeout) = AUDIO_REORDERING;
        // No bandwidth estimation: with it the pacer holds frames back by up to 9 ms, and its
        // estimate collapses when the processor is busy.
        let mut config = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_vp9(role == Role::Subscriber)
            .enable_av1(role == Role::Subscriber)
            .set_reordering_size_audio(size)
            .set_reordering_timeout_audio(Some(timeout))
            .set_reordering_size_video(VIDEO_REORDERING);
        config.codec_config().add_h264(108.into(), Some(109.into()), true, H264_PROFILE);
        config.set_max_stun_rto(CHECK_INTERVAL);
        if role == Role::Publisher {
            config = config.set_stats_interval(Some(REPORTS));
        }
        let mut rtc = Box::new(config.build(now));
        for candidate in sockets.candidates() {
            rtc.add_local_candidate(candidate);
        }
        // The ICE agent knows no time until the first input, and would never start.
        rtc.handle_input(Input::Timeout(now))?;
        Ok(Self {
            rtc,
            sockets,
            buffer: vec![0; DATAGRAM],
            unsent: None,
            events: VecDeque::new(),
            heard: now,
            pending: None,
            offered: 0,
            described: false,
            candidates: Vec::new(),
            passive: Vec::new(),
            streams: Vec::new(),
            lines: HashMap::new(),
        })
    }

    /// Sends and receives until something happens. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Result<Event, PeerError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            if let Some(packet) = &self.unsent {
                self.sockets.send(packet).await;
                self.unsent = None;
            }
            let wake = match self.rtc.poll_output()? {
                Output::Event(event) => return Ok(event),
                Output::Transmit(packet) => {
                    self.unsent = Some(packet);
                    continue;
                }
                Output::Timeout(wake) => wake,
            };
            tokio::select! {
                biased;
                arrival = self.sockets.receive(&mut self.buffer) => match arrival {
                    Some(arrival) => self.arrived(arrival)?,
                    None => self.connected_by_tcp(),
                },
                () = tokio::time::sleep_until(wake.into()) => {
                    self.rtc.handle_input(Input::Timeout(clock::now()))?;
                }
            }
        }
    }

    /// Hands the packet in the buffer to the engine.
    fn arrived(&mut self, arrival: Arrival) -> Result<(), PeerError> {
        self.heard = clock::now();
        let Arrival { protocol: proto, source, destination, length } = arrival;
        if let Ok(contents) = self.buffer[..length].try_into() {
            let packet = Receive { proto, source, destination, contents };
            self.rtc.handle_input(Input::Receive(self.heard, packet))?;
        }
        Ok(())
    }

    /// When the last packet came in.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Whether media can flow.
    pub(super) fn connected(&self) -> bool {
        self.alive() && self.rtc.is_connected()
    }

    /// Whether the other side has not closed the connection for good.
    pub(super) fn alive(&self) -> bool {
        self.rtc.is_alive()
    }

    /// Looks for a path by TCP, too, once for each set of candidates that the server names.
    pub(super) fn try_tcp(&mut self) {
        if !self.passive.is_empty() {
            self.sockets.connect(std::mem::take(&mut self.passive));
        }
    }

    /// Tells the engine which TCP connections there are now.
    fn connected_by_tcp(&mut self) {
        let candidates = self.sockets.stream_candidates();
        for before in std::mem::replace(&mut self.streams, candidates) {
            self.rtc.direct_api().invalidate_candidate(&before);
        }
        for candidate in &self.streams {
            self.rtc.add_local_candidate(candidate.clone());
        }
    }

    /// Asks the sender on a line for a keyframe; false when the line receives nothing yet.
    pub(super) fn request_keyframe(&mut self, mid: Mid) -> bool {
        let Some(mut writer) = self.rtc.writer(mid) else { return false };
        writer.request_keyframe(None, KeyframeRequestKind::Pli).is_ok()
    }

    /// Sends a frame on a line. `codec` is `None` for Opus.
    pub(super) async fn write(
        &mut self,
        mid: Mid,
        codec: Option<VideoCodec>,
        frame: Frame,
    ) -> Result<(), PeerError> {
        let payload = self.payload(mid, codec).ok_or(PeerError::NoCodec(mid))?;
        let writer = self.rtc.writer(mid).ok_or(PeerError::NoCodec(mid))?;
        let clock = match codec {
            Some(_) => Frequency::NINETY_KHZ,
            None => Frequency::FORTY_EIGHT_KHZ,
        };
        let time = MediaTime::new(frame.rtp_time, clock);
        writer.write(payload, frame.captured, time, frame.data)?;
        self.flush().await
    }

    /// Whether both sides agreed on a codec for a line.
    pub(super) fn accepts(&mut self, mid: Mid, codec: Option<VideoCodec>) -> bool {
        self.payload(mid, codec).is_some()
    }

    fn payload(&mut self, mid: Mid, codec: Option<VideoCodec>) -> Option<Pt> {
        let writer = self.rtc.writer(mid)?;
        let mut agreed = writer.payload_params();
        let params = agreed.find(|params| codec_of(params.spec().codec) == Some(codec))?;
        Some(params.pt())
    }

    /// Puts what was written on the wire; events that come up wait for [`Peer::next`].
    async fn flush(&mut self) -> Result<(), PeerError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Event(event) => self.events.push_back(event),
                Output::Transmit(packet) => self.sockets.send(&packet).await,
                Output::Timeout(_) => return Ok(()),
            }
        }
    }
}

/// What [`Peer::write`] sends.
#[derive(Debug)]
pub(super) struct Frame {
    /// Encoded data.
    pub(super) data: std::sync::Arc<[u8]>,
    /// RTP time, extended, in the codec's clock.
    pub(super) rtp_time: u64,
    /// When it was captured.
    pub(super) captured: Instant,
}

/// Our name of the engine's codec: `Some(None)` for Opus, `None` for what we do not use.
pub(super) fn codec_of(codec: str0m::format::Codec) -> Option<Option<VideoCodec>> {
    use str0m::format::Codec;
    match codec {
        Codec::Opus => Some(None),
        Codec::H264 => Some(Some(VideoCodec::H264)),
        Codec::Vp8 => Some(Some(VideoCodec::Vp8)),
        Codec::Vp9 => Some(Some(VideoCodec::Vp9)),
        Codec::Av1 => Some(Some(VideoCodec::Av1)),
        _ => None,
    }
}
