//! All keys in memory: who holds the one that was sent, without a question to the database.
//!
//! Pure. The keeper puts the stored keys in every few seconds; a database that is away changes
//! nothing for keys that are known, and a flood of wrong keys never reaches it.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::key::{Hash, Key};
use crate::api::access::Role;

/// How often a key's last use is written, at most.
const WRITTEN_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Names it in lists and logs.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Of its secret.
    pub hash: Hash,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Record {
    fn holds(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// The keys that are known.
#[derive(Debug, Default)]
pub(super) struct Ring {
    keys: HashMap<String, Record>,
    /// Last uses that are not written yet.
    used: HashMap<String, Timestamp>,
}

impl Ring {
    /// The key that was sent, when it is known and holds; and remembers that it was used.
    pub(super) fn check(&mut self, key: &Key, now: Timestamp) -> Option<&Record> {
        let (known, stored) = match self.keys.get(key.id()) {
            Some(record) => (true, record.hash),
            // As much work as for a key that is known.
            None => (false, Hash([0; 32])),
        };
        if !(key.hash().matches(&stored) && known) {
            return None;
        }
        let record = self.keys.get_mut(key.id()).filter(|record| record.holds(now))?;
        let due = |at: Timestamp| now.duration_since(at) >= WRITTEN_EVERY;
        if record.last_used_at.is_none_or(due) {
            record.last_used_at = Some(now);
            self.used.insert(record.id.clone(), now);
        }
        Some(record)
    }

    /// What the database has. Uses that it does not know yet are kept.
    pub(super) fn replace(&mut self, records: Vec<Record>) {
        let mut keys: HashMap<String, Record> =
            records.into_iter().map(|record| (record.id.clone(), record)).collect();
        for (id, record) in &mut keys {
            let known = self.keys.get(id).and_then(|record| record.last_used_at);
            record.last_used_at = record.last_used_at.max(known);
        }
        self.keys = keys;
    }

    /// Uses to be written now.
    pub(super) fn take_used(&mut self) -> HashMap<String, Timestamp> {
        std::mem::take(&mut self.used)
    }

    /// Uses that could not be written: later ones win.
    pub(super) fn put_back(&mut self, used: HashMap<String, Timestamp>) {
        for (id, at) in used {
            self.used.entry(id).or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn record(key: &Key) -> Record {
        Record {
            id: key.id().to_owned(),
            name: "studio".into(),
            role: Role::Service,
            hash: key.hash(),
            created_at: at(0),
            created_by: "olga".into(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_holds_until_it_expires_or_is_revoked() {
        let key = Key::generate().unwrap();
        let mut ring = Ring::default();
        assert!(ring.check(&key, at(1)).is_none(), "unknown");
        ring.replace(vec![Record { expires_at: Some(at(100)), ..record(&key) }]);
        assert_eq!(ring.check(&key, at(99)).unwrap().name, "studio");
        assert!(ring.check(&key, at(100)).is_none(), "expired");
        ring.replace(vec![Record { revoked_at: Some(at(5)), ..record(&key) }]);
        assert!(ring.check(&key, at(6)).is_none(), "revoked");
        ring.replace(Vec::new());
        assert!(ring.check(&key, at(6)).is_none(), "gone");
    }

    #[test]
    fn the_id_alone_opens_nothing() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let mut ring = Ring::default();
        ring.replace(vec![record(&key)]);
        let forged = other.expose().replace(other.id(), key.id());
        assert!(ring.check(&Key::parse(&forged).unwrap(), at(1)).is_none());
        assert!(ring.take_used().is_empty(), "a forged key is no use");
    }

    #[test]
    fn a_use_is_written_once_a_minute_and_never_lost() {
        let key = Key::generate().unwrap();
        let mut ring = Ring::default();
        ring.replace(vec![record(&key)]);
        for second in 0..60 {
            ring.check(&key, at(second)).unwrap();
        }
        let used = ring.take_used();
        assert_eq!(used, HashMap::from([(key.id().to_owned(), at(0))]));
        // The database did not take it, and has been asked again meanwhile.
        ring.put_back(used);
        ring.replace(vec![record(&key)]);
        ring.check(&key, at(60)).unwrap();
        assert_eq!(ring.take_used()[key.id()], at(60));
        assert!(ring.take_used().is_empty());
    }
}
