//! The writer: what it is told is kept, also when the database was away.

use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::censor::Document;
use crate::runtime::Supervisor;
use crate::session::{Command, Event, Manager, Summary};
use crate::telemetry::Metrics;

struct Bench {
    store: Store,
    journal: Journal,
    events: broadcast::Sender<Event>,
    tasks: Supervisor,
}

/// A journal beside a manager that runs `streams`.
fn bench(store: &Store, streams: Vec<Summary>) -> Bench {
    let mut tasks = Supervisor::new(CancellationToken::new());
    let (commands, mut inbox) = mpsc::channel(8);
    let events = broadcast::Sender::new(64);
    let manager = Manager::new(commands, events.clone());
    tasks.spawn("manager", |_| async move {
        while let Some(command) = inbox.recv().await {
            if let Command::List(reply) = command {
                let _ = reply.send(streams.clone());
            }
        }
        crate::runtime::Exit::Finished
    });
    let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
    let (journal, actor) = Journal::new(store.clone(), manager, metrics, true);
    tasks.spawn("journal", |stop| actor.run(stop));
    Bench { store: store.clone(), journal, events, tasks }
}

/// Waits until it is so; a test that never gets there ends with its runner's limit.
async fn until(so: impl AsyncFn() -> bool) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn started(one: &Record) -> Event {
    let (stream_id, room_name) = (one.id, one.room.clone());
    Event::Started { stream_id, room_name, origin: one.origin, started_at: one.started_at }
}

fn over(one: &Record) -> Event {
    Event::Ended {
        stream_id: one.id,
        room_name: one.room.clone(),
        origin: one.origin,
        started_at: one.started_at,
        ended_at: one.ended_at.unwrap(),
        statistics: one.statistics.clone(),
        problems: one.problems.clone(),
    }
}

#[tokio::test]
async fn what_happens_is_kept_and_the_last_of_it_at_the_end() {
    each_store(async |store| {
        let mut one = ended(stream("stage", 1_000, 1_000), 9_000);
        (one.statistics.viewers.peak, one.statistics.viewers.total) = (3, 5);
        let mut bench = bench(store, Vec::new());
        bench.events.send(started(&one)).unwrap();
        bench.events.send(Event::Detection(detection(&one, "A", 2_000))).unwrap();
        bench.journal.webhook("EV_1");
        bench.journal.audit(
            "olga",
            "stream.cover",
            "stage",
            Change::is(serde_json::json!({ "on": true })),
        );
        let room = "stage".to_owned();
        let said =
            Remembered { room, rules: Document::default(), cover: Some(true), at: time(3_000) };
        bench.journal.room(said.clone());
        let kept = async || {
            let known = store.stream(one.id).await.unwrap();
            known.is_some_and(|known| known.state == State::Live && known.events == 1)
        };
        until(kept).await;
        assert_eq!(store.webhooks_since(time(0), 9).await.unwrap(), ["EV_1"]);
        assert_eq!(store.remembered(9).await.unwrap(), [said]);
        let lines = store.audit(&AuditFilter { limit: 9, ..AuditFilter::default() }).await.unwrap();
        assert_eq!(lines[0].action, "stream.cover");
        // Told in the same moment as the stop.
        bench.events.send(over(&one)).unwrap();
        assert!(bench.tasks.shut_down(Duration::from_secs(60)).await.is_empty());
        let known = bench.store.stream(one.id).await.unwrap().unwrap();
        assert_eq!(known, Record { events: 1, ..one.clone() });
    })
    .await;
}

#[tokio::test]
async fn what_is_said_to_be_settled_is_written() {
    each_store(async |store| {
        let mut bench = bench(store, Vec::new());
        assert!(bench.journal.settled().await, "nothing waits");
        for n in 0..5 {
            let one = stream("stage", 1_000 + n, 1_000 + n);
            bench.events.send(started(&one)).unwrap();
            bench.journal.webhook(&n.to_string());
            assert!(bench.journal.settled().await);
            assert!(store.stream(one.id).await.unwrap().is_some());
            assert_eq!(store.webhooks_since(time(0), 9).await.unwrap().len() as i64, n + 1);
        }
        assert!(bench.tasks.shut_down(Duration::from_secs(60)).await.is_empty());
        assert!(!bench.journal.settled().await, "the writer is gone");
    })
    .await;
}

#[tokio::test]
async fn a_running_stream_is_written_even_when_nobody_told_of_it() {
    each_store(async |store| {
        let one = stream("stage", 1_000, 1_000);
        let bench = bench(store, vec![one.clone().summary()]);
        until(async || bench.store.stream(one.id).await.unwrap().is_some()).await;
    })
    .await;
}

#[tokio::test]
async fn what_happens_while_the_database_fails_is_written_when_it_works_again() {
    let folder = server::Folder::new();
    let url = folder.sqlite("scrim.db");
    let store = opened(&url).await;
    let mut other = AnyConnection::connect(&url).await.unwrap();
    other.execute("alter table censorship_events rename to elsewhere").await.unwrap();
    let mut bench = bench(&store, Vec::new());
    let one = stream("stage", 1_000, 1_000);
    bench.events.send(started(&one)).unwrap();
    for n in 0..10 {
        bench.events.send(Event::Detection(detection(&one, "A", 2_000 + n))).unwrap();
    }
    until(async || bench.journal.status().failing).await;
    assert!(bench.journal.status().waiting >= 10);
    assert_eq!(store.stream(one.id).await.unwrap(), None, "all of a batch or nothing");
    other.execute("alter table elsewhere rename to censorship_events").await.unwrap();
    until(async || bench.journal.status() == JournalStatus::default()).await;
    let filter = DetectionFilter { limit: ALL, ..DetectionFilter::default() };
    assert_eq!(store.detections(&filter).await.unwrap().len(), 10);
    assert_eq!(store.stream(one.id).await.unwrap().unwrap().events, 10);
    assert!(bench.tasks.shut_down(Duration::from_secs(60)).await.is_empty());
}
