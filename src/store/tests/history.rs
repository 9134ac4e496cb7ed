//! Streams, detections, and what is counted of them.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;

const HOUR: i64 = 3_600_000;

async fn streams(store: &Store, filter: StreamFilter) -> Vec<Record> {
    store.streams(&StreamFilter { limit: ALL, ..filter }).await.unwrap()
}

async fn detections(store: &Store, filter: DetectionFilter) -> Vec<Detection> {
    store.detections(&DetectionFilter { limit: ALL, ..filter }).await.unwrap()
}

#[tokio::test]
async fn a_stream_is_kept_as_it_was_last_and_an_end_is_final() {
    each_store(async |store| {
        let one = stream("stage", HOUR, HOUR + 1_000);
        write(store, std::slice::from_ref(&one), &[]).await;
        assert_eq!(store.stream(one.id).await.unwrap().unwrap(), one);
        let over = ended(one.clone(), HOUR + 9_000);
        write(store, std::slice::from_ref(&over), &[]).await;
        write(store, std::slice::from_ref(&one), &[]).await;
        assert_eq!(store.stream(one.id).await.unwrap().unwrap(), over);
        assert_eq!(store.stream(Uuid::nil()).await.unwrap(), None);
        let shown = over.clone().summary();
        assert_eq!((shown.ended_at, shown.state), (over.ended_at, State::Ended));
        assert_eq!(shown.processed_room, "stage-processed");
    })
    .await;
}

#[tokio::test]
async fn streams_are_filtered_and_paged_newest_first() {
    each_store(async |store| {
        let mut all: Vec<Record> = (1..=6)
            .map(|n| {
                let one = stream(if n % 2 == 0 { "even" } else { "odd" }, n * HOUR, n * HOUR);
                if n > 4 { one } else { ended(one, n * HOUR + 500) }
            })
            .collect();
        write(store, &all, &[]).await;
        all.reverse();
        assert_eq!(streams(store, StreamFilter::default()).await, all);
        let of = |want: fn(&Record) -> bool| {
            all.iter().filter(|one| want(one)).cloned().collect::<Vec<_>>()
        };
        let state = Some(State::Live);
        let live = streams(store, StreamFilter { state, ..StreamFilter::default() }).await;
        assert_eq!(live, of(|one| one.state == State::Live));
        let room = Some("odd".to_owned());
        let odd = streams(store, StreamFilter { room, ..StreamFilter::default() }).await;
        assert_eq!(odd, of(|one| one.room == "odd"));
        let (from, to) = (Some(time(2 * HOUR)), Some(time(4 * HOUR)));
        let some = streams(store, StreamFilter { from, to, ..StreamFilter::default() }).await;
        assert_eq!(some, all[2..5], "both ends are in");
        let before = Some(all[1].id);
        let page = StreamFilter { before, limit: 2, ..StreamFilter::default() };
        assert_eq!(store.streams(&page).await.unwrap(), all[2..4]);
    })
    .await;
}

#[tokio::test]
async fn what_a_dead_process_left_open_ends_with_its_last_heartbeat() {
    each(async |url| {
        let (mine, other) = (stream("mine", HOUR, HOUR + 5_000), stream("other", HOUR, 2 * HOUR));
        let store = opened(url).await;
        write(&store, std::slice::from_ref(&mine), &[]).await;
        let elsewhere = Store::open(url, 4, "there:1").await.unwrap();
        write(&elsewhere, std::slice::from_ref(&other), &[]).await;
        // Nobody says goodbye.
        drop(store);
        let store = opened(url).await;
        assert_eq!(store.close_left_open().await.unwrap(), ["mine"]);
        let closed = store.stream(mine.id).await.unwrap().unwrap();
        assert_eq!(closed.state, State::Interrupted);
        assert_eq!(closed.ended_at, Some(time(HOUR + 5_000)));
        assert_eq!(store.stream(other.id).await.unwrap().unwrap(), other, "it runs elsewhere");
    })
    .await;
}

#[tokio::test]
async fn what_another_process_left_open_ends_after_a_minute_without_a_new_heartbeat() {
    each(async |url| {
        let (mine, mut other) = (stream("mine", HOUR, HOUR), stream("other", 2 * HOUR, 2 * HOUR));
        let (store, elsewhere) = (opened(url).await, Store::open(url, 4, "there:1").await.unwrap());
        write(&store, std::slice::from_ref(&mine), &[]).await;
        write(&elsewhere, std::slice::from_ref(&other), &[]).await;
        let keeper = Keeper::new(store.clone(), 0, 1);
        let (mut silence, begin) = (silence::Silence::default(), clock::now());
        let mut after = async |seconds| {
            keeper.close(&mut silence, begin + Duration::from_secs(seconds)).await.unwrap()
        };
        assert_eq!((after(0).await, after(59).await), (0, 0));
        // Its clock was put back by an hour: still a sign of life.
        other.heartbeat_at = time(HOUR);
        write(&elsewhere, std::slice::from_ref(&other), &[]).await;
        assert_eq!((after(60).await, after(119).await), (0, 0));
        assert_eq!((after(120).await, after(135).await), (1, 0));
        let closed = store.stream(other.id).await.unwrap().unwrap();
        assert_eq!((closed.state, closed.ended_at), (State::Interrupted, Some(time(HOUR))));
        assert_eq!(store.stream(mine.id).await.unwrap().unwrap(), mine, "its process is this one");
        write(&elsewhere, std::slice::from_ref(&other), &[]).await;
        assert_eq!(store.stream(other.id).await.unwrap().unwrap(), other, "it lives after all");
        for one in [store, elsewhere] {
            one.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_is_written_again_counts_once() {
    each_store(async |store| {
        let one = stream("stage", HOUR, HOUR);
        let found: Vec<Detection> =
            (0..300).map(|n| detection(&one, "A", HOUR + n * 1_000)).collect();
        let batch = batch(std::slice::from_ref(&one), &found);
        let (writer, other) = (Uuid::now_v7(), Uuid::now_v7());
        for (writer, number) in [(writer, 1), (writer, 1), (writer, 2), (other, 1)] {
            store.write_batch(&batch, writer, number).await.unwrap();
        }
        assert_eq!(detections(store, DetectionFilter::default()).await.len(), 300);
        // Two numbers and two writers are three batches, whatever is in them.
        assert_eq!(store.stream(one.id).await.unwrap().unwrap().events, 900);
    })
    .await;
}

#[tokio::test]
async fn detections_of_a_stream_that_nobody_heard_of_are_kept() {
    each_store(async |store| {
        let one = stream("stage", HOUR, HOUR);
        write(store, &[], &[detection(&one, "A", HOUR + 1)]).await;
        let known = store.stream(one.id).await.unwrap().unwrap();
        assert_eq!((known.room.as_str(), known.events), ("stage", 1));
        assert_eq!(known.started_at, time(HOUR));
        write(store, std::slice::from_ref(&one), &[]).await;
        let known = store.stream(one.id).await.unwrap().unwrap();
        assert_eq!(known, Record { events: 1, ..one });
    })
    .await;
}

#[tokio::test]
async fn detections_are_filtered_and_paged_newest_first() {
    each_store(async |store| {
        let (one, two) = (stream("one", HOUR, HOUR), stream("two", HOUR, HOUR));
        let mut all: Vec<Detection> = (0..20)
            .map(|n| {
                let of = if n % 2 == 0 { &one } else { &two };
                let class = if n % 4 < 2 { "it's; drop table" } else { "B\u{1f600}\"" };
                let mut found = detection(of, class, 2 * HOUR + n * 1_000);
                found.kind = if n == 3 { Kind::Text } else { Kind::Object };
                found
            })
            .collect();
        write(store, &[one.clone(), two], &all).await;
        all.reverse();
        assert_eq!(detections(store, DetectionFilter::default()).await, all);
        let of = |want: &dyn Fn(&Detection) -> bool| {
            all.iter().filter(|one| want(one)).cloned().collect::<Vec<_>>()
        };
        let (room, class) = (Some("two".to_owned()), Some("it's; drop table".to_owned()));
        let both = DetectionFilter { room, class, ..DetectionFilter::default() };
        let wanted = of(&|one| one.room == "two" && one.class.starts_with("it"));
        assert_eq!(detections(store, both).await, wanted);
        let stream = Some(one.id);
        let filter = DetectionFilter { stream, ..DetectionFilter::default() };
        assert_eq!(detections(store, filter).await, of(&|found| found.stream_id == one.id));
        let (from, to) = (Some(time(2 * HOUR + 5_000)), Some(time(2 * HOUR + 8_000)));
        let filter = DetectionFilter { from, to, ..DetectionFilter::default() };
        assert_eq!(detections(store, filter).await, all[12..15], "the end is out");
        let page =
            DetectionFilter { before: Some(all[4].id), limit: 3, ..DetectionFilter::default() };
        assert_eq!(store.detections(&page).await.unwrap(), all[5..8]);
        assert_eq!(store.detection(one.id, all[1].id).await.unwrap(), Some(all[1].clone()));
        assert_eq!(store.detection(one.id, all[0].id).await.unwrap(), None, "another stream's");
    })
    .await;
}

#[tokio::test]
async fn figures_are_what_one_would_count_by_hand() {
    each_store(async |store| {
        let mut random = fastrand::Rng::with_seed(7);
        let rooms = ["one", "two", "three"];
        let all: Vec<Record> = (0..9)
            .map(|n| {
                let begun = random.i64(0..20 * HOUR);
                let mut one = ended(stream(rooms[n % 3], begun, begun), begun + 60_000);
                one.viewers_peak = n as u32;
                one
            })
            .collect();
        let found: Vec<Detection> = (0..600)
            .map(|n| {
                detection(&all[n % 9], ["A", "B"][random.usize(0..2)], random.i64(0..20 * HOUR))
            })
            .collect();
        write(store, &all, &found).await;
        for _ in 0..60 {
            let (a, b) = (random.i64(0..21 * HOUR), random.i64(0..21 * HOUR));
            // Whole hours, too.
            let (a, b) = if random.bool() { (a, b) } else { (a / HOUR * HOUR, b / HOUR * HOUR) };
            let (from, to) = (time(a.min(b)), time(a.max(b)));
            let room = random.bool().then(|| rooms[random.usize(0..3)].to_owned());
            let range = Range { from, to, room: room.clone() };
            let figures = store.figures(&range).await.unwrap();
            let in_it = |at: Timestamp, of: &str| {
                from <= at && at < to && room.as_ref().is_none_or(|room| room == of)
            };
            let mut classes = BTreeMap::new();
            for one in found.iter().filter(|one| in_it(one.at, &one.room)) {
                *classes.entry(one.class.clone()).or_default() += 1;
            }
            assert_eq!(figures.censorship_events, classes, "{range:?}");
            let some: Vec<_> = all.iter().filter(|one| in_it(one.started_at, &one.room)).collect();
            let count = some.len() as u64;
            assert_eq!((figures.streams, figures.viewers), (count, 5 * count), "{range:?}");
            let peaks: f64 = some.iter().map(|one| f64::from(one.viewers_peak)).sum();
            let mean = if some.is_empty() { 0.0 } else { peaks / count as f64 };
            assert!((figures.average_peak_viewers - mean).abs() < 1e-9, "{range:?}");
            let length = if some.is_empty() { 0.0 } else { 60.0 };
            assert_eq!(figures.average_duration_seconds, length);
            assert_eq!(figures.first_started_at, some.iter().map(|one| one.started_at).min());
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_too_old_goes_and_nothing_else() {
    each_store(async |store| {
        let day = 24 * HOUR;
        let (old, new) = (stream("old", day, day), stream("new", 50 * day, 50 * day));
        let long = ended(stream("long", 2 * day, 2 * day), 50 * day);
        let found: Vec<Detection> = (0..1_200)
            .map(|n| detection(&old, "A", day + n))
            .chain([detection(&long, "A", 49 * day), detection(&new, "A", 50 * day)])
            .collect();
        write(store, &[ended(old.clone(), day + 5_000), new.clone(), long.clone()], &found).await;
        let keeper = Keeper::new(store.clone(), 10, 1);
        let now = time(50 * day) + SignedDuration::from_secs(1);
        assert_eq!(keeper.clean(now).await.unwrap(), 1_200 + 1 + 2, "detections, stream, hour");
        assert_eq!(keeper.clean(now).await.unwrap(), 0);
        let left = streams(store, StreamFilter::default()).await;
        let left: Vec<&str> = left.iter().map(|one| one.room.as_str()).collect();
        assert_eq!(left, ["new", "long"], "a stream is as old as its end");
        assert_eq!(
            detections(store, DetectionFilter::default()).await,
            [found[1_201].clone(), found[1_200].clone()]
        );
        let all = Keeper::new(store.clone(), 0, 1);
        assert_eq!(all.clean(time(5_000 * day)).await.unwrap(), 0, "for ever");
    })
    .await;
}
