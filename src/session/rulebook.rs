//! The rules that the API was told and the thresholds that feedback has moved, as the sessions need
//! them. Pure; the database is where they are kept.

use std::collections::{BTreeMap, HashMap};

use crate::censor::{Document, Policy};
use crate::store::{Journal, Remembered, Saved, Scope};

/// What the database knew when the process started.
#[derive(Debug, Default)]
pub struct Kept {
    /// All rules.
    pub rules: Vec<(Scope, Saved)>,
    /// Thresholds that feedback has moved: room, class, threshold.
    pub thresholds: Vec<(String, String, f64)>,
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
    thresholds: HashMap<String, BTreeMap<String, f32>>,
}

impl Rulebook {
    /// The rules and thresholds that were kept.
    pub(super) fn new(rules: Vec<(Scope, Saved)>, thresholds: Vec<(String, String, f64)>) -> Self {
        let mut book = Self::default();
        for (scope, saved) in rules {
            book.set(scope, saved);
        }
        for (room, class, threshold) in thresholds {
            book.set_threshold(&room, Some(&class), Some(threshold as f32));
        }
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

    /// Takes a threshold, or forgets it; without a class, all of the room.
    pub(super) fn set_threshold(
        &mut self,
        room: &str,
        class: Option<&str>,
        threshold: Option<f32>,
    ) {
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

#[cfg(test)]
mod tests {
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
        book.set_threshold("stage", None, None);
        assert_eq!(threshold(&book, "stage", 0.3), 0.3);
    }
}
