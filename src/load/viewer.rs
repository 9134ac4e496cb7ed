//! A viewer that recognises pictures without decoding them.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::channel::Channel;
use super::index::Index;
use super::matching::{Arrival, Matcher};
use crate::livekit::{Incoming, Link, UpstreamCommand};
use crate::media::VideoFrame;

/// One viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) index: Arc<Index>,
    pub(super) channel: Arc<Channel>,
    /// Which viewer of the stream it is.
    pub(super) number: usize,
    pub(super) incoming: mpsc::Receiver<Incoming>,
    /// Kept open: whoever has no one to ask it for keyframes leaves.
    pub(super) commands: mpsc::Sender<UpstreamCommand>,
}

impl Viewer {
    /// Watches until the connection ends.
    pub(super) async fn run(mut self) {
        let mut matcher = Matcher::default();
        let _open = self.commands;
        while let Some(message) = self.incoming.recv().await {
            match message {
                Incoming::Video { frame, .. } => {
                    picture(&mut matcher, &frame, &self.index, &self.channel, self.number);
                }
                Incoming::Audio { .. } => self.channel.notes().sound.1 += 1,
                Incoming::Link(Link::Reconnecting(reason)) => {
                    self.channel.notes().reconnects += 1;
                    self.channel.problem(format!("viewer: {reason}"));
                }
                Incoming::Link(Link::Failed(reason)) => {
                    self.channel.problem(format!("viewer gave up: {reason}"));
                }
                Incoming::Refused { reason, .. } => {
                    self.channel.problem(format!("viewer: {reason}"));
                }
                Incoming::Link(Link::Connected)
                | Incoming::Started { .. }
                | Incoming::Muted { .. }
                | Incoming::Ended { .. } => {}
            }
        }
    }
}

fn picture(
    matcher: &mut Matcher,
    frame: &VideoFrame,
    index: &Index,
    channel: &Channel,
    number: usize,
) {
    let VideoFrame { data, rtp_time, captured, arrived, .. } = frame;
    let (rtp_time, captured, arrived) = (*rtp_time, *captured, *arrived);
    let arrival = Arrival { data, rtp_time, captured, arrived };
    let seen = matcher.place(&arrival, index, &channel.sends());
    channel.tally(number).picture(&seen, arrived);
}
