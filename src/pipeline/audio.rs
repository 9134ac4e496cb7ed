//! The short way of sound: the delay of the pictures, the packets untouched.

use std::sync::Arc;
use std::time::Duration;

use super::{Delay, Timeline};
use crate::livekit::Outgoing;
use crate::media::clock::ReleaseClock;
use crate::media::{AudioFrame, Source};

/// RTP ticks a second of Opus.
const OPUS_CLOCK: u32 = 48_000;
/// By how much sound leaves before its pictures, where they are delayed: players keep it longer.
/// With LiveKit and its SDK alone it comes 39 ms after them; so half of that is left.
const AHEAD: Duration = Duration::from_millis(20);
/// An Opus packet that plays as 20 ms of silence (RFC 6716, section 3.1: CELT, fullband, mono,
/// one frame of no data).
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// One audio track between the rooms.
#[derive(Debug)]
pub(crate) struct Lane {
    source: Source,
    clock: ReleaseClock,
    delay: Arc<Delay>,
    timeline: Timeline,
    silence: Arc<[u8]>,
}

impl Lane {
    /// A lane that holds packets for the stream's `delay`. `timeline` keeps the output's RTP time continuous.
    pub(crate) fn new(source: Source, delay: Arc<Delay>, timeline: Timeline) -> Self {
        let clock = ReleaseClock::new(OPUS_CLOCK, delay.get().saturating_sub(AHEAD));
        Self { source, clock, delay, timeline, silence: Arc::from(SILENCE) }
    }

    /// What is sent for a packet: itself, or silence while the sound is muted.
    pub(crate) fn pass(&mut self, frame: &AudioFrame, muted: bool) -> Outgoing {
        self.clock.set_delay(self.delay.get().saturating_sub(AHEAD));
        let due = self.clock.schedule(frame.rtp_time, frame.arrived);
        let mut timeline = self.timeline.lock().unwrap_or_else(|e| e.into_inner());
        Outgoing::Audio {
            source: self.source,
            data: if muted { self.silence.clone() } else { frame.data.clone() },
            rtp_time: timeline.map(frame.rtp_time, due),
            captured: frame.captured,
            due,
        }
    }
}
