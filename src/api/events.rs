//! `GET /events`: what happens, as it happens, with ids to go on from after a break.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::State;
use super::access::Operator;
use super::error::Problem;
use crate::runtime::Exit;
use crate::session::Event;

/// Events that are kept for readers who come back, and that a slow reader may lag behind. What is
/// older is lost to them, and they are told.
const KEPT: usize = 256;

/// Most readers at once; further ones are refused.
const READERS_MAX: usize = 64;

/// How often a silent stream says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events with their numbers, and their readers.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Tells this process's numbers from those of the one before.
    epoch: String,
    recent: Mutex<Recent>,
    live: broadcast::Sender<Arc<Item>>,
    readers: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Recent {
    last: u64,
    items: VecDeque<Arc<Item>>,
}

#[derive(Debug)]
struct Item {
    number: u64,
    json: String,
    kind: String,
}

/// Numbers the manager's events; runs under the supervisor.
#[derive(Debug)]
pub struct FeedActor {
    events: broadcast::Receiver<Event>,
    feed: Feed,
}

impl Feed {
    /// The feed of `events`, and the actor that fills it.
    pub fn new(events: broadcast::Receiver<Event>) -> (Self, FeedActor) {
        let feed = Self(Arc::new(Inner {
            epoch: Uuid::now_v7().simple().to_string(),
            recent: Mutex::default(),
            live: broadcast::Sender::new(KEPT),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
        }));
        (feed.clone(), FeedActor { events, feed })
    }

    fn publish(&self, event: &Event) {
        let Ok(value) = serde_json::to_value(event) else { return };
        let kind = value["type"].as_str().unwrap_or("event").to_owned();
        let mut recent = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.last += 1;
        let item = Arc::new(Item { number: recent.last, json: value.to_string(), kind });
        if recent.items.len() == KEPT {
            recent.items.pop_front();
        }
        recent.items.push_back(item.clone());
        // Under the lock, so that a reader who joins misses none and gets none twice. No reader at
        // all is no error.
        let _ = self.0.live.send(item);
    }

    /// Everything after the event that `last` names (nothing without one), and all that follows.
    fn join(&self, last: Option<&str>) -> (VecDeque<Arc<Item>>, broadcast::Receiver<Arc<Item>>) {
        let recent = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.0.live.subscribe();
        let Some(last) = last else { return (VecDeque::new(), live) };
        let known =
            last.strip_prefix(self.0.epoch.as_str()).and_then(|rest| rest.strip_prefix('-'));
        // An id of another process: all that is kept is news to this reader.
        let after = known.and_then(|number| number.parse().ok()).unwrap_or(0);
        (recent.items.iter().filter(|item| item.number > after).cloned().collect(), live)
    }

    fn encode(&self, item: &Item) -> sse::Event {
        let id = format!("{}-{}", self.0.epoch, item.number);
        sse::Event::default().id(id).event(&item.kind).data(&item.json)
    }
}

impl FeedActor {
    /// Runs until `stop` or until the manager is gone.
    pub async fn run(mut self, stop: CancellationToken) -> Exit {
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                event = self.events.recv() => event,
            };
            match event {
                Ok(event) => self.feed.publish(&event),
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    tracing::warn!(lost, "more events than could be numbered");
                }
                Err(broadcast::error::RecvError::Closed) => return Exit::Finished,
            }
        }
    }
}

pub(super) async fn events(
    Extract(state): Extract<State>,
    _: Operator,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let feed = state.feed().clone();
    let Ok(permit) = feed.0.readers.clone().try_acquire_owned() else {
        return Err(Problem::unavailable(format!("{READERS_MAX} readers of events are connected")));
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (missed, live) = feed.join(last);
    let reader = Reader { feed, missed, live, stop: state.stop().clone(), _permit: permit };
    let stream = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Reader {
    feed: Feed,
    missed: VecDeque<Arc<Item>>,
    live: broadcast::Receiver<Arc<Item>>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// `None` ends the stream: the server stops.
    async fn next(&mut self) -> Option<sse::Event> {
        if let Some(item) = self.missed.pop_front() {
            return Some(self.feed.encode(&item));
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            item = self.live.recv() => match item {
                Ok(item) => Some(self.feed.encode(&item)),
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    let data = serde_json::json!({ "type": "events.lost", "count": lost });
                    Some(sse::Event::default().event("events.lost").data(data.to_string()))
                }
                Err(broadcast::error::RecvError::Closed) => None,
            }
        }
    }
}
