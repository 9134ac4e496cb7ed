//! What came of it, for one codec.

use scrim::media::VideoCodec;
use scrim::session::Statistics;
use serde::Serialize;

use crate::browser::View;
use crate::stream::Tally;

/// What came of the streams of one codec. Counts are of the soak alone.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    codec: &'static str,
    streams: u64,
    /// How long the soak took.
    seconds: f64,
    /// Changes between forwarding and encoding, in either direction.
    pub(crate) splices: u64,
    /// Frames that arrived at our own viewer as they were filmed.
    forwarded: u64,
    /// All others.
    encoded: u64,
    /// Pictures that the browser showed.
    presented: u64,
    /// Of them: those that the page looked at.
    looked_at: u64,
    /// Of those looked at: with something to be covered, as the picture itself says.
    secret: u64,
    /// Of those looked at: covered beyond that, so that the picture says nothing.
    covered_whole: u64,
    /// Of those looked at: what was to be covered could be seen. Must be 0.
    leaked: u64,
    /// Highest standard deviation of brightness where something was covered.
    most_contrast: f64,
    /// Pictures whose RTP time did not rise. Must be 0.
    backward: u64,
    /// Pictures of another size than was filmed. Must be 0.
    odd: u64,
    /// Frames that the browser received and neither decoded nor dropped. Must be 0.
    decoder_errors: i64,
    /// Frames that it dropped.
    dropped: u64,
    freezes: u64,
    freeze_seconds: f64,
    /// Keyframes that it asked for: what it could not go on without. Must be 0.
    plis: u64,
    nacks: u64,
    packets_lost: i64,
    key_frames_decoded: u64,
    /// How long a frame waited in the browser's jitter buffer, on average.
    jitter_buffer_ms: f64,
    /// Keyframe requests that reached the broadcasters.
    asked: u64,
    /// Most of them from one return to forwarding to the next. Must be at most 1.
    asked_most: u64,
    /// Frames that left covered whole for want of a verdict, in the streams' own figures.
    unverified: u64,
    #[serde(skip)]
    emitted: u64,
    #[serde(skip)]
    buffered: f64,
}

/// One stream of the codec.
pub(crate) struct Part<'a> {
    pub(crate) tally: Tally,
    pub(crate) statistics: &'a Statistics,
    /// What the page said as the soak began, and after it.
    pub(crate) before: &'a View,
    pub(crate) after: &'a View,
}

impl Outcome {
    pub(crate) fn new(codec: VideoCodec, seconds: f64) -> Self {
        Self { codec: codec.name(), seconds, ..Self::default() }
    }

    pub(crate) fn add(&mut self, part: &Part<'_>) {
        let Part { tally, statistics, before, after } = part;
        self.streams += 1;
        self.splices += tally.splices;
        self.forwarded += tally.forwarded;
        self.encoded += tally.encoded;
        self.asked += tally.asked;
        self.asked_most = self.asked_most.max(tally.asked_most);
        self.unverified += statistics.frames.covered_unverified;
        let (was, is) = (&before.seen, &after.seen);
        self.presented += is.presented - was.presented;
        self.looked_at += is.pictures - was.pictures;
        self.secret += is.marked - was.marked;
        self.covered_whole += is.unreadable - was.unreadable;
        self.leaked += is.leaks - was.leaks;
        self.most_contrast = self.most_contrast.max(is.most);
        self.backward += is.backward - was.backward;
        self.odd += is.odd - was.odd;
        let (was, is) = (&before.rtp, &after.rtp);
        // From the first frame on: what was on its way as the soak began counts as decoded then.
        self.decoder_errors +=
            is.frames_received as i64 - (is.frames_decoded + is.frames_dropped) as i64;
        self.dropped += is.frames_dropped - was.frames_dropped;
        self.freezes += is.freeze_count - was.freeze_count;
        self.freeze_seconds += is.total_freezes_duration - was.total_freezes_duration;
        self.plis += is.pli_count - was.pli_count;
        self.nacks += is.nack_count - was.nack_count;
        self.packets_lost += is.packets_lost - was.packets_lost;
        self.key_frames_decoded += is.key_frames_decoded - was.key_frames_decoded;
        self.emitted += is.jitter_buffer_emitted_count - was.jitter_buffer_emitted_count;
        self.buffered += is.jitter_buffer_delay - was.jitter_buffer_delay;
        self.jitter_buffer_ms = self.buffered * 1e3 / self.emitted.max(1) as f64;
    }

    /// Whether everything is as it must be.
    pub(crate) fn is_good(&self) -> bool {
        let faults = [self.leaked, self.backward, self.odd, self.plis];
        faults == [0; 4] && self.decoder_errors == 0 && self.asked_most <= 1
    }

    /// For a person.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}: {} splices in {:.0} s over {} streams; {} of {} pictures looked at, {} with a \
             secret, {} leaked; {} decoder errors, {} dropped, {} freezes ({:.1} s), {} keyframes \
             asked for by the viewer, {:.2} requests a splice back (at most {}): {}",
            self.codec,
            self.splices,
            self.seconds,
            self.streams,
            self.looked_at,
            self.presented,
            self.secret,
            self.leaked,
            self.decoder_errors,
            self.dropped,
            self.freezes,
            self.freeze_seconds,
            self.plis,
            self.asked as f64 * 2.0 / self.splices.max(1) as f64,
            self.asked_most,
            if self.is_good() { "good" } else { "NOT GOOD" },
        )
    }
}
