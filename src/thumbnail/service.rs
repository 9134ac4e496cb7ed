//! The queue before the one thread that draws, and that thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;

use super::Scene;
use crate::runtime::Thread;
use crate::session::Event;
use crate::store::Thumbnail;
use crate::telemetry::Metrics;

/// Orders that may wait; then further ones are dropped and counted. Each may hold a picture: 44 MB
/// of 720p at most.
const QUEUE: usize = 32;

/// A thumbnail that is drawn before it is known whether anybody is told of what it shows. Empty
/// until then, and for ever when its order was dropped.
pub(crate) type Draft = Arc<OnceLock<Arc<[u8]>>>;

/// What the thread does next.
#[derive(Debug)]
pub(crate) enum Order {
    /// Draw a thumbnail.
    Draw {
        /// From this.
        scene: Scene,
        /// Into this.
        draft: Draft,
    },
    /// Tell of a thumbnail that was drawn: its detection was told of.
    File {
        /// The thumbnail.
        draft: Draft,
        /// What it is of; the picture is added.
        of: Thumbnail,
    },
}

/// Takes orders; cheap to clone. The thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct Service {
    orders: SyncSender<Order>,
    metrics: Metrics,
}

impl Service {
    /// Starts the thread, which tells of each thumbnail through `events`.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub fn start(events: broadcast::Sender<Event>, metrics: Metrics) -> std::io::Result<Self> {
        let (orders, waiting) = sync_channel(QUEUE);
        let counted = metrics.clone();
        Thread::spawn_yielding("thumbnail", move || run(&waiting, &events, &counted))?;
        Ok(Self { orders, metrics })
    }

    /// Hands an order over. Never waits: see [`QUEUE`].
    pub(crate) fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            self.metrics.global().thumbnails_dropped.inc();
        }
    }
}

fn run(orders: &Receiver<Order>, events: &broadcast::Sender<Event>, metrics: &Metrics) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Draw { scene, draft } => {
                // One picture that cannot be drawn is no reason to draw no other.
                match catch_unwind(AssertUnwindSafe(|| scene.draw())) {
                    Ok(Some(jpeg)) => drop(draft.set(jpeg.into())),
                    Ok(None) => {}
                    Err(_) => drop(metrics.global().thumbnails_dropped.inc()),
                }
            }
            Order::File { draft, of } => {
                if let Some(jpeg) = draft.get() {
                    metrics.global().thumbnails.inc();
                    // Nobody listens while the server stops.
                    let _ = events.send(Event::Thumbnail(Thumbnail { jpeg: jpeg.clone(), ..of }));
                }
            }
        }
    }
}
