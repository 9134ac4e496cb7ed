//! The database at start, and its state for `/health`.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::follow::Hearing;
use crate::api::{Condition, DatabaseHealth};
use crate::config::Config;
use crate::media::clock;
use crate::session::Kept;
use crate::store::{Changes, Journal, JournalStatus, Store};
use crate::telemetry::Metrics;

/// Rooms whose last words are remembered, as many as the sessions remember.
pub(super) const ROOMS: u64 = 1_000;
/// How far back LiveKit may deliver an event again.
const WEBHOOKS: SignedDuration = SignedDuration::from_mins(10);
/// Ids of webhooks that are remembered.
const WEBHOOKS_MAX: u64 = 4_096;
/// Things that wait to be written from which the writer is behind: three batches.
const BEHIND: usize = 3_072;

/// The database, and what it knew.
pub(super) struct History {
    pub store: Store,
    pub kept: Kept,
    /// The changes that are in it; later ones may be, too.
    pub changes: Changes,
    /// Webhooks that were dealt with lately.
    pub webhooks: Vec<String>,
    /// Raw rooms whose stream the last process left open.
    pub interrupted: Vec<String>,
}

/// Opens the database and reads what the sessions go on with.
///
/// Without it the server does not start: the rules in it say what is covered.
pub(super) async fn open(config: &Config) -> anyhow::Result<History> {
    let database = &config.database;
    let instance = format!("{}:{}", host(), config.http.listen.port());
    let store = Store::open(database.url.expose(), database.connections, &instance)
        .await
        .context("cannot open the database (database.url)")?;
    let read = async {
        let interrupted = store.close_left_open().await?;
        if !interrupted.is_empty() {
            let streams = interrupted.len();
            tracing::warn!(streams, "the last process died: its streams are closed");
        }
        // Before everything that they count.
        let changes = store.changes().await?;
        let kept = Kept {
            rules: store.all_rules().await?,
            thresholds: store.thresholds().await?,
            rooms: store.remembered(ROOMS).await?,
            journal: None,
        };
        let webhooks = store.webhooks_since(Timestamp::now() - WEBHOOKS, WEBHOOKS_MAX).await?;
        Ok::<_, crate::store::Error>((kept, changes, webhooks, interrupted))
    };
    let (kept, changes, webhooks, interrupted) = read.await.context("cannot read the database")?;
    tracing::info!(backend = ?store.backend(), rules = kept.rules.len(), "database open");
    Ok(History { store, kept, changes, webhooks, interrupted })
}

/// The machine's name; a container's is its own.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// Looks at the database now. Anyone may read this: what it says itself is for the log.
pub(super) async fn look(
    store: &Store,
    journal: &Journal,
    hearing: &Hearing,
    metrics: &Metrics,
) -> DatabaseHealth {
    let answered = store.check().await;
    metrics.database().up.set(answered.is_ok().into());
    let JournalStatus { waiting, lost, failing } = journal.status();
    let (state, error) = match &answered {
        Err(_) => (Condition::Down, Some("the database does not answer; see the log")),
        Ok(_) if failing => {
            (Condition::Degraded, Some("it does not take what is written; see the log"))
        }
        Ok(_) if !hearing.is_well(clock::now()) => {
            (Condition::Degraded, Some("what other processes change is not heard; see the log"))
        }
        Ok(_) if waiting > BEHIND => (Condition::Degraded, Some("more happens than it takes")),
        Ok(_) => (Condition::Up, None),
    };
    DatabaseHealth {
        state,
        backend: store.backend(),
        latency_ms: answered.ok().map(|took| took.as_secs_f64() * 1e3),
        waiting,
        lost,
        error: error.map(str::to_owned),
    }
}
