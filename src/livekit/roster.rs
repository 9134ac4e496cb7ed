//! Who is in the room, and which of their tracks matter. Pure.
//!
//! In a raw room only broadcasters count: participants whose token carries our role attribute, or
//! whose identity contains `broadcaster`. Everything else there is never subscribed to.

use std::collections::HashMap;

use livekit_protocol as proto;

use super::token::ROLE;
use super::{Incoming, Reason, Whom};
use crate::media::{Kind, Source, VideoCodec};

/// Tracks of broadcasters that are kept at once; what is published beyond is ignored. A
/// broadcaster has a camera, a screen and two sounds; a room has few broadcasters.
pub(super) const CAPACITY: usize = 64;

/// What a change in the room asks for.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Subscribe to the track, at this size (zero for sound or when unknown).
    Subscribe {
        /// Track sid.
        track: String,
        /// Width and height its publisher announced, pixels.
        size: (u32, u32),
        /// Pictures or sound.
        kind: Kind,
    },
    /// Tell the pipeline.
    Report(Incoming),
}

#[derive(Debug)]
struct Track {
    participant: String,
    identity: String,
    source: Source,
    size: (u32, u32),
    muted: bool,
    /// Announced to the pipeline, with this codec.
    started: Option<Option<VideoCodec>>,
    refused: bool,
}

/// The tracks that count.
#[derive(Debug, Default)]
pub(super) struct Roster {
    whom: Whom,
    tracks: HashMap<String, Track>,
    /// Version of the newest update seen of each participant; older ones come late at times.
    versions: HashMap<String, u32>,
}

impl Roster {
    /// An empty room, in which the tracks of `whom` count.
    pub(super) fn new(whom: Whom) -> Self {
        Self { whom, ..Self::default() }
    }

    /// Takes in what the server says about one participant.
    pub(super) fn update(&mut self, participant: &proto::ParticipantInfo) -> Vec<Change> {
        let gone = participant.state() == proto::participant_info::State::Disconnected
            || !counts(self.whom, participant);
        let newest = self.versions.get(&participant.sid).copied().unwrap_or(0);
        if participant.version < newest {
            return Vec::new();
        }
        let listed: &[proto::TrackInfo] = if gone { &[] } else { &participant.tracks };
        let mut changes = self.drop_missing(&participant.sid, listed);
        if gone {
            self.versions.remove(&participant.sid);
        } else {
            self.versions.insert(participant.sid.clone(), participant.version);
        }
        for info in listed {
            self.track(participant, info, &mut changes);
        }
        changes
    }

    /// A frame of the track came in this codec: tells the pipeline if it does not know yet.
    pub(super) fn frame(&mut self, track: &str, codec: Option<VideoCodec>) -> Vec<Change> {
        let Some(known) = self.tracks.get_mut(track) else { return Vec::new() };
        if known.started == Some(codec) || known.refused {
            return Vec::new();
        }
        let mut changes = Vec::new();
        if known.started.is_some() {
            changes.push(ended(track));
        }
        known.started = Some(codec);
        changes.push(started(track, known, codec));
        changes
    }

    /// The server cannot deliver the track, or it cannot be processed.
    pub(super) fn refuse(&mut self, track: &str, reason: &Reason) -> Vec<Change> {
        let Some(known) = self.tracks.get_mut(track) else { return Vec::new() };
        known.refuse(track, reason)
    }

    /// Forgets everybody, as after joining anew; says which tracks ended.
    pub(super) fn clear(&mut self) -> Vec<Change> {
        self.versions.clear();
        let drained = self.tracks.drain();
        drained.filter(|(_, track)| track.started.is_some()).map(|(sid, _)| ended(&sid)).collect()
    }

    /// The tracks to be subscribed to, refused ones left out.
    pub(super) fn subscribed(&self) -> Vec<String> {
        let wanted = self.tracks.iter().filter(|(_, track)| !track.refused);
        wanted.map(|(sid, _)| sid.clone()).collect()
    }

    /// Whether the track belongs to a broadcaster and can be processed.
    pub(super) fn delivers(&self, track: &str) -> bool {
        self.tracks.get(track).is_some_and(|known| !known.refused)
    }

    fn drop_missing(&mut self, participant: &str, listed: &[proto::TrackInfo]) -> Vec<Change> {
        let gone = self.tracks.extract_if(|sid, track| {
            track.participant == participant && !listed.iter().any(|info| info.sid == *sid)
        });
        gone.filter(|(_, track)| track.started.is_some()).map(|(sid, _)| ended(&sid)).collect()
    }

    fn track(
        &mut self,
        participant: &proto::ParticipantInfo,
        info: &proto::TrackInfo,
        changes: &mut Vec<Change>,
    ) {
        let Some(source) = source(info) else { return };
        let fresh = !self.tracks.contains_key(&info.sid);
        if fresh && self.tracks.len() >= CAPACITY {
            tracing::warn!(track = info.sid, "too many tracks, one is ignored");
            return;
        }
        let track = self.tracks.entry(info.sid.clone()).or_insert_with(|| Track {
            participant: participant.sid.clone(),
            identity: participant.identity.clone(),
            source,
            size: (info.width, info.height),
            muted: false,
            started: None,
            refused: false,
        });
        if info.encryption() != proto::encryption::Type::None {
            changes.extend(track.refuse(&info.sid, &Reason::Encrypted));
            return;
        }
        let codec = match codec(info, source.kind()) {
            Ok(codec) => codec,
            Err(reason) => {
                changes.extend(track.refuse(&info.sid, &reason));
                return;
            }
        };
        if fresh {
            let size = track.size;
            changes.push(Change::Subscribe { track: info.sid.clone(), size, kind: source.kind() });
        }
        if let (None, Some(codec)) = (track.started, codec) {
            track.started = Some(codec);
            changes.push(started(&info.sid, track, codec));
        }
        if track.started.is_some() && track.muted != info.muted {
            track.muted = info.muted;
            let report = Incoming::Muted { track: info.sid.clone(), muted: info.muted };
            changes.push(Change::Report(report));
        }
    }
}

impl Track {
    fn refuse(&mut self, sid: &str, reason: &Reason) -> Vec<Change> {
        if self.refused {
            return Vec::new();
        }
        self.refused = true;
        let mut changes = Vec::new();
        if self.started.take().is_some() {
            changes.push(ended(sid));
        }
        let reason = reason.to_string();
        changes.push(Change::Report(Incoming::Refused { track: sid.to_owned(), reason }));
        changes
    }
}

fn counts(whom: Whom, participant: &proto::ParticipantInfo) -> bool {
    whom == Whom::Everyone || is_broadcaster(participant)
}

pub(super) fn is_broadcaster(participant: &proto::ParticipantInfo) -> bool {
    let (key, value) = ROLE;
    participant.attributes.get(key).is_some_and(|role| role == value)
        || participant.identity.contains("broadcaster")
}

fn started(track: &str, known: &Track, codec: Option<VideoCodec>) -> Change {
    Change::Report(Incoming::Started {
        track: track.to_owned(),
        identity: known.identity.clone(),
        source: known.source,
        codec,
        size: known.size,
    })
}

fn ended(track: &str) -> Change {
    Change::Report(Incoming::Ended { track: track.to_owned() })
}

/// What the track shows; `None` for tracks that are neither pictures nor sound.
fn source(info: &proto::TrackInfo) -> Option<Source> {
    use proto::TrackSource::{ScreenShare, ScreenShareAudio};
    match (info.r#type(), info.source()) {
        (proto::TrackType::Video, ScreenShare) => Some(Source::Screen),
        (proto::TrackType::Video, _) => Some(Source::Camera),
        (proto::TrackType::Audio, ScreenShareAudio) => Some(Source::ScreenAudio),
        (proto::TrackType::Audio, _) => Some(Source::Microphone),
        (proto::TrackType::Data, _) => None,
    }
}

/// The codec as far as the server knows it: `Ok(None)` while it does not, or when the publisher
/// sends several and the first frame has to tell.
fn codec(info: &proto::TrackInfo, kind: Kind) -> Result<Option<Option<VideoCodec>>, Reason> {
    let mime = info.mime_type.to_ascii_lowercase();
    match (kind, mime.as_str()) {
        (_, "") => Ok(None),
        (Kind::Audio, "audio/opus" | "audio/red") => Ok(Some(None)),
        (Kind::Video, _) if info.codecs.len() > 1 => Ok(None),
        (Kind::Video, "video/h264") => Ok(Some(Some(VideoCodec::H264))),
        (Kind::Video, "video/vp8") => Ok(Some(Some(VideoCodec::Vp8))),
        (Kind::Video, "video/vp9") => Ok(Some(Some(VideoCodec::Vp9))),
        (Kind::Video, "video/av1") => Ok(Some(Some(VideoCodec::Av1))),
        _ => Err(Reason::Codec(mime)),
    }
}

#[cfg(test)]
mod tests {
    use proto::participant_info::State;

    use super::*;

    fn person(identity: &str, tracks: Vec<proto::TrackInfo>) -> proto::ParticipantInfo {
        proto::ParticipantInfo {
            sid: format!("PA_{identity}"),
            identity: identity.into(),
            state: State::Active.into(),
            tracks,
            ..Default::default()
        }
    }

    fn video(sid: &str, mime: &str) -> proto::TrackInfo {
        proto::TrackInfo {
            sid: sid.into(),
            r#type: proto::TrackType::Video.into(),
            source: proto::TrackSource::Camera.into(),
            mime_type: mime.into(),
            width: 1280,
            height: 720,
            ..Default::default()
        }
    }

    fn reports(changes: &[Change]) -> Vec<&'static str> {
        let name = |change: &Change| match change {
            Change::Subscribe { .. } => "subscribe",
            Change::Report(Incoming::Started { .. }) => "started",
            Change::Report(Incoming::Ended { .. }) => "ended",
            Change::Report(Incoming::Refused { .. }) => "refused",
            Change::Report(Incoming::Muted { .. }) => "muted",
            Change::Report(_) => "other",
        };
        changes.iter().map(name).collect()
    }

    #[test]
    fn only_broadcasters_count() {
        let mut roster = Roster::default();
        assert!(roster.update(&person("eve", vec![video("a", "video/VP8")])).is_empty());
        let mut marked = person("bob", vec![video("b", "video/VP8")]);
        marked.attributes.insert("role".into(), "broadcaster".into());
        assert_eq!(reports(&roster.update(&marked)), ["subscribe", "started"]);
        let named = person("my-broadcaster-1", vec![video("c", "video/H264")]);
        assert_eq!(reports(&roster.update(&named)), ["subscribe", "started"]);
        assert!(!roster.delivers("a") && roster.delivers("b") && roster.delivers("c"));
    }

    #[test]
    fn everybody_counts_where_that_is_wanted() {
        let mut roster = Roster::new(Whom::Everyone);
        let stranger = person("eve", vec![video("a", "video/VP8")]);
        assert_eq!(reports(&roster.update(&stranger)), ["subscribe", "started"]);
    }

    #[test]
    fn who_loses_the_role_is_no_broadcaster_any_more() {
        let mut roster = Roster::default();
        let mut marked = person("bob", vec![video("b", "video/VP8")]);
        marked.attributes.insert("role".into(), "broadcaster".into());
        roster.update(&marked);
        marked.attributes.clear();
        assert_eq!(reports(&roster.update(&marked)), ["ended"]);
        assert!(!roster.delivers("b"));
    }

    #[test]
    fn unpublishing_leaving_and_returning() {
        let mut roster = Roster::default();
        roster.update(&person("broadcaster", vec![video("a", "video/vp8")]));
        assert!(roster.update(&person("broadcaster", vec![video("a", "video/vp8")])).is_empty());
        assert_eq!(reports(&roster.update(&person("broadcaster", vec![]))), ["ended"]);
        roster.update(&person("broadcaster", vec![video("b", "video/vp8")]));
        let mut left = person("broadcaster", vec![video("b", "video/vp8")]);
        left.state = State::Disconnected.into();
        assert_eq!(reports(&roster.update(&left)), ["ended"]);
        let back = person("broadcaster", vec![video("c", "video/vp8")]);
        assert_eq!(reports(&roster.update(&back)), ["subscribe", "started"]);
        assert_eq!(reports(&roster.clear()), ["ended"]);
    }

    #[test]
    fn an_update_that_comes_late_changes_nothing() {
        let mut roster = Roster::default();
        let mut new = person("broadcaster", vec![video("a", "video/vp8")]);
        new.version = 5;
        roster.update(&new);
        let mut old = person("broadcaster", vec![]);
        old.version = 4;
        assert!(roster.update(&old).is_empty());
        assert!(roster.delivers("a"));
    }

    #[test]
    fn encrypted_and_unknown_codecs_are_refused_once() {
        let mut roster = Roster::default();
        let mut secret = video("a", "video/vp8");
        secret.encryption = proto::encryption::Type::Gcm.into();
        let person = person("broadcaster", vec![secret, video("b", "video/H265")]);
        assert_eq!(reports(&roster.update(&person)), ["refused", "refused"]);
        assert!(roster.update(&person).is_empty());
        assert!(roster.subscribed().is_empty());
    }

    #[test]
    fn the_first_frame_tells_the_codec_when_the_server_does_not() {
        let mut roster = Roster::default();
        let unknown = person("broadcaster", vec![video("a", "")]);
        assert_eq!(reports(&roster.update(&unknown)), ["subscribe"]);
        assert_eq!(reports(&roster.frame("a", Some(VideoCodec::Vp8))), ["started"]);
        assert!(roster.frame("a", Some(VideoCodec::Vp8)).is_empty());
        let other = roster.frame("a", Some(VideoCodec::H264));
        assert_eq!(reports(&other), ["ended", "started"]);
    }

    #[test]
    fn muting_is_reported() {
        let mut roster = Roster::default();
        let mut muted = video("a", "video/vp8");
        muted.muted = true;
        let person = person("broadcaster", vec![muted]);
        assert_eq!(reports(&roster.update(&person)), ["subscribe", "started", "muted"]);
        let mut heard = person;
        heard.tracks[0].muted = false;
        assert_eq!(reports(&roster.update(&heard)), ["muted"]);
    }
}
