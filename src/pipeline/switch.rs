//! Forward or encode: whether a released frame leaves as the source's own bytes or through the
//! encoder. Pure.
//!
//! A forwarded frame may refer to the one forwarded right before it, so forwarding needs an
//! unbroken chain from a keyframe. It ends at the first frame that is covered, does not follow
//! the one before it, or holds more than a picture; the encoder goes on from there, with a
//! keyframe. It begins again at a keyframe of the source that nothing covers, for which the source
//! is asked once nothing has been covered for a while. A viewer who cannot go on without a
//! keyframe gets one from the encoder at once.

use std::time::{Duration, Instant};

use crate::media::Link;

/// How long nothing has been covered before the source's own frames are wanted again. Findings
/// come and go within a second; each splice costs two keyframes.
const LINGER: Duration = Duration::from_secs(2);
/// Keyframes for viewers are no closer than this: ten viewers who join at once share one.
const WISH_GAP: Duration = Duration::from_millis(300);
/// How long a keyframe that was asked for is waited for before asking again: far beyond what a
/// request takes that reached its publisher. Doubles each time, up to [`PATIENCE_MAX`].
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest time between two requests to a source that sends no keyframe.
const PATIENCE_MAX: Duration = Duration::from_secs(60);

/// What does not change while a stream runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// How long nothing has been covered before the source's own frames are wanted again.
    pub linger: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { linger: LINGER }
    }
}

/// A released frame, as far as forwarding goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// How its bytes hang together with those of the frame released before it.
    pub link: Link,
    /// Its verdict leaves the picture as it is.
    pub untouched: bool,
}

/// How a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As the bytes that came.
    Forward,
    /// Encoded here.
    Encode {
        /// As a keyframe: viewers cannot decode it otherwise, or one of them needs it.
        keyframe: bool,
    },
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// How it leaves.
    pub way: Way,
    /// Whether to ask the source for a keyframe.
    pub ask: bool,
}

/// The switch of one output track. See the module.
#[derive(Debug)]
pub(crate) struct Switch {
    config: Config,
    forwarding: bool,
    /// Viewers do not have what the next frame would refer to.
    broken: bool,
    /// A viewer cannot go on without a keyframe.
    wish: bool,
    /// When the last keyframe left.
    keyframe: Option<Instant>,
    /// When the last covered frame left.
    covered: Option<Instant>,
    asking: Asking,
}

impl Switch {
    /// Before the first frame, which will be a keyframe.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            forwarding: false,
            broken: true,
            wish: false,
            keyframe: None,
            covered: None,
            asking: Asking::default(),
        }
    }

    /// A viewer cannot go on without a keyframe.
    pub(crate) fn wish(&mut self) {
        self.wish = true;
    }

    /// The frame decided last has not left: what would refer to it cannot be decoded.
    pub(crate) fn lost(&mut self) {
        self.broken = true;
    }

    /// The encoder made a keyframe that it was not asked for.
    pub(crate) fn keyframe_left(&mut self, now: Instant) {
        self.wish = false;
        self.keyframe = Some(now);
    }

    /// Whether the last frame left as it came.
    pub(crate) fn is_forwarding(&self) -> bool {
        self.forwarding
    }

    /// Decides on the next released frame. To be called once for each, in order; `now` is when it
    /// leaves.
    pub(crate) fn next(&mut self, frame: Frame, now: Instant) -> Step {
        let Frame { link, untouched } = frame;
        if !untouched {
            self.covered = Some(now);
            self.asking.start_over();
        }
        if link.key {
            self.asking.answered();
        }
        let broken = std::mem::take(&mut self.broken);
        let wished = self.wish && elapsed(self.keyframe, now) >= WISH_GAP;
        let ready = elapsed(self.covered, now) >= self.config.linger;
        let was_forwarding = self.forwarding;
        let follows = was_forwarding && link.linked && !broken && !wished;
        let begins = link.key && (was_forwarding || ready);
        self.forwarding = untouched && link.forwardable && (follows || begins);
        if self.forwarding {
            self.asking = Asking::default();
            if link.key {
                self.keyframe_left(now);
            }
            return Step { way: Way::Forward, ask: false };
        }
        let keyframe = was_forwarding || broken || wished;
        if keyframe {
            self.keyframe_left(now);
        }
        // A source whose ordinary frames cannot be forwarded would be asked in vain.
        let ask = ready && link.forwardable && self.asking.poll(now);
        Step { way: Way::Encode { keyframe }, ask }
    }
}

/// Time since something happened; longer than any wait when it never did.
fn elapsed(since: Option<Instant>, now: Instant) -> Duration {
    since.map_or(Duration::MAX, |since| now.saturating_duration_since(since))
}

/// When the source is asked for the keyframe at which forwarding begins again.
///
/// Once, and then in growing intervals while none comes that can be used. When something was
/// covered in between, what came in answer was of no use: it may be asked anew at once.
#[derive(Debug)]
struct Asking {
    last: Option<Instant>,
    patience: Duration,
    /// A keyframe came since.
    answered: bool,
    /// Something was covered since.
    over: bool,
}

impl Default for Asking {
    fn default() -> Self {
        Self { last: None, patience: PATIENCE, answered: false, over: false }
    }
}

impl Asking {
    fn start_over(&mut self) {
        self.over = true;
    }

    fn answered(&mut self) {
        self.answered = true;
    }

    /// Whether to ask now.
    fn poll(&mut self, now: Instant) -> bool {
        let anew = self.last.is_none() || (self.answered && self.over);
        if !anew && elapsed(self.last, now) < self.patience {
            return false;
        }
        self.patience = if anew { PATIENCE } else { (self.patience * 2).min(PATIENCE_MAX) };
        (self.last, self.answered, self.over) = (Some(now), false, false);
        true
    }
}

#[cfg(test)]
mod tests;
