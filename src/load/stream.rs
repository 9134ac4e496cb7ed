//! One stream: its broadcaster and its viewers brought into their rooms.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiError};
use super::broadcaster::Broadcaster;
use super::channel::Channel;
use super::clip::Clip;
use super::index::Index;
use super::sends::Sends;
use super::viewer::Viewer;
use crate::livekit::token::{Grant, Role};
use crate::livekit::{Credentials, Entrance, Whom, publish, subscribe};
use crate::runtime::{Exit, Supervisor};

/// The broadcaster's identity.
const BROADCASTER: &str = "load-broadcaster";

/// Steps of the golden ratio never bunch: they keep the keyframes of any number of streams apart.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// What all streams have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) clip: Arc<Clip>,
    pub(super) index: Arc<Index>,
    pub(super) credentials: Credentials,
    /// The Scrim that starts the streams; without one viewers share the broadcasters' rooms.
    pub(super) api: Option<Api>,
    pub(super) rules: Option<Value>,
    /// What room names begin with.
    pub(super) prefix: String,
    pub(super) viewers: usize,
    pub(super) sound: bool,
}

/// A stream that runs.
#[derive(Debug)]
pub(super) struct Live {
    /// 1 for the first.
    pub(super) number: u32,
    /// The broadcaster's room.
    pub(super) room: String,
    /// Scrim's name of it.
    pub(super) stream_id: Option<String>,
    pub(super) channel: Arc<Channel>,
    /// Pictures that count: from this number to below that.
    pub(super) window: (u64, u64),
}

impl Common {
    /// Starts a stream. Its tasks run in `tasks`; the broadcaster stops sending with `quiet`.
    ///
    /// # Errors
    ///
    /// When Scrim refuses it, or cannot be reached.
    pub(super) async fn start(
        &self,
        number: u32,
        tasks: &mut Supervisor,
        quiet: &CancellationToken,
    ) -> Result<Live, ApiError> {
        let room = format!("{}-{number}", self.prefix);
        let (entrance, viewers_room, stream_id) = match &self.api {
            Some(api) => {
                let started = api.start(&room, BROADCASTER, self.rules.as_ref()).await?;
                let entrance = Entrance::with_token(&self.credentials.url, &room, started.token);
                (entrance, started.processed_room, Some(started.stream_id))
            }
            None => {
                let grant = Grant::new(Role::Broadcaster, &room, BROADCASTER);
                let entrance = Entrance::signed(self.credentials.clone(), grant);
                (entrance, room.clone(), None)
            }
        };
        let keyframes: Vec<usize> = self.clip.keyframes().collect();
        let first = keyframes[number as usize % keyframes.len()];
        let sends = Sends::new(self.clip.frames.len(), first, fastrand::u32(..));
        let channel = Arc::new(Channel::new(sends, self.viewers));
        for viewer in 0..self.viewers {
            self.watch(viewer, &viewers_room, &channel, tasks);
        }
        self.broadcast(number, entrance, &channel, (tasks, quiet));
        Ok(Live { number, room, stream_id, channel, window: (0, 0) })
    }

    fn watch(&self, number: usize, room: &str, channel: &Arc<Channel>, tasks: &mut Supervisor) {
        let grant = Grant::new(Role::Viewer, room, format!("load-viewer-{}", number + 1));
        let entrance = Entrance::signed(self.credentials.clone(), grant);
        let (incoming, commands, actor) = subscribe::new(entrance, Whom::Everyone);
        let (index, channel) = (Arc::clone(&self.index), Arc::clone(channel));
        let viewer = Viewer { index, channel, number, incoming, commands };
        tasks.spawn(format!("viewer {} of {room}", number + 1), |stop| async move {
            tokio::join!(actor.run(stop), viewer.run());
            Exit::Finished
        });
    }

    fn broadcast(
        &self,
        number: u32,
        entrance: Entrance,
        channel: &Arc<Channel>,
        (tasks, quiet): (&mut Supervisor, &CancellationToken),
    ) {
        let room = entrance.room.clone();
        let (outgoing, downstream, actor) = publish::new(entrance);
        let share = (f64::from(number) * GOLDEN).fract();
        let broadcaster = Broadcaster {
            clip: Arc::clone(&self.clip),
            channel: Arc::clone(channel),
            outgoing,
            downstream,
            sound: self.sound,
            phase: self.clip.longest_group().mul_f64(share),
        };
        let quiet = quiet.clone();
        tasks.spawn(format!("broadcaster of {room}"), |stop| async move {
            tokio::join!(actor.run(stop), broadcaster.run(&quiet));
            Exit::Finished
        });
    }
}
