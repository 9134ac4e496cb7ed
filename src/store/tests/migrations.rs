//! Tables from nothing, from what an older Scrim left, and from a newer one.

use sqlx::{AnyConnection, Connection as _, Executor as _};

use super::*;
use crate::store::migrations as steps;

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let suffix = if url.starts_with("sqlite") { "?mode=rwc" } else { "" };
    AnyConnection::connect(&format!("{url}{suffix}")).await.unwrap()
}

#[tokio::test]
async fn tables_are_made_from_nothing_and_from_every_version_before() {
    for version in 0..=steps::count() {
        each(async |url| {
            let mut connection = connect(url).await;
            steps::up_to(version, &mut connection).await.unwrap();
            connection.close().await.unwrap();
            let store = opened(url).await;
            write(&store, &[stream("stage", 1_000, 2_000)], &[]).await;
            store.close().await;
            let store = opened(url).await;
            let filter = StreamFilter { limit: ALL, ..StreamFilter::default() };
            assert_eq!(store.streams(&filter).await.unwrap().len(), 1, "{url} from {version}");
        })
        .await;
    }
}

#[tokio::test]
async fn the_tables_of_a_newer_scrim_are_left_alone() {
    each(async |url| {
        opened(url).await.close().await;
        let mut connection = connect(url).await;
        let newer = "update _sqlx_migrations set version = 999999 where version = 1";
        connection.execute(newer).await.unwrap();
        connection.close().await.unwrap();
        let refused = Store::open(url, 4, "here:1").await.unwrap_err();
        assert!(matches!(refused, Error::Migrate(_)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named_without_its_password() {
    let refused = Store::open("postgres://scrim:hunter2@127.0.0.1:1/none", 4, "here:1").await;
    let text = format!("{:?}", anyhow::Error::from(refused.unwrap_err()));
    assert!(text.contains("does not answer") && !text.contains("hunter2"), "{text}");
    let folder = server::Folder::new();
    let refused = Store::open(&folder.sqlite(""), 4, "here:1").await;
    assert!(refused.is_err(), "a folder is no file");
}
