//! The same tests on SQLite and on PostgreSQL.

mod history;
mod journal;
mod keys;
mod migrations;
pub(crate) mod server;
mod thumbnails;
mod words;

use jiff::Timestamp;
use uuid::{NoContext, Uuid};

use super::*;
use crate::session::{Origin, State, Statistics};

/// Runs a test on an empty database of each kind, by name and address.
async fn each(test: impl AsyncFn(&str)) {
    let folder = server::Folder::new();
    test(&folder.sqlite("scrim.db")).await;
    if let Some(url) = server::postgres().await {
        test(&url).await;
    }
}

/// A database in a folder, for tests of other modules that are not async where they begin.
pub(crate) fn scratch(folder: &server::Folder) -> Store {
    let url = folder.sqlite("scrim.db");
    let tables = url.clone();
    let made = crate::runtime::Thread::spawn("migrate", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(open::migrate(&tables)).unwrap();
    });
    let made = made.unwrap().join_within(std::time::Duration::from_secs(60));
    assert!(matches!(made, crate::runtime::Joined::Finished(())), "{made:?}");
    Store::new(open::pools(&url, 4).unwrap(), "here:1")
}

/// The same with the database open, as the process `here:1`.
async fn each_store(test: impl AsyncFn(&Store)) {
    each(async |url| {
        let store = opened(url).await;
        test(&store).await;
        store.close().await;
    })
    .await;
}

async fn opened(url: &str) -> Store {
    Store::open(url, 4, "here:1").await.unwrap()
}

/// An id that was made then.
fn id_at(millis: i64) -> Uuid {
    let (seconds, rest) = (millis as u64 / 1_000, (millis % 1_000) as u32);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, rest * 1_000_000))
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

/// A stream that started and was last written of at these times, in milliseconds.
fn stream(room: &str, started: i64, heartbeat: i64) -> Record {
    Record {
        id: id_at(started),
        room: room.into(),
        origin: Origin::Webhook,
        state: State::Live,
        started_at: time(started),
        heartbeat_at: time(heartbeat),
        ended_at: None,
        viewers_peak: 3,
        viewers_total: 5,
        events: 0,
        statistics: Statistics {
            duration_seconds: 1.5,
            bytes_in: u64::MAX,
            ..Statistics::default()
        },
        problems: vec!["raw room: it's \"gone\"".into()],
    }
}

fn ended(mut stream: Record, at: i64) -> Record {
    (stream.state, stream.heartbeat_at, stream.ended_at) = (State::Ended, time(at), Some(time(at)));
    stream
}

fn detection(stream: &Record, class: &str, millis: i64) -> Detection {
    let id = id_at(millis);
    Detection {
        id,
        at: at(id),
        stream_id: stream.id,
        room: stream.room.clone(),
        kind: Kind::Object,
        class: class.into(),
        score: 0.5,
        bbox: [1.5, 2.0, 3.0, 4.0],
        frame: 7,
        findings: 30,
        rule: Some("damn".to_owned()),
        has_thumbnail: false,
    }
}

fn batch(streams: &[Record], found: &[Detection]) -> backlog::Batch {
    backlog::Batch {
        streams: streams.to_vec(),
        detections: found.to_vec(),
        ..backlog::Batch::default()
    }
}

/// Writes as the journal does, under a name of its own.
async fn write(store: &Store, streams: &[Record], found: &[Detection]) {
    store.write_batch(&batch(streams, found), Uuid::now_v7(), 1).await.unwrap();
}

/// Most rows of one list in these tests.
const ALL: u64 = 1_000;
