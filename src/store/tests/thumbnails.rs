//! Pictures of detections: with them, never before them, and gone with them or earlier.

use std::sync::Arc;

use jiff::SignedDuration;

use super::*;

const HOUR: i64 = 3_600_000;

fn picture(of: &Detection, byte: u8) -> Thumbnail {
    let jpeg: Arc<[u8]> = vec![0xff, 0xd8, 0, byte].into();
    Thumbnail { detection_id: of.id, stream_id: of.stream_id, room: of.room.clone(), jpeg }
}

async fn pictured(store: &Store) -> Vec<bool> {
    let filter = DetectionFilter { limit: ALL, ..DetectionFilter::default() };
    store.detections(&filter).await.unwrap().iter().map(|one| one.has_thumbnail).collect()
}

#[tokio::test]
async fn a_picture_is_kept_with_its_detection_and_goes_with_it() {
    each_store(async |store| {
        let one = stream("stage", HOUR, 2 * HOUR);
        let found: Vec<_> = (1..=3).map(|n| detection(&one, "A", HOUR + n)).collect();
        let batch = backlog::Batch {
            thumbnails: vec![
                picture(&found[0], 1),
                picture(&found[2], 3),
                picture(&found[0], 9),
                picture(&detection(&one, "A", HOUR + 7), 7),
            ],
            ..batch(std::slice::from_ref(&one), &found)
        };
        store.write_batch(&batch, Uuid::now_v7(), 1).await.unwrap();
        assert_eq!(pictured(store).await, [true, false, true], "newest first");
        let bytes = async |at: usize| store.thumbnail(found[at].id).await.unwrap();
        assert_eq!(bytes(0).await, Some(vec![0xff, 0xd8, 0, 1]), "the first, byte for byte");
        assert_eq!(bytes(1).await, None);
        assert_eq!(store.thumbnail(id_at(HOUR + 7)).await.unwrap(), None, "of no detection");
        let sql = Sql::new("delete from censorship_events where id = ").bind(found[0].id);
        assert_eq!(store.write(sql).await.unwrap(), 1);
        assert_eq!(bytes(0).await, None, "gone with its detection");
        assert!(bytes(2).await.is_some());
    })
    .await;
}

#[tokio::test]
async fn pictures_go_before_their_detections() {
    each_store(async |store| {
        let now = time(100 * HOUR);
        let one = stream("stage", HOUR, 100 * HOUR);
        let found: Vec<_> = [1, 75, 77, 99].map(|hour| detection(&one, "A", hour * HOUR)).into();
        write(store, std::slice::from_ref(&one), &found).await;
        for (byte, of) in (0..).zip(&found) {
            assert_eq!(store.write_thumbnail(&picture(of, byte)).await.unwrap(), 1);
        }
        let keeper = Keeper::new(store.clone(), 3, 24);
        assert_eq!(keeper.clean(now).await.unwrap(), 2 + 1 + 2, "an old detection, and its hour");
        assert_eq!(pictured(store).await, [true, true, false]);
        let later = now + SignedDuration::from_hours(2);
        assert_eq!(keeper.clean(later).await.unwrap(), 1);
        assert_eq!(pictured(store).await, [true, false, false]);
    })
    .await;
}

#[tokio::test]
async fn only_the_newest_pictures_are_kept_where_there_are_too_many() {
    each_store(async |store| {
        let one = stream("stage", HOUR, HOUR);
        let found: Vec<_> = (1..=5).map(|n| detection(&one, "A", HOUR + n)).collect();
        write(store, std::slice::from_ref(&one), &found).await;
        for of in &found {
            store.write_thumbnail(&picture(of, 0)).await.unwrap();
        }
        assert_eq!(
            store.write(crate::store::thumbnails::beyond(3, 1)).await.unwrap(),
            1,
            "a step at a time"
        );
        assert_eq!(store.write(crate::store::thumbnails::beyond(3, 9)).await.unwrap(), 1);
        assert_eq!(store.write(crate::store::thumbnails::beyond(3, 9)).await.unwrap(), 0);
        assert_eq!(pictured(store).await, [true, true, true, false, false]);
    })
    .await;
}
