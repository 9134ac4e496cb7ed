//! What LiveKit's events mean: pure, and proof against duplicates, delays and disorder.
//!
//! LiveKit delivers at least once and in no fixed order. What has ended (a participant, a track, a
//! room: each has an id that is never used again) is remembered, so that the news of its beginning,
//! when it comes late, changes nothing.

use std::collections::{HashMap, HashSet, VecDeque};

use livekit_protocol::participant_info::Kind;
use livekit_protocol::{ParticipantInfo, TrackType, WebhookEvent};

use super::names::{check_room, raw_of};

/// Events and endings that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 4_096;

/// Events older than this are ignored, in seconds. LiveKit's own retries end within a minute, and
/// its signatures within five.
const STALE_S: i64 = 600;

/// Rooms whose video tracks are known, and tracks known in a room. A room past this is not
/// followed, and ends with the first of its tracks that does.
const ROOMS_MAX: usize = 1_024;
const TRACKS_MAX: usize = 64;

/// Video tracks whose participant has not been announced yet; the oldest are forgotten first.
const EARLY_MAX: usize = 256;

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    /// A broadcaster's video appeared in a raw room.
    Start {
        room: String,
        identity: String,
    },
    /// The last broadcaster's video of a raw room is gone.
    End {
        room: String,
    },
    /// A viewer came to or left a processed room.
    Viewer {
        room: String,
        identity: String,
        joined: bool,
    },
}

/// What was delivered so far.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    seen: Remembered,
    ended: Remembered,
    /// Participants who joined with a broadcaster's token, by sid: events about tracks do not
    /// carry attributes.
    broadcasters: Remembered,
    /// Video tracks that came before their participant's attributes did: participant and track sid.
    early: VecDeque<(String, String)>,
    /// Raw room → video track sid → sid of the participant.
    videos: HashMap<String, HashMap<String, String>>,
    /// Raw rooms whose stream did not fit, with the broadcaster's identity: tried again with the
    /// room's next event. They are among `videos`, which bounds them.
    owed: HashMap<String, String>,
}

impl Deliveries {
    /// Knows what the process before has dealt with, oldest first.
    pub(super) fn after(ids: &[String]) -> Self {
        let mut all = Self::default();
        for id in ids {
            all.seen.insert(id);
        }
        all
    }

    /// Takes one event; `now` in seconds since 1970.
    pub(super) fn take(&mut self, event: &WebhookEvent, autostart: bool, now: i64) -> Effect {
        let stale = event.created_at > 0 && now - event.created_at > STALE_S;
        if stale || (!event.id.is_empty() && !self.seen.insert(&event.id)) {
            return Effect::Nothing;
        }
        let Some(room) = &event.room else { return Effect::Nothing };
        if event.event == "room_finished" {
            self.ended.insert(&room.sid);
        } else if self.ended.contains(&room.sid) {
            return Effect::Nothing;
        }
        if raw_of(&room.name).is_some() {
            self.processed_room(event, &room.name)
        } else if check_room(&room.name).is_ok() {
            self.raw_room(event, &room.name, autostart)
        } else {
            Effect::Nothing
        }
    }

    /// Lets an event be delivered again.
    pub(super) fn forget(&mut self, id: &str) {
        self.seen.remove(id);
    }

    /// A stream did not fit: the room's next event tries again, as long as it has video.
    pub(super) fn owe(&mut self, room: String, identity: String) {
        if self.videos.contains_key(&room) {
            self.owed.insert(room, identity);
        }
    }

    fn processed_room(&mut self, event: &WebhookEvent, room: &str) -> Effect {
        let Some(participant) = &event.participant else { return Effect::Nothing };
        let joined = match event.event.as_str() {
            "participant_joined" => true,
            "participant_left" | "participant_connection_aborted" => false,
            _ => return Effect::Nothing,
        };
        if !joined {
            self.ended.insert(&participant.sid);
        } else if self.ended.contains(&participant.sid) {
            return Effect::Nothing;
        }
        // Recorders and other machines are no audience, nor is whoever watches unseen (operators),
        // nor the server itself: it joins as a plain participant, but it may publish, which no
        // viewer may.
        let no_viewer =
            participant.permission.as_ref().is_some_and(|may| may.can_publish || may.hidden);
        if no_viewer || participant.kind != Kind::Standard as i32 {
            return Effect::Nothing;
        }
        Effect::Viewer { room: room.to_owned(), identity: participant.identity.clone(), joined }
    }

    fn raw_room(&mut self, event: &WebhookEvent, room: &str, autostart: bool) -> Effect {
        let effect = self.raw_event(event, room, autostart);
        match self.owed.remove(room) {
            Some(identity) if effect == Effect::Nothing && self.videos.contains_key(room) => {
                Effect::Start { room: room.to_owned(), identity }
            }
            _ => effect,
        }
    }

    fn raw_event(&mut self, event: &WebhookEvent, room: &str, autostart: bool) -> Effect {
        let end = || Effect::End { room: room.to_owned() };
        let Some(participant) = &event.participant else {
            if event.event == "room_finished" {
                self.videos.remove(room);
                return end();
            }
            return Effect::Nothing;
        };
        let video = event.track.as_ref().filter(|track| track.r#type == TrackType::Video as i32);
        let published = video.filter(|_| event.event == "track_published");
        if participant.attributes.get("role").is_some_and(|role| role == "broadcaster") {
            self.broadcasters.insert(&participant.sid);
        }
        if !self.is_broadcaster(participant) {
            if let Some(track) = published {
                self.keep_early(&participant.sid, &track.sid);
            }
            return Effect::Nothing;
        }
        let mut begun = self.take_early(&participant.sid);
        begun.extend(published.map(|track| track.sid.clone()));
        if self.begin(room, &participant.sid, begun) && autostart {
            return Effect::Start { room: room.to_owned(), identity: participant.identity.clone() };
        }
        let over = match (event.event.as_str(), video) {
            ("track_unpublished", Some(track)) => {
                self.ended.insert(&track.sid);
                self.drop_tracks(room, |sid, _| *sid == track.sid)
            }
            ("participant_left" | "participant_connection_aborted", _) => {
                self.ended.insert(&participant.sid);
                self.drop_tracks(room, |_, owner| *owner == participant.sid)
            }
            _ => false,
        };
        if over { end() } else { Effect::Nothing }
    }

    /// Follows the tracks that have not ended already; whether there is one.
    fn begin(&mut self, room: &str, participant: &str, tracks: Vec<String>) -> bool {
        if self.ended.contains(participant) {
            return false;
        }
        let mut any = false;
        for track in tracks.into_iter().filter(|track| !self.ended.contains(track)) {
            follow(&mut self.videos, room, &track, participant);
            any = true;
        }
        any
    }

    fn keep_early(&mut self, participant: &str, track: &str) {
        if self.early.len() == EARLY_MAX {
            self.early.pop_front();
        }
        self.early.push_back((participant.to_owned(), track.to_owned()));
    }

    fn take_early(&mut self, participant: &str) -> Vec<String> {
        let (theirs, others) = std::mem::take(&mut self.early)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(owner, _)| owner == participant);
        self.early = others;
        theirs.into_iter().map(|(_, track)| track).collect()
    }

    /// By its token, or, for tokens made elsewhere, by its identity.
    fn is_broadcaster(&self, participant: &ParticipantInfo) -> bool {
        participant.kind == Kind::Standard as i32
            && (self.broadcasters.contains(&participant.sid)
                || participant.identity.contains("broadcaster"))
    }

    /// Forgets tracks of a room; whether that leaves it without any. A room that was never
    /// followed (this process began after its tracks) counts as left without.
    fn drop_tracks(&mut self, room: &str, gone: impl Fn(&String, &String) -> bool) -> bool {
        let Some(tracks) = self.videos.get_mut(room) else { return true };
        tracks.retain(|track, owner| !gone(track, owner));
        let empty = tracks.is_empty();
        if empty {
            self.videos.remove(room);
        }
        empty
    }
}

/// Keeps a room's track, as far as there is place.
fn follow(
    videos: &mut HashMap<String, HashMap<String, String>>,
    room: &str,
    track: &str,
    participant: &str,
) {
    if !videos.contains_key(room) && videos.len() >= ROOMS_MAX {
        return;
    }
    let tracks = videos.entry(room.to_owned()).or_default();
    if tracks.len() < TRACKS_MAX {
        tracks.insert(track.to_owned(), participant.to_owned());
    }
}

/// A bounded set that forgets what was put in first.
#[derive(Debug, Default)]
struct Remembered {
    set: HashSet<String>,
    order: VecDeque<String>,
}

impl Remembered {
    /// Whether it is new. Nothing without an id is kept.
    fn insert(&mut self, id: &str) -> bool {
        if id.is_empty() || !self.set.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }

    fn contains(&self, id: &str) -> bool {
        self.set.contains(id)
    }

    fn remove(&mut self, id: &str) {
        if self.set.remove(id) {
            self.order.retain(|known| known != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use livekit_protocol::{ParticipantPermission, Room, TrackInfo};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn event(id: &str, kind: &str, room: &str) -> WebhookEvent {
        let room = Room { name: room.into(), sid: format!("RM_{room}"), ..Room::default() };
        WebhookEvent {
            id: id.into(),
            event: kind.into(),
            created_at: NOW,
            room: Some(room),
            ..WebhookEvent::default()
        }
    }

    fn about(mut event: WebhookEvent, sid: &str, identity: &str) -> WebhookEvent {
        let (sid, identity) = (sid.into(), identity.into());
        event.participant = Some(ParticipantInfo { sid, identity, ..ParticipantInfo::default() });
        event
    }

    fn video(mut event: WebhookEvent, sid: &str) -> WebhookEvent {
        let r#type = TrackType::Video as i32;
        event.track = Some(TrackInfo { sid: sid.into(), r#type, ..TrackInfo::default() });
        event
    }

    fn published(id: &str, participant: &str, track: &str) -> WebhookEvent {
        video(about(event(id, "track_published", "stage"), participant, "broadcaster-1"), track)
    }

    fn take(deliveries: &mut Deliveries, event: &WebhookEvent) -> Effect {
        deliveries.take(event, true, NOW)
    }

    fn start() -> Effect {
        Effect::Start { room: "stage".into(), identity: "broadcaster-1".into() }
    }

    fn end() -> Effect {
        Effect::End { room: "stage".into() }
    }

    #[test]
    fn a_broadcasters_video_starts_once_and_its_end_ends() {
        let mut all = Deliveries::default();
        let first = published("1", "PA_1", "TR_1");
        assert_eq!(take(&mut all, &first), start());
        assert_eq!(take(&mut all, &first), Effect::Nothing, "delivered twice");
        let gone =
            video(about(event("2", "track_unpublished", "stage"), "PA_1", "broadcaster-1"), "TR_1");
        assert_eq!(take(&mut all, &gone), end());
        let late = published("3", "PA_1", "TR_1");
        assert_eq!(take(&mut all, &late), Effect::Nothing, "published after it was unpublished");
        assert_eq!(take(&mut all, &published("4", "PA_1", "TR_2")), start());
        assert_eq!(take(&mut all, &event("5", "room_finished", "stage")), end());
        assert_eq!(
            take(&mut all, &published("6", "PA_1", "TR_3")),
            Effect::Nothing,
            "room is over"
        );
    }

    #[test]
    fn what_the_process_before_has_dealt_with_changes_nothing() {
        let mut all = Deliveries::after(&["1".to_owned()]);
        assert_eq!(take(&mut all, &published("1", "PA_1", "TR_1")), Effect::Nothing);
        assert_eq!(take(&mut all, &published("2", "PA_1", "TR_1")), start());
    }

    #[test]
    fn without_autostart_nothing_starts() {
        let first = published("1", "PA_1", "TR_1");
        assert_eq!(Deliveries::default().take(&first, false, NOW), Effect::Nothing);
    }

    #[test]
    fn a_stream_goes_on_while_one_video_is_left() {
        let mut all = Deliveries::default();
        take(&mut all, &published("1", "PA_1", "TR_1"));
        take(&mut all, &published("2", "PA_2", "TR_2"));
        let left = |id, sid| about(event(id, "participant_left", "stage"), sid, "broadcaster-1");
        assert_eq!(take(&mut all, &left("3", "PA_1")), Effect::Nothing, "came back as PA_2");
        assert_eq!(take(&mut all, &left("4", "PA_2")), end());
    }

    #[test]
    fn a_stream_that_did_not_fit_is_tried_with_the_rooms_next_event_while_it_has_video() {
        let mut all = Deliveries::default();
        take(&mut all, &published("1", "PA_1", "TR_1"));
        all.owe("stage".into(), "broadcaster-1".into());
        let guest = |id| about(event(id, "participant_joined", "stage"), "PA_9", "guest");
        assert_eq!(take(&mut all, &guest("2")), start());
        assert_eq!(take(&mut all, &guest("3")), Effect::Nothing, "it was tried");
        all.owe("stage".into(), "broadcaster-1".into());
        let left = about(event("4", "participant_left", "stage"), "PA_1", "broadcaster-1");
        assert_eq!(take(&mut all, &left), end());
        assert_eq!(take(&mut all, &guest("5")), Effect::Nothing, "its video is gone");
        all.owe("stage".into(), "broadcaster-1".into());
        assert!(all.owed.is_empty());
    }

    #[test]
    fn only_a_broadcasters_video_counts() {
        let mut all = Deliveries::default();
        let guest = video(about(event("1", "track_published", "stage"), "PA_9", "guest"), "TR_9");
        assert_eq!(take(&mut all, &guest), Effect::Nothing);
        let mut sound = published("2", "PA_1", "TR_1");
        sound.track.as_mut().unwrap().r#type = TrackType::Audio as i32;
        assert_eq!(take(&mut all, &sound), Effect::Nothing);
        let guest_left = about(event("3", "participant_left", "stage"), "PA_9", "guest");
        assert_eq!(take(&mut all, &guest_left), Effect::Nothing);
    }

    #[test]
    fn a_token_of_ours_makes_a_broadcaster_under_any_name() {
        let mut all = Deliveries::default();
        let mut joined = about(event("1", "participant_joined", "stage"), "PA_1", "Ann");
        let participant = joined.participant.as_mut().unwrap();
        participant.attributes.insert("role".into(), "broadcaster".into());
        take(&mut all, &joined);
        let track = video(about(event("2", "track_published", "stage"), "PA_1", "Ann"), "TR_1");
        let expected = Effect::Start { room: "stage".into(), identity: "Ann".into() };
        assert_eq!(take(&mut all, &track), expected);
    }

    #[test]
    fn a_track_that_comes_before_its_participant_starts_with_it() {
        let mut all = Deliveries::default();
        let track = video(about(event("1", "track_published", "stage"), "PA_1", "Ann"), "TR_1");
        assert_eq!(take(&mut all, &track), Effect::Nothing);
        let guest = about(event("2", "participant_joined", "stage"), "PA_2", "Bob");
        assert_eq!(take(&mut all, &guest), Effect::Nothing);
        let mut joined = about(event("3", "participant_joined", "stage"), "PA_1", "Ann");
        let participant = joined.participant.as_mut().unwrap();
        participant.attributes.insert("role".into(), "broadcaster".into());
        let expected = Effect::Start { room: "stage".into(), identity: "Ann".into() };
        assert_eq!(take(&mut all, &joined), expected);
    }

    #[test]
    fn viewers_are_counted_in_order_and_machines_are_not() {
        let mut all = Deliveries::default();
        let viewer = |id, kind| about(event(id, kind, "stage-processed"), "PA_1", "Vic");
        let expected = |joined| Effect::Viewer {
            room: "stage-processed".into(),
            identity: "Vic".into(),
            joined,
        };
        assert_eq!(take(&mut all, &viewer("1", "participant_joined")), expected(true));
        assert_eq!(take(&mut all, &viewer("2", "participant_left")), expected(false));
        let late = viewer("3", "participant_joined");
        assert_eq!(take(&mut all, &late), Effect::Nothing, "joined after left");
        let mut agent = about(event("4", "participant_joined", "stage-processed"), "PA_2", "scrim");
        agent.participant.as_mut().unwrap().kind = Kind::Agent as i32;
        assert_eq!(take(&mut all, &agent), Effect::Nothing);
        let mut own = about(event("5", "participant_joined", "stage-processed"), "PA_3", "scrim");
        let may = ParticipantPermission { can_publish: true, ..ParticipantPermission::default() };
        own.participant.as_mut().unwrap().permission = Some(may);
        assert_eq!(take(&mut all, &own), Effect::Nothing);
        let mut unseen =
            about(event("6", "participant_joined", "stage-processed"), "PA_4", "monitor-1");
        let may = ParticipantPermission { hidden: true, ..ParticipantPermission::default() };
        unseen.participant.as_mut().unwrap().permission = Some(may);
        assert_eq!(take(&mut all, &unseen), Effect::Nothing);
    }

    #[test]
    fn old_events_change_nothing() {
        let first = published("1", "PA_1", "TR_1");
        let mut all = Deliveries::default();
        assert_eq!(all.take(&first, true, NOW + STALE_S + 1), Effect::Nothing);
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let mut memory = Remembered::default();
        for n in 0..=REMEMBERED {
            assert!(memory.insert(&n.to_string()));
        }
        assert_eq!((memory.set.len(), memory.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!memory.contains("0") && memory.contains("1"));
    }
}
