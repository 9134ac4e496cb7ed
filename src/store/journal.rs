//! The handle to the one writer of what happens by itself: bounded, and nobody waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::writer::JournalActor;
use super::{AuditEntry, Change, Remembered, Store};
use crate::session::Manager;
use crate::telemetry::Metrics;

/// Notes that may wait for the writer; further ones are lost and counted.
const NOTES: usize = 1_024;

/// How long a caller may wait until what it asked for is written; a healthy database takes some
/// milliseconds.
const SETTLE: Duration = Duration::from_secs(1);

/// Something to be written that is no event.
#[derive(Debug)]
pub(super) enum Note {
    Webhook(String),
    Room(Remembered),
    Audit(Box<AuditEntry>),
    /// To be answered when what was told before is written.
    Settle(oneshot::Sender<()>),
}

/// How the writer is doing, for `/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalStatus {
    /// Things that wait to be written.
    pub waiting: usize,
    /// Things that were given up since the start.
    pub lost: u64,
    /// Whether the last attempt failed.
    pub failing: bool,
}

/// The handle to the writer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    notes: mpsc::Sender<Note>,
    status: Arc<Mutex<JournalStatus>>,
    pub(super) metrics: Metrics,
}

impl Journal {
    /// The handle, and the writer of what `manager` does. Events are taken from now on. With
    /// `notify`, news for the operator's server are kept too.
    pub fn new(
        store: Store,
        manager: Manager,
        metrics: Metrics,
        notify: bool,
    ) -> (Self, JournalActor) {
        let (notes_in, notes) = mpsc::channel(NOTES);
        let journal = Self { notes: notes_in, status: Arc::default(), metrics };
        let actor = JournalActor::new(store, manager, notes, journal.clone());
        (journal, if notify { actor.telling() } else { actor })
    }

    /// Keeps the id of a webhook that was dealt with. Never waits.
    pub fn webhook(&self, id: &str) {
        self.tell(Note::Webhook(id.to_owned()));
    }

    /// Keeps what was said of a room. Never waits.
    pub fn room(&self, room: Remembered) {
        self.tell(Note::Room(room));
    }

    /// Keeps who did what. Never waits: what must not be lost is written with what it tells of.
    pub fn audit(&self, by: &str, action: &str, target: &str, detail: Change) {
        let entry = detail.by(by, action, target, Timestamp::now());
        self.tell(Note::Audit(Box::new(entry)));
    }

    /// Waits until all that happened before is written: a caller who is told so finds it after a
    /// crash, too. Whether it is. Waits no longer than a second, and not at all while the database
    /// fails: what was asked for is in effect, and is written later.
    pub async fn settled(&self) -> bool {
        let (reply, written) = oneshot::channel();
        if self.status().failing || self.notes.try_send(Note::Settle(reply)).is_err() {
            return false;
        }
        matches!(tokio::time::timeout(SETTLE, written).await, Ok(Ok(())))
    }

    /// How the writer is doing.
    pub fn status(&self) -> JournalStatus {
        self.lock().clone()
    }

    fn tell(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.lose(1);
        }
    }

    pub(super) fn lose(&self, count: u64) {
        if count > 0 {
            self.lock().lost += count;
            self.metrics.database().lost.inc_by(count);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, JournalStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
