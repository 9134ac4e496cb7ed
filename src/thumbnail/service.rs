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
                    Err(_) => {
                        metrics.global().thumbnails_dropped.inc();
                    }
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::censor::{Action, Region};
    use crate::media::{Picture, Rect};

    fn service(events: &broadcast::Sender<Event>) -> Service {
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        Service::start(events.clone(), metrics).unwrap()
    }

    fn of(id: u128) -> Thumbnail {
        let (detection_id, stream_id) = (Uuid::from_u128(id), Uuid::nil());
        Thumbnail { detection_id, stream_id, room: "stage".into(), jpeg: Arc::default() }
    }

    fn draw(draft: &Draft, action: Action) -> Order {
        let rect = Rect::new(8.0, 8.0, 16.0, 16.0);
        let covered = vec![Region { rect, action }];
        let picture = Arc::new(Picture::new(64, 48));
        Order::Draw { scene: Scene { picture, covered, focus: rect }, draft: draft.clone() }
    }

    #[test]
    fn what_was_drawn_is_told_of_and_nothing_else() {
        let (events, mut heard) = broadcast::channel(8);
        let service = service(&events);
        let (drawn, whole, never) = (Draft::default(), Draft::default(), Draft::default());
        service.order(draw(&drawn, Action::Blur));
        service.order(draw(&whole, Action::Cover));
        for (draft, id) in [(&never, 1), (&whole, 2), (&drawn, 3)] {
            service.order(Order::File { draft: draft.clone(), of: of(id) });
        }
        let Event::Thumbnail(told) = heard.blocking_recv().unwrap() else { panic!("{heard:?}") };
        assert_eq!(told.detection_id, Uuid::from_u128(3));
        assert_eq!(told.jpeg[..2], [0xff, 0xd8], "a JPEG");
        let json = serde_json::to_value(Event::Thumbnail(told)).unwrap();
        let keys = ["detectionId", "roomName", "streamId", "type"];
        assert!(json.as_object().unwrap().keys().eq(keys), "without the picture: {json}");
        assert_eq!(service.metrics.global().thumbnails.get(), 1);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (orders, _waiting) = sync_channel(QUEUE);
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        let service = Service { orders, metrics };
        for _ in 0..QUEUE + 3 {
            service.order(draw(&Draft::default(), Action::Blur));
        }
        assert_eq!(service.metrics.global().thumbnails_dropped.get(), 3);
    }
}
