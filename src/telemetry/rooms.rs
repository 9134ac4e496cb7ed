//! A bounded number of room labels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::labels::{
    DetectionLabels, Outcome, OutcomeLabels, Processor, ProcessorLabels, RoomLabels,
};
use super::metrics::{OTHER, PerRoom, RoomInner};

/// Rooms that have labels of their own. When all are taken, the longest unused one whose handles
/// were dropped gives its place; when none was, the newcomer is counted under [`OTHER`].
#[derive(Debug)]
pub(super) struct Rooms {
    max: usize,
    families: PerRoom,
    rooms: HashMap<String, (u64, Arc<RoomInner>)>,
    other: Option<Arc<RoomInner>>,
    asked: u64,
}

impl Rooms {
    pub(super) fn new(max: usize, families: PerRoom) -> Self {
        Self { max, families, rooms: HashMap::new(), other: None, asked: 0 }
    }

    pub(super) fn get(&mut self, name: &str) -> Arc<RoomInner> {
        self.asked += 1;
        if let Some((used, room)) = self.rooms.get_mut(name) {
            *used = self.asked;
            return room.clone();
        }
        if self.rooms.len() >= self.max && !self.make_room() {
            return self.other.get_or_insert_with(|| resolve(&self.families, OTHER)).clone();
        }
        let room = resolve(&self.families, name);
        self.rooms.insert(name.to_owned(), (self.asked, room.clone()));
        room
    }

    /// Removes the series of the longest unused room that nobody holds; whether there was one.
    fn make_room(&mut self) -> bool {
        let idle = self.rooms.iter().filter(|(_, (_, room))| Arc::strong_count(room) == 1);
        let Some(name) = idle.min_by_key(|(_, (used, _))| *used).map(|(name, _)| name.clone())
        else {
            return false;
        };
        if let Some((_, room)) = self.rooms.remove(&name) {
            forget(&room);
        }
        true
    }
}

fn resolve(families: &PerRoom, label: &str) -> Arc<RoomInner> {
    let room_name = label.to_owned();
    let frames = Outcome::ALL.map(|outcome| {
        let labels = OutcomeLabels { room_name: room_name.clone(), outcome };
        families.frames.get_or_create_owned(&labels)
    });
    let processing = Processor::ALL.map(|processor| {
        let labels = ProcessorLabels { room_name: room_name.clone(), processor };
        families.processing.get_or_create_owned(&labels)
    });
    let live = families.live.get_or_create_owned(&RoomLabels { room_name: room_name.clone() });
    let (families, classes) = (families.clone(), Mutex::default());
    Arc::new(RoomInner { label: room_name, families, frames, processing, live, classes })
}

fn forget(room: &RoomInner) {
    let room_name = room.label.clone();
    room.families.live.remove(&RoomLabels { room_name: room_name.clone() });
    for outcome in Outcome::ALL {
        room.families.frames.remove(&OutcomeLabels { room_name: room_name.clone(), outcome });
    }
    for processor in Processor::ALL {
        let labels = ProcessorLabels { room_name: room_name.clone(), processor };
        room.families.processing.remove(&labels);
    }
    let classes = room.classes.lock().unwrap_or_else(PoisonError::into_inner);
    for class in &*classes {
        let labels = DetectionLabels { r#type: class.clone(), room_name: room_name.clone() };
        room.families.detections.remove(&labels);
    }
}
