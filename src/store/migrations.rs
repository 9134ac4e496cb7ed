//! The steps that made the tables what they are; forward only. A new step is a new file.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, SqlSafeStr as _};

/// Version, what it is about, and its statements. What was released is never edited: its hash is
/// in the database.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "streams, events, rules, feedback", include_str!("../../migrations/0001_store.sql")),
    (2, "api keys", include_str!("../../migrations/0002_api_keys.sql")),
    (
        3,
        "several processes, pages of a room",
        include_str!("../../migrations/0003_processes_and_pages.sql"),
    ),
    (4, "versions of rules", include_str!("../../migrations/0004_rule_versions.sql")),
    (5, "pictures of detections", include_str!("../../migrations/0005_thumbnails.sql")),
];

/// Takes the steps that the database has not taken yet, one at a time and only one process at once.
///
/// # Errors
///
/// When a step fails (it is undone), or the database has taken steps that are not known here: it
/// belongs to a newer Scrim.
pub(super) async fn run(connection: &mut AnyConnection) -> Result<(), MigrateError> {
    up_to(STEPS.len(), connection).await
}

/// Takes the first `steps` steps; what an older Scrim would have left.
pub(super) async fn up_to(
    steps: usize,
    connection: &mut AnyConnection,
) -> Result<(), MigrateError> {
    let steps = STEPS[..steps].iter().map(|(version, about, text)| {
        let kind = MigrationType::Simple;
        Migration::new(*version, (*about).into(), kind, text.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect()).run_direct(None, connection, false).await
}

/// How many steps there are.
#[cfg(test)]
pub(super) const fn count() -> usize {
    STEPS.len()
}
