//! Which sessions are open and what they hold. Shared by all of them; every lock is short.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::media::clock;

/// What an operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once; 0 switches them off.
    pub sessions: usize,
    /// Memory for frames that wait, of all sessions together, in bytes.
    pub memory: u64,
    /// How long a session may be silent.
    pub idle: Duration,
}

/// How frames come.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[schemars(rename = "FrameSessionKind")]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Answered one by one (`/ws/stream/NAME`).
    Live,
    /// Gathered, then made into a video (`/stream`).
    Upload,
}

/// Why no session was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The operator wants none.
    #[error("sessions of frames are switched off here (frames.max_sessions)")]
    Off,
    /// So many are open.
    #[error("{max} sessions of frames are open already; try again when one has ended")]
    Full {
        /// How many may be.
        max: usize,
    },
    /// One of that name is open.
    #[error("a session named {name} is open already")]
    Taken {
        /// The name.
        name: String,
    },
}

/// What is open, and what was done since the start.
#[derive(JsonSchema, Clone, Debug, Serialize)]
#[schemars(rename = "FrameStats")]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Sessions that are open.
    pub active: usize,
    /// Sessions that may be; 0: switched off.
    pub max_sessions: usize,
    /// Bytes of frames that wait.
    pub memory_bytes: u64,
    /// Bytes that may.
    pub max_memory_bytes: u64,
    /// How long a session may be silent, in seconds.
    pub idle_seconds: u64,
    /// Frames of all sessions since the start of the process.
    pub frames: Frames,
    /// The open sessions by name.
    pub sessions: Vec<SessionStats>,
}

/// Frames by what became of them.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[schemars(rename = "SentFrames")]
#[serde(rename_all = "camelCase")]
pub struct Frames {
    /// That came.
    pub received: u64,
    /// That were looked at.
    pub processed: u64,
    /// Given up: a newer one came, they came twice, or there was no memory.
    pub dropped: u64,
    /// That could not be looked at.
    pub failed: u64,
}

/// An open session.
#[derive(JsonSchema, Clone, Debug, Serialize)]
#[schemars(rename = "FrameSession")]
#[serde(rename_all = "camelCase")]
pub struct SessionStats {
    /// Its name.
    pub session_id: String,
    /// How frames come.
    pub kind: Kind,
    /// When it was opened.
    pub started_at: Timestamp,
    /// Since when nothing came, in seconds.
    pub silent_seconds: f64,
    /// Bytes of its frames that wait.
    pub memory_bytes: u64,
    /// Its frames.
    pub frames: Frames,
}

/// All sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    memory: u64,
    frames: Frames,
    open: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    started_at: Timestamp,
    heard: Instant,
    memory: u64,
    frames: Frames,
}

/// An open session; closed, and its memory given back, when it is dropped.
#[derive(Debug)]
pub struct Session {
    sessions: Sessions,
    name: String,
}

impl Sessions {
    /// No session yet.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared { limits, state: Mutex::default() }))
    }

    /// What the operator allows.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Opens a session.
    ///
    /// # Errors
    ///
    /// When there may be none, no more, or no other of that name.
    pub fn open(&self, kind: Kind, name: String) -> Result<Session, OpenError> {
        let max = self.0.limits.sessions;
        let mut state = self.lock();
        if max == 0 {
            return Err(OpenError::Off);
        }
        if state.open.contains_key(&name) {
            return Err(OpenError::Taken { name });
        }
        if state.open.len() >= max {
            return Err(OpenError::Full { max });
        }
        let (started_at, heard) = (Timestamp::now(), clock::now());
        let entry = Entry { kind, started_at, heard, memory: 0, frames: Frames::default() };
        state.open.insert(name.clone(), entry);
        Ok(Session { sessions: self.clone(), name })
    }

    /// How things are.
    pub fn stats(&self) -> Stats {
        let (state, now, limits) = (self.lock(), clock::now(), &self.0.limits);
        let sessions = state.open.iter().map(|(name, entry)| SessionStats {
            session_id: name.clone(),
            kind: entry.kind,
            started_at: entry.started_at,
            silent_seconds: now.saturating_duration_since(entry.heard).as_secs_f64(),
            memory_bytes: entry.memory,
            frames: entry.frames,
        });
        Stats {
            active: state.open.len(),
            max_sessions: limits.sessions,
            memory_bytes: state.memory,
            max_memory_bytes: limits.memory,
            idle_seconds: limits.idle.as_secs(),
            frames: state.frames,
            sessions: sessions.collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts frames.
    pub fn count(&self, counted: Frames) {
        let mut state = self.sessions.lock();
        state.frames += counted;
        if let Some(entry) = state.open.get_mut(&self.name) {
            entry.frames += counted;
        }
    }

    /// Something came.
    pub fn heard(&self, now: Instant) {
        if let Some(entry) = self.sessions.lock().open.get_mut(&self.name) {
            entry.heard = now;
        }
    }

    /// Takes memory for something that waits; `false` when there is not so much.
    pub fn hold(&self, bytes: u64) -> bool {
        let mut state = self.sessions.lock();
        if state.memory.saturating_add(bytes) > self.sessions.0.limits.memory {
            return false;
        }
        state.memory += bytes;
        if let Some(entry) = state.open.get_mut(&self.name) {
            entry.memory += bytes;
        }
        true
    }

    /// Gives memory back.
    pub fn release(&self, bytes: u64) {
        let mut state = self.sessions.lock();
        let State { memory, open, .. } = &mut *state;
        if let Some(entry) = open.get_mut(&self.name) {
            let held = bytes.min(entry.memory);
            entry.memory -= held;
            *memory -= held;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.sessions.lock();
        if let Some(entry) = state.open.remove(&self.name) {
            state.memory -= entry.memory;
        }
    }
}

impl std::ops::AddAssign for Frames {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.processed += other.processed;
        self.dropped += other.dropped;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sessions(sessions: usize, memory: u64) -> Sessions {
        Sessions::new(Limits { sessions, memory, idle: Duration::from_secs(300) })
    }

    #[test]
    fn there_are_so_many_and_one_of_a_name() {
        let all = sessions(2, 100);
        let first = all.open(Kind::Live, "a".into()).unwrap();
        let taken = all.open(Kind::Upload, "a".into()).unwrap_err();
        assert_eq!(taken, OpenError::Taken { name: "a".into() });
        let _second = all.open(Kind::Upload, "b".into()).unwrap();
        assert_eq!(all.open(Kind::Live, "c".into()).unwrap_err(), OpenError::Full { max: 2 });
        drop(first);
        assert!(all.open(Kind::Live, "c".into()).is_ok());
        assert_eq!(sessions(0, 100).open(Kind::Live, "a".into()).unwrap_err(), OpenError::Off);
    }

    #[test]
    fn what_a_session_did_is_counted_after_it_has_ended() {
        let all = sessions(2, 100);
        let session = all.open(Kind::Live, "a".into()).unwrap();
        session.count(Frames { received: 2, processed: 1, dropped: 1, failed: 0 });
        assert_eq!(all.stats().sessions[0].frames.received, 2);
        drop(session);
        let stats = all.stats();
        assert_eq!((stats.active, stats.frames.received, stats.sessions.len()), (0, 2, 0));
    }

    proptest! {
        /// Memory is never promised twice, and all of it comes back.
        #[test]
        fn memory_is_bounded(
            ops in prop::collection::vec((0..3usize, 0..3u8, 0u64..60), 0..100),
        ) {
            let all = sessions(3, 100);
            let mut open: Vec<Option<Session>> = vec![None, None, None];
            for (at, what, bytes) in ops {
                match (what, &open[at]) {
                    (0, None) => open[at] = all.open(Kind::Upload, at.to_string()).ok(),
                    (0, Some(_)) => open[at] = None,
                    (1, Some(session)) => {
                        let free = 100 - all.stats().memory_bytes;
                        prop_assert_eq!(session.hold(bytes), bytes <= free);
                    }
                    (2, Some(session)) => session.release(bytes),
                    _ => {}
                }
                let stats = all.stats();
                prop_assert!(stats.memory_bytes <= 100);
                let each: u64 = stats.sessions.iter().map(|s| s.memory_bytes).sum();
                prop_assert_eq!(each, stats.memory_bytes);
            }
            open.clear();
            prop_assert_eq!(all.stats().memory_bytes, 0);
        }
    }
}
