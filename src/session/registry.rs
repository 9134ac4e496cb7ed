//! The actor behind [`Manager`]: which streams there are.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::memory::{Memory, Said};
use super::open::{self, Opened};
use super::status::Status;
use super::stream::{Control, End};
use super::{
    Command, Event, Manager, Origin, Settings, Start, StartError, State, Statistics, Summary,
    Target, Viewers,
};
use crate::censor::{Document, Policy};
use crate::detect;
use crate::livekit::processed_room;
use crate::pipeline::Figures;
use crate::telemetry::Metrics;

/// Requests that may wait for the actor; when full, callers wait.
const COMMANDS: usize = 64;
/// Changes to one stream that may wait for it; further ones are refused.
const CONTROLS: usize = 16;
/// Streams that are over and still remembered, newest first.
const PAST: usize = 1_000;
/// Viewers of one stream that are told apart; those beyond count as new each time.
const KNOWN_VIEWERS: usize = 100_000;

/// A stream that is starting, running or ending.
struct Entry {
    id: Uuid,
    room: String,
    started_at: Timestamp,
    status: Arc<Status>,
    figures: Arc<Figures>,
    viewers: Viewers,
    watching: HashSet<String>,
    stop: CancellationToken,
    controls: mpsc::Sender<Control>,
    origin: Origin,
    /// What its operator said, to be kept when it ends.
    said: Said,
    /// Whether both rooms were joined; `None` while that is not known.
    opened: watch::Receiver<Option<Result<(), StartError>>>,
    waiting_for_end: Vec<oneshot::Sender<Option<Summary>>>,
}

/// All streams of this process.
pub struct Registry {
    settings: Arc<Settings>,
    detect: detect::Service,
    metrics: Metrics,
    commands: mpsc::Receiver<Command>,
    events: broadcast::Sender<Event>,
    live: Vec<Entry>,
    past: VecDeque<Summary>,
    memory: Memory,
    tasks: JoinSet<(Uuid, Option<End>)>,
    /// Operators who wait until a stream that started by itself is in its rooms.
    claims: JoinSet<()>,
}

impl Registry {
    /// The handle and the actor.
    pub fn new(
        settings: Settings,
        detect: detect::Service,
        metrics: Metrics,
        events: broadcast::Sender<Event>,
    ) -> (Manager, Self) {
        let (commands_in, commands) = mpsc::channel(COMMANDS);
        let manager = Manager::new(commands_in, events.clone());
        let registry = Self {
            settings: Arc::new(settings),
            detect,
            metrics,
            commands,
            events,
            live: Vec::new(),
            past: VecDeque::new(),
            memory: Memory::default(),
            tasks: JoinSet::new(),
            claims: JoinSet::new(),
        };
        (manager, registry)
    }

    /// Runs until told to close, then ends every stream. When `stop` fires, streams end too.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut closing: Vec<oneshot::Sender<()>> = Vec::new();
        let mut stopping = false;
        loop {
            if stopping && self.tasks.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.stop_all();
                }
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                Some(_) = self.claims.join_next() => {}
                command = self.commands.recv() => match command {
                    Some(Command::Close(reply)) => {
                        closing.push(reply);
                        stopping = true;
                        self.stop_all();
                    }
                    Some(Command::Start(_, reply)) if stopping => {
                        let _ = reply.send(Err(StartError::Closed));
                    }
                    Some(command) => self.apply(command),
                    None => {
                        stopping = true;
                        self.stop_all();
                        self.drain().await;
                    }
                },
            }
        }
        for reply in closing {
            let _ = reply.send(());
        }
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            self.ended(ended);
        }
    }

    fn stop_all(&self) {
        for entry in &self.live {
            entry.status.ending();
            entry.stop.cancel();
        }
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Start(start, reply) => self.start(start, reply),
            Command::End(target, reply) => self.end(&target, reply),
            Command::List(reply) => {
                let live = self.live.iter().rev().map(Entry::summary);
                let _ = reply.send(live.chain(self.past.iter().cloned()).collect());
            }
            Command::Cover { stream, on, mute, reason, reply } => {
                let _ = reply.send(self.cover(stream, on, mute, reason.as_deref()));
            }
            Command::Viewers { room, identity, joined } => self.viewer(&room, &identity, joined),
            Command::Close(reply) => {
                let _ = reply.send(());
            }
        }
    }

    fn start(&mut self, start: Start, reply: oneshot::Sender<Result<Summary, StartError>>) {
        let problems = start.rules.check(&self.detect.classes());
        if !problems.is_empty() {
            let _ = reply.send(Err(StartError::Rules(problems)));
            return;
        }
        let said = match start.origin {
            Origin::Operator => Said { rules: start.rules, cover: None },
            Origin::Webhook => self.memory.recall(&start.room),
        };
        let policy = Arc::new(self.settings.policy(&said.rules));
        if let Some(entry) = self.live.iter_mut().find(|e| e.room == start.room) {
            if (entry.origin, start.origin) == (Origin::Webhook, Origin::Operator) {
                let claim = entry.claim(said.rules, policy, reply);
                self.claims.spawn(claim);
            } else {
                let (room, stream) = (start.room, entry.id);
                let _ = reply.send(Err(StartError::AlreadyLive { room, stream }));
            }
            return;
        }
        let (controls_in, controls) = mpsc::channel(CONTROLS);
        let (opened_in, opened) = watch::channel(None);
        let entry = Entry {
            id: Uuid::now_v7(),
            room: start.room,
            started_at: Timestamp::now(),
            status: Arc::default(),
            figures: Arc::default(),
            viewers: Viewers::default(),
            watching: HashSet::new(),
            stop: CancellationToken::new(),
            controls: controls_in,
            origin: start.origin,
            said,
            opened,
            waiting_for_end: Vec::new(),
        };
        let opening = open::Opening {
            spec: super::Spec {
                id: entry.id,
                room: entry.room.clone(),
                watch: self.settings.watch,
            },
            policy,
            settings: self.settings.clone(),
            detect: self.detect.clone(),
            metrics: self.metrics.clone(),
            events: self.events.clone(),
            status: entry.status.clone(),
            figures: entry.figures.clone(),
            controls,
        };
        entry.cover_again();
        let (id, stop, events) = (entry.id, entry.stop.clone(), self.events.clone());
        let mut summary = entry.summary();
        let status = entry.status.clone();
        self.live.push(entry);
        self.tasks.spawn(async move {
            match opening.open(&stop).await {
                Ok(Opened { stream, rooms }) => {
                    let room_name = summary.room_name.clone();
                    (summary.state, summary.problems) = status.read();
                    tracing::info!(stream_id = %id, room = room_name, "stream started");
                    let _ = events.send(Event::Started { stream_id: id, room_name });
                    opened_in.send_replace(Some(Ok(())));
                    let _ = reply.send(Ok(summary));
                    let end = stream.run(stop).await;
                    rooms.leave().await;
                    (id, Some(end))
                }
                Err(error) => {
                    tracing::warn!(stream_id = %id, room = summary.room_name, %error, "stream not started");
                    opened_in.send_replace(Some(Err(error.clone())));
                    let _ = reply.send(Err(error));
                    (id, None)
                }
            }
        });
        self.gauge();
    }

    fn end(&mut self, target: &Target, reply: oneshot::Sender<Option<Summary>>) {
        let is_it = |id: Uuid, room: &str| match target {
            Target::Room(name) => name == room,
            Target::Stream(stream) => *stream == id,
        };
        if let Some(entry) = self.live.iter_mut().find(|e| is_it(e.id, &e.room)) {
            entry.status.ending();
            entry.stop.cancel();
            entry.waiting_for_end.push(reply);
            return;
        }
        let past = self.past.iter().find(|s| is_it(s.stream_id, &s.room_name));
        let _ = reply.send(past.cloned());
    }

    fn ended(&mut self, ended: Result<(Uuid, Option<End>), tokio::task::JoinError>) {
        let (id, end) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a stream's task died");
                return self.bury_the_dead();
            }
        };
        let Some(at) = self.live.iter().position(|e| e.id == id) else { return };
        let mut entry = self.live.remove(at);
        self.memory.keep(entry.room.clone(), std::mem::take(&mut entry.said));
        self.gauge();
        // Never started: it leaves no trace.
        let Some(end) = end else {
            for reply in entry.waiting_for_end {
                let _ = reply.send(None);
            }
            return;
        };
        let mut summary = entry.summary();
        (summary.state, summary.ended_at) = (State::Ended, Some(Timestamp::now()));
        if let End::Lost(reason) = end {
            tracing::error!(stream_id = %id, room = summary.room_name, reason, "stream lost");
            summary.problems.push(reason);
        }
        tracing::info!(stream_id = %id, room = summary.room_name, statistics = ?summary.statistics, "stream ended");
        let _ = self.events.send(Event::Ended {
            stream_id: id,
            room_name: summary.room_name.clone(),
            statistics: summary.statistics.clone(),
        });
        for reply in entry.waiting_for_end {
            let _ = reply.send(Some(summary.clone()));
        }
        self.past.push_front(summary);
        self.past.truncate(PAST);
    }

    /// A task that panicked cannot say which stream it was: its control channel is closed.
    fn bury_the_dead(&mut self) {
        let dead: Vec<Uuid> =
            self.live.iter().filter(|e| e.controls.is_closed()).map(|e| e.id).collect();
        for id in dead {
            self.ended(Ok((id, Some(End::Lost("the stream's task died; see the log".into())))));
        }
    }

    fn cover(
        &mut self,
        stream: Uuid,
        on: bool,
        mute: bool,
        reason: Option<&str>,
    ) -> Option<Summary> {
        let entry = self.live.iter_mut().find(|e| e.id == stream)?;
        entry.controls.try_send(Control::Cover { on, mute }).ok()?;
        entry.status.covering(on);
        entry.said.cover = on.then_some(mute);
        tracing::info!(stream_id = %stream, room = entry.room, on, mute, reason, "dump button");
        Some(entry.summary())
    }

    fn viewer(&mut self, processed: &str, identity: &str, joined: bool) {
        let Some(entry) = self.live.iter_mut().find(|e| processed_room(&e.room) == processed)
        else {
            return;
        };
        if joined {
            if entry.watching.len() < KNOWN_VIEWERS && entry.watching.insert(identity.to_owned()) {
                entry.viewers.total += 1;
            }
        } else {
            entry.watching.remove(identity);
        }
        entry.viewers.current = u32::try_from(entry.watching.len()).unwrap_or(u32::MAX);
        entry.viewers.peak = entry.viewers.peak.max(entry.viewers.current);
    }

    fn gauge(&self) {
        self.metrics.active_streams().set(i64::try_from(self.live.len()).unwrap_or(i64::MAX));
    }
}

impl Entry {
    /// Presses the dump button of a new stream that was pressed in the room's last one. The
    /// stream reads its controls before its first frame.
    fn cover_again(&self) {
        if let Some(mute) = self.said.cover {
            let _ = self.controls.try_send(Control::Cover { on: true, mute });
            self.status.covering(true);
        }
    }

    /// An operator starts a stream that a webhook has started already: it becomes theirs, with
    /// their rules. The answer comes when it is in both rooms.
    fn claim(
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

    fn summary(&self) -> Summary {
        let (state, problems) = self.status.read();
        let lasted = Timestamp::now().duration_since(self.started_at);
        Summary {
            stream_id: self.id,
            room_name: self.room.clone(),
            processed_room: processed_room(&self.room),
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
