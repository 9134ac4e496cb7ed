//! What should be running: one session a stream.
//!
//! [`Manager`] is the handle that the API holds; the actor behind it owns the sessions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc, oneshot};
use uuid::Uuid;

use crate::censor::{Document, Policy};
use crate::livekit::Credentials;
use crate::media::Engines;
use crate::pipeline::Watch;
use crate::store::{Detection, Saved, Scope, Thumbnail};
use crate::telemetry::StreamState;
use crate::telemetry::trace::Tracer;

mod admission;
mod entry;
mod load;
mod memory;
mod open;
mod registry;
mod rulebook;
mod status;
mod stream;

pub use admission::{Limits, Refusal};
pub use load::{Load, Sampler};
pub use registry::Registry;
pub use rulebook::{Kept, Moved, News};

/// What holds for every stream of this process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// LiveKit, and the keys to it.
    pub credentials: Credentials,
    /// How frames are watched.
    pub watch: Watch,
    /// The rules underneath every stream's own.
    pub rules: Document,
    /// Off: nothing is covered, whatever the rules say.
    pub enabled: bool,
    /// How much may run.
    pub limits: Limits,
    /// Takes the traces of streams.
    pub tracer: Tracer,
    /// Draws what was found, where the rules want it; `None`: nobody does.
    pub thumbnails: Option<crate::thumbnail::Service>,
    /// What decodes and encodes.
    pub engines: Engines,
}

impl Settings {
    /// What holds for a stream with rules of its own.
    fn policy(&self, own: &Document) -> Policy {
        let mut policy = own.over(&self.rules).resolve();
        if !self.enabled {
            policy.classes.clear();
            policy.text = None;
        }
        policy
    }
}

/// What a running stream is.
#[derive(Clone, Debug)]
struct Spec {
    id: Uuid,
    room: String,
    watch: Watch,
}

/// Where a stream stands.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "StreamState")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Joining the rooms.
    Starting,
    /// In both rooms; no broadcaster's video yet.
    Waiting,
    /// Frames are released.
    Live,
    /// A connection to LiveKit is being remade.
    Reconnecting,
    /// Being stopped.
    Ending,
    /// Over.
    Ended,
    /// Over because its process died; its end is when that was last heard of.
    Interrupted,
}

impl State {
    /// What metrics call it; `None` once it is over.
    fn label(self) -> Option<StreamState> {
        match self {
            Self::Starting => Some(StreamState::Starting),
            Self::Waiting => Some(StreamState::Waiting),
            Self::Live => Some(StreamState::Live),
            Self::Reconnecting => Some(StreamState::Reconnecting),
            Self::Ending => Some(StreamState::Ending),
            Self::Ended | Self::Interrupted => None,
        }
    }
}

/// A stream as the API shows it.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "Stream")]
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// UUIDv7.
    pub stream_id: Uuid,
    /// The raw room.
    pub room_name: String,
    /// The viewers' room.
    pub processed_room: String,
    /// Who started it.
    pub origin: Origin,
    /// Where it stands.
    pub state: State,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Whether the dump button is pressed.
    pub covered: bool,
    /// What it did so far.
    pub statistics: Statistics,
    /// What is wrong, for a person; empty when all is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// What a stream did.
#[derive(schemars::JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Statistics {
    /// From start to end, or to now.
    pub duration_seconds: f64,
    /// Frames by what became of them.
    pub frames: Frames,
    /// Findings that counted, by class.
    pub detections: BTreeMap<String, u64>,
    /// How long frames are held, now or at the end: what the rules say, or what verdicts take.
    pub delay_ms: f64,
    /// Time from a frame's arrival to its release.
    pub added_latency_ms: Percentiles,
    /// Viewers in the processed room.
    pub viewers: Viewers,
    /// Encoded bytes received.
    pub bytes_in: u64,
    /// Encoded bytes sent.
    pub bytes_out: u64,
    /// Share of the released frames that were the source's own, bit for bit; 0 to 1.
    pub forwarded_share: f64,
    /// What decodes the stream: `software`, or `NVDEC of GPU 0`; empty before the first picture.
    pub decoder: String,
    /// What encodes it where something is covered, or did last; empty when nothing ever was.
    pub encoder: String,
}

/// Frames by what became of them.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", default)]
pub struct Frames {
    /// Received from the broadcaster.
    pub received: u64,
    /// Looked at by every detector that the rules need.
    pub analysed: u64,
    /// Released with nothing covered.
    pub clean: u64,
    /// Released with regions covered.
    pub covered: u64,
    /// Covered whole because there was no verdict in time.
    pub covered_unverified: u64,
    /// Never released: undecodable, or a queue was full.
    pub dropped: u64,
}

/// Percentiles in milliseconds; `None` before the first value.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Percentiles {
    /// Median.
    pub p50: Option<f64>,
    /// 95th.
    pub p95: Option<f64>,
    /// 99th.
    pub p99: Option<f64>,
}

/// Viewers of the processed room.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", default)]
pub struct Viewers {
    /// Now.
    pub current: u32,
    /// Most at once.
    pub peak: u32,
    /// All that ever joined.
    pub total: u32,
}

/// Who started a stream.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Somebody asked for it.
    Operator,
    /// A broadcaster's track appeared (config `livekit.autostart`). What the operator of the
    /// room's last stream said still holds: its rules, and the dump button. An operator may still
    /// start it: then it becomes theirs.
    Webhook,
}

/// What to start. Names are already validated.
#[derive(Clone, Debug)]
pub struct Start {
    /// The raw room.
    pub room: String,
    /// The broadcaster's identity for its token.
    pub participant: Option<String>,
    /// The stream's own rules, over the global ones.
    pub rules: Document,
    /// Who asks.
    pub origin: Origin,
}

/// Why a stream was not started.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// The room has a live stream already.
    #[error("room {room} has a live stream already")]
    AlreadyLive {
        /// The room.
        room: String,
        /// Its live stream.
        stream: Uuid,
    },
    /// The rules make no sense; every problem at once.
    #[error("the rules are invalid: {}", .0.join("; "))]
    Rules(Vec<String>),
    /// LiveKit refused or cannot be reached.
    #[error("livekit: {0}")]
    Livekit(String),
    /// It does not fit beside the streams that run.
    #[error("overloaded: {0}")]
    Overloaded(Refusal),
    /// Shutting down.
    #[error("the server is shutting down")]
    Closed,
}

/// The actor behind [`Manager`] is gone: the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server is shutting down")]
pub struct Closed;

/// Which stream is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The live stream of a room, or its last one.
    Room(String),
    /// A stream by id.
    Stream(Uuid),
}

/// A request to the actor behind [`Manager`].
#[derive(Debug)]
pub enum Command {
    /// Start a stream; answers once both rooms are joined.
    Start(Start, oneshot::Sender<Result<Summary, StartError>>),
    /// End a stream; answers with its final figures. `None`: unknown. Idempotent.
    End(Target, oneshot::Sender<Option<Summary>>),
    /// Live and past streams, newest first.
    List(oneshot::Sender<Vec<Summary>>),
    /// The dump button; `None`: no such live stream.
    Cover {
        /// The stream.
        stream: Uuid,
        /// On or off.
        on: bool,
        /// Whether the sound is muted too.
        mute: bool,
        /// Why, for the log.
        reason: Option<String>,
        /// The stream as it is then.
        reply: oneshot::Sender<Option<Summary>>,
    },
    /// Whether rules make sense here: every problem at once.
    CheckRules(Box<Document>, oneshot::Sender<Vec<String>>),
    /// What the rules say of a room: of its stream, or of the next one. Without feedback.
    Configured(String, oneshot::Sender<Policy>),
    /// What would hold in a room (`None`: in any) with these rules on top, or what is wrong with
    /// them.
    Preview {
        /// The raw room.
        room: Option<String>,
        /// Rules on top of the room's.
        rules: Box<Document>,
        /// In their place.
        replace: bool,
        /// All levels laid over each other and what they mean; or every problem at once.
        reply: oneshot::Sender<Result<(Document, Policy), Vec<String>>>,
    },
    /// New rules, effective at once on the streams that they are for.
    SetRules {
        /// Whose rules.
        scope: Scope,
        /// The rules, with the version that the database gave them.
        saved: Box<Saved>,
        /// They hold now.
        reply: oneshot::Sender<()>,
    },
    /// Feedback has moved a threshold in a room (`None`: back to what the rules say), effective at
    /// once on its stream.
    SetThreshold {
        /// The raw room.
        room: String,
        /// The class; `None`: all of them.
        class: Option<String>,
        /// From which score a finding counts.
        threshold: Option<f32>,
        /// The number of the change, among those of all thresholds.
        change: u64,
        /// It holds now.
        reply: oneshot::Sender<()>,
    },
    /// What another process on the same database may have changed, effective at once on the
    /// streams that it is for. Answers `false` when thresholds have changed here since they were
    /// read.
    Hear(Box<News>, oneshot::Sender<bool>),
    /// Viewers came to or left a processed room (from LiveKit's webhooks).
    Viewers {
        /// The processed room.
        room: String,
        /// The participant.
        identity: String,
        /// Came or left.
        joined: bool,
    },
    /// End every stream and stop.
    Close(oneshot::Sender<()>),
}

/// Something an operator may want to see as it happens (`GET /events`).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Event {
    /// A stream was started.
    #[serde(rename = "stream.started")]
    Started {
        /// The stream.
        stream_id: Uuid,
        /// Its raw room.
        room_name: String,
        /// Who started it.
        origin: Origin,
        /// When.
        started_at: Timestamp,
    },
    /// A stream ended.
    #[serde(rename = "stream.ended")]
    Ended {
        /// The stream.
        stream_id: Uuid,
        /// Its raw room.
        room_name: String,
        /// Who started it.
        origin: Origin,
        /// When it was started.
        started_at: Timestamp,
        /// When it ended.
        ended_at: Timestamp,
        /// What it did.
        statistics: Statistics,
        /// What was wrong; empty when all was well.
        problems: Vec<String>,
    },
    /// Something was found and covered: at once when it appears, then once a second and class.
    #[serde(rename = "detection")]
    Detection(Detection),
    /// The picture of a detection that was told of before. The picture itself is at
    /// `/censorship/events/{id}/thumbnail`.
    #[serde(rename = "thumbnail")]
    Thumbnail(Thumbnail),
    /// A detector stopped answering.
    #[serde(rename = "detector.degraded")]
    Degraded {
        /// The detector.
        detector: String,
        /// Why.
        reason: String,
    },
    /// It answers again.
    #[serde(rename = "detector.recovered")]
    Recovered {
        /// The detector.
        detector: String,
    },
}

/// The handle to all sessions.
#[derive(Clone, Debug)]
pub struct Manager {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<Event>,
}

impl Manager {
    /// A handle to an actor that reads `commands` and writes `events`.
    pub fn new(commands: mpsc::Sender<Command>, events: broadcast::Sender<Event>) -> Self {
        Self { commands, events }
    }

    /// Starts a stream; returns once both rooms are joined.
    pub async fn start(&self, start: Start) -> Result<Summary, StartError> {
        self.ask(|reply| Command::Start(start, reply)).await.unwrap_or(Err(StartError::Closed))
    }

    /// Ends a stream and returns its final figures; `None` when there never was such a stream.
    pub async fn end(&self, target: Target) -> Option<Summary> {
        self.ask(|reply| Command::End(target, reply)).await.flatten()
    }

    /// Live and past streams, newest first.
    pub async fn list(&self) -> Vec<Summary> {
        self.ask(Command::List).await.unwrap_or_default()
    }

    /// Presses or releases the dump button; `None` when there is no such live stream.
    pub async fn cover(
        &self,
        stream: Uuid,
        on: bool,
        mute: bool,
        reason: Option<String>,
    ) -> Option<Summary> {
        self.ask(|reply| Command::Cover { stream, on, mute, reason, reply }).await.flatten()
    }

    /// What is wrong with rules; empty when they make sense.
    ///
    /// # Errors
    ///
    /// When the server is shutting down.
    pub async fn check_rules(&self, rules: Document) -> Result<Vec<String>, Closed> {
        self.ask(|reply| Command::CheckRules(Box::new(rules), reply)).await.ok_or(Closed)
    }

    /// What the rules say of a room: of its stream, or of the next one. Feedback is left out.
    ///
    /// # Errors
    ///
    /// When the server is shutting down.
    pub async fn configured(&self, room: String) -> Result<Policy, Closed> {
        self.ask(|reply| Command::Configured(room, reply)).await.ok_or(Closed)
    }

    /// What would hold in a room (`None`: in a room without rules of its own) with `rules` on top:
    /// all levels laid over each other, and what they mean with what feedback has moved. With
    /// `replace` the rules stand in the place of those that are kept of the room, or of the global
    /// ones. The inner error names everything that is wrong with `rules`. Nothing changes.
    ///
    /// # Errors
    ///
    /// When the server is shutting down.
    pub async fn preview(
        &self,
        room: Option<String>,
        rules: Document,
        replace: bool,
    ) -> Result<Result<(Document, Policy), Vec<String>>, Closed> {
        let rules = Box::new(rules);
        self.ask(|reply| Command::Preview { room, rules, replace, reply }).await.ok_or(Closed)
    }

    /// Makes rules hold that the database has taken; on running streams at once. Those of a room
    /// replace what its stream was started with. Older versions than known change nothing.
    ///
    /// # Errors
    ///
    /// When the server is shutting down.
    pub async fn set_rules(&self, scope: Scope, saved: Saved) -> Result<(), Closed> {
        let saved = Box::new(saved);
        self.ask(|reply| Command::SetRules { scope, saved, reply }).await.ok_or(Closed)
    }

    /// Takes what another process on the same database may have changed; on running streams at
    /// once. Older versions of rules than known change nothing. `false`: thresholds were not taken,
    /// because they have changed here since they were read.
    ///
    /// # Errors
    ///
    /// When the server is shutting down.
    pub async fn hear(&self, news: News) -> Result<bool, Closed> {
        self.ask(|reply| Command::Hear(Box::new(news), reply)).await.ok_or(Closed)
    }

    /// Makes a threshold hold that feedback has moved, or all go back (`None`) to what the rules
    /// say; on the room's running stream at once. `change` is the number that the database gave
    /// the change.
    ///
    /// # Errors
    ///
    /// When the server is shutting down.
    pub async fn set_threshold(
        &self,
        room: String,
        class: Option<String>,
        threshold: Option<f32>,
        change: u64,
    ) -> Result<(), Closed> {
        let set = |reply| Command::SetThreshold { room, class, threshold, change, reply };
        self.ask(set).await.ok_or(Closed)
    }

    /// Counts a viewer who came or left.
    pub async fn viewer(&self, room: String, identity: String, joined: bool) {
        let _ = self.commands.send(Command::Viewers { room, identity, joined }).await;
    }

    /// Ends every stream; returns when all are over.
    pub async fn close(&self) {
        let _ = self.ask(Command::Close).await;
    }

    /// Events from now on; a reader that lags loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}
