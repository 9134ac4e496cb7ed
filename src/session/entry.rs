//! One stream as the registry keeps it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::admission::Presence;
use super::memory::Said;
use super::status::Status;
use super::stream::{Control, End};
use super::{Origin, StartError, Statistics, Summary, Viewers};
use crate::censor::{Document, Policy};
use crate::livekit::processed_room;
use crate::pipeline::Figures;
use crate::telemetry::Live;

/// Viewers of one stream that are told apart; those beyond count as new each time.
const KNOWN_VIEWERS: usize = 100_000;

/// A stream that is starting, running or ending.
pub(super) struct Entry {
    pub id: Uuid,
    pub room: String,
    pub started_at: Timestamp,
    pub status: Arc<Status>,
    pub figures: Arc<Figures>,
    pub viewers: Viewers,
    pub watching: HashSet<String>,
    pub stop: CancellationToken,
    pub controls: mpsc::Sender<Control>,
    pub origin: Origin,
    /// What its operator said, to be kept when it ends.
    pub said: Said,
    /// Whether both rooms were joined; `None` while that is not known.
    pub opened: watch::Receiver<Option<Result<(), StartError>>>,
    pub waiting_for_end: Vec<oneshot::Sender<Option<Summary>>>,
    /// How far it is in the figures that say what fits.
    pub presence: Presence,
    /// Held while it is live.
    pub shown: Option<Live>,
    /// It has not been told of its newest rules: its queue was full.
    pub untold: bool,
}

/// How a stream's task came out.
pub(super) enum Course {
    /// It ran, and ended.
    Ended(End),
    /// It was never in both rooms.
    NotStarted(NotStarted),
}

/// Those who wait for a stream that could not be started. They are told when nothing is left of it:
/// whoever tries again at once must not hear that it runs.
pub(super) struct NotStarted {
    pub error: StartError,
    /// See [`Entry::opened`].
    pub opened: watch::Sender<Option<Result<(), StartError>>>,
    pub reply: oneshot::Sender<Result<Summary, StartError>>,
}

impl NotStarted {
    pub(super) fn tell(self) {
        self.opened.send_replace(Some(Err(self.error.clone())));
        let _ = self.reply.send(Err(self.error));
    }
}

impl Entry {
    /// Presses the dump button of a new stream that was pressed in the room's last one. The
    /// stream reads its controls before its first frame.
    pub(super) fn cover_again(&self) {
        if let Some(mute) = self.said.cover {
            let _ = self.controls.try_send(Control::Cover { on: true, mute });
            self.status.covering(true);
        }
    }

    /// Gives the stream new rules. When its queue is full they are given again a second later.
    pub(super) fn tell(&mut self, policy: Policy) {
        self.untold = self.controls.try_send(Control::Rules(Arc::new(policy))).is_err();
    }

    /// An operator starts a stream that a webhook has started already: it becomes theirs, with
    /// their rules. The answer comes when it is in both rooms.
    pub(super) fn claim(
        &mut self,
        rules: Document,
        policy: Arc<Policy>,
        reply: oneshot::Sender<Result<Summary, StartError>>,
    ) -> impl Future<Output = ()> + use<> {
        self.origin = Origin::Operator;
        self.said.rules = rules;
        let accepted = self.controls.try_send(Control::Rules(policy)).is_ok();
        let (mut opened, summary) = (self.opened.clone(), self.summary());
        async move {
            let joined = match opened.wait_for(Option::is_some).await {
                Ok(joined) if accepted => joined.clone().unwrap_or(Err(StartError::Closed)),
                _ => Err(StartError::Closed),
            };
            let _ = reply.send(joined.map(|()| summary));
        }
    }

    /// Counts a viewer who came or left.
    pub(super) fn viewer(&mut self, identity: &str, joined: bool) {
        if joined {
            if self.watching.len() < KNOWN_VIEWERS && self.watching.insert(identity.to_owned()) {
                self.viewers.total += 1;
            }
        } else {
            self.watching.remove(identity);
        }
        self.viewers.current = u32::try_from(self.watching.len()).unwrap_or(u32::MAX);
        self.viewers.peak = self.viewers.peak.max(self.viewers.current);
    }

    /// The stream as the API shows it.
    pub(super) fn summary(&self) -> Summary {
        let (state, problems) = self.status.read();
        let lasted = Timestamp::now().duration_since(self.started_at);
        Summary {
            stream_id: self.id,
            room_name: self.room.clone(),
            processed_room: processed_room(&self.room),
            origin: self.origin,
            state,
            started_at: self.started_at,
            ended_at: None,
            covered: self.status.is_covering(),
            statistics: Statistics {
                duration_seconds: Duration::try_from(lasted).unwrap_or_default().as_secs_f64(),
                viewers: self.viewers,
                ..self.figures.statistics()
            },
            problems,
        }
    }
}
