//! What people say: rules, feedback, and the log of both.

use serde_json::json;

use super::*;
use crate::censor::Document;

fn padding(padding: f32) -> Document {
    Document { padding: Some(padding), ..Document::default() }
}

#[tokio::test]
async fn rules_have_versions_and_what_was_overtaken_is_refused() {
    each(async |url| {
        let store = opened(url).await;
        let room = Scope::Room("stage".into());
        assert_eq!(store.rules(&room).await.unwrap(), Saved::default());
        let set = async |store: &Store, document, expected| {
            store.set_rules(&room, document, expected, "olga").await.map(|(_, after)| after.version)
        };
        assert_eq!(set(&store, Some(padding(0.1)), Some(0)).await.unwrap(), 1);
        let stale = set(&store, Some(padding(0.2)), Some(0)).await;
        assert!(matches!(stale, Err(Stale::Changed { current: 1 })), "{stale:?}");
        assert_eq!(set(&store, Some(padding(0.3)), None).await.unwrap(), 2);
        assert_eq!(set(&store, None, Some(2)).await.unwrap(), 3);
        store.close().await;
        let store = opened(url).await;
        let gone = Saved { version: 3, document: None };
        assert_eq!(store.rules(&room).await.unwrap(), gone, "its versions go on");
        assert_eq!(set(&store, Some(padding(0.4)), Some(3)).await.unwrap(), 4);
        store.set_rules(&Scope::Global, Some(padding(0.5)), None, "o'neil").await.unwrap();
        let mut all = store.all_rules().await.unwrap();
        all.sort_by_key(|(scope, _)| scope.name().to_owned());
        let saved = |version, value| Saved { version, document: Some(padding(value)) };
        assert_eq!(all, [(Scope::Global, saved(1, 0.5)), (room.clone(), saved(4, 0.4))]);
    })
    .await;
}

#[tokio::test]
async fn what_is_acknowledged_after_a_full_disk_is_on_the_disk() {
    let folder = server::Folder::new();
    let url = folder.sqlite("scrim.db");
    let store = opened(&url).await;
    let scope = Scope::Room("stage".into());
    let long = |n: usize| {
        let words: Vec<_> = (0..800).map(|word| format!("word{n}x{word}")).collect();
        serde_json::from_value(json!({ "text": { "words": words } })).unwrap()
    };
    // Of the one connection that writes: its next page is refused as on a full disk.
    store.write(Sql::new("pragma max_page_count = 1")).await.unwrap();
    let mut refused = 0;
    for n in 0..20 {
        let document = Some(long(n));
        refused += usize::from(store.set_rules(&scope, document, None, "olga").await.is_err());
    }
    assert!(refused > 0, "the disk was never full");
    store.write(Sql::new("pragma max_page_count = 1000000")).await.unwrap();
    let mut last = 0;
    for n in 0..4 {
        let set = store.set_rules(&scope, Some(padding(n as f32 / 8.0)), None, "olga").await;
        last = set.unwrap().1.version;
    }
    let elsewhere = opened(&url).await;
    assert_eq!(elsewhere.rules(&scope).await.unwrap().version, last);
}

#[tokio::test]
async fn of_writers_at_once_with_one_version_a_single_one_wins() {
    each_store(async |store| {
        let scope = Scope::Room("stage".into());
        store.set_rules(&scope, Some(padding(0.0)), None, "olga").await.unwrap();
        let writes = (0..8).map(|n| {
            let (store, scope) = (store.clone(), scope.clone());
            async move { store.set_rules(&scope, Some(padding(n as f32 / 8.0)), Some(1), "x").await }
        });
        let done = futures_util::future::join_all(writes).await;
        let won = done.iter().filter(|done| done.is_ok()).count();
        assert_eq!(won, 1, "{done:?}");
        assert_eq!(store.rules(&scope).await.unwrap().version, 2);
        let noted = store.audit(&AuditFilter { limit: ALL, ..AuditFilter::default() }).await;
        assert_eq!(noted.unwrap().len(), 2, "what was refused is not in the log");
    })
    .await;
}

#[tokio::test]
async fn what_rules_were_is_kept_whole_for_a_hundred_changes() {
    each_store(async |store| {
        let scope = Scope::Room("stage".into());
        store.set_rules(&Scope::Global, Some(padding(1.0)), None, "olga").await.unwrap();
        // "A list of its own that is empty" and "no list" differ: one shows everything.
        let empty = Document { classes: Some(Default::default()), ..Document::default() };
        store.set_rules(&scope, Some(empty), None, "olga").await.unwrap();
        store.set_rules(&scope, None, None, "per").await.unwrap();
        let first = store.rule_versions(&scope, None, 10).await.unwrap();
        let told: Vec<_> = first.iter().map(|one| (one.version, one.actor.as_str())).collect();
        assert_eq!(told, [(2, "per"), (1, "olga")]);
        assert_eq!(first[0].document, None);
        assert_eq!(first[1].document, Some(json!({ "classes": {} })));
        assert_eq!(store.rule_versions(&scope, Some(2), 10).await.unwrap(), first[1..]);
        for _ in 0..100 {
            store.set_rules(&scope, Some(padding(0.5)), None, "olga").await.unwrap();
        }
        let kept = store.rule_versions(&scope, None, ALL).await.unwrap();
        assert_eq!((kept[0].version, kept.len(), kept[99].version), (102, 100, 3));
        assert_eq!(store.rule_versions(&Scope::Global, None, 10).await.unwrap().len(), 1);
        let refused = store.set_rules(&scope, None, Some(1), "late").await;
        assert!(refused.is_err());
        assert_eq!(store.rule_versions(&scope, None, 1).await.unwrap()[0].version, 102);
    })
    .await;
}

#[tokio::test]
async fn the_audit_log_tells_who_changed_what_from_what_to_what() {
    each_store(async |store| {
        let scope = Scope::Room("stage".into());
        store.set_rules(&scope, Some(padding(0.25)), None, "olga").await.unwrap();
        store.set_rules(&scope, Some(padding(0.5)), None, "'; --").await.unwrap();
        store.set_rules(&Scope::Global, None, None, "olga").await.unwrap();
        let read = async |target: Option<&str>| {
            let target = target.map(str::to_owned);
            let filter = AuditFilter { target, limit: ALL, ..AuditFilter::default() };
            store.audit(&filter).await.unwrap()
        };
        let lines = read(Some("stage")).await;
        assert_eq!(lines[0].actor, "'; --");
        assert_eq!(lines[0].detail, json!({ "padding": { "from": 0.25, "to": 0.5 } }));
        assert_eq!(lines[1].detail, json!({ "padding": { "from": null, "to": 0.25 } }));
        assert_eq!(read(None).await.len(), 3);
        assert_eq!(read(Some("global")).await[0].action, "rules.delete");
    })
    .await;
}

#[tokio::test]
async fn feedback_moves_a_threshold_within_its_band_and_can_be_taken_back() {
    each(async |url| {
        let store = opened(url).await;
        let one = stream("stage", 1_000, 1_000);
        let found: Vec<Detection> = (0..60).map(|n| detection(&one, "A", 2_000 + n)).collect();
        write(&store, std::slice::from_ref(&one), &found).await;
        let said = |n: usize, correct| FeedbackSaid {
            stream: one.id,
            detection: found[n].id,
            room: "stage".into(),
            class: "A".into(),
            correct,
            configured: 0.25,
            by: "olga".into(),
        };
        let say = async |n, correct| store.feedback(&said(n, correct)).await.unwrap();
        let answer = |before, after, change| FeedbackAnswer { before, after, change };
        assert_eq!(say(0, true).await, answer(0.25, 0.25, 1), "the floor");
        assert_eq!(say(1, false).await, answer(0.25, 0.27, 2));
        assert_eq!(say(1, false).await, answer(0.27, 0.27, 0), "said twice");
        assert_eq!(say(1, true).await.after, 0.26, "on second thoughts");
        for n in 2..60 {
            say(n, false).await;
        }
        assert_eq!(store.thresholds().await.unwrap(), [("stage".into(), "A".into(), 0.99)]);
        store.close().await;
        let store = opened(url).await;
        assert_eq!(store.thresholds().await.unwrap().len(), 1, "kept");
        let before = store.changes().await.unwrap().thresholds;
        store.reset_feedback("stage", Some("B"), "olga").await.unwrap();
        assert_eq!(store.thresholds().await.unwrap().len(), 1, "another class");
        assert_eq!(store.reset_feedback("stage", None, "olga").await.unwrap(), before + 2);
        assert_eq!(store.thresholds().await.unwrap(), []);
    })
    .await;
}
