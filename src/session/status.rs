//! Where a stream stands, derived from what is known of its parts.

use std::sync::{Mutex, MutexGuard};

use super::State;
use crate::livekit::Link;

/// What is known of a stream's parts. Written by its task, read by anyone.
#[derive(Debug)]
pub(super) struct Status {
    known: Mutex<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    raw: Option<Link>,
    processed: Option<Link>,
    live: bool,
    covering: bool,
    ending: bool,
    problems: Vec<String>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            known: Mutex::new(Known {
                raw: None,
                processed: None,
                live: false,
                covering: false,
                ending: false,
                problems: Vec::new(),
            }),
        }
    }
}

impl Status {
    /// The raw room's connection changed.
    pub(super) fn raw(&self, link: Link) {
        self.known().raw = Some(link);
    }

    /// The processed room's connection changed.
    pub(super) fn processed(&self, link: Link) {
        self.known().processed = Some(link);
    }

    /// Whether a broadcaster's video is there.
    pub(super) fn live(&self, live: bool) {
        self.known().live = live;
    }

    /// The dump button.
    pub(super) fn covering(&self, on: bool) {
        self.known().covering = on;
    }

    /// The stream is being stopped.
    pub(super) fn ending(&self) {
        self.known().ending = true;
    }

    /// What is wrong with single tracks.
    pub(super) fn problems(&self, problems: Vec<String>) {
        self.known().problems = problems;
    }

    /// Whether the dump button is pressed.
    pub(super) fn is_covering(&self) -> bool {
        self.known().covering
    }

    /// Where the stream stands, and what is wrong.
    pub(super) fn read(&self) -> (State, Vec<String>) {
        let known = self.known().clone();
        let mut problems = known.problems.clone();
        for (room, link) in [("raw", &known.raw), ("processed", &known.processed)] {
            if let Some(Link::Reconnecting(why) | Link::Failed(why)) = link {
                problems.push(format!("{room} room: {why}"));
            }
        }
        (state(&known), problems)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn state(known: &Known) -> State {
    if known.ending {
        return State::Ending;
    }
    match (&known.raw, &known.processed) {
        (Some(Link::Connected), Some(Link::Connected)) if known.live => State::Live,
        (Some(Link::Connected), Some(Link::Connected)) => State::Waiting,
        (Some(_), Some(_)) => State::Reconnecting,
        _ => State::Starting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_live_when_both_rooms_are_joined_and_video_is_there() {
        let status = Status::default();
        assert_eq!(status.read().0, State::Starting);
        status.raw(Link::Connected);
        assert_eq!(status.read().0, State::Starting);
        status.processed(Link::Connected);
        assert_eq!(status.read().0, State::Waiting);
        status.live(true);
        assert_eq!(status.read().0, State::Live);
        status.processed(Link::Reconnecting("no packets for 2 s".into()));
        let (state, problems) = status.read();
        assert_eq!(state, State::Reconnecting);
        assert_eq!(problems, ["processed room: no packets for 2 s"]);
        status.ending();
        assert_eq!(status.read().0, State::Ending);
    }
}
