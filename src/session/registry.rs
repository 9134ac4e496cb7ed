//! The actor behind [`Manager`]: which streams there are.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::admission::{Presence, Refusal, admit};
use super::entry::{Course, Entry, NotStarted};
use super::load::Load;
use super::memory::{Memory, Said};
use super::open::{self, Opened};
use super::rulebook::Rulebook;
use super::stream::{Control, End};
use super::{
    Command, Event, Manager, Origin, Settings, Start, StartError, State, Summary, Target, Viewers,
};
use crate::detect;
use crate::livekit::processed_room;
use crate::media::clock;
use crate::runtime::Permits;
use crate::store::Journal;
use crate::telemetry::Metrics;
use crate::telemetry::trace::Milestone;

mod words;

/// Requests that may wait for the actor; when full, callers wait.
const COMMANDS: usize = 64;
/// Changes to one stream that may wait for it; further ones are refused.
const CONTROLS: usize = 16;
/// Streams that are over and still remembered, newest first.
const PAST: usize = 1_000;

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
    rulebook: Rulebook,
    journal: Option<Journal>,
    /// How many streams may encode at a time: half of the processors, so that however much is to be
    /// covered, the other half is left for verifying.
    encoders: Arc<Permits>,
    /// What this machine does; changes once a second.
    load: watch::Receiver<Load>,
    tasks: JoinSet<(Uuid, Course)>,
    /// Operators who wait until a stream that started by itself is in its rooms.
    claims: JoinSet<()>,
}

impl Registry {
    /// The handle and the actor. `load` is the machine's, from [`super::Sampler`].
    pub fn new(
        settings: Settings,
        detect: detect::Service,
        metrics: Metrics,
        events: broadcast::Sender<Event>,
        load: watch::Receiver<Load>,
    ) -> (Manager, Self) {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
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
            rulebook: Rulebook::default(),
            journal: None,
            encoders: Arc::new(Permits::new(processors / 2)),
            load,
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
                Ok(()) = self.load.changed() => self.look(),
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
            Command::CheckRules(rules, reply) => {
                let _ = reply.send(crate::pipeline::problems(&rules, &self.detect));
            }
            Command::Configured(room, reply) => {
                let _ = reply.send(self.configured(&room, &self.said(&room).rules));
            }
            Command::Preview { room, rules, replace, reply } => {
                let _ = reply.send(self.preview(&room.unwrap_or_default(), &rules, replace));
            }
            Command::SetRules { scope, saved, reply } => {
                self.set_rules(scope, *saved);
                let _ = reply.send(());
            }
            Command::Hear(news, reply) => {
                let _ = reply.send(self.hear(*news));
            }
            Command::SetThreshold { room, class, threshold, change, reply } => {
                self.rulebook.set_threshold(&room, class.as_deref(), threshold, change);
                self.tell(|entry| entry.room == room);
                let _ = reply.send(());
            }
            Command::Viewers { room, identity, joined } => self.viewer(&room, &identity, joined),
            Command::Close(reply) => {
                let _ = reply.send(());
            }
        }
    }

    fn start(&mut self, start: Start, reply: oneshot::Sender<Result<Summary, StartError>>) {
        let problems = crate::pipeline::problems(&start.rules, &self.detect);
        if !problems.is_empty() {
            let _ = reply.send(Err(StartError::Rules(problems)));
            return;
        }
        let said = match start.origin {
            Origin::Operator => Said { rules: start.rules, cover: None },
            Origin::Webhook => self.memory.recall(&start.room),
        };
        let policy = Arc::new(self.policy(&start.room, &said.rules));
        if let Some(entry) = self.live.iter_mut().find(|e| e.room == start.room) {
            if (entry.origin, start.origin) == (Origin::Webhook, Origin::Operator) {
                let claim = entry.claim(said.rules, policy, reply);
                self.claims.spawn(claim);
                self.keep(&start.room);
            } else {
                let (room, stream) = (start.room, entry.id);
                let _ = reply.send(Err(StartError::AlreadyLive { room, stream }));
            }
            return;
        }
        if let Err(refusal) = self.admit() {
            tracing::warn!(room = start.room, origin = ?start.origin, %refusal, "stream refused");
            self.metrics.streams_refused(refusal.label()).inc();
            let _ = reply.send(Err(StartError::Overloaded(refusal)));
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
            presence: Presence::default(),
            shown: None,
            untold: false,
        };
        let began = (clock::now(), SystemTime::now());
        let trace = self.settings.tracer.stream(entry.id.as_u128(), &entry.room, began);
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
            encoders: self.encoders.clone(),
            trace: trace.clone(),
        };
        entry.cover_again();
        let (id, stop, events) = (entry.id, entry.stop.clone(), self.events.clone());
        let mut summary = entry.summary();
        let status = entry.status.clone();
        let room = entry.room.clone();
        self.live.push(entry);
        self.keep(&room);
        self.tasks.spawn(async move {
            match opening.open(&stop).await {
                Ok(Opened { stream, rooms }) => {
                    let room_name = summary.room_name.clone();
                    (summary.state, summary.problems) = status.read();
                    trace.reach(Milestone::Joined, clock::now());
                    tracing::info!(stream_id = %id, room = room_name, "stream started");
                    let (origin, started_at) = (summary.origin, summary.started_at);
                    let started = Event::Started { stream_id: id, room_name, origin, started_at };
                    let _ = events.send(started);
                    opened_in.send_replace(Some(Ok(())));
                    let _ = reply.send(Ok(summary));
                    let end = stream.run(stop).await;
                    rooms.leave().await;
                    trace.end(end.reason(), clock::now());
                    (id, Course::Ended(end))
                }
                Err(error) => {
                    tracing::warn!(stream_id = %id, room = summary.room_name, %error, "stream not started");
                    trace.end(Some(&error.to_string()), clock::now());
                    (id, Course::NotStarted(NotStarted { error, opened: opened_in, reply }))
                }
            }
        });
        self.gauge();
    }

    /// Whether one more stream fits.
    fn admit(&self) -> Result<(), Refusal> {
        let now = clock::now();
        let missing: Vec<f64> = self.live.iter().map(|e| e.presence.missing(now)).collect();
        admit(&self.load.borrow(), &missing, &self.settings.limits)
    }

    /// Sees which streams have frames: those are in the figures.
    fn look(&mut self) {
        let now = clock::now();
        for entry in &mut self.live {
            entry.presence.observe(entry.figures.received.load(Relaxed), now);
            let live = entry.status.read().0 == State::Live;
            entry.shown = match entry.shown.take() {
                None if live => Some(self.metrics.room(&entry.room).live()),
                shown => shown.filter(|_| live),
            };
        }
        self.gauge();
        self.tell(|entry| entry.untold);
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

    fn ended(&mut self, ended: Result<(Uuid, Course), tokio::task::JoinError>) {
        let (id, course) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a stream's task died");
                return self.bury_the_dead();
            }
        };
        let Some(at) = self.live.iter().position(|e| e.id == id) else { return };
        let mut entry = self.live.remove(at);
        let said = std::mem::take(&mut entry.said);
        self.memory.keep(entry.room.clone(), said, Timestamp::now());
        self.gauge();
        let end = match course {
            Course::Ended(end) => end,
            // It leaves no trace.
            Course::NotStarted(failed) => {
                for reply in entry.waiting_for_end {
                    let _ = reply.send(None);
                }
                return failed.tell();
            }
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
            origin: summary.origin,
            started_at: summary.started_at,
            ended_at: summary.ended_at.unwrap_or(summary.started_at),
            statistics: summary.statistics.clone(),
            problems: summary.problems.clone(),
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
            let end = End::Lost("the stream's task died; see the log".into());
            self.ended(Ok((id, Course::Ended(end))));
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
        let summary = entry.summary();
        self.keep(&summary.room_name);
        Some(summary)
    }

    fn viewer(&mut self, processed: &str, identity: &str, joined: bool) {
        let Some(entry) = self.live.iter_mut().find(|e| processed_room(&e.room) == processed)
        else {
            return;
        };
        entry.viewer(identity, joined);
    }

    fn gauge(&self) {
        self.metrics.active_streams().set(i64::try_from(self.live.len()).unwrap_or(i64::MAX));
        self.metrics.set_streams(self.live.iter().filter_map(|e| e.status.read().0.label()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::censor::Document;
    use crate::detect::{Detector, Error, Finding, Model, Opened};
    use crate::livekit::Credentials;
    use crate::media::Picture;
    use crate::pipeline::Watch;
    use crate::runtime::{Exit, Supervisor};
    use crate::session::{Kept, Limits};
    use crate::store::{Saved, Scope};
    use crate::telemetry::trace::Tracer;

    /// A model that finds nothing.
    struct Blind;

    impl Model for Blind {
        fn name(&self) -> &str {
            "blind"
        }

        fn bucket(&self, _: &Arc<Picture>) -> u32 {
            0
        }

        fn open(&self) -> Result<Opened, Error> {
            let (detector, provider) = (Box::new(Self), "script".into());
            Ok(Opened { detector, provider, fallback: None, batches: false, classes: Vec::new() })
        }
    }

    impl Detector for Blind {
        fn detect(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, Error> {
            Ok(pictures.iter().map(|_| Vec::new()).collect())
        }
    }

    fn settings(limits: Limits) -> Settings {
        Settings {
            credentials: Credentials {
                url: "ws://127.0.0.1:1".into(),
                api_key: "key".into(),
                api_secret: "secret".into(),
            },
            watch: Watch {
                max_gap: Duration::from_millis(200),
                track: crate::track::Config::default(),
            },
            rules: Document::default(),
            enabled: true,
            limits,
            tracer: Tracer::default(),
            thumbnails: None,
            engines: crate::media::Engines::default(),
        }
    }

    #[test]
    fn with_censorship_off_neither_regions_nor_words_are_covered() {
        let rules: Document = serde_json::from_str(
            r#"{"classes": {"FACE_FEMALE": {}}, "text": {"enabled": true, "words": ["damn"]}}"#,
        )
        .unwrap();
        let limits = Limits { max_cpu: 0.0, max_streams: 1, stream_cpu: 0.1, looks: 5.0 };
        let on = settings(limits).policy(&rules);
        assert!(!on.classes.is_empty() && on.text.is_some());
        let off = Settings { enabled: false, ..settings(limits) }.policy(&rules);
        assert!(off.classes.is_empty() && off.text.is_none());
    }

    #[tokio::test]
    async fn rules_are_tried_over_what_is_kept_or_in_its_place() {
        let limits = Limits { max_cpu: 0.0, max_streams: 1, stream_cpu: 0.1, looks: 5.0 };
        let config = detect::Config { workers: 1, ..detect::Config::default() };
        let detect = detect::Service::start_with(&config, vec![Arc::new(Blind)], |_| {}).unwrap();
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        let (_load, load) = watch::channel(Load::default());
        let events = broadcast::Sender::new(4);
        let below = Settings {
            rules: document(r#"{"classes": {"FACE_FEMALE": {"threshold": 0.3}}}"#),
            ..settings(limits)
        };
        let (_, registry) = Registry::new(below, detect, metrics, events, load);
        let saved = |text| Saved { version: 1, document: Some(document(text)) };
        let registry = registry.recall(Kept {
            rules: vec![
                (Scope::Global, saved(r#"{"padding": 0.3}"#)),
                (Scope::Room("stage".into()), saved(r#"{"delayMs": 900}"#)),
            ],
            thresholds: vec![("stage".into(), "FACE_FEMALE".into(), 0.6)],
            ..Kept::default()
        });
        let tried = |room, replace| {
            let (all, policy) =
                registry.preview(room, &document(r#"{"mode": "instant"}"#), replace).unwrap();
            (policy.padding, all.delay_ms.is_some(), policy.classes["FACE_FEMALE"].0, policy.mode)
        };
        let instant = crate::censor::Mode::Instant;
        assert_eq!(tried("stage", false), (0.3, true, 0.6, instant), "over all that is kept");
        assert_eq!(tried("stage", true), (0.3, false, 0.6, instant), "instead of the room's own");
        assert_eq!(tried("", false), (0.3, false, 0.3, instant), "over the global ones");
        let (padding, ..) = tried("", true);
        assert!(padding != 0.3, "instead of the global ones");
    }

    fn document(text: &str) -> Document {
        serde_json::from_str(text).unwrap()
    }

    fn start(room: &str, origin: Origin) -> Start {
        Start { room: room.into(), participant: None, rules: Document::default(), origin }
    }

    #[tokio::test]
    async fn what_does_not_fit_leaves_nothing_and_what_runs_already_is_not_refused() {
        let limits = Limits { max_cpu: 0.0, max_streams: 1, stream_cpu: 0.1, looks: 5.0 };
        let config = detect::Config { workers: 1, ..detect::Config::default() };
        let detect = detect::Service::start_with(&config, vec![Arc::new(Blind)], |_| {}).unwrap();
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        let events = broadcast::Sender::new(4);
        let (_load, load) = watch::channel(Load::default());
        let (manager, registry) =
            Registry::new(settings(limits), detect, metrics.clone(), events, load);
        // Nobody listens at LiveKit's address: a start that is let in fails there.
        let mut tasks = Supervisor::new(CancellationToken::new());
        let by = |room, origin| manager.start(start(room, origin));
        let (first, other, claim, ()) = tokio::join!(
            by("stage", Origin::Webhook),
            by("other", Origin::Operator),
            by("stage", Origin::Operator),
            async {
                tasks.spawn("sessions", |stop| async {
                    registry.run(stop).await;
                    Exit::Finished
                });
            }
        );
        assert!(matches!(first, Err(StartError::Livekit(_))), "{first:?}");
        assert!(
            matches!(other, Err(StartError::Overloaded(Refusal::Streams { max: 1 }))),
            "{other:?}"
        );
        assert!(matches!(claim, Err(StartError::Livekit(_))), "{claim:?}");
        assert_eq!(metrics.streams_refused(crate::telemetry::Refused::Streams).get(), 1);
        assert!(manager.list().await.is_empty());
        // Nothing of what failed stands in the way, however soon it is tried again.
        for _ in 0..20 {
            let again = by("stage", Origin::Operator).await;
            assert!(matches!(again, Err(StartError::Livekit(_))), "{again:?}");
            assert!(manager.list().await.is_empty());
        }
        manager.close().await;
    }
}
