//! Hears what other processes on the same database change: rules, thresholds, keys, and what was
//! said of rooms.
//!
//! Looks at the numbers of changes twice a second ([`Store::changes`]), and reads only what has
//! another number than it had. A database that does not answer changes nothing here: what is known
//! goes on holding, and `/health` says that others are not heard.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::history::ROOMS;
use crate::api::Keys;
use crate::media::clock;
use crate::runtime::Exit;
use crate::session::{Manager, News};
use crate::store::{Changes, Store};

/// How often the numbers are looked at: a change elsewhere holds here in under a second.
const LOOK: Duration = Duration::from_millis(500);
/// How often everything is read whatever the numbers say: a database that was put back from a
/// backup, or a process of an older version that counts nothing.
const WHOLE: Duration = Duration::from_secs(60);
/// After so long without a look that succeeded, `/health` says so.
const LATE: Duration = Duration::from_secs(5);

/// When others were heard last. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Hearing(Arc<Mutex<Instant>>);

impl Hearing {
    fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    fn heard(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Whether what others change is heard.
    pub(super) fn is_well(&self, now: Instant) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(last) <= LATE
    }
}

/// What is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Due {
    rules: bool,
    thresholds: bool,
    keys: bool,
    rooms: bool,
}

/// What was read so far. Pure.
#[derive(Debug)]
struct Known {
    changes: Changes,
    whole: Instant,
}

impl Known {
    /// What is to be read when the numbers are these.
    fn due(&self, seen: Changes, now: Instant) -> Due {
        let whole = now.saturating_duration_since(self.whole) >= WHOLE;
        // Another number, not a greater one: a backup has smaller ones.
        Due {
            rules: whole || seen.rules != self.changes.rules,
            thresholds: whole || seen.thresholds != self.changes.thresholds,
            keys: whole || seen.keys != self.changes.keys,
            rooms: whole || seen.rooms != self.changes.rooms,
        }
    }

    /// All that was due has been read, but for thresholds if they were not `taken`.
    fn read(&mut self, seen: Changes, due: Due, taken: bool, now: Instant) {
        let thresholds = if taken { seen.thresholds } else { self.changes.thresholds };
        self.changes = Changes { thresholds, ..seen };
        if due == (Due { rules: true, thresholds: true, keys: true, rooms: true }) {
            self.whole = now;
        }
    }
}

/// Why others were not heard, for the log.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    #[error(transparent)]
    Keys(#[from] crate::api::ShelfError),
    #[error(transparent)]
    Closed(#[from] crate::session::Closed),
}

/// Looks, and tells the sessions and the keys.
#[derive(Debug)]
pub(super) struct Follower {
    store: Store,
    manager: Manager,
    keys: Keys,
    known: Known,
    hearing: Hearing,
}

impl Follower {
    /// Follows what has changed since `known` was read; the handle says whether it does.
    pub(super) fn new(
        store: Store,
        manager: Manager,
        keys: Keys,
        known: Changes,
    ) -> (Hearing, Self) {
        let now = clock::now();
        let hearing = Hearing::new(now);
        let known = Known { changes: known, whole: now };
        (hearing.clone(), Self { store, manager, keys, known, hearing })
    }

    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Exit {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            let looked = async {
                tick.tick().await;
                self.look().await
            };
            let looked = tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                looked = looked => looked,
            };
            match &looked {
                Err(Error::Closed(_)) => return Exit::Finished,
                Err(error) if well => {
                    tracing::warn!(%error, "what other processes change is not heard; what is known holds");
                }
                Ok(()) if !well => tracing::info!("what other processes change is heard again"),
                _ => {}
            }
            well = looked.is_ok();
            if well {
                self.hearing.heard(clock::now());
            }
        }
    }

    /// Reads what has changed. What was read before an error is not read again for nothing: it is,
    /// with the next look, and changes nothing then.
    async fn look(&mut self) -> Result<(), Error> {
        let seen = self.store.changes().await?;
        let due = self.known.due(seen, clock::now());
        if due == Due::default() {
            return Ok(());
        }
        if due.keys {
            self.keys.refresh().await?;
        }
        let mut news = News::default();
        if due.rules {
            news.rules = Some(self.store.all_rules().await?);
        }
        if due.thresholds {
            news.thresholds = Some((seen.thresholds, self.store.thresholds().await?));
        }
        if due.rooms {
            news.rooms = Some(self.store.remembered_elsewhere(ROOMS).await?);
        }
        let taken = self.manager.hear(news).await?;
        self.known.read(seen, due, taken, clock::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{broadcast, mpsc};

    use super::*;
    use crate::censor::Document;
    use crate::runtime::Supervisor;
    use crate::session::Command;
    use crate::store::Scope;
    use crate::store::tests::{scratch, server::Folder};

    #[test]
    fn only_what_has_another_number_is_read_and_all_of_it_once_a_minute() {
        let begin = clock::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let changes = Changes { rules: 3, thresholds: 5, keys: 2, rooms: 9 };
        let mut known = Known { changes, whole: begin };
        assert_eq!(known.due(changes, at(59)), Due::default());
        let seen = Changes { rules: 4, rooms: 1, ..changes };
        let due = Due { rules: true, rooms: true, ..Due::default() };
        assert_eq!(known.due(seen, at(1)), due, "a smaller number counts too");
        known.read(seen, due, true, at(1));
        assert_eq!(known.due(seen, at(2)), Due::default());
        let seen = Changes { thresholds: 6, ..seen };
        let due = known.due(seen, at(3));
        known.read(seen, due, false, at(3));
        assert_eq!(known.due(seen, at(4)), due, "what was not taken is read again");
        known.read(seen, due, true, at(4));
        let all = known.due(seen, at(60));
        assert_eq!(all, Due { rules: true, thresholds: true, keys: true, rooms: true });
        known.read(seen, all, true, at(60));
        assert_eq!(known.due(seen, at(119)), Due::default());
    }

    #[tokio::test]
    async fn a_change_elsewhere_is_told_once_and_a_database_that_is_away_changes_nothing() {
        let folder = Folder::new();
        let (here, elsewhere) = (scratch(&folder), scratch(&folder));
        let (commands, mut inbox) = mpsc::channel(8);
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut tasks = Supervisor::new(CancellationToken::new());
        tasks.spawn("manager", |_| async move {
            while let Some(command) = inbox.recv().await {
                let Command::Hear(news, reply) = command else { panic!("{command:?}") };
                tell.send(*news).unwrap();
                let _ = reply.send(true);
            }
            Exit::Finished
        });
        let manager = Manager::new(commands, broadcast::Sender::new(4));
        let keys = Keys::new(Arc::new(here.clone()));
        let known = here.changes().await.unwrap();
        let (hearing, mut follower) = Follower::new(here.clone(), manager, keys, known);
        follower.look().await.unwrap();
        assert!(told.try_recv().is_err(), "nothing has changed");
        let document = Document { padding: Some(0.3), ..Document::default() };
        let scope = Scope::Room("stage".into());
        elsewhere.set_rules(&scope, Some(document), None, "olga").await.unwrap();
        for _ in 0..2 {
            follower.look().await.unwrap();
        }
        let news = told.try_recv().unwrap();
        assert_eq!(news.rules.unwrap()[0].1.version, 1);
        assert!(news.thresholds.is_none() && news.rooms.is_none(), "not changed, not read");
        assert!(told.try_recv().is_err(), "told once");
        here.close().await;
        assert!(follower.look().await.is_err());
        assert!(told.try_recv().is_err());
        let now = clock::now();
        assert!(hearing.is_well(now) && !hearing.is_well(now + LATE + Duration::from_secs(1)));
        elsewhere.close().await;
    }
}
