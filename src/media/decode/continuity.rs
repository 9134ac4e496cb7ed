//! Which frames may be decoded and shown. Pure.

use crate::media::bitstream::Content;

/// Whether a decoder has the pictures that the next frame refers to.
#[derive(Debug)]
pub(super) struct Continuity {
    waiting: bool,
}

impl Default for Continuity {
    fn default() -> Self {
        Self { waiting: true }
    }
}

impl Continuity {
    /// Whether nothing can be shown until a keyframe comes.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Whether to decode a frame. What the transport calls a keyframe does not count, what the
    /// bytes say does.
    pub(super) fn admit(&mut self, content: Content, contiguous: bool) -> bool {
        match content {
            Content::Headers => {
                self.waiting |= !contiguous;
                return true;
            }
            Content::Key => self.waiting = false,
            Content::Delta => self.waiting |= !contiguous,
        }
        !self.waiting
    }

    /// The decoder lost its references.
    pub(super) fn lost(&mut self) {
        self.waiting = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_between_a_loss_and_the_next_keyframe() {
        use Content::{Delta, Headers, Key};
        // (content, contiguous, error afterwards, whether it is decoded, whether a key is needed)
        let steps = [
            (Delta, true, false, false, true),
            (Headers, true, false, true, true),
            (Key, true, false, true, false),
            (Delta, true, false, true, false),
            (Delta, false, false, false, true),
            (Delta, true, false, false, true),
            (Key, false, false, true, false),
            (Delta, true, true, true, true),
            (Delta, true, false, false, true),
            (Key, true, true, true, true),
            (Key, true, false, true, false),
            (Headers, false, false, true, true),
            (Delta, true, false, false, true),
        ];
        let mut continuity = Continuity::default();
        for (i, (content, contiguous, error, decoded, waiting)) in steps.into_iter().enumerate() {
            assert_eq!(continuity.admit(content, contiguous), decoded, "step {i}");
            if error {
                continuity.lost();
            }
            assert_eq!(continuity.is_waiting(), waiting, "step {i}");
        }
    }
}
