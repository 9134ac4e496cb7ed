//! API keys: kept, revoked once, and who did it.

use super::*;
use crate::api::{Key, KeyRecord, Role, Shelf as _};
use crate::store::AuditFilter;

fn record(key: &Key, role: Role) -> KeyRecord {
    KeyRecord {
        id: key.id().to_owned(),
        name: "'; drop table api_keys; --".into(),
        role,
        hash: key.hash(),
        created_at: time(1_000),
        created_by: "olga".into(),
        expires_at: Some(time(9_000)),
        last_used_at: None,
        revoked_at: None,
    }
}

#[tokio::test]
async fn a_key_is_kept_as_it_was_and_its_id_is_its_own() {
    each_store(async |store| {
        assert!(store.all().await.unwrap().is_empty());
        for role in [Role::Operator, Role::Viewer, Role::Service] {
            let record = record(&Key::generate().unwrap(), role);
            assert!(store.add(record.clone()).await.unwrap());
            assert!(store.all().await.unwrap().contains(&record));
        }
        let (one, other) = (Key::first().unwrap(), Key::first().unwrap());
        assert!(store.add(record(&one, Role::Operator)).await.unwrap());
        assert!(!store.add(record(&other, Role::Operator)).await.unwrap());
        let kept = store.all().await.unwrap();
        let first = kept.iter().find(|record| record.id == one.id()).unwrap();
        assert_eq!((kept.len(), first.hash), (4, one.hash()));
    })
    .await;
}

#[tokio::test]
async fn a_key_is_revoked_once_and_its_last_use_only_moves_on() {
    each_store(async |store| {
        let key = Key::generate().unwrap();
        store.add(record(&key, Role::Service)).await.unwrap();
        for used in [3_000, 2_000] {
            store.used(key.id(), time(used)).await.unwrap();
        }
        for revoked in [5_000, 6_000] {
            assert!(store.revoke(key.id(), "otto", time(revoked)).await.unwrap());
        }
        assert!(!store.revoke("0123456789abcdef", "otto", time(7_000)).await.unwrap());
        let kept = &store.all().await.unwrap()[0];
        assert_eq!(kept.last_used_at, Some(time(3_000)));
        assert_eq!(kept.revoked_at, Some(time(5_000)));
        let filter = AuditFilter { limit: 10, ..AuditFilter::default() };
        let log = store.audit(&filter).await.unwrap();
        let mut told: Vec<_> =
            log.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
        told.sort_unstable();
        assert_eq!(told, [("olga", "key.create"), ("otto", "key.revoke")]);
        assert!(log.iter().all(|entry| entry.target == key.id()));
    })
    .await;
}
