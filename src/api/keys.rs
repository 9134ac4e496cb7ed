//! API keys for programs, and the keeper that has all of them in memory.

mod key;
mod ring;
pub(super) mod routes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(super) use key::PREFIX;
pub use key::{Hash, Key};
pub use ring::Record;
use ring::Ring;

use super::access::{Caller, Role};
use crate::runtime::Exit;

/// Most keys that are not revoked; further ones are refused. All are in memory.
pub(super) const KEYS_MAX: usize = 1_000;

/// Longest name of a key, in characters.
pub(super) const NAME_MAX: usize = 100;

/// How often last uses are written; also how soon a key that another process made or revoked is
/// known here, where nobody says earlier that keys have changed.
const REFRESH: Duration = Duration::from_secs(2);

/// Why the keys could not be read or written, for the log.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// There are as many as there may be.
    #[error("there are {KEYS_MAX} keys already; revoke one first")]
    Full,
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The database did not do it.
    #[error("the database did not answer: {0}")]
    Database(String),
}

/// Where keys are kept.
pub trait Shelf: Send + Sync {
    /// Every key, newest first.
    fn all(&self) -> BoxFuture<'_, Result<Vec<Record>, ShelfError>>;

    /// Adds a key; `false` when its id is taken.
    fn add(&self, record: Record) -> BoxFuture<'_, Result<bool, ShelfError>>;

    /// Revokes a key, once: the first time holds. `false` when there is no such key.
    fn revoke<'a>(
        &'a self,
        id: &'a str,
        by: &'a str,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<bool, ShelfError>>;

    /// Writes when a key was used last.
    fn used<'a>(&'a self, id: &'a str, at: Timestamp) -> BoxFuture<'a, Result<(), ShelfError>>;
}

/// All keys. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    shelf: Arc<dyn Shelf>,
    ring: Arc<Mutex<Ring>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys on `shelf`; none is known before the first [`Self::refresh`].
    pub fn new(shelf: Arc<dyn Shelf>) -> Self {
        Self { shelf, ring: Arc::default() }
    }

    /// Writes what was used, and reads what others changed.
    ///
    /// # Errors
    ///
    /// When the database does not answer; what was known before still holds.
    pub async fn refresh(&self) -> Result<(), ShelfError> {
        let used = self.ring().take_used();
        for (id, at) in &used {
            if let Err(error) = self.shelf.used(id, *at).await {
                self.ring().put_back(used);
                return Err(error);
            }
        }
        let records = self.shelf.all().await?;
        self.ring().replace(records);
        Ok(())
    }

    /// Keeps the keys up to date until `stop`; then writes the last uses.
    pub async fn run(self, stop: CancellationToken) -> Exit {
        let mut well = true;
        loop {
            let stopping = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = tokio::time::sleep(REFRESH) => false,
            };
            let refreshed = self.refresh().await;
            match &refreshed {
                Err(error) if well => {
                    tracing::warn!(%error, "api keys cannot be read; those that are known hold");
                }
                Ok(()) if !well => tracing::info!("api keys are read again"),
                _ => {}
            }
            well = refreshed.is_ok();
            if stopping {
                return Exit::Cancelled;
            }
        }
    }

    /// Who holds the key that was sent; `None` when it opens nothing.
    pub(super) fn caller(&self, text: &str, now: Timestamp) -> Option<Caller> {
        let key = Key::parse(text)?;
        let mut ring = self.ring();
        let record = ring.check(&key, now)?;
        Some(Caller { sub: format!("key:{}", record.id), role: record.role })
    }

    /// Makes a key, which holds here at once.
    ///
    /// # Errors
    ///
    /// When there are too many, or the database does not take it.
    pub async fn create(&self, new: New, now: Timestamp) -> Result<(Key, Record), ShelfError> {
        let key = Key::generate().map_err(|error| ShelfError::Random(error.to_string()))?;
        let mut records = self.shelf.all().await?;
        if records.iter().filter(|record| record.revoked_at.is_none()).count() >= KEYS_MAX {
            return Err(ShelfError::Full);
        }
        let record = new.record(&key, now);
        self.shelf.add(record.clone()).await?;
        records.push(record.clone());
        self.ring().replace(records);
        Ok((key, record))
    }

    /// Revokes a key, here at once; `None` when there is no such key.
    ///
    /// # Errors
    ///
    /// When the database does not take it: then the key still holds.
    pub async fn revoke(
        &self,
        id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<Record>, ShelfError> {
        if !self.shelf.revoke(id, by, now).await? {
            return Ok(None);
        }
        self.refresh().await?;
        let records = self.shelf.all().await?;
        Ok(records.into_iter().find(|record| record.id == id))
    }

    /// Every key, newest first.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn list(&self) -> Result<Vec<Record>, ShelfError> {
        self.shelf.all().await
    }

    /// The first key of a server that has none: an operator's, so that somebody can sign in.
    /// `None` when there are keys, or another process made it just now.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn bootstrap(&self, now: Timestamp) -> Result<Option<Key>, ShelfError> {
        if !self.shelf.all().await?.is_empty() {
            return Ok(None);
        }
        let key = Key::first().map_err(|error| ShelfError::Random(error.to_string()))?;
        let new = New {
            name: "bootstrap".into(),
            role: Role::Operator,
            by: "first start".into(),
            expires_at: None,
        };
        let added = self.shelf.add(new.record(&key, now)).await?;
        self.refresh().await?;
        Ok(added.then_some(key))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct New {
    /// What it is for: 1 to 100 characters on one line.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Who makes it.
    pub by: String,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
}

impl New {
    /// Everything that makes no sense.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn check(&self, now: Timestamp) -> Result<(), Vec<String>> {
        let mut errors = Vec::new();
        let length = self.name.chars().count();
        if !(1..=NAME_MAX).contains(&length)
            || self.name.chars().any(char::is_control)
            || self.name.trim() != self.name
        {
            errors.push(format!(
                "name must be 1 to {NAME_MAX} characters on one line, without spaces around them"
            ));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            errors.push("expiresAt must be in the future".into());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn record(self, key: &Key, now: Timestamp) -> Record {
        Record {
            id: key.id().to_owned(),
            name: self.name,
            role: self.role,
            hash: key.hash(),
            created_at: now,
            created_by: self.by,
            expires_at: self.expires_at,
            last_used_at: None,
            revoked_at: None,
        }
    }
}

/// Keys in memory, for tests.
#[cfg(test)]
pub(super) mod memory {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    pub(in crate::api) struct Memory {
        records: Mutex<Vec<Record>>,
        /// Whether the database is away.
        pub(in crate::api) away: AtomicBool,
    }

    impl Memory {
        fn with<T>(&self, work: impl FnOnce(&mut Vec<Record>) -> T) -> Result<T, ShelfError> {
            if self.away.load(Ordering::Relaxed) {
                return Err(ShelfError::Database("gone".into()));
            }
            Ok(work(&mut self.records.lock().unwrap()))
        }
    }

    impl Shelf for Memory {
        fn all(&self) -> BoxFuture<'_, Result<Vec<Record>, ShelfError>> {
            Box::pin(async { self.with(|records| records.iter().rev().cloned().collect()) })
        }

        fn add(&self, record: Record) -> BoxFuture<'_, Result<bool, ShelfError>> {
            Box::pin(async {
                self.with(|records| {
                    let free = records.iter().all(|known| known.id != record.id);
                    records.extend(free.then_some(record));
                    free
                })
            })
        }

        fn revoke<'a>(
            &'a self,
            id: &'a str,
            _: &'a str,
            at: Timestamp,
        ) -> BoxFuture<'a, Result<bool, ShelfError>> {
            Box::pin(async move {
                self.with(|records| {
                    let found = records.iter_mut().find(|record| record.id == id);
                    found.map(|record| record.revoked_at.get_or_insert(at)).is_some()
                })
            })
        }

        fn used<'a>(&'a self, id: &'a str, at: Timestamp) -> BoxFuture<'a, Result<(), ShelfError>> {
            Box::pin(async move {
                self.with(|records| {
                    for record in records.iter_mut().filter(|record| record.id == id) {
                        record.last_used_at = Some(at);
                    }
                })
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::memory::Memory;
    use super::*;

    fn new(name: &str) -> New {
        New { name: name.into(), role: Role::Service, by: "olga".into(), expires_at: None }
    }

    fn now() -> Timestamp {
        Timestamp::now()
    }

    #[tokio::test]
    async fn a_key_holds_from_the_moment_it_is_made_until_it_is_revoked() {
        let keys = Keys::new(Arc::new(Memory::default()));
        let (key, record) = keys.create(new("studio"), now()).await.unwrap();
        let caller = keys.caller(&key.expose(), now()).unwrap();
        assert_eq!((caller.sub, caller.role), (format!("key:{}", record.id), Role::Service));
        keys.refresh().await.unwrap();
        let listed = &keys.list().await.unwrap()[0];
        assert!(listed.last_used_at.is_some() && listed.revoked_at.is_none());
        assert!(
            keys.revoke(&record.id, "olga", now()).await.unwrap().unwrap().revoked_at.is_some()
        );
        assert!(keys.caller(&key.expose(), now()).is_none());
        assert!(keys.revoke("0000000000000000", "olga", now()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn known_keys_hold_while_the_database_is_away() {
        let shelf = Arc::new(Memory::default());
        let keys = Keys::new(shelf.clone());
        let (key, _) = keys.create(new("studio"), now()).await.unwrap();
        shelf.away.store(true, Ordering::Relaxed);
        assert!(keys.caller(&key.expose(), now()).is_some());
        assert!(keys.refresh().await.is_err());
        assert!(keys.caller(&key.expose(), now()).is_some());
        assert!(keys.create(new("other"), now()).await.is_err());
        shelf.away.store(false, Ordering::Relaxed);
        keys.refresh().await.unwrap();
        assert!(keys.list().await.unwrap()[0].last_used_at.is_some(), "the use was not lost");
    }

    #[tokio::test]
    async fn the_first_key_is_made_once() {
        let shelf = Arc::new(Memory::default());
        let keys = Keys::new(shelf.clone());
        let key = keys.bootstrap(now()).await.unwrap().unwrap();
        assert_eq!(keys.caller(&key.expose(), now()).unwrap().role, Role::Operator);
        assert!(keys.bootstrap(now()).await.unwrap().is_none());
        // Another process that saw an empty table too.
        let again = New { role: Role::Operator, ..new("bootstrap") };
        let record = again.record(&Key::first().unwrap(), now());
        assert!(!shelf.add(record).await.unwrap());
    }

    #[tokio::test]
    async fn what_another_process_revokes_is_known_after_the_next_look() {
        let shelf = Arc::new(Memory::default());
        let keys = Keys::new(shelf.clone());
        let (key, record) = keys.create(new("studio"), now()).await.unwrap();
        shelf.revoke(&record.id, "otto", now()).await.unwrap();
        assert!(keys.caller(&key.expose(), now()).is_some());
        // The last look is taken when the server stops.
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(keys.clone().run(stop).await, Exit::Cancelled);
        assert!(keys.caller(&key.expose(), now()).is_none());
    }

    #[test]
    fn names_and_times_have_bounds() {
        let fits = |new: New| new.check(now()).is_ok();
        assert!(fits(new("encoder in studio 2")) && fits(new(&"ä".repeat(NAME_MAX))));
        for bad in ["", " a", "a\nb", &"a".repeat(NAME_MAX + 1)] {
            assert!(!fits(new(bad)), "{bad}");
        }
        let past = Some(now() - jiff::SignedDuration::from_secs(1));
        assert!(!fits(New { expires_at: past, ..new("studio") }));
    }
}
