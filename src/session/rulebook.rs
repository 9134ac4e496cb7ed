//! The rules that the API was told and the thresholds that feedback has moved, as the sessions need
//! them. Pure; the database is where they are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::censor::{Document, Policy};
use crate::store::{Journal, Remembered, Saved, Scope};

/// Thresholds that feedback has moved: room, class, threshold.
pub type Moved = Vec<(String, String, f64)>;

/// What another process on the same database may have changed: all that there is of each kind, or
/// `None` for a kind that was not read.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// All rules.
    pub rules: Option<Vec<(Scope, Saved)>>,
    /// The number of a change, and all thresholds as they were after it or later.
    pub thresholds: Option<(u64, Moved)>,
    /// What other processes said of rooms, newest first.
    pub rooms: Option<Vec<Remembered>>,
}

/// What the database knew when the process started.
#[derive(Debug, Default)]
pub struct Kept {
    /// All rules.
    pub rules: Vec<(Scope, Saved)>,
    /// Thresholds that feedback has moved.
    pub thresholds: Moved,
    /// What operators said of rooms, newest first.
    pub rooms: Vec<Remembered>,
    /// Keeps what operators say from now on.
    pub journal: Option<Journal>,
}

/// Rules by scope, and thresholds by room.
#[derive(Debug, Default)]
pub(super) struct Rulebook {
    global: Saved,
    rooms: HashMap<String, Saved>,
    thresholds: Thresholds,
    /// The number of the last change of thresholds that is in them.
    thresholds_at: u64,
}

/// By room and class.
type Thresholds = HashMap<String, BTreeMap<String, f32>>;

impl Rulebook {
    /// The rules and thresholds that were kept.
    pub(super) fn new(rules: Vec<(Scope, Saved)>, thresholds: Moved) -> Self {
        let mut book = Self::default();
        for (scope, saved) in rules {
            book.set(scope, saved);
        }
        book.thresholds = by_room(thresholds);
        book
    }

    /// Takes rules; `false` when newer ones are known. Two writers may be told that the database
    /// has taken their rules in one order, and get here in the other.
    pub(super) fn set(&mut self, scope: Scope, saved: Saved) -> bool {
        let known = match scope {
            Scope::Global => &mut self.global,
            Scope::Room(room) => self.rooms.entry(room).or_default(),
        };
        let news = saved.version > known.version;
        if news {
            *known = saved;
        }
        news
    }

    /// Takes all thresholds as they were after change number `at`; the rooms where they are others
    /// now. `None`: a later change is known here already, and they are not taken.
    pub(super) fn set_thresholds(&mut self, at: u64, thresholds: Moved) -> Option<Vec<String>> {
        if at < self.thresholds_at {
            return None;
        }
        self.thresholds_at = at;
        let before = std::mem::replace(&mut self.thresholds, by_room(thresholds));
        let rooms: BTreeSet<&String> = before.keys().chain(self.thresholds.keys()).collect();
        let moved = |room: &&String| before.get(*room) != self.thresholds.get(*room);
        Some(rooms.into_iter().filter(moved).cloned().collect())
    }

    /// Takes a threshold, or forgets it; without a class, all of the room. `at` is the number of
    /// the change, among those of all thresholds.
    pub(super) fn set_threshold(
        &mut self,
        room: &str,
        class: Option<&str>,
        threshold: Option<f32>,
        at: u64,
    ) {
        self.thresholds_at = self.thresholds_at.max(at);
        match (class, threshold) {
            (Some(class), Some(threshold)) => {
                let moved = self.thresholds.entry(room.to_owned()).or_default();
                moved.insert(class.to_owned(), threshold);
            }
            (Some(class), None) => {
                self.thresholds.get_mut(room).and_then(|moved| moved.remove(class));
            }
            (None, _) => drop(self.thresholds.remove(room)),
        }
    }

    /// The room's own rules over the global ones.
    pub(super) fn document(&self, room: &str) -> Document {
        let none = Document::default();
        let global = self.global.document.as_ref().unwrap_or(&none);
        let room = self.rooms.get(room).and_then(|saved| saved.document.as_ref());
        room.map_or_else(|| global.clone(), |room| room.over(global))
    }

    /// Raises thresholds to where feedback has moved them; never below what the rules say.
    pub(super) fn adjust(&self, room: &str, policy: &mut Policy) {
        let Some(moved) = self.thresholds.get(room) else { return };
        for (class, (threshold, _)) in &mut policy.classes {
            if let Some(moved) = moved.get(class) {
                *threshold = threshold.max(*moved);
            }
        }
    }
}

fn by_room(thresholds: Moved) -> Thresholds {
    let mut all = Thresholds::default();
    for (room, class, threshold) in thresholds {
        all.entry(room).or_default().insert(class, threshold as f32);
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn padding(version: u64, padding: f32) -> Saved {
        let document = Document { padding: Some(padding), ..Document::default() };
        Saved { version, document: Some(document) }
    }

    #[test]
    fn a_room_lies_over_the_global_rules_and_the_newest_version_holds() {
        let mut book = Rulebook::default();
        let room = || Scope::Room("stage".into());
        assert!(book.set(Scope::Global, padding(1, 0.1)));
        assert!(book.set(room(), padding(2, 0.2)));
        assert!(!book.set(room(), padding(1, 0.9)), "overtaken");
        assert_eq!(book.document("stage").padding, Some(0.2));
        assert_eq!(book.document("other").padding, Some(0.1));
        assert!(book.set(room(), Saved { version: 3, document: None }));
        assert_eq!(book.document("stage").padding, Some(0.1));
        assert!(!book.set(room(), padding(2, 0.2)), "taken away since");
    }

    #[test]
    fn feedback_raises_thresholds_and_the_rules_are_the_floor() {
        let moved = vec![("stage".to_owned(), "FACE_FEMALE".to_owned(), 0.4)];
        let mut book = Rulebook::new(Vec::new(), moved);
        let policy = |threshold: f32| {
            let text = format!(r#"{{"classes": {{"FACE_FEMALE": {{"threshold": {threshold}}}}}}}"#);
            serde_json::from_str::<Document>(&text).unwrap().resolve()
        };
        let threshold = |book: &Rulebook, room, configured| {
            let mut policy = policy(configured);
            book.adjust(room, &mut policy);
            policy.classes["FACE_FEMALE"].0
        };
        assert_eq!(threshold(&book, "stage", 0.3), 0.4);
        assert_eq!(threshold(&book, "stage", 0.5), 0.5);
        assert_eq!(threshold(&book, "other", 0.3), 0.3);
        book.set_threshold("stage", None, None, 1);
        assert_eq!(threshold(&book, "stage", 0.3), 0.3);
    }

    #[test]
    fn thresholds_of_another_process_are_taken_whole_and_never_go_back() {
        let all = |threshold| vec![("stage".to_owned(), "A".to_owned(), threshold)];
        let mut book = Rulebook::new(Vec::new(), all(0.4));
        assert_eq!(book.set_thresholds(1, all(0.4)), Some(vec![]), "nothing is new");
        assert_eq!(book.set_thresholds(2, all(0.5)), Some(vec!["stage".into()]));
        book.set_threshold("stage", Some("A"), Some(0.6), 3);
        assert_eq!(book.set_thresholds(2, all(0.5)), None, "read before the change here");
        assert_eq!(book.thresholds["stage"]["A"], 0.6);
        assert_eq!(book.set_thresholds(4, Vec::new()), Some(vec!["stage".into()]), "reset");
        assert!(book.thresholds.is_empty());
    }

    proptest! {
        /// Two processes change rules through one database, and each hears of the other's changes
        /// with looks that may come late and out of order. No version goes back, and after a last
        /// look both say the same as the database.
        #[test]
        fn versions_never_go_back_and_meet_in_the_end(
            steps in prop::collection::vec((0usize..2, 0usize..3, any::<bool>(), 0usize..20), 1..120)
        ) {
            let scopes = [Scope::Global, Scope::Room("a".into()), Scope::Room("b".into())];
            let mut books = [Rulebook::default(), Rulebook::default()];
            let mut database: HashMap<Scope, Saved> = HashMap::new();
            let mut looks = vec![Vec::new()];
            let version = |book: &Rulebook, scope: &Scope| match scope {
                Scope::Global => book.global.version,
                Scope::Room(room) => book.rooms.get(room).map_or(0, |saved| saved.version),
            };
            for (who, what, change, look) in steps {
                let before = scopes.each_ref().map(|scope| version(&books[who], scope));
                if change {
                    let saved = database.entry(scopes[what].clone()).or_default();
                    *saved = padding(saved.version + 1, look as f32 / 20.0);
                    let saved = saved.clone();
                    books[who].set(scopes[what].clone(), saved);
                    looks.push(database.clone().into_iter().collect());
                } else {
                    for (scope, saved) in looks[look % looks.len()].clone() {
                        books[who].set(scope, saved);
                    }
                }
                for (scope, before) in scopes.iter().zip(before) {
                    prop_assert!(version(&books[who], scope) >= before);
                }
            }
            for book in &mut books {
                for (scope, saved) in database.clone() {
                    book.set(scope, saved);
                }
                for (scope, saved) in &database {
                    prop_assert_eq!(version(book, scope), saved.version);
                }
                let global = database.get(&Scope::Global).and_then(|saved| saved.document.clone());
                prop_assert_eq!(book.document("c"), global.unwrap_or_default());
            }
        }
    }
}
