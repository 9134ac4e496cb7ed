//! What operators say: the rules of the API, thresholds that feedback moved, and what is to be
//! remembered of a room.

use jiff::Timestamp;

use super::Registry;
use crate::censor::{Document, Policy};
use crate::session::entry::Entry;
use crate::session::memory::Said;
use crate::session::rulebook::{Kept, News, Rulebook};
use crate::store::{Remembered, Saved, Scope};

impl Registry {
    /// Goes on with what the database has kept.
    pub fn recall(mut self, kept: Kept) -> Self {
        self.rulebook = Rulebook::new(kept.rules, kept.thresholds);
        // Newest first, as they came: the last one in is remembered longest.
        for word in kept.rooms.into_iter().rev() {
            self.memory.hear(word);
        }
        self.journal = kept.journal;
        self
    }

    /// What was said of a room, live or not.
    pub(super) fn said(&self, room: &str) -> Said {
        let live = self.live.iter().find(|e| e.room == room);
        live.map_or_else(|| self.memory.recall(room), |entry| entry.said.clone())
    }

    /// What the rules say of a stream that was started with rules of its own.
    pub(super) fn configured(&self, room: &str, own: &Document) -> Policy {
        self.settings.policy(&own.over(&self.rulebook.document(room)))
    }

    /// What holds for it: the same, with the thresholds that feedback has moved.
    pub(super) fn policy(&self, room: &str, own: &Document) -> Policy {
        let mut policy = self.configured(room, own);
        self.rulebook.adjust(room, &mut policy);
        policy
    }

    /// What would hold with rules on top of the room's, or in the place of those that are kept of it
    /// (without a room: of the global ones); or what is wrong with them. Nothing changes.
    pub(super) fn preview(
        &self,
        room: &str,
        rules: &Document,
        replace: bool,
    ) -> Result<(Document, Policy), Vec<String>> {
        let problems = crate::pipeline::problems(rules, &self.detect);
        if !problems.is_empty() {
            return Err(problems);
        }
        let own = match (replace, room) {
            (false, _) => rules.over(&self.said(room).rules).over(&self.rulebook.document(room)),
            (true, "") => rules.clone(),
            (true, _) => rules.over(&self.rulebook.document("")),
        };
        let mut policy = self.settings.policy(&own);
        self.rulebook.adjust(room, &mut policy);
        Ok((own.over(&self.settings.rules), policy))
    }

    /// New rules, also for the streams that run. A room's are the last word on it: what its
    /// stream was started with is over.
    pub(super) fn set_rules(&mut self, scope: Scope, saved: Saved) {
        if !self.rulebook.set(scope.clone(), saved) {
            return;
        }
        let Scope::Room(room) = scope else { return self.tell(|_| true) };
        self.memory.forget_rules(&room);
        if let Some(entry) = self.live.iter_mut().find(|e| e.room == room) {
            entry.said.rules = Document::default();
            self.keep(&room);
            self.tell(|entry| entry.room == room);
        }
    }

    /// Takes what another process may have changed; `false` when thresholds must be read again,
    /// because they were changed here since.
    pub(super) fn hear(&mut self, news: News) -> bool {
        for (scope, saved) in news.rules.into_iter().flatten() {
            self.set_rules(scope, saved);
        }
        // Newest first, as they came: the last one in is remembered longest.
        for word in news.rooms.into_iter().flatten().rev() {
            // Of a room whose stream runs here nobody knows more.
            if self.live.iter().all(|entry| entry.room != word.room) {
                self.memory.hear(word);
            }
        }
        let Some((at, thresholds)) = news.thresholds else { return true };
        let Some(rooms) = self.rulebook.set_thresholds(at, thresholds) else { return false };
        self.tell(|entry| rooms.contains(&entry.room));
        true
    }

    /// Tells running streams what holds now.
    pub(super) fn tell(&mut self, whom: impl Fn(&Entry) -> bool) {
        let policies: Vec<Option<Policy>> = self
            .live
            .iter()
            .map(|entry| whom(entry).then(|| self.policy(&entry.room, &entry.said.rules)))
            .collect();
        for (entry, policy) in self.live.iter_mut().zip(policies) {
            if let Some(policy) = policy {
                tracing::info!(stream_id = %entry.id, room = entry.room, ?policy, "new rules");
                entry.tell(policy);
            }
        }
    }

    /// Keeps what was said of a room for the next process.
    pub(super) fn keep(&self, room: &str) {
        if let Some(journal) = &self.journal {
            let (Said { rules, cover }, at) = (self.said(room), Timestamp::now());
            journal.room(Remembered { room: room.to_owned(), rules, cover, at });
        }
    }
}
