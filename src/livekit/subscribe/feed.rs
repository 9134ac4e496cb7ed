//! The frames of each track: capture times, gaps, and the keyframes that mend them.

use std::time::Instant;

use str0m::media::MediaData;

use super::Actor;
use crate::livekit::Incoming;
use crate::livekit::capture::Report;
use crate::livekit::keyframes::Limiter;
use crate::livekit::room::Room;
use crate::livekit::rtc::codec_of;
use crate::media::clock;
use crate::media::{AudioFrame, VideoCodec, VideoFrame};

/// What is known of the frames of one track.
#[derive(Debug, Default)]
pub(super) struct Feed {
    pub(super) limiter: Limiter,
    /// A frame has been handed on.
    running: bool,
    /// A frame was dropped at the pipeline's door after the last one handed on.
    gap: bool,
    last: Option<Instant>,
}

impl Actor {
    /// A frame came in.
    pub(super) fn media(&mut self, data: MediaData, room: &mut Room) {
        let arrived = clock::now();
        let Some(track) = self.lines.get(&data.mid).cloned() else { return };
        let Some(codec) = codec_of(data.params.spec().codec) else { return };
        if !self.roster.delivers(&track) || data.data.is_empty() {
            return;
        }
        let changes = self.roster.frame(&track, codec);
        self.apply(changes, room);
        let report = data.last_sender_info.map(|info| Report {
            rtp_seconds: info.rtp_time.rebase(data.time.frequency()).as_seconds(),
            wall: info.ntp_time,
        });
        let captured = self.clock.captured(data.time.as_seconds(), report, arrived);
        let feed = self.feeds.entry(track.clone()).or_default();
        // Reports come and go: capture times must not run backwards when one corrects them.
        let captured = feed.last.map_or(captured, |last| captured.max(last)).min(arrived);
        feed.last = Some(captured);
        match codec {
            Some(codec) => self.video(track, codec, data, captured),
            None => {
                let frame =
                    AudioFrame { rtp_time: data.time.numer(), data: data.data, captured, arrived };
                if !self.outlet.frame(Incoming::Audio { track, frame }) {
                    self.dropped += 1;
                }
            }
        }
    }

    fn video(&mut self, track: String, codec: VideoCodec, data: MediaData, captured: Instant) {
        let feed = self.feeds.entry(track.clone()).or_default();
        let keyframe = data.is_keyframe();
        let contiguous = data.contiguous && feed.running && !feed.gap;
        if keyframe {
            feed.limiter.keyframe();
        } else if !contiguous {
            feed.limiter.want();
        }
        let frame = VideoFrame {
            codec,
            rtp_time: data.time.numer(),
            keyframe,
            contiguous,
            captured,
            arrived: clock::now(),
            data: data.data,
        };
        let handed_on = self.outlet.frame(Incoming::Video { track, frame });
        feed.running = true;
        feed.gap = !handed_on;
        if !handed_on {
            feed.limiter.want();
            self.dropped += 1;
        } else if self.dropped > 0 {
            tracing::warn!(dropped = self.dropped, "the pipeline was too slow, frames dropped");
            self.dropped = 0;
        }
    }

    /// Asks for the keyframes that are due.
    pub(super) fn request_keyframes(&mut self, room: &mut Room, now: Instant) {
        for (track, feed) in &mut self.feeds {
            let line = self.lines.iter().find(|(_, on_line)| *on_line == track);
            if let Some((mid, _)) = line
                && feed.limiter.poll(now)
            {
                room.peer.request_keyframe(*mid);
            }
        }
    }

    /// When the next is due.
    pub(super) fn wake(&self, now: Instant) -> Option<Instant> {
        self.feeds.values().filter_map(|feed| feed.limiter.deadline(now)).min()
    }
}
